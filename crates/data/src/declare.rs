//! What datasets give, told from the experiment file alone.

use crate::corpora::DatasetConfig;
use crate::labelling::merge_classes;
use crate::scan::{attribute_sets, check_people, value_names};
use crate::streams::stream_forms;
use crate::{Also, DataError, GENDERS, StreamProblem};
use emorun_lang::{LabelSet, Signal};
use indexmap::IndexMap;

/// Continuous labels of emotion, in the order in which `data.dimensions` holds them.
pub const DIMENSIONS: [&str; 3] = ["valence", "arousal", "dominance"];
/// Port of the shares of votes for each emotion.
pub const SOFT_EMOTION: &str = "emotion_soft";
/// Port of all [`DIMENSIONS`] that the datasets have.
pub const ALL_DIMENSIONS: &str = "dimensions";

/// The ports under `data.` that the datasets give together, with their signals: `audio`, `emotion`,
/// `gender`, `text`, what further describes items (such as `intensity`), the label columns of
/// manifests, each continuous label, `dimensions` (valence, arousal and dominance together) and
/// `emotion_soft` (shares of votes). Reads no file: classes that only a manifest's lines can tell are
/// undetermined.
///
/// # Errors
/// Every emotion that a corpus does not have, and every field out of range.
pub fn declare(
    datasets: &IndexMap<String, DatasetConfig>,
    sample_rate_hz: u32,
) -> Result<Vec<(String, Signal)>, Vec<DataError>> {
    let emotion = emotion_classes(datasets)?;
    let labels = |labels| Signal::Labels { labels };
    let mut ports = vec![(
        "audio".to_owned(),
        Signal::Wave {
            rate_hz: sample_rate_hz,
        },
    )];
    ports.extend(
        emotion
            .iter()
            .map(|emotion| ("emotion".to_owned(), labels(emotion.clone()))),
    );
    ports.push(("gender".to_owned(), labels(LabelSet::new("gender", GENDERS))));
    if datasets.values().any(|config| config.corpus().has_text()) {
        ports.push(("text".to_owned(), Signal::Text));
    }
    if let Some(labels) = emotion.filter(|_| datasets.values().any(|config| config.corpus().has_votes())) {
        ports.push((SOFT_EMOTION.to_owned(), Signal::SoftLabels { labels }));
    }
    let open: Vec<String> = datasets
        .values()
        .flat_map(|config| [config.corpus().label_columns(), config.corpus().attribute_columns()].concat())
        .collect();
    ports.extend(attribute_sets(datasets).into_iter().map(|(column, classes)| {
        let set = match open.contains(&column) {
            true => LabelSet::undetermined(&column),
            false => LabelSet::new(&column, classes),
        };
        (column, labels(set))
    }));
    let values = value_names(datasets);
    let dimensions: Vec<String> = DIMENSIONS
        .iter()
        .filter(|name| values.iter().any(|value| value == *name))
        .map(|name| (*name).to_owned())
        .collect();
    if !dimensions.is_empty() {
        ports.push((ALL_DIMENSIONS.to_owned(), Signal::Values { names: dimensions }));
    }
    ports.extend(values.into_iter().map(|name| {
        let names = vec![name.clone()];
        (name, Signal::Values { names })
    }));
    let streams = stream_forms(datasets)?;
    for column in open {
        if !ports.iter().any(|(name, _)| *name == column) {
            ports.push((column.clone(), labels(LabelSet::undetermined(&column))));
        }
    }
    refuse_taken(datasets, streams.keys(), &ports)?;
    ports.extend(
        streams
            .into_iter()
            .map(|(name, form)| (name, form.signal(sample_rate_hz))),
    );
    Ok(ports)
}

/// The classes of emotion over all datasets: open where a dataset's are, none where no corpus has emotions.
fn emotion_classes(datasets: &IndexMap<String, DatasetConfig>) -> Result<Option<LabelSet>, Vec<DataError>> {
    let mut errors = Vec::new();
    // `None` as soon as one dataset's classes are open.
    let mut sets = Some(Vec::new());
    for (name, config) in datasets {
        let kind = config.corpus();
        errors.extend(kind.check(name));
        errors.extend(check_people(name, config));
        match kind.labelling(name) {
            Err(wrong) => errors.extend(wrong),
            Ok(rules) => match (rules.classes(), &mut sets) {
                // A corpus without emotions.
                (Some(classes), _) if classes.is_empty() => {}
                (Some(classes), Some(sets)) => sets.push((classes, rules.subset().is_some())),
                _ => sets = None,
            },
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(match sets {
        Some(sets) if sets.is_empty() && !datasets.is_empty() => None,
        Some(sets) => Some(LabelSet::new("emotion", merge_classes(&sets))),
        None => Some(LabelSet::undetermined("emotion")),
    })
}

/// Refuses streams that are called as another port.
fn refuse_taken<'a>(
    datasets: &IndexMap<String, DatasetConfig>,
    streams: impl Iterator<Item = &'a String>,
    ports: &[(String, Signal)],
) -> Result<(), Vec<DataError>> {
    let taken = |name: &str| ports.iter().any(|(port, _)| port == name);
    let of = |name: &str| {
        datasets
            .iter()
            .find(|(_, config)| config.corpus().streams().iter().any(|(own, _)| own == name))
    };
    let errors: Vec<DataError> = streams
        .filter(|name| taken(name))
        .filter_map(|name| {
            Some(DataError::Stream {
                dataset: of(name)?.0.clone(),
                stream: name.clone(),
                row: None,
                problem: Box::new(StreamProblem::Taken(name.clone())),
                also: Also::default(),
            })
        })
        .collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors),
    }
}
