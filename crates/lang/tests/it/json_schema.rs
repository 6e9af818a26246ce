//! The JSON Schema of experiment files.

use serde_json::Value;

use crate::toy::language;

/// Calls `visit` on every schema of a document with the path to it.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                walk(value, &format!("{path}/{key}"), visit);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}/{at}"), visit);
            }
        }
        _ => {}
    }
}

#[test]
fn every_property_has_a_description() {
    let mut bare = Vec::new();
    let mut seen = 0;
    walk(&language().schema(), "", &mut |path, schema| {
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            seen += 1;
            if property.get("description").is_none() {
                bare.push(format!("{path}/properties/{name}"));
            }
        }
    });
    assert!(seen > 50, "{seen} properties");
    assert!(bare.is_empty(), "no description: {bare:#?}");
}

#[test]
fn every_reference_leads_somewhere() {
    let schema = language().schema();
    let mut count = 0;
    walk(&schema, "", &mut |path, part| {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
            count += 1;
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference} at {path}");
        }
    });
    assert!(count > 20, "{count} references");
}

#[test]
fn the_schema_of_a_kind_is_as_editors_see_it() {
    let schema = language().schema();
    insta::assert_json_snapshot!("schema_hubert", schema["$defs"]["encoders.hubert"]);
    insta::assert_json_snapshot!("schema_training", schema["$defs"]["complete"]["properties"]["training"]);
    insta::assert_json_snapshot!(
        "schema_encoders_derived",
        schema["$defs"]["derived"]["properties"]["encoders"]
    );
}
