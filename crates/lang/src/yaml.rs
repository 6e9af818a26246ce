//! Writing YAML that this and other parsers read back to the same value.

use serde_json::{Map, Value as Json};

use crate::document::Value;
use crate::scalar;

/// Widest list that is written on one line, in characters.
const MAX_FLOW: usize = 80;

/// The YAML text of a JSON value: mappings as blocks, short lists of scalars on one line.
pub fn to_yaml(value: &Json) -> String {
    let mut out = String::new();
    match value {
        Json::Object(map) if !map.is_empty() => block_map(&mut out, map, 0),
        Json::Array(items) if !items.is_empty() => block_seq(&mut out, items, 0),
        other => {
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
    out
}

fn block_map(out: &mut String, map: &Map<String, Json>, indent: usize) {
    for (at, (key, value)) in map.iter().enumerate() {
        // The first key of a mapping in a list stands behind the dash.
        if at > 0 || !out.ends_with("- ") {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&string(key));
        out.push(':');
        block_value(out, value, indent, indent + 2);
    }
}

fn block_seq(out: &mut String, items: &[Json], indent: usize) {
    for item in items {
        out.push_str(&" ".repeat(indent));
        out.push_str("- ");
        match item {
            Json::Object(map) if !map.is_empty() => block_map(out, map, indent + 2),
            Json::Array(inner) if flow(inner).is_none() && !inner.is_empty() => {
                out.truncate(out.len() - 1);
                out.push('\n');
                block_seq(out, inner, indent + 2);
            }
            other => {
                out.push_str(&inline(other));
                out.push('\n');
            }
        }
    }
}

fn block_value(out: &mut String, value: &Json, seq_indent: usize, indent: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push('\n');
            block_map(out, map, indent);
        }
        Json::Array(items) if flow(items).is_none() && !items.is_empty() => {
            out.push('\n');
            block_seq(out, items, seq_indent);
        }
        other => {
            out.push(' ');
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

/// Scalars, empty collections and short lists of scalars.
fn inline(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => {
            let text = number.to_string();
            // YAML 1.1 parsers want a point in the mantissa.
            match text.split_once(['e', 'E']) {
                Some((mantissa, exponent)) if !mantissa.contains('.') => {
                    format!("{mantissa}.0e{exponent}")
                }
                _ => text,
            }
        }
        Json::String(text) => string(text),
        Json::Array(items) => flow(items).unwrap_or_else(|| "[]".to_owned()),
        Json::Object(_) => "{}".to_owned(),
    }
}

fn flow(items: &[Json]) -> Option<String> {
    if items.iter().any(|item| item.is_array() || item.is_object()) {
        return None;
    }
    let texts: Vec<String> = items.iter().map(inline).collect();
    let text = format!("[{}]", texts.join(", "));
    (text.chars().count() <= MAX_FLOW).then_some(text)
}

/// A string, plain where every YAML parser reads it as one.
fn string(text: &str) -> String {
    // YAML 1.1 reads these as booleans.
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || "_/".contains(first));
    let is_plain = starts_well
        && text.len() <= 120
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-./+".contains(character))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && matches!(scalar::resolve(text), Value::Str(_));
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// The double-quoted form, everything escaped that a parser may change or refuse.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(character),
            letter if letter.is_alphanumeric() => out.push(letter),
            other => {
                let code = u32::from(other);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push('"');
    out
}
