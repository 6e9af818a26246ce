//! What policies met, as tensors on the device.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use emorun_nn::value::Lengths;
use emorun_nn::waits;
use serde::{Deserialize, Serialize};

/// One step of a policy that chooses between epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it saw.
    pub state: Vec<f64>,
    /// What it drew.
    pub drawn: Vec<f64>,
    /// What came of it.
    pub reward: f64,
}

/// Steps between epochs that follow each other: a handful of numbers, which the loop's state holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// The steps.
    pub steps: Vec<Step>,
    /// The state behind the last, where the episode goes on from there; none where it is over.
    pub next: Option<Vec<f64>>,
}

/// Episodes side by side on one device, without autodiff; zero behind each one's steps, of which it has at least one.
#[derive(Clone, Debug)]
pub struct Episodes {
    /// What was seen, `[episodes, steps, state]`.
    states: Tensor<3>,
    /// What was drawn, `[episodes, steps, actions]`.
    drawn: Tensor<3>,
    /// What came of it, `[episodes, steps]`.
    rewards: Tensor<2>,
    /// Steps of each.
    lengths: Vec<usize>,
    /// The state behind the last step, `[episodes, state]`; zero where the episode is over.
    next: Tensor<2>,
    /// Whether it goes on behind the last step.
    goes_on: Vec<bool>,
}

/// The steps of some episodes, one after the other, and where they stand.
#[derive(Clone, Debug)]
pub struct Steps {
    /// What was seen, `[steps, state]`.
    pub states: Tensor<2>,
    /// What was drawn, `[steps, actions]`.
    pub drawn: Tensor<2>,
    /// What came of it, `[steps]`.
    pub rewards: Tensor<1>,
    /// Number of steps.
    pub count: usize,
    /// Steps of the longest episode.
    longest: usize,
    /// Where each step stands among episodes that end at the last column.
    places: Tensor<1, Int>,
    /// Which step stands at each place of these; one behind the last where none does.
    steps_at: Tensor<1, Int>,
}

impl Steps {
    /// Numbers of the steps as episodes that end at the last column, zero in front of shorter ones.
    ///
    /// # Shapes
    /// - `numbers`: `[steps]`
    /// - output: `[episodes, steps]`
    pub fn to_episodes(&self, numbers: Tensor<1>) -> Tensor<2> {
        let none = Tensor::zeros([1], &numbers.device());
        let numbers = Tensor::cat(vec![numbers, none], 0).select(0, self.steps_at.clone());
        let [places] = numbers.dims();
        numbers.reshape([places / self.longest, self.longest])
    }

    /// The way back from [`Steps::to_episodes`].
    pub fn of_episodes(&self, numbers: Tensor<2>) -> Tensor<1> {
        let [episodes, steps] = numbers.dims();
        numbers.reshape([episodes * steps]).select(0, self.places.clone())
    }
}

impl Episodes {
    /// An episode between epochs; `None` for one without steps.
    pub fn of(episode: &Episode, device: &Device) -> Option<Self> {
        let count = episode.steps.len();
        let first = episode.steps.first()?;
        let rows = |of: fn(&Step) -> &[f64], width: usize| {
            let numbers = episode.steps.iter().flat_map(of);
            let numbers: Vec<f32> = numbers.map(|&number| number as f32).collect();
            Tensor::from_data(TensorData::new(numbers, [1, count, width]), device)
        };
        let width = first.state.len();
        let next = match &episode.next {
            Some(next) => next.iter().map(|&number| number as f32).collect(),
            None => vec![0f32; width],
        };
        Some(Self {
            states: rows(|step| &step.state, width),
            drawn: rows(|step| &step.drawn, first.drawn.len()),
            rewards: rows(|step| std::slice::from_ref(&step.reward), 1).reshape([1, count]),
            lengths: vec![count],
            next: Tensor::from_data(TensorData::new(next, [1, width]), device),
            goes_on: vec![episode.next.is_some()],
        })
    }

    /// What a node gives of its steps, an episode an item, each over at its end; `None` where no item has a step.
    ///
    /// # Shapes
    /// - `states`: parts of `[items, steps, width]`, which stand side by side
    /// - `drawn`: `[items, steps, actions]`
    /// - `rewards`: `[items, steps, 1]`
    pub fn rollout(states: Vec<Tensor<3>>, drawn: Tensor<3>, rewards: Tensor<3>, lengths: &Lengths) -> Option<Self> {
        let longest = lengths.longest();
        let items: Vec<usize> = (0..lengths.as_slice().len())
            .filter(|&item| lengths.as_slice()[item] > 0)
            .collect();
        if items.is_empty() {
            return None;
        }
        let lengths: Vec<usize> = items.iter().map(|&item| lengths.as_slice()[item]).collect();
        let device = drawn.device().inner();
        let rows = indices(&items, &device);
        let padding = Lengths::new(lengths.clone()).mask(longest, &device).lower_elem(0.5);
        let own = |x: Tensor<3>| {
            let x = x.inner().narrow(1, 0, longest).select(0, rows.clone());
            let padding = padding.clone().unsqueeze_dim::<3>(2).expand(x.shape());
            x.mask_fill(padding, 0.0)
        };
        let states = own(Tensor::cat(states, 2));
        let [_, _, width] = states.dims();
        let count = items.len();
        Some(Self {
            states,
            drawn: own(drawn),
            rewards: own(rewards).reshape([count, longest]),
            next: Tensor::zeros([count, width], &device),
            goes_on: vec![false; count],
            lengths,
        })
    }

    /// Number of episodes.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// Number of steps of all of them.
    pub fn steps(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The same on another device.
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            states: self.states.to_device(device),
            drawn: self.drawn.to_device(device),
            rewards: self.rewards.to_device(device),
            next: self.next.to_device(device),
            ..self
        }
    }

    /// All of them side by side; `None` of none.
    pub fn joined(groups: Vec<Self>) -> Option<Self> {
        let longest = groups.iter().flat_map(|group| group.lengths.iter().copied()).max()?;
        let padded = |x: Tensor<3>| {
            let [count, steps, width] = x.dims();
            if steps == longest {
                return x;
            }
            let behind = Tensor::zeros([count, longest - steps, width], &x.device());
            Tensor::cat(vec![x, behind], 1)
        };
        let (mut states, mut drawn, mut rewards, mut next) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut lengths, mut goes_on) = (Vec::new(), Vec::new());
        for group in groups {
            states.push(padded(group.states));
            drawn.push(padded(group.drawn));
            rewards.push(padded(group.rewards.unsqueeze_dim(2)));
            next.push(group.next);
            lengths.extend(group.lengths);
            goes_on.extend(group.goes_on);
        }
        let count = lengths.len();
        Some(Self {
            states: Tensor::cat(states, 0),
            drawn: Tensor::cat(drawn, 0),
            rewards: Tensor::cat(rewards, 0).reshape([count, longest]),
            next: Tensor::cat(next, 0),
            lengths,
            goes_on,
        })
    }

    /// Those behind the first ones; `None` where there are none.
    pub fn behind(&self, first: usize) -> Option<Self> {
        let count = self.count().checked_sub(first).filter(|&count| count > 0)?;
        Some(Self {
            states: self.states.clone().narrow(0, first, count),
            drawn: self.drawn.clone().narrow(0, first, count),
            rewards: self.rewards.clone().narrow(0, first, count),
            next: self.next.clone().narrow(0, first, count),
            lengths: self.lengths[first..].to_vec(),
            goes_on: self.goes_on[first..].to_vec(),
        })
    }

    /// The states behind the last steps, `[episodes, state]`, and `1` for each episode that goes on there, `[episodes]`;
    /// `None` where all are over.
    pub fn next(&self) -> Option<(Tensor<2>, Tensor<1>)> {
        let goes_on: Vec<f32> = self.goes_on.iter().map(|&on| f32::from(u8::from(on))).collect();
        let goes_on = Tensor::from_data(TensorData::new(goes_on, [self.count()]), &self.next.device());
        self.goes_on.contains(&true).then(|| (self.next.clone(), goes_on))
    }

    /// The steps, an episode after the other.
    pub fn to_steps(&self) -> Steps {
        let [episodes, longest, state] = self.states.dims();
        let [_, _, actions] = self.drawn.dims();
        let count = self.steps();
        let (mut stored, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut steps_at = vec![count; episodes * longest];
        for (episode, &length) in self.lengths.iter().enumerate() {
            for step in 0..length {
                let place = (episode + 1) * longest - length + step;
                steps_at[place] = places.len();
                places.push(place);
                stored.push(episode * longest + step);
            }
        }
        let device = self.states.device();
        let stored = indices(&stored, &device);
        let rows = episodes * longest;
        Steps {
            states: self.states.clone().reshape([rows, state]).select(0, stored.clone()),
            drawn: self.drawn.clone().reshape([rows, actions]).select(0, stored.clone()),
            rewards: self.rewards.clone().reshape([rows]).select(0, stored),
            count,
            longest,
            places: indices(&places, &device),
            steps_at: indices(&steps_at, &device),
        }
    }

    /// The episodes as tensors to be stored under names that begin with `prefix`.
    pub fn store(self, prefix: &str) -> BTreeMap<String, TensorData> {
        let count = self.count();
        let row = |numbers: Vec<f32>| TensorData::new(numbers, [count]);
        let lengths = self.lengths.iter().map(|&length| length as f32).collect();
        let goes_on = self.goes_on.iter().map(|&on| f32::from(u8::from(on))).collect();
        let parts = [
            ("states", waits::data(self.states)),
            ("drawn", waits::data(self.drawn)),
            ("rewards", waits::data(self.rewards)),
            ("next", waits::data(self.next)),
            ("lengths", row(lengths)),
            ("goes_on", row(goes_on)),
        ];
        BTreeMap::from(parts.map(|(part, data)| (format!("{prefix}{part}"), data)))
    }

    /// Takes episodes out of what was stored; `None` where none are.
    ///
    /// # Errors
    /// Some of their tensors are there and others are not, or they do not fit each other.
    pub fn take(
        stored: &mut BTreeMap<String, TensorData>,
        prefix: &str,
        device: &Device,
    ) -> Result<Option<Self>, String> {
        let mut part = |name: &str| stored.remove(&format!("{prefix}{name}"));
        let parts = ["states", "drawn", "rewards", "next", "lengths", "goes_on"].map(|name| (name, part(name)));
        if parts.iter().all(|(_, data)| data.is_none()) {
            return Ok(None);
        }
        let [states, drawn, rewards, next, lengths, goes_on] = parts.map(|(name, data)| {
            let data = data.ok_or_else(|| format!("`{prefix}{name}` is missing"))?;
            Ok::<_, String>(data)
        });
        let (states, drawn, rewards, next) = (states?, drawn?, rewards?, next?);
        let lengths: Vec<usize> = lengths?.iter::<f32>().map(|length| length as usize).collect();
        let goes_on: Vec<bool> = goes_on?.iter::<f32>().map(|on| on != 0.0).collect();
        let count = lengths.len();
        let shape = |data: &TensorData| data.shape().iter().copied().collect::<Vec<usize>>();
        let fits = match (&shape(&states)[..], &shape(&drawn)[..]) {
            (&[episodes, steps, state], &[of_drawn, steps_drawn, _]) => {
                [episodes, of_drawn, goes_on.len()] == [count; 3]
                    && steps == steps_drawn
                    && shape(&rewards) == [count, steps]
                    && shape(&next) == [count, state]
                    && lengths.iter().all(|length| (1..=steps).contains(length))
            }
            _ => false,
        };
        if !fits {
            return Err(format!("the tensors of `{prefix}` do not fit each other"));
        }
        Ok(Some(Self {
            states: Tensor::from_data(states, device),
            drawn: Tensor::from_data(drawn, device),
            rewards: Tensor::from_data(rewards, device),
            next: Tensor::from_data(next, device),
            lengths,
            goes_on,
        }))
    }
}

/// Bit by bit, for which the tensors are read.
impl PartialEq for Episodes {
    fn eq(&self, other: &Self) -> bool {
        self.lengths == other.lengths
            && self.goes_on == other.goes_on
            && self.clone().store("") == other.clone().store("")
    }
}

fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(numbers: &[f32], steps: usize) -> Tensor<3> {
        let items = numbers.len() / steps;
        Tensor::from_data(TensorData::new(numbers.to_vec(), [items, steps, 1]), &Device::flex())
    }

    fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    /// Three items of 2, no and 1 step, with what is not finite behind them.
    fn rollout() -> Episodes {
        let nan = f32::NAN;
        let x = frames(&[1.0, 2.0, nan, nan, nan, nan, 3.0, nan, nan], 3);
        let lengths = Lengths::new(vec![2, 0, 1]);
        Episodes::rollout(vec![x.clone(), x.clone()], x.clone(), x, &lengths).unwrap()
    }

    #[test]
    fn steps_stand_one_after_the_other_and_what_is_behind_them_counts_for_nothing() {
        let episodes = rollout();
        assert_eq!((episodes.count(), episodes.steps()), (2, 3));
        let steps = episodes.to_steps();
        assert_eq!(numbers(steps.states.clone()), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(numbers(steps.rewards.clone()), [1.0, 2.0, 3.0]);
        let aligned = steps.to_episodes(steps.rewards.clone());
        assert_eq!(numbers(aligned.clone()), [1.0, 2.0, 0.0, 3.0]);
        assert_eq!(numbers(steps.of_episodes(aligned)), [1.0, 2.0, 3.0]);
        assert!(episodes.next().is_none(), "rollouts are over at their ends");
    }

    #[test]
    fn groups_are_joined_whatever_their_lengths_and_stored_to_the_same_bits() {
        let step = |number: f64| Step {
            state: vec![number, -number],
            drawn: vec![number],
            reward: 0.1 * number,
        };
        let between = Episode {
            steps: (1..=4).map(|at| step(f64::from(at))).collect(),
            next: Some(vec![9.0, 8.0]),
        };
        let device = Device::flex();
        let between = Episodes::of(&between, &device).unwrap();
        let all = Episodes::joined(vec![rollout(), between]).unwrap();
        let steps = all.to_steps();
        assert_eq!(numbers(steps.drawn.clone()), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0]);
        let (next, goes_on) = all.next().unwrap();
        assert_eq!(numbers(goes_on), [0.0, 0.0, 1.0]);
        assert_eq!(numbers(next), [0.0, 0.0, 0.0, 0.0, 9.0, 8.0]);
        let mut stored = all.clone().store("guide.waiting.");
        let read = Episodes::take(&mut stored, "guide.waiting.", &device).unwrap().unwrap();
        assert!(stored.is_empty() && read == all);
        assert_eq!(all.behind(2).unwrap().steps(), 4);
        assert!(all.behind(3).is_none());
    }

    #[test]
    fn what_is_stored_in_part_is_refused() {
        let device = Device::flex();
        let none = Episodes::take(&mut BTreeMap::new(), "a.", &device).unwrap();
        assert!(none.is_none());
        let mut stored = rollout().store("a.");
        stored.remove("a.drawn");
        let error = Episodes::take(&mut stored, "a.", &device).unwrap_err();
        assert_eq!(error, "`a.drawn` is missing");
        let mut stored = rollout().store("a.");
        stored.insert("a.lengths".into(), TensorData::new(vec![2f32, 9.0], [2]));
        assert!(Episodes::take(&mut stored, "a.", &device).unwrap_err().contains("fit"));
    }
}
