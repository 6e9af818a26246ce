//! Values by dotted path, with a note of every key that was asked for.

use std::collections::BTreeSet;

use emorun_lang::{Code, Diagnostic, Report, Tree, Value, suggestion};

/// A configuration that is being read.
pub(crate) struct Reader<'a> {
    tree: &'a Tree,
    report: &'a mut Report,
    known: BTreeSet<String>,
    has_mistakes: bool,
}

impl<'a> Reader<'a> {
    pub fn new(tree: &'a Tree, report: &'a mut Report) -> Self {
        Self {
            tree,
            report,
            known: BTreeSet::new(),
            has_mistakes: false,
        }
    }

    /// What stands at a path, unless it is null.
    pub fn at(&mut self, path: &str) -> Option<&'a Tree> {
        self.known.insert(path.to_owned());
        self.tree.at(path).filter(|found| found.value != Value::Null)
    }

    /// A text; quoted or not.
    pub fn text(&mut self, path: &str) -> Option<&'a str> {
        let found = self.at(path)?;
        let text = found.as_str();
        if text.is_none() {
            self.wrong(found, path, "a text");
        }
        text
    }

    /// A number from a lowest one on.
    pub fn number(&mut self, path: &str, lowest: f64) -> Option<f64> {
        let found = self.at(path)?;
        let number = match &found.value {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            // PyYAML takes 1e-4 for a text, which the program then hands on as it is.
            Value::Str(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= lowest);
        if number.is_none() {
            self.wrong(found, path, &format!("a number of {lowest} or more"));
        }
        number
    }

    /// A whole number from a lowest one on.
    pub fn count(&mut self, path: &str, lowest: u32) -> Option<u64> {
        let number = self.number(path, f64::from(lowest))?;
        if number.fract() != 0.0 || number > 1e15 {
            if let Some(found) = self.tree.at(path) {
                self.wrong(found, path, "a whole number");
            }
            return None;
        }
        Some(number as u64)
    }

    /// Yes or no.
    pub fn flag(&mut self, path: &str) -> Option<bool> {
        let found = self.at(path)?;
        match &found.value {
            Value::Bool(flag) => Some(*flag),
            // As YAML 1.1 has them, which the program reads.
            Value::Str(text) if ["yes", "on", "True"].contains(&text.as_str()) => Some(true),
            Value::Str(text) if ["no", "off", "False"].contains(&text.as_str()) => Some(false),
            _ => {
                self.wrong(found, path, "true or false");
                None
            }
        }
    }

    /// Says that nothing can be made of a value.
    pub fn wrong(&mut self, found: &Tree, path: &str, wanted: &str) {
        let message = format!("`{path}` must be {wanted}, but is {}", found.describe());
        self.mistake(Diagnostic::error(Code::WrongType, message).label(found.span, format!("not {wanted}")));
    }

    /// Says that something that cannot be done without is absent.
    pub fn lacks(&mut self, path: &str, what: &str) {
        let message = format!("`{path}` is absent: {what}");
        let place = path.rsplit_once('.').and_then(|(parent, _)| self.tree.at(parent));
        let span = place.unwrap_or(self.tree).span;
        self.mistake(Diagnostic::error(Code::MissingKey, message).label(span, "not in here"));
    }

    /// Notes a mistake with which there is no experiment.
    pub fn mistake(&mut self, mistake: Diagnostic) {
        self.has_mistakes = true;
        self.report.push(mistake);
    }

    /// Says that something is left out that nobody may miss without a word.
    pub fn warn(&mut self, found: &Tree, message: String, label: &str) {
        self.report
            .push(Diagnostic::warning(Code::InvalidValue, message).label(found.span, label));
    }

    /// Warns of all keys that were never asked for, with their paths; gives these. `None` where there was a mistake.
    pub fn finish(self) -> Option<Vec<String>> {
        let mut unknown = Vec::new();
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let mut open = vec![(String::new(), self.tree)];
        while let Some((path, tree)) = open.pop() {
            for entry in tree.entries() {
                let path = match path.as_str() {
                    "" => entry.key.clone(),
                    parent => format!("{parent}.{}", entry.key),
                };
                if known.contains(&path.as_str()) {
                    continue;
                }
                if known.iter().any(|known| known.starts_with(&format!("{path}."))) {
                    open.push((path, &entry.value));
                    continue;
                }
                let message = format!("`{path}` is not known, and left out");
                let help = suggestion(&path, &known, "keys that are read");
                self.report.push(
                    Diagnostic::warning(Code::UnknownKey, message)
                        .label(entry.key_span, "not known")
                        .maybe_help(help),
                );
                unknown.push(path);
            }
        }
        unknown.sort();
        (!self.has_mistakes).then_some(unknown)
    }
}

/// A text as a YAML scalar: plain where that is the same, else quoted as JSON has it.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// A text as one line of a comment.
pub(crate) fn comment(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A number as YAML 1.1 and 1.2 both read it.
pub(crate) fn decimal(number: f64) -> String {
    if number == 0.0 || (1e-3..1e6).contains(&number.abs()) {
        number.to_string()
    } else {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, power)) if !digits.contains('.') => format!("{digits}.0e{power}"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_written_as_they_are_read() {
        assert_eq!(scalar("data/CREMA-D/data"), "data/CREMA-D/data");
        assert_eq!(scalar("C:\\data"), r#""C:\\data""#);
        for text in ["", "null", "12", "a: b", "a #b", "- a", "é"] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        assert_eq!(comment("two\nlines\u{7}\tand more"), "two lines and more");
        for (number, text) in [
            (1e-4, "1.0e-4"),
            (2.5e-5, "2.5e-5"),
            (0.003, "0.003"),
            (0.0, "0"),
            (16e6, "1.6e7"),
        ] {
            assert_eq!(decimal(number), text);
        }
    }
}
