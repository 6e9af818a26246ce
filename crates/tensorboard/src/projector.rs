//! The files of TensorBoard's projector: vectors, what is known of each, and a picture of each.
//!
//! The plugin reads `projector_config.pbtxt` in a run's directory, and the files that it names, which lie beside it.

use std::fmt::Write as _;

/// Name of the configuration.
pub const CONFIG_FILE: &str = "projector_config.pbtxt";
/// Most pictures that a sprite has: the page holds it as one texture.
pub const MOST_PICTURES: usize = 2048;

/// A tensor of the projector and its files, by their names.
#[derive(Clone, Copy, Debug)]
pub struct ProjectorTensor<'a> {
    /// Its name in the list.
    pub name: &'a str,
    /// Vectors, a line each, as [`vectors_tsv`] writes them.
    pub vectors: &'a str,
    /// What is known of each, as [`metadata_tsv`] writes it.
    pub metadata: &'a str,
    /// The sprite, and width and height of one of its pictures in pixels.
    pub sprite: Option<(&'a str, [u32; 2])>,
}

/// The configuration as protobuf text.
pub fn projector_config(tensors: &[ProjectorTensor<'_>]) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    for tensor in tensors {
        let _ = writeln!(text, "embeddings {{\n  tensor_name: {}", quoted(tensor.name));
        let _ = writeln!(text, "  tensor_path: {}", quoted(tensor.vectors));
        let _ = writeln!(text, "  metadata_path: {}", quoted(tensor.metadata));
        if let Some((path, [width, height])) = tensor.sprite {
            let _ = writeln!(text, "  sprite {{\n    image_path: {}", quoted(path));
            let _ = writeln!(
                text,
                "    single_image_dim: {width}\n    single_image_dim: {height}\n  }}"
            );
        }
        text.push_str("}\n");
    }
    text
}

/// A string of protobuf text: bytes that could end it are written by number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=31 | 127..=255 => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
            _ => quoted.push(char::from(byte)),
        }
    }
    quoted.push('"');
    quoted
}

/// Vectors, a line each, numbers parted by tabs.
pub fn vectors_tsv<V: AsRef<[f32]>>(vectors: &[V]) -> String {
    let line = |vector: &V| {
        let numbers: Vec<String> = vector.as_ref().iter().map(f32::to_string).collect();
        numbers.join("\t") + "\n"
    };
    vectors.iter().map(line).collect()
}

/// What is known of each vector: a line with the columns' names, which are at least two, then one for each. What would
/// end a field or a line in a name is a space.
pub fn metadata_tsv(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |fields: &[String]| {
        let fields: Vec<String> = fields.iter().map(|field| plain(field)).collect();
        fields.join("\t") + "\n"
    };
    let header: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let rows = rows.into_iter().map(|row| line(&row));
    std::iter::once(line(&header)).chain(rows).collect()
}

fn plain(field: &str) -> String {
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    field.chars().map(|c| if ends(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_end_no_string_no_field_and_no_line() {
        let tensor = ProjectorTensor {
            name: "a\"\n}é",
            vectors: "v.tsv",
            metadata: "m.tsv",
            sprite: Some(("s.png", [48, 32])),
        };
        let config = projector_config(&[tensor]);
        assert!(config.contains("tensor_name: \"a\\042\\012}\\303\\251\"\n"), "{config}");
        assert!(config.contains("single_image_dim: 48\n    single_image_dim: 32\n"));
        let rows = [vec!["a\tb\r\n".to_owned(), "<c>\u{2028}".to_owned()]];
        assert_eq!(metadata_tsv(&["item", "emotion"], rows), "item\temotion\na b  \t<c> \n");
        assert_eq!(vectors_tsv(&[[1.5, -0.25], [0.0, 1e-7]]), "1.5\t-0.25\n0\t0.0000001\n");
    }
}
