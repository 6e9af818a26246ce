//! What tells a file that was read from another one in its place.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Size, time of modification, time of change and number of a file: one that differs in any of them is another one.
///
/// The time of modification is what whoever writes a file says it is: `rsync -t`, `cp -p` and `touch -r` set it to that of
/// another file. The time of change is the system's own, and a file that takes the place of another has another number.
/// Systems that do not tell these two are believed by the first two alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
    number: u64,
}

impl Stamp {
    /// The stamp of a file, or of what a link leads to.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        let (changed_ns, number) = system(metadata);
        Self {
            bytes: metadata.len(),
            modified_ns: metadata.modified().map_or(0, nanoseconds),
            changed_ns,
            number,
        }
    }
}

/// As one word, the same for the same stamp: what memories of files keep.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            modified_ns,
            changed_ns,
            number,
        } = self;
        write!(f, "{bytes}.{modified_ns}.{changed_ns}.{number}")
    }
}

/// Nanoseconds since 1970, negative before.
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

#[cfg(unix)]
fn system(metadata: &Metadata) -> (i128, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let changed_ns = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    (changed_ns, metadata.ino())
}

#[cfg(not(unix))]
fn system(_: &Metadata) -> (i128, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    #[cfg(unix)]
    #[test]
    fn a_file_of_the_same_size_and_time_is_still_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "one").unwrap();
        let first = Stamp::of(&path).unwrap();
        assert_eq!(Stamp::of(&path).unwrap(), first);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let set = |path: &Path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap()
        };
        // As `rsync -t` does: another file takes its place.
        fs::write(&other, "two").unwrap();
        set(&other);
        fs::rename(&other, &path).unwrap();
        let second = Stamp::of(&path).unwrap();
        assert_eq!((second.bytes, second.modified_ns), (first.bytes, first.modified_ns));
        assert_ne!(second, first);
        // As `touch -r` does: written in place. The system counts time of change in steps of milliseconds.
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&path, "six").unwrap();
        set(&path);
        let third = Stamp::of(&path).unwrap();
        assert_eq!((third.modified_ns, third.number), (second.modified_ns, second.number));
        assert_ne!(third, second);
        assert_ne!(third.to_string(), second.to_string());
    }

    #[test]
    fn a_time_before_1970_is_a_time() {
        assert_eq!(nanoseconds(UNIX_EPOCH - Duration::from_nanos(5)), -5);
    }
}
