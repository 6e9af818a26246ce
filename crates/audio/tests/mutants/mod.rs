//! Damaged audio files, each a function of a seed: for the tests, the example `mutate` and the fuzz target.

/// Bytes from the start that are mutated most: headers and the first FLAC frame.
const HEAD_BYTES: u64 = 100;
/// What a field of a header is set to: bounds of its type and values near real ones.
const FIELDS: [u64; 20] = [
    0,
    1,
    2,
    3,
    4,
    8,
    15,
    16,
    24,
    32,
    64,
    65,
    0x7fff,
    0x8000,
    0xffff,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
];

/// SplitMix64.
pub fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Changes one to four places: bytes, whole fields in either order of bytes, stretches that are left out, doubled
/// or overwritten by others; one mutant in eight is cut besides.
pub fn mutate(bytes: &mut Vec<u8>, state: &mut u64) {
    for _ in 0..1 + draw(state) % 4 {
        let within = match draw(state) % 4 {
            0 => bytes.len() as u64,
            _ => HEAD_BYTES.min(bytes.len() as u64),
        };
        let at = (draw(state) % within.max(1)) as usize;
        match draw(state) % 16 {
            0..8 => byte(bytes, at, state),
            8..13 => field(bytes, at, state),
            13 => {
                let end = (at + draw(state) as usize % 12).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            14 => {
                let end = (at + draw(state) as usize % 24).min(bytes.len());
                let again = bytes[at.min(end)..end].to_vec();
                bytes.splice(at.min(end)..at.min(end), again);
            }
            _ => {
                let from = (draw(state) % within.max(1)) as usize;
                for step in 0..draw(state) as usize % 12 {
                    let value = bytes.get(from + step).copied();
                    if let (Some(value), Some(byte)) = (value, bytes.get_mut(at + step)) {
                        *byte = value;
                    }
                }
            }
        }
    }
    if draw(state).is_multiple_of(8) {
        bytes.truncate((draw(state) % (bytes.len() as u64 + 1)) as usize);
    }
}

fn byte(bytes: &mut [u8], at: usize, state: &mut u64) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = match draw(state) % 4 {
            0 => 0xff,
            1 => 0,
            2 => *byte ^ (1 << (draw(state) % 8)),
            _ => draw(state) as u8,
        };
    }
}

/// Two or four bytes as one number.
fn field(bytes: &mut [u8], at: usize, state: &mut u64) {
    let value = FIELDS[(draw(state) % FIELDS.len() as u64) as usize] as u32;
    let width = 2 + 2 * (draw(state) % 2) as usize;
    let all = if draw(state).is_multiple_of(2) {
        value.to_le_bytes()[..width].to_vec()
    } else {
        value.to_be_bytes()[4 - width..].to_vec()
    };
    for (byte, new) in bytes.iter_mut().skip(at).zip(all) {
        *byte = new;
    }
}
