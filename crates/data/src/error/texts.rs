//! Pieces of messages.

use std::path::PathBuf;

pub(super) fn such_as(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" (such as: {reason})"))
}

pub(super) fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    shown.join(", ")
}

pub(super) fn more(count: usize, shown: usize) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        left => format!(" and {left} more"),
    }
}

pub(super) fn in_row(row: Option<u64>) -> String {
    row.map_or_else(String::new, |row| format!("line {row} names "))
}

pub(crate) fn within(fold: &Option<String>) -> String {
    fold.as_ref().map_or_else(String::new, |fold| format!("in {fold}, "))
}

/// Names in backticks, at most twelve of them.
pub(crate) fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
