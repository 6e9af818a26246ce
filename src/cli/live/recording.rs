//! What a session leaves in a folder: its sound, its events, and label tracks for Audacity.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use emorun_engine::exit::Failure;
use emorun_live::{Event, Update};
use emorun_metrics::Predicts;
use emorun_recognise::Head;
use hound::{SampleFormat, WavSpec, WavWriter};

use super::lines::plain;

/// Samples after which the file's header says how long it is, so that a killed session leaves a file that can be read.
const SAID_AFTER: usize = 1 << 17;

/// A label that is shown from one time to another.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    segment: u64,
    from_s: f64,
    to_s: f64,
    label: String,
}

/// A session that is kept.
pub(super) struct Recording {
    folder: PathBuf,
    sound: WavWriter<BufWriter<File>>,
    unsaid: usize,
    events: BufWriter<File>,
    heads: Vec<Head>,
    /// Label tracks, one for each head; empty for heads of numbers.
    tracks: Vec<Vec<Span>>,
    /// Where each stretch of speech began that has no update yet.
    started_s: Option<(u64, f64)>,
}

impl Recording {
    /// Begins one in a folder, which is made, and in which nothing is written over.
    pub(super) fn begin(folder: &Path, rate_hz: u32, heads: &[Head]) -> Result<Self, Failure> {
        create_dir_all(folder).map_err(Failure::io("create", folder))?;
        let sound = folder.join("sound.wav");
        let spec = WavSpec {
            channels: 1,
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let file = BufWriter::new(create_new(&sound)?);
        let sound = WavWriter::new(file, spec).map_err(|error| unwritten(&sound, error))?;
        Ok(Self {
            sound,
            unsaid: 0,
            events: BufWriter::new(create_new(&folder.join("events.jsonl"))?),
            heads: heads.to_vec(),
            tracks: vec![Vec::new(); heads.len()],
            started_s: None,
            folder: folder.to_owned(),
        })
    }

    /// Keeps sound.
    pub(super) fn sound(&mut self, samples: &[f32]) -> Result<(), Failure> {
        let path = || self.folder.join("sound.wav");
        for &sample in samples {
            // What is no number becomes 0.
            let sample = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            self.sound
                .write_sample(sample)
                .map_err(|error| unwritten(&path(), error))?;
        }
        self.unsaid += samples.len();
        if self.unsaid >= SAID_AFTER {
            self.unsaid = 0;
            self.sound.flush().map_err(|error| unwritten(&path(), error))?;
        }
        Ok(())
    }

    /// Keeps an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = format!("{}\n", event.json(&self.heads));
        let written = self
            .events
            .write_all(line.as_bytes())
            .and_then(|()| self.events.flush());
        written.map_err(Failure::io("write", &self.folder.join("events.jsonl")))?;
        match event {
            Event::SpeechStarted { segment, from_s, .. } => self.started_s = Some((*segment, *from_s)),
            Event::Update(update) => self.label(update),
            _ => {}
        }
        Ok(())
    }

    fn label(&mut self, update: &Update) {
        for (track, estimate) in self.tracks.iter_mut().zip(&update.estimates) {
            let Some(label) = &estimate.label else { continue };
            match track.last_mut() {
                Some(last) if last.segment == update.segment && last.label == *label => last.to_s = update.to_s,
                last => {
                    let before = last.filter(|last| last.segment == update.segment).map(|last| last.to_s);
                    let started = self.started_s.filter(|(segment, _)| *segment == update.segment);
                    let from_s = before.or(started.map(|(_, from_s)| from_s)).unwrap_or(update.from_s);
                    track.push(Span {
                        segment: update.segment,
                        from_s,
                        to_s: update.to_s,
                        label: label.clone(),
                    });
                }
            }
        }
    }

    /// Ends it, and writes the label tracks.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let sound = self.folder.join("sound.wav");
        self.sound.finalize().map_err(|error| unwritten(&sound, error))?;
        let tracks = self.heads.iter().zip(&self.tracks);
        for (at, (head, track)) in tracks
            .enumerate()
            .filter(|(_, (head, _))| head.predicts == Predicts::Classes)
        {
            // The name of a node is no name of a file by itself, but is in all that emorun has read.
            let name = if emorun_lang::folder_name_problem(&head.name).is_none() {
                format!("labels.{}.txt", head.name)
            } else {
                format!("labels.{}.txt", at + 1)
            };
            let path = self.folder.join(name);
            let lines = track
                .iter()
                .map(|span| format!("{:.6}\t{:.6}\t{}\n", span.from_s, span.to_s, plain(&span.label)));
            let text: String = lines.collect();
            create_new(&path)?
                .write_all(text.as_bytes())
                .map_err(Failure::io("write", &path))?;
        }
        Ok(())
    }
}

fn create_new(path: &Path) -> Result<File, Failure> {
    File::create_new(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Conflict(format!(
            "{} is there already and is not written over; choose another folder with --record",
            path.display()
        )),
        _ => Failure::io("create", path)(error),
    })
}

fn unwritten(path: &Path, error: hound::Error) -> Failure {
    match error {
        hound::Error::IoError(error) => Failure::io("write", path)(error),
        error => Failure::Io {
            action: "write",
            path: path.to_owned(),
            source: std::io::Error::other(error),
        },
    }
}
