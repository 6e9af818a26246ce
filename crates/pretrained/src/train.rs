//! Which hidden state an encoder gives and which part of it trains.

use emorun_lang::InferError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reader::Adaptation;

/// Which hidden state a pretrained encoder gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// The last one, as transformers' `last_hidden_state`.
    #[default]
    Last,
    /// All of them as a stack, from the transformer's input to its end: transformers'
    /// `hidden_states`, the last as `final_norm` says.
    All,
    /// One of them, `hidden_states[N]`: 0 is the transformer's input, N the output of its N-th layer, the last as
    /// `final_norm` says. Layers above it are not run.
    Layer(usize),
}

impl Hidden {
    /// Number of layers that are run of those that there are.
    ///
    /// # Errors
    /// There are fewer than asked for.
    pub fn depth(self, layers: usize) -> Result<usize, InferError> {
        match self {
            Self::Last | Self::All => Ok(layers),
            Self::Layer(layer) if layer <= layers => Ok(layer),
            Self::Layer(layer) => Err(InferError::Invalid {
                field: "output".into(),
                message: format!("asks for layer {layer} of {layers}"),
                help: Some(format!("use 0 (the transformer's input) to {layers} (its end)")),
            }),
        }
    }
}

/// Which part of a pretrained encoder trains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Train {
    /// Nothing: it runs without autodiff and without dropout.
    #[default]
    None,
    /// The last N transformer layers, with what comes behind them.
    Last(usize),
    /// Everything, but for the convolutional front end unless `train_front_end` is set.
    All,
    /// Low-rank changes of linear layers, beside frozen weights.
    Lora(Lora),
}

/// Low-rank adaptation (Hu et al. 2022).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Rank of each change.
    #[serde(default = "default_rank")]
    #[schemars(range(min = 1, max = 1024))]
    pub rank: usize,
    /// The change is scaled by `alpha / rank`.
    #[serde(default = "default_alpha")]
    #[schemars(range(min = 0.0))]
    pub alpha: f64,
    /// Linear layers of every transformer layer that are adapted.
    #[serde(default = "default_targets")]
    #[schemars(length(min = 1))]
    pub targets: Vec<LoraTarget>,
    /// Dropout probability on the change's input.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

/// A linear layer of a transformer layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoraTarget {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// Output of attention.
    OutProj,
    /// First feed-forward layer.
    IntermediateDense,
    /// Second feed-forward layer.
    OutputDense,
}

impl LoraTarget {
    /// Last part of the layer's name in either of the two layouts.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::QProj => &["q_proj"],
            Self::KProj => &["k_proj"],
            Self::VProj => &["v_proj"],
            Self::OutProj => &["out_proj"],
            Self::IntermediateDense => &["intermediate_dense", "fc1"],
            Self::OutputDense => &["output_dense", "fc2"],
        }
    }

    /// Input and output width, given those of the model.
    fn sizes(self, hidden: usize, feed_forward: usize) -> (usize, usize) {
        match self {
            Self::QProj | Self::KProj | Self::VProj | Self::OutProj => (hidden, hidden),
            Self::IntermediateDense => (hidden, feed_forward),
            Self::OutputDense => (feed_forward, hidden),
        }
    }
}

fn default_rank() -> usize {
    8
}
fn default_alpha() -> f64 {
    16.0
}
fn default_targets() -> Vec<LoraTarget> {
    vec![LoraTarget::QProj, LoraTarget::VProj]
}

/// A part of a model, in the order of computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The convolutional front end.
    FrontEnd,
    /// What makes the transformer's input.
    Embedding,
    /// A transformer layer, counted from 0.
    Layer(usize),
    /// What comes behind the last layer.
    End,
}

/// What is frozen in front of everything that trains: its output for an item cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    /// Nothing.
    Nothing,
    /// The front end.
    FrontEnd,
    /// What makes hidden state N.
    Upto(usize),
    /// All of it.
    Everything,
}

impl Train {
    /// What is frozen in front, of a model of `layers` layers of which `depth` are run.
    ///
    /// # Errors
    /// More layers are to train than there are, or none that the output depends on.
    pub fn frozen(&self, layers: usize, depth: usize, front_end: bool) -> Result<Frozen, InferError> {
        let invalid = |field: &str, message: String, help: String| {
            Err(InferError::Invalid {
                field: field.into(),
                message,
                help: Some(help),
            })
        };
        if front_end && *self != Self::All {
            return invalid(
                "train_front_end",
                "trains the front end below frozen layers".into(),
                "set `train: all`, or leave it out".into(),
            );
        }
        match self {
            Self::None => Ok(Frozen::Everything),
            Self::Last(0) => invalid("train", "trains 0 layers".into(), "write `train: none`".into()),
            Self::Last(count) if *count > layers => invalid(
                "train",
                format!("asks for the last {count} of {layers} layers"),
                format!("use at most {layers}, or `train: all`"),
            ),
            Self::Last(count) if layers - count >= depth => invalid(
                "train",
                format!("trains layers above {depth}, the one that `output` gives"),
                format!("use `train: {{ last: {} }}` or more", layers - depth + 1),
            ),
            Self::Last(count) => Ok(Frozen::Upto(layers - count)),
            Self::All if front_end => Ok(Frozen::Nothing),
            Self::All => Ok(Frozen::FrontEnd),
            Self::Lora(_) if depth == 0 => invalid(
                "train",
                "adapts layers that are not run".into(),
                "give the output of a later layer".into(),
            ),
            Self::Lora(_) => Ok(Frozen::Upto(0)),
        }
    }

    /// Low-rank adaptation, if it is that.
    pub fn adaptation(&self) -> Option<Adaptation> {
        match self {
            Self::Lora(lora) => Some(Adaptation {
                rank: lora.rank,
                alpha: lora.alpha,
                targets: lora
                    .targets
                    .iter()
                    .flat_map(|target| target.names())
                    .map(|name| (*name).to_owned())
                    .collect(),
                dropout: lora.dropout,
            }),
            _ => None,
        }
    }

    /// Whether the checkpoint's tensors of a part are parameters of the run.
    pub fn trains(&self, frozen: Frozen, part: Part) -> bool {
        let below = match frozen {
            Frozen::Everything => return false,
            _ if self.adaptation().is_some() => return false,
            Frozen::Nothing => return true,
            Frozen::FrontEnd => Part::Embedding,
            Frozen::Upto(layer) => Part::Layer(layer),
        };
        part >= below
    }

    /// What tells frozen parts apart in the cache: the same for adaptation of any rank.
    pub fn frozen_part(&self) -> serde_json::Value {
        match self {
            Self::Lora(_) => "lora".into(),
            other => serde_json::json!(other),
        }
    }

    /// Parameters that adaptation adds to a layer.
    pub fn added(&self, hidden: usize, feed_forward: usize) -> u64 {
        let Self::Lora(lora) = self else { return 0 };
        lora.targets
            .iter()
            .map(|target| {
                let (input, output) = target.sizes(hidden, feed_forward);
                (lora.rank * (input + output)) as u64
            })
            .sum()
    }
}

/// Learning rates within an encoder, as factors of the optimizer's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningRates {
    /// Factor of the optimizer's learning rate for all its parameters.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0))]
    pub factor: f64,
    /// Factor from each layer to the one below it; 1 is none (Howard & Ruder 2018).
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_decay: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for LearningRates {
    fn default() -> Self {
        Self {
            factor: one(),
            layer_decay: one(),
        }
    }
}

impl LearningRates {
    /// The factor of a part of a model of which `depth` layers are run.
    pub fn of(&self, part: Part, depth: usize) -> f64 {
        let below_top = match part {
            Part::End => 0,
            Part::Layer(layer) => depth.saturating_sub(layer + 1),
            Part::Embedding | Part::FrontEnd => depth,
        };
        self.factor * self.layer_decay.powi(i32::try_from(below_top).unwrap_or(i32::MAX))
    }
}
