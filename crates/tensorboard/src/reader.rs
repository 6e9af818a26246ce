//! Reads an event file back.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
    path::Path,
};

use prost::Message as _;

use crate::{EventError, proto, record};

/// What one event file holds, in the order it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFile {
    /// One entry a value: a record of several scalars gives several.
    pub events: Vec<Event>,
    /// Where reading ended, if a cut or damaged record stopped it before the end of the file.
    pub torn_at: Option<u64>,
}

/// One logged value.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds since the Unix epoch.
    pub wall_time: f64,
    /// The step it was logged at.
    pub step: i64,
    /// What was logged.
    pub value: EventValue,
}

/// What was logged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventValue {
    /// The format's version, at the beginning of every file.
    Version(String),
    /// Values that earlier files hold at this event's step or later are superseded.
    SessionStart,
    /// A number.
    Scalar {
        /// Its name.
        tag: String,
        /// Its value.
        value: f32,
    },
    /// Markdown.
    Text {
        /// Its name.
        tag: String,
        /// Its text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its name.
        tag: String,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// The bytes of the PNG file.
        png: Vec<u8>,
    },
    /// A distribution.
    Histogram {
        /// Its name.
        tag: String,
        /// From low to high.
        buckets: Vec<HistogramBucket>,
    },
    /// Something that this reader does not interpret.
    Other {
        /// Its name; empty if it has none.
        tag: String,
    },
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramBucket {
    /// Its lower end.
    pub left: f32,
    /// Its upper end.
    pub right: f32,
    /// Values in it.
    pub count: f32,
}

/// Reads one event file.
///
/// A record that a kill cut short, or that is damaged, ends the reading: nothing behind it can be
/// found, and [`EventFile::torn_at`] says where it begins. Memory is bounded by the file's size.
///
/// # Errors
/// The file cannot be read, or an intact record is no event.
pub fn read_events(path: &Path) -> Result<EventFile, EventError> {
    let failed = |source| EventError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut input = BufReader::new(file);
    let mut events = Vec::new();
    let mut offset = 0;
    loop {
        let payload = match read_record(&mut input, size.saturating_sub(offset)) {
            Ok(Record::Whole(payload)) => payload,
            Ok(Record::End) => {
                let torn_at = None;
                return Ok(EventFile { events, torn_at });
            }
            Ok(Record::Torn) => {
                let torn_at = Some(offset);
                return Ok(EventFile { events, torn_at });
            }
            Err(source) => return Err(failed(source)),
        };
        let event = proto::Event::decode(payload.as_slice()).map_err(|source| EventError::Decode {
            path: path.to_owned(),
            offset,
            source,
        })?;
        events.extend(values(event));
        let framing = record::HEADER + record::FOOTER;
        offset = offset.saturating_add((framing + payload.len()) as u64);
    }
}

enum Record {
    Whole(Vec<u8>),
    Torn,
    End,
}

/// Reads one record of the `left` bytes that the file still has.
fn read_record(input: &mut impl io::Read, left: u64) -> io::Result<Record> {
    let mut start = Vec::new();
    input.take(record::HEADER as u64).read_to_end(&mut start)?;
    if start.is_empty() {
        return Ok(Record::End);
    }
    let Some(length) = start.first_chunk().and_then(record::payload_length) else {
        return Ok(Record::Torn);
    };
    // A length that the file cannot hold must not be allocated.
    if length > left {
        return Ok(Record::Torn);
    }
    let mut payload = Vec::new();
    input.take(length).read_to_end(&mut payload)?;
    let mut crc = Vec::new();
    input.take(record::FOOTER as u64).read_to_end(&mut crc)?;
    let whole = payload.len() as u64 == length && crc == record::masked_crc(&payload).to_le_bytes();
    Ok(if whole { Record::Whole(payload) } else { Record::Torn })
}

fn values(event: proto::Event) -> Vec<Event> {
    let mut values = Vec::new();
    if let Some(version) = event.file_version {
        values.push(EventValue::Version(version));
    } else if let Some(log) = event.session_log {
        values.push(if log.status == proto::SESSION_START {
            EventValue::SessionStart
        } else {
            EventValue::Other { tag: String::new() }
        });
    } else if let Some(summary) = event.summary {
        values.extend(summary.value.into_iter().map(interpret));
    }
    let (wall_time, step) = (event.wall_time, event.step);
    values
        .into_iter()
        .map(|value| Event { wall_time, step, value })
        .collect()
}

fn interpret(value: proto::Value) -> EventValue {
    let tag = value.tag;
    if let Some(value) = value.simple_value {
        return EventValue::Scalar { tag, value };
    }
    let plugin = value.metadata.and_then(|m| m.plugin_data);
    let plugin = plugin.map(|p| p.plugin_name).unwrap_or_default();
    let tensor = value.tensor.unwrap_or_default();
    match (plugin.as_str(), tensor.strings.as_slice()) {
        ("text", [text]) => EventValue::Text {
            tag,
            text: String::from_utf8_lossy(text).into_owned(),
        },
        ("images", [width, height, png]) => EventValue::Image {
            tag,
            width: pixels(width),
            height: pixels(height),
            png: png.clone(),
        },
        ("histograms", []) => EventValue::Histogram {
            tag,
            buckets: tensor.content.as_chunks::<12>().0.iter().map(bucket).collect(),
        },
        _ => EventValue::Other { tag },
    }
}

/// A size as TensorBoard stores it, in decimal digits; 0 if it is none.
fn pixels(digits: &[u8]) -> u32 {
    let digits = std::str::from_utf8(digits).ok();
    digits.and_then(|d| d.parse().ok()).unwrap_or(0)
}

fn bucket(bytes: &[u8; 12]) -> HistogramBucket {
    let [left, right, count] =
        [0, 4, 8].map(|at| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    HistogramBucket { left, right, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventWriter;
    use std::fs;

    /// A file of two scalars behind its two opening records, and where its last record begins.
    fn example(dir: &Path) -> (Vec<u8>, usize) {
        let mut writer = EventWriter::create(dir, 0, 1e9).unwrap();
        assert!(writer.scalar("x", 1, 1.0, 1e9));
        let before_last = fs::read(writer.path()).unwrap().len();
        assert!(writer.scalar("x", 2, 2.0, 1e9));
        (fs::read(writer.path()).unwrap(), before_last)
    }

    fn read(bytes: &[u8], dir: &Path) -> Result<EventFile, EventError> {
        let path = dir.join("copy");
        fs::write(&path, bytes).unwrap();
        read_events(&path)
    }

    #[test]
    fn a_tail_cut_at_any_byte_costs_the_cut_record_only() {
        let dir = tempfile::tempdir().unwrap();
        let (bytes, before_last) = example(dir.path());
        let whole = read(&bytes, dir.path()).unwrap();
        assert_eq!((whole.events.len(), whole.torn_at), (4, None));
        for end in before_last + 1..bytes.len() {
            let torn = read(&bytes[..end], dir.path()).unwrap();
            assert_eq!(torn.events, whole.events[..3], "cut at {end}");
            assert_eq!(torn.torn_at, Some(before_last as u64));
        }
        assert_eq!(read(&[], dir.path()).unwrap().events, []);
    }

    #[test]
    fn no_flipped_byte_passes_as_data() {
        let dir = tempfile::tempdir().unwrap();
        let (bytes, before_last) = example(dir.path());
        let whole = read(&bytes, dir.path()).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            let file = read(&bad, dir.path()).unwrap();
            assert!(file.torn_at.is_some(), "byte {at}");
            assert!(file.torn_at <= Some(before_last as u64));
            assert!(whole.events.starts_with(&file.events), "byte {at}");
        }
    }

    #[test]
    fn a_length_beyond_the_file_allocates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let length = u64::MAX.to_le_bytes();
        let mut bytes = length.to_vec();
        bytes.extend(record::masked_crc(&length).to_le_bytes());
        let file = read(&bytes, dir.path()).unwrap();
        assert_eq!(file.torn_at, Some(0));
    }

    #[test]
    fn an_intact_record_of_something_else_is_an_error_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = 3_u64.to_le_bytes().to_vec();
        bytes.extend(record::masked_crc(&bytes).to_le_bytes());
        bytes.extend(b"\xff\xff\xff");
        bytes.extend(record::masked_crc(b"\xff\xff\xff").to_le_bytes());
        let error = read(&bytes, dir.path()).unwrap_err().to_string();
        assert!(error.contains("copy") && error.contains("byte 0"), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error_naming_it() {
        let error = read_events(Path::new("nowhere/events")).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
