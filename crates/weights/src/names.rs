//! Tensors that an architecture expects beside those that a checkpoint has.

use std::collections::BTreeSet;
use std::fmt;

/// Names shown of each list before the rest is counted.
const SHOWN: usize = 20;

/// The difference between two sets of tensor names; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Expected and not found.
    pub missing: Vec<String>,
    /// Found and not expected.
    pub unexpected: Vec<String>,
}

impl Mismatch {
    /// Whether the two sets are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

impl fmt::Display for Mismatch {
    /// One indented line a name, at most twenty of each list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (title, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if names.is_empty() {
                continue;
            }
            if !first {
                writeln!(f)?;
            }
            first = false;
            write!(f, "{title} ({}):", names.len())?;
            for name in names.iter().take(SHOWN) {
                write!(f, "\n  {name}")?;
            }
            if names.len() > SHOWN {
                write!(f, "\n  … and {} more", names.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// Compares the names that an architecture expects with those found in a checkpoint.
#[must_use]
pub fn match_names<'a, 'b>(expected: impl Iterator<Item = &'a str>, found: impl Iterator<Item = &'b str>) -> Mismatch {
    let expected: BTreeSet<&str> = expected.collect();
    let found: BTreeSet<&str> = found.collect();
    let owned = |names: &mut dyn Iterator<Item = &&str>| names.map(|name| (*name).to_owned()).collect();
    Mismatch {
        missing: owned(&mut expected.difference(&found)),
        unexpected: owned(&mut found.difference(&expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_in_any_order_match() {
        let mismatch = match_names(["b", "a"].into_iter(), ["a", "b"].into_iter());
        assert!(mismatch.is_empty());
        assert_eq!(mismatch.to_string(), "");
    }

    #[test]
    fn missing_and_unexpected_names_are_listed_sorted() {
        let mismatch = match_names(["y", "both", "x"].into_iter(), ["both", "z"].into_iter());
        assert_eq!(mismatch.to_string(), "missing (2):\n  x\n  y\nunexpected (1):\n  z");
    }

    #[test]
    fn more_than_twenty_names_are_counted() {
        let names: Vec<String> = (0..33).map(|n| format!("layer.{n:02}")).collect();
        let text = match_names(names.iter().map(String::as_str), std::iter::empty()).to_string();
        assert_eq!(text.lines().count(), 22);
        assert!(text.ends_with("  layer.19\n  … and 13 more"), "{text}");
    }
}
