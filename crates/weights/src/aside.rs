//! Writing beside a file before it gets its name.

use std::path::{Path, PathBuf};

/// A name beside a file that no other process or thread uses.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{:?}.tmp", std::process::id(), std::thread::current().id()));
    PathBuf::from(name)
}
