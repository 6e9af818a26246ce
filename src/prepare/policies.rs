//! What policies see of training, and what must fit where they act.

use emorun_lang::{Code, Diagnostic, Producer, RUN, Report, Section, Signal, Tree};

use super::{ExperimentDraft, at, has_validation};
use crate::kinds::NodeConfig;
use crate::settings::Settings;

/// Start of the ports of `run` that are measured on the validation split.
const VALIDATION: &str = "validation.";

/// Ports of `run`: what is seen of training between its epochs. Nothing of the test split is.
pub(super) fn run_ports(draft: &ExperimentDraft) -> Vec<(String, Signal)> {
    let mut ports: Vec<String> = ["progress", "train.loss", "validation.loss"].map(str::to_owned).into();
    for (head, config) in draft.configs(Section::Heads) {
        let metrics = config.metrics().iter();
        ports.extend(metrics.map(|metric| format!("{VALIDATION}{head}.{metric}")));
    }
    ports.into_iter().map(|port| (port, Signal::Scalar)).collect()
}

/// Reports what policies cannot see, and augmentations on which they cannot act.
pub(super) fn check(draft: &ExperimentDraft, settings: &Settings, tree: &Tree, report: &mut Report) {
    let mut wrong = |place: &[&str], message: String, help: &str| {
        let place: Vec<String> = place
            .iter()
            .flat_map(|part| part.split('.'))
            .map(str::to_owned)
            .collect();
        report.push(at(
            Diagnostic::error(Code::InvalidValue, message).help(help),
            &place,
            tree,
        ));
    };
    let mut acted_on: Vec<(String, &str)> = Vec::new();
    for node in draft.graph().section(Section::Policies) {
        let section = Section::Policies.name();
        for edge in node.edges.iter().filter(|edge| edge.from.producer == Producer::Run) {
            let port = &edge.from.port;
            if port.starts_with(VALIDATION) && !has_validation(settings) {
                wrong(
                    &[section, &node.name, &edge.port],
                    format!("`{RUN}.{port}` is measured on a validation split, and there is none"),
                    "give the split a validation side",
                );
            }
        }
        let spec = node.config.as_ref().and_then(NodeConfig::policy);
        for (index, name) in spec.into_iter().flat_map(|spec| spec.acts_on).enumerate() {
            match acted_on.iter().find(|(other, _)| *other == name) {
                Some((_, first)) => wrong(
                    &[section, &node.name, &format!("acts_on.{index}")],
                    format!("`{name}` is acted on by `{first}` already"),
                    "let one policy act on it, once",
                ),
                None => acted_on.push((name, &node.name)),
            }
        }
    }
    let Some((_, policy)) = acted_on.first() else { return };
    for (name, config) in draft.configs(Section::Encoders) {
        if let Some(cache) = config.cache()
            && cache.enabled
            && cache.views.is_some()
        {
            wrong(
                &[Section::Encoders.name(), name, "cache.views"],
                format!("no version of an item comes again: `{policy}` changes augmentation from epoch to epoch"),
                "leave `views` out, so that the encoder runs in every step, or the policy",
            );
        }
    }
}
