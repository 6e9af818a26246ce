//! Held against scikit-learn and umap-learn, on vectors of `tests/golden/make_golden.py`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod analysis;
mod golden;
