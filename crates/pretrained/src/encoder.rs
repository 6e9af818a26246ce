//! A pretrained model as a node: which hidden states it gives, what of it is frozen.

use std::fmt::Debug;
use std::sync::Arc;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use super::config::Dropouts;
use super::train::{Frozen, Hidden, LearningRates, Part};
use emorun_nn::node::{Context, Layer, NodeError, Outputs, PREFIX, Ports, output};
use emorun_nn::precision::Precision;
use emorun_nn::recompute::Cut;
use emorun_nn::value::{Lengths, Value};

/// No dropout at all.
const NO_DROPOUT: Dropouts = Dropouts {
    projection: 0.0,
    hidden: 0.0,
    attention: 0.0,
    activation: 0.0,
    layer: 0.0,
};

/// A model made of a front end, an embedding and transformer layers.
pub trait Layered: Module + ModuleDisplay + Debug + Sync + 'static {
    /// What all layers share for a batch, such as masks.
    type Shared;

    /// Features of the front end and their lengths, from the node's input.
    ///
    /// # Shapes
    /// - output: `[batch, time, channels]`
    ///
    /// # Errors
    /// The input carries something else than the model takes.
    fn front_end(&self, inputs: &Ports, precision: Precision) -> Result<(Tensor<3>, Lengths), NodeError>;

    /// The transformer's input: hidden state 0, `[batch, time, width]`.
    fn embed(&self, features: Tensor<3>, lengths: &Lengths, rates: &Dropouts, context: &Context) -> Tensor<3>;

    /// What all layers share.
    fn shared(&self, lengths: &Lengths, time: usize) -> Self::Shared;

    /// Transformer layer `index`, `[batch, time, width]` in and out.
    fn layer(
        &self,
        index: usize,
        x: Tensor<3>,
        shared: &Self::Shared,
        rates: &Dropouts,
        context: &Context,
    ) -> Tensor<3>;

    /// The last hidden state from the last layer's output.
    fn finish(&self, x: Tensor<3>) -> Tensor<3>;

    /// The part that a tensor belongs to, by its path in the module.
    fn part_of(&self, path: &str) -> Part;
}

/// What a node makes of a model.
#[derive(Clone, Debug)]
pub struct EncoderSpec {
    /// Which hidden states it gives.
    pub output: Hidden,
    /// Layers that are run.
    pub depth: usize,
    /// Whether those are all layers and the last hidden state is to go through the norm behind them.
    pub finished: bool,
    /// What is frozen in front.
    pub frozen: Frozen,
    /// Dropout in what trains.
    pub rates: Dropouts,
    /// Learning rates of what trains.
    pub learning_rates: LearningRates,
}

impl EncoderSpec {
    fn gives(&self, state: usize) -> bool {
        match self.output {
            Hidden::All => true,
            Hidden::Last | Hidden::Layer(_) => state == self.depth,
        }
    }
}

/// A pretrained model as a node.
#[derive(Module, Debug)]
pub struct PretrainedEncoder<M: Module> {
    /// The model.
    pub model: M,
    /// What the node makes of it.
    #[module(skip)]
    pub spec: Arc<EncoderSpec>,
}

/// Hidden states on the way through the layers.
struct HiddenStates {
    /// Those that the node gives, so far.
    given: Vec<Tensor<3>>,
    /// The newest one and its number.
    newest: Cut,
    at: usize,
}

impl<M: Layered> PretrainedEncoder<M> {
    fn start(&self, features: Tensor<3>, lengths: &Lengths, rates: &Dropouts, context: &Context) -> HiddenStates {
        let embedded = self.model.embed(features, lengths, rates, context);
        let mut progress = HiddenStates {
            given: Vec::new(),
            newest: match &context.segments {
                Some(segments) => segments.cut(embedded),
                None => Cut::from(embedded),
            },
            at: 0,
        };
        self.note(&mut progress);
        progress
    }

    fn note(&self, progress: &mut HiddenStates) {
        if !self.spec.gives(progress.at) {
            return;
        }
        let at_the_end = self.spec.finished && progress.at == self.spec.depth;
        let newest = progress.newest.value.clone();
        progress
            .given
            .push(if at_the_end { self.model.finish(newest) } else { newest });
    }

    fn advance(
        &self,
        progress: &mut HiddenStates,
        upto: usize,
        lengths: &Lengths,
        rates: &Dropouts,
        context: &Context,
    ) {
        let [_, time, _] = progress.newest.value.dims();
        if let Some(segments) = &context.segments {
            let (frozen, model) = (self.model.valid(), Arc::new(self.model.clone()));
            let shared = frozen.shared(lengths, time);
            // Without the segments, which would otherwise hold themselves.
            let context = Context {
                segments: None,
                ..context.clone()
            };
            while progress.at < upto {
                let index = progress.at;
                let now = |x| frozen.layer(index, x, &shared, rates, &context);
                let again = {
                    let (model, lengths, rates, context) = (model.clone(), lengths.clone(), *rates, context.clone());
                    move |x| model.layer(index, x, &model.shared(&lengths, time), &rates, &context)
                };
                progress.newest = segments.run(progress.newest.clone(), now, again);
                progress.at += 1;
                self.note(progress);
            }
            return;
        }
        let shared = self.model.shared(lengths, time);
        while progress.at < upto {
            let x = progress.newest.value.clone();
            progress.newest = Cut::from(self.model.layer(progress.at, x, &shared, rates, context));
            progress.at += 1;
            self.note(progress);
        }
    }

    /// What the frozen part in front gives, without autodiff and dropout: hidden states that the
    /// node gives and, last, the one that what trains goes on from.
    ///
    /// # Shapes
    /// - output: `[states, batch, time, width]`
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn frozen_states(&self, inputs: &Ports, context: &Context) -> Result<(Tensor<4>, Lengths), NodeError> {
        let context = Context {
            training: false,
            segments: None,
            ..context.clone()
        };
        let (features, lengths) = self.model.front_end(&inputs.without_autodiff(), context.precision)?;
        let states = match self.spec.frozen {
            Frozen::Nothing | Frozen::FrontEnd => vec![features],
            Frozen::Upto(state) => {
                let mut progress = self.start(features, &lengths, &NO_DROPOUT, &context);
                self.advance(&mut progress, state, &lengths, &NO_DROPOUT, &context);
                if !self.spec.gives(state) {
                    progress.given.push(progress.newest.value);
                }
                progress.given
            }
            Frozen::Everything => {
                let mut progress = self.start(features, &lengths, &NO_DROPOUT, &context);
                self.advance(&mut progress, self.spec.depth, &lengths, &NO_DROPOUT, &context);
                progress.given
            }
        };
        let states: Tensor<4> = Tensor::stack(states, 0);
        let [_, _, time, _] = states.dims();
        // Where nothing follows, what lies behind the longest item (Whisper's 30 s) is of no use.
        let states = match self.spec.frozen {
            Frozen::Everything if time > lengths.longest() => states.narrow(2, 0, lengths.longest()),
            _ => states,
        };
        Ok((states, lengths))
    }

    /// What the node gives, from what [`PretrainedEncoder::frozen_states`] gave.
    fn suffix(&self, states: Tensor<4>, lengths: &Lengths, context: &Context) -> Vec<Tensor<3>> {
        let [count, batch, time, width] = states.dims();
        let mut states: Vec<Tensor<3>> = (0..count)
            .map(|at| states.clone().narrow(0, at, 1).reshape([batch, time, width]))
            .collect();
        let rates = if context.training {
            &self.spec.rates
        } else {
            &NO_DROPOUT
        };
        let mut progress = match (self.spec.frozen, states.pop()) {
            (Frozen::Everything, Some(last)) => {
                states.push(last);
                return states;
            }
            (Frozen::Nothing | Frozen::FrontEnd, Some(features)) => self.start(features, lengths, rates, context),
            (Frozen::Upto(at), Some(newest)) => {
                if self.spec.gives(at) {
                    states.push(newest.clone());
                }
                HiddenStates {
                    given: states,
                    newest: Cut::from(newest),
                    at,
                }
            }
            (_, None) => return states,
        };
        self.advance(&mut progress, self.spec.depth, lengths, rates, context);
        progress.given
    }
}

impl<M: Layered> Layer for PretrainedEncoder<M> {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let autodiff = inputs.is_autodiff();
        let (given, lengths) = match inputs.get(PREFIX) {
            Ok(Value::Stack(states, lengths)) => {
                (self.suffix(states.clone().inner(), lengths, context), lengths.clone())
            }
            _ if self.spec.frozen == Frozen::Nothing => {
                let (features, lengths) = self.model.front_end(inputs, context.precision)?;
                (self.suffix(features.unsqueeze_dim(0), &lengths, context), lengths)
            }
            _ => {
                let (states, lengths) = self.frozen_states(inputs, context)?;
                (self.suffix(states, &lengths, context), lengths)
            }
        };
        let finish = |x: Tensor<3>| {
            let x = masked(x, &lengths);
            if autodiff { x.autodiff() } else { x }
        };
        let mut given: Vec<Tensor<3>> = given.into_iter().map(finish).collect();
        Ok(output(match (self.spec.output, given.pop()) {
            (Hidden::Last | Hidden::Layer(_), Some(last)) => Value::Frames(last, lengths),
            (_, last) => {
                given.extend(last);
                Value::Stack(Tensor::stack(given, 0), lengths)
            }
        }))
    }

    fn prefix(&self, inputs: &Ports, context: &Context) -> Result<Option<Value>, NodeError> {
        if self.spec.frozen == Frozen::Nothing {
            return Ok(None);
        }
        let (states, lengths) = self.frozen_states(inputs, context)?;
        Ok(Some(Value::Stack(states, lengths)))
    }

    fn is_hidden_matrix(&self, path: &str) -> bool {
        // Embeddings: of relative positions, and of Whisper's positions.
        !path.contains("rel_attn_embed") && !path.contains("embed_positions")
    }

    fn learning_rate(&self, path: &str) -> f64 {
        let path = path.strip_prefix("model.").unwrap_or(path);
        self.spec.learning_rates.of(self.model.part_of(path), self.spec.depth)
    }
}

/// Zero at padding.
pub fn masked(x: Tensor<3>, lengths: &Lengths) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    if lengths.all_full(time) {
        return x;
    }
    let mask = lengths.mask(time, &x.device());
    x * mask.reshape([batch, time, 1])
}
