//! Native FLAC, decoded by symphonia.
//!
//! A part of a long file is found by bisection, so that it costs the same wherever it lies. symphonia is given the stream information and the frames only: tags, pictures and seek tables
//! are where a header can claim sizes, and none of them matters here. It panics on some damaged
//! streams, so it runs under `catch_unwind`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::units::Timestamp;
use symphonia::default::codecs::FlacDecoder;
use symphonia::default::formats::FlacReader;

use crate::decode::{Output, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::source::Stream;
use crate::{AudioFormat, AudioInfo, Remark};

/// Largest FLAC file decoded, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// Metadata blocks walked before the first frame: real files have a handful.
const MAX_BLOCKS: usize = 4096;
/// Bytes of the STREAMINFO block's content.
const STREAM_INFO_BYTES: usize = 34;
/// Frames before a part that are decoded rather than passed over: then the checksum over the whole still counts.
const DECODED_BEFORE: u64 = 1 << 16;

/// A validated FLAC header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlacHeader {
    pub info: AudioInfo,
    stream_info: [u8; STREAM_INFO_BYTES],
    audio_start: u64,
}

/// Reads the metadata blocks' headers and the stream information of a stream that starts at `begin`.
///
/// # Source
/// RFC 9639, sections 8.1 and 8.2.
pub(crate) fn read_header(source: &mut Source<'_>, begin: u64) -> Result<FlacHeader, AudioError> {
    if source.len > MAX_FILE_BYTES {
        return Err(AudioError::TooLarge {
            path: source.path.to_owned(),
            bytes: source.len,
            limit: MAX_FILE_BYTES,
        });
    }
    let mut stream_info = [0_u8; STREAM_INFO_BYTES];
    let mut position = begin + 4;
    for block in 0..MAX_BLOCKS {
        let mut head = [0_u8; 4];
        source.read_at(position, &mut head)?;
        let [kind, l0, l1, l2] = head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        if block == 0 {
            if kind & 0x7f != 0 || length as usize != STREAM_INFO_BYTES {
                return Err(source.malformed(MalformedFile::NoStreamInfo));
            }
            source.read_at(position + 4, &mut stream_info)?;
        }
        position += 4 + u64::from(length);
        if kind & 0x80 != 0 {
            let mut header = FlacHeader {
                info: parse_stream_info(&stream_info),
                stream_info,
                audio_start: position,
            };
            if header.info.frames == 0 && position < source.len {
                // A coder that wrote to a pipe could not go back to say.
                header.info.frames = contained(source.path, || count(source, &header))?;
                header.info.remark = Some(Remark::Streamed);
            }
            check_header(source.path, &header.info)?;
            return Ok(header);
        }
    }
    Err(source.malformed(MalformedFile::TooManyChunks(MAX_BLOCKS)))
}

fn parse_stream_info(bytes: &[u8; STREAM_INFO_BYTES]) -> AudioInfo {
    // 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of the number of frames.
    let packed = bytes[10..18]
        .iter()
        .fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    AudioInfo {
        rate_hz: (packed >> 44) as u32,
        channels: (packed >> 41 & 0x7) as u16 + 1,
        frames: packed & 0xf_ffff_ffff,
        format: AudioFormat::Flac {
            bits: (packed >> 36 & 0x1f) as u8 + 1,
        },
        remark: None,
    }
}

/// Hands over `frames` frames from frame `start` on, block by block.
///
/// When the stream is read from its beginning to its end, its length and checksum are held against the header.
pub(crate) fn decode(
    source: Source<'_>,
    header: &FlacHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    contained(source.path, || decode_frames(source, header, start, frames, output))
}

/// Turns a panic within `work` into an error.
pub(crate) fn contained<T>(path: &Path, work: impl FnOnce() -> Result<T, AudioError>) -> Result<T, AudioError> {
    // Nothing that `work` has touched is used after a panic.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(AudioError::Malformed {
            path: path.to_owned(),
            source: MalformedFile::DecoderPanicked,
        })
    })
}

/// Frames of all blocks.
fn count(source: &Source<'_>, header: &FlacHeader) -> Result<u64, AudioError> {
    let mut reader = open(source, header)?;
    let mut frames = 0_u64;
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) => frames = frames.saturating_add(packet.dur.get()),
            Ok(None) => return Ok(frames),
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(frames),
            Err(error) => return Err(failed(source.path, error)),
        }
    }
}

/// Opens the stream at its beginning.
fn open<'s>(source: &Source<'_>, header: &FlacHeader) -> Result<FlacReader<'s>, AudioError> {
    let path = source.path;
    let file = source.file.try_clone().map_err(|error| source.failed(error))?;
    let stream = Stream::new(head(header), file, header.audio_start, source.len, false);
    let stream = MediaSourceStream::new(Box::new(stream), Default::default());
    FlacReader::try_new(stream, FormatOptions::default()).map_err(|source| failed(path, source))
}

/// Opens the stream at a block that holds frame `start` or lies before it, where one is found. What goes wrong here shows
/// when the stream is read from its beginning.
fn open_at<'s>(source: &Source<'_>, header: &FlacHeader, start: u64) -> Option<FlacReader<'s>> {
    let file = source.file.try_clone().ok()?;
    let stream = Stream::new(head(header), file, header.audio_start, source.len, true);
    let stream = MediaSourceStream::new(Box::new(stream), Default::default());
    let mut reader = FlacReader::try_new(stream, FormatOptions::default()).ok()?;
    let to = SeekTo::Timestamp {
        ts: Timestamp::new(i64::try_from(start).ok()?),
        track_id: reader.default_track(TrackType::Audio)?.id,
    };
    let found = reader.seek(SeekMode::Accurate, to).ok()?;
    (found.actual_ts <= found.required_ts).then_some(reader)
}

/// What stands before the audio, without tags and pictures.
fn head(header: &FlacHeader) -> Vec<u8> {
    let mut head = b"fLaC\x80\x00\x00\x22".to_vec();
    head.extend_from_slice(&header.stream_info);
    head
}

fn failed(path: &Path, source: Error) -> AudioError {
    AudioError::Decode {
        path: path.to_owned(),
        format: "FLAC",
        source,
    }
}

fn decode_frames(
    source: Source<'_>,
    header: &FlacHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    let path = source.path;
    let malformed = |source| AudioError::Malformed {
        path: path.to_owned(),
        source,
    };
    let ahead = match start > DECODED_BEFORE {
        true => open_at(&source, header, start),
        false => None,
    };
    let from_start = ahead.is_none();
    let mut reader = match ahead {
        Some(reader) => reader,
        None => open(&source, header)?,
    };
    let parameters = reader
        .default_track(TrackType::Audio)
        .and_then(|track| track.codec_params.as_ref()?.audio())
        .ok_or_else(|| malformed(MalformedFile::NoStreamInfo))?;
    let mut options = AudioDecoderOptions::default();
    options.verify = from_start;
    let mut decoder = FlacDecoder::try_new(parameters, &options).map_err(|error| failed(path, error))?;

    let channels = usize::from(header.info.channels);
    let end = start + frames;
    // Where the next block has to begin; of the first after a search it is what it says itself.
    let mut position = from_start.then_some(0_u64);
    let mut block: Vec<f32> = Vec::new();
    while position.is_none_or(|position| position < end) {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                break;
            }
            Err(error) => return Err(failed(path, error)),
        };
        decoder
            .decode(&packet)
            .map_err(|error| failed(path, error))?
            .copy_to_vec_interleaved(&mut block);
        let first = match position {
            Some(position) => position,
            None => u64::try_from(packet.pts.get()).map_err(|_| malformed(MalformedFile::Gap(0)))?,
        };
        if !from_start && i64::try_from(first) != Ok(packet.pts.get()) || first > start && position.is_none() {
            return Err(malformed(MalformedFile::Gap(first / u64::from(header.info.rate_hz))));
        }
        let next = first + (block.len() / channels) as u64;
        let (from, to) = (start.clamp(first, next) - first, end.clamp(first, next) - first);
        output.take(&block[from as usize * channels..to as usize * channels], channels);
        position = Some(next);
        output.tell()?;
    }
    let position = position.unwrap_or_default();
    if position < end {
        return Err(AudioError::Truncated {
            path: path.to_owned(),
            promised: header.info.frames,
            found: position,
            unit: "frames",
        });
    }
    if from_start && end == header.info.frames && decoder.finalize().verify_ok == Some(false) {
        return Err(malformed(MalformedFile::Checksum));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_decoder_is_an_error_naming_the_file() {
        let numbers: Vec<u8> = Vec::new();
        let error = contained(Path::new("a.flac"), || Ok(numbers[0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.flac: is damaged (the decoder failed on it); copy or download it again"
        );
    }

    #[test]
    fn a_part_of_a_long_file_is_found_without_what_is_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.flac");
        let mut state = 1_u32;
        let samples = (0..700_000_u32).map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Loud and quiet by turns, so that blocks are of different sizes.
            let level = if at / 50_000 % 2 == 0 { 0.5 } else { 0.01 };
            level * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        });
        let clip = crate::Clip {
            samples: samples.collect(),
            rate_hz: 16_000,
        };
        crate::write_flac(&path, &clip).unwrap();
        let whole = crate::load(&path, 16_000, None).unwrap().samples;
        let part = |first: usize, last: usize| {
            let segment = crate::Segment {
                start_s: first as f64 / 16_000.0,
                end_s: last as f64 / 16_000.0,
            };
            crate::load(&path, 16_000, Some(segment)).map(|clip| clip.samples)
        };
        for first in [1, 65_536, 65_537, 100_001, 333_333, 500_000, 699_000, 699_990] {
            for length in [10, 5000, 20_000] {
                let last = (first + length).min(whole.len());
                assert!(part(first, last).unwrap() == whole[first..last], "{first} to {last}");
            }
        }
        // What is damaged early harms a late part no more, and the whole as before.
        let mut content = std::fs::read(&path).unwrap();
        let at = content.len() / 4;
        content[at..at + 40].fill(0xa5);
        std::fs::write(&path, &content).unwrap();
        assert!(part(600_000, 610_000).unwrap() == whole[600_000..610_000]);
        assert!(crate::load(&path, 16_000, None).is_err());
    }
}
