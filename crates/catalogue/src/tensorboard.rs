//! Some runs alone in TensorBoard, by names that people read: a folder of links to their directories.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use emorun_files::Files;

use crate::{CatalogueError, Run};

/// Makes a folder of links to runs below `cache`, and gives it. The same runs have the same folder, which is outside that
/// of the runs, so that TensorBoard on the latter does not read everything twice.
///
/// # Errors
/// It cannot be made.
pub fn links(cache: &Path, runs: &[&Run]) -> Result<PathBuf, CatalogueError> {
    let files = Files::default();
    let absolute = |run: &Run| std::fs::canonicalize(&run.dir).map_err(CatalogueError::io("find", &run.dir));
    let targets: Vec<PathBuf> = runs.iter().map(|run| absolute(run)).collect::<Result<_, _>>()?;
    let mut hasher = blake3::Hasher::new();
    for target in &targets {
        hasher.update(target.to_string_lossy().as_bytes()).update(b"\n");
    }
    let folder = cache.join(&hasher.finalize().to_hex()[..12]);
    files
        .create_dir_all(&folder)
        .map_err(CatalogueError::io("create", &folder))?;
    for (name, target) in names(runs).iter().zip(&targets) {
        let link = folder.join(name);
        if std::fs::read_link(&link).is_ok_and(|known| known == *target) {
            continue;
        }
        if link.symlink_metadata().is_ok() {
            files.remove_file(&link).map_err(CatalogueError::io("replace", &link))?;
        }
        link_to(target, &link).map_err(CatalogueError::io("link", &link))?;
    }
    Ok(folder)
}

/// A name a run: its label, with the experiment where labels are the same.
fn names(runs: &[&Run]) -> Vec<String> {
    let labels: Vec<String> = runs.iter().map(|run| one_folder(run.label())).collect();
    let mut seen = HashSet::new();
    let is_unique = labels.iter().all(|label| seen.insert(label.as_str()));
    if is_unique {
        return labels;
    }
    runs.iter().map(|run| one_folder(&run.place)).collect()
}

/// A text as the name of one folder.
fn one_folder(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|letter| if "/\\:,".contains(letter) { '-' } else { letter })
        .collect();
    match name.trim_matches('.') {
        "" => "run".to_owned(),
        _ => name,
    }
}

#[cfg(unix)]
fn link_to(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn link_to(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(target, link)
}
