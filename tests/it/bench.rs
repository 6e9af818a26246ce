//! Timing emorun: what is said, with and without a peer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::Lab;

const SMALL: [&str; 12] = [
    "bench",
    "encoders",
    "--layout",
    "tiny_base",
    "--batch",
    "2",
    "--seconds",
    "0.5",
    "--repeats",
    "3",
    "--threads",
    "1",
];

/// A stand-in for Python that answers as the peer's program does.
fn stand_in(lab: &Lab, name: &str, script: &str) -> String {
    lab.write(name, format!("#!/bin/sh\n{script}\n"));
    let path = lab.path(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn every_task_is_timed_on_every_side() {
    let lab = Lab::new();
    let peer = stand_in(
        &lab,
        "peer",
        "echo ready stand-in 1; while read line; do sleep 0.01; echo done; done",
    );
    let outcome = lab.emorun(&[&SMALL[..], &["--python", &peer, "--format", "json"]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["setup"]["model"], "hubert");
    let tasks = found["tasks"].as_array().unwrap();
    let names: Vec<&str> = tasks.iter().map(|task| task["task"].as_str().unwrap()).collect();
    assert_eq!(names, ["forward", "frozen", "transformer", "full"]);
    for task in tasks {
        let sides = task["sides"].as_array().unwrap();
        let names: Vec<&str> = sides.iter().map(|side| side["side"].as_str().unwrap()).collect();
        assert_eq!(names, ["emorun", "transformers", "transformers, tuned"]);
        for side in sides {
            assert_eq!(side["turns"].as_array().unwrap().len(), 3);
            assert!(side["median_s"].as_f64().unwrap() > 0.0);
            assert!(side["ratio"].as_f64().unwrap() > 0.0);
            assert!(side["peak_bytes"].as_u64().unwrap() > 100_000);
        }
        assert_eq!(sides[0]["ratio"], 1.0);
        assert_eq!(sides[1]["versions"], "stand-in 1");
    }
}

#[test]
fn without_a_peer_emorun_is_timed_alone_and_says_why() {
    let lab = Lab::new();
    let arguments = [&SMALL[..], &["--tasks", "forward,frozen"]].concat();
    let mut command = lab.program(env!("CARGO_BIN_EXE_emorun"));
    let output = command.args(arguments).env("PATH", "").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("emorun is timed alone"), "{said}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.starts_with("hubert tiny_base, random weights, 2 × 0.5 s, 1 threads a side, cpu in f32\nemorun: emorun "),
        "{shown}"
    );
    assert!(
        shown.contains("step, encoder frozen") && !shown.contains("everything"),
        "{shown}"
    );
}

#[test]
fn a_peer_that_was_asked_for_and_cannot_is_an_error_with_what_it_said() {
    let lab = Lab::new();
    let broken = stand_in(&lab, "broken", "echo 'No module named torch' >&2; exit 1");
    let wrong = stand_in(&lab, "wrong", "echo Python 3");
    let stops = stand_in(&lab, "stops", "echo ready 1; read line; echo 'out of memory' >&2");
    let missing = lab.path("missing").display().to_string();
    for (python, said) in [
        (&broken, "has ended: No module named torch"),
        (&wrong, "answers `Python 3`"),
        (&stops, "has ended: out of memory"),
        (&missing, "does not start"),
    ] {
        let arguments = [&SMALL[..], &["--tasks", "forward", "--python", python]].concat();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 4, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    for wrong in [["--seconds", "0"], ["--tasks", "backward"], ["--threads", "0"]] {
        assert_eq!(lab.emorun(&[&SMALL[..4], &wrong].concat()).code, 2, "{wrong:?}");
    }
}

const DATA: [&str; 8] = ["bench", "data", "--items", "3", "--repeats", "2", "--threads", "1,2"];
/// A pass takes it far longer than emorun.
const SLOW: &str = "echo ready stand-in 1; while read line; do case $line in \
    go) sleep 0.5; echo done;; parts) echo '{\"decode\": 0.2, \"pitch_shift\": 0.1, \"time_stretch\": 0.2}';; esac; done";

#[test]
fn files_are_heard_by_every_side_on_each_number_of_threads() {
    let lab = Lab::new();
    let peer = stand_in(&lab, "peer", SLOW);
    let outcome = lab.emorun(&[&DATA[..], &["--python", &peer, "--format", "json"]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["amount"]["files"], 3);
    assert_eq!(found["amount"]["rates_hz"][0], 48_000);
    let chains = found["chains"].as_array().unwrap();
    let what = |chain: &Value| {
        (
            chain["chain"].as_str().unwrap().to_owned(),
            chain["threads"].as_u64().unwrap(),
        )
    };
    let expected = [("light", 1), ("light", 2), ("full", 1), ("full", 2)].map(|(chain, n)| (chain.to_owned(), n));
    assert_eq!(chains.iter().map(what).collect::<Vec<_>>(), expected);
    for chain in chains {
        let sides = chain["sides"].as_array().unwrap();
        let names: Vec<&str> = sides.iter().map(|side| side["side"].as_str().unwrap()).collect();
        let all = ["emorun", "audiomentations", "audiomentations, processes"];
        assert_eq!(names, all[..if chain["threads"] == 1 { 2 } else { 3 }]);
        assert!(sides[1]["ratio"].as_f64().unwrap() > 1.0);
        let parts: Vec<&String> = sides[0]["parts_s"].as_object().unwrap().keys().collect();
        let expected: &[&str] = match chain["chain"].as_str() {
            Some("full") => &[
                "decode",
                "resample",
                "background_noise",
                "gain",
                "pitch_shift",
                "time_stretch",
                "gaussian_noise",
                "random_crop",
            ],
            _ => &[
                "decode",
                "resample",
                "background_noise",
                "gain",
                "gaussian_noise",
                "random_crop",
            ],
        };
        assert_eq!(parts, expected);
    }
    let shown = lab
        .emorun(&[&DATA[..], &["--python", &peer, "--chains", "full"]].concat())
        .stdout;
    assert!(
        shown.contains("full chain, threads: 2") && !shown.contains("without pitch"),
        "{shown}"
    );
    // Both changes of the peer in one row: 0.3 s over three files, three fifths of all that it did.
    let row = shown
        .lines()
        .find(|line| line.starts_with("pitch and stretch"))
        .unwrap();
    assert!(row.contains("100.000   60 %"), "{row}");
}

#[test]
fn a_folder_without_sound_and_a_peer_that_cannot_are_named() {
    let lab = Lab::new();
    let empty = lab.path("nothing");
    fs::create_dir(&empty).unwrap();
    let outcome = lab.emorun(&[&DATA[..], &[empty.to_str().unwrap()]].concat());
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("nothing: there is no WAV or FLAC file"),
        "{}",
        outcome.stderr
    );
    let broken = stand_in(&lab, "broken", "echo 'No module named audiomentations' >&2; exit 1");
    let outcome = lab.emorun(&[&DATA[..], &["--python", &broken]].concat());
    assert_eq!(outcome.code, 4);
    assert!(
        outcome.stderr.contains("No module named audiomentations"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_cost_of_the_loop_is_told_beside_lightning() {
    let lab = Lab::new();
    let script = |name: &str, seconds: &str| {
        let answer = format!("echo '{{\"seconds\": {seconds}, \"steps\": 1, \"versions\": \"stand-in\"}}'");
        stand_in(&lab, name, &answer)
    };
    let small = [
        "bench",
        "loop",
        "--steps",
        "90",
        "--repeats",
        "1",
        "--checkpoint-every",
        "45",
    ];
    let peer = script("peer", "9.0");
    let outcome = lab.emorun(&[&small[..], &["--python", &peer]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "emorun, a run",
        "PyTorch, bare loop",
        "Lightning",
        "9000000",
        "90 steps of 4 items",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let broken = stand_in(&lab, "broken", "echo 'No module named lightning' >&2; exit 1");
    let outcome = lab.emorun(&[&small[..], &["--python", &broken]].concat());
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("No module named lightning"),
        "{}",
        outcome.stderr
    );
}
