//! Runs exported to a server that is a table in memory, and to MLflow's own.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod made;
mod real;
mod sending;
mod stub;
