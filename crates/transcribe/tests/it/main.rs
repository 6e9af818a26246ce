#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ctc;
mod fallback;
mod search;
mod segments;
