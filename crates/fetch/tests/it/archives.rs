//! Archives: good ones, hostile ones and damaged ones.

use crate::noise;
use emorun_fetch::{FetchError, Limits, Unpacked, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// An entry of an archive to be made.
pub enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Folder(&'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

pub fn zipped(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for entry in entries {
        match entry {
            Entry::File(name, content) => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
            Entry::Folder(name) => writer.add_directory(*name, options).unwrap(),
            Entry::Link(name, to) | Entry::HardLink(name, to) => writer.add_symlink(*name, *to, options).unwrap(),
        }
    }
    writer.finish().unwrap().into_inner()
}

/// A tar header with a name that `tar` itself would refuse to write.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header
}

pub fn tarred(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let (mut header, content) = match entry {
            Entry::File(name, content) => (header(name, EntryType::Regular, content.len() as u64), *content),
            Entry::Folder(name) => (header(name, EntryType::Directory, 0), &[][..]),
            Entry::Link(name, to) | Entry::HardLink(name, to) => {
                let kind = if matches!(entry, Entry::Link(..)) {
                    EntryType::Symlink
                } else {
                    EntryType::Link
                };
                let mut header = header(name, kind, 0);
                header.set_link_name_literal(to).unwrap();
                (header, &[][..])
            }
        };
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.folder()).unwrap();
        place
    }

    fn folder(&self) -> std::path::PathBuf {
        self.0.path().join("into")
    }

    fn unpack(&self, archive: &[u8], strip: usize) -> Result<Unpacked, FetchError> {
        let path = self.0.path().join("archive");
        fs::write(&path, archive).unwrap();
        unpack(&path, &self.folder(), strip, Limits::default(), &mut |_| ())
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn both_kinds_are_unpacked_with_leading_folders_left_out() {
    let content = noise(5000);
    let entries = [
        Entry::Folder("top/"),
        Entry::File("top/a/one.wav", &content),
        Entry::Folder("top/empty/"),
        Entry::File("top/größe.txt", b"x"),
    ];
    for archive in [zipped(&entries), tarred(&entries)] {
        let place = Place::new();
        let unpacked = place.unpack(&archive, 1).unwrap();
        assert_eq!(unpacked, Unpacked { files: 2, bytes: 5001 });
        assert_eq!(files(&place.folder()), ["a/one.wav", "größe.txt"]);
        assert_eq!(fs::read(place.folder().join("a/one.wav")).unwrap(), content);
    }
}

#[test]
fn what_leaves_the_folder_or_is_no_file_is_refused_and_nothing_is_written_outside() {
    let target = "/tmp/emorun-was-here";
    let entries = [
        Entry::File("../up.wav", b"x"),
        Entry::File("a/../../up.wav", b"x"),
        Entry::File(target, b"x"),
        Entry::File("a\\..\\..\\up.wav", b"x"),
        Entry::Link("link", "/etc"),
        Entry::HardLink("hard", "/etc/passwd"),
    ];
    for (number, entry) in entries.iter().enumerate() {
        for tar in [false, true] {
            let entry = std::slice::from_ref(entry);
            let place = Place::new();
            let archive = if tar { tarred(entry) } else { zipped(entry) };
            match place.unpack(&archive, 0) {
                Err(FetchError::Archive { reason, .. }) => assert!(reason.contains("its entry"), "{reason}"),
                // The writer of zip archives turns an absolute name into a relative one.
                Ok(_) if !tar && number == 2 => {}
                other => panic!("{number} {tar}: {other:?}"),
            }
            assert!(!Path::new(target).exists() && !place.0.path().join("up.wav").exists());
        }
    }
    // A link first and a file through it.
    let through = [Entry::Link("a", "/tmp"), Entry::File("a/emorun-was-here", b"x")];
    for archive in [zipped(&through), tarred(&through)] {
        assert!(matches!(
            Place::new().unpack(&archive, 0),
            Err(FetchError::Archive { .. })
        ));
        assert!(!Path::new(target).exists());
    }
}

#[test]
fn bombs_are_refused_before_they_have_grown() {
    let zeros = vec![0; 64 << 20];
    let entries = [Entry::File("zeros.wav", &zeros)];
    for archive in [zipped(&entries), tarred(&entries)] {
        let place = Place::new();
        match place.unpack(&archive, 0) {
            Err(FetchError::Archive { reason, .. }) => assert!(reason.contains("grows to more than"), "{reason}"),
            other => panic!("{other:?}"),
        }
        let written = fs::metadata(place.folder().join("zeros.wav")).unwrap().len();
        assert!(written <= archive.len() as u64 * 20 + (1 << 20), "{written}");
    }
    let names: Vec<String> = (0..20).map(|number| format!("{number}.wav")).collect();
    let many: Vec<Entry<'_>> = names.iter().map(|name| Entry::File(name, b"x")).collect();
    let place = Place::new();
    let path = place.0.path().join("archive");
    fs::write(&path, zipped(&many)).unwrap();
    let limits = Limits {
        entries: 10,
        ..Limits::default()
    };
    let error = unpack(&path, &place.folder(), 0, limits, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("more entries"), "{error}");
}

#[test]
fn a_long_name_in_a_header_is_no_way_to_fill_the_memory() {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut long = header("././@LongLink", EntryType::GNULongName, 1 << 40);
    long.set_cksum();
    builder.append(&long, &[][..]).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    assert!(matches!(
        Place::new().unpack(&archive, 0),
        Err(FetchError::Archive { .. })
    ));
}

#[test]
fn an_entry_given_twice_is_refused() {
    let archive = tarred(&[Entry::File("a.wav", b"one"), Entry::File("./a.wav", b"two")]);
    let error = Place::new().unpack(&archive, 0).unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let content = noise(4000);
    let entries = [Entry::File("one.wav", &content), Entry::File("two.wav", &content)];
    for (tar, archive) in [(false, zipped(&entries)), (true, tarred(&entries))] {
        for length in (0..archive.len()).step_by(97) {
            let place = Place::new();
            assert!(place.unpack(&archive[..length], 0).is_err(), "{tar} cut to {length}");
        }
        for at in (0..archive.len()).step_by(61) {
            let mut damaged = archive.clone();
            damaged[at] ^= 0x55;
            let place = Place::new();
            // Bytes that say nothing of content (times, comments, padding) may change.
            if place.unpack(&damaged, 0).is_ok() {
                for name in files(&place.folder()) {
                    assert_eq!(fs::read(place.folder().join(name)).unwrap(), content, "{tar} {at}");
                }
            }
        }
    }
    for other in [&b""[..], b"PK", b"<html>log in</html>", &[0x1f, 0x8b]] {
        assert!(matches!(Place::new().unpack(other, 0), Err(FetchError::Archive { .. })));
    }
}
