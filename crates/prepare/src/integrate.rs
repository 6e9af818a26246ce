//! The filtered utterances as one table.

use crate::annotate::{Answer, Labelled, labels_of_all};
use crate::manifest;
use crate::plan::Wanted;
use crate::preprocess::{Outcome, is_current, settings_hash};
use crate::{Disagreement, Duplicates, Plan, Preparation, PrepareError, Report, Written, read_journal};
use emorun_data::ContentHash;
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Why an utterance was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It cannot be read.
    Unreadable,
    /// It is digital silence or below -70 LUFS throughout.
    Silent,
    /// Too many samples are clipped.
    Clipping,
    /// Too much of it is silence.
    Silence,
    /// Its estimated signal-to-noise ratio is too low.
    Noise,
    /// It is too short.
    Short,
    /// It is too long.
    Long,
    /// Its sound is that of an earlier one.
    Duplicate,
    /// Its sound is that of another one with another emotion.
    Contradiction,
    /// An annotator found it unusable.
    Unusable,
    /// Annotators gave it different labels.
    Disagreement,
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::Silent => "is silent throughout",
            Self::Clipping => "clips too much",
            Self::Silence => "has too much silence",
            Self::Noise => "has too much noise",
            Self::Short => "is too short",
            Self::Long => "is too long",
            Self::Duplicate => "sounds as an earlier one",
            Self::Contradiction => "sounds as another one with another emotion",
            Self::Unusable => "was found unusable by an annotator",
            Self::Disagreement => "was labelled differently by two annotators",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// An utterance that passed what was measured, before annotators are heard.
#[derive(Clone, Debug)]
pub struct Selected<'a> {
    /// The utterance.
    pub wanted: &'a Wanted,
    /// Its audio.
    pub written: Written,
}

/// What integration gave.
#[derive(Clone, Debug)]
pub struct Integrated {
    /// Utterances in the table.
    pub kept: usize,
    /// The report that was written beside it.
    pub report: Report,
}

/// An utterance that was left out, and why.
pub(crate) struct Rejected<'a> {
    pub wanted: &'a Wanted,
    pub reason: Reason,
    pub detail: String,
}

/// The utterances that pass the filters on what was measured, and the others.
pub(crate) fn select<'a>(
    preparation: &Preparation,
    plan: &'a Plan,
) -> Result<(Vec<Selected<'a>>, Vec<Rejected<'a>>), PrepareError> {
    let output = preparation.output.as_path();
    let settings = settings_hash(&preparation.audio);
    let mut journal = read_journal(output)?;
    let mut selected: Vec<Selected<'a>> = Vec::new();
    let mut rejected = Vec::new();
    let mut missing = 0;
    for wanted in &plan.wanted {
        let done = journal.remove(&wanted.key);
        match done
            .filter(|done| is_current(done, wanted, &settings, output))
            .map(|done| done.outcome)
        {
            None => missing += 1,
            Some(Outcome::Unreadable(detail)) => rejected.push(Rejected {
                wanted,
                reason: Reason::Unreadable,
                detail,
            }),
            Some(Outcome::Written(written)) => match judge(preparation, &written) {
                Some((reason, detail)) => rejected.push(Rejected { wanted, reason, detail }),
                None => selected.push(Selected { wanted, written }),
            },
        }
    }
    if missing > 0 {
        return Err(PrepareError::NotPreprocessed { missing });
    }
    if preparation.quality.duplicates == Duplicates::Drop {
        selected = once(selected, &mut rejected);
    }
    Ok((selected, rejected))
}

/// What is wrong with an utterance, by what was measured of it.
fn judge(preparation: &Preparation, written: &Written) -> Option<(Reason, String)> {
    let (quality, measures) = (&preparation.quality, &written.measures);
    if written.source_lufs.is_none() {
        return Some((Reason::Silent, String::new()));
    }
    let above = |value: f64, limit: Option<f64>| limit.filter(|&limit| value > limit);
    let below = |value: f64, limit: Option<f64>| limit.filter(|&limit| value < limit);
    if let Some(limit) = above(measures.clipping_ratio, quality.max_clipping_ratio) {
        let detail = format!("{:.4} of its samples, at most {limit}", measures.clipping_ratio);
        return Some((Reason::Clipping, detail));
    }
    if let Some(limit) = above(measures.silence_ratio, quality.max_silence_ratio) {
        let detail = format!("{:.3} of its time, at most {limit}", measures.silence_ratio);
        return Some((Reason::Silence, detail));
    }
    if let Some(limit) = below(measures.snr_db, quality.min_snr_db) {
        return Some((Reason::Noise, format!("{:.1} dB, at least {limit} dB", measures.snr_db)));
    }
    if let Some(limit) = below(measures.duration_s, quality.min_duration_s) {
        return Some((
            Reason::Short,
            format!("{:.3} s, at least {limit} s", measures.duration_s),
        ));
    }
    let limit = above(measures.duration_s, quality.max_duration_s)?;
    Some((Reason::Long, format!("{:.3} s, at most {limit} s", measures.duration_s)))
}

/// Keeps the first of the utterances with the same sound, and none where their emotions differ.
fn once<'a>(selected: Vec<Selected<'a>>, rejected: &mut Vec<Rejected<'a>>) -> Vec<Selected<'a>> {
    let mut groups: HashMap<ContentHash, (&'a Wanted, bool)> = HashMap::new();
    for one in &selected {
        let (first, contradicts) = groups.entry(one.written.content).or_insert((one.wanted, false));
        *contradicts |= first.emotion != one.wanted.emotion;
    }
    let mut kept = Vec::new();
    for one in selected {
        let (first, contradicts) = match groups.get(&one.written.content) {
            Some(&(first, contradicts)) => (first, contradicts),
            None => (one.wanted, false),
        };
        let reason = match (contradicts, first.key == one.wanted.key) {
            (true, _) => Reason::Contradiction,
            (false, false) => Reason::Duplicate,
            (false, true) => {
                kept.push(one);
                continue;
            }
        };
        rejected.push(Rejected {
            wanted: one.wanted,
            reason,
            detail: if first.key == one.wanted.key {
                String::new()
            } else {
                first.key.clone()
            },
        });
    }
    kept
}

/// Writes `manifest.csv` with the `dataset.yaml` that reads all of it, `rejected.csv` and the report into the output folder, each as a whole or not at all.
///
/// # Errors
/// Utterances have not been preprocessed, nothing is left, or a file cannot be read or written.
pub fn integrate(preparation: &Preparation, plan: &Plan) -> Result<Integrated, PrepareError> {
    let output = preparation.output.as_path();
    let (selected, mut rejected) = select(preparation, plan)?;
    let annotations = labels_of_all(output)?;
    let targets: Vec<&str> = plan.targets.iter().map(String::as_str).collect();
    let mut kept: Vec<(Selected<'_>, usize, &str)> = Vec::new();
    for one in selected {
        let labels: Vec<&Labelled> = annotations
            .values()
            .filter_map(|answers| Some(&answers.get(&one.wanted.key)?.label))
            .collect();
        match verdict(&labels, &targets, preparation.disagreement) {
            Verdict::Corpus => {
                let emotion = one.wanted.emotion;
                kept.push((one, emotion, "corpus"));
            }
            Verdict::Label(emotion) => kept.push((one, emotion, "annotators")),
            Verdict::Out(reason) => rejected.push(Rejected {
                wanted: one.wanted,
                reason,
                detail: String::new(),
            }),
        }
    }
    let report = Report::new(preparation, plan, &kept, &rejected, &annotations);
    manifest::write(preparation, plan, &targets, &kept)?;
    write_rejected(output, &targets, &rejected)?;
    report.write(output)?;
    if kept.is_empty() {
        return Err(PrepareError::NothingLeft {
            folder: output.to_owned(),
        });
    }
    Ok(Integrated {
        kept: kept.len(),
        report,
    })
}

/// What annotators make of an utterance.
enum Verdict {
    /// Nobody said anything.
    Corpus,
    /// Its emotion.
    Label(usize),
    /// It is left out.
    Out(Reason),
}

fn verdict(labels: &[&Labelled], targets: &[&str], disagreement: Disagreement) -> Verdict {
    let Some(first) = labels.first() else {
        return Verdict::Corpus;
    };
    if labels.iter().any(|label| label != first) {
        return match disagreement {
            Disagreement::Drop => Verdict::Out(Reason::Disagreement),
            Disagreement::Corpus => Verdict::Corpus,
        };
    }
    match first {
        Labelled::Unusable => Verdict::Out(Reason::Unusable),
        // A target that the file no longer has says nothing.
        Labelled::As(label) => targets
            .iter()
            .position(|target| target == label)
            .map_or(Verdict::Corpus, Verdict::Label),
    }
}

fn write_rejected(output: &Path, targets: &[&str], rejected: &[Rejected<'_>]) -> Result<(), PrepareError> {
    let rows = rejected.iter().map(|one| {
        vec![
            one.wanted.key.clone(),
            targets.get(one.wanted.emotion).copied().unwrap_or_default().to_owned(),
            one.reason.words().to_owned(),
            one.detail.clone(),
        ]
    });
    write_table(
        &output.join("rejected.csv"),
        &["id", "emotion", "reason", "detail"],
        rows,
    )
}

pub(crate) fn write_table(
    path: &Path,
    header: &[impl AsRef<[u8]>],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), PrepareError> {
    let failed = |error: csv::Error| PrepareError::io("write", path)(std::io::Error::other(error.to_string()));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(&row).map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| PrepareError::io("write", path)(std::io::Error::other(error.to_string())))?;
    write_whole(path, &bytes)
}

/// Replaces a file as a whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PrepareError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let aside = Path::new(&name);
    File::create(aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(aside, path))
        .map_err(PrepareError::io("write", path))
}

/// Annotators' answers by annotator and utterance.
pub(crate) type Annotations = IndexMap<String, HashMap<String, Answer>>;
