//! What holds for every figure, with names and numbers that nobody would choose.

use crate::{
    BarChart, Curve, Diagram, DiagramEdge, DiagramNode, Figure, Group, GroupBars, Histogram, LineChart,
    PrecisionRecallCurves, ReliabilityBin, ReliabilityDiagram, RiskCoverageCurves, RocCurves, Scatter, Series,
    Spectrogram, confusion_matrix, confusion_matrix_beside_counts, figure::tests::text_stays_inside,
};

const NAMES: [&str; 10] = [
    "<script>alert(1)</script>",
    "]]>\"quotes\" & 'more' </text></svg>",
    "مرحبا بالعالم שלום",
    "\u{202e}turned\u{2066}",
    "😀👩‍👩‍👧🏳️‍🌈",
    "日本語のとても長い名前",
    "",
    "two\nlines\tand \u{0}\u{1b}[31m\u{7}\u{fffe}\u{ffff}",
    "e\u{301}\u{301}\u{301}\u{301}\u{20dd}",
    "a\u{200b}\u{feff}\u{ad}b",
];
const NUMBERS: [f64; 9] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    5e-324,
    -0.0,
    0.5,
    1e17,
];

/// A table: one of each figure, of these names and numbers.
fn figures(names: &[String], numbers: &[f64]) -> Vec<Figure> {
    let name = |at: usize| names.get(at % names.len().max(1)).cloned().unwrap_or_default();
    let pairs: Vec<(f64, f64)> = numbers
        .iter()
        .flat_map(|x| numbers.iter().map(move |y| (*x, *y)))
        .collect();
    let number = |at: usize| numbers.get(at % numbers.len().max(1)).copied();
    let curve = |at: usize| Curve {
        name: name(at),
        points: pairs.clone(),
        area: number(at),
    };
    let curves: Vec<Curve> = (0..names.len()).map(curve).collect();
    let count = |at: usize| [0, 1, 9, 10, u64::MAX][at % 5];
    let rows: Vec<Vec<u64>> = (0..names.len())
        .map(|i| (0..names.len()).map(|j| count(i + j)).collect())
        .collect();
    let rows = || rows.iter().map(Vec::as_slice);
    let group = |at: usize| Group {
        name: name(at),
        value: number(at).unwrap_or_default(),
        interval: number(at + 1).zip(number(at + 2)),
        items: count(at),
    };
    let bin = |at: usize| ReliabilityBin {
        confidence: number(at).unwrap_or_default(),
        accuracy: number(at + 1).unwrap_or_default(),
        items: count(at),
    };
    let levels: Vec<f32> = numbers.iter().map(|value| *value as f32).collect();
    let node = |at: usize| DiagramNode {
        id: name(at),
        title: name(at),
        lines: vec![name(at + 1)],
        section: name(at + 2),
        dashed: at.is_multiple_of(2),
    };
    let edge = |at: usize| DiagramEdge {
        from: name(at),
        to: name(at + 3),
        label: name(at + 1),
        dashed: at % 2 == 1,
    };
    let title = name(0);
    let series = |at: usize| Series {
        name: name(at),
        points: pairs.clone(),
        ..Series::default()
    };
    let chart = |log_x: bool| LineChart {
        title: title.clone(),
        x_label: name(1),
        y_label: name(2),
        series: (0..names.len()).map(series).collect(),
        log_x,
    };
    vec![
        confusion_matrix(&title, names, rows()).unwrap(),
        confusion_matrix_beside_counts(&title, names, rows()).unwrap(),
        chart(false).draw(),
        chart(true).draw(),
        RocCurves {
            title: title.clone(),
            classes: curves.clone(),
            macro_average: curves.first().cloned(),
        }
        .draw(),
        PrecisionRecallCurves {
            title: title.clone(),
            classes: curves.iter().cloned().zip(numbers.iter().copied()).collect(),
            macro_average: curves.first().cloned(),
        }
        .draw(),
        RiskCoverageCurves {
            title: title.clone(),
            risk: name(1),
            curves: curves.clone(),
        }
        .draw(),
        ReliabilityDiagram {
            title: title.clone(),
            bins: (0..names.len()).map(bin).collect(),
            ece: number(0),
        }
        .draw(),
        GroupBars {
            title: title.clone(),
            value_label: name(1),
            groups: (0..names.len()).map(group).collect(),
            overall: number(0),
            lower_is_better: true,
        }
        .draw(),
        Scatter {
            title: &title,
            x_label: &name(1),
            y_label: &name(2),
            points: &pairs,
            classes: &[0, 1, usize::MAX],
            labels: names,
        }
        .draw(),
        Histogram {
            title: title.clone(),
            x_label: name(1),
            y_label: name(2),
            low: number(0).unwrap_or_default(),
            step: number(1).unwrap_or_default(),
            counts: vec![0, 1, usize::MAX, usize::MAX],
        }
        .draw(),
        BarChart {
            title: title.clone(),
            y_label: name(1),
            categories: names.to_vec(),
            parts: names.iter().map(|name| (name.clone(), vec![usize::MAX; 3])).collect(),
        }
        .draw(),
        Spectrogram {
            title: &title,
            levels: &levels,
            bands: 3,
            seconds: number(0).unwrap_or_default(),
            marks: &[(number(1).unwrap_or_default(), "1k".to_owned())],
            top_db: number(2).unwrap_or_default(),
            range_db: number(3).unwrap_or_default(),
        }
        .draw(),
        Diagram {
            title: title.clone(),
            nodes: (0..names.len()).map(node).collect(),
            edges: (0..names.len()).map(edge).collect(),
            dashed_nodes: name(3),
            dashed_edges: name(4),
        }
        .draw(),
    ]
}

/// Fails where a figure is not well-formed, lets markup through, is written with a number that is none, or cannot be painted.
fn is_sound(figure: &Figure) {
    let svg = figure.to_svg();
    resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
    let tags = ["svg", "title", "rect", "path", "text", "image"];
    for opened in svg.split('<').skip(1) {
        let tag = opened.trim_start_matches('/');
        assert!(tags.iter().any(|known| tag.starts_with(known)), "{opened}");
        // Attributes are ours; what is outside of tags is text.
        let attributes = opened.split('>').next().unwrap();
        assert!(!attributes.contains("NaN") && !attributes.contains("\"inf"), "{opened}");
    }
    let image = figure.to_png().unwrap();
    assert_eq!((f64::from(image.width), f64::from(image.height)), figure.size());
    text_stays_inside(figure);
}

#[test]
fn names_from_outside_are_text_that_fits() {
    let short = NAMES.map(str::to_owned);
    let long = NAMES.map(|name| name.repeat(200 / name.chars().count().max(1) + 1));
    for names in [&short, &long] {
        for turn in [0, 1, 4] {
            // Other names become titles and labels of axes.
            let mut names = names.to_vec();
            names.rotate_left(turn);
            figures(&names, &[0.25, 0.75]).iter().for_each(is_sound);
        }
    }
}

#[test]
fn numbers_that_are_none_or_beyond_measure_break_no_figure() {
    let names = ["a", "b", "c"].map(str::to_owned);
    for turn in 0..NUMBERS.len() {
        let mut numbers = NUMBERS;
        numbers.rotate_left(turn);
        figures(&names, &numbers).iter().for_each(is_sound);
    }
}

#[test]
fn figures_of_nothing_are_sound() {
    figures(&[], &[]).iter().for_each(is_sound);
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    let names = NAMES.map(str::to_owned);
    let numbers = [0.1, 0.7, 0.3];
    let (once, again) = (figures(&names, &numbers), figures(&names, &numbers));
    for (a, b) in once.iter().zip(&again) {
        assert_eq!(a.to_svg(), b.to_svg());
        assert_eq!(a.to_png().unwrap(), b.to_png().unwrap());
    }
}
