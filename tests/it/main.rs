//! Tests of the whole program, and of its parts against what they promise each other.
//!
//! One binary, so that Burn is linked once.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

// Small networks and golden vectors, which the tests of nodes have.
#[expect(dead_code, reason = "what only the tests of nodes need")]
#[path = "../../crates/nodes/tests/it/networks.rs"]
mod networks;
#[path = "../../crates/nodes/tests/it/vectors.rs"]
mod vectors;

mod architecture;
mod augment;
mod bench;
mod bundle;
mod catalogue;
mod changes;
mod checkpoint_forms;
mod columns;
mod corpus_preparation;
mod data;
mod early;
mod errors;
mod eval;
mod experiments;
mod explaining;
mod faces;
mod faults;
mod features;
mod finite;
mod from_outside;
mod front_ends;
mod frozen;
mod import;
mod inherit;
mod init_file;
mod latent;
mod lengths;
mod live;
mod losses;
mod members;
mod metrics;
mod objectives;
mod onnx;
mod optimisation;
mod optimizers;
mod origin;
mod origin_audio;
mod policies;
mod policy_runs;
mod policy_values;
mod predict;
mod pretrained;
mod pretrained_training;
mod reactions;
mod readme;
mod report;
mod resuming;
mod runs;
#[cfg(feature = "serve")]
mod serve;
mod smoke;
mod streams;
mod support;
mod tables;
mod tensorboard;
mod terminal;
mod waits;
