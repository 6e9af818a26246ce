//! What is known of a run's predictions, as a document that reports, tables and comparisons are made from.
//!
//! The way through it: whoever has predictions gives each head as a [`Said`], with what is known of the items; [`fits`] makes
//! what is fitted on the validation side, [`side`] everything of a side. [`Evaluation`] is the document, which is written as
//! `report/evaluation.json` by every run and by `emorun eval`, and read back by [`Evaluation::parse`]; [`text`] is what a
//! person reads of a side. Nothing here touches a file or a network.

mod analysis;
mod document;
mod groups;
mod said;
pub mod text;

pub use analysis::{bootstrap, fits, measured, side};
pub use document::{
    AudioPlace, BaselineReport, Bootstrapped, Calibrated, Calibration, Class, Classifier, Condition, ConditionResult,
    ConformalReport, Confused, Curves, Evaluation, EvaluationError, Fit, Gap, Group, Grouping, Measured, Metrics,
    Mistake, NumberReport, Pooled, Protocol, Regressor, Run, Selection, Side, VERSION, VotesReport, Weights,
};
pub use groups::FEW;
pub use said::{ItemFacts, Said};
