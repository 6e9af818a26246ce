//! Pretrained encoders: configuration and tensors as their checkpoints have them.
//!
//! `settings` are the fields of a node, `kind` is what is asked of it, `resolve` what the fields come to for a checkpoint;
//! `config` reads what a checkpoint says of itself, `families` tells the architectures of one layout apart, `known` holds
//! layouts and sizes of published ones, `reader` and `load` hand out tensors, `naming` finds what they are called,
//! `wav2vec2` and `whisper` compute, `train` says what of it trains, `encoder` makes a node of a model, `miniature` makes
//! tiny checkpoints to try an experiment on.

mod attend;
pub mod cache;
pub mod config;
pub mod cost;
pub mod encoder;
pub mod families;
mod fields;
pub mod kind;
pub mod known;
pub mod load;
pub mod masks;
pub mod miniature;
pub mod naming;
mod positional;
pub mod reader;
pub mod resolve;
pub mod settings;
pub mod train;
pub mod wav2vec2;
pub mod weight;
pub mod whisper;
