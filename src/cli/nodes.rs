//! `emorun nodes`: what there is to build experiments from, kinds of nodes and settings.

use std::fmt::Write as _;

use clap::Args;
use emorun_lang::{KINDED_MARK, KindInfo, KindSet as _, Section, nearest, schema_of};
use serde_json::{Map, Value, json};

use super::print;
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_nodes::kinds::Kinds;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to show with all its fields: a kind of node (log_mel), a setting by its path (split, training,
    /// training.optimizer), or one of a setting's kinds (adam, cosine, folds). Everything there is when left out.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn nodes(arguments: &Arguments) -> Result<(), Failure> {
    let kinds = Kinds::default();
    let settings = Topics::new(&schema_of::<Settings>());
    let Some(name) = &arguments.name else {
        print(&list(kinds.kinds(), &settings));
        return Ok(());
    };
    let mut texts: Vec<String> = kinds.kind(name).map(describe).into_iter().collect();
    texts.extend(settings.named(name));
    if !texts.is_empty() {
        print(&texts.join("\n"));
        return Ok(());
    }
    let paths = settings.0.iter().flat_map(|topic| [topic.path.as_str(), topic.last()]);
    let known = kinds.kinds().iter().map(|kind| kind.name).chain(paths);
    let help = nearest(name, known).map_or_else(String::new, |known| format!("did you mean `{known}`? "));
    Err(Failure::Usage(format!(
        "there is no kind or setting `{name}`; {help}`emorun nodes` lists all"
    )))
}

fn list(kinds: &[KindInfo], settings: &Topics) -> String {
    let paths = settings.0.iter().filter(|topic| !topic.is_kind);
    let width = kinds
        .iter()
        .map(|kind| kind.name.len())
        .chain(paths.clone().map(|topic| topic.path.len()))
        .max()
        .unwrap_or(0);
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
    text.push_str("settings\n");
    for topic in paths {
        let description = topic.description.replace('\n', " ");
        let (sentence, _) = description.split_once(". ").unwrap_or((&description, ""));
        let _ = writeln!(text, "  {:width$}  {}", topic.path, sentence.trim_end_matches('.'));
    }
    text.push_str("\nShow one with all its fields: emorun nodes NAME (log_mel, training.optimizer, adam, …)\n");
    text
}

fn describe(kind: &KindInfo) -> String {
    let schema = (kind.schema)();
    let mut text = format!("{} (in {})\n", kind.name, kind.section.name());
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
    fields(&schema, 1, &mut text);
    text
}

/// What there is to know of a setting, or of one kind of it.
struct Topic {
    /// Dotted path in the file; a kind's own name at the end of the path of what it is a kind of.
    path: String,
    /// First what it is.
    description: String,
    /// All of it.
    text: String,
    /// Whether it is a kind or form of a setting rather than a setting.
    is_kind: bool,
}

impl Topic {
    fn last(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

/// The settings that have fields or kinds of their own, in the order of the file.
struct Topics(Vec<Topic>);

impl Topics {
    fn new(schema: &Value) -> Self {
        let mut topics = Self(Vec::new());
        let own = without_topics(schema);
        topics.push("settings", "What stands in the file beside the nodes.", &own, false);
        for (name, field) in properties(schema) {
            topics.add(name, field);
        }
        topics
    }

    /// The texts of all that `name` names, by its path or the end of it.
    fn named(&self, name: &str) -> Vec<String> {
        let by_path = self.0.iter().filter(|topic| topic.path == name);
        let found: Vec<&Topic> = by_path.collect();
        let found = if found.is_empty() {
            self.0.iter().filter(|topic| topic.last() == name).collect()
        } else {
            found
        };
        found.into_iter().map(|topic| topic.text.clone()).collect()
    }

    /// Adds a setting that is more than a value, with what lies below it.
    fn add(&mut self, path: &str, schema: &Value) {
        let description = schema["description"].as_str().unwrap_or_default();
        let forms = forms(schema);
        if forms.iter().any(|form| form.schema.is_some()) {
            let mut text = format!("{path}: {description}\n");
            for form in &forms {
                let _ = writeln!(text, "\n  {}", form.written);
                let about = form.description.unwrap_or_default();
                about.lines().for_each(|line| _ = writeln!(text, "      {line}"));
                if let Some(inner) = form.schema {
                    fields(inner, 2, &mut text);
                }
            }
            self.0.push(Topic {
                path: path.to_owned(),
                description: description.to_owned(),
                text,
                is_kind: false,
            });
            for form in forms {
                if let Some(inner) = form.schema {
                    let about = form.description.unwrap_or_default();
                    self.push(&format!("{path}.{}", form.name), about, inner, true);
                    let above = if form.is_kind {
                        path.to_owned()
                    } else {
                        format!("{path}.{}", form.name)
                    };
                    for (name, field) in properties(inner) {
                        self.add(&format!("{above}.{name}"), field);
                    }
                }
            }
        } else if let Some(object) = record(schema) {
            self.push(path, description, object, false);
            for (name, field) in properties(object) {
                self.add(&format!("{path}.{name}"), field);
            }
        }
    }

    fn push(&mut self, path: &str, description: &str, schema: &Value, is_kind: bool) {
        let mut text = format!("{path}: {description}\n\nfields:\n");
        fields(schema, 1, &mut text);
        self.0.push(Topic {
            path: path.to_owned(),
            description: description.to_owned(),
            text,
            is_kind,
        });
    }
}

/// The settings that are values, without those that have a page of their own.
fn without_topics(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.retain(|_, field| record(field).is_none() && forms(field).iter().all(|form| form.schema.is_none()));
    }
    schema
}

/// One of the forms in which a value can be written.
struct Form<'a> {
    name: &'a str,
    /// Whether `kind` tells it apart, so that its fields lie beside that and not below its name.
    is_kind: bool,
    /// As in a file.
    written: String,
    description: Option<&'a str>,
    /// Its fields, where it has any.
    schema: Option<&'a Value>,
}

/// The forms of a value that has several: kinds, words, and words with fields.
fn forms(schema: &Value) -> Vec<Form<'_>> {
    let kinded = schema[KINDED_MARK] == true;
    let mut found = Vec::new();
    for choice in choices(schema) {
        let description = choice["description"].as_str();
        if let Some(name) = choice.pointer("/properties/kind/const").and_then(Value::as_str) {
            found.push(Form {
                name,
                is_kind: true,
                written: format!("kind: {name}"),
                description,
                schema: Some(choice),
            });
        } else if !kinded && (choice["oneOf"].is_array() || choice["anyOf"].is_array()) {
            found.extend(forms(choice));
        } else if let Some((name, inner)) = properties(choice).next().filter(|_| properties(choice).count() == 1) {
            found.push(Form {
                name,
                is_kind: false,
                written: format!("{name}: {{ … }}"),
                description,
                schema: record(inner),
            });
        } else if let Some(name) = choice["const"].as_str() {
            found.push(Form {
                name,
                is_kind: false,
                written: name.to_owned(),
                description,
                schema: None,
            });
        }
    }
    found
}

fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    let keys = ["oneOf", "anyOf"];
    keys.into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

/// The schema of a mapping with known fields, which may be optional or stand in a list.
fn record(schema: &Value) -> Option<&Value> {
    if schema["properties"].is_object() {
        return Some(schema);
    }
    if schema["items"].is_object() {
        return record(&schema["items"]);
    }
    let mut present = choices(schema).filter(|choice| choice["type"] != "null");
    match (present.next(), present.next()) {
        (Some(only), None) if schema[KINDED_MARK] != true => record(only),
        _ => None,
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = schema["properties"].as_object().into_iter().flat_map(Map::iter);
    fields
        .map(|(name, field)| (name.as_str(), field))
        .filter(|(name, _)| *name != "kind")
}

/// Writes the fields of a mapping, each with its type, default, bounds and description.
fn fields(schema: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in properties(schema) {
        let kind = type_of(field);
        let rest = match field.get("default") {
            _ if required.contains(&name) => "required".to_owned(),
            Some(default) if !default.is_null() => format!("default {default}"),
            _ => "optional".to_owned(),
        };
        let _ = writeln!(text, "{indent}{name}: {kind}{}, {rest}", bounds(field));
        if let Some(description) = field["description"].as_str() {
            for line in description.lines() {
                let _ = writeln!(text, "{indent}    {line}");
            }
        }
        for (word, description) in words(&field["items"]) {
            let _ = writeln!(text, "{indent}    {word}");
            for line in description.lines() {
                let _ = writeln!(text, "{indent}        {line}");
            }
        }
    }
}

/// The words that a list can hold, where each is described.
fn words(items: &Value) -> impl Iterator<Item = (&str, &str)> {
    let words = items["oneOf"].as_array().into_iter().flatten();
    words.filter_map(|word| Some((word["const"].as_str()?, word["description"].as_str()?)))
}

/// Least and greatest value of a number.
fn bounds(field: &Value) -> String {
    match (field.get("minimum"), field.get("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of {least} or more"),
        (None, Some(most)) => format!(" up to {most}"),
        (None, None) => String::new(),
    }
}

/// The type of a field in a few words.
fn type_of(field: &Value) -> String {
    if field["x-edge"].is_string() {
        return "reference to a port".into();
    }
    if field["items"].is_object() {
        return format!("list of {}", type_of(&field["items"]));
    }
    match &field["type"] {
        Value::String(name) if name == "object" && record(field).is_some() => {
            let names: Vec<&str> = properties(field).map(|(name, _)| name).collect();
            format!("{{ {} }}", names.join(", "))
        }
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => {
            let words = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let words = words.map(str::to_owned);
            let all: Vec<String> = words.chain(choices(field).flat_map(ways_to_write)).collect();
            if all.is_empty() {
                "value".into()
            } else {
                all.join(" | ")
            }
        }
    }
}

/// How one choice of a value can be written.
fn ways_to_write(choice: &Value) -> Vec<String> {
    if choice["type"] == "null" {
        return Vec::new();
    }
    if choices(choice).next().is_some() {
        return choices(choice).flat_map(ways_to_write).collect();
    }
    let only = json!({ "oneOf": [choice] });
    let forms = forms(&only);
    if forms.is_empty() {
        return vec![type_of(choice)];
    }
    forms.into_iter().map(|form| form.written).collect()
}
