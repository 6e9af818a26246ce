//! Whole corpora: from a table entry to a folder.

use crate::archives::{Entry, tarred, zipped};
use crate::client;
use crate::server::{Reply, Request, Server, part, sha256};
use emorun_fetch::{
    Contents, Event, FetchError, Fetched, How, Lfs, Licence, Options, PlainFile, Presence, RECORD, Record, RemoteFile,
    Repository, Source, fetch_corpus, presence,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const LICENCE: Licence = Licence {
    name: "test licence",
    url: "https://example.org/",
    note: "",
};

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn source(how: How) -> Source {
    Source {
        name: "test",
        title: "",
        folder: "test",
        page: "",
        licence: LICENCE,
        cite: "",
        how,
    }
}

/// Two archives, of which the second is a part for its own; `known` says whether their hashes are published.
fn archives(url: &str, known: bool) -> Source {
    let file = |part, default, name, content: &[u8]| RemoteFile {
        part,
        default,
        url: leak(format!("{url}/{name}")),
        name,
        size: known.then_some(content.len() as u64),
        md5: None,
        sha256: known.then(|| leak(sha256(content))),
        strip: 1,
        contents: None,
    };
    let files = [
        file("speech", true, "speech.zip", &speech()),
        file("song", false, "song.tar.gz", &song()),
    ];
    source(How::Archives(Box::leak(Box::new(files))))
}

fn speech() -> Vec<u8> {
    zipped(&[
        Entry::File("top/Actor_01/one.wav", b"speech one"),
        Entry::File("top/README", b"read me"),
    ])
}

fn song() -> Vec<u8> {
    tarred(&[Entry::File("top/Actor_01/two.wav", b"song two")])
}

fn answer(request: &Request) -> Reply {
    let content = match request.path.rsplit('/').next().unwrap() {
        "speech.zip" => speech(),
        "song.tar.gz" => song(),
        _ => return Reply::new(404, &[]),
    };
    let mut reply = part(&content, request.from());
    reply.headers.push(("etag", "\"v1\"".to_owned()));
    reply
}

struct Place {
    server: Server,
    folder: TempDir,
}

impl Place {
    fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            server: Server::start(answer),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("corpus")
    }

    fn options<'a>(&'a self, to: &'a Path, parts: &'a [String]) -> Options<'a> {
        Options {
            to,
            parts,
            mirror: None,
            keep_archives: false,
            connections: 4,
        }
    }

    fn fetch(&self, source: &Source, parts: &[&str]) -> Result<Fetched, FetchError> {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        fetch_corpus(&client(), source, &self.options(&self.to(), &parts), &|_| ())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.to().join(name)).unwrap()
    }

    /// Names in the corpus' folder, without the lock.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.to())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".fetch.lock")
            .collect();
        names.sort();
        names
    }
}

#[test]
fn parts_are_fetched_into_one_folder_once() {
    let place = Place::new(answer);
    let source = archives(&place.server.url(), true);
    assert_eq!(presence(&source, &place.to()).unwrap(), Presence::Absent);
    let first = place.fetch(&source, &[]).unwrap();
    assert_eq!(presence(&source, &place.to()).unwrap(), Presence::Whole);
    assert_eq!((first.downloaded, first.present, first.recorded.len()), (1, 0, 0));
    assert_eq!(place.names(), ["Actor_01", "README", RECORD]);
    place.fetch(&source, &["song", "speech"]).unwrap();
    assert_eq!(place.read("Actor_01/one.wav"), "speech one");
    assert_eq!(place.read("Actor_01/two.wav"), "song two");
    let record = Record::read(&place.to()).unwrap();
    assert_eq!(
        (record.corpus.as_str(), record.licence.as_str()),
        ("test", "test licence")
    );
    assert_eq!(record.files["speech.zip"].sha256, sha256(&speech()));
    assert_eq!(record.files["speech.zip"].unpacked, ["Actor_01", "README"]);
    let asked = place.server.requests().len();
    let again = place.fetch(&source, &["song", "speech"]).unwrap();
    assert_eq!((again.downloaded, again.present), (0, 2));
    assert_eq!(place.server.requests().len(), asked);
    // What was removed comes again.
    fs::remove_dir_all(place.to().join("Actor_01")).unwrap();
    assert_eq!(place.fetch(&source, &["song", "speech"]).unwrap().downloaded, 2);
    assert_eq!(place.read("Actor_01/two.wav"), "song two");
}

#[test]
fn a_hash_that_nobody_publishes_is_recorded_and_checked_from_then_on() {
    let replaced = std::sync::Arc::new(AtomicUsize::new(0));
    let state = replaced.clone();
    let place = Place::new(move |request| match state.load(Ordering::SeqCst) {
        0 => answer(request),
        _ => part(&zipped(&[Entry::File("top/README", b"another")]), request.from()),
    });
    let source = archives(&place.server.url(), false);
    assert_eq!(place.fetch(&source, &[]).unwrap().recorded, ["speech.zip"]);
    replaced.store(1, Ordering::SeqCst);
    fs::remove_file(place.to().join("README")).unwrap();
    let error = place.fetch(&source, &[]).unwrap_err().to_string();
    assert!(
        error.contains("fetched.json") && error.contains(&sha256(&speech())),
        "{error}"
    );
    assert!(!place.to().join("README").exists());
    fs::remove_file(place.to().join(RECORD)).unwrap();
    // The first file of the other archive has another length than the one that is there.
    place.fetch(&source, &[]).unwrap();
    assert_eq!(place.read("README"), "another");
}

#[test]
fn a_run_that_was_killed_is_gone_on_with() {
    let place = Place::new(answer);
    let source = archives(&place.server.url(), true);
    let to = place.to();
    fs::create_dir_all(to.join(".speech.zip.unpacked/Actor_01")).unwrap();
    fs::write(to.join(".speech.zip.unpacked/Actor_01/half.wav"), "ha").unwrap();
    fs::write(to.join(".speech.zip.part"), &speech()[..100]).unwrap();
    let version = format!(r#"{{"etag": "\"v1\"", "modified": null, "total": {}}}"#, speech().len());
    fs::write(to.join(".speech.zip.part.json"), version).unwrap();
    // A move that was interrupted left one file in place.
    fs::create_dir_all(to.join("Actor_01")).unwrap();
    fs::write(to.join("Actor_01/one.wav"), "speech one").unwrap();
    place.fetch(&source, &[]).unwrap();
    assert_eq!(place.server.requests()[0].from(), 100);
    assert_eq!(place.names(), ["Actor_01", "README", RECORD]);
    assert_eq!(fs::read_dir(to.join("Actor_01")).unwrap().count(), 1);
}

#[test]
fn files_of_the_users_own_are_never_replaced() {
    let place = Place::new(answer);
    let source = archives(&place.server.url(), true);
    fs::create_dir_all(place.to()).unwrap();
    fs::write(place.to().join("README"), "my own notes").unwrap();
    assert_eq!(presence(&source, &place.to()).unwrap(), Presence::Own);
    let error = place.fetch(&source, &[]).unwrap_err();
    assert!(
        matches!(&error, FetchError::InTheWay { path, .. } if path.ends_with("README")),
        "{error}"
    );
    assert_eq!(place.read("README"), "my own notes");
    assert_eq!(presence(&source, &place.to()).unwrap(), Presence::Begun);
}

#[test]
fn wrong_bytes_leave_nothing_but_what_was_there() {
    let place = Place::new(|request| {
        let mut reply = answer(request);
        if let Some(byte) = reply.body.get_mut(40) {
            *byte ^= 1;
        }
        reply
    });
    let source = archives(&place.server.url(), true);
    let error = place.fetch(&source, &["speech", "song"]).unwrap_err();
    assert!(matches!(error, FetchError::WrongBytes { .. }), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn a_mirror_is_asked_instead_and_archives_stay_when_asked_to() {
    let place = Place::new(answer);
    let source = archives("http://127.0.0.1:1", true);
    let mirror = format!("{}/mirror/", place.server.url());
    let to = place.to();
    let options = Options {
        mirror: Some(&mirror),
        keep_archives: true,
        ..place.options(&to, &[])
    };
    fetch_corpus(&client(), &source, &options, &|_| ()).unwrap();
    assert_eq!(place.server.requests()[0].path, "/mirror/speech.zip");
    assert_eq!(fs::read(to.join("speech.zip")).unwrap(), speech());
}

#[test]
fn parts_and_corpora_that_do_not_exist_are_said_with_those_that_do() {
    let place = Place::new(answer);
    let source = archives(&place.server.url(), true);
    let error = place.fetch(&source, &["sing"]).unwrap_err().to_string();
    assert!(
        error.contains("no part `sing`") && error.contains("speech, song"),
        "{error}"
    );
    let request = self::source(How::Request(&["ask"]));
    assert!(matches!(place.fetch(&request, &[]), Err(FetchError::OnRequest { .. })));
    let error = Source::named("ravdes").unwrap_err().to_string();
    assert!(error.contains("did you mean `ravdess`"), "{error}");
    let error = fetch_corpus(
        &client(),
        emorun_fetch::find("librispeech").unwrap(),
        &place.options(&place.to(), &[]),
        &|_| (),
    );
    assert!(error.unwrap_err().to_string().contains("dev-clean"));
    assert!(!place.to().exists());
}

#[test]
fn two_that_fetch_at_once_download_once() {
    let place = Place::new(|request| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        answer(request)
    });
    let source = archives(&place.server.url(), true);
    let waited = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let to = place.to();
                let options = place.options(&to, &[]);
                fetch_corpus(&client(), &source, &options, &|event| {
                    *waited.lock().unwrap() += usize::from(event == Event::Waiting);
                })
                .unwrap();
            });
        }
    });
    assert_eq!(place.server.gets("/speech.zip").len(), 1);
    assert_eq!(*waited.lock().unwrap(), 2);
}

/// A WAV file of 16-bit mono with so many frames, as the format's description has it.
fn wav(frames: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 8 + 2 * frames).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0");
    bytes.extend(b"note\0\0\0\0data");
    bytes.extend((2 * frames).to_le_bytes());
    bytes.resize(bytes.len() + 2 * frames as usize, 0);
    bytes
}

/// A corpus of two recordings in `wav/`, of whose archive nobody publishes a hash.
fn unhashed(url: &str) -> Source {
    let file = RemoteFile {
        part: "all",
        default: true,
        url: leak(format!("{url}/speech.zip")),
        name: "speech.zip",
        size: None,
        md5: None,
        sha256: None,
        strip: 0,
        contents: Some(Contents {
            folder: "wav/",
            files: 2,
            names_sha256: leak(sha256(b"a.wav\nb.wav\n")),
        }),
    };
    source(How::Archives(Box::leak(Box::new([file]))))
}

fn recordings(frames: [u32; 2]) -> Vec<u8> {
    let [a, b] = frames.map(wav);
    zipped(&[Entry::File("wav/a.wav", &a), Entry::File("wav/b.wav", &b)])
}

#[test]
fn what_a_log_in_page_gives_is_not_remembered_as_the_corpus() {
    let page = b"<!DOCTYPE html><title>Welcome to the hotel</title>".to_vec();
    let a = wav(30);
    let wrong = [
        (page, "neither a zip nor a gzipped tar"),
        (zipped(&[Entry::File("index.html", b"log in")]), "no folder wav/"),
        (
            zipped(&[Entry::File("wav/a.wav", &a)]),
            "1 recordings, and the corpus has 2",
        ),
        (recordings([30, 0]), "wav/b.wav has no sound"),
        (
            zipped(&[Entry::File("wav/a.wav", &a), Entry::File("wav/c.wav", &a)]),
            "names of its recordings",
        ),
        (
            zipped(&[Entry::File("wav/a.wav", &a), Entry::File("wav/b.wav", b"<html>")]),
            "wav/b.wav is no recording",
        ),
        (
            zipped(&[Entry::File("wav/a.wav", &a), Entry::File("wav/b.wav", &a[..60])]),
            "cut short",
        ),
    ];
    for (content, reason) in wrong {
        let right = std::sync::Arc::new(AtomicUsize::new(0));
        let state = right.clone();
        let place = Place::new(move |request| match state.load(Ordering::SeqCst) {
            0 => part(&content, request.from()),
            1 => part(&recordings([30, 40]), request.from()),
            _ => part(&recordings([30, 40])[1..], request.from()),
        });
        let source = unhashed(&place.server.url());
        let error = place.fetch(&source, &[]).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(place.names().is_empty(), "{:?}", place.names());
        right.store(1, Ordering::SeqCst);
        assert_eq!(place.fetch(&source, &[]).unwrap().recorded, ["speech.zip"]);
        assert_eq!(place.names(), [RECORD, "wav"]);
        // From now on the hash counts.
        right.store(2, Ordering::SeqCst);
        fs::remove_dir_all(place.to().join("wav")).unwrap();
        let error = place.fetch(&source, &[]).unwrap_err();
        assert!(matches!(error, FetchError::WrongBytes { .. }), "{error}");
    }
}

#[test]
fn a_hash_that_was_recorded_before_anything_was_unpacked_does_not_count() {
    let place = Place::new(|request| part(&recordings([30, 40]), request.from()));
    fs::create_dir_all(place.to()).unwrap();
    let pinned = r#"{"corpus": "test", "licence": "test licence", "files": {"speech.zip": {"url": "x", "size": 50,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "fetched_unix_s": 1}}}"#;
    fs::write(place.to().join(RECORD), pinned).unwrap();
    place.fetch(&unhashed(&place.server.url()), &[]).unwrap();
    assert_eq!(place.names(), [RECORD, "wav"]);
}

#[test]
fn an_archive_that_would_replace_what_is_emoruns_own_is_refused() {
    for own in [RECORD, ".fetch.lock"] {
        let content = zipped(&[
            Entry::File(&format!("top/{own}"), b"{}"),
            Entry::File("top/README", b"x"),
        ]);
        let served = content.clone();
        let place = Place::new(move |request| part(&served, request.from()));
        let mut source = archives(&place.server.url(), false);
        let How::Archives(files) = &mut source.how else {
            panic!()
        };
        *files = &files[..1];
        let error = place.fetch(&source, &[]).unwrap_err().to_string();
        assert!(error.contains("emorun's own file"), "{error}");
    }
}

const NAMES: [&str; 3] = ["AudioWAV/a.wav", "AudioWAV/b.wav", "AudioWAV/c.wav"];

fn stored(name: &str) -> Vec<u8> {
    format!("the sound of {name}").into_bytes()
}

fn pointers() -> Vec<u8> {
    let texts: Vec<(String, String)> = NAMES
        .iter()
        .map(|name| {
            let content = stored(name);
            let (oid, size) = (sha256(&content), content.len());
            let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
            (format!("repo-1234/{name}"), text)
        })
        .collect();
    let mut entries: Vec<Entry<'_>> = texts
        .iter()
        .map(|(name, text)| Entry::File(name, text.as_bytes()))
        .collect();
    entries.push(Entry::File("repo-1234/table.csv", b"a,b\n"));
    tarred(&entries)
}

fn lfs(url: &str) -> Source {
    let lines: String = NAMES
        .iter()
        .map(|name| format!("{} {} {name}\n", sha256(&stored(name)), stored(name).len()))
        .collect();
    source(How::Lfs(Lfs {
        pointers_url: leak(format!("{url}/archive")),
        files_url: leak(format!("{url}/media/")),
        folder: "AudioWAV/",
        listing_sha256: leak(sha256(lines.as_bytes())),
        files: 3,
        bytes: NAMES.iter().map(|name| stored(name).len() as u64).sum(),
        plain: Box::leak(Box::new([PlainFile {
            path: "table.csv",
            sha256: leak(sha256(b"a,b\n")),
        }])),
    }))
}

fn answer_lfs(request: &Request) -> Reply {
    if request.path == "/archive" {
        return part(&pointers(), request.from());
    }
    let name = request.path.strip_prefix("/media/").unwrap();
    part(&stored(name), request.from())
}

#[test]
fn a_repository_of_stored_files_is_fetched_file_by_file() {
    let place = Place::new(answer_lfs);
    let source = lfs(&place.server.url());
    fs::create_dir_all(place.to().join("AudioWAV")).unwrap();
    fs::write(place.to().join(NAMES[1]), stored(NAMES[1])).unwrap();
    let fetched = place.fetch(&source, &[]).unwrap();
    assert_eq!((fetched.downloaded, fetched.present), (2, 1));
    for name in NAMES {
        assert_eq!(fs::read(place.to().join(name)).unwrap(), stored(name));
    }
    assert_eq!(place.names(), ["AudioWAV", RECORD, "table.csv"]);
    assert_eq!(Record::read(&place.to()).unwrap().files.len(), 3);
    assert_eq!(place.fetch(&source, &[]).unwrap().present, 3);
}

#[test]
fn a_listing_or_a_stored_file_that_is_another_one_is_refused() {
    let place = Place::new(|request| {
        if request.path == "/archive" {
            return part(&tarred(&[Entry::File("repo/AudioWAV/a.wav", b"RIFF")]), request.from());
        }
        answer_lfs(request)
    });
    let error = place.fetch(&lfs(&place.server.url()), &[]).unwrap_err();
    assert!(matches!(error, FetchError::Listing { .. }), "{error}");
    let place = Place::new(|request| {
        let mut reply = answer_lfs(request);
        if request.path.ends_with("b.wav") {
            reply.body[0] = b'X';
        }
        reply
    });
    let error = place.fetch(&lfs(&place.server.url()), &[]).unwrap_err();
    assert!(
        matches!(&error, FetchError::WrongBytes { url, .. } if url.ends_with("b.wav")),
        "{error}"
    );
    assert!(!place.to().join(NAMES[1]).exists());
}

/// A repository of which the folder `data` is wanted; the blobs are what `git hash-object` says.
fn repository(url: &str) -> Source {
    let listing =
        "9c59e24b8393179a5d712de4f990178df5734d99 a/one.txt\ne019be006cf33489e2d0177a3837a2384eddebc5 two.txt\n";
    source(How::Repository(Repository {
        url: leak(format!("{url}/archive")),
        folder: "data",
        files: 2,
        listing_sha256: leak(sha256(listing.as_bytes())),
    }))
}

fn answer_repository(two: &'static [u8]) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| {
        let archive = tarred(&[
            Entry::File("EmoBox-1/README.md", b"no part of it"),
            Entry::File("EmoBox-1/data/a/one.txt", b"first\n"),
            Entry::File("EmoBox-1/data/two.txt", two),
        ]);
        part(&archive, request.from())
    }
}

#[test]
fn one_folder_of_a_repository_is_kept_when_it_is_the_reviewed_one() {
    let place = Place::new(answer_repository(b"second\n"));
    let source = repository(&place.server.url());
    let fetched = place.fetch(&source, &[]).unwrap();
    assert_eq!((fetched.downloaded, fetched.present), (1, 0));
    assert_eq!(
        (place.read("a/one.txt").as_str(), place.read("two.txt").as_str()),
        ("first\n", "second\n")
    );
    assert!(
        !place
            .names()
            .iter()
            .any(|name| name.contains("README") || name.contains("repository"))
    );
    assert_eq!(place.fetch(&source, &[]).unwrap().present, 1);
    assert_eq!(place.server.requests().len(), 1);

    let place = Place::new(answer_repository(b"another\n"));
    let error = place
        .fetch(&repository(&place.server.url()), &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("2 files were reviewed, and it has 2, or others"),
        "{error}"
    );
    assert!(
        !place
            .names()
            .iter()
            .any(|name| name.contains("txt") || name.contains("repository")),
        "{:?}",
        place.names()
    );
}
