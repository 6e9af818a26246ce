//! Fonts: how wide text is and what it looks like, the same on every machine.
//!
//! Inter lies in this crate (`font/`), without its rules for kerning: a text is as wide as its glyphs
//! together. Characters that it lacks are measured as wide as other fonts draw them, and are boxes in images.

use std::{fmt::Write as _, sync::OnceLock};

use ttf_parser::{Face, OutlineBuilder};
use unicode_normalization::UnicodeNormalization as _;

static REGULAR: &[u8] = include_bytes!("../font/Inter-Regular.ttf");
static SEMI_BOLD: &[u8] = include_bytes!("../font/Inter-SemiBold.ttf");

/// A text style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Font {
    Small,
    Body,
    Bold,
    Title,
}

impl Font {
    /// Font size, in pixels.
    pub fn size(self) -> f64 {
        match self {
            Self::Small => 12.0,
            Self::Body | Self::Bold => 13.0,
            Self::Title => 16.0,
        }
    }

    pub fn is_bold(self) -> bool {
        matches!(self, Self::Bold | Self::Title)
    }

    /// Distance of lines, in pixels.
    pub fn line_height(self) -> f64 {
        (self.size() * 1.35).round()
    }

    /// The width of `text`, in pixels.
    pub fn width(self, text: &str) -> f64 {
        text.chars().map(|c| self.advance(c)).sum()
    }

    /// `text` on one line of at most `width` pixels, its end replaced by `…` if need be.
    pub fn fit(self, text: &str, width: f64) -> String {
        let text = one_line(text);
        if self.width(&text) <= width {
            return text;
        }
        let mut room = width - self.advance('…');
        let kept = text.chars().take_while(|&c| {
            room -= self.advance(c);
            room >= 0.0
        });
        let kept: String = kept.collect();
        format!("{}…", kept.trim_end())
    }

    /// The same for a name, of which something is seen even where it is empty.
    pub fn fit_name(self, name: &str, width: f64) -> String {
        let name = if name.trim().is_empty() { "(no name)" } else { name };
        self.fit(name, width)
    }

    /// The outlines of `text` as data of an SVG path: from the origin to the right, the baseline at 0.
    pub fn outlines(self, text: &str) -> String {
        let mut pen = Pen {
            data: String::new(),
            x: 0.0,
            scale: 0.0,
        };
        let Some(face) = self.face() else {
            return pen.data;
        };
        pen.scale = self.size() / f64::from(face.units_per_em());
        for c in text.chars() {
            let advance = self.advance(c);
            match face.glyph_index(c) {
                _ if is_invisible(c) => {}
                Some(glyph) => {
                    face.outline_glyph(glyph, &mut pen);
                }
                None => pen.blank(0.1 * advance, 0.8 * advance, 0.7 * self.size()),
            }
            pen.x += advance;
        }
        pen.data
    }

    /// Whether all of `text` is in the font.
    pub fn has(self, text: &str) -> bool {
        let face = self.face();
        face.is_some_and(|face| text.chars().all(|c| face.glyph_index(c).is_some()))
    }

    fn advance(self, c: char) -> f64 {
        if is_invisible(c) {
            return 0.0;
        }
        let ems = self.face().and_then(|face| {
            let units = face.glyph_hor_advance(face.glyph_index(c)?)?;
            Some(f64::from(units) / f64::from(face.units_per_em()))
        });
        // Emoji are the widest that there is.
        self.size() * ems.unwrap_or(if c >= '\u{1f000}' { 1.4 } else { 1.0 })
    }

    fn face(self) -> Option<&'static Face<'static>> {
        static FACES: OnceLock<[Option<Face<'static>>; 2]> = OnceLock::new();
        let faces = FACES.get_or_init(|| [REGULAR, SEMI_BOLD].map(|font| Face::parse(font, 0).ok()));
        faces[usize::from(self.is_bold())].as_ref()
    }
}

/// Joiners and selectors of variants.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Writes outlines as path data.
struct Pen {
    data: String,
    /// Where the glyph begins, in pixels.
    x: f64,
    /// Pixels a unit of the font.
    scale: f64,
}

impl Pen {
    fn write(&mut self, command: char, points: &[(f32, f32)]) {
        self.data.push(command);
        for (x, y) in points {
            let x = self.x + f64::from(*x) * self.scale;
            let y = -f64::from(*y) * self.scale;
            // Writing to a String cannot fail.
            let _ = write!(self.data, "{x:.2} {y:.2} ");
        }
    }
}

impl Pen {
    /// The outline of a box on the baseline, in pixels.
    fn blank(&mut self, left: f64, width: f64, height: f64) {
        let left = self.x + left;
        let (inside_width, inside_height) = (width - 2.0, height - 2.0);
        let _ = write!(
            self.data,
            "M{left:.2} 0h{width:.2}v-{height:.2}h-{width:.2}Zm1 -1v-{inside_height:.2}h{inside_width:.2}v{inside_height:.2}Z"
        );
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.write('M', &[(x, y)]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.write('L', &[(x, y)]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.write('Q', &[(x1, y1), (x, y)]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.write('C', &[(x1, y1), (x2, y2), (x, y)]);
    }

    fn close(&mut self) {
        self.data.push('Z');
    }
}

/// `text` without what would break a line or turn the order of what follows, accents joined to their letters.
pub(crate) fn one_line(text: &str) -> String {
    let turns = |c: &char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let plain = text.nfc().filter(|c| !turns(c));
    plain.map(|c| if breaks(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits_or_ends_in_an_ellipsis() {
        let font = Font::Body;
        assert_eq!(font.fit("abc", 100.0), "abc");
        assert_eq!(font.fit("a\nb", 100.0), "a b");
        assert_eq!(font.fit("", 0.0), "");
        for text in [
            "a long name ".repeat(20),
            "語".repeat(90),
            "👩‍👩‍👧".repeat(40),
            "مرحبا".repeat(40),
        ] {
            let fitted = font.fit(&text, 90.0);
            assert!(fitted.ends_with('…') && fitted.chars().count() > 3, "{fitted}");
            assert!(font.width(&fitted) <= 90.0, "{fitted}");
        }
    }

    #[test]
    fn letters_are_as_wide_as_the_font_says() {
        // fontTools: hmtx of Inter Regular at optical size 14, 2048 units an em.
        for (c, units) in [('a', 1150), ('W', 2018), ('0', 1292), ('i', 496), ('→', 1954)] {
            let expected = 13.0 * f64::from(units) / 2048.0;
            assert!(
                (Font::Body.width(&c.to_string()) - expected).abs() < 1e-9,
                "{c}: {}",
                Font::Body.width(&c.to_string())
            );
        }
    }

    #[test]
    fn what_turns_text_around_is_taken_out_and_accents_are_joined() {
        assert_eq!(one_line("a\u{202e}b\u{2066}\u{0}e\u{301}\u{2028}"), "ab é ");
    }

    #[test]
    fn every_usual_character_has_a_glyph_and_others_are_boxes() {
        assert!(Font::Body.has("Straße Žižek ếạ Ελλάδα Жук ±≤≥×→−…“”€%"));
        assert!(!Font::Body.has("語"));
        assert!(!Font::Title.outlines("語").is_empty());
        assert!(Font::Title.outlines("\u{200d}").is_empty());
    }
}
