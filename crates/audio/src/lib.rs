//! emorun-audio
