//! Random numbers as a function of what they are for.

/// Numbers that follow from a key: the bytes of BLAKE3's output in extended form, eight a number.
pub(crate) struct Draws(blake3::OutputReader);

impl Draws {
    /// Draws of this name and these numbers.
    pub fn keyed(name: &str, numbers: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(b"emorun dyads 1")
            .update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        Self(hasher.finalize_xof())
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
}
