//! The secret that clients show.

use std::fmt;

/// Longest token, in bytes: what fits in a header beside others.
const LONGEST: usize = 1024;

/// A bearer token. It is kept as its hash, of which a comparison tells nothing by the time it takes.
///
/// # Source
/// RFC 6750, section 2.1: letters, digits and `-._~+/`, then any number of `=`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(blake3::Hash);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing in it.
    #[error("the token is empty; make one with `openssl rand -hex 32`")]
    Empty,
    /// More than one line.
    #[error("the token has more than one line; it is a single one without spaces")]
    Lines,
    /// Longer than what is taken.
    #[error("the token is longer than {LONGEST} bytes")]
    TooLong,
    /// A character that no token has.
    #[error(
        "the token has a character that cannot be sent as one: letters, digits and -._~+/ can, and = at its end; make one with `openssl rand -hex 32`"
    )]
    Character,
}

impl Token {
    /// A token as it stands in a file or variable; one line break at its end is that of the editor.
    ///
    /// # Errors
    /// It is empty, has several lines or characters that no header carries, or is too long.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.contains(['\n', '\r']) {
            return Err(TokenError::Lines);
        }
        if text.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let padded = text.trim_end_matches('=');
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if padded.is_empty() || !padded.bytes().all(may_be) {
            return Err(TokenError::Character);
        }
        Ok(Self(blake3::hash(text.as_bytes())))
    }

    /// Whether these bytes are the token. Hashes are compared in constant time.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        blake3::hash(shown) == self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_of_what_headers_carry() {
        assert!(Token::new("s3cret-._~+/==\n").unwrap().is(b"s3cret-._~+/=="));
        assert!(Token::new("s3cret\r\n").unwrap().is(b"s3cret"));
        assert!(!Token::new("s3cret").unwrap().is(b"s3cre"));
        for (text, why) in [
            ("", TokenError::Empty),
            ("\n", TokenError::Empty),
            ("one\ntwo", TokenError::Lines),
            ("one\n\n", TokenError::Lines),
            ("one\rX-Header: two", TokenError::Lines),
            ("one two", TokenError::Character),
            ("one\0", TokenError::Character),
            ("===", TokenError::Character),
            ("schlüssel", TokenError::Character),
        ] {
            assert_eq!(Token::new(text), Err(why), "{text:?}");
        }
        assert_eq!(Token::new(&"a".repeat(1025)), Err(TokenError::TooLong));
    }

    #[test]
    fn a_token_is_not_shown_in_messages() {
        assert_eq!(format!("{:?}", Token::new("s3cret").unwrap()), "Token(…)");
    }
}
