//! What a trained model says of sound, without Burn: the contract between a model and all that uses one.
//!
//! A [`Recogniser`] gives an [`Answer`] of each [`Head`] for each clip. [`Windows`] cut a long recording, [`Loudness`]
//! tells where it is silent, and [`Predictions`] are written as tables and as tracks that other programs open ([`Form`]).

mod answer;
mod loudness;
mod recogniser;
mod tracks;
mod windows;

pub use answer::{Answer, Head, Prediction, Predictions};
pub use loudness::Loudness;
pub use recogniser::{Recogniser, RecogniserError};
pub use tracks::{Form, TrackError};
pub use windows::Windows;
