//! Pages of runs that went as they should, and of those that did not.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod made;
mod odd;
