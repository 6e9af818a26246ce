//! Checks a tree against a JSON Schema, collecting every mistake, and finds references in it.
//!
//! It knows the part of JSON Schema that schemars makes of Rust types, and three marks of our own:
//! `x-kinded` (alternatives by `kind`), `x-edge` (references) and `x-path` (paths, which it makes
//! absolute). Objects with properties are closed: an unknown key is always a mistake.

use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::{Entry, Tree, Value};
use crate::kinded::KINDED_MARK;
use crate::nearest::{listed, suggestion};
use crate::refs::{EDGE_MARK, FOLDER_MARK, PATH_MARK, folder_name_problem};
use crate::shape::{accepts, alternatives, equals, is_marked, leaf_words, summary, tag, wanted};
use crate::source::Span;

/// Deepest chain of `$ref`s and alternatives that is followed.
const MAX_SCHEMA_DEPTH: usize = 128;

/// How one node depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// It takes the other's output; acyclic within a step.
    Data,
    /// It holds the other as a callable.
    Uses,
}

/// A reference as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawEdge {
    /// Dotted path of the field.
    pub port: String,
    /// Text of the reference.
    pub target: String,
    pub kind: EdgeKind,
    pub span: Span,
}

/// What a tree is checked against.
pub(crate) struct Check<'a> {
    /// The schema; `$ref`s are resolved in it.
    pub schema: &'a Json,
    /// Dotted path of the tree in the file, for messages.
    pub path: &'a str,
    /// Names that are known beside the schema's own at the top of the tree, for suggestions.
    pub also_known: &'a [&'a str],
    /// The folder against which paths are made absolute.
    pub working_directory: &'a Path,
}

impl Check<'_> {
    /// Checks `tree`; what it lacks is reported at `at`. Returns its references in the order of
    /// the schema's walk. Absent references and paths that have a default are added to the tree.
    pub fn run(&self, tree: &mut Tree, at: Span, report: &mut Report) -> Vec<RawEdge> {
        let mut walk = Walk {
            check: self,
            report,
            path: Vec::new(),
            edges: Vec::new(),
        };
        walk.value(tree, self.schema, at, 0);
        walk.edges
    }
}

struct Walk<'a> {
    check: &'a Check<'a>,
    report: &'a mut Report,
    path: Vec<String>,
    edges: Vec<RawEdge>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, tree: &mut Tree, schema: &'a Json, at: Span, depth: usize) {
        let schema = self.resolve(schema);
        let Some(object) = schema.as_object() else {
            return;
        };
        if depth > MAX_SCHEMA_DEPTH {
            return;
        }
        for part in object.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.value(tree, part, at, depth + 1);
        }
        if alternatives(object).is_some() && !object.contains_key(KINDED_MARK) {
            return self.alternative(tree, schema, at, depth);
        }
        self.leaf(tree, object, at, depth);
    }

    fn resolve(&self, mut schema: &'a Json) -> &'a Json {
        for _ in 0..MAX_SCHEMA_DEPTH {
            let target = schema
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.check.schema.pointer(pointer));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// Dotted path of the current value in the file.
    fn full_path(&self) -> String {
        let inner = self.path.join(".");
        match (self.check.path, inner.as_str()) {
            ("", "") => "the file".to_owned(),
            ("", inner) => format!("`{inner}`"),
            (outer, "") => format!("`{outer}`"),
            (outer, inner) => format!("`{outer}.{inner}`"),
        }
    }

    fn push(&mut self, code: Code, message: String, span: Span, label: String, help: Option<String>) {
        self.report
            .push(Diagnostic::error(code, message).label(span, label).maybe_help(help));
    }

    fn wrong_type(&mut self, tree: &Tree, wanted: &str) {
        let message = format!("{} must be {wanted}", self.full_path());
        let found = format!("found {}", tree.describe());
        self.push(Code::WrongType, message, tree.span, found, None);
    }

    /// Help for a word that is not known; none once the report is full, as it costs time.
    fn suggest(&self, word: &str, known: &[&str], what: &str) -> Option<String> {
        if self.report.is_full() {
            return None;
        }
        suggestion(word, known, what)
    }

    fn one_of(&mut self, tree: &Tree, allowed: &[Json]) {
        if allowed.iter().any(|json| equals(&tree.value, json)) {
            return;
        }
        let words: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        match tree.as_str() {
            Some(word) => self.unknown_word(word, tree.span, &words),
            None => {
                let texts: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                self.wrong_type(tree, &format!("one of {}", texts.join(", ")));
            }
        }
    }

    fn unknown_word(&mut self, word: &str, span: Span, known: &[&str]) {
        let message = format!("`{word}` is not a value of {}", self.full_path());
        let help = self.suggest(word, known, "known values");
        self.push(Code::UnknownValue, message, span, "unknown value".into(), help);
    }

    fn kinded(&mut self, tree: &mut Tree, schema: &'a Map<String, Json>, at: Span, depth: usize) {
        if !matches!(tree.value, Value::Map(_)) {
            return self.wrong_type(tree, "a mapping with `kind`");
        }
        let alternatives: Vec<(&str, &Json)> = alternatives(schema)
            .into_iter()
            .flatten()
            .filter_map(|schema| {
                let kind = schema.pointer("/properties/kind/const")?.as_str()?;
                Some((kind, schema))
            })
            .collect();
        let kinds: Vec<&str> = alternatives.iter().map(|(kind, _)| *kind).collect();
        let Some(entry) = tree.entry("kind") else {
            let message = format!("{} lacks the key `kind`", self.full_path());
            let help = format!("kinds are {}", listed(&kinds));
            return self.push(Code::MissingKey, message, at, "`kind` is required".into(), Some(help));
        };
        let (kind_tree, span) = (entry.value.clone(), entry.value.span);
        let Some(kind) = kind_tree.as_str() else {
            self.path.push("kind".into());
            self.wrong_type(&kind_tree, "a word");
            self.path.pop();
            return;
        };
        match alternatives.iter().find(|(name, _)| *name == kind) {
            Some((_, schema)) => self.value(tree, schema, at, depth + 1),
            None => {
                let message = format!("there is no kind `{kind}` of {}", self.full_path());
                let help = self.suggest(kind, &kinds, "kinds");
                self.push(Code::UnknownKind, message, span, "unknown kind".into(), help);
            }
        }
    }

    fn alternative(&mut self, tree: &mut Tree, schema: &'a Json, at: Span, depth: usize) {
        let mut leaves = Vec::new();
        self.leaves(schema, &mut leaves, depth);
        if tree.value == Value::Null && leaves.iter().any(|leaf| accepts(leaf, &tree.value)) {
            return;
        }
        leaves.retain(|leaf| leaf.get("type").and_then(Json::as_str) != Some("null"));
        if let [leaf] = leaves.as_slice() {
            return self.leaf(tree, leaf, at, depth);
        }
        let tags: Vec<(&str, &'a Json)> = leaves.iter().filter_map(|leaf| tag(leaf)).collect();
        let mut words: Vec<&str> = leaves.iter().flat_map(|leaf| leaf_words(leaf)).collect();
        let open: Vec<&'a Map<String, Json>> = leaves
            .iter()
            .copied()
            .filter(|leaf| tag(leaf).is_none() && leaf_words(leaf).is_empty() && accepts(leaf, &tree.value))
            .collect();
        match open.as_slice() {
            [] => {}
            [leaf] => return self.leaf(tree, leaf, at, depth),
            several => return self.trial(tree, several, at, depth),
        }
        match &mut tree.value {
            Value::Str(word) if !(words.is_empty() && tags.is_empty()) => {
                if words.contains(&word.as_str()) {
                    return;
                }
                let word = word.clone();
                if tags.iter().any(|(name, _)| *name == word) {
                    let message = format!("`{word}` needs a value in {}", self.full_path());
                    let help = format!("write `{{ {word}: … }}`");
                    let label = "a value is missing".to_owned();
                    return self.push(Code::WrongType, message, tree.span, label, Some(help));
                }
                words.extend(tags.iter().map(|(name, _)| name));
                self.unknown_word(&word, tree.span, &words);
            }
            Value::Map(entries) if !tags.is_empty() => {
                let names: Vec<&str> = tags.iter().map(|(name, _)| *name).collect();
                let [entry] = entries.as_mut_slice() else {
                    let wanted = format!("a mapping with one key of {}", listed(&names));
                    return self.wrong_type(tree, &wanted);
                };
                match tags.iter().find(|(name, _)| *name == entry.key) {
                    Some((_, schema)) => {
                        self.path.push(entry.key.clone());
                        self.value(&mut entry.value, schema, entry.key_span, depth + 1);
                        self.path.pop();
                    }
                    None if words.contains(&entry.key.as_str()) => {
                        let message = format!("`{}` takes no value in {}", entry.key, self.full_path());
                        let help = format!("write `{}` alone", entry.key);
                        let (span, label) = (entry.key_span, "a word of its own".to_owned());
                        self.push(Code::WrongType, message, span, label, Some(help));
                    }
                    None => {
                        words.extend(names);
                        let (key, span) = (entry.key.clone(), entry.key_span);
                        self.unknown_word(&key, span, &words);
                    }
                }
            }
            _ => {
                let mut wanted: Vec<String> = leaves.iter().map(|leaf| wanted(leaf)).collect();
                wanted.dedup();
                self.wrong_type(tree, &wanted.join(" or "));
            }
        }
    }

    /// The alternatives with nested ones spread out.
    fn leaves(&self, schema: &'a Json, leaves: &mut Vec<&'a Map<String, Json>>, depth: usize) {
        let Some(object) = self.resolve(schema).as_object() else {
            return;
        };
        match alternatives(object) {
            Some(inner) if !object.contains_key(KINDED_MARK) && depth < MAX_SCHEMA_DEPTH => {
                for schema in inner {
                    self.leaves(schema, leaves, depth + 1);
                }
            }
            _ => leaves.push(object),
        }
    }

    fn leaf(&mut self, tree: &mut Tree, leaf: &'a Map<String, Json>, at: Span, depth: usize) {
        if leaf.contains_key(KINDED_MARK) {
            return self.kinded(tree, leaf, at, depth);
        }
        if let Some(constant) = leaf.get("const") {
            return self.one_of(tree, std::slice::from_ref(constant));
        }
        if let Some(allowed) = leaf.get("enum").and_then(Json::as_array) {
            return self.one_of(tree, allowed);
        }
        if !accepts(leaf, &tree.value) {
            return self.wrong_type(tree, &wanted(leaf));
        }
        match &mut tree.value {
            Value::Map(_) => self.object(tree, leaf, at, depth),
            Value::Seq(_) => self.array(tree, leaf, depth),
            Value::Int(_) | Value::Float(_) => self.number(tree, leaf),
            Value::Str(_) => self.string(tree, leaf),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Takes the first alternative without mistakes, else reports those of the nearest one.
    fn trial(&mut self, tree: &mut Tree, leaves: &[&'a Map<String, Json>], at: Span, depth: usize) {
        let mut best: Option<(Tree, Report, Vec<RawEdge>)> = None;
        for leaf in leaves {
            let mut copy = tree.clone();
            let mut report = Report::new();
            let mut walk = Walk {
                check: self.check,
                report: &mut report,
                path: self.path.clone(),
                edges: Vec::new(),
            };
            walk.leaf(&mut copy, leaf, at, depth);
            let edges = walk.edges;
            let is_better = best
                .as_ref()
                .is_none_or(|(_, least, _)| report.errors() < least.errors());
            if is_better {
                best = Some((copy, report, edges));
            }
        }
        if let Some((copy, report, edges)) = best {
            *tree = copy;
            self.report.extend(report);
            self.edges.extend(edges);
        }
    }

    fn object(&mut self, tree: &mut Tree, schema: &'a Map<String, Json>, at: Span, depth: usize) {
        let Value::Map(entries) = &mut tree.value else {
            return;
        };
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema
            .get("patternProperties")
            .and_then(Json::as_object)
            .and_then(|patterns| patterns.values().next())
            .or_else(|| schema.get("additionalProperties"))
            .filter(|others| others.is_object() || **others == Json::Bool(true));
        let is_open = others.is_some() || (properties.is_none() && !schema.contains_key("additionalProperties"));
        let known = |name: &str| properties.and_then(|properties| properties.get(name));

        let least = schema.get("minProperties").and_then(Json::as_u64);
        self.length(entries.len(), least, None, "entries", tree.span);
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            if entries.iter().any(|entry| entry.key == name) {
                continue;
            }
            let message = format!("{} lacks the key `{name}`", self.full_path());
            let help = known(name).and_then(summary).map(|text| format!("`{name}`: {text}"));
            self.push(Code::MissingKey, message, at, format!("`{name}` is required"), help);
        }
        for (name, property) in properties.into_iter().flatten() {
            let default = property.get("default").filter(|default| !default.is_null());
            if let Some(default) = default
                && is_marked(property)
                && !entries.iter().any(|entry| entry.key == *name)
            {
                entries.push(Entry {
                    key: name.clone(),
                    key_span: at,
                    value: Tree::from_json(default, at),
                });
            }
        }
        for entry in entries {
            match known(&entry.key).or(others) {
                Some(schema) => {
                    self.path.push(entry.key.clone());
                    self.value(&mut entry.value, schema, entry.key_span, depth + 1);
                    self.path.pop();
                }
                None if is_open => {}
                None => {
                    let at_top = self.path.is_empty();
                    let mut names: Vec<&str> = properties
                        .into_iter()
                        .flat_map(|properties| properties.keys().map(String::as_str))
                        .collect();
                    if at_top {
                        names.extend(self.check.also_known);
                    }
                    let message = format!("unknown key `{}` in {}", entry.key, self.full_path());
                    let help = self.suggest(&entry.key, &names, "known keys");
                    self.push(Code::UnknownKey, message, entry.key_span, "unknown key".into(), help);
                }
            }
        }
    }

    fn array(&mut self, tree: &mut Tree, schema: &'a Map<String, Json>, depth: usize) {
        let Value::Seq(items) = &mut tree.value else {
            return;
        };
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
        let (least, most) = (bound("minItems"), bound("maxItems"));
        self.length(items.len(), least, most, "items", tree.span);
        let prefix = schema.get("prefixItems").and_then(Json::as_array);
        let rest = schema.get("items");
        for (index, item) in items.iter_mut().enumerate() {
            let schema = prefix.and_then(|prefix| prefix.get(index)).or(rest);
            if let Some(schema) = schema {
                self.path.push(index.to_string());
                let span = item.span;
                self.value(item, schema, span, depth + 1);
                self.path.pop();
            }
        }
    }

    fn length(&mut self, found: usize, least: Option<u64>, most: Option<u64>, what: &str, span: Span) {
        let count = found as u64;
        let wanted = match (least, most) {
            (Some(least), Some(most)) if least == most && count != least => format!("{least}"),
            (Some(least), _) if count < least => format!("at least {least}"),
            (_, Some(most)) if count > most => format!("at most {most}"),
            _ => return,
        };
        let message = match wanted.as_str() {
            "at least 1" => format!("{} must not be empty", self.full_path()),
            _ => format!("{} must have {wanted} {what}", self.full_path()),
        };
        self.push(Code::WrongLength, message, span, format!("found {found}"), None);
    }

    fn number(&mut self, tree: &Tree, schema: &Map<String, Json>) {
        let number = match tree.value {
            #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53 or at a type's end")]
            Value::Int(value) => value as f64,
            Value::Float(value) => value,
            _ => return,
        };
        if !number.is_finite() {
            return self.wrong_type(tree, "a finite number");
        }
        let limit = |key: &str| schema.get(key).and_then(Json::as_f64);
        let (type_least, type_most) = match schema.get("format").and_then(Json::as_str) {
            Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
            Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
            Some("float") => (Some(f64::from(f32::MIN)), Some(f64::from(f32::MAX))),
            _ => (None, None),
        };
        let wanted = [
            (
                limit("minimum").or(type_least),
                "at least",
                (|a, b| a >= b) as fn(f64, f64) -> bool,
            ),
            (limit("exclusiveMinimum"), "more than", |a, b| a > b),
            (limit("maximum").or(type_most), "at most", |a, b| a <= b),
            (limit("exclusiveMaximum"), "less than", |a, b| a < b),
            (limit("multipleOf"), "a multiple of", |a, b| b == 0.0 || a % b == 0.0),
        ];
        for (limit, wanted, holds) in wanted {
            if let Some(limit) = limit
                && !holds(number, limit)
            {
                let message = format!("{} must be {wanted} {limit}", self.full_path());
                let found = format!("found {number}");
                return self.push(Code::OutOfRange, message, tree.span, found, None);
            }
        }
    }

    fn string(&mut self, tree: &mut Tree, schema: &Map<String, Json>) {
        let span = tree.span;
        let Value::Str(text) = &mut tree.value else {
            return;
        };
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
        let (least, most) = (bound("minLength"), bound("maxLength"));
        let kind = match schema.get(EDGE_MARK).and_then(Json::as_str) {
            Some("data") => Some(EdgeKind::Data),
            Some("uses") => Some(EdgeKind::Uses),
            _ => None,
        };
        if let Some(kind) = kind {
            self.edges.push(RawEdge {
                port: self.path.join("."),
                target: text.clone(),
                kind,
                span,
            });
        }
        if schema.contains_key(PATH_MARK) && !text.is_empty() {
            let path = self.check.working_directory.join(&*text);
            *text = path.to_string_lossy().into_owned();
        }
        if schema.contains_key(FOLDER_MARK) {
            if let Some(problem) = folder_name_problem(text) {
                let message = format!(
                    "{} cannot be the name of a folder, which is made of it",
                    self.full_path()
                );
                self.push(Code::InvalidValue, message, span, problem.into(), None);
            }
            return;
        }
        let count = text.chars().count();
        self.length(count, least, most, "characters", span);
    }
}
