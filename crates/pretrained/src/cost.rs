//! What a pretrained encoder costs, from its sizes.

use emorun_lang::Cost;

use super::config::{FeatureNorm, SpeechConfig, WhisperConfig};
use super::train::{Frozen, Train};

/// Parameters and work of the parts of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    front_end: u64,
    embedding: u64,
    layer: u64,
    /// Parameters of the first layer beyond those of each.
    first_layer: u64,
    /// Parameters behind the last layer.
    end: u64,
    /// Tensors that never train.
    constant: u64,
    width: usize,
    feed_forward: usize,
    heads: usize,
    /// Frames a second in the transformer.
    rate_hz: f64,
    /// Multiply-adds of the front end a second, times two.
    front_end_flops: f64,
    /// Largest number of floats a second that the front end holds at once.
    front_end_floats: f64,
    /// Sum over the front end's layers of the floats a second that a backward pass keeps.
    front_end_kept: f64,
}

impl Sizes {
    /// Sizes of a model of the wav2vec 2.0 layout.
    pub fn of_speech(config: &SpeechConfig) -> Self {
        let (width, inner) = (config.hidden, config.feed_forward);
        let mut front_end = 0;
        let mut flops = 0.0;
        let mut floats: f64 = 0.0;
        let mut kept = 0.0;
        let mut input = 1;
        let mut rate = f64::from(16_000);
        for (index, convolution) in config.convolutions.iter().enumerate() {
            let weights = input * convolution.channels * convolution.kernel;
            let before = rate * input as f64;
            rate /= convolution.stride as f64;
            front_end += weights;
            if config.conv_bias {
                front_end += convolution.channels;
            }
            let normalised = config.feature_norm == FeatureNorm::Layer || index == 0;
            if normalised {
                front_end += 2 * convolution.channels;
            }
            flops += 2.0 * rate * weights as f64;
            let after = rate * convolution.channels as f64;
            floats = floats.max(before + 2.0 * after);
            kept += after * if normalised { 2.0 } else { 1.0 };
            input = convolution.channels;
        }
        let positional = width * (width / config.position_groups) * config.position_kernel * config.position_layers
            + width * config.position_layers
            + match (config.position_batch_norm, config.position_layers) {
                (true, _) => 2 * width,
                (false, 1) => config.position_kernel,
                (false, _) => 0,
            };
        let projection_norm = if config.projection_norm { 2 * input } else { 0 };
        let norm = 2 * width;
        let embedding = projection_norm + input * width + width + positional + if config.stable { 0 } else { norm };
        let gate = match config.relative {
            Some(_) => (width / config.heads + 1) * 8 + config.heads,
            None => 0,
        };
        Self {
            front_end: front_end as u64,
            embedding: embedding as u64,
            layer: layer(width, inner, width) + gate as u64,
            first_layer: config
                .relative
                .map_or(0, |relative| (relative.buckets * config.heads) as u64),
            end: if config.stable { norm as u64 } else { 0 },
            constant: 0,
            width,
            feed_forward: inner,
            heads: config.heads,
            rate_hz: rate,
            front_end_flops: flops,
            front_end_floats: floats,
            front_end_kept: kept,
        }
    }

    /// Sizes of a Whisper encoder.
    pub fn of_whisper(config: &WhisperConfig) -> Self {
        let (width, inner) = (config.hidden, config.feed_forward);
        let front_end = 3 * config.mels * width + width + 3 * width * width + width;
        let mel_rate = 100.0;
        Self {
            front_end: front_end as u64,
            embedding: 0,
            layer: layer(width, inner, 0),
            first_layer: 0,
            end: 2 * width as u64,
            constant: (config.positions * width) as u64,
            width,
            feed_forward: inner,
            heads: config.heads,
            rate_hz: mel_rate / 2.0,
            front_end_flops: mel_rate * (6 * config.mels * width + 3 * width * width) as f64,
            front_end_floats: mel_rate * (config.mels + 2 * width) as f64,
            front_end_kept: 1.5 * mel_rate * width as f64,
        }
    }
}

/// Parameters of a transformer layer; `key_bias` is 0 where keys have none.
fn layer(width: usize, inner: usize, key_bias: usize) -> u64 {
    (4 * width * width + 3 * width + key_bias + 2 * width * inner + inner + width + 4 * width) as u64
}

/// Length in seconds of an item for which the work of attention, which grows with its square, is
/// counted.
const TYPICAL_SECONDS: f64 = 4.0;

/// Cost of a model of which `depth` layers are run.
pub fn cost(sizes: &Sizes, train: &Train, frozen: Frozen, depth: usize) -> Cost {
    let layers = |from: usize| {
        let first = if from == 0 && depth > 0 { sizes.first_layer } else { 0 };
        (depth - from.min(depth)) as u64 * sizes.layer + first
    };
    // Stable layouts read the norm behind the last layer even where it is not run.
    let end = sizes.end;
    let added = train.added(sizes.width, sizes.feed_forward) * depth as u64;
    let trained = sizes.front_end + sizes.embedding + layers(0) + end;
    let parameters = trained + sizes.constant + added;
    let adapted = matches!(train, Train::Lora(_));
    let trainable = match frozen {
        _ if adapted => added,
        Frozen::Everything => 0,
        Frozen::Upto(state) => layers(state) + end,
        Frozen::FrontEnd => trained - sizes.front_end,
        Frozen::Nothing => trained,
    };
    let (width, inner) = (sizes.width as f64, sizes.feed_forward as f64);
    let attention = sizes.rate_hz * TYPICAL_SECONDS;
    let layer_flops = sizes.rate_hz * (8.0 * width * width + 4.0 * width * inner + 4.0 * attention * width);
    let trained_layers = match frozen {
        Frozen::Everything => 0,
        Frozen::Upto(state) => depth - state.min(depth),
        Frozen::FrontEnd | Frozen::Nothing => depth,
    } as f64;
    // Kept of a layer for the backward pass: its inputs, queries, keys and values, attention
    // weights before and after the softmax, what goes into each norm and into the activation.
    let kept = sizes.rate_hz * (12.0 * width + 2.0 * inner + 2.0 * attention * sizes.heads as f64);
    let front_end_kept = if frozen == Frozen::Nothing {
        sizes.front_end_kept
    } else {
        0.0
    };
    // With gradient checkpointing, what all layers give and what one of them keeps.
    let least = trained_layers * sizes.rate_hz * width + kept;
    let working = sizes.front_end_floats.max(sizes.rate_hz * (4.0 * width + 2.0 * inner));
    Cost {
        parameters,
        trainable,
        flops_per_second: sizes.front_end_flops + depth as f64 * layer_flops,
        activation_floats_per_second: working + front_end_kept + trained_layers * kept,
        recomputed_floats_per_second: (trained_layers * kept - least).max(0.0),
        ..Cost::default()
    }
}
