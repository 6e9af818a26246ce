//! Line charts, such as loss curves, also of several runs in one.

use crate::{
    axis::Axis,
    figure::{Figure, Stroke},
    plot::{Layout, Swatch, WIDTH, line_stroke},
};

/// Height of the area between the axes, in pixels.
const HEIGHT: f64 = 240.0;
/// More points than this in a series are drawn as the range of each bucket.
const MAX_POINTS: usize = 1200;
/// Beyond this, differences of coordinates overflow.
const LARGEST: f64 = 1e300;

/// Several series over one axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineChart {
    /// Above the chart.
    pub title: String,
    /// What the horizontal axis counts, such as "epoch".
    pub x_label: String,
    /// What the vertical axis measures, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Places x by its logarithm; what is not above 0 is not drawn.
    pub log_x: bool,
}

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `(x, y)` in drawing order; a point that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// The number of its colour, such as that of its run; by default its place among the series.
    pub colour: Option<usize>,
    /// Whether it is dashed, such as what belongs to training beside validation.
    pub dashed: bool,
}

impl LineChart {
    /// Draws the chart, 480 pixels wide; of more than 1200 points in a series the range of each bucket is drawn.
    pub fn draw(&self) -> Figure {
        let placed = |s: &Series| -> Vec<(f64, f64)> {
            let place = |&(x, y): &(f64, f64)| (if self.log_x { x.log10() } else { x }, y);
            s.points.iter().map(place).collect()
        };
        let lines: Vec<Vec<(f64, f64)>> = self.series.iter().map(placed).collect();
        let points = || lines.iter().flatten().filter(|&&p| is_drawn(p)).copied();
        let x = Axis::over(points().map(|(x, _)| x), 8.0, false);
        let mut plot = Layout {
            title: &self.title,
            note: "",
            x_label: &self.x_label,
            y_label: &self.y_label,
            width: WIDTH,
            height: Some(HEIGHT),
            x: if self.log_x { x.of_powers() } else { x },
            y: Axis::over(points().map(|(_, y)| y), 5.0, true),
        }
        .draw();
        let mut entries = Vec::new();
        for (i, (series, points)) in self.series.iter().zip(&lines).enumerate() {
            let stroke = line_stroke(series.colour.unwrap_or(i));
            let stroke = Stroke {
                dashed: stroke.dashed || series.dashed,
                ..stroke
            };
            for line in thin(points) {
                plot.curve(&line, stroke);
            }
            entries.push((Swatch::Line(stroke), series.name.clone()));
        }
        if points().next().is_none() {
            plot.empty("no values");
        }
        plot.legend(&entries);
        plot.figure
    }
}

/// Whether a point can be placed.
pub(crate) fn is_drawn((x, y): (f64, f64)) -> bool {
    x.abs() <= LARGEST && y.abs() <= LARGEST
}

/// The uninterrupted lines of a series, of a long one only the least and greatest of each bucket.
pub(crate) fn thin(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let bucket = (2 * points.len()).div_ceil(MAX_POINTS).max(1);
    points
        .split(|&p| !is_drawn(p))
        .map(|line| {
            if bucket == 1 || points.len() <= MAX_POINTS {
                return line.to_vec();
            }
            line.chunks(bucket)
                .flat_map(|chunk| {
                    let extreme = |sign: f64| {
                        (0..chunk.len()).max_by(|&a, &b| (sign * chunk[a].1).total_cmp(&(sign * chunk[b].1)))
                    };
                    let (low, high) = (extreme(-1.0), extreme(1.0));
                    let (first, second) = (low.min(high), low.max(high));
                    let second = second.filter(|_| first != second);
                    [first, second].into_iter().flatten().map(|i| chunk[i])
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Path, Segment, Shape};

    #[test]
    fn a_gap_splits_a_line_and_long_series_keep_their_extremes() {
        let nan = f64::NAN;
        let lines = thin(&[(0.0, 1.0), (1.0, nan), (2.0, 3.0), (3.0, 4.0)]);
        assert_eq!(lines, [vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]);
        let mut long: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
        long[54_321].1 = 9.0;
        long[54_400].1 = -9.0;
        let thinned = thin(&long).concat();
        assert!(thinned.len() <= MAX_POINTS + 2, "{}", thinned.len());
        assert!(thinned.contains(&(54_321.0, 9.0)) && thinned.contains(&(54_400.0, -9.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn every_series_is_drawn_inside_the_plot_and_named() {
        let series = |name: &str, points: &[(f64, f64)]| Series {
            name: name.into(),
            points: points.to_vec(),
            ..Series::default()
        };
        let chart = LineChart {
            title: "loss".into(),
            x_label: "epoch".into(),
            y_label: "nats".into(),
            series: vec![
                series("train", &[(1.0, 2.0), (2.0, 1.0), (3.0, f64::INFINITY), (4.0, 0.5)]),
                series("a<b", &[(1.0, -1e300), (4.0, 1e300)]),
                series("none", &[]),
            ],
            log_x: false,
        };
        let figure = chart.draw();
        let lines: Vec<&Path> = figure
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Path(path, _) => Some(path),
                _ => None,
            })
            .collect();
        // Two lines, and one an entry of the legend.
        assert_eq!(lines.len(), 2 + 3);
        for path in lines {
            for segment in &path.segments {
                let Segment::Line(at) = segment else {
                    panic!("a chart has straight lines: {segment:?}");
                };
                assert!(
                    (0.0..=WIDTH).contains(&at.x) && (0.0..=figure.height).contains(&at.y),
                    "{at:?}"
                );
            }
        }
        let svg = figure.to_svg();
        for text in ["train", "a&lt;b", "none", "loss", "epoch", "nats"] {
            assert!(svg.contains(&format!(">{text}<")), "{text}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        figure.to_png().unwrap();
    }

    #[test]
    fn a_logarithmic_axis_is_marked_by_powers_of_ten_and_has_no_zero() {
        let chart = LineChart {
            series: vec![Series {
                name: "loss".into(),
                points: (-7..=1)
                    .map(|x| (10_f64.powi(x), 1.0))
                    .chain([(0.0, 1.0), (-1.0, 1.0)])
                    .collect(),
                ..Series::default()
            }],
            log_x: true,
            ..LineChart::default()
        };
        let svg = chart.draw().to_svg();
        for text in ["1e-7", "1e-1", "1e0", "1e1"] {
            assert!(svg.contains(&format!(">{text}<")), "{text}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_chart_without_points_says_so() {
        let svg = LineChart::default().draw().to_svg();
        assert!(svg.contains(">no values<"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn many_runs_keep_the_picture_narrow_and_colours_can_be_shared() {
        let series = |i: usize| Series {
            name: format!("run {i} with quite a long name, as sweeps give them"),
            points: vec![(0.0, i as f64), (1.0, 0.0)],
            colour: Some(i / 2),
            dashed: i % 2 == 1,
        };
        let chart = LineChart {
            title: "a title ".repeat(30),
            series: (0..200).map(series).collect(),
            ..LineChart::default()
        };
        let figure = chart.draw();
        assert_eq!(figure.width, WIDTH);
        assert!(figure.to_svg().contains(">and 164 more<"));
        let strokes: Vec<Stroke> = figure
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Path(_, stroke) => Some(*stroke),
                _ => None,
            })
            .collect();
        assert_eq!(strokes[0].colour, strokes[1].colour);
        assert!(strokes[1].dashed && strokes[1].colour != strokes[2].colour);
    }
}
