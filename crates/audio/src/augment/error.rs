//! What can be wrong with a transform.

use std::path::PathBuf;

use super::Interval;
use crate::{AudioError, RATE_BOUNDS_HZ};

/// Why a transform cannot be made or applied.
#[derive(Debug, thiserror::Error)]
pub enum AugmentError {
    /// A probability out of bounds.
    #[error("p is {0}; give a probability from 0 to 1")]
    Probability(f64),
    /// A range out of bounds.
    #[error("{field} is {range}; give a range within {least} to {most} {unit}")]
    Range {
        /// The field.
        field: &'static str,
        /// Its value.
        range: Interval,
        /// Least value allowed.
        least: f64,
        /// Greatest value allowed.
        most: f64,
        /// Their unit.
        unit: &'static str,
    },
    /// A single number out of bounds.
    #[error("{field} is {value}; give {least} to {most} {unit}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// Least value allowed.
        least: f64,
        /// Greatest value allowed.
        most: f64,
        /// Their unit.
        unit: &'static str,
    },
    /// A sampling rate out of bounds.
    #[error("{rate_hz} Hz is not a sampling rate from {} to {} Hz; choose one", RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end())]
    Rate {
        /// The rate in hertz.
        rate_hz: u32,
    },
    /// A category that is no folder's name.
    #[error("the category `{0}` is no name of a folder; write one such as noise, music or speech")]
    CategoryName(String),
    /// A folder of noise that cannot be used.
    #[error(transparent)]
    NoiseFolder(#[from] NoiseFolderError),
    /// A noise file that cannot be used.
    #[error("noise file {0}")]
    NoiseFile(#[from] AudioError),
}

/// Why a folder of noise cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoiseFolderError {
    /// There is no such folder.
    #[error("{}: is no folder of noise; check the path or unpack the noise there", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A folder or file below cannot be read.
    #[error("{}: cannot be read ({reason}); check its permissions", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It holds no audio file.
    #[error("{}: holds no WAV or FLAC file at any depth; unpack the noise there", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A category has no file.
    #[error(
        "{}: holds no WAV or FLAC file below a folder `{category}`; the folders with noise are: {}",
        path.display(), found.join(", ")
    )]
    NoCategory {
        /// The folder.
        path: PathBuf,
        /// The category asked for.
        category: String,
        /// The names of folders that hold files, at most 20.
        found: Vec<String>,
    },
}
