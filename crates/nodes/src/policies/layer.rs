//! The networks of a policy, as a module of the graph.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::joint::JointSpace;
use super::{DRAWN, STATE};
use emorun_nn::draw::DrawKey;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::{Lengths, Value};

/// Deviation of the last layer's first weights: small, so that a new policy prefers nothing.
const LAST_STD: f64 = 0.01;

/// How a policy comes to its actions.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// By its network.
    Learned,
    /// Each as likely as any other.
    Random,
    /// Always this one.
    Fixed(f64),
}

/// Sizes of a policy's networks.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Numbers of a state.
    pub state: usize,
    /// Widths of the hidden layers.
    pub hidden: &'a [usize],
    /// Whether there is a value network beside the actor.
    pub critic: bool,
}

impl Sizes<'_> {
    /// Number of parameters.
    pub fn parameters(&self, space: &JointSpace) -> u64 {
        let network = |outputs| -> u64 { self.network(outputs).iter().map(Dense::parameters).sum() };
        let critic = if self.critic { network(1) } else { 0 };
        network(space.outputs()) + space.deviations() as u64 + critic
    }

    /// The layers of a network on a state.
    fn network(&self, outputs: usize) -> Vec<Dense> {
        let inputs = std::iter::once(&self.state).chain(self.hidden);
        let outputs = self.hidden.iter().chain([&outputs]);
        inputs
            .zip(outputs)
            .map(|(&input, &output)| Dense::new(input, output))
            .collect()
    }
}

/// A policy: its networks where it learns, and how it chooses.
#[derive(Module, Debug)]
pub struct PolicyLayer {
    networks: Option<Networks>,
    #[module(skip)]
    space: JointSpace,
    #[module(skip)]
    choice: Choice,
}

/// Actor and value network, apart from each other.
#[derive(Module, Debug)]
struct Networks {
    actor: Mlp,
    critic: Option<Mlp>,
    /// Logarithm of the deviation of each action that is a number between bounds.
    log_std: Option<Param<Tensor<1>>>,
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Vec<Linear>,
    last: Linear,
}

impl Mlp {
    fn new(sizes: &Sizes<'_>, outputs: usize, small: bool, device: &Device) -> Self {
        let last = Dense::new(sizes.hidden.last().copied().unwrap_or(sizes.state), outputs).config();
        let last = if small {
            last.with_initializer(Initializer::Normal {
                mean: 0.0,
                std: LAST_STD,
            })
        } else {
            last
        };
        let layers = sizes.network(outputs);
        let hidden = layers.iter().take(sizes.hidden.len());
        Self {
            hidden: hidden.map(|layer| layer.build(device)).collect(),
            last: last.init(device),
        }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for layer in &self.hidden {
            x = layer.forward(x).tanh();
        }
        self.last.forward(x)
    }
}

/// What a policy says of steps that were taken.
#[derive(Debug)]
pub struct Judged {
    /// Log-probability of what was drawn, `[steps]`.
    pub log_probability: Tensor<1>,
    /// Entropy of what could have been drawn, `[steps]`.
    pub entropy: Tensor<1>,
    /// What the value network expects, `[steps]`.
    pub value: Option<Tensor<1>>,
}

impl PolicyLayer {
    /// A policy that learns; deviations begin at `initial_std`.
    pub fn learned(space: JointSpace, sizes: Sizes<'_>, initial_std: f64, device: &Device) -> Self {
        let value = initial_std.ln();
        let deviations = space.deviations();
        Self {
            networks: Some(Networks {
                actor: Mlp::new(&sizes, space.outputs(), true, device),
                critic: sizes.critic.then(|| Mlp::new(&sizes, 1, false, device)),
                log_std: (deviations > 0).then(|| Initializer::Constant { value }.init([deviations], device)),
            }),
            space,
            choice: Choice::Learned,
        }
    }

    /// A policy that does not learn.
    pub fn unlearned(space: JointSpace, choice: Choice) -> Self {
        Self {
            networks: None,
            space,
            choice,
        }
    }

    /// Number of actions of a step.
    pub fn actions(&self) -> usize {
        self.space.actions()
    }

    /// The actions that drawn numbers stand for.
    ///
    /// # Shapes
    /// - `drawn` and output: `[steps, actions]`
    pub fn values(&self, drawn: &Tensor<2>) -> Tensor<2> {
        match self.choice {
            Choice::Fixed(action) => drawn.full_like(action),
            _ => self.space.values(drawn),
        }
    }

    /// What is drawn in each of some states, with a key each; without keys, what is likeliest. Nothing is recorded
    /// for a gradient, and nothing is read from the device.
    ///
    /// What chance brings is drawn on the host, one generator a state, so that a state's action does not depend on
    /// what stands beside it.
    ///
    /// # Shapes
    /// - `states`: `[steps, state]`
    /// - output: `[steps, actions]`
    pub fn draw(&self, states: Tensor<2>, keys: Option<&[DrawKey]>) -> Tensor<2> {
        let states = states.inner();
        let ([steps, _], device) = (states.dims(), states.device());
        let actions = self.actions();
        let each = |of: fn(&JointSpace, &mut ChaCha8Rng) -> Vec<f32>| {
            keys.map(|keys| {
                let numbers: Vec<f32> = keys.iter().flat_map(|key| of(&self.space, &mut key.rng())).collect();
                Tensor::<2>::from_data(TensorData::new(numbers, [steps, actions]), &device)
            })
        };
        let none = || Tensor::zeros([steps, actions], &device);
        match (&self.choice, self.networks.valid()) {
            (Choice::Learned, Some(networks)) => {
                let log_std = networks.log_std.as_ref().map(Param::val);
                let outputs = networks.actor.forward(states);
                let noise = each(JointSpace::noise);
                self.space.draw(&outputs, log_std.as_ref(), noise.as_ref())
            }
            (Choice::Random, _) => each(JointSpace::draw_uniform).unwrap_or_else(none),
            _ => none(),
        }
    }

    /// What the networks say of steps that were taken; `None` for a policy without.
    ///
    /// # Shapes
    /// - `states`: `[steps, state]`
    /// - `drawn`: `[steps, actions]`
    pub fn judge(&self, states: Tensor<2>, drawn: Tensor<2>) -> Option<Judged> {
        let networks = self.networks.as_ref()?;
        let outputs = networks.actor.forward(states.clone());
        let log_std = networks.log_std.as_ref().map(Param::val);
        let (log_probability, entropy) = self.space.log_probability(&outputs, log_std.as_ref(), &drawn);
        Some(Judged {
            log_probability,
            entropy,
            value: self.expected(states),
        })
    }

    /// What the value network expects in states; `None` without one.
    ///
    /// # Shapes
    /// - `states`: `[steps, state]`
    /// - output: `[steps]`
    pub fn expected(&self, states: Tensor<2>) -> Option<Tensor<1>> {
        let [steps, _] = states.dims();
        let critic = self.networks.as_ref()?.critic.as_ref()?;
        Some(critic.forward(states).reshape([steps]))
    }
}

/// A held policy gives its actions at the default port and what it drew for them at [`DRAWN`]; among
/// the nodes of a schedule it gives nothing, as training then learns from what it met.
///
/// A holder whose states follow from its actions asks step by step, with vectors and [`Context::within`] the step's
/// number; one whose states do not asks once, with frames, and is given the same.
impl Layer for PolicyLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let at = |step: Option<usize>| match step {
            Some(step) => context.step.with(&step.to_string()),
            None => context.step,
        };
        let key = |item: &String, step| at(step).with(item);
        match inputs.get(STATE) {
            Ok(Value::Frames(states, lengths)) => {
                let [items, time, width] = states.dims();
                let each = context.items.iter();
                let keys: Vec<DrawKey> = each
                    .flat_map(|item| (0..time).map(move |step| key(item, Some(step))))
                    .collect();
                let states = states.clone().reshape([items * time, width]);
                let drawn = self.draw(states, context.training.then_some(&keys[..]));
                let frames = |x: Tensor<2>, lengths: &Lengths| {
                    let [_, actions] = x.dims();
                    Value::Frames(x.reshape([items, time, actions]), lengths.clone())
                };
                let actions = frames(self.values(&drawn), lengths);
                Ok(vec![("", actions), (DRAWN, frames(drawn, lengths))])
            }
            Ok(Value::Vector(states)) => {
                let keys: Vec<DrawKey> = context.items.iter().map(|item| key(item, None)).collect();
                let drawn = self.draw(states.clone(), context.training.then_some(&keys[..]));
                Ok(vec![
                    ("", Value::Vector(self.values(&drawn))),
                    (DRAWN, Value::Vector(drawn)),
                ])
            }
            _ => Ok(Outputs::new()),
        }
    }
}
