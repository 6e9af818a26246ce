//! The host audio path: files to samples, samples to features and augmented
//! samples, without a tensor library.
//!
//! Files come from outside and can be wrong in any way: every function that reads one answers with
//! an [`AudioError`] that names the file, and neither panics nor allocates what a header merely
//! claims.

mod acoustic_fingerprint;
mod apple;
pub mod augment;
mod channel;
mod coded;
mod decode;
mod error;
mod flac;
mod flac_write;
mod kaldi;
mod log_mel;
mod loudness;
mod mel;
mod mfcc;
mod mp4;
mod opus;
mod pcm;
mod remark;
mod resample;
mod resample_stream;
mod source;
pub mod stretch;
pub mod synthetic;
mod wav;
mod whisper;

pub use acoustic_fingerprint::{AcousticFingerprint, NoFingerprint, alike};
pub use channel::Channel;
pub use decode::{
    Checked, MAX_AMPLITUDE, MIN_DURATION_S, Segment, check_channel, check_clip, check_file, each_block, load,
    load_channel, probe,
};
pub use error::{AudioError, MalformedFile};
pub use flac_write::write_flac;
pub use kaldi::{KaldiFbank, KaldiFbankConfig, KaldiFbankError, KaldiWindow};
pub use log_mel::{LogMel, LogMelConfig, LogMelError, LogScale, PadMode};
pub use loudness::integrated_loudness;
pub use mel::{MelNorm, MelScale};
pub use mfcc::{DctNorm, Mfcc, MfccConfig, MfccError};
pub use remark::Remark;
pub use resample::{ResampleError, resample, resampled_len};
pub use resample_stream::StreamResampler;
pub use wav::{write_wav, write_wav_float};
pub use whisper::{WhisperFront, WhisperFrontConfig, WhisperFrontError};

/// Extensions of the names of files that can be read, in lower case. What a file is, is found from its content.
pub const EXTENSIONS: [&str; 13] = [
    "wav", "wave", "flac", "mp3", "ogg", "oga", "opus", "m4a", "aac", "aif", "aiff", "aifc", "caf",
];

/// Whether a file's name is one of an audio file that can be read. Archives made on a Mac hold a `._name.wav` beside each
/// file, which is no audio.
pub fn has_audio_name(path: &std::path::Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    !hidden && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

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
    /// What is odd about the header, where the file can be read all the same.
    pub remark: Option<Remark>,
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
    /// Another container.
    Coded {
        /// Its name.
        container: &'static str,
        /// What it holds.
        codec: &'static str,
    },
}

impl AudioFormat {
    /// Whether samples can be other than finite numbers from -1 to 1.
    pub(crate) fn is_float(self) -> bool {
        match self {
            Self::Wav(encoding) => matches!(encoding, WavEncoding::Float32 | WavEncoding::Float64),
            Self::Flac { .. } => false,
            Self::Coded { .. } => true,
        }
    }
}

impl std::fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wav(encoding) => write!(f, "WAV, {encoding}"),
            Self::Flac { bits } => write!(f, "FLAC, {bits}-bit"),
            Self::Coded { container, codec } => write!(f, "{container}, {codec}"),
        }
    }
}

/// How a WAV file stores one sample. Samples of fewer bits than these, such as 20 in three bytes, are at the upper end of
/// the next larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavEncoding {
    /// 8-bit unsigned integer.
    Unsigned8,
    /// 8-bit signed integer, which WAV does not have.
    Signed8,
    /// 16-bit signed integer.
    Signed16,
    /// 24-bit signed integer in three bytes.
    Signed24,
    /// 32-bit signed integer.
    Signed32,
    /// 32-bit IEEE float.
    Float32,
    /// 64-bit IEEE float.
    Float64,
    /// Eight bits by A-law.
    ALaw,
    /// Eight bits by µ-law.
    MuLaw,
    /// IMA ADPCM, four bits in blocks.
    ImaAdpcm,
    /// Microsoft ADPCM, four bits in blocks.
    MsAdpcm,
}

impl WavEncoding {
    /// Bytes that one sample takes; none where it is a part of one.
    pub const fn bytes(self) -> usize {
        match self {
            Self::ImaAdpcm | Self::MsAdpcm => 0,
            Self::Unsigned8 | Self::Signed8 | Self::ALaw | Self::MuLaw => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unsigned8 => "8-bit",
            Self::Signed8 => "8-bit signed",
            Self::Signed16 => "16-bit",
            Self::Signed24 => "24-bit",
            Self::Signed32 => "32-bit",
            Self::Float32 => "32-bit float",
            Self::Float64 => "64-bit float",
            Self::ALaw => "A-law",
            Self::MuLaw => "µ-law",
            Self::ImaAdpcm => "IMA ADPCM",
            Self::MsAdpcm => "Microsoft ADPCM",
        }
    }
}

impl std::fmt::Display for WavEncoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
