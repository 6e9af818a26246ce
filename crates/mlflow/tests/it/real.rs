//! What MLflow's own client reads from MLflow's own server.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use emorun_fetch::Network;
use emorun_mlflow::{Credentials, Server, export};
use serde_json::{Value, json};

use crate::made::{EPOCHS, catalogue, runs};

/// The exit status by which `real_server.py` says that the package is missing.
const NO_PACKAGE: i32 = 77;

/// The server, which ends with its stdin.
struct Real {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Real {
    /// `None`, with the reason printed, where there is none.
    fn start(folder: &Path) -> Option<Self> {
        let python = std::env::var("EMORUN_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real_server.py");
        let mut command = Command::new(&python);
        command
            .arg(script)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: cannot start {python}: {error}");
                return None;
            }
        };
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        answers.read_line(&mut address).unwrap();
        if !address.starts_with("http") {
            assert_eq!(child.wait().unwrap().code(), Some(NO_PACKAGE));
            println!("skipped: {python} lacks the mlflow package (set EMORUN_PYTHON to one that has it): {address}");
            return None;
        }
        Some(Self {
            child,
            answers,
            address: address.trim().to_owned(),
        })
    }

    fn read(&mut self, experiment: &str) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{experiment}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn mlflow_itself_reads_a_run_once_however_often_it_was_exported() {
    let (folder, place) = (runs(), tempfile::tempdir().unwrap());
    let Some(mut real) = Real::start(place.path()) else {
        return;
    };
    let server = Server::new(&real.address, &Credentials::None, &Network::default()).unwrap();
    let catalogue = catalogue(folder.path());
    let mut first = None;
    for _ in 0..2 {
        for name in ["study/long", "study/folds"] {
            export(&server, &catalogue, catalogue.find(name).unwrap()).unwrap();
        }
        let read = real.read("study");
        assert_eq!(*first.get_or_insert_with(|| read.clone()), read);
    }
    let read = first.unwrap();
    let read = read.as_array().unwrap();
    assert_eq!(read.len(), 4);
    let of = |name: &str| read.iter().find(|run| run["name"] == name).unwrap();
    let run = of("study/long");
    assert_eq!(
        (&run["status"], &run["start"], &run["end"]),
        (
            &json!("FINISHED"),
            &json!(1_767_261_600_000_i64),
            &json!(1_767_265_200_000_i64)
        )
    );
    let losses = run["history"]["validation/loss"].as_array().unwrap();
    assert_eq!(losses.len(), EPOCHS as usize);
    assert!(losses.contains(&json!([12, 1_767_261_602_500_i64, 0.5])), "{losses:?}");
    assert_eq!(
        run["history"]["emotion.uar"],
        json!([[6 * EPOCHS, 1_767_265_200_000_i64, 0.625]])
    );
    assert_eq!(run["params"]["heads.an/gry _b_"], "1");
    assert_eq!(run["params"]["description"].as_str().unwrap().chars().count(), 6000);
    assert_eq!(
        (&run["tags"]["emorun.tag.good"], &run["tags"]["emorun.id"]),
        (&json!("true"), &json!("11"))
    );
    let files = run["files"].as_array().unwrap();
    for name in ["resolved.yaml", "report/misclassified", "report/index.html"] {
        assert!(!files.contains(&json!(name)), "{files:?}");
    }
    assert!(
        files.contains(&json!("report/a b%c.csv")) && files.contains(&json!("run.json")),
        "{files:?}"
    );
    let parent = &of("study/folds/fold-2")["tags"]["mlflow.parentRunId"];
    assert!(parent.as_str().is_some_and(|id| id.len() == 32), "{parent}");
}
