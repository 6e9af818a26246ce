//! AIFF, AIFC and CAF with samples of a fixed size.
//!
//! Headers are read here. symphonia reads 16 of the 20 such files in `tests/golden/variants`: no 24-bit samples with the
//! least byte first in AIFC, no bytes, A-law or µ-law in CAF. aifc reads ten of the eleven AIFF files, and none whose writer
//! could not go back to fill in its length.

use crate::decode::{Output, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::pcm::{self, Layout};
use crate::{AudioFormat, AudioInfo, WavEncoding};

/// Chunks walked: real files have a handful.
const MAX_CHUNKS: usize = 4096;

/// A validated header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppleHeader {
    pub info: AudioInfo,
    layout: Layout,
    data_start: u64,
}

/// What a chunk says of the samples.
struct Common {
    layout: Layout,
    rate_hz: f64,
    /// How many frames there are, where it says so.
    frames: Option<u64>,
}

/// Reads the header of an AIFF or AIFC file.
///
/// # Source
/// Apple, Audio Interchange File Format, version C, 1991.
pub(crate) fn read_aiff(source: &mut Source<'_>, begin: u64) -> Result<AppleHeader, AudioError> {
    let mut kind = [0; 4];
    source.read_at(begin + 8, &mut kind)?;
    let mut position = begin + 12;
    let (mut common, mut sound) = (None, None);
    for _ in 0..MAX_CHUNKS {
        if position.saturating_add(8) > source.len {
            break;
        }
        let mut head = [0_u8; 8];
        source.read_at(position, &mut head)?;
        let [a, b, c, d, l0, l1, l2, l3] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let start = position + 8;
        match &[a, b, c, d] {
            b"COMM" => common = Some(common_chunk(source, start, length, kind == *b"AIFC")?),
            b"SSND" => {
                let mut offset = [0_u8; 4];
                source.read_at(start, &mut offset)?;
                let skipped = 8 + u64::from(u32::from_be_bytes(offset));
                sound = Some((start + skipped, u64::from(length).saturating_sub(skipped)));
            }
            _ => {}
        }
        if common.is_some() && sound.is_some() {
            break;
        }
        position = start + u64::from(length) + u64::from(length & 1);
    }
    let common = common.ok_or_else(|| source.malformed(MalformedFile::NoFormatChunk))?;
    let (data_start, length) = sound.ok_or_else(|| source.malformed(MalformedFile::NoDataChunk))?;
    let told = common.frames.map(|frames| frames * common.layout.frame_bytes() as u64);
    // A writer that could not go back leaves both lengths empty.
    let promised = match (length, told) {
        (0, Some(0)) => None,
        (0, told) => told,
        (length, Some(told)) if told > 0 => Some(length.min(told)),
        (length, _) => Some(length),
    };
    header(source, "AIFF", &common, data_start, promised)
}

fn common_chunk(source: &mut Source<'_>, start: u64, length: u32, is_aifc: bool) -> Result<Common, AudioError> {
    let mut chunk = [0_u8; 22];
    let read = if is_aifc { 22 } else { 18 };
    if (length as usize) < read {
        return Err(source.malformed(MalformedFile::NoFormatChunk));
    }
    source.read_at(start, &mut chunk[..read])?;
    let short = |at: usize| u16::from_be_bytes([chunk[at], chunk[at + 1]]);
    let (channels, bits) = (short(0), short(6));
    let frames = u32::from_be_bytes([chunk[2], chunk[3], chunk[4], chunk[5]]);
    let coding = [chunk[18], chunk[19], chunk[20], chunk[21]];
    let whole = |bits: u16| match bits.div_ceil(8) {
        1 => Some(WavEncoding::Signed8),
        2 => Some(WavEncoding::Signed16),
        3 => Some(WavEncoding::Signed24),
        4 => Some(WavEncoding::Signed32),
        _ => None,
    };
    let (encoding, big_endian) = match &coding {
        _ if !is_aifc => (whole(bits), true),
        b"NONE" | b"twos" => (whole(bits), true),
        b"in24" => (Some(WavEncoding::Signed24), true),
        b"in32" => (Some(WavEncoding::Signed32), true),
        b"sowt" => (whole(bits), false),
        // libsndfile writes a one for the letter.
        b"42ni" | b"42n1" => (Some(WavEncoding::Signed24), false),
        b"23ni" => (Some(WavEncoding::Signed32), false),
        b"raw " => (Some(WavEncoding::Unsigned8), true),
        b"fl32" | b"FL32" => (Some(WavEncoding::Float32), true),
        b"fl64" | b"FL64" => (Some(WavEncoding::Float64), true),
        b"alaw" | b"ALAW" => (Some(WavEncoding::ALaw), true),
        b"ulaw" | b"ULAW" => (Some(WavEncoding::MuLaw), true),
        _ => (None, true),
    };
    Ok(Common {
        layout: Layout {
            channels,
            encoding: encoding.ok_or_else(|| unread(source, "AIFF", coding))?,
            big_endian,
        },
        rate_hz: extended([
            chunk[8], chunk[9], chunk[10], chunk[11], chunk[12], chunk[13], chunk[14], chunk[15], chunk[16], chunk[17],
        ]),
        frames: Some(u64::from(frames)),
    })
}

/// A number of 80 bits.
fn extended(bytes: [u8; 10]) -> f64 {
    let exponent = i32::from(u16::from_be_bytes([bytes[0], bytes[1]]) & 0x7fff);
    let mantissa = bytes[2..].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    mantissa as f64 * 2_f64.powi(exponent - 16_383 - 63)
}

/// Reads the header of a CAF file.
///
/// # Source
/// Apple, Core Audio Format Specification 1.0.
pub(crate) fn read_caf(source: &mut Source<'_>, begin: u64) -> Result<AppleHeader, AudioError> {
    let mut position = begin + 8;
    let mut common = None;
    for _ in 0..MAX_CHUNKS {
        if position.saturating_add(12) > source.len {
            break;
        }
        let mut head = [0_u8; 12];
        source.read_at(position, &mut head)?;
        let [a, b, c, d, length @ ..] = head;
        let length = i64::from_be_bytes(length);
        let start = position + 12;
        match &[a, b, c, d] {
            b"desc" => common = Some(description(source, start)?),
            b"data" => {
                let common = common.ok_or_else(|| source.malformed(MalformedFile::NoFormatChunk))?;
                // A number of edits stands before the samples.
                let promised = u64::try_from(length).ok().map(|length| length.saturating_sub(4));
                return header(source, "CAF", &common, start + 4, promised.filter(|bytes| *bytes > 0));
            }
            _ => {}
        }
        let length = u64::try_from(length).map_err(|_| source.malformed(MalformedFile::Oversized))?;
        position = start.saturating_add(length);
    }
    Err(source.malformed(MalformedFile::NoDataChunk))
}

fn description(source: &mut Source<'_>, start: u64) -> Result<Common, AudioError> {
    let mut chunk = [0_u8; 32];
    source.read_at(start, &mut chunk)?;
    let number = |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
    let coding = [chunk[8], chunk[9], chunk[10], chunk[11]];
    let (flags, packet, per_packet, channels) = (number(12), number(16), number(20), number(24));
    let channels = u16::try_from(channels).unwrap_or(u16::MAX);
    if channels == 0 {
        return Err(source.channels(channels));
    }
    let bytes = packet / u32::from(channels);
    let encoding = match (&coding, flags & 1 != 0, bytes) {
        (b"lpcm", true, 4) => Some(WavEncoding::Float32),
        (b"lpcm", true, 8) => Some(WavEncoding::Float64),
        (b"lpcm", false, 1) => Some(WavEncoding::Signed8),
        (b"lpcm", false, 2) => Some(WavEncoding::Signed16),
        (b"lpcm", false, 3) => Some(WavEncoding::Signed24),
        (b"lpcm", false, 4) => Some(WavEncoding::Signed32),
        (b"alaw", _, 1) => Some(WavEncoding::ALaw),
        (b"ulaw", _, 1) => Some(WavEncoding::MuLaw),
        _ => None,
    };
    let whole = per_packet == 1 && packet == bytes * u32::from(channels);
    let mut rate = [0; 8];
    rate.copy_from_slice(&chunk[..8]);
    Ok(Common {
        layout: Layout {
            channels,
            encoding: encoding
                .filter(|_| whole)
                .ok_or_else(|| unread(source, "CAF", coding))?,
            big_endian: flags & 2 == 0,
        },
        rate_hz: f64::from_be_bytes(rate),
        frames: None,
    })
}

fn unread(source: &Source<'_>, container: &'static str, coding: [u8; 4]) -> AudioError {
    AudioError::Codec {
        path: source.path.to_owned(),
        container,
        what: match &coding {
            b"ima4" => "IMA ADPCM",
            b"alac" => "ALAC",
            b"aac " => "AAC",
            b".mp3" => "MP3",
            b"opus" => "Opus",
            b"flac" => "FLAC",
            b"GSM " | b"agsm" => "GSM 6.10",
            _ => "audio of a kind that is not read",
        },
    }
}

fn header(
    source: &Source<'_>,
    container: &'static str,
    common: &Common,
    data_start: u64,
    promised: Option<u64>,
) -> Result<AppleHeader, AudioError> {
    let Common { layout, rate_hz, .. } = *common;
    let there = source.len.saturating_sub(data_start);
    let second = layout.frame_bytes() as f64 * rate_hz;
    // Without a length, to the end.
    let (bytes, remark) = pcm::extent(source, promised.unwrap_or(u64::MAX), there, second as u64)?;
    let (frames, partial) = layout.frames(bytes);
    let info = AudioInfo {
        // Not a number becomes 0, and is refused.
        rate_hz: rate_hz.round() as u32,
        channels: layout.channels,
        frames,
        format: AudioFormat::Coded {
            container,
            codec: layout.encoding.name(),
        },
        remark: remark.or(partial),
    };
    check_header(source.path, &info)?;
    Ok(AppleHeader {
        info,
        layout,
        data_start,
    })
}

/// Hands over `frames` frames from frame `start` on, block by block.
pub(crate) fn decode(
    source: &mut Source<'_>,
    header: &AppleHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    pcm::decode(source, header.layout, header.data_start, start, frames, output)
}
