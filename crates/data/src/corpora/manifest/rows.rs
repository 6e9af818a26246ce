//! Reading the lines of a manifest.

use super::fields::{self, Fields, label, number, time};
use super::places::Places;
use super::{Manifest, votes};
use crate::corpora::{Facts, FilePart, Gathered, Source, Utterance};
use crate::error::Also;
use crate::labelling::{Labelling, Outcome};
use crate::table::{Row, Table};
use crate::walk::Found;
use crate::{DataError, GENDERS, RowProblem, SplitName, emotion};
use emorun_lang::DataPath;
use indexmap::{IndexMap, IndexSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Kinds of wrong lines after which reading stops.
const MAX_ROW_ERRORS: usize = 100;
const KNOWN_EMOTIONS: &str = "map it with `mapping`, or list it in `emotions`";
const KNOWN_GENDERS: &str = "a gender is `female` or `male`";
const KNOWN_SPLITS: &str = "a side is `train`, `validation` or `test`; say in `split_names` what other words mean";

/// Wrong lines, those together in which the same is wrong.
#[derive(Default)]
struct Wrong {
    groups: IndexMap<String, (u64, RowProblem, Also)>,
}

impl Wrong {
    fn add(&mut self, row: u64, problem: RowProblem) {
        match self.groups.entry(problem.kind()) {
            indexmap::map::Entry::Occupied(mut known) => known.get_mut().2.add(row),
            indexmap::map::Entry::Vacant(new) => {
                new.insert((row, problem, Also::default()));
            }
        }
    }

    /// Whether more than enough is wrong: nobody reads on.
    fn is_enough(&self) -> ControlFlow<()> {
        if self.groups.len() < MAX_ROW_ERRORS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn into_errors(self, dataset: &str, path: &Path) -> impl Iterator<Item = DataError> {
        self.groups
            .into_values()
            .map(move |(row, problem, also)| DataError::Row {
                dataset: dataset.to_owned(),
                path: path.to_owned(),
                row,
                problem: Box::new(problem),
                also,
            })
    }
}

impl Manifest {
    /// The folder of the table.
    fn folder(&self) -> &Path {
        self.path.as_path().parent().unwrap_or(Path::new(""))
    }

    /// Where relative paths of audio start from.
    pub(super) fn audio_root(&self) -> PathBuf {
        self.root.as_ref().map_or(self.folder(), DataPath::as_path).to_owned()
    }

    /// The files that a column names; see [`crate::DatasetConfig::column_files`].
    pub(super) fn files_of_column(
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
        let fields = Fields::find(self, dataset, &columns)?;
        let root = self.audio_root();
        let mut places = Places::below(&root);
        let (mut files, mut wrong) = (Vec::new(), Wrong::default());
        let read = table.rows(|row| {
            // What is wrong with a line otherwise, the scan of the corpus has said.
            let Ok(row) = row else {
                return ControlFlow::Continue(());
            };
            let Ok(Some(utterance)) = self.utterance(&fields, &mut places, &row) else {
                return ControlFlow::Continue(());
            };
            let key = format!("{dataset}/{}", utterance.key);
            if !wanted(&key) {
                return ControlFlow::Continue(());
            }
            let column = column.to_owned();
            match row.cell(&column).map(|cell| self.folder().join(cell)) {
                None => wrong.add(row.number, RowProblem::Empty { column }),
                Some(path) if !path.is_file() => wrong.add(row.number, RowProblem::NoFile { column, path }),
                Some(file) => files.push((key, file)),
            }
            wrong.is_enough()
        });
        let errors: Vec<DataError> = wrong.into_errors(dataset, path).chain(read.err()).collect();
        if errors.is_empty() { Ok(files) } else { Err(errors) }
    }

    /// Reads the table, handing out the utterances as they are read; what is wrong is left with `gathered`.
    pub(super) fn gather_rows(
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
        let fields = match Fields::find(self, dataset, &columns) {
            Ok(fields) => fields,
            Err(missing) => {
                gathered.errors.extend(missing);
                return Ok(());
            }
        };
        let mut unread: IndexSet<(&'static str, &str)> = fields.asked_for().collect();
        let mut places = Places::below(root);
        let mut wrong = Wrong::default();
        let mut rows = 0_usize;
        let read = table.rows(|row| {
            rows += 1;
            let read = row
                .map_err(|(number, text)| (number, RowProblem::Malformed(text)))
                .and_then(|row| {
                    if !unread.is_empty() {
                        unread.retain(|(_, column)| row.cell(column).is_none() && row.nested(column).is_none());
                    }
                    let utterance = self.utterance(&fields, &mut places, &row);
                    utterance
                        .and_then(|utterance| match utterance {
                            Some(utterance) => fields.push(utterance, rules, gathered),
                            None => Ok(()),
                        })
                        .map_err(|problem| (row.number, problem))
                });
            gathered.utterances.drain(..).for_each(&mut *each);
            if let Err((row, problem)) = read {
                wrong.add(row, problem);
            }
            wrong.is_enough()
        });
        gathered.errors.extend(wrong.into_errors(dataset, path));
        let (remark, windows) = places.finish(dataset);
        gathered.warnings.extend(remark);
        gathered
            .errors
            .extend(windows.map(|(row, written, start, also)| DataError::WindowsPaths {
                dataset: dataset.to_owned(),
                path: path.to_owned(),
                row,
                written: fields::shortened(&written),
                start,
                also,
            }));
        read?;
        if rows == 0 {
            return Err(empty());
        }
        // Of a table that was not read to its end, columns may hold something below.
        if gathered.errors.is_empty() {
            let unread = unread.into_iter();
            gathered
                .errors
                .extend(unread.map(|(field, column)| DataError::EmptyColumn {
                    dataset: dataset.to_owned(),
                    path: path.to_owned(),
                    field,
                    column: column.to_owned(),
                }));
        }
        Ok(())
    }

    /// What a line tells; `None` where its path leads nowhere here, which `places` remembers.
    fn utterance(&self, fields: &Fields, places: &mut Places<'_>, row: &Row) -> Result<Option<Utterance>, RowProblem> {
        if let Some(column) = fields.flat().find(|column| row.nested(column).is_some()) {
            return Err(RowProblem::Nested {
                column: column.to_owned(),
            });
        }
        let seconds = |column: &Option<String>| {
            let written = cell(row, column);
            written.map(|(column, value)| time(column, value)).transpose()
        };
        let written = needed(row, &fields.path)?;
        let part = match (seconds(&fields.start)?, seconds(&fields.end)?) {
            (None, None) => None,
            (start, end_s) => Some(FilePart {
                start_s: start.unwrap_or(0.0),
                end_s,
            }),
        };
        if let Some(FilePart {
            start_s,
            end_s: Some(end_s),
        }) = part
            && end_s <= start_s
        {
            return Err(RowProblem::Order { start_s, end_s });
        }
        let mut facts = self.facts(fields, row)?;
        facts.streams = self.stream_sources(&fields.streams, row, places)?;
        let Some(place) = places.find(row.number, written) else {
            return Ok(None);
        };
        let relative = place.relative;
        let key = match part {
            None => relative.clone(),
            Some(FilePart {
                start_s,
                end_s: Some(end_s),
            }) => format!("{relative}#{start_s}-{end_s}"),
            Some(FilePart { start_s, end_s: None }) => format!("{relative}#{start_s}-"),
        };
        Ok(Some(Utterance {
            key,
            source: Source::File {
                found: Found {
                    path: place.path,
                    relative,
                    bytes: place.bytes,
                },
                part,
            },
            facts,
            row: Some(row.number),
        }))
    }

    fn facts(&self, fields: &Fields, row: &Row) -> Result<Facts, RowProblem> {
        let texts = |named: &[(String, String)]| -> IndexMap<String, String> {
            let told = named.iter();
            told.filter_map(|(name, column)| Some((name.clone(), row.cell(column)?.to_owned())))
                .collect()
        };
        let mut values = IndexMap::new();
        for (name, column) in &fields.values {
            if let Some(value) = row.cell(column) {
                values.insert(name.clone(), number(column, value)?);
            }
        }
        let gender = cell(row, &fields.gender)
            .map(|(column, value)| label(column, value, emotion::gender, &GENDERS, KNOWN_GENDERS))
            .transpose()?;
        let sides = SplitName::ALL.map(SplitName::as_str);
        let split = cell(row, &fields.split)
            .map(|(column, value)| label(column, value, |word| self.side(word), &sides, KNOWN_SPLITS))
            .transpose()?;
        let votes = match &fields.votes[..] {
            [(None, column)] => votes::in_column(row, column)?,
            columns => {
                let columns = columns.iter();
                votes::in_columns(
                    row,
                    columns.filter_map(|(label, column)| Some((label.as_deref()?, column.as_str()))),
                )?
            }
        };
        let emotion = match &fields.emotion {
            Some(column) => row.cell(column).map(str::to_owned),
            None => votes::winner(&votes).map(str::to_owned),
        };
        // A table that the experiment says to have several corpora has to tell which; another may.
        let people = match (&self.columns.people, &fields.people) {
            (Some(_), Some(column)) => Some(needed(row, column)?.to_owned()),
            _ => cell(row, &fields.people).map(|(_, people)| people.to_owned()),
        };
        let kept_together = cell(row, &fields.keep_together);
        Ok(Facts {
            // Empty for a speaker who is not known: who that is, is told where speakers are compared.
            speaker: row.cell(&fields.speaker).unwrap_or_default().to_owned(),
            people,
            emotion,
            gender: gender.map(str::to_owned),
            labels: texts(&fields.labels),
            text: cell(row, &fields.text).map(|(_, text)| text.to_owned()),
            attributes: texts(&fields.attributes),
            values,
            votes,
            split: split.flatten(),
            groups: fields
                .groups
                .iter()
                .filter_map(|(name, column)| Some(format!("{name}/{}", row.cell(column)?)))
                .chain(kept_together.into_iter().flat_map(|(_, cell)| listed_groups(cell)))
                .collect(),
            streams: Vec::new(),
        })
    }

    /// The side that a word of the column `split` means: `Some(None)` for none.
    fn side(&self, word: &str) -> Option<Option<SplitName>> {
        let own = self
            .split_names
            .iter()
            .find(|(name, _)| name.to_lowercase() == word.to_lowercase());
        own.map(|(_, side)| *side).or_else(|| fields::side(word).map(Some))
    }
}

/// The groups in a cell: `name/id; name/id`, in which `%3B` is a semicolon of a name and `%25` a percent sign.
fn listed_groups(cell: &str) -> impl Iterator<Item = String> + '_ {
    let groups = cell.split(';').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.replace("%3B", ";").replace("%25", "%"))
}

/// What a line holds in a column that has to hold something.
fn needed<'a>(row: &'a Row, column: &str) -> Result<&'a str, RowProblem> {
    row.cell(column).ok_or_else(|| RowProblem::Empty {
        column: column.to_owned(),
    })
}

/// A column that a table may lack, with what a line holds in it.
fn cell<'a>(row: &'a Row, column: &'a Option<String>) -> Option<(&'a str, &'a str)> {
    let column = column.as_deref()?;
    Some((column, row.cell(column)?))
}

impl Fields {
    /// The columns of numbers and votes, each with the field that names it: of labels, whoever learns from them tells
    /// that there are none.
    fn asked_for(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let values = self.values.iter().map(|(_, column)| ("values", column.as_str()));
        // One of several columns of votes may well have none.
        let votes = self.votes.iter().filter(|(label, _)| label.is_none());
        let streams = self.streams.iter().map(|(_, column)| ("streams", column.as_str()));
        values
            .chain(votes.map(|(_, column)| ("votes", column.as_str())))
            .chain(streams)
    }

    /// Adds an utterance, if all of its labels are known.
    fn push(&self, utterance: Utterance, rules: &Labelling<'_>, gathered: &mut Gathered) -> Result<(), RowProblem> {
        let problem = |column: &str, label: &str| RowProblem::Label {
            column: column.to_owned(),
            nearest: rules.suggest(label),
            value: fields::shortened(label),
            remedy: KNOWN_EMOTIONS,
        };
        let votes_column = |label: &str| {
            let own = self.votes.iter().find(|(own, _)| own.as_deref() == Some(label));
            own.or(self.votes.first())
                .map_or("votes", |(_, column)| column.as_str())
        };
        for label in utterance.facts.votes.keys() {
            if rules.before_subset(label) == Outcome::Unknown {
                gathered.labels.insert(label.clone());
                return Err(problem(votes_column(label), label));
            }
        }
        let column = self.emotion.as_deref().unwrap_or("emotion");
        gathered.push(utterance, rules).map_err(|label| problem(column, &label))
    }
}
