//! What an ONNX file says of itself, and whether its lengths can be believed.
//!
//! An ONNX file is a Protocol Buffers message. Only what is needed here is read, without a copy.
//!
//! # Source
//! `onnx/onnx.proto3` of the ONNX project; the Protocol Buffers encoding specification.

use std::collections::BTreeSet;
use std::fmt;

/// Most messages within messages that are followed.
const DEPTH: usize = 64;

/// An axis of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Of this size.
    Fixed(usize),
    /// Of any size, with the name that the file gives it.
    Free(String),
}

/// A named input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// ONNX's number of the element type; 0 where the file does not say.
    pub element: u64,
    /// Its axes, where the file says.
    pub shape: Option<Vec<Axis>>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(element_name(self.element))?;
        let Some(shape) = &self.shape else {
            return f.write_str(" of any shape");
        };
        f.write_str(" [")?;
        for (at, axis) in shape.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match axis {
                Axis::Fixed(size) => write!(f, "{comma}{size}")?,
                Axis::Free(name) if name.is_empty() => write!(f, "{comma}?")?,
                Axis::Free(name) => write!(f, "{comma}{name}")?,
            }
        }
        f.write_str("]")
    }
}

fn element_name(element: u64) -> &'static str {
    const NAMES: [&str; 17] = [
        "of any type",
        "float32",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "float64",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
    usize::try_from(element)
        .ok()
        .and_then(|element| NAMES.get(element).copied())
        .unwrap_or("of an unknown type")
}

/// Values of tensors that lie in a file of their own beside the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// Name of the file.
    pub location: String,
    /// Where the values end in it, where the model says how long they are.
    pub end: Option<u64>,
}

/// What an ONNX file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Version of the standard operators.
    pub opset: i64,
    /// What it takes.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
    /// Values beside it.
    pub outside: Vec<Outside>,
}

impl Outline {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// What does not hold: a length beyond the end, a text that is none, no graph.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut outline = Self::default();
        let mut graphs = 0_usize;
        for field in Fields(bytes) {
            match field? {
                (7, Value::Bytes(graph)) => {
                    outline.graph(graph, 0)?;
                    graphs += 1;
                }
                (8, Value::Bytes(import)) => outline.opset(import)?,
                _ => {}
            }
        }
        if graphs == 1 {
            Ok(outline)
        } else {
            Err(format!("it holds {graphs} graphs in place of one"))
        }
    }

    fn opset(&mut self, import: &[u8]) -> Result<(), String> {
        let (mut domain, mut version) = ("", 0);
        for field in Fields(import) {
            match field? {
                (1, Value::Bytes(bytes)) => domain = text(bytes)?,
                (2, Value::Number(number)) => version = number as i64,
                _ => {}
            }
        }
        if ["", "ai.onnx"].contains(&domain) {
            self.opset = version;
        }
        Ok(())
    }

    /// Reads a graph; of one within a node only where its tensors lie.
    fn graph(&mut self, graph: &[u8], depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(format!("graphs within graphs, more than {DEPTH} deep"));
        }
        let mut constants = BTreeSet::new();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for field in Fields(graph) {
            match field? {
                (1, Value::Bytes(node)) => self.node(node, depth)?,
                (5, Value::Bytes(tensor)) => {
                    constants.insert(self.tensor(tensor)?);
                }
                (11, Value::Bytes(port)) => inputs.push(port_of(port)?),
                (12, Value::Bytes(port)) => outputs.push(port_of(port)?),
                _ => {}
            }
        }
        if depth == 0 {
            // Old files list their weights among the inputs.
            inputs.retain(|port| !constants.contains(&port.name));
            (self.inputs, self.outputs) = (inputs, outputs);
        }
        Ok(())
    }

    fn node(&mut self, node: &[u8], depth: usize) -> Result<(), String> {
        for field in Fields(node) {
            let (5, Value::Bytes(attribute)) = field? else { continue };
            for field in Fields(attribute) {
                match field? {
                    (5 | 10, Value::Bytes(tensor)) => {
                        self.tensor(tensor)?;
                    }
                    (6 | 11, Value::Bytes(graph)) => self.graph(graph, depth + 1)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Reads where a tensor's values lie; gives its name.
    fn tensor(&mut self, tensor: &[u8]) -> Result<String, String> {
        let mut name = "";
        let (mut location, mut offset, mut length) = (None, 0_u64, None);
        for field in Fields(tensor) {
            match field? {
                (8, Value::Bytes(bytes)) => name = text(bytes)?,
                (13, Value::Bytes(entry)) => {
                    let (key, value) = entry_of(entry)?;
                    let number = || {
                        value
                            .parse::<u64>()
                            .map_err(|_| format!("`{value}` is no {key} in a file"))
                    };
                    match key {
                        "location" => location = Some(value.to_owned()),
                        "offset" => offset = number()?,
                        "length" => length = Some(number()?),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        if let Some(location) = location {
            let end = match length {
                Some(length) => Some(
                    offset
                        .checked_add(length)
                        .ok_or_else(|| format!("`{name}` lies beyond the end of any file"))?,
                ),
                None => None,
            };
            self.outside.push(Outside { location, end });
        }
        Ok(name.to_owned())
    }
}

fn entry_of(entry: &[u8]) -> Result<(&str, &str), String> {
    let (mut key, mut value) = ("", "");
    for field in Fields(entry) {
        match field? {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Reads a `ValueInfoProto`.
fn port_of(bytes: &[u8]) -> Result<Port, String> {
    let mut port = Port {
        name: String::new(),
        element: 0,
        shape: None,
    };
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => text(bytes)?.clone_into(&mut port.name),
            (2, Value::Bytes(kind)) => {
                for field in Fields(kind) {
                    let (1, Value::Bytes(tensor)) = field? else { continue };
                    for field in Fields(tensor) {
                        match field? {
                            (1, Value::Number(element)) => port.element = element,
                            (2, Value::Bytes(shape)) => port.shape = Some(shape_of(shape)?),
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(port)
}

fn shape_of(bytes: &[u8]) -> Result<Vec<Axis>, String> {
    let mut shape = Vec::new();
    for field in Fields(bytes) {
        let (1, Value::Bytes(axis)) = field? else { continue };
        let mut found = Axis::Free(String::new());
        for field in Fields(axis) {
            match field? {
                (1, Value::Number(size)) => {
                    found =
                        Axis::Fixed(usize::try_from(size as i64).map_err(|_| "an axis of negative size".to_owned())?);
                }
                (2, Value::Bytes(name)) => found = Axis::Free(text(name)?.to_owned()),
                _ => {}
            }
        }
        shape.push(found);
    }
    Ok(shape)
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a name is not UTF-8".to_owned())
}

/// What a field holds.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message: number and value of each.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let left = self.0.len();
        let (taken, rest) = usize::try_from(count)
            .ok()
            .and_then(|count| self.0.split_at_checked(count))
            .ok_or_else(|| format!("a field of {count} bytes where {left} are left"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of seven bits a byte, lowest first.
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number of more than 64 bits".to_owned())
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), String> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Bytes(self.take(4)?),
            kind => return Err(format!("a field of unknown type {kind}")),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
