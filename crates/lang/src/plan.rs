//! The plan of a run: everything that is known before anything is allocated.

use std::collections::HashMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::graph::{EdgeKind, Graph, Producer};
use crate::infer::reference;
use crate::kind::{Cost, Inferred, InputSignals, Placement, Section};
use crate::kinded::with_kind;
use crate::refs::{DATA, RUN};
use crate::schedule::{Role, Roles, Schedule};
use crate::ser::to_value;
use crate::signal::Signal;

/// An input port of a planned node.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanInput {
    /// The port: `input`, `target`, `inputs.face`, ….
    pub port: String,
    /// The node that gives the value, or `data`.
    pub node: String,
    /// The port of that node, empty for its default port.
    pub node_port: String,
    /// What flows.
    pub signal: Signal,
}

/// A node that another one holds as a callable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanUse {
    /// The field: `uses.denoiser`, ….
    pub port: String,
    /// The node that is held.
    pub node: String,
}

/// A node with all that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanNode {
    /// Unique name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Where it stands in the file.
    pub section: Section,
    /// What it takes, in the order of its fields.
    pub inputs: Vec<PlanInput>,
    /// What it holds, in the order of its fields.
    pub uses: Vec<PlanUse>,
    /// What it gives; `""` is the default port.
    pub outputs: Vec<(String, Signal)>,
    /// Where it runs.
    pub placement: Placement,
    /// What it costs.
    pub cost: Cost,
    /// Its part in each schedule.
    pub roles: Roles,
    /// True for the frozen prefix: no trainable parameter and no random draw in it and in
    /// anything that it takes or holds, so that its output for an item can't change. Never true
    /// for datasets and augmentations, which have no ports.
    pub frozen: bool,
    /// True if it acts by random draws and only while training.
    pub train_only: bool,
    /// Hash of its configuration and of all that it depends on, names of nodes left out.
    pub hash: String,
}

impl PlanNode {
    /// The signals at its input ports, as [`crate::NodeSpec::infer`] saw them.
    pub fn input_signals(&self) -> InputSignals<'_> {
        let ports = self.inputs.iter().map(|input| (input.port.clone(), &input.signal));
        InputSignals::new(ports.collect())
    }

    /// The signal of an output port.
    pub fn output(&self, port: &str) -> Option<&Signal> {
        self.outputs
            .iter()
            .find_map(|(name, signal)| (name == port).then_some(signal))
    }

    /// The outputs for people: one signal, or several with their ports.
    pub fn output_text(&self) -> Option<String> {
        match self.outputs.as_slice() {
            [] => None,
            [(port, signal)] if port.is_empty() => Some(signal.to_string()),
            several => Some(
                several
                    .iter()
                    .map(|(port, signal)| match port.as_str() {
                        "" => signal.to_string(),
                        port => format!(".{port} {signal}"),
                    })
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        }
    }
}

impl Serialize for PlanNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("PlanNode", 10)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("kind", &self.kind)?;
        object.serialize_field("section", &self.section)?;
        object.serialize_field("output", &self.output_text())?;
        object.serialize_field("parameters", &self.cost.parameters)?;
        object.serialize_field("trainable", &self.cost.trainable)?;
        object.serialize_field("placement", &self.placement)?;
        object.serialize_field("frozen", &self.frozen)?;
        object.serialize_field("roles", &self.roles)?;
        object.serialize_field("hash", &self.hash)?;
        object.end()
    }
}

/// A checked experiment: nodes in the order in which they run, and what is known about each.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    nodes: Vec<PlanNode>,
    data: Vec<(String, Signal)>,
    hash: String,
}

impl Plan {
    /// Every node, each after those whose outputs it takes.
    pub fn nodes(&self) -> &[PlanNode] {
        &self.nodes
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&PlanNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// What the datasets give.
    pub fn data(&self) -> &[(String, Signal)] {
        &self.data
    }

    /// The nodes with ports that run in a schedule, in order.
    pub fn running(&self, schedule: Schedule) -> impl Iterator<Item = &PlanNode> {
        self.nodes
            .iter()
            .filter(move |node| node.section.has_ports() && node.roles.of(schedule) == Role::Runs)
    }

    /// Hash of the resolved experiment.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The cost of all nodes together.
    pub fn cost(&self) -> Cost {
        let mut total = Cost::default();
        for node in &self.nodes {
            total += node.cost;
        }
        total
    }

    /// The plan as a table for people.
    pub fn render_table(&self) -> String {
        let mut rows = vec![
            [
                "node",
                "kind",
                "output",
                "runs on",
                "parameters",
                "trainable",
                "schedules",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.nodes.iter().map(|node| {
            let schedules: Vec<String> = Schedule::ALL
                .into_iter()
                .filter_map(|schedule| match node.roles.of(schedule) {
                    Role::Runs => Some(schedule.name().to_owned()),
                    Role::Held => Some(format!("({})", schedule.name())),
                    Role::Absent => None,
                })
                .collect();
            let frozen = if node.frozen { " · frozen" } else { "" };
            [
                node.name.clone(),
                node.kind.clone(),
                node.output_text().unwrap_or_else(|| "–".to_owned()),
                node.placement.name().to_owned(),
                grouped(node.cost.parameters),
                grouped(node.cost.trainable),
                format!("{}{frozen}", schedules.join(" ")),
            ]
        }));
        let total = self.cost();
        rows.push([
            "total".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            grouped(total.parameters),
            grouped(total.trainable),
            String::new(),
        ]);
        table(&rows)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let total = self.cost();
        let mut object = serializer.serialize_struct("Plan", 4)?;
        object.serialize_field("nodes", &self.nodes)?;
        object.serialize_field("parameters", &total.parameters)?;
        object.serialize_field("trainable", &total.trainable)?;
        object.serialize_field("hash", &self.hash)?;
        object.end()
    }
}

/// Aligns columns; those of numbers (parameters, trainable) to the right.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                4 | 5 => format!("{cell:>width$}"),
                _ => format!("{cell:width$}"),
            })
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Makes the plan of a graph whose every node was inferred; `None` if one was not.
pub(crate) fn plan<C: Serialize>(
    graph: &Graph<C>,
    order: &[usize],
    inferred: Vec<Option<Inferred>>,
    roles: &[Roles],
    data: &[(String, Signal)],
    run: &[(String, Signal)],
    resolved: &Json,
) -> Option<Plan> {
    let inferred: Vec<Inferred> = inferred.into_iter().collect::<Option<_>>()?;
    let frozen = frozen(graph, &inferred);
    let hashes = hashes(graph, order, data);
    let nodes = order
        .iter()
        .map(|&at| {
            let node = graph.nodes().get(at)?;
            let own = inferred.get(at)?;
            let mut inputs = Vec::new();
            let mut uses = Vec::new();
            for edge in &node.edges {
                let (name, outputs) = match edge.from.producer {
                    Producer::Data => (DATA, data),
                    Producer::Run => (RUN, run),
                    Producer::Node(from) => (
                        graph.nodes().get(from)?.name.as_str(),
                        inferred.get(from)?.outputs.as_slice(),
                    ),
                };
                match edge.kind {
                    EdgeKind::Uses => uses.push(PlanUse {
                        port: edge.port.clone(),
                        node: name.to_owned(),
                    }),
                    EdgeKind::Data => inputs.push(PlanInput {
                        port: edge.port.clone(),
                        node: name.to_owned(),
                        node_port: edge.from.port.clone(),
                        signal: outputs.iter().find(|(port, _)| *port == edge.from.port)?.1.clone(),
                    }),
                }
            }
            Some(PlanNode {
                name: node.name.clone(),
                kind: node.kind.clone(),
                section: node.section,
                inputs,
                uses,
                outputs: own.outputs.clone(),
                placement: own.placement,
                cost: own.cost,
                roles: roles.get(at).copied()?,
                frozen: frozen.get(at).copied()?,
                train_only: own.train_only,
                hash: hashes.get(&at).cloned()?,
            })
        })
        .collect::<Option<_>>()?;
    Some(Plan {
        nodes,
        data: data.to_vec(),
        hash: short_hash(canonical(resolved).as_bytes()),
    })
}

/// Spreads what is not frozen along the edges of both kinds until nothing changes.
fn frozen<C>(graph: &Graph<C>, inferred: &[Inferred]) -> Vec<bool> {
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); inferred.len()];
    for (to, node) in graph.nodes().iter().enumerate() {
        for edge in &node.edges {
            if let Producer::Node(from) = edge.from.producer {
                followers[from].push(to);
            }
        }
    }
    let mut frozen: Vec<bool> = graph.nodes().iter().map(|node| node.section.has_ports()).collect();
    let mut open: Vec<usize> = (0..inferred.len())
        .filter(|&at| inferred[at].cost.trainable > 0 || inferred[at].train_only)
        .collect();
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut frozen[at], false) {
            open.extend(&followers[at]);
        }
    }
    frozen
}

/// Hash of every node: its kind, its configuration without the names that it refers to, and the
/// hashes of what it takes and holds. Of held nodes that come later only the configuration counts.
fn hashes<C: Serialize>(graph: &Graph<C>, order: &[usize], data: &[(String, Signal)]) -> HashMap<usize, String> {
    let mut hashes: HashMap<usize, String> = HashMap::new();
    for &at in order {
        let node = &graph.nodes()[at];
        let edges: Vec<Json> = node
            .edges
            .iter()
            .map(|edge| {
                let from = match edge.from.producer {
                    Producer::Data => {
                        let signal = data.iter().find(|(port, _)| *port == edge.from.port);
                        json!([DATA, signal.map(|(_, signal)| signal.to_string())])
                    }
                    Producer::Run => json!([RUN]),
                    Producer::Node(from) => match hashes.get(&from) {
                        Some(hash) => json!(hash),
                        None => own_content(&graph.nodes()[from]),
                    },
                };
                json!([edge.port, edge.from.port, edge.kind, from])
            })
            .collect();
        let content = json!([own_content(node), edges]);
        hashes.insert(at, short_hash(canonical(&content).as_bytes()));
    }
    hashes
}

/// Kind and fields of a node, references blanked.
fn own_content<C: Serialize>(node: &crate::graph::Node<C>) -> Json {
    let mut fields = with_kind(&node.kind, to_value(&node.config).unwrap_or_default());
    for edge in &node.edges {
        let pointer = format!("/{}", edge.port.replace('.', "/"));
        if let Some(field) = fields.pointer_mut(&pointer) {
            *field = Json::Null;
        }
    }
    fields
}

/// JSON with sorted keys and without white space.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", json!(key), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// The first 128 bits of BLAKE3 in hexadecimal.
fn short_hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().chars().take(32).collect()
}

/// The reference text of an input, such as `fuse.face`.
impl std::fmt::Display for PlanInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&reference(&self.node, &self.node_port))
    }
}
