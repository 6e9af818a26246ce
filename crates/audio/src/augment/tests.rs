use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::level::power;
use super::*;
use crate::{Clip, write_wav};

pub(super) const RATE_HZ: u32 = 16_000;

pub(super) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Something like speech: a tone of changing loudness.
pub(super) fn speech(samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| {
            let time_s = i as f32 / RATE_HZ as f32;
            0.2 * (700.0 * time_s).sin() * (0.3 + (5.0 * time_s).sin().abs())
        })
        .collect()
}

/// A folder with MUSAN's layout; files of noise have values of their own, so that a stretch tells where
/// it is from.
pub(super) struct Musan(tempfile::TempDir);

impl Musan {
    pub(super) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("noise/free-sound/a.wav", RATE_HZ, &saw(0.1, 40_000));
        folder.write("noise/sound-bible/b.wav", 8000, &saw(0.1, 3000));
        folder.write("music/fma/c.wav", RATE_HZ, &saw(0.3, 20_000));
        folder.write("speech/us-gov/d.wav", RATE_HZ, &saw(0.5, 10));
        fs::write(folder.path().join("music/fma/ANNOTATIONS"), "text").unwrap();
        fs::write(folder.path().join("music/fma/._c.wav"), "not audio").unwrap();
        folder
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(super) fn write(&self, name: &str, rate_hz: u32, samples: &[f32]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let samples = samples.to_vec();
        write_wav(&path, &Clip { samples, rate_hz }).unwrap();
    }

    pub(super) fn config(&self) -> BackgroundNoise {
        BackgroundNoise {
            p: 1.0,
            ..BackgroundNoise::new(self.path())
        }
    }
}

pub(super) fn saw(amplitude: f32, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| amplitude * ((i * 37 % 101) as f32 / 50.0 - 1.0))
        .collect()
}

pub(super) fn fixed(value: f64) -> Interval {
    Interval::new(value, value).unwrap()
}

/// A table: every transform there is, always applied.
fn transforms(musan: &Musan) -> Vec<(&'static str, Box<dyn AugmentConfig>)> {
    let p = 1.0;
    let amplitude = NoiseLevel::Amplitude(fixed(0.01));
    let snr = NoiseLevel::SnrDb(Interval::new(0.0, 30.0).unwrap());
    let short = Interval::new(0.01, 0.02).unwrap();
    let band = Band::Between(Between {
        low_hz: Interval::new(50.0, 500.0).unwrap(),
        high_hz: Interval::new(2000.0, 7000.0).unwrap(),
    });
    let fit = |trim, pad| {
        Box::new(PadOrTrim {
            seconds: 0.01,
            trim,
            pad,
            p,
        })
    };
    vec![
        ("gain", Box::new(Gain { p, ..Gain::default() })),
        (
            "gaussian_noise amplitude",
            Box::new(GaussianNoise { level: amplitude, p }),
        ),
        ("gaussian_noise snr_db", Box::new(GaussianNoise { level: snr, p })),
        ("background_noise", Box::new(musan.config())),
        ("polarity", Box::new(Polarity { p })),
        ("random_crop", Box::new(RandomCrop { seconds: short, p })),
        ("pad_or_trim", fit(TrimAt::Start, PadWith::Zeros)),
        ("pad_or_trim centre", fit(TrimAt::Centre, PadWith::Repeat)),
        ("pad_or_trim random", fit(TrimAt::Random, PadWith::Repeat)),
        (
            "background_noise babble",
            Box::new(BackgroundNoise {
                num_files: [2, 4],
                ..musan.config()
            }),
        ),
        (
            "pitch_shift",
            Box::new(PitchShift {
                p,
                ..PitchShift::default()
            }),
        ),
        (
            "time_stretch",
            Box::new(TimeStretch {
                p,
                ..TimeStretch::default()
            }),
        ),
        (
            "speed_perturb",
            Box::new(SpeedPerturb {
                p,
                speeds: vec![50, 70, 90, 100, 110, 200],
            }),
        ),
        (
            "time_shift",
            Box::new(TimeShift {
                p,
                ..TimeShift::default()
            }),
        ),
        (
            "time_shift silence",
            Box::new(TimeShift {
                p,
                rollover: false,
                ..TimeShift::default()
            }),
        ),
        (
            "time_mask",
            Box::new(TimeMask {
                p,
                ..TimeMask::default()
            }),
        ),
        ("reverb", Box::new(Reverb { p, ..Reverb::default() })),
        (
            "reverb folder",
            Box::new(Reverb {
                p,
                response: Response::Folder(musan.path()),
            }),
        ),
        (
            "band_pass telephone",
            Box::new(BandPass {
                p,
                ..BandPass::default()
            }),
        ),
        ("band_pass", Box::new(BandPass { p, band })),
        ("codec", Box::new(Codec { p, ..Codec::default() })),
        (
            "codec rate",
            Box::new(Codec {
                p,
                rate_hz: Interval::new(3000.0, 15_000.0).unwrap(),
                quantise: Quantise::None,
            }),
        ),
        (
            "clipping",
            Box::new(Clipping {
                p,
                ..Clipping::default()
            }),
        ),
        (
            "peak_normalise",
            Box::new(PeakNormalise {
                p,
                ..PeakNormalise::default()
            }),
        ),
        (
            "vad_trim",
            Box::new(VadTrim {
                p,
                ..VadTrim::default()
            }),
        ),
    ]
}

pub(super) fn apply(transform: &dyn Augment, wave: &[f32], seed: u64) -> Vec<f32> {
    let mut wave = Wave::new(wave.to_vec(), RATE_HZ);
    transform.apply(&mut wave, &mut rng(seed)).unwrap();
    wave.into_samples()
}

fn added(result: &[f32], wave: &[f32]) -> Vec<f32> {
    result.iter().zip(wave).map(|(a, b)| a - b).collect()
}

pub(super) fn snr_db(result: &[f32], wave: &[f32]) -> f64 {
    10.0 * (power(wave) / power(&added(result, wave))).log10()
}

#[test]
fn the_same_generator_gives_the_same_bits_and_another_one_others() {
    let musan = Musan::new();
    let wave = speech(8000);
    for (name, config) in transforms(&musan) {
        let first = config.build(RATE_HZ).unwrap();
        let expected = apply(&*first, &wave, 1);
        // Again with a warm cache, from other threads, and from a transform built anew.
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(apply(&*first, &wave, 1), expected, "{name}"));
            }
        });
        let again = config.build(RATE_HZ).unwrap();
        apply(&*again, &wave, 7);
        assert_eq!(apply(&*again, &wave, 1), expected, "{name}");
        let others = (2..20).filter(|&seed| apply(&*first, &wave, seed) != expected).count();
        let fixed = [
            "polarity",
            "pad_or_trim",
            "pad_or_trim centre",
            "band_pass telephone",
            "codec",
            "peak_normalise",
            "vad_trim",
        ];
        let draws = !fixed.contains(&name);
        assert_eq!(others > 9, draws, "{name}: {others} of 18 differ");
    }
}

#[test]
fn p_of_0_never_and_p_of_1_always_applies() {
    let wave = speech(100);
    for (p, expected) in [(0.0, 0), (1.0, 1000), (0.3, 300)] {
        let transform = Polarity { p }.build(RATE_HZ).unwrap();
        let flipped = (0..1000)
            .filter(|&seed| apply(&*transform, &wave, seed) != wave)
            .count();
        assert!(
            flipped.abs_diff(expected) <= if p == 0.3 { 50 } else { 0 },
            "{p}: {flipped}"
        );
    }
}

#[test]
fn the_draws_after_p_do_not_depend_on_p() {
    let wave = speech(1000);
    let build = |p| Gain { p, ..Gain::default() }.build(RATE_HZ).unwrap();
    let (often, always) = (build(0.9), build(1.0));
    let applied: Vec<u64> = (0..20).filter(|&seed| apply(&*often, &wave, seed) != wave).collect();
    assert!(applied.len() > 10);
    for seed in applied {
        assert_eq!(apply(&*often, &wave, seed), apply(&*always, &wave, seed));
    }
}

#[test]
fn a_gain_is_that_of_the_decibels_asked_for() {
    let wave = speech(1000);
    for (gain_db, factor) in [(6.0, 1.995_262_3), (-20.0, 0.1), (0.0, 1.0)] {
        let gain_db = fixed(gain_db);
        let result = apply(&*Gain { gain_db, p: 1.0 }.build(RATE_HZ).unwrap(), &wave, 3);
        for (result, x) in result.iter().zip(&wave) {
            assert!((result - x * factor).abs() <= 1e-7 * factor, "{result} from {x}");
        }
    }
    let gain = Gain {
        p: 1.0,
        ..Gain::default()
    }
    .build(RATE_HZ)
    .unwrap();
    let gains: Vec<f64> = (0..500)
        .map(|seed| 20.0 * f64::from(apply(&*gain, &[0.5], seed)[0] / 0.5).log10())
        .collect();
    assert!(gains.iter().all(|db| (-6.001..=6.001).contains(db)));
    // Uniform: each quarter holds about 125 of them.
    for quarter in 0..4 {
        let low = -6.0 + 3.0 * f64::from(quarter);
        let count = gains.iter().filter(|db| (low..low + 3.0).contains(*db)).count();
        assert!((90..160).contains(&count), "{count} from {low} dB on");
    }
}

#[test]
fn gaussian_noise_has_the_level_asked_for() {
    let wave = speech(50_000);
    let build = |level| GaussianNoise { level, p: 1.0 }.build(RATE_HZ).unwrap();
    let noise = added(&apply(&*build(NoiseLevel::Amplitude(fixed(0.02))), &wave, 5), &wave);
    let mean = noise.iter().sum::<f32>() / noise.len() as f32;
    assert!(mean.abs() < 5e-4, "{mean}");
    assert!((power(&noise).sqrt() - 0.02).abs() < 2e-4, "{}", power(&noise).sqrt());
    let beyond = noise.iter().filter(|x| x.abs() > 0.04).count() as f64 / noise.len() as f64;
    assert!((beyond - 0.0455).abs() < 0.004, "{beyond} beyond two deviations");
    for expected in [-10.0, 0.0, 15.0, 40.0] {
        let noisy = build(NoiseLevel::SnrDb(fixed(expected)));
        let measured = snr_db(&apply(&*noisy, &wave, 5), &wave);
        assert!((measured - expected).abs() < 0.01, "{measured} dB, not {expected}");
    }
    let silence = vec![0.0; 100];
    assert_eq!(apply(&*build(NoiseLevel::SnrDb(fixed(5.0))), &silence, 5), silence);
    assert!(power(&apply(&*build(NoiseLevel::Amplitude(fixed(0.01))), &silence, 5)) > 0.0);
}

#[test]
fn background_noise_has_the_ratio_asked_for_over_the_item() {
    let musan = Musan::new();
    for expected in [-5.0, 0.0, 5.0, 20.0, 40.0] {
        let noise = BackgroundNoise {
            snr_db: fixed(expected),
            ..musan.config()
        };
        let noise = noise.build(RATE_HZ).unwrap();
        for (seed, samples) in [(0, 100), (1, 12_345), (2, 39_999), (3, 40_000), (4, 100_000), (5, 7000)] {
            let wave = speech(samples);
            let measured = snr_db(&apply(&*noise, &wave, seed), &wave);
            assert!(
                (measured - expected).abs() < 0.1,
                "{samples}: {measured} dB, not {expected}"
            );
        }
    }
    let noise = musan.config().build(RATE_HZ).unwrap();
    let wave = speech(5000);
    let drawn: Vec<f64> = (0..200)
        .map(|seed| snr_db(&apply(&*noise, &wave, seed), &wave))
        .collect();
    assert!(drawn.iter().all(|db| (4.9..20.1).contains(db)));
    assert!(drawn.iter().any(|&db| db < 7.0) && drawn.iter().any(|&db| db > 18.0));
}

#[test]
fn background_noise_is_a_stretch_of_a_file_repeated_where_it_is_short() {
    let folder = Musan(tempfile::tempdir().unwrap());
    let source: Vec<f32> = (0..500).map(|i| ((i * i) as f32 * 0.37).sin() * 0.5).collect();
    folder.write("a.wav", RATE_HZ, &source);
    let noise = folder.config().build(RATE_HZ).unwrap();
    let mut starts = std::collections::BTreeSet::new();
    for samples in [100, 499, 500, 501, 1700] {
        let wave = speech(samples);
        for seed in 0..40 {
            let added = added(&apply(&*noise, &wave, seed), &wave);
            let scale = (power(&added)).sqrt();
            let found = (0..500).find(|start| {
                let taken: Vec<f32> = (0..samples).map(|i| source[(start + i) % 500]).collect();
                let level = power(&taken).sqrt();
                let equal = |(a, b): (&f32, &f32)| (f64::from(*a) / scale - f64::from(*b) / level).abs() < 1e-2;
                added.iter().zip(&taken).all(equal)
            });
            let start = found.unwrap_or_else(|| panic!("{samples} samples, seed {seed}: no stretch of the file"));
            assert!(
                start + samples <= 500 || samples > 500,
                "{samples} samples wrap from {start}"
            );
            starts.insert((samples, start));
        }
    }
    let starting = |samples| starts.iter().filter(|(length, _)| *length == samples).count();
    assert!(starting(100) > 30 && starting(1700) > 30);
    assert_eq!((starting(500), starting(499)), (1, 2));
}

#[test]
fn of_a_long_file_only_the_stretch_is_read_up_to_its_last_sample() {
    let folder = Musan(tempfile::tempdir().unwrap());
    for (name, rate_hz) in [("slow", 1000), ("same", RATE_HZ), ("fast", 22_050)] {
        folder.write(
            &format!("{name}/long.wav"),
            rate_hz,
            &saw(0.3, 31 * rate_hz as usize + 1),
        );
        let noise = BackgroundNoise {
            categories: vec![name.to_owned()],
            ..folder.config()
        };
        let noise = noise.build(RATE_HZ).unwrap();
        for samples in [1, 3000, 495_999, 496_016, 496_017] {
            let wave = speech(samples + 1)[1..].to_vec();
            for seed in 0..2 {
                let measured = snr_db(&apply(&*noise, &wave, seed), &wave);
                assert!((4.9..20.1).contains(&measured), "{name}, {samples}: {measured} dB");
            }
        }
        // The last samples of the file can be drawn, too.
        let files =
            noise_folder::NoiseFolder::scan(&folder.path().join(name), &[], RATE_HZ, noise_folder::Use::Noise).unwrap();
        for seed in 0..100 {
            assert_eq!(files.stretch(0, 1, &mut rng(seed)).unwrap().len(), 1);
        }
    }
}

#[test]
fn categories_choose_among_the_folders_of_musan() {
    let musan = Musan::new();
    let files = |categories: &[&str]| {
        let noise = BackgroundNoise {
            categories: categories.iter().map(ToString::to_string).collect(),
            ..musan.config()
        };
        let built = noise.build(RATE_HZ).unwrap();
        let root = musan.path();
        let names = built
            .files()
            .into_iter()
            .map(|path| path.strip_prefix(&root).unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    let [a, b, c, d] = [
        "noise/free-sound/a.wav",
        "noise/sound-bible/b.wav",
        "music/fma/c.wav",
        "speech/us-gov/d.wav",
    ];
    assert_eq!(files(&[]), paths(&[c, a, b, d]));
    assert_eq!(files(&["noise"]), paths(&[a, b]));
    assert_eq!(files(&["speech", "fma"]), paths(&[c, d]));
}

#[test]
fn silent_noise_is_drawn_anew_and_silent_speech_left_alone() {
    let folder = Musan(tempfile::tempdir().unwrap());
    folder.write("silent.wav", RATE_HZ, &vec![0.0; 5000]);
    let wave = speech(1000);
    let noise = folder.config().build(RATE_HZ).unwrap();
    assert_eq!(apply(&*noise, &wave, 1), wave);
    folder.write("noise.wav", RATE_HZ, &saw(0.1, 5000));
    let noise = folder.config().build(RATE_HZ).unwrap();
    // Ten draws are silent once in a thousand.
    let changed = (0..200).filter(|&seed| apply(&*noise, &wave, seed) != wave).count();
    assert!(changed >= 197, "{changed}");
    let silence = vec![0.0; 1000];
    assert_eq!(apply(&*noise, &silence, 1), silence);
}

#[test]
fn noise_that_cannot_be_used_is_an_error_naming_it() {
    let folder = Musan(tempfile::tempdir().unwrap());
    let error = |config: &BackgroundNoise| config.build(RATE_HZ).unwrap_err().to_string();
    let root = folder.path().display().to_string();
    assert_eq!(
        error(&folder.config()),
        format!(
            "{root}: holds no audio file (.wav, .wave, .flac, .mp3, .ogg, .oga, .opus, .m4a, .aac, .aif, .aiff, .aifc, .caf) at any depth; unpack the recordings there"
        )
    );
    let missing = BackgroundNoise::new(folder.path().join("no"));
    assert!(
        error(&missing).contains("/no: is no folder of recordings"),
        "{}",
        error(&missing)
    );
    folder.write("noise/a.wav", RATE_HZ, &saw(0.1, 100));
    let music = BackgroundNoise {
        categories: vec!["music".to_owned()],
        ..folder.config()
    };
    assert!(
        error(&music).ends_with("below a folder `music`; the folders with some are: noise"),
        "{}",
        error(&music)
    );
    // Damage that the header shows is found at once, other damage when the file is drawn.
    fs::write(folder.path().join("noise/b.wav"), "no audio").unwrap();
    let message = error(&folder.config());
    assert!(message.starts_with("recording "), "{message}");
    assert!(message.contains("b.wav: is no audio that is known here"), "{message}");
    fs::remove_file(folder.path().join("noise/b.wav")).unwrap();
    let noise = folder.config().build(RATE_HZ).unwrap();
    fs::remove_file(folder.path().join("noise/a.wav")).unwrap();
    let message = noise
        .apply(&mut Wave::new(speech(10), RATE_HZ), &mut rng(1))
        .unwrap_err()
        .to_string();
    assert!(message.contains("a.wav: cannot be opened"), "{message}");
}

#[test]
fn crops_and_padding_have_the_lengths_asked_for() {
    let wave: Vec<f32> = (0..32_000).map(|i| i as f32).collect();
    let seconds = Interval::new(0.5, 1.5).unwrap();
    let crop = RandomCrop { seconds, p: 1.0 }.build(RATE_HZ).unwrap();
    let crops: Vec<Vec<f32>> = (0..100).map(|seed| apply(&*crop, &wave, seed)).collect();
    for part in &crops {
        assert!((8000..=24_000).contains(&part.len()), "{}", part.len());
        let start = part[0] as usize;
        assert!(part[..] == wave[start..start + part.len()], "from {start}");
    }
    assert!(crops.iter().any(|part| part.len() < 10_000) && crops.iter().any(|part| part.len() > 22_000));
    assert!(crops.iter().any(|part| part[0] < 3000.0) && crops.iter().any(|part| part[part.len() - 1] > 29_000.0));
    assert!(apply(&*crop, &wave[..7999], 1) == wave[..7999]);

    let wave = [1.0, 2.0, 3.0, 4.0, 5.0];
    let (long, short) = (&wave.repeat(3)[..], &wave[..4]);
    let fit = |trim, pad, wave: &[f32], seed| {
        let p = 1.0;
        let config = PadOrTrim {
            seconds: 0.01,
            trim,
            pad,
            p,
        };
        apply(&*config.build(1000).unwrap(), wave, seed)
    };
    let (zeros, repeat) = (PadWith::Zeros, PadWith::Repeat);
    assert_eq!(fit(TrimAt::Start, zeros, long, 1), long[..10]);
    assert_eq!(fit(TrimAt::Centre, zeros, long, 1), long[2..12]);
    let starts: std::collections::BTreeSet<u32> = (0..60)
        .map(|seed| fit(TrimAt::Random, zeros, long, seed)[0] as u32)
        .collect();
    assert_eq!(starts.len(), 5);
    let padded = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(fit(TrimAt::Random, zeros, short, 1), padded);
    let repeated = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0];
    assert_eq!(fit(TrimAt::Start, repeat, short, 1), repeated);
    assert_eq!(fit(TrimAt::Start, repeat, &long[..10], 1), long[..10]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_draw_panics_or_makes_a_sample_that_is_not_finite(
        samples in prop_oneof![0_usize..6, 0_usize..3000],
        loudness in prop_oneof![Just(0.0_f32), Just(1e-30), Just(1e-6), Just(0.3), Just(256.0)],
        seed: u64,
    ) {
        let musan = Musan::new();
        let wave: Vec<f32> = speech(samples).iter().map(|x| x * loudness).collect();
        for (name, config) in transforms(&musan) {
            let result = apply(&*config.build(RATE_HZ).unwrap(), &wave, seed);
            prop_assert!(result.iter().all(|x| x.is_finite()), "{}", name);
            prop_assert_eq!(result.is_empty(), wave.is_empty(), "{}", name);
            let built = config.build(RATE_HZ).unwrap();
            let lengths = built.shortest(wave.len())..=built.longest(wave.len());
            prop_assert!(lengths.contains(&result.len()), "{}: {} not in {:?}", name, result.len(), lengths);
        }
    }
}
