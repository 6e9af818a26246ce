//! The SVG form of a figure.

use std::fmt::Write as _;

use crate::{
    colour::Rgb,
    figure::{Anchor, Figure, Path, Segment, Shape, Stroke},
};

/// Fonts that most systems have one of.
const FONTS: &str = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";

/// The whole document.
pub(crate) fn document(figure: &Figure) -> String {
    let (width, height) = (figure.width.ceil(), figure.height.ceil());
    let title = escape(&figure.title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONTS}\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for item in &figure.shapes {
        shape(&mut out, item);
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

fn shape(out: &mut String, item: &Shape) {
    // Writing to a String cannot fail.
    let _ = match item {
        Shape::Box {
            rect,
            radius,
            fill,
            stroke,
        } => write!(
            out,
            r#"<rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="{}"{}/>"#,
            number(rect.x),
            number(rect.y),
            number(rect.width),
            number(rect.height),
            number(*radius),
            hex(*fill),
            stroke.map(attributes).unwrap_or_default(),
        ),
        Shape::Path(path, stroke) => {
            let data = path_data(path);
            write!(out, r#"<path d="{data}" fill="none"{}/>"#, attributes(*stroke))
        }
        Shape::Arrow([a, b, c], colour) => write!(
            out,
            r#"<path d="M{} {}L{} {}L{} {}Z" fill="{}"/>"#,
            number(a.x),
            number(a.y),
            number(b.x),
            number(b.y),
            number(c.x),
            number(c.y),
            hex(*colour),
        ),
        Shape::Text {
            at,
            anchor,
            font,
            colour,
            upright,
            text,
        } => {
            // `dominant-baseline` is not known to every renderer.
            let drop = 0.35 * font.size();
            let (x, y) = (number(at.x), number(at.y));
            let place = if *upright {
                format!(r#"transform="translate({x} {y}) rotate(-90)" y="{}""#, number(drop))
            } else {
                format!(r#"x="{x}" y="{}""#, number(at.y + drop))
            };
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => r#" text-anchor="middle""#,
                Anchor::End => r#" text-anchor="end""#,
            };
            let weight = if font.is_bold() { r#" font-weight="600""# } else { "" };
            let (size, colour, text) = (number(font.size()), hex(*colour), escape(text));
            write!(
                out,
                r#"<text {place} font-size="{size}"{weight}{anchor} fill="{colour}">{text}</text>"#
            )
        }
    };
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
    let mut data = format!("M{} {}", number(path.start.x), number(path.start.y));
    for segment in &path.segments {
        let (command, points) = match *segment {
            Segment::Line(end) => ('L', vec![end]),
            Segment::Curve(a, b, end) => ('C', vec![a, b, end]),
        };
        data.push(command);
        let points: Vec<String> = points
            .iter()
            .map(|p| format!("{} {}", number(p.x), number(p.y)))
            .collect();
        data.push_str(&points.join(" "));
    }
    data
}

/// A coordinate with the precision that can be seen.
fn number(value: f64) -> String {
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
    }
}
