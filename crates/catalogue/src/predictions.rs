//! What a run said of its test items: `report/predictions.HEAD.csv`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::open_regular;
use emorun_metrics::{ClassPredictions, NumberPredictions, Predictions};

use crate::CatalogueError;

/// What a head said of items, a row an item (of a parent, an item and member).
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Classes, or names of numbers.
    pub names: Vec<String>,
    pub predicts_classes: bool,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub dataset: String,
    pub path: String,
    pub split: String,
    pub speaker: String,
    /// Of a parent, the member that was asked.
    pub member: Option<String>,
    /// The place of the true class; of numbers, nothing.
    pub truth: Option<u32>,
    /// The true numbers.
    pub numbers: Vec<Option<f32>>,
    /// The class that the file names.
    pub predicted: String,
    /// Probabilities of the classes, or the numbers that were predicted.
    pub values: Vec<f32>,
}

/// The heads of a run that have predictions, and their files, in the order of their names.
pub(crate) fn files_of(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(dir.join("report")).into_iter().flatten();
    let names = entries.filter_map(Result::ok).filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let head = name.strip_prefix("predictions.")?.strip_suffix(".csv")?;
        Some((head.to_owned(), entry.path()))
    });
    let mut found: Vec<(String, PathBuf)> = names.collect();
    found.sort();
    found
}

/// Where what is read stands in a row.
struct Columns {
    member: Option<usize>,
    /// `path`, `dataset`, `split`, `speaker`.
    of_item: [usize; 4],
    names: Vec<String>,
    values: Vec<usize>,
    truths: Vec<usize>,
    /// Of classes, the one that is named.
    predicted: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let at = |name: &str| header.iter().position(|own| own == name);
        let needed = |name: &str| at(name).ok_or_else(|| format!("it has no column `{name}`"));
        let behind = |prefix: &str| -> Vec<(usize, String)> {
            let named = header.iter().enumerate();
            named
                .filter_map(|(at, own)| Some((at, own.strip_prefix(prefix)?.to_owned())))
                .collect()
        };
        let of_item = [
            needed("path")?,
            needed("dataset")?,
            needed("split")?,
            needed("speaker")?,
        ];
        let classes = at("true").zip(at("predicted"));
        let (values, truths) = match classes {
            Some((truth, _)) => (behind("p_"), vec![truth]),
            None => {
                let values = behind("predicted_");
                let truths = values.iter().map(|(_, name)| needed(&format!("true_{name}")));
                let truths = truths.collect::<Result<_, _>>()?;
                (values, truths)
            }
        };
        if values.is_empty() {
            return Err("it has no column of predictions".to_owned());
        }
        let (values, names) = values.into_iter().unzip();
        Ok(Self {
            member: at("member"),
            of_item,
            names,
            values,
            truths,
            predicted: classes.map(|(_, predicted)| predicted),
        })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<Row, String> {
        let text = |at: usize| record.get(at).unwrap_or_default();
        let number = |text: &str| {
            let number: Option<f32> = text.parse().ok().filter(|number: &f32| number.is_finite());
            number.ok_or_else(|| format!("{text:?} is no number"))
        };
        let optional = |text: &str| {
            if text.is_empty() {
                Ok(None)
            } else {
                number(text).map(Some)
            }
        };
        let [path, dataset, split, speaker] = self.of_item.map(|at| text(at).to_owned());
        let values = self.values.iter().map(|&at| number(text(at)));
        let (mut truth, mut numbers) = (None, Vec::new());
        if self.predicted.is_some() {
            let named = self.truths.first().map_or("", |&at| text(at));
            let place = self.names.iter().position(|name| name == named);
            if place.is_none() && !named.is_empty() {
                return Err(format!("the true class {named:?} has no column of its own"));
            }
            truth = place.and_then(|place| u32::try_from(place).ok());
        } else {
            numbers = self
                .truths
                .iter()
                .map(|&at| optional(text(at)))
                .collect::<Result<_, _>>()?;
        }
        Ok(Row {
            dataset,
            path,
            split,
            speaker,
            member: self.member.map(|at| text(at).to_owned()),
            truth,
            numbers,
            predicted: self.predicted.map_or_else(String::new, |at| text(at).to_owned()),
            values: values.collect::<Result<_, _>>()?,
        })
    }
}

/// Reads a file of predictions.
///
/// # Errors
/// It cannot be read, or holds something else; the message says the line.
pub(crate) fn read(path: &Path) -> Result<Said, CatalogueError> {
    let corrupt = |message: String| CatalogueError::Corrupt {
        path: path.to_owned(),
        message,
    };
    let file = open_regular(path).map_err(CatalogueError::io("read", path))?;
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(|error| corrupt(error.to_string()))?;
    let columns = Columns::of(header).map_err(corrupt)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| corrupt(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = columns.row(&record);
        rows.push(row.map_err(|problem| corrupt(format!("line {line}: {problem}")))?);
    }
    Ok(Said {
        predicts_classes: columns.predicted.is_some(),
        names: columns.names,
        rows,
    })
}

impl Said {
    /// Some of the rows as predictions over `names`, which are this one's own or more; what a class has no column for has
    /// the probability 0.
    pub(crate) fn predictions<'a>(&self, rows: impl Iterator<Item = &'a Row>, names: &[String]) -> Predictions {
        let places: Vec<Option<usize>> = names.iter().map(|name| self.place(name)).collect();
        if self.predicts_classes {
            let back: HashMap<usize, u32> = places
                .iter()
                .enumerate()
                .filter_map(|(at, place)| Some(((*place)?, u32::try_from(at).ok()?)))
                .collect();
            let mut found = ClassPredictions::new(names);
            for row in rows {
                let values: Vec<f32> = places
                    .iter()
                    .map(|place| place.map_or(0.0, |at| row.values[at]))
                    .collect();
                let truth = row.truth.and_then(|truth| back.get(&(truth as usize)).copied());
                // Both have the lengths of `names`.
                let _ = found.add(truth, &values);
            }
            return Predictions::Classes(found);
        }
        let mut found = NumberPredictions::new(names);
        for row in rows {
            let of = |place: &Option<usize>| place.map_or(0.0, |at| row.values[at]);
            let values: Vec<f32> = places.iter().map(of).collect();
            let truths: Vec<Option<f32>> = places.iter().map(|place| row.numbers[(*place)?]).collect();
            let _ = found.add(&truths, &values);
        }
        Predictions::Numbers(found)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }

    /// The name of a row's true class.
    pub(crate) fn true_class(&self, row: &Row) -> Option<&str> {
        self.names.get(row.truth? as usize).map(String::as_str)
    }
}
