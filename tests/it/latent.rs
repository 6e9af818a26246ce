//! `emorun latent`: the latent space of a trained run.

use std::fs;

use crate::features::tone;
use crate::support::{Lab, files, json};

/// What can end a field, a line, a string or an element.
const ANGRY: &str = "an\"gry, <b>&";

/// A run on recordings of four people, in `runs/tiny/one`.
fn trained() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,gender,emotion\n".to_owned();
    for at in 0..32 {
        let emotion = ["\"an\"\"gry, <b>&\"", "sad", "calm"][at % 3];
        lab.write(&format!("audio/{at}.wav"), tone(8000, 300.0 + 90.0 * at as f64));
        let gender = ["female", "male"][at / 16];
        table.push_str(&format!("{at}.wav,person{},{gender},{emotion}\n", at / 8));
    }
    lab.write("audio/all.csv", table);
    lab.write(
        "tones.yaml",
        "extends: crnn.yaml
datasets:
  synthetic: null
  speech: { kind: manifest, path: audio/all.csv, emotions: ['an\"gry, <b>&', sad, calm] }
split: { kind: by_speaker, validation: 0.25, test: 0.25 }
training: { epochs: 1 }
",
    );
    lab.run(&["tones.yaml", "--run-label", "one"]);
    lab
}

#[test]
fn a_nodes_output_is_shown_on_planes_in_numbers_and_in_the_projector() {
    let lab = trained();
    let look = |more: &[&str]| {
        let outcome = lab.emorun(&[&["latent", "runs/tiny/one"], more].concat());
        (outcome.code, outcome.stdout, outcome.stderr)
    };
    let (code, stdout, stderr) = look(&["--node", "crnn", "--split", "train", "--out", "seen"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("`crnn` on the train side: 16 of 16 items, 8 numbers each"),
        "{stdout}"
    );
    assert!(
        stdout.contains("speaker probe: ") && stdout.contains("of 2 speakers"),
        "{stdout}"
    );

    let found = json(lab.path("seen/latent.json"));
    let analysis = &found["analysis"];
    assert_eq!((&analysis["items"], &analysis["seed"]), (&16.into(), &7.into()));
    assert_eq!(analysis["planes"].as_array().unwrap().len(), 3);
    assert_eq!(analysis["pairs"].as_array().unwrap().len(), 3);
    let classes = |at: usize| analysis["silhouettes"][at]["classes"].as_u64().unwrap();
    assert_eq!([0, 1, 2].map(classes), [3, 1, 2]);
    assert!(analysis["silhouettes"][1]["silhouette"].is_null());

    let mut table = csv::Reader::from_path(lab.path("seen/latent.csv")).unwrap();
    assert_eq!(table.headers().unwrap().len(), 1 + 4 + 6);
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 16);
    assert!(rows.iter().any(|row| &row[1] == ANGRY));
    for way in ["pca", "tsne", "umap"] {
        let svg = fs::read_to_string(lab.path(format!("seen/{way}.emotion.svg"))).unwrap();
        assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;"));
        assert!(
            fs::read(lab.path(format!("seen/{way}.speaker.png")))
                .unwrap()
                .starts_with(b"\x89PNG")
        );
    }
    let lines = |file: &str| {
        fs::read_to_string(lab.path("seen/projector").join(file))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((lines("tensors.tsv"), lines("metadata.tsv")), (16, 17));
    assert!(
        fs::read(lab.path("seen/projector/sprite.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );

    let before = fs::read(lab.path("seen/latent.csv")).unwrap();
    assert_eq!(look(&["--node", "crnn", "--split", "train", "--out", "seen"]).0, 5);
    let (code, _, stderr) = look(&["--node", "crnn", "--split", "train", "--out", "seen", "--force"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(lab.path("seen/latent.csv")).unwrap(), before);

    let (code, _, stderr) = look(&["--node", "crmn"]);
    assert!(
        code == 2 && stderr.contains("there is no node `crmn`") && stderr.contains("crnn"),
        "{code} {stderr}"
    );
    let (code, _, stderr) = look(&["--node", "crnn", "--methods", "pca,lda"]);
    assert!(code == 2 && stderr.contains("use pca, tsne or umap"), "{stderr}");
    assert!(
        files(&lab.path("runs/tiny/one"))
            .iter()
            .all(|file| !file.contains("latent"))
    );
}
