//! Draws one of each figure, and some that are hard to draw, to look at: `cargo run --release -p emorun-figures
//! --example gallery -- FOLDER`.

use std::{error::Error, path::Path};

use emorun_figures::{
    BarChart, Curve, Diagram, DiagramEdge, DiagramNode, Figure, Group, GroupBars, Histogram, LineChart, PRINT_DPI,
    PrecisionRecallCurves, ReliabilityBin, ReliabilityDiagram, RiskCoverageCurves, RocCurves, Scatter, Series,
    Spectrogram, animation, confusion_matrix, confusion_matrix_beside_counts,
};

const EMOTIONS: [&str; 8] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
];
const HARD: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"quotes\" & 'more'",
    "счастье ελπίδα ếạ",
    "مرحبا שלום",
    "😀👩‍👩‍👧 日本語",
    "",
    "a name that goes on and on and on and on and on and on and on and on and on and on",
    "line\nbreak\u{202e}turned",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for (name, figure) in figures()? {
        std::fs::write(folder.join(format!("{name}.svg")), figure.to_svg())?;
        std::fs::write(folder.join(format!("{name}.png")), figure.to_png()?.bytes)?;
    }
    let print = roc("for print", &EMOTIONS).to_png_at(PRINT_DPI)?;
    std::fs::write(folder.join("print.png"), print.bytes)?;
    let epochs = (1..=12)
        .map(|epoch| confusion(&format!("emotion, validation, epoch {epoch}"), &EMOTIONS, epoch))
        .collect::<Result<Vec<_>, _>>()?;
    std::fs::write(folder.join("epochs.png"), animation(&epochs, 0.4)?.bytes)?;
    Ok(())
}

fn figures() -> Result<Vec<(String, Figure)>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (set, labels) in [("usual", EMOTIONS), ("hard", HARD)] {
        let title = if set == "usual" { "emotion, test" } else { HARD[6] };
        let named = [
            ("confusion", confusion(title, &labels, 9)?),
            (
                "beside",
                confusion_matrix_beside_counts(title, &labels, rows(8, 9).iter().map(Vec::as_slice))?,
            ),
            ("roc", roc(title, &labels)),
            ("pr", precision_recall(title, &labels)),
            ("risk", risk(title)),
            ("reliability", reliability(title)),
            ("groups", groups(title, &labels)),
            ("scatter", scatter(title, 600, &labels)),
            ("scatter_many", scatter(title, 100_000, &labels)),
            ("lines", lines(title, &labels, 2)),
            ("bars", bars(title, &labels)),
            ("diagram", diagram(title, &labels)),
        ];
        all.extend(named.map(|(name, figure)| (format!("{set}_{name}"), figure)));
    }
    for classes in [0, 2, 4, 12, 20, 40, 1000] {
        let labels: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        let rows = rows(classes, 5);
        let rows = || rows.iter().map(Vec::as_slice);
        all.push((
            format!("confusion_{classes}"),
            confusion_matrix("some classes", &labels, rows())?,
        ));
        all.push((
            format!("beside_{classes}"),
            confusion_matrix_beside_counts("some classes", &labels, rows())?,
        ));
    }
    all.push(("lines_runs".into(), lines("12 runs", &EMOTIONS, 12)));
    all.push(("histogram".into(), histogram()));
    all.push(("spectrogram".into(), spectrogram()));
    let nothing = [
        ("roc", RocCurves::default().draw()),
        ("pr", PrecisionRecallCurves::default().draw()),
        ("risk", RiskCoverageCurves::default().draw()),
        ("reliability", ReliabilityDiagram::default().draw()),
        ("groups", GroupBars::default().draw()),
        ("scatter", Scatter::default().draw()),
        ("lines", LineChart::default().draw()),
        ("histogram", Histogram::default().draw()),
        ("bars", BarChart::default().draw()),
    ];
    all.extend(nothing.map(|(name, figure)| (format!("nothing_{name}"), figure)));
    Ok(all)
}

/// Numbers between 0 and 1 without a pattern that is seen.
fn noise(at: usize) -> f64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((at as u64) << 17);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1u64 << 24) as f64
}

fn rows(classes: usize, epoch: usize) -> Vec<Vec<u64>> {
    let cell = |i: usize, j: usize| {
        let wrong = 14.0 * noise(classes * i + j) / epoch as f64;
        if i == j {
            (40.0 + 60.0 * noise(i)) as u64
        } else {
            wrong as u64
        }
    };
    (0..classes)
        .map(|i| (0..classes).map(|j| cell(i, j)).collect())
        .collect()
}

fn confusion(title: &str, labels: &[&str], epoch: usize) -> Result<Figure, Box<dyn Error>> {
    Ok(confusion_matrix(
        title,
        labels,
        rows(labels.len(), epoch).iter().map(Vec::as_slice),
    )?)
}

fn curve(name: &str, power: f64) -> Curve {
    let xs = (0..=200).map(|i| f64::from(i) / 200.0);
    Curve {
        name: name.into(),
        points: xs.map(|x| (x, x.powf(power))).collect(),
        area: Some(1.0 / (1.0 + power)),
    }
}

fn roc(title: &str, labels: &[&str]) -> Figure {
    RocCurves {
        title: title.into(),
        classes: labels
            .iter()
            .enumerate()
            .map(|(i, label)| curve(label, 0.08 + 0.05 * i as f64))
            .collect(),
        macro_average: Some(curve("macro average", 0.22)),
    }
    .draw()
}

fn precision_recall(title: &str, labels: &[&str]) -> Figure {
    let class = |(i, label): (usize, &&str)| {
        let points = (0..=40).map(|step| f64::from(step) / 40.0);
        let curve = Curve {
            name: (*label).into(),
            points: points
                .map(|x| {
                    (
                        x,
                        1.0 - (0.2 + 0.05 * i as f64) * x * (1.0 + noise(i + (40.0 * x) as usize)),
                    )
                })
                .collect(),
            area: Some(0.9 - 0.05 * i as f64),
        };
        (curve, 0.05 + 0.02 * i as f64)
    };
    PrecisionRecallCurves {
        title: title.into(),
        classes: labels.iter().enumerate().map(class).collect(),
        macro_average: None,
    }
    .draw()
}

fn risk(title: &str) -> Figure {
    let curve = |name: &str, most: f64| Curve {
        name: name.into(),
        points: (1..=100)
            .map(|i| f64::from(i) / 100.0)
            .map(|x| (x, most * x * x))
            .collect(),
        area: Some(most / 3.0),
    };
    RiskCoverageCurves {
        title: title.into(),
        risk: "error rate".into(),
        curves: vec![curve("emotion", 0.31), curve("random order", 0.4)],
    }
    .draw()
}

fn reliability(title: &str) -> Figure {
    let bin = |i: usize| {
        let confidence = (i as f64 + 0.5) / 15.0;
        ReliabilityBin {
            confidence,
            accuracy: (confidence - 0.12 + 0.1 * noise(i)).max(0.0),
            items: if i < 3 {
                0
            } else {
                (3.0 + 9.0 * (i as f64 - 3.0).powi(2) / 4.0) as u64
            },
        }
    };
    ReliabilityDiagram {
        title: title.into(),
        bins: (0..15).map(bin).collect(),
        ece: Some(0.0712),
    }
    .draw()
}

fn groups(title: &str, labels: &[&str]) -> Figure {
    let group = |(i, label): (usize, &&str)| {
        let value = 0.4 + 0.5 * noise(i + 3);
        Group {
            name: (*label).into(),
            value: if i == 5 { f64::NAN } else { value },
            interval: Some((value - 0.08 - 0.1 * noise(i), value + 0.07)),
            items: [120, 96, 5, 240, 33, 0, 1440, 61][i % 8],
        }
    };
    GroupBars {
        title: title.into(),
        value_label: "UAR".into(),
        groups: labels.iter().enumerate().map(group).collect(),
        overall: Some(0.66),
        lower_is_better: false,
    }
    .draw()
}

fn scatter(title: &str, count: usize, labels: &[&str]) -> Figure {
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    let class = |i: usize| i * labels.len() / count;
    let place = |i: usize| {
        let angle = class(i) as f64 * 0.8;
        let spread = |at: usize| (0..6).map(|k| noise(6 * at + k)).sum::<f64>() - 3.0;
        (3.0 * angle.cos() + spread(2 * i), 3.0 * angle.sin() + spread(2 * i + 1))
    };
    Scatter {
        title,
        x_label: "UMAP 1",
        y_label: "UMAP 2",
        points: &(0..count).map(place).collect::<Vec<_>>(),
        classes: &(0..count).map(class).collect::<Vec<_>>(),
        labels: &labels,
    }
    .draw()
}

fn lines(title: &str, labels: &[&str], runs: usize) -> Figure {
    let line = |run: usize, training: bool| {
        let points = (1..=40).map(f64::from);
        let level = if training { 0.3 } else { 0.8 } + 0.1 * run as f64;
        Series {
            name: format!(
                "{} {}",
                labels[run % labels.len()],
                if training { "training" } else { "validation" }
            ),
            points: points
                .map(|x| (x, level + 2.0 * (-x / 8.0).exp() + 0.05 * noise(x as usize + 40 * run)))
                .collect(),
            colour: Some(run),
            dashed: training,
        }
    };
    LineChart {
        title: title.into(),
        x_label: "epoch".into(),
        y_label: "loss".into(),
        series: (0..runs).flat_map(|run| [line(run, false), line(run, true)]).collect(),
        log_x: false,
    }
    .draw()
}

fn bars(title: &str, labels: &[&str]) -> Figure {
    let counts = |part: usize| {
        (0..labels.len())
            .map(|i| (100.0 * noise(i + 9 * part)) as usize)
            .collect()
    };
    BarChart {
        title: title.into(),
        y_label: "utterances".into(),
        categories: labels.iter().map(|label| (*label).into()).collect(),
        parts: vec![("female".into(), counts(0)), ("male".into(), counts(1))],
    }
    .draw()
}

fn histogram() -> Figure {
    Histogram {
        title: "duration".into(),
        x_label: "duration in s".into(),
        y_label: "utterances".into(),
        low: 1.0,
        step: 0.25,
        counts: (0..24)
            .map(|i: i32| (400.0 * (-f64::from(i - 9).powi(2) / 30.0).exp()) as usize)
            .collect(),
    }
    .draw()
}

fn spectrogram() -> Figure {
    let levels = (0..300 * 80).map(|i| (i / 80, i % 80));
    let level =
        |(frame, band): (usize, usize)| -70.0 * ((band as f64 / 9.0 + (frame as f64 / 20.0).sin()).sin().abs()) as f32;
    Spectrogram {
        title: "ravdess/03-01-05-01-02-01-12 - epoch-1",
        levels: &levels.map(level).collect::<Vec<f32>>(),
        bands: 80,
        seconds: 3.0,
        marks: &[
            (0.2, "500".into()),
            (0.45, "1000".into()),
            (0.7, "2000".into()),
            (1.0, "8000".into()),
        ],
        top_db: 0.0,
        range_db: 70.0,
    }
    .draw()
}

fn diagram(title: &str, labels: &[&str]) -> Figure {
    let node = |(i, label): (usize, &&str)| DiagramNode {
        id: i.to_string(),
        title: (*label).into(),
        lines: vec!["frames, 768 wide".into(), (*label).into()],
        section: ["datasets", "encoders", "heads", "losses"][i / 2].into(),
        dashed: i == 3,
    };
    let edge = |i: usize| DiagramEdge {
        from: (i / 2).to_string(),
        to: (i + 1).to_string(),
        label: labels[i].into(),
        dashed: false,
    };
    Diagram {
        title: title.into(),
        nodes: labels.iter().enumerate().map(node).collect(),
        edges: (0..labels.len() - 1).map(edge).collect(),
        dashed_nodes: "frozen".into(),
        dashed_edges: "uses".into(),
    }
    .draw()
}
