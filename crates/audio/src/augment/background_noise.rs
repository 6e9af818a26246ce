//! Recorded noise behind the speech.

use std::path::{Component, Path, PathBuf};

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{MAX_SNR_DB, MIN_SNR_DB, mix_powers_at_snr, power};
use super::noise_folder::{NoiseFolder, Use};
use super::{Augment, AugmentConfig, AugmentError, Held, Interval, Mistakes, NoiseFolderError, Recordings, Wave};
use crate::MIN_DURATION_S;

/// Mean square below which a stretch of noise is silence (-80 dBFS): raised to the ratio asked for, it
/// would be the noise of a converter.
const SILENCE: f64 = 1e-8;
/// Stretches drawn before an item is left unchanged.
const ATTEMPTS: usize = 10;
/// Most files at once.
const MAX_FILES: f64 = 32.0;

/// Adds recorded noise at a random signal-to-noise ratio, measured over the whole item.
///
/// A file of the folder and a stretch of it are drawn, each file as likely as any other; noise shorter
/// than the item is repeated. With several files, such as 3 to 7 of speech for babble, their stretches are
/// brought to one power and added. A silent stretch (below -80 dBFS) is drawn anew, up to ten times, and then
/// the item stays as it is; so does a silent item. Nothing is clipped. Before a run every file is decoded: one that is
/// damaged, shorter than 50 ms or silent from beginning to end is an error. Impulse responses of OpenSLR 28
/// (`RIRS_NOISES`) are no noise and left out.
///
/// Draws the ratio, then the number of files unless it is fixed, then for each the file and where its
/// stretch starts, both again while that is silent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackgroundNoise {
    /// Folder with audio files at any depth, such as MUSAN.
    // `x-path` is how the experiment language knows a path.
    #[schemars(length(min = 1), extend("x-path" = true))]
    pub root: PathBuf,
    /// Names of folders below `root` that files are taken from, such as `noise`, `music` and `speech`
    /// of MUSAN; every file when empty.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Range of the number of files that sound at once; `[3, 7]` of speech is babble (Snyder et al.,
    /// X-vectors, ICASSP 2018).
    #[serde(default = "default_num_files")]
    #[schemars(inner(range(min = 1, max = 32)))]
    pub num_files: [u32; 2],
    /// Range of the signal-to-noise ratio in dB.
    #[serde(default = "default_snr_db")]
    #[schemars(inner(range(min = -60.0, max = 100.0)))]
    pub snr_db: Interval,
    /// Probability with which it is applied to an item.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

fn default_num_files() -> [u32; 2] {
    [1, 1]
}
fn default_snr_db() -> Interval {
    Interval::known(5.0, 20.0)
}
fn default_p() -> f64 {
    0.3
}

impl BackgroundNoise {
    /// All files below `root`, 5 to 20 dB, `p` 0.3.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            categories: Vec::new(),
            num_files: default_num_files(),
            snr_db: default_snr_db(),
            p: default_p(),
        }
    }
}

impl AugmentConfig for BackgroundNoise {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let mut mistakes = Mistakes::default();
        for category in &self.categories {
            let mut parts = Path::new(category).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                mistakes.0.push(AugmentError::CategoryName(category.clone()));
            }
        }
        let [fewest, most] = self.num_files.map(f64::from);
        mistakes
            .value("num_files", fewest, 1.0, most.min(MAX_FILES), "files")
            .value("num_files", most, 1.0, MAX_FILES, "files")
            .range("snr_db", self.snr_db, MIN_SNR_DB, MAX_SNR_DB, "dB")
            .probability(self.p)
            .finish()
    }

    fn recordings(&self) -> Option<Recordings> {
        Some(Recordings {
            field: "/root",
            categories: self.categories.clone(),
            holds: Held::Noise,
        })
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(Background {
            noise: NoiseFolder::scan(&self.root, &self.categories, rate_hz, Use::Noise)?,
            num_files: self.num_files,
            snr_db: self.snr_db,
        }))
    }
}

#[derive(Debug)]
struct Background {
    noise: NoiseFolder,
    num_files: [u32; 2],
    snr_db: Interval,
}

impl Augment for Background {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let snr_db = self.snr_db.draw(rng);
        let wave_power = power(wave.samples());
        if wave_power == 0.0 {
            wave.note(|| "nothing, as the item is silent".to_owned());
            return Ok(());
        }
        let [fewest, most] = self.num_files;
        let count = if fewest == most {
            fewest
        } else {
            rng.random_range(fewest..=most)
        };
        let mut sum: Option<Stretch> = None;
        let length = wave.samples().len();
        for _ in 0..count {
            let Some((file, stretch)) = self.stretch(length, rng)? else {
                wave.note(|| "nothing, as silent stretches were drawn".to_owned());
                continue;
            };
            wave.note(|| format!("{} at {snr_db:.1} dB SNR", self.noise.name(file)));
            match &mut sum {
                None => sum = Some(stretch),
                Some(sum) => sum.add(&stretch),
            }
        }
        if let Some(Stretch { samples, power: first }) = sum {
            let noise_power = if count == 1 { first } else { power(&samples) };
            mix_powers_at_snr(wave.samples(), wave_power, &samples, noise_power, snr_db);
        }
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        self.noise.paths().collect()
    }

    fn remarks(&self) -> Vec<String> {
        self.noise.remarks().to_vec()
    }

    fn shortest_s(&self) -> f64 {
        MIN_DURATION_S
    }

    fn judge(&self, file: usize, peak: f32) -> Result<(), AugmentError> {
        // No stretch of it could be above this.
        let above = SILENCE.sqrt() as f32;
        match self.noise.paths().nth(file) {
            Some(path) if peak <= above => Err(NoiseFolderError::Silent {
                path: path.to_owned(),
                above,
            }
            .into()),
            _ => Ok(()),
        }
    }
}

impl Background {
    /// A stretch that is not silent, if one is drawn, and the number of its file.
    fn stretch(&self, length: usize, rng: &mut dyn Rng) -> Result<Option<(usize, Stretch)>, AugmentError> {
        for _ in 0..ATTEMPTS {
            let file = rng.random_range(0..self.noise.len());
            let samples = self.noise.stretch(file, length, rng)?;
            let power = power(&samples);
            if power >= SILENCE {
                return Ok(Some((file, Stretch { samples, power })));
            }
        }
        Ok(None)
    }
}

/// Noise with the power of the first that was drawn for it.
struct Stretch {
    samples: Vec<f32>,
    power: f64,
}

impl Stretch {
    /// Adds another, brought to the power of the first.
    fn add(&mut self, other: &Self) {
        let factor = (self.power / other.power).sqrt() as f32;
        for (sum, x) in self.samples.iter_mut().zip(&other.samples) {
            *sum += x * factor;
        }
    }
}
