//! The confusion matrix.

use crate::{
    FigureError,
    colour::{FAINT, INK, MUTED, Rgb},
    figure::{Anchor, Figure, Rect, Shape, point},
    text::{Font, shorten},
};

/// Longest label shown in full, in characters.
const LABEL_LIMIT: usize = 24;
/// Around everything, in pixels.
const MARGIN: f64 = 18.0;
/// Between two cells, in pixels.
const GAP: f64 = 2.0;
/// The colour scale's width, in pixels.
const SCALE: f64 = 12.0;

/// What the cells have room for.
struct Cell {
    width: f64,
    height: f64,
    counts: bool,
    percentages: bool,
}

impl Cell {
    /// So that the matrix stays of a size that can be looked at as a whole.
    fn for_classes(classes: usize) -> Self {
        let (width, height, counts, percentages) = match classes {
            ..=4 => (84.0, 60.0, true, true),
            5..=12 => (66.0, 48.0, true, true),
            13..=24 => (34.0, 30.0, false, true),
            _ => (16.0, 16.0, false, false),
        };
        Self {
            width,
            height,
            counts,
            percentages,
        }
    }
}

/// Draws counts of true (rows) against predicted (columns) classes.
///
/// Colour and percentage are the share of the row, that is of the items of the true class, so the
/// diagonal shows each class's recall; the number at the end of a row is the class's items. Up to 12
/// classes counts and percentages are written, up to 24 percentages, beyond that colour alone.
///
/// # Errors
/// There are not as many rows, and counts in each row, as labels.
pub fn confusion_matrix<'a>(
    title: &str,
    labels: &[impl AsRef<str>],
    rows: impl IntoIterator<Item = &'a [u64]>,
) -> Result<Figure, FigureError> {
    let classes = labels.len();
    let rows: Vec<&[u64]> = rows.into_iter().collect();
    if rows.len() != classes || rows.iter().any(|row| row.len() != classes) {
        return Err(FigureError::NotSquare { labels: classes });
    }
    let labels: Vec<String> = labels
        .iter()
        .map(|label| shorten(label.as_ref(), LABEL_LIMIT))
        .collect();
    let totals: Vec<u64> = rows
        .iter()
        .map(|row| row.iter().fold(0, |sum: u64, &n| sum.saturating_add(n)))
        .collect();
    let cell = Cell::for_classes(classes);
    let widest = labels.iter().map(|l| Font::Body.width(l)).fold(0.0, f64::max);
    let upright = widest > cell.width - 2.0;

    let mut figure = Figure::new(title);
    let left = MARGIN + Font::Body.line_height() + 8.0 + widest + 10.0;
    let header = if upright { widest } else { Font::Body.line_height() };
    let top = MARGIN + 30.0 + Font::Body.line_height() + 6.0 + header + 6.0;
    let side = |size: f64| (size + GAP) * classes as f64 - GAP.min(size * classes as f64);
    let (width, height) = (side(cell.width), side(cell.height));
    let totals_width = totals
        .iter()
        .map(|n| Font::Small.width(&n.to_string()))
        .fold(Font::Small.width("items"), f64::max);
    let scale_left = left + width + 8.0 + totals_width + 22.0;
    let scale_height = height.max(60.0);
    figure.width =
        (scale_left + SCALE + 8.0 + Font::Small.width("100 %") + MARGIN).max(Font::Title.width(title) + 2.0 * MARGIN);
    figure.height = top + scale_height + MARGIN;

    let title_at = point(MARGIN, MARGIN + 10.0);
    figure.text(title_at, Anchor::Start, Font::Title, INK, title);
    let predicted_at = point(left + width / 2.0, MARGIN + 30.0 + Font::Body.line_height() / 2.0);
    figure.text(predicted_at, Anchor::Middle, Font::Body, MUTED, "predicted");
    figure.shapes.push(Shape::Text {
        at: point(MARGIN + 7.0, top + height / 2.0),
        anchor: Anchor::Middle,
        font: Font::Body,
        colour: MUTED,
        upright: true,
        text: "true".into(),
    });
    let items_at = point(left + width + 8.0 + totals_width, top - 12.0);
    figure.text(items_at, Anchor::End, Font::Small, MUTED, "items");

    for (i, label) in labels.iter().enumerate() {
        let x = left + (cell.width + GAP) * i as f64 + cell.width / 2.0;
        let y = top + (cell.height + GAP) * i as f64 + cell.height / 2.0;
        figure.shapes.push(Shape::Text {
            at: point(x, top - if upright { 6.0 } else { 12.0 }),
            anchor: if upright { Anchor::Start } else { Anchor::Middle },
            font: Font::Body,
            colour: INK,
            upright,
            text: label.clone(),
        });
        figure.text(point(left - 8.0, y), Anchor::End, Font::Body, INK, label);
        let total_at = point(left + width + 8.0 + totals_width, y);
        let total = totals[i].to_string();
        figure.text(total_at, Anchor::End, Font::Small, MUTED, &total);
    }
    for (i, row) in rows.iter().enumerate() {
        for (j, &count) in row.iter().enumerate() {
            let rect = Rect {
                x: left + (cell.width + GAP) * j as f64,
                y: top + (cell.height + GAP) * i as f64,
                width: cell.width,
                height: cell.height,
            };
            draw_cell(&mut figure, &cell, rect, count, totals[i]);
        }
    }
    draw_scale(&mut figure, scale_left, top, scale_height);
    Ok(figure)
}

fn draw_cell(figure: &mut Figure, cell: &Cell, rect: Rect, count: u64, total: u64) {
    let share = if total > 0 { count as f64 / total as f64 } else { 0.0 };
    let fill = Rgb::sequential(share);
    figure.fill(rect, 2.0, fill);
    let centre = rect.centre();
    if count == 0 {
        // Empty cells stay quiet, so that the confusions stand out.
        if cell.percentages {
            let quiet = Rgb(176, 184, 196);
            figure.text(centre, Anchor::Middle, Font::Small, quiet, "0");
        }
        return;
    }
    let ink = fill.ink_on();
    let percent = match (100.0 * share).round() {
        0.0 => "<1".to_owned(),
        100.0 if count < total => ">99".to_owned(),
        percent => percent.to_string(),
    };
    if cell.counts {
        let at = point(centre.x, centre.y - 8.0);
        figure.text(at, Anchor::Middle, Font::Bold, ink, &count.to_string());
        let at = point(centre.x, centre.y + 9.0);
        figure.text(at, Anchor::Middle, Font::Small, ink, &format!("{percent} %"));
    } else if cell.percentages {
        figure.text(centre, Anchor::Middle, Font::Body, ink, &percent);
    }
}

fn draw_scale(figure: &mut Figure, left: f64, top: f64, height: f64) {
    let height = height.min(220.0);
    let steps = 60;
    for step in 0..steps {
        let share = 1.0 - (f64::from(step) + 0.5) / f64::from(steps);
        let rect = Rect {
            x: left,
            y: top + height * f64::from(step) / f64::from(steps),
            width: SCALE,
            // The steps overlap, so that no background shows between them.
            height: height / f64::from(steps) + if step + 1 < steps { 1.0 } else { 0.0 },
        };
        figure.fill(rect, 0.0, Rgb::sequential(share));
    }
    for (share, text) in [(1.0, "100 %"), (0.5, "50 %"), (0.0, "0 %")] {
        let y = top + height * (1.0 - share);
        let tick = Rect {
            x: left + SCALE,
            y: (y - 0.5).clamp(top, top + height - 1.0),
            width: 4.0,
            height: 1.0,
        };
        figure.fill(tick, 0.0, MUTED);
        let at = point(left + SCALE + 8.0, y.clamp(top + 6.0, top + height - 6.0));
        figure.text(at, Anchor::Start, Font::Small, MUTED, text);
    }
    // A hair line closes the scale where it is nearly white.
    let rect = Rect {
        x: left,
        y: top + height - 1.0,
        width: SCALE,
        height: 1.0,
    };
    figure.fill(rect, 0.0, FAINT);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(labels: &[&str], rows: &[&[u64]]) -> Result<Figure, FigureError> {
        confusion_matrix("title & <more>", labels, rows.iter().copied())
    }

    /// The fills of the cells, row after row.
    fn fills(figure: &Figure, cells: usize) -> Vec<Rgb> {
        let boxes = figure.shapes.iter().filter_map(|shape| match shape {
            Shape::Box { radius: 2.0, fill, .. } => Some(*fill),
            _ => None,
        });
        let fills: Vec<Rgb> = boxes.collect();
        assert_eq!(fills.len(), cells);
        fills
    }

    #[test]
    fn cells_are_coloured_by_their_share_of_the_row() {
        let figure = draw(&["a", "b"], &[&[30, 10], &[3, 1]]).unwrap();
        let fills = fills(&figure, 4);
        assert_eq!(fills[0], Rgb::sequential(0.75));
        assert_eq!(fills[..2], fills[2..]);
    }

    #[test]
    fn counts_percentages_labels_and_axes_are_written() {
        let figure = draw(&["a<b", "\"b\""], &[&[999, 1], &[0, 0]]).unwrap();
        let svg = figure.to_svg();
        for text in [
            "title &amp; &lt;more&gt;",
            "a&lt;b",
            "&quot;b&quot;",
            "true",
            "predicted",
            "999",
            "&gt;99 %",
            "&lt;1 %",
            "1000",
        ] {
            assert!(svg.contains(&format!(">{text}<")), "{text} in {svg}");
        }
        let image = figure.to_png().unwrap();
        assert_eq!(f64::from(image.width), figure.width.ceil());
    }

    #[test]
    fn every_number_of_classes_can_be_drawn_and_all_text_stays_inside() {
        for classes in [0, 1, 2, 5, 12, 13, 24, 25, 60] {
            let labels: Vec<String> = (0..classes).map(|i| format!("label {i} of many")).collect();
            let row = vec![u64::MAX / 7; classes];
            let rows = std::iter::repeat_n(&row[..], classes);
            let figure = confusion_matrix("t", &labels, rows).unwrap();
            fills(&figure, classes * classes);
            for shape in &figure.shapes {
                if let Shape::Text { at, .. } = shape {
                    assert!(at.x > 0.0 && at.x < figure.width, "{shape:?}");
                    assert!(at.y > 0.0 && at.y < figure.height, "{shape:?}");
                }
            }
            figure.to_png().unwrap();
        }
    }

    #[test]
    fn rows_that_do_not_fit_the_labels_are_an_error() {
        for rows in [&[&[1_u64, 2][..]][..], &[&[1, 2], &[3]], &[]] {
            let error = draw(&["a", "b"], rows).unwrap_err().to_string();
            assert!(error.contains("2 rows of 2"), "{error}");
        }
    }
}
