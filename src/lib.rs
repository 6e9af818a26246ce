//! emorun: a declarative experiment runner for research on emotion in speech.
//!
//! A YAML file describes an experiment as a graph; [`cli`] is the way in. See ARCHITECTURE.md.

pub mod ancestry;
pub mod bench;
pub mod checkpoints;
pub mod cli;
pub mod device;
pub mod draw;
pub mod exit;
pub mod facts;
pub mod feed;
pub mod folders;
pub mod host;
pub mod kinds;
pub mod layers;
pub mod logging;
pub mod memory;
pub mod network;
pub mod node;
pub mod nodes;
pub mod policies;
pub mod precision;
pub mod prepare;
pub mod pretrained;
pub mod recompute;
pub mod run;
pub mod settings;
pub mod smoke;
pub mod train;
pub mod value;
pub mod verify;
