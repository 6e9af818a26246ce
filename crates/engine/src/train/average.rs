//! Averages of the weights over training, which are then evaluated and used instead of the last.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::settings::AverageConfig;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{NamedTensors, collect, restore};

/// The average of a network's weights so far, running statistics included.
///
/// # Source
/// Exponential: Polyak & Juditsky 1992, with the warm-up of TensorFlow's
/// `ExponentialMovingAverage(num_updates)`. Stochastic weight averaging: Izmailov et al. 2018. Running
/// statistics are averaged too, as `torch.optim.swa_utils.AveragedModel(use_buffers=True)`.
#[derive(Debug)]
pub struct Average {
    config: AverageConfig,
    network: Network,
}

impl Average {
    /// An average that holds nothing yet.
    pub fn new(config: &AverageConfig, network: &Network) -> Self {
        Self {
            config: config.clone(),
            network: network.without_autodiff(),
        }
    }

    /// Takes the weights after an optimizer step; `taken` counts what the average holds.
    pub fn after_step(&mut self, live: &Network, taken: &mut u64) {
        if let AverageConfig::Ema(ema) = &self.config {
            let updates = *taken as f64;
            let decay = ema.decay.min((1.0 + updates) / (10.0 + updates));
            self.take(live, if *taken == 0 { 1.0 } else { 1.0 - decay });
            *taken += 1;
        }
    }

    /// Takes the weights at the end of an epoch, counted from 1; `taken` counts what the average holds.
    pub fn after_epoch(&mut self, live: &Network, epoch: u64, taken: &mut u64) {
        if let AverageConfig::Swa(swa) = &self.config
            && epoch >= swa.from_epoch
        {
            *taken += 1;
            self.take(live, 1.0 / *taken as f64);
        }
    }

    /// Moves the average by `share` of its distance to the weights of `live`.
    fn take(&mut self, live: &Network, share: f64) {
        /// Holds tensors by the id that a parameter shares with its copy in the average.
        struct Take(GradientsParams);
        impl ModuleVisitor for Take {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let live = param.val();
                let plain = if live.is_autodiff() { live.inner() } else { live };
                self.0.register(param.id, plain);
            }
        }
        struct Move(GradientsParams, f64);
        impl ModuleMapper for Move {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let Some(live) = self.0.remove::<D>(param.id) else {
                    return param;
                };
                let share = self.1;
                param.map(|average| match share {
                    1.0 => live,
                    share => average.clone() + (live - average).mul_scalar(share),
                })
            }
        }
        let mut taken = Take(GradientsParams::new());
        live.nodes().for_each(|(_, node)| node.visit(&mut taken));
        let mut mapper = Move(taken.0, share);
        self.network.map_nodes(|_, node| node.map(&mut mapper));
    }

    /// The network with the averaged weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The averaged weights by name, to be stored.
    pub fn collect(&self) -> NamedTensors {
        collect(&self.network)
    }

    /// Takes the average from what [`Average::collect`] gave.
    ///
    /// # Errors
    /// The names or shapes do not match.
    pub fn restore(&mut self, tensors: NamedTensors) -> Result<(), String> {
        restore(&mut self.network, tensors)
    }
}
