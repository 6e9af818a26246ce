//! What datasets give, told from the experiment file alone.

use crate::corpora::DatasetConfig;
use crate::labelling::merge_classes;
use crate::{DataError, GENDERS};
use emorun_lang::{LabelSet, Signal};
use indexmap::IndexMap;

/// The ports under `data.` that the datasets give together, with their signals: `audio`, `emotion`,
/// `gender`, `text` and the label columns of manifests. Reads no file: classes that only a
/// manifest's lines can tell are undetermined.
///
/// # Errors
/// Every emotion that a corpus does not have, and every field out of range.
pub fn declare(
    datasets: &IndexMap<String, DatasetConfig>,
    sample_rate_hz: u32,
) -> Result<Vec<(String, Signal)>, Vec<DataError>> {
    let mut errors = Vec::new();
    // `None` as soon as one dataset's classes are open.
    let mut sets = Some(Vec::new());
    for (name, config) in datasets {
        let kind = config.corpus();
        errors.extend(kind.check(name));
        match kind.labelling(name) {
            Err(wrong) => errors.extend(wrong),
            Ok(rules) => match (rules.classes(), &mut sets) {
                (Some(classes), Some(sets)) => sets.push((classes, rules.subset().is_some())),
                _ => sets = None,
            },
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let emotion = match sets {
        Some(sets) => LabelSet::new("emotion", merge_classes(&sets)),
        None => LabelSet::undetermined("emotion"),
    };
    let labels = |labels| Signal::Labels { labels };
    let mut ports = vec![
        (
            "audio".to_owned(),
            Signal::Wave {
                rate_hz: sample_rate_hz,
            },
        ),
        ("emotion".to_owned(), labels(emotion)),
        ("gender".to_owned(), labels(LabelSet::new("gender", GENDERS))),
    ];
    if datasets.values().any(|config| config.corpus().has_text()) {
        ports.push(("text".to_owned(), Signal::Text));
    }
    for column in datasets.values().flat_map(|config| config.corpus().label_columns()) {
        if !ports.iter().any(|(name, _)| name == column) {
            ports.push((column.clone(), labels(LabelSet::undetermined(column))));
        }
    }
    Ok(ports)
}
