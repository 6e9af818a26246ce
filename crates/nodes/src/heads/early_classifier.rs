//! Classification head that answers when a policy says so.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, NodeRef, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind, Rollout};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use crate::policies::{DRAWN, STATE};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::gru::Gru;
use emorun_nn::layers::stack::stacked;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::{Labels, Lengths, Value};

/// A GRU that hears no frame ahead; behind each of its steps a policy decides whether to answer or to listen on, and
/// the answer is a linear layer's, at that step. At an item's end it must answer.
///
/// The policy sees the GRU's state and the class probabilities. It is rewarded when it answers, and each second that it
/// listens on costs; an action of 0.5 or more answers, so that `choices: [0, 1]` is the natural one. While training it is
/// rewarded on items with a label alone. What it learns from stands at the ports `state`, `taken` and `reward`, to which the
/// policy's fields of these names must point. `heard` is how many seconds were heard, and `whole` what the answer would be
/// after the whole item: a second loss on it teaches the GRU beyond the steps at which the policy answers.
///
/// Give it features that hear nothing ahead either, such as a spectrogram.
///
/// Source: Lakomkin et al., "EmoRL: continuous acoustic emotion classification using deep reinforcement learning",
/// ICRA 2018, for the task and its parts; the form of the rewards is given here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyClassifier {
    /// Frames to classify.
    pub input: PortRef,
    /// Labels to predict, such as `data.emotion`.
    pub target: PortRef,
    /// The policy.
    pub uses: Held,
    /// Consecutive input frames joined into one step of the GRU: how often the policy decides.
    #[serde(default = "default_stack")]
    #[schemars(range(min = 1, max = 1000))]
    pub stack: usize,
    /// Width of the GRU.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 1, max = 4096))]
    pub hidden: usize,
    /// Dropout probability before the linear layer.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Reward of a right answer.
    #[serde(default = "default_right")]
    pub right: f64,
    /// Reward of a wrong answer.
    #[serde(default = "default_wrong")]
    pub wrong: f64,
    /// What is taken off the reward for each second that is listened on.
    #[serde(default = "default_cost")]
    #[schemars(range(min = 0.0))]
    pub cost_per_second: f64,
}

/// What the head holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Decides at each step.
    pub policy: NodeRef,
}

fn default_stack() -> usize {
    10
}
fn default_hidden() -> usize {
    128
}
fn default_right() -> f64 {
    1.0
}
fn default_wrong() -> f64 {
    -1.0
}
fn default_cost() -> f64 {
    0.1
}

/// Where the policy's fields must point, and the port at which it is held.
pub const ROLLOUT: Rollout = Rollout {
    held: HELD,
    state: "state",
    taken: "taken",
    reward: "reward",
};
/// Port at which the policy is held.
const HELD: &str = "uses.policy";
/// The least action that answers.
const ANSWER: f64 = 0.5;

/// Sizes of the network, and how often it answers.
struct Sizes {
    /// Width of a step's input.
    step: usize,
    rate: FrameRate,
    classes: Dense,
}

impl EarlyClassifier {
    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        Ok(Sizes {
            step: width * self.stack,
            rate: rate.slower(self.stack, "stack")?,
            classes: Dense::new(self.hidden, class_count(&labels_on(inputs, "target")?)),
        })
    }
}

impl HeadKind for EarlyClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for EarlyClassifier {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let Sizes { step, rate, classes } = self.sizes(inputs)?;
        let labels = labels_on(inputs, "target")?;
        let parameters = Gru::parameters(step, self.hidden) + classes.parameters();
        let steps = |width: usize| Signal::Frames { width, rate };
        let outputs = [
            ("", Signal::Logits { labels: labels.clone() }),
            ("whole", Signal::Logits { labels }),
            ("heard", Signal::Vector { width: 1 }),
            (ROLLOUT.state, steps(self.hidden + classes.output)),
            (ROLLOUT.taken, steps(1)),
            (ROLLOUT.reward, steps(1)),
        ];
        Ok(Inferred {
            outputs: outputs.map(|(port, signal)| (port.to_owned(), signal)).into(),
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 2.0 * rate.hz() * parameters as f64,
                activation_floats_per_second: rate.hz() * (step + 20 * self.hidden + 4 * classes.output) as f64,
                ..trainable(parameters)
            },
            reads_labels: false,
            train_only: false,
        })
    }

    fn rollout(&self) -> Option<Rollout> {
        Some(ROLLOUT)
    }
}

impl DeviceKind for EarlyClassifier {
    type Layer = EarlyClassifierLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<EarlyClassifierLayer, BuildError> {
        let Sizes { step, classes, .. } = self.sizes(inputs)?;
        let (_, rate) = frames_on(inputs, "input")?;
        Ok(EarlyClassifierLayer {
            gru: Gru::new(step, self.hidden, context.device),
            classes: classes.build(context.device),
            stack: self.stack,
            dropout: self.dropout,
            rewards: Rewards {
                right: self.right,
                wrong: self.wrong,
                step: -self.cost_per_second * self.stack as f64 / rate.hz(),
            },
            step_s: self.stack as f64 / rate.hz(),
        })
    }
}

/// See [`EarlyClassifier`].
#[derive(Module, Debug)]
pub struct EarlyClassifierLayer {
    gru: Gru,
    classes: Linear,
    #[module(skip)]
    stack: usize,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    rewards: Rewards,
    #[module(skip)]
    step_s: f64,
}

#[derive(Clone, Copy, Debug)]
struct Rewards {
    right: f64,
    wrong: f64,
    /// Of a step that listens on.
    step: f64,
}

/// What the policy did with a batch.
struct Decisions {
    /// Step of each item's answer.
    answers: Vec<usize>,
    /// What was drawn at each step, item after item.
    drawn: Vec<Vec<f32>>,
}

impl EarlyClassifierLayer {
    /// Asks the policy step by step, until every item has its answer.
    fn decide(
        &self,
        seen: &Tensor<3>,
        lengths: &Lengths,
        inputs: &Ports,
        context: &Context,
    ) -> Result<Decisions, NodeError> {
        let policy = inputs.held(HELD)?;
        let [batch, _, width] = seen.dims();
        let mut answers: Vec<Option<usize>> = vec![None; batch];
        let mut drawn = Vec::new();
        for step in 0..lengths.longest() {
            let state = seen.clone().narrow(1, step, 1).reshape([batch, width]);
            let mut asked = Ports::default();
            asked.insert(STATE.to_owned(), Value::Vector(state));
            let given = policy.call(&asked, &context.within(&step.to_string()))?;
            let numbers = |port: &str| match given.iter().find(|(name, _)| *name == port) {
                Some((_, Value::Vector(numbers))) => Ok(numbers.clone().into_data().iter::<f32>().collect::<Vec<_>>()),
                _ => Err(NodeError::Missing(format!("{HELD}.{port}"))),
            };
            let actions = numbers("")?;
            drawn.push(numbers(DRAWN)?);
            for ((answer, action), &length) in answers.iter_mut().zip(actions).zip(lengths.as_slice()) {
                if answer.is_none() && (f64::from(action) >= ANSWER || step + 1 >= length) {
                    *answer = Some(step);
                }
            }
            if answers.iter().all(Option::is_some) {
                break;
            }
        }
        Ok(Decisions {
            answers: answers.into_iter().map(Option::unwrap_or_default).collect(),
            drawn,
        })
    }

    /// What the policy learns from: what it drew at its steps, and what came of each. Of items without a label,
    /// nothing.
    fn rollout(&self, decisions: &Decisions, predicted: &[u32], labels: &Labels, device: &Device) -> [Value; 2] {
        let steps = decisions.drawn.len();
        let batch = decisions.answers.len();
        let (mut taken, mut rewards) = (vec![0f32; batch * steps], vec![0f32; batch * steps]);
        let mut lengths = vec![0; batch];
        let items = decisions.answers.iter().zip(predicted).zip(labels.as_slice());
        for (item, ((&answer, predicted), label)) in items.enumerate() {
            let Some(label) = label else { continue };
            lengths[item] = answer + 1;
            for step in 0..=answer {
                taken[item * steps + step] = decisions.drawn[step][item];
                rewards[item * steps + step] = match (step == answer, predicted == label) {
                    (false, _) => self.rewards.step,
                    (true, true) => self.rewards.right,
                    (true, false) => self.rewards.wrong,
                } as f32;
            }
        }
        let lengths = Lengths::new(lengths);
        [taken, rewards].map(|numbers| {
            let frames = Tensor::from_data(TensorData::new(numbers, [batch, steps, 1]), device);
            Value::Frames(frames, lengths.clone())
        })
    }
}

/// The class with the greatest of each row's scores.
fn likeliest(logits: Tensor<2>) -> Vec<u32> {
    let [_, classes] = logits.dims();
    let scores: Vec<f32> = logits.into_data().iter::<f32>().collect();
    let most = |row: &[f32]| (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
    scores
        .chunks_exact(classes.max(1))
        .map(|row| most(row) as u32)
        .collect()
}

impl Layer for EarlyClassifierLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let (x, lengths) = stacked(frames, &lengths, self.stack);
        let [batch, time, _] = x.dims();
        let hidden = self.gru.forward(x, &lengths);
        let device = hidden.device();
        let logits = self
            .classes
            .forward(context.dropout(hidden.clone(), self.dropout, "state"));
        let seen = Tensor::cat(vec![hidden.inner(), softmax(logits.clone().inner(), 2)], 2);
        let decisions = self.decide(&seen, &lengths, inputs, context)?;
        let [_, _, classes] = logits.dims();
        let at = |steps: Vec<usize>| {
            let rows: Vec<i64> = steps
                .iter()
                .enumerate()
                .map(|(item, step)| (item * time + step) as i64)
                .collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
            logits.clone().reshape([batch * time, classes]).select(0, rows)
        };
        let answer = at(decisions.answers.clone());
        let whole = at(lengths.as_slice().iter().map(|length| length - 1).collect());
        let heard: Vec<f32> = decisions
            .answers
            .iter()
            .map(|&step| ((step + 1) as f64 * self.step_s) as f32)
            .collect();
        let heard = Tensor::from_data(TensorData::new(heard, [batch, 1]), &device);
        let labels = inputs
            .labels("target")
            .unwrap_or_else(|_| Labels::new(vec![None; batch]));
        let predicted = likeliest(answer.clone());
        let [taken, reward] = self.rollout(&decisions, &predicted, &labels, &device);
        let steps = match &taken {
            Value::Frames(_, lengths) => lengths.clone(),
            _ => lengths,
        };
        let states = seen.narrow(1, 0, decisions.drawn.len());
        Ok(vec![
            ("", Value::Logits(answer)),
            ("whole", Value::Logits(whole)),
            ("heard", Value::Vector(heard)),
            (ROLLOUT.state, Value::Frames(states, steps)),
            (ROLLOUT.taken, taken),
            (ROLLOUT.reward, reward),
        ])
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "classes")
    }
}
