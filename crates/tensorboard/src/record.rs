//! TFRecord framing: `length u64 LE, masked crc32c(length), payload, masked crc32c(payload)`.

use prost::Message;

/// Bytes before the payload: its length and that length's checksum.
pub const HEADER: usize = 12;
/// Bytes after the payload: its checksum.
pub const FOOTER: usize = 4;

/// TFRecord's masked CRC-32C.
pub fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Frames `message` as one record into `buffer`, replacing what it holds.
pub fn frame(message: &impl Message, buffer: &mut Vec<u8>) {
    let payload = message.encode_to_vec();
    let length = (payload.len() as u64).to_le_bytes();
    buffer.clear();
    buffer.extend(length);
    buffer.extend(masked_crc(&length).to_le_bytes());
    buffer.extend(&payload);
    buffer.extend(masked_crc(&payload).to_le_bytes());
}

/// The payload length a header announces, if its checksum holds.
pub fn payload_length(header: &[u8; HEADER]) -> Option<u64> {
    let (length, crc) = header.split_first_chunk::<8>()?;
    (crc == masked_crc(length).to_le_bytes()).then(|| u64::from_le_bytes(*length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Event, Summary, Value};

    #[test]
    fn a_scalar_event_has_the_bytes_that_tensorboards_own_writer_gives() {
        // tests/golden/make_record.py, tensorboard 2.21's RecordWriter over its own Event message.
        let golden = include_bytes!("../tests/golden/scalar.tfrecord");
        let event = Event {
            wall_time: 1_700_000_000.25,
            step: 7,
            summary: Some(Summary {
                value: vec![Value {
                    tag: "train/loss".into(),
                    simple_value: Some(0.625),
                    ..Value::default()
                }],
            }),
            ..Event::default()
        };
        let mut buffer = vec![1, 2, 3];
        frame(&event, &mut buffer);
        assert_eq!(buffer, golden);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let mut buffer = Vec::new();
        frame(&Event::default(), &mut buffer);
        let header: [u8; HEADER] = *buffer.first_chunk().unwrap();
        assert_eq!(payload_length(&header), Some(0));
        for bit in 0..HEADER * 8 {
            let mut bad = header;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(payload_length(&bad), None, "bit {bit}");
        }
    }
}
