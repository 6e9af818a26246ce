//! The confusion matrix.

use crate::{
    FigureError,
    colour::{FAINT, INK, MUTED, QUIET, Rgb, WHITE},
    figure::{Anchor, Figure, Point, Raster, Rect, Shape, point},
    plot::{MARGIN, heading, nothing, outline},
    text::Font,
};

/// Width of the longest label, in pixels.
const LABEL: f64 = 130.0;
/// Between two cells, in pixels.
const GAP: f64 = 2.0;
/// The colour scale's width, in pixels.
const SCALE: f64 = 12.0;
/// Between two matrices in one figure, in pixels.
const APART: f64 = 22.0;
/// Up to so many classes two matrices lie side by side; more lie one below the other.
const BESIDE: usize = 4;

/// What the cells of a matrix show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Counts and shares of the row, coloured by share.
    Both,
    /// Counts, coloured by count.
    Counts,
    /// Shares of the row.
    Shares,
}

/// What the cells have room for.
struct Cell {
    width: f64,
    height: f64,
    numbers: bool,
    /// Whether a count and a share have room one above the other.
    both: bool,
    labels: bool,
}

impl Cell {
    /// So that the matrix stays of a size that can be looked at as a whole.
    fn for_classes(classes: usize) -> Self {
        let (width, height) = match classes {
            ..=4 => (76.0, 56.0),
            5..=8 => (56.0, 46.0),
            9..=12 => (50.0, 42.0),
            13..=24 => (34.0, 28.0),
            _ => {
                let side = (960.0 / classes as f64).floor().clamp(1.0, 16.0);
                (side, side)
            }
        };
        Self {
            width,
            height,
            numbers: classes <= 24,
            both: classes <= 12,
            labels: width >= 13.0,
        }
    }

    /// Between two cells; where cells are many they touch.
    fn gap(&self) -> f64 {
        if self.numbers { GAP } else { 0.0 }
    }
}

/// Counts with what is drawn around them.
struct Matrix<'a> {
    labels: Vec<String>,
    rows: Vec<&'a [u64]>,
    totals: Vec<u64>,
    most: u64,
    cell: Cell,
}

/// Draws counts of true (rows) against predicted (columns) classes.
///
/// Colour and percentage are the share of the row, that is of the items of the true class, so the diagonal shows each
/// class's recall; the number at the end of a row is the class's items. Up to 12 classes counts and percentages are
/// written, up to 24 percentages, beyond that colour alone.
///
/// # Errors
/// There are not as many rows, and counts in each row, as labels.
pub fn confusion_matrix<'a>(
    title: &str,
    labels: &[impl AsRef<str>],
    rows: impl IntoIterator<Item = &'a [u64]>,
) -> Result<Figure, FigureError> {
    let matrix = Matrix::new(labels, rows)?;
    let mut figure = Figure::new(title);
    figure.width = matrix.width().max(320.0);
    let top = heading(&mut figure, "");
    let end = matrix.draw(&mut figure, point(MARGIN, top), Shown::Both);
    figure.height = end.y + MARGIN;
    Ok(figure)
}

/// Draws two matrices: the counts, and the shares of their rows; up to four classes side by side, else one below the
/// other.
///
/// # Errors
/// There are not as many rows, and counts in each row, as labels.
pub fn confusion_matrix_beside_counts<'a>(
    title: &str,
    labels: &[impl AsRef<str>],
    rows: impl IntoIterator<Item = &'a [u64]>,
) -> Result<Figure, FigureError> {
    let matrix = Matrix::new(labels, rows)?;
    if matrix.rows.is_empty() {
        return confusion_matrix(title, labels, []);
    }
    let is_beside = matrix.rows.len() <= BESIDE;
    let mut figure = Figure::new(title);
    let one = matrix.width();
    figure.width = if is_beside {
        2.0 * one - 2.0 * MARGIN + APART
    } else {
        one
    }
    .max(320.0);
    let top = heading(&mut figure, "");
    let first = matrix.draw(&mut figure, point(MARGIN, top), Shown::Counts);
    let second = if is_beside {
        point(one - MARGIN + APART, top)
    } else {
        point(MARGIN, first.y + APART)
    };
    let end = matrix.draw(&mut figure, second, Shown::Shares);
    figure.height = end.y + MARGIN;
    Ok(figure)
}

impl<'a> Matrix<'a> {
    fn new(labels: &[impl AsRef<str>], rows: impl IntoIterator<Item = &'a [u64]>) -> Result<Self, FigureError> {
        let classes = labels.len();
        let rows: Vec<&[u64]> = rows.into_iter().collect();
        if rows.len() != classes || rows.iter().any(|row| row.len() != classes) {
            return Err(FigureError::NotSquare { labels: classes });
        }
        let labels = labels.iter().map(|label| Font::Body.fit_name(label.as_ref(), LABEL));
        let total = |row: &&[u64]| row.iter().fold(0, |sum: u64, &n| sum.saturating_add(n));
        Ok(Self {
            labels: labels.collect(),
            totals: rows.iter().map(total).collect(),
            most: rows.iter().flat_map(|row| row.iter().copied()).max().unwrap_or(0),
            rows,
            cell: Cell::for_classes(classes),
        })
    }

    /// Widths of the names left of the cells and of what is right of them, with the space between, in pixels.
    fn sides(&self) -> (f64, f64) {
        let widest = |texts: &[String], font: Font| texts.iter().map(|text| font.width(text)).fold(0.0, f64::max);
        let names = if self.cell.labels {
            widest(&self.labels, Font::Body)
        } else {
            0.0
        };
        let left = Font::Body.line_height() + 6.0 + names + 8.0;
        if self.cell.labels {
            let totals: Vec<String> = self.totals.iter().map(|&n| exact_or_short(n, 60.0)).collect();
            let totals = widest(&totals, Font::Small).max(Font::Small.width("items"));
            let scale = if self.cell.numbers { 0.0 } else { 16.0 + SCALE + 46.0 };
            (left, 8.0 + totals + scale)
        } else {
            (left, 16.0 + SCALE + 46.0)
        }
    }

    fn side(&self, cell: f64) -> f64 {
        let classes = self.rows.len() as f64;
        ((cell + self.cell.gap()) * classes - self.cell.gap()).max(0.0)
    }

    /// With margins on both sides, in pixels.
    fn width(&self) -> f64 {
        let (left, right) = self.sides();
        left + self.side(self.cell.width) + right + 2.0 * MARGIN
    }

    /// Draws it with the upper left corner at `origin`; returns where it ends.
    fn draw(&self, figure: &mut Figure, origin: Point, shown: Shown) -> Point {
        if self.rows.is_empty() {
            nothing(figure, point(figure.width / 2.0, origin.y + 30.0), "no classes");
            return point(origin.x, origin.y + 60.0);
        }
        let cell = &self.cell;
        let (beside, _) = self.sides();
        let left = origin.x + beside;
        let widest = self.labels.iter().map(|l| Font::Body.width(l)).fold(0.0, f64::max);
        let upright = widest > cell.width - 2.0;
        let names = match (cell.labels, upright) {
            (false, _) => 0.0,
            (true, true) => widest + 6.0,
            (true, false) => Font::Body.line_height() + 4.0,
        };
        let top = origin.y + 26.0 + names;
        let (width, height) = (self.side(cell.width), self.side(cell.height));
        let heading = match shown {
            Shown::Both => "predicted",
            Shown::Counts => "predicted (items)",
            Shown::Shares => "predicted (% of the true class)",
        };
        let at = point(left + width / 2.0, origin.y + 12.0);
        let room = Font::Body.width(heading) / 2.0;
        let at = point(
            at.x.clamp(MARGIN + room, (figure.width - MARGIN - room).max(MARGIN + room)),
            at.y,
        );
        figure.text(at, Anchor::Middle, Font::Body, MUTED, heading);
        let at = point(origin.x + 5.0, top + height / 2.0);
        figure.upright(at, Anchor::Middle, Font::Body, MUTED, "true");
        let area = Rect {
            x: left,
            y: top,
            width,
            height,
        };
        if cell.labels {
            self.names(figure, area, upright);
        }
        if cell.numbers {
            self.cells(figure, area, shown);
            return point(left + width, top + height);
        }
        self.picture(figure, area, shown);
        let most = if shown == Shown::Counts { Some(self.most) } else { None };
        let scale = area.right() + self.sides().1 - SCALE - 46.0;
        draw_scale(figure, scale, top, height, most);
        point(left + width, top + height)
    }

    fn names(&self, figure: &mut Figure, area: Rect, upright: bool) {
        let cell = &self.cell;
        let right = area.right() + self.sides().1 - if cell.numbers { 0.0 } else { 16.0 + SCALE + 46.0 };
        figure.text(point(right, area.y - 12.0), Anchor::End, Font::Small, MUTED, "items");
        for (i, label) in self.labels.iter().enumerate() {
            let x = area.x + (cell.width + cell.gap()) * i as f64 + cell.width / 2.0;
            let y = area.y + (cell.height + cell.gap()) * i as f64 + cell.height / 2.0;
            if upright {
                figure.upright(point(x, area.y - 6.0), Anchor::Start, Font::Body, INK, label);
            } else {
                figure.text(point(x, area.y - 12.0), Anchor::Middle, Font::Body, INK, label);
            }
            figure.text(point(area.x - 8.0, y), Anchor::End, Font::Body, INK, label);
            let total = exact_or_short(self.totals[i], 60.0);
            figure.text(point(right, y), Anchor::End, Font::Small, MUTED, &total);
        }
    }

    /// Where on the colour scale a count of a row lies.
    fn level(&self, count: u64, total: u64, shown: Shown) -> f64 {
        let whole = if shown == Shown::Counts { self.most } else { total };
        if whole > 0 { count as f64 / whole as f64 } else { 0.0 }
    }

    fn cells(&self, figure: &mut Figure, area: Rect, shown: Shown) {
        let cell = &self.cell;
        for (i, row) in self.rows.iter().enumerate() {
            for (j, &count) in row.iter().enumerate() {
                let rect = Rect {
                    x: area.x + (cell.width + GAP) * j as f64,
                    y: area.y + (cell.height + GAP) * i as f64,
                    width: cell.width,
                    height: cell.height,
                };
                let fill = Rgb::sequential(self.level(count, self.totals[i], shown));
                figure.fill(rect, 2.0, fill);
                self.numbers(figure, rect, (count, self.totals[i]), fill.ink_on(), shown);
            }
        }
    }

    fn numbers(&self, figure: &mut Figure, rect: Rect, (count, total): (u64, u64), ink: Rgb, shown: Shown) {
        let centre = rect.centre();
        if count == 0 {
            // Empty cells stay quiet, so that the confusions stand out.
            figure.text(centre, Anchor::Middle, Font::Small, QUIET, "0");
            return;
        }
        let percent = match (100.0 * count as f64 / total.max(1) as f64).round() {
            0.0 => "<1".to_owned(),
            100.0 if count < total => ">99".to_owned(),
            percent => percent.to_string(),
        };
        let count = exact_or_short(count, rect.width - 4.0);
        match shown {
            Shown::Both if self.cell.both => {
                let at = point(centre.x, centre.y - 8.0);
                figure.text(at, Anchor::Middle, Font::Bold, ink, &count);
                let at = point(centre.x, centre.y + 9.0);
                figure.text(at, Anchor::Middle, Font::Small, ink, &format!("{percent} %"));
            }
            Shown::Counts => figure.text(centre, Anchor::Middle, Font::Body, ink, &count),
            Shown::Both | Shown::Shares => figure.text(centre, Anchor::Middle, Font::Body, ink, &percent),
        }
    }

    /// Cells that are too many to be shapes.
    fn picture(&self, figure: &mut Figure, area: Rect, shown: Shown) {
        let level = |(row, total): (&&[u64], &u64)| -> Vec<Rgb> {
            let levels = row.iter().map(|&count| self.level(count, *total, shown));
            levels.map(|level| scale_step((level * 255.0).round())).collect()
        };
        let classes = self.rows.len();
        figure.shapes.push(Shape::Raster(Raster {
            rect: area,
            columns: classes,
            rows: classes,
            pixels: self.rows.iter().zip(&self.totals).flat_map(level).collect(),
            smooth: false,
        }));
        // Most cells are nearly white: a frame shows where they end.
        outline(figure, area);
    }
}

/// One of 256 colours of the scale, made once.
fn scale_step(step: f64) -> Rgb {
    static STEPS: std::sync::OnceLock<Vec<Rgb>> = std::sync::OnceLock::new();
    let steps = STEPS.get_or_init(|| (0..=255).map(|step| Rgb::sequential(f64::from(step) / 255.0)).collect());
    steps.get(step.clamp(0.0, 255.0) as usize).copied().unwrap_or(WHITE)
}

/// A count, rounded where it has no room.
fn exact_or_short(count: u64, room: f64) -> String {
    let exact = count.to_string();
    if Font::Bold.width(&exact) <= room {
        return exact;
    }
    let units = [(1e3, "k"), (1e6, "M"), (1e9, "G")];
    let rounded = units
        .into_iter()
        .map(|(unit, sign)| (count as f64 / unit, sign))
        .find(|(value, _)| *value < 999.5);
    match rounded {
        Some((value, sign)) => format!("{value:.0}{sign}"),
        None => format!("{:.0e}", count as f64),
    }
}

fn draw_scale(figure: &mut Figure, left: f64, top: f64, height: f64, most: Option<u64>) {
    let height = height.clamp(60.0, 220.0);
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
    let marks = match most {
        None => vec![
            (1.0, "100 %".to_owned()),
            (0.5, "50 %".to_owned()),
            (0.0, "0 %".to_owned()),
        ],
        Some(most) => vec![(1.0, exact_or_short(most, 34.0)), (0.0, "0".to_owned())],
    };
    for (share, text) in marks {
        let y = top + height * (1.0 - share);
        let tick = Rect {
            x: left + SCALE,
            y: (y - 0.5).clamp(top, top + height - 1.0),
            width: 4.0,
            height: 1.0,
        };
        figure.fill(tick, 0.0, MUTED);
        let at = point(left + SCALE + 8.0, y.clamp(top + 6.0, top + height - 6.0));
        figure.text(at, Anchor::Start, Font::Small, MUTED, &text);
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
        for classes in [0, 1, 2, 5, 12, 13, 24, 25, 60, 300] {
            let labels: Vec<String> = (0..classes).map(|i| format!("label {i} of many")).collect();
            let row = vec![u64::MAX / 7; classes];
            let rows = std::iter::repeat_n(&row[..], classes);
            let figure = confusion_matrix("t", &labels, rows.clone()).unwrap();
            fills(&figure, if classes <= 24 { classes * classes } else { 0 });
            let pair = confusion_matrix_beside_counts(&"a long title ".repeat(20), &labels, rows).unwrap();
            for figure in [figure, pair] {
                crate::figure::tests::text_stays_inside(&figure);
                figure.to_png().unwrap();
            }
        }
    }

    #[test]
    fn of_many_classes_the_cells_are_pixels() {
        let labels: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
        let mut rows = vec![vec![0u64; 1000]; 1000];
        rows[3][7] = 5;
        let figure = confusion_matrix("t", &labels, rows.iter().map(Vec::as_slice)).unwrap();
        let raster = figure.shapes.iter().find_map(|shape| match shape {
            Shape::Raster(raster) => Some(raster),
            _ => None,
        });
        let raster = raster.unwrap();
        assert_eq!(raster.pixels[3 * 1000 + 7], Rgb::sequential(1.0));
        assert_eq!(raster.pixels[7 * 1000 + 3], Rgb::sequential(0.0));
        assert!(figure.to_svg().len() < 100_000);
    }

    #[test]
    fn beside_the_counts_stand_the_shares_of_their_rows() {
        let rows: [&[u64]; 2] = [&[30, 10], &[1, 123_456_789]];
        let figure = confusion_matrix_beside_counts("t", &["a", "b"], rows).unwrap();
        let fills = fills(&figure, 8);
        assert_eq!(fills[0], Rgb::sequential(30.0 / 123_456_789.0));
        assert_eq!(fills[4], Rgb::sequential(0.75));
        let svg = figure.to_svg();
        for text in ["30", "123M", "75", "25", "&lt;1", "&gt;99", "40"] {
            assert!(svg.contains(&format!(">{text}<")), "{text}: {svg}");
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
