//! Writing a small corpus in the layout of each kind.

use super::SHORTEST_S;
use crate::corpora::{
    DatasetConfig, Parsed, cremad, emodb, esd, files, iemocap, librispeech, manifest, ravdess, synthetic,
};
use crate::fixtures::{
    FixtureError, IemocapLabels, Reader, Turn, esd_path, tone_at, write, write_cremad_tables, write_dialogue,
    write_esd_transcript, write_readers,
};
use crate::labelling::Mapping;
use crate::{SplitName, canonical};
use emorun_lang::DataPath;
use indexmap::{IndexMap, IndexSet};
use std::path::{Path, PathBuf};

/// Emotions of a manifest whose node names none.
const EMOTIONS: [&str; 4] = ["neutral", "happy", "sad", "angry"];

/// Writes one corpus.
pub(super) struct Writer<'a> {
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

impl Writer<'_> {
    pub fn write(&self, config: &DatasetConfig) -> Result<DatasetConfig, FixtureError> {
        Ok(match config {
            DatasetConfig::Ravdess(config) => DatasetConfig::Ravdess(self.ravdess(config)?),
            DatasetConfig::Cremad(config) => DatasetConfig::Cremad(self.cremad(config)?),
            DatasetConfig::Emodb(config) => DatasetConfig::Emodb(self.emodb(config)?),
            DatasetConfig::Iemocap(config) => DatasetConfig::Iemocap(self.iemocap(config)?),
            DatasetConfig::Esd(config) => DatasetConfig::Esd(self.esd(config)?),
            DatasetConfig::Librispeech(config) => DatasetConfig::Librispeech(self.librispeech(config)?),
            DatasetConfig::Emobox(config) => DatasetConfig::Emobox(self.emobox(config, self.folds)?),
            DatasetConfig::Files(config) => DatasetConfig::Manifest(self.manifest(&as_table(config))?),
            DatasetConfig::Manifest(config) => DatasetConfig::Manifest(self.manifest(config)?),
            DatasetConfig::Synthetic(config) => DatasetConfig::Synthetic(self.synthetic(config)),
        })
    }

    pub(super) fn path(&self, path: &Path) -> DataPath {
        DataPath::new(path.to_string_lossy())
    }

    /// Length of the file `number`.
    fn seconds(&self, number: usize) -> f64 {
        SHORTEST_S + 0.05 * (number % 7) as f64
    }

    /// Writes the file `number`, a tone that is higher and louder with `rank`.
    pub(super) fn tone(&self, name: &str, rate_hz: u32, number: usize, rank: usize) -> Result<f64, FixtureError> {
        let seconds = self.seconds(number);
        // The name alone would give two corpora of one kind the same sound.
        let own = format!("{}/{name}", self.dataset);
        tone_at(&self.root.join(name), &own, rate_hz, seconds, rank as u32)?;
        Ok(seconds)
    }

    fn ravdess(&self, config: &ravdess::Ravdess) -> Result<ravdess::Ravdess, FixtureError> {
        let mut number = 0;
        for actor in &self.speakers {
            for emotion in 1..=8 {
                let mut takes = 0;
                for (channel, intensity, statement, repetition) in combinations() {
                    let stem =
                        format!("03-{channel:02}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor}");
                    // Neither of these was recorded.
                    let exists = !(emotion == 1 && intensity == 2 || emotion > 6 && channel == 2);
                    if takes < self.takes && exists && matches!(config.parse(&stem), Parsed::Known(_)) {
                        let folder = if channel == 2 { "Song_Actor" } else { "Actor" };
                        self.tone(&format!("{folder}_{actor}/{stem}.wav"), 48_000, number, emotion)?;
                        takes += 1;
                        number += 1;
                    }
                }
            }
        }
        Ok(ravdess::Ravdess {
            root: self.path(&self.root),
            ..config.clone()
        })
    }

    fn cremad(&self, config: &cremad::Cremad) -> Result<cremad::Cremad, FixtureError> {
        let mut stems = Vec::new();
        for actor in &self.speakers {
            for (rank, (emotion, _)) in (1..).zip(cremad::EMOTIONS) {
                // All raters agree on these.
                for sentence in ["TSI", "WSI"].into_iter().take(self.takes) {
                    let stem = format!("{actor}_{sentence}_{emotion}_XX");
                    self.tone(&format!("AudioWAV/{stem}.wav"), 16_000, stems.len(), rank)?;
                    stems.push(stem);
                }
            }
        }
        write_cremad_tables(&self.root, &self.speakers, &stems)?;
        let table = self.root.join("VideoDemographics.csv");
        Ok(cremad::Cremad {
            root: self.path(&self.root),
            demographics: config.demographics.as_ref().map(|_| self.path(&table)),
            ..config.clone()
        })
    }

    fn emodb(&self, config: &emodb::Emodb) -> Result<emodb::Emodb, FixtureError> {
        let mut number = 0;
        for speaker in &self.speakers {
            for (rank, (emotion, _)) in (1..).zip(emodb::EMOTIONS) {
                for (text, _) in emodb::TEXTS.iter().take(self.takes) {
                    self.tone(&format!("wav/{speaker}{text}{emotion}a.wav"), 16_000, number, rank)?;
                    number += 1;
                }
            }
        }
        Ok(emodb::Emodb {
            root: self.path(&self.root),
            ..config.clone()
        })
    }

    fn iemocap(&self, config: &iemocap::Iemocap) -> Result<iemocap::Iemocap, FixtureError> {
        let dialogues = match config.style {
            iemocap::Style::Scripted => ["script01_1"; 2],
            iemocap::Style::Improvised => ["impro01"; 2],
            iemocap::Style::Both => ["impro01", "script01_1"],
        };
        let mut sessions: IndexMap<u32, Vec<char>> = IndexMap::new();
        for speaker in &self.speakers {
            let mut letters = speaker.chars().rev();
            if let (Some(sex), Some(session)) = (letters.next(), letters.next().and_then(|digit| digit.to_digit(10))) {
                sessions.entry(session).or_default().push(sex);
            }
        }
        let mut number = 0;
        for (session, speakers) in sessions {
            for (take, dialogue) in dialogues.into_iter().take(self.takes).enumerate() {
                let turns: Vec<Turn> = speakers
                    .iter()
                    .flat_map(|speaker| {
                        (1..)
                            .zip(iemocap::EMOTIONS)
                            .map(|(rank, (code, _))| (*speaker, rank, code))
                    })
                    .map(|(speaker, rank, code)| {
                        number += 1;
                        Turn {
                            speaker,
                            code,
                            rank,
                            seconds: self.seconds(number),
                        }
                    })
                    .collect();
                let marked = ['F', 'M'][take % 2];
                let name = format!("Ses{session:02}{marked}_{dialogue}");
                write_dialogue(
                    &self.root,
                    self.dataset,
                    session,
                    &name,
                    &turns,
                    IemocapLabels::Dialogue,
                )?;
            }
        }
        Ok(iemocap::Iemocap {
            root: self.path(&self.root),
            ..config.clone()
        })
    }

    fn esd(&self, config: &esd::Esd) -> Result<esd::Esd, FixtureError> {
        let mut number = 0;
        for (at, id) in self.speakers.iter().enumerate() {
            let Ok(speaker) = id.parse::<u32>() else { continue };
            let side = ["/train", "/evaluation", "/test"][at % SplitName::ALL.len()];
            let folder = if self.sides_by_column { side } else { "" };
            let mut names = Vec::new();
            for rank in 0..esd::EMOTIONS.len() as u32 {
                for take in 0..self.takes as u32 {
                    let (stem, path) = esd_path(speaker, rank, take, folder);
                    self.tone(&path, 16_000, number, 1 + rank as usize)?;
                    names.push((stem, rank));
                    number += 1;
                }
            }
            write_esd_transcript(&self.root, speaker, &names)?;
        }
        Ok(esd::Esd {
            root: self.path(&self.root),
            ..config.clone()
        })
    }

    fn librispeech(&self, config: &librispeech::Librispeech) -> Result<librispeech::Librispeech, FixtureError> {
        let subsets: Vec<&'static str> = match &config.subsets {
            Some(subsets) => subsets.iter().map(|subset| subset.name()).collect(),
            None => vec!["train-clean-100", "dev-clean", "test-clean"],
        };
        let readers: Vec<Reader> = self
            .speakers
            .iter()
            .zip(subsets.iter().cycle())
            .map(|(id, subset)| Reader {
                id: id.clone(),
                subset,
                utterances: 2 * self.takes as u32,
            })
            .collect();
        write_readers(&self.root, self.dataset, &readers, |number| self.seconds(number))?;
        Ok(librispeech::Librispeech {
            root: self.path(&self.root),
            ..config.clone()
        })
    }

    fn synthetic(&self, config: &synthetic::Synthetic) -> synthetic::Synthetic {
        let speakers = self.speakers.len() as u32;
        synthetic::Synthetic {
            // Named speakers must be there, and its speakers are numbered from 1.
            speakers: if self.named {
                config.speakers
            } else {
                config.speakers.min(speakers)
            },
            utterances: config.utterances.min(self.takes as u32),
            ..config.clone()
        }
    }

    fn manifest(&self, config: &manifest::Manifest) -> Result<manifest::Manifest, FixtureError> {
        let columns = &config.columns;
        let or = |name: &Option<String>, default: &str| name.clone().unwrap_or_else(|| default.to_owned());
        let labels = manifest_labels(config);
        let mut rows: Vec<IndexMap<String, String>> = Vec::new();
        for (speaker_number, speaker) in self.speakers.iter().enumerate() {
            for (rank, label) in labels.iter().enumerate() {
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
                        let class = ["one", "two"][(rank + take + at) % 2];
                        row.entry(column.to_owned()).or_insert_with(|| class.to_owned());
                    }
                    match &config.votes {
                        None => {}
                        Some(manifest::Votes::Column(column)) => {
                            row.entry(column.clone()).or_insert_with(|| format!("{label}:3"));
                        }
                        Some(manifest::Votes::Columns(columns)) => {
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
        Ok(manifest::Manifest {
            path: self.path(&path),
            root: None,
            split_names: IndexMap::new(),
            ..config.clone()
        })
    }
}

/// A table with what a corpus tells by its files' names: no file can be named for any pattern.
fn as_table(config: &files::Files) -> manifest::Manifest {
    let told = |name: &str| {
        let values = config
            .values
            .get(name)
            .or(config.derived.get(name).map(|derived| &derived.values));
        let constant = config.constant.get(name).into_iter();
        let values = values.into_iter().flat_map(|values| values.values().flatten());
        values.chain(constant).cloned().collect::<IndexSet<String>>()
    };
    let emotions = told("emotion");
    manifest::Manifest {
        path: config.root.clone(),
        root: None,
        columns: manifest::Columns {
            groups: config.groups.clone(),
            ..manifest::Columns::default()
        },
        labels: manifest::Named::List(config.labels.clone()),
        values: manifest::Named::default(),
        attributes: manifest::Named::default(),
        votes: None,
        streams: IndexMap::new(),
        split_names: IndexMap::new(),
        emotions: match (&config.emotions, &config.mapping) {
            (Some(emotions), _) => Some(emotions.clone()),
            (None, None) if !emotions.is_empty() => Some(emotions.into_iter().collect()),
            (None, _) => None,
        },
        mapping: config.mapping.clone(),
        on_bad_audio: config.on_bad_audio,
        channel: config.channel,
        on_copies: config.on_copies,
        people: config.people.clone(),
    }
}

/// Vocal channel, intensity, statement and repetition, the ones first that differ least.
fn combinations() -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (1..=2).flat_map(|repetition| {
        (1..=2).flat_map(move |statement| {
            (1..=2).flat_map(move |intensity| (1..=2).map(move |channel| (channel, intensity, statement, repetition)))
        })
    })
}

/// Labels that a manifest would have for its node's `emotions` and `mapping` to make sense.
fn manifest_labels(config: &manifest::Manifest) -> Vec<String> {
    labels_for(config.mapping.as_ref(), config.emotions.as_deref())
}

/// Labels with which a node's `mapping` and `emotions` make sense.
pub(super) fn labels_for(mapping: Option<&Mapping>, emotions: Option<&[String]>) -> Vec<String> {
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
