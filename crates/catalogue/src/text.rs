//! Tables for people: aligned, and safe to be shown whatever stands in them.

use std::fmt::Write as _;

/// A text as a terminal may show it: control characters, which could move its cursor, are spelled out.
pub fn plain(text: &str) -> String {
    if !text.chars().any(is_unsafe) {
        return text.to_owned();
    }
    let mut shown = String::new();
    for letter in text.chars() {
        if is_unsafe(letter) {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// As [`plain`], of a text of several lines.
pub fn plain_lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => plain(line) + "\n",
            None => plain(line),
        })
        .collect()
}

/// Control characters, and those that turn the direction of what follows.
fn is_unsafe(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first `most` characters of a text, the last of them an ellipsis where there are more.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A table with aligned columns; those that are marked in `right` are right-aligned.
pub(crate) fn table(header: &[&str], right: &[bool], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let plain_rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
        .collect();
    let all = || std::iter::once(&header).chain(&plain_rows);
    let mut widths = vec![0; header.len()];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let between = if at == 0 { "" } else { "  " };
            let _ = match right.get(at) {
                Some(true) => write!(line, "{between}{padding}{cell}"),
                _ => write!(line, "{between}{cell}{padding}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_a_cursor_is_spelled_out() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(plain("<script> ä"), "<script> ä");
    }

    #[test]
    fn a_clipped_text_says_so() {
        assert_eq!(
            (clipped("äöü", 3), clipped("äöüß", 3)),
            ("äöü".to_owned(), "äö…".to_owned())
        );
    }
}
