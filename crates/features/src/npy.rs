//! The header of NumPy's `.npy` files, versions 1 to 3.
//!
//! # Source
//! NumPy 2.4, `numpy.lib.format`.

use crate::convert::Dtype;
use crate::file::Tensor;
use std::io::Read;

/// Longest header that is read, in bytes; NumPy itself reads up to 10 000 characters.
const MAX_HEADER: usize = 1 << 16;

/// Reads the header of a file of `length` bytes, or says what is wrong with it.
pub(crate) fn read(mut file: impl Read, length: u64) -> Result<Tensor, String> {
    let mut start = [0; 8];
    file.read_exact(&mut start)
        .map_err(|_| format!("it has {length} bytes"))?;
    let [magic @ .., major, _] = &start;
    if magic != b"\x93NUMPY" {
        return Err("it does not begin like a .npy file".to_owned());
    }
    let short = "it ends within its header";
    let mut size = [0; 4];
    let size_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        other => return Err(format!("its format version is {other}, 1 to 3 are read")),
    };
    file.read_exact(&mut size[..size_bytes]).map_err(|_| short)?;
    let size = u32::from_le_bytes(size) as usize;
    if size > MAX_HEADER {
        return Err(format!("its header is said to have {size} bytes"));
    }
    let mut header = vec![0; size];
    file.read_exact(&mut header).map_err(|_| short)?;
    let header = String::from_utf8(header).map_err(|_| "its header is not text")?;
    let start = (8 + size_bytes + size) as u64;
    let tensor = Parser(header.trim_end())
        .header(start)
        .ok_or_else(|| format!("its header does not hold: {:?}", shortened(&header)))?;
    if let Ok(dtype) = tensor.dtype {
        let promised = crate::array::product(&tensor.shape)
            .and_then(|count| count.checked_mul(dtype.size()))
            .and_then(|bytes| start.checked_add(bytes as u64))
            .ok_or_else(|| format!("its shape {:?} is larger than any file", tensor.shape))?;
        if promised != length {
            let what = if promised > length { "cut short" } else { "too long" };
            return Err(format!("it is {what}: {length} bytes instead of {promised}"));
        }
    }
    Ok(tensor)
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

/// The rest of a header: a Python literal such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn header(mut self, start: u64) -> Option<Tensor> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.token('{')?;
        while self.token('}').is_none() {
            let key = self.string()?;
            self.token(':')?;
            let again = match key {
                "descr" => descr.replace(self.string_or_list()?).is_some(),
                "fortran_order" => fortran.replace(self.bool()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => true,
            };
            if again || (self.token(',').is_none() && !self.0.trim_start().starts_with('}')) {
                return None;
            }
        }
        let descr: &str = descr?;
        if !self.0.is_empty() {
            return None;
        }
        Some(Tensor {
            dtype: dtype(descr).ok_or_else(|| shortened(descr)),
            big_endian: descr.starts_with('>'),
            fortran: fortran?,
            shape: shape?,
            start,
        })
    }

    fn token(&mut self, token: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = self
            .0
            .trim_start()
            .chars()
            .next()
            .filter(|char| ['\'', '"'].contains(char))?;
        self.token(quote)?;
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    /// A name, or the fields of a record: those are not read, but named in the error, so their end need not be found.
    fn string_or_list(&mut self) -> Option<&'a str> {
        if self.0.trim_start().starts_with('[') {
            let (list, rest) = self.0.split_at(self.0.rfind(']')? + 1);
            self.0 = rest;
            return Some(list.trim_start());
        }
        self.string()
    }

    fn bool(&mut self) -> Option<bool> {
        let rest = self.0.trim_start();
        let (value, rest) = match rest.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix("False")?),
        };
        self.0 = rest;
        Some(value)
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        self.token('(')?;
        while self.token(')').is_none() {
            let rest = self.0.trim_start();
            let (digits, rest) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit())?);
            shape.push(digits.parse().ok()?);
            // Python 2 wrote long integers so.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if self.token(',').is_none() && !self.0.trim_start().starts_with(')') {
                return None;
            }
        }
        Some(shape)
    }
}

fn dtype(descr: &str) -> Option<Dtype> {
    Some(match descr.strip_prefix(['<', '>', '|', '='])? {
        "b1" => Dtype::Bool,
        "i1" => Dtype::I8,
        "u1" => Dtype::U8,
        "i2" => Dtype::I16,
        "u2" => Dtype::U16,
        "i4" => Dtype::I32,
        "u4" => Dtype::U32,
        "i8" => Dtype::I64,
        "u8" => Dtype::U64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of format version 1 with this header and no values.
    fn bytes(header: &str) -> Vec<u8> {
        let size = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &size, header.as_bytes()].concat()
    }

    fn parse(header: &str) -> Result<Tensor, String> {
        let values = if header.contains("(2, 3") { 24 } else { 0 };
        let bytes = bytes(header);
        read(bytes.as_slice(), (bytes.len() + values) as u64)
    }

    #[test]
    fn reads_headers_as_they_have_been_written_over_the_years() {
        for (header, fortran, shape) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }    \n",
                false,
                vec![2, 3],
            ),
            (
                "{\"shape\":(2, 3),\"fortran_order\":True,\"descr\":\"<f4\"}",
                true,
                vec![2, 3],
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3L, ), }\n",
                false,
                vec![2, 3],
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }\n",
                false,
                vec![0],
            ),
        ] {
            let tensor = parse(header).unwrap();
            assert_eq!((tensor.fortran, tensor.shape), (fortran, shape), "{header}");
            assert_eq!((tensor.dtype, tensor.start), (Ok(Dtype::F32), 10 + header.len() as u64));
        }
    }

    #[test]
    fn a_type_that_is_not_read_is_named() {
        for descr in ["'<c8'", "'<U3'", "'|O'", "'<f16'", "[('a', '<f4'), ('b', '<i4')]"] {
            let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2, 3), }}");
            let expected = descr.trim_matches('\'');
            assert_eq!(parse(&header).unwrap().dtype, Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_header_that_is_not_one_is_an_error() {
        for header in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
            "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
            "{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}",
            "((((((((((((((((",
        ] {
            assert!(parse(header).is_err(), "{header}");
        }
    }

    #[test]
    fn a_file_with_more_or_fewer_values_than_its_shape_is_an_error() {
        let bytes = bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        let length = bytes.len() as u64 + 24;
        assert!(read(bytes.as_slice(), length).is_ok());
        let short = read(bytes.as_slice(), length - 1).unwrap_err();
        assert!(short.starts_with("it is cut short"), "{short}");
        let long = read(bytes.as_slice(), length + 1).unwrap_err();
        assert!(long.starts_with("it is too long"), "{long}");
    }

    #[test]
    fn promised_sizes_are_not_believed() {
        let shape = format!("({}, {})", usize::MAX / 2, 8);
        let overflow = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        assert!(parse(&overflow).unwrap_err().contains("larger than any file"));
        let long_header = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}";
        assert!(read(&long_header[..], 14).unwrap_err().contains("4294967295 bytes"));
    }
}
