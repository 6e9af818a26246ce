//! The networks of a policy, as a module of the graph.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};

use super::action::ActionSpace;
use super::{DRAWN, STATE};
use emorun_nn::draw::DrawKey;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::Value;

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
    /// Actions of a step.
    pub actions: usize,
    /// Widths of the hidden layers.
    pub hidden: &'a [usize],
    /// Whether there is a value network beside the actor.
    pub critic: bool,
}

impl Sizes<'_> {
    /// Number of parameters.
    pub fn parameters(&self, space: &ActionSpace) -> u64 {
        let network = |outputs| -> u64 { self.network(outputs).iter().map(Dense::parameters).sum() };
        let deviation = if matches!(space, ActionSpace::Between(_)) {
            self.actions
        } else {
            0
        };
        let critic = if self.critic { network(1) } else { 0 };
        network(self.actions * space.outputs()) + deviation as u64 + critic
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
    space: ActionSpace,
    #[module(skip)]
    actions: usize,
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
    pub fn learned(space: ActionSpace, sizes: Sizes<'_>, initial_std: f64, device: &Device) -> Self {
        let actions = sizes.actions;
        let value = initial_std.ln();
        let has_std = matches!(space, ActionSpace::Between(_));
        Self {
            networks: Some(Networks {
                actor: Mlp::new(&sizes, actions * space.outputs(), true, device),
                critic: sizes.critic.then(|| Mlp::new(&sizes, 1, false, device)),
                log_std: has_std.then(|| Initializer::Constant { value }.init([actions], device)),
            }),
            space,
            actions,
            choice: Choice::Learned,
        }
    }

    /// A policy that does not learn.
    pub fn unlearned(space: ActionSpace, actions: usize, choice: Choice) -> Self {
        Self {
            networks: None,
            space,
            actions,
            choice,
        }
    }

    /// Number of actions of a step.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// The action that a drawn number stands for.
    pub fn value(&self, drawn: f64) -> f64 {
        match self.choice {
            Choice::Fixed(action) => action,
            _ => self.space.value(drawn),
        }
    }

    /// What is drawn in each of some states, with a key each; without keys, what is likeliest.
    ///
    /// Draws are made on the host, one generator a state, so that a state's action does not depend on
    /// what stands beside it.
    ///
    /// # Shapes
    /// - `states`: `[steps, state]`
    /// - output: `steps · actions` numbers, a step after the other
    pub fn draw(&self, states: Tensor<2>, keys: Option<&[DrawKey]>) -> Vec<f64> {
        let [steps, _] = states.dims();
        let width = self.space.outputs();
        let states = if states.is_autodiff() { states.inner() } else { states };
        let networks = self.networks.valid();
        let (outputs, log_std) = match &networks {
            Some(networks) => (
                floats(networks.actor.forward(states)),
                networks.log_std.as_ref().map(|log_std| floats(log_std.val())),
            ),
            None => (Vec::new(), None),
        };
        let mut drawn = Vec::with_capacity(steps * self.actions);
        for step in 0..steps {
            let mut rng = keys.and_then(|keys| keys.get(step)).map(DrawKey::rng);
            for action in 0..self.actions {
                let at = (step * self.actions + action) * width;
                drawn.push(match (&self.choice, &mut rng) {
                    (Choice::Fixed(_), _) => 0.0,
                    (Choice::Random, Some(rng)) => self.space.draw_uniform(rng),
                    (Choice::Random, None) => 0.0,
                    (Choice::Learned, rng) => {
                        let log_std = log_std.as_ref().map_or(0.0, |log_std| f64::from(log_std[action]));
                        self.space.draw(&outputs[at..at + width], log_std, rng.as_mut())
                    }
                });
            }
        }
        drawn
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
        let (log_probability, entropy) = self.space.log_probability(outputs, log_std, drawn);
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
impl Layer for PolicyLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let Ok(states) = inputs.vector(STATE) else {
            return Ok(Outputs::new());
        };
        let device = states.device();
        let [batch, _] = states.dims();
        let keys: Vec<DrawKey> = context.items.iter().map(|item| context.step.with(item)).collect();
        let drawn = self.draw(states, context.training.then_some(&keys[..]));
        let actions: Vec<f32> = drawn.iter().map(|&drawn| self.value(drawn) as f32).collect();
        let drawn: Vec<f32> = drawn.into_iter().map(|drawn| drawn as f32).collect();
        let vector = |values: Vec<f32>| {
            let data = TensorData::new(values, [batch, self.actions]);
            Value::Vector(Tensor::from_data(data, &device))
        };
        Ok(vec![("", vector(actions)), (DRAWN, vector(drawn))])
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
