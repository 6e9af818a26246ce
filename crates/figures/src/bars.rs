//! Histograms, and bars of counts by class.

use crate::{
    chart::{Axis, HEIGHT, MARGIN, WIDTH},
    colour::{FAINT, INK, MUTED, Rgb, category_hue},
    figure::{Anchor, Figure, Point, Rect, Shape, point},
    text::{Font, shorten},
};

/// Most bars that are drawn; further ones are left out.
const MAX_BARS: usize = 200;
/// Longest name of a category, in characters.
const LONGEST: usize = 24;

/// How often a quantity lies in each of equally wide bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Above the chart.
    pub title: String,
    /// What the quantity is, with its unit.
    pub x_label: String,
    /// What is counted, such as "utterances".
    pub y_label: String,
    /// Where the first bin begins.
    pub low: f64,
    /// How wide a bin is.
    pub step: f64,
    /// Counts of the bins, from the lowest.
    pub counts: Vec<usize>,
}

/// Counts of categories as bars, each of one or several parts on top of one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarChart {
    /// Above the chart.
    pub title: String,
    /// What is counted, such as "utterances".
    pub y_label: String,
    /// Names of the bars.
    pub categories: Vec<String>,
    /// Names of the parts, and the count of each for every bar.
    pub parts: Vec<(String, Vec<usize>)>,
}

impl Histogram {
    /// Draws the histogram at 640 × 360 pixels.
    pub fn draw(&self) -> Figure {
        let counts: Vec<f64> = self.counts.iter().take(MAX_BARS).map(|&count| count as f64).collect();
        let most = counts.iter().copied().fold(1.0, f64::max);
        let (mut figure, plot, y_axis) = frame(&self.title, &self.y_label, most, 0.0);
        let bins = counts.len().max(1) as f64;
        let is_sane = self.low.is_finite() && self.step.is_finite() && self.step > 0.0;
        let (low, step) = if is_sane { (self.low, self.step) } else { (0.0, 1.0) };
        let x_axis = Axis::over([low, low + step * bins].into_iter(), 8.0, false);
        let width = plot.width / bins;
        for (at, count) in counts.iter().enumerate() {
            let height = plot.height * y_axis.place(*count);
            let rect = Rect {
                x: plot.x + width * at as f64 + 0.5,
                y: plot.bottom() - height,
                width: (width - 1.0).max(0.5),
                height,
            };
            figure.fill(rect, 0.0, hue(0));
        }
        for &tick in &x_axis.ticks {
            let x = plot.x + plot.width * (tick - low) / (step * bins);
            if (plot.x - 0.5..=plot.right() + 0.5).contains(&x) {
                let at = point(x, plot.bottom() + 15.0);
                figure.text(at, Anchor::Middle, Font::Small, MUTED, &x_axis.label(tick));
            }
        }
        let at = point(plot.centre().x, HEIGHT - MARGIN);
        figure.text(at, Anchor::Middle, Font::Body, MUTED, &self.x_label);
        figure
    }
}

impl BarChart {
    /// Draws the chart, 360 pixels high and wider the more bars it has.
    pub fn draw(&self) -> Figure {
        let bars = self.categories.len().min(MAX_BARS);
        let counts = |bar: usize| self.parts.iter().filter_map(move |(_, counts)| counts.get(bar));
        let total = |bar: usize| counts(bar).map(|count| *count as f64).sum::<f64>();
        let most = (0..bars).map(total).fold(1.0, f64::max);
        let wide = bars as f64 * 22.0;
        let (mut figure, plot, y_axis) = frame(&self.title, &self.y_label, most, wide);
        let width = plot.width / bars.max(1) as f64;
        for bar in 0..bars {
            let mut below = 0.0;
            for (part, (_, counts)) in self.parts.iter().enumerate() {
                let count = counts.get(bar).copied().unwrap_or_default() as f64;
                let (bottom, top) = (y_axis.place(below), y_axis.place(below + count));
                let rect = Rect {
                    x: plot.x + width * bar as f64 + 0.15 * width,
                    y: plot.bottom() - plot.height * top,
                    width: 0.7 * width,
                    height: plot.height * (top - bottom),
                };
                figure.fill(rect, 0.0, hue(part));
                below += count;
            }
            let centre = plot.x + width * (bar as f64 + 0.5);
            let name = shorten(&self.categories[bar], LONGEST);
            let is_narrow = Font::Small.width(&name) > width - 4.0;
            let at = point(centre, plot.bottom() + if is_narrow { 8.0 } else { 15.0 });
            figure.shapes.push(Shape::Text {
                at,
                anchor: if is_narrow { Anchor::End } else { Anchor::Middle },
                font: Font::Small,
                colour: MUTED,
                upright: is_narrow,
                text: name.clone(),
            });
            if is_narrow {
                figure.height = figure.height.max(at.y + Font::Small.width(&name) + MARGIN);
            }
        }
        if self.parts.len() > 1 {
            let mut x = plot.x;
            for (part, (name, _)) in self.parts.iter().enumerate() {
                let name = shorten(name, LONGEST);
                let square = Rect {
                    x,
                    y: MARGIN + 28.0,
                    width: 12.0,
                    height: 12.0,
                };
                figure.fill(square, 2.0, hue(part));
                let at = point(x + 18.0, MARGIN + 34.5);
                figure.text(at, Anchor::Start, Font::Body, INK, &name);
                x += 18.0 + Font::Body.width(&name) + 18.0;
            }
            figure.width = figure.width.max(x);
        }
        figure
    }
}

fn hue(part: usize) -> Rgb {
    Rgb::oklch(0.58, 0.15, category_hue(part))
}

/// Title, vertical axis from 0 to `most`, and the area to draw in, at least `wide`.
fn frame(title: &str, y_label: &str, most: f64, wide: f64) -> (Figure, Rect, Axis) {
    let mut figure = Figure::new(title);
    let y_axis = Axis::over([0.0, most].into_iter(), 5.0, true);
    // Halves of an item are none.
    let ticks: Vec<f64> = y_axis
        .ticks
        .iter()
        .copied()
        .filter(|tick| tick.fract() == 0.0)
        .collect();
    let texts: Vec<String> = ticks.iter().map(|tick| format!("{tick:.0}")).collect();
    let widest = texts.iter().map(|text| Font::Small.width(text)).fold(0.0, f64::max);
    let left = MARGIN + Font::Body.line_height() + widest + 14.0;
    let plot = Rect {
        x: left,
        y: MARGIN + 54.0,
        width: (WIDTH - MARGIN - left).max(wide),
        height: HEIGHT - 2.0 * MARGIN - 54.0 - 36.0,
    };
    figure.height = HEIGHT;
    figure.width = (plot.right() + MARGIN).max(Font::Title.width(title) + 2.0 * MARGIN);
    figure.text(point(MARGIN, MARGIN + 8.0), Anchor::Start, Font::Title, INK, title);
    figure.shapes.push(Shape::Text {
        at: point(MARGIN + 6.0, plot.centre().y),
        anchor: Anchor::Middle,
        font: Font::Body,
        colour: MUTED,
        upright: true,
        text: y_label.to_owned(),
    });
    for (&tick, text) in ticks.iter().zip(&texts) {
        let y = plot.bottom() - plot.height * y_axis.place(tick);
        let line = Rect {
            x: plot.x,
            y: y.round(),
            width: plot.width,
            height: 1.0,
        };
        figure.fill(line, 0.0, FAINT);
        let at: Point = point(plot.x - 8.0, y);
        figure.text(at, Anchor::End, Font::Small, MUTED, text);
    }
    (figure, plot, y_axis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heights of the coloured bars.
    fn bars(figure: &Figure) -> Vec<f64> {
        let boxes = figure.shapes.iter().filter_map(|shape| match shape {
            Shape::Box { rect, fill, .. } if *fill != FAINT && rect.height != 12.0 => Some(*rect),
            _ => None,
        });
        boxes
            .map(|rect| {
                assert!(rect.x >= 0.0 && rect.right() <= figure.width && rect.y >= 0.0 && rect.bottom() <= HEIGHT);
                rect.height
            })
            .collect()
    }

    #[test]
    fn a_histograms_bars_are_as_high_as_their_counts() {
        let histogram = Histogram {
            title: "duration".into(),
            x_label: "seconds".into(),
            y_label: "utterances".into(),
            low: 0.5,
            step: 0.5,
            counts: vec![1, 4, 0, 2],
        };
        let figure = histogram.draw();
        let heights = bars(&figure);
        assert_eq!(heights.len(), 4);
        assert!(
            (heights[1] - 4.0 * heights[0]).abs() < 1e-9 && heights[2] == 0.0,
            "{heights:?}"
        );
        let svg = figure.to_svg();
        for text in ["duration", "seconds", "utterances", "1.0", "2.5", "4"] {
            assert!(svg.contains(&format!(">{text}<")), "{text}: {svg}");
        }
    }

    #[test]
    fn parts_of_a_bar_stand_on_one_another_and_long_names_are_turned() {
        let name = "a rather long <name> of a class";
        let chart = BarChart {
            title: "classes".into(),
            y_label: "utterances".into(),
            categories: vec!["one".into(), name.into()],
            parts: vec![("female".into(), vec![3, 1]), ("male".into(), vec![6])],
        };
        let figure = chart.draw();
        let heights = bars(&figure);
        assert_eq!(heights.len(), 4);
        assert!(
            (heights[1] - 2.0 * heights[0]).abs() < 1e-9 && heights[3].abs() < 1e-9,
            "{heights:?}"
        );
        let many = BarChart {
            categories: (0..500).map(|at| format!("speaker number {at}")).collect(),
            parts: vec![("items".into(), (0..500).collect())],
            ..BarChart::default()
        };
        let figure = many.draw();
        assert_eq!(bars(&figure).len(), MAX_BARS);
        assert!(figure.height > HEIGHT && figure.width > WIDTH);
        figure.to_png().unwrap();
    }

    #[test]
    fn charts_of_nothing_and_of_nonsense_are_frames() {
        let wrong = Histogram {
            step: f64::NAN,
            counts: vec![usize::MAX, 1],
            ..Histogram::default()
        };
        for svg in [
            Histogram::default().draw().to_svg(),
            BarChart::default().draw().to_svg(),
            wrong.draw().to_svg(),
        ] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
