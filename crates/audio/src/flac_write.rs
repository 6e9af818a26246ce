//! Writing FLAC, without compressing: for generated corpora in the format of real ones.

use std::fs;
use std::path::Path;

use crate::error::AudioError;
use crate::{Clip, decode};

/// Frames of one block.
const BLOCK: usize = 4096;
/// Most frames of a file: the number of a block is written as one character below the surrogates.
const MOST: usize = BLOCK * 0xd800;

/// Writes a clip as mono 16-bit FLAC, clipping at full scale. Blocks hold their samples as they are, so
/// the file is as large as a WAV file.
///
/// # Errors
/// [`AudioError::Write`] when the file cannot be written; [`AudioError::NonFinite`] when a sample is NaN
/// or infinite and [`AudioError::TooLong`] beyond 226 million samples, before anything is written.
///
/// # Source
/// RFC 9639, sections 8 and 9.
pub fn write_flac(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    decode::check_samples(path, &clip.samples, 0)?;
    if clip.samples.len() > MOST {
        return Err(AudioError::TooLong {
            path: path.to_owned(),
            seconds: clip.duration_s(),
            frames: clip.samples.len() as u64,
        });
    }
    let samples: Vec<i16> = clip
        .samples
        .iter()
        // The cast saturates, which is the clipping.
        .map(|sample| (sample * 32_768.0).round() as i16)
        .collect();
    fs::write(path, encode(&samples, clip.rate_hz)).map_err(|source| AudioError::Write {
        path: path.to_owned(),
        source: hound::Error::IoError(source),
    })
}

fn encode(samples: &[i16], rate_hz: u32) -> Vec<u8> {
    let mut bytes = b"fLaC".to_vec();
    // The only metadata block: STREAMINFO, 34 bytes.
    bytes.extend([0x80, 0, 0, 34]);
    for size in [BLOCK, BLOCK] {
        bytes.extend((size as u16).to_be_bytes());
    }
    // Sizes of frames: unknown.
    bytes.extend([0; 6]);
    // 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of length.
    let packed = u64::from(rate_hz) << 44 | 15 << 36 | samples.len() as u64;
    bytes.extend(packed.to_be_bytes());
    // No checksum of the samples.
    bytes.extend([0; 16]);
    for (number, block) in samples.chunks(BLOCK).enumerate() {
        let start = bytes.len();
        // Blocks of a fixed size; this one's size as 16 bits below, the rate as above; mono, 16 bits.
        bytes.extend([0xff, 0xf8, 0x70, 0x08]);
        let number = char::from_u32(number as u32).unwrap_or_default();
        bytes.extend(number.encode_utf8(&mut [0; 4]).bytes());
        bytes.extend((block.len() as u16 - 1).to_be_bytes());
        let header = crc8(&bytes[start..]);
        bytes.push(header);
        // A subframe of samples as they are.
        bytes.push(0x02);
        bytes.extend(block.iter().flat_map(|sample| sample.to_be_bytes()));
        let frame = crc16(&bytes[start..]);
        bytes.extend(frame.to_be_bytes());
    }
    bytes
}

/// With the polynomial x⁸ + x² + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            let carry = crc & 0x80 != 0;
            crc << 1 ^ if carry { 0x07 } else { 0 }
        })
    })
}

/// With the polynomial x¹⁶ + x¹⁵ + x² + 1.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            let carry = crc & 0x8000 != 0;
            crc << 1 ^ if carry { 0x8005 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioFormat, load, probe};

    #[test]
    fn what_is_written_is_read_back_sample_for_sample() {
        let folder = tempfile::tempdir().unwrap();
        for length in [1, 16, BLOCK - 1, BLOCK, 2 * BLOCK + 17, 200 * BLOCK] {
            let path = folder.path().join(format!("{length}.flac"));
            let samples: Vec<f32> = (0..length)
                .map(|i| ((i * 7919 % 65_536) as f32 - 32_768.0) / 32_768.0)
                .collect();
            let clip = Clip {
                samples,
                rate_hz: 16_000,
            };
            write_flac(&path, &clip).unwrap();
            let info = probe(&path).unwrap();
            assert_eq!(
                (info.rate_hz, info.frames, info.format),
                (16_000, length as u64, AudioFormat::Flac { bits: 16 })
            );
            assert_eq!(load(&path, 16_000, None).unwrap(), clip);
        }
        let wrong = Clip {
            samples: vec![f32::NAN],
            rate_hz: 16_000,
        };
        assert!(matches!(
            write_flac(&folder.path().join("x.flac"), &wrong),
            Err(AudioError::NonFinite { .. })
        ));
    }
}
