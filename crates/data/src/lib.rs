//! Corpora of expressive speech as kinds of datasets: finding and checking their files, their
//! labels and speakers, merging several into one [`Corpus`], and splitting it so that no speaker is
//! on both sides.
//!
//! Three stages, each a type: a [`DatasetConfig`] says what to use; [`declare()`] tells from it,
//! without reading a file, what the experiment's graph can count on; [`scan()`] reads names, headers
//! or every sample and gives the [`Corpus`]; [`split()`] assigns its items to sides and proves in a
//! [`Certificate`] that nothing is on two of them.

mod alike;
mod audio;
mod candidate;
mod content;
mod copies;
pub mod corpora;
mod declare;
mod emotion;
mod error;
mod files;
pub mod fixtures;
mod foreign;
mod index;
mod item;
mod item_builder;
mod items;
mod labelling;
mod name;
mod namesakes;
mod order;
mod parallel;
mod person;
mod protocol;
mod recordings;
mod scan;
mod sound;
pub mod split;
pub mod stand_in;
pub mod stats;
mod streams;
mod table;
mod text;
mod verify;
mod walk;

pub use content::{ContentHash, ShortStamp};
pub use corpora::{DatasetConfig, KINDS, NOISES, NoiseCorpus, OnBadAudio, OnCopies, OtherLabels, SameLabels};
pub use declare::{ALL_DIMENSIONS, DIMENSIONS, SOFT_EMOTION, declare};
pub use emotion::{EMOTIONS, GENDERS, canonical, in_canonical_order};
pub use error::{Also, DataError, ErrorClass, RowProblem, StreamProblem};
pub use foreign::Foreign;
pub use item::{AudioSource, Corpus, DatasetFacts, Duplicate, Item, SkipReason, Skipped, SplitName, count_classes};
pub use items::Items;
pub use labelling::Mapping;
pub use name::{FilePath, Name};
pub use person::key_of as speaker_key;
pub use protocol::{PublishedFold, PublishedFolds};
pub use recordings::{Recording, check_recordings};
pub use scan::{ScanLevel, scan};
pub use split::{Assignment, Certificate, SplitConfig, split};
pub use streams::{StreamFile, StreamForm, StreamSource, StreamValue, stream_forms};
pub use table::TableProblem;
pub use verify::{Copies, Count, PartReport, Unusable, Verification, verify, verify_noise};
