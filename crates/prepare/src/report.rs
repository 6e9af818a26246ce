//! What was prepared and what was left out, as text, JSON and a page.

use crate::annotate::{Agreement, agreements};
use crate::html::escape;
use crate::integrate::{Annotations, Rejected, write_whole};
use crate::{Measures, Plan, Preparation, PrepareError, Reason, Selected};
use indexmap::IndexMap;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Bars of a histogram.
const BARS: usize = 24;

/// The report of an integration.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the prepared corpus.
    pub name: String,
    /// Utterances in the table.
    pub kept: usize,
    /// Their length in hours.
    pub hours: f64,
    /// Speakers in the table.
    pub speakers: usize,
    /// Utterances of each corpus, by target emotion.
    pub by_dataset: IndexMap<String, IndexMap<String, usize>>,
    /// Utterances of each gender, by target emotion.
    pub by_gender: IndexMap<String, IndexMap<String, usize>>,
    /// Utterances left out, by reason.
    pub rejected: IndexMap<String, usize>,
    /// Utterances without a target emotion, by corpus and emotion.
    pub without_target: IndexMap<String, usize>,
    /// What was measured of the utterances in the table.
    pub measured: Vec<Summary>,
    /// How far annotators agree, by pair, from blind answers.
    pub agreement: Vec<Agreement>,
    /// Labels that annotators changed.
    pub relabelled: usize,
    /// Remarks of the scan.
    pub warnings: Vec<String>,
}

/// A measure over all utterances in the table.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name, with its unit.
    pub name: String,
    /// Least value.
    pub least: f64,
    /// Median.
    pub median: f64,
    /// Greatest value.
    pub greatest: f64,
    /// Utterances in each of equally wide steps from the least to the greatest value.
    pub histogram: Vec<usize>,
}

impl Summary {
    /// None where there is no value.
    fn new(name: &str, mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let width = (greatest - least) / BARS as f64;
        let mut histogram = vec![0; BARS];
        for value in &values {
            let bar = if width > 0.0 {
                ((value - least) / width) as usize
            } else {
                0
            };
            histogram[bar.min(BARS - 1)] += 1;
        }
        Some(Self {
            name: name.to_owned(),
            least,
            median: values[values.len() / 2],
            greatest,
            histogram,
        })
    }
}

impl Report {
    pub(crate) fn new(
        preparation: &Preparation,
        plan: &Plan,
        kept: &[(Selected<'_>, usize, &str)],
        rejected: &[Rejected<'_>],
        annotations: &Annotations,
    ) -> Self {
        let targets: Vec<&str> = plan.targets.iter().map(String::as_str).collect();
        let empty = || -> IndexMap<String, usize> { targets.iter().map(|target| ((*target).to_owned(), 0)).collect() };
        let mut by_dataset: IndexMap<String, IndexMap<String, usize>> = preparation
            .datasets
            .keys()
            .map(|name| (name.clone(), empty()))
            .collect();
        let mut by_gender: IndexMap<String, IndexMap<String, usize>> = IndexMap::new();
        let mut speakers: Vec<&str> = Vec::new();
        for (one, emotion, _) in kept {
            let gender = one.wanted.gender.clone().unwrap_or_else(|| "unknown".to_owned());
            for counts in [
                by_dataset.entry(one.wanted.dataset.clone()).or_insert_with(empty),
                by_gender.entry(gender).or_insert_with(empty),
            ] {
                if let Some((_, count)) = counts.get_index_mut(*emotion) {
                    *count += 1;
                }
            }
            speakers.push(&one.wanted.speaker);
        }
        speakers.sort_unstable();
        speakers.dedup();
        let mut reasons: Vec<(&Reason, usize)> = Vec::new();
        for one in rejected {
            match reasons.iter_mut().find(|(reason, _)| **reason == one.reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((&one.reason, 1)),
            }
        }
        reasons.sort();
        let of = |measure: fn(&Measures) -> f64| kept.iter().map(|(one, ..)| measure(&one.written.measures)).collect();
        let measured = [
            Summary::new("duration in s", of(|measures| measures.duration_s)),
            Summary::new("silence ratio", of(|measures| measures.silence_ratio)),
            Summary::new("estimated SNR in dB", of(|measures| measures.snr_db)),
            Summary::new(
                "loudness of the source in LUFS",
                kept.iter().filter_map(|(one, ..)| one.written.source_lufs).collect(),
            ),
            Summary::new(
                "loudness as written in LUFS",
                kept.iter().filter_map(|(one, ..)| one.written.lufs).collect(),
            ),
        ];
        Self {
            name: preparation.name.clone(),
            kept: kept.len(),
            hours: hours(kept.iter().map(|(one, ..)| one.written.measures.duration_s)),
            speakers: speakers.len(),
            by_dataset,
            by_gender,
            rejected: reasons
                .into_iter()
                .map(|(reason, count)| (reason.words().to_owned(), count))
                .collect(),
            without_target: plan
                .left_out
                .iter()
                .map(|((dataset, emotion), count)| (format!("{dataset}: {emotion}"), *count))
                .collect(),
            measured: measured.into_iter().flatten().collect(),
            agreement: agreements(annotations, &targets),
            relabelled: kept
                .iter()
                .filter(|(one, emotion, by)| *by == "annotators" && *emotion != one.wanted.emotion)
                .count(),
            warnings: plan.warnings.clone(),
        }
    }

    /// Writes `report.txt`, `report.json` and `report.html` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), PrepareError> {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        write_whole(&folder.join("report.txt"), self.to_text().as_bytes())?;
        write_whole(&folder.join("report.json"), format!("{json}\n").as_bytes())?;
        write_whole(&folder.join("report.html"), self.to_html().as_bytes())
    }

    /// The report as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}: {} utterances of {} speakers, {:.2} hours\n",
            self.name, self.kept, self.speakers, self.hours
        );
        let mut block = |title: &str, lines: Vec<Vec<String>>| {
            if !lines.is_empty() {
                let _ = write!(text, "\n{title}\n{}", aligned(&lines));
            }
        };
        block("kept, by corpus and emotion", crossed(&self.by_dataset));
        block("kept, by gender and emotion", crossed(&self.by_gender));
        block("left out", counted(&self.rejected));
        block("without a target emotion", counted(&self.without_target));
        let measured = self.measured.iter().map(|summary| {
            vec![
                summary.name.clone(),
                format!("{:.3}", summary.least),
                format!("{:.3}", summary.median),
                format!("{:.3}", summary.greatest),
            ]
        });
        let header = ["", "least", "median", "greatest"].map(str::to_owned).to_vec();
        block("measured", std::iter::once(header).chain(measured).collect());
        let agreement = self.agreement.iter().map(Agreement::row);
        block(
            "agreement of annotators, from blind answers (Cohen's kappa)",
            agreement.collect(),
        );
        if self.relabelled > 0 {
            let _ = writeln!(text, "\n{} labels were corrected by annotators", self.relabelled);
        }
        if !self.warnings.is_empty() {
            let _ = write!(text, "\nremarks\n  {}\n", self.warnings.join("\n  "));
        }
        text
    }

    /// The report as a page that needs nothing else.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\n<style>\
             body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}}\
             table{{border-collapse:collapse;margin:.5rem 0 1.5rem}}td,th{{padding:.2rem .7rem;text-align:right;\
             border-bottom:1px solid #ddd}}td:first-child,th:first-child{{text-align:left}}svg{{display:block}}\
             figure{{display:inline-block;margin:0 1.5rem 1rem 0}}figcaption{{font-size:13px;color:#555}}</style>\n\
             <h1>{name}</h1>\n<p>{kept} utterances of {speakers} speakers, {hours:.2} hours</p>\n",
            name = escape(&self.name),
            kept = self.kept,
            speakers = self.speakers,
            hours = self.hours,
        );
        let mut block = |title: &str, rows: Vec<Vec<String>>, header: bool| {
            if rows.is_empty() {
                return;
            }
            let _ = writeln!(page, "<h2>{}</h2>\n<table>", escape(title));
            for (number, row) in rows.iter().enumerate() {
                let cell = if header && number == 0 { "th" } else { "td" };
                let cells: String = row
                    .iter()
                    .map(|text| format!("<{cell}>{}</{cell}>", escape(text)))
                    .collect();
                let _ = writeln!(page, "<tr>{cells}</tr>");
            }
            page.push_str("</table>\n");
        };
        block("Kept, by corpus and emotion", crossed(&self.by_dataset), true);
        block("Kept, by gender and emotion", crossed(&self.by_gender), true);
        block("Left out", counted(&self.rejected), false);
        block("Without a target emotion", counted(&self.without_target), false);
        block(
            "Agreement of annotators, from answers without the corpus' label in view (Cohen's κ)",
            self.agreement.iter().map(Agreement::row).collect(),
            false,
        );
        page.push_str("<h2>Measured</h2>\n");
        for summary in &self.measured {
            page.push_str(&histogram(summary));
        }
        if !self.warnings.is_empty() {
            let lines: String = self
                .warnings
                .iter()
                .map(|line| format!("<li>{}</li>\n", escape(line)))
                .collect();
            let _ = write!(page, "<h2>Remarks</h2>\n<ul>\n{lines}</ul>\n");
        }
        page.push_str("</html>\n");
        page
    }
}

/// Hours of so many seconds; the sum of none is 0, where `sum` alone gives -0.
fn hours(seconds: impl Iterator<Item = f64>) -> f64 {
    (seconds.sum::<f64>() + 0.0) / 3600.0
}

/// A histogram as a figure of HTML.
fn histogram(summary: &Summary) -> String {
    const WIDTH: usize = 288;
    const HEIGHT: usize = 90;
    let most = summary.histogram.iter().copied().max().unwrap_or(0).max(1);
    let step = WIDTH / BARS;
    let bars: String = summary
        .histogram
        .iter()
        .enumerate()
        .map(|(bar, &count)| {
            let height = (count * HEIGHT).div_ceil(most);
            format!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\" fill=\"#3b6ea8\"><title>{count}</title></rect>",
                bar * step,
                HEIGHT - height,
                step - 1,
            )
        })
        .collect();
    format!(
        "<figure><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{name}\">{bars}</svg>\
         <figcaption>{name}: {:.3} to {:.3}, median {:.3}</figcaption></figure>\n",
        summary.least,
        summary.greatest,
        summary.median,
        name = escape(&summary.name),
    )
}

/// A table of counts with sums, its header first.
fn crossed(counts: &IndexMap<String, IndexMap<String, usize>>) -> Vec<Vec<String>> {
    let Some((_, first)) = counts.first() else {
        return Vec::new();
    };
    let names = first.keys().cloned();
    let header = std::iter::once(String::new()).chain(names).chain(["all".to_owned()]);
    let row = |name: &str, values: Vec<usize>| {
        let sum: usize = values.iter().sum();
        let cells = values.iter().map(ToString::to_string);
        std::iter::once(name.to_owned())
            .chain(cells)
            .chain([sum.to_string()])
            .collect::<Vec<String>>()
    };
    let mut rows = vec![header.collect::<Vec<_>>()];
    rows.extend(
        counts
            .iter()
            .map(|(name, counts)| row(name, counts.values().copied().collect())),
    );
    let sums = (0..first.len()).map(|column| {
        counts
            .values()
            .filter_map(|counts| counts.get_index(column))
            .map(|(_, count)| *count)
            .sum()
    });
    rows.push(row("all", sums.collect()));
    rows
}

fn counted(counts: &IndexMap<String, usize>) -> Vec<Vec<String>> {
    counts
        .iter()
        .map(|(name, count)| vec![name.clone(), count.to_string()])
        .collect()
}

/// Lines with their cells in columns, the first to the left and the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            if column == 0 {
                let _ = write!(line, " {cell:<width$}");
            } else {
                let _ = write!(line, "  {cell:>width$}");
            }
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
    fn nothing_lasts_no_hours_without_a_sign() {
        assert_eq!(format!("{:.2}", hours(std::iter::empty())), "0.00");
        assert_eq!(hours([1800.0, 5400.0].into_iter()), 2.0);
    }
}
