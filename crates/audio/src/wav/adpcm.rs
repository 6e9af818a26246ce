//! IMA and Microsoft ADPCM: four bits a sample, in blocks that begin anew.
//!
//! IMA's samples are audio-codec-algorithms', which has none of Microsoft's: those are decoded here. symphonia rounds both
//! otherwise than coders do, which adds up over a block: in `tests/golden/variants` it is off by up to 105 (IMA) and 54
//! (Microsoft) of 32 768 where these and libsndfile agree to the bit. It also wants whole blocks and at most two channels.

use audio_codec_algorithms::{AdpcmImaState, decode_adpcm_ima};

use crate::WavEncoding;
use crate::decode::Source;
use crate::error::{AudioError, MalformedFile};

/// Most bytes of a block.
const MAX_BLOCK: u16 = 1 << 14;
/// Pairs of coefficients that every file of Microsoft's ADPCM lists first.
const COEFFICIENTS: [[i32; 2]; 7] = [
    [256, 0],
    [512, -256],
    [0, 0],
    [192, 64],
    [240, 0],
    [460, -208],
    [392, -232],
];
/// By how much, in 256ths, the step changes after each code.
const ADAPTATION: [i32; 16] = [
    230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230,
];
/// Largest index of a step that IMA's coding has.
const MAX_STEP_INDEX: u8 = 88;

/// How a file's blocks are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adpcm {
    is_ima: bool,
    channels: usize,
    /// Bytes of a block.
    pub block: usize,
    /// Frames of a whole block.
    pub frames: u64,
}

/// What a format chunk says of blocks.
///
/// # Source
/// Microsoft, New Multimedia Data Types and Data Techniques, 1994.
pub(super) fn read(
    source: &Source<'_>,
    chunk: &[u8],
    tag: u16,
    channels: u16,
    align: u16,
) -> Result<Adpcm, AudioError> {
    let is_ima = tag == 0x11;
    let mut adpcm = Adpcm {
        is_ima,
        channels: usize::from(channels),
        block: usize::from(align),
        frames: 0,
    };
    adpcm.frames = adpcm.frames_of(adpcm.block);
    let listed = chunk.get(22..).unwrap_or_default();
    let standard = COEFFICIENTS.iter().flatten().zip(listed.chunks_exact(2));
    // Files may list coefficients of their own; none is known that does.
    let own = !is_ima
        && standard
            .into_iter()
            .any(|(known, own)| *known != i32::from(i16::from_le_bytes([own[0], own[1]])));
    // Channels of IMA's blocks take turns by four bytes, Microsoft's by half a byte.
    let whole = !is_ima || (adpcm.block.saturating_sub(4 * adpcm.channels)).is_multiple_of(4 * adpcm.channels);
    if adpcm.frames == 0 || align > MAX_BLOCK || own || !whole || (!is_ima && channels > 2) {
        return Err(source.malformed(MalformedFile::Blocks));
    }
    Ok(adpcm)
}

impl Adpcm {
    pub fn encoding(&self) -> WavEncoding {
        match self.is_ima {
            true => WavEncoding::ImaAdpcm,
            false => WavEncoding::MsAdpcm,
        }
    }

    /// Frames of a block of so many bytes; the last one of a file may be short.
    pub fn frames_of(&self, bytes: usize) -> u64 {
        let head = match self.is_ima {
            true => 4 * self.channels,
            false => 7 * self.channels,
        };
        let first = if self.is_ima { 1 } else { 2 };
        let Some(rest) = bytes.checked_sub(head) else { return 0 };
        let rest = match self.is_ima {
            // Whole groups of eight frames.
            true => rest / (4 * self.channels) * 8,
            false => rest * 2 / self.channels,
        };
        (first + rest) as u64
    }

    /// Appends a block's frames, channel by channel within each, in the range of 16 bits.
    pub fn decode(&self, block: &[u8], out: &mut Vec<i16>) -> Result<(), MalformedFile> {
        match self.is_ima {
            true => self.decode_ima(block, out),
            false => self.decode_ms(block, out),
        }
    }

    fn decode_ima(&self, block: &[u8], out: &mut Vec<i16>) -> Result<(), MalformedFile> {
        let channels = self.channels;
        let (heads, groups) = block.split_at(block.len().min(4 * channels));
        let mut states = Vec::with_capacity(channels);
        for head in heads.chunks_exact(4) {
            let step_index = head[2];
            if step_index > MAX_STEP_INDEX {
                return Err(MalformedFile::Blocks);
            }
            states.push(AdpcmImaState {
                predictor: i16::from_le_bytes([head[0], head[1]]),
                step_index,
            });
        }
        out.extend(states.iter().map(|state| state.predictor));
        for group in groups.chunks_exact(4 * channels) {
            let start = out.len();
            out.resize(start + 8 * channels, 0);
            for (channel, (bytes, state)) in group.chunks_exact(4).zip(&mut states).enumerate() {
                for (at, byte) in bytes.iter().enumerate() {
                    for (half, code) in [byte & 0xf, byte >> 4].into_iter().enumerate() {
                        out[start + (2 * at + half) * channels + channel] = decode_adpcm_ima(code, state);
                    }
                }
            }
        }
        Ok(())
    }

    fn decode_ms(&self, block: &[u8], out: &mut Vec<i16>) -> Result<(), MalformedFile> {
        let channels = self.channels;
        let short = |number: usize| {
            let at = channels + 2 * number;
            let bytes = block.get(at..at + 2).map_or([0; 2], |bytes| [bytes[0], bytes[1]]);
            i32::from(i16::from_le_bytes(bytes))
        };
        let mut states = Vec::with_capacity(channels);
        for channel in 0..channels {
            let predictor = block.get(channel).copied().map_or(usize::MAX, usize::from);
            states.push(Predictor {
                coefficients: *COEFFICIENTS.get(predictor).ok_or(MalformedFile::Blocks)?,
                step: short(channel),
                last: [short(channels + channel), short(2 * channels + channel)],
            });
        }
        out.extend(states.iter().map(|state| state.last[1] as i16));
        out.extend(states.iter().map(|state| state.last[0] as i16));
        let codes = block.iter().skip(7 * channels).flat_map(|byte| [byte >> 4, byte & 0xf]);
        for (at, code) in codes.enumerate() {
            out.push(states[at % channels].next(code));
        }
        Ok(())
    }
}

/// The state of Microsoft's coding.
struct Predictor {
    coefficients: [i32; 2],
    step: i32,
    /// The last two samples, the newer first.
    last: [i32; 2],
}

impl Predictor {
    fn next(&mut self, code: u8) -> i16 {
        let [newer, older] = self.last;
        let predicted = (newer * self.coefficients[0] + older * self.coefficients[1]) >> 8;
        let signed = if code & 8 != 0 {
            i32::from(code) - 16
        } else {
            i32::from(code)
        };
        let next = predicted.saturating_add(signed.saturating_mul(self.step));
        let next = next.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        self.step = (ADAPTATION[usize::from(code)].saturating_mul(self.step) >> 8).max(16);
        self.last = [next, newer];
        next as i16
    }
}
