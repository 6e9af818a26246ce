//! Tests of the language through its public interface, over a toy set of kinds.

mod diagnostics;
mod experiments;
mod json_schema;
mod properties;
mod toy;
