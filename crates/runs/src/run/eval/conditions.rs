//! Conditions that a run is measured under: noise, a codec, a recording's beginning.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use emorun_audio::augment::{
    Augment, AugmentConfig, AugmentError, BackgroundNoise, Codec, Interval, Quantise, Rng, Wave,
};
use emorun_data::check_recordings;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::{AugmentationStep, Augmentations, Change};
use emorun_evaluation::Condition;
use emorun_experiment::prepare::Model;
use emorun_nn::draw::DrawKey;
use serde::Serialize;

/// Conditions that are asked for; every one of a kind is combined with every one of the others, and with its absence.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Seconds that are heard of each recording from its beginning.
    pub heard_s: Vec<f64>,
    /// Signal-to-noise ratios in dB.
    pub noise_snr_db: Vec<f64>,
    /// Folder of the noise.
    pub noise_root: Option<PathBuf>,
    /// Codecs.
    pub codecs: Vec<CodecName>,
}

/// A codec by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecName {
    /// A telephone line: 8 kHz and 8 bits by the µ-law.
    G711,
    /// A sampling rate in Hz, to which the recording is brought and back.
    Rate(u32),
}

/// The noise that was added.
#[derive(Clone, Debug, Serialize)]
pub struct Noise {
    root: String,
    files: usize,
    /// Hash of the recordings' contents.
    hash: String,
    /// What it has found while items were changed.
    #[serde(skip)]
    pub(super) unchanged: Arc<AtomicUsize>,
    #[serde(skip)]
    content: [u8; 32],
}

impl Noise {
    /// What is to be known of items that it has left as they were.
    pub(super) fn remark(&self) -> Option<String> {
        let unchanged = self.unchanged.load(Ordering::Relaxed);
        (unchanged > 0).then(|| {
            format!(
                "no noise was added to {unchanged} recording(s), over all conditions: they are silent, or the stretches drawn from {} are",
                self.root
            )
        })
    }
}

impl CodecName {
    /// As it is asked for and written.
    pub fn text(self) -> String {
        match self {
            Self::G711 => "g711".to_owned(),
            Self::Rate(rate_hz) => format!("{rate_hz} Hz"),
        }
    }

    fn config(self) -> Codec {
        match self {
            Self::G711 => Codec {
                p: 1.0,
                ..Codec::default()
            },
            Self::Rate(rate_hz) => Codec {
                rate_hz: fixed(f64::from(rate_hz)).unwrap_or(Codec::default().rate_hz),
                quantise: Quantise::None,
                p: 1.0,
            },
        }
    }
}

fn fixed(value: f64) -> Option<Interval> {
    Interval::new(value, value).ok()
}

impl Grid {
    /// Every condition but that of recordings as they are, and the codec of each.
    pub fn conditions(&self) -> Vec<(Condition, Option<CodecName>)> {
        let with_none = |values: &[f64]| -> Vec<Option<f64>> {
            let mut all: Vec<Option<f64>> = vec![None];
            for &value in values {
                if !all.contains(&Some(value)) {
                    all.push(Some(value));
                }
            }
            all
        };
        let mut codecs: Vec<Option<CodecName>> = vec![None];
        codecs.extend(self.codecs.iter().copied().map(Some));
        let mut conditions = Vec::new();
        for codec in codecs {
            for noise_snr_db in with_none(&self.noise_snr_db) {
                for heard_s in with_none(&self.heard_s) {
                    let condition = Condition {
                        heard_s,
                        noise_snr_db,
                        codec: codec.map(CodecName::text),
                    };
                    if !condition.is_plain() && !conditions.iter().any(|(known, _)| *known == condition) {
                        conditions.push((condition, codec));
                    }
                }
            }
        }
        conditions
    }

    /// Whether recordings are changed, rather than only cut.
    fn changes(&self) -> bool {
        !self.noise_snr_db.is_empty() || !self.codecs.is_empty()
    }

    /// Reads and judges the noise, where there is any; refuses a run that would not hear it.
    ///
    /// # Errors
    /// A folder is missing, a recording in it cannot be used, or the run reads features from files.
    pub fn noise(&self, model: &Model) -> Result<Option<Noise>, Failure> {
        let mut reads = model.nodes().filter(|(_, _, config)| config.feature_files().is_some());
        if let Some((_, name, _)) = reads.next().filter(|_| self.changes()) {
            return Err(Failure::Usage(format!(
                "--noise-snr and --codec change recordings, and `{name}` reads features of these from files"
            )));
        }
        let Some(&first) = self.noise_snr_db.first() else {
            return match &self.noise_root {
                None => Ok(None),
                Some(_) => Err(Failure::Usage("--noise-root needs --noise-snr, such as 20,10,0".into())),
            };
        };
        let root = self
            .noise_root
            .as_ref()
            .ok_or_else(|| Failure::Usage("--noise-snr needs --noise-root, a folder of recordings".into()))?;
        let built = Self::background(root, first, model.settings.sample_rate_hz)?;
        let paths: Vec<PathBuf> = built.files().into_iter().map(Path::to_owned).collect();
        let remembered = model.cache.as_ref().map(|folder| folder.join("scanned.json"));
        let (read, _) = check_recordings(&paths, built.shortest_s(), remembered.as_deref());
        let mut hash = blake3::Hasher::new();
        for (file, (read, path)) in read.into_iter().zip(&paths).enumerate() {
            let recording = read.map_err(|error| Failure::Input(error.to_string()))?;
            built
                .judge(file, recording.peak)
                .map_err(|error| Failure::Input(error.to_string()))?;
            let name = path.strip_prefix(root).unwrap_or(path);
            hash.update(name.as_os_str().as_encoded_bytes());
            if let Some(content) = recording.content {
                hash.update(content.to_string().as_bytes());
            }
        }
        let content = *hash.finalize().as_bytes();
        Ok(Some(Noise {
            root: root.display().to_string(),
            files: paths.len(),
            hash: blake3::Hash::from_bytes(content).to_hex().to_string(),
            unchanged: Arc::default(),
            content,
        }))
    }

    fn background(root: &Path, snr_db: f64, rate_hz: u32) -> Result<Box<dyn Augment>, Failure> {
        let usage = |problem: String| Failure::Usage(format!("--noise-snr {snr_db}: {problem}"));
        let snr_db = Interval::new(snr_db, snr_db).map_err(|error| usage(error.to_string()))?;
        let noise = BackgroundNoise {
            snr_db,
            p: 1.0,
            ..BackgroundNoise::new(root)
        };
        if let Err(mistakes) = noise.validate() {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            return Err(usage(mistakes.join("; ")));
        }
        noise
            .build(rate_hz)
            .map_err(|error| Failure::Input(format!("--noise-root: {error}")))
    }

    /// What is done to each recording under a condition, by the augmentations of training: first the noise, then the codec,
    /// as on a line. Draws are keyed by the item alone, so that it gets the same stretch of noise at every ratio and from
    /// every run.
    ///
    /// # Errors
    /// Something is out of bounds.
    pub fn changes_of(
        &self,
        (condition, codec): &(Condition, Option<CodecName>),
        noise: Option<&Noise>,
        rate_hz: u32,
    ) -> Result<Augmentations, Failure> {
        let mut steps = Vec::new();
        let mut hash = blake3::Hasher::new();
        if let (Some(snr_db), Some(noise), Some(root)) = (condition.noise_snr_db, noise, &self.noise_root) {
            hash.update(&snr_db.to_le_bytes());
            hash.update(&noise.content);
            steps.push(step(
                "noise",
                Box::new(Watched {
                    inner: Self::background(root, snr_db, rate_hz)?,
                    unchanged: noise.unchanged.clone(),
                }),
            ));
        }
        if let Some(codec) = codec {
            hash.update(codec.text().as_bytes());
            let built = codec.config().build(rate_hz);
            let built = built.map_err(|error| Failure::Usage(format!("--codec {}: {error}", codec.text())))?;
            steps.push(step("codec", built));
        }
        Ok(Augmentations {
            evaluated: (!steps.is_empty()).then(|| DrawKey::root(0).with("condition")),
            steps,
            views: None,
            hash: *hash.finalize().as_bytes(),
        })
    }
}

fn step(name: &str, augment: Box<dyn Augment>) -> AugmentationStep {
    AugmentationStep {
        name: name.to_owned(),
        only: Vec::new(),
        change: Change::Transform(augment),
    }
}

/// Noise that counts the items which it has left as they were.
#[derive(Debug)]
struct Watched {
    inner: Box<dyn Augment>,
    unchanged: Arc<AtomicUsize>,
}

impl Augment for Watched {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let before = wave.samples().clone();
        self.inner.apply(wave, rng)?;
        if *wave.samples() == before {
            self.unchanged.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        self.inner.files()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_combined_with_every_other_once() {
        let grid = Grid {
            heard_s: vec![1.0, 1.0],
            noise_snr_db: vec![10.0, 0.0],
            noise_root: None,
            codecs: vec![CodecName::G711],
        };
        let conditions = grid.conditions();
        assert_eq!(conditions.len(), 2 * 3 * 2 - 1);
        assert!(conditions.iter().all(|(condition, _)| !condition.is_plain()));
        assert!(Grid::default().conditions().is_empty());
    }

    #[test]
    fn an_item_gets_the_same_noise_at_every_ratio_and_another_than_its_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        for (at, period) in [5_u32, 9, 14].into_iter().enumerate() {
            let samples = (0..30_000_u32).map(|time| ((time * time / 700) % period) as f32 / period as f32 - 0.4);
            let clip = emorun_audio::Clip {
                samples: samples.collect(),
                rate_hz: 16_000,
            };
            emorun_audio::write_wav(&folder.path().join(format!("{at}.wav")), &clip).unwrap();
        }
        let grid = Grid {
            noise_snr_db: vec![20.0, 0.0],
            noise_root: Some(folder.path().to_owned()),
            ..Grid::default()
        };
        let noise = Noise {
            root: String::new(),
            files: 3,
            hash: String::new(),
            unchanged: Arc::default(),
            content: [0; 32],
        };
        let clean: Vec<f32> = (0..8000).map(|time| ((time % 80) as f32 / 40.0 - 1.0) * 0.3).collect();
        let power = |wave: &[f32]| wave.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let added = |snr_db: f64, key: &str| {
            let condition = Condition {
                noise_snr_db: Some(snr_db),
                ..Condition::default()
            };
            let changes = grid.changes_of(&(condition, None), Some(&noise), 16_000).unwrap();
            let item = emorun_data::Item {
                key: key.into(),
                ..crate::run::embed::item(&folder.path().join("0.wav")).unwrap()
            };
            let version = changes.evaluated_version();
            let noisy = changes.apply(clean.clone(), 16_000, &item, &version).unwrap();
            let noise: Vec<f32> = noisy.iter().zip(&clean).map(|(noisy, clean)| noisy - clean).collect();
            assert!((10.0 * (power(&clean) / power(&noise)).log10() - snr_db).abs() < 1e-3);
            noise
        };
        let (quiet, loud) = (added(20.0, "a"), added(0.0, "a"));
        let apart: Vec<f32> = quiet
            .iter()
            .zip(&loud)
            .map(|(quiet, loud)| 10.0 * quiet - loud)
            .collect();
        assert!(
            power(&apart) < 1e-8 * power(&loud),
            "{} {}",
            power(&apart),
            power(&loud)
        );
        assert_eq!(loud, added(0.0, "a"));
        assert_ne!(loud, added(0.0, "b"));
    }
}
