//! What a run's members give together, as files: predictions, confusion and curves.

use std::path::PathBuf;

use super::curves;
use super::dir::RunDir;
use super::member::{MemberSpec, shown_metrics};
use super::summary::{ParentSummary, SplitSummary};
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::Prepared;

/// Writes the test predictions of all members as one table a head, their confusion as pictures, and their mean curves.
///
/// # Errors
/// A member's file cannot be read, or one not be written.
pub fn write(
    prepared: &Prepared,
    dir: &RunDir,
    members: &[&MemberSpec],
    summary: &ParentSummary,
) -> Result<(), Failure> {
    let SplitSummary { heads, regressions, .. } = &summary.pooled;
    for head in heads.keys().chain(regressions.keys()) {
        let table = predictions(dir, members, head)?;
        dir.write(&format!("report/predictions.{head}.csv"), &table)?;
    }
    for (head, result) in heads {
        let Some(confusion) = &result.detail else { continue };
        let title = format!("{head}, test, all members");
        match emorun_figures::confusion_matrix(&title, confusion.labels(), confusion.rows()) {
            Ok(figure) => dir.write(&format!("report/confusion.{head}.test.svg"), figure.to_svg().as_bytes())?,
            Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
        }
    }
    let places: Vec<PathBuf> = members.iter().map(|member| dir.path().join(&member.path)).collect();
    curves::draw(dir, &places, &shown_metrics(prepared))
}

/// The test rows of the members' `predictions.<head>.csv`, each behind its member.
fn predictions(dir: &RunDir, members: &[&MemberSpec], head: &str) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let unwritten = |error: csv::Error| Failure::Bug(error.to_string());
    for (at, member) in members.iter().enumerate() {
        let path = dir
            .path()
            .join(&member.path)
            .join(format!("report/predictions.{head}.csv"));
        let unreadable = |error: csv::Error| Failure::Corrupt {
            path: path.clone(),
            message: error.to_string(),
        };
        let mut reader = csv::Reader::from_path(&path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.clone();
        let split = header.iter().position(|column| column == "split");
        if at == 0 {
            writer
                .write_record(std::iter::once("member").chain(header.iter()))
                .map_err(unwritten)?;
        }
        for row in reader.records() {
            let row = row.map_err(unreadable)?;
            if split.and_then(|split| row.get(split)) == Some("test") {
                let fields = std::iter::once(member.path.as_str()).chain(row.iter());
                writer.write_record(fields).map_err(unwritten)?;
            }
        }
    }
    writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error().into()))
}
