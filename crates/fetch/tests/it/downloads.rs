//! One file, over connections that break off, lie and change their mind.

use crate::server::{Reply, Request, Server, part, sha256};
use crate::{client, noise, waiting_client};
use emorun_fetch::{Client, Download, DownloadProgress, FetchError, Hash, Received, download};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const LENGTH: usize = 1000;

fn bytes() -> Vec<u8> {
    noise(LENGTH)
}

/// What a good server answers for a version of the file.
fn good(request: &Request, content: &[u8], tag: &str) -> Reply {
    let quoted = format!("\"{tag}\"");
    let same = request.headers.get("if-range").is_none_or(|asked| *asked == quoted);
    let mut reply = part(content, if same { request.from() } else { 0 });
    reply.headers.push(("etag", quoted));
    reply
}

struct Place {
    server: Server,
    folder: TempDir,
}

impl Place {
    fn new(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let count = AtomicUsize::new(0);
        Self {
            server: Server::start(move |request| answer(count.fetch_add(1, Ordering::SeqCst), request)),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn aside(&self) -> PathBuf {
        self.folder.path().join(".file.part")
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    fn get(&self, size: Option<u64>, promised: &[(Hash, String)]) -> Result<Received, FetchError> {
        self.get_by(&client(), size, promised)
    }

    fn get_by(&self, client: &Client, size: Option<u64>, promised: &[(Hash, String)]) -> Result<Received, FetchError> {
        let url = format!("{}/file", self.server.url());
        let wanted = Download {
            url: &url,
            name: "file",
            to: &self.to(),
            aside: &self.aside(),
            size,
            promised,
            validate: true,
        };
        download(client, &wanted, &mut |_| ())
    }

    fn starts(&self) -> Vec<usize> {
        self.server.requests().iter().map(Request::from).collect()
    }

    fn assert_whole(&self, received: Result<Received, FetchError>) {
        let received = received.unwrap();
        assert_eq!(received.size, LENGTH as u64);
        assert_eq!(received.sha256, sha256(&bytes()));
        assert_eq!(fs::read(self.to()).unwrap(), bytes());
        let left: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["file"]);
    }
}

/// A reply that promises all of its body and sends only the first bytes.
fn cut(reply: Reply, sent: usize) -> Reply {
    let length = Some(reply.body.len());
    let body = reply.body[..reply.body.len().min(sent)].to_vec();
    Reply { length, body, ..reply }
}

fn sha() -> [(Hash, String); 1] {
    [(Hash::Sha256(sha256(&bytes())), "the test".to_owned())]
}

#[test]
fn a_connection_that_breaks_off_is_taken_up_where_it_broke() {
    let place = Place::new(|_, request| cut(good(request, &bytes(), "one"), 300));
    place.assert_whole(place.get(None, &[]));
    assert_eq!(place.starts(), [0, 300, 600, 900]);
    let requests = place.server.requests();
    assert!(
        requests[1..]
            .iter()
            .all(|request| request.headers["if-range"] == "\"one\"")
    );
}

#[test]
fn bytes_of_an_earlier_run_are_gone_on_from_if_the_file_is_the_same() {
    for tag in ["one", "two"] {
        let healthy = Arc::new(AtomicUsize::new(0));
        let state = healthy.clone();
        let place = Place::new(move |number, request| match state.load(Ordering::SeqCst) {
            0 if number == 0 => cut(good(request, &noise(1200)[200..], "one"), 400),
            0 => Reply::new(503, &[]),
            _ => good(request, &bytes(), tag),
        });
        let broken = place.get(None, &[]).unwrap_err();
        assert!(
            matches!(
                broken,
                FetchError::Interrupted {
                    received: 400,
                    total: Some(1000),
                    ..
                }
            ),
            "{broken}"
        );
        assert!(broken.to_string().contains("go on from there"));
        assert!(!place.to().exists());
        // What came in the first run is of another file when the tag differs.
        if tag == "one" {
            fs::write(place.aside(), &bytes()[..400]).unwrap();
        }
        let before = place.starts().len();
        healthy.store(1, Ordering::SeqCst);
        place.assert_whole(place.get(None, &[]));
        assert_eq!(place.starts()[before..], [400]);
    }
}

#[test]
fn a_server_that_ignores_the_condition_is_found_out_by_its_tag_or_total() {
    for headers in [
        vec![
            ("etag", "\"other\"".to_owned()),
            ("content-range", "bytes 400-999/1000".to_owned()),
        ],
        vec![("content-range", "bytes 400-1499/1500".to_owned())],
        vec![("content-range", "bytes 0-999/1000".to_owned())],
        vec![("content-range", "nonsense".to_owned())],
        vec![],
    ] {
        let place = Place::new(move |number, request| match number {
            0 => cut(good(request, &noise(1200)[200..], "one"), 400),
            _ if request.from() > 0 => Reply {
                status: 206,
                headers: headers.clone(),
                body: bytes()[400..].to_vec(),
                length: None,
            },
            _ => good(request, &bytes(), "other"),
        });
        place.assert_whole(place.get(None, &[]));
    }
}

#[test]
fn bytes_whose_version_is_unknown_are_not_added_to() {
    let place = Place::new(|_, request| good(request, &bytes(), "one"));
    fs::write(place.aside(), &noise(1200)[200..600]).unwrap();
    place.assert_whole(place.get(None, &[]));
    assert_eq!(place.starts(), [0]);
}

#[test]
fn a_server_without_ranges_starts_anew_each_time() {
    let place = Place::new(|number, _| {
        let whole = Reply {
            body: bytes(),
            ..Reply::new(200, &[])
        };
        if number < 2 {
            cut(whole, 300 + 100 * number)
        } else {
            whole
        }
    });
    place.assert_whole(place.get(Some(LENGTH as u64), &sha()));
    let place = Place::new(|_, _| {
        cut(
            Reply {
                body: bytes(),
                ..Reply::new(200, &[])
            },
            300,
        )
    });
    let error = place.get(Some(LENGTH as u64), &sha()).unwrap_err();
    assert!(
        matches!(error, FetchError::Interrupted { received: 300, .. }),
        "{error}"
    );
}

#[test]
fn a_length_that_is_not_the_promised_one_is_refused() {
    for size in [1, 999] {
        let place = Place::new(|_, request| good(request, &bytes(), "one"));
        let error = place.get(Some(size), &[]).unwrap_err();
        assert!(
            matches!(
                error,
                FetchError::WrongBytes {
                    what: "length in bytes",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!place.to().exists() && !place.aside().exists());
    }
    for size in [1001, u64::MAX] {
        let place = Place::new(|_, request| good(request, &bytes(), "one"));
        let error = place.get(Some(size), &[]).unwrap_err();
        assert!(matches!(error, FetchError::Interrupted { .. }), "{error}");
        assert!(!place.to().exists());
    }
    // More bytes than the server itself said: HTTP ends the file at what was said.
    let place = Place::new(|_, _| Reply {
        body: noise(1200),
        length: Some(LENGTH),
        ..Reply::new(200, &[])
    });
    place.assert_whole(place.get(None, &[]));
}

#[test]
fn wrong_bytes_are_downloaded_twice_and_then_refused_with_who_says_so() {
    for (hash, what) in [
        (Hash::Sha256(sha256(b"other")), "SHA-256"),
        (Hash::Md5("bc696df654c87fed845eb13823edef8a".to_owned()), "MD5"),
    ] {
        let place = Place::new(|_, request| good(request, &bytes(), "one"));
        let promised = [sha()[0].clone(), (hash.clone(), "the publisher".to_owned())];
        let error = place.get(None, &promised).unwrap_err().to_string();
        for part in [what, hash.digits(), "the publisher", "/file"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(place.starts(), [0, 0]);
        assert!(!place.to().exists() && !place.aside().exists());
    }
    let place = Place::new(|number, request| {
        let mut reply = good(request, &bytes(), "one");
        reply.body[10] ^= u8::from(number == 0);
        reply
    });
    place.assert_whole(place.get(None, &sha()));
}

#[test]
fn redirects_are_followed_and_a_circle_of_them_ends() {
    let place = Place::new(|_, request| match request.path.as_str() {
        "/file" => Reply::new(302, &[("location", "/deep/elsewhere?x=1")]),
        "/deep/elsewhere?x=1" => Reply::new(307, &[("location", "../last")]),
        "/last" => cut(good(request, &bytes(), "one"), 600),
        path => panic!("{path}"),
    });
    place.assert_whole(place.get(None, &sha()));
    let place = Place::new(|_, request| Reply::new(301, &[("location", &request.path)]));
    let error = place.get(None, &[]).unwrap_err().to_string();
    assert!(error.contains("redirects in a row"), "{error}");
}

#[test]
fn what_the_server_refuses_is_said() {
    for status in [403, 404, 500] {
        let place = Place::new(move |_, _| Reply::new(status, &[]));
        let error = place.get(None, &[]).unwrap_err().to_string();
        assert!(error.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn a_file_without_bytes_is_a_file() {
    let place = Place::new(|_, _| Reply::new(200, &[]));
    assert_eq!(place.get(None, &[]).unwrap().size, 0);
    assert_eq!(fs::read(place.to()).unwrap(), b"");
}

#[test]
fn progress_ends_at_the_whole_file() {
    let place = Place::new(|_, request| cut(good(request, &bytes(), "one"), 700));
    let url = format!("{}/file", place.server.url());
    let wanted = Download {
        url: &url,
        name: "file",
        to: &place.to(),
        aside: &place.aside(),
        size: None,
        promised: &[],
        validate: true,
    };
    let mut last = None;
    download(&client(), &wanted, &mut |progress| {
        if let DownloadProgress::Received { bytes, total, .. } = progress {
            last = Some((bytes, total));
        }
    })
    .unwrap();
    assert_eq!(last, Some((1000, Some(1000))));
}

#[test]
fn a_busy_server_is_waited_for_as_long_as_it_asks() {
    // 1970-01-01 00:00:20, so that the date below is 100 s later.
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(20);
    let (client, waits) = waiting_client(now);
    let place = Place::new(|number, request| match number {
        0 => Reply::new(429, &[("retry-after", "120")]),
        1 => cut(good(request, &bytes(), "one"), 300),
        2 => Reply::new(503, &[("retry-after", "Thu, 01 Jan 1970 00:02:00 GMT")]),
        3 => Reply::new(503, &[]),
        _ => good(request, &bytes(), "one"),
    });
    place.assert_whole(place.get_by(&client, Some(LENGTH as u64), &sha()));
    let seconds: Vec<u64> = waits.lock().unwrap().iter().map(std::time::Duration::as_secs).collect();
    // Bytes that came in between make the waits begin anew.
    assert_eq!(seconds, [120, 100, 2]);
    assert_eq!(place.starts(), [0, 0, 300, 300, 300]);
}

#[test]
fn a_server_that_stays_busy_is_given_up_after_minutes_and_one_that_asks_for_an_hour_at_once() {
    let (client, waits) = waiting_client(std::time::UNIX_EPOCH);
    let place = Place::new(|_, _| Reply::new(503, &[]));
    let error = place.get_by(&client, None, &[]).unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("run the same command again"),
        "{error}"
    );
    let waited: std::time::Duration = waits.lock().unwrap().iter().sum();
    assert!((180..=600).contains(&waited.as_secs()), "{waited:?}");
    let (client, waits) = waiting_client(std::time::UNIX_EPOCH);
    let place = Place::new(|_, _| Reply::new(429, &[("retry-after", "3600")]));
    let error = place.get_by(&client, None, &[]).unwrap_err().to_string();
    assert!(error.contains("left alone for 3600 s"), "{error}");
    assert!(waits.lock().unwrap().is_empty());
}

#[test]
fn a_redirect_to_what_is_no_web_address_is_refused_at_once() {
    let place = Place::new(|_, _| Reply::new(302, &[("location", "file:///etc/passwd")]));
    let error = place.get(None, &[]).unwrap_err();
    assert!(matches!(error, FetchError::Refused { .. }), "{error}");
    assert_eq!(place.server.requests().len(), 1);
}
