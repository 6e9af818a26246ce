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
mod columns;
mod corpus_preparation;
mod data;
mod early;
mod errors;
mod experiments;
mod explaining;
mod faults;
mod features;
mod front_ends;
mod frozen;
mod golden;
mod losses;
mod members;
mod mixing;
mod networks;
mod objectives;
mod onnx;
mod optimisation;
mod padding;
mod policies;
mod policy_runs;
mod pretrained;
mod resuming;
mod runs;
mod smoke;
mod support;
mod tensorboard;
