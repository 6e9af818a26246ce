//! The host audio path: files to samples, samples to features and augmented
//! samples, without a tensor library.
//!
//! Files come from outside and can be wrong in any way: every function that reads one answers with
//! an [`AudioError`] that names the file, and neither panics nor allocates what a header merely
//! claims.

pub mod augment;
mod decode;
mod error;
mod flac;
mod flac_write;
mod kaldi;
mod log_mel;
mod loudness;
mod mel;
mod mfcc;
mod resample;
pub mod stretch;
pub mod synthetic;
mod wav;
mod whisper;

pub use decode::{MAX_AMPLITUDE, MIN_DURATION_S, Segment, check_clip, check_file, load, probe};
pub use error::{AudioError, MalformedFile};
pub use flac_write::write_flac;
pub use kaldi::{KaldiFbank, KaldiFbankConfig, KaldiFbankError, KaldiWindow};
pub use log_mel::{LogMel, LogMelConfig, LogMelError, LogScale, PadMode};
pub use loudness::integrated_loudness;
pub use mel::{MelNorm, MelScale};
pub use mfcc::{DctNorm, Mfcc, MfccConfig, MfccError};
pub use resample::{ResampleError, resample, resampled_len};
pub use wav::{write_wav, write_wav_float};
pub use whisper::{WhisperFront, WhisperFrontConfig, WhisperFrontError};

/// Sampling rates this crate accepts, in hertz: from a telemetry channel to eight times studio rate.
pub const RATE_BOUNDS_HZ: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Most channels a file may have.
pub const MAX_CHANNELS: u16 = 64;

/// Longest stretch of audio held in memory at once, in seconds (four hours).
pub const MAX_DURATION_S: f64 = 4.0 * 3600.0;

/// Most frames held in memory at once: 1 GiB of mono samples, whatever the rate.
pub const MAX_FRAMES: u64 = 1 << 28;

/// Mono audio in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Amplitudes, nominally within [-1, 1].
    pub samples: Vec<f32>,
    /// Sampling rate in hertz.
    pub rate_hz: u32,
}

impl Clip {
    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate_hz)
    }
}

/// What a file's header says, as far as it agrees with the file's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioInfo {
    /// Sampling rate in hertz.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Number of frames, that is, samples of one channel.
    pub frames: u64,
    /// Container and sample encoding.
    pub format: AudioFormat,
}

impl AudioInfo {
    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate_hz)
    }
}

/// Container and sample encoding of a file, found from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// RIFF WAVE.
    Wav(WavEncoding),
    /// Native FLAC.
    Flac {
        /// Bits of one sample.
        bits: u8,
    },
}

impl std::fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wav(encoding) => write!(f, "WAV, {encoding}"),
            Self::Flac { bits } => write!(f, "FLAC, {bits}-bit"),
        }
    }
}

/// How a WAV file stores one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavEncoding {
    /// 8-bit unsigned integer.
    Unsigned8,
    /// 16-bit signed integer.
    Signed16,
    /// 24-bit signed integer in three bytes.
    Signed24,
    /// 24-bit signed integer in the low three of four bytes.
    Signed24In32,
    /// 32-bit signed integer.
    Signed32,
    /// 32-bit IEEE float.
    Float32,
}

impl WavEncoding {
    /// Bytes that one sample takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed24In32 | Self::Signed32 | Self::Float32 => 4,
        }
    }
}

impl std::fmt::Display for WavEncoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unsigned8 => "8-bit",
            Self::Signed16 => "16-bit",
            Self::Signed24 => "24-bit",
            Self::Signed24In32 => "24-bit in 32",
            Self::Signed32 => "32-bit",
            Self::Float32 => "32-bit float",
        })
    }
}
