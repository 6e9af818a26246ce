//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod annotating;
mod browser;
mod preparing;
mod webdriver;

use emorun_audio::{Clip, write_wav};
use emorun_lang::{Report, Sources, load, read_record};
use emorun_prepare::{Plan, Preparation, plan, preprocess};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a corpus of a few recordings and room for what is made of it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path("corpus")).unwrap();
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// A table over recordings, each with its emotion.
    fn table(&self, rows: &[(&str, &str)]) {
        let mut text = String::from("path,speaker,emotion,gender,text\n");
        for (number, (name, emotion)) in rows.iter().enumerate() {
            text += &format!("{name},s{},{emotion},f,say {name}\n", number % 2);
        }
        fs::write(self.path("corpus/table.csv"), text).unwrap();
    }

    fn write(&self, name: &str, samples: Vec<f32>, rate_hz: u32) {
        write_wav(&self.path("corpus").join(name), &Clip { samples, rate_hz }).unwrap();
    }

    /// Four good recordings of four emotions.
    fn four(&self) {
        self.table(&[
            ("a.wav", "happy"),
            ("b.wav", "sad"),
            ("c.wav", "fear"),
            ("d.wav", "neutral"),
        ]);
        for (number, name) in ["a.wav", "b.wav", "c.wav", "d.wav"].iter().enumerate() {
            self.write(name, speech(1.0, 200.0 + 50.0 * number as f32, 0.2), 16_000);
        }
    }

    fn preparation(&self, more: &str) -> Preparation {
        // As for speech synthesis, where a test does not say otherwise.
        let emotions = match more.contains("emotions:") {
            true => "",
            false => "emotions: { happy: [happy, excited], sad: [sad], angry: [angry], anxious: [fearful] }\n",
        };
        let audio = match more.contains("audio:") {
            true => "",
            false => "audio: { sample_rate_hz: 22050, loudness_lufs: -23 }\n",
        };
        let text = format!(
            "name: test\noutput: out\ndatasets:\n  d: {{ kind: manifest, path: corpus/table.csv, on_bad_audio: skip }}\n\
             {emotions}{audio}{more}"
        );
        self.read(&text).unwrap()
    }

    fn read(&self, text: &str) -> Result<Preparation, String> {
        let (mut sources, mut report) = (Sources::new(), Report::new());
        let tree = load(
            "prepare.yaml",
            &[],
            &mut |_| Ok(text.to_owned()),
            &mut sources,
            &mut report,
        );
        tree.and_then(|tree| read_record(tree, self.0.path(), &mut report))
            .ok_or_else(|| report.render(&sources, false))
    }

    /// Plans and preprocesses; how many utterances were new.
    fn preprocess(&self, preparation: &Preparation) -> (Plan, usize) {
        let plan = plan(preparation).unwrap();
        let new = preprocess(preparation, &plan, 2, &|_| ()).unwrap();
        (plan, new)
    }
}

/// Something like speech between pauses: a tone that swells, over a little noise.
fn speech(seconds: f32, pitch_hz: f32, level: f32) -> Vec<f32> {
    let rate = 16_000.0;
    let mut state = pitch_hz.to_bits();
    (0..(seconds * rate) as usize)
        .map(|i| {
            let time = i as f32 / rate;
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = 0.001 * (state as f32 / u32::MAX as f32 - 0.5);
            let swell = (std::f32::consts::PI * time / seconds).sin().powi(4);
            level * swell * (std::f32::consts::TAU * pitch_hz * time).sin() + noise
        })
        .collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
