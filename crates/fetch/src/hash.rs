//! Hashes that someone promised of a file.

use emorun_files::open_regular;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::Path;

/// A promised hash, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256(String),
    /// SHA-1 of Git's form of the file: `blob LENGTH\0` before its bytes.
    Git(String),
    /// MD5: it tells damage, and no more.
    Md5(String),
}

impl Hash {
    /// What the name of a blob in the Hub's cache promises: SHA-256 of large files, Git's SHA-1 of small ones, and
    /// nothing where the name is no hash.
    #[must_use]
    pub fn of_blob(name: &str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match name.len() {
            64 => Some(Self::Sha256(name.to_ascii_lowercase())),
            40 => Some(Self::Git(name.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Git(_) => "Git SHA-1",
            Self::Md5(_) => "MD5",
        }
    }

    /// The digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) | Self::Md5(digits) => digits,
        }
    }

    fn start(&self, length: u64) -> Running {
        match self {
            Self::Sha256(_) => Running::Sha256(Sha256::new()),
            Self::Git(_) => Running::Git(Sha1::new_with_prefix(format!("blob {length}\0"))),
            Self::Md5(_) => Running::Md5(Md5::new()),
        }
    }
}

enum Running {
    Sha256(Sha256),
    Git(Sha1),
    Md5(Md5),
}

impl Running {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Git(hasher) => hex(&hasher.finalize()),
            Self::Md5(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of bytes in memory, in hexadecimal digits.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-1 by which Git names a file of these bytes, in hexadecimal digits.
pub(crate) fn git_of(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}

/// Reads a file to its end, in pieces, and gives the first of the promised hashes that it does not have.
///
/// # Errors
/// The file cannot be read.
pub fn read_checked<'a>(
    path: &Path,
    promised: &[&'a Hash],
    mut piece_read: impl FnMut(&[u8]),
) -> io::Result<Option<&'a Hash>> {
    let mut file = open_regular(path)?;
    let length = file.metadata()?.len();
    let mut running: Vec<Running> = promised.iter().map(|hash| hash.start(length)).collect();
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        piece_read(&piece[..read]);
        for hasher in &mut running {
            hasher.update(&piece[..read]);
        }
    }
    let found = running.into_iter().map(Running::finish);
    Ok(promised
        .iter()
        .zip(found)
        .find(|(hash, found)| hash.digits() != found)
        .map(|(hash, _)| *hash))
}
