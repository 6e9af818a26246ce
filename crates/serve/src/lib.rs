//! A trained model behind HTTP and WebSocket, with a page: `emorun serve`.
//!
//! A [`Server`] has models ([`emorun_recognise::Recogniser`]), each on a thread of its own with a bounded queue from which
//! batches are made, and answers what comes from a [`Bound`]. Everything that comes is taken for hostile: bounded in
//! size, time and number ([`Limits`]), refused from other sites' pages, and from everybody without the [`Token`] beyond
//! this machine. Nothing from outside names a file.

mod access;
mod app;
mod batch;
mod drain;
mod limits;
mod metrics;
mod models;
mod openapi;
mod page;
mod pcm;
mod predict;
mod problem;
mod recording;
mod routes;
mod server;
mod stream;
mod token;
mod upload;

pub use access::GateError;
pub use limits::Limits;
pub use server::{Bound, Ended, ServeError, Server};
pub use token::{Token, TokenError};
