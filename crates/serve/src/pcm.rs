//! Samples as a stream sends them.

use serde::Deserialize;

/// How a sample is written, little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum SampleFormat {
    /// 16-bit integer.
    #[default]
    #[serde(rename = "s16le")]
    Integer16,
    /// 32-bit float, full scale 1.
    #[serde(rename = "f32le")]
    Float32,
}

/// Bytes that become samples; what does not make a whole one waits for the next bytes.
#[derive(Debug)]
pub(crate) struct Decoder {
    format: SampleFormat,
    rest: Vec<u8>,
}

impl Decoder {
    pub fn new(format: SampleFormat) -> Self {
        Self {
            format,
            rest: Vec::new(),
        }
    }

    pub fn decode(&mut self, bytes: &[u8]) -> Vec<f32> {
        self.rest.extend_from_slice(bytes);
        let (samples, used) = match self.format {
            SampleFormat::Integer16 => {
                let (whole, _) = self.rest.as_chunks();
                let samples: Vec<f32> = whole
                    .iter()
                    .map(|&two| f32::from(i16::from_le_bytes(two)) / 32_768.0)
                    .collect();
                (samples, 2 * whole.len())
            }
            SampleFormat::Float32 => {
                let (whole, _) = self.rest.as_chunks();
                let samples: Vec<f32> = whole.iter().map(|&four| f32::from_le_bytes(four)).collect();
                (samples, 4 * whole.len())
            }
        };
        self.rest.drain(..used);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_same_however_they_are_cut() {
        let integers: Vec<u8> = [0i16, 1, -32_768, 32_767]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let floats: Vec<u8> = [0.5f32, -1.0, f32::NAN, 2.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        for (format, bytes) in [(SampleFormat::Integer16, integers), (SampleFormat::Float32, floats)] {
            let bits = |samples: Vec<f32>| -> Vec<u32> { samples.into_iter().map(f32::to_bits).collect() };
            let whole = bits(Decoder::new(format).decode(&bytes));
            assert_eq!(whole.len(), 4);
            for size in 1..bytes.len() {
                let mut decoder = Decoder::new(format);
                let cut = bytes.chunks(size).flat_map(|part| decoder.decode(part)).collect();
                assert_eq!(bits(cut), whole, "{size}");
            }
        }
        assert_eq!(Decoder::new(SampleFormat::Integer16).decode(&[0, 0x80]), [-1.0]);
    }
}
