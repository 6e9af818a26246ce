//! Whether a recording can be a room's answer to a click.

use super::level::power;

/// What a loudspeaker may send before its click, in seconds: the filters of measurements ring before it.
const BEFORE_S: f64 = 0.005;
/// Amplitude by which the direct sound is told from what was there before, as a share of the peak (-20 dB).
const ONSET: f32 = 0.1;
/// Latest time after the direct sound at which reflections together are louder than it, in seconds.
const PEAK_S: f64 = 0.05;
/// Time after the direct sound that holds the early energy, in seconds, as in the definition D50 of ISO 3382-1.
const EARLY_S: f64 = 0.05;
/// Least share of the energy that is early. A tail of 3 s alone has a fifth of it there; speech begins softly.
const EARLY: f64 = 0.1;
/// Length of a frame in which the tail's energy is followed, in seconds.
const FRAME_S: f64 = 0.04;
/// Frames after the direct sound in which reflections are single, so that energy comes and goes.
const SPARSE: usize = 2;
/// By how much a frame of the tail is more powerful than one before it at most (14 dB). Speech pauses and goes on: by
/// 19 dB and more where all else here would let it pass; the reflections of a hall vary by up to 10 dB.
const RISE: f64 = 25.0;
/// Share of the most powerful frame below which nothing is compared (-60 dB).
const FLOOR: f64 = 1e-6;
/// Tail that is long enough to be judged, in seconds.
const JUDGED_S: f64 = 0.02;
/// By how much a tail's first quarter is more powerful than its last at least (3 dB).
const DECAY: f64 = 2.0;

/// Whether samples that are not silent can be a room's answer to a click: it sets in with the direct sound, near which its
/// peak and much of its energy are, and then decays without rising again.
///
/// The bounds are wider than what 729 responses need, of pyroomacoustics and of noise that decays in 0.1 to 3 s, and refuse
/// every one of 1015 recordings of speech, of EmoDB and RAVDESS.
///
/// # Errors
/// What speaks against it.
pub(super) fn is_response(samples: &[f32], rate_hz: u32) -> Result<(), &'static str> {
    let of = |seconds: f64| (seconds * f64::from(rate_hz)) as usize;
    let energy = |part: &[f32]| power(part) * part.len() as f64;
    let peak_at = loudest(samples);
    let (before, tail) = samples.split_at(peak_at.saturating_sub(of(BEFORE_S)));
    if energy(before) > energy(tail) {
        return Err("most of its energy comes before its peak");
    }
    let quarter = tail.len() / 4;
    if tail.len() >= of(JUDGED_S) && energy(&tail[..quarter]) < DECAY * energy(&tail[tail.len() - quarter..]) {
        return Err("its energy does not decay after its peak");
    }
    let Some(peak) = samples.get(peak_at).map(|peak| peak.abs()) else {
        return Err("it is empty");
    };
    let onset = samples.iter().position(|x| x.abs() >= ONSET * peak).unwrap_or(peak_at);
    if peak_at - onset > of(PEAK_S) {
        return Err("its peak comes long after its beginning");
    }
    let early = &samples[onset.saturating_sub(of(BEFORE_S))..(onset + of(EARLY_S)).min(samples.len())];
    if energy(early) < EARLY * energy(samples) {
        return Err("little of its energy is at its beginning");
    }
    if rises(&samples[onset..], of(FRAME_S).max(1)) {
        return Err("it becomes louder again after it has become quiet");
    }
    Ok(())
}

/// Whether a frame of a tail is much more powerful than one before it.
fn rises(tail: &[f32], frame: usize) -> bool {
    let powers: Vec<f64> = tail.chunks_exact(frame).map(power).collect();
    let floor = FLOOR * powers.iter().copied().fold(0.0, f64::max);
    let mut least = f64::INFINITY;
    powers.iter().enumerate().any(|(at, own)| {
        let own = own.max(floor);
        least = least.min(own);
        at >= SPARSE && own > RISE * least
    })
}

/// Index of the direct sound in a recording.
pub(super) fn loudest(response: &[f32]) -> usize {
    let (index, _) =
        response.iter().enumerate().fold(
            (0, 0f32),
            |(best, most), (index, x)| {
                if x.abs() > most { (index, x.abs()) } else { (best, most) }
            },
        );
    index
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::path::{Path, PathBuf};

    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use walkdir::WalkDir;

    use super::*;
    use crate::{Channel, has_audio_name, load_channel};

    const RATE_HZ: u32 = 16_000;

    fn normal(rng: &mut impl Rng) -> f64 {
        // Box and Muller.
        let (a, b) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
        (-2.0 * a.ln()).sqrt() * (TAU * b).cos()
    }

    /// Noise that decays by 60 dB in `rt60_s`, behind a direct sound `direct_db` above all of it, `delay_s` after the start, in
    /// noise `floor_db` below the peak.
    fn decaying(rt60_s: f64, delay_s: f64, direct_db: f64, floor_db: f64, rng: &mut impl Rng) -> Vec<f32> {
        let of = |seconds: f64| (seconds * f64::from(RATE_HZ)) as usize;
        let mut tail: Vec<f64> = (0..of((1.2 * rt60_s).min(4.0)))
            .map(|at| normal(rng) * 10f64.powf(-3.0 * at as f64 / (rt60_s * f64::from(RATE_HZ))))
            .collect();
        let norm = tail.iter().map(|x| x * x).sum::<f64>().sqrt();
        tail.iter_mut().for_each(|x| *x /= norm);
        tail[0] = 10f64.powf(direct_db / 20.0);
        let peak = tail.iter().fold(0f64, |most, x| most.max(x.abs()));
        let floor = 0.3 * peak * 10f64.powf(-floor_db / 20.0);
        let all = std::iter::repeat_n(0.0, of(delay_s)).chain(tail);
        all.map(|x| (x + floor * normal(rng)) as f32).collect()
    }

    #[test]
    fn rooms_of_any_size_are_taken_behind_any_delay_and_in_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for rt60_s in [0.1, 0.2, 0.4, 0.8, 1.5, 3.0] {
            for delay_s in [0.0, 0.01, 0.1, 0.4] {
                for direct_db in [-10.0, 0.0, 10.0] {
                    for floor_db in [40.0, 60.0, 90.0] {
                        let response = decaying(rt60_s, delay_s, direct_db, floor_db, &mut rng);
                        let case = format!("{rt60_s} s, {delay_s} s, {direct_db} dB, {floor_db} dB");
                        assert_eq!(is_response(&response, RATE_HZ), Ok(()), "{case}");
                    }
                }
            }
        }
        assert_eq!(is_response(&[1.0], RATE_HZ), Ok(()), "a click");
        assert!(is_response(&[], RATE_HZ).is_err());
    }

    /// Rooms of another program, `tests/golden/make_responses.py`.
    #[test]
    fn rooms_of_pyroomacoustics_are_taken_in_every_channel() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/responses");
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            files += 1;
            for channel in [0, 1] {
                for rate_hz in [8000, RATE_HZ] {
                    let clip = load_channel(&path, rate_hz, None, Channel::Number(channel)).unwrap();
                    assert_eq!(
                        is_response(&clip.samples, rate_hz),
                        Ok(()),
                        "{} {channel}",
                        path.display()
                    );
                }
            }
        }
        assert_eq!(files, 5);
    }

    #[test]
    fn noise_tones_and_music_are_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let seconds = |at: usize| at as f64 / f64::from(RATE_HZ);
        for samples in [8000, 16_000, 64_000] {
            for _ in 0..20 {
                let white: Vec<f32> = (0..samples).map(|_| normal(&mut rng) as f32).collect();
                assert!(is_response(&white, RATE_HZ).is_err());
                let mut at = 0.0;
                let brown: Vec<f32> = (0..samples)
                    .map(|_| {
                        at = 0.999 * at + normal(&mut rng);
                        at as f32
                    })
                    .collect();
                assert!(is_response(&brown, RATE_HZ).is_err());
                let pitch_hz = rng.random_range(80.0..2000.0);
                let tone = |at: usize| (TAU * pitch_hz * seconds(at)).sin();
                let plain: Vec<f32> = (0..samples).map(|at| tone(at) as f32).collect();
                assert!(is_response(&plain, RATE_HZ).is_err());
                // A string that is plucked again and again.
                let plucked: Vec<f32> = (0..samples)
                    .map(|at| (tone(at) * (-12.0 * (seconds(at) % 0.3)).exp()) as f32)
                    .collect();
                assert!(is_response(&plucked, RATE_HZ).is_err());
            }
        }
    }

    #[test]
    fn speech_is_refused_to_the_last_recording() {
        for (corpus, recordings) in [("emodb", 535), ("ravdess", 480)] {
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../../shared/data")
                .join(corpus);
            if !root.is_dir() {
                println!("skipped: {} is absent", root.display());
                continue;
            }
            let files = WalkDir::new(&root).into_iter().filter_map(Result::ok);
            let files: Vec<PathBuf> = files
                .filter(|entry| entry.file_type().is_file() && has_audio_name(entry.path()))
                .map(walkdir::DirEntry::into_path)
                .collect();
            assert_eq!(files.len(), recordings, "{corpus}");
            for path in files {
                let clip = load_channel(&path, RATE_HZ, None, Channel::Mix).unwrap();
                let heard = &clip.samples[..clip.samples.len().min(4 * RATE_HZ as usize)];
                assert!(is_response(heard, RATE_HZ).is_err(), "{}", path.display());
            }
        }
    }
}
