//! A figure as a list of shapes, from back to front.

use crate::{FigureError, canvas, colour::Rgb, svg, text::Font};

/// A place, in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub x: f64,
    pub y: f64,
}

pub(crate) fn point(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// An axis-parallel box, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub fn centre(&self) -> Point {
        point(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }
}

/// One piece of a path, from where the last one ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Segment {
    Line(Point),
    /// A cubic Bézier curve: two control points, then the end.
    Curve(Point, Point, Point),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub start: Point,
    pub segments: Vec<Segment>,
}

impl Path {
    pub fn line(from: Point, to: Point) -> Self {
        Self {
            start: from,
            segments: vec![Segment::Line(to)],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub colour: Rgb,
    pub width: f64,
    pub dashed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Box {
        rect: Rect,
        radius: f64,
        fill: Rgb,
        stroke: Option<Stroke>,
    },
    Path(Path, Stroke),
    /// A filled triangle.
    Arrow([Point; 3], Rgb),
    Text {
        /// Its middle line's start, middle or end.
        at: Point,
        anchor: Anchor,
        font: Font,
        colour: Rgb,
        /// Turned a quarter counter-clockwise, around `at`.
        upright: bool,
        text: String,
    },
}

/// A drawing, to be written as SVG or painted as PNG.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub(crate) title: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
}

impl Figure {
    pub(crate) fn new(title: &str) -> Self {
        Self {
            title: title.into(),
            width: 0.0,
            height: 0.0,
            shapes: Vec::new(),
        }
    }

    pub(crate) fn text(&mut self, at: Point, anchor: Anchor, font: Font, colour: Rgb, text: &str) {
        self.shapes.push(Shape::Text {
            at,
            anchor,
            font,
            colour,
            upright: false,
            text: text.into(),
        });
    }

    pub(crate) fn fill(&mut self, rect: Rect, radius: f64, fill: Rgb) {
        self.shapes.push(Shape::Box {
            rect,
            radius,
            fill,
            stroke: None,
        });
    }

    /// The figure as a self-contained SVG document with a white background.
    pub fn to_svg(&self) -> String {
        svg::document(self)
    }

    /// The figure as an image with a white background; characters beyond Latin-1 become `?`.
    ///
    /// # Errors
    /// It would have more than 32 million pixels.
    pub fn to_png(&self) -> Result<PngImage, FigureError> {
        canvas::paint(self)
    }
}

/// A PNG image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PngImage {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The bytes of the PNG file.
    pub bytes: Vec<u8>,
}
