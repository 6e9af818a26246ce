//! Diagnostics as text for people.

use std::fmt::Write;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// Widest excerpt of a source line, in characters.
const MAX_EXCERPT: usize = 120;

struct Style {
    colour: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

/// Renders all diagnostics and a closing count.
pub(crate) fn report(diagnostics: &[Diagnostic], omitted: usize, sources: &Sources, colour: bool) -> String {
    let style = Style { colour };
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(&mut out, diagnostic, sources, &style);
        out.push('\n');
    }
    if omitted > 0 {
        // Writing to a string can't fail.
        let _ = writeln!(out, "… and {omitted} more");
    }
    out
}

fn one(out: &mut String, diagnostic: &Diagnostic, sources: &Sources, style: &Style) {
    let main_colour = match diagnostic.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    };
    let title = format!("{}[{}]", diagnostic.severity.as_str(), diagnostic.code);
    let _ = writeln!(
        out,
        "{}{}",
        style.paint(main_colour, &title),
        style.paint(BOLD, &format!(": {}", printable(&diagnostic.message))),
    );
    let gutter = diagnostic
        .labels
        .iter()
        .map(|(span, _)| sources.position(*span).line.to_string().len())
        .max()
        .unwrap_or(1);
    let bar = |text: &str| style.paint(BLUE, &format!("{:gutter$} {text}", ""));
    let mut shown: Option<Span> = None;
    for (index, (span, text)) in diagnostic.labels.iter().enumerate() {
        let position = sources.position(*span);
        let (line, range) = sources.line(*span);
        let same_line =
            shown.is_some_and(|shown| shown.source == span.source && sources.position(shown).line == position.line);
        let (excerpt, column, width) = excerpt(line, range.start, range.end);
        if !same_line {
            let arrow = if index == 0 { "-->" } else { ":::" };
            let _ = writeln!(
                out,
                "{:gutter$}{} {}:{}:{}",
                "",
                style.paint(BLUE, arrow),
                printable(sources.name(span.source)),
                position.line,
                position.column
            );
            let _ = writeln!(out, "{}", bar("|"));
            let number = style.paint(BLUE, &format!("{:gutter$} |", position.line));
            let _ = writeln!(out, "{number} {excerpt}");
        }
        let (mark, mark_colour) = if index == 0 { ("^", main_colour) } else { ("-", BLUE) };
        let underline = format!("{} {}", mark.repeat(width), printable(text));
        let _ = writeln!(
            out,
            "{} {:column$}{}",
            bar("|"),
            "",
            style.paint(mark_colour, underline.trim_end())
        );
        shown = Some(*span);
    }
    if let Some(help) = &diagnostic.help {
        for (number, line) in help.lines().enumerate() {
            let start = if number == 0 {
                format!("{} help: ", bar("="))
            } else {
                "          ".to_owned()
            };
            let _ = writeln!(out, "{start}{}", printable(line));
        }
    }
}

/// The part of a line around a range of bytes, with the column and width of the range in it, both
/// in characters.
fn excerpt(line: &str, start: usize, end: usize) -> (String, usize, usize) {
    let before = line[..start].chars().count();
    let width = line[start..end].chars().count().max(1);
    let total = line.chars().count();
    if total <= MAX_EXCERPT {
        return (printable(line), before, width);
    }
    let from = before.saturating_sub(MAX_EXCERPT / 4);
    let kept: String = line.chars().skip(from).take(MAX_EXCERPT).collect();
    let (lead, trail) = (
        if from > 0 { "…" } else { "" },
        if from + MAX_EXCERPT < total { "…" } else { "" },
    );
    let column = before - from + lead.chars().count();
    let room = MAX_EXCERPT - (before - from);
    (
        format!("{lead}{}{trail}", printable(&kept)),
        column,
        width.min(room.max(1)),
    )
}

/// Text without characters that would move the cursor or change the terminal's state; the number
/// of characters stays.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' => ' ',
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}
