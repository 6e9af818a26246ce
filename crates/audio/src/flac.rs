//! Native FLAC, decoded by symphonia.
//!
//! symphonia is given the stream information and the frames only: tags, pictures and seek tables
//! are where a header can claim sizes, and none of them matters here. It panics on some damaged
//! streams, so it runs under `catch_unwind`.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::default::codecs::FlacDecoder;
use symphonia::default::formats::FlacReader;

use crate::decode::{Seen, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::{AudioFormat, AudioInfo};

/// Largest FLAC file decoded, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// Metadata blocks walked before the first frame: real files have a handful.
const MAX_BLOCKS: usize = 4096;
/// Bytes of the STREAMINFO block's content.
const STREAM_INFO_BYTES: usize = 34;

/// A validated FLAC header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlacHeader {
    pub info: AudioInfo,
    stream_info: [u8; STREAM_INFO_BYTES],
    audio_start: u64,
}

/// Reads the metadata blocks' headers and the stream information.
///
/// # Source
/// RFC 9639, sections 8.1 and 8.2.
pub(crate) fn read_header(source: &mut Source<'_>) -> Result<FlacHeader, AudioError> {
    if source.len > MAX_FILE_BYTES {
        return Err(AudioError::FlacTooLarge {
            path: source.path.to_owned(),
            bytes: source.len,
            limit: MAX_FILE_BYTES,
        });
    }
    let mut stream_info = [0_u8; STREAM_INFO_BYTES];
    let mut position = 4_u64;
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
            let info = parse_stream_info(&stream_info);
            if info.frames == 0 && position < source.len {
                return Err(source.malformed(MalformedFile::UnknownLength));
            }
            check_header(source.path, &info)?;
            return Ok(FlacHeader {
                info,
                stream_info,
                audio_start: position,
            });
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
    }
}

/// Appends `frames` frames from frame `start` on to `samples`, averaging channels; `seen` sees them after every
/// block.
///
/// The stream is decoded from its beginning; when it is read to its end, its length and checksum
/// are held against the header.
pub(crate) fn decode_mono(
    source: Source<'_>,
    header: &FlacHeader,
    start: u64,
    frames: u64,
    samples: &mut Vec<f32>,
    seen: Seen<'_>,
) -> Result<(), AudioError> {
    contained(source.path, || decode(source, header, start, frames, samples, seen))
}

/// Turns a panic within `work` into an error.
fn contained<T>(path: &Path, work: impl FnOnce() -> Result<T, AudioError>) -> Result<T, AudioError> {
    // Nothing that `work` has touched is used after a panic.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(AudioError::Malformed {
            path: path.to_owned(),
            source: MalformedFile::DecoderPanicked,
        })
    })
}

fn decode(
    mut source: Source<'_>,
    header: &FlacHeader,
    start: u64,
    frames: u64,
    samples: &mut Vec<f32>,
    seen: Seen<'_>,
) -> Result<(), AudioError> {
    let path = source.path;
    let failed = |source| AudioError::FlacDecode {
        path: path.to_owned(),
        source,
    };
    let malformed = |source| AudioError::Malformed {
        path: path.to_owned(),
        source,
    };
    source
        .file
        .seek(SeekFrom::Start(header.audio_start))
        .map_err(|error| source.failed(error))?;
    let mut stream = b"fLaC\x80\x00\x00\x22".to_vec();
    stream.extend_from_slice(&header.stream_info);
    let stream = ReadOnlySource::new(Cursor::new(stream).chain(source.file));
    let stream = MediaSourceStream::new(Box::new(stream), Default::default());
    let mut reader = FlacReader::try_new(stream, FormatOptions::default()).map_err(failed)?;
    let parameters = reader
        .default_track(TrackType::Audio)
        .and_then(|track| track.codec_params.as_ref()?.audio())
        .ok_or_else(|| malformed(MalformedFile::NoStreamInfo))?;
    let mut options = AudioDecoderOptions::default();
    options.verify = true;
    let mut decoder = FlacDecoder::try_new(parameters, &options).map_err(failed)?;

    let channels = usize::from(header.info.channels);
    let scale = 1.0 / channels as f32;
    let end = start + frames;
    let mut position = 0_u64;
    let mut block: Vec<f32> = Vec::new();
    while position < end {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                break;
            }
            Err(error) => return Err(failed(error)),
        };
        decoder
            .decode(&packet)
            .map_err(failed)?
            .copy_to_vec_interleaved(&mut block);
        for frame in block.chunks_exact(channels) {
            if (start..end).contains(&position) {
                samples.push(frame.iter().sum::<f32>() * scale);
            }
            position += 1;
        }
        seen(samples)?;
    }
    if position < end {
        return Err(AudioError::Truncated {
            path: path.to_owned(),
            promised: header.info.frames,
            found: position,
            unit: "frames",
        });
    }
    if end == header.info.frames && decoder.finalize().verify_ok == Some(false) {
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
}
