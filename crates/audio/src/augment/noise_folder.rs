//! A folder of recordings that stretches are drawn from.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, RngExt};
use walkdir::WalkDir;

use super::{AugmentError, NoiseFolderError};
use crate::{AudioInfo, Channel, Clip, Segment, has_audio_name, load_channel, probe, resampled_len};

/// Longest file that is decoded whole and remembered, in seconds; of longer ones the stretch alone is
/// read. It must not depend on what is remembered: resampling a stretch gives other bits than cutting
/// the resampled whole.
const WHOLE_S: f64 = 30.0;
/// Decoded audio that is remembered, in bytes.
const MEMORY_BYTES: usize = 256 << 20;
/// Folder names in an error.
const NAMES_SHOWN: usize = 20;

/// What recordings are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// They sound behind speech.
    Noise,
    /// They are a room's answer to a click.
    Response,
}

impl Use {
    /// What a file of OpenSLR 28 (`RIRS_NOISES`) is for, by the folder and the name that it has there.
    fn of(root: &Path, file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_string_lossy();
        let top = root.file_name().map(|name| name.to_string_lossy().into_owned());
        top.into_iter().chain(folders(root, file)).find_map(|folder| match folder.as_str() {
            "pointsource_noises" => Some(Self::Noise),
            "simulated_rirs" => Some(Self::Response),
            "real_rirs_isotropic_noises" if name.contains("_noise_") => Some(Self::Noise),
            "real_rirs_isotropic_noises" => Some(Self::Response),
            _ => None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Response => "impulse responses",
        }
    }
}

/// Recordings, found once.
#[derive(Debug)]
pub(super) struct NoiseFolder {
    files: Vec<NoiseFile>,
    rate_hz: u32,
    memory: Mutex<Memory>,
    remarks: Vec<String>,
}

#[derive(Debug)]
struct NoiseFile {
    path: PathBuf,
    info: AudioInfo,
}

/// Decoded files, by number and channel. Draws are uniform, so it does not matter which ones are kept: the first.
#[derive(Debug)]
struct Memory {
    files: HashMap<(usize, Channel), Arc<Vec<f32>>>,
    bytes_left: usize,
}

impl NoiseFolder {
    /// The recordings below `root`, in the order of their paths there, with their headers read.
    pub(super) fn scan(root: &Path, categories: &[String], rate_hz: u32, wanted: Use) -> Result<Self, AugmentError> {
        let mut paths = find(root, categories)?;
        let all = paths.len();
        let mut others = paths.iter().filter(|path| Use::of(root, path).is_some_and(|other| other != wanted));
        let mut remarks = Vec::new();
        if let Some(first) = others.next() {
            let (other, count) = (Use::of(root, first).map_or("", Use::name), 1 + others.count());
            if count == all {
                return Err(NoiseFolderError::Other {
                    path: root.to_owned(),
                    found: other,
                    wanted: wanted.name(),
                }
                .into());
            }
            remarks.push(format!(
                "{}: {count} of {all} recordings are {other} of OpenSLR 28 and left out, such as {}",
                root.display(),
                first.strip_prefix(root).unwrap_or(first).display()
            ));
            paths.retain(|path| Use::of(root, path).is_none_or(|other| other == wanted));
        }
        let files = paths
            .into_iter()
            .map(|path| {
                let info = probe(&path)?;
                Ok(NoiseFile { path, info })
            })
            .collect::<Result<Vec<_>, AugmentError>>()?;
        let mut odd = files.iter().filter_map(|file| Some((&file.path, file.info.remark?)));
        if let Some((first, remark)) = odd.next() {
            remarks.push(format!(
                "{}: {} recordings {remark} (first: {})",
                root.display(),
                1 + odd.count(),
                first.strip_prefix(root).unwrap_or(first).display()
            ));
        }
        Ok(Self {
            files,
            rate_hz,
            memory: Mutex::new(Memory {
                files: HashMap::new(),
                bytes_left: MEMORY_BYTES,
            }),
            remarks,
        })
    }

    /// What whoever runs an experiment should know of the folder.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Number of recordings, at least one.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The name of recording `index` for people: its folder and file.
    pub(super) fn name(&self, index: usize) -> String {
        let mut parts = self.files[index]
            .path
            .components()
            .rev()
            .map(|part| part.as_os_str().to_string_lossy());
        let name = parts.next().unwrap_or_default();
        parts
            .next()
            .map_or_else(|| name.to_string(), |folder| format!("{folder}/{name}"))
    }

    /// Their paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// `length` samples of recording `index` from a random moment on, within it if it is long enough,
    /// else repeated.
    pub(super) fn stretch(&self, index: usize, length: usize, rng: &mut dyn Rng) -> Result<Vec<f32>, AugmentError> {
        let NoiseFile { path, info } = &self.files[index];
        let total = resampled_len(info.frames, info.rate_hz, self.rate_hz).max(1);
        let room = total.checked_sub(length as u64);
        let start = match room {
            Some(room) => rng.random_range(0..=room),
            None => rng.random_range(0..total),
        };
        let (repeated, start) = if info.duration_s() <= WHOLE_S {
            (self.whole(index, Channel::Mix)?, start as usize)
        } else if room.is_some() {
            let mut part = self.part(path, info, start, length, Channel::Mix)?;
            part.resize(length, 0.0);
            return Ok(part);
        } else {
            (Arc::new(self.load(path, None, Channel::Mix)?.samples), start as usize)
        };
        let mut stretch = Vec::with_capacity(length);
        if !repeated.is_empty() {
            stretch.extend_from_slice(repeated.get(start..).unwrap_or_default());
            stretch.truncate(length);
            while stretch.len() < length {
                let missing = repeated.len().min(length - stretch.len());
                stretch.extend_from_slice(&repeated[..missing]);
            }
        }
        stretch.resize(length, 0.0);
        Ok(stretch)
    }

    /// The channel of recording `index` that is drawn. A recording with one channel takes no draw.
    pub(super) fn channel(&self, index: usize, rng: &mut dyn Rng) -> Channel {
        match self.files[index].info.channels {
            0 | 1 => Channel::Mix,
            channels => Channel::Number(rng.random_range(0..channels)),
        }
    }

    /// Every channel of recording `index` that can be drawn.
    pub(super) fn channels(&self, index: usize) -> Vec<Channel> {
        match self.files[index].info.channels {
            0 | 1 => vec![Channel::Mix],
            channels => (0..channels).map(Channel::Number).collect(),
        }
    }

    /// The beginning of a channel of recording `index`, `length` samples at most.
    pub(super) fn beginning(&self, index: usize, length: usize, channel: Channel) -> Result<Vec<f32>, AugmentError> {
        let NoiseFile { path, info } = &self.files[index];
        if info.duration_s() <= WHOLE_S {
            let samples = self.whole(index, channel)?;
            return Ok(samples[..length.min(samples.len())].to_vec());
        }
        self.part(path, info, 0, length, channel)
    }

    /// The same, without being remembered.
    pub(super) fn glance(&self, index: usize, length: usize, channel: Channel) -> Result<Vec<f32>, AugmentError> {
        let NoiseFile { path, info } = &self.files[index];
        self.part(path, info, 0, length, channel)
    }

    /// A whole recording, from memory where it is there.
    fn whole(&self, index: usize, channel: Channel) -> Result<Arc<Vec<f32>>, AugmentError> {
        if let Some(samples) = self.memory().files.get(&(index, channel)) {
            return Ok(samples.clone());
        }
        let samples = Arc::new(self.load(&self.files[index].path, None, channel)?.samples);
        let bytes = samples.len() * size_of::<f32>();
        let mut memory = self.memory();
        if bytes <= memory.bytes_left && !memory.files.contains_key(&(index, channel)) {
            memory.bytes_left -= bytes;
            memory.files.insert((index, channel), samples.clone());
        }
        Ok(samples)
    }

    fn load(&self, path: &Path, segment: Option<Segment>, channel: Channel) -> Result<Clip, AugmentError> {
        Ok(load_channel(path, self.rate_hz, segment, channel)?)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // A thread that panicked left at worst a file uncounted.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// About `length` samples of a recording from sample `start` on, both at the rate asked for.
    fn part(
        &self,
        path: &Path,
        info: &AudioInfo,
        start: u64,
        length: usize,
        channel: Channel,
    ) -> Result<Vec<f32>, AugmentError> {
        let frame = |sample: u64| u128::from(sample) * u128::from(info.rate_hz) / u128::from(self.rate_hz);
        let first = u64::try_from(frame(start)).unwrap_or(u64::MAX).min(info.frames - 1);
        // One more for the fraction that was cut off at either end.
        let count = u64::try_from(frame(length as u64))
            .unwrap_or(u64::MAX)
            .saturating_add(2);
        let end = first.saturating_add(count).min(info.frames);
        let seconds = |frame: u64| frame as f64 / f64::from(info.rate_hz);
        let segment = Segment {
            start_s: seconds(first),
            end_s: seconds(end),
        };
        Ok(self.load(path, Some(segment), channel)?.samples)
    }
}

/// The audio files below `root`, in any of the categories if there are some, by their paths.
fn find(root: &Path, categories: &[String]) -> Result<Vec<PathBuf>, NoiseFolderError> {
    if !root.is_dir() {
        return Err(NoiseFolderError::Missing { path: root.to_owned() });
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(root).follow_links(true) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && has_audio_name(entry.path()) => files.push(entry.into_path()),
            Ok(_) => {}
            // A link to a folder above leads to files that are found without it.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                return Err(NoiseFolderError::Unreadable {
                    path: error.path().unwrap_or(root).to_owned(),
                    reason: error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
                });
            }
        }
    }
    if files.is_empty() {
        return Err(NoiseFolderError::Empty { path: root.to_owned() });
    }
    for category in categories {
        if !files
            .iter()
            .any(|file| folders(root, file).any(|name| name == *category))
        {
            let names: BTreeSet<String> = files.iter().flat_map(|file| folders(root, file)).collect();
            return Err(NoiseFolderError::NoCategory {
                path: root.to_owned(),
                category: category.clone(),
                found: names.into_iter().take(NAMES_SHOWN).collect(),
            });
        }
    }
    if !categories.is_empty() {
        files.retain(|file| folders(root, file).any(|name| categories.contains(&name)));
    }
    files.sort();
    Ok(files)
}

/// Names of the folders between `root` and a file.
fn folders(root: &Path, file: &Path) -> impl Iterator<Item = String> {
    let folder = file.strip_prefix(root).ok().and_then(Path::parent);
    folder
        .into_iter()
        .flat_map(Path::components)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
}
