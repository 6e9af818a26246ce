//! `emorun data verify` and `emorun data stats`.

use std::fs;

use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::esd::{EsdLayout, write_esd};
use emorun_data::corpora::musan::write_musan;
use serde_json::Value;

use crate::support::Lab;

const EXPERIMENT: &str = "\
extends: crnn.yaml
datasets:
  synthetic: null
  berlin: { kind: emodb, root: emodb, emotions: [neutral, angry] }
";

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn verify_says_what_a_corpus_lacks_and_ends_as_other_errors_of_data_do() {
    let lab = Lab::new();
    lab.write("e.yaml", EXPERIMENT);
    write_emodb(&lab.path("emodb"), &["03", "08"], 0.1).unwrap();
    let outcome = lab.emorun(&["data", "verify", "--kind", "emodb", "--root", "emodb"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    for part in [
        "missing speakers: 09 10 11 12 13 14 15 16",
        "NOT COMPLETE",
        "files that were not published",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    assert!(
        outcome.stderr.contains("speech files are missing"),
        "{}",
        outcome.stderr
    );

    // The experiment's own filters do not count.
    let outcome = lab.emorun(&["data", "verify", "e.yaml", "--format", "json", "--deep"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    let report = value(&outcome.stdout);
    assert_eq!(
        (&report["ok"], &report["datasets"][0]["dataset"]),
        (&Value::Bool(false), &Value::from("berlin"))
    );
    assert_eq!(
        (
            &report["datasets"][0]["found"],
            &report["datasets"][0]["parts"][0]["expected"]
        ),
        (&140.into(), &535.into())
    );

    let outcome = lab.emorun(&["data", "verify", "crnn.yaml"]);
    assert_eq!(
        (outcome.code, outcome.stdout.contains("complete")),
        (0, true),
        "{}",
        outcome.stderr
    );
    write_musan(&lab.path("musan"), 1, 0.1).unwrap();
    let outcome = lab.emorun(&["data", "verify", "--kind", "musan", "--root", "musan"]);
    assert_eq!(
        (outcome.code, outcome.stdout.contains("noise: 1 of 930 files")),
        (4, true),
        "{}",
        outcome.stdout
    );
    let outcome = lab.emorun(&["data", "verify", "--kind", "ravdess", "--root", "nowhere"]);
    assert_eq!(
        (outcome.code, outcome.stderr.contains("does not exist")),
        (4, true),
        "{}",
        outcome.stderr
    );
    for wrong in [
        &["data", "verify"][..],
        &["data", "verify", "--kind", "emodb"],
        &["data", "verify", "--kind", "nothing", "--root", "emodb"],
        &["data", "verify", "e.yaml", "--kind", "emodb", "--root", "emodb"],
        &["data", "stats", "--kind", "musan", "--root", "musan"],
    ] {
        assert_eq!(lab.emorun(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn stats_are_text_json_and_a_page_of_its_own() {
    let lab = Lab::new();
    lab.write("e.yaml", EXPERIMENT);
    write_emodb(&lab.path("emodb"), &["03", "08"], 0.5).unwrap();
    let outcome = lab.emorun(&["data", "stats", "e.yaml", "--html", "page.html"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // The experiment's own filters do count.
    for part in [
        "berlin (emodb)",
        "40 utterances of 2 speakers",
        "emotion: neutral 20, angry 20",
        "loudness in LUFS: mean -",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let page = fs::read_to_string(lab.path("page.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script") && page.trim_end().ends_with("</html>"));

    write_esd(&lab.path("esd"), &[1, 11], 1, EsdLayout::Folders, 0.5).unwrap();
    let outcome = lab.emorun(&[
        "data",
        "stats",
        "--kind",
        "esd",
        "--root",
        "esd",
        "--format",
        "json",
        "--no-loudness",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let stats = &value(&outcome.stdout)["datasets"][0];
    assert_eq!(
        (
            &stats["items"],
            &stats["classes"]["language"]["mandarin"],
            &stats["loudness"]
        ),
        (&10.into(), &5.into(), &Value::Null)
    );
    assert_eq!(stats["table"][0]["gender"], "female");
    assert_eq!(
        lab.emorun(&[
            "data",
            "stats",
            "--kind",
            "esd",
            "--root",
            "esd",
            "--html",
            "no/such/page.html"
        ])
        .code,
        7
    );
}

#[test]
fn check_names_copies_and_says_what_it_has_not_compared() {
    let lab = Lab::new();
    write_emodb(&lab.path("emodb"), &["03", "08", "09", "10"], 0.5).unwrap();
    fs::create_dir(lab.path("emodb/more")).unwrap();
    fs::copy(lab.path("emodb/wav/03a01Fa.wav"), lab.path("emodb/more/03a01Fa.wav")).unwrap();
    let text = "extends: crnn.yaml\ndatasets:\n  synthetic: null\n  emodb: { kind: emodb, root: emodb, emotions: [neutral, angry, happy, sad] }\n\
        split: { kind: fixed, test: [\"emodb/10\"], validation: [emodb/09], rest: train }\n";
    lab.write("e.yaml", text);
    let plain = lab.emorun(&["check", "e.yaml"]);
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    for part in [
        "1 file(s) are copies of others and were counted once: `emodb/wav/03a01Fa.wav` of `emodb/more/03a01Fa.wav`",
        "no leak is declared, and no speaker, group or file is on two sides; the samples of 159 of 160 items were not compared",
        "words: 40 of 40 items of test with a text (100 %) say what is also said in training (10 of 10 texts)",
    ] {
        assert!(plain.stdout.contains(part), "{part}: {}", plain.stdout);
    }
    let deep = lab.emorun(&["check", "e.yaml", "--deep"]);
    assert!(deep.stdout.contains("all samples were compared"), "{}", deep.stdout);
}
