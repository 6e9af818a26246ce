//! emorun-figures
