//! `emorun eval`: a run measured again on its own data and on other corpora.

use std::fs;

use serde_json::Value;

use crate::support::{Lab, TINY, json};

/// Runs `emorun eval` on the run and gives its `eval.json` and what it wrote.
fn eval(lab: &Lab, run: &str, more: &[&str]) -> (Value, String) {
    let outcome = lab.emorun(&[&["eval", run], more].concat());
    assert_eq!(outcome.code, 0, "{more:?}\n{}", outcome.stderr);
    let found = json(lab.path(outcome.last_line()).join("eval.json"));
    (found, outcome.stdout)
}

/// What is refused, with its exit code.
fn refused(lab: &Lab, arguments: &[&str], code: i32, words: &[&str]) {
    let outcome = lab.emorun(&[&["eval"], arguments].concat());
    assert_eq!(
        outcome.code, code,
        "{arguments:?}\n{}{}",
        outcome.stdout, outcome.stderr
    );
    for word in words {
        assert!(
            outcome.stderr.contains(word),
            "{arguments:?}: {word}\n{}",
            outcome.stderr
        );
    }
}

/// Test counts of a report.
fn own_counts(report: &Value) -> Value {
    report["sides"]["test"]["classifiers"]["emotion"]["confusion"]["counts"].clone()
}

/// Two mistakes at most are saved where it is asked for, as audio and in a table.
fn assert_misclassified(lab: &Lab, folder: &str, counts: &Value) {
    let table = lab.path(folder).join("misclassified/emotion.csv");
    if !folder.contains("weighted") {
        assert!(!table.exists());
        return;
    }
    let counts: Vec<Vec<u64>> = serde_json::from_value(counts.clone()).unwrap();
    let wrong: u64 = (0..2).map(|truth| counts[truth][1 - truth]).sum();
    let table = fs::read_to_string(table).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split(',').collect()).collect();
    assert_eq!(rows.len() as u64, wrong.min(2), "{table}");
    for row in rows {
        let start = format!("{}_{}_0.", row[4], row[5]);
        assert!(
            row[0].starts_with(&start) && row[0].ends_with(".wav") && row[4] != row[5],
            "{row:?}"
        );
        let audio = fs::read(lab.path(folder).join("misclassified/emotion").join(row[0])).unwrap();
        assert!(audio.starts_with(b"RIFF") && audio.len() > 1000);
    }
}

/// The rows of a file of predictions.
fn rows(lab: &Lab, file: &str) -> Vec<String> {
    let text = fs::read_to_string(lab.path(file)).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_run_is_measured_on_its_own_sides_to_the_bits_of_its_summary() {
    let lab = Lab::new();
    lab.write(
        "weighted.yaml",
        "extends: crnn.yaml\nlosses: { ce: { class_weights: balanced } }\nevaluation: { metrics: [uar, roc_auc, ece], save_misclassified: { max: 2 } }\n",
    );
    for file in TINY.into_iter().chain(["weighted.yaml"]) {
        let label = file.trim_end_matches(".yaml");
        lab.run(&[file, "--run-label", label]);
        let run = format!("runs/tiny/{label}");
        let summary = json(lab.path(&run).join("summary.json"));
        let (found, text) = eval(&lab, &run, &[]);
        assert_eq!(found["splits"].as_object().unwrap().len(), 1);
        assert_eq!(found["splits"]["test"], summary["splits"]["test"], "{file}");
        assert_eq!(
            (&found["own_data"], &found["heard_before"]),
            (&true.into(), &Value::Array(vec![]))
        );
        assert!(
            text.contains("emotion on test: 6 item(s) of 1 known speaker(s)"),
            "{text}"
        );
        // What training wrote at its end is what is found again, without the validation side by what it has fitted there.
        let [report, again] =
            ["report", "eval/test"].map(|folder| json(lab.path(&run).join(folder).join("evaluation.json")));
        assert_eq!(report["sides"]["test"], again["sides"]["test"], "{file}");
        assert_eq!(
            (&report["fits"], &report["run"]),
            (&again["fits"], &again["run"]),
            "{file}"
        );
        assert_eq!(
            report["sides"].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["validation", "test"]
        );
        for head in report["sides"]["test"]["classifiers"].as_object().unwrap().keys() {
            let own = &report["sides"]["test"]["classifiers"][head];
            for (metric, value) in own["metrics"].as_object().unwrap() {
                assert_eq!(
                    value["value"], summary["splits"]["test"]["heads"][head][metric],
                    "{file} {metric}"
                );
            }
            assert_eq!(own["confusion"], summary["splits"]["test"]["heads"][head]["confusion"]);
        }
        for folder in ["report", "eval/test"] {
            assert_misclassified(&lab, &format!("{run}/{folder}"), &own_counts(&report));
        }
        let (all, _) = eval(&lab, &run, &["--split", "all"]);
        assert_eq!(all["splits"], summary["splits"], "{file}");
        assert_eq!(
            rows(&lab, &format!("{run}/eval/all/predictions.emotion.csv")),
            rows(&lab, &format!("{run}/report/predictions.emotion.csv"))
        );
    }
}

#[test]
fn a_member_is_measured_on_the_test_side_of_its_own_fold() {
    let lab = Lab::new();
    lab.run(&[
        "crnn.yaml",
        "--run-label",
        "folds",
        "--set",
        "split={kind: folds, folds: {k: 3}, validation: next_fold}",
        "--set",
        "training.seeds=[1, 2]",
        "--set",
        "training.epochs=1",
    ]);
    for member in ["fold-1/seed-2", "fold-3/seed-1"] {
        let run = format!("runs/tiny/folds/{member}");
        let (found, _) = eval(&lab, &run, &[]);
        let summary = json(lab.path(&run).join("summary.json"));
        assert_eq!(found["splits"]["test"], summary["splits"]["test"], "{member}");
    }
    let whole = json(lab.path("runs/tiny/folds/summary.json"));
    let (found, text) = eval(&lab, "runs/tiny/folds", &[]);
    let test = &found["sides"]["test"];
    for key in ["mean", "sd", "pooled", "seeds", "spread", "members"] {
        assert_eq!(test[key], whole[key], "{key}");
    }
    let over = &test["spread"]["over"]["folds"];
    assert_eq!((&over["folds"], &over["test_to_train"]), (&3.into(), &1.0.into()));
    assert!(
        text.contains("fold-3/seed-2") && text.contains("corrected resampled t"),
        "{text}"
    );
    let member = json(lab.path("runs/tiny/folds/eval/test/fold-3/seed-1/eval.json"));
    assert_eq!(member["splits"]["test"], whole["members"]["fold-3/seed-1"]);
    refused(&lab, &["runs/tiny/folds"], 5, &["--force"]);
    refused(
        &lab,
        &["runs/tiny/folds", "--force", "--weights", "averaged"],
        2,
        &["training.average"],
    );
}

#[test]
fn classes_of_another_corpus_are_the_runs_by_their_names() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "one"]);
    let other =
        "datasets.other={kind: synthetic, seed: 7, speakers: 4, utterances: 3, emotions: [happy, angry, neutral]}";
    let (found, text) = eval(&lab, "runs/tiny/one", &["--set", other]);
    assert_eq!(found["own_data"], false);
    assert_eq!(found["left_out"]["unknown_classes"]["emotion"]["happy"], 12);
    assert_eq!(found["left_out"]["items"], 12);
    assert_eq!(
        found["splits"]["test"]["heads"]["emotion"]["confusion"]["labels"],
        serde_json::json!(["neutral", "angry"])
    );
    assert!(
        text.contains("does not know, whose items it is not measured on: happy (12)"),
        "{text}"
    );
    assert!(!text.contains("HEARD BEFORE"), "{text}");
    // The name of a synthetic item tells its emotion.
    let rows = rows(&lab, "runs/tiny/one/eval/other/predictions.emotion.csv");
    assert_eq!(rows.len(), 24);
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        let named = cells[0].rsplit('/').next().unwrap().split('_').next().unwrap();
        assert_eq!(named, cells[4], "{row}");
    }
    let interval = &found["details"]["test"]["emotion"]["intervals"]["wa"];
    let wa = found["splits"]["test"]["heads"]["emotion"]["wa"].as_f64().unwrap();
    assert!(
        interval["low"].as_f64().unwrap() <= wa && wa <= interval["high"].as_f64().unwrap(),
        "{interval}"
    );
    let genders = found["details"]["test"]["emotion"]["groups"]["gender"]
        .as_object()
        .unwrap();
    let counted: u64 = genders.values().map(|group| group["items"].as_u64().unwrap()).sum();
    assert_eq!((genders.len(), counted), (2, 24));
}

#[test]
fn the_same_people_and_absent_classes_are_told() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "one"]);
    lab.write(
        "angry.yaml",
        "datasets:\n  angry: { kind: synthetic, speakers: 6, utterances: 3, emotions: [angry] }\n",
    );
    let (found, text) = eval(&lab, "runs/tiny/one", &["--data", "angry.yaml"]);
    assert_eq!(
        found["left_out"]["absent_classes"]["emotion"],
        serde_json::json!(["neutral"])
    );
    assert!(text.contains("UAR of present classes"), "{text}");
    let record = json(lab.path("runs/tiny/one/run.json"));
    let speakers = |side: &str| -> Vec<String> {
        let speakers = record["certificate"]["splits"][side]["speakers"].as_object().unwrap();
        speakers.keys().cloned().collect()
    };
    let heard = found["heard_before"].as_array().unwrap();
    let of = |how: &str| heard.iter().find(|heard| heard["how"] == how).unwrap()["speakers"].clone();
    let sorted = |value: Value| {
        let mut names: Vec<String> = serde_json::from_value(value).unwrap();
        names.sort();
        names
    };
    let mut trained = speakers("train");
    trained.sort();
    assert_eq!(sorted(of("trained_on")), trained);
    assert_eq!(sorted(of("selected_on")), speakers("validation"));
    assert!(
        text.contains("HEARD BEFORE: runs/tiny/one was trained on 4 speaker(s) of angry"),
        "{text}"
    );
    // In another order of its classes the run's own corpus is one by its names.
    let (again, _) = eval(
        &lab,
        "runs/tiny/one",
        &[
            "--set",
            "datasets.synthetic.emotions=[angry, neutral]",
            "--out",
            "again",
        ],
    );
    assert_eq!(again["own_data"], false);
    let (all, _) = eval(&lab, "runs/tiny/one", &["--split", "all"]);
    let sum = |cell: (usize, usize)| -> u64 {
        let splits = all["splits"].as_object().unwrap();
        let count = |split: &Value| split["heads"]["emotion"]["confusion"]["counts"][cell.0][cell.1].as_u64();
        splits.values().filter_map(count).sum()
    };
    let counts = &again["splits"]["test"]["heads"]["emotion"]["confusion"]["counts"];
    for cell in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert_eq!(counts[cell.0][cell.1].as_u64(), Some(sum(cell)), "{cell:?}");
    }
}

#[test]
fn a_corpus_that_has_moved_is_the_runs_own() {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion\n".to_owned();
    for (at, speaker) in ["anna", "ben", "carl", "dora"].into_iter().enumerate() {
        for (emotion, period) in [("angry", 8), ("neutral", 20)] {
            let file = format!("{speaker}_{emotion}.wav");
            let samples = (0..4000).map(|time| ((time + at) % period) as i16 * 900);
            lab.write(&format!("audio/{file}"), crate::support::wav(8000, samples));
            table.push_str(&format!("{file},{speaker},{emotion}\n"));
        }
    }
    lab.write("audio/all.csv", table);
    lab.write(
        "files.yaml",
        "extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: { kind: manifest, path: audio/all.csv }\n",
    );
    lab.run(&["files.yaml", "--run-label", "files"]);
    fs::rename(lab.path("audio"), lab.path("moved")).unwrap();
    refused(
        &lab,
        &["runs/tiny/files"],
        4,
        &["audio/all.csv", "--set datasets.NAME.root=FOLDER"],
    );
    let moved = format!("datasets.speech.path={}", lab.path("moved/all.csv").display());
    let (found, _) = eval(&lab, "runs/tiny/files", &["--set", &moved]);
    let summary = json(lab.path("runs/tiny/files/summary.json"));
    assert_eq!(found["own_data"], true);
    assert_eq!(found["splits"]["test"], summary["splits"]["test"]);
    // One recording less is another corpus: it is said, and all of it is measured.
    let table = fs::read_to_string(lab.path("moved/all.csv")).unwrap();
    let shorter: Vec<&str> = table.lines().take(8).collect();
    lab.write("moved/all.csv", shorter.join("\n"));
    let (found, _) = eval(&lab, "runs/tiny/files", &["--set", &moved, "--out", "shorter"]);
    assert_eq!(
        (&found["own_data"], &found["splits"]["test"]["n"]),
        (&false.into(), &7.into())
    );
}

#[test]
fn what_is_heard_of_a_recording_is_its_beginning_as_if_it_were_cut_there() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "one"]);
    let mut table = "path,speaker,emotion\n".to_owned();
    for (at, speaker) in ["anna", "ben", "carl"].into_iter().enumerate() {
        for (emotion, period) in [("angry", 8), ("neutral", 20)] {
            let file = format!("{speaker}_{emotion}.wav");
            let samples = |count| (0..count).map(move |time| ((time * time / 400 + at) % period) as i16 * 900);
            lab.write(&format!("long/{file}"), crate::support::wav(8000, samples(9600)));
            lab.write(&format!("short/{file}"), crate::support::wav(8000, samples(4000)));
            table.push_str(&format!("{file},{speaker},{emotion}\n"));
        }
    }
    for folder in ["long", "short"] {
        lab.write(&format!("{folder}/all.csv"), &table);
        let data = format!("datasets: {{ speech: {{ kind: manifest, path: {folder}/all.csv }} }}\n");
        lab.write(&format!("{folder}.yaml"), data);
    }
    let run = "runs/tiny/one";
    let (short, _) = eval(&lab, run, &["--data", "short.yaml"]);
    let (long, text) = eval(&lab, run, &["--data", "long.yaml", "--heard-seconds", "0.5,2,all"]);
    let heard = &long["heard_seconds"];
    assert_eq!(heard["0.5"]["splits"], short["splits"]);
    assert_eq!(heard["0.5"]["details"], short["details"]);
    assert_eq!(heard["2"]["splits"], long["splits"], "shorter recordings are whole");
    assert_ne!(heard["0.5"]["splits"]["test"]["loss"], long["splits"]["test"]["loss"]);
    assert!(
        text.contains("by what is heard of each recording from its beginning\nheard"),
        "{text}"
    );
    assert_conditions(&lab, run);
    let cut = [run, "--force", "--heard-seconds"];
    refused(&lab, &[&cut[..], &["1"]].concat(), 2, &["generated speech"]);
    refused(
        &lab,
        &[&cut[..], &["0.01", "--data", "long.yaml"]].concat(),
        2,
        &["0.05"],
    );
    refused(&lab, &[&cut[..], &["-1"]].concat(), 2, &[]);
}

/// Noise, codecs and beginnings in all combinations, the same at every time.
fn assert_conditions(lab: &Lab, run: &str) {
    let grid = [
        "--data",
        "long.yaml",
        "--noise-snr",
        "100,-20",
        "--noise-root",
        "short",
        "--codec",
        "g711,2000",
        "--heard-seconds",
        "0.5",
        "--out",
        "noisy",
        "--force",
    ];
    let (found, text) = eval(lab, run, &grid);
    let conditions = found["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 3 * 3 * 2);
    assert_eq!(
        (
            &found["noise"]["files"],
            &found["heard_seconds"]["0.5"]["splits"]["test"]["n"]
        ),
        (&6.into(), &6.into())
    );
    let loss = |snr: Value, codec: Value| {
        let is_own = |result: &&Value| {
            let condition = &result["condition"];
            condition["heard_s"].is_null() && condition["noise_snr_db"] == snr && condition["codec"] == codec
        };
        conditions.iter().find(is_own).unwrap()["metrics"]["log_loss"]["value"]
            .as_f64()
            .unwrap()
    };
    let none = || Value::Null;
    let plain = loss(none(), none());
    assert_eq!(
        plain,
        found["splits"]["test"]["heads"]["emotion"]["log_loss"]
            .as_f64()
            .unwrap()
    );
    assert!(
        (loss(100.0.into(), none()) - plain).abs() < 1e-2,
        "noise below rounding changes little"
    );
    for other in [
        loss((-20.0).into(), none()),
        loss(none(), "g711".into()),
        loss(none(), "2000 Hz".into()),
    ] {
        assert!((other - plain).abs() > 1e-6, "{other} {plain}");
    }
    assert!(text.contains("under each condition\nheard"), "{text}");
    let bytes = || fs::read(lab.path("noisy/conditions.csv")).unwrap();
    let before = bytes();
    eval(lab, run, &grid);
    assert_eq!(before, bytes());
    let plain = [run, "--out", "refused", "--data", "long.yaml"];
    for (more, code, words) in [
        (&["--noise-snr", "10"][..], 2, "--noise-root"),
        (&["--noise-root", "short"], 2, "--noise-snr"),
        (&["--noise-snr", "300", "--noise-root", "short"], 2, "snr"),
        (&["--noise-snr", "10", "--noise-root", "nowhere"], 4, "nowhere"),
        (&["--noise-snr", "10", "--noise-root", "silent"], 4, "silent"),
        (&["--codec", "mp4"], 2, "g711"),
        (&["--codec", "20"], 2, "20"),
    ] {
        lab.write("silent/zero.wav", crate::support::wav(8000, (0..9600).map(|_| 0)));
        refused(lab, &[&plain[..], more].concat(), code, &[words]);
    }
    assert!(!lab.path("refused").exists());
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_reason() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "one"]);
    let one = "runs/tiny/one";
    refused(&lab, &["crnn.yaml"], 2, &["no run directory"]);
    let happy = "datasets.other={kind: synthetic, emotions: [happy, sad]}";
    refused(
        &lab,
        &[one, "--set", happy],
        4,
        &["happy, sad", "neutral, angry", "mapping"],
    );
    refused(
        &lab,
        &[one, "--set", happy, "--split", "test"],
        2,
        &["--split", "all items"],
    );
    refused(&lab, &[one, "--set", "datasets.other={kind: synthetc}"], 3, &[]);
    lab.write("none.yaml", "name: x\n");
    refused(&lab, &[one, "--data", "none.yaml"], 2, &["no `datasets:`"]);
    refused(&lab, &[one, "--set", "seed=8"], 5, &["split"]);
    eval(&lab, one, &[]);
    refused(&lab, &[one], 5, &["--force"]);
    eval(&lab, one, &["--force"]);

    let record = fs::read_to_string(run.join("run.json")).unwrap();
    for (status, words) in [
        ("interrupted", "is interrupted"),
        ("diverged", "has diverged"),
        ("running", "still going on"),
    ] {
        fs::write(
            run.join("run.json"),
            record.replace("\"completed\"", &format!("{status:?}")),
        )
        .unwrap();
        refused(
            &lab,
            &[one, "--out", status],
            5,
            &[words, "emorun resume", "--weights last"],
        );
        let (found, text) = eval(&lab, one, &["--out", status, "--weights", "last"]);
        assert_eq!(found["weights"]["which"], "last");
        assert!(text.contains("is not its result"), "{text}");
    }
    fs::write(run.join("run.json"), &record).unwrap();

    let newest = run.join("checkpoints/step-18/weights.safetensors");
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    for step in fs::read_dir(run.join("checkpoints")).unwrap() {
        fs::write(step.unwrap().path().join("weights.safetensors"), &bytes).unwrap();
    }
    refused(&lab, &[one, "--out", "broken"], 4, &["SHA-256"]);
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    refused(&lab, &[one, "--out", "broken"], 4, &["has no checkpoint"]);
    assert!(!lab.path("broken").exists());
}
