//! Layers of a transformer decoder: frames that attend to one another and to a memory.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::activation::Activation;
use super::dense::Dense;
use super::positions::HIDDEN;
use crate::node::Context;

/// Multi-head attention of frames to others.
#[derive(Module, Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    #[module(skip)]
    heads: usize,
}

/// Attention that is not built yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Width of the frames that attend, of those that are attended to, and of what comes out.
    pub width: usize,
    /// Heads, which divide `width`.
    pub heads: usize,
}

impl AttentionSizes {
    fn layers(self) -> [Dense; 4] {
        [Dense::new(self.width, self.width); 4]
    }

    /// Number of parameters.
    pub fn parameters(self) -> u64 {
        self.layers().iter().map(Dense::parameters).sum()
    }

    /// The module, its weights drawn.
    pub fn build(self, device: &Device) -> Attention {
        let [query, key, value, output] = self.layers().map(|layer| layer.build(device));
        Attention {
            query,
            key,
            value,
            output,
            heads: self.heads,
        }
    }
}

impl Attention {
    /// # Shapes
    /// - `x`: `[batch, queries, width]`
    /// - `memory`: `[batch, keys, width]`
    /// - `bias`: `[1 or batch, heads, queries, keys]`, added to the scores
    /// - output: `[batch, queries, width]`
    ///
    /// # Source
    /// Vaswani et al. 2017, §3.2; `torch.nn.MultiheadAttention`.
    pub fn forward(&self, x: Tensor<3>, memory: Tensor<3>, bias: Tensor<4>, p: f64, context: &Context) -> Tensor<3> {
        let ([batch, queries, width], [_, keys, _]) = (x.dims(), memory.dims());
        let each = width / self.heads;
        let heads = |x: Tensor<3>, time: usize| x.reshape([batch, time, self.heads, each]).swap_dims(1, 2);
        let query = heads(self.query.forward(x), queries);
        let key = heads(self.key.forward(memory.clone()), keys);
        let value = heads(self.value.forward(memory), keys);
        let scores = query.matmul(key.swap_dims(2, 3)).div_scalar((each as f64).sqrt()) + bias;
        let weights = context.dropout(softmax(scores, 3), p, "attention");
        let attended = weights.matmul(value).swap_dims(1, 2).reshape([batch, queries, width]);
        self.output.forward(attended)
    }
}

/// What hides frames that are not there: the least number where the mask is 0.
///
/// # Shapes
/// - `mask`: `[batch, keys]`
/// - output: `[batch, 1, 1, keys]`
pub fn hiding(mask: Tensor<2>) -> Tensor<4> {
    let [batch, keys] = mask.dims();
    mask.sub_scalar(1.0)
        .mul_scalar(-f64::from(HIDDEN))
        .reshape([batch, 1, 1, keys])
}

/// A layer of a decoder that is not built yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderSizes {
    /// Width of its frames and of the memory's.
    pub width: usize,
    /// Heads of both attentions.
    pub heads: usize,
    /// Width within the feed-forward sublayer.
    pub feed_forward: usize,
}

impl DecoderSizes {
    fn attention(self) -> AttentionSizes {
        AttentionSizes {
            width: self.width,
            heads: self.heads,
        }
    }

    fn feed(self) -> [Dense; 2] {
        [
            Dense::new(self.width, self.feed_forward),
            Dense::new(self.feed_forward, self.width),
        ]
    }

    /// Number of parameters.
    pub fn parameters(self) -> u64 {
        let feed = self.feed().map(|layer| layer.parameters());
        2 * self.attention().parameters() + feed.iter().sum::<u64>() + 6 * self.width as u64
    }

    /// The module, its weights drawn.
    pub fn build(self, device: &Device) -> DecoderLayer {
        let norm = || LayerNormConfig::new(self.width).init(device);
        let [inner, outer] = self.feed().map(|layer| layer.build(device));
        DecoderLayer {
            own: self.attention().build(device),
            of_memory: self.attention().build(device),
            inner,
            outer,
            norm_own: norm(),
            norm_memory: norm(),
            norm_feed: norm(),
        }
    }
}

/// Attention among frames, attention to a memory, and two linear layers, each with layer norm before it and a residual
/// around both: `torch.nn.TransformerDecoderLayer` with `norm_first`.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    own: Attention,
    of_memory: Attention,
    inner: Linear,
    outer: Linear,
    norm_own: LayerNorm,
    norm_memory: LayerNorm,
    norm_feed: LayerNorm,
}

/// What is added to the scores of a decoder's attentions.
#[derive(Clone, Debug)]
pub struct Biases {
    /// Among frames, `[1 or batch, heads, queries, queries]`.
    pub own: Tensor<4>,
    /// To the memory, `[1 or batch, heads, queries, keys]`.
    pub of_memory: Tensor<4>,
}

impl DecoderLayer {
    /// # Shapes
    /// - `x`: `[batch, queries, width]`
    /// - `memory`: `[batch, keys, width]`
    /// - output: `[batch, queries, width]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        memory: &Tensor<3>,
        biases: &Biases,
        (activation, p): (Activation, f64),
        context: &Context,
    ) -> Tensor<3> {
        let normed = self.norm_own.forward(x.clone());
        let within = context.within("own");
        let attended = self.own.forward(normed.clone(), normed, biases.own.clone(), p, &within);
        let x = x + context.dropout(attended, p, "own");
        let normed = self.norm_memory.forward(x.clone());
        let within = context.within("memory");
        let attended = self
            .of_memory
            .forward(normed, memory.clone(), biases.of_memory.clone(), p, &within);
        let x = x + context.dropout(attended, p, "memory");
        let inner = activation.forward(self.inner.forward(self.norm_feed.forward(x.clone())));
        let fed = self.outer.forward(context.dropout(inner, p, "activation"));
        x + context.dropout(fed, p, "fed")
    }
}
