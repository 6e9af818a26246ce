//! Reading what others put there: regular files alone, and no more bytes than were asked for.
//!
//! A pipe makes whoever opens it wait for its other end, a device may have no end at all, and the length that a file
//! system states of either says nothing. So neither is opened, and what is read is counted as it comes.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a file to read it, if it is one (or a link to one).
///
/// # Errors
/// It cannot be opened, or is a folder, a pipe, a socket or a device; the error says which.
pub fn open_regular(path: &Path) -> io::Result<fs::File> {
    // Before it is opened, for that is what a pipe waits at; and after, for what was opened is what counts.
    refuse_others(&fs::metadata(path)?)?;
    let file = fs::File::open(path)?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

/// All bytes of a regular file, of which there may be `most`.
///
/// # Errors
/// As [`open_regular`]; or it has more bytes ([`ErrorKind::FileTooLarge`]).
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason = format!("it has more than the {most} bytes that such a file may have");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

fn refuse_others(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(if metadata.is_dir() {
        io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file")
    } else {
        io::Error::new(
            ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device, not a file; copy what it gives into a file",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_end_and_not_beyond_what_it_may_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
        assert_eq!(read_regular(&path, u64::MAX).unwrap(), b"12345");
        assert_eq!(read_regular(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let missing = read_regular(&folder.path().join("b"), 5).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(
            read_regular(folder.path(), 5).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
    }

    #[test]
    #[cfg(unix)]
    fn pipes_and_devices_are_refused_at_once_also_behind_links() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for target in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(target, &link).unwrap();
            for path in [target, &link] {
                let error = read_regular(path, 10).unwrap_err().to_string();
                assert!(error.contains("not a file"), "{path:?}: {error}");
            }
            fs::remove_file(link).unwrap();
        }
    }
}
