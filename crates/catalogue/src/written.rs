//! Files that are replaced as a whole.

use std::path::Path;

use emorun_files::Files;

use crate::CatalogueError;

/// Writes a file beside its place, then puts it there: who reads it meets the old one or the new one.
///
/// # Errors
/// It cannot be written; what was there is there still.
pub(crate) fn replace(files: &Files, path: &Path, bytes: &[u8]) -> Result<(), CatalogueError> {
    // Several processes may write at once.
    let draft = path.with_extension(format!("{}.partial", std::process::id()));
    let written = files
        .create(&draft)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync()
        })
        .and_then(|()| files.rename(&draft, path))
        .map_err(CatalogueError::io("write", path));
    if written.is_err() {
        let _ = files.remove_file(&draft);
    }
    written
}
