//! Repositories of a Hub, with a server that does what servers and networks do.

use crate::repository::{COMMIT, Repository, git};
use crate::server::{Reply, Request, Server, part, sha256};
use crate::{golden, settings};
use emorun_weights::{Checkpoint, DownloadProgress, HubSettings, Located, WeightsError, WeightsSource, locate};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub const ID: &str = "facebook/hubert-tiny";
pub const TENSORS: &str = "model.safetensors";

pub fn tensors() -> Vec<u8> {
    fs::read(golden("mixed.safetensors")).unwrap()
}

pub fn repository() -> Repository {
    Repository {
        id: ID,
        small: [
            ("config.json", b"{\"model_type\": \"hubert\"}".to_vec()),
            ("preprocessor_config.json", b"{\"do_normalize\": true}".to_vec()),
        ]
        .into(),
        large: [(TENSORS, tensors())].into(),
    }
}

/// A server and an empty cache.
pub struct Place {
    pub server: Server,
    pub cache: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self::with(|_, _| None)
    }

    /// A Hub of which some requests, numbered from 0, are answered otherwise.
    pub fn with(otherwise: impl Fn(usize, &Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::of(repository(), otherwise)
    }

    pub fn of(
        repository: Repository,
        otherwise: impl Fn(usize, &Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let count = AtomicUsize::new(0);
        let server = Server::start(move |request| {
            otherwise(count.fetch_add(1, Ordering::SeqCst), request).unwrap_or_else(|| repository.answer(request))
        });
        Self {
            server,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    pub fn settings(&self) -> HubSettings {
        settings(self.cache.path(), &self.server.url())
    }

    pub fn locate(&self, text: &str) -> Result<Located, WeightsError> {
        find(text, &self.settings())
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.cache.path().join("models--facebook--hubert-tiny").join(below)
    }

    pub fn blob(&self) -> PathBuf {
        self.path("blobs").join(sha256(&tensors()))
    }
}

pub fn find(text: &str, settings: &HubSettings) -> Result<Located, WeightsError> {
    locate(&WeightsSource::parse(text).unwrap(), settings, &mut |_| ()).map(Option::unwrap)
}

pub fn assert_complete(located: &Located) {
    let checkpoint = Checkpoint::open(located).unwrap();
    assert_eq!(checkpoint.config()["model_type"], "hubert");
    assert_eq!(checkpoint.preprocessor().unwrap()["do_normalize"], true);
    assert_eq!(fs::read(&located.tensors[0]).unwrap(), tensors());
    checkpoint.content(None).unwrap();
    assert_eq!(located.revision.as_deref(), Some(COMMIT));
}

#[test]
fn a_repository_is_downloaded_into_the_layout_that_python_reads() {
    let place = Place::new();
    let located = place.locate(ID).unwrap();
    assert_complete(&located);
    assert_eq!(fs::read_to_string(place.path("refs/main")).unwrap(), COMMIT);
    let pointer = place.path("snapshots").join(COMMIT).join(TENSORS);
    assert_eq!(located.tensors, std::slice::from_ref(&pointer));
    assert_eq!(
        fs::read_link(pointer).unwrap(),
        Path::new("../../blobs").join(sha256(&tensors()))
    );
    let config = repository().small["config.json"].clone();
    assert_eq!(fs::read(place.path("blobs").join(git(&config))).unwrap(), config);
    let left: Vec<_> = fs::read_dir(place.path("blobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn what_is_in_the_cache_needs_no_server() {
    let place = Place::new();
    let first = place.locate(ID).unwrap();
    let asked = place.server.requests().len();
    assert_eq!(place.locate(ID).unwrap(), first);
    assert_eq!(place.server.requests().len(), asked);
    let nowhere = settings(place.cache.path(), "http://127.0.0.1:1");
    for text in [ID.to_owned(), format!("{ID}@main"), format!("{ID}@{COMMIT}")] {
        for offline in [true, false] {
            let located = find(
                &text,
                &HubSettings {
                    offline,
                    ..nowhere.clone()
                },
            )
            .unwrap();
            assert_eq!(located, first, "{text}");
        }
    }
}

#[test]
fn a_cache_filled_by_hand_without_the_preprocessor_says_so() {
    let place = Place::new();
    place.locate(ID).unwrap();
    fs::remove_file(place.path("snapshots").join(COMMIT).join("preprocessor_config.json")).unwrap();
    let offline = HubSettings {
        offline: true,
        ..place.settings()
    };
    let located = find(ID, &offline).unwrap();
    assert_eq!(located.preprocessor, None);
    assert!(
        located.notes[0].contains("preprocessor_config.json of `facebook/hubert-tiny`"),
        "{:?}",
        located.notes
    );
    assert_complete(&place.locate(ID).unwrap());
}

#[test]
fn a_file_that_the_repository_lacks_is_asked_for_once() {
    let mut repository = repository();
    repository.small.remove("preprocessor_config.json");
    let bytes = repository.large.remove(TENSORS).unwrap();
    repository.large.insert("pytorch_model.bin", bytes);
    let place = Place::of(repository, |_, _| None);
    let located = place.locate(ID).unwrap();
    assert!(located.tensors[0].ends_with("pytorch_model.bin"));
    assert_eq!(located.preprocessor, None);
    let asked = place.server.requests().len();
    assert_eq!(place.locate(ID).unwrap(), located);
    assert_eq!(place.server.requests().len(), asked);
    assert!(
        place
            .path(".no_exist")
            .join(COMMIT)
            .join("preprocessor_config.json")
            .is_file()
    );
}

#[test]
fn shards_are_downloaded_by_their_index() {
    let mut repository = repository();
    repository.large.clear();
    let read = |name: &str| fs::read(golden("sharded").join(name)).unwrap();
    repository
        .small
        .insert("model.safetensors.index.json", read("model.safetensors.index.json"));
    for name in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        repository.large.insert(name, read(name));
    }
    let place = Place::of(repository, |_, _| None);
    let located = place.locate(ID).unwrap();
    assert_eq!(Checkpoint::open(&located).unwrap().names().count(), 4);
    assert!(located.index.is_some());
    let offline = HubSettings {
        offline: true,
        ..place.settings()
    };
    assert_eq!(find(ID, &offline).unwrap(), located);
}

#[test]
fn a_connection_that_breaks_off_is_taken_up_where_it_broke() {
    let place = Place::with(|_, request| {
        let from = request.from();
        let whole = request.path.starts_with("/store/").then(|| part(&tensors(), from))?;
        let (length, some) = (whole.body.len(), whole.body.len().min(100));
        Some(Reply {
            length: Some(length),
            body: whole.body[..some].to_vec(),
            ..whole
        })
    });
    assert_complete(&place.locate(ID).unwrap());
    let starts: Vec<usize> = place
        .server
        .gets(&format!("store/{TENSORS}"))
        .iter()
        .map(Request::from)
        .collect();
    assert_eq!(starts, [0, 100, 200, 300, 400]);
}

#[test]
fn bytes_of_an_earlier_run_are_kept() {
    let place = Place::new();
    fs::create_dir_all(place.path("blobs")).unwrap();
    fs::write(place.blob().with_extension("incomplete"), &tensors()[..150]).unwrap();
    assert_complete(&place.locate(ID).unwrap());
    assert_eq!(place.server.gets("store/model.safetensors")[0].from(), 150);
    assert!(!place.blob().with_extension("incomplete").exists());
}

#[test]
fn wrong_or_too_many_bytes_of_an_earlier_run_are_thrown_away() {
    for left in [vec![7; 150], vec![7; tensors().len()], vec![7; 5000]] {
        let place = Place::new();
        fs::create_dir_all(place.path("blobs")).unwrap();
        fs::write(place.blob().with_extension("incomplete"), &left).unwrap();
        assert_complete(&place.locate(ID).unwrap());
    }
}

#[test]
fn a_server_that_does_not_know_ranges_starts_anew() {
    for status in [200, 206, 416] {
        let place = Place::with(move |_, request| {
            let asked = request.path.starts_with("/store/") && request.from() > 0;
            asked.then(|| Reply {
                status,
                ..part(&tensors(), 0)
            })
        });
        fs::create_dir_all(place.path("blobs")).unwrap();
        fs::write(place.blob().with_extension("incomplete"), &tensors()[..150]).unwrap();
        assert_complete(&place.locate(ID).unwrap());
    }
}

#[test]
fn a_download_that_never_ends_is_given_up_and_can_go_on() {
    let healed = Arc::new(AtomicUsize::new(0));
    let ill = healed.clone();
    let place = Place::with(move |_, request| {
        let sick = ill.load(Ordering::SeqCst) == 0 && request.path.starts_with("/store/");
        let sent = if request.from() == 0 {
            tensors()[..100].to_vec()
        } else {
            Vec::new()
        };
        let range = format!("bytes {}-423/424", request.from());
        let whole = Reply::new(
            if request.from() == 0 { 200 } else { 206 },
            &[("content-range", &range)],
        );
        sick.then(|| Reply {
            body: sent,
            length: Some(424 - request.from()),
            ..whole
        })
    });
    match place.locate(ID) {
        Err(
            error @ WeightsError::Interrupted {
                received: 100,
                total: 424,
                ..
            },
        ) => {
            let text = error.to_string();
            assert!(
                text.contains("model.safetensors of `facebook/hubert-tiny`") && text.contains("go on"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    healed.store(1, Ordering::SeqCst);
    assert_complete(&place.locate(ID).unwrap());
    assert_eq!(place.server.gets("store/model.safetensors").last().unwrap().from(), 100);
}

#[test]
fn wrong_bytes_are_downloaded_twice_and_then_refused() {
    let flipped = |file: &'static str| {
        move |_: usize, request: &Request| {
            let mut reply = repository().answer(request);
            (request.method == "GET" && request.path.ends_with(file) && !reply.body.is_empty()).then(|| {
                reply.body[10] ^= 1;
                reply
            })
        }
    };
    for (file, what) in [("config.json", "Git SHA-1"), ("store/model.safetensors", "SHA-256")] {
        let place = Place::with(flipped(file));
        match place.locate(ID) {
            Err(error @ WeightsError::WrongBytes { .. }) => assert!(error.to_string().contains(what), "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(place.server.gets(file).len(), 2);
        let pointer = place
            .path("snapshots")
            .join(COMMIT)
            .join(Path::new(file).file_name().unwrap());
        assert!(!pointer.exists());
        let kept = fs::read_dir(place.path("blobs")).unwrap().filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|extension| extension == "incomplete")
        });
        assert_eq!(kept.count(), 0);
    }
}

#[test]
fn one_wrong_download_is_repaired() {
    let spoiled = AtomicUsize::new(0);
    let place = Place::with(move |_, request| {
        let first = request.path.starts_with("/store/") && spoiled.fetch_add(1, Ordering::SeqCst) == 0;
        first.then(|| Reply {
            body: vec![0; 424],
            ..Reply::new(200, &[])
        })
    });
    assert_complete(&place.locate(ID).unwrap());
}

#[test]
fn a_server_that_lies_about_the_length_is_found_out() {
    let lying = |size: usize| {
        move |_: usize, request: &Request| {
            let mut reply = repository().answer(request);
            let size = size.to_string();
            reply
                .headers
                .iter_mut()
                .find(|(name, _)| *name == "x-linked-size")
                .map(|(_, value)| *value = size)?;
            Some(reply)
        }
    };
    for (size, expected) in [(100, "length in bytes"), (423, "length in bytes")] {
        match Place::with(lying(size)).locate(ID) {
            Err(WeightsError::WrongBytes { what, .. }) => assert_eq!(what, expected),
            other => panic!("{size}: {other:?}"),
        }
    }
    for size in [425, usize::MAX] {
        let place = Place::with(lying(size));
        assert!(
            matches!(
                place.locate(ID),
                Err(WeightsError::Interrupted { received: 0 | 424, .. })
            ),
            "{size}"
        );
    }
}

#[test]
fn redirects_are_followed_and_the_token_stays_at_the_hub() {
    let store = Server::start(|request| part(&tensors(), request.from()));
    let elsewhere = store.url();
    let place = Place::with(move |_, request| {
        let moved = request.path.strip_prefix("/facebook/hubert-tiny/");
        let Some(rest) = moved else {
            let path = request.path.strip_prefix("/renamed/hubert/")?;
            let request = Request {
                path: format!("/facebook/hubert-tiny/{path}"),
                ..request.clone()
            };
            let mut reply = repository().answer(&request);
            let store = format!("{elsewhere}/blob");
            reply
                .headers
                .iter_mut()
                .filter(|(name, _)| *name == "location")
                .for_each(|(_, to)| *to = store.clone());
            return Some(reply);
        };
        let to = if rest.contains("config") {
            format!("/renamed/hubert/{rest}")
        } else {
            format!("../../../../renamed/hubert/{rest}")
        };
        Some(Reply::new(307, &[("location", &to)]))
    });
    let with_token = HubSettings {
        token: Some("hf_secret".to_owned()),
        ..place.settings()
    };
    assert_complete(&find(ID, &with_token).unwrap());
    assert!(
        place
            .server
            .requests()
            .iter()
            .all(|request| request.headers["authorization"] == "Bearer hf_secret")
    );
    assert!(!store.requests().is_empty());
    assert!(
        store
            .requests()
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );
}

#[test]
fn a_circle_of_redirects_ends() {
    let place = Place::with(|_, request| Some(Reply::new(302, &[("location", &request.path)])));
    let error = place.locate(ID).unwrap_err();
    assert!(
        matches!(error, WeightsError::NoHub { .. }) && error.to_string().contains("redirects"),
        "{error}"
    );
}

#[test]
fn a_pinned_pull_request_is_one_revision() {
    let place = Place::new();
    assert_complete(&place.locate(&format!("{ID}@refs/pr/1")).unwrap());
    assert_eq!(fs::read_to_string(place.path("refs/refs/pr/1")).unwrap(), COMMIT);
}

#[test]
fn a_blob_that_was_changed_is_found_when_its_content_is_hashed() {
    let place = Place::new();
    let located = place.locate(ID).unwrap();
    let mut bytes = tensors();
    bytes[423] ^= 1;
    fs::write(place.blob(), &bytes).unwrap();
    match Checkpoint::open(&located).unwrap().content(None) {
        Err(error @ WeightsError::Hash { .. }) => assert!(error.to_string().contains("delete it"), "{error}"),
        other => panic!("{other:?}"),
    }
    fs::remove_file(place.blob()).unwrap();
    assert_complete(&place.locate(ID).unwrap());
    fs::write(
        place.path("blobs").join(git(&repository().small["config.json"])),
        "{\"model_type\": \"wavlm\"}",
    )
    .unwrap();
    let config = Checkpoint::open(&located).unwrap().content(None);
    assert!(matches!(config, Err(WeightsError::Hash { .. })), "{config:?}");
}

#[test]
fn two_that_fill_the_cache_at_once_download_once() {
    let place = Place::with(|_, request| {
        if request.path.starts_with("/store/") {
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        None
    });
    let waited = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let source = WeightsSource::parse(ID).unwrap();
                let located = locate(&source, &place.settings(), &mut |progress| {
                    if let DownloadProgress::Waiting { file } = progress {
                        waited.lock().unwrap().push(file.to_owned());
                    }
                });
                assert_complete(&located.unwrap().unwrap());
            });
        }
    });
    assert_eq!(place.server.gets("store/model.safetensors").len(), 1);
    assert!(waited.lock().unwrap().iter().any(|file| file == TENSORS));
}

#[test]
fn progress_ends_at_the_whole_file() {
    let place = Place::new();
    let mut last = None;
    let source = WeightsSource::parse(ID).unwrap();
    locate(&source, &place.settings(), &mut |progress| {
        if let DownloadProgress::Received {
            file: TENSORS,
            bytes,
            total,
        } = progress
        {
            last = Some((bytes, total));
        }
    })
    .unwrap();
    assert_eq!(last, Some((424, Some(424))));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_with_the_file() {
    let place = Place::new();
    fs::create_dir_all(place.path("blobs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", place.blob().with_extension("incomplete")).unwrap();
    let error = place.locate(ID).unwrap_err();
    assert!(matches!(error, WeightsError::DiskFull { .. }), "{error}");
    assert_eq!(error.exit_code(), 7);
    assert!(error.to_string().contains("HF_HUB_CACHE"), "{error}");
}
