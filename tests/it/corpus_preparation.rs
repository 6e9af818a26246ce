//! `emorun data`: fetching and preparing corpora, as users type it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Lab, finished, json, kill};

/// An archive with EmoDB's names, written by `make_emodb.py`.
const EMODB: &[u8] = include_bytes!("../golden/emodb.tar.gz");

const PREPARATION: &str = "\
name: tiny
output: prepared
datasets:
  s: { kind: synthetic, speakers: 4, utterances: 4, emotions: [happy, sad, angry, fearful] }
audio: { sample_rate_hz: 16000 }
quality: { min_snr_db: null }
";

/// Answers every request with the same bytes, cut off after `sent` of them the first time.
fn serve(bytes: &'static [u8], sent: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut from = 0;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let rest = &bytes[from..];
            let length = bytes.len();
            let status = if from == 0 {
                "200 OK".to_owned()
            } else {
                format!("206 OK\r\ncontent-range: bytes {from}-{}/{length}", length - 1)
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                rest.len()
            );
            let body = if number == 0 { &rest[..sent] } else { rest };
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

#[test]
fn every_corpus_of_the_table_is_listed_with_its_licence() {
    let outcome = Lab::new().emorun(&["data", "fetch"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for source in &emorun_fetch::SOURCES {
        let line = outcome.stdout.lines().find(|line| line.contains(source.name)).unwrap();
        assert!(line.contains(source.licence.name), "{line}");
    }
}

#[test]
fn a_licence_is_shown_and_has_to_be_accepted() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["data", "fetch", "ravdess"]);
    assert_eq!(outcome.code, 2);
    for part in ["CC BY-NC-SA 4.0", "--accept-licence", "Livingstone"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert!(!lab.path("data").exists());
}

#[test]
fn what_cannot_be_fetched_is_said_with_what_can_be_done() {
    let lab = Lab::new();
    for (arguments, code, parts) in [
        (
            &["iemocap"][..],
            4,
            &[
                "on request",
                "https://sail.usc.edu/iemocap/Data_Release_Form",
                "data/IEMOCAP",
            ][..],
        ),
        (&["esd"], 4, &["on request", "licence form", "data/ESD"]),
        (&["ravdes"], 2, &["did you mean `ravdess`"]),
        (
            &["librispeech", "--accept-licence"],
            2,
            &["say which parts", "train-clean-100"],
        ),
        (
            &["ravdess", "--part", "sing", "--accept-licence"],
            2,
            &["no part `sing`", "speech, song"],
        ),
        (&["ravdess", "--accept-licence", "--offline"], 4, &["--offline"]),
    ] {
        let outcome = lab.emorun(&[&["data", "fetch"], arguments].concat());
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        for part in parts {
            assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_corpus_is_fetched_over_a_bad_line_and_its_hash_recorded() {
    let lab = Lab::new();
    let mirror = serve(EMODB, 100);
    let fetch = |mirror: &str| {
        let mut command = lab.command(&[
            "data",
            "fetch",
            "emodb",
            "--part",
            "original",
            "--accept-licence",
            "--mirror",
            mirror,
        ]);
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        finished(&command.output().unwrap())
    };
    // What a network's log-in page gives is not the corpus, and is not remembered as if it were.
    let page = serve(b"<!DOCTYPE html><html>Welcome to the hotel</html>", 20);
    let outcome = fetch(&page);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(!lab.path("data/emodb/fetched.json").exists(), "{}", outcome.stderr);
    let outcome = fetch(&mirror);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.last_line(), "data/emodb");
    assert!(outcome.stderr.contains("is recorded"), "{}", outcome.stderr);
    assert!(
        fs::read(lab.path("data/emodb/wav/03a01Fa.wav"))
            .unwrap()
            .starts_with(b"RIFF")
    );
    assert_eq!(fs::read_dir(lab.path("data/emodb/wav")).unwrap().count(), 535);
    let record = json(lab.path("data/emodb/fetched.json"));
    let expected = emorun_fetch::sha256_of(EMODB);
    assert_eq!(record["files"]["download.zip"]["sha256"], Value::from(expected));
    assert_eq!(fetch(&mirror).code, 0);
    // The publisher's file is another one now.
    fs::remove_dir_all(lab.path("data/emodb/wav")).unwrap();
    let other = serve(b"PK\x05\x06 and nothing else", 4);
    let outcome = fetch(&other);
    assert_eq!(outcome.code, 4);
    assert!(outcome.stderr.contains("of the first download"), "{}", outcome.stderr);
}

#[test]
fn a_preparation_that_is_killed_goes_on_to_the_same_table() {
    let whole = Lab::new();
    whole.write("prepare.yaml", PREPARATION);
    let outcome = whole.emorun(&["data", "prepare", "prepare.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.last_line().ends_with("prepared/manifest.csv"));
    assert!(
        outcome.stdout.contains("64 utterances of 4 speakers"),
        "{}",
        outcome.stdout
    );
    let table = fs::read_to_string(whole.path("prepared/manifest.csv")).unwrap();
    assert_eq!(table.lines().count(), 65);

    let lab = Lab::new();
    lab.write("prepare.yaml", PREPARATION);
    for lines in [3, 20, 40] {
        let journal = lab.path("prepared/prepared.jsonl");
        kill(lab.start_until(&["data", "prepare", "prepare.yaml", "--workers", "2"], &journal, lines));
    }
    let outcome = lab.emorun(&["data", "prepare", "prepare.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(lab.path("prepared/manifest.csv")).unwrap(), table);
    let keys: Vec<String> = fs::read_to_string(lab.path("prepared/prepared.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].to_string())
        .collect();
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!((keys.len(), distinct.len()), (64, 64), "something was done twice");
    for row in table.lines().skip(1) {
        let path = row.split(',').nth(1).unwrap();
        let same =
            fs::read(lab.path("prepared").join(path)).unwrap() == fs::read(whole.path("prepared").join(path)).unwrap();
        assert!(same, "{path}");
    }
}

#[test]
fn mistakes_in_a_preparation_file_are_reported_with_their_places() {
    let lab = Lab::new();
    lab.write(
        "wrong.yaml",
        PREPARATION
            .replace("audio:", "audoi:")
            .replace("speakers: 4", "speakers: 0"),
    );
    let outcome = lab.emorun(&["data", "prepare", "wrong.yaml", "--check"]);
    assert_eq!(outcome.code, 3);
    for part in ["wrong.yaml:5", "`audio`", "wrong.yaml:4"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    lab.write(
        "both.yaml",
        format!("{PREPARATION}emotions: {{ a: [sad], b: [sadness] }}\n"),
    );
    let outcome = lab.emorun(&["data", "prepare", "both.yaml", "--check"]);
    assert_eq!(outcome.code, 3);
    assert!(
        outcome.stderr.contains("becomes both `a` and `b`"),
        "{}",
        outcome.stderr
    );
    lab.write(
        "missing.yaml",
        "name: x\noutput: out\ndatasets:\n  r: { kind: ravdess, root: nowhere }\n",
    );
    let outcome = lab.emorun(&["data", "prepare", "missing.yaml", "--step", "preprocess"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    // The step before would fetch it, and asks first.
    let outcome = lab.emorun(&["data", "prepare", "missing.yaml"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("--accept-licence"), "{}", outcome.stderr);
    lab.write("prepare.yaml", PREPARATION);
    let outcome = lab.emorun(&["data", "prepare", "prepare.yaml", "--step", "annotate"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("run the step `preprocess` first"),
        "{}",
        outcome.stderr
    );
}

/// A process that serves the page, and the page's address.
fn annotating(lab: &Lab) -> (Child, String) {
    let mut child = lab
        .command(&[
            "data",
            "prepare",
            "prepare.yaml",
            "--step",
            "annotate",
            "--annotator",
            "ada",
        ])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("http://127.0.0.1:"), "{line}");
    (child, line.trim().to_owned())
}

/// Sends a request as the page does.
fn ask(url: &str, method: &str, path: &str, body: &str) -> Value {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, token) = rest.split_once('/').unwrap();
    let started = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(host) {
            Ok(stream) => break stream,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(10), "{error}"),
        }
    };
    let request = format!(
        "{method} /{token}{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn labels_given_on_the_page_survive_a_kill_and_come_into_the_table() {
    let lab = Lab::new();
    lab.write("prepare.yaml", PREPARATION);
    assert_eq!(
        lab.emorun(&["data", "prepare", "prepare.yaml", "--step", "preprocess"])
            .code,
        0
    );
    let (child, url) = annotating(&lab);
    assert_eq!(ask(&url, "GET", "state", "")["clips"], 64);
    ask(&url, "POST", "decide", r#"{"clip": 0, "label": 3}"#);
    assert_eq!(
        ask(&url, "POST", "decide", r#"{"clip": 1, "label": null}"#)["decided"],
        2
    );
    kill(child);
    let (child, url) = annotating(&lab);
    assert_eq!(ask(&url, "GET", "state", "")["decided"], 2);
    kill(child);
    let outcome = lab.emorun(&["data", "prepare", "prepare.yaml", "--step", "integrate"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let table = fs::read_to_string(lab.path("prepared/manifest.csv")).unwrap();
    assert_eq!(table.lines().count(), 64);
    assert!(table.lines().nth(1).unwrap().contains(",fearful,3,"), "{table}");
}
