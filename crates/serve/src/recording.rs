//! A recording, decoded: whole, or cut into windows.

use std::path::Path;

use emorun_audio::{AudioError, MIN_DURATION_S, each_block, load, probe, resample};
use emorun_recognise::{Loudness, Windows};

use crate::limits::Limits;
use crate::problem::Problem;

/// A stretch of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub start_s: f64,
    pub end_s: f64,
    pub is_silent: bool,
}

/// A recording in memory, at its own rate.
#[derive(Debug)]
pub(crate) struct Recording {
    samples: Vec<f32>,
    rate_hz: u32,
    loudness: Loudness,
}

impl Recording {
    /// Decodes a file, as training decodes one.
    ///
    /// # Errors
    /// It is no audio, damaged, too short to be analysed or too long to be taken.
    pub fn decode(path: &Path, limits: &Limits) -> Result<Self, Problem> {
        let unusable = |error: AudioError| Problem::of_audio(&error, path);
        let info = probe(path).map_err(unusable)?;
        let seconds = info.duration_s();
        if limits.is_too_long(info.frames, info.rate_hz) {
            return Err(Problem::too_large(format!(
                "the recording lasts {seconds:.0} s at {} Hz, and {} s are taken at up to 48000 Hz, fewer above; send it in parts",
                info.rate_hz, limits.seconds
            )));
        }
        if seconds < MIN_DURATION_S {
            return Err(Problem::unusable(format!(
                "the recording lasts {seconds:.3} s, less than {MIN_DURATION_S} s"
            )));
        }
        let mut loudness = Loudness::new(info.rate_hz, info.channels);
        each_block(path, None, &mut |block| loudness.hear(block)).map_err(unusable)?;
        Ok(Self {
            samples: load(path, info.rate_hz, None).map_err(unusable)?.samples,
            rate_hz: info.rate_hz,
            loudness: loudness.finished(),
        })
    }

    fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate_hz)
    }

    /// Its stretches: windows, or the whole of it. One whose root mean square is below `silence_db` dB of full scale is
    /// silent.
    pub fn stretches(&self, windows: Option<Windows>, silence_db: f64) -> Vec<Stretch> {
        let duration_s = self.duration_s();
        let places = windows.map_or_else(|| vec![(0.0, duration_s)], |windows| windows.over(duration_s));
        let places = places.into_iter().map(|(start_s, end_s)| Stretch {
            start_s,
            end_s,
            is_silent: self.loudness.db(start_s, end_s) < silence_db,
        });
        places.collect()
    }

    /// A stretch at another rate, with the bits that a segment of the file has in training.
    ///
    /// # Errors
    /// The rate cannot be changed so.
    pub fn clip(&self, stretch: Stretch, rate_hz: u32) -> Result<Vec<f32>, Problem> {
        let frame = |time_s: f64| ((time_s * f64::from(self.rate_hz)).round() as usize).min(self.samples.len());
        let samples = self.samples.get(frame(stretch.start_s)..frame(stretch.end_s));
        resample(samples.unwrap_or_default(), self.rate_hz, rate_hz)
            .map_err(|error| Problem::unusable(format!("the recording cannot be used: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emorun_audio::{Clip, Segment, write_flac, write_wav};

    /// Three seconds that rise, the last of them silent.
    fn file(folder: &Path, name: &str, rate_hz: u32) -> std::path::PathBuf {
        let samples = (0..3 * rate_hz).map(|at| {
            let time_s = at as f32 / rate_hz as f32;
            if time_s < 2.0 {
                (900.0 * time_s * time_s).sin() / 2.0
            } else {
                0.0
            }
        });
        let clip = Clip {
            samples: samples.collect(),
            rate_hz,
        };
        let path = folder.join(name);
        if name.ends_with("flac") {
            write_flac(&path, &clip).unwrap();
        } else {
            write_wav(&path, &clip).unwrap();
        }
        path
    }

    #[test]
    fn clips_are_those_of_files_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        for rate_hz in [8_000, 16_000, 22_050, 44_100, 48_000] {
            let name = if rate_hz == 48_000 { "a.flac" } else { "a.wav" };
            let path = file(folder.path(), name, rate_hz);
            let recording = Recording::decode(&path, &Limits::default()).unwrap();
            let whole = recording.stretches(None, -50.0);
            assert_eq!(whole.len(), 1);
            let expected = load(&path, 16_000, None).unwrap().samples;
            assert_eq!(recording.clip(whole[0], 16_000).unwrap(), expected, "{rate_hz}");
            let windows = Windows {
                window_s: 0.8,
                hop_s: 0.37,
            };
            for stretch in recording.stretches(Some(windows), -50.0) {
                let Stretch {
                    start_s,
                    end_s,
                    is_silent,
                } = stretch;
                let expected = load(&path, 16_000, Some(Segment { start_s, end_s })).unwrap().samples;
                assert_eq!(
                    recording.clip(stretch, 16_000).unwrap(),
                    expected,
                    "{rate_hz} {start_s}"
                );
                assert_eq!(is_silent, start_s > 2.0);
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.wav");
        let refused = |bytes: &[u8], limits: &Limits| {
            std::fs::write(&path, bytes).unwrap();
            let problem = Recording::decode(&path, limits).unwrap_err();
            assert!(!problem.message.contains("secret"), "{problem:?}");
            (problem.status.as_u16(), problem.message)
        };
        let limits = Limits::default();
        assert_eq!(refused(b"", &limits).0, 400);
        assert_eq!(refused(b"hello", &limits).0, 415);
        assert_eq!(refused(b"RIFF\0\0\0\0WAVE", &limits).0, 400);
        let whole = std::fs::read(file(folder.path(), "b.wav", 16_000)).unwrap();
        assert_eq!(refused(&whole[..1000], &limits).0, 400);
        let short = Limits { seconds: 2.0, ..limits };
        let (status, message) = refused(&whole, &short);
        assert_eq!(status, 413);
        assert!(message.contains("lasts 3 s"), "{message}");
    }
}
