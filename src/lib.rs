//! emorun
