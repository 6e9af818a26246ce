//! Which nodes take part in training, evaluation and prediction.

use serde::Serialize;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::graph::{Edge, EdgeKind, Graph, Producer};
use crate::infer::reference;
use crate::kind::{Inferred, Section};
use crate::refs::DATA;
use crate::signal::Signal;

/// One of the ways in which the graph is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// What losses and policies need.
    Train,
    /// What metrics need: heads and generators with targets, and losses.
    Evaluate,
    /// What outputs need: heads and generators, without their targets.
    Predict,
}

impl Schedule {
    /// Every schedule.
    pub const ALL: [Self; 3] = [Self::Train, Self::Evaluate, Self::Predict];

    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Predict => "predict",
        }
    }

    /// True if the schedule runs this edge's producer for the edge's sake.
    fn follows(self, edge: &Edge) -> bool {
        self != Self::Predict || !edge.is_target()
    }

    fn is_sink(self, section: Section, has_target: bool) -> bool {
        let is_output = matches!(section, Section::Heads | Section::Generators);
        match self {
            Self::Train => matches!(section, Section::Losses | Section::Policies),
            Self::Evaluate => section == Section::Losses || (is_output && has_target),
            Self::Predict => is_output,
        }
    }
}

/// A node's part in a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It takes no part.
    #[default]
    Absent,
    /// Another node holds it as a callable; its own inputs are not computed.
    Held,
    /// It runs once a step.
    Runs,
}

/// A node's part in each schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// In training.
    pub train: Role,
    /// In evaluation.
    pub evaluate: Role,
    /// In prediction.
    pub predict: Role,
}

impl Roles {
    /// The part in one schedule.
    pub fn of(&self, schedule: Schedule) -> Role {
        match schedule {
            Schedule::Train => self.train,
            Schedule::Evaluate => self.evaluate,
            Schedule::Predict => self.predict,
        }
    }

    /// True for a node in none of the schedules.
    pub fn is_unused(&self) -> bool {
        *self == Self::default()
    }
}

/// The part of every node in every schedule.
pub(crate) fn roles<C>(graph: &Graph<C>) -> Vec<Roles> {
    let [train, evaluate, predict] = Schedule::ALL.map(|schedule| members(graph, schedule));
    train
        .into_iter()
        .zip(evaluate)
        .zip(predict)
        .map(|((train, evaluate), predict)| Roles {
            train,
            evaluate,
            predict,
        })
        .collect()
}

fn members<C>(graph: &Graph<C>, schedule: Schedule) -> Vec<Role> {
    let nodes = graph.nodes();
    let mut roles = vec![Role::Absent; nodes.len()];
    let mut open: Vec<(usize, Role)> = Vec::new();
    let mut is_held = vec![false; nodes.len()];
    // What a policy acts on keeps its place.
    let holders = nodes.iter().filter(|node| node.section != Section::Policies);
    for edge in holders.flat_map(|node| &node.edges) {
        if let (EdgeKind::Uses, Producer::Node(held)) = (edge.kind, edge.from.producer) {
            is_held[held] = true;
        }
    }
    for (at, node) in nodes.iter().enumerate() {
        let has_target = node.edges.iter().any(Edge::is_target);
        let always = match node.section {
            Section::Datasets => true,
            Section::Augmentations => schedule == Schedule::Train && !is_held[at],
            section => schedule.is_sink(section, has_target),
        };
        if always {
            open.push((at, Role::Runs));
        }
    }
    while let Some((at, role)) = open.pop() {
        if roles[at] >= role {
            continue;
        }
        roles[at] = role;
        for edge in &nodes[at].edges {
            if let Producer::Node(from) = edge.from.producer {
                match edge.kind {
                    EdgeKind::Uses => open.push((from, Role::Held)),
                    EdgeKind::Data if role == Role::Runs && schedule.follows(edge) => {
                        open.push((from, Role::Runs));
                    }
                    EdgeKind::Data => {}
                }
            }
        }
    }
    roles
}

/// Reports nodes in none of the schedules, but for those that something else reported seems to
/// mean.
pub(crate) fn report_unused<C>(graph: &Graph<C>, roles: &[Roles], mentioned: &[bool], report: &mut Report) {
    // A misspelt reference has cut off all that lies before the node that it means.
    let mut excused = mentioned.to_vec();
    let mut open: Vec<usize> = (0..excused.len()).filter(|&at| excused[at]).collect();
    while let Some(at) = open.pop() {
        for edge in &graph.nodes()[at].edges {
            if let Producer::Node(from) = edge.from.producer
                && !std::mem::replace(&mut excused[from], true)
            {
                open.push(from);
            }
        }
    }
    for ((node, roles), excused) in graph.nodes().iter().zip(roles).zip(excused) {
        // An augmentation takes no part only where several hold each other, which was reported.
        if roles.is_unused() && !excused && node.section != Section::Augmentations {
            report.push(
                Diagnostic::error(Code::UnusedNode, format!("nothing needs the node `{}`", node.name))
                    .label(node.span, "in none of the train, evaluate and predict schedules")
                    .help("connect it to a head, a generator or a loss, or remove it"),
            );
        }
    }
}

/// Reports nodes of the predict schedule that need labels.
pub(crate) fn report_labels<C>(
    graph: &Graph<C>,
    roles: &[Roles],
    inferred: &[Option<Inferred>],
    data: &[(String, Signal)],
    report: &mut Report,
) {
    for ((node, roles), inferred) in graph.nodes().iter().zip(roles).zip(inferred) {
        if roles.predict != Role::Runs || !node.section.has_ports() {
            continue;
        }
        let help = "labels may only reach a `target` or a loss";
        for edge in &node.edges {
            let is_label = edge.from.producer == Producer::Data
                && data
                    .iter()
                    .any(|(port, signal)| *port == edge.from.port && signal.is_label());
            if is_label && Schedule::Predict.follows(edge) {
                let source = reference(DATA, &edge.from.port);
                report.push(
                    Diagnostic::error(
                        Code::LabelInPredict,
                        format!("prediction through `{}` needs the label `{source}`", node.name),
                    )
                    .label(edge.span, "not known when predicting")
                    .help(help),
                );
            }
        }
        if inferred.as_ref().is_some_and(|inferred| inferred.reads_labels) {
            report.push(
                Diagnostic::error(
                    Code::LabelInPredict,
                    format!("prediction needs `{}`, which reads labels", node.name),
                )
                .label(node.span, "can't run without labels")
                .help(help),
            );
        }
    }
}
