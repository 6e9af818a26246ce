//! Small corpora in the exact layout of the published ones, for tests and for `emorun smoke`.
//!
//! Every file holds a tone that differs from that of any other file, higher and louder for lively
//! emotions, so that files are told apart by content and a model has something to learn.

use crate::corpora::{cremad, emodb};
use emorun_audio::{AudioError, Clip, write_wav};
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

/// Writes RAVDESS' speech files of these actors (1 to 24), 60 each at 48 kHz, as
/// `Actor_NN/03-01-…wav`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_ravdess(root: &Path, actors: &[u32], seconds: f64) -> Result<usize, FixtureError> {
    let mut files = 0;
    for actor in actors {
        for emotion in 1..=8_u32 {
            // Neutral has no strong intensity.
            for intensity in 1..=if emotion == 1 { 1 } else { 2_u32 } {
                for (statement, repetition) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                    let name = format!(
                        "Actor_{actor:02}/03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}.wav"
                    );
                    tone(root, &name, 48_000, seconds, emotion + intensity - 1)?;
                    files += 1;
                }
            }
        }
    }
    Ok(files)
}

/// Writes an utterance of every text in every emotion for these EmoDB speakers (`03`, `08` to
/// `16`), 70 each at 16 kHz, as `wav/03a01Fa.wav`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_emodb(root: &Path, speakers: &[&str], seconds: f64) -> Result<usize, FixtureError> {
    let mut files = 0;
    for speaker in speakers {
        for (text, _) in emodb::TEXTS {
            for (rank, (emotion, _)) in (1..).zip(emodb::EMOTIONS) {
                tone(
                    root,
                    &format!("wav/{speaker}{text}{emotion}a.wav"),
                    16_000,
                    seconds,
                    rank,
                )?;
                files += 1;
            }
        }
    }
    Ok(files)
}

/// Writes the files of these CREMA-D actors (1001 to 1091), 82 each at 16 kHz, as
/// `AudioWAV/1001_DFA_ANG_XX.wav`, and `VideoDemographics.csv`, where odd actors are male.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_cremad(root: &Path, actors: &[u32], seconds: f64) -> Result<usize, FixtureError> {
    let mut files = 0;
    let mut table = String::from("ActorID,Age,Sex,Race,Ethnicity\n");
    for actor in actors {
        let sex = if actor % 2 == 1 { "Male" } else { "Female" };
        table.push_str(&format!("{actor},40,{sex},Caucasian,Not Hispanic\n"));
        for (sentence, _) in cremad::SENTENCES {
            for (rank, (emotion, _)) in (1..).zip(cremad::EMOTIONS) {
                // One sentence was spoken at three levels, except in neutral.
                let levels: &[&str] = if sentence == "IEO" && emotion != "NEU" {
                    &["LO", "MD", "HI"]
                } else {
                    &["XX"]
                };
                for level in levels {
                    let name = format!("AudioWAV/{actor}_{sentence}_{emotion}_{level}.wav");
                    tone(root, &name, 16_000, seconds, rank)?;
                    files += 1;
                }
            }
        }
    }
    write(&root.join("VideoDemographics.csv"), table.as_bytes())?;
    Ok(files)
}

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
fn tone(root: &Path, name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Result<(), FixtureError> {
    tone_at(&root.join(name), name, rate_hz, seconds, rank)
}

/// Writes the tone of `name` to a file.
pub(crate) fn tone_at(path: &Path, name: &str, rate_hz: u32, seconds: f64, rank: u32) -> Result<(), FixtureError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| FixtureError::Io {
            path: folder.to_owned(),
            source,
        })?;
    }
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
    Ok(write_wav(path, &Clip { samples, rate_hz })?)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FixtureError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| FixtureError::Io {
            path: folder.to_owned(),
            source,
        })?;
    }
    fs::write(path, bytes).map_err(|source| FixtureError::Io {
        path: path.to_owned(),
        source,
    })
}
