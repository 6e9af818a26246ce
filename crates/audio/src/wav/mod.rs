//! RIFF WAVE and its kin: finding the chunks, decoding samples, writing.
//!
//! Chunks are walked and the format chunk is read here: other readers take the padding byte after a chunk of odd length
//! for the next chunk or insist on it where it is missing, and stop at the lengths that streams are written with.
//! symphonia's gives the right samples for 36 of the 71 WAV files in `tests/golden/variants`: it knows no RF64 and no RIFX,
//! no bits that do not fill their bytes outside the extensible format, and takes the size of a frame from the bits
//! alone, which makes noise of 24 bits in 32 without a word. Nor does it hold the header against the size of the file.

mod adpcm;
mod format;
mod write;

use format::{FORMAT_BYTES, Layout, WavFormat};
pub use write::{write_wav, write_wav_float};

use crate::decode::{Output, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::{AudioFormat, AudioInfo, Remark, pcm};

/// Chunks walked before the data chunk: real files have a handful.
const MAX_CHUNKS: usize = 4096;
/// Names of chunks that stand in files beside the format and the data.
const CHUNKS: [&[u8; 4]; 22] = [
    b"fmt ", b"data", b"LIST", b"fact", b"JUNK", b"junk", b"bext", b"PEAK", b"cue ", b"smpl", b"inst", b"id3 ",
    b"ID3 ", b"iXML", b"axml", b"FLLR", b"PAD ", b"DISP", b"plst", b"labl", b"chna", b"afsp",
];

/// A validated WAV header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WavHeader {
    pub info: AudioInfo,
    format: WavFormat,
    data_start: u64,
    data_bytes: u64,
}

/// What stands before the data chunk.
#[derive(Default)]
struct Found {
    format: Option<WavFormat>,
    /// Length of the data in a file whose own fields are too small for it.
    long: Option<u64>,
    /// Frames of a coded file.
    frames: Option<u64>,
}

/// Reads the header of a file that starts with this signature at `begin`.
pub(crate) fn read_header(source: &mut Source<'_>, signature: [u8; 4], begin: u64) -> Result<WavHeader, AudioError> {
    let big_endian = signature == *b"RIFX";
    let number = |bytes: [u8; 4]| match big_endian {
        true => u32::from_be_bytes(bytes),
        false => u32::from_le_bytes(bytes),
    };
    let mut found = Found::default();
    let mut position = begin + 12;
    for _ in 0..MAX_CHUNKS {
        if position.saturating_add(8) > source.len {
            return Err(source.malformed(MalformedFile::NoDataChunk));
        }
        let mut head = [0_u8; 8];
        source.read_at(position, &mut head)?;
        let [a, b, c, d, l0, l1, l2, l3] = head;
        let length = number([l0, l1, l2, l3]);
        let start = position + 8;
        match &[a, b, c, d] {
            b"fmt " => {
                let mut chunk = vec![0_u8; length.min(FORMAT_BYTES) as usize];
                source.read_at(start, &mut chunk)?;
                found.format = Some(format::read(source, &chunk, big_endian)?);
            }
            b"ds64" if length >= 16 => {
                let mut sizes = [0_u8; 8];
                source.read_at(start + 8, &mut sizes)?;
                found.long = Some(u64::from_le_bytes(sizes));
            }
            b"fact" if length >= 4 => {
                let mut frames = [0_u8; 4];
                source.read_at(start, &mut frames)?;
                found.frames = Some(u64::from(number(frames)));
            }
            b"data" => return header(source, &found, start, length),
            _ => {}
        }
        position = after(source, start + u64::from(length), length)?;
    }
    Err(source.malformed(MalformedFile::TooManyChunks(MAX_CHUNKS)))
}

/// Where the chunk after one begins that ends at `end`: a padding byte follows an odd length, which some writers forget.
fn after(source: &mut Source<'_>, end: u64, length: u32) -> Result<u64, AudioError> {
    if length.is_multiple_of(2) {
        return Ok(end);
    }
    let mut names = [0_u8; 5];
    if end + 5 <= source.len {
        source.read_at(end, &mut names)?;
    }
    let known = |name: &[u8]| CHUNKS.iter().any(|known| known.as_slice() == name);
    Ok(if known(&names[..4]) && !known(&names[1..]) {
        end
    } else {
        end + 1
    })
}

fn header(source: &mut Source<'_>, found: &Found, data_start: u64, length: u32) -> Result<WavHeader, AudioError> {
    let Some(format) = found.format else {
        return Err(source.malformed(MalformedFile::NoFormatChunk));
    };
    let (data_bytes, mut remark) = data_bytes(source, found, &format, data_start, length)?;
    let frames = match format.layout {
        Layout::Plain(layout) => {
            let (frames, partial) = layout.frames(data_bytes);
            remark = remark.or(partial);
            frames
        }
        Layout::Blocks(adpcm) => {
            let block = adpcm.block as u64;
            let held = data_bytes / block * adpcm.frames + adpcm.frames_of((data_bytes % block) as usize);
            // The last block is filled up with frames that are none.
            match found.frames {
                Some(frames) if frames <= held && held - frames < adpcm.frames => frames,
                _ => held,
            }
        }
    };
    let info = AudioInfo {
        rate_hz: format.rate_hz,
        channels: format.channels,
        frames,
        format: AudioFormat::Wav(format.encoding()),
        remark,
    };
    check_header(source.path, &info)?;
    Ok(WavHeader {
        info,
        format,
        data_start,
        data_bytes,
    })
}

/// How many bytes of samples there are, and what is odd about what the header says of them.
fn data_bytes(
    source: &mut Source<'_>,
    found: &Found,
    format: &WavFormat,
    data_start: u64,
    length: u32,
) -> Result<(u64, Option<Remark>), AudioError> {
    let there = source.len - data_start;
    let promised = match (length, found.long) {
        (u32::MAX, Some(long)) => long,
        _ => u64::from(length),
    };
    if promised == 0 {
        return Ok(match there > 0 && !is_chunks(source, data_start)? {
            true => (there, Some(Remark::Streamed)),
            false => (0, None),
        });
    }
    let second = match format.layout {
        Layout::Plain(layout) => layout.frame_bytes() as u64 * u64::from(format.rate_hz),
        Layout::Blocks(adpcm) => adpcm.block as u64 * u64::from(format.rate_hz) / adpcm.frames,
    };
    pcm::extent(source, promised, there, second)
}

/// Whether what is left of a file is chunks that end where it does.
fn is_chunks(source: &mut Source<'_>, start: u64) -> Result<bool, AudioError> {
    let mut position = start;
    for _ in 0..MAX_CHUNKS {
        if position + 1 >= source.len {
            return Ok(true);
        }
        if position + 8 > source.len {
            return Ok(false);
        }
        let mut head = [0_u8; 8];
        source.read_at(position, &mut head)?;
        if !head[..4].iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return Ok(false);
        }
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        position = position + 8 + u64::from(length) + u64::from(length & 1);
        if position > source.len + 1 {
            return Ok(false);
        }
    }
    Ok(false)
}

/// Hands over `frames` frames from frame `start` on, block by block. The range lies in the file.
pub(crate) fn decode(
    source: &mut Source<'_>,
    header: &WavHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    match header.format.layout {
        Layout::Plain(layout) => pcm::decode(source, layout, header.data_start, start, frames, output),
        Layout::Blocks(adpcm) => decode_blocks(source, header, adpcm, start, frames, output),
    }
}

fn decode_blocks(
    source: &mut Source<'_>,
    header: &WavHeader,
    adpcm: adpcm::Adpcm,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    let channels = usize::from(header.info.channels);
    let first = start / adpcm.frames;
    let mut position = first * adpcm.block as u64;
    let mut skipped = (start % adpcm.frames) as usize;
    let mut left = frames as usize;
    source.seek(header.data_start + position)?;
    let mut block = vec![0_u8; adpcm.block];
    let mut decoded: Vec<i16> = Vec::new();
    while left > 0 {
        let now = (header.data_bytes - position).min(adpcm.block as u64) as usize;
        source.read(&mut block[..now])?;
        position += now as u64;
        decoded.clear();
        adpcm
            .decode(&block[..now], &mut decoded)
            .map_err(|fault| source.malformed(fault))?;
        let all = decoded.len() / channels;
        let taken = all.saturating_sub(skipped).min(left);
        if taken == 0 {
            return Err(source.malformed(MalformedFile::Blocks));
        }
        let part = &decoded[skipped * channels..(skipped + taken) * channels];
        let sample = |value: i16| f32::from(value) / 32_768.0;
        output.pick.append(output.samples, part, channels, sample);
        left -= taken;
        skipped = 0;
        output.tell()?;
    }
    Ok(())
}
