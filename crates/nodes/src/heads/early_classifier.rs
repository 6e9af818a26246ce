//! Classification head that answers when a policy says so.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, NodeRef, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind, Rollout};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use crate::policies::{DRAWN, STATE};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::gru::{Gru, GruSizes};
use emorun_nn::layers::stack::stacked;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::{Labels, Lengths, Value};
use emorun_nn::waits;

/// A GRU that hears no frame ahead; behind each of its steps a policy decides whether to answer or to listen on, and
/// the answer is a linear layer's, at that step. At an item's end it must answer.
///
/// The policy sees the GRU's state and the class probabilities. It is rewarded when it answers, and each second that it
/// listens on costs; an action of 0.5 or more answers, so that `choices: [0, 1]` is the natural one. Its name, for a policy
/// with `actions`, is `answer`. While training it is
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
    actions: &["answer"],
};
/// Port at which the policy is held.
const HELD: &str = "uses.policy";
/// The least action that answers.
const ANSWER: f64 = 0.5;

/// Sizes of the network, and how often it answers.
struct Sizes {
    gru: GruSizes,
    rate: FrameRate,
    classes: Dense,
}

impl EarlyClassifier {
    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        Ok(Sizes {
            gru: GruSizes::forward(width * self.stack, self.hidden),
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
        let Sizes { gru, rate, classes } = self.sizes(inputs)?;
        let labels = labels_on(inputs, "target")?;
        let parameters = gru.parameters() + classes.parameters();
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
                activation_floats_per_second: rate.hz() * (gru.input + 20 * gru.hidden + 4 * classes.output) as f64,
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
        let Sizes { gru, classes, .. } = self.sizes(inputs)?;
        let (_, rate) = frames_on(inputs, "input")?;
        Ok(EarlyClassifierLayer {
            gru: gru.build(context.device),
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
    /// What was drawn at each step, `[batch, time, 1]`.
    drawn: Tensor<3>,
}

impl EarlyClassifierLayer {
    /// Asks the policy for all steps at once, as none follows from what it chose before; the first that answers counts,
    /// or an item's last. Read from the device once, as lengths follow from it.
    fn decide(inputs: &Ports, context: &Context, seen: &Tensor<3>, lengths: &Lengths) -> Result<Decisions, NodeError> {
        let mut asked = Ports::default();
        asked.insert(STATE.to_owned(), Value::Frames(seen.clone(), lengths.clone()));
        let given = inputs.held(HELD)?.call(&asked, context)?;
        let frames = |port: &str| match given.iter().find(|(name, _)| *name == port) {
            Some((_, Value::Frames(frames, _))) => Ok(frames.clone()),
            _ => Err(NodeError::Missing(format!("{HELD}.{port}"))),
        };
        let [_, time, _] = seen.dims();
        let actions = waits::numbers(frames("")?);
        let items = actions.chunks_exact(time.max(1)).zip(lengths.as_slice());
        let answer = |(actions, &length): (&[f32], &usize)| {
            let last = length.saturating_sub(1);
            let answers = |action: &f32| f64::from(*action) >= ANSWER;
            actions[..last].iter().position(answers).unwrap_or(last)
        };
        Ok(Decisions {
            answers: items.map(answer).collect(),
            drawn: frames(DRAWN)?,
        })
    }

    /// What comes of each step, `[batch, steps, 1]`, by the scores at the step of each item's answer.
    fn rewards(&self, answers: &[usize], scores: Tensor<2>, labels: &Labels, steps: usize) -> Tensor<3> {
        let device = scores.device();
        let batch = answers.len();
        let right = scores.argmax(1).reshape([batch]).equal(labels.indices(&device)).float();
        let earned = right
            .mul_scalar(self.rewards.right - self.rewards.wrong)
            .add_scalar(self.rewards.wrong - self.rewards.step);
        let ends = (0..steps).map(|step| answers.iter().map(move |&answer| f32::from(u8::from(step == answer))));
        let ends: Vec<f32> = ends.flatten().collect();
        let ends = Tensor::<2>::from_data(TensorData::new(ends, [steps, batch]), &device).transpose();
        (ends * earned.reshape([batch, 1]))
            .add_scalar(self.rewards.step)
            .reshape([batch, steps, 1])
    }
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
        let decisions = context.no_grad(inputs, |inputs, context| Self::decide(inputs, context, &seen, &lengths))?;
        let Decisions { answers, drawn } = decisions;
        let [_, _, classes] = logits.dims();
        let at = |steps: &[usize]| {
            let rows = steps.iter().enumerate();
            let rows: Vec<i64> = rows.map(|(item, step)| (item * time + step) as i64).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
            logits.clone().reshape([batch * time, classes]).select(0, rows)
        };
        let answer = at(&answers);
        let lasts: Vec<usize> = lengths.as_slice().iter().map(|length| length - 1).collect();
        let whole = at(&lasts);
        let heard = answers.iter().map(|&step| ((step + 1) as f64 * self.step_s) as f32);
        let heard = Tensor::from_data(TensorData::new(heard.collect::<Vec<f32>>(), [batch, 1]), &device);
        let labels = inputs
            .labels("target")
            .unwrap_or_else(|_| Labels::new(vec![None; batch]));
        // Of items without a label the policy learns nothing.
        let of_labelled = |(&answer, label): (&usize, &Option<u32>)| label.map_or(0, |_| answer + 1);
        let steps = Lengths::new(answers.iter().zip(labels.as_slice()).map(of_labelled).collect());
        let longest = answers.iter().max().map_or(0, |last| last + 1);
        let reward = self.rewards(&answers, answer.clone().inner(), &labels, longest);
        let mask = steps.mask(longest, &reward.device()).unsqueeze_dim::<3>(2);
        let frames = |x: Tensor<3>| Value::Frames(x.narrow(1, 0, longest) * mask.clone(), steps.clone());
        Ok(vec![
            ("", Value::Logits(answer)),
            ("whole", Value::Logits(whole)),
            ("heard", Value::Vector(heard)),
            (ROLLOUT.state, frames(seen)),
            (ROLLOUT.taken, frames(drawn)),
            (ROLLOUT.reward, frames(reward)),
        ])
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "classes")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;
    use emorun_nn::draw::DrawKey;
    use emorun_nn::precision::Precision;

    use super::*;
    use crate::policies::action::ActionSpace;
    use crate::policies::joint::JointSpace;
    use crate::policies::layer::{PolicyLayer, Sizes};

    /// A head of 4 hidden numbers and 2 classes on frames of width 3, and the policy that it holds.
    fn layers(device: &Device) -> (EarlyClassifierLayer, PolicyLayer) {
        let head = EarlyClassifierLayer {
            gru: GruSizes::forward(3, 4).build(device),
            classes: Dense::new(4, 2).build(device),
            stack: 1,
            dropout: 0.0,
            rewards: Rewards {
                right: 1.0,
                wrong: -1.0,
                step: -0.25,
            },
            step_s: 0.5,
        };
        let sizes = Sizes {
            state: 6,
            hidden: &[5],
            critic: true,
        };
        let space = JointSpace::alike(ActionSpace::Choices(vec![0.0, 0.0, 1.0]), 1);
        (head, PolicyLayer::learned(space, sizes, 1.0, device))
    }

    fn context() -> Context {
        Context {
            training: true,
            step: DrawKey::root(4),
            epoch: DrawKey::root(4),
            items: (0..3).map(|item| item.to_string()).collect(),
            precision: Precision::default(),
            progress: 0.0,
            segments: None,
        }
    }

    #[test]
    fn a_rollout_leaves_no_graph_and_is_what_asking_step_by_step_gives() {
        let device = Device::flex().autodiff();
        let (head, policy) = layers(&device);
        let numbers: Vec<f32> = (0..3 * 6 * 3).map(|at| (at as f32 * 0.7).sin()).collect();
        let frames = Tensor::<3>::from_data(TensorData::new(numbers, [3, 6, 3]), &device);
        let mut inputs = Ports::default();
        inputs.insert("input".into(), Value::Frames(frames, Lengths::new(vec![6, 5, 2])));
        let labels = Labels::new(vec![Some(0), None, Some(1)]);
        inputs.insert("target".into(), Value::Labels(labels));
        inputs.hold(HELD.into(), Arc::new(policy.clone()));
        let context = context();
        let given = head.forward(&inputs, &context).unwrap();
        let port = |name: &str| &given.iter().find(|(port, _)| *port == name).unwrap().1;
        let Value::Logits(answer) = port("") else { panic!() };
        assert!(answer.is_tracked(), "the answer has a gradient");
        let of = |name: &str| match port(name) {
            Value::Frames(frames, lengths) => {
                assert!(!frames.is_autodiff() && !frames.is_tracked(), "{name}");
                (frames.clone(), lengths.as_slice().to_vec())
            }
            other => panic!("{other:?}"),
        };
        let (states, lengths) = of(ROLLOUT.state);
        let (taken, _) = of(ROLLOUT.taken);
        let (rewards, _) = of(ROLLOUT.reward);
        assert_eq!(lengths[1], 0, "nothing is learned of an item without a label");
        let values = |x: Tensor<3>, item: usize| -> Vec<f32> {
            let own = x.narrow(0, item, 1).narrow(1, 0, lengths[item]);
            own.into_data().iter::<f32>().collect()
        };
        for item in [0, 2] {
            let rewards = values(rewards.clone(), item);
            let (last, listened) = rewards.split_last().unwrap();
            assert!(
                listened.iter().all(|&reward| reward == -0.25) && last.abs() == 1.0,
                "{rewards:?}"
            );
        }
        // Step by step, as a node whose states follow from its actions asks.
        for step in 0..2 {
            let mut asked = Ports::default();
            let state = states.clone().narrow(1, step, 1).reshape([3, 6]);
            asked.insert(STATE.into(), Value::Vector(state));
            let alone = policy.forward(&asked, &context.within(&step.to_string())).unwrap();
            let Value::Vector(drawn) = &alone[1].1 else { panic!() };
            let drawn: Vec<f32> = drawn.to_data().iter::<f32>().collect();
            for item in [0, 2].into_iter().filter(|&item| lengths[item] > step) {
                assert_eq!(
                    values(taken.clone(), item)[step],
                    drawn[item],
                    "item {item}, step {step}"
                );
            }
        }
        // What is learned of the answer does not reach the policy.
        let mut gradients = answer.clone().sum().backward();
        let all = burn::optim::GradientsParams::from_module(&mut gradients, &policy);
        assert!(all.is_empty());
    }
}
