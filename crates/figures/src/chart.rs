//! Line charts, such as loss curves.

use crate::{
    colour::{FAINT, INK, MUTED, Rgb, category_hue},
    figure::{Anchor, Figure, Path, Point, Rect, Segment, Shape, Stroke, point},
    text::{Font, shorten},
};

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const HEIGHT: f64 = 360.0;
pub(crate) const MARGIN: f64 = 18.0;
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
}

impl LineChart {
    /// Draws the chart at 640 × 360 pixels.
    pub fn draw(&self) -> Figure {
        let mut figure = Figure::new(&self.title);
        (figure.width, figure.height) = (WIDTH, HEIGHT);
        let placed = |s: &Series| -> Vec<(f64, f64)> {
            let place = |&(x, y): &(f64, f64)| (if self.log_x { x.log10() } else { x }, y);
            s.points.iter().map(place).collect()
        };
        let lines: Vec<Vec<(f64, f64)>> = self.series.iter().map(placed).collect();
        let points = || lines.iter().flatten().filter(|&&p| is_drawn(p)).copied();
        let x_axis = Axis::over(points().map(|(x, _)| x), 8.0, false);
        let y_axis = Axis::over(points().map(|(_, y)| y), 5.0, true);
        let y_texts: Vec<String> = y_axis.ticks.iter().map(|&t| y_axis.label(t)).collect();
        let widest = y_texts.iter().map(|t| Font::Small.width(t)).fold(0.0, f64::max);
        let left = MARGIN + Font::Body.line_height() + widest + 14.0;
        let plot = Rect {
            x: left,
            y: MARGIN + 54.0,
            width: (WIDTH - MARGIN - left).max(1.0),
            height: HEIGHT - 2.0 * MARGIN - 54.0 - 36.0,
        };

        let title_at = point(MARGIN, MARGIN + 8.0);
        figure.text(title_at, Anchor::Start, Font::Title, INK, &self.title);
        let x_label_at = point(plot.centre().x, HEIGHT - MARGIN);
        figure.text(x_label_at, Anchor::Middle, Font::Body, MUTED, &self.x_label);
        figure.shapes.push(Shape::Text {
            at: point(MARGIN + 6.0, plot.centre().y),
            anchor: Anchor::Middle,
            font: Font::Body,
            colour: MUTED,
            upright: true,
            text: self.y_label.clone(),
        });
        for (&tick, text) in y_axis.ticks.iter().zip(&y_texts) {
            let y = plot.bottom() - plot.height * y_axis.place(tick);
            let rect = Rect {
                x: plot.x,
                y: y.round(),
                width: plot.width,
                height: 1.0,
            };
            figure.fill(rect, 0.0, FAINT);
            figure.text(point(plot.x - 8.0, y), Anchor::End, Font::Small, MUTED, text);
        }
        for &tick in &x_axis.ticks {
            let x = plot.x + plot.width * x_axis.place(tick);
            let rect = Rect {
                x: x.round(),
                y: plot.bottom(),
                width: 1.0,
                height: 5.0,
            };
            figure.fill(rect, 0.0, MUTED);
            let at = point(x, plot.bottom() + 15.0);
            let text = if self.log_x {
                power_of_ten(tick)
            } else {
                x_axis.label(tick)
            };
            figure.text(at, Anchor::Middle, Font::Small, MUTED, &text);
        }

        let mut legend_x = plot.x;
        for (i, (series, points)) in self.series.iter().zip(&lines).enumerate() {
            let colour = Rgb::oklch(0.58, 0.15, category_hue(i));
            for line in thin(points) {
                let place = |&(x, y): &(f64, f64)| {
                    point(
                        plot.x + plot.width * x_axis.place(x),
                        plot.bottom() - plot.height * y_axis.place(y),
                    )
                };
                draw_line(&mut figure, &line.iter().map(place).collect::<Vec<_>>(), colour);
            }
            let name = shorten(&series.name, 40);
            let rect = Rect {
                x: legend_x,
                y: MARGIN + 33.0,
                width: 16.0,
                height: 3.0,
            };
            figure.fill(rect, 1.5, colour);
            let at = point(legend_x + 22.0, MARGIN + 34.5);
            figure.text(at, Anchor::Start, Font::Body, INK, &name);
            legend_x += 22.0 + Font::Body.width(&name) + 18.0;
        }
        // A long legend widens the picture rather than being cut.
        figure.width = figure
            .width
            .max(legend_x)
            .max(Font::Title.width(&self.title) + 2.0 * MARGIN);
        figure
    }
}

/// `1e-3` at -3, and numbers as they are between such marks.
fn power_of_ten(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() < 1e-9 {
        format!("1e{exponent:.0}").replace("e-0", "e0")
    } else {
        format!("{:.1e}", 10_f64.powf(exponent))
    }
}

fn is_drawn((x, y): (f64, f64)) -> bool {
    x.abs() <= LARGEST && y.abs() <= LARGEST
}

fn draw_line(figure: &mut Figure, points: &[Point], colour: Rgb) {
    match points {
        [] => {}
        [at] => {
            let dot = Rect {
                x: at.x - 3.0,
                y: at.y - 3.0,
                width: 6.0,
                height: 6.0,
            };
            figure.fill(dot, 3.0, colour);
        }
        [start, rest @ ..] => {
            let path = Path {
                start: *start,
                segments: rest.iter().map(|&p| Segment::Line(p)).collect(),
            };
            let stroke = Stroke {
                colour,
                width: 2.0,
                dashed: false,
            };
            figure.shapes.push(Shape::Path(path, stroke));
        }
    }
}

/// The uninterrupted lines of a series, of a long one only the least and greatest of each bucket.
fn thin(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
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

/// The range of an axis and its marks.
pub(crate) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    pub ticks: Vec<f64>,
}

impl Axis {
    /// Over all `values`, with about `marks` round marks; `rounded` ends the range on marks.
    pub fn over(values: impl Iterator<Item = f64>, marks: f64, rounded: bool) -> Self {
        let range = values.fold(None, |range: Option<(f64, f64)>, v| {
            let (low, high) = range.unwrap_or((v, v));
            Some((low.min(v), high.max(v)))
        });
        let (mut low, mut high) = range.unwrap_or((0.0, 1.0));
        // Values that are equal, or differ in the last bits only, need a range all the same.
        if high - low <= 1e-9 * low.abs().max(high.abs()) || high - low < 1e-300 {
            let pad = (0.05 * low.abs()).max(0.5);
            (low, high) = (low - pad, high + pad);
        }
        let raw = (high - low) / marks;
        let power = 10_f64.powf(raw.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = nice.into_iter().find(|&s| s >= raw).unwrap_or(raw);
        if rounded {
            low = (low / step).floor() * step;
            high = (high / step).ceil() * step;
        }
        let first = (low / step - 1e-6).ceil();
        let count = ((high / step + 1e-6).floor() - first).clamp(0.0, 40.0) as u32;
        Self {
            low,
            high,
            step,
            ticks: (0..=count).map(|i| (first + f64::from(i)) * step).collect(),
        }
    }

    /// From 0 at the low end to 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    pub fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if largest >= 1e6 || self.step < 1e-5 {
            return if tick == 0.0 { "0".into() } else { format!("{tick:.1e}") };
        }
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{tick:.decimals$}");
        // Rounding may leave a negative zero.
        if text.trim_start_matches(['-', '0', '.']).is_empty() {
            "0".into()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::over(values.iter().copied(), 5.0, true);
        axis.ticks.iter().map(|&t| axis.label(t)).collect()
    }

    #[test]
    fn marks_are_round_and_hold_all_values() {
        assert_eq!(labels(&[0.0, 1.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[-3.0, 17.0]), ["-5", "0", "5", "10", "15", "20"]);
        assert_eq!(labels(&[2e-4, 9e-4]).first().unwrap(), "0.0002");
        for values in [
            &[][..],
            &[7.0],
            &[1e300, -1e300],
            &[0.3, 0.3 + 1e-17],
            &[5e-324, 0.0],
            &[1e9, 1e9 + 1.0],
        ] {
            let axis = Axis::over(values.iter().copied(), 5.0, true);
            assert!(axis.ticks.len() >= 2, "{values:?}");
            for value in values {
                assert!((-1e-6..=1.000_001).contains(&axis.place(*value)), "{values:?}");
            }
        }
    }

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
        assert_eq!(lines.len(), 2);
        for path in lines {
            for segment in &path.segments {
                let Segment::Line(at) = segment else {
                    panic!("a chart has straight lines: {segment:?}");
                };
                assert!(
                    (0.0..=WIDTH).contains(&at.x) && (0.0..=HEIGHT).contains(&at.y),
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
    fn a_chart_without_points_is_an_empty_frame() {
        let svg = LineChart::default().draw().to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
