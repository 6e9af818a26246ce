//! What every chart has: title, axes, a legend, a note where there is nothing to show.

use crate::{
    axis::Axis,
    colour::{FAINT, INK, MUTED, Rgb, WHITE, category},
    figure::{Anchor, Figure, Path, Point, Rect, Segment, Shape, Stroke, point},
    text::Font,
};

/// Width of charts in pixels: text is still read where a phone shows them 390 pixels wide.
pub(crate) const WIDTH: f64 = 480.0;
/// Around everything, in pixels.
pub(crate) const MARGIN: f64 = 16.0;
/// Width of the widest name in a legend, in pixels.
const NAME: f64 = 300.0;
/// Between two columns of a legend, in pixels.
const COLUMNS_APART: f64 = 16.0;
/// Most entries of a legend.
const ENTRIES: usize = 36;

/// What a chart is made of, apart from what it shows.
pub(crate) struct Layout<'a> {
    pub title: &'a str,
    /// A line below the title; may be empty.
    pub note: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    /// Of the whole figure, in pixels.
    pub width: f64,
    /// Of the area between the axes, in pixels; none for a square.
    pub height: Option<f64>,
    pub x: Axis,
    pub y: Axis,
}

/// A chart whose frame is drawn.
pub(crate) struct Plot {
    pub figure: Figure,
    /// Between the axes.
    pub area: Rect,
    pub x: Axis,
    pub y: Axis,
}

/// How an entry of a legend looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Swatch {
    Line(Stroke),
    Square(Rgb),
    Dot(Rgb),
}

/// The title at the top and a line below it; returns where they end.
pub(crate) fn heading(figure: &mut Figure, note: &str) -> f64 {
    let room = figure.width - 2.0 * MARGIN;
    let title = Font::Title.fit(&figure.title, room);
    figure.text(point(MARGIN, MARGIN + 9.0), Anchor::Start, Font::Title, INK, &title);
    if note.is_empty() {
        return MARGIN + 24.0;
    }
    let note = Font::Body.fit(note, room);
    figure.text(point(MARGIN, MARGIN + 31.0), Anchor::Start, Font::Body, MUTED, &note);
    MARGIN + 44.0
}

impl Layout<'_> {
    /// Draws title, axes and grid.
    pub fn draw(self) -> Plot {
        let mut figure = Figure::new(self.title);
        figure.width = self.width;
        let top = heading(&mut figure, self.note) + 8.0;
        let (x, y) = (self.x, self.y);
        let y_texts: Vec<String> = y.ticks.iter().map(|&tick| y.label(tick)).collect();
        let widest = y_texts.iter().map(|text| Font::Small.width(text)).fold(0.0, f64::max);
        let beside = if self.y_label.is_empty() {
            0.0
        } else {
            Font::Body.line_height()
        };
        let left = (MARGIN + beside + widest + 10.0).ceil();
        let width = (self.width - MARGIN - left).max(1.0);
        let area = Rect {
            x: left,
            y: top,
            width,
            height: self.height.unwrap_or(width),
        };
        for (&tick, text) in y.ticks.iter().zip(&y_texts) {
            let at = area.bottom() - area.height * y.place(tick);
            figure.fill(hair(area.x, at, area.width), 0.0, FAINT);
            figure.text(point(area.x - 8.0, at), Anchor::End, Font::Small, MUTED, text);
        }
        let texts: Vec<String> = x.ticks.iter().map(|&tick| x.label(tick)).collect();
        let widest = texts.iter().map(|text| Font::Small.width(text)).fold(0.0, f64::max);
        // Marks that would touch one another stay without a number.
        let room = area.width / x.ticks.len().max(1) as f64;
        let every = ((widest + 8.0) / room.max(1.0)).ceil().max(1.0) as usize;
        for (i, (&tick, text)) in x.ticks.iter().zip(&texts).enumerate() {
            let at = area.x + area.width * x.place(tick);
            let mark = Rect {
                x: at.round() - 0.5,
                y: area.bottom(),
                width: 1.0,
                height: 5.0,
            };
            figure.fill(mark, 0.0, MUTED);
            if i % every == 0 {
                // The last number stays inside the figure.
                let at = at.min(figure.width - Font::Small.width(text) / 2.0 - 2.0);
                figure.text(
                    point(at, area.bottom() + 14.0),
                    Anchor::Middle,
                    Font::Small,
                    MUTED,
                    text,
                );
            }
        }
        if x.ticks.is_empty() && y.ticks.is_empty() {
            outline(&mut figure, area);
        } else {
            figure.fill(hair(area.x, area.bottom(), area.width), 0.0, MUTED);
        }
        let mut bottom = area.bottom() + if x.ticks.is_empty() { 4.0 } else { 22.0 };
        if !self.x_label.is_empty() {
            let label = Font::Body.fit(self.x_label, area.width);
            let at = point(area.centre().x, bottom + 9.0);
            figure.text(at, Anchor::Middle, Font::Body, MUTED, &label);
            bottom += 18.0;
        }
        let label = Font::Body.fit(self.y_label, area.height);
        let at = point(MARGIN + 5.0, area.centre().y);
        figure.upright(at, Anchor::Middle, Font::Body, MUTED, &label);
        figure.height = bottom + MARGIN;
        Plot { figure, area, x, y }
    }
}

impl Plot {
    /// Where a pair of values lies.
    pub fn place(&self, (x, y): (f64, f64)) -> Point {
        point(
            self.area.x + self.area.width * self.x.place(x),
            self.area.bottom() - self.area.height * self.y.place(y),
        )
    }

    /// A line through pairs of values; a single one is a dot.
    pub fn curve(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let places: Vec<Point> = points.iter().map(|&pair| self.place(pair)).collect();
        match places.as_slice() {
            [] => {}
            [at] => {
                let dot = Rect {
                    x: at.x - 3.0,
                    y: at.y - 3.0,
                    width: 6.0,
                    height: 6.0,
                };
                self.figure.fill(dot, 3.0, stroke.colour);
            }
            [start, rest @ ..] => {
                let path = Path {
                    start: *start,
                    segments: rest.iter().map(|&at| Segment::Line(at)).collect(),
                };
                self.figure.shapes.push(Shape::Path(path, stroke));
            }
        }
    }

    /// Says in the middle that there is nothing to show.
    pub fn empty(&mut self, text: &str) {
        let centre = self.area.centre();
        nothing(&mut self.figure, centre, text);
    }

    /// Names below the chart what is in it, in rows.
    pub fn legend(&mut self, entries: &[(Swatch, String)]) {
        self.figure.height = legend(&mut self.figure, entries);
    }
}

/// A grey text around `centre` on white.
pub(crate) fn nothing(figure: &mut Figure, centre: Point, text: &str) {
    let width = Font::Body.width(text) + 16.0;
    let behind = Rect {
        x: centre.x - width / 2.0,
        y: centre.y - 12.0,
        width,
        height: 24.0,
    };
    figure.fill(behind, 0.0, WHITE);
    figure.text(centre, Anchor::Middle, Font::Body, MUTED, text);
}

/// Names at the bottom of `figure` what is in it; returns the height that it needs then.
pub(crate) fn legend(figure: &mut Figure, entries: &[(Swatch, String)]) -> f64 {
    if entries.is_empty() {
        return figure.height;
    }
    let more = entries.len().saturating_sub(ENTRIES);
    let room = (figure.width - 2.0 * MARGIN - 26.0).min(NAME);
    let shown: Vec<(Swatch, String)> = entries[..entries.len() - more]
        .iter()
        .map(|(swatch, name)| (*swatch, Font::Body.fit_name(name, room)))
        .collect();
    let columns = columns(&shown, figure.width - 2.0 * MARGIN);
    let top = figure.height - MARGIN + 14.0;
    let (mut x, mut bottom) = (MARGIN, top);
    for column in shown.chunks(shown.len().div_ceil(columns)) {
        for (row, (swatch, name)) in column.iter().enumerate() {
            let y = top + 19.0 * row as f64;
            mark(figure, point(x, y), *swatch);
            figure.text(point(x + 26.0, y), Anchor::Start, Font::Body, INK, name);
            bottom = bottom.max(y);
        }
        x += column_width(column) + COLUMNS_APART;
    }
    if more > 0 {
        bottom += 19.0;
        let text = format!("and {more} more");
        figure.text(point(MARGIN + 26.0, bottom), Anchor::Start, Font::Body, MUTED, &text);
    }
    bottom + 10.0 + MARGIN
}

/// The most columns of equal length that a legend has room for: a table is searched more easily than words in a line.
fn columns(entries: &[(Swatch, String)], room: f64) -> usize {
    let fits = |columns: &usize| {
        let widths = entries.chunks(entries.len().div_ceil(*columns)).map(column_width);
        widths.map(|width| width + COLUMNS_APART).sum::<f64>() <= room + COLUMNS_APART
    };
    (1..=entries.len()).rev().find(fits).unwrap_or(1)
}

fn column_width(entries: &[(Swatch, String)]) -> f64 {
    26.0 + entries
        .iter()
        .map(|(_, name)| Font::Body.width(name))
        .fold(0.0, f64::max)
}

/// What stands before a name, its middle line beginning at `at`.
fn mark(figure: &mut Figure, at: Point, swatch: Swatch) {
    let around = |size: f64| Rect {
        x: at.x + 10.0 - size / 2.0,
        y: at.y - size / 2.0,
        width: size,
        height: size,
    };
    match swatch {
        Swatch::Line(stroke) => figure.line(at, point(at.x + 20.0, at.y), stroke),
        Swatch::Square(colour) => figure.fill(around(12.0), 2.0, colour),
        Swatch::Dot(colour) => figure.fill(around(8.0), 4.0, colour),
    }
}

/// The stroke of the `index`-th line of a chart.
pub(crate) fn line_stroke(index: usize) -> Stroke {
    Stroke {
        colour: category(index),
        width: 2.0,
        dashed: false,
    }
}

/// What nobody takes for a result: a diagonal, the level of chance.
pub(crate) const REFERENCE: Stroke = Stroke {
    colour: MUTED,
    width: 1.0,
    dashed: true,
};

/// A frame around an area.
pub(crate) fn outline(figure: &mut Figure, rect: Rect) {
    let corners = [
        point(rect.right(), rect.y),
        point(rect.right(), rect.bottom()),
        point(rect.x, rect.bottom()),
        point(rect.x, rect.y),
    ];
    let path = Path {
        start: point(rect.x, rect.y),
        segments: corners.map(Segment::Line).to_vec(),
    };
    let stroke = Stroke {
        colour: FAINT,
        width: 1.0,
        dashed: false,
    };
    figure.shapes.push(Shape::Path(path, stroke));
}

fn hair(x: f64, y: f64, width: f64) -> Rect {
    Rect {
        x,
        y: y.round() - 0.5,
        width,
        height: 1.0,
    }
}
