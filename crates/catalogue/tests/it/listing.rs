//! Lists of runs, also of broken ones, and the index behind them.

use std::fs;
use std::path::Path;

use emorun_catalogue::{Catalogue, CatalogueError, Listing, Request};
use serde_json::{Value, json};

use crate::made::Made;

fn rows(root: &Path, request: &Request) -> Vec<Value> {
    let catalogue = Catalogue::read(root).unwrap();
    let text = Listing::of(&catalogue, request).unwrap().json();
    serde_json::from_str(&text).unwrap()
}

fn places(root: &Path, request: &Request) -> Vec<String> {
    let rows = rows(root, request);
    rows.iter()
        .map(|row| row["place"].as_str().unwrap().to_owned())
        .collect()
}

fn filtered(filter: &str) -> Request {
    Request {
        filter: Some(filter.to_owned()),
        ..Request::default()
    }
}

/// Three runs of an experiment, and one of another.
fn some(root: &Path) {
    for (at, (place, uar)) in [("a/one", 0.6), ("a/two", 0.8), ("a/three", 0.7), ("b/one", 0.75)]
        .into_iter()
        .enumerate()
    {
        let run = Made {
            seed: at as u64,
            lr: 1e-4 * 10f64.powi(at as i32 % 3),
            status: if at == 2 { "failed" } else { "completed" },
            ..Made::new(place, uar)
        };
        run.write(root);
    }
}

#[test]
fn runs_are_filtered_by_results_settings_and_facts_and_sorted_with_what_lacks_a_value_last() {
    let folder = tempfile::tempdir().unwrap();
    some(folder.path());
    let all = places(folder.path(), &Request::default());
    assert_eq!(all, ["a/one", "a/two", "a/three", "b/one"], "by their starts");
    let cases: [(&str, &[&str]); 9] = [
        ("status == completed && emotion.uar > 0.7", &["a/two", "b/one"]),
        ("training.optimizer.lr < 5e-4", &["a/one", "b/one"]),
        ("experiment == a && !(status == failed)", &["a/one", "a/two"]),
        ("validation.emotion.uar >= 0.81", &["a/two"]),
        ("emotion.uar == null", &["a/three"]),
        ("config.seed == 3 || label ~ TW", &["a/two", "b/one"]),
        ("started < 2026-01-01T10:01", &["a/one"]),
        ("emotion.uar", &["a/one", "a/two", "b/one"]),
        ("status > 3", &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(places(folder.path(), &filtered(filter)), expected, "{filter}");
    }
    let sorted = |sort: &str| {
        let request = Request {
            sort: Some(sort.to_owned()),
            ..Request::default()
        };
        places(folder.path(), &request)
    };
    assert_eq!(sorted("-emotion.uar"), ["a/two", "b/one", "a/one", "a/three"]);
    assert_eq!(sorted("emotion.uar"), ["a/one", "b/one", "a/two", "a/three"]);
    assert_eq!(sorted("label,-experiment"), ["b/one", "a/one", "a/three", "a/two"]);
}

#[test]
fn a_name_that_no_run_has_is_told_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    some(folder.path());
    let catalogue = Catalogue::read(folder.path()).unwrap();
    for request in [
        filtered("emotion.uaar > 0.5"),
        Request {
            metric: Some("emotion.uaar".to_owned()),
            ..Request::default()
        },
    ] {
        let error = Listing::of(&catalogue, &request).unwrap_err().to_string();
        assert_eq!(error, "no run has `emotion.uaar`; did you mean `emotion.uar`?");
    }
    let error = catalogue.find("a/oen").unwrap_err().to_string();
    assert!(error.contains("did you mean `a/one`?"), "{error}");
    let error = catalogue.find("one").unwrap_err().to_string();
    assert!(error.contains("a/one or b/one"), "{error}");
    assert_eq!(catalogue.find("two").unwrap().place, "a/two");
    assert_eq!(
        catalogue
            .find(&folder.path().join("a/two/").display().to_string())
            .unwrap()
            .place,
        "a/two"
    );
}

#[test]
fn a_table_shows_results_with_how_sure_they_are_and_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    some(folder.path());
    let summary = folder.path().join("a/two/summary.json");
    let mut found: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    found["intervals"] = json!({
        "validation": { "emotion": { "uar": { "low": 0.1, "high": 0.2 } } },
        "test": { "emotion": { "uar": { "low": 0.71, "high": 0.86 } } },
    });
    fs::write(&summary, found.to_string()).unwrap();
    let catalogue = Catalogue::read(folder.path()).unwrap();
    let table = Listing::of(&catalogue, &Request::default()).unwrap().table();
    let line = table.lines().find(|line| line.starts_with("two")).unwrap();
    for part in [
        "completed",
        "80.00 % (71.00 to 86.00)",
        "12.5 s",
        "cpu",
        " lr=0.001",
        "seed=1",
    ] {
        assert!(line.contains(part), "{part}\n{table}");
    }
    assert!(
        !table.contains("epochs"),
        "what is the same everywhere is not shown\n{table}"
    );
    let alone = table.lines().find(|line| line.contains("75.00 %")).unwrap();
    assert!(
        !alone.contains('='),
        "nothing differs within an experiment of one run\n{table}"
    );
}

#[test]
fn members_stand_below_their_run_and_runs_below_their_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let parent = Made::new("a/folds", 0.7).write(folder.path());
    let mut record = Made::new("a/folds", 0.7).record();
    record["members"] = json!(["fold-1/seed-1", "fold-2/seed-1", "../../outside", "/etc"]);
    record["seed"] = Value::Null;
    fs::write(parent.join("run.json"), record.to_string()).unwrap();
    let mean = json!({ "n": 2, "heads": { "emotion": { "uar": 0.05 } } });
    let pooled = json!({ "status": "completed", "mean": mean, "sd": mean, "pooled": { "n": 16, "heads": { "emotion": { "uar": 0.7 } } } });
    fs::write(parent.join("summary.json"), pooled.to_string()).unwrap();
    for fold in ["fold-1", "fold-2"] {
        Made::new(&format!("a/folds/{fold}/seed-1"), 0.65).write(folder.path());
    }
    Made::new("sweep/s/low", 0.5).write(folder.path());
    fs::write(folder.path().join("sweep/s/sweep.yaml"), "name: sweep\n").unwrap();
    let catalogue = Catalogue::read(folder.path()).unwrap();
    let table = Listing::of(&catalogue, &Request::default()).unwrap().table();
    let names: Vec<&str> = table
        .lines()
        .skip(1)
        .map(|line| line.split("  a").next().unwrap_or(line))
        .collect();
    assert!(table.contains("70.00 % ± 5.00"), "{table}");
    let begins = ["folds ", "  fold-1/seed-1", "  fold-2/seed-1", "s ", "  low"];
    for begin in begins {
        assert!(table.lines().any(|line| line.starts_with(begin)), "{begin:?}\n{table}");
    }
    assert_eq!(names.len(), begins.len(), "{table}");
    let request = Request {
        without_members: true,
        ..Request::default()
    };
    assert_eq!(places(folder.path(), &request), ["a/folds", "sweep/s", "sweep/s/low"]);
    assert_eq!(
        places(folder.path(), &filtered("kind == member && emotion.uar < 0.7")).len(),
        2
    );
    let member = catalogue.find("a/folds/fold-1/seed-1").unwrap();
    assert!(
        catalogue
            .settings_of(member)
            .iter()
            .any(|(path, _)| *path == "training.optimizer.lr")
    );
}

#[test]
fn broken_runs_are_rows_that_say_so_and_hide_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    some(root);
    let write = |place: &str, text: &str| {
        let path = root.join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("a/half/resolved.yaml", "name: a\n");
    write("a/cut/run.json", "{\"status\": \"comp");
    write("a/list/run.json", "[]");
    write(
        "a/newer/run.json",
        r#"{ "status": "paused", "name": "a", "of_a_later_version": { "x": [1] } }"#,
    );
    Made::new("a/summary", 0.7).write(root);
    write(
        "a/summary/summary.json",
        r#"{"splits": {"test": {"n": 3, "heads": {"emotion": {"uar": NaN}}}}}"#,
    );
    Made::new("a/notes", 0.7).write(root);
    write("a/notes/notes.json", "{\"tags\": 3}");
    write("not/a/run/readme.txt", "nothing");
    let hostile = "a/<script>alert(1)<\u{8}\"'";
    let is_made = fs::create_dir_all(root.join(hostile)).is_ok();
    if is_made {
        Made::new(hostile, 0.7).write(root);
    }
    fs::create_dir(root.join("a/run.json-folder")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root, root.join("a/loop")).unwrap();
        std::os::unix::fs::symlink("self", root.join("self")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.join("gone")).unwrap();
        fs::create_dir(root.join("a/pipe")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(root.join("a/pipe/run.json"))
            .status();
        assert!(made.unwrap().success());
    }
    for _ in 0..2 {
        let catalogue = Catalogue::read(root).unwrap();
        let table = Listing::of(&catalogue, &Request::default()).unwrap().table();
        let said = |place: &str| {
            let lines: Vec<&str> = table
                .lines()
                .filter(|line| line.starts_with(&format!("{place}: ")))
                .collect();
            assert_eq!(lines.len(), 1, "{place}\n{table}");
            lines[0].to_owned()
        };
        assert!(said("a/half").contains("stopped before it began"), "{table}");
        assert!(said("a/cut").contains("run.json: EOF"), "{table}");
        assert!(said("a/list").contains("run.json: "), "{table}");
        assert!(said("a/summary").contains("summary.json: "), "{table}");
        assert!(said("a/notes").contains("notes.json: "), "{table}");
        #[cfg(unix)]
        assert!(said("a/pipe").contains("not a file"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("newer") && line.contains("paused")),
            "{table}"
        );
        assert!(!table.contains("not/a/run") && !table.contains("loop"), "{table}");
        assert!(!table.contains('\u{8}'), "{table}");
        let completed = places(root, &filtered("experiment == a && status == completed && !problem"));
        assert!(completed.contains(&"a/one".to_owned()) && completed.contains(&"a/two".to_owned()));
        let csv = Listing::of(&catalogue, &Request::default()).unwrap().csv();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.records().map(Result::unwrap).count(), catalogue.runs.len());
    }
    let error = Catalogue::read(&root.join("a/one")).unwrap_err();
    assert!(matches!(error, CatalogueError::IsRun(_)), "{error}");
    assert!(matches!(
        Catalogue::read(&root.join("no")).unwrap_err(),
        CatalogueError::NoFolder(_)
    ));
}

#[test]
fn an_index_changes_nothing_whatever_becomes_of_it_or_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    some(root);
    let index = root.join(".emorun-index.json");
    // Files of long ago are known by their stamps.
    let age = || {
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        for place in ["a/one", "a/two", "a/three", "b/one"] {
            for name in ["run.json", "summary.json"] {
                if let Ok(file) = fs::File::options().write(true).open(root.join(place).join(name)) {
                    file.set_modified(time).unwrap();
                }
            }
        }
    };
    age();
    let first = rows(root, &Request::default());
    assert!(index.is_file());
    assert_eq!(rows(root, &Request::default()), first, "from the index");
    let whole = fs::read(&index).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped
        .windows(5)
        .position(|part| part == b"0.751")
        .or_else(|| flipped.windows(4).position(|part| part == b"0.75"));
    flipped[middle.unwrap() + 2] = b'9';
    for bytes in [
        b"".to_vec(),
        b"{}".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        flipped,
        vec![0; 100],
    ] {
        fs::write(&index, bytes).unwrap();
        assert_eq!(rows(root, &Request::default()), first);
        assert_eq!(fs::read(&index).unwrap().len(), whole.len(), "it is made anew");
    }
    // Another run in its place, of the same size and time.
    let time = fs::metadata(root.join("a/one/summary.json"))
        .unwrap()
        .modified()
        .unwrap();
    let text = fs::read_to_string(root.join("a/one/summary.json"))
        .unwrap()
        .replace("0.6,", "0.3,");
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(root.join("a/one/summary.json"), text).unwrap();
    let file = fs::File::options()
        .write(true)
        .open(root.join("a/one/summary.json"))
        .unwrap();
    file.set_modified(time).unwrap();
    assert_eq!(rows(root, &Request::default())[0]["metrics"]["emotion.uar"], 0.3);
    fs::remove_dir_all(root.join("a/two")).unwrap();
    assert_eq!(places(root, &Request::default()), ["a/one", "a/three", "b/one"]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let _ = fs::remove_file(&index);
                    places(root, &Request::default()).len()
                })
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 3));
    });
    assert_eq!(fs::read_dir(root).unwrap().count(), 3, "no draft of an index is left");
}

#[test]
fn what_another_program_has_entered_is_listed_and_what_emorun_wrote_is_not_listed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    some(root);
    fs::create_dir_all(root.join("elsewhere/logs")).unwrap();
    let tracker = "\
# Written by emorun
runs:
- label: one
  log_dir: runs/a/one
  experiment: a
  status: completed
- label: gone
  log_dir: runs/a/gone
  experiment: a
  status: completed
- label: 'theirs: <b>'
  log_dir: elsewhere/logs
  optimizer: { lr: 1.0e-3 }
- {label: lost, log_dir: nowhere}
";
    fs::write(root.join("model_runs.yaml"), tracker).unwrap();
    let all = rows(root, &Request::default());
    let entered: Vec<&Value> = all.iter().filter(|row| row["kind"] == "entered").collect();
    assert_eq!(entered.len(), 2, "{entered:#?}");
    assert_eq!(entered[0]["label"], "lost");
    assert_eq!(entered[0]["problems"][0], "its log_dir nowhere is not there");
    assert_eq!(entered[1]["place"], "theirs: <b>");
    assert!(entered[1]["dir"].as_str().unwrap().ends_with("elsewhere/logs"));
    assert_eq!(all.len(), 6);
    fs::write(root.join("model_runs.yaml"), "runs: [\n").unwrap();
    let all = rows(root, &Request::default());
    assert!(
        all[4]["problems"][0].as_str().unwrap().contains("model_runs.yaml"),
        "{all:#?}"
    );
    assert_eq!(all.len(), 5);
}
