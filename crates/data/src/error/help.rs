//! What to do about an error in a dataset or a split.

use super::DataError;
use crate::corpora::described;
use crate::emotion;
use crate::foreign;

impl DataError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let meant = |nearest: &Option<String>| nearest.as_ref().map(|name| format!("did you mean `{name}`?"));
        match self {
            Self::RootMissing { .. } | Self::RootNotFolder { .. } => {
                Some("give the folder that holds the corpus, relative to the working directory, as `root`".into())
            }
            Self::NoAudio { remarks, .. } => {
                let question = "is the corpus unpacked?".to_owned();
                Some(std::iter::once(question).chain(remarks.iter().cloned()).collect::<Vec<_>>().join("\n"))
            }
            Self::Pointers { kind, .. } => Some(match described(kind).is_some_and(|kind| kind.is_fetched) {
                true => format!("{}, or fetch the corpus anew with `emorun data fetch {kind}`", foreign::FETCH),
                false => foreign::FETCH.to_owned(),
            }),
            Self::Table { problem, .. } => Some(problem.remedy().to_owned()),
            Self::ManifestFormat { .. } => Some(
                "save a workbook as `CSV UTF-8 (comma delimited)`; write one JSON object a line in a .jsonl".into(),
            ),
            Self::WindowsPaths { start, .. } => Some(match start {
                Some(start) => format!("take `{start}` out of every line: what follows it is there"),
                None => "write paths relative to the folder of the table, or to the folder that `root` names".into(),
            }),
            Self::EmptyColumn { field, .. } => Some(format!("fill the column, or take it out of `{field}`")),
            Self::NoLabel { column, datasets } => Some(label_remedy(column, datasets)),
            Self::UnusedLabel { nearest, .. } => {
                Some(meant(nearest).unwrap_or_else(|| "take it out, or correct it".into()))
            }
            Self::BadAudio { .. } | Self::ManyBad { .. } => Some("or leave such files out with `on_bad_audio: skip`".into()),
            Self::Changed { .. } => Some(
                "start again, so that it is read anew; a large corpus is read anew when its table changes, such as by `touch`".into(),
            ),
            Self::Index { .. } => Some("remove it: the next start reads the corpus again".into()),
            Self::Contradiction { .. } => Some(
                "correct one label or remove one of the two; or say in the dataset `on_copies: { other_labels: drop }` (neither is used) or `keep` (both are, on one side)"
                    .into(),
            ),
            Self::Row { problem, .. } => problem.help(),
            Self::Stream { problem, .. } => problem.help(),
            Self::MissingColumn {
                field, column, known, ..
            } => {
                let nearest = emotion::nearest(column, known.iter().map(String::as_str));
                // A file's name among the columns is the first line of a table without a header.
                let is_headless = known.iter().any(|name| name.contains(['/', '\\']) || name.ends_with(".wav"));
                Some(match meant(&nearest) {
                    Some(meant) => meant,
                    None if is_headless => "the first line of a table has to name its columns".into(),
                    None => format!("name the table's own column in `{field}`"),
                })
            }
            Self::UnknownEmotion { nearest, .. } | Self::UnknownSpeaker { nearest, .. } => meant(nearest),
            Self::NothingLeft { .. } => Some("widen `emotions`, `mapping` or the corpus' own filters".into()),
            Self::TooFewSpeakers { .. } => {
                Some("ask for fewer sides or folds, or assign the speakers with `kind: fixed`".into())
            }
            Self::ProtocolSpeakers { .. } => {
                Some("add them, or write the folds out with `folds: { groups: [[…], […]] }`".into())
            }
            Self::AmbiguousSpeaker { .. } => {
                Some("write it as `people/id`; `dataset/*` is every speaker of a dataset".into())
            }
            Self::SpeakersLeft { .. } | Self::ItemsLeft { .. } => {
                Some("assign them, or say what happens to them: `rest: train`, `validation`, `test` or `drop`".into())
            }
            Self::ClassNotTrained { .. } => {
                Some("leave the class out with `emotions`, or split so that a speaker who has it is in training".into())
            }
            Self::Leak { .. } => Some(
                "keep it on one side; a split that must leak gives its reason in `leak: …`, which every report repeats"
                    .into(),
            ),
            Self::UnknownCode {
                group, code, nearest, ..
            } => {
                let remedy =
                    format!("say it in `values: {{ {group}: {{ {code}: … }} }}`, with `null` to leave these files out");
                Some(meant(nearest).map_or(remedy.clone(), |meant| format!("{meant} {remedy}")))
            }
            Self::Emobox(error) => Some(error.help()),
            _ => None,
        }
    }
}

/// Where the datasets could tell a label that none of them does.
fn label_remedy(column: &str, datasets: &[(String, String)]) -> String {
    let remedy = |(dataset, kind): &(String, String)| (described(kind)?.label_remedy)(dataset, column);
    let remedies: Vec<String> = datasets.iter().filter_map(remedy).collect();
    match remedies.is_empty() {
        true => format!("take a corpus that tells it, or nothing from `data.{column}`"),
        false => remedies.join("; "),
    }
}
