//! Measuring a network on the items of a split.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Device, activation::softmax};
use emorun_kernels::on_cores;
use emorun_metrics::{Agreement, Classification, Confusion, LogLoss};

use super::finite::{REMEDY, not_finite, work_on_batch};
use super::losses::{NodeLoss, Sides};
use super::state::Seen;
use super::{Abort, StepNames};
use crate::feed::Feed;
use crate::feed::order::evaluation_batches;
use emorun_nn::value::{Value, Values};
use emorun_nodes::network::{Network, Pass};

/// What a head said of one item.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Index of the item in the corpus.
    pub item: usize,
    /// Its label; `None` where it has none.
    pub truth: Option<u32>,
    /// The class with the highest score.
    pub predicted: u32,
    /// Probability of each class.
    pub probabilities: Vec<f32>,
}

/// The numbers that a head gave for one item.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Index of the item in the corpus.
    pub item: usize,
    /// The true numbers; `None` where the item lacks one.
    pub truth: Vec<Option<f32>>,
    /// The predicted numbers.
    pub predicted: Vec<f32>,
}

/// How well a head predicts numbers.
#[derive(Clone, Debug, Default)]
pub struct Regression {
    /// Agreement on each number, by its name.
    pub agreement: Vec<(String, Agreement)>,
    /// What was predicted, in the order of the items.
    pub estimates: Vec<Estimate>,
}

impl Regression {
    /// Mean of a metric over the numbers that it is defined for.
    pub fn mean(&self, metric: impl Fn(&Agreement) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.agreement.iter().filter_map(|(_, of)| metric(of)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// A network's result on a split.
#[derive(Clone, Debug, Default)]
pub struct SplitResult {
    /// Number of items.
    pub n: u64,
    /// Weighted sum of the losses, each a mean over the items that it counts; `None` without such items.
    pub loss: Option<f64>,
    /// Each loss by its node's name.
    pub losses: BTreeMap<String, NodeLoss>,
    /// Metrics of each head over the items that carry its label.
    pub heads: BTreeMap<String, Classification>,
    /// How much probability each head gave to the true classes of these items.
    pub log_losses: BTreeMap<String, LogLoss>,
    /// Predictions of each head, in the order of the items.
    pub predictions: BTreeMap<String, Vec<Prediction>>,
    /// Results of heads that predict numbers.
    pub regressions: BTreeMap<String, Regression>,
}

impl SplitResult {
    /// A metric by name: `loss`, `loss.<loss>`, or `<head>.<metric>`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return self.loss;
        }
        let (head, metric) = name.rsplit_once('.')?;
        if let ("loss", Some(loss)) = (head, self.losses.get(metric)) {
            return loss.value;
        }
        if metric == "log_loss" {
            return self.log_losses.get(head)?.mean();
        }
        if let Some(regression) = self.regressions.get(head) {
            return match metric {
                "ccc" => regression.mean(Agreement::ccc),
                "mse" => regression.mean(Agreement::mse),
                _ => None,
            };
        }
        let head = self.heads.get(head)?;
        match metric {
            "uar" => head.uar,
            "wa" => head.wa,
            "macro_f1" => head.macro_f1,
            "weighted_f1" => head.weighted_f1,
            _ => None,
        }
    }
}

/// Evaluates a network (without autodiff) on items.
///
/// # Errors
/// An item's audio cannot be read, a node fails, or a loss or prediction is not finite.
pub fn evaluate(
    network: &Network,
    feed: &Feed,
    items: &[usize],
    batch_size: usize,
    names: &StepNames,
    device: &Device,
) -> Result<SplitResult, Abort> {
    let mut seen = Seen::default();
    let mut sides = Sides::of(network);
    let mut log_losses: BTreeMap<String, LogLoss> = BTreeMap::new();
    let mut predictions: BTreeMap<String, Vec<Prediction>> = BTreeMap::new();
    let mut regressions: BTreeMap<String, Regression> = BTreeMap::new();
    let batches = evaluation_batches(items, batch_size, |item| feed.items.durations_s()[item]);
    for batch in feed.load(batches) {
        let batch = batch.map_err(Abort::Feed)?;
        let members = batch.items.clone();
        work_on_batch(&feed.items, &members);
        let keys = batch.keys();
        let mut values = feed.values(batch, network, device).map_err(Abort::Feed)?;
        let context = names.evaluation(keys);
        on_cores(device, || network.forward(Pass::Evaluate, &mut values, &context)).map_err(Abort::Node)?;
        // A layer may take what is no number for 0: what is behind it is then finite, and wrong.
        if !on_cores(device, || values.values().all(Value::has_finite_sum))
            && network.first_not_finite(&values).is_some()
        {
            return Err(not_finite(
                network,
                &values,
                &feed.items,
                &members,
                "a value is not finite",
            ));
        }
        for loss in network.losses(&values, 1.0) {
            let mean = f64::from(loss.mean.into_scalar::<f32>());
            // What no item counts in has no mean.
            if loss.count > 0.0 && !mean.is_finite() {
                let what = format!("the loss `{}` is {mean}", loss.node);
                return Err(not_finite(network, &values, &feed.items, &members, &what));
            }
            seen.losses.of(loss.node).add(loss.weight, mean, loss.count);
        }
        sides.add(network, &values);
        seen.items += members.len() as u64;
        for head in network.wired().iter().filter_map(|node| node.regressor()) {
            if let (Some(Value::Vector(found)), Some(Value::Targets(truth))) =
                (values.get(&head.output), values.get(&head.target))
            {
                let regression = regressions.entry(head.name.to_owned()).or_default();
                if regression.agreement.is_empty() {
                    let none = |name: &String| (name.clone(), Agreement::default());
                    regression.agreement = head.names.iter().map(none).collect();
                }
                let found: Vec<f32> = found.clone().into_data().iter::<f32>().collect();
                if !are_finite(&found) {
                    let what = format!("the numbers of `{}` are not finite", head.name);
                    return Err(not_finite(network, &values, &feed.items, &members, &what));
                }
                let present = present(network, head.name, &values, members.len());
                let rows = members
                    .iter()
                    .zip(truth.rows())
                    .zip(found.chunks_exact(head.names.len()));
                add_estimates(
                    regression,
                    rows.zip(present)
                        .filter_map(|(((&item, truth), found), present)| present.then_some((item, truth, found))),
                );
            }
        }
        for head in network.wired().iter().filter_map(|node| node.head()) {
            let Some(Value::Logits(logits)) = values.get(&head.output) else {
                continue;
            };
            let [_, classes] = logits.dims();
            let probabilities: Vec<f32> = softmax(logits.clone(), 1).into_data().iter::<f32>().collect();
            if !are_finite(&probabilities) || logits.clone().into_data().iter::<f32>().any(|score| !score.is_finite()) {
                let what = format!("the scores of `{}` are not finite", head.name);
                return Err(not_finite(network, &values, &feed.items, &members, &what));
            }
            let labels = match values.get(&head.target) {
                Some(Value::Labels(labels)) => labels.as_slice().to_vec(),
                _ => vec![None; members.len()],
            };
            let present = present(network, head.name, &values, members.len());
            let rows = predictions.entry(head.name.to_owned()).or_default();
            let before = rows.len();
            for (((&item, truth), probabilities), present) in members
                .iter()
                .zip(labels)
                .zip(probabilities.chunks_exact(classes))
                .zip(present)
            {
                if !present {
                    continue;
                }
                rows.push(Prediction {
                    item,
                    truth,
                    predicted: highest(probabilities),
                    probabilities: probabilities.to_vec(),
                });
            }
            let confusion = seen
                .heads
                .entry(head.name.to_owned())
                .or_insert_with(|| Confusion::new(head.classes));
            let rows = &rows[before..];
            count(confusion, rows)?;
            let log_loss = log_losses.entry(head.name.to_owned()).or_default();
            let of_true = |row: &Prediction| row.probabilities.get(row.truth? as usize).copied();
            rows.iter().filter_map(of_true).for_each(|p| log_loss.add(p.into()));
        }
    }
    sides.enter(network, &mut seen.losses).map_err(Abort::Node)?;
    let losses = seen.losses.by_node(network);
    let value = |loss: &NodeLoss| loss.value.filter(|value| !value.is_finite());
    if let Some((node, value)) = losses.iter().find_map(|(node, loss)| Some((node, value(loss)?))) {
        return Err(Abort::Diverged(format!(
            "the loss `{node}` over all {} items is {value}; {REMEDY}",
            seen.items
        )));
    }
    let places: HashMap<usize, usize> = items.iter().enumerate().map(|(at, &item)| (item, at)).collect();
    for rows in predictions.values_mut() {
        rows.sort_by_key(|row| places.get(&row.item));
    }
    for regression in regressions.values_mut() {
        regression.estimates.sort_by_key(|estimate| places.get(&estimate.item));
    }
    Ok(SplitResult {
        n: seen.items,
        loss: seen.losses.total(),
        losses,
        log_losses,
        heads: seen
            .heads
            .iter()
            .map(|(name, confusion)| (name.clone(), confusion.classification()))
            .collect(),
        predictions,
        regressions,
    })
}

/// For each item of a batch whether a head says something of it: not of one that lacks a stream which it needs.
fn present(network: &Network, head: &str, values: &Values, items: usize) -> Vec<bool> {
    let present = network.present(head, values);
    present.map_or_else(|| vec![true; items], |present| present.as_slice().to_vec())
}

/// Adds what was predicted of items, each with its true numbers.
fn add_estimates<'a>(regression: &mut Regression, rows: impl Iterator<Item = (usize, &'a [Option<f32>], &'a [f32])>) {
    for (item, truth, predicted) in rows {
        for ((_, agreement), (truth, &predicted)) in regression.agreement.iter_mut().zip(truth.iter().zip(predicted)) {
            if let Some(truth) = truth {
                agreement.add(f64::from(*truth), f64::from(predicted));
            }
        }
        regression.estimates.push(Estimate {
            item,
            truth: truth.to_vec(),
            predicted: predicted.to_vec(),
        });
    }
}

/// Adds the predictions of items that carry the label.
fn count(confusion: &mut Confusion, rows: &[Prediction]) -> Result<(), Abort> {
    for row in rows {
        if let Some(truth) = row.truth {
            confusion
                .add(truth as usize, row.predicted as usize)
                .map_err(|error| Abort::Bug(error.to_string()))?;
        }
    }
    Ok(())
}

fn are_finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

/// Adds a training batch's predictions to what the epoch has seen; gives the first head that predicts numbers that are
/// not finite, also for items that its losses do not count.
///
/// # Errors
/// A label is outside the head's classes.
pub fn count_batch(network: &Network, values: &Values, seen: &mut Seen) -> Result<Option<String>, Abort> {
    for head in network.wired().iter().filter_map(|node| node.regressor()) {
        if let Some(Value::Vector(found)) = values.get(&head.output)
            && Value::Vector(found.clone()).items_not_finite().is_some()
        {
            return Ok(Some(head.name.to_owned()));
        }
    }
    for head in network.wired().iter().filter_map(|node| node.head()) {
        let (Some(Value::Logits(logits)), Some(Value::Labels(labels))) =
            (values.get(&head.output), values.get(&head.target))
        else {
            continue;
        };
        let [_, classes] = logits.dims();
        let scores: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
        if !are_finite(&scores) {
            return Ok(Some(head.name.to_owned()));
        }
        let confusion = seen
            .heads
            .entry(head.name.to_owned())
            .or_insert_with(|| Confusion::new(head.classes));
        let present = present(network, head.name, values, labels.as_slice().len());
        for ((scores, label), present) in scores.chunks_exact(classes).zip(labels.as_slice()).zip(present) {
            if let Some(truth) = label.filter(|_| present) {
                confusion
                    .add(truth as usize, highest(scores) as usize)
                    .map_err(|error| Abort::Bug(error.to_string()))?;
            }
        }
    }
    Ok(None)
}

/// Index of the highest score, the first of equals.
fn highest(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best as u32
}
