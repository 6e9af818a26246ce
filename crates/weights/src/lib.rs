//! Published model weights.
