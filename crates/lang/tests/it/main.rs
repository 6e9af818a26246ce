//! Tests of the language through its public interface, over a toy set of kinds.

mod diagnostics;
mod experiments;
mod json_schema;
mod properties;
#[expect(clippy::panic, reason = "its helpers fail a test by panicking")]
mod toy;
