//! Histograms, and bars of counts by class.

use crate::{
    axis::Axis,
    colour::{MUTED, category},
    figure::{Anchor, Figure, Rect, point},
    plot::{Layout, MARGIN, Plot, Swatch, WIDTH},
    text::Font,
};

/// Most bars that are drawn; further ones are left out.
const MAX_BARS: usize = 200;
/// Width of the longest name of a category, in pixels.
const LONGEST: f64 = 160.0;
/// Height of the area between the axes, in pixels.
const HEIGHT: f64 = 230.0;

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
    /// Draws the histogram, 480 pixels wide.
    pub fn draw(&self) -> Figure {
        let counts: Vec<f64> = self.counts.iter().take(MAX_BARS).map(|&count| count as f64).collect();
        let bins = counts.len().max(1) as f64;
        let is_sane = self.low.is_finite() && self.step.is_finite() && self.step > 0.0;
        let (low, step) = if is_sane { (self.low, self.step) } else { (0.0, 1.0) };
        let mut plot = Layout {
            title: &self.title,
            note: "",
            x_label: &self.x_label,
            y_label: &self.y_label,
            width: WIDTH,
            height: Some(HEIGHT),
            x: Axis::over([low, low + step * bins].into_iter(), 8.0, false),
            y: up_to(counts.iter().copied().fold(1.0, f64::max)),
        }
        .draw();
        let width = plot.area.width / bins;
        for (at, count) in counts.iter().enumerate() {
            bar(&mut plot, (width * at as f64 + 0.5, width - 1.0), (0.0, *count), 0);
        }
        if counts.iter().sum::<f64>() == 0.0 {
            plot.empty("no values");
        }
        plot.figure
    }
}

impl BarChart {
    /// Draws the chart, 480 pixels wide, or wider if the bars need it.
    pub fn draw(&self) -> Figure {
        let bars = self.categories.len().min(MAX_BARS);
        let counts = |bar: usize| self.parts.iter().filter_map(move |(_, counts)| counts.get(bar));
        let total = |bar: usize| counts(bar).map(|count| *count as f64).sum::<f64>();
        let most = (0..bars).map(total).fold(0.0, f64::max);
        let mut x = Axis::shares();
        x.ticks.clear();
        let mut plot = Layout {
            title: &self.title,
            note: "",
            x_label: "",
            y_label: &self.y_label,
            width: WIDTH.max(bars as f64 * 24.0 + 100.0),
            height: Some(HEIGHT),
            x,
            y: up_to(most.max(1.0)),
        }
        .draw();
        let area = plot.area;
        let width = area.width / bars.max(1) as f64;
        let names: Vec<String> = self.categories[..bars]
            .iter()
            .map(|name| Font::Small.fit_name(name, LONGEST))
            .collect();
        let widest = names.iter().map(|name| Font::Small.width(name)).fold(0.0, f64::max);
        let upright = widest > width - 6.0;
        for (at, name) in names.iter().enumerate() {
            let mut below = 0.0;
            for (part, (_, counts)) in self.parts.iter().enumerate() {
                let count = counts.get(at).copied().unwrap_or_default() as f64;
                let place = (width * (at as f64 + 0.15), 0.7 * width);
                bar(&mut plot, place, (below, below + count), part);
                below += count;
            }
            let centre = area.x + width * (at as f64 + 0.5);
            let figure = &mut plot.figure;
            if upright {
                figure.upright(
                    point(centre, area.bottom() + 8.0),
                    Anchor::End,
                    Font::Small,
                    MUTED,
                    name,
                );
            } else {
                figure.text(
                    point(centre, area.bottom() + 14.0),
                    Anchor::Middle,
                    Font::Small,
                    MUTED,
                    name,
                );
            }
        }
        plot.figure.height = area.bottom() + if upright { widest + 10.0 } else { 24.0 } + MARGIN;
        if most == 0.0 {
            plot.empty("no items");
        }
        if self.parts.len() > 1 {
            let parts = self.parts.iter().enumerate();
            let entries: Vec<(Swatch, String)> = parts
                .map(|(part, (name, _))| (Swatch::Square(category(part)), name.clone()))
                .collect();
            plot.legend(&entries);
        }
        plot.figure
    }
}

/// An axis of counts.
fn up_to(most: f64) -> Axis {
    Axis::over([0.0, most].into_iter(), 5.0, true).of_counts()
}

/// A bar from one count to another, `(left, width)` in pixels from the left axis.
fn bar(plot: &mut Plot, (left, width): (f64, f64), (from, to): (f64, f64), part: usize) {
    let (bottom, top) = (plot.y.place(from), plot.y.place(to));
    let rect = Rect {
        x: plot.area.x + left,
        y: plot.area.bottom() - plot.area.height * top,
        width: width.max(0.5),
        height: plot.area.height * (top - bottom),
    };
    plot.figure.fill(rect, 0.0, category(part));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{colour::FAINT, figure::Shape};

    /// Heights of the coloured bars.
    fn bars(figure: &Figure) -> Vec<f64> {
        let boxes = figure.shapes.iter().filter_map(|shape| match shape {
            Shape::Box {
                rect,
                fill,
                radius: 0.0,
                ..
            } if ![FAINT, MUTED].contains(fill) => Some(*rect),
            _ => None,
        });
        boxes
            .map(|rect| {
                assert!(
                    rect.x >= 0.0 && rect.right() <= figure.width && rect.y >= 0.0 && rect.bottom() <= figure.height
                );
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
        assert!(figure.width > WIDTH);
        figure.to_png().unwrap();
    }

    #[test]
    fn charts_of_nothing_and_of_nonsense_say_so() {
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
