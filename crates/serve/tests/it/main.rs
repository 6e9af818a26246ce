//! A server in this process, asked over sockets.

mod access;
mod client;
mod ending;
mod hostile;
mod page;
mod predicting;
mod script;
mod streaming;
