//! The format chunk of a WAV file.

use super::adpcm::{self, Adpcm};
use crate::decode::Source;
use crate::error::{AudioError, MalformedFile};
use crate::{WavEncoding, pcm};

/// `WAVEFORMATEXTENSIBLE` is 40 bytes and the longest list of ADPCM coefficients within this; what follows is ignored.
pub(super) const FORMAT_BYTES: u32 = 256;

/// What ends the identifier of a sub-format that is a tag of the plain format, and of the two-dimensional one of ambisonic
/// files.
const TAG_GUIDS: [[u8; 14]; 2] = [
    [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71],
    [0, 0, 0x21, 0x07, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0],
];

/// How a WAV file stores samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct WavFormat {
    pub channels: u16,
    pub rate_hz: u32,
    pub layout: Layout,
}

/// How the data chunk is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    /// Samples of a fixed number of bytes.
    Plain(pcm::Layout),
    /// Blocks of a fixed number of bytes.
    Blocks(Adpcm),
}

impl WavFormat {
    pub fn encoding(&self) -> WavEncoding {
        match self.layout {
            Layout::Plain(layout) => layout.encoding,
            Layout::Blocks(adpcm) => adpcm.encoding(),
        }
    }
}

/// Reads a format chunk's content.
///
/// Samples of fewer bits than their container are at its upper end, with zeros below them, so that the container's size
/// alone decides how they are read; in a byte they are unsigned.
///
/// # Source
/// Microsoft, Multiple Channel Audio Data and WAVE Files, 2007.
pub(super) fn read(source: &Source<'_>, chunk: &[u8], big_endian: bool) -> Result<WavFormat, AudioError> {
    let short = |at: usize| {
        let bytes = chunk.get(at..at + 2).map(|bytes| [bytes[0], bytes[1]]);
        bytes.map(|bytes| match big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    };
    let (Some(mut tag), Some(channels), Some(low), Some(high), Some(align)) =
        (short(0), short(2), short(4), short(6), short(12))
    else {
        return Err(source.malformed(MalformedFile::NoFormatChunk));
    };
    let (low, high) = if big_endian { (high, low) } else { (low, high) };
    let rate_hz = u32::from(high) << 16 | u32::from(low);
    if channels == 0 {
        return Err(source.channels(channels));
    }
    // The oldest form of the chunk ends before the number of bits.
    let bits = short(14).unwrap_or((align / channels).saturating_mul(8));
    if tag == 0xfffe {
        let guid = chunk.get(26..40);
        tag = match (short(24), guid) {
            (Some(tag), Some(guid)) if TAG_GUIDS.iter().any(|known| known == guid) => tag,
            _ => tag,
        };
    }
    let encoding = |tag, bytes| match (tag, bytes) {
        (1, 1) => Some(WavEncoding::Unsigned8),
        (1, 2) => Some(WavEncoding::Signed16),
        (1, 3) => Some(WavEncoding::Signed24),
        (1, 4) => Some(WavEncoding::Signed32),
        (3, 4) => Some(WavEncoding::Float32),
        (3, 8) => Some(WavEncoding::Float64),
        (6, 1) => Some(WavEncoding::ALaw),
        (7, 1) => Some(WavEncoding::MuLaw),
        _ => None,
    };
    let layout = match tag {
        2 | 0x11 => Layout::Blocks(adpcm::read(source, chunk, tag, channels, align)?),
        1 | 3 | 6 | 7 => {
            let container = container(bits, align, channels);
            let Some(encoding) = encoding(tag, container) else {
                return Err(AudioError::WavEncoding {
                    path: source.path.to_owned(),
                    bits,
                    bytes: container,
                });
            };
            Layout::Plain(pcm::Layout {
                channels,
                encoding,
                big_endian,
            })
        }
        tag => {
            return Err(AudioError::WavCodec {
                path: source.path.to_owned(),
                tag,
                name: name_of(tag),
            });
        }
    };
    Ok(WavFormat {
        channels,
        rate_hz,
        layout,
    })
}

/// Bytes of one sample: those that the frame's size says where they are enough for its bits, else as few as are.
fn container(bits: u16, align: u16, channels: u16) -> u16 {
    let least = bits.div_ceil(8);
    match align / channels {
        bytes if align.is_multiple_of(channels) && bytes >= least && bytes > 0 => bytes,
        _ => least,
    }
}

/// What a tag stands for that is not read.
fn name_of(tag: u16) -> &'static str {
    match tag {
        0x10 => "OKI ADPCM",
        0x31 => "GSM 6.10",
        0x40 | 0x45 | 0x64 => "G.721 or G.726 ADPCM",
        0x50 => "MPEG layer 1 or 2",
        0x55 => "MP3",
        0x0160..=0x0163 => "Windows Media Audio",
        0x674f..=0x6771 => "Ogg Vorbis",
        0x704f => "Opus",
        0x00ff | 0x1600 | 0x1602 | 0x1610 => "AAC",
        0x2000 => "AC-3",
        0xf1ac => "FLAC",
        _ => "a coding that is not read",
    }
}
