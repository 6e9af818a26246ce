//! Curves over all thresholds: ROC, precision–recall, risk–coverage.

use crate::{
    axis::Axis,
    chart::{is_drawn, thin},
    colour::INK,
    figure::{Figure, Stroke},
    plot::{Layout, Plot, REFERENCE, Swatch, WIDTH, line_stroke},
    text::Font,
};

/// Width of a figure whose plot is a square, in pixels.
const SQUARE: f64 = 400.0;

/// A curve with the area under it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// `(x, y)` in drawing order; a point that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// Written behind the name; none where it is not defined.
    pub area: Option<f64>,
}

/// ROC curves: true positive rate over false positive rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RocCurves {
    /// Above the plot.
    pub title: String,
    /// One a class, against all others: points `(false positive rate, true positive rate)`, both 0 to 1; AUC.
    pub classes: Vec<Curve>,
    /// The mean over classes, drawn above them.
    pub macro_average: Option<Curve>,
}

/// Precision–recall curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrecisionRecallCurves {
    /// Above the plot.
    pub title: String,
    /// One a class, against all others: points `(recall, precision)`, both 0 to 1; average precision; and the class's
    /// share of the items, which is the precision of chance.
    pub classes: Vec<(Curve, f64)>,
    /// The mean over classes, drawn above them.
    pub macro_average: Option<Curve>,
}

/// Risk–coverage curves: the error among the items that a model is surest of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RiskCoverageCurves {
    /// Above the plot.
    pub title: String,
    /// What the vertical axis measures, such as "error rate".
    pub risk: String,
    /// Points `(coverage, risk)`, coverage 0 to 1; the area under the curve.
    pub curves: Vec<Curve>,
}

impl RocCurves {
    /// Draws the curves with the diagonal of chance, 400 pixels wide.
    pub fn draw(&self) -> Figure {
        let mut plot = square(&self.title, "false positive rate", "true positive rate");
        plot.curve(&[(0.0, 0.0), (1.0, 1.0)], REFERENCE);
        let mut entries = classes(&mut plot, self.classes.iter(), "AUC", |_| None);
        entries.extend(mean(&mut plot, self.macro_average.as_ref(), "AUC"));
        entries.push((Swatch::Line(REFERENCE), "chance".to_owned()));
        finish(plot, entries, self.classes.iter().chain(&self.macro_average))
    }
}

impl PrecisionRecallCurves {
    /// Draws the curves as steps, as average precision adds them up, and each class's share as a dashed line; 400 pixels
    /// wide.
    pub fn draw(&self) -> Figure {
        let mut plot = square(&self.title, "recall", "precision");
        let curves = self.classes.iter().map(|(curve, _)| curve);
        for (i, (_, share)) in self.classes.iter().enumerate() {
            if share.is_finite() {
                let share = share.clamp(0.0, 1.0);
                let colour = line_stroke(i).colour;
                plot.curve(&[(0.0, share), (1.0, share)], Stroke { colour, ..REFERENCE });
            }
        }
        let steps: Vec<Curve> = curves.clone().map(stepped).collect();
        let mut entries = classes(&mut plot, steps.iter(), "AP", |i| {
            self.classes.get(i).map(|(_, share)| *share)
        });
        let macro_average = self.macro_average.as_ref().map(stepped);
        entries.extend(mean(&mut plot, macro_average.as_ref(), "AP"));
        if !self.classes.is_empty() {
            entries.push((Swatch::Line(REFERENCE), "share of the class".to_owned()));
        }
        finish(plot, entries, curves.chain(&self.macro_average))
    }
}

impl RiskCoverageCurves {
    /// Draws the curves, 480 pixels wide.
    pub fn draw(&self) -> Figure {
        let risks = self.curves.iter().flat_map(|curve| &curve.points);
        let risks = risks.filter(|&&pair| is_drawn(pair)).map(|(_, risk)| *risk);
        let is_empty = risks.clone().next().is_none();
        let mut plot = Layout {
            title: &self.title,
            note: "",
            x_label: "coverage: share of items, the surest first",
            y_label: &self.risk,
            width: WIDTH,
            height: Some(240.0),
            x: Axis::shares(),
            y: if is_empty {
                Axis::shares()
            } else {
                Axis::over(risks.chain([0.0]), 5.0, true)
            },
        }
        .draw();
        let entries = classes(&mut plot, self.curves.iter(), "area", |_| None);
        finish(plot, entries, self.curves.iter())
    }
}

/// A square plot of two shares.
fn square(title: &str, x_label: &str, y_label: &str) -> Plot {
    Layout {
        title,
        note: "",
        x_label,
        y_label,
        width: SQUARE,
        height: None,
        x: Axis::shares(),
        y: Axis::shares(),
    }
    .draw()
}

/// Draws curves and gives their entries in the legend: the area, and the share of a class where there is one.
fn classes<'a>(
    plot: &mut Plot,
    curves: impl Iterator<Item = &'a Curve>,
    area: &str,
    share: impl Fn(usize) -> Option<f64>,
) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    for (i, curve) in curves.enumerate() {
        let stroke = line_stroke(i);
        draw(plot, curve, stroke);
        let share = share(i).map_or_else(String::new, |share| format!(", share {}", three(Some(share))));
        entries.push((Swatch::Line(stroke), name(curve, area, &share)));
    }
    entries
}

fn mean(plot: &mut Plot, curve: Option<&Curve>, area: &str) -> Option<(Swatch, String)> {
    let stroke = Stroke {
        colour: INK,
        width: 3.5,
        dashed: false,
    };
    let curve = curve?;
    draw(plot, curve, stroke);
    Some((Swatch::Line(stroke), name(curve, area, "")))
}

/// The name, shortened so that the figures behind it are seen.
fn name(curve: &Curve, area: &str, share: &str) -> String {
    let figures = format!(", {area} {}{share}", three(curve.area));
    let font = Font::Body;
    let name = font.fit_name(&curve.name, 290.0 - font.width(&figures));
    format!("{name}{figures}")
}

fn three(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.3}"),
        _ => "not defined".to_owned(),
    }
}

fn draw(plot: &mut Plot, curve: &Curve, stroke: Stroke) {
    for line in thin(&curve.points) {
        let (low, high) = plot.y.range();
        let inside: Vec<(f64, f64)> = line
            .into_iter()
            .map(|(x, y)| (x.clamp(0.0, 1.0), y.clamp(low, high)))
            .collect();
        plot.curve(&inside, stroke);
    }
}

/// The same curve as steps: from one recall to the next the precision of the higher one holds.
fn stepped(curve: &Curve) -> Curve {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for &(recall, precision) in &curve.points {
        if let Some(&(last, before)) = points.last() {
            points.push(if recall < last {
                (recall, before)
            } else {
                (last, precision)
            });
        }
        points.push((recall, precision));
    }
    Curve {
        points,
        ..curve.clone()
    }
}

fn finish<'a>(mut plot: Plot, entries: Vec<(Swatch, String)>, mut curves: impl Iterator<Item = &'a Curve>) -> Figure {
    if !curves.any(|curve| curve.points.iter().any(|&pair| is_drawn(pair))) {
        plot.empty("no curve is defined");
    }
    plot.legend(&entries);
    plot.figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Path, Segment, Shape};

    fn curve(name: &str, points: &[(f64, f64)], area: Option<f64>) -> Curve {
        Curve {
            name: name.into(),
            points: points.to_vec(),
            area,
        }
    }

    fn paths(figure: &Figure) -> Vec<&Path> {
        let paths = figure.shapes.iter().filter_map(|shape| match shape {
            Shape::Path(path, _) => Some(path),
            _ => None,
        });
        paths.collect()
    }

    #[test]
    fn a_precision_recall_curve_is_the_steps_that_average_precision_adds_up() {
        // scikit-learn, average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) = 0.8333: the area below the steps.
        let down = curve(
            "a",
            &[(1.0, 0.5), (1.0, 2.0 / 3.0), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)],
            None,
        );
        let up = Curve {
            points: down.points.iter().rev().copied().collect(),
            ..down.clone()
        };
        for curve in [down, up] {
            let steps = stepped(&curve).points;
            let area: f64 = steps
                .windows(2)
                .map(|pair| (pair[0].0 - pair[1].0).abs() * pair[0].1)
                .sum();
            assert!((area - 0.833_333).abs() < 1e-6, "{area} {steps:?}");
            assert!(
                steps
                    .windows(2)
                    .all(|pair| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1)
            );
        }
    }

    #[test]
    fn every_class_is_named_with_its_area() {
        let roc = RocCurves {
            title: "emotion, test".into(),
            classes: vec![
                curve("angry", &[(0.0, 0.0), (0.1, 0.7), (1.0, 1.0)], Some(0.8)),
                curve("<script>", &[(0.0, 0.0), (1.0, 1.0)], None),
                curve(&"long ".repeat(40), &[], Some(f64::NAN)),
            ],
            macro_average: Some(curve("macro", &[(0.0, 0.0), (1.0, 1.0)], Some(0.65))),
        };
        let svg = roc.draw().to_svg();
        for text in [
            "angry, AUC 0.800",
            "&lt;script&gt;, AUC not defined",
            "macro, AUC 0.650",
            "chance",
        ] {
            assert!(svg.contains(&format!(">{text}<")), "{text}: {svg}");
        }
        assert!(svg.contains("…, AUC not defined<") && !svg.contains("<script"), "{svg}");
        let shares = PrecisionRecallCurves {
            title: "t".into(),
            classes: vec![(curve("sad", &[(0.0, 1.0), (1.0, 0.3)], Some(0.61)), 0.25)],
            macro_average: None,
        };
        let svg = shares.draw().to_svg();
        assert!(svg.contains(">sad, AP 0.610, share 0.250<"), "{svg}");
    }

    #[test]
    fn points_outside_and_numbers_that_are_none_stay_inside() {
        let wild = [
            (-5.0, 0.5),
            (f64::NAN, 0.1),
            (0.5, f64::INFINITY),
            (0.6, 1e9),
            (7.0, -1e308),
        ];
        let classes = vec![curve("a", &wild, Some(f64::INFINITY))];
        let risk = RiskCoverageCurves {
            curves: classes.clone(),
            ..RiskCoverageCurves::default()
        };
        let roc = RocCurves {
            classes: classes.clone(),
            ..RocCurves::default()
        };
        let shares = PrecisionRecallCurves {
            classes: vec![(classes[0].clone(), f64::NAN)],
            ..PrecisionRecallCurves::default()
        };
        for figure in [risk.draw(), roc.draw(), shares.draw()] {
            let svg = figure.to_svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            for path in paths(&figure) {
                for segment in &path.segments {
                    assert!(
                        matches!(segment, Segment::Line(at)
                        if at.x >= 0.0 && at.x <= figure.width && at.y >= 0.0 && at.y <= figure.height),
                        "{segment:?}"
                    );
                }
            }
            figure.to_png().unwrap();
        }
    }

    #[test]
    fn without_points_the_figure_says_so() {
        for figure in [
            RocCurves::default().draw(),
            PrecisionRecallCurves::default().draw(),
            RiskCoverageCurves::default().draw(),
        ] {
            assert!(figure.to_svg().contains(">no curve is defined<"));
        }
    }

    #[test]
    fn curves_of_a_hundred_thousand_points_stay_small() {
        let points: Vec<(f64, f64)> = (0..100_000)
            .map(|i| f64::from(i) / 1e5)
            .map(|x| (x, x.sqrt()))
            .collect();
        let roc = RocCurves {
            classes: vec![curve("a", &points, Some(0.667))],
            ..RocCurves::default()
        };
        assert!(roc.draw().to_svg().len() < 40_000);
    }
}
