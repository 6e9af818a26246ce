//! Every utterance brought to one sampling rate and loudness, and measured.

use crate::plan::{SourceStamp, Wanted, file_of, own_rate};
use crate::{Audio, Journal, Measures, Plan, Preparation, PrepareError, measure, normalise};
use emorun_audio::{Clip, resample, write_wav};
use emorun_data::{AudioSource, ContentHash};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Name of the journal in the output folder.
const JOURNAL: &str = "prepared.jsonl";
/// Changes when the same settings come to give other samples.
const VERSION: &str = "2";

/// A line of the journal: what became of an utterance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The utterance.
    pub key: String,
    /// What its source looked like.
    pub stamp: SourceStamp,
    /// Hash of the settings.
    pub settings: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an utterance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Its audio was written.
    Written(Written),
    /// It cannot be read; the text says why.
    Unreadable(String),
}

/// An utterance's audio as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Path below the output folder.
    pub file: String,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Hash of the decoded samples of the source: files with the same sound have the same, whatever their format.
    pub content: ContentHash,
    /// Sampling rate of the source in Hz.
    pub source_rate_hz: u32,
    /// What was measured of the source.
    pub measures: Measures,
    /// Integrated loudness of the source in LUFS; none for silence.
    pub source_lufs: Option<f64>,
    /// Integrated loudness as written, in LUFS.
    pub lufs: Option<f64>,
    /// Gain in dB.
    pub gain_db: f64,
}

/// How far preprocessing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Utterances that are done, those of earlier runs included.
    pub done: usize,
    /// All utterances.
    pub all: usize,
    /// Utterances done in this run.
    pub new: usize,
}

/// Brings every utterance of a plan to the target rate and loudness, on `workers` threads; those of an earlier run whose
/// source and settings are the same, and whose file is there, are left alone. Gives how many were done in this run.
///
/// Utterances that cannot be read are noted and do not end the run.
///
/// # Errors
/// Another process prepares into the same folder, or something cannot be written.
pub fn preprocess(
    preparation: &Preparation,
    plan: &Plan,
    workers: usize,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<usize, PrepareError> {
    let output = preparation.output.as_path();
    let (journal, entries) = Journal::<Done>::open(&output.join(JOURNAL))?;
    let settings = settings_hash(&preparation.audio);
    let known = latest(entries);
    let todo: Vec<&Wanted> = plan
        .wanted
        .iter()
        .filter(|wanted| {
            !known
                .get(&wanted.key)
                .is_some_and(|done| is_current(done, wanted, &settings, output))
        })
        .collect();
    let all = plan.wanted.len();
    let journal = Mutex::new(journal);
    let next = AtomicUsize::new(0);
    let new = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    on_event(Event {
        done: all - todo.len(),
        all,
        new: 0,
    });
    std::thread::scope(|scope| {
        for worker in 0..workers.clamp(1, 64).min(todo.len()) {
            let (journal, next, new, stop, failure) = (&journal, &next, &new, &stop, &failure);
            let (todo, settings) = (&todo, &settings);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(wanted) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let aside = output.join(format!(".writing-{worker}.wav"));
                    let noted = one(wanted, &preparation.audio, output, &aside).and_then(|outcome| {
                        let entry = Done {
                            key: wanted.key.clone(),
                            stamp: wanted.stamp.clone(),
                            settings: settings.clone(),
                            outcome,
                        };
                        lock(journal).add(&entry)
                    });
                    if let Err(error) = noted {
                        stop.store(true, Ordering::Relaxed);
                        lock(failure).get_or_insert(error);
                        break;
                    }
                    let new = new.fetch_add(1, Ordering::Relaxed) + 1;
                    on_event(Event {
                        done: all - todo.len() + new,
                        all,
                        new,
                    });
                }
            });
        }
    });
    let failure = failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    failure.map_or_else(|| Ok(new.into_inner()), Err)
}

/// What became of each utterance, by its key.
///
/// # Errors
/// The journal cannot be read or is damaged.
pub fn read_journal(output: &Path) -> Result<HashMap<String, Done>, PrepareError> {
    Journal::read(&output.join(JOURNAL)).map(latest)
}

fn latest(entries: Vec<Done>) -> HashMap<String, Done> {
    entries.into_iter().map(|done| (done.key.clone(), done)).collect()
}

/// Whether an entry is still true of an utterance.
pub(crate) fn is_current(done: &Done, wanted: &Wanted, settings: &str, output: &Path) -> bool {
    let file_is_there = match &done.outcome {
        Outcome::Written(written) => {
            fs::metadata(output.join(&written.file)).is_ok_and(|found| found.is_file() && found.len() == written.bytes)
        }
        Outcome::Unreadable(_) => true,
    };
    done.stamp == wanted.stamp && done.settings == settings && file_is_there
}

/// Two settings with the same hash give the same audio.
pub(crate) fn settings_hash(audio: &Audio) -> String {
    let text = format!(
        "{VERSION} {} {:?} {:?}",
        audio.sample_rate_hz,
        audio.loudness_lufs,
        audio.peak()
    );
    blake3::hash(text.as_bytes()).to_hex().as_str()[..16].to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn one(wanted: &Wanted, audio: &Audio, output: &Path, aside: &Path) -> Result<Outcome, PrepareError> {
    let source = match load(&wanted.audio, audio.sample_rate_hz) {
        Ok(clip) => clip,
        Err(reason) => return Ok(Outcome::Unreadable(reason)),
    };
    let measures = measure(&source.samples, source.rate_hz);
    let content = content(&source);
    let mut samples = if source.rate_hz == audio.sample_rate_hz {
        source.samples
    } else {
        match resample(&source.samples, source.rate_hz, audio.sample_rate_hz) {
            Ok(samples) => samples,
            Err(error) => return Ok(Outcome::Unreadable(error.to_string())),
        }
    };
    let loudness = normalise(&mut samples, audio.sample_rate_hz, audio.loudness_lufs, audio.peak());
    let file = file_of(&wanted.key);
    let path = output.join(&file);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(PrepareError::io("create", folder))?;
    }
    let clip = Clip {
        samples,
        rate_hz: audio.sample_rate_hz,
    };
    let failed = |error: std::io::Error| PrepareError::io("write", aside)(error);
    write_wav(aside, &clip).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let bytes = File::open(aside)
        .and_then(|file| file.sync_all().and_then(|()| file.metadata()))
        .map_err(failed)?
        .len();
    fs::rename(aside, &path).map_err(PrepareError::io("write", &path))?;
    Ok(Outcome::Written(Written {
        file,
        bytes,
        content,
        source_rate_hz: source.rate_hz,
        measures,
        source_lufs: loudness.before_lufs,
        lufs: loudness.after_lufs,
        gain_db: loudness.gain_db,
    }))
}

/// The audio as it is stored, mono.
fn load(audio: &AudioSource, target_hz: u32) -> Result<Clip, String> {
    let rate_hz = own_rate(audio, target_hz).map_err(|error| error.to_string())?;
    let clip = match audio {
        AudioSource::File { path, segment, channel } => {
            emorun_audio::load_channel(&path.to_path(), rate_hz, *segment, *channel)
                .map_err(|error| error.to_string())?
        }
        AudioSource::Synthetic(spec) => {
            emorun_audio::synthetic::synthesise(&emorun_audio::synthetic::VoiceSpec { rate_hz, ..*spec })
        }
        AudioSource::Samples(clip) => Clip::clone(clip),
    };
    if clip.samples.is_empty() {
        return Err("it has no samples".to_owned());
    }
    Ok(clip)
}

/// Hash of rate and samples.
fn content(clip: &Clip) -> ContentHash {
    let mut bytes = Vec::with_capacity(4 * clip.samples.len() + 4);
    bytes.extend(clip.rate_hz.to_le_bytes());
    for sample in &clip.samples {
        bytes.extend(sample.to_le_bytes());
    }
    ContentHash::of(&bytes)
}
