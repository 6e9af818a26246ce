//! Reading files with what they extend, and applying `--set`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::{Entry, MAX_DEPTH, MAX_TEXT_BYTES, Tree, Value, parse, parse_range};
use crate::kind::Section;
use crate::nearest::suggestion;
use crate::source::{SourceId, Sources, Span};

/// Most files of one experiment, counted each time they are read.
const MAX_FILES: usize = 64;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("the file does not exist")]
    NotFound,
    /// The file has more than [`MAX_TEXT_BYTES`].
    #[error("the file is larger than {MAX_TEXT_BYTES} bytes")]
    TooLarge,
    /// The file is no text.
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads `entry`, what it extends, and applies the `--set` arguments in their order.
///
/// `read` gives the text of a file; a path in `extends` is joined to the folder of the file that
/// names it. Later files override earlier ones: mappings merge deeply, sequences and scalars are
/// replaced, a changed `kind` replaces the whole mapping that holds it, and `null` in the place of
/// a node removes the node. A mapping given by `--set` replaces the one at its path.
///
/// Gives `None` where reading had to end; mistakes that it can go on after (duplicate keys, …) are
/// reported beside a tree.
pub fn load(
    entry: &str,
    sets: &[String],
    read: &mut dyn FnMut(&str) -> Result<String, ReadError>,
    sources: &mut Sources,
    report: &mut Report,
) -> Option<Tree> {
    let mut loader = Loader {
        read,
        sources,
        report,
        files: 0,
    };
    let mut tree = loader.file(entry, None, &mut Vec::new())?;
    for argument in sets {
        loader.set(&mut tree, argument);
    }
    Some(tree)
}

struct Loader<'a> {
    read: &'a mut dyn FnMut(&str) -> Result<String, ReadError>,
    sources: &'a mut Sources,
    report: &'a mut Report,
    files: usize,
}

impl Loader<'_> {
    /// A file and what it extends; `chain` holds the files that are being read.
    fn file(&mut self, path: &str, from: Option<Span>, chain: &mut Vec<String>) -> Option<Tree> {
        let fail = |this: &mut Self, code, message| {
            let mut diagnostic = Diagnostic::error(code, message);
            if let Some(span) = from {
                diagnostic = diagnostic.label(span, "extended here");
            }
            this.report.push(diagnostic);
            None
        };
        if let Some(start) = chain.iter().position(|open| open == path) {
            let circle = chain[start..]
                .iter()
                .map(String::as_str)
                .chain([path])
                .collect::<Vec<_>>()
                .join(" → ");
            let message = format!("files extend each other in a circle: {circle}");
            return fail(self, Code::ExtendsCycle, message);
        }
        self.files += 1;
        if self.files > MAX_FILES {
            let message = format!("more than {MAX_FILES} files are extended");
            return fail(self, Code::TooLarge, message);
        }
        let text = match (self.read)(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("can't read {path}: {error}");
                return fail(self, Code::UnreadableFile, message);
            }
        };
        let source = self.sources.add(path, text);
        let mut own = parse(self.sources, source, self.report)?;
        let Value::Map(entries) = &mut own.value else {
            self.report.push(
                Diagnostic::error(Code::WrongType, "the file must be a mapping")
                    .label(own.span, format!("found {}", own.describe())),
            );
            return None;
        };
        let extends = entries
            .iter()
            .position(|entry| entry.key == "extends")
            .map(|index| entries.remove(index).value);
        let mut tree = Tree::empty_map(own.span);
        if let Some(extends) = extends {
            chain.push(path.to_owned());
            for (base, span) in self.bases(&extends) {
                let base = self.file(&resolve(path, &base), Some(span), chain)?;
                merge(&mut tree, base, Level::Root, self.report);
            }
            chain.pop();
        }
        merge(&mut tree, own, Level::Root, self.report);
        Some(tree)
    }

    /// The paths of an `extends` value.
    fn bases(&mut self, extends: &Tree) -> Vec<(String, Span)> {
        let items = match &extends.value {
            Value::Seq(items) => items.as_slice(),
            _ => std::slice::from_ref(extends),
        };
        let mut bases = Vec::new();
        for item in items {
            match &item.value {
                Value::Str(path) => bases.push((path.clone(), item.span)),
                _ => self.report.push(
                    Diagnostic::error(Code::WrongType, "`extends` must be a path or a list of paths")
                        .label(item.span, format!("found {}", item.describe())),
                ),
            }
        }
        bases
    }

    /// Applies one `--set path=value`.
    fn set(&mut self, tree: &mut Tree, argument: &str) {
        let source = self.sources.add("--set", argument);
        let whole = Span {
            source,
            start: 0,
            end: argument.len(),
        };
        let Some((path, _)) = argument.split_once('=') else {
            self.report.push(
                Diagnostic::error(Code::InvalidSet, "an argument of `--set` is `path=value`")
                    .label(whole, "there is no `=`"),
            );
            return;
        };
        if path == "extends" || path.starts_with("extends.") {
            let span = Span {
                end: path.len(),
                ..whole
            };
            self.report.push(
                Diagnostic::error(Code::InvalidSet, "`extends` cannot be set")
                    .label(span, "files are read before values are set")
                    .help("write a file with `extends: …` and what it changes, and run that"),
            );
            return;
        }
        let value_range = path.len() + 1..argument.len();
        let Some(parts) = self.path(path, source) else {
            return;
        };
        let Some(value) = parse_range(self.sources, source, value_range, self.report) else {
            return;
        };
        set_at(tree, &parts, value, Level::Root, whole, self.report);
    }

    fn path(&mut self, path: &str, source: SourceId) -> Option<Vec<(String, Span)>> {
        let mut parts = Vec::new();
        let mut start = 0;
        for part in path.split('.') {
            let span = Span {
                source,
                start,
                end: start + part.len(),
            };
            let problem = if part.is_empty() {
                Some("a part of the path is empty")
            } else if parts.len() >= MAX_DEPTH {
                Some("the path is too deep")
            } else {
                None
            };
            if let Some(problem) = problem {
                self.report.push(
                    Diagnostic::error(Code::InvalidSet, problem)
                        .label(span, "here")
                        .help("a path is keys with dots between, such as `training.epochs`"),
                );
                return None;
            }
            parts.push((part.to_owned(), span));
            start += part.len() + 1;
        }
        Some(parts)
    }
}

/// A path as written in a file, resolved against that file's folder without touching the disk.
fn resolve(file: &str, path: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut resolved = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(resolved.components().next_back(), Some(Component::Normal(_))) => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    resolved.to_string_lossy().into_owned()
}

/// How deep in the file a mapping stands, as far as merging depends on it.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// The file's own keys.
    Root,
    /// Node names of a section.
    Section,
    /// Anything else.
    Inner,
}

impl Level {
    fn below(self, key: &str) -> Self {
        if self == Self::Root && Section::from_name(key).is_some() {
            Self::Section
        } else {
            Self::Inner
        }
    }
}

/// Puts `over` on top of `base`.
fn merge(base: &mut Tree, over: Tree, level: Level, report: &mut Report) {
    match (&mut base.value, over.value) {
        (Value::Map(below), Value::Map(above)) => {
            if changes_kind(below, &above, level) {
                base.value = Value::Map(above);
                base.span = over.span;
            } else {
                merge_entries(below, above, level, report);
            }
        }
        (below, above) => {
            *below = above;
            base.span = over.span;
        }
    }
}

/// Whether a mapping replaces another as a whole, being of another kind.
fn changes_kind(below: &[Entry], above: &[Entry], level: Level) -> bool {
    level == Level::Inner
        && matches!(
            (value_of(below, "kind"), value_of(above, "kind")),
            (Some(old), Some(new)) if old != new
        )
}

fn value_of<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Value> {
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.value.value)
}

fn merge_entries(below: &mut Vec<Entry>, above: Vec<Entry>, level: Level, report: &mut Report) {
    let index: HashMap<String, usize> = below
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.clone(), at))
        .collect();
    let mut removed = vec![false; below.len()];
    for entry in above {
        let at = index.get(&entry.key).copied();
        let is_section = level.below(&entry.key) == Level::Section;
        let removes = entry.value.value == Value::Null && (level == Level::Section || is_section);
        match at {
            Some(at) if removes => removed[at] = true,
            None if removes => {
                if level == Level::Section {
                    let known: Vec<&str> = match report.is_full() {
                        true => Vec::new(),
                        false => below.iter().map(|entry| &*entry.key).collect(),
                    };
                    report.push(
                        Diagnostic::error(Code::UnknownNode, format!("there is no node `{}` to remove", entry.key))
                            .label(entry.key_span, "set to null here")
                            .maybe_help(suggestion(&entry.key, &known, "nodes here")),
                    );
                }
            }
            Some(at) => {
                let level = level.below(&entry.key);
                let target = &mut below[at];
                let merges = match (&target.value.value, &entry.value.value) {
                    (Value::Map(below), Value::Map(above)) => !changes_kind(below, above, level),
                    _ => false,
                };
                if !merges {
                    target.key_span = entry.key_span;
                }
                merge(&mut target.value, entry.value, level, report);
            }
            None if is_section && matches!(entry.value.value, Value::Map(_)) => {
                // Merged onto nothing rather than taken over, so that `null` in it is judged.
                let mut value = Tree::empty_map(entry.value.span);
                merge(&mut value, entry.value, Level::Section, report);
                below.push(Entry { value, ..entry });
            }
            None => below.push(entry),
        }
    }
    let mut keep = removed.into_iter().map(|removed| !removed);
    below.retain(|_| keep.next().unwrap_or(true));
}

/// Sets the value at a path, making mappings on the way; `whole` is the argument.
fn set_at(tree: &mut Tree, path: &[(String, Span)], value: Tree, level: Level, whole: Span, report: &mut Report) {
    let Some(((key, key_span), rest)) = path.split_first() else {
        return merge(tree, value, level, report);
    };
    if let Value::Seq(items) = &mut tree.value {
        let count = items.len();
        match key.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
            Some(item) => set_at(item, rest, value, Level::Inner, whole, report),
            None => report.push(
                Diagnostic::error(Code::InvalidSet, format!("`{key}` is no index of a list of {count}"))
                    .label(*key_span, "counted from 0"),
            ),
        }
        return;
    }
    if !matches!(tree.value, Value::Map(_)) {
        *tree = Tree::empty_map(whole);
    }
    let Value::Map(entries) = &mut tree.value else {
        return;
    };
    if rest.is_empty() {
        // An assignment, not another layer: a mapping stands in place of what was there.
        if matches!(value.value, Value::Map(_)) && level.below(key) == Level::Inner {
            entries.retain(|entry| entry.key != *key);
            entries.push(Entry {
                key: key.clone(),
                key_span: *key_span,
                value,
            });
            return;
        }
        let over = Tree {
            value: Value::Map(vec![Entry {
                key: key.clone(),
                key_span: *key_span,
                value,
            }]),
            span: whole,
        };
        return merge(tree, over, level, report);
    }
    let at = entries.iter().position(|entry| entry.key == *key);
    let at = at.unwrap_or_else(|| {
        entries.push(Entry {
            key: key.clone(),
            key_span: *key_span,
            value: Tree::empty_map(whole),
        });
        entries.len() - 1
    });
    if let Some(entry) = entries.get_mut(at) {
        set_at(&mut entry.value, rest, value, level.below(key), whole, report);
    }
}
