//! A folder of a Git repository whose files are in large-file storage.

use crate::hash::sha256_of;
use crate::sources::Lfs;
use crate::{FetchError, Limits, unpack};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Longest pointer that is read; the format asks for less than 1 KiB.
const POINTER: u64 = 1024;

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Its path in the repository.
    pub path: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
}

/// What a repository's archive holds: the pointers of the stored files, and the plain files.
pub(crate) struct Listing {
    pub pointers: Vec<Pointer>,
    pub plain: BTreeMap<&'static str, Vec<u8>>,
}

/// Reads a repository's archive by way of the empty folder `scratch`, and compares it with what was reviewed.
pub(crate) fn list(lfs: &Lfs, archive: &Path, scratch: &Path) -> Result<Listing, FetchError> {
    let wrong = |reason: String| FetchError::Listing {
        url: lfs.pointers_url.to_owned(),
        reason,
    };
    let limits = Limits {
        entries: 200_000,
        bytes: 1 << 30,
        // Pointers are alike.
        ratio: 200,
    };
    unpack(archive, scratch, 1, limits, &mut |_| ())?;
    let folder = scratch.join(lfs.folder);
    let mut pointers = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|_| wrong(format!("it has no folder {}", lfs.folder)))? {
        let entry = entry.map_err(FetchError::io("read", &folder))?;
        let path = entry.path();
        let length = entry.metadata().map_err(FetchError::io("read", &path))?.len();
        let name = format!("{}{}", lfs.folder, entry.file_name().to_string_lossy());
        let text = (length <= POINTER).then(|| fs::read_to_string(&path).ok()).flatten();
        let pointer = text.and_then(|text| pointer(&name, &text));
        pointers.push(pointer.ok_or_else(|| wrong(format!("its file {name} is no pointer of large-file storage")))?);
    }
    pointers.sort_by(|one, other| one.path.cmp(&other.path));
    let lines: String = pointers
        .iter()
        .map(|Pointer { path, sha256, size }| format!("{sha256} {size} {path}\n"))
        .collect();
    if pointers.len() != lfs.files || sha256_of(lines.as_bytes()) != lfs.listing_sha256 {
        let count = pointers.len();
        return Err(wrong(format!(
            "{} files were reviewed, and it lists {count}, or others",
            lfs.files
        )));
    }
    let mut plain = BTreeMap::new();
    for file in lfs.plain {
        let bytes = fs::read(scratch.join(file.path)).map_err(|_| wrong(format!("it has no file {}", file.path)))?;
        if sha256_of(&bytes) != file.sha256 {
            return Err(wrong(format!("its file {} is another one", file.path)));
        }
        plain.insert(file.path, bytes);
    }
    Ok(Listing { pointers, plain })
}

/// Reads a pointer (version 1 of the format).
fn pointer(path: &str, text: &str) -> Option<Pointer> {
    let mut lines = text.lines();
    (lines.next()? == "version https://git-lfs.github.com/spec/v1").then_some(())?;
    let sha256 = lines.next()?.strip_prefix("oid sha256:")?;
    let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| Pointer {
        path: path.to_owned(),
        sha256: sha256.to_ascii_lowercase(),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_and_anything_else_is_none() {
        let digits = "c6f94b2592487c7556bd86df7df6e8f4420d1b9c11414aeec9d8e5e640b51495";
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digits}\nsize 72862\n");
        let read = pointer("a.wav", &text).unwrap();
        assert_eq!((read.sha256.as_str(), read.size), (digits, 72862));
        for wrong in [
            "RIFF",
            "",
            &text.replace("sha256:c", "sha256:x"),
            &text.replace("72862", "-1"),
            &text.replace("/v1", "/v9"),
        ] {
            assert_eq!(pointer("a.wav", wrong), None, "{wrong}");
        }
    }
}
