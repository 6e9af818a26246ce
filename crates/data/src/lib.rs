//! emorun-data
