//! Nodes and the edges between them, names resolved.

use std::collections::{HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::kind::Section;
use crate::nearest::suggestion;
use crate::refs::{DATA, RUN, split_reference};
pub use crate::schema::EdgeKind;
use crate::schema::RawEdge;
use crate::source::Span;

/// Most labels of a diagnostic about a cycle.
const MAX_CYCLE_LABELS: usize = 16;

/// Most augmentations around one that is held.
const MAX_HELD_DEPTH: usize = 8;

/// What gives the value of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Producer {
    /// The merged datasets.
    Data,
    /// How training goes.
    Run,
    /// A node, by its index in [`Graph::nodes`].
    Node(usize),
}

/// An output port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What has the port.
    pub producer: Producer,
    /// The port's name, empty for a node's default port.
    pub port: String,
}

/// One node's dependence on another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The input port: dotted path of the field, such as `input` or `inputs.face`.
    pub port: String,
    /// Where the value comes from.
    pub from: Endpoint,
    /// Whether it takes a value or holds a callable.
    pub kind: EdgeKind,
    /// Where the reference is written.
    pub span: Span,
}

impl Edge {
    /// True for what a result is compared with, which prediction does without.
    pub fn is_target(&self) -> bool {
        self.port == "target" || self.port.starts_with("target.") || self.port == "target_mask"
    }
}

/// A node of the experiment.
#[derive(Clone, Debug)]
pub struct Node<C> {
    /// Unique name.
    pub name: String,
    /// Where it stands in the file.
    pub section: Section,
    /// Its kind.
    pub kind: String,
    /// Its typed configuration.
    pub config: C,
    /// Where its name is written.
    pub span: Span,
    /// What it depends on, in the order of its fields.
    pub edges: Vec<Edge>,
}

/// The nodes of an experiment in the order of the file.
#[derive(Clone, Debug)]
pub struct Graph<C> {
    nodes: Vec<Node<C>>,
    index: HashMap<String, usize>,
}

impl<C> Graph<C> {
    /// Every node, in the order of the file.
    pub fn nodes(&self) -> &[Node<C>] {
        &self.nodes
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node<C>> {
        self.index.get(name).and_then(|&index| self.nodes.get(index))
    }

    /// The nodes of a section, in the order of the file.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Node<C>> {
        self.nodes.iter().filter(move |node| node.section == section)
    }

    /// The graph with every configuration mapped; `None` if that fails for one.
    pub(crate) fn try_map<D>(self, map: impl Fn(C) -> Option<D>) -> Option<Graph<D>> {
        let nodes = self
            .nodes
            .into_iter()
            .map(|node| {
                Some(Node {
                    name: node.name,
                    section: node.section,
                    kind: node.kind,
                    config: map(node.config)?,
                    span: node.span,
                    edges: node.edges,
                })
            })
            .collect::<Option<_>>()?;
        Some(Graph {
            nodes,
            index: self.index,
        })
    }
}

/// A node before its references are resolved.
pub(crate) struct Unresolved<C> {
    pub node: Node<C>,
    pub edges: Vec<RawEdge>,
    /// True if the kind has a field `target`.
    pub takes_target: bool,
}

/// A graph and the nodes that unresolvable references seem to mean.
pub(crate) struct Resolved<C> {
    pub graph: Graph<C>,
    /// By node: true if something that was reported seems to mean it.
    pub mentioned: Vec<bool>,
    /// By node: true if one of its references was reported, so that it lacks an edge.
    pub incomplete: Vec<bool>,
}

/// Resolves the references of all nodes and reports names that clash and references that lead
/// nowhere, to the node itself, or in a circle.
pub(crate) fn resolve<C>(unresolved: Vec<Unresolved<C>>, report: &mut Report) -> Resolved<C> {
    let mut nodes: Vec<Node<C>> = Vec::with_capacity(unresolved.len());
    let mut raw = Vec::with_capacity(unresolved.len());
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut takes_target = Vec::with_capacity(unresolved.len());
    for Unresolved {
        node,
        edges,
        takes_target: takes,
    } in unresolved
    {
        takes_target.push(takes);
        check_name(&node, report);
        match index.get(&node.name).and_then(|&first| nodes.get(first)) {
            Some(first) => report.push(
                Diagnostic::error(Code::DuplicateName, format!("two nodes are named `{}`", node.name))
                    .label(node.span, format!("in `{}`", node.section))
                    .label(first.span, format!("and in `{}`", first.section))
                    .help("names are shared by all sections; rename one of the two"),
            ),
            None => {
                index.insert(node.name.clone(), nodes.len());
            }
        }
        nodes.push(node);
        raw.push(edges);
    }
    let mut mentioned = vec![false; nodes.len()];
    let mut incomplete = Vec::with_capacity(nodes.len());
    let mut resolved = Vec::with_capacity(nodes.len());
    for (at, edges) in raw.into_iter().enumerate() {
        let written = edges.len();
        let edges: Vec<Edge> = edges
            .into_iter()
            .filter_map(|edge| resolve_edge(edge, at, &nodes, &index, &mut mentioned, report))
            .collect();
        incomplete.push(edges.len() < written);
        resolved.push(edges);
    }
    for (node, edges) in nodes.iter_mut().zip(resolved) {
        node.edges = edges;
    }
    inherit_targets(&mut nodes, &takes_target);
    let graph = Graph { nodes, index };
    for kind in [EdgeKind::Data, EdgeKind::Uses] {
        report_cycles(&graph, kind, report);
    }
    report_held(&graph, report);
    Resolved {
        graph,
        mentioned,
        incomplete,
    }
}

/// Gives a loss without a target that of the node on its `input`, and the mask of that: what a head is trained for is
/// said once.
fn inherit_targets<C>(nodes: &mut [Node<C>], takes_target: &[bool]) {
    for at in 0..nodes.len() {
        let node = &nodes[at];
        if node.section != Section::Losses || !takes_target[at] || node.edges.iter().any(|edge| edge.port == "target") {
            continue;
        }
        let Some(input) = node.edges.iter().find(|edge| edge.port == "input") else {
            continue;
        };
        let Producer::Node(head) = input.from.producer else {
            continue;
        };
        let is_own = |port: &str| node.edges.iter().any(|edge| edge.port == port);
        let of_head = nodes.get(head).into_iter().flat_map(|head| &head.edges);
        let inherited: Vec<Edge> = of_head
            .filter(|edge| ["target", "target_mask"].contains(&edge.port.as_str()) && !is_own(&edge.port))
            .map(|target| Edge {
                span: input.span,
                ..target.clone()
            })
            .collect();
        nodes[at].edges.extend(inherited);
    }
}

fn check_name<C>(node: &Node<C>, report: &mut Report) {
    let starts_well = node
        .name
        .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_word = node
        .name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "_-".contains(character));
    let problem = if node.name == DATA {
        "`data` is what the datasets give"
    } else if node.name == RUN {
        "`run` is how training goes"
    } else if !(starts_well && is_word) {
        "a name is a letter and then letters, digits, `_` and `-`"
    } else {
        return;
    };
    report.push(
        Diagnostic::error(Code::InvalidName, format!("a node can't be named `{}`", node.name))
            .label(node.span, problem)
            .help("rename the node"),
    );
}

fn resolve_edge<C>(
    edge: RawEdge,
    at: usize,
    nodes: &[Node<C>],
    index: &HashMap<String, usize>,
    mentioned: &mut [bool],
    report: &mut Report,
) -> Option<Edge> {
    let holder = nodes.get(at).map(|node| node.section);
    let (name, port) = match edge.kind {
        EdgeKind::Data => split_reference(&edge.target),
        EdgeKind::Uses => (edge.target.as_str(), ""),
    };
    let producer = if name == DATA && edge.kind == EdgeKind::Data {
        Producer::Data
    } else if name == RUN && edge.kind == EdgeKind::Data {
        Producer::Run
    } else {
        match index.get(name).copied() {
            Some(found) if found == at => {
                report.push(
                    Diagnostic::error(Code::SelfReference, format!("`{name}` depends on itself"))
                        .label(edge.span, "its own name")
                        .help("a value from the step before is state inside a node, not an edge"),
                );
                return None;
            }
            Some(found) if nodes.get(found).is_some_and(|node| fits(&edge, holder, node.section)) => {
                Producer::Node(found)
            }
            found => {
                report_unknown(&edge, name, found, (nodes, holder), index, mentioned, report);
                return None;
            }
        }
    };
    Some(Edge {
        from: Endpoint {
            producer,
            port: port.to_owned(),
        },
        port: edge.port,
        kind: edge.kind,
        span: edge.span,
    })
}

/// Whether a node of `holder` may depend on one of `section`: augmentations hold augmentations, policies
/// act on them, all others hold what has ports.
fn fits(edge: &RawEdge, holder: Option<Section>, section: Section) -> bool {
    if edge.kind == EdgeKind::Uses && matches!(holder, Some(Section::Augmentations | Section::Policies)) {
        section == Section::Augmentations
    } else {
        section.has_ports()
    }
}

fn report_unknown<C>(
    edge: &RawEdge,
    name: &str,
    found: Option<usize>,
    (nodes, holder): (&[Node<C>], Option<Section>),
    index: &HashMap<String, usize>,
    mentioned: &mut [bool],
    report: &mut Report,
) {
    if let Some(node) = found.and_then(|found| nodes.get(found)) {
        let (lack, label, help) = if node.section.has_ports() {
            ("is no augmentation", "can't be held", "name nodes of `augmentations`")
        } else {
            (
                "has no ports",
                "can't be an input",
                "what the datasets give, augmented, is under `data.`, such as `data.audio`",
            )
        };
        report.push(
            Diagnostic::error(Code::UnknownNode, format!("`{name}` in `{}` {lack}", node.section))
                .label(edge.span, label)
                .label(node.span, "defined here")
                .help(help),
        );
        return;
    }
    let help = if report.is_full() {
        None
    } else {
        let mut names: Vec<&str> = nodes
            .iter()
            .filter(|node| fits(edge, holder, node.section))
            .map(|node| node.name.as_str())
            .collect();
        if edge.kind == EdgeKind::Data {
            names.push(DATA);
            if holder == Some(Section::Policies) {
                names.push(RUN);
            }
        }
        if let Some(&meant) =
            crate::nearest::nearest(name, names.iter().copied()).and_then(|nearest| index.get(nearest))
            && let Some(mentioned) = mentioned.get_mut(meant)
        {
            *mentioned = true;
        }
        suggestion(name, &names, "nodes")
    };
    report.push(
        Diagnostic::error(Code::UnknownNode, format!("there is no node `{name}`"))
            .label(edge.span, "unknown node")
            .maybe_help(help),
    );
}

/// Reports augmentations that are held twice, whose draws would be the same in both places, or in one
/// another too deeply.
fn report_held<C>(graph: &Graph<C>, report: &mut Report) {
    let mut holders: HashMap<usize, (usize, Span)> = HashMap::new();
    for (holder, node) in graph.nodes.iter().enumerate() {
        let held = node.edges.iter().filter(|_| node.section == Section::Augmentations);
        for edge in held {
            let Producer::Node(at) = edge.from.producer else {
                continue;
            };
            match holders.get(&at) {
                Some((_, first)) => report.push(
                    Diagnostic::error(
                        Code::InvalidValue,
                        format!("the augmentation `{}` is held twice", graph.nodes[at].name),
                    )
                    .label(edge.span, "held again")
                    .label(*first, "held here")
                    .help("its draws would be the same in both places; write a second node with another name"),
                ),
                None => {
                    holders.insert(at, (holder, edge.span));
                }
            }
        }
    }
    for at in 0..graph.nodes.len() {
        let outer = std::iter::successors(Some(at), |at| holders.get(at).map(|(holder, _)| *holder));
        // Exactly one more than allowed, so that of a longer chain each node is not reported; a circle is
        // a mistake of its own.
        if outer.take(MAX_HELD_DEPTH + 3).count() == MAX_HELD_DEPTH + 2 {
            report.push(
                Diagnostic::error(
                    Code::InvalidValue,
                    format!("augmentations are held in one another more than {MAX_HELD_DEPTH} deep"),
                )
                .label(graph.nodes[at].span, "too deep")
                .help("hold it higher up"),
            );
        }
    }
}

/// Reports one circle for each group of nodes that need each other over edges of one kind.
fn report_cycles<C>(graph: &Graph<C>, kind: EdgeKind, report: &mut Report) {
    let mut digraph: DiGraph<usize, Span> = DiGraph::with_capacity(graph.nodes.len(), 0);
    let indices: Vec<NodeIndex> = (0..graph.nodes.len()).map(|at| digraph.add_node(at)).collect();
    for (to, node) in graph.nodes.iter().enumerate() {
        for edge in node.edges.iter().filter(|edge| edge.kind == kind) {
            if let Producer::Node(from) = edge.from.producer {
                digraph.add_edge(indices[from], indices[to], edge.span);
            }
        }
    }
    // Kosaraju's algorithm as petgraph has it keeps its own stack; Tarjan's recurses.
    let mut groups: Vec<Vec<NodeIndex>> = kosaraju_scc(&digraph)
        .into_iter()
        .filter(|group| group.len() > 1)
        .collect();
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort_unstable();
    for group in groups {
        let circle = shortest_circle(&digraph, &group);
        let name = |at: NodeIndex| graph.nodes[digraph[at]].name.as_str();
        let mut chain: Vec<String> = circle
            .iter()
            .take(MAX_CYCLE_LABELS)
            .map(|(from, ..)| format!("`{}`", name(*from)))
            .collect();
        if circle.len() > MAX_CYCLE_LABELS {
            chain.push(format!("… {} more …", circle.len() - MAX_CYCLE_LABELS));
        }
        if let Some((from, ..)) = circle.first() {
            chain.push(format!("`{}`", name(*from)));
        }
        let (message, verb) = match kind {
            EdgeKind::Data => ("nodes need each other's outputs", "takes"),
            EdgeKind::Uses => ("nodes hold each other", "holds"),
        };
        let mut diagnostic = Diagnostic::error(Code::Cycle, format!("{message}: {}", chain.join(" → ")));
        for (from, to, span) in circle.iter().take(MAX_CYCLE_LABELS) {
            let text = format!("`{}` {verb} `{}` here", name(*to), name(*from));
            diagnostic = diagnostic.label(*span, text);
        }
        report.push(diagnostic.help("within a step values flow one way; loops over time live inside a rollout node"));
    }
}

/// A shortest circle through the group's first node, as edges in the direction of the values.
fn shortest_circle(digraph: &DiGraph<usize, Span>, group: &[NodeIndex]) -> Vec<(NodeIndex, NodeIndex, Span)> {
    use petgraph::visit::EdgeRef;

    let Some(&start) = group.first() else {
        return Vec::new();
    };
    let mut came: HashMap<NodeIndex, (NodeIndex, Span)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    'search: while let Some(from) = queue.pop_front() {
        for edge in digraph.edges(from) {
            let to = edge.target();
            if group.binary_search(&to).is_err() || came.contains_key(&to) {
                continue;
            }
            came.insert(to, (from, *edge.weight()));
            if to == start {
                break 'search;
            }
            queue.push_back(to);
        }
    }
    let mut circle = Vec::new();
    let mut at = start;
    while let Some((from, span)) = came.remove(&at) {
        circle.push((from, at, span));
        at = from;
    }
    circle.reverse();
    circle
}
