//! What happens to stdout and stderr stops no run.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::support::{Lab, json};

const RUN: &str = "crnn.yaml --run-label one --set training.epochs=2 --set logging.tensorboard=false";

/// Runs a line of shell in which `emorun` is the program.
fn shell(lab: &Lab, line: &str) -> (Option<i32>, String) {
    let line = line.replace("emorun", env!("CARGO_BIN_EXE_emorun"));
    let output = lab.program("sh").args(["-c", &line]).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn a_stderr_that_cannot_be_written_stops_no_run() {
    let broken = [
        ("a full disk", format!("emorun -vv run {RUN} 2>/dev/full")),
        ("closed", format!("emorun -vv run {RUN} 2>&-")),
        ("all closed", format!("emorun -vv run {RUN} 2>&- >&- <&-; exit $?")),
        // The reader is gone before anything is written.
        (
            "no reader",
            format!("exec 3>&1; {{ sleep 0.3; emorun -vv run {RUN} 2>&1 >/dev/null; echo \"code $?\" >&3; }} | true"),
        ),
        (
            "one line",
            format!(
                "exec 3>&1; {{ emorun -vv run {RUN} 2>&1 >/dev/null; echo \"code $?\" >&3; }} | head -1 >/dev/null"
            ),
        ),
    ];
    for (what, line) in broken {
        let lab = Lab::new();
        let (code, stdout) = shell(&lab, &line);
        assert_eq!(code, Some(0), "{what}");
        if line.contains("code $?") {
            assert_eq!(stdout.trim(), "code 0", "{what}");
        }
        let run = lab.path("runs/tiny/one");
        assert_eq!(json(run.join("run.json"))["status"], "completed", "{what}");
        let log = std::fs::read_to_string(run.join("log.txt")).unwrap();
        assert!(
            log.contains("epoch 2/2"),
            "{what}: the log has what the terminal has not\n{log}"
        );
    }
}

#[test]
fn an_interrupt_is_heeded_though_it_cannot_be_told() {
    let lab = Lab::new();
    let metrics = lab.path("runs/tiny/one/metrics.jsonl");
    let line = format!(
        "exec '{}' run crnn.yaml --run-label one --set training.epochs=2000 2>/dev/full",
        env!("CARGO_BIN_EXE_emorun")
    );
    let mut child = lab
        .program("sh")
        .args(["-c", &line])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let has_begun = || std::fs::read(&metrics).is_ok_and(|bytes| bytes.len() > 100);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !has_begun() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    crate::support::signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(json(lab.path("runs/tiny/one/run.json"))["status"], "interrupted");
}

/// A table that nobody reads to its end is no mistake; one that a disk has no room for is, unless it is kept elsewhere.
#[test]
fn a_stdout_that_cannot_be_written_is_told_by_the_exit_code() {
    let lab = Lab::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let code = |mut command: Command| command.stdout(full()).output().unwrap().status.code();
    assert_eq!(code(lab.command(&["nodes"])), Some(7));
    assert_eq!(code(lab.command(&["check", "crnn.yaml"])), Some(7));
    let run: Vec<&str> = RUN.split(' ').collect();
    assert_eq!(code(lab.command(&run)), Some(0), "the run has its report");
    assert!(lab.path("runs/tiny/one/report/report.txt").is_file());
    let (read, _) = shell(&lab, "{ emorun nodes; echo $? > code; } | true; cat code");
    assert_eq!(read, Some(0));
    assert_eq!(std::fs::read_to_string(lab.path("code")).unwrap().trim(), "0");
}

#[test]
fn hanging_up_is_an_interrupt_unless_nohup_was_asked_for() {
    // These tests may run under `nohup` themselves.
    let default = ["env", "--default-signal=HUP"];
    let knows = Command::new(default[0]).args([default[1], "true"]).status();
    if !knows.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this `env` sets no signals");
        return;
    }
    let default = default.join(" ");
    for (nohup, label) in [
        (format!("{default} "), "heeded"),
        (format!("{default} nohup "), "ignored"),
    ] {
        let lab = Lab::new();
        let metrics = lab.path("runs/tiny/one/metrics.jsonl");
        let line = format!(
            "exec {nohup}'{}' run crnn.yaml --run-label one --set training.epochs=30 >out 2>&1",
            env!("CARGO_BIN_EXE_emorun")
        );
        let mut child = lab.program("sh").args(["-c", &line]).spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !std::fs::read(&metrics).is_ok_and(|bytes| bytes.len() > 100) {
            assert!(std::time::Instant::now() < deadline, "{label}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        crate::support::signal(&child, "HUP");
        let code = child.wait().unwrap().code();
        let status = json(lab.path("runs/tiny/one/run.json"))["status"].clone();
        let expected = if label == "heeded" {
            (Some(130), "interrupted")
        } else {
            (Some(0), "completed")
        };
        assert_eq!((code, status.as_str().unwrap()), expected, "{label}");
    }
}

#[test]
fn a_file_is_given_to_the_command_that_takes_it() {
    let lab = Lab::new();
    lab.write(
        "sweep.yaml",
        "name: two\nruns: [{ label: one, experiment: crnn.yaml }]\n",
    );
    lab.write(
        "corpus.yaml",
        "name: corpus\noutput: corpus\ndatasets: { synthetic: { kind: synthetic } }\n",
    );
    // The right command is found by itself.
    assert_eq!(lab.emorun(&["sweep.yaml", "--check"]).stdout, "1 runs, all valid\n");
    assert_eq!(lab.emorun(&["corpus.yaml", "--check"]).stdout, "corpus.yaml is valid\n");
    assert_eq!(
        lab.emorun(&["--message-format", "json", "sweep.yaml", "--check"]).code,
        0
    );
    for (arguments, part) in [
        (
            &["run", "sweep.yaml"][..],
            "sweep.yaml is a model_runs file (a sweep), not an experiment: give it to `emorun sweep sweep.yaml`",
        ),
        (&["check", "sweep.yaml"], "give it to `emorun sweep sweep.yaml`"),
        (
            &["run", "corpus.yaml"],
            "corpus.yaml is a preparation file, not an experiment: give it to `emorun data prepare corpus.yaml`",
        ),
        (
            &["sweep", "crnn.yaml"],
            "crnn.yaml is an experiment, not a model_runs file (a sweep): give it to `emorun run crnn.yaml`",
        ),
        (&["data", "prepare", "crnn.yaml"], "give it to `emorun run crnn.yaml`"),
        // No command, and no file either.
        (&["predikt", "runs/x"], "unrecognized subcommand 'predikt'"),
        (&["rnu", "crnn.yaml"], "unrecognized subcommand 'rnu'"),
    ] {
        let outcome = lab.emorun(arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(part), "{arguments:?}: {}", outcome.stderr);
    }
}
