//! What a user reads where a table or a folder is not what an experiment needs.

use std::fs;

use crate::support::{Lab, wav};

/// An experiment on one dataset, with the small network.
fn experiment(dataset: &str, more: &str) -> String {
    format!("extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: {dataset}\n{more}")
}

/// Sounds of four speakers, two each, and a table of them with these further columns.
fn speakers(lab: &Lab, header: &str, cells: impl Fn(usize) -> String) {
    let mut table = format!("path;speaker;{header}\r\n");
    for at in 0..8 {
        let name = format!("wav/{at}.wav");
        let step = 0.05 + 0.01 * f64::from(at as u32);
        let samples = (0..8000).map(|time| (8000.0 * (f64::from(time) * step).sin()) as i16);
        lab.write(&name, wav(8000, samples));
        table += &format!("wav\\{at}.wav;{};{}\r\n", at / 2, cells(at));
    }
    lab.write("m.csv", format!("\u{feff}{table}"));
}

const TO_GENDER: &str = "heads:\n  emotion: { target: data.gender }\n";

/// Name, dataset, target, the emotion of each line, and what the error says.
type Case<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(usize) -> String, &'a [&'a str]);

#[test]
fn a_label_that_no_item_has_is_an_error_with_its_own_remedy_and_no_panic() {
    let classes = |at: usize| ["neutral", "angry"][at % 2].to_owned();
    let cases: [Case<'_>; 3] = [
        (
            "an empty column",
            "{ kind: manifest, path: m.csv }",
            "emotion",
            &|_| String::new(),
            &[
                "no item has a label of emotion, and the experiment takes `data.emotion`",
                "in `columns: { emotion: … }`, or fill its column `emotion`",
            ],
        ),
        (
            "no column at all",
            "{ kind: manifest, path: m.csv }",
            "words",
            &|_| "well".to_owned(),
            &["no item has a label of emotion"],
        ),
        (
            "no gender",
            "{ kind: manifest, path: m.csv }",
            "emotion",
            &classes,
            &[
                "no item has a label of gender, and the experiment takes `data.gender`",
                "name the column of `speech` that holds it (`female` or `male`) in `columns: { gender: … }`",
            ],
        ),
    ];
    for (case, dataset, header, cells, parts) in cases {
        let lab = Lab::new();
        speakers(&lab, header, cells);
        let more = if case == "no gender" { TO_GENDER } else { "" };
        lab.write("e.yaml", experiment(dataset, more));
        for arguments in [&["check", "e.yaml"][..], &["check", "e.yaml", "--deep"], &["e.yaml"]] {
            let outcome = lab.emorun(arguments);
            assert_eq!(outcome.code, 3, "{case} {arguments:?}: {}", outcome.stderr);
            assert_eq!(outcome.stderr.matches("error[").count(), 1, "{}", outcome.stderr);
            for part in parts {
                assert!(outcome.stderr.contains(part), "{case}: {part}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn a_table_of_a_spreadsheet_trains_and_what_is_wrong_with_another_is_one_diagnostic() {
    let lab = Lab::new();
    let classes = |at: usize| ["neutral", "angry"][at % 2].to_owned();
    speakers(&lab, "emotion", classes);
    lab.write(
        "e.yaml",
        experiment("{ kind: manifest, path: m.csv }", "training: { epochs: 1 }\n"),
    );
    lab.run(&["e.yaml"]);

    let table = fs::read_to_string(lab.path("m.csv")).unwrap();
    lab.write("m.csv", table.replace("wav\\", "D:\\me\\wav\\"));
    let outcome = lab.emorun(&["check", "e.yaml"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("error[").count(), 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("take `D:\\me\\` out of every line"),
        "{}",
        outcome.stderr
    );

    for at in 0..8 {
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{at:064x}\nsize 16044\n");
        lab.write(&format!("wav/{at}.wav"), text);
    }
    lab.write("m.csv", table);
    let outcome = lab.emorun(&["check", "e.yaml"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("error[").count(), 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("8 of 8 audio files are Git LFS pointers") && outcome.stderr.contains("git lfs pull"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn numbers_by_other_names_attributes_and_votes_of_a_table_can_be_learned_from() {
    let lab = Lab::new();
    speakers(&lab, "V;mic;votes", |at| {
        format!(
            "{};{};{}",
            at % 5,
            ["near", "far"][at % 2],
            ["neutral:2 | angry:1", "angry:3"][at % 2]
        )
    });
    let dataset =
        "{ kind: manifest, path: m.csv, values: { valence: v }, attributes: [mic], votes: { column: votes } }";
    lab.write(
        "e.yaml",
        experiment(
            dataset,
            "losses:\n  ce: { target: data.emotion_soft }\ntraining: { epochs: 1 }\n",
        ),
    );
    let outcome = lab.emorun(&["check", "e.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let given = fs::read_to_string(lab.path("e.yaml")).unwrap();
    // The mapping reaches the resolved file as it was given.
    let run = lab.run(&["e.yaml"]);
    let resolved = fs::read_to_string(run.join("resolved.yaml")).unwrap();
    assert!(
        given.contains("values: { valence: v }") && resolved.contains("valence: v"),
        "{resolved}"
    );
    let outcome = lab.emorun(&["smoke", "e.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    lab.write("e.yaml", experiment(&dataset.replace("{ valence: v }", "3"), ""));
    let outcome = lab.emorun(&["check", "e.yaml"]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("values"), "{}", outcome.stderr);
}
