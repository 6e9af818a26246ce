//! What can be wrong with a transform.

use std::path::PathBuf;

use super::Interval;
use crate::{AudioError, EXTENSIONS, RATE_BOUNDS_HZ, ResampleError};

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
    /// A list that is too short or too long.
    #[error("{field} has {length} elements; give {least} to {most}")]
    Length {
        /// The field.
        field: &'static str,
        /// Number of elements.
        length: usize,
        /// Least number allowed.
        least: usize,
        /// Greatest number allowed.
        most: usize,
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
    /// A folder of recordings that cannot be used.
    #[error(transparent)]
    NoiseFolder(#[from] NoiseFolderError),
    /// A recording that cannot be used.
    #[error("recording {0}")]
    NoiseFile(#[from] AudioError),
    /// The item cannot be resampled.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

fn extensions() -> String {
    EXTENSIONS.map(|extension| format!(".{extension}")).join(", ")
}

/// Why a folder of recordings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoiseFolderError {
    /// There is no such folder.
    #[error("{}: is no folder of recordings; check the path or unpack them there", path.display())]
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
    #[error("{}: holds no audio file ({}) at any depth; unpack the recordings there", path.display(), extensions())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Its files are for something else.
    #[error("{}: holds nothing but {found} of OpenSLR 28, where {wanted} are wanted; choose another folder of it", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What they are.
        found: &'static str,
        /// What is wanted.
        wanted: &'static str,
    },
    /// A recording of nothing.
    #[error("{}: is silent (no sample above {above}); remove it from the folder", path.display())]
    Silent {
        /// The file.
        path: PathBuf,
        /// Amplitude that none of its samples is above.
        above: f32,
    },
    /// A recording that is no room's answer to a click.
    #[error(
        "{}: is no impulse response ({why}), perhaps noise or speech; remove it from the folder, or name a folder of impulse responses alone",
        path.display()
    )]
    NoResponse {
        /// The file.
        path: PathBuf,
        /// What speaks against it.
        why: &'static str,
    },
    /// A category has no file.
    #[error(
        "{}: holds no audio file below a folder `{category}`; the folders with some are: {}",
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
