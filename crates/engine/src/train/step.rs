//! One optimizer step: batches in parts, their gradients, the change of the weights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use emorun_kernels::on_cores;

use super::evaluate::count_batch;
use super::finite::{not_finite, work_on_batch};
use super::losses::{Share, shares};
use super::optimizer::Gradients;
use super::policy::Policies;
use super::replicas::{self, Replicas};
use super::state::Seen;
use super::{Abort, Moment, Session, StepNames, Trainer};
use crate::feed::Feed;
use crate::feed::augment::Strengths;
use crate::feed::loader::{Batch, Loader};
use emorun_nn::value::Values;
use emorun_nodes::network::{BatchLoss, Network, Pass, StepContext};

/// Batches of an epoch in the parts that devices take, and how long training has waited for them.
pub(super) struct Waiting {
    loader: Loader,
    devices: usize,
    pub(super) seconds: f64,
}

impl Waiting {
    pub(super) fn over(
        feed: &Feed,
        batches: &[Vec<usize>],
        devices: usize,
        seed: u64,
        epoch: u64,
        strengths: &Strengths,
    ) -> Self {
        let parts = batches.iter().flat_map(|batch| replicas::parts(batch, devices));
        let parts = parts.map(<[usize]>::to_vec).collect();
        Self {
            loader: feed.load_training(parts, seed, epoch, strengths),
            devices,
            seconds: 0.0,
        }
    }

    /// The parts of the next batch, which is of that many items.
    fn next(&mut self, items: usize) -> Result<Vec<Batch>, Abort> {
        let asked = Instant::now();
        let parts = self.devices.min(items);
        let batches: Vec<_> = self.loader.by_ref().take(parts).collect();
        self.seconds += asked.elapsed().as_secs_f64();
        if batches.len() < parts {
            return Err(Abort::Bug("the loader ended early".into()));
        }
        batches.into_iter().map(|batch| batch.map_err(Abort::Feed)).collect()
    }
}

/// The losses of a step.
#[derive(Debug, Default)]
pub(super) struct StepLoss {
    /// Their weighted sum.
    pub(super) total: f64,
    /// Each by itself, without its factor, by node.
    pub(super) by_node: BTreeMap<String, f64>,
}

impl StepLoss {
    fn add(&mut self, part: Self) {
        self.total += part.total;
        for (node, loss) in part.by_node {
            *self.by_node.entry(node).or_default() += loss;
        }
    }
}

impl Trainer<'_> {
    /// The gradients of one step over its micro-batches of these items, and its losses: those of one batch of all
    /// of them, but for losses that compare items, which do so within each part. `seen` counts what was predicted.
    pub(super) fn gradients(
        &self,
        (network, replicas): (&Network, &Replicas),
        names: &StepNames,
        seen: &mut Seen,
        batches: &mut Waiting,
        group: &[Vec<usize>],
        at: Moment,
    ) -> Result<(Gradients, StepLoss), Abort> {
        let devices = replicas.devices();
        let shares = shares((&self.feed, network), names, group, devices, at)?;
        let mut first_part = 0;
        let mut sum: Option<Gradients> = None;
        let mut step_loss = StepLoss::default();
        for (micro_batch, items) in group.iter().enumerate() {
            let parts = batches.next(items.len())?;
            let shares = &shares[first_part..];
            first_part += parts.len();
            let parts = replicas.each(network, &self.device, parts, |network, device, part, batch| {
                let moment = Moment {
                    micro_batch: micro_batch * devices + part,
                    ..at
                };
                self.part_gradients((network, device), names, moment, batch, &shares[part])
            });
            for part in parts {
                let (gradients, loss, part) = part?;
                let device = self.device.clone().inner();
                sum = Some(match sum {
                    // Those of the first device's part.
                    None => gradients,
                    // Gradients go from thread to thread, but are not shared.
                    Some(mut sum) => on_cores(&self.device, move || {
                        sum.add(network, gradients, &device);
                        sum
                    }),
                });
                step_loss.add(loss);
                seen.merge(part).map_err(|error| Abort::Bug(error.to_string()))?;
            }
        }
        Ok((sum.unwrap_or_default(), step_loss))
    }

    /// The gradients of a device's part of a step, its share of the step's losses, and what it predicted.
    fn part_gradients(
        &self,
        (network, device): (&Network, &Device),
        names: &StepNames,
        moment: Moment,
        batch: Batch,
        share: &Share,
    ) -> Result<(Gradients, StepLoss, Seen), Abort> {
        let items = batch.items.clone();
        work_on_batch(&self.feed.items, &items);
        let context = StepContext {
            segments: self.settings.training.gradient_checkpointing.then(Arc::default),
            ..names.training(&moment, batch.keys())
        };
        let mut values = self.feed.values(batch, network, device).map_err(Abort::Feed)?;
        // At one go: every change of threads costs as much as an operation on small tensors.
        on_cores(device, || {
            let place = || format!(" at step {} (epoch {})", moment.step + 1, moment.epoch + 1);
            let losses = losses(network, &mut values, &context)?;
            let total = weighted(&losses, |_| 1.0)?;
            // At one go: each number asked for waits for the device.
            let means = std::iter::once(total.clone()).chain(losses.iter().map(|loss| loss.mean.clone()));
            let means: Vec<f32> = Tensor::cat(means.collect(), 0).into_data().iter::<f32>().collect();
            let loss = f64::from(means.first().copied().unwrap_or(f32::NAN));
            if !loss.is_finite() {
                let what = format!("the loss is {loss}{}", place());
                return Err(not_finite(network, &values, &self.feed.items, &items, &what));
            }
            let mut seen = Seen {
                items: items.len() as u64,
                ..Seen::default()
            };
            let mut step_loss = StepLoss::default();
            for (loss, mean) in losses.iter().zip(means.iter().skip(1)) {
                let (mean, share) = (f64::from(*mean), share.of(loss.node));
                seen.losses.of(loss.node).add(loss.weight, mean, loss.count);
                step_loss.total += loss.weight * mean * share;
                step_loss.by_node.insert(loss.node.to_owned(), mean * share);
            }
            let total = match share.of_all() {
                Some(share) => {
                    step_loss.total = loss * share;
                    total.mul_scalar(share)
                }
                None => weighted(&losses, |node| share.of(node))?,
            };
            if let Some(head) = count_batch(network, &values, &mut seen)? {
                let what = format!("the scores of `{head}` are not finite{}", place());
                return Err(not_finite(network, &values, &self.feed.items, &items, &what));
            }
            Policies::observe(network, &values, &mut seen.rollouts);
            drop(values);
            let gradients = Gradients::of_loss(network, total, context.segments.as_deref());
            Ok((gradients, step_loss, seen))
        })
    }

    /// Changes the weights by gradients, unless these are not finite; gives their norm.
    pub(super) fn update(&self, session: &mut Session, gradients: Gradients, lr: f64) -> f64 {
        let Session {
            network,
            optimizer,
            average,
            state,
            ..
        } = session;
        let clip_norm = self.settings.training.clip_norm;
        // Gradients go from thread to thread, but are not shared.
        on_cores(&self.device, move || {
            let norm = gradients.norm(network);
            if norm.is_finite() {
                let scale = match clip_norm {
                    Some(most) if norm > most => most / norm,
                    _ => 1.0,
                };
                optimizer.step(network, gradients, lr, scale);
                if let Some(average) = average {
                    average.after_step(network, &mut state.averaged);
                }
            }
            norm
        })
    }
}

/// Runs the nodes that training needs on a batch; gives the weighted sum of its losses.
///
/// # Errors
/// A node got another kind of value than it was checked for.
pub fn total_loss(network: &Network, values: &mut Values, context: &StepContext) -> Result<Tensor<1>, Abort> {
    weighted(&losses(network, values, context)?, |_| 1.0)
}

/// Runs the nodes that training needs on a batch; gives its losses.
fn losses<'a>(network: &'a Network, values: &mut Values, context: &StepContext) -> Result<Vec<BatchLoss<'a>>, Abort> {
    network.forward(Pass::Train, values, context).map_err(Abort::Node)?;
    Ok(network.losses(values, context.progress))
}

/// The weighted sum of losses, each times its share.
fn weighted(losses: &[BatchLoss<'_>], share: impl Fn(&str) -> f64) -> Result<Tensor<1>, Abort> {
    let losses = losses.iter().map(|loss| {
        let weighted = loss.mean.clone().mul_scalar(loss.weight);
        match share(loss.node) {
            1.0 => weighted,
            share => weighted.mul_scalar(share),
        }
    });
    losses
        .reduce(|sum, loss| sum + loss)
        .ok_or_else(|| Abort::Bug("the graph has no loss".into()))
}
