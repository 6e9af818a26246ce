//! Figures as a page that needs nothing but itself.

use super::{DatasetStats, Spread, Stats};
use emorun_figures::{BarChart, Histogram};
use indexmap::IndexMap;
use std::fmt::Write as _;

/// Most speakers in the page's table.
const SPEAKERS: usize = 5000;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.5em}h2{font-size:1.25em;margin-top:2em;border-bottom:1px solid #ddd}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15em .6em;text-align:right;border-bottom:1px solid #eee}\
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}\
.plots{display:flex;flex-wrap:wrap;gap:1em}.plots>div{overflow-x:auto;max-width:100%}.wide{overflow-x:auto}";

impl Stats {
    /// The figures as an HTML page with plots in it: no script, no other file.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>Corpora</title><style>{STYLE}</style></head><body>\n<h1>Corpora</h1>\n"
        );
        page.push_str(
            "<table><tr><th>dataset</th><th>kind</th><th>hours</th><th>utterances</th><th>speakers</th></tr>\n",
        );
        for dataset in &self.datasets {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{:.2}</td><td>{}</td><td>{}</td></tr>",
                escape(&dataset.dataset),
                escape(&dataset.kind),
                dataset.hours,
                dataset.items,
                dataset.speakers
            );
        }
        page.push_str("</table>\n");
        for dataset in &self.datasets {
            dataset.write(&mut page);
        }
        page.push_str("</body></html>\n");
        page
    }
}

impl DatasetStats {
    fn write(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<h2>{} ({})</h2>\n<p>{}</p>\n<div class=\"plots\">",
            escape(&self.dataset),
            escape(&self.kind),
            escape(&self.summary())
        );
        for plot in self.plots() {
            let _ = writeln!(page, "<div>{plot}</div>");
        }
        page.push_str("</div>\n");
        for (column, counts) in &self.classes {
            let counts: Vec<String> = counts.iter().map(|(class, count)| format!("{class} {count}")).collect();
            let _ = writeln!(page, "<p>{}: {}</p>", escape(column), escape(&counts.join(", ")));
        }
        page.push_str("<table><tr><th>quantity</th><th></th><th>mean</th><th>sd</th><th>median</th><th>5 %</th><th>95 %</th><th>least</th><th>greatest</th><th>values</th></tr>\n");
        for (name, spread) in self.spreads() {
            let Spread {
                count,
                min,
                p5,
                median,
                mean,
                sd,
                p95,
                max,
                ..
            } = spread;
            let numbers = [mean, sd, median, p5, p95, min, max].map(|number| format!("<td>{number:.2}</td>"));
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td></td>{}<td>{count}</td></tr>",
                escape(&name),
                numbers.concat()
            );
        }
        page.push_str("</table>\n");
        if self.unmeasured > 0 {
            let _ = writeln!(
                page,
                "<p>{} utterances are too short or too quiet to have a loudness.</p>",
                self.unmeasured
            );
        }
        let (header, rows) = self.table();
        page.push_str("<div class=\"wide\"><table>");
        write_row(page, "th", &header);
        let (sums, speakers) = rows
            .split_last()
            .map_or((None, &rows[..]), |(sums, rest)| (Some(sums), rest));
        speakers
            .iter()
            .take(SPEAKERS)
            .for_each(|row| write_row(page, "td", row));
        if speakers.len() > SPEAKERS {
            let note = format!("{} further speakers", speakers.len() - SPEAKERS);
            write_row(page, "td", &[note, String::new()]);
        }
        sums.into_iter().for_each(|row| write_row(page, "th", row));
        page.push_str("</table></div>\n");
    }

    /// Emotions by gender, and a histogram of each quantity, as SVG.
    fn plots(&self) -> Vec<String> {
        let mut plots = Vec::new();
        if let Some(emotions) = self.classes.get("emotion") {
            let mut genders: IndexMap<&str, Vec<usize>> = IndexMap::new();
            for row in &self.table {
                let counts = genders.entry(&row.gender).or_insert_with(|| vec![0; emotions.len()]);
                counts
                    .iter_mut()
                    .zip(row.classes.values())
                    .for_each(|(sum, count)| *sum += count);
            }
            genders.sort_keys();
            let chart = BarChart {
                title: "Emotions by gender".to_owned(),
                y_label: "utterances".to_owned(),
                categories: emotions.keys().cloned().collect(),
                parts: genders
                    .into_iter()
                    .map(|(gender, counts)| (gender.to_owned(), counts))
                    .collect(),
            };
            plots.push(chart.draw().to_svg());
        }
        for (name, spread) in self.spreads() {
            let title = match name.split_once(" in ") {
                Some((quantity, _)) => quantity.to_owned(),
                None => name.clone(),
            };
            let histogram = Histogram {
                title,
                x_label: name,
                y_label: "utterances".to_owned(),
                low: spread.histogram.low,
                step: spread.histogram.step,
                counts: spread.histogram.counts.clone(),
            };
            plots.push(histogram.draw().to_svg());
        }
        plots
    }
}

fn write_row(page: &mut String, cell: &str, cells: &[String]) {
    page.push_str("<tr>");
    for text in cells {
        let _ = write!(page, "<{cell}>{}</{cell}>", escape(text));
    }
    page.push_str("</tr>\n");
}

/// Text in HTML: names of speakers and classes come from files.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
