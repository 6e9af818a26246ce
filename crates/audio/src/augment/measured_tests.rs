//! What transforms do, measured, and beside the values of other programs (`make_augment.py`).

use std::f64::consts::{PI, TAU};

use serde_json::Value;

use super::butterworth::{Butterworth, Pass};
use super::codec::{decode_mu_law, encode_mu_law};
use super::level::power;
use super::room::{Room, rt60};
use super::tests::{Musan, RATE_HZ, apply, fixed, saw, snr_db, speech};
use super::*;
use crate::resample;
use crate::stretch::stretch;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/augment.json")).unwrap()
}

fn cases<'a>(golden: &'a Value, name: &str) -> &'a [Value] {
    golden[name].as_array().unwrap()
}

fn tone(frequency_hz: f64, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| (0.4 * (TAU * frequency_hz * i as f64 / f64::from(RATE_HZ)).sin()) as f32)
        .collect()
}

/// Strength of a frequency within a window.
fn strength(samples: &[f32], frequency_hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let window = (PI * i as f64 / samples.len() as f64).sin().powi(2);
        let angle = TAU * frequency_hz * i as f64 / f64::from(RATE_HZ);
        re += window * f64::from(*x) * angle.cos();
        im += window * f64::from(*x) * angle.sin();
    }
    re.hypot(im)
}

/// How many cents the strongest frequency near `expected_hz` is off.
fn cents_off(samples: &[f32], expected_hz: f64) -> f64 {
    let at = |cents: f64| strength(samples, expected_hz * (cents / 1200.0).exp2());
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..40 {
        let third = (high - low) / 3.0;
        if at(low + third) < at(high - third) {
            low += third;
        } else {
            high -= third;
        }
    }
    (low + high) / 2.0
}

#[test]
fn tones_are_shifted_to_within_5_cents() {
    let mut worst = 0.0_f64;
    for frequency_hz in [80.0, 110.0, 155.0, 203.7, 220.0, 440.0, 1000.0, 3000.0] {
        let wave = tone(frequency_hz, 24_000);
        for semitones in [-4.0, -1.5, 0.5, 2.0, 4.0] {
            let shift = PitchShift {
                semitones: fixed(semitones),
                p: 1.0,
            };
            let shifted = apply(&*shift.build(RATE_HZ).unwrap(), &wave, 1);
            assert_eq!(shifted.len(), wave.len());
            let off = cents_off(&shifted[8000..16_000], frequency_hz * (semitones / 12.0).exp2());
            worst = worst.max(off.abs());
        }
    }
    assert!(worst < 5.0, "{worst} cents");
}

#[test]
fn a_stretch_keeps_the_pitch_and_has_the_length_asked_for() {
    let wave = tone(300.0, 24_001);
    for rate in [0.5, 0.8, 0.93, 1.25, 2.0] {
        let config = TimeStretch {
            rate: fixed(rate),
            p: 1.0,
        };
        let stretched = apply(&*config.build(RATE_HZ).unwrap(), &wave, 1);
        assert!(
            (stretched.len() as f64 - 24_001.0 / rate).abs() <= 1.0,
            "{}",
            stretched.len()
        );
        let off = cents_off(&stretched[4000..8000], 300.0);
        assert!(off.abs() < 5.0, "{rate}: {off} cents off");
    }
}

#[test]
fn pitch_and_tempo_side_by_side_are_one_pass() {
    let samples = speech(16_000);
    let mut wave = Wave::new(samples.clone(), RATE_HZ);
    wave.warp(1.25, 0.0);
    wave.warp(1.0, 3.0);
    assert_eq!(*wave.samples(), stretch(&samples, RATE_HZ, 1.25, 3.0));
    // What one pass cannot do is done in two.
    let mut wave = Wave::new(samples.clone(), RATE_HZ);
    wave.warp(0.6, 0.0);
    wave.warp(0.6, 0.0);
    let once = stretch(&samples, RATE_HZ, 0.6, 0.0);
    assert_eq!(wave.into_samples(), stretch(&once, RATE_HZ, 0.6, 0.0));
}

#[test]
fn a_speed_is_resampling() {
    let wave = speech(16_001);
    for (percent, from_hz) in [(90, 14_400), (100, 16_000), (110, 17_600), (50, 8000), (200, 32_000)] {
        let config = SpeedPerturb {
            speeds: vec![percent],
            p: 1.0,
        };
        let found = apply(&*config.build(RATE_HZ).unwrap(), &wave, 1);
        assert_eq!(found, resample(&wave, from_hz, RATE_HZ).unwrap(), "{percent} %");
    }
    // Played at 110 %, a tone of 300 Hz is one of 330 Hz.
    let faster = resample(&tone(300.0, 24_000), 11_000, 10_000).unwrap();
    assert!(cents_off(&faster[4000..12_000], 330.0).abs() < 1.0);
}

#[test]
fn babble_of_several_voices_has_the_ratio_asked_for() {
    let folder = Musan::new();
    let wave = speech(8000);
    let mut results = Vec::new();
    for num_files in [[1, 1], [3, 3], [3, 7]] {
        let babble = BackgroundNoise {
            num_files,
            snr_db: fixed(12.0),
            ..folder.config()
        };
        let babble = babble.build(RATE_HZ).unwrap();
        for seed in 0..10 {
            let result = apply(&*babble, &wave, seed);
            let measured = snr_db(&result, &wave);
            assert!((measured - 12.0).abs() < 0.1, "{num_files:?}: {measured} dB");
            results.push(result);
        }
    }
    results.dedup();
    assert_eq!(results.len(), 30);
}

#[test]
fn a_shift_moves_samples_and_brings_them_round_or_silence() {
    let wave = [1.0, 2.0, 3.0, 4.0, 5.0];
    for (fraction, rollover, expected) in [
        (0.4, true, [4.0, 5.0, 1.0, 2.0, 3.0]),
        (-0.2, true, [2.0, 3.0, 4.0, 5.0, 1.0]),
        (0.4, false, [0.0, 0.0, 1.0, 2.0, 3.0]),
        (-0.4, false, [3.0, 4.0, 5.0, 0.0, 0.0]),
        (0.0, false, wave),
    ] {
        let config = TimeShift {
            fraction: fixed(fraction),
            rollover,
            p: 1.0,
        };
        assert_eq!(apply(&*config.build(RATE_HZ).unwrap(), &wave, 1), expected);
    }
}

#[test]
fn a_mask_is_a_stretch_of_silence_with_soft_edges() {
    let wave = vec![1.0; 16_000];
    let config = TimeMask {
        mask_fraction: fixed(0.1),
        p: 1.0,
        ..TimeMask::default()
    };
    let mask = config.build(RATE_HZ).unwrap();
    let mut starts = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let masked = apply(&*mask, &wave, seed);
        let start = masked.iter().position(|&x| x < 1.0).unwrap();
        let end = 1 + masked.iter().rposition(|&x| x < 1.0).unwrap();
        assert_eq!(end - start, 1600);
        assert!(masked[start + 80..end - 80].iter().all(|&x| x == 0.0));
        assert!(masked[start..start + 80].windows(2).all(|pair| pair[0] > pair[1]));
        starts.insert(start);
    }
    assert!(starts.len() > 40 && *starts.first().unwrap() < 2000 && *starts.last().unwrap() > 12_000);
}

#[test]
fn filters_have_the_impulse_responses_of_scipy() {
    let golden = golden();
    for case in cases(&golden, "band_pass") {
        let number = |name: &str| case[name].as_f64().unwrap();
        let config = BandPass {
            band: Band::Between(Between {
                low_hz: fixed(number("low_hz")),
                high_hz: fixed(number("high_hz")),
            }),
            p: 1.0,
        };
        let mut impulse = vec![0f32; 48];
        impulse[0] = 1.0;
        let found = apply(&*config.build(number("rate_hz") as u32).unwrap(), &impulse, 1);
        for (found, expected) in found.iter().zip(cases(case, "response")) {
            assert!((f64::from(*found) - expected.as_f64().unwrap()).abs() < 1e-6, "{case}");
        }
    }
    let telephone = BandPass::default().build(RATE_HZ).unwrap();
    let level = |frequency_hz: f64| {
        let passed = apply(&*telephone, &tone(frequency_hz, 16_000), 1);
        10.0 * (power(&passed[4000..]) / 0.08).log10()
    };
    assert!(level(1000.0).abs() < 0.1);
    assert!((level(300.0) + 3.0).abs() < 0.1 && (level(3400.0) + 3.0).abs() < 0.1);
    assert!(level(75.0) < -40.0 && level(7000.0) < -40.0);
    let error = BandPass::default().build(6000).unwrap_err().to_string();
    assert!(error.starts_with("band.between.high_hz is [3400, 3400]"), "{error}");
}

#[test]
fn codes_are_those_of_g711() {
    let golden = golden();
    let mu_law = &golden["mu_law"];
    for (value, code) in cases(mu_law, "values").iter().zip(cases(mu_law, "codes")) {
        let value = value.as_i64().unwrap();
        let found = encode_mu_law(value as f32 / 32_768.0);
        assert_eq!(u64::from(found), code.as_u64().unwrap(), "{value}");
    }
    for (code, value) in (0..=255).zip(cases(mu_law, "decoded")) {
        assert_eq!(decode_mu_law(code) * 32_768.0, value.as_f64().unwrap() as f32, "{code}");
    }
    for code in (0..=255).filter(|&code| code != 127) {
        // All but minus zero come back.
        assert_eq!(encode_mu_law(decode_mu_law(code)), code);
    }
    // Its noise lies 38 dB below speech of any loudness.
    let coarse = Codec {
        rate_hz: fixed(16_000.0),
        p: 1.0,
        ..Codec::default()
    };
    for loudness in [0.1, 1.0, 4.0] {
        let wave: Vec<f32> = tone(500.0, 8000).iter().map(|x| x * loudness * 0.6).collect();
        let measured = snr_db(&apply(&*coarse.build(RATE_HZ).unwrap(), &wave, 1), &wave);
        assert!((34.0..42.0).contains(&measured), "{loudness}: {measured} dB");
    }
}

#[test]
fn a_low_rate_takes_the_high_frequencies_away() {
    let config = Codec {
        rate_hz: fixed(8000.0),
        quantise: Quantise::None,
        p: 1.0,
    };
    let codec = config.build(RATE_HZ).unwrap();
    let left = |frequency_hz: f64| power(&apply(&*codec, &tone(frequency_hz, 16_000), 1)[2000..14_000]) / 0.08;
    assert!((left(1000.0) - 1.0).abs() < 1e-3 && left(5000.0) < 1e-6);
    let slow = Codec::default().build(8000).unwrap();
    assert_eq!(apply(&*slow, &tone(100.0, 77), 1).len(), 77);
}

#[test]
fn percentiles_and_trims_are_those_of_numpy_and_librosa() {
    let wave: Vec<f32> = (0..20_000_u32)
        .map(|i| {
            let noise = 1e-3 * (f64::from(i * 7919 % 1009) / 504.0 - 1.0);
            let word = if (6000..13_000).contains(&i) {
                0.3 * (f64::from(i) * 0.17).sin() * ((f64::from(i) - 6000.0) * PI / 7000.0).sin()
            } else {
                0.0
            };
            (noise + word) as f32
        })
        .collect();
    let golden = golden();
    for case in cases(&golden, "trim") {
        let config = VadTrim {
            top_db: case["top_db"].as_f64().unwrap(),
            p: 1.0,
        };
        let trimmed = apply(&*config.build(RATE_HZ).unwrap(), &wave, 1);
        let at = |name: &str| case[name].as_u64().unwrap() as usize;
        assert_eq!(trimmed, wave[at("start")..at("end")], "{case}");
    }
    for case in cases(&golden, "clipping") {
        let number = |name: &str| case[name].as_f64().unwrap();
        let config = Clipping {
            percentile_threshold: fixed(number("percent")),
            p: 1.0,
        };
        let clipped = apply(&*config.build(RATE_HZ).unwrap(), &wave, 1);
        let low = clipped.iter().copied().fold(f32::MAX, f32::min);
        let high = clipped.iter().copied().fold(f32::MIN, f32::max);
        assert!((f64::from(low) - number("low")).abs() < 1e-6, "{case}: {low}");
        assert!((f64::from(high) - number("high")).abs() < 1e-6, "{case}: {high}");
    }
}

#[test]
fn the_loudest_sample_gets_the_level_asked_for() {
    let config = PeakNormalise { peak_db: -6.0, p: 1.0 };
    let wave = apply(&*config.build(RATE_HZ).unwrap(), &speech(8000), 1);
    let peak = wave.iter().fold(0f32, |peak, x| peak.max(x.abs()));
    assert!((20.0 * peak.log10() + 6.0).abs() < 1e-3);
}

#[test]
fn synthetic_rooms_have_a_direct_sound_and_the_reverberation_asked_for() {
    for (size_m, rt60_s) in [
        ([3.0, 4.0, 2.5], 0.2),
        ([6.0, 5.0, 3.0], 0.4),
        ([8.0, 3.0, 2.5], 0.6),
        ([10.0, 8.0, 4.0], 1.0),
    ] {
        let room = Room {
            size_m,
            source_m: [1.0, 1.2, 1.5],
            microphone_m: [2.2, 2.1, 1.4],
            rt60_s,
        };
        let response = room.response(RATE_HZ);
        // 1.5033 m at 343 m/s.
        let direct = (1.44_f64 + 0.81 + 0.01).sqrt() / 343.0 * f64::from(RATE_HZ);
        assert_eq!(room.direct(RATE_HZ), direct.round() as usize);
        let first = response.iter().position(|x| x.abs() > 1e-4).unwrap();
        assert_eq!(first, room.direct(RATE_HZ));
        let strongest = response.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert!(response[first] > 0.5 * strongest, "{} of {strongest}", response[first]);
        // After the high-pass, which the decay was set before.
        let measured = rt60(&response, f64::from(RATE_HZ)).unwrap();
        assert!(
            (measured / rt60_s - 1.0).abs() < 0.1,
            "{size_m:?}: {measured} s for {rt60_s} s"
        );
        // Also as a listener hears it: noise that stops falls by 30 dB in half the time.
        let mut noise = saw(0.5, 16_000);
        noise.resize(32_000, 0.0);
        super::convolve::Kernel::new(&response).apply(&mut noise, 0);
        let level = |at: f64| power(&noise[at as usize..at as usize + 320]);
        let fallen = 10.0 * (level(15_600.0) / level(16_000.0 + rt60_s / 2.0 * 16_000.0)).log10();
        assert!((20.0..45.0).contains(&fallen), "{size_m:?}: {fallen} dB");
    }
}

#[test]
fn reverberation_keeps_length_power_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut response = vec![0.0; 400];
    response[40] = 0.5;
    response[140] = 0.25;
    let samples = response.clone();
    let clip = crate::Clip {
        samples,
        rate_hz: RATE_HZ,
    };
    crate::write_wav(&folder.path().join("room.wav"), &clip).unwrap();
    let config = Reverb {
        response: Response::Folder(folder.path().to_owned()),
        p: 1.0,
    };
    let reverb = config.build(RATE_HZ).unwrap();
    assert_eq!(reverb.files().len(), 1);
    let mut click = vec![0.0; 3000];
    click[100] = 1.0;
    let heard = apply(&*reverb, &click, 1);
    // Direct sound and an echo of half its amplitude, as powerful together as the click was.
    assert!((heard[100] - 0.8_f32.sqrt()).abs() < 1e-3 && (heard[200] - 0.2_f32.sqrt()).abs() < 1e-3);
    let wave = speech(50_000);
    for config in [
        config,
        Reverb {
            p: 1.0,
            ..Reverb::default()
        },
    ] {
        let heard = apply(&*config.build(RATE_HZ).unwrap(), &wave, 3);
        assert_eq!(heard.len(), wave.len());
        assert!((power(&heard) / power(&wave) - 1.0).abs() < 1e-3);
    }
}

#[test]
fn long_waveforms_are_convolved_as_if_at_once() {
    let kernel: Vec<f32> = saw(0.5, 700);
    let wave = saw(0.3, 5000);
    let mut found = wave.clone();
    super::convolve::Kernel::new(&kernel).apply(&mut found, 30);
    for at in [0, 1, 500, 1347, 1348, 1349, 2700, 4999] {
        let expected: f64 = (0..700)
            .filter_map(|tap| {
                let sample = wave.get((at + 30_usize).checked_sub(tap)?)?;
                Some(f64::from(kernel[tap]) * f64::from(*sample))
            })
            .sum();
        assert!((f64::from(found[at]) - expected).abs() < 1e-4, "{at}");
    }
}

#[test]
fn a_filter_is_3_db_down_at_its_cut_off() {
    for pass in [Pass::Low, Pass::High] {
        let mut wave = tone(1000.0, 32_000);
        Butterworth::new(pass, 4, 1000.0 / 16_000.0).apply(&mut wave);
        assert!((10.0 * (power(&wave[8000..]) / 0.08).log10() + 3.01).abs() < 0.02);
    }
}
