//! Walking a network's tensors by name: saving, loading, gradient norm, the optimizer's step.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdjustLrFn, DynOptimizer, DynState, GradientsParams,
    Muon, MuonConfig, Optimizer as Rule, Sgd, SgdConfig, StateSink, StateSource, decay::WeightDecayConfig,
    momentum::MomentumConfig,
};
use burn::tensor::{Device, Tensor, TensorData};
use emorun_kernels::{AdamRule, adam_step, sum_of_squares};

use crate::kinds::NodeLayer;
use crate::network::Network;
use crate::node::Layer;
use crate::recompute::Segments;
use crate::settings::{DecayOn, OptimizerConfig, Training};

/// Named tensors, as they are stored.
pub type NamedTensors = BTreeMap<String, TensorData>;

/// Keeps the dotted path of the tensor being visited: `<node>.<field>.…`.
#[derive(Debug, Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        // The enum over node kinds is our own wrapping, not part of a tensor's name.
        self.0.push(if container.starts_with("Enum:") {
            String::new()
        } else {
            name.to_owned()
        });
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn join(&self) -> String {
        let mut joined = String::new();
        for part in self.0.iter().filter(|part| !part.is_empty()) {
            if !joined.is_empty() {
                joined.push('.');
            }
            joined.push_str(part);
        }
        joined
    }
}

/// All tensors of a network, parameters and running statistics, by `<node>.<field>.…`.
pub fn collect(network: &Network) -> NamedTensors {
    struct Collect {
        path: Path,
        tensors: NamedTensors,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.tensors.insert(self.path.join(), param.val().into_data());
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let mut visitor = Collect {
        path: Path::default(),
        tensors: NamedTensors::new(),
    };
    for (name, node) in network.nodes() {
        visitor.path.0.push(name.to_owned());
        node.visit(&mut visitor);
        visitor.path.0.pop();
    }
    visitor.tensors
}

/// Names of the matrices that stand as `[inputs, outputs]`, which PyTorch keeps the other way round.
pub fn transposed_in_torch(network: &Network) -> BTreeSet<String> {
    /// The modules that hold them, and their fields.
    const FIELDS: [(&str, &str); 5] = [
        ("Struct:Linear", "weight"),
        ("Struct:Direction", "weight_ih"),
        ("Struct:Direction", "weight_hh"),
        ("Struct:LowRank", "a"),
        ("Struct:LowRank", "b"),
    ];
    struct Walk {
        path: Path,
        /// Whether each step of the path leads to such a field, or through an enum on the way to one.
        fields: Vec<Option<bool>>,
        found: BTreeSet<String>,
    }
    impl ModuleVisitor for Walk {
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            if self.fields.iter().rev().find_map(|field| *field) == Some(true) {
                self.found.insert(self.path.join());
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
            let is_enum = container.starts_with("Enum:");
            self.fields
                .push((!is_enum).then(|| FIELDS.contains(&(container, name))));
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
            self.fields.pop();
        }
    }
    let mut walk = Walk {
        path: Path::default(),
        fields: Vec::new(),
        found: BTreeSet::new(),
    };
    for (name, node) in network.nodes() {
        walk.path.0.push(name.to_owned());
        node.visit(&mut walk);
        walk.path.0.pop();
    }
    walk.found
}

/// Puts stored tensors into a network of the same structure.
///
/// # Errors
/// The names or shapes do not match; the message lists them.
pub fn restore(network: &mut Network, tensors: NamedTensors) -> Result<(), String> {
    struct Restore {
        path: Path,
        tensors: NamedTensors,
        mistakes: Vec<String>,
    }
    impl ModuleMapper for Restore {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join();
            let Some(data) = self.tensors.remove(&name) else {
                self.mistakes.push(format!("{name} is missing"));
                return param;
            };
            if *data.shape() != param.val().shape() {
                self.mistakes.push(format!(
                    "{name} has shape {}, not {}",
                    data.shape(),
                    param.val().shape()
                ));
                return param;
            }
            param.map(|tensor| {
                let tracked = tensor.is_require_grad();
                Tensor::from_data(data, &tensor.device()).set_require_grad(tracked)
            })
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let mut mapper = Restore {
        path: Path::default(),
        tensors,
        mistakes: Vec::new(),
    };
    network.map_nodes(|name, node| {
        mapper.path.0.push(name.to_owned());
        let node = node.map(&mut mapper);
        mapper.path.0.pop();
        node
    });
    mapper.mistakes.extend(
        mapper
            .tensors
            .keys()
            .map(|name| format!("{name} is not part of this network")),
    );
    if mapper.mistakes.is_empty() {
        Ok(())
    } else {
        Err(mapper.mistakes.join("; "))
    }
}

/// Number of parameters: (all, those that train).
pub fn count(network: &Network) -> (u64, u64) {
    struct Count(u64, u64);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let size = tensor.shape().num_elements() as u64;
            if tensor.is_require_grad() {
                self.1 += size;
            }
            self.0 += size;
        }
    }
    let mut visitor = Count(0, 0);
    network.nodes().for_each(|(_, node)| node.visit(&mut visitor));
    (visitor.0, visitor.1)
}

/// How one tensor follows its gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    /// Factor of the learning rate.
    lr_factor: f64,
    /// Index of its rule.
    rule: usize,
}

/// How every tensor of a network follows its gradients, and the rules that this takes.
fn ways(training: &Training, network: &Network) -> (Vec<AnyRule>, BTreeMap<String, Way>) {
    struct Walk<'a> {
        training: &'a Training,
        path: Path,
        node: (&'a str, &'a NodeLayer),
        /// Whether matrices of the node may follow another rule than the rest.
        hidden: bool,
        rules: Vec<(RuleKey, AnyRule)>,
        ways: BTreeMap<String, Way>,
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
            self.ways.insert(name, Way { lr_factor, rule });
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let (mut rules, mut ways) = (Vec::new(), BTreeMap::new());
    for ((name, node), wired) in network.nodes().zip(network.wired()) {
        let mut walk = Walk {
            training,
            path: Path(vec![name.to_owned()]),
            node: (name, node),
            hidden: wired.head().is_none() && wired.regressor().is_none() && !network.gives_scores(name),
            rules,
            ways,
        };
        node.visit(&mut walk);
        (rules, ways) = (walk.rules, walk.ways);
    }
    (rules.into_iter().map(|(_, rule)| rule).collect(), ways)
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

    /// Adds those of other items, which may lie on another device than `device`, that of the sum.
    pub fn add(&mut self, network: &Network, mut other: Self, device: &Device) {
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
        if visitor.squares.is_empty() {
            return 0.0;
        }
        let squares = Tensor::cat(visitor.squares, 0).into_data();
        squares.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
    }
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
    ways: BTreeMap<String, Way>,
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
        let (rules, ways) = ways(training, network);
        Self {
            rules,
            ways,
            states: BTreeMap::new(),
        }
    }

    /// The rule that a tensor follows, and the factor of its learning rate.
    fn way(&self, name: &str) -> Option<(&AnyRule, f64)> {
        let way = self.ways.get(name)?;
        Some((self.rules.get(way.rule)?, way.lr_factor))
    }

    /// One step: every parameter with a gradient moves by it times `scale`.
    pub fn step(&mut self, network: &mut Network, gradients: Gradients, lr: f64, scale: f64) {
        struct Step<'a> {
            optimizer: &'a mut Optimizer,
            gradients: GradientsParams,
            path: Path,
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
            path: Path::default(),
            lr,
            scale,
        };
        network.map_nodes(|name, node| {
            mapper.path.0.push(name.to_owned());
            let node = node.map(&mut mapper);
            mapper.path.0.pop();
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
