//! Building a model from a checkpoint, or from drawn weights, so that nothing is missing or left
//! over unnoticed.

use emorun_weights::Checkpoint;

use super::reader::{Adaptation, Mistake, Origin, WeightReader};
use crate::node::{BuildContext, BuildError};

/// The text of `weights:` that draws them.
pub const RANDOM: &str = "random";

/// What to load, and how.
pub struct Request<'a> {
    /// The text of `weights:`.
    pub weights: &'a str,
    /// What names begin with in a checkpoint that carries other parts too; the first that fits.
    pub prefixes: &'a [&'a str],
    /// A tensor that every checkpoint of the architecture has, to tell the prefix by.
    pub probe: &'a str,
    /// Low-rank adaptation.
    pub adaptation: Option<Adaptation>,
    /// Whether a tensor is a parameter of the run.
    pub trains: &'a dyn Fn(&str) -> bool,
    /// Whether a tensor of the model may be left unread.
    pub skips: &'a dyn Fn(&str) -> bool,
}

/// Builds a model by `make`.
///
/// # Errors
/// The checkpoint lacks tensors, has others that belong to no known head, or holds what cannot be
/// read: one error that lists them.
pub fn model<M>(
    request: &Request<'_>,
    context: &BuildContext<'_>,
    make: impl FnOnce(&mut WeightReader<'_>) -> M,
) -> Result<M, BuildError> {
    let files = context
        .facts
        .checkpoint(request.weights)
        .and_then(|facts| facts.files.as_deref());
    let (origin, prefix) = match files {
        Some(checkpoint) => {
            let prefix = prefix_of(checkpoint, request);
            (Origin::Checkpoint { checkpoint, prefix }, prefix)
        }
        None if request.weights == RANDOM => (Origin::Random(context.key.with("weights")), ""),
        None => {
            return Err(BuildError::Weights {
                weights: request.weights.to_owned(),
                message: "its files were not looked for".into(),
            });
        }
    };
    let mut reader = WeightReader::new(
        origin,
        context.device,
        request.trains,
        request.adaptation.as_ref(),
        context.key,
    );
    let model = make(&mut reader);
    let unused = reader.unused();
    if let Some(message) = complaint(&reader.mistakes) {
        return Err(BuildError::Weights {
            weights: request.weights.to_owned(),
            message,
        });
    }
    let (heads, unexpected): (Vec<&String>, Vec<&String>) = unused
        .iter()
        .filter(|name| !name.strip_prefix(prefix).is_some_and(request.skips))
        .partition(|name| is_head(name, prefix));
    if !unexpected.is_empty() {
        return Err(BuildError::Weights {
            weights: request.weights.to_owned(),
            message: format!(
                "it has {} tensors that the architecture does not know: {}",
                unexpected.len(),
                listed(unexpected.iter().map(|name| name.as_str()))
            ),
        });
    }
    if !heads.is_empty() {
        tracing::info!(
            "{}: {} tensors of a head or decoder are not used: {}",
            request.weights,
            heads.len(),
            listed(heads.iter().map(|name| name.as_str()))
        );
    }
    Ok(model)
}

fn prefix_of<'a>(checkpoint: &Checkpoint, request: &Request<'a>) -> &'a str {
    request
        .prefixes
        .iter()
        .find(|prefix| checkpoint.shape(&format!("{prefix}{}", request.probe)).is_some())
        .copied()
        .unwrap_or("")
}

/// What stands in a checkpoint beside the model: everything outside its prefix, or the heads of
/// transformers' classes that store the model without one.
fn is_head(name: &str, prefix: &str) -> bool {
    const HEADS: [&str; 8] = [
        "lm_head.",
        "classifier.",
        "projector.",
        "quantizer.",
        "project_hid.",
        "project_q.",
        "decoder.",
        "proj_out.",
    ];
    if prefix.is_empty() {
        HEADS.iter().any(|head| name.starts_with(head))
    } else {
        !name.starts_with(prefix)
    }
}

/// The mistakes in one message, or nothing.
fn complaint(mistakes: &[Mistake]) -> Option<String> {
    let mut missing = Vec::new();
    let mut parts = Vec::new();
    for mistake in mistakes {
        match mistake {
            Mistake::Missing(name) => missing.push(name.as_str()),
            Mistake::Shape { name, found, wanted } => {
                parts.push(format!(
                    "`{name}` has shape {found:?}, but its config.json asks for {wanted:?}"
                ));
            }
            Mistake::Unreadable(error) => parts.push(error.to_string()),
        }
    }
    if !missing.is_empty() {
        parts.insert(
            0,
            format!(
                "{} tensors are missing: {}",
                missing.len(),
                listed(missing.iter().copied())
            ),
        );
    }
    let more = parts.len().saturating_sub(MOST_LISTED);
    parts.truncate(MOST_LISTED);
    if more > 0 {
        parts.push(format!("and {more} more mistakes"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

const MOST_LISTED: usize = 20;

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let mut text = names.take(MOST_LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
