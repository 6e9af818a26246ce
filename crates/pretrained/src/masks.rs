//! SpecAugment inside a model of the wav2vec 2.0 layout: spans of frames and of channels behind the front end are
//! masked at random while training.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reader::{Init, WeightReader};
use super::weight::{Weight, together};
use emorun_nn::node::Context;
use emorun_nn::value::Lengths;

/// Spans of one axis that are masked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spans {
    /// Share of the axis in which spans begin, times their length.
    pub prob: f64,
    /// Steps of a span.
    pub length: usize,
    /// Least number of spans.
    pub min_masks: usize,
}

impl Spans {
    /// True for each of `steps` steps that is masked. Spans may overlap.
    ///
    /// # Source
    /// transformers' `_compute_mask_indices`, with two differences that keep an item the same in every batch: the
    /// number of spans is rounded at random for each item instead of once for all, and it is bounded by the item's own
    /// length instead of the longest of the batch. What is shorter than a span has none, where transformers refuses it.
    fn drawn(&self, steps: usize, rng: &mut ChaCha8Rng) -> Vec<bool> {
        let mut masked = vec![false; steps];
        let length = self.length.max(1);
        let Some(starts) = (steps + 1).checked_sub(length).filter(|starts| *starts > 0) else {
            return masked;
        };
        let rounded = (self.prob * steps as f64 / length as f64 + rng.random::<f64>()) as usize;
        let count = rounded.max(self.min_masks).min(steps / length).min(starts);
        // The first places of a random order of all: no span begins where another does.
        let mut places: Vec<usize> = (0..starts).collect();
        for at in 0..count {
            let other = rng.random_range(at..starts);
            places.swap(at, other);
            masked[places[at]..places[at] + length].fill(true);
        }
        masked
    }
}

/// Masks of a model, and what stands in masked frames.
#[derive(Module, Debug)]
pub struct Masks {
    /// `[width]`; there where frames are masked.
    masked_spec_embed: Option<Weight<1>>,
    #[module(skip)]
    time: Spans,
    #[module(skip)]
    feature: Spans,
}

impl Masks {
    /// Reads what the masks need.
    pub fn read(time: Spans, feature: Spans, width: usize, reader: &mut WeightReader<'_>) -> Self {
        let read = |reader: &mut WeightReader<'_>| reader.tensor_or_drawn("masked_spec_embed", [width], Init::Uniform);
        Self {
            masked_spec_embed: (time.prob > 0.0).then(|| read(reader)),
            time,
            feature,
        }
    }

    /// Masks frames, which then hold a learned vector, and channels, which are then zero; drawn for each item and
    /// epoch, and while training only.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, time, width]`
    ///
    /// # Source
    /// Park et al., Interspeech 2019, as in Baevski et al., NeurIPS 2020, §4.4 and transformers'
    /// `_mask_hidden_states`.
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths, context: &Context) -> Tensor<3> {
        if !context.training {
            return x;
        }
        let [batch, time, width] = x.dims();
        let items = || lengths.as_slice().iter().zip(context.items.iter());
        let drawn = |spans: &Spans, axis: &str, steps: &dyn Fn(usize) -> usize, of: usize| {
            let mut masked = vec![0f32; batch * of];
            for (row, (&length, item)) in masked.chunks_exact_mut(of.max(1)).zip(items()) {
                let mut rng = context.epoch.with("mask").with(axis).with(item).rng();
                for (masked, is_masked) in row.iter_mut().zip(spans.drawn(steps(length), &mut rng)) {
                    *masked = f32::from(u8::from(is_masked));
                }
            }
            masked
        };
        let mut x = x;
        if let Some(embed) = &self.masked_spec_embed {
            let masked = drawn(&self.time, "time", &|length| length.min(time), time);
            let masked = Tensor::<3>::from_data(TensorData::new(masked, [batch, time, 1]), &x.device());
            let (embed, other) = embed.beside(x);
            let (embed, other) = together(embed.reshape([1, 1, width]), other);
            let (masked, other) = together(masked, other);
            x = other * masked.clone().neg().add_scalar(1.0) + masked * embed;
        }
        if self.feature.prob > 0.0 {
            let kept = drawn(&self.feature, "feature", &|_| width, width).into_iter();
            let kept: Vec<f32> = kept.map(|masked| 1.0 - masked).collect();
            let kept = Tensor::<3>::from_data(TensorData::new(kept, [batch, 1, width]), &x.device());
            let (kept, other) = together(kept, x);
            x = other * kept;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emorun_nn::draw::DrawKey;

    #[test]
    fn as_much_is_masked_as_transformers_masks() {
        // Mean share of masked steps of transformers' _compute_mask_indices: tests/golden/encoders/make_masks.py.
        let golden = include_str!("../../../tests/golden/encoders/masks.json");
        let golden: Vec<serde_json::Value> = serde_json::from_str(golden).unwrap();
        assert!(golden.len() > 5);
        for (case, number) in golden.iter().zip(0..) {
            let count = |key: &str| case[key].as_u64().unwrap() as usize;
            let spans = Spans {
                prob: case["prob"].as_f64().unwrap(),
                length: count("length"),
                min_masks: count("min_masks"),
            };
            let (steps, draws) = (count("steps"), 4000);
            let mut rng = DrawKey::root(number).rng();
            let mut each = vec![0_usize; steps];
            for _ in 0..draws {
                let masked = spans.drawn(steps, &mut rng);
                for (sum, masked) in each.iter_mut().zip(&masked) {
                    *sum += usize::from(*masked);
                }
            }
            let share = each.iter().sum::<usize>() as f64 / (steps * draws) as f64;
            let expected = case["share"].as_f64().unwrap();
            assert!((share - expected).abs() < 0.01, "{case}: {share}");
            // Ends are masked less often than the middle, in both.
            let first = each[0] as f64 / draws as f64;
            assert!(
                (first - case["first"].as_f64().unwrap()).abs() < 0.03,
                "{case}: {first}"
            );
        }
    }

    #[test]
    fn what_is_shorter_than_a_span_is_not_masked() {
        let spans = Spans {
            prob: 0.9,
            length: 10,
            min_masks: 2,
        };
        let mut rng = DrawKey::root(1).rng();
        for steps in [0, 1, 9] {
            assert_eq!(spans.drawn(steps, &mut rng), vec![false; steps]);
        }
        assert_eq!(spans.drawn(10, &mut rng), vec![true; 10]);
    }
}
