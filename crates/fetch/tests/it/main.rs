//! Tests of the crate as its users see it, against a server that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod archives;
mod corpora;
mod downloads;
mod server;

use emorun_fetch::{Client, Network};

/// A client that leaves the machine for nothing.
fn client() -> Client {
    Client::new(&Network::default(), "", None).unwrap()
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
