//! `emorun runs` and `emorun verify` on runs that emorun itself has trained.

use std::fs;

use serde_json::Value;

use crate::support::Lab;

/// Two runs over the same test items, and a run of two seeds.
fn trained() -> Lab {
    let lab = Lab::new();
    for (label, set) in [
        ("one", "seed=7"),
        ("two", "training.optimizer.lr=5.0e-3"),
        ("seeds", "training.seeds=[1, 2]"),
    ] {
        lab.run(&[
            "crnn.yaml",
            "--run-label",
            label,
            "--set",
            set,
            "--set",
            "training.epochs=1",
        ]);
    }
    lab
}

/// One story on the same runs, whose training is most of its time: each step changes what the next one finds.
#[test]
fn runs_are_listed_compared_put_away_and_verified_and_tampering_is_found() {
    let lab = trained();
    let list = |more: &[&str]| -> Value {
        let outcome = lab.emorun(&[&["runs", "--format", "json"], more].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    };
    let labels = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["label"].as_str().unwrap().to_owned()).collect()
    };
    // In the order of their starts, of which several may be in one second.
    let mut all = labels(&list(&["--without-members"]));
    all.sort();
    assert_eq!(all, ["one", "seeds", "two"]);
    assert_eq!(labels(&list(&["--filter", "kind == member"])), ["seed-1", "seed-2"]);
    let found = list(&["--filter", "status == completed && training.optimizer.lr > 3e-3"]);
    assert_eq!(labels(&found), ["two"]);
    assert_eq!(
        found[0]["spread"]["emotion.uar"],
        Value::Null,
        "one speaker has no interval"
    );
    let wrong = lab.emorun(&["runs", "--filter", "status = completed"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong
            .stderr
            .contains("equality is written `==`\n  status = completed\n         ^"),
        "{}",
        wrong.stderr
    );

    let diff = lab.emorun(&["runs", "diff", "one", "two"]);
    assert_eq!(diff.code, 0, "{}", diff.stderr);
    for part in [
        "training.optimizer.lr",
        "6 shared test items of 1 speaker(s)",
        "McNemar",
    ] {
        assert!(diff.stdout.contains(part), "{part}\n{}", diff.stdout);
    }
    let best = lab.emorun(&["runs", "best", "--metric", "emotion.uar"]);
    assert!(best.last_line().starts_with("runs/tiny/"), "{}", best.stdout);
    let page = lab.emorun(&["runs", "report", "one", "two", "seeds"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    assert!(
        fs::read_to_string(lab.path("runs.html"))
            .unwrap()
            .matches("<svg")
            .count()
            > 2
    );
    assert_eq!(
        lab.emorun(&["runs", "report", "one", "two"]).code,
        5,
        "a page is not overwritten"
    );

    assert_eq!(lab.emorun(&["runs", "tag", "runs/tiny/one", "paper"]).stdout, "paper\n");
    assert_eq!(labels(&list(&["--filter", "tag == paper"])), ["one"]);
    assert_eq!(lab.emorun(&["runs", "rm", "one"]).code, 0);
    assert!(!lab.path("runs/tiny/one").exists());
    assert_eq!(lab.emorun(&["runs", "undo"]).stdout, "tiny/one\n");

    for (run, claims) in [("runs/tiny/one", 9), ("runs/tiny/seeds", 16)] {
        let verified = lab.emorun(&["verify", run, "--deep"]);
        assert_eq!(verified.code, 0, "{}\n{}", verified.stdout, verified.stderr);
        let proven = verified
            .stdout
            .lines()
            .filter(|line| line.starts_with("proven: "))
            .count();
        assert!(proven >= claims, "{}", verified.stdout);
        assert!(!verified.stdout.contains("not provable"), "{}", verified.stdout);
    }
    let csv = lab.path("runs/tiny/one/report/predictions.emotion.csv");
    let text = fs::read_to_string(&csv).unwrap();
    let row = text.lines().find(|line| line.contains(",test,")).unwrap();
    let (front, probabilities) = row.split_at(row.match_indices(',').nth(5).unwrap().0);
    let other = probabilities.replacen("0.5", "0.50", 1).replacen("0.4", "0.40", 1);
    fs::write(&csv, text.replace(row, &format!("{front}{other}"))).unwrap();
    let found = lab.emorun(&["verify", "runs/tiny/one", "--deep"]);
    assert_eq!(found.code, 4, "{}", found.stdout);
    assert!(
        found
            .stdout
            .contains("CONTRADICTED: predictions follow from the weights"),
        "{}",
        found.stdout
    );
    fs::write(&csv, text).unwrap();

    // A speaker from the training side to the test side, in record and predictions alike.
    let record = lab.path("runs/tiny/one/run.json");
    let text = fs::read_to_string(&record).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["certificate"]["hash"] = Value::String("0".repeat(64));
    fs::write(&record, value.to_string()).unwrap();
    let found = lab.emorun(&["verify", "runs/tiny/one"]);
    assert_eq!(found.code, 4, "{}", found.stdout);
    assert!(
        found.stdout.contains("CONTRADICTED: items, labels, splits"),
        "{}",
        found.stdout
    );
}
