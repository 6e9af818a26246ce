//! What can go wrong with an event file.

use std::{io, path::PathBuf};

/// Why an event file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The directory or a new event file in it could not be made.
    #[error("cannot create a TensorBoard event file in {}: {source}", dir.display())]
    Create {
        /// The run's directory.
        dir: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A record could not be written; the writer is disabled from then on.
    #[error("cannot write to the TensorBoard event file {}: {source}", path.display())]
    Write {
        /// The event file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file could not be opened or read.
    #[error("cannot read the TensorBoard event file {}: {source}", path.display())]
    Read {
        /// The event file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A record's checksum holds, but it is no TensorBoard event.
    #[error(
        "{} holds something other than a TensorBoard event at byte {offset}: {source}",
        path.display()
    )]
    Decode {
        /// The event file.
        path: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// The cause.
        source: prost::DecodeError,
    },
}
