//! Random draws as a function of what they are for, never of a stream.
//!
//! A draw is keyed by the run's seed and by the names of what it belongs to (epoch or step, item,
//! node). Worker count, other nodes, resume and order of evaluation therefore never change it
//! (design invariant 2).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Key of one family of draws; derive narrower keys with [`DrawKey::with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawKey([u8; 32]);

impl DrawKey {
    /// The key from which all draws of a run descend.
    pub fn root(seed: u64) -> Self {
        Self(
            *blake3::Hasher::new()
                .update(b"emorun draw")
                .update(&seed.to_le_bytes())
                .finalize()
                .as_bytes(),
        )
    }

    /// The key narrowed by a name.
    pub fn with(&self, part: &str) -> Self {
        Self(*blake3::keyed_hash(&self.0, part.as_bytes()).as_bytes())
    }

    /// The key narrowed by a number, such as an epoch or a step.
    pub fn at(&self, number: u64) -> Self {
        Self(*blake3::keyed_hash(&self.0, &number.to_le_bytes()).as_bytes())
    }

    /// A generator for this key; ChaCha8 gives the same stream on every machine.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }

    /// Key of draws on a device, one for each element of a tensor.
    pub fn of_elements(&self) -> [u32; 2] {
        let seed = self.device_seed();
        [seed as u32, (seed >> 32) as u32]
    }

    /// A seed for a device's own generator.
    pub fn device_seed(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(bytes)
    }
}

/// A permutation of `0..n` (Fisher–Yates), the same for the same key.
pub fn permutation(key: &DrawKey, n: usize) -> Vec<usize> {
    use rand::RngExt;
    let mut rng = key.rng();
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_part_of_the_key() {
        let key = DrawKey::root(1).with("noise").at(3);
        assert_eq!(key, DrawKey::root(1).with("noise").at(3));
        for other in [
            DrawKey::root(2).with("noise").at(3),
            DrawKey::root(1).with("gain").at(3),
            DrawKey::root(1).with("noise").at(4),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = permutation(&DrawKey::root(5), 100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
