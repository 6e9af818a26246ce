//! Trying an experiment end to end without its data and weights: the file itself, with generated
//! corpora, tiny encoders and few epochs in place of what is large.
//!
//! What stands in is written as an experiment of its own, so that it runs as any other does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use emorun_audio::augment::Held;
use emorun_audio::{Clip, write_wav};
use emorun_data::DatasetConfig;
use emorun_data::fixtures::FixtureError;
use emorun_data::stand_in::stand_in;
use emorun_lang::{KindSet, PATH_MARK, Report, Section, Signal, Sources, to_yaml};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::run::batch_size::settle;
use crate::run::dir::read_json;
use crate::run::parent::{self, Finished, Place};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Depth, OnReport, Prepared, Source, prepare, prepare_with};
use emorun_nodes::kinds::Kinds;

/// Most epochs: two, so that schedulers, caches and checkpoints go from one to the next.
const EPOCHS: u64 = 2;
/// Most items of a batch.
const BATCH: u64 = 4;
/// Most micro-batches of a step.
const ACCUMULATE: u64 = 2;
/// Length of a generated noise file in seconds.
const NOISE_S: f64 = 1.0;
/// Widest that an encoder is made so that heads and groups divide it.
const WIDEST: u64 = 256;

/// A smoke run that went well.
#[derive(Debug)]
pub struct Smoked {
    /// Its run.
    pub finished: Finished,
    /// What was put in place of what, a line each.
    pub changes: Vec<String>,
    /// What was done and how many seconds each took.
    pub seconds: Vec<(&'static str, f64)>,
}

/// A new folder below the system's folder for temporary files.
///
/// # Errors
/// It cannot be made.
pub fn temporary_folder() -> Result<PathBuf, Failure> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    let folder = std::env::temp_dir().join(format!("emorun-smoke-{}-{nanos}", std::process::id()));
    // Fails if another process has it.
    std::fs::create_dir(&folder).map_err(Failure::io("make", &folder))?;
    Ok(folder)
}

/// Runs an experiment end to end in `folder`, which holds everything afterwards: the generated data,
/// `smoke.yaml` and its run. The folder of what can be computed again lies there too.
///
/// # Errors
/// The stage that failed, and why; `on_report` has heard of mistakes in the file.
pub fn smoke(source: &Source, folder: &Path, device: &Chosen, on_report: OnReport<'_>) -> Result<Smoked, Failure> {
    let mut seconds = Vec::new();
    let prepared = timed("checking the file", &mut seconds, || {
        prepare(source, Depth::Structure, on_report)
    })?;
    let source = Source {
        path: folder.join("smoke.yaml"),
        sets: Vec::new(),
        offline: true,
    };
    let changes = timed("generating data and weights", &mut seconds, || {
        write_small(&prepared, &source, folder)
    })?;
    let mut prepared = timed("checking data and weights", &mut seconds, || {
        // Remarks on generated data are of no use to anybody.
        let mut only_errors = |report: &Report, sources: &Sources| {
            if report.has_errors() {
                on_report(report, sources);
            }
        };
        prepare_with(&source, Depth::Deep, Some(folder.join("cache")), &mut only_errors)
    })?;
    let place = Place {
        runs: folder.join("runs"),
        label: Some("smoke".into()),
        files: emorun_files::Files::default(),
    };
    let finished = timed("training, evaluating and reporting", &mut seconds, || {
        settle(&mut prepared, None, device)?;
        parent::start(&prepared, &place, device)?.whole()
    })?;
    if let (Some((_, whole)), Some(training)) = (seconds.pop(), training_seconds(&finished)) {
        seconds.push(("training", training));
        seconds.push(("evaluating and reporting", (whole - training).max(0.0)));
    }
    Ok(Smoked {
        finished,
        changes,
        seconds,
    })
}

fn timed<T>(
    stage: &'static str,
    seconds: &mut Vec<(&'static str, f64)>,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let outcome = work();
    seconds.push((stage, Duration::as_secs_f64(&started.elapsed())));
    outcome.map_err(|failure| Failure::Smoke {
        stage,
        failure: Box::new(failure),
    })
}

fn training_seconds(finished: &Finished) -> Option<f64> {
    let summary: Value = read_json(&finished.dir.join("summary.json")).ok()?;
    summary["seconds"]["train"].as_f64()
}

/// Writes the experiment with small things in place of large ones, and what they are below `folder`;
/// gives what was changed, a line each.
fn write_small(prepared: &Prepared, source: &Source, folder: &Path) -> Result<Vec<String>, Failure> {
    let mut small = prepared.resolved.clone();
    let mut changes = Vec::new();
    shrink_data(prepared, &mut small, folder, &mut changes)?;
    replace_noise(prepared, &mut small, folder, &mut changes)?;
    check_paths(prepared, &small, folder)?;
    shrink_settings(&mut small, &mut changes);
    let narrow = width_for(&prepared.resolved) as usize;
    // What is tied to an encoder's own width in a way that is not known here gets it.
    for width in [Some(narrow), None] {
        let mut tried = small.clone();
        let mut tried_changes = changes.clone();
        shrink_weights(prepared, &mut tried, width, folder, &mut tried_changes)?;
        std::fs::write(&source.path, to_yaml(&tried)).map_err(Failure::io("write", &source.path))?;
        let fits = prepare_with(source, Depth::Structure, None, &mut |_, _| {}).is_ok();
        if fits || width.is_none() {
            return Ok(tried_changes);
        }
    }
    Ok(changes)
}

fn shrink_settings(small: &mut Value, changes: &mut Vec<String>) {
    let settings = [
        ("/training/epochs", EPOCHS),
        ("/training/batch_size", BATCH),
        ("/training/accumulate", ACCUMULATE),
        ("/training/loader/workers", 1),
        ("/evaluation/batch_size", BATCH),
    ];
    for (pointer, most) in settings {
        if let Some(value) = small.pointer_mut(pointer)
            && value.as_u64().is_some_and(|number| number > most)
        {
            changes.push(format!(
                "{}: {most} in place of {value}",
                pointer[1..].replace('/', ".")
            ));
            *value = most.into();
        }
    }
    if let Some(Value::Array(seeds)) = small.pointer_mut("/training/seeds")
        && seeds.len() > 1
    {
        seeds.truncate(1);
        changes.push(format!("training.seeds: {} alone", seeds[0]));
    }
}

/// Reads a part of the resolved experiment, which was written by the same program.
fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone()).map_err(|error| Failure::Bug(error.to_string()))
}

fn json_of(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Bug(error.to_string()))
}

fn shrink_data(
    prepared: &Prepared,
    small: &mut Value,
    folder: &Path,
    changes: &mut Vec<String>,
) -> Result<(), Failure> {
    let datasets: IndexMap<String, DatasetConfig> = typed(&small[Section::Datasets.name()])?;
    let made = stand_in(&datasets, &prepared.settings.split, &folder.join("data")).map_err(|error| match error {
        FixtureError::Io { path, source } => Failure::io("write", &path)(source),
        error @ FixtureError::Audio(_) => Failure::Input(error.to_string()),
    })?;
    for (name, config) in &made.datasets {
        changes.push(format!(
            "datasets.{name}: generated, in the layout of {}",
            kind_of(config)?
        ));
        small[Section::Datasets.name()][name] = json_of(config)?;
    }
    if made.split != prepared.settings.split {
        changes.push("split: one fold".into());
        small["split"] = json_of(&made.split)?;
    }
    Ok(())
}

/// The `kind:` of a dataset.
fn kind_of(config: &DatasetConfig) -> Result<String, Failure> {
    Ok(json_of(config)?["kind"].as_str().unwrap_or_default().to_owned())
}

/// Puts checkpoints with drawn weights in place of those of pretrained encoders, with all their layers,
/// `width` wide or as wide as they are.
fn shrink_weights(
    prepared: &Prepared,
    small: &mut Value,
    width: Option<usize>,
    folder: &Path,
    changes: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut own_widths = Vec::new();
    for (section, name, config) in prepared.nodes() {
        let Some(miniature) = config.miniature(&prepared.facts, width) else {
            continue;
        };
        let unusable = |error: String| Failure::Input(format!("{section}.{name}: {error}"));
        let files = miniature
            .map_err(|error| unusable(error.to_string()))?
            .files()
            .map_err(|error| unusable(error.to_string()))?;
        let place = folder.join("weights").join(name);
        std::fs::create_dir_all(&place).map_err(Failure::io("make", &place))?;
        for (file, bytes) in files {
            let path = place.join(file);
            std::fs::write(&path, bytes).map_err(Failure::io("write", &path))?;
        }
        let node = &mut small[section.name()][name];
        let wide = width.map_or_else(|| "as wide".to_owned(), |width| format!("{width} wide"));
        changes.push(format!(
            "{section}.{name}: drawn weights, {wide}, in place of {}",
            node["weights"].as_str().unwrap_or_default()
        ));
        node["weights"] = json!(place);
        node["layout"] = Value::Null;
        let output = prepared.plan().node(name).and_then(|node| node.output(""));
        own_widths.extend(output.and_then(width_of));
    }
    if let Some(width) = width {
        narrow_with(prepared, small, &own_widths, width, changes);
    }
    Ok(())
}

fn width_of(signal: &Signal) -> Option<usize> {
    match signal {
        Signal::Frames { width, .. } | Signal::LayerStack { width, .. } => Some(*width),
        _ => None,
    }
}

/// Layers of context that take an encoder's frames as wide as they are become as narrow.
fn narrow_with(prepared: &Prepared, small: &mut Value, own: &[usize], width: usize, changes: &mut Vec<String>) {
    for planned in prepared.plan().nodes() {
        let takes = planned.inputs.iter().filter_map(|input| width_of(&input.signal));
        let is_tied = takes.into_iter().any(|input| own.contains(&input));
        let node = small.pointer_mut(&format!("/{}/{}", planned.section.name(), planned.name));
        if let Some(node) = node.filter(|node| is_tied && node["projection"] == json!(false)) {
            let stacked = width * node["stack"].as_u64().unwrap_or(1) as usize;
            changes.push(format!(
                "{}.{}.width: {stacked} in place of {}",
                planned.section, planned.name, node["width"]
            ));
            node["width"] = stacked.into();
        }
    }
}

/// A width that every number of heads or groups in the experiment divides, for they are chosen for the
/// encoders' own widths.
fn width_for(resolved: &Value) -> u64 {
    fn collect(value: &Value, width: &mut u64) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let counts = ["heads", "groups"].contains(&key.as_str());
                    if let Some(number) = value.as_u64().filter(|number| counts && *number > 0) {
                        let together = lcm(*width, number);
                        *width = if together <= WIDEST { together } else { *width };
                    }
                    collect(value, width);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, width)),
            _ => {}
        }
    }
    let mut width = 16;
    collect(resolved, &mut width);
    width
}

fn lcm(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).saturating_mul(b)
}

/// Puts folders of generated noise in place of recorded noise and of impulse responses.
fn replace_noise(
    prepared: &Prepared,
    small: &mut Value,
    folder: &Path,
    changes: &mut Vec<String>,
) -> Result<(), Failure> {
    for (section, name, config) in prepared.nodes() {
        let Some(recordings) = config.recordings() else {
            continue;
        };
        let root = folder.join("noise").join(name);
        let mut categories = recordings.categories;
        if categories.is_empty() {
            categories.push("noise".into());
        }
        for category in &categories {
            let place = root.join(category);
            std::fs::create_dir_all(&place).map_err(Failure::io("make", &place))?;
            for (file, step) in [("one.wav", 7_919), ("two.wav", 104_729)] {
                let mut clip = noise(step);
                if recordings.holds == Held::Responses {
                    // An impulse response decays: here by 60 dB from beginning to end.
                    let fall = 0.001_f32.powf(1.0 / clip.samples.len() as f32);
                    let mut left = 1.0;
                    for sample in &mut clip.samples {
                        *sample *= left;
                        left *= fall;
                    }
                }
                write_wav(&place.join(file), &clip).map_err(|error| Failure::Input(error.to_string()))?;
            }
        }
        changes.push(format!("{section}.{name}: generated noise"));
        let place = small[section.name()][name]
            .pointer_mut(recordings.field)
            .ok_or_else(|| Failure::Bug(format!("{section}.{name} has no field {}", recordings.field)))?;
        *place = json!(root);
    }
    Ok(())
}

/// Noise that sounds the same every time.
fn noise(step: u64) -> Clip {
    let rate_hz = 16_000;
    let mut state = step;
    let samples = (0..(NOISE_S * f64::from(rate_hz)) as usize)
        .map(|_| {
            // Knuth's linear congruential generator, of which the high bits are good enough to hear.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            0.1 * ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        })
        .collect();
    Clip { samples, rate_hz }
}

/// Every other path must lead somewhere, for nothing can stand in for it.
fn check_paths(prepared: &Prepared, small: &Value, folder: &Path) -> Result<(), Failure> {
    let kinds = Kinds::default();
    for (section, name, config) in prepared.nodes() {
        let schema = kinds
            .kinds()
            .iter()
            .find(|kind| kind.name == config.kind())
            .map(|kind| (kind.schema)());
        let Some(Value::Object(fields)) = schema.as_ref().map(|schema| &schema["properties"]) else {
            continue;
        };
        let mark = format!("\"{PATH_MARK}\":true");
        for field in fields
            .iter()
            .filter(|(_, field)| field.to_string().contains(&mark))
            .map(|(name, _)| name)
        {
            let path = small[section.name()][name][field].as_str().map(Path::new);
            if let Some(path) = path.filter(|path| !path.starts_with(folder) && !path.exists()) {
                return Err(Failure::Input(format!(
                    "nothing can stand in for `{section}.{name}.{field}`, and {} is not there",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_heads_divide_the_width() {
        for (heads, width) in [
            (vec![1], 16),
            (vec![4, 8], 16),
            (vec![12], 48),
            (vec![12, 16, 32], 96),
            (vec![7, 11, 13], 112),
        ] {
            let nodes: Vec<Value> = heads.iter().map(|heads| json!({ "heads": heads })).collect();
            assert_eq!(width_for(&json!({ "blocks": nodes })), width, "{heads:?}");
        }
    }

    #[test]
    fn noise_is_neither_silent_nor_clipped() {
        let clip = noise(7_919);
        let loudest = clip
            .samples
            .iter()
            .fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
        assert!((0.05..=0.1).contains(&loudest), "{loudest}");
        assert_ne!(clip.samples, noise(104_729).samples);
    }
}
