//! `emorun live`: a trained run that hears sound as it comes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use emorun_audio::synthetic::{Gender, SyntheticEmotion, VoiceSpec, synthesise};
use serde_json::Value;

use crate::support::{Lab, Outcome, finished, signal, wav};

/// The rate of the small experiments.
const RATE_HZ: u32 = 8000;

/// A second of quiet noise, a generated voice, and 1.2 s of quiet noise.
fn spoken() -> Vec<i16> {
    let voice = synthesise(&VoiceSpec {
        speaker: 3,
        gender: Gender::Male,
        emotion: SyntheticEmotion::Angry,
        sentence: 1,
        take: 0,
        seed: 1,
        rate_hz: RATE_HZ,
        overlap: 0.0,
    });
    let quiet = |count: u32| (0..count).map(|at| (at * 7919 % 7) as i16 - 3);
    let voice = voice.samples.iter().map(|sample| (sample * 32_767.0) as i16);
    quiet(RATE_HZ).chain(voice).chain(quiet(RATE_HZ * 6 / 5)).collect()
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `emorun live` with bytes on its stdin.
fn piped(lab: &Lab, arguments: &[&str], bytes: &[u8]) -> Outcome {
    let mut child = lab.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    // It may have ended before it has read all.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    finished(&child.wait_with_output().unwrap())
}

/// One story on one run, whose training is most of its time.
#[test]
fn a_run_hears_a_recording_a_pipe_and_its_own_end() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "one", "--set", "training.epochs=1"]);
    let run = "runs/tiny/one";
    let samples = spoken();
    lab.write("spoken.wav", wav(RATE_HZ, samples.iter().copied()));

    // The last update is what `predict` says of that stretch.
    let base = ["live", run, "--speed", "0", "--format", "json", "--input"];
    let heard = lab.emorun(&[&base[..], &["spoken.wav", "--record", "kept"]].concat());
    assert_eq!(heard.code, 0, "{}", heard.stderr);
    assert!(
        heard
            .stderr
            .contains("on 1 stretch(es) of speech, 0 question(s) skipped; from sample to answer p50 ")
    );
    let said = events(&heard.stdout);
    assert_eq!(said[0]["event"], "speech_started", "{}", heard.stdout);
    let last = said.iter().rfind(|event| event["event"] == "update").unwrap();
    assert_eq!(last["last"], true);
    let place = |name: &str| (last[name].as_f64().unwrap() * f64::from(RATE_HZ)).round() as usize;
    let stretch = samples[place("from_s")..place("to_s")].to_vec();
    lab.write("stretch.wav", wav(RATE_HZ, stretch));
    let predicted = lab.emorun(&["predict", run, "stretch.wav", "--format", "jsonl"]);
    assert_eq!(predicted.code, 0, "{}", predicted.stderr);
    let predicted: Value = serde_json::from_str(predicted.stdout.trim()).unwrap();
    for (head, known) in predicted["heads"].as_object().unwrap() {
        for kind in ["probabilities", "values"] {
            for (class, known) in known[kind].as_object().into_iter().flatten() {
                let found = last["heads"][head][kind][class].as_f64().unwrap();
                let known = known.as_f64().unwrap();
                assert!((found - known).abs() < 1e-5, "{head} {class}: {found}, not {known}");
            }
        }
    }

    // What is recorded is what was heard and said, and is not written over.
    let kept = fs::read(lab.path("kept/sound.wav")).unwrap();
    assert_eq!(kept, fs::read(lab.path("spoken.wav")).unwrap());
    assert_eq!(fs::read_to_string(lab.path("kept/events.jsonl")).unwrap(), heard.stdout);
    let labels = fs::read_to_string(lab.path("kept/labels.emotion.txt")).unwrap();
    let last_label = labels.lines().last().unwrap().split('\t').collect::<Vec<_>>();
    assert_eq!(last_label[2], last["heads"]["emotion"]["label"]);
    let again = lab.emorun(&[&base[..], &["spoken.wav", "--record", "kept"]].concat());
    assert_eq!(again.code, 5, "{}", again.stderr);

    // Samples on stdin are heard as a file of them is; what is cut off is told when all before was heard.
    let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let rate = RATE_HZ.to_string();
    let from_stdin = [&base[..], &["-", "--rate", &rate]].concat();
    let outcome = piped(&lab, &from_stdin, &bytes);
    assert_eq!(
        (outcome.code, &outcome.stdout),
        (0, &heard.stdout),
        "{}",
        outcome.stderr
    );
    bytes.push(1);
    let outcome = piped(&lab, &from_stdin, &bytes);
    assert_eq!(
        (outcome.code, &outcome.stdout),
        (4, &heard.stdout),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("stdin ends 1 byte(s) into a frame of 2"),
        "{}",
        outcome.stderr
    );
    let outcome = piped(&lab, &from_stdin, &[]);
    assert!(
        outcome.code == 4 && outcome.stderr.contains("stdin holds no samples"),
        "{}",
        outcome.stderr
    );

    // As text, faster than it was spoken, with the model on a thread of its own.
    let outcome = lab.emorun(&["live", run, "--speed", "20", "--input", "spoken.wav"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("  end of speech\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("  (all of it)\n"), "{}", outcome.stdout);

    // An interrupt ends it with what was heard so far.
    let minutes: Vec<i16> = samples.iter().copied().cycle().take(RATE_HZ as usize * 300).collect();
    lab.write("long.wav", wav(RATE_HZ, minutes));
    let mut child = lab.command(&["live", run, "--input", "long.wav"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.ends_with("speech\n"), "{first}");
    signal(&child, "INT");
    stdout.read_to_string(&mut first).unwrap();
    let outcome = finished(&child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("interrupted: ending"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(" s heard: "), "{}", outcome.stderr);

    // What cannot be heard.
    lab.write("empty.wav", []);
    for (input, more, code, told) in [
        ("missing.wav", &[][..], 4, "missing.wav"),
        ("empty.wav", &[], 4, "empty.wav"),
        ("crnn.yaml", &[], 4, "crnn.yaml"),
        (
            "spoken.wav",
            &["--window", "0"],
            2,
            "the window is 0: use 0.1 to 60 seconds",
        ),
        ("spoken.wav", &["--format", "window"], 2, "needs a terminal"),
        ("no such microphone", &[], 2, "no such microphone"),
    ] {
        let outcome = lab.emorun(&[&["live", run, "--input", input], more].concat());
        assert_eq!(outcome.code, code, "{input}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(told), "{input}: {}", outcome.stderr);
    }
    let outcome = lab.emorun(&["live", "runs/tiny/two", "--input", "spoken.wav"]);
    assert!(
        outcome.code != 0 && outcome.stderr.contains("runs/tiny/two"),
        "{}",
        outcome.stderr
    );
}

#[test]
#[cfg(not(feature = "live"))]
fn a_build_without_microphones_says_how_to_get_one_with_them() {
    let lab = Lab::new();
    for arguments in [&["live", "--list-devices"][..], &["live", "runs/tiny/one"]] {
        let outcome = lab.emorun(arguments);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("--features live"), "{}", outcome.stderr);
    }
    assert_eq!(lab.emorun(&["live"]).code, 2);
}
