//! Policies: against others' implementations, and on tasks whose optimum is known.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_engine::settings::Training;
use emorun_engine::train::policy::Policies;
use emorun_engine::train::state::LoopState;
use emorun_engine::train::{Moment, StepNames};
use emorun_lang::{InputSignals, NodeSpec, Signal};
use emorun_nn::facts::Facts;
use emorun_nn::node::{Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::value::{Lengths, PortId, Value, Values};
use emorun_nodes::network::{Needed, Network, Wired};
use emorun_nodes::parameters::{NamedTensors, collect, restore};
use emorun_nodes::policies::episodes::{Episode, Episodes, Step};
use serde_json::{Value as Json, json};

use crate::networks::{assert_near, config, data, device, frames_signal, network, numbers, turn, wired};
use crate::policy_values::{array, doubles, floats, golden, stored};

/// How the loop would be set up; policies take little of it.
fn training() -> Training {
    let settings = json!({ "epochs": 1, "batch_size": 1, "optimizer": { "kind": "sgd", "lr": 0.1 } });
    serde_json::from_value(settings).unwrap()
}

/// A policy `guide` that learns from the rollouts of `steering`, which has states of a width.
fn guide(kind: &str, fields: &Json, width: usize) -> Wired {
    let actions = fields["actions"].as_object().map_or(1, |actions| actions.len());
    let inputs = [
        ("state.0", "state", width),
        ("taken", "taken", actions),
        ("reward", "reward", 1),
    ]
    .map(|(port, from, width)| (port.to_owned(), PortId::new("steering", from), frames_signal(width)));
    let config = config(kind, fields, &[]);
    let signals = inputs.iter().map(|(port, _, signal)| (port.clone(), signal)).collect();
    let inferred = config.infer(&InputSignals::new(signals), &Facts::default()).unwrap();
    Wired {
        name: "guide".into(),
        config,
        inputs: inputs.into(),
        outputs: inferred.outputs,
        uses: Vec::new(),
        needed: Needed {
            train: true,
            evaluate: true,
            predict: true,
        },
    }
}

/// Fields of a policy that learns from a rollout.
fn fields(action: Json, more: Json) -> Json {
    let mut fields = json!({
        "state": ["steering.state"],
        "action": action,
        "taken": "steering.taken",
        "reward": "steering.reward",
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fields
}

#[test]
fn whole_updates_are_those_of_pytorch() {
    let _turn = turn();
    for case in array(&golden()["updates"]) {
        let is_ppo = case["rule"] == "ppo";
        let mut more = json!({ "horizon": 11, "hidden": [4], "gamma": 0.9, "lr": 0.02, "entropy_weight": 0.01,
            "clip_advantages": case["clip_advantages"] });
        if is_ppo {
            more["lambda"] = 0.8.into();
            more["passes"] = 3.into();
        }
        let action = if is_ppo {
            json!({ "between": [0.0, 1.0] })
        } else {
            json!({ "choices": [0.0, 0.25, 1.0] })
        };
        let kind = case["rule"].as_str().unwrap();
        let mut network = network(vec![guide(kind, &fields(action, more), 3)], 1);
        let weights: NamedTensors = case["before"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, tensor)| (name.clone(), stored(tensor)))
            .collect();
        restore(&mut network, weights).unwrap();
        let mut policies = Policies::new(&training(), &network, &device());
        let (states, drawn, rewards) = (
            doubles(&case["states"]),
            doubles(&case["drawn"]),
            doubles(&case["rewards"]),
        );
        let steps = states.chunks(3).zip(drawn).zip(rewards);
        let steps: Vec<Step> = steps
            .map(|((state, drawn), reward)| Step {
                state: state.to_vec(),
                drawn: vec![drawn],
                reward,
            })
            .collect();
        let (first, second) = steps.split_at(6);
        let mut state = LoopState::default();
        for (steps, next) in [(first, None), (second, Some(doubles(&case["next"])))] {
            let episode = Episode {
                steps: steps.to_vec(),
                next,
            };
            let episodes = Episodes::of(&episode, &device()).unwrap();
            state.seen.rollouts.push(("guide".into(), episodes));
        }
        policies
            .after_step(&mut network, &mut state, &StepNames::new(1))
            .unwrap();
        let after = collect(&network);
        let expected = case["after"].as_object().unwrap();
        assert_eq!(after.len(), expected.len());
        for (name, golden) in expected {
            let found: Vec<f32> = after[name].iter::<f32>().collect();
            assert_near(&found, &floats(golden), 2e-5, &format!("{kind} {name}"));
            assert_ne!(found, floats(&case["before"][name]), "{kind} {name} has moved");
        }
    }
}

/// Steps of an episode that steers.
const STEPS: usize = 4;
/// What steering costs for each square of an action.
const EFFORT: f64 = 0.5;

/// A rollout node, as a guided sampler is one: in each step it asks the policy that it holds, moves by
/// the action, and rewards it by how much nearer to 0 that brought it, less the effort. The nearness
/// telescopes: its sum is what the whole way has brought.
#[derive(Module, Debug)]
struct Steering {
    #[module(skip)]
    steps: usize,
}

impl Layer for Steering {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let policy = inputs.held("uses.policy")?;
        let mut x = inputs.vector("input")?;
        let device = x.device();
        let [batch, _] = x.dims();
        let (mut states, mut taken, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..self.steps {
            let time = Tensor::<2>::full([batch, 1], step as f64 / self.steps as f64, &device);
            let state = Tensor::cat(vec![x.clone(), time], 1);
            let mut ports = Ports::default();
            ports.insert("state".into(), Value::Vector(state.clone()));
            let mut answer = policy.call(&ports, &context.within(&step.to_string()))?.into_iter();
            let (Some((_, Value::Vector(action))), Some((_, Value::Vector(drawn)))) = (answer.next(), answer.next())
            else {
                return Err(NodeError::Missing("uses.policy".into()));
            };
            let moved = x.clone() + action.clone();
            let nearer = x.clone() * x - moved.clone() * moved.clone();
            rewards.push(nearer - (action.clone() * action).mul_scalar(EFFORT));
            states.push(state);
            taken.push(drawn);
            x = moved;
        }
        let lengths = Lengths::new(vec![self.steps; batch]);
        let frames = |steps: Vec<Tensor<2>>| Value::Frames(Tensor::stack(steps, 1), lengths.clone());
        Ok(vec![
            ("state", frames(states)),
            ("taken", frames(taken)),
            ("reward", frames(rewards)),
            ("end", Value::Vector(x)),
        ])
    }
}

/// Chooses once, in the state `x`, and is rewarded by how near the action is to `(x + 1) / 2`.
#[derive(Module, Debug)]
struct Bandit {
    #[module(skip)]
    steps: usize,
}

impl Layer for Bandit {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        let [batch, _] = x.dims();
        let mut ports = Ports::default();
        ports.insert("state".into(), Value::Vector(x.clone()));
        let mut answer = inputs.held("uses.policy")?.call(&ports, context)?.into_iter();
        let (Some((_, Value::Vector(action))), Some((_, Value::Vector(drawn)))) = (answer.next(), answer.next()) else {
            return Err(NodeError::Missing("uses.policy".into()));
        };
        let miss = action - x.clone().add_scalar(1.0).mul_scalar(0.5);
        let lengths = Lengths::new(vec![self.steps; batch]);
        let frames = |step: Tensor<2>| Value::Frames(step.unsqueeze_dim(1), lengths.clone());
        Ok(vec![
            ("state", frames(x)),
            ("taken", frames(drawn)),
            ("reward", frames((miss.clone() * miss).neg())),
        ])
    }
}

/// A network in which `steering` holds the policy `guide`: any node may, this one is of a kind that
/// exists.
fn held(kind: &str, fields: &Json, width: usize, seed: u64) -> Network {
    let vector = Signal::Vector { width: 1 };
    let mut steering = wired(
        "steering",
        "linear",
        &json!({ "width": 1 }),
        &[("input", data("start"), vector)],
    );
    steering.uses.push(("uses.policy".into(), "guide".into()));
    network(vec![steering, guide(kind, fields, width)], seed)
}

fn starts(step: u64, items: usize) -> Vec<f32> {
    // Even over [−1, 1], a little further each step.
    let shift = step as f32 * 0.618_034;
    let place = |item: usize| (item as f32 / items as f32 + shift).fract();
    (0..items).map(|item| 2.0 * place(item) - 1.0).collect()
}

/// Runs a rollout node on items that begin at `starts`.
fn roll(layer: &impl Layer, network: &Network, starts: &[f32], step: u64, training: bool) -> Values {
    let start = TensorData::new(starts.to_vec(), [starts.len(), 1]);
    let start = Value::Vector(Tensor::from_data(start, &device()));
    let mut values = Values::from([(data("start"), start)]);
    let moment = Moment {
        step,
        micro_batch: 0,
        epoch: 0,
        progress: 0.0,
    };
    let items = (0..starts.len()).map(|item| item.to_string()).collect();
    let names = StepNames::new(1).training(&moment, items);
    let context = Context {
        training,
        step: names.step.with("steering"),
        epoch: names.epoch.with("steering"),
        items: names.items,
        precision: Precision::default(),
        progress: 0.0,
        segments: None,
    };
    for (port, value) in layer.forward(&network.ports(0, &values), &context).unwrap() {
        values.insert(PortId::new("steering", port), value);
    }
    values
}

/// Sum of the rewards of each item.
fn rewards(values: &Values) -> Vec<f32> {
    let Value::Frames(rewards, _) = &values[&PortId::new("steering", "reward")] else {
        panic!("rewards are frames");
    };
    let [batch, ..] = rewards.dims();
    numbers(rewards.clone().sum_dim(1).reshape([batch]))
}

/// A network with the policies and the state of its training.
struct Learning {
    network: Network,
    policies: Policies,
    state: LoopState,
}

impl Learning {
    fn new(network: Network) -> Self {
        Self {
            policies: Policies::new(&training(), &network, &device()),
            network,
            state: LoopState::default(),
        }
    }

    /// Goes through some steps of training, each with rollouts of so many items.
    fn go(&mut self, layer: &impl Layer, steps: Range<u64>, items: usize) {
        for step in steps {
            let values = roll(layer, &self.network, &starts(step, items), step, true);
            Policies::observe(&self.network, &values, &mut self.state.seen.rollouts);
            self.policies
                .after_step(&mut self.network, &mut self.state, &StepNames::new(1))
                .unwrap();
        }
    }
}

/// Trains for some steps; gives the mean reward of an episode without exploration afterwards.
fn trained(layer: &impl Layer, network: Network, steps: u64, items: usize) -> f64 {
    let mut learning = Learning::new(network);
    learning.go(layer, 0..steps, items);
    let reached = rewards(&roll(layer, &learning.network, &starts(0, 64), 0, false));
    reached.iter().map(|&reward| f64::from(reward)).sum::<f64>() / 64.0
}

#[test]
fn both_learners_steer_as_the_closed_form_does() {
    let _turn = turn();
    // The sum of the rewards is d² − (d − Σa)² − c Σa², greatest where each action is −d / (T + c).
    let best: f64 = starts(0, 64)
        .iter()
        .map(|&d| f64::from(d).powi(2) * STEPS as f64 / (STEPS as f64 + EFFORT))
        .sum::<f64>()
        / 64.0;
    let action = json!({ "between": [-1.0, 1.0] });
    let ppo = json!({ "horizon": 128, "gamma": 1.0, "lambda": 0.95, "lr": 5.0e-3, "minibatch": 64, "passes": 8 });
    let reinforce = json!({ "horizon": 128, "gamma": 1.0, "lr": 5.0e-3 });
    for (kind, more, updates) in [("ppo", ppo, 40), ("reinforce", reinforce, 400)] {
        for seed in 1..=3 {
            let network = held(kind, &fields(action.clone(), more.clone()), 2, seed);
            let layer = Steering { steps: STEPS };
            let before = rewards(&roll(&layer, &network, &starts(0, 64), 0, false));
            assert!(before.iter().sum::<f32>() / 64.0 < 0.3 * best as f32);
            let reached = trained(&layer, network, updates, 32);
            assert!(reached > 0.93 * best, "{kind} {seed}: {reached} of {best}");
            assert!(
                reached <= best + 1e-5,
                "{kind} {seed}: no policy is better than the best"
            );
        }
    }
}

#[test]
fn both_learners_find_the_best_of_several_choices() {
    let _turn = turn();
    let choices = [0.0, 0.5, 1.0];
    let best: f64 = starts(0, 64)
        .iter()
        .map(|&x| (f64::from(x) + 1.0) / 2.0)
        .map(|wanted| {
            let misses = choices.iter().map(|choice: &f64| (choice - wanted).powi(2));
            -misses.fold(f64::INFINITY, f64::min)
        })
        .sum::<f64>()
        / 64.0;
    let ppo = json!({ "horizon": 64, "lr": 1.0e-2, "minibatch": 64, "passes": 6 });
    let mean = json!({ "horizon": 64, "lr": 5.0e-3, "baseline": "moving_mean", "entropy_weight": 0.05 });
    for (kind, more, updates) in [("ppo", ppo, 80), ("reinforce", mean, 400)] {
        for seed in 1..=3 {
            let fields = fields(json!({ "choices": choices }), more.clone());
            let network = held(kind, &fields, 1, seed);
            let reached = trained(&Bandit { steps: 1 }, network, updates, 64);
            // Squared misses: of the best choice 0.021, of always the same one 0.083.
            assert!(reached > best - 0.006, "{kind} {seed}: {reached}, the best is {best}");
        }
    }
}

/// Chooses in the state `x` how far to go, rewarded by how near that is to `(x + 1) / 2`, and whether to stop, which
/// earns a point where `x` is positive and costs one elsewhere.
#[derive(Module, Debug)]
struct GoOrStop {
    #[module(skip)]
    steps: usize,
}

impl Layer for GoOrStop {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        context.no_grad(inputs, |inputs, context| {
            let x = inputs.vector("input")?;
            let [batch, _] = x.dims();
            let lengths = Lengths::new(vec![self.steps; batch]);
            let frames = |step: Tensor<2>| Value::Frames(step.unsqueeze_dim(1), lengths.clone());
            // With frames, as no state follows from an action.
            let mut asked = Ports::default();
            asked.insert("state".into(), frames(x.clone()));
            let mut answer = inputs.held("uses.policy")?.call(&asked, context)?.into_iter();
            let (Some((_, Value::Frames(actions, _))), Some((_, Value::Frames(drawn, _)))) =
                (answer.next(), answer.next())
            else {
                return Err(NodeError::Missing("uses.policy".into()));
            };
            let column = |at: usize| actions.clone().narrow(2, at, 1).reshape([batch, 1]);
            let miss = column(0) - x.clone().add_scalar(1.0).mul_scalar(0.5);
            let reward = column(1) * x.clone().sign() - miss.clone() * miss;
            let outputs = [("state", x), ("reward", reward)].map(|(port, step)| (port, frames(step)));
            let taken = [("taken", Value::Frames(drawn, lengths.clone()))];
            Ok(outputs.into_iter().chain(taken).collect())
        })
    }
}

#[test]
fn a_policy_learns_several_actions_of_different_kinds_at_once() {
    let _turn = turn();
    // By their names: `far` before `stop`.
    let actions = json!({ "stop": { "choices": [0, 1] }, "far": { "between": [-2.0, 2.0] } });
    let more = json!({ "horizon": 64, "lr": 1.0e-2, "minibatch": 64, "passes": 6, "actions": actions });
    let mut fields = fields(Json::Null, more);
    fields.as_object_mut().unwrap().remove("action");
    let network = held("ppo", &fields, 1, 1);
    let names: Vec<String> = collect(&network).keys().cloned().collect();
    let of = |name: &str| collect(&network)[name].shape().iter().copied().collect::<Vec<usize>>();
    assert_eq!(of("guide.networks.actor.last.weight")[1], 3, "{names:?}");
    assert_eq!(of("guide.networks.log_std"), [1], "one of them is between bounds");
    // Half of the starts are positive.
    let best = 0.5;
    let reached = trained(&GoOrStop { steps: 1 }, network, 80, 64);
    assert!(reached > best - 0.05 && reached <= best + 1e-6, "{reached} of {best}");
}

#[test]
fn a_held_policy_draws_for_each_item_alone() {
    let _turn = turn();
    let more = json!({ "horizon": 8 });
    let fields = fields(json!({ "between": [-1.0, 1.0] }), more);
    let network = held("ppo", &fields, 2, 1);
    let layer = Steering { steps: STEPS };
    let taken = |starts: &[f32], step: u64, training: bool| {
        let values = roll(&layer, &network, starts, step, training);
        let Value::Frames(taken, _) = &values[&PortId::new("steering", "taken")] else {
            panic!("what is taken are frames");
        };
        numbers(taken.clone())
    };
    let starts = [0.3, -0.8, 0.1];
    let beside = taken(&starts, 5, true);
    assert_near(&taken(&starts[..1], 5, true), &beside[..STEPS], 1e-6, "alone");
    assert_ne!(taken(&starts, 6, true), beside, "another step");
    assert_eq!(
        taken(&starts, 5, false),
        taken(&starts, 6, false),
        "nothing is drawn where nothing is learned"
    );
    // The rewards of nearing sum to what the way has brought.
    let values = roll(&layer, &network, &starts, 5, true);
    let Value::Vector(end) = &values[&PortId::new("steering", "end")] else {
        panic!("the end is a vector");
    };
    let actions: Vec<f64> = taken(&starts, 5, true)
        .iter()
        .map(|&drawn| f64::from(drawn).tanh())
        .collect();
    for ((found, actions), (start, end)) in rewards(&values)
        .iter()
        .zip(actions.chunks(STEPS))
        .zip(starts.iter().zip(numbers(end.clone())))
    {
        let effort = EFFORT * actions.iter().map(|action| action * action).sum::<f64>();
        let whole = f64::from(start * start - end * end) - effort;
        assert!((f64::from(*found) - whole).abs() < 1e-5, "{found} {whole}");
    }
}

#[test]
fn a_held_policy_goes_on_to_the_same_bits_from_what_is_stored() {
    let _turn = turn();
    // It learns behind every third step, so that what is stored holds some that it has not learned from.
    let more = json!({ "horizon": 24, "passes": 2, "minibatch": 10, "hidden": [4] });
    let fields = fields(json!({ "between": [-1.0, 1.0] }), more);
    let layer = Steering { steps: STEPS };
    let mut whole = Learning::new(held("ppo", &fields, 2, 1));
    whole.go(&layer, 0..5, 2);
    let (mut tensors, mut counters) = (NamedTensors::new(), BTreeMap::new());
    whole.policies.save(&mut tensors, &mut counters);
    assert!(!tensors.is_empty(), "it has learned");
    let state = serde_json::to_string(&whole.state).unwrap();
    let mut network = held("ppo", &fields, 2, 9);
    restore(&mut network, collect(&whole.network)).unwrap();
    let mut resumed = Learning::new(network);
    resumed.policies.load(&mut tensors, &mut counters).unwrap();
    assert!(tensors.is_empty() && counters.is_empty());
    resumed.state = serde_json::from_str(&state).unwrap();
    assert_eq!(resumed.state, whole.state);
    for learning in [&mut whole, &mut resumed] {
        learning.go(&layer, 5..11, 2);
    }
    assert_eq!(collect(&resumed.network), collect(&whole.network));
    assert_eq!(resumed.state, whole.state);
}
