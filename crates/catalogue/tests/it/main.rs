//! Runs that were made without training: listed, compared, tagged, removed, tampered with.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod comparing;
mod listing;
mod made;
mod putting_away;
mod verifying;
