//! `report/index.html`: what a run ends with, for those who were not there.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use emorun_files::{Files, Operation, Verdict, Watch};
use emorun_runs::run::html;

use crate::features::tone;
use crate::origin::refused;
use crate::support::{Lab, files};

/// What can end an attribute, an element, a script or a field.
const ANGRY: &str = "an\"gry</script><b>&";

/// A run of three classes, one of which is called by what a page could take for its own.
fn trained() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,gender,emotion\n".to_owned();
    for at in 0..24 {
        let emotion = ["\"an\"\"gry</script><b>&\"", "sad", "calm"][at % 3];
        lab.write(&format!("audio/{at}.wav"), tone(8000, 300.0 + 90.0 * at as f64));
        table.push_str(&format!(
            "{at}.wav,person{},{},{emotion}\n",
            at / 6,
            ["female", "male"][at / 12]
        ));
    }
    lab.write("audio/all.csv", table);
    lab.write(
        "tones.yaml",
        "extends: crnn.yaml
datasets:
  synthetic: null
  speech: { kind: manifest, path: audio/all.csv, emotions: ['an\"gry</script><b>&', sad, calm] }
split: { kind: by_speaker, validation: 0.25, test: 0.25 }
training: { epochs: 2 }
evaluation: { save_misclassified: { max: 3 } }
",
    );
    lab.run(&["tones.yaml", "--run-label", "one"]);
    lab
}

#[test]
fn a_run_ends_with_a_page_that_can_be_made_anew_with_figures_and_tables() {
    let lab = trained();
    let folder = lab.path("runs/tiny/one/report");
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("default-src 'none'") && page.contains("script-src 'sha256-"));
    for loads in ["src=\"http", "href=\"http", "<link", "@import", "url(http"] {
        assert!(!page.contains(loads), "{loads}");
    }
    // The only script is the slider's, over the epochs.
    assert!(!page.contains(ANGRY) && page.matches("<script").count() == 1);
    assert!(
        page.contains("an&quot;gry") || page.contains("an&#34;gry"),
        "the class is named"
    );
    assert!(page.contains("data-epochs=") && page.contains("type=\"range\""));
    for part in ["UAR", "95 %", "speaker", "<audio", "config", "<caption>"] {
        assert!(page.contains(part), "no {part}");
    }

    fs::remove_file(folder.join("index.html")).unwrap();
    let outcome = lab.emorun(&["runs", "report", "one"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(folder.join("index.html")).unwrap(), page);
    let tables = files(&folder.join("tables"));
    let figures = files(&folder.join("figures"));
    assert!(figures.iter().any(|name| name.ends_with(".svg")) && figures.iter().any(|name| name.ends_with(".png")));
    let tex: Vec<&String> = tables.iter().filter(|name| name.ends_with(".tex")).collect();
    assert!(!tex.is_empty());
    for name in tex {
        let text = fs::read_to_string(folder.join("tables").join(name)).unwrap();
        assert!(text.contains("\\toprule") && !text.contains("<b>&"), "{text}");
    }

    let eval = lab.emorun(&["eval", "runs/tiny/one"]);
    assert_eq!(eval.code, 0, "{}", eval.stderr);
    assert!(lab.path("runs/tiny/one/eval/test/index.html").is_file());

    fs::write(folder.join("evaluation.json"), "{\"version\": 1, \"sides\"").unwrap();
    refused(&lab.emorun(&["runs", "report", "one"]), 4, &["evaluation.json"]);
    fs::remove_file(folder.join("evaluation.json")).unwrap();
    refused(
        &lab.emorun(&["runs", "report", "one"]),
        4,
        &["has no evaluation.json", "emorun eval"],
    );
}

/// A disk that is full after so many operations.
#[derive(Debug)]
struct Full(AtomicUsize);

impl Watch for Full {
    fn before(&self, _: Operation, _: &Path) -> Verdict {
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        {
            Ok(_) => Verdict::Go,
            Err(_) => Verdict::BreakOff(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_report_leaves_the_one_before() {
    let lab = trained();
    let run = lab.path("runs/tiny/one");
    html::write_anew(&run, &Files::default()).unwrap();
    let before: Vec<(String, Vec<u8>)> = everything(&run);
    for left in [0, 1, 2, 3, 17, 60] {
        let files = Files::watched(Arc::new(Full(AtomicUsize::new(left))));
        let failure = html::write_anew(&run, &files).unwrap_err().to_string();
        assert!(failure.contains("/report/") && failure.contains("space"), "{failure}");
        let after = everything(&run);
        for file in &before {
            assert!(after.contains(file), "{} after {left} operations", file.0);
        }
    }
    html::write_anew(&run, &Files::default()).unwrap();
    assert_eq!(everything(&run), before);
}

/// Names and bytes of all files of a run.
fn everything(run: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["", "report", "report/figures", "report/tables"]
        .into_iter()
        .flat_map(|folder| {
            let names = files(&run.join(folder)).into_iter();
            names.map(move |name| Path::new(folder).join(name).display().to_string())
        });
    let names = names.filter(|name| run.join(name).is_file());
    names
        .map(|name| (name.clone(), fs::read(run.join(name)).unwrap()))
        .collect()
}
