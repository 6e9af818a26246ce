//! The JSON Schema of a whole experiment file, for editors and validators.

use serde_json::{Map, Value as Json, json};

use crate::kind::{KindInfo, Section};
use crate::kinded::{KINDED_MARK, kind_schema};
use crate::shape::tag;

/// The schema (draft 2020-12) of experiment files over the given settings and kinds.
///
/// A file with `extends` may leave out what it takes from another file and may remove nodes with
/// `null`; a file without must be complete.
pub fn experiment_schema(settings: &Json, kinds: &[KindInfo]) -> Json {
    let mut definitions = Map::new();
    let mut properties = Map::new();
    properties.insert(
        "extends".to_owned(),
        json!({
            "description": "File, or list of files, that this one is laid over; paths are relative to this file's folder.",
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" } },
            ],
        }),
    );
    let mut settings = settings.clone();
    hoist(&mut settings, "settings", &mut definitions);
    if let Some(Json::Object(fields)) = settings.get_mut("properties").map(Json::take) {
        properties.extend(fields);
    }
    for section in Section::ALL {
        let mut alternatives = Vec::new();
        for kind in kinds.iter().filter(|kind| kind.section == section) {
            let mut schema = kind_schema(kind.name, (kind.schema)());
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".to_owned(), kind.summary.into());
            }
            if let Some(description) = schema.pointer_mut("/properties/kind/description") {
                *description = kind.summary.into();
            }
            hoist(&mut schema, kind.name, &mut definitions);
            let name = format!("{section}.{}", kind.name);
            definitions.insert(name.clone(), schema);
            alternatives.push(json!({ "$ref": format!("#/$defs/{name}") }));
        }
        if alternatives.is_empty() {
            continue;
        }
        properties.insert(
            section.name().to_owned(),
            json!({
                "description": section.summary(),
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$", "not": { "const": "data" } },
                "additionalProperties": { KINDED_MARK: true, "oneOf": alternatives },
            }),
        );
    }
    let complete = json!({
        "properties": properties,
        "required": settings.get("required").cloned().unwrap_or_else(|| json!([])),
        "additionalProperties": false,
    });
    let mut derived = complete.clone();
    loosen(&mut derived);
    let loosened: Vec<(String, Json)> = definitions
        .iter()
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            loosen(&mut schema);
            (format!("{name}{DERIVED}"), schema)
        })
        .collect();
    definitions.extend(loosened);
    for section in Section::ALL {
        let pointer = format!("/properties/{section}/additionalProperties");
        if let Some(node) = derived.pointer_mut(&pointer) {
            *node = json!({ "anyOf": [{ "type": "null" }, node.take()] });
        }
    }
    definitions.insert("complete".to_owned(), complete);
    definitions.insert("derived".to_owned(), derived);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "emorun experiment",
        "description": "An experiment on speech and emotion: settings, and named nodes that make a graph.",
        "type": "object",
        "if": { "required": ["extends"] },
        "then": { "$ref": "#/$defs/derived" },
        "else": { "$ref": "#/$defs/complete" },
    });
    if let Some(object) = schema.as_object_mut() {
        object.insert("$defs".to_owned(), Json::Object(definitions));
    }
    schema
}

/// Ending of the names of definitions for files that extend others.
const DERIVED: &str = ".derived";

/// Moves the definitions of a schema to those of the file, under names of their own.
fn hoist(schema: &mut Json, prefix: &str, definitions: &mut Map<String, Json>) {
    let own = schema.as_object_mut().and_then(|object| object.remove("$defs"));
    requalify(schema, prefix);
    if let Some(Json::Object(own)) = own {
        for (name, mut definition) in own {
            requalify(&mut definition, prefix);
            definitions.insert(format!("{prefix}.{name}"), definition);
        }
    }
}

fn requalify(schema: &mut Json, prefix: &str) {
    match schema {
        Json::Object(object) => {
            for (key, value) in object {
                match value {
                    Json::String(reference) if key == "$ref" => {
                        if let Some(name) = reference.strip_prefix("#/$defs/") {
                            *reference = format!("#/$defs/{prefix}.{name}");
                        }
                    }
                    other => requalify(other, prefix),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| requalify(item, prefix)),
        _ => {}
    }
}

/// Turns the schema of a complete value into that of a part of one. Externally tagged variants
/// stay complete: their one key says which variant it is.
fn loosen(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            let is_tag = tag(object).is_some();
            if !is_tag {
                object.remove("required");
            }
            if object.contains_key(KINDED_MARK)
                && let Some(alternatives) = object.remove("oneOf")
            {
                // Without `kind` a part may fit several kinds.
                object.insert("anyOf".to_owned(), alternatives);
            }
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("$ref", Json::String(reference)) => reference.push_str(DERIVED),
                    // The keys below are names of fields, whatever they look like.
                    ("properties", Json::Object(fields)) => fields.values_mut().for_each(loosen),
                    (_, other) => loosen(other),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}
