//! Whom a network has heard before its run began: in the runs that its weights come from, and those before them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use emorun_data::SplitName;
use emorun_data::split::SideFacts;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use emorun_engine::exit::Failure;

/// A run or file that a network's weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its directory, or the file.
    pub from: String,
    /// Id of the run; empty for a file, and for a run of a version that stored none.
    #[serde(default)]
    pub id: String,
    /// Speakers that it was trained on; `None` where nobody knows.
    pub trained_on: Option<Vec<String>>,
    /// Speakers on whom its epoch was chosen.
    #[serde(default)]
    pub selected_on: Vec<String>,
}

/// All runs and files that a network's weights come from, the nearest first.
pub type Ancestry = Vec<Ancestor>;

/// How an ancestor heard speakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its weights moved by them.
    TrainedOn,
    /// Its epoch was chosen by them.
    SelectedOn,
}

/// Speakers of a side whom an ancestor has heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardBefore {
    /// The side.
    pub side: SplitName,
    /// The ancestor.
    pub from: String,
    /// How it heard them.
    pub how: How,
    /// Who they are.
    pub speakers: Vec<String>,
}

/// Speakers that a message names before it counts.
const NAMED: usize = 20;

impl fmt::Display for HeardBefore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            side,
            from,
            how,
            speakers,
        } = self;
        let how = match how {
            How::TrainedOn => "was trained on",
            How::SelectedOn => "had its epoch chosen on",
        };
        let named: Vec<&str> = speakers.iter().take(NAMED).map(String::as_str).collect();
        let more = speakers.len() - named.len();
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        write!(
            f,
            "{from} {how} {} speaker(s) of the {side} side ({}{more}): what is measured there is not on unheard speakers",
            speakers.len(),
            named.join(", ")
        )
    }
}

/// The run in a directory, and those that its own weights come from.
///
/// # Errors
/// Its `run.json` cannot be read.
pub fn of_run(run: &Path) -> Result<Ancestry, Failure> {
    let path = run.join("run.json");
    let bytes = std::fs::read(&path).map_err(Failure::io("read", &path))?;
    let corrupt = |error: serde_json::Error| Failure::Corrupt {
        path: path.clone(),
        message: error.to_string(),
    };
    let record: Value = serde_json::from_slice(&bytes).map_err(corrupt)?;
    let speakers = |side: &str| {
        let speakers = record["certificate"]["splits"][side]["speakers"].as_object()?;
        Some(speakers.keys().cloned().collect::<Vec<_>>())
    };
    let mut ancestry = vec![Ancestor {
        from: run.display().to_string(),
        id: record["id"].as_str().unwrap_or_default().to_owned(),
        trained_on: speakers("train"),
        selected_on: speakers("validation").unwrap_or_default(),
    }];
    match &record["ancestry"] {
        Value::Null => {
            // Written before it was stored: where that run began from weights, whom these had heard is not known.
            if let Some(from) = record["resolved"]["init_from"]["run"].as_str() {
                ancestry.push(unknown(from));
            }
        }
        stored => ancestry.extend(Ancestry::deserialize(stored).map_err(corrupt)?),
    }
    Ok(ancestry)
}

/// The run that a file is a checkpoint of: `RUN/checkpoints/step-N/weights.safetensors`.
pub fn checkpointed_run(file: &Path) -> Option<&Path> {
    let run = file.ancestors().nth(3)?;
    let within = file.ancestors().nth(2).and_then(Path::file_name)?;
    (within == "checkpoints" && run.join("run.json").is_file()).then_some(run)
}

/// An ancestor of which nobody knows whom it has heard, such as a file of tensors.
pub fn unknown(from: &str) -> Ancestor {
    Ancestor {
        from: from.to_owned(),
        id: String::new(),
        trained_on: None,
        selected_on: Vec::new(),
    }
}

/// Who of the validation and test sides was heard before: on both by training, on the test side also where an epoch was
/// chosen. That the validation side chooses again what it chose before is no leak.
pub fn heard_before(ancestry: &[Ancestor], sides: &IndexMap<SplitName, SideFacts>) -> Vec<HeardBefore> {
    let mut found = Vec::new();
    for side in [SplitName::Validation, SplitName::Test] {
        let Some(facts) = sides.get(&side) else {
            continue;
        };
        for ancestor in ancestry {
            let trained_on = ancestor.trained_on.iter().flatten();
            let trained_on: BTreeSet<&str> = trained_on.map(String::as_str).collect();
            let selected_on = ancestor.selected_on.iter().map(String::as_str);
            let selected_on: BTreeSet<&str> = match side {
                SplitName::Test => selected_on.filter(|speaker| !trained_on.contains(speaker)).collect(),
                _ => BTreeSet::new(),
            };
            for (how, heard) in [(How::TrainedOn, trained_on), (How::SelectedOn, selected_on)] {
                let speakers = facts.speakers.keys();
                let speakers: Vec<String> = speakers
                    .filter(|speaker| heard.contains(speaker.as_str()))
                    .cloned()
                    .collect();
                if !speakers.is_empty() {
                    found.push(HeardBefore {
                        side,
                        from: ancestor.from.clone(),
                        how,
                        speakers,
                    });
                }
            }
        }
    }
    found
}

/// What is to be said of ancestors of whom it is not known whom they have heard.
pub fn not_known(ancestry: &[Ancestor]) -> Vec<String> {
    let unknown = ancestry.iter().filter(|ancestor| ancestor.trained_on.is_none());
    unknown
        .map(|ancestor| {
            format!(
                "nobody knows whom the weights of {} have heard: whether speakers of the validation and test sides are unheard is not certain",
                ancestor.from
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(sides: &[(SplitName, &[&str])]) -> IndexMap<SplitName, SideFacts> {
        let side = |(side, speakers): &(SplitName, &[&str])| {
            let facts = SideFacts {
                speakers: speakers.iter().map(|speaker| ((*speaker).to_owned(), 1)).collect(),
                ..SideFacts::default()
            };
            (*side, facts)
        };
        sides.iter().map(side).collect()
    }

    fn ancestor(from: &str, trained_on: &[&str], selected_on: &[&str]) -> Ancestor {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Ancestor {
            from: from.to_owned(),
            id: String::new(),
            trained_on: Some(owned(trained_on)),
            selected_on: owned(selected_on),
        }
    }

    #[test]
    fn whom_any_ancestor_heard_is_found_on_the_sides_where_it_counts() {
        let now = sides(&[
            (SplitName::Train, &["x/1"]),
            (SplitName::Validation, &["x/2", "x/3"]),
            (SplitName::Test, &["x/4", "x/5", "x/6"]),
        ]);
        let ancestry = [
            ancestor("near", &["x/1", "x/2"], &["x/3", "x/4"]),
            ancestor("far", &["x/5"], &["x/5"]),
            unknown("file"),
        ];
        let found: Vec<String> = heard_before(&ancestry, &now)
            .into_iter()
            .map(|heard| {
                format!(
                    "{} {} {:?} {}",
                    heard.side,
                    heard.from,
                    heard.how,
                    heard.speakers.join(" ")
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "validation near TrainedOn x/2",
                "test near SelectedOn x/4",
                "test far TrainedOn x/5"
            ]
        );
        assert_eq!(not_known(&ancestry).len(), 1);
    }
}
