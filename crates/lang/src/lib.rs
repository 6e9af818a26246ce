//! emorun-lang
