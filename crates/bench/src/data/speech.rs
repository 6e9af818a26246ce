//! The files that are timed: a folder's, or generated ones.

use std::path::{Path, PathBuf};

use emorun_audio::synthetic::{Gender, SyntheticEmotion, VoiceSpec, synthesise};
use emorun_audio::{Clip, write_wav};
use rand::RngExt;

use emorun_engine::exit::Failure;
use emorun_nn::draw::DrawKey;

/// Rate of generated speech in Hz, as corpora are recorded.
const SPEECH_RATE_HZ: u32 = 48_000;
/// Rate of generated noise in Hz, that of MUSAN.
const NOISE_RATE_HZ: u32 = 16_000;
/// Lengths of generated noises in seconds; those of MUSAN's are from 1 to some hundred, half of them below 30.
const NOISES_S: [usize; 6] = [5, 10, 20, 30, 60, 120];

/// At most `most` WAV and FLAC files below a folder, evenly from all of them by their paths.
///
/// # Errors
/// The folder cannot be read or has none.
pub fn find(folder: &Path, most: usize) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || Failure::io("read", &folder);
        for entry in std::fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            // Links are not followed, so that there is no way round.
            if entry.file_type().map_err(failed())?.is_dir() {
                folders.push(entry.path());
            } else if is_audio(&entry.path()) {
                files.push(entry.path());
            }
        }
    }
    if files.is_empty() {
        let folder = folder.display();
        return Err(Failure::Input(format!("{folder}: there is no WAV or FLAC file in it")));
    }
    files.sort();
    let kept = most.min(files.len());
    Ok((0..kept).map(|at| files[at * files.len() / kept].clone()).collect())
}

fn is_audio(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["wav", "flac"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Writes some utterances of generated speech into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn generate_speech(folder: &Path, count: usize) -> Result<(), Failure> {
    (0..count).try_for_each(|at| {
        let spec = VoiceSpec {
            speaker: at as u32 % 8,
            gender: [Gender::Female, Gender::Male][at % 2],
            emotion: SyntheticEmotion::ALL[at % SyntheticEmotion::ALL.len()],
            sentence: at as u32,
            take: 0,
            seed: 1,
            rate_hz: SPEECH_RATE_HZ,
            overlap: 1.0,
        };
        write(&folder.join(format!("speech-{at:04}.wav")), &synthesise(&spec))
    })
}

/// Writes brown noise of some lengths into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn generate_noise(folder: &Path) -> Result<(), Failure> {
    NOISES_S.iter().try_for_each(|&seconds| {
        let mut rng = DrawKey::root(1).with("noise").at(seconds as u64).rng();
        let mut level = 0.0;
        let mut next = || {
            level = 0.98 * level + 0.02 * rng.random_range(-1.0..1.0_f32);
            level
        };
        let clip = Clip {
            samples: (0..seconds * NOISE_RATE_HZ as usize).map(|_| next()).collect(),
            rate_hz: NOISE_RATE_HZ,
        };
        write(&folder.join(format!("noise-{seconds:03}.wav")), &clip)
    })
}

fn write(path: &Path, clip: &Clip) -> Result<(), Failure> {
    write_wav(path, clip).map_err(|error| Failure::Input(error.to_string()))
}
