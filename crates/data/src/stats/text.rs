//! Figures as text.

use super::{DatasetStats, Spread, Stats};
use std::fmt::Write as _;

/// Speakers listed at most; the page and the JSON hold all.
const SPEAKERS: usize = 60;
/// Widest bar of a histogram, in characters.
const BAR: usize = 40;

impl Stats {
    /// The figures for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.datasets
            .iter()
            .map(DatasetStats::to_text)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl DatasetStats {
    /// Hours, utterances and speakers in a line.
    pub(super) fn summary(&self) -> String {
        let mut text = format!(
            "{:.2} h, {} utterances of {} speakers",
            self.hours, self.items, self.speakers
        );
        for (count, what) in [(self.texts, "texts"), (self.soft_labels, "soft labels")] {
            if count > 0 {
                let _ = write!(text, ", {count} with {what}");
            }
        }
        text
    }

    /// Header and rows of speakers, genders and classes, with a line of sums.
    pub(super) fn table(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let classes = || self.classes.get("emotion").into_iter().flatten();
        let mut header = vec!["speaker".to_owned(), "gender".to_owned()];
        header.extend(classes().map(|(class, _)| class.clone()));
        header.extend(["all".to_owned(), "minutes".to_owned()]);
        let mut rows: Vec<Vec<String>> = self
            .table
            .iter()
            .map(|row| {
                let mut cells = vec![row.speaker.clone(), row.gender.clone()];
                cells.extend(row.classes.values().map(ToString::to_string));
                cells.extend([row.items.to_string(), format!("{:.1}", row.duration_s / 60.0)]);
                cells
            })
            .collect();
        let mut sums = vec!["all".to_owned(), String::new()];
        sums.extend(classes().map(|(_, count)| count.to_string()));
        sums.extend([self.items.to_string(), format!("{:.1}", self.hours * 60.0)]);
        rows.push(sums);
        (header, rows)
    }

    /// What is spread, with its unit, and how.
    pub(super) fn spreads(&self) -> Vec<(String, &Spread)> {
        let mut spreads = Vec::new();
        spreads.extend(
            self.durations
                .as_ref()
                .map(|spread| ("duration in s".to_owned(), spread)),
        );
        spreads.extend(
            self.loudness
                .as_ref()
                .map(|spread| ("loudness in LUFS".to_owned(), spread)),
        );
        spreads.extend(self.values.iter().map(|(name, spread)| (name.clone(), spread)));
        spreads
    }

    fn to_text(&self) -> String {
        let mut text = format!("{} ({})\n{}\n", self.dataset, self.kind, self.summary());
        for (column, counts) in &self.classes {
            let counts: Vec<String> = counts.iter().map(|(class, count)| format!("{class} {count}")).collect();
            let _ = writeln!(text, "{column}: {}", counts.join(", "));
        }
        let (header, mut rows) = self.table();
        let left_out = self.table.len().saturating_sub(SPEAKERS);
        rows.drain(SPEAKERS.min(self.table.len())..self.table.len());
        text.push('\n');
        write_table(&mut text, &header, &rows);
        if left_out > 0 {
            let _ = writeln!(text, "({left_out} further speakers are in the page and in the JSON)");
        }
        for (name, spread) in self.spreads() {
            let _ = writeln!(
                text,
                "\n{name}: mean {:.2} ± {:.2}, median {:.2}, 5 % below {:.2}, 5 % above {:.2}, from {:.2} to {:.2}",
                spread.mean, spread.sd, spread.median, spread.p5, spread.p95, spread.min, spread.max
            );
            let most = spread.histogram.counts.iter().copied().max().unwrap_or(1).max(1);
            for (bin, count) in spread.histogram.counts.iter().enumerate() {
                let low = spread.histogram.low + spread.histogram.step * bin as f64;
                let bar = "#".repeat((BAR * count).div_ceil(most));
                let _ = writeln!(text, "{low:>10.2} {count:>7} {bar}");
            }
        }
        if self.unmeasured > 0 {
            let _ = writeln!(
                text,
                "{} utterances are too short or too quiet to have a loudness",
                self.unmeasured
            );
        }
        text
    }
}

/// A table with its first two columns to the left and numbers to the right.
fn write_table(text: &mut String, header: &[String], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
        cells
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in std::iter::once(header).chain(rows.iter().map(Vec::as_slice)) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let fill = " ".repeat(width - cell.chars().count().min(*width));
            let cell: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = match column {
                0 | 1 => write!(line, "{cell}{fill}  "),
                _ => write!(line, "{fill}{cell}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
