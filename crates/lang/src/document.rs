//! An experiment file as an ordered tree of values, each with its place in the text.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::scalar;
use crate::source::{SourceId, Sources, Span};

/// Largest text that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// Deepest nesting of sequences and mappings, aliases expanded.
pub const MAX_DEPTH: usize = 64;
/// Most values in a text, aliases expanded.
pub const MAX_NODES: usize = 100_000;
/// Most bytes of scalars in a text, aliases expanded.
const MAX_SCALAR_BYTES: usize = 4 * MAX_TEXT_BYTES;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The value.
    pub value: Value,
    /// Where it is written.
    pub span: Span,
}

/// A value of the YAML 1.2 core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    /// A number with fraction or exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Seq(Vec<Tree>),
    /// Entries in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is written.
    pub key_span: Span,
    /// The value.
    pub value: Tree,
}

impl Tree {
    /// An empty mapping at a place.
    pub fn empty_map(span: Span) -> Self {
        Self {
            value: Value::Map(Vec::new()),
            span,
        }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry with that key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value under a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value at a dotted path of keys and list indices, such as `training.optimizer.lr`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |tree, part| match &tree.value {
            Value::Seq(items) => items.get(part.parse::<usize>().ok()?),
            _ => tree.get(part),
        })
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages: `the string "x"`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value:?}"),
            Value::Str(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
            Value::Str(_) => "a long string".to_owned(),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The tree of a JSON value, all of it at one place.
    pub fn from_json(value: &serde_json::Value, span: Span) -> Self {
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int),
            serde_json::Value::String(text) => Value::Str(text.clone()),
            serde_json::Value::Array(items) => {
                Value::Seq(items.iter().map(|item| Self::from_json(item, span)).collect())
            }
            serde_json::Value::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        key_span: span,
                        value: Self::from_json(value, span),
                    })
                    .collect(),
            ),
        };
        Self { value, span }
    }
}

/// Reads one YAML document from a source.
///
/// Syntax errors and exceeded budgets end reading and give `None`; duplicate keys, tags and keys
/// that are not scalars are reported and reading goes on.
pub fn parse(sources: &Sources, source: SourceId, report: &mut Report) -> Option<Tree> {
    parse_range(sources, source, 0..sources.text(source).len(), report)
}

/// As [`parse`], for a part of a text.
pub(crate) fn parse_range(
    sources: &Sources,
    source: SourceId,
    range: Range<usize>,
    report: &mut Report,
) -> Option<Tree> {
    let text = sources.text(source).get(range.clone())?;
    let place = Place {
        source,
        offset: range.start,
    };
    if text.len() > MAX_TEXT_BYTES {
        report.push(
            Diagnostic::error(
                Code::TooLarge,
                format!("the text has {} bytes; at most {MAX_TEXT_BYTES} are read", text.len()),
            )
            .label(place.span(0..0), "in this text"),
        );
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(place, report);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let range = span.byte_range().unwrap_or(0..0);
                if let (Some(tag), Some(at)) = (event.tag(), span.tag_span()) {
                    let at = place.span(at.byte_range().unwrap_or(range.clone()));
                    builder.reject_tag(&tag.original(), at);
                }
                if let Err(stop) = builder.event(event, range) {
                    report.push(*stop);
                    return None;
                }
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
                let too_deep = matches!(error.kind(), granit_parser::ErrorKind::RecursionLimitExceeded);
                let mistake = if too_deep {
                    too_deep_at(place.span(at..at + 1))
                } else {
                    let mistake = Diagnostic::error(Code::Syntax, error.info());
                    let mistake = mistake.label(place.span(at..at + 1), "not valid YAML here");
                    match builder.open_bracket(text, at) {
                        Some(bracket) => mistake.label(bracket, "opened here and not closed"),
                        None => mistake,
                    }
                };
                report.push(mistake);
                return None;
            }
        }
    }
    let end = place.span(text.len()..text.len());
    Some(builder.root.unwrap_or(Tree {
        value: Value::Null,
        span: end,
    }))
}

fn too_deep_at(span: Span) -> Diagnostic {
    Diagnostic::error(Code::TooLarge, format!("nested more than {MAX_DEPTH} levels deep"))
        .label(span, "one level too deep")
}

/// Turns byte ranges of a part of a text into spans.
#[derive(Clone, Copy)]
struct Place {
    source: SourceId,
    offset: usize,
}

impl Place {
    fn span(self, range: Range<usize>) -> Span {
        Span {
            source: self.source,
            start: self.offset + range.start,
            end: self.offset + range.end.max(range.start),
        }
    }
}

/// How much memory and stack a tree takes.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

struct Frame {
    span: Span,
    anchor: usize,
    size: Size,
    content: Content,
}

enum Content {
    Seq(Vec<Tree>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Span>,
        key: Option<Key>,
    },
}

enum Key {
    Text(String, Span),
    /// A key that was reported; its value is read and dropped.
    Rejected,
}

/// A reason to stop reading; boxed to keep results small.
type Fatal = Box<Diagnostic>;

struct Builder<'a> {
    place: Place,
    report: &'a mut Report,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Tree, Size)>,
    total: Size,
    root: Option<Tree>,
    documents: usize,
}

impl<'a> Builder<'a> {
    fn new(place: Place, report: &'a mut Report) -> Self {
        Self {
            place,
            report,
            stack: Vec::new(),
            anchors: HashMap::new(),
            total: Size::default(),
            root: None,
            documents: 0,
        }
    }

    /// The outermost bracket or brace that is open since a line before `at`.
    fn open_bracket(&self, text: &str, at: usize) -> Option<Span> {
        // Block collections start with an empty span.
        let frame = self.stack.iter().find(|frame| frame.span.start < frame.span.end)?;
        let start = frame.span.start.checked_sub(self.place.offset)?;
        text.get(start..at)?.contains('\n').then_some(frame.span)
    }

    fn reject_tag(&mut self, tag: &str, span: Span) {
        self.report.push(
            Diagnostic::error(
                Code::UnsupportedYaml,
                format!("the tag `{tag}` is not part of the language"),
            )
            .label(span, "a tag")
            .help("write the value without it"),
        );
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) -> Result<(), Fatal> {
        let span = self.place.span(range);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Box::new(
                        Diagnostic::error(Code::UnsupportedYaml, "a file holds one document")
                            .label(span, "a second one starts here"),
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, span),
            Event::SequenceStart(_, anchor, _) => self.open(span, anchor, Content::Seq(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.open(
                span,
                anchor,
                Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => Err(Box::new(
                Diagnostic::error(Code::Syntax, format!("there is no anchor `&{name}`"))
                    .label(span, "refers to nothing above"),
            )),
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Fatal> {
        if self.expects_key() {
            return self.key(text, span);
        }
        let value = if style == ScalarStyle::Plain {
            scalar::resolve(text)
        } else {
            Value::Str(text.to_owned())
        };
        let size = Size {
            nodes: 1,
            bytes: text.len(),
            height: 0,
        };
        self.spend(size, span)?;
        self.complete(Tree { value, span }, anchor, size)
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: &str, span: Span) -> Result<(), Fatal> {
        self.spend(
            Size {
                nodes: 0,
                bytes: text.len(),
                height: 0,
            },
            span,
        )?;
        let Some(Frame {
            content: Content::Map { seen, key, .. },
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        if let Some(&first) = seen.get(text) {
            *key = Some(Key::Rejected);
            self.report.push(
                Diagnostic::error(Code::DuplicateKey, format!("the key `{text}` is given twice"))
                    .label(span, "given again here")
                    .label(first, "first given here")
                    .help("remove one of the two"),
            );
        } else {
            seen.insert(text.to_owned(), span);
            *key = Some(Key::Text(text.to_owned(), span));
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Fatal> {
        if self.expects_key() {
            return Err(Box::new(
                Diagnostic::error(Code::UnsupportedYaml, "a key must be a scalar, not a list or a mapping")
                    .label(span, "used as a key"),
            ));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(Box::new(too_deep_at(span)));
        }
        self.stack.push(Frame {
            span,
            anchor,
            size: Size {
                nodes: 1,
                bytes: 0,
                height: 1,
            },
            content,
        });
        self.spend(
            Size {
                nodes: 1,
                bytes: 0,
                height: 0,
            },
            span,
        )
    }

    fn close(&mut self, end: Span) -> Result<(), Fatal> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let last = match &frame.content {
            Content::Seq(items) => items.last().map(|item| item.span),
            Content::Map { entries, .. } => entries.last().map(|entry| entry.value.span),
        };
        // A block collection ends where the next token starts, lines below its last value.
        let span = if end.start == end.end {
            last.map_or(frame.span, |last| frame.span.to(last))
        } else {
            frame.span.to(end)
        };
        let value = match frame.content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.complete(Tree { value, span }, frame.anchor, frame.size)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Fatal> {
        if self.expects_key() {
            return Err(Box::new(
                Diagnostic::error(Code::UnsupportedYaml, "a key can't be an alias").label(span, "used as a key"),
            ));
        }
        let Some((tree, size)) = self.anchors.get(&id) else {
            return Err(Box::new(
                Diagnostic::error(Code::Syntax, "an alias can't stand inside its own anchor")
                    .label(span, "refers to a value that holds it"),
            ));
        };
        let (tree, size) = (tree, *size);
        if self.stack.len() + size.height > MAX_DEPTH {
            return Err(Box::new(too_deep_at(span)));
        }
        let exceeded = exceeds(self.total, size);
        if exceeded {
            return Err(Box::new(too_many_at(span)));
        }
        let tree = tree.clone();
        self.spend(size, span)?;
        self.complete(tree, 0, size)
    }

    /// Adds a complete value to what is open.
    fn complete(&mut self, tree: Tree, anchor: usize, size: Size) -> Result<(), Fatal> {
        if anchor != 0 {
            // The copy kept for later aliases counts too: anchors inside anchors are copied each.
            self.spend(size, tree.span)?;
            self.anchors.insert(anchor, (tree.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(tree);
            return Ok(());
        };
        frame.size.nodes += size.nodes;
        frame.size.bytes += size.bytes;
        frame.size.height = frame.size.height.max(size.height + 1);
        match &mut frame.content {
            Content::Seq(items) => items.push(tree),
            Content::Map { entries, key, .. } => {
                if let Some(Key::Text(key, key_span)) = key.take() {
                    entries.push(Entry {
                        key,
                        key_span,
                        value: tree,
                    });
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, size: Size, span: Span) -> Result<(), Fatal> {
        if exceeds(self.total, size) {
            return Err(Box::new(too_many_at(span)));
        }
        self.total.nodes += size.nodes;
        self.total.bytes += size.bytes;
        Ok(())
    }
}

fn exceeds(total: Size, more: Size) -> bool {
    total.nodes.saturating_add(more.nodes) > MAX_NODES || total.bytes.saturating_add(more.bytes) > MAX_SCALAR_BYTES
}

fn too_many_at(span: Span) -> Diagnostic {
    Diagnostic::error(
        Code::TooLarge,
        format!("more than {MAX_NODES} values once aliases are expanded"),
    )
    .label(span, "the limit is reached here")
}
