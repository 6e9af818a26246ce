//! A corpus whose file names tell what is needed, read by a regular expression.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, Manifest, Source, Utterance, dataset, manifest,
};
use crate::emotion::{self, GENDERS, nearest};
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::{Told, Writer};
use crate::walk::{Found, find_decodable};
use crate::{DataError, SkipReason, Skipped, SplitName};
use indexmap::{IndexMap, IndexSet};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

dataset! {
    /// A corpus of acted speech whose file names (and folders) encode speaker, emotion and more.
    ///
    /// The regular expression is searched for in each file's path below `root`, with `/` between folders; what its named groups
    /// `(?P<speaker>…)`, `(?P<emotion>…)`, `(?P<gender>…)`, `(?P<text>…)` and `(?P<split>…)` match are the recording's facts.
    /// `values` gives the names that codes stand for. Files that it does not match are left out, with a remark.
    ///
    /// SAVEE, for example: `pattern: '(?P<speaker>DC|JE|JK|KL)_(?P<emotion>[a-z]+)\d+\.wav$'` and `values: { emotion: { a: angry,
    /// d: disgust, f: fearful, h: happy, n: neutral, sa: sad, su: surprised } }`.
    pub struct Files {
        shared root,
        /// Regular expression with named groups (syntax of the crate `regex`, like Python's `re` without look-around and
        /// back-references). Write it in single quotes, so that YAML leaves `\` alone; `^` and `$` stand for the ends of the path.
        pub pattern: String,
        /// For each group, the name that each code stands for, or `null` to leave its recordings out. A code that is missing in
        /// the map of its group is an error; a group without a map is taken as it is.
        #[serde(default)]
        pub values: IndexMap<String, IndexMap<String, Option<String>>>,
        /// Facts that follow from what another group matches, such as a speaker's gender.
        #[serde(default)]
        pub derived: IndexMap<String, Derived>,
        /// Facts that all recordings have, such as `gender: male`.
        #[serde(default)]
        pub constant: IndexMap<String, String>,
        /// Further groups to read as labels; the classes of each are its values in alphabetical order.
        #[serde(default)]
        pub labels: Vec<String>,
        /// Further groups that a split may not cut, such as a dialogue or a session.
        #[serde(default)]
        pub groups: Vec<String>,
        shared classes: "all by default.", "an emotion", "applied after `values` and before `emotions`.",
        shared on_bad_audio,
        shared channel,
        shared on_copies,
        shared people: "those of this dataset alone.",
    }
}

/// A fact that follows from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The group of the pattern that it follows from.
    pub from: String,
    /// What each code of that group stands for, or `null` for nothing.
    pub values: IndexMap<String, Option<String>>,
}

/// Facts that every corpus may tell.
const FACTS: [&str; 5] = ["speaker", "emotion", "gender", "text", "split"];
/// Names of ports that `labels` cannot have.
const RESERVED: [&str; 7] = [
    "audio",
    "speaker",
    "emotion",
    "gender",
    "text",
    crate::SOFT_EMOTION,
    crate::ALL_DIMENSIONS,
];

impl Described for Files {
    const DESCRIPTION: Description = Description {
        summary: "any other corpus whose file names tell speaker and emotion, by a regular expression",
        outputs: "data.audio, data.emotion, data.gender, data.text, and one port for each of `labels`",
        ..Description::DEFAULT
    };
}

impl CorpusKind for Files {
    fn own_people(&self, dataset: &str) -> String {
        dataset.to_owned()
    }

    fn has_text(&self) -> bool {
        self.names().contains("text")
    }

    fn vocabulary(&self) -> Vocabulary {
        // A name that somebody wrote down for a code is meant.
        let is_written = self.values.contains_key("emotion") || self.derived.contains_key("emotion");
        if is_written || self.constant.contains_key("emotion") {
            Vocabulary::AsWritten
        } else {
            Vocabulary::Open
        }
    }

    fn label_columns(&self) -> Vec<String> {
        self.labels.clone()
    }

    fn check(&self, dataset: &str) -> Vec<DataError> {
        match Regex::new(&self.pattern) {
            Ok(pattern) => self.check_names(dataset, &pattern),
            Err(error) => vec![wrong(
                dataset,
                "pattern",
                format!("is no regular expression: {}", in_one_line(&error)),
            )],
        }
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        // What is wrong with the pattern, the check has said.
        let Ok(pattern) = Regex::new(&self.pattern) else {
            return Gathered::default();
        };
        if !self.check_names(dataset, &pattern).is_empty() {
            return Gathered::default();
        }
        let tree = match find_decodable(dataset, self.root.as_path()) {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let count = tree.found.len();
        let mut gathered = Gathered {
            skipped: tree.skipped,
            warnings: tree.remarks,
            ..Gathered::default()
        };
        let mut reading = Reading::new(self, &pattern);
        let mut matched = 0;
        for found in tree.found {
            match reading.facts(&found) {
                Outcome::Facts(facts) => {
                    matched += 1;
                    let (key, first) = (found.relative.clone(), found.relative.clone());
                    let source = Source::File { found, part: None };
                    let utterance = Utterance {
                        key,
                        source,
                        facts: *facts,
                        row: None,
                    };
                    if let Err(label) = gathered.push(utterance, rules) {
                        reading.note("emotion", &label, &first);
                    }
                }
                Outcome::LeftOut => {
                    matched += 1;
                    gathered.filtered += 1;
                }
                Outcome::Wrong => matched += 1,
                Outcome::NoMatch(reason) => gathered.skipped.push(Skipped {
                    dataset: dataset.to_owned(),
                    path: found.path,
                    reason: SkipReason::Name(reason),
                }),
            }
        }
        gathered.errors.extend(reading.errors(dataset, rules));
        if matched == 0 {
            gathered.errors.push(wrong(
                dataset,
                "pattern",
                format!(
                    "matches none of the {count} audio files in {:?}, such as {:?}",
                    self.root.as_path(),
                    gathered.skipped.first().map_or(String::new(), |skipped| {
                        let path = skipped.path.strip_prefix(self.root.as_path()).unwrap_or(&skipped.path);
                        path.to_string_lossy().into_owned()
                    })
                ),
            ));
        } else {
            gathered.warnings.extend(reading.unused(dataset));
        }
        gathered
    }

    // Its own labels may need its mapping.
    fn take_all(&mut self) {}

    /// A table with what it tells by its files' names: no file can be named for any pattern.
    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let told = |name: &str| {
            let values = self
                .values
                .get(name)
                .or(self.derived.get(name).map(|derived| &derived.values));
            let constant = self.constant.get(name).into_iter();
            let values = values.into_iter().flat_map(|values| values.values().flatten());
            values.chain(constant).cloned().collect::<IndexSet<String>>()
        };
        let emotions = told("emotion");
        let table = Manifest {
            columns: manifest::Columns {
                groups: self.groups.clone(),
                ..manifest::Columns::default()
            },
            emotions: match (&self.emotions, &self.mapping) {
                (Some(emotions), _) => Some(emotions.clone()),
                (None, None) if !emotions.is_empty() => Some(emotions.into_iter().collect()),
                (None, _) => None,
            },
            ..Manifest::stand_in_of(self, writer.dataset)
        };
        writer.table(&table, &Told::of(&table)).map(DatasetConfig::from)
    }
}

impl Files {
    /// Names of all facts that are told.
    fn names(&self) -> IndexSet<String> {
        let pattern = Regex::new(&self.pattern).ok();
        let groups = pattern.iter().flat_map(|pattern| pattern.capture_names().flatten());
        let groups = groups.map(str::to_owned);
        groups
            .chain(self.derived.keys().cloned())
            .chain(self.constant.keys().cloned())
            .collect()
    }

    /// What is wrong with the names of groups.
    fn check_names(&self, dataset: &str, pattern: &Regex) -> Vec<DataError> {
        let groups: Vec<&str> = pattern.capture_names().flatten().collect();
        let mut errors = Vec::new();
        let mut error = |field: String, problem: String| errors.push(wrong(dataset, &field, problem));
        let no_group = |name: &str| {
            let meant = nearest(name, groups.iter().copied())
                .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            let known = groups
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            format!("names `{name}`, which is no group of `pattern`; it has {known}{meant}")
        };
        for group in self.values.keys().filter(|group| !groups.contains(&group.as_str())) {
            error(format!("values.{group}"), no_group(group));
        }
        for (name, derived) in &self.derived {
            if !groups.contains(&derived.from.as_str()) {
                error(format!("derived.{name}.from"), no_group(&derived.from));
            }
        }
        let mut told: IndexSet<&str> = IndexSet::new();
        let sources = groups.iter().map(|name| ("pattern".to_owned(), *name));
        let sources = sources.chain(
            self.derived
                .keys()
                .map(|name| (format!("derived.{name}"), name.as_str())),
        );
        for (field, name) in sources.chain(
            self.constant
                .keys()
                .map(|name| (format!("constant.{name}"), name.as_str())),
        ) {
            if !told.insert(name) {
                error(field, format!("tells `{name}`, which is told already"));
            } else if !self.is_used(name) {
                error(
                    field,
                    format!(
                        "tells `{name}`, which nothing uses: it is none of {}; list it in `labels` to learn it, or in `groups` to keep it on one side",
                        FACTS.map(|name| format!("`{name}`")).join(", ")
                    ),
                );
            }
        }
        if !told.contains("speaker") {
            error(
                "pattern".to_owned(),
                "has no group `(?P<speaker>…)`, and nothing else tells who speaks; a corpus of one speaker has `constant: { speaker: NAME }`".to_owned(),
            );
        }
        for (field, names) in [("labels", &self.labels), ("groups", &self.groups)] {
            for (place, name) in names.iter().enumerate() {
                if !told.contains(name.as_str()) {
                    error(format!("{field}.{place}"), no_group(name));
                } else if field == "labels" && (RESERVED.contains(&name.as_str()) || names[..place].contains(name)) {
                    error(
                        format!("{field}.{place}"),
                        format!("is `{name}`, which is a port already"),
                    );
                }
            }
        }
        let maps = self
            .values
            .iter()
            .chain(self.derived.iter().map(|(name, derived)| (name, &derived.values)));
        for (name, value) in maps.flat_map(|(name, values)| values.values().flatten().map(move |value| (name, value))) {
            if let Some(known) = unknown_value(name, value) {
                error(
                    format!("values.{name}"),
                    format!("gives `{value}`, which is no {name}; it is {known}"),
                );
            }
        }
        for (name, value) in &self.constant {
            if let Some(known) = unknown_value(name, value) {
                error(
                    format!("constant.{name}"),
                    format!("is `{value}`, which is no {name}; it is {known}"),
                );
            }
        }
        errors
    }

    fn is_used(&self, name: &str) -> bool {
        // A group may stand for nothing but what is derived from it.
        let is_source = self.derived.values().any(|derived| derived.from == name);
        let listed = |names: &[String]| names.iter().any(|own| own == name);
        FACTS.contains(&name) || listed(&self.labels) || listed(&self.groups) || is_source
    }
}

/// What a value of a fact has to be, where it is not.
fn unknown_value(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "gender" if emotion::gender(value).is_none() => Some("`female` or `male`"),
        "split" if side(value).is_none() => Some("`train`, `validation` or `test`"),
        _ => None,
    }
}

fn side(word: &str) -> Option<SplitName> {
    super::manifest::fields::side(word)
}

fn wrong(dataset: &str, field: &str, problem: String) -> DataError {
    DataError::FilesField {
        dataset: dataset.to_owned(),
        field: field.to_owned(),
        problem,
    }
}

/// The last line of the crate's message says what is wrong; those before draw it.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

/// What a file's path tells.
enum Outcome {
    Facts(Box<Facts>),
    /// A code that stands for nothing.
    LeftOut,
    /// A code that nothing explains; it is noted.
    Wrong,
    /// The pattern is not in it, or a part that is needed is empty.
    NoMatch(String),
}

/// Files of a corpus being read, with the codes that came up.
struct Reading<'a> {
    files: &'a Files,
    pattern: &'a Regex,
    /// Codes by their group, with how often and where first.
    unknown: IndexMap<(String, String), (usize, String)>,
    used: IndexSet<(&'a str, &'a str)>,
}

impl<'a> Reading<'a> {
    fn new(files: &'a Files, pattern: &'a Regex) -> Self {
        Self {
            files,
            pattern,
            unknown: IndexMap::new(),
            used: IndexSet::new(),
        }
    }

    fn note(&mut self, group: &str, code: &str, path: &str) {
        let note = self.unknown.entry((group.to_owned(), code.to_owned()));
        note.or_insert_with(|| (0, path.to_owned())).0 += 1;
    }

    fn facts(&mut self, found: &Found) -> Outcome {
        let path = found.relative.as_str();
        let Some(captures) = self.pattern.captures(path) else {
            return Outcome::NoMatch("`pattern` does not match it".to_owned());
        };
        let mut told: IndexMap<&str, String> = IndexMap::new();
        let (mut left_out, mut wrong) = (false, false);
        let files = self.files;
        for name in self.pattern.capture_names().flatten() {
            let Some(code) = captures
                .name(name)
                .map(|code| code.as_str())
                .filter(|code| !code.is_empty())
            else {
                continue;
            };
            match files.values.get_key_value(name) {
                None => {
                    told.insert(name, code.to_owned());
                }
                Some((group, values)) => match values.get_key_value(code) {
                    Some((code, value)) => {
                        self.used.insert((group, code));
                        left_out |= value.is_none();
                        told.extend(value.clone().map(|value| (name, value)));
                    }
                    None => {
                        self.note(name, code, path);
                        wrong = true;
                    }
                },
            }
        }
        for (name, derived) in &files.derived {
            let Some(code) = captures.name(&derived.from).map(|code| code.as_str()) else {
                continue;
            };
            match derived.values.get(code) {
                Some(value) => told.extend(value.clone().map(|value| (name.as_str(), value))),
                None => {
                    self.note(&derived.from, code, path);
                    wrong = true;
                }
            }
        }
        told.extend(
            files
                .constant
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        if wrong {
            return Outcome::Wrong;
        }
        if left_out {
            return Outcome::LeftOut;
        }
        let Some(speaker) = told.get("speaker").cloned() else {
            return Outcome::NoMatch("`pattern` matches no speaker in it".to_owned());
        };
        for name in ["gender", "split"] {
            if let Some(value) = told.get(name).filter(|value| unknown_value(name, value).is_some()) {
                self.note(name, &value.clone(), path);
                return Outcome::Wrong;
            }
        }
        Outcome::Facts(Box::new(Facts {
            speaker,
            emotion: told.get("emotion").cloned(),
            gender: told
                .get("gender")
                .and_then(|value| emotion::gender(value))
                .map(str::to_owned),
            text: told.get("text").cloned(),
            split: told.get("split").and_then(|value| side(value)),
            labels: files
                .labels
                .iter()
                .filter_map(|name| Some((name.clone(), told.get(name.as_str())?.clone())))
                .collect(),
            groups: files
                .groups
                .iter()
                .filter_map(|name| Some(format!("{name}/{}", told.get(name.as_str())?)))
                .collect(),
            ..Facts::default()
        }))
    }

    /// An error for each code that nothing explains.
    fn errors(&mut self, dataset: &str, rules: &Labelling<'_>) -> Vec<DataError> {
        let files = self.files;
        let unknown = std::mem::take(&mut self.unknown);
        unknown
            .into_iter()
            .map(|((group, code), (count, first))| {
                let map = files.values.get(&group);
                let derived = files
                    .derived
                    .values()
                    .find(|derived| derived.from == group)
                    .map(|derived| &derived.values);
                let has = |values: &IndexMap<String, Option<String>>| values.contains_key(&code);
                // The map that lacks it: of the group itself, or of what follows from it.
                let map = map.filter(|map| !has(map)).or(derived.filter(|map| !has(map)));
                // Any letter is near any other.
                let is_word = code.chars().count() > 1;
                let near = match (map, group.as_str()) {
                    _ if !is_word => None,
                    (Some(map), _) => nearest(&code, map.keys().map(String::as_str)),
                    (None, "emotion") => rules.suggest(&code),
                    (None, "gender") => nearest(&code, GENDERS),
                    (None, _) => None,
                };
                DataError::UnknownCode {
                    dataset: dataset.to_owned(),
                    group,
                    code,
                    count,
                    first,
                    nearest: near,
                }
            })
            .collect()
    }

    /// A remark on codes in `values` that no file has.
    fn unused(&self, dataset: &str) -> Option<String> {
        let all = self
            .files
            .values
            .iter()
            .flat_map(|(group, values)| values.keys().map(move |code| (group, code)));
        let unused: Vec<String> = all
            .filter(|(group, code)| !self.used.contains(&(group.as_str(), code.as_str())))
            .map(|(group, code)| format!("`{group}: {code}`"))
            .collect();
        (!unused.is_empty()).then(|| {
            format!(
                "dataset `{dataset}`: `values` has codes that no file name has: {}",
                unused.join(", ")
            )
        })
    }
}
