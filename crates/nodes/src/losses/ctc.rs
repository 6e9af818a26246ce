//! Connectionist temporal classification of transcripts.

use burn::module::Module;
use burn::nn::loss::CTCLossConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::{Lengths, Value};

/// Connectionist temporal classification: the negative log-likelihood of an item's transcript over all
/// its alignments to the frames, divided by the transcript's length and averaged over items.
///
/// Frame scores stand for the blank, then for the characters of `alphabet` in their order. Items
/// without text, or with more characters than their frames can hold, do not count.
///
/// # Source
/// Graves et al., ICML 2006; the value is that of `torch.nn.CTCLoss(zero_infinity=True)` over the items
/// that count. Beside emotion: Cai et al., Interspeech 2021.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    /// Frame scores before the softmax, such as those of a `linear` layer.
    pub input: PortRef,
    /// Transcripts, such as `data.text`.
    pub target: PortRef,
    /// Characters that are told apart; all others are left out of transcripts, and letters are
    /// lower-cased unless it has capital ones.
    #[serde(default = "default_alphabet")]
    #[schemars(length(min = 1, max = 4096))]
    pub alphabet: String,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

fn default_alphabet() -> String {
    " 'abcdefghijklmnopqrstuvwxyz".into()
}

impl LossKind for Ctc {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Ctc {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let characters: Vec<char> = self.alphabet.chars().collect();
        if let Some(twice) = characters
            .iter()
            .enumerate()
            .find(|(at, c)| characters[..*at].contains(c))
        {
            return Err(InferError::invalid("alphabet", format!("has {:?} twice", twice.1)));
        }
        if width != characters.len() + 1 {
            let wanted = format!(
                "frames of width {}: a blank and {} characters",
                characters.len() + 1,
                characters.len()
            );
            return Err(InferError::mismatch("input", wanted, inputs.require("input")?));
        }
        match inputs.require("target")? {
            Signal::Text => Ok(Inferred::loss(Cost {
                flops_per_second: 20.0 * width as f64 * rate.hz(),
                activation_floats_per_second: 4.0 * width as f64 * rate.hz(),
                ..Cost::default()
            })),
            found => Err(InferError::mismatch("target", "transcripts such as data.text", found)),
        }
    }

    fn input_names(&self) -> Option<Vec<String>> {
        let characters = self.alphabet.chars().map(String::from);
        Some(std::iter::once("(blank)".to_owned()).chain(characters).collect())
    }
}

impl DeviceKind for Ctc {
    type Layer = CtcLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<CtcLayer, BuildError> {
        Ok(CtcLayer {
            alphabet: self.alphabet.chars().collect(),
        })
    }
}

/// See [`Ctc`].
#[derive(Module, Debug)]
pub struct CtcLayer {
    #[module(skip)]
    alphabet: Vec<char>,
}

impl CtcLayer {
    /// The classes of a transcript; 0 is the blank.
    fn classes(&self, text: &str) -> Vec<i64> {
        let text = if self.alphabet.iter().any(|c| c.is_uppercase()) {
            text.to_owned()
        } else {
            text.to_lowercase()
        };
        let class = |c: char| self.alphabet.iter().position(|of| *of == c);
        text.chars().filter_map(class).map(|class| class as i64 + 1).collect()
    }

    /// Those that count: item, its frames, its classes.
    fn counted(&self, texts: &[Option<String>], lengths: &Lengths) -> Vec<(usize, usize, Vec<i64>)> {
        texts
            .iter()
            .zip(lengths.as_slice())
            .enumerate()
            .filter_map(|(item, (text, &frames))| Some((item, frames, self.classes(text.as_deref()?))))
            .filter(|(_, frames, classes)| !classes.is_empty() && frames_needed(classes) <= *frames)
            .collect()
    }
}

/// Frames that a transcript needs: one a character, and a blank between equal ones.
fn frames_needed(classes: &[i64]) -> usize {
    classes.len() + classes.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

impl Loss for CtcLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let (_, lengths) = inputs.frames("input")?;
        Ok(self.counted(&inputs.text("target")?, &lengths).len() as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for CtcLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (scores, lengths) = inputs.frames("input")?;
        let texts = inputs.text("target")?;
        let device = scores.device();
        let counted = self.counted(&texts, &lengths);
        let count = counted.len();
        let longest = counted.iter().map(|(.., classes)| classes.len()).max().unwrap_or(0);
        if count == 0 {
            return Ok(output(Value::Scalar(scores.sum().mul_scalar(0.0), 0.0)));
        }
        let ints = |numbers: Vec<i64>| {
            let shape = [numbers.len()];
            Tensor::<1, Int>::from_data(TensorData::new(numbers, shape), &device)
        };
        let rows = ints(counted.iter().map(|(item, ..)| *item as i64).collect());
        let padded = counted.iter().flat_map(|(.., classes)| {
            let padding = std::iter::repeat_n(0, longest - classes.len());
            classes.iter().copied().chain(padding)
        });
        let targets = ints(padded.collect()).reshape([count, longest]);
        let frames = ints(counted.iter().map(|(_, frames, _)| *frames as i64).collect());
        let sizes: Vec<i64> = counted.iter().map(|(.., classes)| classes.len() as i64).collect();
        let log_probs = log_softmax(scores.select(0, rows), 2).swap_dims(0, 1);
        let losses = CTCLossConfig::new()
            .init()
            .forward(log_probs, targets, frames, ints(sizes.clone()));
        let mean = (losses / ints(sizes).float()).mean();
        Ok(output(Value::Scalar(mean, count as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_become_classes_of_the_alphabet() {
        let layer = CtcLayer {
            alphabet: default_alphabet().chars().collect(),
        };
        assert_eq!(layer.classes("Don't: Go!"), [6, 17, 16, 2, 22, 1, 9, 17]);
        assert_eq!(layer.classes("ÄÖ 7"), [1]);
        assert_eq!(frames_needed(&layer.classes("aab")), 4);
        let capitals = CtcLayer {
            alphabet: vec!['A', 'b'],
        };
        assert_eq!(capitals.classes("ABab"), [1, 2]);
    }
}
