//! The files of an evaluation.

use std::path::{Path, PathBuf};

use emorun_evaluation::ConditionResult;
use emorun_files::Files;

use super::Outcome;
use crate::run::dir::write_json;
use crate::run::{evaluated, html, misclassified, report};
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;

/// Written last: what holds it is whole.
const WHOLE: &str = "eval.json";

/// Refuses a folder that holds an evaluation, unless it may be replaced.
///
/// # Errors
/// It does.
pub fn free(folder: &Path, force: bool) -> Result<(), Failure> {
    if !force && folder.join(WHOLE).exists() {
        return Err(Failure::Conflict(format!(
            "{} holds an evaluation already; replace it with --force, or choose another --out",
            folder.display()
        )));
    }
    Ok(())
}

/// Writes `report.txt`, `predictions.HEAD.csv`, confusion matrices, `evaluation.json`, `index.html`, the table of conditions and,
/// last, `eval.json`; gives the text.
///
/// # Errors
/// A file cannot be written, or an item's record not be read.
pub fn write(outcome: &Outcome, folder: &Path) -> Result<String, Failure> {
    let files = Files::default();
    files.create_dir_all(folder).map_err(Failure::io("create", folder))?;
    let whole = folder.join(WHOLE);
    if whole.exists() {
        files.remove_file(&whole).map_err(Failure::io("remove", &whole))?;
    }
    let place = |name: String| -> PathBuf { folder.join(name) };
    let text = outcome.text();
    write_atomically(&files, &place("report.txt".to_owned()), text.as_bytes())?;
    let heads: Vec<String> = outcome
        .splits
        .values()
        .next()
        .map_or_else(Vec::new, |split| split.heads.keys().cloned().collect());
    for head in &heads {
        let is_classifier = outcome.splits.values().any(|split| split.classes(head).is_some());
        let csv = match is_classifier {
            true => report::predictions_csv(&outcome.items, head, &outcome.splits)?,
            false => report::estimates_csv(&outcome.items, head, &outcome.splits)?,
        };
        write_atomically(&files, &place(format!("predictions.{head}.csv")), &csv)?;
        for (side, split) in &outcome.splits {
            let Some(rows) = split.classes(head) else { continue };
            let counts = rows.confusion();
            let title = format!("{head}, {side}");
            match emorun_figures::confusion_matrix(&title, counts.labels(), counts.rows()) {
                Ok(figure) => {
                    let name = format!("confusion.{head}.{side}.svg");
                    write_atomically(&files, &place(name), figure.to_svg().as_bytes())?;
                }
                Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
            }
        }
    }
    if !outcome.evaluation.conditions.is_empty() {
        let table = conditions_csv(&outcome.evaluation.conditions)?;
        write_atomically(&files, &place("conditions.csv".to_owned()), &table)?;
        write_json(
            &files,
            &place("conditions.json".to_owned()),
            &outcome.evaluation.conditions,
        )?;
    }
    let document = evaluated::bytes(&outcome.evaluation)?;
    write_atomically(&files, &place("evaluation.json".to_owned()), &document)?;
    save_misclassified(outcome, &files, folder)?;
    if let Some(page) = html::page(&outcome.run, folder) {
        write_atomically(&files, &place(html::FILE.to_owned()), page.as_bytes())?;
    }
    write_json(&files, &whole, &outcome.json()?)?;
    Ok(text)
}

/// Saves wrong predictions where the experiment asks for it, in the place of those of an evaluation before.
fn save_misclassified(outcome: &Outcome, files: &Files, folder: &Path) -> Result<(), Failure> {
    let old = folder.join(misclassified::FOLDER);
    if old.exists() {
        files.remove_dir_all(&old).map_err(Failure::io("remove", &old))?;
    }
    let mut write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            files.create_dir_all(parent).map_err(Failure::io("create", parent))?;
        }
        write_atomically(files, &path, bytes)
    };
    misclassified::save(&outcome.items, &outcome.settings, &outcome.splits, &mut write)
}

/// A line for each condition, side, head and metric.
fn conditions_csv(conditions: &[ConditionResult]) -> Result<Vec<u8>, Failure> {
    let unwritten = |error: csv::Error| Failure::Bug(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "side",
        "head",
        "heard_s",
        "noise_snr_db",
        "codec",
        "items",
        "metric",
        "value",
        "low",
        "high",
    ];
    writer.write_record(header).map_err(unwritten)?;
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for result in conditions {
        for (metric, measured) in &result.metrics {
            let fields = [
                result.side.clone(),
                result.head.clone(),
                number(result.condition.heard_s),
                number(result.condition.noise_snr_db),
                result.condition.codec.clone().unwrap_or_default(),
                result.items.to_string(),
                metric.name().to_owned(),
                number(measured.value),
                number(measured.interval.map(|interval| interval.low)),
                number(measured.interval.map(|interval| interval.high)),
            ];
            writer.write_record(fields).map_err(unwritten)?;
        }
    }
    writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error().into()))
}
