//! A figure as a list of shapes, from back to front.

use crate::{FigureError, colour::Rgb, raster, svg, text::Font};

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

/// Pixels that are too many to be shapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raster {
    /// Where they are stretched over.
    pub rect: Rect,
    pub columns: usize,
    pub rows: usize,
    /// Row after row, `rows × columns`.
    pub pixels: Vec<Rgb>,
    /// Whether they are blended where they are stretched; else each stays a box of one colour.
    pub smooth: bool,
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
    /// Discs of one colour, which let half of what lies below them through.
    Dots {
        at: Vec<Point>,
        radius: f64,
        colour: Rgb,
    },
    Raster(Raster),
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

    /// Text that is read from below to above.
    pub(crate) fn upright(&mut self, at: Point, anchor: Anchor, font: Font, colour: Rgb, text: &str) {
        self.shapes.push(Shape::Text {
            at,
            anchor,
            font,
            colour,
            upright: true,
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

    pub(crate) fn line(&mut self, from: Point, to: Point, stroke: Stroke) {
        self.shapes.push(Shape::Path(Path::line(from, to), stroke));
    }

    /// The figure as a self-contained SVG document: a white card, which looks the same on light and dark pages.
    ///
    /// Its text is text, in Inter where the reader has it; longer text keeps its length in every other font.
    pub fn to_svg(&self) -> String {
        svg::document(self)
    }

    /// The figure as an image with a white background, a pixel of the figure being one of the image.
    ///
    /// # Errors
    /// It would have more than 32 million pixels.
    pub fn to_png(&self) -> Result<PngImage, FigureError> {
        raster::png(self, 1.0, None)
    }

    /// The figure as an image for print: its pixels are a 96th of an inch wide, as in web pages, and the file says at
    /// how many dots per inch it is this large. Papers want [`PRINT_DPI`].
    ///
    /// # Errors
    /// It would have more than 32 million pixels.
    pub fn to_png_at(&self, dpi: u32) -> Result<PngImage, FigureError> {
        raster::png(self, f64::from(dpi) / 96.0, Some(dpi))
    }

    /// Width and height, in pixels.
    pub fn size(&self) -> (f64, f64) {
        (self.width.ceil(), self.height.ceil())
    }
}

/// Dots per inch that papers want.
pub const PRINT_DPI: u32 = 300;

/// A PNG image, or an animated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PngImage {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The bytes of the PNG file.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails where a text reaches beyond the figure.
    pub fn text_stays_inside(figure: &Figure) {
        for shape in &figure.shapes {
            let Shape::Text {
                at,
                anchor,
                font,
                upright,
                text,
                ..
            } = shape
            else {
                continue;
            };
            let width = font.width(text);
            let before = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => width / 2.0,
                Anchor::End => width,
            };
            let (low, high) = if *upright {
                (at.y + before - width, at.y + before)
            } else {
                (at.x - before, at.x - before + width)
            };
            let limit = if *upright { figure.height } else { figure.width };
            assert!(
                low > -0.5 && high < limit + 0.5,
                "{low} to {high} of {limit}: {shape:?}"
            );
            let across = if *upright {
                (at.x, figure.width)
            } else {
                (at.y, figure.height)
            };
            assert!((5.0..=across.1 - 5.0).contains(&across.0), "{shape:?}");
        }
    }
}
