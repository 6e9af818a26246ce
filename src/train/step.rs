//! One optimizer step: batches in parts, their gradients, the change of the weights.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use emorun_kernels::on_cores;

use super::evaluate::count_batch;
use super::finite::{not_finite, work_on_batch};
use super::parameters::Gradients;
use super::policy::Policies;
use super::replicas::{self, Replicas};
use super::state::Seen;
use super::{Abort, Moment, Session, StepNames, Trainer};
use crate::feed::Feed;
use crate::feed::augment::Strengths;
use crate::feed::loader::{Batch, Loader};
use crate::network::{Network, Schedule, StepContext};
use crate::value::Values;

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

impl Trainer<'_> {
    /// The gradients of one step over its micro-batches of these items, and its loss; `seen` counts
    /// what was predicted.
    pub(super) fn gradients(
        &self,
        (network, replicas): (&Network, &Replicas),
        names: &StepNames,
        seen: &mut Seen,
        batches: &mut Waiting,
        group: &[Vec<usize>],
        at: Moment,
    ) -> Result<(Gradients, f64), Abort> {
        let group_items: usize = group.iter().map(Vec::len).sum();
        let mut sum: Option<Gradients> = None;
        let mut step_loss = 0.0;
        for (micro_batch, items) in group.iter().enumerate() {
            let parts = batches.next(items.len())?;
            let parts = replicas.each(network, &self.device, parts, |network, device, part, batch| {
                let moment = Moment {
                    micro_batch: micro_batch * replicas.devices() + part,
                    ..at
                };
                self.part_gradients((network, device), names, moment, batch, group_items)
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
                step_loss += loss;
                seen.merge(part).map_err(|error| Abort::Bug(error.to_string()))?;
            }
        }
        Ok((sum.unwrap_or_default(), step_loss))
    }

    /// The gradients of a device's part of a step of `group_items` items, its share of the step's loss, and what it
    /// predicted.
    fn part_gradients(
        &self,
        (network, device): (&Network, &Device),
        names: &StepNames,
        moment: Moment,
        batch: Batch,
        group_items: usize,
    ) -> Result<(Gradients, f64, Seen), Abort> {
        let items = batch.items.clone();
        work_on_batch(&self.feed.items, &items);
        let context = StepContext {
            segments: self.settings.training.gradient_checkpointing.then(Arc::default),
            ..names.training(&moment, batch.keys())
        };
        let mut values = self.feed.values(batch, network, device).map_err(Abort::Feed)?;
        let share = items.len() as f64 / group_items as f64;
        // At one go: every change of threads costs as much as an operation on small tensors.
        on_cores(device, || {
            let total = total_loss(network, &mut values, &context)?;
            let loss = f64::from(total.clone().into_scalar::<f32>());
            let place = || format!(" at step {} (epoch {})", moment.step + 1, moment.epoch + 1);
            if !loss.is_finite() {
                let what = format!("the loss is {loss}{}", place());
                return Err(not_finite(network, &values, &self.feed.items, &items, &what));
            }
            let mut seen = Seen {
                items: items.len() as u64,
                loss: loss * items.len() as f64,
                ..Seen::default()
            };
            if let Some(head) = count_batch(network, &values, &mut seen)? {
                let what = format!("the scores of `{head}` are not finite{}", place());
                return Err(not_finite(network, &values, &self.feed.items, &items, &what));
            }
            Policies::observe(network, &values, &mut seen.rollouts);
            drop(values);
            let gradients = Gradients::of_loss(network, total.mul_scalar(share), context.segments.as_deref());
            Ok((gradients, loss * share, seen))
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
    network.forward(Schedule::Train, values, context).map_err(Abort::Node)?;
    let losses = network.losses(values, context.progress).into_iter();
    losses
        .map(|loss| loss.mean.mul_scalar(loss.weight))
        .reduce(|sum, loss| sum + loss)
        .ok_or_else(|| Abort::Bug("the graph has no loss".into()))
}
