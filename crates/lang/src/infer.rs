//! Signals at every port, in topological order.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::Tree;
use crate::graph::{Edge, EdgeKind, Graph, Node, Producer};
use crate::kind::{InferError, Inferred, InputSignals, NodeSpec, Placement, Section};
use crate::nearest::{listed, suggestion};
use crate::refs::{DATA, RUN};
use crate::signal::Signal;
use crate::source::Span;

/// Node indices so that every node comes after those whose outputs it takes, and after those that
/// it holds where that is possible; otherwise in the order of the file. Nodes on a circle and
/// behind one are left out.
pub(crate) fn order<C>(graph: &Graph<C>) -> Vec<usize> {
    let nodes = graph.nodes();
    let mut waits = vec![[0_usize; 2]; nodes.len()];
    let mut followers: Vec<Vec<(usize, EdgeKind)>> = vec![Vec::new(); nodes.len()];
    let slot = |kind| usize::from(kind == EdgeKind::Uses);
    for (to, node) in nodes.iter().enumerate() {
        for edge in &node.edges {
            if let Producer::Node(from) = edge.from.producer {
                waits[to][slot(edge.kind)] += 1;
                followers[from].push((to, edge.kind));
            }
        }
    }
    // What waits for nothing, and what waits only for nodes that it holds.
    let mut ready = BTreeSet::new();
    let mut holding = BTreeSet::new();
    for (at, [data, uses]) in waits.iter().enumerate() {
        match (data, uses) {
            (0, 0) => ready.insert(at),
            (0, _) => holding.insert(at),
            _ => false,
        };
    }
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first().or_else(|| holding.pop_first()) {
        order.push(at);
        for &(to, kind) in &followers[at] {
            waits[to][slot(kind)] -= 1;
            match waits[to] {
                [0, 0] if kind == EdgeKind::Data || holding.remove(&to) => {
                    ready.insert(to);
                }
                [0, _] if kind == EdgeKind::Data => {
                    holding.insert(to);
                }
                _ => {}
            }
        }
    }
    order
}

/// What inference needs to know beside the graph.
pub(crate) struct Context<'a> {
    /// What the datasets give.
    pub data: &'a [(String, Signal)],
    /// What is seen of how training goes.
    pub run: &'a [(String, Signal)],
    /// True if the datasets' own mistakes hide what they would give.
    pub lacks_a_dataset: bool,
    /// By node: true if it lacks an edge that was reported.
    pub incomplete: &'a [bool],
    /// The whole file, to find the places of fields.
    pub tree: &'a Tree,
}

/// Infers every node in order; `None` for a node that was reported here or before, and for what
/// lies behind such a node.
pub(crate) fn infer<C: NodeSpec>(
    graph: &Graph<Option<C>>,
    order: &[usize],
    facts: &C::Facts,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<Option<Inferred>> {
    let nodes = graph.nodes();
    let mut inferred: Vec<Option<Inferred>> = vec![None; nodes.len()];
    for &at in order {
        let node = &nodes[at];
        let Some(inputs) = inputs(node, graph, &inferred, context, report) else {
            continue;
        };
        let (Some(config), false) = (&node.config, context.incomplete[at]) else {
            continue;
        };
        match config.infer(&inputs, facts) {
            Ok(result) => {
                check_placement(node, &result, graph, &inferred, report);
                inferred[at] = Some(result);
            }
            Err(error) if report.is_full() => {
                report.push(Diagnostic::error(Code::InvalidValue, error.to_string()));
            }
            Err(error) => report.push(explain(error, node, graph, context)),
        }
    }
    inferred
}

/// The signals at the input ports, or `None` if one of them is not known.
fn inputs<'a, C>(
    node: &Node<Option<C>>,
    graph: &Graph<Option<C>>,
    inferred: &'a [Option<Inferred>],
    context: &Context<'a>,
    report: &mut Report,
) -> Option<InputSignals<'a>> {
    let mut ports = Vec::new();
    let mut complete = true;
    for edge in node.edges.iter().filter(|edge| edge.kind == EdgeKind::Data) {
        let (outputs, producer) = match edge.from.producer {
            Producer::Data => (context.data, None),
            Producer::Run => (context.run, None),
            Producer::Node(at) => match &inferred[at] {
                Some(inferred) => (inferred.outputs.as_slice(), graph.nodes().get(at)),
                None => {
                    complete = false;
                    continue;
                }
            },
        };
        match outputs.iter().find(|(port, _)| *port == edge.from.port) {
            Some((_, signal)) => ports.push((edge.port.clone(), signal)),
            // What a dataset gives is not known before its own mistakes are mended.
            None if edge.from.producer == Producer::Data && context.lacks_a_dataset => complete = false,
            None => {
                complete = false;
                report.push(unknown_port(edge, outputs, producer));
            }
        }
    }
    complete.then(|| InputSignals::new(ports))
}

fn unknown_port<C>(edge: &Edge, outputs: &[(String, Signal)], producer: Option<&Node<C>>) -> Diagnostic {
    let pseudo = if edge.from.producer == Producer::Run { RUN } else { DATA };
    let name = producer.map_or(pseudo, |node| node.name.as_str());
    let port = edge.from.port.as_str();
    let message = if port.is_empty() {
        format!("`{name}` has no default port")
    } else {
        format!("`{name}` has no port `{port}`")
    };
    let full: Vec<String> = outputs.iter().map(|(port, _)| reference(name, port)).collect();
    let known: Vec<&str> = full.iter().map(String::as_str).collect();
    let help = if port.is_empty() {
        Some(format!("ports are {}", listed(&known)))
    } else {
        suggestion(&reference(name, port), &known, "ports")
    };
    let mut diagnostic = Diagnostic::error(Code::UnknownPort, message).label(edge.span, "unknown port");
    if let Some(node) = producer {
        diagnostic = diagnostic.label(node.span, "this node");
    }
    diagnostic.maybe_help(help)
}

/// The text of a reference to a port.
pub(crate) fn reference(node: &str, port: &str) -> String {
    if port.is_empty() {
        node.to_owned()
    } else {
        format!("{node}.{port}")
    }
}

fn check_placement<C>(
    node: &Node<Option<C>>,
    result: &Inferred,
    graph: &Graph<Option<C>>,
    inferred: &[Option<Inferred>],
    report: &mut Report,
) {
    if result.placement == Placement::Device {
        return;
    }
    for edge in node.edges.iter().filter(|edge| edge.kind == EdgeKind::Data) {
        if let Producer::Node(at) = edge.from.producer
            && let Some(Inferred {
                placement: Placement::Device,
                ..
            }) = &inferred[at]
        {
            let producer = &graph.nodes()[at];
            report.push(
                Diagnostic::error(
                    Code::DeviceToHost,
                    format!(
                        "`{}` runs on the host and can't take what `{}` computes on the device",
                        node.name, producer.name
                    ),
                )
                .label(edge.span, "from device back to host")
                .label(producer.span, "runs on the device")
                .help("a host node takes what the datasets and other host nodes give"),
            );
        }
    }
}

fn explain<C>(
    error: InferError,
    node: &Node<Option<C>>,
    graph: &Graph<Option<C>>,
    context: &Context<'_>,
) -> Diagnostic {
    let name = &node.name;
    match error {
        InferError::Mismatch {
            port,
            wanted,
            found,
            help,
        } => {
            let edge = edge_of(node, &port);
            let (source, producer) = match edge.map(|edge| (&edge.from, edge.from.producer)) {
                Some((from, Producer::Node(at))) => {
                    let producer = &graph.nodes()[at];
                    (reference(&producer.name, &from.port), Some(producer.span))
                }
                Some((from, Producer::Data)) => (reference(DATA, &from.port), datasets(context)),
                Some((from, Producer::Run)) => (reference(RUN, &from.port), None),
                None => (port.clone(), None),
            };
            let mut diagnostic = Diagnostic::error(
                Code::Mismatch,
                format!("`{name}.{port}` takes {wanted}, but `{source}` gives {found}"),
            )
            .label(edge.map_or(node.span, |edge| edge.span), format!("must be {wanted}"));
            if let Some(span) = producer {
                diagnostic = diagnostic.label(span, format!("gives {found}"));
            }
            diagnostic.maybe_help(help)
        }
        InferError::Missing { port } => Diagnostic::error(
            Code::MissingInput,
            format!("port `{port}` of `{name}` is not connected"),
        )
        .label(node.span, format!("needs `{port}`"))
        .help(format!("add `{}: …` to the node", port.replace('.', ": "))),
        InferError::Invalid { field, message, help } => {
            let place = context
                .tree
                .get(node.section.name())
                .and_then(|section| section.get(name))
                .and_then(|tree| tree.at(&field));
            Diagnostic::error(Code::InvalidValue, format!("`{name}.{field}` {message}"))
                .label(place.map_or(node.span, |tree| tree.span), "does not fit")
                .maybe_help(help)
        }
    }
}

/// The edge at a port, or the first one below it.
fn edge_of<'a, C>(node: &'a Node<C>, port: &str) -> Option<&'a Edge> {
    let below = format!("{port}.");
    node.edges
        .iter()
        .find(|edge| edge.port == port)
        .or_else(|| node.edges.iter().find(|edge| edge.port.starts_with(&below)))
}

/// Where the datasets are written.
fn datasets(context: &Context<'_>) -> Option<Span> {
    let section = context.tree.entry(Section::Datasets.name())?;
    Some(section.key_span)
}
