//! Timing encoders: what is said, with and without a peer.

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
        shown.starts_with("hubert tiny_base, random weights, 2 × 0.5 s, 1 threads a side\nemorun: emorun "),
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
