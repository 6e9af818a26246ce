//! What differs between runs, which is the best, and the page that shows them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use emorun_catalogue::{Catalogue, CatalogueError, Comparison, Run, best, report, show};
use serde_json::{Value, json};

use crate::made::Made;

/// Predictions of 16 items by four speakers: `wrong` are the places of those that are not right.
pub fn predictions(root: &str, first: usize, wrong: &[usize]) -> String {
    let mut text = "path,dataset,split,speaker,true,predicted,p_neutral,p_angry\n".to_owned();
    for item in first..first + 16 {
        let angry = item % 2 == 1;
        let says_angry = angry != wrong.contains(&item);
        let name = |angry: bool| if angry { "angry" } else { "neutral" };
        let (neutral, anger) = if says_angry { (0.25, 0.75) } else { (0.75, 0.25) };
        let (truth, said) = (name(angry), name(says_angry));
        let _ = writeln!(
            text,
            "{root}/{item:02}.wav,d,test,d/{:02},{truth},{said},{neutral},{anger}",
            item / 4
        );
    }
    text
}

fn with_predictions(root: &Path, made: &Made, text: &str) {
    let dir = made.write(root);
    fs::create_dir_all(dir.join("report")).unwrap();
    fs::write(dir.join("report/predictions.emotion.csv"), text).unwrap();
}

fn compared(root: &Path, names: &[&str]) -> Result<Comparison, CatalogueError> {
    let catalogue = Catalogue::read(root)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let runs = catalogue.find_all(&names)?;
    Comparison::of(&catalogue, &runs)
}

#[test]
fn only_what_differs_is_shown_and_the_difference_is_tested_on_the_items_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    with_predictions(
        root,
        &Made::new("a/one", 0.6),
        &predictions("x", 0, &[0, 1, 2, 3, 4, 5, 8]),
    );
    let two = Made {
        lr: 2e-3,
        ..Made::new("a/two", 0.8)
    };
    with_predictions(root, &two, &predictions("x", 0, &[0]));
    let found = compared(root, &["a/one", "a/two"]).unwrap();
    assert_eq!(found.settings.keys().collect::<Vec<_>>(), ["training.optimizer.lr"]);
    assert!(found.origin.is_empty() && found.classes.is_empty(), "{found:#?}");
    assert_eq!(found.metrics["emotion.uar"], [Some(0.6), Some(0.8)]);
    let tested = &found.significance[0];
    assert_eq!((tested.shared, tested.unshared, tested.speakers), (16, (0, 0), 4));
    // Of 16 items 9 and 15 are right: scikit-learn's balanced accuracies are 9/16 and 15/16.
    assert!((tested.metrics[0].excess.difference - 0.375).abs() < 1e-12);
    let test = tested.mcnemar.unwrap();
    // statsmodels: mcnemar([[9, 0], [6, 1]], exact=True).pvalue = 0.03125.
    assert_eq!((test.first_alone, test.second_alone), (0, 6));
    assert!((test.p - 0.03125).abs() < 1e-12, "{}", test.p);
    let text = found.text();
    for part in [
        "0.001",
        "0.002",
        "60.00 %",
        "UAR  +37.50 %",
        "McNemar: 0 right in a/one alone, 6 in a/two alone, p = 0.031",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("epochs"), "{text}");
    let same = compared(root, &["a/one", "a/one"]).unwrap_err();
    assert!(matches!(same, CatalogueError::OneRun), "{same}");
}

#[test]
fn runs_over_other_test_sets_are_compared_on_shared_items_which_are_counted_and_not_over_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    with_predictions(root, &Made::new("a/one", 0.6), &predictions("x", 0, &[8, 9]));
    with_predictions(root, &Made::new("a/shifted", 0.6), &predictions("x", 8, &[8]));
    with_predictions(root, &Made::new("a/other", 0.6), &predictions("y", 0, &[]));
    let relabelled = predictions("x", 0, &[]).replace("00.wav,d,test,d/00,neutral", "00.wav,d,test,d/00,angry");
    with_predictions(root, &Made::new("a/relabelled", 0.6), &relabelled);
    let found = compared(root, &["a/one", "a/shifted"]).unwrap();
    let tested = &found.significance[0];
    assert_eq!((tested.shared, tested.unshared), (8, (8, 8)));
    let text = found.text();
    assert!(
        text.contains("8 shared test items of 2 speaker(s); 8 of a/one alone and 8 of a/shifted alone are left out"),
        "{text}"
    );
    let refused = compared(root, &["a/one", "a/other"]).unwrap();
    assert!(refused.significance.is_empty());
    let text = refused.text();
    assert!(
        text.contains("NOT COMPARED: a/one and a/other share no test item of `emotion` (16 and 16)"),
        "{text}"
    );
    let found = compared(root, &["a/one", "a/relabelled"]).unwrap();
    assert_eq!(
        (found.significance[0].shared, found.significance[0].relabelled),
        (16, 1)
    );
    // Holm over three runs multiplies the least probability by two of two tests.
    let found = compared(root, &["a/one", "a/shifted", "a/relabelled"]).unwrap();
    assert!(
        found
            .significance
            .iter()
            .all(|own| own.mcnemar_holm.unwrap() >= own.mcnemar.unwrap().p)
    );
    let bad = root.join("a/one/report/predictions.emotion.csv");
    for (text, said) in [
        ("path,dataset,split\n", "it has no column `speaker`"),
        (
            &*predictions("x", 0, &[]).replacen("0.75", "NaN", 1),
            "line 2: \"NaN\" is no number",
        ),
        (
            &*predictions("x", 0, &[]).replacen(",neutral,neutral", ",joy,neutral", 1),
            "line 2: the true class \"joy\"",
        ),
    ] {
        fs::write(&bad, text).unwrap();
        let error = compared(root, &["a/one", "a/shifted"]).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("predictions.emotion.csv"),
            "{error}"
        );
    }
}

#[test]
fn corpora_in_other_folders_are_the_same_items() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (place, at) in [("a/here", "/data/d"), ("a/there", "/mnt/d")] {
        let made = Made::new(place, 0.6);
        with_predictions(root, &made, &predictions(at, 0, &[]));
        let mut record = made.record();
        record["resolved"]["datasets"] = json!({ "d": { "kind": "ravdess", "root": at } });
        fs::write(root.join(place).join("run.json"), record.to_string()).unwrap();
    }
    let found = compared(root, &["a/here", "a/there"]).unwrap();
    assert_eq!(found.significance[0].shared, 16);
}

#[test]
fn seeds_of_parents_are_paired_and_mcnemars_test_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let of_seeds = |wrong: &[usize]| {
        let table = predictions("x", 0, wrong);
        let mut lines = table.lines();
        let mut text = format!("member,{}\n", lines.next().unwrap());
        for seed in [1, 2] {
            for line in table.lines().skip(1) {
                let _ = writeln!(text, "fold-1/seed-{seed},{line}");
            }
        }
        text
    };
    with_predictions(root, &Made::new("a/one", 0.6), &of_seeds(&[0, 1]));
    with_predictions(root, &Made::new("a/two", 0.6), &of_seeds(&[0]));
    let found = compared(root, &["a/one", "a/two"]).unwrap();
    let tested = &found.significance[0];
    assert_eq!((tested.shared, tested.speakers, tested.mcnemar), (32, 4, None));
    // One that was asked once stands beside each seed.
    with_predictions(root, &Made::new("a/single", 0.6), &predictions("x", 0, &[]));
    for names in [["a/single", "a/two"], ["a/two", "a/single"]] {
        let found = compared(root, &names).unwrap();
        let tested = &found.significance[0];
        assert_eq!((tested.shared, tested.unshared, tested.mcnemar), (32, (0, 0), None));
        let sign = if names[0] == "a/single" { -1.0 } else { 1.0 };
        assert!((tested.metrics[1].excess.difference - sign / 16.0).abs() < 1e-12);
    }
}

#[test]
fn the_best_run_is_chosen_on_validation_and_told_with_its_test_result() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    Made::new("a/one", 0.6).write(root);
    Made::new("a/two", 0.8).write(root);
    let misleading = Made::new("a/lucky", 0.9);
    let dir = misleading.write(root);
    let mut summary = misleading.summary();
    summary["splits"]["validation"]["heads"]["emotion"]["uar"] = json!(0.5);
    fs::write(dir.join("summary.json"), summary.to_string()).unwrap();
    let failed = Made {
        status: "failed",
        ..Made::new("a/failed", 0.99)
    };
    failed.write(root);
    let catalogue = Catalogue::read(root).unwrap();
    let found = best(&catalogue, Some("emotion.uar"), None, None).unwrap();
    assert_eq!((found.run.place.as_str(), found.among), ("a/two", 3));
    assert_eq!(
        found.text(),
        "a/two: emotion.uar 81.00 % on validation, 80.00 % on test; best of 3\n"
    );
    let lowest = best(&catalogue, Some("emotion.log_loss"), Some("a"), Some("label != lucky")).unwrap();
    assert_eq!(lowest.run.place, "a/two", "of a loss the lowest");
    let error = best(&catalogue, Some("emotion.uaar"), None, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `emotion.uar`"), "{error}");
    let error = best(&catalogue, None, Some("b"), None).unwrap_err();
    assert!(matches!(error, CatalogueError::NoBest { .. }), "{error}");
    let text = show(&catalogue, catalogue.find("a/two").unwrap());
    assert!(
        text.contains("emotion.uar") && text.contains("training.optimizer.lr"),
        "{text}"
    );
}

#[test]
fn the_page_needs_nothing_beside_itself_and_shows_hostile_names_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let hostile = "a/<script>alert('x')<\"&";
    with_predictions(root, &Made::new("a/one", 0.6), &predictions("x", 0, &[0, 1]));
    with_predictions(root, &Made::new(hostile, 0.7), &predictions("x", 0, &[]));
    for place in ["a/one", hostile] {
        let lines: Vec<String> = (1..4)
            .map(|epoch| json!({ "step": epoch, "epoch": epoch, "split": "validation", "loss": 1.0, "emotion.uar": 0.5, "wall": {} }).to_string())
            .collect();
        // The last line of a run that was killed.
        fs::write(
            root.join(place).join("metrics.jsonl"),
            lines.join("\n") + "\n{\"step\": 4, \"ep",
        )
        .unwrap();
    }
    let note = json!({ "note": "</td><img src=x onerror=alert(1)>", "tags": ["<b>"] });
    fs::write(root.join("a/one/notes.json"), note.to_string()).unwrap();
    let catalogue = Catalogue::read(root).unwrap();
    let runs: Vec<&Run> = catalogue.runs.iter().collect();
    let page = report(&catalogue, &runs).unwrap();
    for unsafe_part in [
        "<script", "<img", "<b>", "http://", "https://", "src=", "@import", "url(",
    ] {
        let is_there = page
            .replace("http://www.w3.org/2000/svg", "")
            .replace("src=x onerror", "")
            .contains(unsafe_part);
        assert!(!is_there, "{unsafe_part}\n{page}");
    }
    assert!(
        page.contains("&lt;script&gt;") && page.contains("&lt;/td&gt;") || page.contains("&lt;&#x2f;td&gt;"),
        "{page}"
    );
    assert_eq!(page.matches("<svg").count(), 2, "loss and UAR of validation");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
}

#[test]
fn comparisons_as_json_have_all_that_the_text_has() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    with_predictions(root, &Made::new("a/one", 0.6), &predictions("x", 0, &[0]));
    with_predictions(root, &Made::new("a/two", 0.7), &predictions("x", 0, &[]));
    let json: Value = serde_json::from_str(&compared(root, &["a/one", "a/two"]).unwrap().json()).unwrap();
    assert_eq!(json["runs"], json!(["a/one", "a/two"]));
    assert_eq!(json["significance"][0]["shared"], 16);
    assert_eq!(json["significance"][0]["metrics"][0]["metric"], "uar");
}
