//! Building a model from a checkpoint, or from drawn weights, so that nothing is missing or left
//! over unnoticed.

use emorun_weights::Checkpoint;

use super::naming::Naming;
use super::reader::{Adaptation, Mistake, Origin, WeightReader};
use emorun_nn::node::{BuildContext, BuildError};

/// The text of `weights:` that draws them.
pub const RANDOM: &str = "random";

/// What to load, and how.
pub struct Request<'a> {
    /// The text of `weights:`.
    pub weights: &'a str,
    /// What names begin with in a checkpoint of several models; the first that fits.
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
    let refuse = |message| BuildError::Weights {
        weights: request.weights.to_owned(),
        message,
    };
    let naming = match files {
        Some(checkpoint) => Naming::find(checkpoint.names(), request.probe, request.prefixes).map_err(refuse)?,
        None => Naming::default(),
    };
    let origin = match files {
        Some(checkpoint) => Origin::Checkpoint {
            checkpoint,
            naming: &naming,
        },
        None if request.weights == RANDOM => Origin::Random(context.key.with("weights")),
        None => return Err(refuse("its files were not looked for".into())),
    };
    let mut reader = WeightReader::new(
        origin,
        context.device,
        request.trains,
        request.adaptation.as_ref(),
        context.key,
    );
    let model = make(&mut reader);
    if let Some(message) = complaint(&reader.mistakes) {
        return Err(refuse(message));
    }
    if let Some(checkpoint) = files {
        account(request, checkpoint, &naming, |stored| reader.was_used(stored)).map_err(refuse)?;
    }
    Ok(model)
}

/// Makes sure that nothing of a checkpoint is left over unnoticed.
fn account(
    request: &Request<'_>,
    checkpoint: &Checkpoint,
    naming: &Naming,
    was_used: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let mut heads = Vec::new();
    let mut unexpected = Vec::new();
    for (own, stored) in naming.all().filter(|(_, stored)| !was_used(stored)) {
        // Positions and counters; no weights are whole numbers.
        let is_count = checkpoint.dtype(stored).is_some_and(|dtype| !dtype.is_float());
        match own {
            Some(own) if (request.skips)(own) || is_count => {}
            Some(own) if !naming.is_bare() || !is_head(own) => unexpected.push(stored),
            _ => heads.push(stored),
        }
    }
    if !unexpected.is_empty() {
        return Err(format!(
            "it has {} tensors that the architecture does not know, so that without them it would be another model: {}; \
             save it without them if they are not needed",
            unexpected.len(),
            listed(unexpected.iter().copied())
        ));
    }
    if !heads.is_empty() {
        tracing::info!(
            "{}: {} tensors of a head or decoder are not used: {}",
            request.weights,
            heads.len(),
            listed(heads.iter().copied())
        );
    }
    Ok(())
}

/// Whether a tensor stands beside the model: the heads of transformers' classes that store the model without a prefix.
fn is_head(name: &str) -> bool {
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
    HEADS.iter().any(|head| name.starts_with(head))
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
