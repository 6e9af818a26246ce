//! All that is said of vectors, as one document.

use serde::{Deserialize, Serialize};

use crate::mmd::{self, Confused, Correlation};
use crate::{
    Distances, LatentError, Method, NEIGHBOURS, Probe, Vectors, principal, probe, project, silhouette, trustworthiness,
    tsne,
};

/// Classes that items have, such as emotions or speakers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelling {
    /// What the classes are.
    pub name: String,
    /// Their names.
    pub names: Vec<String>,
    /// The class of each item, a place in `names`; `None` where it is not known.
    pub classes: Vec<Option<usize>>,
}

impl Labelling {
    /// A labelling of items by names, which are sorted; an empty name is none.
    pub fn of(name: &str, items: impl Iterator<Item = Option<String>>) -> Self {
        let found: Vec<Option<String>> = items.map(|name| name.filter(|name| !name.is_empty())).collect();
        let mut names: Vec<String> = found.iter().flatten().cloned().collect();
        names.sort();
        names.dedup();
        let place = |name: &String| names.binary_search(name).ok();
        let classes = found.iter().map(|name| name.as_ref().and_then(place)).collect();
        Self {
            name: name.to_owned(),
            names,
            classes,
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Study<'a> {
    /// Vectors of items.
    pub vectors: &'a Vectors,
    /// Classes that they are seen by.
    pub labellings: &'a [Labelling],
    /// The labelling, by name, whose classes are held against confusions.
    pub emotion: &'a str,
    /// How often its classes are confused, by the names of two classes, in either order.
    pub confused: &'a [(String, String, f64)],
    /// The labelling, by name, that the probe finds out.
    pub speaker: &'a str,
    /// Ways to a plane.
    pub methods: &'a [Method],
    /// Where draws start.
    pub seed: u64,
}

/// Items on a plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    /// How they came there.
    pub method: Method,
    /// What it was told: numbers by name.
    pub settings: Vec<(String, f64)>,
    /// How many neighbours trustworthiness is of.
    pub neighbours: usize,
    /// How far neighbours there are neighbours in the space.
    pub trustworthiness: f64,
    /// The silhouette on the plane by labelling; `None` where it has none.
    pub silhouettes: Vec<Separation>,
    /// Places `[items, 2]`.
    #[serde(skip)]
    pub places: Vec<[f64; 2]>,
}

/// How far classes lie apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Separation {
    /// The labelling.
    pub labelling: String,
    /// Items that have a class.
    pub items: usize,
    /// Classes that have items.
    pub classes: usize,
    /// The silhouette; `None` where fewer than two classes, or each item its own, leave none.
    pub silhouette: Option<f64>,
}

/// What the two classes of a pair are called, how far they are apart and how often they are confused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The classes.
    pub classes: [String; 2],
    /// The squared maximum mean discrepancy.
    pub mmd2: f64,
    /// Share of their items taken for the other; `None` where predictions are not known.
    pub confused: Option<f64>,
}

/// All that is said of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// How many there are.
    pub items: usize,
    /// Their numbers.
    pub width: usize,
    /// Where draws started.
    pub seed: u64,
    /// Shares of the variance of the first two principal components.
    pub principal_variance_share: [f64; 2],
    /// The silhouette in the space by labelling.
    pub silhouettes: Vec<Separation>,
    /// Bandwidth of the discrepancies' kernel, the median distance; `None` where half of all pairs are the same.
    pub mmd_bandwidth: Option<f64>,
    /// Pairs of emotions.
    pub pairs: Vec<Pair>,
    /// The correlation of discrepancy and confusion.
    pub mmd_and_confusion: Option<Correlation>,
    /// What a linear probe finds out about speakers; `None` where fewer than two have two items.
    pub speaker_probe: Option<Probe>,
    /// Items on planes.
    pub planes: Vec<Plane>,
}

/// Looks at vectors in every way.
///
/// # Errors
/// A labelling is not of these items, or a place is not finite.
pub fn analyse(study: &Study<'_>) -> Result<Analysis, LatentError> {
    let vectors = study.vectors;
    for labelling in study.labellings {
        if labelling.classes.len() != vectors.items() {
            return Err(LatentError::Labels {
                labels: labelling.classes.len(),
                items: vectors.items(),
            });
        }
    }
    let named = |name: &str| study.labellings.iter().find(|labelling| labelling.name == name);
    let distances = Distances::of(vectors);
    let principal = principal(vectors);
    let (bandwidth, pairs) = named(study.emotion).map_or((None, Vec::new()), |emotion| {
        pairs_of(&distances, emotion, study.confused)
    });
    let speaker_probe = match named(study.speaker).map(|speakers| probe(vectors, &speakers.classes)) {
        None | Some(Err(LatentError::Speakers)) => None,
        Some(found) => Some(found?),
    };
    let silhouettes = |distances: &Distances| -> Vec<Separation> {
        let each = study.labellings.iter();
        each.map(|labelling| separation(distances, labelling)).collect()
    };
    let neighbours = NEIGHBOURS.min((vectors.items() - 1) / 2);
    let planes = study.methods.iter().map(|method| {
        let places = project(*method, &principal, &distances, study.seed)?;
        let plane = Distances::on_plane(&places);
        Ok(Plane {
            method: *method,
            settings: settings(*method, vectors.items()),
            neighbours,
            trustworthiness: trustworthiness(&distances, &plane, neighbours)?,
            silhouettes: silhouettes(&plane),
            places,
        })
    });
    Ok(Analysis {
        items: vectors.items(),
        width: vectors.width(),
        seed: study.seed,
        principal_variance_share: principal.variance_share,
        silhouettes: silhouettes(&distances),
        mmd_bandwidth: bandwidth,
        mmd_and_confusion: correlation(&pairs),
        pairs,
        speaker_probe,
        planes: planes.collect::<Result<_, LatentError>>()?,
    })
}

fn settings(method: Method, items: usize) -> Vec<(String, f64)> {
    let one = |name: &str, value: f64| (name.to_owned(), value);
    match method {
        Method::Pca => Vec::new(),
        Method::Tsne => vec![
            one("perplexity", tsne::perplexity(items)),
            one("barnes_hut", f64::from(u8::from(items > tsne::MOST_EXACT))),
        ],
        Method::Umap => vec![
            one("neighbours", crate::umap::NEIGHBOURS.min(items) as f64),
            one("min_dist", 0.1),
        ],
    }
}

/// How far the classes of a labelling lie apart, of the items that have one.
fn separation(distances: &Distances, labelling: &Labelling) -> Separation {
    let known: Vec<usize> = (0..labelling.classes.len())
        .filter(|item| labelling.classes[*item].is_some())
        .collect();
    let classes: Vec<usize> = labelling.classes.iter().flatten().copied().collect();
    let mut present = classes.clone();
    present.sort_unstable();
    present.dedup();
    let found = silhouette(&distances.among(&known), &classes);
    Separation {
        labelling: labelling.name.clone(),
        items: known.len(),
        classes: present.len(),
        silhouette: found.ok(),
    }
}

fn pairs_of(
    distances: &Distances,
    emotion: &Labelling,
    confused: &[(String, String, f64)],
) -> (Option<f64>, Vec<Pair>) {
    let known: Vec<usize> = (0..emotion.classes.len())
        .filter(|item| emotion.classes[*item].is_some())
        .collect();
    let classes: Vec<usize> = emotion.classes.iter().flatten().copied().collect();
    let Ok(found) = mmd::discrepancies(&distances.among(&known), &classes) else {
        return (None, Vec::new());
    };
    let pair = |pair: &mmd::PairDiscrepancy| {
        let [one, other] = pair.classes.map(|class| emotion.names[class].clone());
        let of_both = confused
            .iter()
            .find(|(a, b, _)| (a, b) == (&one, &other) || (a, b) == (&other, &one));
        Pair {
            mmd2: pair.mmd2,
            confused: of_both.map(|(_, _, share)| *share),
            classes: [one, other],
        }
    };
    (Some(found.bandwidth), found.pairs.iter().map(pair).collect())
}

fn correlation(pairs: &[Pair]) -> Option<Correlation> {
    let known = pairs
        .iter()
        .enumerate()
        .filter_map(|(at, pair)| Some((at, pair.mmd2, pair.confused?)));
    let (apart, confused): (Vec<_>, Vec<_>) = known
        .map(|(at, mmd2, share)| {
            let classes = [at, at];
            (mmd::PairDiscrepancy { classes, mmd2 }, Confused { classes, share })
        })
        .unzip();
    mmd::correlation(&apart, &confused)
}
