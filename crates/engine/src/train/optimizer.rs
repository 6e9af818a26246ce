//! Gradients by name, their norm, and the optimizer's step.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdjustLrFn, DynOptimizer, DynState, GradientsParams,
    Muon, MuonConfig, Optimizer as Rule, Sgd, SgdConfig, StateSink, StateSource, decay::WeightDecayConfig,
    momentum::MomentumConfig,
};
use burn::tensor::{Device, Tensor};
use emorun_kernels::{AdamRule, adam_step, sum_of_squares};

use crate::settings::{DecayOn, OptimizerConfig, Training};
use emorun_nn::recompute::Segments;
use emorun_nn::waits;
use emorun_nodes::kinds::NodeLayer;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{NamedTensors, TensorPath};

/// How one tensor follows its gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ParameterGroup {
    /// Factor of the learning rate.
    lr_factor: f64,
    /// Index of its rule.
    rule: usize,
}

/// How every tensor of a network follows its gradients, and the rules that this takes.
fn groups(training: &Training, network: &Network) -> (Vec<AnyRule>, BTreeMap<String, ParameterGroup>) {
    struct Walk<'a> {
        training: &'a Training,
        path: TensorPath,
        node: (&'a str, &'a NodeLayer),
        /// Whether matrices of the node may follow another rule than the rest.
        hidden: bool,
        rules: Vec<(RuleKey, AnyRule)>,
        groups: BTreeMap<String, ParameterGroup>,
    }
    impl ModuleVisitor for Walk<'_> {
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            let name = self.path.join();
            let within = name.split_once('.').map_or("", |(_, within)| within);
            let (node, layer) = self.node;
            let group = self
                .training
                .groups
                .iter()
                .find(|group| group.nodes.iter().any(|of| of == node));
            let decay = match self.training.weight_decay_on {
                DecayOn::Matrices if D < 2 => 0.0,
                _ => group
                    .and_then(|group| group.weight_decay)
                    .unwrap_or_else(|| self.training.optimizer.weight_decay()),
            };
            let key = RuleKey {
                matrix: D == 2 && self.hidden && layer.is_hidden_matrix(within),
                decay,
            };
            let known = self.rules.iter().position(|(known, _)| *known == key);
            let rule = known.unwrap_or_else(|| {
                self.rules.push((key, AnyRule::new(&self.training.optimizer, key)));
                self.rules.len() - 1
            });
            let lr_factor = layer.learning_rate(within) * group.map_or(1.0, |group| group.lr_factor);
            self.groups.insert(name, ParameterGroup { lr_factor, rule });
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let (mut rules, mut groups) = (Vec::new(), BTreeMap::new());
    for ((name, node), wired) in network.nodes().zip(network.wired()) {
        let mut walk = Walk {
            training,
            path: TensorPath::of(name),
            node: (name, node),
            hidden: wired.head().is_none() && wired.regressor().is_none() && !network.gives_scores(name),
            rules,
            groups,
        };
        node.visit(&mut walk);
        (rules, groups) = (walk.rules, walk.groups);
    }
    (rules.into_iter().map(|(_, rule)| rule).collect(), groups)
}

/// Gradients of one step, summed over micro-batches.
#[derive(Debug, Default)]
pub struct Gradients(GradientsParams);

impl Gradients {
    /// Those of a network's parameters from a backward pass.
    pub fn of(network: &Network, gradients: burn::tensor::Gradients) -> Self {
        let mut all = Self::default();
        all.include(network, gradients);
        all
    }

    /// Those of a network's parameters from a loss and what its forward pass left to be computed again.
    pub fn of_loss(network: &Network, loss: Tensor<1>, segments: Option<&Segments>) -> Self {
        let Some(segments) = segments else {
            return Self::of(network, loss.backward());
        };
        let mut all = Self::default();
        segments.backward(loss, |gradients| all.include(network, gradients));
        all
    }

    fn include(&mut self, network: &Network, mut gradients: burn::tensor::Gradients) {
        for (_, node) in network.nodes() {
            let own = GradientsParams::from_module(&mut gradients, node);
            self.take(node, own, None);
        }
    }

    /// Adds those of other items, which may lie on another device than `device`, that of the sum and of the first of them.
    pub fn add(&mut self, network: &Network, mut other: Self, device: &Device) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        for (_, node) in network.nodes() {
            other.0 = self.take(node, other.0, Some(device));
        }
    }

    /// Adds the gradients of a node's parameters out of `new`; gives the others back.
    fn take(&mut self, node: &NodeLayer, new: GradientsParams, device: Option<&Device>) -> GradientsParams {
        struct Take<'a> {
            sum: &'a mut GradientsParams,
            new: GradientsParams,
            device: Option<&'a Device>,
        }
        impl ModuleVisitor for Take<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(mut new) = self.new.remove::<D>(param.id) else {
                    return;
                };
                if let Some(device) = self.device {
                    new = new.to_device(device);
                }
                let sum = match self.sum.remove::<D>(param.id) {
                    Some(sum) => sum + new,
                    None => new,
                };
                self.sum.register(param.id, sum);
            }
        }
        let mut visitor = Take {
            sum: &mut self.0,
            new,
            device,
        };
        node.visit(&mut visitor);
        visitor.new
    }

    /// Euclidean norm over all gradients together.
    pub fn norm(&self, network: &Network) -> f64 {
        let squares = self.squares(network).map(waits::numbers);
        norm_of(&squares.unwrap_or_default())
    }

    /// The sum of each gradient's squares, of which [`norm_of`] makes the norm; `None` where there is no gradient.
    pub fn squares(&self, network: &Network) -> Option<Tensor<1>> {
        struct Norm<'a> {
            gradients: &'a GradientsParams,
            squares: Vec<Tensor<1>>,
        }
        impl ModuleVisitor for Norm<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.gradients.get::<D>(param.id) {
                    self.squares.push(sum_of_squares(gradient));
                }
            }
        }
        let mut visitor = Norm {
            gradients: &self.0,
            squares: Vec::new(),
        };
        network.nodes().for_each(|(_, node)| node.visit(&mut visitor));
        (!visitor.squares.is_empty()).then(|| Tensor::cat(visitor.squares, 0))
    }
}

impl Gradients {
    /// Scales all gradients together down to a Euclidean norm, where theirs is greater, without a read of the device;
    /// gives what it was, `[1]`. `None` where there are none.
    pub fn clip(&mut self, network: &Network, most: f64) -> Option<Tensor<1>> {
        struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
        impl ModuleVisitor for Squares<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(self.0.get::<D>(param.id).map(sum_of_squares));
            }
        }
        struct Scale<'a>(&'a mut GradientsParams, Tensor<1>);
        impl ModuleVisitor for Scale<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.0.remove::<D>(param.id) {
                    let scaled = gradient * self.1.clone().reshape([1; D]);
                    self.0.register(param.id, scaled);
                }
            }
        }
        let mut squares = Squares(&self.0, Vec::new());
        network.nodes().for_each(|(_, node)| node.visit(&mut squares));
        let squares = squares.1;
        if squares.is_empty() {
            return None;
        }
        let norm = Tensor::cat(squares, 0).sum().sqrt();
        let scale = norm.clone().recip().mul_scalar(most).clamp_max(1.0);
        let mut scaled = Scale(&mut self.0, scale);
        network.nodes().for_each(|(_, node)| node.visit(&mut scaled));
        Some(norm)
    }
}

/// Euclidean norm of what has these sums of squares.
pub fn norm_of(squares: &[f32]) -> f64 {
    squares.iter().copied().map(f64::from).sum::<f64>().sqrt()
}

/// What tells the rules of one optimizer apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RuleKey {
    /// Whether the rule is for hidden matrices, which some optimizers treat by themselves.
    matrix: bool,
    /// Weight decay.
    decay: f64,
}

/// Burn's rule, and for Adam and AdamW the same in one pass, which the CPU takes.
#[derive(Clone)]
enum AnyRule {
    Adam(Adam, AdamRule),
    AdamW(AdamW, AdamRule),
    Sgd(Sgd),
    Muon(Muon),
}

impl AnyRule {
    fn new(config: &OptimizerConfig, RuleKey { matrix, decay }: RuleKey) -> Self {
        let penalty = (decay > 0.0).then_some(WeightDecayConfig::new(decay as f32));
        match config {
            OptimizerConfig::Adam(adam) => Self::Adam(
                AdamConfig::new()
                    .with_beta_1(adam.betas[0])
                    .with_beta_2(adam.betas[1])
                    .with_epsilon(adam.eps)
                    .with_weight_decay(penalty)
                    .build(),
                AdamRule {
                    decoupled: false,
                    weight_decay: decay as f32,
                    betas: adam.betas,
                    epsilon: adam.eps,
                },
            ),
            OptimizerConfig::AdamW(adamw) => Self::adamw(adamw.betas, adamw.eps, decay),
            OptimizerConfig::Sgd(sgd) => Self::Sgd(
                SgdConfig::new()
                    .with_momentum((sgd.momentum > 0.0).then_some(MomentumConfig {
                        momentum: sgd.momentum,
                        dampening: 0.0,
                        nesterov: sgd.nesterov,
                    }))
                    .with_weight_decay(penalty)
                    .build(),
            ),
            OptimizerConfig::Muon(muon) if matrix => Self::Muon(
                MuonConfig::new()
                    .with_momentum(MomentumConfig {
                        momentum: muon.momentum,
                        dampening: 0.0,
                        nesterov: true,
                    })
                    .with_ns_steps(muon.ns_steps)
                    .with_weight_decay(penalty)
                    // Symmetric in rows and columns, which Burn stores the other way round than PyTorch.
                    .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
                    .build(),
            ),
            OptimizerConfig::Muon(muon) => Self::adamw(muon.betas, muon.eps, decay),
        }
    }

    fn adamw(betas: [f32; 2], epsilon: f32, decay: f64) -> Self {
        Self::AdamW(
            AdamWConfig::new()
                .with_beta_1(betas[0])
                .with_beta_2(betas[1])
                .with_epsilon(epsilon)
                .with_weight_decay(decay as f32)
                .build(),
            AdamRule {
                decoupled: true,
                weight_decay: decay as f32,
                betas,
                epsilon,
            },
        )
    }

    fn dynamic(&self) -> &dyn DynOptimizer {
        match self {
            Self::Adam(rule, _) => rule,
            Self::AdamW(rule, _) => rule,
            Self::Sgd(rule) => rule,
            Self::Muon(rule) => rule,
        }
    }

    /// A step by `scale` times the gradient.
    fn step<const D: usize>(
        &self,
        lr: f64,
        scale: f64,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<DynState>,
    ) -> (Tensor<D>, Option<DynState>) {
        fn burns<R: Rule, const D: usize>(
            rule: &R,
            (lr, scale): (f64, f64),
            (tensor, mut gradient): (Tensor<D>, Tensor<D>),
            state: Option<R::State<D>>,
        ) -> (Tensor<D>, Option<DynState>) {
            if scale != 1.0 {
                gradient = gradient.mul_scalar(scale);
            }
            let (tensor, state) = rule.step(lr, tensor, gradient, state);
            (tensor, state.map(|state| DynState::create(state, D)))
        }
        match self {
            Self::Adam(rule, numbers) => {
                let state = state.map(|state| state.downcast::<AdamState<D>>().momentum);
                match adam_step(*numbers, lr, scale, tensor, gradient, state) {
                    Ok((tensor, state)) => (tensor, Some(DynState::create(AdamState::new(state), D))),
                    Err((tensor, gradient, state)) => {
                        burns(rule, (lr, scale), (tensor, gradient), state.map(AdamState::new))
                    }
                }
            }
            Self::AdamW(rule, numbers) => {
                let state = state.map(|state| state.downcast::<AdamWState<D>>().momentum);
                match adam_step(*numbers, lr, scale, tensor, gradient, state) {
                    Ok((tensor, state)) => (tensor, Some(DynState::create(AdamWState::new(state), D))),
                    Err((tensor, gradient, state)) => {
                        burns(rule, (lr, scale), (tensor, gradient), state.map(AdamWState::new))
                    }
                }
            }
            Self::Sgd(rule) => burns(rule, (lr, scale), (tensor, gradient), state.map(DynState::downcast)),
            Self::Muon(rule) => burns(rule, (lr, scale), (tensor, gradient), state.map(DynState::downcast)),
        }
    }
}

/// Burn's optimizer rules, with their state kept by tensor name.
///
/// Burn's own `ModuleOptimizer` keys the state by random parameter ids and restores it on the
/// default device, which on a CUDA build is a GPU that may not exist.
pub struct Optimizer {
    rules: Vec<AnyRule>,
    /// How each tensor moves.
    groups: BTreeMap<String, ParameterGroup>,
    states: BTreeMap<String, DynState>,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer")
            .field("states", &self.states.keys())
            .finish_non_exhaustive()
    }
}

impl Optimizer {
    /// An optimizer without state for a network's parameters.
    pub fn new(training: &Training, network: &Network) -> Self {
        let (rules, groups) = groups(training, network);
        Self {
            rules,
            groups,
            states: BTreeMap::new(),
        }
    }

    /// The rule that a tensor follows, and the factor of its learning rate.
    fn way(&self, name: &str) -> Option<(&AnyRule, f64)> {
        let way = self.groups.get(name)?;
        Some((self.rules.get(way.rule)?, way.lr_factor))
    }

    /// One step: every parameter with a gradient moves by it times `scale`.
    pub fn step(&mut self, network: &mut Network, gradients: Gradients, lr: f64, scale: f64) {
        struct Step<'a> {
            optimizer: &'a mut Optimizer,
            gradients: GradientsParams,
            path: TensorPath,
            lr: f64,
            scale: f64,
        }
        impl ModuleMapper for Step<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let Some(gradient) = self.gradients.remove::<D>(param.id) else {
                    return param;
                };
                let name = self.path.join();
                let state = self.optimizer.states.remove(&name);
                let Some((rule, lr_factor)) = self.optimizer.way(&name) else {
                    return param;
                };
                let (lr, scale) = (self.lr * lr_factor, self.scale);
                let mut next = None;
                let param = param.map(|tensor| {
                    let (tensor, state) = rule.step(lr, scale, tensor.inner(), gradient, state);
                    next = state;
                    Tensor::from_inner(tensor).require_grad()
                });
                if let Some(state) = next {
                    self.optimizer.states.insert(name, state);
                }
                param
            }
            fn enter_module(&mut self, name: &str, container: &str) {
                self.path.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.exit();
            }
        }
        let mut mapper = Step {
            optimizer: self,
            gradients: gradients.0,
            path: TensorPath::default(),
            lr,
            scale,
        };
        network.map_nodes(|name, node| {
            mapper.path.enter(name, "");
            let node = node.map(&mut mapper);
            mapper.path.exit();
            node
        });
    }

    /// The state as named tensors and counters, to be stored.
    pub fn save(&self) -> (NamedTensors, BTreeMap<String, u64>) {
        let mut sink = StateSink::default();
        let mut counters = BTreeMap::new();
        for (name, state) in &self.states {
            let Some((rule, _)) = self.way(name) else { continue };
            rule.dynamic().state_flatten(name, state, &mut sink);
            counters.insert(format!("{name}{RANK}"), state.rank() as u64);
        }
        for (name, value) in sink.scalars {
            if let Ok(value) = u64::try_from(value) {
                counters.insert(name, value);
            }
        }
        (sink.tensors.into_iter().collect(), counters)
    }

    /// Takes the state from what [`Optimizer::save`] gave.
    ///
    /// # Errors
    /// The state of a tensor is incomplete.
    pub fn load(
        &mut self,
        tensors: NamedTensors,
        counters: &BTreeMap<String, u64>,
        device: &Device,
    ) -> Result<(), String> {
        let mut source = StateSource::new(
            counters
                .iter()
                .map(|(name, &value)| (name.clone(), value.into()))
                .collect(),
        );
        tensors
            .into_iter()
            .for_each(|(name, data)| source.insert_tensor(name, data));
        self.states.clear();
        for (key, &rank) in counters {
            let Some(name) = key.strip_suffix(RANK) else { continue };
            let (rule, _) = self
                .way(name)
                .ok_or_else(|| format!("the state of {name} is of no tensor of this network"))?;
            let state = rule
                .dynamic()
                .state_unflatten(rank as usize, name, &mut source, device)
                .ok_or_else(|| format!("the state of {name} is incomplete"))?;
            self.states.insert(name.to_owned(), state);
        }
        Ok(())
    }
}

/// Suffix of the counter that holds a state's number of dimensions.
const RANK: &str = ".__rank";
