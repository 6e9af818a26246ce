//! Texts that many items share.

use serde::{Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text that is kept once for all that have it: its copies cost nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The path of a file: its folder is kept once for all files in it, its name once with a longer text that ends in it.
#[derive(Clone)]
pub struct FilePath {
    /// The folder; all of the path where its name is no text.
    pub(crate) folder: Arc<Path>,
    pub(crate) text: Name,
    /// Where in `text` the name starts.
    pub(crate) from: u32,
}

impl FilePath {
    /// A path of folder and name, which is the end of `text` from `from` on.
    pub(crate) fn new(folder: Arc<Path>, text: Name, from: usize) -> Self {
        match u32::try_from(from) {
            Ok(from) if text.is_char_boundary(from as usize) => Self { folder, text, from },
            _ => Self {
                folder,
                text: text.get(from..).unwrap_or_default().into(),
                from: 0,
            },
        }
    }

    /// The file's name; empty where the path has none that is a text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(self.from as usize..).unwrap_or_default()
    }

    /// The path in one piece.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        match self.name() {
            "" => self.folder.to_path_buf(),
            name => self.folder.join(name),
        }
    }

    fn parts(&self) -> (&Path, &str) {
        (&self.folder, self.name())
    }
}

impl From<&Path> for FilePath {
    fn from(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str());
        match (path.parent(), name) {
            (Some(folder), Some(name)) => Self::new(folder.into(), name.into(), 0),
            _ => Self::new(path.into(), Name::default(), 0),
        }
    }
}

impl From<&str> for FilePath {
    fn from(path: &str) -> Self {
        Path::new(path).into()
    }
}

impl PartialEq for FilePath {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for FilePath {}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_path().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_two_parts_is_the_path() {
        for path in ["a/b/c.wav", "/c.wav", "c.wav", "a/ü b.wav", "/", "..", ""] {
            assert_eq!(FilePath::from(path).to_path(), Path::new(path), "{path}");
        }
        let key: Name = "d/folder/c.wav".into();
        let from = key.len() - "c.wav".len();
        let shared = FilePath::new(Path::new("/corpus/folder").into(), key, from);
        assert_eq!(shared.to_path(), Path::new("/corpus/folder/c.wav"));
        assert_eq!(shared, FilePath::from("/corpus/folder/c.wav"));
        assert_ne!(shared, FilePath::from("/corpus/folder/d.wav"));
    }
}
