//! One optimizer step: batches in parts, their gradients, the change of the weights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use emorun_kernels::on_cores;

use super::finite::work_on_batch;
use super::losses::{Share, shares};
use super::optimizer::{Gradients, norm_of};
use super::replicas::{self, Replicas};
use super::state::Seen;
use super::unread::Unread;
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

/// What a step's batch came to.
#[derive(Debug, Default)]
pub(super) struct StepGradients {
    /// How the loss changes with each parameter.
    pub(super) gradients: Gradients,
    /// Euclidean norm of all of them together.
    pub(super) norm: f64,
    /// The losses.
    pub(super) loss: StepLoss,
}

impl Trainer<'_> {
    /// The gradients of one step over its micro-batches of these items, and its losses: those of one batch of all
    /// of them, but for losses that compare items, which do so within each part. `seen` counts what was predicted.
    ///
    /// A micro-batch is waited for once, when its backward pass is under way.
    pub(super) fn gradients(
        &self,
        (network, replicas): (&Network, &Replicas),
        names: &StepNames,
        seen: &mut Seen,
        batches: &mut Waiting,
        group: &[Vec<usize>],
        at: Moment,
    ) -> Result<StepGradients, Abort> {
        let devices = replicas.devices();
        let shares = shares((&self.feed, network), names, group, devices, at)?;
        let mut first_part = 0;
        let mut step = StepGradients::default();
        for (micro_batch, items) in group.iter().enumerate() {
            let parts = batches.next(items.len())?;
            let is_last = micro_batch + 1 == group.len();
            let shares = &shares[first_part..];
            first_part += parts.len();
            let (step, seen) = (&mut step, &mut *seen);
            // At one go: every change of threads costs as much as an operation on small tensors.
            on_cores(&self.device, move || {
                let parts = replicas.each(network, &self.device, parts, |network, device, part, batch| {
                    let moment = Moment {
                        micro_batch: micro_batch * devices + part,
                        ..at
                    };
                    self.part_gradients((network, device), names, moment, batch, &shares[part])
                });
                let device = self.device.clone().inner();
                let mut all_unread = Vec::with_capacity(parts.len());
                for part in parts {
                    let (gradients, unread) = part?;
                    step.gradients.add(network, gradients, &device);
                    all_unread.push(unread);
                }
                // With what the first device is read for in any case.
                let mut squares = if is_last { step.gradients.squares(network) } else { None };
                for unread in all_unread {
                    let read = unread.read(self, network, squares.take())?;
                    step.loss.add(read.loss);
                    seen.merge(read.seen).map_err(|error| Abort::Bug(error.to_string()))?;
                    if !read.beside.is_empty() {
                        step.norm = norm_of(&read.beside);
                    }
                }
                Ok::<_, Abort>(())
            })?;
        }
        Ok(step)
    }

    /// The gradients of a device's part of a step, and what is to be read of it.
    fn part_gradients(
        &self,
        (network, device): (&Network, &Device),
        names: &StepNames,
        moment: Moment,
        batch: Batch,
        share: &Share,
    ) -> Result<(Gradients, Unread), Abort> {
        let items = batch.items.clone();
        work_on_batch(&self.feed.items, &items);
        let context = StepContext {
            segments: self.settings.training.gradient_checkpointing.then(Arc::default),
            ..names.training(&moment, batch.keys())
        };
        let mut values = self.feed.values(batch, network, device).map_err(Abort::Feed)?;
        on_cores(device, || {
            let losses = losses(network, &mut values, &context)?;
            let total = weighted(&losses, |_| 1.0)?;
            let unread = Unread::of(network, (values, items), (&total, &losses), share, moment);
            let total = match share.of_all() {
                Some(share) => total.mul_scalar(share),
                None => weighted(&losses, |node| share.of(node))?,
            };
            drop(losses);
            let gradients = Gradients::of_loss(network, total, context.segments.as_deref());
            Ok((gradients, unread))
        })
    }

    /// Changes the weights by gradients, unless these are not finite.
    pub(super) fn update(&self, session: &mut Session, step: StepGradients, lr: f64) {
        let Session {
            network,
            optimizer,
            average,
            state,
            ..
        } = session;
        let StepGradients { gradients, norm, .. } = step;
        if !norm.is_finite() {
            return;
        }
        let scale = match self.settings.training.clip_norm {
            Some(most) if norm > most => most / norm,
            _ => 1.0,
        };
        // Gradients go from thread to thread, but are not shared.
        on_cores(&self.device, move || {
            optimizer.step(network, gradients, lr, scale);
            if let Some(average) = average {
                average.after_step(network, &mut state.averaged);
            }
        });
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
