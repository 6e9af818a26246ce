//! The reliability diagram: whether a model is right as often as it says.

use crate::{
    axis::Axis,
    colour::{INK, MUTED, QUIET, WHITE, category},
    figure::{Anchor, Figure, Rect, Shape, Stroke, point},
    plot::{Layout, MARGIN, Plot, REFERENCE, Swatch},
    text::Font,
};

const WIDTH: f64 = 400.0;
/// Height of the counts below the diagram, in pixels.
const COUNTS: f64 = 56.0;
/// Most bins that are drawn.
const MAX_BINS: usize = 100;

/// Accuracy over confidence, in bins of equal width between 0 and 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReliabilityDiagram {
    /// Above the diagram.
    pub title: String,
    /// The bins from the lowest confidence; all of them, also those without items.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error, written below the title.
    pub ece: Option<f64>,
}

/// What a model said and what was true, of the items in a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// Mean confidence, 0 to 1; not used where there are no items.
    pub confidence: f64,
    /// Share of items that were predicted rightly, 0 to 1; not used where there are no items.
    pub accuracy: f64,
    /// Number of items.
    pub items: u64,
}

impl ReliabilityDiagram {
    /// Draws a bar a bin up to its accuracy, a mark at its mean confidence, the diagonal of perfect calibration, and the
    /// items of the bins below; 400 pixels wide.
    pub fn draw(&self) -> Figure {
        let bins = &self.bins[..self.bins.len().min(MAX_BINS)];
        let items = bins.iter().fold(0u64, |sum, bin| sum.saturating_add(bin.items));
        let ece = match self.ece {
            Some(ece) if ece.is_finite() => format!("ECE {ece:.3}"),
            _ => "ECE not defined".to_owned(),
        };
        let mut plot = Layout {
            title: &self.title,
            note: &format!("{ece}, {} bins, {items} items", bins.len()),
            x_label: "",
            y_label: "accuracy",
            width: WIDTH,
            height: None,
            x: Axis::shares(),
            y: Axis::shares(),
        }
        .draw();
        let area = plot.area;
        let width = area.width / bins.len().max(1) as f64;
        for (at, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.items > 0) {
            let (accuracy, confidence) = (share(bin.accuracy), share(bin.confidence));
            let rect = Rect {
                x: area.x + width * at as f64 + 1.0,
                y: area.bottom() - area.height * accuracy,
                width: (width - 2.0).max(0.5),
                height: area.height * accuracy,
            };
            plot.figure.fill(rect, 0.0, bar_colour(bin.items));
            // From what was true to what was said.
            let (x, said) = (rect.centre().x, area.bottom() - area.height * confidence);
            let gap = Stroke {
                colour: category(1),
                width: 2.0,
                dashed: false,
            };
            plot.figure.line(point(x, rect.y), point(x, said), gap);
            let (from, to) = (rect.x + 0.15 * rect.width, rect.right() - 0.15 * rect.width);
            plot.figure.line(point(from, said), point(to, said), gap);
        }
        plot.curve(&[(0.0, 0.0), (1.0, 1.0)], REFERENCE);
        if items == 0 {
            plot.empty("no items");
        }
        counts(&mut plot, bins);
        let mark = Stroke {
            colour: category(1),
            width: 2.0,
            dashed: false,
        };
        let mut entries = vec![
            (Swatch::Square(category(0)), "accuracy".to_owned()),
            (Swatch::Line(mark), "mean confidence".to_owned()),
            (Swatch::Line(REFERENCE), "perfect calibration".to_owned()),
        ];
        if bins.iter().any(|bin| (1..super::FEW_ITEMS).contains(&bin.items)) {
            entries.push((Swatch::Square(QUIET), format!("under {} items", super::FEW_ITEMS)));
        }
        plot.legend(&entries);
        plot.figure
    }
}

/// Bars of the items of each bin, below the axis of the diagram, which they share.
fn counts(plot: &mut Plot, bins: &[ReliabilityBin]) {
    let area = plot.area;
    let most = bins.iter().map(|bin| bin.items).max().unwrap_or_default();
    let width = area.width / bins.len().max(1) as f64;
    let top = area.bottom() + 30.0;
    let figure = &mut plot.figure;
    for (at, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.items > 0) {
        let height = (COUNTS * bin.items as f64 / most as f64).max(1.0);
        let rect = Rect {
            x: area.x + width * at as f64 + 1.0,
            y: top + COUNTS - height,
            width: (width - 2.0).max(0.5),
            height,
        };
        figure.fill(rect, 0.0, bar_colour(bin.items));
        let text = bin.items.to_string();
        if Font::Small.width(&text) > width + 2.0 {
            continue;
        }
        let high = height > COUNTS - 14.0;
        let y = if high { rect.y + 9.0 } else { rect.y - 7.0 };
        let colour = if high { WHITE } else { INK };
        figure.text(point(rect.centre().x, y), Anchor::Middle, Font::Small, colour, &text);
    }
    let line = Rect {
        x: area.x,
        y: top + COUNTS,
        width: area.width,
        height: 1.0,
    };
    figure.fill(line, 0.0, MUTED);
    let at = point(MARGIN + 5.0, top + COUNTS / 2.0);
    figure.upright(at, Anchor::Middle, Font::Body, MUTED, "items");
    figure.shapes.push(Shape::Text {
        at: point(area.centre().x, top + COUNTS + 14.0),
        anchor: Anchor::Middle,
        font: Font::Body,
        colour: MUTED,
        upright: false,
        text: "confidence".into(),
    });
    figure.height = top + COUNTS + 24.0 + MARGIN;
}

fn bar_colour(items: u64) -> crate::colour::Rgb {
    if items < super::FEW_ITEMS { QUIET } else { category(0) }
}

/// A share inside 0 to 1; 0 where it is no number.
fn share(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(confidence: f64, accuracy: f64, items: u64) -> ReliabilityBin {
        ReliabilityBin {
            confidence,
            accuracy,
            items,
        }
    }

    #[test]
    fn bars_are_as_high_as_the_accuracy_and_small_bins_are_grey() {
        let figure = ReliabilityDiagram {
            title: "emotion, test".into(),
            bins: vec![
                bin(0.1, 0.2, 9),
                bin(f64::NAN, f64::NAN, 0),
                bin(0.8, 0.6, 50),
                bin(9.0, f64::NAN, 20),
            ],
            ece: Some(0.1234),
        }
        .draw();
        let heights = |colour| -> Vec<f64> {
            let boxes = figure.shapes.iter().filter_map(|shape| match shape {
                Shape::Box {
                    rect,
                    fill,
                    radius: 0.0,
                    ..
                } if *fill == colour => Some(rect.height),
                _ => None,
            });
            boxes.collect()
        };
        let (blue, grey) = (heights(category(0)), heights(QUIET));
        assert!((blue[0] / grey[0] - 3.0).abs() < 1e-9, "{blue:?} {grey:?}");
        assert_eq!((blue[1], blue.len(), grey.len()), (0.0, 4, 2));
        let svg = figure.to_svg();
        for text in ["ECE 0.123, 4 bins, 79 items", "50", "under 10 items"] {
            assert!(svg.contains(&format!(">{text}<")), "{text}: {svg}");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn without_items_it_says_so() {
        for bins in [
            vec![],
            vec![bin(f64::NAN, f64::NAN, 0); 15],
            vec![bin(0.0, 0.0, 0); 10_000],
        ] {
            let diagram = ReliabilityDiagram {
                bins,
                ..ReliabilityDiagram::default()
            };
            let svg = diagram.draw().to_svg();
            assert!(svg.contains(">no items<") && svg.contains("ECE not defined"), "{svg}");
        }
    }
}
