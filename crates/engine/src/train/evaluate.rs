//! Measuring a network on the items of a split.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Device, activation::softmax};
use emorun_kernels::on_cores;
use emorun_metrics::{ClassPredictions, MetricsError, NumberPredictions, Predictions, Sequence};

use super::finite::{REMEDY, not_finite, work_on_batch};
use super::losses::{LossTable, NodeLoss, Sides};
use super::result::{HeadResult, SplitResult};
use super::{Abort, StepNames};
use crate::feed::Feed;
use crate::feed::order::evaluation_batches;
use crate::settings::Settings;
use emorun_nn::value::{Value, Values};
use emorun_nn::waits;
use emorun_nodes::network::{FramePorts, HeadPorts, Network, Pass, RegressorPorts};

/// What the heads have said so far: the items of the rows, and the rows.
#[derive(Default)]
struct Said {
    classes: BTreeMap<String, (Vec<usize>, ClassPredictions)>,
    numbers: BTreeMap<String, (Vec<usize>, NumberPredictions)>,
}

/// A batch behind the network.
struct Evaluated<'a> {
    network: &'a Network,
    feed: &'a Feed,
    items: &'a [usize],
    values: &'a Values,
}

/// Evaluates a network (without autodiff) on items.
///
/// # Errors
/// An item's audio cannot be read, a node fails, or a loss or prediction is not finite.
pub fn evaluate(
    network: &Network,
    feed: &Feed,
    items: &[usize],
    settings: &Settings,
    names: &StepNames,
    device: &Device,
) -> Result<SplitResult, Abort> {
    let mut n = 0;
    let mut losses = LossTable::default();
    let mut sides = Sides::of(network);
    let mut said = Said::default();
    let batches = evaluation_batches(items, settings.evaluation.batch_size, |item| {
        feed.items.durations_s()[item]
    });
    for batch in feed.load(batches) {
        let batch = batch.map_err(Abort::Feed)?;
        let members = batch.items.clone();
        work_on_batch(&feed.items, &members);
        let keys = batch.keys();
        let mut values = feed.values(batch, network, device).map_err(Abort::Feed)?;
        let context = names.evaluation(keys);
        on_cores(device, || network.forward(Pass::Evaluate, &mut values, &context)).map_err(Abort::Node)?;
        let batch = Evaluated {
            network,
            feed,
            items: &members,
            values: &values,
        };
        batch.check(device)?;
        batch.add_losses(&mut losses)?;
        sides.add(network, &values);
        n += members.len() as u64;
        for head in network.wired().iter().filter_map(|node| node.regressor()) {
            batch.add_numbers(&head, &mut said)?;
        }
        for head in network.wired().iter().filter_map(|node| node.frame_regressor()) {
            batch.add_frames(&head, &mut said)?;
        }
        for head in network.wired().iter().filter_map(|node| node.head()) {
            batch.add_classes(&head, &mut said)?;
        }
    }
    sides.enter(network, &mut losses).map_err(Abort::Node)?;
    let by_node = losses.by_node(network);
    let value = |loss: &NodeLoss| loss.value.filter(|value| !value.is_finite());
    if let Some((node, value)) = by_node.iter().find_map(|(node, loss)| Some((node, value(loss)?))) {
        return Err(Abort::Diverged(format!(
            "the loss `{node}` over all {n} items is {value}; {REMEDY}"
        )));
    }
    Ok(SplitResult {
        n,
        loss: losses.total(),
        losses: by_node,
        heads: said.results(items, settings),
    })
}

impl Said {
    /// The result of each head on a split's items.
    fn results(self, items: &[usize], settings: &Settings) -> BTreeMap<String, HeadResult> {
        let places: HashMap<usize, usize> = items.iter().enumerate().map(|(at, &item)| (item, at)).collect();
        let classes = self.classes.into_iter();
        let classes = classes.map(|(name, (rows, said))| (name, rows, Predictions::Classes(said)));
        let numbers = self.numbers.into_iter();
        let numbers = numbers.map(|(name, (rows, said))| (name, rows, Predictions::Numbers(said)));
        let result = |(name, items, predictions): (String, Vec<usize>, Predictions)| {
            let mut order: Vec<usize> = (0..items.len()).collect();
            order.sort_by_key(|&row| places.get(&items[row]));
            let result = HeadResult {
                items,
                order,
                ..HeadResult::new(&name, predictions, settings)
            };
            (name, result)
        };
        classes.chain(numbers).map(result).collect()
    }
}

impl Evaluated<'_> {
    /// The error of a number that is not finite.
    fn not_finite(&self, what: &str) -> Abort {
        not_finite(self.network, self.values, &self.feed.items, self.items, what)
    }

    /// A layer may take what is no number for 0: what is behind it is then finite, and wrong.
    fn check(&self, device: &Device) -> Result<(), Abort> {
        if !on_cores(device, || self.values.values().all(Value::has_finite_sum))
            && self.network.first_not_finite(self.values).is_some()
        {
            return Err(self.not_finite("a value is not finite"));
        }
        Ok(())
    }

    fn add_losses(&self, losses: &mut LossTable) -> Result<(), Abort> {
        for loss in self.network.losses(self.values, 1.0) {
            let mean = f64::from(waits::number(loss.mean));
            // What no item counts in has no mean.
            if loss.count > 0.0 && !mean.is_finite() {
                return Err(self.not_finite(&format!("the loss `{}` is {mean}", loss.node)));
            }
            losses.of(loss.node).add(loss.weight, mean, loss.count);
        }
        Ok(())
    }

    fn add_numbers(&self, head: &RegressorPorts<'_>, said: &mut Said) -> Result<(), Abort> {
        let (Some(Value::Vector(found)), Some(Value::Targets(truth))) =
            (self.values.get(&head.output), self.values.get(&head.target))
        else {
            return Ok(());
        };
        let none = || (Vec::new(), NumberPredictions::new(head.names));
        let (items, rows) = said.numbers.entry(head.name.to_owned()).or_insert_with(none);
        let found = waits::numbers(found.clone());
        if !are_finite(&found) {
            return Err(self.not_finite(&format!("the numbers of `{}` are not finite", head.name)));
        }
        let predicted = found.chunks_exact(head.names.len());
        let present = present(self.network, head.name, self.values, self.items.len());
        let found = self.items.iter().zip(truth.rows()).zip(predicted).zip(present);
        for (((&item, truth), predicted), _) in found.filter(|(_, present)| *present) {
            rows.add(truth, predicted).map_err(bug)?;
            items.push(item);
        }
        Ok(())
    }

    /// Adds the frames of each item that both predicted and true frames have; an item without any is left out.
    fn add_frames(&self, head: &FramePorts<'_>, said: &mut Said) -> Result<(), Abort> {
        let Some(Value::Frames(truth, true_lengths)) = self.values.get(&head.target) else {
            return Ok(());
        };
        let (found, lengths) = match self.values.get(&head.output) {
            Some(Value::Frames(found, lengths)) => (found.clone().unsqueeze::<4>(), lengths),
            Some(Value::Samples(found, lengths)) => (found.clone(), lengths),
            _ => return Ok(()),
        };
        let seen = match head.mask.as_ref().and_then(|mask| self.values.get(mask)) {
            Some(Value::Frames(seen, _)) => Some((waits::numbers(seen.clone()), seen.dims()[1])),
            _ => None,
        };
        let names: Vec<String> = (0..head.width).map(|at| format!("c{at}")).collect();
        let none = || (Vec::new(), NumberPredictions::new(&names));
        let (items, rows) = said.numbers.entry(head.name.to_owned()).or_insert_with(none);
        let ([samples, batch, time, _], [_, true_time, _]) = (found.dims(), truth.dims());
        let (found, truth) = (waits::numbers(found), waits::numbers(truth.clone()));
        if !are_finite(&found) {
            return Err(self.not_finite(&format!("the frames of `{}` are not finite", head.name)));
        }
        let present = present(self.network, head.name, self.values, self.items.len());
        for (at, &item) in self.items.iter().enumerate().filter(|(at, _)| present[*at]) {
            let frames = lengths.as_slice()[at].min(true_lengths.as_slice()[at]);
            if frames == 0 {
                continue;
            }
            let own = |all: &[f32], row: usize, time: usize| {
                let start = row * time * head.width;
                all[start..start + frames * head.width].to_vec()
            };
            let counts = |frame: usize| match &seen {
                Some((seen, time)) => frame < *time && seen[at * time + frame] > 0.5,
                None => true,
            };
            let samples = (0..samples).map(|sample| own(&found, sample * batch + at, time));
            let sequence = Sequence::new(
                head.width,
                own(&truth, at, true_time),
                (0..frames).map(counts).collect(),
                samples.collect(),
            );
            rows.add_sequence(sequence.map_err(bug)?).map_err(bug)?;
            items.push(item);
        }
        Ok(())
    }

    fn add_classes(&self, head: &HeadPorts<'_>, said: &mut Said) -> Result<(), Abort> {
        let Some(Value::Logits(logits)) = self.values.get(&head.output) else {
            return Ok(());
        };
        let [_, classes] = logits.dims();
        let probabilities = waits::numbers(softmax(logits.clone(), 1));
        if !are_finite(&probabilities) || !are_finite(&waits::numbers(logits.clone())) {
            return Err(self.not_finite(&format!("the scores of `{}` are not finite", head.name)));
        }
        let labels = match self.values.get(&head.target) {
            Some(Value::Labels(labels)) => labels.as_slice().to_vec(),
            _ => vec![None; self.items.len()],
        };
        let none = || (Vec::new(), ClassPredictions::new(head.classes));
        let (items, rows) = said.classes.entry(head.name.to_owned()).or_insert_with(none);
        let probabilities = probabilities.chunks_exact(classes);
        let present = present(self.network, head.name, self.values, self.items.len());
        let found = self.items.iter().zip(labels).zip(probabilities).zip(present);
        for (((&item, truth), probabilities), _) in found.filter(|(_, present)| *present) {
            rows.add(truth, probabilities).map_err(bug)?;
            items.push(item);
        }
        Ok(())
    }
}

/// For each item of a batch whether a head says something of it: not of one that lacks a stream which it needs.
pub(super) fn present(network: &Network, head: &str, values: &Values, items: usize) -> Vec<bool> {
    let present = network.present(head, values);
    present.map_or_else(|| vec![true; items], |present| present.as_slice().to_vec())
}

/// Predictions that do not fit their head.
pub(super) fn bug(error: MetricsError) -> Abort {
    Abort::Bug(error.to_string())
}

pub(super) fn are_finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}
