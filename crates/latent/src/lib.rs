//! What the vectors that a node gives for items say of classes and of speakers: where they lie on a plane ([`project`] by
//! [`Method`]), how far classes lie apart ([`silhouette`], [`discrepancies`]), how much of the neighbourhoods a plane keeps
//! ([`trustworthiness`]), and whether a linear classifier finds out who speaks ([`probe()`]). [`analyse`] does all of it.
//!
//! All of it is exact but for t-SNE's forces above [`tsne::MOST_EXACT`] items, and the same bits for the same vectors and
//! seed, whatever the number of threads: sums that several threads take part in are added row by row, in order.

mod analysis;
mod distances;
mod error;
mod logistic;
mod mmd;
mod pca;
mod probe;
mod quadtree;
mod separation;
mod smooth;
pub mod tsne;
mod umap;
mod vectors;

pub use analysis::{Analysis, Labelling, Pair, Plane, Separation, Study, analyse};
pub use distances::Distances;
pub use error::LatentError;
pub use mmd::{Confused, Correlation, Discrepancies, PairDiscrepancy, correlation, discrepancies};
pub use pca::{Principal, principal};
pub use probe::{FOLDS, Probe, probe};
pub use separation::{NEIGHBOURS, silhouette, trustworthiness};
pub use vectors::{FEWEST_ITEMS, MOST_ITEMS, Vectors};

use serde::{Deserialize, Serialize};

/// A way to a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Principal components.
    Pca,
    /// t-distributed stochastic neighbour embedding.
    Tsne,
    /// Uniform manifold approximation and projection.
    Umap,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pca, Self::Tsne, Self::Umap];

    /// Name in files and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pca => "pca",
            Self::Tsne => "tsne",
            Self::Umap => "umap",
        }
    }

    /// Name in figures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pca => "PCA",
            Self::Tsne => "t-SNE",
            Self::Umap => "UMAP",
        }
    }

    /// The method of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// Places of items on a plane, `[items, 2]`.
///
/// # Errors
/// A place is not finite, which is a bug.
pub fn project(
    method: Method,
    principal: &Principal,
    distances: &Distances,
    seed: u64,
) -> Result<Vec<[f64; 2]>, LatentError> {
    let places = match method {
        Method::Pca => principal.plane(),
        Method::Tsne => tsne::project(distances, &principal.plane()),
        Method::Umap => umap::project(distances, &principal.plane(), seed),
    };
    match places.iter().flatten().all(|place| place.is_finite()) {
        true => Ok(places),
        false => Err(LatentError::NotPlaced(method.title())),
    }
}
