//! Opening a file by its content and turning it into a clip.

use std::fs::File;
use std::path::Path;

use crate::error::{AudioError, MalformedFile};
use crate::resample::Resampler;
use crate::{
    AudioFormat, AudioInfo, Clip, MAX_CHANNELS, MAX_DURATION_S, MAX_FRAMES, RATE_BOUNDS_HZ, WavEncoding, flac, wav,
};

/// Shortest clip worth analysing, in seconds: two analysis windows of 25 ms.
pub const MIN_DURATION_S: f64 = 0.05;

/// Largest amplitude taken for audio (48 dB above full scale): what lies beyond is wrongly scaled,
/// such as float samples still in the range of 16-bit integers.
pub const MAX_AMPLITUDE: f32 = 256.0;

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
            return Err(AudioError::NotAFile { path: path.to_owned() });
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
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => wav::read_header(source).map(Self::Wav),
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
    let range = Range::open(path, segment)?;
    let own_hz = range.info.rate_hz;
    // Integers are finite and at most 1.
    let is_float = range.info.format == AudioFormat::Wav(WavEncoding::Float32);
    if own_hz == rate_hz {
        // A WAV file's length was held against the file; a FLAC file's is what its header claims.
        let mut samples = Vec::with_capacity(match range.header {
            Header::Wav(_) => range.frames as usize,
            Header::Flac(_) => 0,
        });
        range.decode(&mut samples, &mut |_| Ok(()))?;
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
    range.decode(&mut pending, &mut |pending| {
        if is_float {
            let block = &pending[kept..];
            check_samples(path, block, seen)?;
            seen += block.len();
        }
        resampler.filter(pending);
        kept = pending.len();
        Ok(())
    })?;
    let samples = resampler.finish(pending);
    Ok(Clip { samples, rate_hz })
}

/// Decodes a file, or a segment of it, without keeping it: finds what [`load`] at the file's own rate and
/// [`check_clip`] find, in memory that does not grow with the file.
///
/// # Errors
/// As [`load`] and [`check_clip`].
pub fn check_file(path: &Path, segment: Option<Segment>, minimum_s: f64) -> Result<(), AudioError> {
    let range = Range::open(path, segment)?;
    let (frames, seconds) = (range.frames, range.seconds());
    let mut seen = 0;
    range.decode(&mut Vec::new(), &mut |block| {
        check_samples(path, block, seen)?;
        seen += block.len();
        block.clear();
        Ok(())
    })?;
    check_length(path, frames, seconds, minimum_s)
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

    /// Appends the samples to `samples`, which `seen` sees, and may empty, after every block.
    fn decode(mut self, samples: &mut Vec<f32>, seen: Seen<'_>) -> Result<(), AudioError> {
        match &self.header {
            Header::Wav(header) => wav::decode_mono(&mut self.source, header, self.start, self.frames, samples, seen),
            Header::Flac(header) => flac::decode_mono(self.source, header, self.start, self.frames, samples, seen),
        }
    }
}

/// What sees the samples after every block.
pub(crate) type Seen<'a> = &'a mut dyn FnMut(&mut Vec<f32>) -> Result<(), AudioError>;

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
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{AudioFormat, WavEncoding, write_wav};

    /// A WAV file of these chunks.
    fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut body = b"WAVE".to_vec();
        for (name, content) in chunks {
            body.extend_from_slice(*name);
            body.extend_from_slice(&(content.len() as u32).to_le_bytes());
            body.extend_from_slice(content);
            if content.len() % 2 == 1 {
                body.push(0);
            }
        }
        let mut file = b"RIFF".to_vec();
        file.extend_from_slice(&(body.len() as u32).to_le_bytes());
        file.extend_from_slice(&body);
        file
    }

    /// A format chunk's content.
    fn format(tag: u16, channels: u16, rate_hz: u32, bits: u16, bytes: u16) -> Vec<u8> {
        let align = channels * bytes;
        let mut chunk = Vec::new();
        chunk.extend_from_slice(&tag.to_le_bytes());
        chunk.extend_from_slice(&channels.to_le_bytes());
        chunk.extend_from_slice(&rate_hz.to_le_bytes());
        chunk.extend_from_slice(&(rate_hz.wrapping_mul(u32::from(align))).to_le_bytes());
        chunk.extend_from_slice(&align.to_le_bytes());
        chunk.extend_from_slice(&bits.to_le_bytes());
        chunk
    }

    fn pcm16(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn wav16(samples: &[i16]) -> Vec<u8> {
        riff(&[(b"fmt ", &format(1, 1, 16_000, 16, 2)), (b"data", &pcm16(samples))])
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    #[test]
    fn refuses_each_kind_of_bad_file_by_name() {
        let folder = Folder::new();
        let good = wav16(&[100; 2000]);
        let float = |samples: &[f32]| {
            let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
            riff(&[(b"fmt ", &format(3, 1, 16_000, 32, 4)), (b"data", &data)])
        };
        let with_format = |content: Vec<u8>| riff(&[(b"fmt ", &content), (b"data", &[0; 768])]);
        let flac = include_bytes!("../tests/golden/signed16.flac");
        let mut damaged_flac = flac.to_vec();
        damaged_flac[600] ^= 0x10;
        let mut unknown_length_flac = flac.to_vec();
        unknown_length_flac[21] &= 0xf0;
        unknown_length_flac[22..26].fill(0);
        let mut wrong_sum_flac = flac.to_vec();
        wrong_sum_flac[26] ^= 1;
        let many_chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"LIST", b""); 5000];
        let cases: [(&str, Vec<u8>, &str); 20] = [
            (
                "text",
                b"this is not audio".to_vec(),
                "is neither WAV nor FLAC (it starts with \"this is not \")",
            ),
            ("no bytes", Vec::new(), "holds no samples"),
            ("no samples", wav16(&[]), "holds no samples"),
            (
                "cut",
                good[..3000].to_vec(),
                "is truncated (2956 of 4000 bytes of samples)",
            ),
            (
                "cut in its header",
                good[..30].to_vec(),
                "is truncated (30 of 36 bytes)",
            ),
            ("without data", good[..36].to_vec(), "no data chunk"),
            ("without format", riff(&[(b"data", &[0; 100])]), "no valid fmt chunk"),
            (
                "half a frame",
                riff(&[(b"fmt ", &format(1, 2, 16_000, 16, 2)), (b"data", &[0; 102])]),
                "whole frames",
            ),
            ("endless chunks", riff(&many_chunks), "more than 4096 chunks"),
            ("a-law", with_format(format(6, 1, 8000, 8, 1)), "unreadable WAV format"),
            (
                "no channels",
                with_format(format(1, 0, 16_000, 16, 2)),
                "unreadable WAV format",
            ),
            (
                "many channels",
                with_format(format(1, 96, 16_000, 16, 2)),
                "has 96 channels",
            ),
            ("slow", with_format(format(1, 1, 100, 16, 2)), "has a rate of 100 Hz"),
            (
                "wide",
                with_format(format(1, 1, 16_000, 16, 4)),
                "stores 16-bit samples in 4 bytes",
            ),
            ("not a number", float(&[0.0, f32::NAN]), "sample 1 is NaN"),
            ("infinite", float(&[f32::NEG_INFINITY]), "sample 0 is -inf"),
            (
                "integers as floats",
                float(&[0.0, 0.5, 12_000.0]),
                "sample 2 is 12000, beyond ±256",
            ),
            ("cut.flac", flac[..500].to_vec(), "is truncated (0 of 400 frames)"),
            ("damaged.flac", damaged_flac, "is truncated (0 of 400 frames)"),
            (
                "unknown length.flac",
                unknown_length_flac,
                "does not say how many samples",
            ),
        ];
        for (name, content, expected) in cases {
            let path = folder.file(name, &content);
            let message = load(&path, 16_000, None).unwrap_err().to_string();
            assert!(message.starts_with(&path.display().to_string()), "{name}: {message}");
            assert!(message.contains(expected), "{name}: {message}");
        }
        let path = folder.file("wrong sum.flac", &wrong_sum_flac);
        let message = load(&path, 16_000, None).unwrap_err().to_string();
        assert!(message.contains("MD5"), "{message}");
    }

    #[test]
    fn refuses_what_is_not_a_file() {
        let folder = Folder::new();
        let error = probe(folder.0.path()).unwrap_err();
        assert!(matches!(error, AudioError::NotAFile { .. }), "{error}");
        let error = probe(&folder.0.path().join("missing.wav")).unwrap_err();
        assert!(matches!(error, AudioError::Open { .. }), "{error}");
    }

    #[test]
    fn a_header_that_promises_more_than_the_file_holds_fails_in_the_probe() {
        let folder = Folder::new();
        let mut content = wav16(&[1; 100]);
        content[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = probe(&folder.file("lying.wav", &content)).unwrap_err();
        assert!(
            matches!(
                error,
                AudioError::Truncated {
                    promised: 4_294_967_295,
                    found: 200,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_huge_file_is_probed_and_cut_but_not_loaded_whole() {
        let folder = Folder::new();
        let mut content = riff(&[(b"fmt ", &format(1, 1, 16_000, 8, 1)), (b"data", &[])]);
        let bytes = 300_000_000_u32;
        content[40..44].copy_from_slice(&bytes.to_le_bytes());
        let path = folder.file("huge.wav", &content);
        // A sparse file: the length is real, the disk space is not.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(44 + u64::from(bytes)).unwrap();
        assert_eq!(probe(&path).unwrap().frames, u64::from(bytes));
        let error = load(&path, 16_000, None).unwrap_err();
        assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
        let segment = Segment {
            start_s: 18_000.0,
            end_s: 18_000.5,
        };
        let clip = load(&path, 16_000, Some(segment)).unwrap();
        assert_eq!(clip.samples, vec![-1.0; 8000]);
    }

    #[test]
    fn chunks_of_odd_length_and_what_follows_the_data_are_skipped() {
        let folder = Folder::new();
        let content = riff(&[
            (b"LIST", b"odd"),
            (b"fmt ", &format(1, 1, 22_050, 16, 2)),
            (b"junk", b"x"),
            (b"data", &pcm16(&[16_384, -16_384])),
            (b"LIST", b"after"),
        ]);
        let clip = load(&folder.file("chunks.wav", &content), 22_050, None).unwrap();
        assert_eq!(clip.samples, [0.5, -0.5]);
    }

    #[test]
    fn reads_24_bits_in_four_bytes_from_the_low_ones() {
        let folder = Folder::new();
        let data: Vec<u8> = [0x0040_0000_u32, 0xffc0_0000]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let content = riff(&[(b"fmt ", &format(1, 1, 48_000, 24, 4)), (b"data", &data)]);
        let path = folder.file("wide.wav", &content);
        let info = probe(&path).unwrap();
        assert_eq!(info.format, AudioFormat::Wav(WavEncoding::Signed24In32));
        assert_eq!(load(&path, 48_000, None).unwrap().samples, [0.5, -0.5]);
    }

    #[test]
    fn segments_outside_the_file_are_refused() {
        let folder = Folder::new();
        let path = folder.file("second.wav", &wav16(&[1; 16_000]));
        let load = |start_s, end_s| load(&path, 16_000, Some(Segment { start_s, end_s }));
        for (start_s, end_s) in [
            (-0.1, 0.5),
            (0.5, 0.5),
            (0.6, 0.5),
            (0.5, 1.1),
            (1.0, 1.005),
            (f64::NAN, 0.5),
            (0.0, f64::INFINITY),
        ] {
            let error = load(start_s, end_s).unwrap_err();
            assert!(
                matches!(error, AudioError::SegmentOutside { .. }),
                "{start_s} to {end_s}: {error}"
            );
        }
        // Rounded a little beyond the end.
        assert_eq!(load(0.5, 1.009).unwrap().samples.len(), 8000);
    }

    #[test]
    fn loading_resamples_to_the_rate_asked_for() {
        let folder = Folder::new();
        let path = folder.file("second.wav", &wav16(&[8192; 16_000]));
        let clip = load(&path, 8000, None).unwrap();
        assert_eq!((clip.samples.len(), clip.rate_hz), (8000, 8000));
        assert!((clip.samples[4000] - 0.25).abs() < 1e-4);
        let error = load(&path, 10, None).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains("10 Hz is not a sampling rate"), "{error}");
    }

    #[test]
    fn a_written_clip_reads_back_to_16_bits() {
        let folder = Folder::new();
        let path = folder.0.path().join("clip.wav");
        let clip = Clip {
            samples: vec![0.0, 0.25, -1.0, 0.123_456, 1.7, -3.0],
            rate_hz: 44_100,
        };
        write_wav(&path, &clip).unwrap();
        let read = load(&path, 44_100, None).unwrap();
        for (read, wrote) in read.samples.iter().zip(&clip.samples) {
            assert!((read - wrote.clamp(-1.0, 1.0)).abs() <= 1.0 / 32_768.0);
        }
        let missing = folder.0.path().join("missing/clip.wav");
        let error = write_wav(&missing, &clip).unwrap_err();
        assert!(matches!(error, AudioError::Write { .. }), "{error}");
    }

    #[test]
    fn check_clip_refuses_what_cannot_be_analysed() {
        let check = |samples: Vec<f32>| {
            let clip = Clip {
                samples,
                rate_hz: 16_000,
            };
            check_clip(Path::new("a.wav"), &clip, MIN_DURATION_S)
        };
        assert!(check(vec![0.0; 800]).is_ok());
        let error = check(vec![0.0; 799]).unwrap_err();
        assert!(matches!(error, AudioError::TooShort { .. }), "{error}");
        let error = check(vec![]).unwrap_err();
        assert!(matches!(error, AudioError::Empty { .. }), "{error}");
        let mut samples = vec![0.0; 800];
        samples[7] = f32::INFINITY;
        let error = check(samples).unwrap_err();
        assert!(matches!(error, AudioError::NonFinite { index: 7, .. }), "{error}");
    }
}
