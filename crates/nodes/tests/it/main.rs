//! Every kind against what it promises: the values and gradients of its original, no matter what pads it.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod golden;
mod mixing;
mod networks;
mod padding;
mod presence;
mod reactions;
mod rollout;
mod stepping;
mod vectors;
