//! What losses train, and heads that none of them does.

use std::collections::BTreeMap;

use emorun_lang::{Code, Diagnostic, Edge, EdgeKind, Node, Producer, Report, Section, Tree, suggestion};

use super::{ExperimentDraft, at};
use emorun_engine::settings::Settings;
use emorun_nodes::heads::{Predicts, usual_loss};
use emorun_nodes::kinds::NodeConfig;

/// Reports heads that no loss trains without the file saying so, losses that cannot train anything, and ramps that end
/// before they begin.
pub(super) fn check(draft: &ExperimentDraft, settings: &Settings, tree: &Tree, report: &mut Report) {
    let mut wrong = |place: &str, message: String, help: &str| {
        let place: Vec<String> = place.split('.').map(str::to_owned).collect();
        report.push(at(
            Diagnostic::error(Code::InvalidValue, message).help(help),
            &place,
            tree,
        ));
    };
    let nodes = draft.graph().nodes();
    let of_section = |section: Section| {
        nodes
            .iter()
            .enumerate()
            .filter(move |(_, node)| node.section == section)
    };
    // A loss whose fields or references have mistakes may train anything; those are reported.
    if of_section(Section::Losses).any(|(_, node)| node.config.is_none() || !node.edges.iter().any(takes)) {
        return;
    }
    for (_, node) in of_section(Section::Losses) {
        let loss = node.config.as_ref().and_then(NodeConfig::as_loss);
        let ramp = loss.and_then(|loss| loss.factor().1);
        if let Some(ramp) = ramp.filter(|ramp| ramp.begin > ramp.end) {
            wrong(
                &format!("losses.{}.ramp", node.name),
                format!("the ramp ends at {} and begins at {}", ramp.end, ramp.begin),
                "`begin` comes before `end`",
            );
        }
    }
    let weight = |config: &Option<NodeConfig>| Some(config.as_ref()?.as_loss()?.weight(1.0));
    let (idle, active): (Vec<_>, Vec<_>) =
        of_section(Section::Losses).partition(|(_, node)| weight(&node.config).is_none_or(|weight| weight <= 0.0));
    if let (Some((_, first)), []) = (idle.first(), active.as_slice()) {
        let message = match idle.len() {
            1 => format!(
                "nothing is trained: the weight of `{}`, the only loss, is 0",
                first.name
            ),
            _ => "nothing is trained: the weight of every loss is 0".to_owned(),
        };
        wrong(
            &format!("losses.{}.weight", first.name),
            message,
            "give a loss a weight above 0",
        );
        return;
    }
    let reaches = reached(nodes, &active);
    let untrained = &settings.training.untrained;
    for (index, head) in of_section(Section::Heads).filter(|(_, head)| head.config.is_some()) {
        let place = untrained.iter().position(|name| *name == head.name);
        match (reaches.get(&index), place) {
            (None, None) => {
                let mut idle = idle.iter().map(|(_, loss)| *loss);
                let weightless = idle.find(|loss| {
                    let mut takes = loss.edges.iter();
                    takes.any(|edge| edge.from.producer == Producer::Node(index))
                });
                let (message, help) = nothing_trains(head, weightless);
                wrong(&format!("heads.{}", head.name), message, &help);
            }
            (Some(loss), Some(place)) => wrong(
                &format!("training.untrained.{place}"),
                format!("`{}` is trained, by the loss `{loss}`", head.name),
                "leave it out here, or leave that loss out",
            ),
            _ => {}
        }
    }
    for (place, name) in untrained.iter().enumerate() {
        let heads: Vec<&str> = of_section(Section::Heads).map(|(_, head)| head.name.as_str()).collect();
        if !heads.contains(&name.as_str()) {
            wrong(
                &format!("training.untrained.{place}"),
                format!("`{name}` is no head of this experiment"),
                &suggestion(name, &heads, "heads").unwrap_or_default(),
            );
        }
    }
}

/// Whether a node computes something from what comes along an edge.
fn takes(edge: &Edge) -> bool {
    edge.kind == EdgeKind::Data && !edge.is_target()
}

/// By node, the first of some losses that its output reaches.
fn reached<'a>(
    nodes: &'a [Node<Option<NodeConfig>>],
    losses: &[(usize, &'a Node<Option<NodeConfig>>)],
) -> BTreeMap<usize, &'a str> {
    let mut reaches: BTreeMap<usize, &str> = BTreeMap::new();
    for &(at, loss) in losses {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            for edge in nodes[at].edges.iter().filter(|edge| takes(edge)) {
                if let Producer::Node(from) = edge.from.producer
                    && !reaches.contains_key(&from)
                {
                    reaches.insert(from, &loss.name);
                    open.push(from);
                }
            }
        }
    }
    reaches
}

/// That nothing trains a head, and what helps; `weightless` is a loss of it that counts nothing.
fn nothing_trains(head: &Node<Option<NodeConfig>>, weightless: Option<&Node<Option<NodeConfig>>>) -> (String, String) {
    let predicts = head.config.as_ref().and_then(NodeConfig::predicts);
    let kind = usual_loss(predicts.unwrap_or(Predicts::Classes));
    let message = match weightless {
        Some(loss) => format!(
            "nothing trains the head `{}`: the weight of its loss `{}` is 0",
            head.name, loss.name
        ),
        None => format!(
            "nothing trains the head `{}`: no loss follows from its output",
            head.name
        ),
    };
    let help = format!(
        "add a loss such as `losses: {{ {0}_loss: {{ kind: {kind}, input: {0} }} }}`, or say that it keeps the weights that it starts from: `training: {{ untrained: [{0}] }}`",
        head.name
    );
    (message, help)
}
