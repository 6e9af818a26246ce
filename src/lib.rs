//! emorun: a declarative experiment runner for research on emotion in speech.
//!
//! A YAML file describes an experiment as a graph; [`cli`] is the way in. See ARCHITECTURE.md.

pub mod cli;
