//! A folder to run emorun in, and small experiments that train in a fraction of a second.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The quickstart's structure with few speakers, channels and steps; every step is logged and is a
/// checkpoint.
const CRNN: &str = "\
name: tiny
seed: 7
sample_rate_hz: 8000
datasets:
  synthetic: { kind: synthetic, speakers: 6, utterances: 3, emotions: [neutral, angry] }
split: { kind: by_speaker, validation: 0.2, test: 0.2 }
encoders:
  mel: { kind: log_mel, input: data.audio, n_mels: 16, n_fft: 256, win_length: 200, hop_length: 160 }
  crnn: { kind: crnn, input: masked, channels: [4, 4], gru_hidden: 4 }
blocks:
  norm: { kind: normalise, input: mel }
  masked: { kind: spec_augment, input: norm, features_mask_size: 3, frames_mask_size: 8 }
heads:
  emotion: { kind: attention_classifier, input: crnn, target: data.emotion, hidden: 8, dropout: 0.3 }
losses:
  ce: { kind: cross_entropy, input: emotion }
training:
  epochs: 3
  batch_size: 4
  optimizer: { kind: adamw, lr: 2.0e-3 }
  scheduler: { kind: one_cycle, max_lr: 2.0e-3 }
  clip_norm: 1.0
  checkpoints: { every_steps: 1 }
evaluation: { best: loss }
logging: { every_steps: 1 }
";

/// [`CRNN`] with a transformer, on batches of like length and no more than so many seconds, of items that are
/// mixed with one another.
const TRANSFORMER: &str = "\
extends: crnn.yaml
encoders:
  crnn: null
  transformer: { kind: transformer, input: mixed, stack: 4, width: 8, layers: 1, heads: 2, feed_forward: 16 }
heads:
  emotion: { kind: mean_classifier, input: transformer, target: data.emotion, hidden: 8, dropout: 0.2 }
blocks:
  noisy: { kind: feature_noise, input: masked }
  dropped: { kind: temporal_dropout, input: noisy }
  cropped: { kind: sequence_crop, input: dropped, length_s: 0.5 }
  mixed: { kind: mixup, input: cropped, target: data.emotion, alpha: 0.4 }
losses:
  ce: { target: mixed.target }
training: { batching: { by_length: { window: 2, max_batch_seconds: 4.0 } } }
";

/// [`CRNN`] with a pretrained encoder of which the last layer trains, over augmented speech of which
/// two versions come again in turn.
const HUBERT: &str = "\
extends: crnn.yaml
sample_rate_hz: 16000
augmentations:
  gain: { kind: gain }
  noise: { kind: gaussian_noise, p: 1.0 }
encoders:
  mel: null
  crnn: null
  hubert: { kind: hubert, input: data.audio, weights: random, layout: tiny_base, train: { last: 1 }, cache: { views: 2 } }
blocks: { norm: null, masked: null }
heads:
  emotion: { kind: attention_classifier, input: hubert, target: data.emotion, hidden: 8, dropout: 0.3 }
";

/// The small experiments, as files of every [`Lab`].
pub const TINY: [&str; 3] = ["crnn.yaml", "transformer.yaml", "hubert.yaml"];

/// A temporary folder with the small experiments in it.
pub struct Lab {
    dir: TempDir,
}

/// What a command did.
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Lab {
    /// A new folder.
    pub fn new() -> Self {
        let lab = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        lab.write("crnn.yaml", CRNN);
        lab.write("transformer.yaml", TRANSFORMER);
        lab.write("hubert.yaml", HUBERT);
        lab
    }

    /// A path in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and the folders that it needs.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Makes a program start in the folder, as a user's shell would, with nothing from outside.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("HF_HOME")
            .env_remove("HF_HUB_CACHE")
            .env("COLUMNS", "100")
            // The folder may lie within a checkout, of which a run would note the state.
            .env("GIT_CEILING_DIRECTORIES", self.dir.path().parent().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `emorun` with arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_emorun"));
        command.args(arguments);
        command
    }

    /// Runs `emorun` to its end.
    pub fn emorun(&self, arguments: &[&str]) -> Outcome {
        finished(&self.command(arguments).output().unwrap())
    }

    /// Runs `emorun`, which must succeed, and gives the run directory that it names last.
    pub fn run(&self, arguments: &[&str]) -> PathBuf {
        let outcome = self.emorun(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}\n{}", outcome.stderr);
        self.path(outcome.last_line())
    }

    /// Starts `emorun` and hands it over once `metrics.jsonl` of a run has `lines` lines.
    pub fn start_until(&self, arguments: &[&str], metrics: &Path, lines: usize) -> Child {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while line_count(metrics) < lines {
            assert!(
                child.try_wait().unwrap().is_none(),
                "{arguments:?} ended before {lines} lines"
            );
            assert!(Instant::now() < deadline, "{arguments:?} has not written {lines} lines");
            std::thread::sleep(Duration::from_micros(200));
        }
        child
    }

    /// A text with the folder's path, times and other accidents taken out, for snapshots.
    pub fn filtered(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.path().display().to_string(), "[LAB]");
        if let Ok(path) = fs::canonicalize(self.dir.path()) {
            text = text.replace(&path.display().to_string(), "[LAB]");
        }
        text
    }
}

impl Outcome {
    /// The last line of stdout.
    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// What a process did.
pub fn finished(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Sends a signal by name, such as `INT`.
pub fn signal(child: &Child, name: &str) {
    let command = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

/// Kills a process at once and waits for its end.
pub fn kill(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().unwrap();
}

fn line_count(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// A JSON file.
pub fn json(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A mono WAV file of 16 bits.
pub fn wav(rate_hz: u32, samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    samples
        .into_iter()
        .for_each(|sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A YAML file as JSON, read by the language's own parser.
pub fn yaml(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    let mut sources = emorun_lang::Sources::new();
    let mut report = emorun_lang::Report::new();
    let text = fs::read_to_string(path).unwrap();
    let id = sources.add(path.display().to_string(), text);
    let tree = emorun_lang::parse(&sources, id, &mut report);
    assert!(!report.has_errors(), "{}", report.render(&sources, false));
    emorun_lang::from_tree(&tree.unwrap()).unwrap()
}

/// The lines of a run's `metrics.jsonl` without what depends on the clock.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            assert!(line["wall"].is_object(), "{line}");
            line.as_object_mut().unwrap().remove("wall");
            line
        })
        .collect()
}

/// Everything of a run that must not depend on the clock, nor on how often it was killed: metrics,
/// reports, summary, and of each checkpoint the bytes of weights, optimizer and state.
pub fn fingerprint(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut parts: Vec<(String, Vec<u8>)> = metrics(run)
        .into_iter()
        .enumerate()
        .map(|(at, line)| (format!("metrics.jsonl line {}", at + 1), line.to_string().into_bytes()))
        .collect();
    let mut summary = json(run.join("summary.json"));
    summary.as_object_mut().unwrap().remove("seconds");
    parts.push(("summary.json".into(), summary.to_string().into_bytes()));
    // The page says when and where.
    for report in files(&run.join("report"))
        .into_iter()
        .filter(|name| name != "index.html")
    {
        let bytes = fs::read(run.join("report").join(&report)).unwrap();
        parts.push((report, bytes));
    }
    for step in files(&run.join("checkpoints")) {
        let checkpoint = run.join("checkpoints").join(&step);
        let mut state = json(checkpoint.join("state.json"));
        // Lines before it hold clock readings of any length.
        for clock in ["seconds", "checkpoint_seconds", "metrics_bytes"] {
            state.as_object_mut().unwrap().remove(clock).unwrap();
        }
        parts.push((format!("{step}/state.json"), state.to_string().into_bytes()));
        for name in files(&checkpoint).iter().filter(|name| name.ends_with(".safetensors")) {
            parts.push((format!("{step}/{name}"), fs::read(checkpoint.join(name)).unwrap()));
        }
    }
    parts
}

/// Fails with the name of the first part in which two runs differ.
pub fn assert_same_run(one: &Path, other: &Path) {
    let (one, other) = (fingerprint(one), fingerprint(other));
    for ((name, left), (other_name, right)) in one.iter().zip(&other) {
        assert_eq!(name, other_name);
        assert!(
            left == right,
            "{name} differs:\n{}\n{}",
            String::from_utf8_lossy(&left[..left.len().min(400)]),
            String::from_utf8_lossy(&right[..right.len().min(400)])
        );
    }
    assert_eq!(one.len(), other.len());
}

/// Names in a folder, sorted.
pub fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
