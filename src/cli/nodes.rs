//! `emorun nodes`: what there is to build experiments from.

use std::fmt::Write as _;

use clap::Args;
use emorun_lang::{KindInfo, KindSet as _, Section};
use serde_json::Value;

use super::print;
use crate::exit::Failure;
use crate::kinds::Kinds;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Kind to show with all its fields; all kinds when left out.
    kind: Option<String>,
}

pub(super) fn nodes(arguments: &Arguments) -> Result<(), Failure> {
    let kinds = Kinds::default();
    match &arguments.kind {
        None => print(&list(kinds.kinds())),
        Some(name) => {
            let Some(kind) = kinds.kind(name) else {
                let names: Vec<&str> = kinds.kinds().iter().map(|kind| kind.name).collect();
                return Err(Failure::Usage(format!(
                    "there is no kind `{name}`; there are {}",
                    names.join(", ")
                )));
            };
            print(&describe(kind));
        }
    }
    Ok(())
}

fn list(kinds: &[KindInfo]) -> String {
    let width = kinds.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for section in Section::ALL {
        let members: Vec<&KindInfo> = kinds.iter().filter(|kind| kind.section == section).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", section.name());
        for kind in members {
            let _ = writeln!(text, "  {:width$}  {}", kind.name, kind.summary);
        }
    }
    text.push_str("\nShow one with all its fields: emorun nodes KIND\n");
    text
}

fn describe(kind: &KindInfo) -> String {
    let schema = (kind.schema)();
    let mut text = String::new();
    let _ = writeln!(text, "{} (in {})", kind.name, kind.section.name());
    if let Some(description) = schema["description"].as_str() {
        let _ = writeln!(text, "\n{description}");
    }
    for (title, value) in [
        ("inputs", kind.inputs),
        ("outputs", kind.outputs),
        ("source", kind.source),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "\n{title}: {value}");
        }
    }
    text.push_str("\nfields:\n");
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let kind = type_of(field);
        let rest = match field.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(default) if !default.is_null() => format!("default {default}"),
            _ => "optional".to_owned(),
        };
        let _ = writeln!(text, "  {name}: {kind}, {rest}");
        if let Some(description) = field["description"].as_str() {
            for line in description.lines() {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    text
}

/// The type of a field in a few words.
fn type_of(field: &Value) -> String {
    if field["x-edge"].is_string() {
        return "reference to a port".into();
    }
    match &field["type"] {
        Value::String(name) if name == "array" => format!("list of {}", type_of(&field["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => {
            let choices: Vec<String> = ["oneOf", "anyOf", "enum"]
                .iter()
                .filter_map(|key| field[*key].as_array())
                .flatten()
                .filter_map(|choice| {
                    let word = choice.as_str().or_else(|| choice["const"].as_str()).map(str::to_owned);
                    word.or_else(|| {
                        choice["properties"]
                            .as_object()
                            .and_then(|map| map.keys().next().map(|key| format!("{{ {key}: … }}")))
                    })
                })
                .collect();
            if choices.is_empty() {
                "value".into()
            } else {
                choices.join(" | ")
            }
        }
    }
}
