//! emorun-metrics
