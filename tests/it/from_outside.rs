//! What comes from outside and could lead elsewhere, or nowhere: names, pipes, devices, lists of any length.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Lab;

#[test]
fn a_name_that_is_no_folder_name_is_refused_where_it_stands() {
    let lab = Lab::new();
    let long = "x".repeat(300);
    let names = [
        "../../escaped",
        "a/b",
        "a\\\\b",
        "..",
        ".hidden",
        "",
        "a\\0b",
        " a",
        &long,
    ];
    for name in names {
        lab.write("named.yaml", format!("extends: crnn.yaml\nname: \"{name}\"\n"));
        let outcome = lab.emorun(&["run", "named.yaml"]);
        assert_eq!(outcome.code, 3, "{name}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("named.yaml:2:") && outcome.stderr.contains("cannot be the name of a folder"),
            "{name}: {}",
            outcome.stderr
        );
        lab.write(
            "sweep.yaml",
            format!("name: \"{name}\"\nruns:\n  - {{ label: \"{name}\", experiment: crnn.yaml }}\n"),
        );
        let outcome = lab.emorun(&["sweep", "sweep.yaml"]);
        assert_eq!(outcome.code, 3, "{name}: {}", outcome.stderr);
        let places = outcome.stderr.matches("cannot be the name of a folder").count();
        assert_eq!(places, 2, "{name}: {}", outcome.stderr);
        assert!(!lab.path("runs").exists() && !lab.path("../escaped").exists(), "{name}");
        if !name.contains("\\0") {
            let name = name.replace("\\\\", "\\");
            let label = format!("--run-label={name}");
            assert_eq!(lab.emorun(&["run", "crnn.yaml", &label]).code, 2, "{name}");
        }
    }
    assert!(!lab.path("runs").exists());
}

#[test]
#[cfg(unix)]
fn pipes_and_devices_are_refused_at_once_wherever_a_file_is_read() {
    let lab = Lab::new();
    let pipe = lab.path("pipe.yaml");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink("/dev/zero", lab.path("zero.yaml")).unwrap();
    lab.write("extends.yaml", "extends: zero.yaml\nname: x\n");
    lab.write("piped.yaml", "extends: pipe.yaml\nname: x\n");
    let begun = Instant::now();
    for file in ["zero.yaml", "pipe.yaml", "extends.yaml", "piped.yaml"] {
        for command in [&["check"][..], &["run"], &["sweep"], &["data", "prepare"], &["graph"]] {
            let outcome = lab.emorun(&[command, &[file]].concat());
            assert!([3, 4].contains(&outcome.code), "{command:?} {file}: {}", outcome.stderr);
            assert!(
                outcome.stderr.contains("not a file"),
                "{command:?} {file}: {}",
                outcome.stderr
            );
        }
    }
    fs::create_dir_all(lab.path("run")).unwrap();
    for name in ["run.json", "summary.json", "resolved.yaml"] {
        let _ = fs::remove_file(lab.path("run/run.json"));
        std::os::unix::fs::symlink("/dev/zero", lab.path(format!("run/{name}"))).unwrap();
        let outcome = lab.emorun(&["resume", "run"]);
        assert!(
            outcome.code != 0 && !outcome.stderr.contains("panicked"),
            "{}",
            outcome.stderr
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[test]
fn a_wrong_command_line_is_json_where_json_is_asked_for() {
    let lab = Lab::new();
    for arguments in [
        &["check", "--message-format", "json", "--no-such-option"][..],
        &["--message-format=json", "nonsense"],
        &["run", "crnn.yaml", "--device", "tpu", "--message-format", "json"],
        &["run", "--message-format", "json"],
    ] {
        let outcome = lab.emorun(arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}");
        let object: Value = serde_json::from_str(outcome.stderr.trim()).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {}", outcome.stderr);
        });
        assert_eq!(object["code"], 2);
        assert!(object["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    let outcome = lab.emorun(&["--message-format", "json", "--help"]);
    assert!(
        outcome.code == 0 && outcome.stdout.contains("Usage"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn setting_what_a_file_extends_says_why_it_cannot_be_set() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["check", "crnn.yaml", "--set", "extends=hubert.yaml"]);
    assert_eq!(outcome.code, 3);
    assert!(
        outcome.stderr.contains("`extends` cannot be set") && !outcome.stderr.contains("did you mean"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_list_of_runs_beyond_a_mebibyte_goes_on() {
    let lab = Lab::new();
    let mut list = "runs:\n".to_owned();
    for number in 0..20_000 {
        list += &format!(
            "- label: old-{number}\n  log_dir: runs/old/old-{number}\n  experiment: old\n  status: completed\n  test:\n    \
             emotion.uar: 0.5\n"
        );
    }
    assert!(list.len() > 1 << 20);
    lab.write("runs/model_runs.yaml", &list);
    let outcome = lab.emorun(&[
        "run",
        "crnn.yaml",
        "--run-label",
        "one",
        "--set",
        "training.epochs=1",
        "--device",
        "cpu",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let text = fs::read_to_string(lab.path("runs/model_runs.yaml")).unwrap();
    assert_eq!(text.matches("label: old-").count(), 20_000);
    assert!(text.contains("label: one") && text.contains("log_dir: runs/tiny/one"));
}
