//! The page's server, driven as a browser does, and as others might try to.

use crate::{Place, text};
use emorun_prepare::annotate::{Server, open};
use emorun_prepare::{PrepareError, integrate};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A server at work.
pub struct Running {
    host: String,
    token: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Running {
    fn new(server: Server) -> Self {
        let url = server.url();
        let rest = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        let (host, token) = rest.split_once('/').unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        Self {
            host: host.to_owned(),
            token: token.to_owned(),
            stop,
            thread: Some(std::thread::spawn(move || server.serve(&stopped).unwrap())),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.host, self.token)
    }

    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn get(&self, path: &str, more: &str) -> Answer {
        self.raw(&format!(
            "GET /{}/{path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n",
            self.token, self.host
        ))
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let (host, body) = (&self.host, body.to_string());
        self.raw(&format!(
            "POST /{}/{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        ))
    }

    fn decide(&self, clip: usize, label: Option<usize>) -> Value {
        self.post("decide", &json!({ "clip": clip, "label": label })).json()
    }

    pub fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Three clips (happy, sad, anxious), preprocessed.
pub fn prepared() -> Place {
    let place = Place::new();
    place.four();
    place.preprocess(&place.preparation(""));
    place
}

pub fn serve(place: &Place, annotator: &str) -> Running {
    serve_as(place, annotator, false)
}

fn serve_as(place: &Place, annotator: &str, blind: bool) -> Running {
    let preparation = place.preparation("");
    let plan = emorun_prepare::plan(&preparation).unwrap();
    Running::new(open(&preparation, &plan, annotator, 0, blind).unwrap())
}

#[test]
fn clips_are_confirmed_corrected_and_undone_and_every_decision_is_on_disk_before_the_next_clip() {
    let place = prepared();
    let file = place.path("out/annotations/ada.jsonl");
    let lines = || text(&file).lines().count();
    let page = serve(&place, "ada");
    let state = page.get("state", "").json();
    assert_eq!((&state["clips"], &state["decided"]), (&json!(3), &json!(0)));
    assert_eq!(state["labels"], json!(["happy", "sad", "angry", "anxious"]));
    let current = &state["current"];
    assert_eq!((&current["key"], &current["proposed"]), (&json!("d/a.wav"), &json!(0)));
    assert_eq!(page.decide(0, Some(0))["current"]["clip"], 1);
    assert_eq!(lines(), 1);
    assert_eq!(page.decide(1, Some(2))["current"]["clip"], 2);
    assert_eq!(page.post("undo", &json!({})).json()["current"]["clip"], 1);
    assert_eq!(lines(), 3);
    assert_eq!(page.decide(1, None)["current"]["clip"], 2);
    page.end();
    // Another day.
    let page = serve(&place, "ada");
    assert_eq!(page.get("state", "").json()["decided"], 2);
    let last = page.decide(2, Some(1));
    assert_eq!((&last["current"], &last["decided"]), (&Value::Null, &json!(3)));
    page.end();
    let preparation = place.preparation("");
    let plan = emorun_prepare::plan(&preparation).unwrap();
    let report = integrate(&preparation, &plan).unwrap().report;
    assert_eq!((report.kept, report.relabelled), (2, 1));
    let manifest = text(&place.path("out/manifest.csv"));
    assert!(manifest.contains("d/c.wav,audio/d/c.wav,s0,sad,1,"), "{manifest}");
    assert!(text(&place.path("out/rejected.csv")).contains("unusable"));
}

#[test]
fn two_annotators_give_their_agreement_and_what_they_dispute_is_left_out() {
    let place = prepared();
    let page = serve_as(&place, "ada", true);
    for (clip, label) in [(0, 0), (1, 1), (2, 1)] {
        page.decide(clip, Some(label));
    }
    page.end();
    let page = serve_as(&place, "bob", true);
    for (clip, label) in [(0, 0), (1, 1)] {
        page.decide(clip, Some(label));
    }
    let pair = page.decide(2, Some(3))["agreement"][0].clone();
    assert_eq!((&pair["clips"], &pair["same"]), (&json!(3), &json!(2)));
    // scikit-learn: cohen_kappa_score([0, 1, 1], [0, 1, 3]) = 0.5
    assert!((pair["kappa"].as_f64().unwrap() - 0.5).abs() < 1e-12, "{pair}");
    page.end();
    for (more, kept) in [("", 2), ("disagreement: corpus\n", 3)] {
        let preparation = place.preparation(more);
        let plan = emorun_prepare::plan(&preparation).unwrap();
        let report = integrate(&preparation, &plan).unwrap().report;
        assert_eq!((report.kept, report.agreement.len()), (kept, 1));
        assert!(report.to_text().contains("ada and bob"));
    }
}

#[test]
fn a_blind_page_tells_nothing_of_the_corpus_label() {
    let place = prepared();
    let page = serve_as(&place, "ada", true);
    for clip in 0..3 {
        let state = page.get("state", "");
        let text = String::from_utf8(state.body.clone()).unwrap();
        for telling in ["proposed", "corpus_emotion", "key", "d/a", "d/b", "d/c"] {
            assert!(!text.contains(telling), "{telling}: {text}");
        }
        assert_eq!(state.json()["blind"], true);
        page.decide(clip, Some(0));
    }
    page.end();
    let lines = text(&place.path("out/annotations/ada.jsonl"));
    assert_eq!(lines.matches("\"blind\":true").count(), 3, "{lines}");
    // In the order of their hashes, not of the table.
    let mut keys = ["d/a.wav", "d/b.wav", "d/c.wav"];
    keys.sort_by_key(|key| *blake3::hash(key.as_bytes()).as_bytes());
    let places: Vec<usize> = keys.iter().map(|key| lines.find(key).unwrap()).collect();
    assert!(places.is_sorted(), "{lines}");
    // Whoever saw the labels agrees with nobody.
    let page = serve(&place, "bob");
    assert_eq!(page.get("state", "").json()["current"]["corpus_emotion"], "happy");
    let pair = page.decide(0, Some(0))["agreement"][0].clone();
    assert_eq!(
        (&pair["clips"], &pair["in_view"], &pair["kappa"]),
        (&json!(0), &json!(1), &Value::Null)
    );
    page.end();
}

#[test]
fn connections_that_say_nothing_keep_nobody_waiting() {
    let place = prepared();
    let page = serve(&place, "ada");
    let silent: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(&page.host).unwrap()).collect();
    let begun = std::time::Instant::now();
    assert_eq!(page.get("state", "").json()["clips"], 3);
    // Each may be silent for ten seconds.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    drop(silent);
    page.end();
}

#[test]
fn a_clip_is_heard_and_seen() {
    let place = prepared();
    let page = serve(&place, "ada");
    let page_itself = page.get("", "");
    let html = String::from_utf8(page_itself.body.clone()).unwrap();
    assert!(
        page_itself
            .head
            .contains("content-security-policy: default-src 'none'; script-src 'nonce-")
    );
    assert!(html.contains("<audio") && !html.contains("NONCE") && !html.contains("http://"));
    let whole = page.get("clips/0/audio.wav", "");
    assert_eq!(&whole.body[..4], b"RIFF");
    let part = page.get("clips/0/audio.wav", "Range: bytes=4-11\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[4..12]));
    assert_eq!(page.get("clips/0/audio.wav", "Range: bytes=99999999-\r\n").status, 416);
    let outline = page.get("clips/1/outline.json", "").json();
    assert!(outline.as_array().unwrap().len() > 500);
    assert_eq!(&page.get("clips/2/spectrogram.png", "").body[1..4], b"PNG");
    for wrong in [
        "clips/3/audio.wav",
        "clips/-1/audio.wav",
        "clips/0/../../x",
        "clips/0/x",
        "x",
        "clips",
    ] {
        assert_eq!(page.get(wrong, "").status, 404, "{wrong}");
    }
    page.end();
}

#[test]
fn decisions_on_another_clip_or_label_are_refused_and_not_written() {
    let place = prepared();
    let page = serve(&place, "ada");
    for (body, status) in [
        (json!({ "clip": 1, "label": 0 }), 409),
        (json!({ "clip": 99, "label": 0 }), 409),
        (json!({ "clip": 0, "label": 4 }), 400),
        (json!({ "clip": 0 , "label": "happy" }), 400),
        (json!({ "clip": 0, "label": 0, "more": 1 }), 400),
        (json!({ "clip": 0 }), 400),
        (json!({ "label": null }), 400),
        (json!([]), 400),
    ] {
        assert_eq!(page.post("decide", &body).status, status, "{body}");
    }
    assert_eq!(page.post("undo", &json!({})).json()["decided"], 0);
    assert_eq!(text(&place.path("out/annotations/ada.jsonl")), "");
    page.end();
}

#[test]
fn other_sites_other_names_and_those_who_do_not_know_the_address_are_refused() {
    let place = prepared();
    let page = serve(&place, "ada");
    let (host, token) = (page.host.clone(), page.token.clone());
    let port = host.rsplit(':').next().unwrap();
    let body = r#"{"clip":0,"label":0}"#;
    let post = |host: &str, origin: &str| {
        page.raw(&format!(
            "POST /{token}/decide HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .status
    };
    for origin in [
        "",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        "Origin: https://127.0.0.1\r\n",
    ] {
        assert_eq!(post(&host, origin), 403, "{origin}");
    }
    // A name of another site that leads to this machine.
    let own = format!("Origin: http://evil.example:{port}\r\n");
    assert_eq!(post(&format!("evil.example:{port}"), &own), 403);
    assert_eq!(page.raw(&format!("GET /{token}/state HTTP/1.1\r\n\r\n")).status, 403);
    assert_eq!(page.get("state", "Origin: http://evil.example\r\n").status, 403);
    let local = format!("localhost:{port}");
    assert_eq!(
        page.raw(&format!("GET /{token}/state HTTP/1.1\r\nHost: {local}\r\n\r\n"))
            .status,
        200
    );
    let wrong = "0".repeat(token.len());
    for path in ["", "state", &wrong, &format!("{wrong}/state"), &token[1..]] {
        let answer = page.raw(&format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&token));
    }
    assert_eq!(
        page.raw(&format!("PUT /{token}/state HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .status,
        405
    );
    assert_eq!(page.get("state", "").json()["decided"], 0);
    page.end();
}

#[test]
fn requests_that_are_too_long_or_nonsense_are_answered_and_the_server_goes_on() {
    let place = prepared();
    let page = serve(&place, "ada");
    let (host, token) = (page.host.clone(), page.token.clone());
    let long = "x".repeat(17 << 10);
    assert_eq!(
        page.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {long}")).status,
        431
    );
    let head = format!("POST /{token}/undo HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n");
    assert_eq!(
        page.raw(&format!("{head}Content-Length: 9999999999\r\n\r\n")).status,
        413
    );
    assert_eq!(
        page.raw(&format!("{head}Content-Length: 99999999999999999999999\r\n\r\n"))
            .status,
        400
    );
    assert_eq!(
        page.raw(&format!("{head}Transfer-Encoding: chunked\r\n\r\n")).status,
        411
    );
    assert_eq!(page.raw("\u{1}\u{2}\r\n\r\n").status, 400);
    // Connections that say nothing, more than are served at once, and hang up.
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&host).unwrap()).collect();
    drop(silent);
    assert_eq!(page.get("state", "").json()["clips"], 3);
    page.end();
}

#[test]
fn an_annotators_name_is_plain_and_used_once_at_a_time() {
    let place = prepared();
    let preparation = place.preparation("");
    let plan = emorun_prepare::plan(&preparation).unwrap();
    for name in ["", "../x", "a b", "ä", &"x".repeat(41)] {
        let error = open(&preparation, &plan, name, 0, false).unwrap_err();
        assert!(matches!(error, PrepareError::Annotator { .. }), "{error}");
    }
    let first = open(&preparation, &plan, "ada", 0, false).unwrap();
    let error = open(&preparation, &plan, "ada", 0, false).unwrap_err();
    assert!(matches!(error, PrepareError::Busy { .. }), "{error}");
    open(&preparation, &plan, "bob", 0, true).unwrap();
    assert_eq!(first.progress(), (0, 3));
}
