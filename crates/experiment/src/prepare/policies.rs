//! What policies see of training, and what must fit where they act.

use emorun_lang::{Code, Diagnostic, EdgeKind, Node, Producer, RUN, Report, Section, Signal, Tree, suggestion};
use emorun_metrics::Metric;

use super::settings::has_validation;
use super::{ExperimentDraft, at};
use emorun_engine::settings::Settings;
use emorun_nodes::policies::{PolicyKind, PolicySpec};

/// Start of the ports of `run` that are measured on the validation split.
const VALIDATION: &str = "validation.";

/// Ports of `run`: what is seen of training between its epochs. Nothing of the test split is.
pub(super) fn run_ports(draft: &ExperimentDraft) -> Vec<(String, Signal)> {
    let mut ports: Vec<String> = ["progress", "train.loss", "validation.loss"].map(str::to_owned).into();
    for (head, config) in draft.configs(Section::Heads) {
        let metrics = config.predicts().into_iter().flat_map(Metric::of);
        ports.extend(metrics.map(|metric| format!("{VALIDATION}{head}.{}", metric.name())));
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
    check_held(draft, &mut wrong);
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
        let spec = node
            .config
            .as_ref()
            .and_then(|config| config.as_policy())
            .map(PolicyKind::spec);
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

/// Reports policies that are held where they cannot be, learn from another node than the one that holds them, or
/// have neither a node that holds them nor augmentations to act on.
fn check_held(draft: &ExperimentDraft, wrong: &mut impl FnMut(&[&str], String, &str)) {
    let nodes = draft.graph().nodes();
    let mut held_by: Vec<(usize, &str)> = Vec::new();
    for node in nodes {
        let Some(rollout) = node.config.as_ref().and_then(|config| config.rollout()) else {
            continue;
        };
        let holds = node.edges.iter();
        let mut holds = holds.filter(|edge| edge.kind == EdgeKind::Uses && edge.port == rollout.held);
        let Some(Producer::Node(index)) = holds.next().map(|edge| edge.from.producer) else {
            continue;
        };
        let place = [node.section.name(), &node.name, rollout.held];
        let policy = &nodes[index];
        // Where its configuration has mistakes, these are reported.
        if policy.section == Section::Policies && policy.config.is_none() {
            continue;
        }
        let Some(spec) = policy
            .config
            .as_ref()
            .and_then(|config| config.as_policy())
            .map(PolicyKind::spec)
        else {
            let message = format!("`{}` is no policy", policy.name);
            wrong(&place, message, "name a node of `policies`");
            continue;
        };
        if let Some((_, first)) = held_by.iter().find(|(held, _)| *held == index) {
            let message = format!("`{}` is held by `{first}` already", policy.name);
            wrong(&place, message, "give each node a policy of its own");
            continue;
        }
        held_by.push((index, &node.name));
        if !spec.acts_on.is_empty() {
            let message = format!("`{}` acts on augmentations, between epochs", policy.name);
            wrong(&place, message, "hold a policy without `acts_on`");
            continue;
        }
        check_actions(policy, &spec, (&node.name, rollout.actions), wrong);
        if spec.learner.is_some() {
            let fields = [
                ("state", rollout.state),
                ("taken", rollout.taken),
                ("reward", rollout.reward),
            ];
            for (field, port) in fields {
                check_source(draft, policy, field, (&node.name, port), wrong);
            }
        }
    }
    for (index, node) in nodes.iter().enumerate() {
        let spec = node
            .config
            .as_ref()
            .and_then(|config| config.as_policy())
            .map(PolicyKind::spec);
        if spec.is_some_and(|spec| spec.acts_on.is_empty()) && held_by.iter().all(|(held, _)| *held != index) {
            wrong(
                &[node.section.name(), &node.name],
                format!(
                    "no node holds the policy `{}`, and it acts on no augmentation",
                    node.name
                ),
                "name it in the `uses` of a node such as early_classifier, or give it `acts_on`",
            );
        }
    }
}

/// Reports actions of a held policy that its holder does not ask for.
fn check_actions<C>(
    policy: &Node<C>,
    spec: &PolicySpec,
    (holder, asked): (&str, &[&str]),
    wrong: &mut impl FnMut(&[&str], String, &str),
) {
    let place = [policy.section.name(), &policy.name];
    if !spec.named {
        let count = spec.actions.len();
        if count != asked.len() {
            let what = match asked.len() {
                1 => "one in each step".to_owned(),
                asked => format!("{asked} in each step"),
            };
            let help = match asked.len() {
                1 => "leave `dimensions` out".to_owned(),
                asked => format!("write `dimensions: {asked}`, or each under `actions`"),
            };
            let message = format!("has {count} actions; `{holder}` asks for {what}");
            wrong(&[&place[..], &["dimensions"]].concat(), message, &help);
        }
        return;
    }
    for name in spec.actions.iter().filter(|name| !asked.contains(&name.as_str())) {
        let message = format!("`{holder}` asks for no action `{name}`");
        let help = suggestion(name, asked, "its actions").unwrap_or_default();
        wrong(&[&place[..], &["actions", name]].concat(), message, &help);
    }
    for name in asked.iter().filter(|name| spec.actions.iter().all(|own| own != *name)) {
        let message = format!("`{holder}` asks for an action `{name}`");
        wrong(&[&place[..], &["actions"]].concat(), message, &format!("add `{name}`"));
    }
}

/// Reports a field of a held policy that does not point to the port of its holder, and to it alone.
fn check_source<C>(
    draft: &ExperimentDraft,
    policy: &Node<C>,
    field: &str,
    (holder, port): (&str, &str),
    wrong: &mut impl FnMut(&[&str], String, &str),
) {
    let of_field = |edge: &&emorun_lang::Edge| edge.port == field || edge.port.starts_with(&format!("{field}."));
    let sources: Vec<_> = policy.edges.iter().filter(of_field).map(|edge| &edge.from).collect();
    let is_right = |producer: Producer| match producer {
        Producer::Node(index) => draft.graph().nodes()[index].name == holder,
        _ => false,
    };
    if let [source] = sources[..]
        && is_right(source.producer)
        && source.port == port
    {
        return;
    }
    let wanted = match field {
        "state" => format!("`state: [{holder}.{port}]`"),
        _ => format!("`{field}: {holder}.{port}`"),
    };
    wrong(
        &[policy.section.name(), &policy.name, field],
        format!(
            "`{holder}` holds the policy `{}`, which must learn from it",
            policy.name
        ),
        &format!("write {wanted}"),
    );
}
