//! Text from outside.

/// Text on one line, without characters that turn or hide what stands beside them.
pub(crate) fn plain(text: &str) -> String {
    let is_turning = |letter: &char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let letters = text.chars().filter(|letter| !is_turning(letter));
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Text as part of a file's name and of an anchor: letters, digits, `-` and `_`.
pub(crate) fn slug(text: &str) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '_',
    };
    text.chars().map(letter).take(60).collect()
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    emorun_metrics::Unit::Percent.short(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_on_its_line_and_in_its_direction() {
        assert_eq!(plain("a\nb\u{202e}c\u{0}"), "a bc ");
        assert_eq!(slug("../a b<é>"), "___a_b___");
    }
}
