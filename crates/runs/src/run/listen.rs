//! Writing what the model hears: items as they are and as augmentation makes them, to listen to and to
//! look at.

use std::path::{Path, PathBuf};

use emorun_audio::{Clip, LogMel, LogMelConfig, write_wav_float};
use emorun_data::Item;
use emorun_figures::Spectrogram;

use super::parent;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::{Augmentations, Drawn, Version};
use emorun_experiment::prepare::Prepared;
use emorun_nn::draw::{DrawKey, permutation};

/// Bands of a spectrogram.
const BANDS: usize = 80;
/// How far below the original's loudest band a level is still seen, in dB.
const RANGE_DB: f64 = 70.0;
/// Frequencies that are marked, in Hz.
const MARKS_HZ: [u32; 8] = [250, 500, 1000, 2000, 4000, 8000, 16_000, 24_000];

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Number of training items.
    pub sample: usize,
    /// Number of augmented views of each: those of the first epochs.
    pub views: u64,
    /// The folder to write, which must not exist or be empty.
    pub out: &'a Path,
}

/// A file that was written.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The item's key.
    pub item: String,
    /// The epoch whose view it is, from 1 on; `None` for the original.
    pub epoch: Option<u64>,
    /// The WAV file; its spectrogram lies beside it.
    pub path: PathBuf,
    /// Length in seconds.
    pub seconds: f64,
    /// Loudest sample; above 1 a player clips it, the model does not.
    pub peak: f32,
    /// What augmentations have drawn, in their order; those that left the item as it was are not named.
    pub drawn: Vec<Drawn>,
}

/// Writes some training items of the first member, drawn by its seed, each as it is and as it is in the
/// first epochs: 32-bit float WAV at the experiment's rate, and a log-mel spectrogram.
///
/// # Errors
/// The folder holds something or cannot be written; a recording or a file of an augmentation cannot be
/// read.
pub fn listen(prepared: &Prepared, request: &Request<'_>) -> Result<Vec<Heard>, Failure> {
    if std::fs::read_dir(request.out).is_ok_and(|mut entries| entries.next().is_some()) || request.out.is_file() {
        return Err(Failure::Conflict(format!(
            "{} exists already; remove it, or choose another --out",
            request.out.display()
        )));
    }
    let member = parent::members(prepared)
        .into_iter()
        .next()
        .ok_or_else(|| Failure::Input("the split has no training items".into()))?;
    let train = &prepared.assignments[member.assignment].train;
    let augmentations = prepared
        .build_augmentations()
        .map_err(|(name, error)| Failure::Input(format!("augmentation `{name}`: {error}")))?;
    std::fs::create_dir_all(request.out).map_err(Failure::io("make", request.out))?;
    let order = permutation(&DrawKey::root(member.seed).with("listen"), train.len());
    let mut heard = Vec::new();
    for (number, at) in order.into_iter().take(request.sample).enumerate() {
        let item = prepared.corpus.items.get(train[at])?;
        let writer = Writer {
            prepared,
            augmentations: &augmentations,
            item: &item,
            stem: format!("{:02}-{}", number + 1, stem(&item.key)),
            out: request.out,
        };
        let original = writer.item.load_audio(prepared.settings.sample_rate_hz);
        let original = original.map_err(|error| Failure::Input(error.to_string()))?;
        let top_db = writer.loudest_db(&original)?;
        for epoch in 0..request.views {
            if epoch == 0 {
                heard.push(writer.write(original.clone(), None, top_db, Vec::new())?);
            }
            let version = augmentations.version(member.seed, epoch);
            let (view, drawn) = writer.augmented(original.clone(), &version)?;
            heard.push(writer.write(view, Some(epoch + 1), top_db, drawn)?);
        }
    }
    Ok(heard)
}

/// The end of an item's key as the name of a file.
fn stem(key: &str) -> String {
    const LONGEST: usize = 60;
    let name = key.rsplit(['/', '\\']).next().unwrap_or(key);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.chars()
        .take(LONGEST)
        .map(|c| {
            if c.is_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Writes the versions of an item.
struct Writer<'a> {
    prepared: &'a Prepared,
    augmentations: &'a Augmentations,
    item: &'a Item,
    stem: String,
    out: &'a Path,
}

impl Writer<'_> {
    fn augmented(&self, original: Vec<f32>, version: &Version) -> Result<(Vec<f32>, Vec<Drawn>), Failure> {
        self.augmentations
            .apply_noting(original, self.prepared.settings.sample_rate_hz, self.item, version)
            .map_err(|(name, error)| Failure::Input(format!("augmentation `{name}`: {error}")))
    }

    /// Levels in dB, `frames × bands`.
    fn levels(&self, samples: &[f32]) -> Result<Vec<f32>, Failure> {
        let config = LogMelConfig::picture(self.prepared.settings.sample_rate_hz, BANDS);
        let extractor = LogMel::new(config).map_err(|error| Failure::Bug(error.to_string()))?;
        Ok(extractor.compute(samples))
    }

    fn loudest_db(&self, samples: &[f32]) -> Result<f64, Failure> {
        let levels = self.levels(samples)?;
        Ok(f64::from(levels.into_iter().fold(f32::MIN, f32::max)))
    }

    fn write(&self, samples: Vec<f32>, epoch: Option<u64>, top_db: f64, drawn: Vec<Drawn>) -> Result<Heard, Failure> {
        let rate_hz = self.prepared.settings.sample_rate_hz;
        let view = epoch.map_or_else(|| "original".to_owned(), |epoch| format!("epoch-{epoch}"));
        let path = self.out.join(format!("{}.{view}.wav", self.stem));
        let levels = self.levels(&samples)?;
        let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        let clip = Clip { samples, rate_hz };
        let seconds = clip.duration_s();
        write_wav_float(&path, &clip).map_err(|error| Failure::Input(error.to_string()))?;
        let image = Spectrogram {
            title: &format!("{} - {view}", self.item.key),
            levels: &levels,
            bands: BANDS,
            seconds,
            marks: &marks(rate_hz),
            top_db,
            range_db: RANGE_DB,
        };
        let image = image.draw().to_png().map_err(|error| Failure::Bug(error.to_string()))?;
        let beside = path.with_extension("png");
        std::fs::write(&beside, image.bytes).map_err(Failure::io("write", &beside))?;
        Ok(Heard {
            item: self.item.key.to_string(),
            epoch,
            path,
            seconds,
            peak,
            drawn,
        })
    }
}

/// Where frequencies stand on the mel scale up to half the sampling rate.
fn marks(rate_hz: u32) -> Vec<(f64, String)> {
    let mel = |hz: f64| (1.0 + hz / 700.0).ln();
    let most = f64::from(rate_hz) / 2.0;
    MARKS_HZ
        .into_iter()
        .filter(|&hz| f64::from(hz) <= most)
        .map(|hz| (mel(f64::from(hz)) / mel(most), hz.to_string()))
        .collect()
}
