//! Feature arrays on disk. No Burn: values are `Vec<f32>`.
//!
//! Two halves share the [`Array`]:
//! - [`Store`] keeps what frozen nodes computed, by content: a [`Key`] is the hash of everything that a value follows
//!   from. Runs share it, several processes at once; an entry is verified each time that it is opened, and one that is
//!   damaged is computed again, never used.
//! - [`FeatureSource`] finds the features of items in `.npy` and `.safetensors` files that other programs made, and
//!   [`FeatureWriter`] writes such a file.
//!
//! The reader of `.npy` is our own: the crate `npyz` parses headers with a parser generator (pest, psm, stacker) and
//! trusts the lengths that they state.

mod array;
mod convert;
mod error;
mod file;
mod key;
mod npy;
mod safetensors;
mod source;
mod store;
mod writer;

pub use array::{Array, Precision};
pub use error::{ArrayError, FeatureError, Missing, StoreError};
pub use file::FeatureFile;
pub use key::{Key, KeyBuilder};
pub use source::{Common, FeatureSource, Located};
pub use store::{Damage, Entry, Lookup, Origin, Removed, Stats, Store, Usage};
pub use writer::{FeatureWriter, write_features};
