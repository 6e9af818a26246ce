//! Mistakes in an experiment, with their places, collected into one report.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::json;

use crate::render;
use crate::source::{Sources, Span};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What kind of mistake a diagnostic is about; the text is stable, scripts depend on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    Syntax = "syntax",
    /// A text exceeds a budget: size, depth or number of values.
    TooLarge = "too-large",
    /// YAML that the language leaves out: tags, several documents, keys that are not scalars.
    UnsupportedYaml = "unsupported-yaml",
    /// A key is given twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// A file can't be read.
    UnreadableFile = "unreadable-file",
    /// Files extend each other in a circle.
    ExtendsCycle = "extends-cycle",
    /// A `--set` argument is not `path=value`, or its path leads nowhere.
    InvalidSet = "invalid-set",
    /// A key that is not known where it stands.
    UnknownKey = "unknown-key",
    /// A required key is absent.
    MissingKey = "missing-key",
    /// A value of another type than wanted.
    WrongType = "wrong-type",
    /// A word that is not among those allowed.
    UnknownValue = "unknown-value",
    /// A number beyond its limits.
    OutOfRange = "out-of-range",
    /// A list or text of a wrong length.
    WrongLength = "wrong-length",
    /// A value that contradicts another one.
    InvalidValue = "invalid-value",
    /// A `kind` that does not exist.
    UnknownKind = "unknown-kind",
    /// A kind in a section where it does not belong.
    MisplacedKind = "misplaced-kind",
    /// A node name that can't be referred to.
    InvalidName = "invalid-name",
    /// Two nodes of one name.
    DuplicateName = "duplicate-name",
    /// A reference to a node that does not exist.
    UnknownNode = "unknown-node",
    /// A reference to a port that the node does not have.
    UnknownPort = "unknown-port",
    /// A node that takes its own output.
    SelfReference = "self-reference",
    /// Nodes that need each other's outputs.
    Cycle = "cycle",
    /// A node in none of the schedules.
    UnusedNode = "unused-node",
    /// An edge that carries something that its end can't take.
    Mismatch = "mismatch",
    /// A port that must be connected and is not.
    MissingInput = "missing-input",
    /// A host node that takes what a device node gives.
    DeviceToHost = "device-to-host",
    /// Prediction would need a label.
    LabelInPredict = "label-in-predict",
    /// A file or folder that the experiment names does not exist.
    MissingData = "missing-data",
    /// A file that the experiment names can't be used.
    InvalidData = "invalid-data",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The experiment can't run.
    Error,
    /// The experiment can run.
    Warning,
}

impl Severity {
    /// The word shown to users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What kind of mistake.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Places and what is to be seen there; the first is where the mistake is.
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// Adds a place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As [`Diagnostic::help`], where there may be none.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// The object of `check --format json`.
    pub fn to_json(&self, sources: &Sources) -> serde_json::Value {
        let place = self
            .labels
            .first()
            .map(|(span, _)| (sources.name(span.source), sources.position(*span)));
        json!({
            "code": self.code.as_str(),
            "severity": self.severity.as_str(),
            "message": self.message,
            "file": place.map(|(file, _)| file),
            "line": place.map(|(_, position)| position.line),
            "column": place.map(|(_, position)| position.column),
            "help": self.help,
        })
    }
}

/// Most diagnostics that a report keeps; the rest is counted.
const MAX_DIAGNOSTICS: usize = 100;

/// The mistakes found so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    omitted: usize,
}

impl Report {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A report of one mistake.
    pub fn of(diagnostic: Diagnostic) -> Self {
        let mut report = Self::new();
        report.push(diagnostic);
        report
    }

    /// Adds a mistake.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds what another report holds.
    pub fn extend(&mut self, other: Self) {
        let unseen_errors = other.errors.saturating_sub(
            other
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == Severity::Error)
                .count(),
        );
        for diagnostic in other.diagnostics {
            self.push(diagnostic);
        }
        self.errors += unseen_errors;
        self.omitted += other.omitted;
    }

    /// True once further diagnostics are only counted, so that costly help is not worth making.
    pub fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    /// True if nothing was found, no warning either.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Number of errors found, those beyond the limit included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// True if the experiment can't run.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The diagnostics, in the order of [`Report::sort`] once that was called.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Sorts by place: files in the order in which they were read, then by position.
    pub fn sort(&mut self) {
        self.diagnostics
            .sort_by_key(|diagnostic| diagnostic.labels.first().map(|(span, _)| (*span, diagnostic.code)));
    }

    /// The report for people; `colour` adds ANSI escapes.
    pub fn render(&self, sources: &Sources, colour: bool) -> String {
        render::report(&self.diagnostics, self.omitted, sources, colour)
    }

    /// The list of `check --format json`.
    pub fn to_json(&self, sources: &Sources) -> serde_json::Value {
        self.diagnostics
            .iter()
            .map(|diagnostic| diagnostic.to_json(sources))
            .collect()
    }
}
