//! The description of what programs ask, as OpenAPI.

/// The document of `/openapi.json`, without this program's version.
const DOCUMENT: &str = include_str!("openapi.json");
/// What stands for the version in it.
const VERSION: &str = "0.0.0-version";

/// The document of `/openapi.json`. A test holds it against the routes, others hold answers against it.
pub(crate) fn document() -> String {
    DOCUMENT.replace(VERSION, env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Endpoint;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_tells_every_route_and_no_other() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut told = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let is_open = operation["security"] == serde_json::json!([]);
                assert!(!operation["summary"].as_str().unwrap().is_empty());
                told.insert((path.clone(), method.clone(), !is_open));
            }
        }
        let routes = Endpoint::ALL.map(|route| (route.path().to_owned(), route.method().to_owned(), route.is_secret()));
        assert_eq!(told, routes.into());
    }

    /// Every `$ref` in a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "$ref" => found.push(text.to_owned()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn what_the_document_refers_to_is_in_it() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}
