//! Fonts: how wide text is, whichever way it is drawn.

use embedded_graphics::mono_font::{MonoFont, iso_8859_1};

/// A text style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Font {
    Small,
    Body,
    Bold,
    Title,
}

impl Font {
    /// Font size of the SVG form, in pixels.
    pub fn size(self) -> f64 {
        match self {
            Self::Small => 11.0,
            Self::Body => 12.0,
            Self::Bold => 13.0,
            Self::Title => 16.0,
        }
    }

    pub fn is_bold(self) -> bool {
        matches!(self, Self::Bold | Self::Title)
    }

    /// The bitmap font of the PNG form.
    pub fn bitmap(self) -> &'static MonoFont<'static> {
        match self {
            Self::Small => &iso_8859_1::FONT_6X12,
            Self::Body => &iso_8859_1::FONT_7X13,
            Self::Bold => &iso_8859_1::FONT_8X13_BOLD,
            Self::Title => &iso_8859_1::FONT_9X18_BOLD,
        }
    }

    /// Distance of lines, in pixels.
    pub fn line_height(self) -> f64 {
        (self.size() * 1.35).round()
    }

    /// The width to leave for `text`, in pixels: that of the widest usual sans-serif font or of the
    /// bitmap font, whichever is more.
    pub fn width(self, text: &str) -> f64 {
        let em = if self.is_bold() { 0.66 } else { 0.6 };
        let sans: f64 = text.chars().map(|c| em * relative_width(c)).sum();
        let bitmap = f64::from(self.bitmap().character_size.width) * text.chars().count() as f64;
        (sans * self.size()).max(bitmap)
    }
}

/// The width of a character, as a multiple of the mean.
fn relative_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'f' | 't' | 'r' | 'I' | ' ' | '!'..='/' | ':' | ';' | '[' | ']' | '|' => 0.7,
        'm' | 'w' | 'M' | 'W' | '@' => 1.5,
        'A'..='Z' => 1.15,
        '\u{0}'..='\u{24f}' => 1.05,
        _ => 1.7,
    }
}

/// `text` in at most `limit` characters, its end replaced by `…` if need be, on one line.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= limit {
        return text.chars().map(one_line).collect();
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    kept.map(one_line).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äbcd", 3), "äb…");
        assert_eq!(shorten("a\nb", 3), "a b");
        assert_eq!(shorten("ab", 0), "…");
    }
}
