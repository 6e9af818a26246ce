//! What the synthetic speech promises.

use super::*;
use crate::{LogMel, LogMelConfig};

const PLAIN: VoiceSpec = VoiceSpec {
    speaker: 3,
    gender: Gender::Female,
    emotion: SyntheticEmotion::Neutral,
    sentence: 2,
    take: 0,
    seed: 42,
    rate_hz: 16_000,
    overlap: 1.0,
};

/// FNV-1a over the samples' bits.
fn fingerprint(clip: &Clip) -> u64 {
    let bytes = clip.samples.iter().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn a_specification_has_the_same_bits_everywhere() {
    let clip = synthesise(&PLAIN);
    assert_eq!(
        (clip.samples.len(), fingerprint(&clip)),
        (18_040, 1_858_269_422_533_249_002)
    );
}

#[test]
fn every_part_of_the_specification_matters() {
    let others = [
        VoiceSpec { speaker: 4, ..PLAIN },
        VoiceSpec {
            gender: Gender::Male,
            ..PLAIN
        },
        VoiceSpec {
            emotion: SyntheticEmotion::Happy,
            ..PLAIN
        },
        VoiceSpec { sentence: 3, ..PLAIN },
        VoiceSpec { take: 1, ..PLAIN },
        VoiceSpec { seed: 43, ..PLAIN },
        VoiceSpec {
            rate_hz: 22_050,
            ..PLAIN
        },
        VoiceSpec { overlap: 0.5, ..PLAIN },
    ];
    let plain = synthesise(&PLAIN);
    for other in others {
        assert_ne!(synthesise(&other).samples, plain.samples, "{other:?}");
    }
}

#[test]
fn utterances_are_audible_and_of_about_a_second_for_any_specification() {
    for rate_hz in [0, 8_000, 16_000, 44_100, 1_000_000] {
        for emotion in SyntheticEmotion::ALL {
            for overlap in [f32::NAN, 0.0, 9.0] {
                let spec = VoiceSpec {
                    rate_hz,
                    emotion,
                    overlap,
                    ..PLAIN
                };
                let clip = synthesise(&spec);
                assert!(RATE_BOUNDS_HZ.contains(&clip.rate_hz));
                assert!((0.5..3.0).contains(&clip.duration_s()), "{spec:?}");
                let peak = clip.samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
                assert!(peak > 0.01 && peak <= 1.0, "{spec:?}: peak {peak}");
            }
        }
    }
}

/// What an utterance measures.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    pitch_hz: f64,
    pitch_deviation_hz: f64,
    level_db: f64,
    duration_s: f64,
    /// Energy of the vowels above about 3.3 kHz relative to that below.
    brightness_db: f64,
}

impl Measured {
    fn of(spec: &VoiceSpec, log_mel: &LogMel) -> Self {
        let score = plan::Score::new(spec);
        let voiced = score.frames.iter().filter(|frame| frame.voicing > 0.3);
        let pitches: Vec<f64> = voiced.map(|frame| frame.f0_hz).collect();
        let count = pitches.len() as f64;
        let pitch_hz = pitches.iter().sum::<f64>() / count;
        let variance = pitches.iter().map(|hz| (hz - pitch_hz).powi(2)).sum::<f64>() / count;
        let clip = synthesise(spec);
        let square: f64 = clip.samples.iter().map(|&x| f64::from(x).powi(2)).sum();
        let bands = log_mel.compute(&clip.samples);
        // A spectrogram frame lasts four control frames. The mean is one of logarithms, because
        // vowels differ in level and consonants spill into their edges.
        let vowels = score.frames.iter().step_by(4).zip(bands.chunks_exact(64));
        let ratios: Vec<f64> = vowels
            .filter(|(frame, _)| frame.voicing > 0.5 && frame.frication < 0.01)
            .map(|(_, bands)| {
                let energy = |bands: &[f32]| bands.iter().map(|&x| f64::from(x).exp()).sum::<f64>();
                10.0 * (energy(&bands[45..]) / energy(&bands[..45])).log10()
            })
            .collect();
        Self {
            pitch_hz,
            pitch_deviation_hz: variance.sqrt(),
            level_db: 10.0 * (square / clip.samples.len() as f64).log10(),
            duration_s: clip.duration_s(),
            brightness_db: ratios.iter().sum::<f64>() / ratios.len() as f64,
        }
    }
}

type Value = fn(&Measured) -> f64;

#[test]
fn emotions_move_pitch_range_level_rate_and_tilt_as_documented() {
    use SyntheticEmotion::{Angry, Fearful, Happy, Neutral, Sad};
    let log_mel = LogMel::new(LogMelConfig::default()).unwrap();
    let prototype = |emotion: SyntheticEmotion, value: Value| -> f64 {
        (0..8)
            .map(|speaker| {
                let spec = VoiceSpec {
                    speaker,
                    emotion,
                    overlap: 0.0,
                    ..PLAIN
                };
                value(&Measured::of(&spec, &log_mel))
            })
            .sum()
    };
    let orders: [(&str, Value, &[SyntheticEmotion]); 5] = [
        ("pitch", |m| m.pitch_hz, &[Sad, Neutral, Angry, Happy, Fearful]),
        ("range", |m| m.pitch_deviation_hz, &[Sad, Neutral, Angry, Happy]),
        ("level", |m| m.level_db, &[Sad, Fearful, Neutral, Happy, Angry]),
        ("duration", |m| m.duration_s, &[Fearful, Angry, Happy, Neutral, Sad]),
        ("brightness", |m| m.brightness_db, &[Sad, Neutral, Happy, Angry]),
    ];
    for (what, value, order) in orders {
        let values: Vec<f64> = order.iter().map(|&emotion| prototype(emotion, value)).collect();
        assert!(values.is_sorted_by(|a, b| a < b), "{what}: {order:?} have {values:?}");
    }
}

/// Share of utterances of speakers 6 to 11 whose nearest class mean over speakers 0 to 5, in units
/// of each feature's deviation, is that of their own emotion. Emotions are equally frequent, so
/// this is unweighted average recall too.
fn nearest_mean_recall<const N: usize>(
    utterances: &[(u32, usize, Measured)],
    features: impl Fn(&Measured) -> [f64; N],
) -> f64 {
    let rows = |train: bool| {
        utterances
            .iter()
            .filter(move |(speaker, ..)| (*speaker < 6) == train)
            .map(|(_, class, measured)| (*class, features(measured)))
            .collect::<Vec<_>>()
    };
    let (train, test) = (rows(true), rows(false));
    let mean = |of: &dyn Fn(usize) -> bool, value: &dyn Fn(&[f64; N]) -> f64| {
        let chosen = train.iter().filter(|(class, _)| of(*class));
        let values: Vec<f64> = chosen.map(|(_, row)| value(row)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let centres: [[f64; N]; 4] =
        std::array::from_fn(|class| std::array::from_fn(|i| mean(&|of| of == class, &|row| row[i])));
    let variances: [f64; N] = std::array::from_fn(|i| {
        let all = mean(&|_| true, &|row| row[i]);
        mean(&|_| true, &|row| (row[i] - all).powi(2))
    });
    let distance = |row: &[f64; N], class: usize| -> f64 {
        (0..N)
            .map(|i| (row[i] - centres[class][i]).powi(2) / variances[i])
            .sum()
    };
    let correct = test.iter().filter(|(class, row)| {
        let nearest = (0..4).min_by(|&a, &b| distance(row, a).total_cmp(&distance(row, b)));
        nearest == Some(*class)
    });
    correct.count() as f64 / test.len() as f64
}

#[test]
fn pitch_and_level_alone_tell_emotions_apart_only_in_part() {
    let log_mel = LogMel::new(LogMelConfig::default()).unwrap();
    for seed in 1..3 {
        let mut utterances = Vec::new();
        for speaker in 0..12 {
            let gender = [Gender::Female, Gender::Male][speaker as usize % 2];
            for (class, &emotion) in SyntheticEmotion::ALL[..4].iter().enumerate() {
                for sentence in 0..5 {
                    let spec = VoiceSpec {
                        speaker,
                        gender,
                        emotion,
                        sentence,
                        seed,
                        ..PLAIN
                    };
                    utterances.push((speaker, class, Measured::of(&spec, &log_mel)));
                }
            }
        }
        let prosody = nearest_mean_recall(&utterances, |m| [m.pitch_hz, m.pitch_deviation_hz, m.level_db]);
        assert!((0.4..0.7).contains(&prosody), "seed {seed}: {prosody:.2}");
    }
}
