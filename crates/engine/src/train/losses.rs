//! Losses by node: their sums over batches, those that compare all items of a side, and what each part of a step's
//! batch has of them.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use emorun_kernels::on_cores;
use serde::{Deserialize, Serialize};

use super::replicas::parts;
use super::{Abort, Moment, StepNames};
use crate::feed::Feed;
use emorun_nn::node::Ports;
use emorun_nn::presence::Presence;
use emorun_nn::value::{Labels, Targets, Value, Values};
use emorun_nn::waits;
use emorun_nodes::network::{Network, RunError};

/// Sums of one loss over batches, so that the mean does not depend on how items are batched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSums {
    /// Means times counts.
    sum: f64,
    /// The same, each times the loss's factor in the sum of losses.
    weighted: f64,
    /// Counts.
    count: f64,
}

impl LossSums {
    /// Adds a mean over items that count so much together; what no item counts in has no mean.
    pub fn add(&mut self, weight: f64, mean: f64, count: f64) {
        if count > 0.0 {
            self.sum += mean * count;
            self.weighted += weight * mean * count;
            self.count += count;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.weighted += other.weighted;
        self.count += other.count;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    fn weighted_mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.weighted / self.count)
    }
}

/// Sums of losses by node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LossTable(BTreeMap<String, LossSums>);

impl LossTable {
    /// The sums of a node.
    pub fn of(&mut self, node: &str) -> &mut LossSums {
        self.0.entry(node.to_owned()).or_default()
    }

    /// Adds the sums of another.
    pub fn merge(&mut self, other: &Self) {
        for (node, sums) in &other.0 {
            self.of(node).merge(sums);
        }
    }

    /// The weighted sum of the losses; `None` where no item counts in any.
    pub fn total(&self) -> Option<f64> {
        let means = self.0.values().filter_map(LossSums::weighted_mean);
        means.reduce(|sum, loss| sum + loss)
    }

    /// The mean of each loss by itself, without its factor.
    pub fn by_node(&self, network: &Network) -> BTreeMap<String, NodeLoss> {
        let losses = self.0.iter().map(|(node, sums)| {
            let loss = NodeLoss {
                value: sums.mean(),
                of: network.compared_by(node).unwrap_or_default().to_owned(),
            };
            (node.clone(), loss)
        });
        losses.collect()
    }
}

/// One loss of a side of a split, or of an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeLoss {
    /// Its mean, without its factor in the sum of losses; `None` where no item counts.
    pub value: Option<f64>,
    /// The node whose output it is about, such as a head.
    pub of: String,
}

/// What losses that compare items with each other take, gathered over the batches of a side.
#[derive(Debug)]
pub struct Sides(Vec<Gathered>);

#[derive(Debug)]
struct Gathered {
    /// Place of the loss in the network.
    index: usize,
    columns: BTreeMap<String, Column>,
}

/// What stands at a port, item after item.
#[derive(Debug)]
enum Column {
    Vectors(Vec<f32>, usize),
    Labels(Vec<Option<u32>>),
    Targets(Vec<Option<f32>>, usize),
}

impl Sides {
    /// Nothing yet, of the losses of a network that compare items.
    pub fn of(network: &Network) -> Self {
        let gathered = network.side_losses().map(|index| Gathered {
            index,
            columns: BTreeMap::new(),
        });
        Self(gathered.collect())
    }

    /// Adds a batch on which the network has run.
    pub fn add(&mut self, network: &Network, values: &Values) {
        for side in &mut self.0 {
            let presence = network.presence(side.index, values);
            if presence.as_ref().is_some_and(Presence::is_empty) {
                continue;
            }
            let rows = presence.map(|presence| presence.rows());
            for (port, from, _) in &network.wired()[side.index].inputs {
                let own = match (&rows, values.get(from)) {
                    (Some(rows), Some(value)) => Some(value.rows(rows)),
                    _ => None,
                };
                match (own.as_ref().or(values.get(from)), side.columns.get_mut(port)) {
                    (Some(Value::Vector(vectors)), Some(Column::Vectors(all, _))) => {
                        all.extend(waits::numbers(vectors.clone()));
                    }
                    (Some(Value::Labels(labels)), Some(Column::Labels(all))) => all.extend(labels.as_slice()),
                    (Some(Value::Targets(targets)), Some(Column::Targets(all, _))) => {
                        targets.rows().for_each(|row| all.extend(row));
                    }
                    (Some(value), None) => {
                        let column = match value {
                            Value::Vector(x) => Column::Vectors(waits::numbers(x.clone()), x.dims()[1]),
                            Value::Labels(labels) => Column::Labels(labels.as_slice().to_vec()),
                            Value::Targets(targets) => {
                                let rows: Vec<&[Option<f32>]> = targets.rows().collect();
                                Column::Targets(rows.concat(), targets.columns().count())
                            }
                            // Nothing else is compared item with item; the loss names the port that it lacks.
                            _ => continue,
                        };
                        side.columns.insert(port.clone(), column);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Computes the losses over all items and enters them in the table.
    ///
    /// # Errors
    /// A port carried something else than the loss was checked for.
    pub fn enter(self, network: &Network, table: &mut LossTable) -> Result<(), RunError> {
        let device = Device::flex();
        for Gathered { index, columns } in self.0 {
            let mut ports = Ports::default();
            for (port, column) in columns {
                let value = match column {
                    Column::Vectors(values, width) => {
                        let items = values.len() / width.max(1);
                        Value::Vector(Tensor::from_data(TensorData::new(values, [items, width]), &device))
                    }
                    Column::Labels(labels) => Value::Labels(Labels::new(labels)),
                    Column::Targets(rows, width) => Value::Targets(Targets::new(rows, width)),
                };
                ports.insert(port, value);
            }
            let Some((name, weight, loss)) = network.side_loss(index) else {
                continue;
            };
            let (mean, count) = on_cores(&device, || loss.over_side(&ports)).map_err(|source| RunError {
                node: name.to_owned(),
                source,
            })?;
            table.of(name).add(weight, mean, count);
        }
        Ok(())
    }
}

/// What a part of a step's batch has of the whole in each loss: the losses of all parts, each times its share, are
/// those of one batch of all their items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// Of the items.
    items: f64,
    /// Of what they count in a loss, by node, where that is known before the network has run.
    counts: BTreeMap<String, f64>,
}

impl Share {
    /// That of a part which is the whole.
    fn whole() -> Self {
        Self {
            items: 1.0,
            counts: BTreeMap::new(),
        }
    }

    /// The share in the loss of a node.
    pub fn of(&self, node: &str) -> f64 {
        self.counts.get(node).copied().unwrap_or(self.items)
    }

    /// The share in all losses, if they have the same.
    pub fn of_all(&self) -> Option<f64> {
        let same = self.counts.values().all(|share| *share == self.items);
        same.then_some(self.items)
    }
}

/// The shares of a step's micro-batches, each in the parts that `devices` take, in the order in which they are done.
///
/// # Errors
/// The corpus' index on disk cannot be read; a node got another kind of value than it was checked for.
pub fn shares(
    (feed, network): (&Feed, &Network),
    names: &StepNames,
    group: &[Vec<usize>],
    devices: usize,
    at: Moment,
) -> Result<Vec<Share>, Abort> {
    let mut all: Vec<(usize, &[usize])> = Vec::new();
    for (micro_batch, items) in group.iter().enumerate() {
        let parts = parts(items, devices).enumerate();
        all.extend(parts.map(|(part, items)| (micro_batch * devices + part, items)));
    }
    if all.len() < 2 {
        return Ok(all.iter().map(|_| Share::whole()).collect());
    }
    let all_items: usize = all.iter().map(|(_, items)| items.len()).sum();
    let mut counts: Vec<BTreeMap<String, f64>> = Vec::with_capacity(all.len());
    for (micro_batch, items) in &all {
        let (labels, keys) = feed.labels(items, network).map_err(Abort::Feed)?;
        let context = names.training(
            &Moment {
                micro_batch: *micro_batch,
                ..at
            },
            keys,
        );
        counts.push(network.counts(labels, &context).map_err(Abort::Node)?);
    }
    let mut totals: BTreeMap<&String, f64> = BTreeMap::new();
    for (node, count) in counts.iter().flatten() {
        *totals.entry(node).or_default() += count;
    }
    let shares = all.iter().zip(&counts).map(|((_, items), counts)| {
        let known = counts.iter().filter_map(|(node, count)| {
            // Where nothing counts, the loss is zero.
            let total = totals.get(node).filter(|total| **total > 0.0)?;
            Some((node.clone(), count / total))
        });
        Share {
            items: items.len() as f64 / all_items as f64,
            counts: known.collect(),
        }
    });
    Ok(shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_loss_does_not_depend_on_batches_and_the_sum_is_weighted() {
        let mut whole = LossTable::default();
        // Losses 1, 2 and 6 of items that count 1, 1 and 2.
        whole.of("ce").add(0.5, 15.0 / 4.0, 4.0);
        whole.of("mse").add(2.0, 3.0, 4.0);
        whole.of("none").add(1.0, f64::NAN, 0.0);
        let mut parts = LossTable::default();
        parts.of("ce").add(0.5, 1.0, 1.0);
        let mut more = LossTable::default();
        more.of("ce").add(0.5, 14.0 / 3.0, 3.0);
        more.of("mse").add(2.0, 3.0, 4.0);
        parts.merge(&more);
        assert_eq!(parts.0["ce"].mean(), Some(3.75));
        assert_eq!(whole.0["none"].mean(), None);
        for table in [whole, parts] {
            assert_eq!(table.total(), Some(0.5 * 3.75 + 6.0));
        }
        assert_eq!(LossTable::default().total(), None);
    }
}
