//! Turning a file into a clip.

use std::path::Path;

use crate::channel::Pick;
use crate::error::AudioError;
use crate::resample::Resampler;
pub(crate) use crate::source::Source;
use crate::source::Container;
use crate::{
    AudioInfo, Channel, Clip, MAX_CHANNELS, MAX_DURATION_S, MAX_FRAMES, RATE_BOUNDS_HZ, Remark, apple, coded, flac,
    wav,
};

/// Shortest clip worth analysing, in seconds: two analysis windows of 25 ms.
pub const MIN_DURATION_S: f64 = 0.05;

/// Largest amplitude taken for audio (48 dB above full scale): what lies beyond is wrongly scaled,
/// such as float samples still in the range of 16-bit integers.
pub const MAX_AMPLITUDE: f32 = 256.0;

/// Share of the channels' power below which their mean counts as cancelled (20 dB).
const CANCELLED: f64 = 0.01;

/// Samples that are checked at once.
const CHECKED_TOGETHER: usize = 1024;

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

enum Header {
    Wav(wav::WavHeader),
    Flac(flac::FlacHeader),
    Apple(apple::AppleHeader),
    Coded(coded::CodedHeader),
}

impl Header {
    fn read(source: &mut Source<'_>) -> Result<Self, AudioError> {
        match Container::of(source)? {
            (Container::Wav(signature), begin) => wav::read_header(source, signature, begin).map(Self::Wav),
            (Container::Flac, begin) => flac::read_header(source, begin).map(Self::Flac),
            (Container::Aiff, begin) => apple::read_aiff(source, begin).map(Self::Apple),
            (Container::Caf, begin) => apple::read_caf(source, begin).map(Self::Apple),
            (container, begin) => coded::read_header(source, container, begin).map(Self::Coded),
        }
    }

    fn info(&self) -> &AudioInfo {
        match self {
            Self::Wav(header) => &header.info,
            Self::Flac(header) => &header.info,
            Self::Apple(header) => &header.info,
            Self::Coded(header) => &header.info,
        }
    }
}

/// Bounds that hold for every container.
pub(crate) fn check_header(path: &Path, info: &AudioInfo) -> Result<(), AudioError> {
    let path = || path.to_owned();
    if !(1..=MAX_CHANNELS).contains(&info.channels) {
        let channels = info.channels;
        return Err(AudioError::Channels { path: path(), channels });
    }
    if !RATE_BOUNDS_HZ.contains(&info.rate_hz) {
        let rate_hz = info.rate_hz;
        return Err(AudioError::Rate { path: path(), rate_hz });
    }
    if info.frames == 0 {
        return Err(AudioError::Empty { path: path() });
    }
    Ok(())
}

/// Reads a file's header: what it is, found from its content and not its name, and how long it lasts.
///
/// The header is held against the file's size: a WAV file that ends early is an error here already. Where a format's
/// header does not tell the length (MP3, Ogg, MPEG-4), the file is walked through without being decoded.
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
    load_channel(path, rate_hz, segment, Channel::Mix)
}

/// As [`load`], with the channel to take.
///
/// # Errors
/// As [`load`], and [`AudioError::NoChannel`].
pub fn load_channel(
    path: &Path,
    rate_hz: u32,
    segment: Option<Segment>,
    channel: Channel,
) -> Result<Clip, AudioError> {
    let range = Range::open(path, segment)?;
    let pick = channel.pick(path, range.info.channels)?;
    let own_hz = range.info.rate_hz;
    let is_float = range.info.format.is_float();
    if own_hz == rate_hz {
        // The length of these was held against the file; that of others is what their headers claim.
        let mut samples = Vec::with_capacity(match range.header {
            Header::Wav(_) | Header::Apple(_) => range.frames as usize,
            Header::Flac(_) | Header::Coded(_) => 0,
        });
        range.decode(&mut Output {
            pick,
            samples: &mut samples,
            seen: &mut |_| Ok(()),
        })?;
        if is_float {
            check_samples(path, &samples, 0)?;
        }
        return Ok(Clip { samples, rate_hz });
    }
    let resampler = Resampler::new(own_hz, rate_hz, range.frames);
    let mut resampler = resampler.map_err(|source| AudioError::Resample {
        path: path.to_owned(),
        source,
    })?;
    // Block by block: while a block is in the processor's memory.
    let mut pending = resampler.begin();
    let (mut seen, mut kept) = (0, pending.len());
    range.decode(&mut Output {
        pick,
        samples: &mut pending,
        seen: &mut |pending| {
            if is_float {
                let block = &pending[kept..];
                check_samples(path, block, seen)?;
                seen += block.len();
            }
            resampler.filter(pending);
            kept = pending.len();
            Ok(())
        },
    })?;
    let samples = resampler.finish(pending);
    Ok(Clip { samples, rate_hz })
}

/// Hands over every channel of a file, or of a segment of it, at the file's own rate: blocks of whole frames, the
/// channels of each one after another. The samples are those of [`load`] before they are averaged and resampled.
///
/// # Errors
/// As [`load`].
pub fn each_block(
    path: &Path,
    segment: Option<Segment>,
    seen: &mut dyn FnMut(&[f32]),
) -> Result<AudioInfo, AudioError> {
    let range = Range::open(path, segment)?;
    let info = range.info;
    let channels = usize::from(info.channels);
    let mut first = 0;
    range.decode(&mut Output {
        pick: Pick::All,
        samples: &mut Vec::new(),
        seen: &mut |block| {
            // The index of a sample is that of its frame.
            check_samples(path, block, 0).map_err(|error| error.at_frame(first, channels))?;
            first += block.len() / channels;
            seen(block);
            block.clear();
            Ok(())
        },
    })?;
    Ok(info)
}

/// What decoding a file showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    /// What is odd about its samples.
    pub remark: Option<Remark>,
    /// Largest magnitude of a sample of the channel that is heard.
    pub peak: f32,
}

/// Decodes a file, or a segment of it, without keeping it: finds what [`load`] at the file's own rate and
/// [`check_clip`] find, in memory that does not grow with the file.
///
/// # Errors
/// As [`load`] and [`check_clip`].
pub fn check_file(path: &Path, segment: Option<Segment>, minimum_s: f64) -> Result<(), AudioError> {
    check_channel(path, segment, Channel::Mix, minimum_s).map(drop)
}

/// As [`check_file`], with the channel to take.
///
/// # Errors
/// As [`check_file`], and [`AudioError::NoChannel`].
pub fn check_channel(
    path: &Path,
    segment: Option<Segment>,
    channel: Channel,
    minimum_s: f64,
) -> Result<Checked, AudioError> {
    let range = Range::open(path, segment)?;
    let pick = channel.pick(path, range.info.channels)?;
    let (frames, seconds, channels) = (range.frames, range.seconds(), usize::from(range.info.channels));
    let (mut seen, mut peak) = (0, 0_f32);
    let (mut heard, mut there) = (0_f64, 0_f64);
    let mut picked = Vec::new();
    range.decode(&mut Output {
        pick: Pick::All,
        samples: &mut Vec::new(),
        seen: &mut |block| {
            picked.clear();
            pick.append(&mut picked, block, channels, |sample| sample);
            check_samples(path, &picked, seen)?;
            seen += picked.len();
            peak = picked.iter().fold(peak, |most, x| most.max(x.abs()));
            heard += energy(&picked);
            there += energy(block) / channels as f64;
            block.clear();
            Ok(())
        },
    })?;
    check_length(path, frames, seconds, minimum_s)?;
    let cancels = pick == Pick::Mix && heard < there * CANCELLED;
    Ok(Checked {
        remark: cancels.then_some(Remark::Cancels),
        peak,
    })
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|x| f64::from(x * x)).sum()
}

/// A stretch of an open file, short enough to be held in memory.
struct Range<'a> {
    source: Source<'a>,
    header: Header,
    info: AudioInfo,
    start: u64,
    frames: u64,
}

impl<'a> Range<'a> {
    fn open(path: &'a Path, segment: Option<Segment>) -> Result<Self, AudioError> {
        let mut source = Source::open(path)?;
        let header = Header::read(&mut source)?;
        let info = *header.info();
        let (start, frames) = match segment {
            None => (0, info.frames),
            Some(segment) => frame_range(path, &info, segment)?,
        };
        let range = Self {
            source,
            header,
            info,
            start,
            frames,
        };
        if frames > MAX_FRAMES || range.seconds() > MAX_DURATION_S {
            return Err(AudioError::TooLong {
                path: path.to_owned(),
                seconds: range.seconds(),
                frames,
            });
        }
        Ok(range)
    }

    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.info.rate_hz)
    }

    fn decode(mut self, output: &mut Output<'_>) -> Result<(), AudioError> {
        match &self.header {
            Header::Wav(header) => wav::decode(&mut self.source, header, self.start, self.frames, output),
            Header::Flac(header) => flac::decode(self.source, header, self.start, self.frames, output),
            Header::Apple(header) => apple::decode(&mut self.source, header, self.start, self.frames, output),
            Header::Coded(header) => coded::decode(self.source, header, self.start, self.frames, output),
        }
    }
}

/// Where decoded samples go.
pub(crate) struct Output<'a> {
    /// What is taken of each frame.
    pub pick: Pick,
    /// They are appended to these.
    pub samples: &'a mut Vec<f32>,
    /// Sees the samples after every block, and may empty them.
    pub seen: &'a mut dyn FnMut(&mut Vec<f32>) -> Result<(), AudioError>,
}

impl Output<'_> {
    /// Takes what is wanted of decoded frames.
    pub fn take(&mut self, frames: &[f32], channels: usize) {
        self.pick.append(self.samples, frames, channels, |sample| sample);
    }

    /// Shows the samples that have come.
    pub fn tell(&mut self) -> Result<(), AudioError> {
        (self.seen)(self.samples)
    }
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

/// Refuses samples that are NaN, infinite or absurdly large; `first` is the index of the first of them.
pub(crate) fn check_samples(path: &Path, samples: &[f32], first: usize) -> Result<(), AudioError> {
    // Without a way out early a chunk is looked at as a whole.
    let strange = |x: &f32| x.is_nan() | (x.abs() > MAX_AMPLITUDE);
    let chunk = samples
        .chunks(CHECKED_TOGETHER)
        .position(|chunk| chunk.iter().fold(false, |any, x| any | strange(x)));
    let Some(index) = chunk.and_then(|chunk| {
        let start = chunk * CHECKED_TOGETHER;
        samples[start..].iter().position(strange).map(|index| start + index)
    }) else {
        return Ok(());
    };
    let (path, value, index) = (path.to_owned(), samples[index], first + index);
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
    check_length(path, clip.samples.len() as u64, clip.duration_s(), minimum_s)?;
    check_samples(path, &clip.samples, 0)
}

fn check_length(path: &Path, frames: u64, seconds: f64, minimum_s: f64) -> Result<(), AudioError> {
    if frames == 0 {
        return Err(AudioError::Empty { path: path.to_owned() });
    }
    if seconds < minimum_s {
        return Err(AudioError::TooShort {
            path: path.to_owned(),
            seconds,
            minimum_s,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
