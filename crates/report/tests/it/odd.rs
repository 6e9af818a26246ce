//! What is missing, damaged, hostile or no number.

use std::fs;

use serde_json::{Value, json};

use crate::made::{HOSTILE, Made, for_papers, record, rows, table};

const LABELS: [&str; 3] = ["angry", "sad", "calm"];

#[test]
fn a_class_without_test_items_has_dashes_and_no_curve() {
    let made = Made::new(LABELS, &rows());
    let page = made.page();
    let classes = table(&page, "Each class");
    assert_eq!(classes[2], ["calm", "0", "–", "–", "–", "–", "–"]);
    assert_eq!(classes[0][..3], ["angry", "12", "50.0 %"].map(str::to_owned));
    let metrics = table(&page, "Metrics over 24 items of 4 known speakers");
    let auc = metrics.iter().find(|row| row[0].contains("AUC")).unwrap();
    assert_eq!(
        auc[1..3],
        ["–", "–"].map(str::to_owned),
        "not defined over a class without items"
    );
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    for_papers(&made.report().unwrap());
}

#[test]
fn scores_that_are_no_numbers_leave_no_number_on_the_page() {
    let rows = rows().into_iter().map(|(truth, _)| (truth, [f32::NAN; 3])).collect();
    let made = Made::new(LABELS, &rows);
    let page = made.page();
    for wrong in ["NaN", "nan<", ">inf", "Infinity"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    let calibration = table(&page, "Calibration");
    assert!(
        calibration.iter().all(|row| row[1..].iter().all(|cell| cell == "–")),
        "{calibration:?}"
    );
    for (name, bytes) in for_papers(&made.report().unwrap()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(name.ends_with("png") || !text.contains("NaN"), "{name}");
    }
}

#[test]
fn names_from_outside_end_no_element_file_or_command() {
    let made = Made::new([HOSTILE, "</style>", "a\tb\nc"], &rows());
    made.write("notes.json", &json!({ "tags": [HOSTILE], "note": HOSTILE }));
    for name in ["report/report.txt", "resolved.yaml"] {
        made.write_text(name, HOSTILE);
    }
    made.write_text(
        "report/graph.svg",
        "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(2)</script></svg>",
    );
    let table = format!(
        "file,true,predicted,confidence,path,speaker\n../../run.json,{0},{0},0.5,{0},{0}\ngone.wav,{0},{0},0.5,{0},{0}\n",
        format!("\"{}\"", HOSTILE.replace('"', "\"\""))
    );
    made.write_text("report/misclassified/emotion.csv", &table);
    let report = made.report().unwrap();
    let page = report.page().unwrap();
    assert!(!page.contains("<script>alert") && page.matches("</style>").count() == 1);
    assert!(page.contains("&lt;script&gt;") && !page.contains('\u{202e}') && page.contains("{{ 7 * 7 }}"));
    assert!(
        page.contains("not saved") && !page.contains("config_hash"),
        "nothing is read elsewhere"
    );
    for (name, bytes) in for_papers(&report) {
        let text = String::from_utf8_lossy(&bytes);
        if name.ends_with("svg") {
            assert!(!text.contains("<script"), "{name}");
        }
        if name.ends_with("tex") {
            let escaped = text.replace("\\&", "").replace("\\{", "");
            assert!(text.contains("\\bottomrule") && !escaped.contains("{{ 7 * 7"), "{text}");
        }
    }
}

#[test]
fn recordings_that_are_gone_are_named_and_the_rest_is_there() {
    let made = Made::new(LABELS, &rows());
    made.write_text(
        "report/misclassified/emotion.csv",
        "file,true,predicted,confidence,path,speaker\ngone.wav,angry,sad,0.9,a.wav,anna\nbroken.wav,sad,angry,0.8,b.wav,ben\n",
    );
    made.write_text("report/misclassified/emotion/broken.wav", "this is no sound");
    let page = made.page().replace("&#x2f;", "/");
    assert!(page.contains("angry taken for sad (90.0 %): a.wav, speaker anna"));
    for name in ["gone", "broken"] {
        assert!(page.contains(&format!("Not on this page: misclassified/emotion/{name}.wav")));
    }
    assert!(!page.contains("<audio"), "what is no sound has no player");
    assert!(page.contains("Each class") && !page.contains("aria-label=\"Spectrogram"));
}

#[test]
fn damaged_and_later_files_are_named_and_stay_as_they_are() {
    let made = Made::new(LABELS, &rows());
    let whole = made.read("report/evaluation.json");
    for (cut, said) in [
        (whole[..whole.len() / 2].to_owned(), "is damaged: it is no evaluation"),
        (String::new(), "is damaged: it is no evaluation"),
        ("[]".to_owned(), "is damaged: it is no evaluation"),
        (
            whole.replacen("\"version\":1", "\"version\":9", 1),
            "is damaged: it is of version 9 of the format",
        ),
    ] {
        made.write_text("report/evaluation.json", &cut);
        let refusal = made.refusal();
        assert!(
            refusal.contains("evaluation.json") && refusal.contains(said),
            "{refusal}"
        );
        assert_eq!(made.read("report/evaluation.json"), cut);
    }
    fs::remove_file(made.dir.join("report/evaluation.json")).unwrap();
    assert!(made.refusal().contains("has no evaluation.json"), "{}", made.refusal());
    made.write_text("report/evaluation.json", &whole);
    // What it does not need may be torn: lines of a killed run, notes.
    made.write_text(
        "metrics.jsonl",
        "{\"step\": 1, \"epoch\": 1, \"split\": \"validation\", \"loss\": 1.0}\n{\"step\": 2, \"ep",
    );
    made.write_text("notes.json", "{");
    made.page();
    made.write_text("run.json", "{\"name\": \"x\", ");
    assert!(made.refusal().contains("run.json is damaged"), "{}", made.refusal());
    fs::remove_file(made.dir.join("run.json")).unwrap();
    assert!(made.refusal().starts_with("cannot read"), "{}", made.refusal());
}

#[test]
fn a_parents_summary_is_told_whole_or_refused() {
    let made = Made::new(LABELS, &rows());
    fs::remove_file(made.dir.join("report/evaluation.json")).unwrap();
    made.write("run.json", &record("folds", &["fold-1", "../../elsewhere"]));
    let side = |uar: Value| json!({ "n": 12, "heads": { "emotion": { "uar": uar } } });
    let whole = json!({
        "status": "incomplete", "mean": side(json!(0.625)), "sd": side(Value::Null), "pooled": side(json!(0.5)),
        "members": { "fold-1": side(json!(0.625)) }, "failed": { HOSTILE: "it \u{1b}[31mfell" },
        "spread": { "over": null, "means": { "emotion.uar": { "mean": 0.625, "interval": null } } },
    });
    made.write("summary.json", &whole);
    let page = made.page();
    let together = table(&page, "emotion over members");
    assert_eq!(together[0], ["UAR", "62.50 %", "–", "–", "50.00 %"]);
    assert!(page.contains("Failed, and not counted") && !page.contains("<script>alert") && !page.contains('\u{1b}'));
    let text = whole.to_string();
    made.write_text("summary.json", &text[..text.len() - 40]);
    assert!(made.refusal().contains("summary.json is damaged"), "{}", made.refusal());
    made.write("summary.json", &json!({ "status": "completed" }));
    assert!(
        made.refusal().contains("summary.json is damaged: missing field"),
        "{}",
        made.refusal()
    );
}
