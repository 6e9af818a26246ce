//! What a training step asks of a device, and reads at one go when its backward pass is under way.

use burn::tensor::Tensor;
use emorun_metrics::{Confusion, highest};

use super::evaluate::{are_finite, bug, present};
use super::finite::not_finite;
use super::losses::Share;
use super::policy::Policies;
use super::state::Seen;
use super::step::StepLoss;
use super::{Abort, Moment, Trainer};
use emorun_nn::value::{Value, Values};
use emorun_nn::waits;
use emorun_nodes::network::{BatchLoss, Network};

/// A part of a step's batch behind the network, whose numbers lie on the device.
#[derive(Debug)]
pub(super) struct Unread {
    items: Vec<usize>,
    values: Values,
    losses: Vec<UnreadLoss>,
    /// The weighted sum of losses, each loss, and what each head predicts.
    numbers: Vec<Tensor<1>>,
    share: Share,
    moment: Moment,
}

/// A loss whose mean lies on the device.
#[derive(Debug)]
struct UnreadLoss {
    node: String,
    weight: f64,
    count: f64,
}

/// What a part of a step came to.
pub(super) struct Read {
    /// Its share of the step's losses.
    pub(super) loss: StepLoss,
    /// What it predicted.
    pub(super) seen: Seen,
    /// What else was asked for.
    pub(super) beside: Vec<f32>,
}

impl Unread {
    /// Notes what is to be read of a batch on which the network has run, with its weighted sum of losses.
    pub(super) fn of(
        network: &Network,
        (values, items): (Values, Vec<usize>),
        (total, losses): (&Tensor<1>, &[BatchLoss<'_>]),
        share: &Share,
        moment: Moment,
    ) -> Self {
        let mut numbers = vec![total.clone().inner()];
        numbers.extend(losses.iter().map(|loss| loss.mean.clone().inner()));
        numbers.extend(predicted(network, &values).map(|(_, numbers)| numbers));
        let losses = losses.iter().map(|loss| UnreadLoss {
            node: loss.node.to_owned(),
            weight: loss.weight,
            count: loss.count,
        });
        Self {
            items,
            losses: losses.collect(),
            values,
            numbers,
            share: share.clone(),
            moment,
        }
    }

    /// Waits for the device and reads all of it, and `beside`, which lies on the same device.
    ///
    /// # Errors
    /// A loss or a prediction is not finite, also for items that losses do not count.
    pub(super) fn read(
        self,
        trainer: &Trainer<'_>,
        network: &Network,
        beside: Option<Tensor<1>>,
    ) -> Result<Read, Abort> {
        let Self {
            items,
            values,
            losses,
            mut numbers,
            share,
            moment,
        } = self;
        let own = numbers.len();
        numbers.extend(beside);
        let mut numbers = waits::together(numbers);
        let beside = numbers.split_off(own.min(numbers.len())).pop().unwrap_or_default();
        let mut numbers = numbers.into_iter();
        let diverged = |what: &str| {
            let what = format!("{what} at step {} (epoch {})", moment.step + 1, moment.epoch + 1);
            not_finite(network, &values, &trainer.feed.items, &items, &what)
        };
        let mut next = || numbers.next().unwrap_or_default();
        let mean = |numbers: Vec<f32>| f64::from(numbers.first().copied().unwrap_or(f32::NAN));
        let total = mean(next());
        if !total.is_finite() {
            return Err(diverged(&format!("the loss is {total}")));
        }
        let mut seen = Seen {
            items: items.len() as u64,
            ..Seen::default()
        };
        let mut loss = StepLoss::default();
        for UnreadLoss { node, weight, count } in losses {
            let (mean, share) = (mean(next()), share.of(&node));
            seen.losses.of(&node).add(weight, mean, count);
            loss.total += weight * mean * share;
            loss.by_node.insert(node, mean * share);
        }
        if let Some(share) = share.of_all() {
            loss.total = total * share;
        }
        for (head, _) in predicted(network, &values) {
            let found = next();
            if !are_finite(&found) {
                return Err(diverged(&format!("the scores of `{head}` are not finite")));
            }
            count(network, head, &values, &found, &mut seen)?;
        }
        Policies::observe(network, &values, &mut seen.rollouts);
        Ok(Read { loss, seen, beside })
    }
}

/// What heads predict of a batch, as far as it is counted while training: first those of numbers, then those of classes.
fn predicted<'a>(network: &'a Network, values: &'a Values) -> impl Iterator<Item = (&'a str, Tensor<1>)> {
    let nodes = || network.wired().iter();
    let numbers = nodes().filter_map(|node| node.regressor());
    let numbers = numbers.filter_map(|head| match values.get(&head.output)? {
        Value::Vector(found) => Some((head.name, found)),
        _ => None,
    });
    let classes = nodes().filter_map(|node| node.head());
    let classes = classes.filter_map(|head| match (values.get(&head.output)?, values.get(&head.target)?) {
        (Value::Logits(found), Value::Labels(_)) => Some((head.name, found)),
        _ => None,
    });
    numbers
        .chain(classes)
        .map(|(head, found)| (head, found.clone().inner().flatten(0, 1)))
}

/// Adds a head's scores of classes to what the epoch has seen.
///
/// # Errors
/// A label is outside the head's classes.
fn count(network: &Network, name: &str, values: &Values, scores: &[f32], seen: &mut Seen) -> Result<(), Abort> {
    let mut heads = network.wired().iter().filter_map(|node| node.head());
    let Some(head) = heads.find(|head| head.name == name) else {
        return Ok(());
    };
    let Some(Value::Labels(labels)) = values.get(&head.target) else {
        return Ok(());
    };
    let confusion = seen
        .heads
        .entry(name.to_owned())
        .or_insert_with(|| Confusion::new(head.classes));
    let present = present(network, name, values, labels.as_slice().len());
    let rows = scores.chunks_exact(head.classes.len().max(1));
    for ((scores, label), present) in rows.zip(labels.as_slice()).zip(present) {
        if let Some(truth) = label.filter(|_| present) {
            confusion.add(truth as usize, highest(scores)).map_err(bug)?;
        }
    }
    Ok(())
}
