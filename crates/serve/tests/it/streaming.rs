//! `GET /v1/stream`.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use emorun_audio::synthetic::{Gender, SyntheticEmotion, VoiceSpec, synthesise};
use emorun_serve::Limits;
use serde_json::Value;
use tungstenite::{Bytes, Error, Message, WebSocket};

use crate::client::{read_stream, tone, wav};
use crate::script::{FAILS, Running, limits};

/// Speech between silences, at 16 kHz.
pub fn speech() -> Vec<f32> {
    let spoken = synthesise(&VoiceSpec {
        speaker: 3,
        gender: Gender::Male,
        emotion: SyntheticEmotion::Angry,
        sentence: 1,
        take: 0,
        seed: 1,
        rate_hz: 16_000,
        overlap: 0.0,
    });
    let quiet = vec![0.0; 16_000];
    [quiet.clone(), spoken.samples, quiet].concat()
}

fn integers(samples: &[f32]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes())
        .collect()
}

fn floats(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn send(socket: &mut WebSocket<TcpStream>, bytes: Vec<u8>) {
    socket.send(Message::Binary(Bytes::from(bytes))).unwrap();
}

/// Sends sound in parts of a size, ends it, and gives what was said.
fn heard(server: &Running, query: &str, bytes: &[u8], size: usize) -> Vec<Value> {
    let mut socket = server.stream(query).unwrap();
    for part in bytes.chunks(size) {
        send(&mut socket, part.to_vec());
    }
    send(&mut socket, Vec::new());
    let (events, code) = read_stream(&mut socket);
    assert_eq!(code, Some(1000), "{events:?}");
    events
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn speech_is_heard_and_answered_however_it_is_sent() {
    let server = Running::start();
    let speech = speech();
    for (query, bytes, size) in [
        ("", integers(&speech), 960),
        ("?format=f32le&rate_hz=16000&model=script", floats(&speech), 4099),
        // Parts that break samples off.
        ("?format=s16le", integers(&speech), 1001),
    ] {
        let events = heard(&server, query, &bytes, size);
        assert_eq!(of_kind(&events, "speech_started").len(), 1, "{query} {events:?}");
        assert_eq!(of_kind(&events, "speech_ended").len(), 1, "{query} {events:?}");
        let updates = of_kind(&events, "update");
        let last = updates.last().unwrap();
        assert_eq!(last["last"], true, "{query}");
        let probabilities = &last["heads"]["emotion"]["probabilities"];
        let sum = probabilities["sad"].as_f64().unwrap() + probabilities["happy"].as_f64().unwrap();
        assert!((sum - 1.0).abs() < 1e-5, "{probabilities}");
        assert!(last["heads"]["dims"]["smoothed"]["arousal"].as_f64().unwrap() > 0.0);
    }
    // Nothing of it is left.
    server.until_metric("emorun_streams", 0.0);
    let seconds = 3.0 * speech.len() as f64 / 16_000.0;
    assert!((server.metric("emorun_stream_audio_seconds_total") - seconds).abs() < 1e-6);
}

#[test]
fn silence_and_nothing_are_heard_as_such() {
    let server = Running::start();
    assert_eq!(heard(&server, "", &[], 1), Vec::<Value>::new());
    assert_eq!(heard(&server, "", &[7], 1), Vec::<Value>::new());
    assert_eq!(heard(&server, "", &integers(&[0.0; 32_000]), 960), Vec::<Value>::new());
    let bad = heard(&server, "?format=f32le", &floats(&[f32::NAN; 16_000]), 960);
    assert_eq!(of_kind(&bad, "bad_samples").len(), 1, "{bad:?}");
    assert_eq!(bad.len(), 1);
}

#[test]
fn what_is_no_stream_is_refused_and_the_server_goes_on() {
    let server = Running::start();
    for (query, status) in [
        ("?model=nobody", 404),
        ("?rate_hz=7999", 400),
        ("?rate_hz=192001", 400),
        ("?rate_hz=-1", 400),
        ("?rate_hz=NaN", 400),
        ("?format=mp3", 400),
        ("?token=x", 400),
    ] {
        match server.stream(query) {
            Err(Error::Http(reply)) => assert_eq!(reply.status(), status, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let plain = server.get("/v1/stream");
    assert_eq!((plain.status, plain.code()), (426, "no_web_socket".to_owned()));

    let mut socket = server.stream("").unwrap();
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(read_stream(&mut socket).1, Some(1003));
    // Frames that are none, behind a handshake that is one.
    for garbage in [
        &[0xff; 64][..],
        &[0x00; 64],
        &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let mut socket = server.stream("").unwrap();
        socket.get_mut().write_all(garbage).unwrap();
        let (events, code) = read_stream(&mut socket);
        assert!(events.is_empty() && code != Some(1000), "{code:?}");
    }
    let mut socket = server.stream("").unwrap();
    let _ = socket.send(Message::Binary(vec![0; (1 << 20) + 1].into()));
    assert_ne!(read_stream(&mut socket).1, Some(1000));
    server.until_metric("emorun_streams", 0.0);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_model_that_fails_ends_the_stream_with_a_word() {
    let server = Running::start();
    let mut samples = speech();
    for sample in samples.iter_mut().skip(20_000).step_by(4000).take(5) {
        *sample = FAILS;
    }
    let mut socket = server.stream("?format=f32le").unwrap();
    for part in floats(&samples).chunks(4096) {
        if socket.send(Message::Binary(part.to_vec().into())).is_err() {
            break;
        }
    }
    assert_eq!(read_stream(&mut socket).1, Some(1011));
    assert_eq!(server.post("/v1/predict", &wav(16_000, &tone(1.0, 0.2))).status, 200);
}

#[test]
fn streams_beyond_the_limit_are_asked_to_come_again() {
    let server = Running::with(Limits { streams: 2, ..limits() }, None);
    let first = server.stream("").unwrap();
    let _second = server.stream("").unwrap();
    let refused = |server: &Running| match server.stream("") {
        Err(Error::Http(reply)) => {
            assert_eq!(reply.status(), 429);
            assert_eq!(reply.headers()["retry-after"], "1");
        }
        other => panic!("{other:?}"),
    };
    refused(&server);
    // One that is killed gives its place back.
    drop(first);
    server.until_metric("emorun_streams", 1.0);
    let _third = server.stream("").unwrap();
    refused(&server);
}

#[test]
fn the_other_side_of_a_half_open_connection_is_not_waited_for() {
    let server = Running::with(
        Limits {
            streams: 1,
            patience: Duration::from_millis(200),
            ..limits()
        },
        None,
    );
    // It is open, reads nothing, and answers no ping.
    let silent = server.stream("").unwrap();
    server.until_metric("emorun_streams", 0.0);
    drop(silent);
    // One that answers pings stays, though it says nothing.
    let mut patient = server.stream("").unwrap();
    for _ in 0..6 {
        assert!(matches!(patient.read(), Ok(Message::Ping(_))));
        patient.flush().unwrap();
    }
    assert_eq!(server.metric("emorun_streams"), 1.0);
}

#[test]
fn a_busy_model_is_asked_about_now_and_not_about_the_past() {
    let server = Running::with(Limits { queue: 1, ..limits() }, None);
    server.watch.hold(true);
    let file = wav(16_000, &tone(1.0, 0.2));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| server.post("/v1/predict", &file).status);
        server.watch.until_batches(1);
        let stream = scope.spawn(|| heard(&server, "", &integers(&speech()), 960));
        let skipped = "emorun_stream_updates_skipped_total";
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while server.metric(skipped) < 3.0 {
            assert!(std::time::Instant::now() < end);
        }
        server.watch.hold(false);
        assert_eq!(other.join().unwrap(), 200);
        let events = stream.join().unwrap();
        assert!(of_kind(&events, "skipped").len() >= 3);
        // The last of what was said is never left out.
        assert_eq!(of_kind(&events, "update").last().unwrap()["last"], true);
    });
}
