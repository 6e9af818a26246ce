//! What a checked experiment gives to those who run, show or store it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use emorun_data::Assignment;
use emorun_figures::{Diagram, DiagramEdge, DiagramNode};
use emorun_lang::{Placement, Plan, Role, Section, Signal, to_yaml};
use serde_json::Value;

use super::{Model, Prepared};
use crate::ancestry::{self, HeardBefore};
use emorun_engine::exit::Failure;
use emorun_engine::memory::Load;
use emorun_nn::node::FRONT_END;
use emorun_nn::value::PortId;
use emorun_nodes::heads::Predicts;
use emorun_nodes::kinds::NodeConfig;
use emorun_nodes::network::{Needed, Wired};

/// Bytes of an item's description, and of its place in the splits and an epoch's order. Measured on ten million.
const ITEM_BYTES: f64 = 420.0;

impl Model {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.experiment.plan
    }

    /// `resolved.yaml`.
    pub fn resolved_yaml(&self) -> String {
        to_yaml(&self.resolved)
    }

    /// Hash of the resolved experiment.
    pub fn config_hash(&self) -> String {
        self.plan().hash().to_owned()
    }

    /// Cost of all nodes that a training step runs.
    fn training_cost(&self) -> emorun_lang::Cost {
        let mut cost = emorun_lang::Cost::default();
        self.plan()
            .running(emorun_lang::Schedule::Train)
            .for_each(|node| cost += node.cost);
        cost
    }

    /// The nodes by section and name, with their configurations.
    pub fn nodes(&self) -> impl Iterator<Item = (Section, &str, &NodeConfig)> {
        let nodes = self.experiment.graph.nodes().iter();
        nodes.map(|node| (node.section, node.name.as_str(), &node.config))
    }

    /// Names of a node and of all that it depends on.
    pub fn upstream(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if let Some(node) = self.plan().node(name)
                && found.insert(name.to_owned())
            {
                open.extend(node.inputs.iter().map(|input| input.node.as_str()));
                open.extend(node.uses.iter().map(|held| held.node.as_str()));
            }
        }
        found
    }

    /// Names of the classification heads.
    pub fn heads(&self) -> Vec<String> {
        self.heads_of(Predicts::Classes)
    }

    /// Names of the heads that predict numbers.
    pub fn regressors(&self) -> Vec<String> {
        self.heads_of(Predicts::Numbers)
    }

    /// Names of the heads and generators that predict numbers in each frame.
    pub fn frame_regressors(&self) -> Vec<String> {
        self.heads_of(Predicts::Frames)
    }

    fn heads_of(&self, predicts: Predicts) -> Vec<String> {
        let heads = self.experiment.graph.section(Section::Heads);
        let generators = self.experiment.graph.section(Section::Generators);
        heads
            .chain(generators)
            .filter(|node| node.config.predicts() == Some(predicts))
            .map(|node| node.name.clone())
            .collect()
    }

    /// The device nodes with their wires, in topological order.
    ///
    /// # Errors
    /// The plan and the graph do not agree, which is a bug.
    pub fn wired(&self) -> Result<Arc<[Wired]>, Failure> {
        self.plan()
            .nodes()
            .iter()
            .filter(|node| node.section.has_ports() && node.placement == Placement::Device)
            .map(|node| {
                let config = self.experiment.graph.node(&node.name).map(|node| node.config.clone());
                let config =
                    config.ok_or_else(|| Failure::Bug(format!("the plan names an unknown node `{}`", node.name)))?;
                let runs = |role: Role| role == Role::Runs;
                let has_front_end = self.host_op(node)?.is_some();
                Ok(Wired {
                    name: node.name.clone(),
                    config,
                    inputs: node
                        .inputs
                        .iter()
                        .map(|input| {
                            let from = if has_front_end {
                                PortId::new(&node.name, FRONT_END)
                            } else {
                                PortId::new(&input.node, &input.node_port)
                            };
                            (input.port.clone(), from, input.signal.clone())
                        })
                        .collect(),
                    outputs: node.outputs.clone(),
                    uses: node
                        .uses
                        .iter()
                        .map(|held| (held.port.clone(), held.node.clone()))
                        .collect(),
                    needed: Needed {
                        train: runs(node.roles.train),
                        evaluate: runs(node.roles.evaluate),
                        predict: runs(node.roles.predict),
                    },
                })
            })
            .collect()
    }

    /// The graph as a drawing.
    pub fn diagram(&self) -> Diagram {
        let plan = self.plan();
        let mut nodes: Vec<DiagramNode> = Vec::new();
        let mut edges: Vec<DiagramEdge> = Vec::new();
        for node in plan.nodes() {
            let mut lines = vec![node.kind.clone()];
            lines.extend(node.output_text());
            if node.cost.parameters > 0 {
                lines.push(format!("{} parameters", node.cost.parameters));
            }
            nodes.push(DiagramNode {
                id: node.name.clone(),
                title: node.name.clone(),
                lines,
                section: node.section.name().to_owned(),
                dashed: node.placement == Placement::Host,
            });
            if !node.section.has_ports() {
                edges.push(DiagramEdge {
                    from: node.name.clone(),
                    to: emorun_lang::DATA.to_owned(),
                    ..DiagramEdge::default()
                });
            }
            for input in &node.inputs {
                let label = if [emorun_lang::DATA, emorun_lang::RUN].contains(&input.node.as_str()) {
                    input.node_port.clone()
                } else {
                    String::new()
                };
                edges.push(DiagramEdge {
                    from: input.node.clone(),
                    to: node.name.clone(),
                    label,
                    dashed: false,
                });
            }
            for held in &node.uses {
                edges.push(DiagramEdge {
                    from: held.node.clone(),
                    to: node.name.clone(),
                    label: held.port.clone(),
                    dashed: true,
                });
            }
        }
        if edges.iter().any(|edge| edge.from == emorun_lang::RUN) {
            nodes.push(DiagramNode {
                id: emorun_lang::RUN.to_owned(),
                title: emorun_lang::RUN.to_owned(),
                lines: vec!["how training goes".into()],
                section: Section::Policies.name().to_owned(),
                dashed: true,
            });
        }
        nodes.push(DiagramNode {
            id: emorun_lang::DATA.to_owned(),
            title: emorun_lang::DATA.to_owned(),
            lines: plan
                .data()
                .iter()
                .map(|(port, signal)| format!("{port}: {signal}"))
                .collect(),
            section: Section::Datasets.name().to_owned(),
            dashed: true,
        });
        Diagram {
            title: self.settings.name.clone(),
            nodes,
            edges,
            dashed_nodes: "runs on the host".into(),
            dashed_edges: "holds as a callable".into(),
        }
    }
}

impl Prepared {
    /// What is known of the datasets, for `run.json`.
    pub fn data_facts(&self) -> Value {
        self.corpus.datasets.clone()
    }

    /// What the user should know of the data.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.inherited.iter().chain(&self.corpus.remarks).cloned().collect();
        if let Some(bound_s) = self.settings.training.batching.max_seconds() {
            let durations_s = self.corpus.items.durations_s().iter();
            let count = durations_s.filter(|length_s| **length_s > bound_s).count();
            if count > 0 {
                remarks.push(format!(
                    "{count} item(s) are longer than `max_batch_seconds: {bound_s}`: each is a training batch of its own"
                ));
            }
        }
        if self.settings.training.gradient_checkpointing && self.training_cost().recomputed_floats_per_second == 0.0 {
            remarks.push(
                "`training.gradient_checkpointing` has nothing to work on: no pretrained encoder trains two or more layers"
                    .into(),
            );
        }
        if self.settings.precision.depends_on_the_batch() {
            remarks.push(
                "`precision: bf16` rounds products to 8 bits, in an order that depends on the batch: results change in the fourth digit with `evaluation.batch_size` and with what an item is computed beside"
                    .into(),
            );
        }
        for node in self.plan().nodes() {
            let Some(found) = self.experiment.graph.node(&node.name) else {
                continue;
            };
            let remark = found.config.remark(&node.input_signals(), &self.facts);
            remarks.extend(remark.map(|remark| format!("`{}`: {remark}", node.name)));
        }
        for (_, name, config) in self.nodes() {
            let Some(bound_s) = config.hears_s() else { continue };
            let durations_s = self.corpus.items.durations_s().iter().copied();
            let longer = durations_s.filter(|length_s| *length_s > bound_s);
            let longest_s = longer.clone().fold(0.0, f64::max);
            let count = longer.count();
            if count > 0 {
                remarks.push(format!(
                    "{count} item(s) are longer than the {bound_s} s that `{name}` hears of each, the longest has {longest_s:.1} s; what comes later is not used"
                ));
            }
        }
        remarks
    }

    /// Who of an assignment's validation and test sides was heard by the runs that the weights come from.
    pub fn heard_before(&self, assignment: &Assignment) -> Vec<HeardBefore> {
        ancestry::heard_before(&self.ancestry, &assignment.certificate.splits)
    }

    /// The same as lines for people, with what is not known of it.
    pub fn heard_lines(&self, assignment: &Assignment) -> Vec<String> {
        let heard = self.heard_before(assignment).into_iter();
        let lines = heard.map(|heard| heard.to_string());
        lines.chain(ancestry::not_known(&self.ancestry)).collect()
    }

    /// What stands at a port of a node, or of the data.
    fn signal_at(&self, port: &PortId) -> Option<&Signal> {
        match self.plan().node(&port.node) {
            Some(node) => node.output(&port.port),
            None => {
                let mut data = self.plan().data().iter();
                data.find_map(|(name, signal)| (*name == port.port).then_some(signal))
            }
        }
    }

    /// Label columns that the corpora have.
    pub fn label_columns(&self) -> Vec<String> {
        self.corpus.label_sets.keys().cloned().collect()
    }

    /// Training items of each class by label column, for one assignment.
    pub fn class_counts(&self, assignment: &Assignment) -> HashMap<String, Vec<usize>> {
        self.corpus
            .label_sets
            .keys()
            .map(|column| (column.clone(), self.corpus.class_counts(column, &assignment.train)))
            .collect()
    }

    /// The longest item that is trained on, and its length as it is, in seconds.
    pub fn longest_in_training(&self) -> Option<(usize, f64)> {
        let durations_s = self.corpus.items.durations_s();
        let items = self.assignments.iter().flat_map(|assignment| &assignment.train);
        let of = items.map(|&item| (item, durations_s[item]));
        of.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// What training will hold in memory at most: of the assignment with the most training items.
    pub fn load(&self) -> Option<Load> {
        let largest = self
            .assignments
            .iter()
            .max_by_key(|assignment| assignment.train.len())?;
        let batch = self.settings.training.batch_size.min(largest.train.len());
        let durations_s = self.corpus.items.durations_s();
        // A batch is padded to its longest item, and the longest item of all is in some batch.
        let (_, longest_s) = self.longest_in_training()?;
        let rate_hz = f64::from(self.settings.sample_rate_hz);
        let [_, lengthened] = self.augmentations.lengths((longest_s * rate_hz).round() as usize);
        let longest = lengthened as f64 / rate_hz;
        // As it is, training items among others.
        let evaluated = self.assignments.iter().flat_map(|assignment| {
            let Assignment {
                train,
                validation,
                test,
                ..
            } = assignment;
            train.iter().chain(validation).chain(test)
        });
        let evaluation_seconds = evaluated.map(|&item| durations_s[item]).fold(0.0, f64::max);
        let all_seconds: f64 = durations_s.iter().sum();
        let items = self.corpus.items.len() as f64;
        let host_floats: f64 = self
            .host_ports()
            .iter()
            .map(|port| match self.signal_at(port) {
                Some(Signal::Frames { width, rate }) => *width as f64 * rate.hz() * all_seconds,
                Some(Signal::LayerStack { layers, width, rate }) => (*layers * *width) as f64 * rate.hz() * all_seconds,
                Some(Signal::Vector { width }) => *width as f64 * items,
                _ => f64::from(self.settings.sample_rate_hz) * all_seconds,
            })
            .sum();
        let budget = self.settings.training.loader.memory_mib as f64 * (1u64 << 20) as f64;
        Some(Load {
            cost: self.training_cost(),
            // Batches bounded in seconds hold fewer of the longest items.
            batch_size: match self.settings.training.batching.max_seconds() {
                Some(bound) if longest > 0.0 => batch.min(((bound / longest) as usize).max(1)),
                _ => batch,
            },
            evaluation_batch_size: self.settings.evaluation.batch_size.min(self.corpus.items.len()),
            batch_seconds: longest,
            evaluation_seconds,
            checkpointing: self.settings.training.gradient_checkpointing,
            host_bytes: (4.0 * host_floats).min(budget) + ITEM_BYTES * items,
        })
    }
}
