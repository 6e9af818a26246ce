//! Questions that are asked of one JSON Schema, without a value at hand.

use serde_json::{Map, Value as Json};

use crate::document::Value;
use crate::kinded::KINDED_MARK;
use crate::nearest::listed;
use crate::refs::{EDGE_MARK, PATH_MARK};

/// The alternatives of a schema that has some.
pub(crate) fn alternatives(schema: &Map<String, Json>) -> Option<&Vec<Json>> {
    schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Json::as_array)
}

/// Name and content of an externally tagged variant.
pub(crate) fn tag(schema: &Map<String, Json>) -> Option<(&str, &Json)> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    let (name, content) = properties.iter().next()?;
    let is_tag = properties.len() == 1
        && required.len() == 1
        && required.first()?.as_str() == Some(name)
        && schema.get("additionalProperties") == Some(&Json::Bool(false));
    is_tag.then_some((name, content))
}

/// The words that a schema of words allows.
pub(crate) fn leaf_words(schema: &Map<String, Json>) -> Vec<&str> {
    let constant = schema.get("const").and_then(Json::as_str);
    let several = schema.get("enum").and_then(Json::as_array);
    constant
        .into_iter()
        .chain(several.into_iter().flatten().filter_map(Json::as_str))
        .collect()
}

/// The names of the JSON types that a schema allows; none if it allows all.
fn types(schema: &Map<String, Json>) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ if schema.contains_key(KINDED_MARK) => vec!["object"],
        _ => Vec::new(),
    }
}

/// True if a schema allows values of this type.
pub(crate) fn accepts(schema: &Map<String, Json>, value: &Value) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|name| {
            matches!(
                (*name, value),
                ("null", Value::Null)
                    | ("boolean", Value::Bool(_))
                    | ("integer", Value::Int(_))
                    | ("number", Value::Int(_) | Value::Float(_))
                    | ("string", Value::Str(_))
                    | ("array", Value::Seq(_))
                    | ("object", Value::Map(_))
            )
        })
}

/// What a schema takes, for people.
pub(crate) fn wanted(schema: &Map<String, Json>) -> String {
    let words = leaf_words(schema);
    if !words.is_empty() {
        return listed(&words);
    }
    if let Some((name, _)) = tag(schema) {
        return format!("`{{ {name}: … }}`");
    }
    if schema.contains_key(KINDED_MARK) {
        return "a mapping with `kind`".to_owned();
    }
    let names: Vec<&str> = types(schema)
        .into_iter()
        .map(|name| match name {
            "boolean" => "`true` or `false`",
            "integer" => "an integer",
            "number" => "a number",
            "string" if schema.contains_key(EDGE_MARK) => "the name of a node or port",
            "string" if schema.contains_key(PATH_MARK) => "a path",
            "string" => "a string",
            "array" => "a list",
            "object" => "a mapping",
            other => other,
        })
        .collect();
    names.join(" or ")
}

/// True if a scalar is the JSON value.
pub(crate) fn equals(value: &Value, json: &Json) -> bool {
    match value {
        Value::Null => json.is_null(),
        Value::Bool(value) => json.as_bool() == Some(*value),
        Value::Int(value) => json.as_i64() == Some(*value),
        Value::Float(value) => json.as_f64() == Some(*value),
        Value::Str(text) => json.as_str() == Some(text),
        Value::Seq(_) | Value::Map(_) => false,
    }
}

/// First paragraph of a schema's description, on one line.
pub(crate) fn summary(schema: &Json) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let paragraph = text.split("\n\n").next()?;
    Some(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// True if references or paths can stand below.
pub(crate) fn is_marked(schema: &Json) -> bool {
    match schema {
        Json::Object(object) => {
            object.contains_key(EDGE_MARK) || object.contains_key(PATH_MARK) || object.values().any(is_marked)
        }
        Json::Array(items) => items.iter().any(is_marked),
        _ => false,
    }
}
