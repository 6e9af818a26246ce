//! The SVG form of a figure, for readers and for the renderer that paints it.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    colour::Rgb,
    figure::{Anchor, Figure, Path, Point, Raster, Segment, Shape, Stroke},
    raster,
    text::{Font, one_line},
};

/// The font that text is measured in, and others that most systems have one of.
const FONTS: &str = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";
/// Shorter text stays inside what is drawn around it in any of these fonts, the widest of which is a twelfth wider.
const FIXED_LENGTH: f64 = 70.0;

/// The whole document, with text as text.
pub(crate) fn document(figure: &Figure) -> String {
    let (width, height) = figure.size();
    let title = escape(&one_line(&figure.title));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONTS}\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for item in &figure.shapes {
        shape(&mut out, item, text);
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

/// A document of some shapes of a figure, with text as outlines of its glyphs and without a background: what is painted.
pub(crate) fn outlined(figure: &Figure, shapes: &[Shape]) -> String {
    let (width, height) = figure.size();
    let mut out = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">");
    for item in shapes {
        shape(&mut out, item, outlines);
    }
    out.push_str("</svg>");
    out
}

/// A text's place, anchor, font, colour and letters.
struct Words<'a> {
    at: Point,
    anchor: Anchor,
    font: Font,
    colour: Rgb,
    upright: bool,
    text: &'a str,
}

fn shape(out: &mut String, item: &Shape, words: impl Fn(&mut String, &Words)) {
    // Writing to a String cannot fail.
    let _ = match item {
        Shape::Box {
            rect,
            radius,
            fill,
            stroke,
        } => {
            let round = if *radius > 0.0 {
                format!(r#" rx="{}""#, number(*radius))
            } else {
                String::new()
            };
            write!(
                out,
                r#"<rect x="{}" y="{}" width="{}" height="{}"{round} fill="{}"{}/>"#,
                number(rect.x),
                number(rect.y),
                number(rect.width.max(0.0)),
                number(rect.height.max(0.0)),
                hex(*fill),
                stroke.map(attributes).unwrap_or_default(),
            )
        }
        Shape::Path(path, stroke) => {
            let data = path_data(path);
            write!(out, r#"<path d="{data}" fill="none"{}/>"#, attributes(*stroke))
        }
        Shape::Arrow([a, b, c], colour) => write!(
            out,
            r#"<path d="M{}L{}L{}Z" fill="{}"/>"#,
            pair(*a),
            pair(*b),
            pair(*c),
            hex(*colour),
        ),
        Shape::Dots { at, radius, colour } => {
            // A line of no length with round ends is a disc.
            let data: String = at.iter().map(|at| format!("M{}h0", pair(*at))).collect();
            write!(
                out,
                r#"<path d="{data}" fill="none" stroke="{}" stroke-width="{}" stroke-linecap="round" stroke-opacity="0.7"/>"#,
                hex(*colour),
                number(2.0 * radius),
            )
        }
        Shape::Raster(raster) => image(out, raster),
        Shape::Text {
            at,
            anchor,
            font,
            colour,
            upright,
            text,
        } => {
            let text = one_line(text);
            let text = &Words {
                at: *at,
                anchor: *anchor,
                font: *font,
                colour: *colour,
                upright: *upright,
                text: &text,
            };
            words(out, text);
            Ok(())
        }
    };
}

fn text(out: &mut String, words: &Words) {
    let font = words.font;
    // `dominant-baseline` is not known to every renderer.
    let drop = 0.35 * font.size();
    let (x, y) = (number(words.at.x), number(words.at.y));
    let place = if words.upright {
        format!(r#"transform="translate({x} {y}) rotate(-90)" y="{}""#, number(drop))
    } else {
        format!(r#"x="{x}" y="{}""#, number(words.at.y + drop))
    };
    let anchor = match words.anchor {
        Anchor::Start => "",
        Anchor::Middle => r#" text-anchor="middle""#,
        Anchor::End => r#" text-anchor="end""#,
    };
    let weight = if font.is_bold() { r#" font-weight="600""# } else { "" };
    let width = font.width(words.text);
    let length = if width > FIXED_LENGTH && font.has(words.text) {
        format!(r#" textLength="{}""#, number(width))
    } else {
        String::new()
    };
    let (size, colour, text) = (number(font.size()), hex(words.colour), escape(words.text));
    let _ = write!(
        out,
        r#"<text {place} font-size="{size}"{weight}{anchor}{length} fill="{colour}">{text}</text>"#
    );
}

fn outlines(out: &mut String, words: &Words) {
    let (font, width) = (words.font, words.font.width(words.text));
    let start = match words.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width / 2.0,
        Anchor::End => -width,
    };
    let (x, y, turn) = (
        number(words.at.x),
        number(words.at.y),
        if words.upright { -90 } else { 0 },
    );
    let (start, drop) = (number(start), number(0.35 * font.size()));
    let _ = write!(
        out,
        r#"<path transform="translate({x} {y}) rotate({turn}) translate({start} {drop})" d="{}" fill="{}"/>"#,
        font.outlines(words.text),
        hex(words.colour),
    );
}

/// Pixels as a PNG image inside the document; empty where they cannot be encoded.
fn image(out: &mut String, raster: &Raster) -> std::fmt::Result {
    let Ok(bytes) = raster::encoded(raster) else {
        return Ok(());
    };
    let rendering = if raster.smooth { "auto" } else { "pixelated" };
    write!(
        out,
        r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" style="image-rendering:{rendering}" href="data:image/png;base64,{}"/>"#,
        number(raster.rect.x),
        number(raster.rect.y),
        number(raster.rect.width),
        number(raster.rect.height),
        STANDARD.encode(bytes),
    )
}

fn attributes(stroke: Stroke) -> String {
    let dash = if stroke.dashed {
        r#" stroke-dasharray="5 4""#
    } else {
        ""
    };
    let (colour, width) = (hex(stroke.colour), number(stroke.width));
    format!(r#" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dash}"#)
}

fn path_data(path: &Path) -> String {
    let mut data = format!("M{}", pair(path.start));
    for segment in &path.segments {
        let (command, points) = match *segment {
            Segment::Line(end) => ('L', vec![end]),
            Segment::Curve(a, b, end) => ('C', vec![a, b, end]),
        };
        data.push(command);
        let points: Vec<String> = points.into_iter().map(pair).collect();
        data.push_str(&points.join(" "));
    }
    data
}

fn pair(at: Point) -> String {
    format!("{} {}", number(at.x), number(at.y))
}

/// A coordinate with the precision that can be seen; one that is not finite is 0.
fn number(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let rounded = (value * 10.0).round() / 10.0;
    // Negative zero would print a sign.
    format!("{}", rounded + 0.0)
}

fn hex(Rgb(r, g, b): Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Text in which XML finds no markup, nor characters that it forbids.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_cannot_get_through() {
        assert_eq!(
            escape("<a href=\"x\">&'\u{0}\u{1b}\u{ffff}ü"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;  \u{fffd}ü"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(1.25), "1.3");
        assert_eq!(number(-0.01), "0");
        assert_eq!(number(f64::NAN), "0");
    }
}
