//! RIFF WAVE: finding the chunks, decoding samples, writing.
//!
//! hound validates the format chunk. Chunks are walked here because hound takes the padding byte
//! after a chunk of odd length for the next chunk, and samples are decoded here because its seek
//! is wrong for 24-bit samples in four bytes.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use hound::SampleFormat;

use crate::decode::{Seen, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::{AudioFormat, AudioInfo, Clip, WavEncoding};

/// Chunks walked before the data chunk: real files have a handful.
const MAX_CHUNKS: usize = 4096;
/// `WAVEFORMATEXTENSIBLE` is 40 bytes; what follows is ignored.
const FORMAT_BYTES: u32 = 40;
/// Bytes decoded at a time.
const BLOCK_BYTES: usize = 1 << 15;

/// A validated WAV header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WavHeader {
    pub info: AudioInfo,
    encoding: WavEncoding,
    data_start: u64,
}

/// Reads the header, from just after the `RIFF` signature's position (the start of the file).
pub(crate) fn read_header(source: &mut Source<'_>) -> Result<WavHeader, AudioError> {
    let mut position = 12_u64;
    let mut format: Option<Vec<u8>> = None;
    for _ in 0..MAX_CHUNKS {
        if position.saturating_add(8) > source.len {
            return Err(source.malformed(MalformedFile::NoDataChunk));
        }
        let mut head = [0_u8; 8];
        source.read_at(position, &mut head)?;
        let [a, b, c, d, l0, l1, l2, l3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let start = position + 8;
        match &[a, b, c, d] {
            b"fmt " => {
                let kept = length.min(FORMAT_BYTES);
                let mut body = vec![0_u8; kept as usize];
                source.read_at(start, &mut body)?;
                let mut chunk = b"fmt ".to_vec();
                chunk.extend_from_slice(&kept.to_le_bytes());
                chunk.extend_from_slice(&body);
                format = Some(chunk);
            }
            b"data" => {
                let Some(format) = format else {
                    return Err(source.malformed(MalformedFile::NoFormatChunk));
                };
                return header(source, format, start, length);
            }
            _ => {}
        }
        position = start + u64::from(length) + u64::from(length & 1);
    }
    Err(source.malformed(MalformedFile::TooManyChunks(MAX_CHUNKS)))
}

fn header(source: &Source<'_>, mut chunks: Vec<u8>, data_start: u64, data_bytes: u32) -> Result<WavHeader, AudioError> {
    // hound reads the format from a file without samples: their number is checked here.
    chunks.extend_from_slice(b"data\0\0\0\0");
    let mut riff = b"RIFF\0\0\0\0WAVE".to_vec();
    riff.append(&mut chunks);
    let block_align = riff.get(32..34).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let format = hound::WavReader::new(Cursor::new(riff))
        .map_err(|error| AudioError::WavFormat {
            path: source.path.to_owned(),
            source: error,
        })?
        .spec();
    // hound has refused zero channels.
    let (bits, bytes) = (format.bits_per_sample, block_align / format.channels);
    let encoding = match (format.sample_format, bits, bytes) {
        (SampleFormat::Int, 8, 1) => WavEncoding::Unsigned8,
        (SampleFormat::Int, 16, 2) => WavEncoding::Signed16,
        (SampleFormat::Int, 24, 3) => WavEncoding::Signed24,
        (SampleFormat::Int, 24, 4) => WavEncoding::Signed24In32,
        (SampleFormat::Int, 32, 4) => WavEncoding::Signed32,
        (SampleFormat::Float, 32, 4) => WavEncoding::Float32,
        _ => {
            return Err(AudioError::WavEncoding {
                path: source.path.to_owned(),
                bits,
                bytes,
            });
        }
    };
    let frame_bytes = u64::from(format.channels) * encoding.bytes() as u64;
    let data_bytes = u64::from(data_bytes);
    let found = source.len - data_start;
    if data_bytes > found {
        return Err(AudioError::Truncated {
            path: source.path.to_owned(),
            promised: data_bytes,
            found,
            unit: "bytes of samples",
        });
    }
    if data_bytes % frame_bytes != 0 {
        return Err(source.malformed(MalformedFile::PartialFrame));
    }
    let info = AudioInfo {
        rate_hz: format.sample_rate,
        channels: format.channels,
        frames: data_bytes / frame_bytes,
        format: AudioFormat::Wav(encoding),
    };
    check_header(source.path, &info)?;
    Ok(WavHeader {
        info,
        encoding,
        data_start,
    })
}

/// Appends `frames` frames from frame `start` on to `samples`, averaging channels; `seen` sees them after every
/// block. The range lies in the file.
pub(crate) fn decode_mono(
    source: &mut Source<'_>,
    header: &WavHeader,
    start: u64,
    frames: u64,
    samples: &mut Vec<f32>,
    seen: Seen<'_>,
) -> Result<(), AudioError> {
    let channels = usize::from(header.info.channels);
    let frame_bytes = channels * header.encoding.bytes();
    source.seek(header.data_start + start * frame_bytes as u64)?;
    let mut block = vec![0_u8; BLOCK_BYTES.max(frame_bytes) / frame_bytes * frame_bytes];
    let mut left = frames as usize * frame_bytes;
    while left > 0 {
        let now = left.min(block.len());
        let bytes = &mut block[..now];
        source.read(bytes)?;
        match header.encoding {
            WavEncoding::Unsigned8 => mix(samples, bytes, channels, |[a]: [u8; 1]| (f32::from(a) - 128.0) / 128.0),
            WavEncoding::Signed16 => mix(samples, bytes, channels, |b: [u8; 2]| {
                f32::from(i16::from_le_bytes(b)) / 32_768.0
            }),
            WavEncoding::Signed24 => mix(samples, bytes, channels, |[a, b, c]: [u8; 3]| {
                i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0
            }),
            WavEncoding::Signed24In32 => {
                mix(samples, bytes, channels, |[a, b, c, _]: [u8; 4]| {
                    i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0
                });
            }
            WavEncoding::Signed32 => mix(samples, bytes, channels, |b: [u8; 4]| {
                i32::from_le_bytes(b) as f32 / 2_147_483_648.0
            }),
            WavEncoding::Float32 => mix(samples, bytes, channels, f32::from_le_bytes),
        }
        left -= now;
        seen(samples)?;
    }
    Ok(())
}

/// Appends the channel average of each whole frame of N-byte samples.
fn mix<const N: usize>(out: &mut Vec<f32>, bytes: &[u8], channels: usize, sample: impl Fn([u8; N]) -> f32) {
    let (values, _) = bytes.as_chunks::<N>();
    if channels == 1 {
        out.extend(values.iter().map(|&value| sample(value)));
    } else {
        let scale = 1.0 / channels as f32;
        out.extend(
            values
                .chunks_exact(channels)
                .map(|frame| frame.iter().map(|&value| sample(value)).sum::<f32>() * scale),
        );
    }
}

/// Writes a clip as mono 16-bit PCM, clipping at full scale.
///
/// # Errors
/// [`AudioError::Write`] when the file cannot be written; [`AudioError::NonFinite`] when a sample
/// is NaN or infinite, before anything is written.
pub fn write_wav(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    // The cast saturates, which is the clipping.
    write(path, clip, 16, SampleFormat::Int, |sample| {
        (sample * 32_768.0).round() as i16
    })
}

/// Writes a clip as mono 32-bit float, to the bit.
///
/// # Errors
/// As [`write_wav`].
pub fn write_wav_float(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    write(path, clip, 32, SampleFormat::Float, |sample| sample)
}

fn write<S: hound::Sample>(
    path: &Path,
    clip: &Clip,
    bits_per_sample: u16,
    sample_format: SampleFormat,
    value: impl Fn(f32) -> S,
) -> Result<(), AudioError> {
    crate::decode::check_samples(path, &clip.samples, 0)?;
    let failed = |source| AudioError::Write {
        path: path.to_owned(),
        source,
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: clip.rate_hz,
        bits_per_sample,
        sample_format,
    };
    let mut writer = hound::WavWriter::create(path, spec).map_err(failed)?;
    for &sample in &clip.samples {
        writer.write_sample(value(sample)).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}

impl Source<'_> {
    fn seek(&mut self, position: u64) -> Result<(), AudioError> {
        let result = self.file.seek(SeekFrom::Start(position));
        result.map(drop).map_err(|error| self.failed(error))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), AudioError> {
        let result = self.file.read_exact(bytes);
        result.map_err(|error| self.failed(error))
    }

    /// Fills `bytes` from `position`.
    pub(crate) fn read_at(&mut self, position: u64, bytes: &mut [u8]) -> Result<(), AudioError> {
        if position.saturating_add(bytes.len() as u64) > self.len {
            return Err(AudioError::Truncated {
                path: self.path.to_owned(),
                promised: position.saturating_add(bytes.len() as u64),
                found: self.len,
                unit: "bytes",
            });
        }
        self.seek(position)?;
        self.read(bytes)
    }
}
