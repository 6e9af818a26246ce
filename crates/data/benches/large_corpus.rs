//! How fast a corpus of millions of utterances starts, and in how much memory.
//!
//! `cargo bench -p emorun-data --bench large_corpus -- make FOLDER [ROWS]` writes a manifest of ROWS utterances (ten million)
//! of 20 000 speakers at most, parts of links to one silent file, and `experiment.yaml` on it. Then
//! `… -- start FOLDER`, twice: the first time every row and every file's header is read and the index written, the second
//! time the index is read. Each prints seconds and the largest resident memory.

use emorun_data::{DatasetConfig, ScanLevel, SplitConfig, scan, split};
use indexmap::IndexMap;
use serde_json::json;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Parts of one file, each a second long.
const PARTS: usize = 1000;
const RATE_HZ: u32 = 8000;
const SPEAKERS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(Path::new(folder), 10_000_000),
        ["make", folder, rows] => make(Path::new(folder), rows.parse()?),
        ["start", folder] => start(Path::new(folder)),
        // Benches are built and run without arguments too.
        _ => Ok(()),
    }
}

fn make(folder: &Path, rows: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder.join("audio"))?;
    silence(&folder.join("silence.wav"))?;
    let mut table = BufWriter::new(File::create(folder.join("all.csv"))?);
    writeln!(table, "path,speaker,emotion,gender,start,end")?;
    for row in 0..rows {
        let (file, part) = (row / PARTS, row % PARTS);
        if part == 0 {
            fs::hard_link(folder.join("silence.wav"), folder.join(format!("audio/{file:06}.wav")))?;
        }
        let speaker = row * SPEAKERS.min(rows) / rows;
        let emotion = ["angry", "happy", "neutral", "sad"][row % 4];
        let gender = ["female", "male"][speaker % 2];
        let end = part + 1;
        writeln!(
            table,
            "audio/{file:06}.wav,s{speaker:05},{emotion},{gender},{part},{end}"
        )?;
    }
    table.into_inner()?.sync_all()?;
    fs::write(folder.join("experiment.yaml"), EXPERIMENT)?;
    Ok(())
}

const EXPERIMENT: &str = "\
name: large
sample_rate_hz: 8000
datasets:
  large: { kind: manifest, path: all.csv }
split: { kind: by_speaker, validation: 0.001, test: 0.001 }
encoders:
  mel: { kind: log_mel, input: data.audio, n_mels: 40, n_fft: 256, win_length: 200, hop_length: 80 }
  crnn: { kind: crnn, input: mel, channels: [8, 8], gru_hidden: 8 }
heads:
  emotion: { kind: attention_classifier, input: crnn, target: data.emotion, hidden: 16, dropout: 0.3 }
losses:
  ce: { kind: cross_entropy, input: emotion }
training:
  epochs: 1
  batch_size: 32
  optimizer: { kind: adam, lr: 1.0e-4 }
  checkpoints: { every_steps: 1000 }
logging: { every_steps: 1 }
";

/// A WAV file of as many silent seconds as there are parts, without a byte of them on disk.
fn silence(path: &Path) -> Result<(), Box<dyn Error>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    hound::WavWriter::create(path, spec)?.finalize()?;
    let mut header = fs::read(path)?;
    let data = PARTS as u32 * RATE_HZ * 2;
    let length = header.len();
    header[4..8].copy_from_slice(&(data + length as u32 - 8).to_le_bytes());
    header[length - 4..].copy_from_slice(&data.to_le_bytes());
    fs::write(path, &header)?;
    Ok(File::options()
        .write(true)
        .open(path)?
        .set_len(length as u64 + u64::from(data))?)
}

fn start(folder: &Path) -> Result<(), Box<dyn Error>> {
    let config = json!({ "kind": "manifest", "path": folder.join("all.csv") });
    let datasets: IndexMap<String, DatasetConfig> =
        IndexMap::from([("large".to_owned(), serde_json::from_value(config)?)]);
    let started = Instant::now();
    let wrong = |errors: Vec<emorun_data::DataError>| format!("{errors:?}");
    let corpus = scan(&datasets, ScanLevel::Metadata, Some(&folder.join("cache/scanned.json"))).map_err(wrong)?;
    println!(
        "{} items of {} speakers read in {:.1} s, {}",
        corpus.items.len(),
        corpus.datasets["large"].speakers,
        started.elapsed().as_secs_f64(),
        peak()
    );
    let by_speaker: SplitConfig = serde_json::from_value(json!({ "kind": "by_speaker" }))?;
    let started = Instant::now();
    let assignments = split(&corpus, &by_speaker, &["emotion"], 42).map_err(wrong)?;
    let sides = assignments
        .first()
        .map(|sides| (sides.train.len(), sides.validation.len(), sides.test.len()));
    println!(
        "split {sides:?} in {:.1} s, {}",
        started.elapsed().as_secs_f64(),
        peak()
    );
    Ok(())
}

/// Largest resident memory so far.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    format!("at most{} resident", peak.unwrap_or(" ?"))
}
