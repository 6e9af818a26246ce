//! Where emorun keeps what it can compute again.

use std::path::PathBuf;

/// The folder of everything that can be computed again; nothing without a home directory.
pub fn cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let folder = base.join("emorun");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}
