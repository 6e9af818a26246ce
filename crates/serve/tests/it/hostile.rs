//! Requests that are wrong in any way: the server says so, and goes on.

use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use emorun_serve::Limits;

use crate::client::{float_wav, form, read_reply, tone, wav};
use crate::script::{PANICS, Running, limits};

#[test]
fn bodies_that_are_no_recording_are_refused() {
    let server = Running::start();
    let whole = wav(16_000, &tone(1.0, 0.2));
    let mut not_a_number = tone(1.0, 0.2);
    not_a_number[77] = f32::NAN;
    let mut infinite = tone(1.0, 0.2);
    infinite[77] = f32::INFINITY;
    let (kind, nameless) = form("", &whole);
    for (what, body, status) in [
        ("nothing", Vec::new(), 400),
        ("text", b"hello".to_vec(), 415),
        ("a web page", b"<!doctype html><html></html>".to_vec(), 415),
        ("zeros", vec![0; 4096], 415),
        ("a header", whole[..44].to_vec(), 400),
        ("a part", whole[..1001].to_vec(), 400),
        ("not a number", float_wav(16_000, &not_a_number), 422),
        ("infinity", float_wav(16_000, &infinite), 422),
        ("integers as floats", float_wav(16_000, &[3e4; 16_000]), 422),
        ("a hundredth of a second", wav(16_000, &tone(0.01, 0.2)), 422),
        ("less than the model takes", wav(16_000, &tone(0.06, 0.2)), 422),
        ("telephone", wav(8_000, &tone(1.0, 0.2)), 200),
        ("studio", wav(192_000, &tone(3.0, 0.2)), 200),
        ("silence", wav(16_000, &[0.0; 16_000]), 200),
    ] {
        let reply = server.post("/v1/predict", &body);
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(!reply.body.contains("/tmp"), "{what}: {}", reply.body);
    }
    for (kind, body, status) in [
        ("multipart/form-data", whole.clone(), 400),
        ("multipart/form-data; boundary=x", whole.clone(), 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n".to_vec(), 400),
        ("multipart/mixed; boundary=x", whole.clone(), 400),
        (kind.as_str(), nameless, 200),
        (kind.as_str(), form("a.wav", b"").1, 400),
        (kind.as_str(), form("a.wav", b"hello").1, 415),
    ] {
        let reply = server.ask("POST", "/v1/predict", &[("Content-Type", kind)], &body);
        assert_eq!(reply.status, status, "{kind}: {}", reply.body);
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn what_is_too_large_is_refused() {
    let server = Running::with(
        Limits {
            body_bytes: 100_000,
            seconds: 2.0,
            ..limits()
        },
        None,
    );
    let long = server.post("/v1/predict", &wav(16_000, &tone(3.0, 0.2)));
    assert_eq!((long.status, long.code()), (413, "too_large".to_owned()));
    assert!(long.body.contains("lasts 3 s"), "{}", long.body);
    assert_eq!(server.post("/v1/predict", &vec![0; 100_001]).status, 413);
    let (kind, body) = form("a.wav", &vec![0; 120_000]);
    assert_eq!(
        server
            .ask("POST", "/v1/predict", &[("Content-Type", &kind)], &body)
            .status,
        413
    );
    // One that does not tell its length is cut off where it is too long.
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..30 {
        if stream
            .write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes())
            .is_err()
        {
            break;
        }
    }
    let reply = read_reply(&mut BufReader::new(stream)).unwrap();
    assert_eq!(reply.status, 413, "{}", reply.body);
}

#[test]
fn a_model_that_panics_ends_nothing() {
    let server = Running::start();
    let mut samples = tone(1.0, 0.2);
    samples[3] = PANICS;
    let reply = server.post("/v1/predict", &float_wav(16_000, &samples));
    assert_eq!((reply.status, reply.code()), (500, "internal".to_owned()));
    assert_eq!(server.post("/v1/predict", &wav(16_000, &tone(1.0, 0.2))).status, 200);
}

#[test]
fn requests_that_are_none_and_paths_that_lead_elsewhere_find_nothing() {
    let server = Running::start();
    for path in [
        "/../../etc/passwd",
        "/page/../../Cargo.toml",
        "/page/%2e%2e/%2e%2e/etc/passwd",
        "/page/..%2fmain.js",
        "//etc/passwd",
        "/page/",
        "/v1/predict/..",
        "/nothing",
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, 404, "{path}: {}", reply.body);
        assert_eq!(reply.code(), "not_found");
    }
    assert_eq!(server.ask("DELETE", "/v1/models", &[], &[]).status, 405);
    assert_eq!(server.ask("GET", "/v1/predict", &[], &[]).status, 405);
    for garbage in [
        &b"\0\x01\x02\xff\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        &[b'a'; 100_000],
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{}",
            answer.escape_ascii()
        );
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn who_is_silent_or_slow_is_not_waited_for() {
    let server = Running::with(
        Limits {
            patience: Duration::from_millis(300),
            requests: 1,
            ..limits()
        },
        None,
    );
    // No head, half a head, and no second request.
    for begun in ["", "GET / HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
    }
    // A body that does not come holds its place no longer than that.
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\nRIFF",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let reply = read_reply(&mut BufReader::new(stream)).unwrap();
    assert_eq!((reply.status, reply.code()), (408, "too_slow".to_owned()));
    // One that comes byte by byte does not, either.
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut other = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(20));
            if other.write_all(b"x").is_err() {
                break;
            }
        }
    });
    let reply = read_reply(&mut BufReader::new(stream)).unwrap();
    assert_eq!(reply.status, 408, "{}", reply.body);
    drip.join().unwrap();
    assert_eq!(server.post("/v1/predict", &wav(16_000, &tone(1.0, 0.2))).status, 200);
}

#[test]
fn more_than_the_server_takes_is_asked_to_come_again() {
    let server = Running::with(
        Limits {
            requests: 2,
            queue: 1,
            ..limits()
        },
        None,
    );
    server.watch.hold(true);
    let file = wav(16_000, &tone(1.0, 0.2));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.post("/v1/predict", &file).status);
        server.watch.until_batches(1);
        // One is being answered, and no more may wait for the model.
        let full = server.post("/v1/predict", &file);
        assert_eq!((full.status, full.code()), (429, "busy".to_owned()));
        assert_eq!(full.header("retry-after"), Some("1"));
        // Nor is a third taken in while a second one is on its way.
        let mut second = server.connect();
        let head = format!(
            "POST /v1/predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n",
            server.address
        );
        second.write_all(head.as_bytes()).unwrap();
        let third = std::iter::repeat_with(|| server.post("/v1/predict?silence=-40", b"hello"))
            .find(|reply| reply.status != 415)
            .unwrap();
        assert_eq!(third.status, 429, "{}", third.body);
        // Whoever asks for nothing of a model is answered.
        assert_eq!(server.get("/healthz").status, 200);
        server.watch.hold(false);
        assert_eq!(first.join().unwrap(), 200);
    });
    assert!(server.metric("emorun_requests_total{route=\"/v1/predict\",code=\"429\"}") >= 2.0);
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let server = Running::with(
        Limits {
            requests: 4,
            queue: 4,
            ..limits()
        },
        None,
    );
    let file = wav(16_000, &tone(1.0, 0.2));
    for round in 0..40 {
        let mut stream = server.connect();
        let head = format!(
            "POST /v1/predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            server.address,
            file.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.write_all(&file[..file.len() * (round % 5) / 4]);
        drop(stream);
    }
    server.until_metric("emorun_queue_clips{model=\"script\"}", 0.0);
    let reply = std::iter::repeat_with(|| server.post("/v1/predict", &file))
        .take(1000)
        .find(|reply| reply.status != 429);
    assert_eq!(reply.unwrap().status, 200);
}
