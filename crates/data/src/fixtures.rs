//! What small corpora in the exact layout of the published ones are made of, for tests and for `emorun smoke`; each
//! corpus' own file writes it (`corpora::ravdess::write_ravdess`).
//!
//! Every file holds a tone that differs from that of any other file, higher and louder for lively
//! emotions, so that files are told apart by content and a model has something to learn.

use emorun_audio::{AudioError, Clip, write_flac, write_wav};
use std::fs;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Why a fixture could not be written.
#[derive(Debug, Error)]
pub enum FixtureError {
    /// A folder or a table.
    #[error("cannot write the fixture {path:?}: {source}")]
    Io {
        /// What was to be written.
        path: std::path::PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// An audio file.
    #[error(transparent)]
    Audio(#[from] AudioError),
}

/// Length of a fixture's files in seconds, long enough for every check.
pub const FIXTURE_S: f64 = 0.1;

/// Writes `manifest.csv` with these lines (the first names the columns), and a 16 kHz file at every
/// relative path in its first column.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_manifest(root: &Path, lines: &[&str], seconds: f64) -> Result<(), FixtureError> {
    for line in lines.iter().skip(1) {
        let name = line.split(',').next().unwrap_or_default().trim_matches('"');
        if !name.is_empty() && !root.join(name).exists() {
            tone(root, name, 16_000, seconds, 1)?;
        }
    }
    write(&root.join("manifest.csv"), lines.join("\n").as_bytes())
}

/// Writes a tone of its own at `name` below `root`.
pub(crate) fn tone(root: &Path, name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Result<(), FixtureError> {
    tone_at(&root.join(name), name, rate_hz, seconds, rank)
}

/// Writes the tone of `name` to a file.
pub(crate) fn tone_at(path: &Path, name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Result<(), FixtureError> {
    make_folder(path)?;
    Ok(write_wav(path, &clip(name, rate_hz, seconds, rank))?)
}

/// Writes the tone of `name` to a FLAC file.
pub(crate) fn tone_flac(path: &Path, name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Result<(), FixtureError> {
    make_folder(path)?;
    Ok(write_flac(path, &clip(name, rate_hz, seconds, rank))?)
}

fn clip(name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Clip {
    let hash = blake3::hash(name.as_bytes());
    let own = |index: usize| f64::from(hash.as_bytes()[index]) / 255.0;
    let f0_hz = 90.0 + 25.0 * f64::from(rank) + 30.0 * own(0) + own(1) + own(2) / 256.0;
    let level = 0.05 + 0.03 * f64::from(rank) + 0.02 * own(3);
    let samples = (0..(seconds * f64::from(rate_hz)).round() as u32)
        .map(|index| {
            let phase = std::f64::consts::TAU * f0_hz * f64::from(index) / f64::from(rate_hz);
            (level * (phase.sin() + 0.5 * (2.0 * phase + own(4)).sin() + 0.25 * (3.0 * phase + own(5)).sin())) as f32
        })
        .collect();
    Clip { samples, rate_hz }
}

fn make_folder(path: &Path) -> Result<(), FixtureError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|source| FixtureError::Io {
        path: folder.to_owned(),
        source,
    })
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FixtureError> {
    make_folder(path)?;
    fs::write(path, bytes).map_err(|source| FixtureError::Io {
        path: path.to_owned(),
        source,
    })
}
