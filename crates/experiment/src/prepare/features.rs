//! Finding the features that an experiment takes from files, before anything is trained.

use std::collections::HashSet;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use emorun_data::{DataError, Items, Name};
use emorun_features::{Array, Common, FeatureError, FeatureSource, Located};
use emorun_lang::{Code, Diagnostic, Report, Section, Tree};

use super::{Depth, ExperimentDraft, at};
use emorun_nn::facts::Facts;
use emorun_nn::host::described;
use emorun_nodes::contract::FeatureFiles;

/// Looks up the features of all items for the nodes that are `needed`, by name; gives the number of mistakes that keep
/// nodes from theirs.
pub(super) fn gather(
    draft: &ExperimentDraft,
    needed: &dyn Fn(&str) -> bool,
    items: &Items,
    depth: Depth,
    facts: &mut Facts,
    tree: &Tree,
    report: &mut Report,
) -> usize {
    let mut count = 0;
    for (name, config) in draft.configs(Section::Encoders) {
        let Some(files) = config.feature_files() else {
            continue;
        };
        if !needed(name) {
            continue;
        }
        let place = |field: &str| [Section::Encoders.name(), name, field].map(str::to_owned);
        match find(draft, &files, items, depth) {
            Ok(Found { source, located, hash }) => {
                facts.insert_features(files.place(), Arc::new(source), hash);
                if let Some(message) = other_rate(&files, items, &located) {
                    let remark = Diagnostic::warning(Code::InvalidData, message);
                    report.push(at(remark, &place("rate_hz"), tree));
                }
            }
            Err(Mistakes(mistakes)) => {
                count += mistakes.len();
                for mistake in mistakes {
                    let field = mistake
                        .field
                        .unwrap_or(if files.path.is_some() { "path" } else { "column" });
                    let error = Diagnostic::error(mistake.code, mistake.message).help(mistake.help);
                    report.push(at(error, &place(field), tree));
                }
            }
        }
    }
    count
}

/// The features of all items.
struct Found {
    source: FeatureSource,
    located: Vec<Located>,
    /// Of all their values, where those were read.
    hash: Option<[u8; 32]>,
}

/// Why a node cannot have its features, and what would help.
struct Mistake {
    code: Code,
    /// The field that is wrong; `None` for the one that says where the features are.
    field: Option<&'static str>,
    message: String,
    help: String,
}

struct Mistakes(Vec<Mistake>);

impl From<FeatureError> for Mistakes {
    fn from(error: FeatureError) -> Self {
        let (code, help) = match &error {
            FeatureError::Missing(_) => (
                Code::MissingData,
                "name files (or tensors) as the recordings, folders included; `emorun embed` writes such a file",
            ),
            FeatureError::Io { .. } | FeatureError::NoFiles { .. } => (
                Code::MissingData,
                "give a folder of .npy or .safetensors files, or one .safetensors",
            ),
            FeatureError::Differ { .. } => (Code::InvalidData, "compute the features of all items in the same way"),
            _ => (
                Code::InvalidData,
                "make the file again, or leave the item out of the corpus",
            ),
        };
        Self(vec![Mistake {
            code,
            field: None,
            message: error.to_string(),
            help: help.to_owned(),
        }])
    }
}

impl From<DataError> for Mistake {
    fn from(error: DataError) -> Self {
        let (code, help) = match &error {
            DataError::NoTable { .. } => (
                Code::InvalidValue,
                "say where the features of all items are with `path` in place of `column`",
            ),
            DataError::Row { .. } => (
                Code::MissingData,
                "name a file with the recording's features, or leave the line out",
            ),
            _ => (Code::InvalidData, "name a column of the table"),
        };
        Self {
            code,
            field: None,
            message: error.to_string(),
            help: error.help().unwrap_or_else(|| help.to_owned()),
        }
    }
}

/// The files of a node's features: below its path, or named in a column of the corpora's tables.
fn scan(draft: &ExperimentDraft, wanted: &FeatureFiles<'_>, keys: &[&str]) -> Result<FeatureSource, Mistakes> {
    let column = match (wanted.path, wanted.column) {
        (Some(path), _) => return Ok(FeatureSource::scan(path.as_path())?),
        (None, column) => column.unwrap_or_default(),
    };
    let keys: HashSet<&str> = keys.iter().copied().collect();
    let mut files = Vec::new();
    let mut mistakes = Vec::new();
    let mut table = None;
    for (name, dataset) in draft.configs(Section::Datasets) {
        let Some(dataset) = dataset.dataset() else {
            continue;
        };
        table = table.or(dataset.table());
        match dataset.column_files(name, column, &|key| keys.contains(key)) {
            Ok(found) => files.extend(found),
            Err(errors) => mistakes.extend(errors.into_iter().map(Mistake::from)),
        }
    }
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    Ok(FeatureSource::listed(table.unwrap_or(Path::new("")), files)?)
}

fn find(draft: &ExperimentDraft, wanted: &FeatureFiles<'_>, items: &Items, depth: Depth) -> Result<Found, Mistakes> {
    let keys: Result<Vec<Name>, DataError> = items.iter().map(|item| Ok(item?.key)).collect();
    let keys = keys.map_err(|error| Mistakes(vec![error.into()]))?;
    let keys: Vec<&str> = keys.iter().map(Name::as_str).collect();
    let source = scan(draft, wanted, &keys)?;
    let located = source.lookup_all(&keys)?;
    if let Some(found) = Common::of(&located)?
        && found != wanted.declared
    {
        let first = located.first().map(Located::place).unwrap_or_default();
        return Err(Mistakes(vec![Mistake {
            code: Code::InvalidData,
            field: Some(
                if found.axes == wanted.declared.axes && found.layers == wanted.declared.layers {
                    "width"
                } else {
                    "what"
                },
            ),
            message: format!(
                "the files hold {}, not the {} declared: {first} and all others",
                in_words(found),
                in_words(wanted.declared),
            ),
            help: format!("declare {}, or give the path of other files", described(found)),
        }]));
    }
    let hash = match depth {
        Depth::Deep => Some(read_all(&keys, &located)?),
        Depth::Structure | Depth::Metadata => None,
    };
    Ok(Found { source, located, hash })
}

/// A form without the fields that declare it.
fn in_words(form: Common) -> String {
    let text = described(form);
    text.split(" (").next().unwrap_or_default().to_owned()
}

/// Reads every feature once, so that none fails in the middle of a run; gives the hash of all, by which a
/// run notices that they changed.
fn read_all(keys: &[&str], located: &[Located]) -> Result<[u8; 32], FeatureError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = located.len().div_ceil(workers).max(1);
    let read = |keys: &[&str], part: &[Located]| {
        let pairs = keys.iter().zip(part);
        pairs
            .map(|(key, one)| Ok(hash_of(key, &one.read()?)))
            .collect::<Result<Vec<_>, FeatureError>>()
    };
    let hashes = std::thread::scope(|scope| {
        let readers: Vec<_> = keys
            .chunks(share)
            .zip(located.chunks(share))
            .map(|(keys, part)| scope.spawn(move || read(keys, part)))
            .collect();
        // A reader that panicked is a bug, to be heard of.
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut all = blake3::Hasher::new();
    for hash in hashes.iter().flatten() {
        all.update(hash.as_bytes());
    }
    Ok(*all.finalize().as_bytes())
}

fn hash_of(key: &str, array: &Array) -> blake3::Hash {
    const PIECE: usize = 1 << 14;
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(format!("\n{:?}\n", array.shape()).as_bytes());
    let mut bytes = Vec::with_capacity(4 * PIECE);
    for piece in array.values().chunks(PIECE) {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
        hasher.update(&bytes);
    }
    hasher.finalize()
}

/// A remark on frames that are not as many a second as declared.
fn other_rate(wanted: &FeatureFiles<'_>, items: &Items, located: &[Located]) -> Option<String> {
    const SLACK: f64 = 0.1;
    let declared = wanted.rate_hz?;
    let seconds: f64 = items.durations_s().iter().sum();
    let frames: usize = located
        .iter()
        .filter_map(|one| one.shape().ok()?.iter().rev().nth(1).copied())
        .sum();
    let rate = frames as f64 / seconds;
    let off = rate.is_finite() && (rate / declared - 1.0).abs() > SLACK;
    off.then(|| format!("the files hold {rate:.1} frames a second of audio, not the {declared} declared"))
}
