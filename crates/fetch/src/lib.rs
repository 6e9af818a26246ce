//! Downloads that survive what networks do, and corpora fetched by name.
//!
//! [`download()`] brings one file: it goes on where an earlier connection or run broke off, checks hash and length, and
//! gives the file its name only when all of it is right and on the disk; a busy server is waited for as long as it asks.
//! [`unpack`] takes an archive apart without
//! trusting it. [`SOURCES`] is the reviewed table of corpora with addresses, sizes, hashes and licences, and
//! [`fetch_corpus`] brings one of them into a folder, leaving a [`Record`] of what came beside it.
//!
//! Nothing here knows what is in a file: `emorun-weights` downloads checkpoints with the same code.

mod archive;
mod client;
mod contents;
mod corpus;
mod download;
mod error;
mod hash;
mod lfs;
mod patience;
mod record;
mod repository;
mod sources;

pub use archive::{Limits, Unpacked, unpack};
pub use client::{Client, Network, NoAnswer, origin, redirect};
pub use corpus::{Event, Fetched, Options, Presence, fetch_corpus, presence};
pub use download::{Download, DownloadProgress, Received, download};
pub use error::{Class, FetchError};
pub use hash::{Hash, read_checked, sha256_of};
pub use patience::Clock;
pub use record::{RECORD, Record, RecordedFile};
pub use sources::{Contents, How, Lfs, Licence, PlainFile, RemoteFile, Repository, SOURCES, Source, find};
pub use ureq::{Agent, Body, Error as TransportError, http};
