//! Tests of the crate as its users see it, against a server that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod archives;
mod corpora;
mod downloads;
mod server;

use emorun_fetch::{Client, Clock, Network};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A client that leaves the machine for nothing and waits for nobody.
fn client() -> Client {
    waiting_client(SystemTime::UNIX_EPOCH).0
}

/// The same at a time of day, and what it would have waited.
fn waiting_client(now: SystemTime) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let waited = waits.clone();
    let network = Network {
        clock: Clock::new(move || now, move |time| waited.lock().unwrap().push(time)),
        ..Network::default()
    };
    (Client::new(&network, "", None).unwrap(), waits)
}

/// Bytes that do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
