//! emorun-tensorboard
