//! Runs on disk, after they were trained: found, listed, filtered, compared, annotated, removed and restored.
//!
//! A run directory is complete by itself, and whatever is said here follows from it: the index is a cache that may be
//! deleted at any time, tags and notes lie in a file of their own in the run's directory, and the trash holds directories
//! as they were. Nothing here needs Burn, and nothing is trained.

mod bundle;
mod catalogue;
mod column;
mod compare;
mod curves;
mod entered;
mod error;
mod expression;
mod facts;
mod find;
mod index;
mod listing;
pub mod notes;
mod predictions;
mod report;
mod scan;
mod settings;
mod show;
mod significance;
pub mod tensorboard;
mod text;
pub mod trash;
mod verify;
mod written;

pub use bundle::bundle;
pub use catalogue::{Catalogue, Run};
pub use column::{Filter, Sorting};
pub use compare::Comparison;
pub use error::CatalogueError;
pub use facts::{Facts, Spread};
pub use find::root_of;
pub use listing::{Listing, Request};
pub use report::report;
pub use scan::Kind;
pub use settings::{Settings, differing};
pub use show::{Best, best, show, show_json};
pub use significance::{Compared, Exceeds};
pub use text::{plain, plain_lines};
pub use verify::{Claim, Verdict, compare_predictions, members, verify};
