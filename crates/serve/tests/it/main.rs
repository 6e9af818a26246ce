//! A server in this process, asked over sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod access;
mod browser;
mod client;
mod ending;
mod hostile;
mod page;
mod predicting;
mod script;
mod streaming;
#[allow(dead_code, reason = "the annotation page presses other keys")]
#[path = "../../../prepare/tests/it/webdriver.rs"]
mod webdriver;
