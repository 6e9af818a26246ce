//! MUSAN: music, speech and noise to mix into training items. It is a source for augmentations, not a
//! dataset: nobody in it has a label.

use super::NoiseCorpus;
use crate::fixtures::{FixtureError, tone};
use std::path::Path;

/// The folders of MUSAN and how many files each has: 2016 in all, 109 hours. `background_noise` takes
/// their names as `categories`.
///
/// # Source
/// Snyder, Chen & Povey, "MUSAN: A Music, Speech, and Noise Corpus", arXiv 1510.08484, 2015. CC BY 4.0.
const CATEGORIES: [(&str, usize); 3] = [("music", 660), ("noise", 930), ("speech", 426)];

/// The category of a file by its path below the root: the first folder that has a category's name, or
/// else the start of its own name, as in `noise-free-sound-0000.wav`.
fn category(relative: &str) -> Option<&'static str> {
    let parts = || relative.split('/');
    let names = || CATEGORIES.into_iter().map(|(name, _)| name);
    let file = parts().next_back().unwrap_or_default();
    let folders = parts().take(parts().count().saturating_sub(1));
    let of_folder = folders
        .into_iter()
        .find_map(|folder| names().find(|name| *name == folder));
    of_folder.or_else(|| {
        let first = file.split('-').next().unwrap_or_default();
        names().find(|name| *name == first)
    })
}

/// MUSAN, to be held against what it was published with.
pub const MUSAN: NoiseCorpus = NoiseCorpus {
    name: "musan",
    categories: &CATEGORIES,
    category,
};

/// Writes so many files of each category at 16 kHz, in the folders of the official layout.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_musan(root: &Path, each: usize, seconds: f64) -> Result<usize, FixtureError> {
    let sources = [("music", "fma"), ("noise", "free-sound"), ("speech", "librivox")];
    let mut files = 0;
    for ((category, _), (_, source)) in CATEGORIES.into_iter().zip(sources) {
        for number in 0..each {
            let name = format!("{category}/{source}/{category}-{source}-{number:04}.wav");
            tone(root, &name, 16_000, seconds, 1 + number as u32)?;
            files += 1;
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_category_is_told_by_its_folders_or_its_name() {
        for (path, wanted) in [
            ("noise/free-sound/noise-free-sound-0000.wav", Some("noise")),
            ("musan/speech/librivox/speech-librivox-0000.wav", Some("speech")),
            ("music/a.wav", Some("music")),
            ("noise-sound-bible-0001.wav", Some("noise")),
            ("other/a.wav", None),
            ("", None),
        ] {
            assert_eq!(category(path), wanted, "{path}");
        }
        assert_eq!(CATEGORIES.iter().map(|(_, files)| files).sum::<usize>(), 2016);
    }
}
