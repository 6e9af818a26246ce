//! `POST /v1/predict`.

use std::time::Duration;

use emorun_recognise::Answer;
use emorun_serve::Limits;
use serde_json::{Value, json};

use crate::client::{form, tone, wav};
use crate::script::{FAILS, Running, Script, limits};

/// What the model says of the samples of a 16-bit file.
fn expected(samples: &[f32]) -> (f64, f64) {
    let heard: Vec<f32> = samples
        .iter()
        .map(|&sample| f32::from((sample * 32_768.0) as i16) / 32_768.0)
        .collect();
    let answers = Script::answer(&heard);
    let (Answer::Classes(classes), Answer::Numbers(numbers)) = (&answers[0], &answers[1]) else {
        panic!("{answers:?}")
    };
    (f64::from(classes[1]), f64::from(numbers[0]))
}

/// Numbers as JSON has them: an f32's shortest form.
fn number(value: &Value) -> f64 {
    f64::from(value.as_f64().unwrap() as f32)
}

#[test]
fn a_recording_is_answered_as_predict_writes_it() {
    let server = Running::start();
    let samples = tone(1.5, 0.3);
    let file = wav(16_000, &samples);
    let (happy, arousal) = expected(&samples);
    let (kind, body) = form("../../etc/pass\"wd", &file);
    for (reply, name) in [
        (server.post("/v1/predict", &file), "recording"),
        // What curl calls a body that it is given.
        (
            server.ask(
                "POST",
                "/v1/predict",
                &[("Content-Type", "application/x-www-form-urlencoded")],
                &file,
            ),
            "recording",
        ),
        (
            server.ask("POST", "/v1/predict?model=script", &[("Content-Type", &kind)], &body),
            "../../etc/pass",
        ),
    ] {
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let said = reply.json();
        assert_eq!(said["file"], name);
        assert_eq!((&said["start_s"], &said["end_s"]), (&json!(0.0), &json!(1.5)));
        assert_eq!(said["silent"], false);
        assert_eq!(number(&said["heads"]["emotion"]["probabilities"]["happy"]), happy);
        assert_eq!(number(&said["heads"]["dims"]["values"]["arousal"]), arousal);
        assert_eq!(said["heads"]["emotion"]["label"], "happy");
    }
}

#[test]
fn a_long_recording_is_answered_window_by_window() {
    let server = Running::with(
        Limits {
            clip_seconds: 2.0,
            queue: 8,
            ..limits()
        },
        None,
    );
    let mut samples = tone(3.0, 0.5);
    samples.extend(vec![0.0; 3 * 16_000]);
    let file = wav(16_000, &samples);
    let reply = server.post("/v1/predict?window=1&hop=0.5", &file);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = reply
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 11);
    let starts: Vec<f64> = lines.iter().map(|line| line["start_s"].as_f64().unwrap()).collect();
    assert_eq!(starts, (0..11).map(|at| f64::from(at) / 2.0).collect::<Vec<_>>());
    assert_eq!(lines[0]["heads"]["emotion"]["label"], "happy");
    assert_eq!(lines[10]["heads"]["emotion"]["label"], "sad");
    let silent: Vec<bool> = lines.iter().map(|line| line["silent"] == true).collect();
    assert_eq!(silent, (0..11).map(|at| at >= 6).collect::<Vec<_>>());
    // Without a hop it is a third of the window, and a last window ends with the recording.
    assert_eq!(server.post("/v1/predict?window=1.5", &file).body.lines().count(), 10);
    // Of the whole more is asked than the model is given at once.
    let refused = server.post("/v1/predict", &file);
    assert_eq!((refused.status, refused.code()), (413, "too_large".to_owned()));
    assert_eq!(server.post("/v1/predict?window=3", &file).status, 413);
}

#[test]
fn clips_that_come_together_are_computed_together() {
    let limits = Limits {
        batch_seconds: 4.0,
        batch_wait: Duration::from_millis(300),
        ..limits()
    };
    let server = Running::with(limits, None);
    server.watch.hold(true);
    let file = wav(16_000, &tone(1.0, 0.2));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let first = scope.spawn(|| server.post("/v1/predict", &file).status);
        server.watch.until_batches(1);
        let others: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| server.post("/v1/predict", &file).status))
            .collect();
        server.until_metric("emorun_queue_clips{model=\"script\"}", 7.0);
        server.watch.hold(false);
        let others = others.into_iter().map(|other| other.join().unwrap());
        std::iter::once(first.join().unwrap()).chain(others).collect()
    });
    assert_eq!(statuses, [200; 7]);
    let sizes: Vec<usize> = server.watch.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 4, 2]);
    assert_eq!(server.metric("emorun_batch_clips_count{model=\"script\"}"), 3.0);
    assert_eq!(server.metric("emorun_batch_clips_sum{model=\"script\"}"), 7.0);
}

#[test]
fn a_clip_on_which_the_model_fails_harms_no_other_of_its_batch() {
    let limits = Limits {
        batch_wait: Duration::from_millis(300),
        ..limits()
    };
    let server = Running::with(limits, None);
    server.watch.hold(true);
    let good = wav(16_000, &tone(1.0, 0.2));
    let mut bad = tone(1.0, 0.2);
    bad[5] = FAILS;
    let bad = crate::client::float_wav(16_000, &bad);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.post("/v1/predict", &good).status);
        server.watch.until_batches(1);
        let failing = scope.spawn(|| server.post("/v1/predict", &bad));
        let second = scope.spawn(|| server.post("/v1/predict", &good).status);
        server.until_metric("emorun_queue_clips{model=\"script\"}", 3.0);
        server.watch.hold(false);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (200, 200));
        let failed = failing.join().unwrap();
        assert_eq!((failed.status, failed.code()), (500, "internal".to_owned()));
        assert!(!failed.body.contains("script fails"), "{}", failed.body);
    });
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let server = Running::start();
    let file = wav(16_000, &tone(1.0, 0.2));
    for (query, status) in [
        ("model=nobody", 404),
        ("model=..%2F..%2Fetc%2Fpasswd", 404),
        ("model=", 404),
        ("window=0", 400),
        ("window=-1", 400),
        ("window=NaN", 400),
        ("window=inf", 400),
        ("window=three", 400),
        ("hop=1", 400),
        ("window=1&hop=0", 400),
        ("window=1&hop=1e-9", 400),
        ("window=0.01&hop=0.01&hop=0.02", 400),
        ("silence=NaN", 400),
        ("volume=11", 400),
    ] {
        let reply = server.post(&format!("/v1/predict?{query}"), &file);
        assert_eq!(reply.status, status, "{query}: {}", reply.body);
        assert!(!reply.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    // The name of a model is a name and no path.
    let reply = server.post("/v1/predict?model=other%2F..%2Fmodel", &file);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let long = wav(16_000, &tone(110.0, 0.2));
    let many = server.post("/v1/predict?window=0.01&hop=0.01", &long);
    assert_eq!(many.status, 400, "{}", many.body);
    assert!(many.body.contains("windows are asked for"), "{}", many.body);
}
