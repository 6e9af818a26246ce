//! Opening a file by its content and turning it into a clip.

use std::fs::File;
use std::path::Path;

use crate::error::{AudioError, MalformedFile};
use crate::resample::{ResampleError, resample};
use crate::{AudioInfo, Clip, MAX_CHANNELS, MAX_DURATION_S, MAX_FRAMES, RATE_BOUNDS_HZ, flac, wav};

/// Shortest clip worth analysing, in seconds: two analysis windows of 25 ms.
pub const MIN_DURATION_S: f64 = 0.05;

/// Largest amplitude taken for audio (48 dB above full scale): what lies beyond is wrongly scaled,
/// such as float samples still in the range of 16-bit integers.
pub const MAX_AMPLITUDE: f32 = 256.0;

/// How far beyond a file's end a segment may reach, in seconds: manifests round their times.
const SEGMENT_SLACK_S: f64 = 0.01;

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// First moment, in seconds from the file's start.
    pub start_s: f64,
    /// Moment it ends before, in seconds from the file's start.
    pub end_s: f64,
}

/// An open regular file.
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    pub file: File,
    pub len: u64,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, AudioError> {
        let failed = |source| AudioError::Open {
            path: path.to_owned(),
            source,
        };
        // Opening a pipe would wait for a writer, so the kind is asked for first.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(AudioError::NotAFile {
                path: path.to_owned(),
            });
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Self { path, file, len })
    }

    pub(crate) fn failed(&self, source: std::io::Error) -> AudioError {
        AudioError::Read {
            path: self.path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(&self, source: MalformedFile) -> AudioError {
        AudioError::Malformed {
            path: self.path.to_owned(),
            source,
        }
    }
}

enum Header {
    Wav(wav::WavHeader),
    Flac(flac::FlacHeader),
}

impl Header {
    fn read(source: &mut Source<'_>) -> Result<Self, AudioError> {
        if source.len == 0 {
            return Err(AudioError::Empty {
                path: source.path.to_owned(),
            });
        }
        let mut start = vec![0; source.len.min(12) as usize];
        source.read_at(0, &mut start)?;
        match start.as_slice() {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => {
                wav::read_header(source).map(Self::Wav)
            }
            [b'f', b'L', b'a', b'C', ..] => flac::read_header(source).map(Self::Flac),
            _ => Err(AudioError::NotAudio {
                path: source.path.to_owned(),
                start,
            }),
        }
    }

    fn info(&self) -> &AudioInfo {
        match self {
            Self::Wav(header) => &header.info,
            Self::Flac(header) => &header.info,
        }
    }
}

/// Bounds that hold for every container.
pub(crate) fn check_header(path: &Path, info: &AudioInfo) -> Result<(), AudioError> {
    let path = || path.to_owned();
    if !(1..=MAX_CHANNELS).contains(&info.channels) {
        let channels = info.channels;
        return Err(AudioError::Channels {
            path: path(),
            channels,
        });
    }
    if !RATE_BOUNDS_HZ.contains(&info.rate_hz) {
        let rate_hz = info.rate_hz;
        return Err(AudioError::Rate {
            path: path(),
            rate_hz,
        });
    }
    if info.frames == 0 {
        return Err(AudioError::Empty { path: path() });
    }
    Ok(())
}

/// Reads a file's header: what it is, found from its content, and how long it lasts.
///
/// The header is held against the file's size: a WAV file that ends early is an error here already.
///
/// # Errors
/// Any [`AudioError`] about opening, the signature, the header or its bounds.
pub fn probe(path: &Path) -> Result<AudioInfo, AudioError> {
    Ok(*Header::read(&mut Source::open(path)?)?.info())
}

/// Decodes a file, or a segment of it, averages its channels and resamples it to `rate_hz`.
///
/// Integer samples are divided by the magnitude of their most negative value. A segment may reach
/// 10 ms beyond the end of the file; its borders are rounded to the nearest frame of the file.
///
/// # Errors
/// Any [`AudioError`]: the file cannot be read, is not audio, is truncated, damaged or empty, holds
/// samples that are not finite or wrongly scaled, or the request is out of bounds. A clip that is
/// merely short passes; [`check_clip`] refuses it.
pub fn load(path: &Path, rate_hz: u32, segment: Option<Segment>) -> Result<Clip, AudioError> {
    let mut source = Source::open(path)?;
    let header = Header::read(&mut source)?;
    let info = *header.info();
    let (start, frames) = match segment {
        None => (0, info.frames),
        Some(segment) => frame_range(path, &info, segment)?,
    };
    let seconds = frames as f64 / f64::from(info.rate_hz);
    if frames > MAX_FRAMES || seconds > MAX_DURATION_S {
        return Err(AudioError::TooLong {
            path: path.to_owned(),
            seconds,
            frames,
        });
    }
    let decoded = match &header {
        Header::Wav(header) => wav::decode_mono(&mut source, header, start, frames)?,
        Header::Flac(header) => flac::decode_mono(source, header, start, frames)?,
    };
    check_samples(path, &decoded)?;
    let samples = if info.rate_hz == rate_hz {
        decoded
    } else {
        resample(&decoded, info.rate_hz, rate_hz).map_err(|source: ResampleError| {
            AudioError::Resample {
                path: path.to_owned(),
                source,
            }
        })?
    };
    Ok(Clip { samples, rate_hz })
}

/// First frame and number of frames of a segment.
fn frame_range(path: &Path, info: &AudioInfo, segment: Segment) -> Result<(u64, u64), AudioError> {
    let Segment { start_s, end_s } = segment;
    let duration_s = info.duration_s();
    // Written so that NaN fails.
    let ordered = start_s >= 0.0 && end_s > start_s && end_s <= duration_s + SEGMENT_SLACK_S;
    let frame = |time_s: f64| ((time_s * f64::from(info.rate_hz)).round() as u64).min(info.frames);
    let (start, end) = (frame(start_s), frame(end_s));
    if !ordered || end <= start {
        return Err(AudioError::SegmentOutside {
            path: path.to_owned(),
            start_s,
            end_s,
            duration_s,
        });
    }
    Ok((start, end - start))
}

/// Refuses samples that are NaN, infinite or absurdly large.
pub(crate) fn check_samples(path: &Path, samples: &[f32]) -> Result<(), AudioError> {
    // A range holds no NaN.
    let sane = -MAX_AMPLITUDE..=MAX_AMPLITUDE;
    let Some(index) = samples.iter().position(|x| !sane.contains(x)) else {
        return Ok(());
    };
    let (path, value) = (path.to_owned(), samples[index]);
    Err(if value.is_finite() {
        AudioError::Amplitude { path, index, value }
    } else {
        AudioError::NonFinite { path, index, value }
    })
}

/// Checks that a clip can be analysed: finite samples, sane amplitudes, at least `minimum_s` long
/// ([`MIN_DURATION_S`] is the usual bound). `path` names the clip's file in the error.
///
/// # Errors
/// [`AudioError::Empty`], [`AudioError::TooShort`], [`AudioError::NonFinite`] or
/// [`AudioError::Amplitude`].
pub fn check_clip(path: &Path, clip: &Clip, minimum_s: f64) -> Result<(), AudioError> {
    if clip.samples.is_empty() {
        return Err(AudioError::Empty {
            path: path.to_owned(),
        });
    }
    let seconds = clip.duration_s();
    if seconds < minimum_s {
        return Err(AudioError::TooShort {
            path: path.to_owned(),
            seconds,
            minimum_s,
        });
    }
    check_samples(path, &clip.samples)
}
