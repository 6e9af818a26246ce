//! The table of what was prepared, and what an experiment has to say to read all of it back.

use crate::integrate::{write_table, write_whole};
use crate::{Plan, Preparation, PrepareError, Selected};
use emorun_lang::to_yaml;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::path::Path;

/// Name of the table in the output folder.
pub(crate) const MANIFEST: &str = "manifest.csv";
/// Name of the file that an experiment extends to read the table.
const DATASET: &str = "dataset.yaml";
/// Columns that every table has, in order.
const COLUMNS: [&str; 19] = [
    "id",
    "path",
    "speaker",
    "emotion",
    "emotion_id",
    "gender",
    "text",
    "dataset",
    "corpus_emotion",
    "labelled_by",
    "duration_s",
    "sample_rate_hz",
    "clipping_ratio",
    "silence_ratio",
    "snr_db",
    "loudness_lufs",
    "people",
    "keep_together",
    "split",
];
/// Start of the columns with the raters' votes.
const VOTES: &str = "votes_";

/// An utterance of the table: what was prepared, its target emotion, and who gave it.
pub(crate) type Kept<'a> = (Selected<'a>, usize, &'a str);

/// Further columns of a table: what the corpora tell beyond emotion, gender and text.
struct Further<'a> {
    labels: Vec<&'a String>,
    attributes: Vec<&'a String>,
    values: Vec<&'a String>,
    votes: bool,
}

impl<'a> Further<'a> {
    fn of(plan: &'a Plan, kept: &'a [Kept<'_>]) -> Self {
        // Names that the table's own columns have stand for those.
        let free = |name: &&String| !COLUMNS.contains(&name.as_str());
        Self {
            labels: plan.labels.iter().filter(free).collect(),
            attributes: plan.attributes.iter().filter(free).collect(),
            values: plan.values.iter().filter(free).collect(),
            votes: kept.iter().any(|(one, ..)| !one.wanted.votes.is_empty()),
        }
    }

    fn header(&self, targets: &[&str]) -> Vec<String> {
        let own = COLUMNS.iter().map(|name| (*name).to_owned());
        let told = [&self.labels, &self.attributes, &self.values].into_iter().flatten();
        let votes = targets.iter().filter(|_| self.votes);
        own.chain(told.map(|name| (*name).clone()))
            .chain(votes.map(|target| format!("{VOTES}{target}")))
            .collect()
    }
}

/// Writes the table and what reads it.
pub(crate) fn write(
    preparation: &Preparation,
    plan: &Plan,
    targets: &[&str],
    kept: &[Kept<'_>],
) -> Result<(), PrepareError> {
    let output = preparation.output.as_path();
    let further = Further::of(plan, kept);
    let rows = kept.iter().map(|kept| row(preparation, &further, targets, kept));
    write_table(&output.join(MANIFEST), &further.header(targets), rows)?;
    write_whole(
        &output.join(DATASET),
        dataset(preparation, &further, targets, output).as_bytes(),
    )
}

fn row(
    preparation: &Preparation,
    further: &Further<'_>,
    targets: &[&str],
    (one, emotion, by): &Kept<'_>,
) -> Vec<String> {
    let Selected { wanted, written } = one;
    let (people, speaker) = wanted.speaker.split_once('/').unwrap_or(("", &wanted.speaker));
    let mut row = vec![
        wanted.key.clone(),
        written.file.clone(),
        // Who is not known has a name that starts so; nobody else has it.
        if speaker.starts_with('?') { "unknown" } else { speaker }.to_owned(),
        targets.get(*emotion).copied().unwrap_or_default().to_owned(),
        emotion.to_string(),
        wanted.gender.clone().unwrap_or_default(),
        wanted.text.clone().unwrap_or_default(),
        wanted.dataset.clone(),
        wanted.corpus_emotion.clone(),
        (*by).to_owned(),
        format!("{:.6}", written.measures.duration_s),
        preparation.audio.sample_rate_hz.to_string(),
        format!("{:.6}", written.measures.clipping_ratio),
        format!("{:.4}", written.measures.silence_ratio),
        format!("{:.2}", written.measures.snr_db),
        written.lufs.map(|lufs| format!("{lufs:.2}")).unwrap_or_default(),
        people.to_owned(),
        wanted
            .groups
            .iter()
            .map(|group| escaped(group))
            .collect::<Vec<_>>()
            .join(";"),
        wanted.split.map(|side| side.to_string()).unwrap_or_default(),
    ];
    let of = |told: &IndexMap<String, String>, name: &String| told.get(name).cloned().unwrap_or_default();
    row.extend(further.labels.iter().map(|name| of(&wanted.labels, name)));
    row.extend(further.attributes.iter().map(|name| of(&wanted.attributes, name)));
    row.extend(further.values.iter().map(|name| {
        let value = wanted.values.get(*name);
        value.map(ToString::to_string).unwrap_or_default()
    }));
    if further.votes {
        let share = |target: usize| wanted.votes.get(target).map(ToString::to_string).unwrap_or_default();
        row.extend((0..targets.len()).map(share));
    }
    row
}

/// A group without its people, in a list whose entries `;` parts.
fn escaped(group: &str) -> String {
    group.replace('%', "%25").replace(';', "%3B")
}

/// The table as a dataset of an experiment.
fn dataset(preparation: &Preparation, further: &Further<'_>, targets: &[&str], output: &Path) -> String {
    let mut fields = json!({
        "kind": "manifest",
        "path": output.join(MANIFEST).to_string_lossy(),
        "emotions": targets,
    });
    for (field, names) in [
        ("labels", &further.labels),
        ("attributes", &further.attributes),
        ("values", &further.values),
    ] {
        if !names.is_empty() {
            fields[field] = json!(names);
        }
    }
    if further.votes {
        let columns: IndexMap<&str, String> = targets.iter().map(|name| (*name, format!("{VOTES}{name}"))).collect();
        fields["votes"] = json!({ "columns": columns });
    }
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
            && name != "data"
    };
    let name = match is_name(&preparation.name) {
        true => preparation.name.as_str(),
        false => "prepared",
    };
    let mut datasets = serde_json::Map::new();
    datasets.insert(name.to_owned(), fields);
    format!(
        "# Written by emorun: the prepared table with all that its corpora tell. In an experiment: extends: {}\n{}",
        output.join(DATASET).display(),
        to_yaml(&json!({ "datasets": Value::Object(datasets) }))
    )
}
