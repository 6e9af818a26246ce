//! What the samples of a file are, and what they sound like.

use crate::ContentHash;
use emorun_audio::{AcousticFingerprint, AudioError, AudioInfo, Segment, each_block, probe};
use std::path::Path;

/// Marks what is hashed, so that samples never have the hash of a file's bytes.
const SAMPLES: &[u8] = b"emorun samples 1";
/// Longest stretch that is listened to, in seconds.
const LISTENED_S: f64 = 20.0;

/// All samples of a file, in short.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sound {
    /// Hash of the samples of every channel at the file's own rate.
    pub content: ContentHash,
    /// What its channels sound like together.
    pub print: AcousticFingerprint,
}

impl Sound {
    /// Decodes a file.
    ///
    /// Container, header and coding make no difference to the hash, nor do bits that are always 0, nor a second channel
    /// that is the first one.
    ///
    /// # Errors
    /// It cannot be decoded as a whole.
    pub fn of(path: &Path) -> Result<Self, AudioError> {
        let info = probe(path)?;
        let channels = usize::from(info.channels);
        let longest = (LISTENED_S * f64::from(info.rate_hz)) as usize;
        let mut samples = Samples::new(&info);
        let mut mono: Vec<f32> = Vec::new();
        each_block(path, None, &mut |block| {
            samples.add(block);
            let missing = longest.saturating_sub(mono.len());
            let frames = block.chunks_exact(channels).take(missing);
            mono.extend(frames.map(|frame| frame.iter().sum::<f32>() / channels as f32));
        })?;
        let print = AcousticFingerprint::of(&mono, info.rate_hz).map_err(|source| AudioError::Resample {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            content: samples.finish(),
            print,
        })
    }
}

/// The samples of a file, or of a part of it, while they are hashed.
struct Samples {
    channels: usize,
    all: blake3::Hasher,
    /// The first channel's alone, while all others are like it: their mean is then each of them to the bit.
    first: Option<blake3::Hasher>,
    bytes: Vec<u8>,
    sounds: bool,
}

impl Samples {
    fn new(info: &AudioInfo) -> Self {
        let channels = usize::from(info.channels);
        let start = |channels: u16| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(SAMPLES);
            hasher.update(&info.rate_hz.to_le_bytes());
            hasher.update(&channels.to_le_bytes());
            hasher
        };
        Self {
            channels,
            all: start(info.channels),
            first: (channels > 1 && channels.is_power_of_two()).then(|| start(1)),
            bytes: Vec::new(),
            sounds: false,
        }
    }

    fn add(&mut self, block: &[f32]) {
        self.sounds |= block.iter().any(|sample| *sample != 0.0);
        write(&mut self.bytes, block.iter());
        self.all.update(&self.bytes);
        let like = |frame: &[f32]| frame.iter().all(|sample| sample == &frame[0]);
        if self.first.is_some() && !block.chunks_exact(self.channels).all(like) {
            self.first = None;
        }
        if let Some(first) = &mut self.first {
            write(&mut self.bytes, block.iter().step_by(self.channels));
            first.update(&self.bytes);
        }
    }

    fn finish(self) -> ContentHash {
        ContentHash::from_bytes(*self.first.unwrap_or(self.all).finalize().as_bytes())
    }
}

impl ContentHash {
    /// The hash of the samples of a part of a file, which is that of a file that holds these samples alone; `None` of
    /// silence, which tells no recording from another.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub(crate) fn of_part(path: &Path, segment: Segment) -> Result<Option<Self>, AudioError> {
        let mut samples = Samples::new(&probe(path)?);
        each_block(path, Some(segment), &mut |block| samples.add(block))?;
        Ok(samples.sounds.then(|| samples.finish()))
    }

    /// The hash of all samples of an audio file, whatever it is stored as; of its bytes where it cannot be decoded as a
    /// whole, but perhaps in part.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_audio(path: &Path) -> std::io::Result<Self> {
        Sound::of(path).map_or_else(|_| Self::of_file(path), |sound| Ok(sound.content))
    }
}

/// The bytes of samples; there is one zero.
fn write<'a>(bytes: &mut Vec<u8>, samples: impl Iterator<Item = &'a f32>) {
    bytes.clear();
    bytes.extend(samples.flat_map(|sample| (sample + 0.0).to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the files that libsndfile wrote for the tests of `emorun-audio`: see its `tests/golden/make_files.py`.
    fn golden(name: &str) -> ContentHash {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../audio/tests/golden");
        Sound::of(&folder.join(name)).unwrap().content
    }

    #[test]
    fn the_same_samples_have_one_hash_however_libsndfile_stores_them() {
        let one = golden("signed16.wav");
        for name in [
            "signed16.flac",
            "signed24.wav",
            "signed32.wav",
            "float32.wav",
            "extensible24.wav",
            "extensible_float.wav",
        ] {
            assert_eq!(golden(name), one, "{name}");
        }
        assert_eq!(golden("signed16_stereo.wav"), golden("signed24_stereo.flac"));
        assert_eq!(golden("unsigned8.wav"), golden("signed8.flac"));
        for other in ["signed16_stereo.wav", "unsigned8.wav", "extensible16.wav"] {
            assert_ne!(golden(other), one, "{other}");
        }
    }

    #[test]
    fn zero_has_one_sign_and_a_file_that_cannot_be_decoded_is_its_bytes() {
        let (mut plus, mut minus) = (Vec::new(), Vec::new());
        write(&mut plus, [0.0_f32, 1.0].iter());
        write(&mut minus, [-0.0_f32, 1.0].iter());
        assert_eq!(plus, minus);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "no audio").unwrap();
        assert_eq!(ContentHash::of_audio(&path).unwrap(), ContentHash::of(b"no audio"));
        assert!(ContentHash::of_audio(&folder.path().join("none")).is_err());
    }
}
