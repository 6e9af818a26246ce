//! Run directories as emorun leaves them, made without training.

use std::fs;
use std::path::{Path, PathBuf};

use emorun_evaluation::{AudioPlace, Bootstrapped, Evaluation, ItemFacts, Protocol, Run, Said, VERSION, fits, side};
use emorun_metrics::{ClassPredictions, Metric, Predictions};
use emorun_report::{Report, ReportError};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// What somebody may call a class, a speaker or a file.
pub const HOSTILE: &str = "<script>alert(1)</script>\"'&/../\\{{ 7 * 7 }}\u{202e}";

/// A run in a folder of its own.
pub struct Made {
    _folder: tempfile::TempDir,
    pub dir: PathBuf,
}

/// Rows of truth and scores over three classes, of which the last has no items.
pub type Rows = Vec<(u32, [f32; 3])>;

/// Twenty-four items, half of them right.
pub fn rows() -> Rows {
    let scores = [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]];
    (0..24).map(|at| (at % 2, scores[(at / 2 % 2) as usize])).collect()
}

impl Made {
    /// A finished run over classes that are so called.
    pub fn new(labels: [&str; 3], rows: &Rows) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        fs::create_dir_all(dir.join("report")).unwrap();
        let made = Self { _folder: folder, dir };
        made.write("run.json", &record(labels[0], &[]));
        made.write(
            "report/evaluation.json",
            &serde_json::to_value(evaluation(labels, rows)).unwrap(),
        );
        made
    }

    pub fn write(&self, name: &str, value: &Value) {
        self.write_text(name, &value.to_string());
    }

    pub fn write_text(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    pub fn report(&self) -> Result<Report, ReportError> {
        Report::of(&self.dir, &self.dir.join("report"))
    }

    pub fn page(&self) -> String {
        self.report().unwrap().page().unwrap()
    }

    /// Why there is none.
    pub fn refusal(&self) -> String {
        self.report().unwrap_err().to_string()
    }
}

/// `run.json`.
pub fn record(label: &str, members: &[&str]) -> Value {
    json!({
        "status": "completed", "id": "1f", "name": label, "seed": 3, "fold": label, "members": members, "set": [label],
        "config_hash": "1f4e", "resolved": { "split": { "kind": "by_speaker" } }, "versions": { "emorun": "0.1.0" },
        "git": { "commit": "0123", "diff": "" }, "device": "cpu", "started": "2026-01-01T10:00:00Z",
        "outputs": { "emotion": [label] }, "data": { label: { "items": 24 } }, "certificate": { "hash": label },
    })
}

fn evaluation(labels: [&str; 3], rows: &Rows) -> Evaluation {
    let mut predictions = ClassPredictions::new(&labels);
    let mut items = Vec::new();
    for (at, (truth, scores)) in rows.iter().enumerate() {
        predictions.add(Some(*truth), scores).unwrap();
        items.push(ItemFacts {
            item: format!("corpus/{at}{}", labels[0]),
            path: format!("/data/{at}.wav"),
            audio: Some(AudioPlace {
                file: format!("/nowhere/{at}.wav"),
                segment_s: None,
            }),
            dataset: "corpus".to_owned(),
            speaker: Some(format!("{}{}", labels[0], at % 4)),
            duration_s: 1.5,
            described: vec![("gender".to_owned(), ["female", labels[0]][at % 3 / 2].to_owned())],
            text: None,
        });
    }
    let said = Said {
        head: "emotion".to_owned(),
        column: Some("emotion".to_owned()),
        metrics: vec![Metric::UAR, Metric::WA, Metric::ROC_AUC],
        shown: vec![Metric::UAR, Metric::WA],
        predictions: Predictions::Classes(predictions),
        items,
        votes: Vec::new(),
        training: Some(vec![4, 1, 0]),
        reader: None,
        several_models: false,
    };
    let fits = fits(std::slice::from_ref(&said));
    let sides = IndexMap::from([("test".to_owned(), side(&[said], &fits, (false, 1)))]);
    Evaluation {
        version: VERSION,
        emorun: "0.1.0".to_owned(),
        run: Run {
            name: labels[0].to_owned(),
            ..Run::default()
        },
        pooled: None,
        protocol: Protocol {
            datasets: vec![labels[0].to_owned()],
            own_data: true,
            ..Protocol::default()
        },
        bootstrap: Bootstrapped {
            over: "speakers, and items of each".to_owned(),
            method: "percentile".to_owned(),
            level: 0.95,
            seed: 1,
        },
        fits,
        sides,
        conditions: Vec::new(),
        remarks: vec![labels[0].to_owned()],
    }
}

/// The rows of a table of the page: the text of their cells.
pub fn table(page: &str, caption: &str) -> Vec<Vec<String>> {
    let start = page
        .find(&format!("<caption>{caption}"))
        .unwrap_or_else(|| panic!("no table {caption:?}"));
    let body = &page[start..start + page[start..].find("</table>").unwrap()];
    let cells = |row: &str| -> Vec<String> {
        let row = &row[..row.find("</tr>").unwrap()];
        let cells = row
            .split("<t")
            .skip(1)
            .filter_map(|cell| Some(cell.split_once('>')?.1.split("</t").next()?.to_owned()));
        cells.collect()
    };
    body.split("<tr").skip(2).map(cells).collect()
}

/// Names and bytes of files for papers.
pub fn for_papers(report: &Report) -> Vec<(String, Vec<u8>)> {
    let files = report.for_papers().unwrap();
    for (name, _) in &files {
        assert!(
            Path::new(name).components().count() == 2 && !name.contains(['<', '"', '\\']),
            "{name}"
        );
    }
    files
}
