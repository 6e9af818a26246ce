//! What is sent, and what becomes of answers.

use std::fs;
use std::path::Path;

use emorun_fetch::Network;
use emorun_mlflow::{Credentials, Exported, MlflowError, Server, export};
use indexmap::IndexMap;
use serde_json::json;

use crate::made::{EPOCHS, catalogue, note, runs};
use crate::stub::{Manner, Stub};

fn exported(stub: &Stub, folder: &Path, name: &str) -> Result<IndexMap<String, Exported>, MlflowError> {
    let server = Server::new(&format!("{}/", stub.address), &Credentials::None, &Network::default()).unwrap();
    let catalogue = catalogue(folder);
    export(&server, &catalogue, catalogue.find(name).unwrap())
}

fn refusal(manner: Manner) -> String {
    let folder = runs();
    exported(&Stub::start(manner), folder.path(), "study/long")
        .unwrap_err()
        .to_string()
}

#[test]
fn a_run_is_sent_whole_in_batches_that_servers_take() {
    let (stub, folder) = (Stub::start(Manner::default()), runs());
    let found = exported(&stub, folder.path(), "study/long").unwrap();
    let own = &found["study/long"];
    assert!(own.is_new && own.remarks.is_empty(), "{own:?}");
    // Loss, UAR but for one epoch, and seconds of two sides; the epoch of one; three results of the test side.
    let points = (EPOCHS * 7 - 2 + 2) as usize;
    assert_eq!((own.points, own.params), (points, 154));
    let state = stub.state.lock().unwrap();
    assert_eq!(state.metrics.len(), points);
    let at = |key: &str, step: u64| {
        let is_it = |(_, metric): &&(String, serde_json::Value)| metric["key"] == key && metric["step"] == step;
        state.metrics.iter().find(is_it).map(|(_, metric)| metric)
    };
    let loss = at("validation/loss", 12).unwrap();
    assert_eq!(
        (&loss["value"], &loss["timestamp"]),
        (&json!(0.5), &json!(1_767_261_602_500_i64))
    );
    assert!(
        at("validation/emotion.uar", 18).is_none(),
        "what is not defined is not sent"
    );
    assert_eq!(at("emotion.uar", 6 * EPOCHS).unwrap()["value"], 0.625);
    let run = &state.runs[0];
    assert_eq!(
        (&run["status"], &run["started"], &run["ended"]),
        (
            &json!("FINISHED"),
            &json!(1_767_261_600_000_i64),
            &json!(1_767_265_200_000_i64)
        )
    );
    let params = &run["params"];
    assert_eq!(
        (&params["heads.an/gry _b_"], &params["heads.an_gry _b_"]),
        (&json!("1"), &json!("2"))
    );
    assert_eq!(params["description"].as_str().unwrap().chars().count(), 6000);
    let tags = &run["tags"];
    assert_eq!(
        (&tags["emorun.tag.good"], &tags["mlflow.note.content"]),
        (&json!("true"), &json!("by hand"))
    );
    let mut files: Vec<&str> = state.files.iter().map(|(name, _)| name.as_str()).collect();
    files.sort_unstable();
    let expected = [
        "experiment.yaml",
        "metrics.jsonl",
        "report/a%20b%25c.csv",
        "report/confusion.an_gry.test.svg",
        "report/report.txt",
        "run.json",
        "summary.json",
    ];
    assert_eq!(
        files,
        expected.map(|name| format!("0/r0/artifacts/{name}")),
        "no recordings"
    );
}

#[test]
fn a_second_export_adds_what_is_new_and_doubles_nothing() {
    let (stub, folder) = (Stub::start(Manner::default()), runs());
    exported(&stub, folder.path(), "study/long").unwrap();
    let before = stub.state.lock().unwrap().metrics.clone();
    let again = exported(&stub, folder.path(), "study/long").unwrap();
    let own = &again["study/long"];
    assert_eq!((own.is_new, own.points, own.params, own.files), (false, 0, 0, 7));
    {
        let state = stub.state.lock().unwrap();
        assert_eq!((state.runs.len(), state.files.len(), &state.metrics), (1, 7, &before));
    }
    // It was resumed, with another setting, and is thought of otherwise.
    let long = folder.path().join("study/long");
    let journal = fs::read_to_string(long.join("metrics.jsonl")).unwrap();
    let whole = journal.rfind('\n').unwrap() + 1;
    let line = json!({ "step": 4206, "epoch": 701, "split": "validation", "loss": 0.25, "wall": { "time": 1.0 } });
    fs::write(long.join("metrics.jsonl"), format!("{}{line}\n", &journal[..whole])).unwrap();
    let record = fs::read_to_string(long.join("run.json"))
        .unwrap()
        .replace("\"s3\":3", "\"s3\":4");
    fs::write(long.join("run.json"), record).unwrap();
    note(&long, &["bad"], "");
    let changed = exported(&stub, folder.path(), "study/long").unwrap();
    let own = &changed["study/long"];
    // The results of the test side stand at the last step.
    assert_eq!((own.points, own.params, own.remarks.len()), (3, 0, 1));
    assert!(own.remarks[0].ends_with(": many.s3"), "{:?}", own.remarks);
    let state = stub.state.lock().unwrap();
    let tags = state.runs[0]["tags"].as_object().unwrap();
    assert!(tags.contains_key("emorun.tag.bad") && !tags.contains_key("emorun.tag.good"));
    assert!(!tags.contains_key("mlflow.note.content"));
}

#[test]
fn members_are_runs_within_their_parents() {
    let (stub, folder) = (Stub::start(Manner::default()), runs());
    let found = exported(&stub, folder.path(), "study/folds").unwrap();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["study/folds", "study/folds/fold-1", "study/folds/fold-2"]
    );
    exported(&stub, folder.path(), "study/folds/fold-2").unwrap();
    let state = stub.state.lock().unwrap();
    let above: Vec<Option<&str>> = state
        .runs
        .iter()
        .map(|run| run["tags"]["mlflow.parentRunId"].as_str())
        .collect();
    assert_eq!(above, [None, Some("r0"), Some("r0")]);
}

#[test]
fn values_that_an_old_server_finds_too_long_are_cut_once_more_and_are_no_change_then() {
    let manner = Manner {
        param: 500,
        ..Manner::default()
    };
    let (stub, folder) = (Stub::start(manner), runs());
    for params in [154, 0] {
        let found = exported(&stub, folder.path(), "study/long").unwrap();
        let own = &found["study/long"];
        assert_eq!((own.params, own.remarks.len()), (params, 0));
    }
}

#[test]
fn files_stay_here_where_the_server_does_not_take_them() {
    for artifacts in ["s3://bucket/RUN", "mlflow-artifacts://elsewhere:80/RUN", ""] {
        let manner = Manner {
            artifacts,
            ..Manner::default()
        };
        let (stub, folder) = (Stub::start(manner), runs());
        let found = exported(&stub, folder.path(), "study/long").unwrap();
        assert_eq!(found["study/long"].files, 0);
        assert!(found["study/long"].remarks[0].contains("--serve-artifacts"));
    }
}

#[test]
fn credentials_are_sent_as_mlflows_own_client_does_and_never_told() {
    let folder = runs();
    let password = Credentials::Password {
        user: "ada".to_owned(),
        password: "s3cret".to_owned(),
    };
    for (credentials, expected) in [
        (Credentials::None, None),
        (Credentials::Token("t0ken".to_owned()), Some("Bearer t0ken")),
        (password, Some("Basic YWRhOnMzY3JldA==")),
    ] {
        let stub = Stub::start(Manner::default());
        let server = Server::new(&stub.address, &credentials, &Network::default()).unwrap();
        let catalogue = catalogue(folder.path());
        export(&server, &catalogue, catalogue.find("study/folds/fold-1").unwrap()).unwrap();
        let requests = stub.requests();
        assert!(requests.iter().any(|request| request.method == "PUT"));
        assert!(
            requests
                .iter()
                .all(|request| request.authorization.as_deref() == expected)
        );
        assert!(!format!("{credentials:?}").contains("s3cret") && !format!("{credentials:?}").contains("t0ken"));
    }
}

#[test]
fn refusals_say_what_the_server_says_and_what_helps() {
    let always = |status, text| Manner {
        always: Some((status, text)),
        ..Manner::default()
    };
    let denied = refusal(always(401, "You are not authenticated."));
    assert!(
        denied.contains("401, You are not authenticated.") && denied.contains("MLFLOW_TRACKING_TOKEN"),
        "{denied}"
    );
    let message = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no\u001b[31m such"}"#;
    let wrong = refusal(always(400, message));
    assert!(
        wrong.contains("find the experiment: 400, no") && !wrong.contains('\u{1b}'),
        "{wrong}"
    );
    let other = refusal(always(200, "<html>"));
    assert!(other.contains("does not answer as an MLflow server"), "{other}");
    let other = refusal(always(200, "{}"));
    assert!(other.contains("the answer lacks /experiment/experiment_id"), "{other}");
    let moved = refusal(always(302, ""));
    assert!(moved.contains("302; give the address that it redirects to"), "{moved}");
    let deleted = refusal(Manner {
        stage: "deleted",
        ..Manner::default()
    });
    assert!(
        deleted.contains("mlflow experiments restore --experiment-id 7"),
        "{deleted}"
    );
}

#[test]
fn nobody_there_and_no_address_are_told() {
    let folder = runs();
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let server = Server::new(&gone, &Credentials::None, &Network::default()).unwrap();
    let catalogue = catalogue(folder.path());
    let error = export(&server, &catalogue, catalogue.find("study/long").unwrap()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("no answer from the MLflow server at {gone}")),
        "{error}"
    );
    for (address, problem) in [
        ("sqlite:///x.db", "http://"),
        ("https://", "names no server"),
        ("http://ada:s3cret@host", "holds a password"),
        ("http://host/?a=b", "has parts"),
    ] {
        let error = Server::new(address, &Credentials::None, &Network::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(problem) && !error.contains("s3cret"), "{error}");
    }
}
