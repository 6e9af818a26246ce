//! What small corpora are written with, and the table that stands in for those that write no layout of their own.

use super::SHORTEST_S;
use crate::corpora::CorpusKind;
use crate::corpora::manifest::{Manifest, Votes};
use crate::fixtures::{FixtureError, tone_at, write};
use crate::labelling::{Mapping, Vocabulary};
use crate::{SplitName, canonical};
use emorun_lang::DataPath;
use indexmap::{IndexMap, IndexSet};
use std::path::{Path, PathBuf};

/// Emotions of a manifest whose node names none.
const EMOTIONS: [&str; 4] = ["neutral", "happy", "sad", "angry"];

/// Writes one corpus.
pub(crate) struct Writer<'a> {
    pub dataset: &'a str,
    pub root: PathBuf,
    /// Items of each emotion of a speaker.
    pub takes: usize,
    pub speakers: Vec<String>,
    /// Whether the split lists the speakers.
    pub named: bool,
    /// Whether a manifest's column assigns the sides.
    pub sides_by_column: bool,
    /// Published folds of a corpus that brings them.
    pub folds: usize,
}

/// What a table tells of its recordings.
pub(crate) struct Told {
    /// Labels of emotion, of which every speaker has each; an empty one is an absent label.
    labels: Vec<String>,
    /// The classes of columns, where they are known.
    classes: IndexMap<&'static str, &'static [&'static str]>,
}

impl Told {
    /// What a corpus tells.
    pub fn of<C: CorpusKind + ?Sized>(corpus: &C) -> Self {
        let labels = match corpus.vocabulary() {
            Vocabulary::Closed(names) if names.is_empty() => vec![String::new()],
            Vocabulary::Closed(names) => names,
            Vocabulary::Open | Vocabulary::AsWritten => labels_for(corpus.mapping(), corpus.emotions()),
        };
        let classes = corpus
            .attributes()
            .into_iter()
            .filter(|(_, classes)| !classes.is_empty());
        Self {
            labels,
            classes: classes.collect(),
        }
    }
}

impl Writer<'_> {
    /// Its folder, as a dataset names it.
    pub fn root(&self) -> DataPath {
        self.path(&self.root)
    }

    /// A file, as a dataset names it.
    pub fn path(&self, path: &Path) -> DataPath {
        DataPath::new(path.to_string_lossy())
    }

    /// Length of the file `number`.
    pub fn seconds(&self, number: usize) -> f64 {
        SHORTEST_S + 0.05 * (number % 7) as f64
    }

    /// Writes the file `number`, a tone that is higher and louder with `rank`.
    pub fn tone(&self, name: &str, rate_hz: u32, number: usize, rank: usize) -> Result<f64, FixtureError> {
        let seconds = self.seconds(number);
        // The name alone would give two corpora of one kind the same sound.
        let own = format!("{}/{name}", self.dataset);
        tone_at(&self.root.join(name), &own, rate_hz, seconds, rank as u32)?;
        Ok(seconds)
    }

    /// Writes a table with these columns; what it tells of the recordings is `told`.
    pub fn table(&self, config: &Manifest, told: &Told) -> Result<Manifest, FixtureError> {
        let columns = &config.columns;
        let or = |name: &Option<String>, default: &str| name.clone().unwrap_or_else(|| default.to_owned());
        let mut rows: Vec<IndexMap<String, String>> = Vec::new();
        for (speaker_number, speaker) in self.speakers.iter().enumerate() {
            for (rank, label) in told.labels.iter().enumerate() {
                for take in 0..self.takes {
                    let name = format!("wav/{speaker_number:02}_{rank:02}_{take}.wav");
                    let seconds = self.tone(&name, 16_000, rows.len(), rank + 1)?;
                    let gender = if speaker_number % 2 == 0 { "male" } else { "female" };
                    let side = SplitName::ALL[speaker_number % SplitName::ALL.len()];
                    let mut row = IndexMap::from([
                        (or(&columns.path, "path"), name),
                        (or(&columns.speaker, "speaker"), speaker.clone()),
                        (or(&columns.emotion, "emotion"), label.clone()),
                        (or(&columns.gender, "gender"), gender.to_owned()),
                        (or(&columns.text, "text"), "a generated tone".to_owned()),
                    ]);
                    if self.sides_by_column || columns.split.is_some() {
                        row.insert(or(&columns.split, "split"), side.to_string());
                    }
                    let times = [
                        (&columns.start, "0".to_owned()),
                        (&columns.end, format!("{seconds:.2}")),
                    ];
                    row.extend(times.into_iter().filter_map(|(name, time)| Some((name.clone()?, time))));
                    for group in &columns.groups {
                        row.entry(group.clone()).or_insert_with(|| format!("of {speaker}"));
                    }
                    for (_, column) in config.values.iter() {
                        let value = (1 + (rank + take) % 5) as f64;
                        row.entry(column.to_owned()).or_insert_with(|| format!("{value:.1}"));
                    }
                    for (at, (_, column)) in config.labels.iter().chain(config.attributes.iter()).enumerate() {
                        let classes = told.classes.get(column).copied().unwrap_or(&["one", "two"]);
                        let class = classes[(rank + take + at) % classes.len()];
                        row.entry(column.to_owned()).or_insert_with(|| class.to_owned());
                    }
                    match &config.votes {
                        None => {}
                        Some(Votes::Column(column)) => {
                            row.entry(column.clone()).or_insert_with(|| format!("{label}:3"));
                        }
                        Some(Votes::Columns(columns)) => {
                            for (voted, column) in columns {
                                let count = if voted == label { "3" } else { "1" };
                                row.entry(column.clone()).or_insert_with(|| count.to_owned());
                            }
                        }
                    }
                    for (name, stream) in &config.streams {
                        let cell = self.stream(name, stream, rows.len(), seconds)?;
                        row.entry(stream.column(name).to_owned()).or_insert(cell);
                    }
                    rows.push(row);
                }
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let quoted: Vec<String> = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            quoted.join(",") + "\n"
        };
        let mut table = rows.first().map(|row| line(&mut row.keys())).unwrap_or_default();
        table.extend(rows.iter().map(|row| line(&mut row.values())));
        let path = self.root.join("manifest.csv");
        write(&path, table.as_bytes())?;
        Ok(Manifest {
            path: self.path(&path),
            root: None,
            split_names: IndexMap::new(),
            ..config.clone()
        })
    }
}

/// Labels with which a node's `mapping` and `emotions` make sense.
pub(crate) fn labels_for(mapping: Option<&Mapping>, emotions: Option<&[String]>) -> Vec<String> {
    let plain = |label: &str| canonical(label).map_or_else(|| label.trim().to_lowercase(), str::to_owned);
    let mapped = mapping.into_iter().flatten();
    let mut labels: Vec<String> = mapped.clone().map(|(label, _)| label.clone()).collect();
    let targets: IndexSet<String> = mapped.filter_map(|(_, target)| target.as_deref().map(plain)).collect();
    let further: Vec<String> = match emotions {
        Some(emotions) => emotions.to_vec(),
        None if targets.len() > 1 => Vec::new(),
        None => EMOTIONS.map(str::to_owned).to_vec(),
    };
    for label in further {
        if !labels.iter().any(|known| plain(known) == plain(&label)) {
            labels.push(label);
        }
    }
    labels
}
