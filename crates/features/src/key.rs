//! The name of a stored feature: the hash of all that it follows from.

use std::fmt;

/// Content address of a stored feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

/// Hashes named parts, in the order given, to a [`Key`]. Lengths are hashed too, so that no two lists of parts run into
/// the same bytes.
#[derive(Clone, Debug)]
pub struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// Begins a key; `purpose` keeps keys of different kinds or versions apart.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let mut builder = Self(blake3::Hasher::new());
        builder.bytes(purpose.as_bytes());
        builder
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.bytes(name.as_bytes());
        self.bytes(value.as_ref());
        self
    }

    /// The key of all parts.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(*self.0.finalize().as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ_by_each_name_value_order_and_boundary() {
        let new = || KeyBuilder::new("test");
        let keys = [
            new(),
            KeyBuilder::new("tes").part("t", ""),
            new().part("", ""),
            new().part("a", ""),
            new().part("", "a"),
            new().part("a", "bc"),
            new().part("ab", "c"),
            new().part("a", "b").part("c", ""),
            new().part("a", "b").part("c", "d"),
            new().part("c", "d").part("a", "b"),
            new().part("a", "b\u{1}\0\0\0\0\0\0\0cd"),
        ];
        let count = keys.len();
        let distinct: BTreeSet<Key> = keys.into_iter().map(KeyBuilder::finish).collect();
        assert_eq!(distinct.len(), count);
    }

    #[test]
    fn a_key_is_the_same_in_every_process() {
        let key = KeyBuilder::new("emorun feature v1").part("audio", [1, 2, 3]).finish();
        let mut bytes = Vec::new();
        for part in [&b"emorun feature v1"[..], b"audio", &[1, 2, 3]] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        assert_eq!(key.0, *blake3::hash(&bytes).as_bytes());
        assert_eq!(key.to_string().len(), 64);
    }
}
