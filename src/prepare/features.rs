//! Finding the features that an experiment takes from files, before anything is trained.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use emorun_data::Item;
use emorun_features::{Common, FeatureError, FeatureSource, Located};
use emorun_lang::{Code, Diagnostic, Report, Section, Tree};

use super::{Depth, ExperimentDraft, at};
use crate::facts::Facts;
use crate::host::described;
use crate::kinds::NodeConfig;
use crate::nodes::precomputed::Precomputed;

/// Looks up the features of all items; gives the number of nodes that cannot have theirs.
pub(super) fn gather(
    draft: &ExperimentDraft,
    items: &[Item],
    depth: Depth,
    facts: &mut Facts,
    tree: &Tree,
    report: &mut Report,
) -> usize {
    let mut mistakes = 0;
    for (name, config) in draft.configs(Section::Encoders) {
        let NodeConfig::Precomputed(config) = config else {
            continue;
        };
        let place = |field: &str| [Section::Encoders.name(), name, field].map(str::to_owned);
        match find(config, items, depth) {
            Ok((source, located)) => {
                facts.insert_features(config.path.as_str(), Arc::new(source));
                if let Some(message) = other_rate(config, items, &located) {
                    let remark = Diagnostic::warning(Code::InvalidData, message);
                    report.push(at(remark, &place("rate_hz"), tree));
                }
            }
            Err(Mistake {
                code,
                field,
                message,
                help,
            }) => {
                mistakes += 1;
                report.push(at(Diagnostic::error(code, message).help(help), &place(field), tree));
            }
        }
    }
    mistakes
}

/// Why a node cannot have its features, and what would help.
struct Mistake {
    code: Code,
    field: &'static str,
    message: String,
    help: String,
}

impl From<FeatureError> for Mistake {
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
        Self {
            code,
            field: "path",
            message: error.to_string(),
            help: help.to_owned(),
        }
    }
}

fn find(config: &Precomputed, items: &[Item], depth: Depth) -> Result<(FeatureSource, Vec<Located>), Mistake> {
    let path: &Path = config.path.as_path();
    let source = FeatureSource::scan(path)?;
    let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    let located = source.lookup_all(&keys)?;
    if let Some(found) = Common::of(&located)?
        && found != config.declared()
    {
        let first = located.first().map(Located::place).unwrap_or_default();
        return Err(Mistake {
            code: Code::InvalidData,
            field: if found.axes == config.declared().axes && found.layers == config.declared().layers {
                "width"
            } else {
                "what"
            },
            message: format!(
                "the files hold {}, not the {} declared: {first} and all others",
                in_words(found),
                in_words(config.declared()),
            ),
            help: format!("declare {}, or give the path of other files", described(found)),
        });
    }
    if depth == Depth::Deep {
        read_all(&located)?;
    }
    Ok((source, located))
}

/// A form without the fields that declare it.
fn in_words(form: Common) -> String {
    let text = described(form);
    text.split(" (").next().unwrap_or_default().to_owned()
}

/// Reads every feature once, so that none fails in the middle of a run.
fn read_all(located: &[Located]) -> Result<(), FeatureError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = located.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let readers: Vec<_> = located
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().try_for_each(|one| one.read().map(drop))))
            .collect();
        // A reader that panicked is a bug, to be heard of.
        readers
            .into_iter()
            .try_for_each(|reader| reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// A remark on frames that are not as many a second as declared.
fn other_rate(config: &Precomputed, items: &[Item], located: &[Located]) -> Option<String> {
    const SLACK: f64 = 0.1;
    let declared = config.rate_hz?;
    let seconds: f64 = items.iter().map(|item| item.duration_s).sum();
    let frames: usize = located
        .iter()
        .filter_map(|one| one.shape().ok()?.iter().rev().nth(1).copied())
        .sum();
    let rate = frames as f64 / seconds;
    let off = rate.is_finite() && (rate / declared - 1.0).abs() > SLACK;
    off.then(|| format!("the files hold {rate:.1} frames a second of audio, not the {declared} declared"))
}
