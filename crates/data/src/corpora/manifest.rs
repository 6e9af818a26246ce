//! Any other corpus, described by a table with one line a recording.

use super::{CorpusKind, Facts, Gathered, OnBadAudio, OnCopies, Part, Source, Utterance, Vocabulary};
use crate::labelling::{Labelling, Mapping};
use crate::table::{Row, Table};
use crate::walk::{Found, check_root};
use crate::{DataError, GENDERS, RowProblem, SplitName, emotion};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A corpus described by a CSV, TSV or JSONL file with one line a recording (or a part of one).
///
/// The columns `path` and `speaker` are needed; `emotion`, `gender`, `text`, `start`, `end`,
/// `split`, `people` and `keep_together` are read where they are there. An empty cell is an absent label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The table: `.csv`, `.tsv` (first line: column names) or `.jsonl` (one flat object a line),
    /// relative to the working directory.
    pub path: DataPath,
    /// Folder that relative paths in the table start from; by default the folder of the table.
    #[serde(default)]
    pub root: Option<DataPath>,
    /// Names of the table's columns where they differ from the default names.
    #[serde(default)]
    pub columns: Columns,
    /// Further columns to read as labels; the classes of each are its values in alphabetical order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Further columns to read as numbers: continuous labels, such as `valence`, on the table's own
    /// scale.
    #[serde(default)]
    pub values: Vec<String>,
    /// Emotions to keep, numbered in this order; all by default. A name that is listed here need
    /// not be canonical.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the table, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that is missing, cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// What to do with one recording under several names.
    #[serde(default)]
    pub on_copies: OnCopies,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default those of this dataset
    /// alone; two tables of one corpus need the same name here.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
}

/// Names of a manifest's columns. A column that is named here must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Column of the audio file's path; `path` by default.
    #[serde(default)]
    pub path: Option<String>,
    /// Column of the speaker's id; `speaker` by default.
    #[serde(default)]
    pub speaker: Option<String>,
    /// Column of the emotion; `emotion` by default.
    #[serde(default)]
    pub emotion: Option<String>,
    /// Column of the speaker's gender (`female`, `f`, `male`, `m`); `gender` by default.
    #[serde(default)]
    pub gender: Option<String>,
    /// Column of the words spoken; `text` by default.
    #[serde(default)]
    pub text: Option<String>,
    /// Column of the start of the part to use, in seconds; `start` by default.
    #[serde(default)]
    pub start: Option<String>,
    /// Column of the end of the part to use, in seconds; `end` by default.
    #[serde(default)]
    pub end: Option<String>,
    /// Column of the corpus' own split (`train`, `validation` or `dev`, `test`); `split` by
    /// default.
    #[serde(default)]
    pub split: Option<String>,
    /// Column of the name of the people whom a line's speaker is one of, for tables that list several corpora; `people` by
    /// default. Where it is not there or empty, all are of the dataset's `people`.
    #[serde(default)]
    pub people: Option<String>,
    /// Columns of further groups that a split may not cut, such as a dialogue or a session. The column `keep_together`, where
    /// it is there, lists such groups as `name/id; name/id`: prepared tables have it.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Names that `labels` and `values` cannot have, because they are ports of every corpus.
const RESERVED: [&str; 6] = [
    "audio",
    "emotion",
    "gender",
    "text",
    crate::SOFT_EMOTION,
    crate::ALL_DIMENSIONS,
];
/// Columns that tables of several corpora have, such as prepared ones.
const PEOPLE: &str = "people";
const KEEP_TOGETHER: &str = "keep_together";
/// Name of the kind.
pub(crate) const KIND: &str = "manifest";
/// Wrong lines after which reading stops.
const MAX_ROW_ERRORS: usize = 100;
const KNOWN_EMOTIONS: &str = "map it with `mapping`, or list it in `emotions`";
const KNOWN_GENDERS: &str = "a gender is `female` or `male`";
const KNOWN_SPLITS: &str = "a side is `train`, `validation` or `test`";

impl CorpusKind for Manifest {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn on_copies(&self) -> OnCopies {
        self.on_copies
    }

    fn people(&self, dataset: &str) -> String {
        self.people.clone().unwrap_or_else(|| dataset.to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Open
    }

    fn label_columns(&self) -> &[String] {
        &self.labels
    }

    fn values(&self) -> Vec<String> {
        self.values.clone()
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let mut utterances = Vec::new();
        let gathered = self.gather_each(dataset, rules, &mut |utterance| utterances.push(utterance));
        Gathered { utterances, ..gathered }
    }

    fn gather_each(&self, dataset: &str, rules: &Labelling<'_>, each: &mut dyn FnMut(Utterance)) -> Gathered {
        let root = self.audio_root();
        if self.root.is_some()
            && let Err(error) = check_root(dataset, &root)
        {
            return Gathered::failed(error);
        }
        let columns: Vec<&String> = self.labels.iter().chain(&self.values).collect();
        if let Some(column) = columns.iter().enumerate().find_map(|(index, name)| {
            let taken = RESERVED.contains(&name.as_str()) || columns[..index].contains(name);
            taken.then(|| (*name).clone())
        }) {
            return Gathered::failed(DataError::RepeatedColumn {
                dataset: dataset.to_owned(),
                column,
            });
        }
        let mut gathered = Gathered::default();
        if let Err(error) = self.gather_rows(dataset, &root, rules, &mut gathered, each) {
            gathered.errors.push(error);
        }
        gathered
    }
}

impl Manifest {
    /// The folder of the table.
    fn folder(&self) -> &Path {
        self.path.as_path().parent().unwrap_or(Path::new(""))
    }

    /// Where relative paths of audio start from.
    fn audio_root(&self) -> PathBuf {
        self.root.as_ref().map_or(self.folder(), DataPath::as_path).to_owned()
    }

    /// The files that a column names; see [`super::DatasetConfig::column_files`].
    pub(super) fn column_files(
        &self,
        dataset: &str,
        column: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, Vec<DataError>> {
        let path = self.path.as_path();
        let table = Table::new(dataset, path).map_err(|error| vec![error])?;
        let columns = table.columns().map_err(|error| vec![error])?;
        if !columns.contains(column) {
            return Err(vec![DataError::MissingColumn {
                dataset: dataset.to_owned(),
                path: path.to_owned(),
                field: "column".to_owned(),
                column: column.to_owned(),
                known: columns.into_iter().collect(),
            }]);
        }
        let root = self.audio_root();
        let (mut files, mut errors) = (Vec::new(), Vec::new());
        let read = table.rows(|row| {
            // What is wrong with a line otherwise, the scan of the corpus has said.
            let Ok(row) = row else {
                return ControlFlow::Continue(());
            };
            let Ok(utterance) = self.utterance(&root, &row) else {
                return ControlFlow::Continue(());
            };
            let key = format!("{dataset}/{}", utterance.key);
            if !wanted(&key) {
                return ControlFlow::Continue(());
            }
            let column = column.to_owned();
            let file = match row.cell(&column).map(|cell| self.folder().join(cell)) {
                None => Err(RowProblem::Empty { column }),
                Some(path) if !path.is_file() => Err(RowProblem::NoFile { column, path }),
                Some(file) => Ok(file),
            };
            match file {
                Ok(file) => files.push((key, file)),
                Err(problem) => errors.push(DataError::Row {
                    dataset: dataset.to_owned(),
                    path: path.to_owned(),
                    row: row.number,
                    problem: Box::new(problem),
                }),
            }
            if errors.len() < MAX_ROW_ERRORS {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        errors.extend(read.err());
        if errors.is_empty() { Ok(files) } else { Err(errors) }
    }

    fn gather_rows(
        &self,
        dataset: &str,
        root: &Path,
        rules: &Labelling<'_>,
        gathered: &mut Gathered,
        each: &mut dyn FnMut(Utterance),
    ) -> Result<(), DataError> {
        let path = self.path.as_path();
        let table = Table::new(dataset, path)?;
        let columns = table.columns()?;
        let empty = || DataError::EmptyManifest {
            dataset: dataset.to_owned(),
            path: path.to_owned(),
        };
        if columns.is_empty() {
            return Err(empty());
        }
        let missing = self
            .required()
            .into_iter()
            .filter(|(_, column)| !columns.contains(*column));
        gathered
            .errors
            .extend(missing.map(|(field, column)| DataError::MissingColumn {
                dataset: dataset.to_owned(),
                path: path.to_owned(),
                field: field.to_owned(),
                column: column.to_owned(),
                known: columns.iter().cloned().collect(),
            }));
        if !gathered.errors.is_empty() {
            return Ok(());
        }
        let mut rows = 0_usize;
        table.rows(|row| {
            rows += 1;
            let read = row
                .map_err(|(number, text)| (number, RowProblem::Malformed(text)))
                .and_then(|row| {
                    self.utterance(root, &row)
                        .and_then(|utterance| {
                            gathered.push(utterance, rules).map_err(|label| RowProblem::Label {
                                column: self.columns.emotion.clone().unwrap_or_else(|| "emotion".to_owned()),
                                nearest: rules.suggest(&label),
                                value: shortened(&label),
                                remedy: KNOWN_EMOTIONS,
                            })
                        })
                        .map_err(|problem| (row.number, problem))
                });
            gathered.utterances.drain(..).for_each(&mut *each);
            if let Err((row, problem)) = read {
                gathered.errors.push(DataError::Row {
                    dataset: dataset.to_owned(),
                    path: path.to_owned(),
                    row,
                    problem: Box::new(problem),
                });
            }
            // A wrong column is wrong in every line: nobody reads on.
            if gathered.errors.len() < MAX_ROW_ERRORS {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if rows == 0 { Err(empty()) } else { Ok(()) }
    }

    /// Columns that must be in the table, each with its field below `columns`.
    fn required(&self) -> Vec<(&'static str, &str)> {
        let columns = &self.columns;
        let optional = [
            ("columns.emotion", &columns.emotion),
            ("columns.gender", &columns.gender),
            ("columns.text", &columns.text),
            ("columns.start", &columns.start),
            ("columns.end", &columns.end),
            ("columns.split", &columns.split),
            ("columns.people", &columns.people),
        ];
        let mut required = vec![
            ("columns.path", columns.path.as_deref().unwrap_or("path")),
            ("columns.speaker", columns.speaker.as_deref().unwrap_or("speaker")),
        ];
        required.extend(
            optional
                .into_iter()
                .filter_map(|(field, name)| Some((field, name.as_deref()?))),
        );
        required.extend(columns.groups.iter().map(|name| ("columns.groups", name.as_str())));
        required.extend(self.labels.iter().map(|name| ("labels", name.as_str())));
        required.extend(self.values.iter().map(|name| ("values", name.as_str())));
        required
    }

    fn utterance(&self, root: &Path, row: &Row) -> Result<Utterance, RowProblem> {
        let columns = &self.columns;
        let cell = |name: &Option<String>, default: &'static str| {
            let column = name.as_deref().unwrap_or(default).to_owned();
            (row.cell(&column), column)
        };
        let needed = |name: &Option<String>, default: &'static str| {
            let (value, column) = cell(name, default);
            value.map(str::to_owned).ok_or(RowProblem::Empty { column })
        };
        let seconds = |name: &Option<String>, default: &'static str| {
            let (value, column) = cell(name, default);
            value.map(|value| time(&column, value)).transpose()
        };
        let written = needed(&columns.path, "path")?;
        let part = match (seconds(&columns.start, "start")?, seconds(&columns.end, "end")?) {
            (None, None) => None,
            (start, end_s) => Some(Part {
                start_s: start.unwrap_or(0.0),
                end_s,
            }),
        };
        if let Some(Part {
            start_s,
            end_s: Some(end_s),
        }) = part
            && end_s <= start_s
        {
            return Err(RowProblem::Order { start_s, end_s });
        }
        let mut values = IndexMap::new();
        for column in &self.values {
            if let Some(value) = row.cell(column) {
                values.insert(column.clone(), number(column, value)?);
            }
        }
        let (value, column) = cell(&columns.gender, "gender");
        let gender = label(column, value, emotion::gender, &GENDERS, KNOWN_GENDERS)?;
        let (value, column) = cell(&columns.split, "split");
        let sides = SplitName::ALL.map(SplitName::as_str);
        let split = label(column, value, side, &sides, KNOWN_SPLITS)?;
        let facts = Facts {
            speaker: needed(&columns.speaker, "speaker")?,
            people: match &columns.people {
                Some(_) => Some(needed(&columns.people, PEOPLE)?),
                None => row.cell(PEOPLE).map(str::to_owned),
            },
            emotion: cell(&columns.emotion, "emotion").0.map(str::to_owned),
            gender: gender.map(str::to_owned),
            labels: self
                .labels
                .iter()
                .filter_map(|column| Some((column.clone(), row.cell(column)?.to_owned())))
                .collect(),
            text: cell(&columns.text, "text").0.map(str::to_owned),
            attributes: IndexMap::new(),
            values,
            votes: IndexMap::new(),
            split,
            groups: columns
                .groups
                .iter()
                .filter_map(|column| Some(format!("{column}/{}", row.cell(column)?)))
                .chain(row.cell(KEEP_TOGETHER).into_iter().flat_map(listed_groups))
                .collect(),
        };
        // `join` leaves an absolute path as it is.
        let path = root.join(&written);
        let relative = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .replace('\\', "/");
        let key = match part {
            None => relative.clone(),
            Some(Part {
                start_s,
                end_s: Some(end_s),
            }) => format!("{relative}#{start_s}-{end_s}"),
            Some(Part { start_s, end_s: None }) => format!("{relative}#{start_s}-"),
        };
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        Ok(Utterance {
            key,
            source: Source::File {
                found: Found { path, relative, bytes },
                part,
            },
            facts,
            row: Some(row.number),
        })
    }
}

/// The groups in a cell: `name/id; name/id`, in which `%3B` is a semicolon of a name and `%25` a percent sign.
fn listed_groups(cell: &str) -> impl Iterator<Item = String> + '_ {
    let groups = cell.split(';').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.replace("%3B", ";").replace("%25", "%"))
}

fn time(column: &str, value: &str) -> Result<f64, RowProblem> {
    match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err(RowProblem::Time {
            column: column.to_owned(),
            value: shortened(value),
        }),
    }
}

fn number(column: &str, value: &str) -> Result<f32, RowProblem> {
    match value.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(RowProblem::Number {
            column: column.to_owned(),
            value: shortened(value),
        }),
    }
}

/// The start of a cell, for a message.
fn shortened(value: &str) -> String {
    const SHOWN: usize = 80;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// What a cell stands for; an empty one for nothing.
fn label<T>(
    column: String,
    value: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    known: &[&str],
    remedy: &'static str,
) -> Result<Option<T>, RowProblem> {
    let Some(value) = value else { return Ok(None) };
    read(value).map(Some).ok_or_else(|| RowProblem::Label {
        column,
        value: shortened(value),
        nearest: emotion::nearest(value, known.iter().copied()),
        remedy,
    })
}

pub(super) fn side(word: &str) -> Option<SplitName> {
    match word.to_lowercase().as_str() {
        "train" | "training" => Some(SplitName::Train),
        "validation" | "valid" | "val" | "dev" | "development" => Some(SplitName::Validation),
        "test" | "testing" | "eval" | "evaluation" => Some(SplitName::Test),
        _ => None,
    }
}
