//! The files of a run that a report is made from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use emorun_evaluation::Evaluation;
use emorun_files::read_regular;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ReportError;

/// Largest document that is read.
const MOST: u64 = 256 << 20;
/// Largest text that stands on the page.
const MOST_TEXT: u64 = 4 << 20;

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where the evaluation lies.
    pub folder: PathBuf,
    pub record: Record,
    /// Of a parent, the members' predictions together; `None` where an older emorun made it.
    pub evaluation: Option<Evaluation>,
    /// Of a parent alone.
    pub summary: Option<ParentSummary>,
    /// `metrics.jsonl` of the run, or of each of a parent's members.
    pub journals: Vec<Vec<Map<String, Value>>>,
    pub config: Option<String>,
    pub graph: Option<Vec<u8>>,
    pub text: Option<String>,
    pub notes: Notes,
}

/// What of `run.json` is told. What another version lacks or has more does not count.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub id: String,
    pub name: String,
    pub seed: Option<u64>,
    pub fold: Option<String>,
    pub set: Vec<String>,
    pub config_hash: String,
    pub resolved: Value,
    pub versions: Map<String, Value>,
    pub git: Value,
    pub device: Option<String>,
    pub started: String,
    pub members: Vec<String>,
    pub data: Map<String, Value>,
    pub outputs: IndexMap<String, Vec<String>>,
    pub weights: Value,
    pub certificate: Value,
}

/// What of a parent's `summary.json` is told.
#[derive(Debug, Deserialize)]
pub(crate) struct ParentSummary {
    pub mean: SideSummary,
    pub sd: SideSummary,
    pub pooled: SideSummary,
    #[serde(default)]
    pub members: IndexMap<String, SideSummary>,
    #[serde(default)]
    pub failed: IndexMap<String, String>,
    #[serde(default)]
    pub spread: Value,
}

/// Results of a side.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SideSummary {
    pub n: u64,
    pub heads: IndexMap<String, Map<String, Value>>,
    pub regressions: IndexMap<String, Map<String, Value>>,
}

/// What was noted of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Notes {
    pub tags: Vec<String>,
    pub note: String,
}

impl Source {
    /// Reads a run.
    pub fn read(run: &Path, folder: &Path) -> Result<Self, ReportError> {
        let path = run.join("run.json");
        let bytes = read_regular(&path, MOST).map_err(ReportError::read(&path))?;
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| ReportError::corrupt(&path, error))?;
        let path = folder.join("evaluation.json");
        let evaluation = optional(&path, MOST)?
            .map(|bytes| Evaluation::parse(&bytes).map_err(|error| ReportError::corrupt(&path, error)))
            .transpose()?;
        let path = run.join("summary.json");
        // An evaluation in another folder is not of what the summary tells.
        let is_own = evaluation.as_ref().is_none_or(|evaluation| evaluation.pooled.is_some());
        let summary = match is_own && !record.members.is_empty() {
            true => optional(&path, MOST)?,
            false => None,
        };
        let summary = summary
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| ReportError::corrupt(&path, error)))
            .transpose()?;
        if evaluation.is_none() && summary.is_none() {
            return Err(ReportError::NotEvaluated(folder.to_owned()));
        }
        let own = [run.to_owned()];
        let members: Vec<PathBuf> = match record.members.is_empty() {
            true => own.into(),
            false => record.members.iter().map(|member| run.join(member)).collect(),
        };
        let text = |path: PathBuf| readable(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let notes = readable(&run.join("notes.json")).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self {
            folder: folder.to_owned(),
            evaluation,
            summary,
            journals: members
                .iter()
                .map(|member| journal(&member.join("metrics.jsonl")))
                .collect(),
            // A member does not repeat what its parent has.
            config: text(run.join("resolved.yaml")).or_else(|| text(run.join("experiment.yaml"))),
            graph: readable(&run.join("report/graph.svg")),
            text: text(folder.join("report.txt")),
            notes: notes.unwrap_or_default(),
            record,
        })
    }

    /// What the report is of.
    pub fn title(&self) -> String {
        let Record { name, fold, seed, .. } = &self.record;
        let fold = fold.as_ref().map_or_else(String::new, |fold| format!(", {fold}"));
        let seed = seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
        format!("{name}{fold}{seed}")
    }
}

/// A file that need not be there.
fn optional(path: &Path, most: u64) -> Result<Option<Vec<u8>>, ReportError> {
    match read_regular(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReportError::read(path)(error)),
    }
}

/// A file without which a section is left out.
fn readable(path: &Path) -> Option<Vec<u8>> {
    read_regular(path, MOST_TEXT).ok()
}

/// The lines of a journal. One that cannot be read, such as the last of a run that was killed, says nothing.
fn journal(path: &Path) -> Vec<Map<String, Value>> {
    let bytes = read_regular(path, MOST).unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
