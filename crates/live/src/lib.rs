//! What a trained model says of sound while it comes in, without Burn, a clock or a thread.
//!
//! A [`Listener`] takes samples as they come and says what has happened ([`Event`]). What the model is to be asked is a
//! [`Question`], which the caller takes, answers wherever the model runs, and hands back; a caller that falls behind loses
//! the older questions and is told how many. What comes out is a function of the samples and of when questions were
//! taken and answered. [`Settings`] say what is asked, and [`Preset`]s are whole sets of them.
//!
//! Sound goes through [`StreamResampler`](emorun_audio::StreamResampler) into what is kept of it (`past`). An ear hears it
//! in frames of 16 ms: `speech` finds voice (`voice`, `segmenter`), `windows` takes all that is loud enough. What an ear
//! wants asked waits in `questions`; answers go through `smoothing`.

mod event;
mod listener;
mod model;
mod past;
mod preset;
mod questions;
mod segmenter;
mod settings;
mod smoothing;
mod span;
mod speech;
mod voice;
mod windows;

pub use event::{Estimate, Event, Update};
pub use listener::{ListenError, Listener};
pub use model::Model;
pub use preset::Preset;
pub use questions::Question;
pub use settings::{Gate, Hearing, Settings, SettingsError, VoiceActivity};
