//! What a policy met in rollouts and has not learned from yet.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use emorun_nn::waits;
use emorun_nodes::parameters::NamedTensors;
use emorun_nodes::policies::episodes::Episodes;
use emorun_nodes::policies::layer::PolicyLayer;

/// Episodes on the device, which are stored as they are, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    episodes: Vec<Episodes>,
    /// How many of them, from the first, are counted in the epoch's line.
    counted: usize,
}

/// Sums over episodes, for the epoch's line.
#[derive(Debug)]
pub(super) struct Met {
    episodes: u64,
    steps: u64,
    /// Of all rewards.
    reward: f64,
    /// Of each action.
    actions: Vec<f64>,
}

impl Met {
    /// Each sum with its name and how many numbers it is of.
    pub(super) fn named(self, actions: &[String]) -> Vec<(String, f64, u64)> {
        let of_actions = actions.iter().zip(self.actions);
        std::iter::once(("reward".to_owned(), self.reward, self.episodes))
            .chain(of_actions.map(|(name, sum)| (format!("action.{name}"), sum, self.steps)))
            .collect()
    }
}

impl Waiting {
    pub(super) fn push(&mut self, episodes: Episodes) {
        self.episodes.push(episodes);
    }

    /// Steps that wait.
    pub(super) fn steps(&self) -> usize {
        self.episodes.iter().map(Episodes::steps).sum()
    }

    /// Sums over the episodes that were not counted yet; `None` where there are none. Reads the device once.
    ///
    /// # Errors
    /// What the policy did with a number that is not finite.
    pub(super) fn count(&mut self, policy: &PolicyLayer) -> Result<Option<Met>, &'static str> {
        let Some(all) = Episodes::joined(std::mem::take(&mut self.episodes)) else {
            return Ok(None);
        };
        let new = all.behind(self.counted);
        self.counted = all.count();
        self.episodes.push(all);
        let Some(new) = new else { return Ok(None) };
        let steps = new.to_steps();
        let not_finite = |x: Tensor<2>| x.is_finite().bool_not().float().sum();
        let actions = policy.actions();
        let numbers = Tensor::cat(
            vec![
                not_finite(steps.states),
                not_finite(steps.drawn.clone()),
                not_finite(steps.rewards.clone().unsqueeze_dim(1)),
                steps.rewards.sum(),
                policy.values(&steps.drawn).sum_dim(0).reshape([actions]),
            ],
            0,
        );
        let numbers: Vec<f64> = waits::numbers(numbers).into_iter().map(f64::from).collect();
        for (does, not_finite) in ["sees", "draws", "is rewarded with"].into_iter().zip(&numbers) {
            if *not_finite > 0.0 {
                return Err(does);
            }
        }
        Ok(Some(Met {
            episodes: new.count() as u64,
            steps: steps.count as u64,
            reward: numbers[3],
            actions: numbers[4..].to_vec(),
        }))
    }

    /// All that wait, of which none do then.
    pub(super) fn take(&mut self) -> Vec<Episodes> {
        self.counted = 0;
        std::mem::take(&mut self.episodes)
    }

    /// Adds what waits to what is stored.
    pub(super) fn save(&self, policy: &str, tensors: &mut NamedTensors, counters: &mut BTreeMap<String, u64>) {
        if let Some(all) = Episodes::joined(self.episodes.clone()) {
            tensors.extend(all.store(&prefix(policy)));
            counters.insert(format!("{}counted", prefix(policy)), self.counted as u64);
        }
    }

    /// Takes what waited out of what was stored.
    ///
    /// # Errors
    /// Some of its tensors are missing, or do not fit each other.
    pub(super) fn load(
        policy: &str,
        tensors: &mut NamedTensors,
        counters: &mut BTreeMap<String, u64>,
        device: &Device,
    ) -> Result<Self, String> {
        let counted = counters.remove(&format!("{}counted", prefix(policy))).unwrap_or(0);
        let episodes = Episodes::take(tensors, &prefix(policy), device)?;
        Ok(Self {
            episodes: episodes.into_iter().collect(),
            counted: counted as usize,
        })
    }
}

/// Start of the names under which a policy's episodes are stored.
fn prefix(policy: &str) -> String {
    format!("{policy}.waiting.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use emorun_nodes::policies::action::ActionSpace;
    use emorun_nodes::policies::episodes::{Episode, Step};
    use emorun_nodes::policies::joint::JointSpace;
    use emorun_nodes::policies::layer::Choice;

    fn episodes(state: f64, drawn: f64, reward: f64) -> Episodes {
        let step = |reward| Step {
            state: vec![0.5, state],
            drawn: vec![drawn],
            reward,
        };
        let episode = Episode {
            steps: vec![step(reward), step(1.0)],
            next: None,
        };
        Episodes::of(&episode, &Device::flex()).unwrap()
    }

    fn policy() -> PolicyLayer {
        let space = JointSpace::alike(ActionSpace::Choices(vec![5.0, 7.0]), 1);
        PolicyLayer::unlearned(space, Choice::Random)
    }

    #[test]
    fn a_number_that_is_not_finite_is_told_by_what_it_was() {
        let nan = f64::NAN;
        for (episodes, does) in [
            (episodes(nan, 0.0, 0.0), "sees"),
            (episodes(0.0, 0.0, nan), "is rewarded with"),
            (episodes(0.0, 0.0, f64::INFINITY), "is rewarded with"),
        ] {
            let mut waiting = Waiting::default();
            waiting.push(episodes);
            assert_eq!(waiting.count(&policy()).unwrap_err(), does);
        }
    }

    #[test]
    fn each_episode_is_counted_once_and_waits_across_a_kill() {
        let mut waiting = Waiting::default();
        assert!(waiting.count(&policy()).unwrap().is_none());
        waiting.push(episodes(0.0, 1.0, 2.0));
        let met = waiting.count(&policy()).unwrap().unwrap().named(&["answer".to_owned()]);
        let expected = [("reward".to_owned(), 3.0, 1), ("action.answer".to_owned(), 14.0, 2)];
        assert_eq!(met, expected);
        waiting.push(episodes(0.0, 0.0, -4.0));
        let (mut tensors, mut counters) = (NamedTensors::new(), BTreeMap::new());
        waiting.save("listen", &mut tensors, &mut counters);
        let mut read = Waiting::load("listen", &mut tensors, &mut counters, &Device::flex()).unwrap();
        assert!(tensors.is_empty() && counters.is_empty());
        for waiting in [&mut waiting, &mut read] {
            let met = waiting.count(&policy()).unwrap().unwrap().named(&["answer".to_owned()]);
            assert_eq!(met[0], ("reward".to_owned(), -3.0, 1));
            assert_eq!(waiting.steps(), 4);
            assert!(waiting.count(&policy()).unwrap().is_none());
        }
        assert_eq!(Episodes::joined(waiting.take()), Episodes::joined(read.take()));
    }
}
