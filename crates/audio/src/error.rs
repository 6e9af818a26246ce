//! What can be wrong with an audio file.

use std::path::PathBuf;

use crate::decode::MAX_AMPLITUDE;
use crate::resample::ResampleError;
use crate::{Channel, MAX_CHANNELS, MAX_DURATION_S, MAX_FRAMES, RATE_BOUNDS_HZ};

/// Why an audio file cannot be used. Every variant names the file and the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file cannot be opened.
    #[error("{}: cannot be opened ({source}); check the path and its permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("{}: is not a regular file; give the path of an audio file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Reading failed after the file had been opened.
    #[error("{}: reading failed ({source}); check the disk or copy the file again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Writing failed.
    #[error("{}: cannot be written ({source}); check the folder and the free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        source: hound::Error,
    },
    /// The content is no audio that is read, whatever the extension says.
    #[error(
        "{}: {what} (it starts with \"{}\"); convert it with `ffmpeg -i FILE FILE.flac`, or remove it",
        path.display(), start.escape_ascii()
    )]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// What it is, where that is known.
        what: &'static str,
        /// Its first bytes.
        start: Vec<u8>,
    },
    /// The file has no samples at all.
    #[error("{}: holds no samples; remove it or record it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before what its header promises.
    #[error(
        "{}: is truncated ({found} of {promised} {unit}); copy or download it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How much the header promises.
        promised: u64,
        /// How much there is.
        found: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// The file's structure is damaged.
    #[error("{}: is damaged ({source}); copy or download it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MalformedFile,
    },
    /// The WAV file's samples are coded in a way that is not read.
    #[error(
        "{}: is WAV that holds {name} (format {tag:#06x}); convert it with `ffmpeg -i FILE FILE.flac`",
        path.display()
    )]
    WavCodec {
        /// The file.
        path: PathBuf,
        /// The format's number.
        tag: u16,
        /// What it stands for.
        name: &'static str,
    },
    /// The WAV file stores samples in a way that is not read.
    #[error(
        "{}: stores {bits}-bit samples in {bytes} bytes, which is not read; convert it to 16-bit PCM WAV or FLAC",
        path.display()
    )]
    WavEncoding {
        /// The file.
        path: PathBuf,
        /// Bits of a sample.
        bits: u16,
        /// Bytes a sample takes.
        bytes: u16,
    },
    /// The audio cannot be decoded.
    #[error("{}: cannot be decoded as {format} ({source}); copy or encode it again", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What it is taken for.
        format: &'static str,
        /// What the decoder said.
        source: symphonia::core::errors::Error,
    },
    /// The container holds audio that is not read, or none.
    #[error("{}: is {container} that holds {what}; convert it with `ffmpeg -i FILE FILE.flac`", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// The container's name.
        container: &'static str,
        /// What it holds.
        what: &'static str,
    },
    /// The channel that is asked for is not there.
    #[error(
        "{}: has {channels} channel(s), so that `channel: {channel}` names none; numbers start at 0",
        path.display()
    )]
    NoChannel {
        /// The file.
        path: PathBuf,
        /// The channel.
        channel: Channel,
        /// Number of channels.
        channels: u16,
    },
    /// The coded file is larger than the decoder is trusted with.
    #[error("{}: is {bytes} bytes long, above the {limit} read of coded audio; split it", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// A number of channels out of bounds.
    #[error("{}: has {channels} channels, not 1 to {MAX_CHANNELS}; mix it down", path.display())]
    Channels {
        /// The file.
        path: PathBuf,
        /// Its number of channels.
        channels: u16,
    },
    /// A sampling rate out of bounds.
    #[error(
        "{}: has a rate of {rate_hz} Hz, not {} to {} Hz; resample it or repair its header",
        path.display(), RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end()
    )]
    Rate {
        /// The file.
        path: PathBuf,
        /// Its rate in hertz.
        rate_hz: u32,
    },
    /// More audio than is held in memory at once.
    #[error(
        "{}: {seconds:.0} s ({frames} frames) are asked for, above {MAX_DURATION_S} s or {MAX_FRAMES} frames; name segments of it or split it",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Length asked for, in seconds.
        seconds: f64,
        /// Length asked for, in frames.
        frames: u64,
    },
    /// Less audio than is worth analysing.
    #[error("{}: lasts {seconds:.3} s, less than {minimum_s} s; remove it or record it again", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length in seconds.
        seconds: f64,
        /// The least length in seconds.
        minimum_s: f64,
    },
    /// A sample is NaN or infinite.
    #[error("{}: sample {index} is {value}; export the file again", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Index of the first such sample, counted from the start of what was read.
        index: usize,
        /// The sample.
        value: f32,
    },
    /// Amplitudes so far above full scale that the scaling must be wrong.
    #[error(
        "{}: sample {index} is {value}, beyond ±{MAX_AMPLITUDE} where full scale is ±1; divide float samples by their integer range",
        path.display()
    )]
    Amplitude {
        /// The file.
        path: PathBuf,
        /// Index of the first such sample, counted from the start of what was read.
        index: usize,
        /// The sample.
        value: f32,
    },
    /// A segment that is not a stretch of the file.
    #[error(
        "{}: the segment {start_s} to {end_s} s is not within its {duration_s:.3} s; correct the segment",
        path.display()
    )]
    SegmentOutside {
        /// The file.
        path: PathBuf,
        /// Start of the segment in seconds.
        start_s: f64,
        /// End of the segment in seconds.
        end_s: f64,
        /// Length of the file in seconds.
        duration_s: f64,
    },
    /// The rate cannot be changed as asked.
    #[error("{}: {source}", path.display())]
    Resample {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ResampleError,
    },
}

impl AudioError {
    /// The same error with the index of a sample counted in frames from `first` on.
    pub(crate) fn at_frame(mut self, first: usize, channels: usize) -> Self {
        if let Self::NonFinite { index, .. } | Self::Amplitude { index, .. } = &mut self {
            *index = first + *index / channels;
        }
        self
    }
}

/// In which way the structure of a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedFile {
    /// No format chunk before the data chunk, or an oversized one.
    #[error("no valid fmt chunk before the data chunk")]
    NoFormatChunk,
    /// No data chunk.
    #[error("no data chunk")]
    NoDataChunk,
    /// More chunks or metadata blocks than any real file has.
    #[error("more than {0} chunks before the audio")]
    TooManyChunks(usize),
    /// Blocks of ADPCM that no coder writes.
    #[error("its blocks of samples are no valid ADPCM")]
    Blocks,
    /// Tags and nothing behind them.
    #[error("it holds tags and no audio")]
    OnlyTags,
    /// Audio that is missing in the middle.
    #[error("a part of the audio is missing or damaged about {0} s from its start")]
    Gap(u64),
    /// A size in the header beyond the file.
    #[error("a size in its header is larger than the file")]
    Oversized,
    /// Rate or channels that change within the file.
    #[error("its rate or its number of channels changes within it")]
    Changes,
    /// An end before the one that its structure tells.
    #[error("it ends too early")]
    Ends,
    /// The decoder gives another number of frames than the header told.
    #[error("it decodes to another length than it says")]
    OtherLength,
    /// FLAC without its stream information first.
    #[error("no valid STREAMINFO block at the start")]
    NoStreamInfo,
    /// FLAC whose samples do not match the checksum in its header.
    #[error("the samples do not match the MD5 checksum in the header")]
    Checksum,
    /// The decoder gave up with a panic, which was contained.
    #[error("the decoder failed on it")]
    DecoderPanicked,
}
