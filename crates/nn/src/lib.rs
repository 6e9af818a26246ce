//! What nodes are made of: the contract that their modules keep, what flows between them, and layers.
//!
//! The way through it: [`node`] is the contract of a module, [`value`] what
//! flows on edges at run time, [`layers`] parts that respect lengths, [`draw`] where randomness comes from, [`host`]
//! what is computed for one item before it becomes part of a batch, [`facts`] what was found out about files before
//! inference. [`presence`] is about items that lack a stream, [`state`] what a layer remembers where a sequence comes in
//! stretches. [`precision`] and [`recompute`] are policies of training that reach into layers, [`waits`] is where the host
//! waits for a device.

pub mod draw;
pub mod facts;
pub mod host;
pub mod layers;
mod no_grad;
pub mod node;
pub mod precision;
pub mod presence;
pub mod recompute;
pub mod state;
pub mod value;
pub mod waits;
