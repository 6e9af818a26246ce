//! Training on several devices at once: each takes its part of every batch with the same weights, the first adds up
//! the gradients and makes the step.
//!
//! Burn's own gradient synchronisation averages the devices' gradients with equal weights, through NCCL and on CUDA
//! alone. Here a gradient counts by its items, as a batch's last part may be smaller, and tensors go from device to
//! device by `Tensor::to_device`, so that the CPU's tests take the same way.

use std::panic::resume_unwind;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::feed::loader::Batch;
use emorun_nodes::network::Network;

/// The items of a batch that each of `count` devices takes, as evenly as possible; fewer parts than devices where
/// there are fewer items.
pub fn parts(batch: &[usize], count: usize) -> impl Iterator<Item = &[usize]> {
    let count = count.min(batch.len());
    (0..count).map(move |at| &batch[at * batch.len() / count..(at + 1) * batch.len() / count])
}

/// Copies of a network on the devices beside the first.
#[derive(Debug, Default)]
pub struct Replicas(Vec<Replica>);

#[derive(Debug)]
struct Replica {
    /// With autodiff.
    device: Device,
    network: Network,
}

impl Replicas {
    /// Copies of `network`, which shares nothing with them, on devices with autodiff.
    pub fn new(network: &Network, devices: &[Device]) -> Self {
        let mut replicas = Self(
            devices
                .iter()
                .map(|device| Replica {
                    device: device.clone(),
                    network: network.replica(device),
                })
                .collect(),
        );
        replicas.follow(network);
        replicas
    }

    /// Number of devices, the first included.
    pub fn devices(&self) -> usize {
        1 + self.0.len()
    }

    /// Gives the copies the weights that `network` has now. Running statistics of a batch are each device's own, and
    /// those of the first are the ones that are kept.
    pub fn follow(&mut self, network: &Network) {
        for replica in &mut self.0 {
            let mut trained = Trained(GradientsParams::new());
            network.nodes().for_each(|(_, node)| node.visit(&mut trained));
            let mut take = Take {
                trained: trained.0,
                device: replica.device.clone().inner(),
            };
            replica.network.map_nodes(|_, node| node.map(&mut take));
        }
    }

    /// Does the parts of a batch, each on its device with its index: at the same time where the devices differ. The
    /// results are in the order of the parts.
    pub fn each<R: Send>(
        &self,
        network: &Network,
        device: &Device,
        batches: Vec<Batch>,
        work: impl Fn(&Network, &Device, usize, Batch) -> R + Sync,
    ) -> Vec<R> {
        let work = &work;
        let others = self.0.iter().map(|replica| (&replica.network, &replica.device));
        let at_once = self.0.iter().any(|replica| replica.device != *device);
        let parts = std::iter::once((network, device))
            .chain(others)
            .zip(batches)
            .enumerate();
        let parts = parts.map(|(index, ((network, device), batch))| move || work(network, device, index, batch));
        if !at_once {
            return parts.map(|part| part()).collect();
        }
        std::thread::scope(|scope| {
            let started: Vec<_> = parts.map(|part| scope.spawn(part)).collect();
            let ended = started.into_iter().map(|part| part.join());
            ended
                .map(|part| part.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }
}

/// The tensors that train, by the ids that they share with their copies.
struct Trained(GradientsParams);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if tensor.is_require_grad() {
            self.0.register(param.id, tensor.inner());
        }
    }
}

/// Puts them in place of their copies, which train as well, and no others.
struct Take {
    trained: GradientsParams,
    /// Without autodiff.
    device: Device,
}

impl ModuleMapper for Take {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.trained.remove::<D>(param.id) {
            Some(tensor) => param.map(|_| Tensor::from_inner(tensor.to_device(&self.device)).require_grad()),
            None => param.map(|tensor| tensor.set_require_grad(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_hold_every_item_once_in_order() {
        for (items, count, sizes) in [
            (8, 2, vec![4, 4]),
            (7, 3, vec![2, 2, 3]),
            (2, 4, vec![1, 1]),
            (5, 1, vec![5]),
        ] {
            let batch: Vec<usize> = (10..10 + items).collect();
            let parts: Vec<&[usize]> = parts(&batch, count).collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(parts.concat(), batch);
        }
        assert_eq!(parts(&[], 3).count(), 0);
    }
}
