//! All actions of a step together, drawn and judged on the device.

use std::ops::Range;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::action::ActionSpace;

/// `ln(2π)`
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// The actions of a step: one column each, wherever actions are drawn, stored or taken.
///
/// They are independent given the state, so that log-probabilities and entropies add up. What is drawn, and stored, of an
/// action between bounds is the Gaussian number before tanh; of a choice, its place.
///
/// A squashed Gaussian and not a Beta distribution, which is bounded by itself but needs the logarithm of the gamma
/// function, with its gradient, which Burn does not have. Of a squashed action log-probability and entropy are those of
/// the number before tanh: the density's change of variables is the same under the old and the new policy, and so falls
/// out of every ratio and gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct JointSpace {
    spaces: Vec<ActionSpace>,
}

/// Neighbouring actions of the same kind, which are computed as one.
struct Block {
    /// Their columns among the actions.
    columns: Range<usize>,
    /// Their columns among what the network gives.
    outputs: Range<usize>,
    /// Their places among the deviations; empty for choices.
    deviations: Range<usize>,
    /// Number of choices of each; `None` between bounds.
    choices: Option<usize>,
}

impl Block {
    /// Logits of choices, `[steps, actions, choices]`.
    fn logits(&self, outputs: &Tensor<2>, choices: usize) -> Tensor<3> {
        let own = columns(outputs, &self.outputs);
        let [steps, _] = own.dims();
        own.reshape([steps, self.columns.len(), choices])
    }
}

fn columns(x: &Tensor<2>, columns: &Range<usize>) -> Tensor<2> {
    if columns.len() == x.dims()[1] {
        return x.clone();
    }
    x.clone().narrow(1, columns.start, columns.len())
}

impl JointSpace {
    /// One action from each of these spaces, in this order.
    pub fn new(spaces: Vec<ActionSpace>) -> Self {
        Self { spaces }
    }

    /// So many actions from the same space.
    pub fn alike(space: ActionSpace, actions: usize) -> Self {
        Self::new(vec![space; actions])
    }

    /// The space of each action.
    pub fn spaces(&self) -> &[ActionSpace] {
        &self.spaces
    }

    /// Number of actions.
    pub fn actions(&self) -> usize {
        self.spaces.len()
    }

    /// Numbers that a network gives for all of them.
    pub fn outputs(&self) -> usize {
        self.spaces.iter().map(ActionSpace::outputs).sum()
    }

    /// Number of actions between bounds, each of which has a deviation.
    pub fn deviations(&self) -> usize {
        self.blocks().iter().map(|block| block.deviations.len()).sum()
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut outputs, mut deviations) = (0, 0);
        for (at, space) in self.spaces.iter().enumerate() {
            let choices = match space {
                ActionSpace::Between(_) => None,
                ActionSpace::Choices(choices) => Some(choices.len()),
            };
            let first_output = outputs;
            let first_deviation = deviations;
            outputs += space.outputs();
            deviations += usize::from(choices.is_none());
            match blocks.last_mut().filter(|block| block.choices == choices) {
                Some(block) => {
                    block.columns.end = at + 1;
                    block.outputs.end = outputs;
                    block.deviations.end = deviations;
                }
                None => blocks.push(Block {
                    columns: at..at + 1,
                    outputs: first_output..outputs,
                    deviations: first_deviation..deviations,
                    choices,
                }),
            }
        }
        blocks
    }

    /// What chance brings to the draw of a step, a number for each action.
    pub fn noise(&self, rng: &mut ChaCha8Rng) -> Vec<f32> {
        self.spaces.iter().map(|space| space.noise(rng) as f32).collect()
    }

    /// Draws the actions of a step, each as likely as any other.
    pub fn draw_uniform(&self, rng: &mut ChaCha8Rng) -> Vec<f32> {
        self.spaces.iter().map(|space| space.draw_uniform(rng) as f32).collect()
    }

    /// Draws actions from what a network gave for them; without noise, the likeliest.
    ///
    /// # Shapes
    /// - `outputs`: `[steps, outputs]`
    /// - `log_std`: `[deviations]`
    /// - `noise`: `[steps, actions]`, from [`JointSpace::noise`]
    /// - output: `[steps, actions]`
    pub fn draw(&self, outputs: &Tensor<2>, log_std: Option<&Tensor<1>>, noise: Option<&Tensor<2>>) -> Tensor<2> {
        let [steps, _] = outputs.dims();
        let drawn = self.blocks().into_iter().map(|block| {
            let actions = block.columns.len();
            let noise = noise.map(|noise| columns(noise, &block.columns));
            match (block.choices, noise) {
                (None, None) => columns(outputs, &block.outputs),
                (None, Some(noise)) => {
                    let mean = columns(outputs, &block.outputs);
                    match own_deviations(log_std, &block) {
                        Some(log_std) => mean + log_std.exp() * noise,
                        None => mean + noise,
                    }
                }
                (Some(choices), None) => {
                    let likeliest = block.logits(outputs, choices).argmax(2);
                    likeliest.float().reshape([steps, actions])
                }
                (Some(choices), Some(noise)) => {
                    // The first choice up to which the probabilities sum to more than the noise.
                    let reached = softmax(block.logits(outputs, choices), 2).cumsum(2);
                    let noise = noise.reshape([steps, actions, 1]).expand([steps, actions, choices]);
                    let passed = reached.lower_equal(noise).float().sum_dim(2);
                    passed.clamp_max((choices - 1) as f64).reshape([steps, actions])
                }
            }
        });
        Tensor::cat(drawn.collect(), 1)
    }

    /// The actions that drawn numbers stand for.
    ///
    /// # Shapes
    /// - `drawn` and output: `[steps, actions]`
    pub fn values(&self, drawn: &Tensor<2>) -> Tensor<2> {
        let [steps, _] = drawn.dims();
        let device = drawn.device();
        let values = self.blocks().into_iter().map(|block| {
            let drawn = columns(drawn, &block.columns);
            let spaces = &self.spaces[block.columns.clone()];
            match block.choices {
                None => {
                    let bound = |at: usize| row(spaces.iter().map(|space| space.bounds()[at]), &device);
                    let (low, high) = (bound(0), bound(1));
                    let share = drawn.tanh().add_scalar(1.0).mul_scalar(0.5);
                    low.clone() + (high - low) * share
                }
                Some(choices) => {
                    let table: Vec<f32> = spaces
                        .iter()
                        .flat_map(choices_of)
                        .map(|&choice| choice as f32)
                        .collect();
                    let table = Tensor::<1>::from_data(TensorData::new(table, [choices * spaces.len()]), &device);
                    let firsts = row((0..spaces.len()).map(|at| (at * choices) as f64), &device);
                    let places: Tensor<1, Int> = (drawn + firsts).int().reshape([steps * spaces.len()]);
                    table.select(0, places).reshape([steps, spaces.len()])
                }
            }
        });
        Tensor::cat(values.collect(), 1)
    }

    /// Log-probability and entropy of the distributions, summed over a step's actions.
    ///
    /// # Shapes
    /// - `outputs`: `[steps, outputs]`, as the network gives them
    /// - `log_std`: `[deviations]`, of the actions between bounds
    /// - `drawn`: `[steps, actions]`
    /// - output: `[steps]` each
    pub fn log_probability(
        &self,
        outputs: &Tensor<2>,
        log_std: Option<&Tensor<1>>,
        drawn: &Tensor<2>,
    ) -> (Tensor<1>, Tensor<1>) {
        let [steps, _] = drawn.dims();
        let parts = self.blocks().into_iter().map(|block| {
            let drawn = columns(drawn, &block.columns);
            match block.choices {
                None => {
                    let mean = columns(outputs, &block.outputs);
                    let log_std = own_deviations(log_std, &block)
                        .unwrap_or_else(|| Tensor::zeros([1, block.columns.len()], &drawn.device()));
                    let entropy = log_std.clone().add_scalar(0.5 * (1.0 + LN_TAU)).sum().expand([steps]);
                    let distance = (drawn - mean) / log_std.clone().exp();
                    let log_density = (distance.clone() * distance).mul_scalar(-0.5) - log_std;
                    let log_density = log_density.add_scalar(-0.5 * LN_TAU).sum_dim(1).reshape([steps]);
                    (log_density, entropy)
                }
                Some(choices) => {
                    let log_p = log_softmax(block.logits(outputs, choices), 2);
                    let entropy = (log_p.clone().exp() * log_p.clone()).sum_dim(2).sum_dim(1).neg();
                    let chosen: Tensor<3, Int> = drawn.int().reshape([steps, block.columns.len(), 1]);
                    let log_p = log_p.gather(2, chosen).sum_dim(1);
                    (log_p.reshape([steps]), entropy.reshape([steps]))
                }
            }
        });
        let sum =
            parts.reduce(|(log_p, entropy), (more_log_p, more_entropy)| (log_p + more_log_p, entropy + more_entropy));
        sum.unwrap_or_else(|| {
            let none = Tensor::zeros([steps], &drawn.device());
            (none.clone(), none)
        })
    }
}

fn own_deviations(log_std: Option<&Tensor<1>>, block: &Block) -> Option<Tensor<2>> {
    let log_std = log_std?
        .clone()
        .narrow(0, block.deviations.start, block.deviations.len());
    Some(log_std.reshape([1, block.deviations.len()]))
}

fn choices_of(space: &ActionSpace) -> &[f64] {
    match space {
        ActionSpace::Between(_) => &[],
        ActionSpace::Choices(choices) => choices,
    }
}

/// Numbers as one row, `[1, actions]`.
fn row(numbers: impl Iterator<Item = f64>, device: &Device) -> Tensor<2> {
    let numbers: Vec<f32> = numbers.map(|number| number as f32).collect();
    let width = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [1, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use emorun_nn::draw::DrawKey;

    fn rows(rows: &[&[f32]]) -> Tensor<2> {
        let width = rows[0].len();
        let data = TensorData::new(rows.concat(), [rows.len(), width]);
        Tensor::from_data(data, &Device::flex())
    }

    fn numbers(x: Tensor<2>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn choices_are_drawn_as_often_as_is_likely_and_the_likeliest_without_noise() {
        let space = JointSpace::alike(ActionSpace::Choices(vec![1.0, 2.0, 3.0]), 1);
        let mut rng = DrawKey::root(3).rng();
        let steps = 20_000;
        let noise: Vec<f32> = (0..steps).flat_map(|_| space.noise(&mut rng)).collect();
        let noise = Tensor::from_data(TensorData::new(noise, [steps, 1]), &Device::flex());
        let outputs = rows(&[&[0.0, 2f32.ln(), 0.0]]);
        let drawn = numbers(space.draw(&outputs.clone().expand([steps, 3]), None, Some(&noise)));
        let share = |choice: f32| drawn.iter().filter(|&&drawn| drawn == choice).count() as f64 / steps as f64;
        for (choice, expected) in [(0.0, 0.25), (1.0, 0.5), (2.0, 0.25)] {
            assert!((share(choice) - expected).abs() < 0.02, "{choice}: {}", share(choice));
        }
        assert_eq!(numbers(space.draw(&outputs, None, None)), [1.0]);
        // Noise that rounding has brought to 1 draws the last.
        assert_eq!(numbers(space.draw(&outputs, None, Some(&rows(&[&[1.0]])))), [2.0]);
    }

    #[test]
    fn actions_of_several_kinds_stand_in_their_columns() {
        let space = JointSpace::new(vec![
            ActionSpace::Choices(vec![0.5, 0.0]),
            ActionSpace::Between([-1.0, 3.0]),
            ActionSpace::Between([0.0, 10.0]),
            ActionSpace::Choices(vec![7.0, 8.0, 9.0]),
            ActionSpace::Choices(vec![1.0, 2.0, 3.0]),
        ]);
        assert_eq!((space.actions(), space.outputs(), space.deviations()), (5, 10, 2));
        let half = 0.5f32.atanh();
        let drawn = rows(&[&[1.0, 0.0, half, 0.0, 2.0], &[0.0, 1e9, -1e9, 2.0, 0.0]]);
        assert_eq!(
            numbers(space.values(&drawn)),
            [0.0, 1.0, 7.5, 7.0, 3.0, 0.5, 3.0, 0.0, 9.0, 1.0]
        );
        // The likeliest of each.
        let outputs = rows(&[&[0.0, 1.0, 0.25, -2.0, 3.0, 1.0, 0.0, 0.0, 0.0, 5.0]]);
        assert_eq!(numbers(space.draw(&outputs, None, None)), [1.0, 0.25, -2.0, 0.0, 2.0]);
    }

    #[test]
    fn actions_stay_within_their_bounds_and_are_as_likely_everywhere() {
        let space = JointSpace::alike(ActionSpace::Between([-1.0, 3.0]), 2);
        let mut rng = DrawKey::root(1).rng();
        let drawn: Vec<f32> = (0..1000).flat_map(|_| space.draw_uniform(&mut rng)).collect();
        let drawn = Tensor::from_data(TensorData::new(drawn, [1000, 2]), &Device::flex());
        let actions = numbers(space.values(&drawn));
        assert!(actions.iter().all(|action| (-1.0..=3.0).contains(action)));
        assert!((actions.iter().sum::<f32>() / 2000.0 - 1.0).abs() < 0.1);
    }
}
