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

mod architecture;
mod augment;
mod bench;
mod changes;
mod checkpoint_forms;
mod columns;
mod corpus_preparation;
mod data;
mod early;
mod errors;
mod experiments;
mod explaining;
mod faults;
mod features;
mod finite;
mod from_outside;
mod front_ends;
mod frozen;
mod golden;
mod lengths;
mod losses;
mod members;
mod mixing;
mod networks;
mod objectives;
mod onnx;
mod optimisation;
mod origin;
mod padding;
mod policies;
mod policy_runs;
mod pretrained;
mod readme;
mod resuming;
mod runs;
mod smoke;
mod support;
mod tables;
mod tensorboard;
mod terminal;
