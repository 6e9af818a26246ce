//! Which globals the pickles of a PyTorch file name.
//!
//! A pickle is a program; what it can do is call the globals that it names. The reader of tensors runs none of them, so
//! this is no protection of the machine. It is what tells a file that was tampered with, or that holds more than
//! weights, from a plain one, also where the reader would drop the evidence: malware is mostly put in front of an
//! intact checkpoint and popped from the stack.

use crate::{WeightsError, stand_in};
use emorun_files::open_regular;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// Pickles in a file of the format before PyTorch 1.6: magic number, protocol, system, weights, keys of storages.
const LEGACY_PICKLES: usize = 5;
/// The magic number of that format, as every binary protocol writes it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The magic is in the first pickle, which is shorter than this in every protocol.
const MAGIC_WITHIN: usize = 64;
/// Largest pickle in an archive. That of a checkpoint with a thousand tensors has a thousandth of it.
const MAX_PICKLE: u64 = pytorch_reader::MAX_PICKLE_SIZE;
/// Longest text that can be part of a global's name.
const MAX_NAME: u64 = 1024;
/// Most entries of a memo.
const MAX_MEMO: usize = 1_000_000;

enum Fault {
    Refused(String),
    Damaged(String),
    Io(io::Error),
    /// It is something else altogether.
    Other(WeightsError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("its pickle is cut short".to_owned()),
            _ => Self::Io(error),
        }
    }
}

/// Makes sure that a PyTorch file names no other globals than plain checkpoints do.
pub(crate) fn check(path: &Path) -> Result<(), WeightsError> {
    let path = path.to_owned();
    check_file(&path).map_err(|fault| match fault {
        Fault::Refused(global) => WeightsError::PickleRefused { path, global },
        Fault::Damaged(reason) => WeightsError::Damaged { path, reason },
        Fault::Io(error) => WeightsError::io("read", path)(error),
        Fault::Other(error) => error,
    })
}

fn check_file(path: &Path) -> Result<(), Fault> {
    let mut file = BufReader::new(open_regular(path)?);
    let mut start = Vec::new();
    file.by_ref().take(stand_in::START as u64).read_to_end(&mut start)?;
    file.rewind()?;
    stand_in::refuse(path, &start).map_err(Fault::Other)?;
    if start.starts_with(b"PK\x03\x04") {
        return check_archive(file);
    }
    let legacy = start
        .windows(LEGACY_MAGIC.len())
        .take(MAGIC_WITHIN)
        .any(|bytes| bytes == LEGACY_MAGIC);
    // The reader takes what looks like a tar archive for one, whatever else it looks like.
    if !legacy || start.get(257..262) == Some(b"ustar") {
        return Err(Fault::Damaged("it is neither of the formats of torch.save".to_owned()));
    }
    (0..LEGACY_PICKLES).try_for_each(|_| check_pickle(&mut file))
}

fn check_archive(file: BufReader<File>) -> Result<(), Fault> {
    let damaged = |error: zip::result::ZipError| Fault::Damaged(format!("its zip archive does not hold: {error}"));
    let mut archive = ZipArchive::new(file).map_err(damaged)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        if entry.name_raw().ends_with(b".pkl") {
            // Failures to inflate come as errors of input; so does a checksum.
            check_pickle(&mut BufReader::new(entry.take(MAX_PICKLE))).map_err(|fault| match fault {
                Fault::Io(error) => Fault::Damaged(error.to_string()),
                fault => fault,
            })?;
        }
    }
    Ok(())
}

/// Follows one pickle to its end, keeping of the stack only the two topmost values, where they are texts.
fn check_pickle(reader: &mut impl BufRead) -> Result<(), Fault> {
    let mut top: [Option<String>; 2] = [None, None];
    let mut memo: HashMap<u32, Option<String>> = HashMap::new();
    loop {
        let op = byte(reader)?;
        let pushed = match op {
            b'.' => return Ok(()),
            // Protocol and frame leave the stack alone.
            0x80 => {
                skip(reader, 1)?;
                continue;
            }
            0x95 => {
                skip(reader, 8)?;
                continue;
            }
            b'q' | b'r' | b'p' | 0x94 => {
                let key = match op {
                    b'q' => number(reader, 1)?,
                    b'r' => number(reader, 4)?,
                    b'p' => index(reader)?,
                    _ => memo.len() as u64,
                };
                if memo.len() >= MAX_MEMO {
                    return Err(Fault::Damaged(format!(
                        "its pickle remembers more than {MAX_MEMO} values"
                    )));
                }
                memo.insert(memo_key(key)?, top[0].clone());
                continue;
            }
            b'h' => memo.get(&memo_key(number(reader, 1)?)?).cloned().flatten(),
            b'j' => memo.get(&memo_key(number(reader, 4)?)?).cloned().flatten(),
            b'g' => memo.get(&memo_key(index(reader)?)?).cloned().flatten(),
            b'X' | b'T' => text(reader, 4)?,
            0x8c | b'U' => text(reader, 1)?,
            0x8d => text(reader, 8)?,
            b'V' => Some(line(reader)?),
            // Globals by name, and instances of a class by name.
            b'c' | b'i' => {
                let module = line(reader)?;
                allow(&module, &line(reader)?)?;
                None
            }
            0x93 => {
                let [name, module] = std::mem::take(&mut top);
                match (module, name) {
                    (Some(module), Some(name)) => allow(&module, &name)?,
                    _ => return Err(Fault::Refused("a name that it computes".to_owned())),
                }
                None
            }
            // Numbers and bytes.
            b'K' => skip(reader, 1).map(|()| None)?,
            b'M' => skip(reader, 2).map(|()| None)?,
            b'J' => skip(reader, 4).map(|()| None)?,
            b'G' => skip(reader, 8).map(|()| None)?,
            0x8a | b'C' => sized(reader, 1).map(|()| None)?,
            0x8b | b'B' => sized(reader, 4).map(|()| None)?,
            0x8e | 0x96 => sized(reader, 8).map(|()| None)?,
            b'I' | b'L' | b'F' | b'P' => line(reader).map(|_| None)?,
            // None, truth values, empty containers, marks.
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f | b'(' => None,
            // Whatever takes values from the stack: what lies on top afterwards is not known.
            b'0'
            | b'1'
            | b'2'
            | b'R'
            | b'b'
            | b'o'
            | b'd'
            | b'l'
            | b't'
            | b's'
            | b'a'
            | b'e'
            | b'u'
            | b'Q'
            | 0x81
            | 0x85..=0x87
            | 0x90..=0x92 => {
                top = [None, None];
                continue;
            }
            0x82..=0x84 => return Err(Fault::Refused("an entry of the extension registry".to_owned())),
            other => {
                return Err(Fault::Damaged(format!(
                    "its pickle has the unknown instruction {other:#04x}"
                )));
            }
        };
        top = [pushed, top[0].take()];
    }
}

fn allow(module: &str, name: &str) -> Result<(), Fault> {
    let plain = match module {
        "torch._utils" => matches!(name, "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_parameter"),
        "collections" => name == "OrderedDict",
        "torch" | "torch.cuda" if name.ends_with("Storage") => true,
        "torch.storage" => name == "UntypedStorage",
        "torch" => matches!(
            name,
            "Size"
                | "device"
                | "float16"
                | "bfloat16"
                | "float32"
                | "float64"
                | "int8"
                | "int16"
                | "int32"
                | "int64"
                | "uint8"
                | "bool"
        ),
        "builtins" | "__builtin__" => {
            matches!(
                name,
                "set" | "frozenset" | "dict" | "list" | "tuple" | "int" | "float" | "str" | "bool" | "bytes"
            )
        }
        // How old protocols spell bytes.
        "_codecs" => name == "encode",
        _ => false,
    };
    if plain {
        return Ok(());
    }
    let global: String = format!("{module}.{name}")
        .chars()
        .take(100)
        .flat_map(char::escape_default)
        .collect();
    Err(Fault::Refused(global))
}

fn byte(reader: &mut impl BufRead) -> Result<u8, Fault> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A little-endian number of so many bytes.
fn number(reader: &mut impl BufRead, bytes: usize) -> Result<u64, Fault> {
    let mut number = [0; 8];
    reader.read_exact(&mut number[..bytes])?;
    Ok(u64::from_le_bytes(number))
}

fn memo_key(key: u64) -> Result<u32, Fault> {
    u32::try_from(key).map_err(|_| Fault::Damaged("its pickle remembers under too large a number".to_owned()))
}

/// A number written as a line of text.
fn index(reader: &mut impl BufRead) -> Result<u64, Fault> {
    line(reader)?
        .parse()
        .map_err(|_| Fault::Damaged("its pickle has a number that is none".to_owned()))
}

fn skip(reader: &mut impl BufRead, bytes: u64) -> Result<(), Fault> {
    if io::copy(&mut reader.take(bytes), &mut io::sink())? == bytes {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

/// Skips bytes that follow their own number.
fn sized(reader: &mut impl BufRead, width: usize) -> Result<(), Fault> {
    let bytes = number(reader, width)?;
    skip(reader, bytes)
}

/// A text that follows the number of its bytes; none where it is too long for a name or no text.
fn text(reader: &mut impl BufRead, width: usize) -> Result<Option<String>, Fault> {
    let bytes = number(reader, width)?;
    if bytes > MAX_NAME {
        return skip(reader, bytes).map(|()| None);
    }
    let mut text = Vec::new();
    if reader.take(bytes).read_to_end(&mut text)? as u64 == bytes {
        Ok(String::from_utf8(text).ok())
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

fn line(reader: &mut impl BufRead) -> Result<String, Fault> {
    let mut line = Vec::new();
    reader.take(MAX_NAME * 64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            Ok(String::from_utf8_lossy(&line).into_owned())
        }
        _ => Err(Fault::Damaged("its pickle has a line without end".to_owned())),
    }
}
