//! emorun's side: what the loader's threads do with an item.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use emorun_audio::augment::{
    Augment, AugmentConfig, BackgroundNoise, Gain, GaussianNoise, PitchShift, RandomCrop, TimeStretch, Wave,
};
use emorun_audio::{load, probe, resample};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Setup;
use emorun_engine::exit::Failure;
use emorun_nn::draw::DrawKey;

const SEED: u64 = 1;

/// Answers every line of `input` with one of `output`: `parts` with the seconds of each part of a pass, anything
/// else with `done` after a pass. `told` is the file with the [`Setup`].
///
/// # Errors
/// The setup or a file cannot be read.
pub fn work(told: &Path, input: impl BufRead, mut output: impl Write) -> Result<(), Failure> {
    let text = std::fs::read_to_string(told).map_err(Failure::io("read", told))?;
    let setup: Setup = serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("--work: {error}")))?;
    let chain = setup
        .chain
        .iter()
        .map(|step| build(step, setup.rate_hz))
        .collect::<Result<Vec<_>, _>>()?;
    let hearer = Hearer { setup, chain };
    let mut answer = |line: &str| {
        // Who does not listen any more sends no more lines either.
        let _ = writeln!(output, "{line}").and_then(|()| output.flush());
    };
    answer(&format!(
        "ready emorun {}: its resampler with rubato's filter, its port of Signalsmith Stretch",
        env!("CARGO_PKG_VERSION")
    ));
    for (pass, line) in (0..).zip(input.lines().map_while(Result::ok)) {
        if line == "parts" {
            answer(&hearer.parts(pass)?.to_string());
        } else {
            hearer.pass(pass)?;
            answer("done");
        }
    }
    Ok(())
}

/// An augmentation by its name.
type Step = (String, Box<dyn Augment>);

fn build(step: &Value, rate_hz: u32) -> Result<Step, Failure> {
    let mut fields = step.as_object().cloned().unwrap_or_default();
    let kind = fields.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned));
    let kind = kind.unwrap_or_default();
    let augment = match kind.as_str() {
        "background_noise" => built::<BackgroundNoise>(fields, rate_hz),
        "gain" => built::<Gain>(fields, rate_hz),
        "pitch_shift" => built::<PitchShift>(fields, rate_hz),
        "time_stretch" => built::<TimeStretch>(fields, rate_hz),
        "gaussian_noise" => built::<GaussianNoise>(fields, rate_hz),
        "random_crop" => built::<RandomCrop>(fields, rate_hz),
        _ => return Err(Failure::Bug(format!("the bench has no `{kind}`"))),
    };
    Ok((kind, augment?))
}

fn built<C: AugmentConfig + DeserializeOwned>(
    fields: Map<String, Value>,
    rate_hz: u32,
) -> Result<Box<dyn Augment>, Failure> {
    let config: C = serde_json::from_value(fields.into()).map_err(|error| Failure::Bug(error.to_string()))?;
    config.build(rate_hz).map_err(|error| Failure::Input(error.to_string()))
}

struct Hearer {
    setup: Setup,
    chain: Vec<Step>,
}

impl Hearer {
    /// Every file once, each thread taking the next.
    fn pass(&self, pass: u64) -> Result<(), Failure> {
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..self.setup.threads {
                scope.spawn(|| {
                    while let Some(path) = self.setup.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.heard(path, pass)
                            && let Ok(mut failure) = failure.lock()
                        {
                            *failure = Some(error);
                        }
                    }
                });
            }
        });
        let failure = failure.into_inner().unwrap_or_default();
        failure.map_or(Ok(()), Err)
    }

    /// A file as the network hears it.
    fn heard(&self, path: &Path, pass: u64) -> Result<Vec<f32>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Input(error.to_string());
        let clip = load(path, self.setup.rate_hz, None).map_err(|error| failed(&error))?;
        let mut wave = Wave::new(clip.samples, self.setup.rate_hz);
        let key = key(path, pass);
        for (name, augment) in &self.chain {
            let applied = augment.apply(&mut wave, &mut key.with(name).rng());
            applied.map_err(|error| failed(&error))?;
        }
        Ok(wave.into_samples())
    }

    /// Seconds of each part of a pass on one thread. Changes of pitch and tempo that wait for each other are one.
    fn parts(&self, pass: u64) -> Result<Value, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Input(error.to_string());
        let mut seconds: Map<String, Value> = Map::new();
        let mut add = |name: &str, since: Instant| {
            let before = seconds.get(name).and_then(Value::as_f64).unwrap_or_default();
            seconds.insert(name.to_owned(), json!(before + since.elapsed().as_secs_f64()));
        };
        for path in &self.setup.files {
            let info = probe(path).map_err(|error| failed(&error))?;
            let start = Instant::now();
            let clip = load(path, info.rate_hz, None).map_err(|error| failed(&error))?;
            add("decode", start);
            let start = Instant::now();
            let samples = resample(&clip.samples, info.rate_hz, self.setup.rate_hz).map_err(|error| failed(&error))?;
            add("resample", start);
            let mut wave = Wave::new(samples, self.setup.rate_hz);
            let key = key(path, pass);
            for (name, augment) in &self.chain {
                let start = Instant::now();
                let applied = augment.apply(&mut wave, &mut key.with(name).rng());
                applied.map_err(|error| failed(&error))?;
                if name != "pitch_shift" {
                    wave.samples();
                }
                add(name, start);
            }
        }
        Ok(seconds.into())
    }
}

fn key(path: &Path, pass: u64) -> DrawKey {
    DrawKey::root(SEED).at(pass).with(&path.to_string_lossy())
}
