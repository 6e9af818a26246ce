//! The PNG form of a figure: shapes painted with smooth edges, text in bitmap fonts.

use std::{collections::HashMap, convert::Infallible};

use embedded_graphics::{
    Drawable as _, Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point as PixelPoint, Size},
    mono_font::MonoTextStyle,
    pixelcolor::{Rgb888, RgbColor as _},
    text::{Alignment, Baseline, Text, TextStyleBuilder},
};

use crate::{
    FigureError, PngImage,
    colour::Rgb,
    figure::{Anchor, Figure, Path, Point, Rect, Segment, Shape, Stroke, point},
};

/// 96 MB of pixels.
const MAX_PIXELS: u64 = 32_000_000;
/// Dash and gap, in pixels.
const DASH: (f64, f64) = (5.0, 4.0);
/// Straight pieces that a Bézier curve is painted as.
const CURVE_PIECES: u32 = 24;

/// Paints `figure` and encodes it.
pub(crate) fn paint(figure: &Figure) -> Result<PngImage, FigureError> {
    let pixels = |length: f64| (length.ceil() as u32).max(1);
    let (width, height) = (pixels(figure.width), pixels(figure.height));
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(FigureError::TooLarge { width, height });
    }
    let mut canvas = Canvas {
        width,
        height,
        rgb: vec![255; width as usize * height as usize * 3],
    };
    for shape in &figure.shapes {
        canvas.shape(shape);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.rgb)?;
    writer.finish()?;
    Ok(PngImage { width, height, bytes })
}

struct Canvas {
    width: u32,
    height: u32,
    /// Row after row.
    rgb: Vec<u8>,
}

impl Canvas {
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Box {
                rect,
                radius,
                fill,
                stroke,
            } => {
                self.cover(*rect, *fill, |p| 0.5 - outside(*rect, *radius, p));
                if let Some(stroke) = stroke {
                    self.path(&outline(*rect, *radius), *stroke);
                }
            }
            Shape::Path(path, stroke) => self.path(path, *stroke),
            Shape::Arrow(corners, colour) => {
                self.cover(bounds(corners), *colour, |p| 0.5 - beyond(corners, p));
            }
            Shape::Text {
                at,
                anchor,
                font,
                colour,
                upright,
                text,
            } => {
                let style = MonoTextStyle::new(font.bitmap(), Rgb888::new(colour.0, colour.1, colour.2));
                let layout = TextStyleBuilder::new()
                    .baseline(Baseline::Middle)
                    .alignment(match anchor {
                        Anchor::Start => Alignment::Left,
                        Anchor::Middle => Alignment::Center,
                        Anchor::End => Alignment::Right,
                    })
                    .build();
                let origin = PixelPoint::new(at.x.round() as i32, at.y.round() as i32);
                let text = latin(text);
                let mut target = Turned {
                    canvas: self,
                    origin,
                    upright: *upright,
                };
                let text = Text::with_text_style(&text, PixelPoint::zero(), style, layout);
                // The canvas cannot fail.
                let _ = text.draw(&mut target);
            }
        }
    }

    /// Paints the pixels near `rect`, each as far as `coverage` (clamped to 0 to 1) says.
    fn cover(&mut self, rect: Rect, colour: Rgb, coverage: impl Fn(Point) -> f64) {
        let range = |low: f64, high: f64, limit: u32| {
            let clamp = |value: f64| value.clamp(0.0, f64::from(limit)) as u32;
            clamp(low.floor() - 1.0)..clamp(high.ceil() + 1.0)
        };
        for y in range(rect.y, rect.bottom(), self.height) {
            for x in range(rect.x, rect.right(), self.width) {
                let centre = point(f64::from(x) + 0.5, f64::from(y) + 0.5);
                self.blend(x, y, colour, coverage(centre));
            }
        }
    }

    fn blend(&mut self, x: u32, y: u32, Rgb(r, g, b): Rgb, coverage: f64) {
        if x >= self.width || y >= self.height || coverage <= 0.0 {
            return;
        }
        let coverage = coverage.min(1.0);
        let at = (y as usize * self.width as usize + x as usize) * 3;
        for (channel, new) in self.rgb[at..at + 3].iter_mut().zip([r, g, b]) {
            let old = f64::from(*channel);
            *channel = (old + (f64::from(new) - old) * coverage).round() as u8;
        }
    }

    /// Each pixel is painted once, so that pieces do not darken each other where they meet.
    fn path(&mut self, path: &Path, stroke: Stroke) {
        let half = stroke.width / 2.0;
        let mut coverage: HashMap<(u32, u32), f64> = HashMap::new();
        for (a, b) in pieces(path, stroke.dashed) {
            let Rect { x, y, width, height } = bounds(&[a, b]);
            let reach = half + 1.0;
            let range = |low: f64, length: f64, limit: u32| {
                let clamp = |value: f64| value.clamp(0.0, f64::from(limit)) as u32;
                clamp(low - reach)..clamp(low + length + reach + 1.0)
            };
            for row in range(y, height, self.height) {
                for column in range(x, width, self.width) {
                    let centre = point(f64::from(column) + 0.5, f64::from(row) + 0.5);
                    let covered = half + 0.5 - distance(centre, a, b);
                    if covered > 0.0 {
                        let most = coverage.entry((column, row)).or_default();
                        *most = most.max(covered);
                    }
                }
            }
        }
        for ((x, y), covered) in coverage {
            self.blend(x, y, stroke.colour, covered);
        }
    }
}

/// Where embedded-graphics draws text: around an origin, and turned if it stands upright.
struct Turned<'a> {
    canvas: &'a mut Canvas,
    origin: PixelPoint,
    upright: bool,
}

impl OriginDimensions for Turned<'_> {
    fn size(&self) -> Size {
        Size::new(self.canvas.width, self.canvas.height)
    }
}

impl DrawTarget for Turned<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(p, colour) in pixels {
            let (dx, dy) = if self.upright { (p.y, -p.x) } else { (p.x, p.y) };
            let x = self.origin.x.checked_add(dx).and_then(|x| x.try_into().ok());
            let y = self.origin.y.checked_add(dy).and_then(|y| y.try_into().ok());
            if let (Some(x), Some(y)) = (x, y) {
                let colour = Rgb(colour.r(), colour.g(), colour.b());
                self.canvas.blend(x, y, colour, 1.0);
            }
        }
        Ok(())
    }
}

/// What the bitmap fonts lack, in characters that they have.
fn latin(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => out.push_str(".."),
            '→' => out.push_str("->"),
            '–' | '—' | '−' => out.push('-'),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// How far `p` lies outside a box with round corners; negative inside.
fn outside(rect: Rect, radius: f64, p: Point) -> f64 {
    let centre = rect.centre();
    let x = (p.x - centre.x).abs() - rect.width / 2.0 + radius;
    let y = (p.y - centre.y).abs() - rect.height / 2.0 + radius;
    x.max(0.0).hypot(y.max(0.0)) + x.max(y).min(0.0) - radius
}

/// How far `p` lies outside a triangle; negative inside.
fn beyond(corners: &[Point; 3], p: Point) -> f64 {
    let [a, b, c] = *corners;
    let side = |from: Point, to: Point| {
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        ((p.x - from.x) * dy - (p.y - from.y) * dx) / dx.hypot(dy).max(1e-9)
    };
    let turn = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    let sign = if turn < 0.0 { -1.0 } else { 1.0 };
    [side(a, b), side(b, c), side(c, a)]
        .map(|distance| sign * distance)
        .into_iter()
        .fold(f64::NEG_INFINITY, f64::max)
}

fn bounds(points: &[Point]) -> Rect {
    let low = |of: fn(&Point) -> f64| points.iter().map(of).fold(f64::INFINITY, f64::min);
    let high = |of: fn(&Point) -> f64| points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    let (x, y) = (low(|p| p.x), low(|p| p.y));
    Rect {
        x,
        y,
        width: high(|p| p.x) - x,
        height: high(|p| p.y) - y,
    }
}

/// Distance of `p` from the line between `a` and `b`.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        (((p.x - a.x) * dx + (p.y - a.y) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (p.x - a.x - along * dx).hypot(p.y - a.y - along * dy)
}

/// The outline of a box with round corners.
fn outline(rect: Rect, radius: f64) -> Path {
    // A Bézier curve that nearly is a quarter of a circle has its control points this far along.
    let k = radius * 0.552_3;
    let (left, top, right, bottom) = (rect.x, rect.y, rect.right(), rect.bottom());
    let corner = |x: f64, y: f64, dx: (f64, f64), dy: (f64, f64)| {
        Segment::Curve(
            point(x + dx.0 * (radius - k), y + dy.0 * (radius - k)),
            point(x + dx.1 * (radius - k), y + dy.1 * (radius - k)),
            point(x + dx.1 * radius, y + dy.1 * radius),
        )
    };
    Path {
        start: point(left + radius, top),
        segments: vec![
            Segment::Line(point(right - radius, top)),
            corner(right, top, (-1.0, 0.0), (0.0, 1.0)),
            Segment::Line(point(right, bottom - radius)),
            corner(right, bottom, (0.0, -1.0), (-1.0, 0.0)),
            Segment::Line(point(left + radius, bottom)),
            corner(left, bottom, (1.0, 0.0), (0.0, -1.0)),
            Segment::Line(point(left, top + radius)),
            corner(left, top, (0.0, 1.0), (1.0, 0.0)),
        ],
    }
}

/// The straight pieces to paint, without the gaps between dashes.
pub(crate) fn pieces(path: &Path, dashed: bool) -> Vec<(Point, Point)> {
    let mut points = vec![path.start];
    let mut at = path.start;
    for segment in &path.segments {
        match *segment {
            Segment::Line(end) => {
                points.push(end);
                at = end;
            }
            Segment::Curve(a, b, end) => {
                points.extend((1..=CURVE_PIECES).map(|i| {
                    let t = f64::from(i) / f64::from(CURVE_PIECES);
                    bezier(at, a, b, end, t)
                }));
                at = end;
            }
        }
    }
    let lines = points.windows(2).map(|pair| (pair[0], pair[1]));
    if !dashed {
        return lines.collect();
    }
    let (dash, gap) = DASH;
    let mut walked = 0.0;
    let mut out = Vec::new();
    for (a, b) in lines {
        let length = (b.x - a.x).hypot(b.y - a.y);
        let between = |s: f64| {
            let t = s / length.max(1e-9);
            point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y))
        };
        let mut s = 0.0;
        while s < length {
            let phase: f64 = (walked + s) % (dash + gap);
            let (step, on) = if phase < dash {
                (dash - phase, true)
            } else {
                (dash + gap - phase, false)
            };
            // A step too small to change `s` must not hold up the walk.
            let end = (s + step.max(1e-6)).min(length);
            if on {
                out.push((between(s), between(end)));
            }
            s = end;
        }
        walked += length;
    }
    out
}

fn bezier(p0: Point, p1: Point, p2: Point, p3: Point, t: f64) -> Point {
    let u = 1.0 - t;
    let [a, b, c, d] = [u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t];
    point(
        a * p0.x + b * p1.x + c * p2.x + d * p3.x,
        a * p0.y + b * p1.y + c * p2.y + d * p3.y,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Font;

    /// The pixels of a picture of 40 × 30.
    fn pixels(shapes: Vec<Shape>) -> Vec<[u8; 3]> {
        let figure = Figure {
            width: 40.0,
            height: 30.0,
            shapes,
            ..Figure::new("")
        };
        let image = paint(&figure).unwrap();
        assert_eq!((image.width, image.height), (40, 30));
        let decoder = png::Decoder::new(std::io::Cursor::new(image.bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.as_chunks().0.to_vec()
    }

    /// How much black ink there is, in pixels.
    fn ink(shapes: Vec<Shape>) -> f64 {
        let pixels = pixels(shapes);
        pixels.iter().map(|p| 1.0 - f64::from(p[0]) / 255.0).sum()
    }

    const BLACK: Rgb = Rgb(0, 0, 0);

    #[test]
    fn shapes_have_the_area_that_geometry_gives_them() {
        let stroke = |width, dashed| Stroke {
            colour: BLACK,
            width,
            dashed,
        };
        let slope = Path::line(point(5.0, 5.0), point(35.0, 25.0));
        let round = Shape::Box {
            rect: Rect {
                x: 5.3,
                y: 5.0,
                width: 20.0,
                height: 20.0,
            },
            radius: 10.0,
            fill: BLACK,
            stroke: None,
        };
        for (shape, area) in [
            (round, 314.0),
            (
                Shape::Arrow([point(5.0, 5.0), point(25.0, 5.0), point(5.0, 25.0)], BLACK),
                200.0,
            ),
            (Shape::Path(slope.clone(), stroke(2.0, false)), 75.0),
            (Shape::Path(slope, stroke(2.0, true)), 56.0),
        ] {
            let painted = ink(vec![shape.clone()]);
            assert!((painted / area - 1.0).abs() < 0.05, "{painted} for {shape:?}");
        }
    }

    #[test]
    fn upright_text_is_the_same_text_turned() {
        let text = |upright| Shape::Text {
            at: point(20.0, 15.0),
            anchor: Anchor::Middle,
            font: Font::Body,
            colour: BLACK,
            upright,
            text: "ab…".into(),
        };
        let (flat, turned) = (pixels(vec![text(false)]), pixels(vec![text(true)]));
        let at = |pixels: &[[u8; 3]], x: i32, y: i32| pixels[(y * 40 + x) as usize];
        assert!(flat.iter().filter(|p| p[0] == 0).count() > 20);
        for dy in -10..10 {
            for dx in -14..14 {
                assert_eq!(at(&flat, 20 + dx, 15 + dy), at(&turned, 20 + dy, 15 - dx));
            }
        }
    }

    #[test]
    fn shapes_beyond_the_edge_and_broken_numbers_are_cut() {
        let stroke = Stroke {
            colour: BLACK,
            width: 2.0,
            dashed: true,
        };
        for path in [
            Path::line(point(-50.0, -1e4), point(90.0, 1e4)),
            Path::line(point(f64::NAN, 0.0), point(f64::INFINITY, 3.0)),
        ] {
            pixels(vec![Shape::Path(path, stroke)]);
        }
        let far = Shape::Text {
            at: point(1e300, -1e300),
            anchor: Anchor::Start,
            font: Font::Title,
            colour: BLACK,
            upright: true,
            text: "far".into(),
        };
        assert_eq!(ink(vec![far]), 0.0);
    }

    #[test]
    fn a_picture_without_bounds_is_an_error() {
        for (width, height) in [(1e5, 1e5), (f64::INFINITY, 1.0)] {
            let figure = Figure {
                width,
                height,
                ..Figure::new("")
            };
            let error = paint(&figure).unwrap_err().to_string();
            assert!(error.contains("too large"), "{error}");
        }
    }
}
