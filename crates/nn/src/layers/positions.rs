//! What tells layers of attention where frames stand.

use burn::tensor::{Device, Tensor, TensorData};

/// Sinusoidal positions `[1, time, width]`, sine and cosine in turn, of the frames from a place on; with a period they
/// come again after so many frames.
///
/// Made for each batch, so that no length has to be foreseen.
///
/// # Source
/// Vaswani et al. 2017, §3.5; with a period: Fan et al., "FaceFormer", CVPR 2022, §3.3.
pub fn sinusoidal(from: usize, time: usize, width: usize, period: Option<usize>, device: &Device) -> Tensor<3> {
    let place = |at: usize| period.map_or(at, |period| at % period.max(1));
    let table: Vec<f32> = (from..from + time)
        .flat_map(|at| {
            (0..width / 2).flat_map(move |pair| {
                let (sin, cos) = (place(at) as f64 / 1e4_f64.powf((2 * pair) as f64 / width as f64)).sin_cos();
                [sin as f32, cos as f32]
            })
        })
        .collect();
    Tensor::from_data(TensorData::new(table, [1, time, width]), device)
}

/// Slopes of linear biases of attention, one a head: a geometric sequence.
///
/// # Source
/// Press, Smith & Lewis, "Train short, test long", ICLR 2022, §3, and their code for numbers of heads that are no power of
/// two.
pub fn slopes(heads: usize) -> Vec<f64> {
    let of_power = |heads: usize| {
        let start = 2_f64.powf(-(2_f64.powf(-((heads as f64).log2() - 3.0))));
        (1..=heads).map(move |at| start.powi(at as i32)).collect::<Vec<f64>>()
    };
    if heads.is_power_of_two() || heads == 0 {
        return of_power(heads.max(1));
    }
    let below = 1 << heads.ilog2();
    let more = of_power(2 * below).into_iter().step_by(2).take(heads - below);
    of_power(below).into_iter().chain(more).collect()
}

/// What a query may look at, and how much less at what lies further back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether frames that lie ahead are hidden.
    pub causal: bool,
    /// Frames after which the bias of a head grows by its slope; `None` for no bias.
    pub period: Option<usize>,
}

impl Sight {
    /// What is added to the scores of attention, `[1, heads, queries, keys]`: `−slope · ⌊distance / period⌋`, and the least
    /// number where a query must not look. The first query stands `before` frames behind the first key.
    pub fn bias(self, heads: usize, (queries, keys): (usize, usize), before: usize, device: &Device) -> Tensor<4> {
        let slopes = match self.period {
            Some(_) => slopes(heads),
            None => vec![0.0; heads],
        };
        let mut bias = Vec::with_capacity(heads * queries * keys);
        for slope in slopes {
            for query in before..before + queries {
                bias.extend((0..keys).map(|key| {
                    if self.causal && key > query {
                        return HIDDEN;
                    }
                    let periods = query.abs_diff(key) / self.period.unwrap_or(1).max(1);
                    (-slope * periods as f64) as f32
                }));
            }
        }
        Tensor::from_data(TensorData::new(bias, [1, heads, queries, keys]), device)
    }
}

/// A score so low that nothing is left of it behind the softmax; two of them still make a number.
pub const HIDDEN: f32 = -1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        let near = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        };
        near(
            slopes(8),
            &[0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625],
        );
        near(slopes(4), &[0.25, 0.0625, 0.015625, 0.00390625]);
        near(slopes(6), &[0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
    }

    #[test]
    fn a_bias_grows_from_period_to_period_and_hides_what_lies_ahead() {
        let sight = Sight {
            causal: true,
            period: Some(2),
        };
        let bias: Vec<f32> = sight
            .bias(1, (2, 5), 2, &Device::flex())
            .into_data()
            .iter::<f32>()
            .collect();
        let slope = slopes(1)[0] as f32;
        assert_eq!(bias[..5], [-slope, 0.0, 0.0, HIDDEN, HIDDEN]);
        assert_eq!(bias[5..], [-slope, -slope, 0.0, 0.0, HIDDEN]);
    }
}
