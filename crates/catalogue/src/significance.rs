//! Whether a run is better than another on the test items that both were asked about.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use emorun_metrics::{Bootstrap, Clusters, Excess, McNemar, Metric, Predictions, Predicts, holm};
use serde::Serialize;

use crate::predictions::{Row, Said, files_of, read};
use crate::{Catalogue, CatalogueError, Run};

/// As in evaluations.
const BOOTSTRAP: Bootstrap = Bootstrap {
    replicates: 2000,
    seed: 0,
};

/// How a head of a run compares with that of the first.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Place of the run.
    pub run: String,
    /// The head.
    pub head: String,
    /// Test items of both.
    pub shared: usize,
    /// Test items of the first alone, and of this run alone.
    pub unshared: (usize, usize),
    /// Items of both whose true class or number is not the same, which are not compared.
    pub relabelled: usize,
    /// Speakers of the items that are compared.
    pub speakers: usize,
    /// Items that one of them alone has right; `None` of numbers, and where items were asked several times.
    pub mcnemar: Option<McNemar>,
    /// Its probability after Holm, over all runs.
    pub mcnemar_holm: Option<f64>,
    /// How much this run exceeds the first, by metric.
    pub metrics: Vec<Exceeds>,
}

/// How much a metric exceeds that of the first run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Exceeds {
    /// The metric.
    pub metric: Metric,
    /// The difference, with its interval over speakers.
    pub excess: Excess,
    /// Its probability after Holm, over all runs.
    pub holm: Option<f64>,
}

/// Compares each run but the first with the first, head by head; and says which share no test item, so that they are not.
///
/// # Errors
/// Predictions cannot be read.
pub fn compare(catalogue: &Catalogue, runs: &[&Run]) -> Result<(Vec<Compared>, Vec<String>), CatalogueError> {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let Some((first, others)) = runs.split_first() else {
        return Ok((found, refused));
    };
    for (head, path) in files_of(&first.dir) {
        let base = Asked::read(catalogue, first, &path)?;
        for other in others {
            let Some((_, path)) = files_of(&other.dir).into_iter().find(|(own, _)| *own == head) else {
                continue;
            };
            let asked = Asked::read(catalogue, other, &path)?;
            if asked.said.predicts_classes != base.said.predicts_classes {
                continue;
            }
            match pair(&base, &asked, other, &head) {
                Ok(compared) => found.push(compared),
                Err(shared) => refused.push(nothing_shared(&base, &asked, (first, other), &head, shared)),
            }
        }
    }
    adjust(&mut found);
    Ok((found, refused))
}

/// Test items by what tells them apart.
struct Asked {
    said: Said,
    /// Rows of the test side by the item's key.
    places: HashMap<Key, usize>,
    /// Keys in the order of the rows.
    keys: Vec<Key>,
    /// Whether items were asked several times, by several seeds.
    is_repeated: bool,
}

/// A dataset, a path within it, and the seed of whoever was asked, where several were.
type Key = (String, String, Option<String>);

impl Asked {
    fn read(catalogue: &Catalogue, run: &Run, path: &Path) -> Result<Self, CatalogueError> {
        let mut said = read(path)?;
        said.rows.retain(|row| row.split == "test");
        let roots = roots(catalogue, run);
        let plain = |row: &Row| (row.dataset.clone(), within(row, &roots), None);
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut keys: Vec<Key> = said.rows.iter().map(plain).collect();
        let mut is_repeated = false;
        for (at, key) in keys.iter().enumerate() {
            is_repeated |= places.insert(key.clone(), at).is_some();
        }
        if is_repeated {
            for (key, row) in keys.iter_mut().zip(&said.rows) {
                key.2 = row.member.as_deref().map(seed_of);
            }
            places = keys.iter().cloned().enumerate().map(|(at, key)| (key, at)).collect();
        }
        Ok(Self {
            said,
            places,
            keys,
            is_repeated,
        })
    }
}

/// The part of a member's name that says its seed: an item is in one fold of each.
fn seed_of(member: &str) -> String {
    let seeds = member.split('/').filter(|part| part.starts_with("seed-"));
    seeds.collect()
}

/// Folders of a run's corpora, which may lie elsewhere in another run.
fn roots(catalogue: &Catalogue, run: &Run) -> HashMap<String, String> {
    let settings = catalogue.settings_of(run).into_iter();
    let found = settings.filter_map(|(path, value)| {
        let dataset = path.strip_prefix("datasets.")?.strip_suffix(".root")?;
        let root: String = serde_json::from_str(value).ok()?;
        Some((dataset.to_owned(), root))
    });
    found.collect()
}

/// A row's path below the folder of its corpus.
fn within(row: &Row, roots: &HashMap<String, String>) -> String {
    let below = roots
        .get(&row.dataset)
        .and_then(|root| Path::new(&row.path).strip_prefix(root).ok());
    below.map_or_else(|| row.path.clone(), |below| below.to_string_lossy().into_owned())
}

/// The places of the same items in both; where one of them was asked once and the other by several seeds, each of these.
fn matches(first: &Asked, second: &Asked) -> Vec<(usize, usize)> {
    let of = |from: &Asked, to: &Asked, is_plain: bool| -> Vec<(usize, usize)> {
        let keys = from.keys.iter().enumerate();
        let found = keys.filter_map(|(at, key)| {
            let place = match is_plain {
                true => to.places.get(&(key.0.clone(), key.1.clone(), None)),
                false => to.places.get(key),
            };
            Some((at, *place?))
        });
        found.collect()
    };
    match (first.is_repeated, second.is_repeated) {
        (false, true) => of(second, first, true)
            .into_iter()
            .map(|(theirs, ours)| (ours, theirs))
            .collect(),
        (is_plain, _) => of(first, second, is_plain && !second.is_repeated),
    }
}

/// Compares a head of two runs.
///
/// # Errors
/// No item is left to compare; of so many that both were asked about.
fn pair(first: &Asked, second: &Asked, other: &Run, head: &str) -> Result<Compared, usize> {
    let mut pairs: Vec<(&Row, &Row)> = Vec::new();
    let matched = matches(first, second);
    let (shared, mut relabelled) = (matched.len(), 0);
    for (ours, theirs) in &matched {
        let (row, theirs) = (&first.said.rows[*ours], &second.said.rows[*theirs]);
        let same = match first.said.predicts_classes {
            true => first.said.true_class(row) == second.said.true_class(theirs),
            false => row.numbers == theirs.numbers,
        };
        match same {
            true => pairs.push((row, theirs)),
            false => relabelled += 1,
        }
    }
    if pairs.is_empty() {
        return Err(shared);
    }
    let used = |side: fn(&(usize, usize)) -> usize| matched.iter().map(side).collect::<HashSet<usize>>().len();
    let unshared = (
        first.keys.len() - used(|pair| pair.0),
        second.keys.len() - used(|pair| pair.1),
    );
    let mut names = first.said.names.clone();
    let more = second.said.names.iter().filter(|name| !first.said.names.contains(name));
    names.extend(more.cloned());
    let of_first = first.said.predictions(pairs.iter().map(|(row, _)| *row), &names);
    let of_second = second.said.predictions(pairs.iter().map(|(_, row)| *row), &names);
    let speakers = pairs
        .iter()
        .map(|(row, _)| Some(row.speaker.as_str()).filter(|speaker| !speaker.is_empty()));
    let clusters = Clusters::of(speakers);
    let metrics = match first.said.predicts_classes {
        true => &Metric::SHOWN[..],
        false => Metric::always(Predicts::Numbers),
    };
    let excess = BOOTSTRAP.excess(&of_first, &of_second, &clusters, metrics);
    let is_repeated = first.is_repeated || second.is_repeated;
    let exceeds = metrics.iter().zip(excess).filter_map(|(metric, excess)| {
        Some(Exceeds {
            metric: *metric,
            excess: excess?,
            holm: None,
        })
    });
    Ok(Compared {
        run: other.place.clone(),
        head: head.to_owned(),
        shared,
        unshared,
        relabelled,
        speakers: clusters.len(),
        mcnemar: discordant(&of_first, &of_second).filter(|_| !is_repeated),
        mcnemar_holm: None,
        metrics: exceeds.collect(),
    })
}

fn nothing_shared(first: &Asked, second: &Asked, (one, other): (&Run, &Run), head: &str, shared: usize) -> String {
    let (ours, theirs) = (first.keys.len(), second.keys.len());
    let (one, other) = (&one.place, &other.place);
    match shared {
        0 => format!(
            "NOT COMPARED: {one} and {other} share no test item of `{head}` ({ours} and {theirs}), so that their results are over different data; measure one on the other's data with `emorun eval`"
        ),
        _ => format!(
            "NOT COMPARED: none of the {shared} test items of `{head}` that {one} and {other} share has the same label in both"
        ),
    }
}

/// Items that one of two has right alone.
fn discordant(first: &Predictions, second: &Predictions) -> Option<McNemar> {
    let (Predictions::Classes(first), Predictions::Classes(second)) = (first, second) else {
        return None;
    };
    let (mut first_alone, mut second_alone) = (0, 0);
    for (one, other) in first.rows().zip(second.rows()) {
        let is_right = |row: &emorun_metrics::Row<'_>| row.truth == Some(row.predicted);
        match (is_right(&one), is_right(&other)) {
            (true, false) => first_alone += 1,
            (false, true) => second_alone += 1,
            (true, true) | (false, false) => {}
        }
    }
    Some(McNemar::of(first_alone, second_alone))
}

/// Adjusts the probabilities of each test over all runs.
fn adjust(found: &mut [Compared]) {
    let of_mcnemar: Vec<f64> = found.iter().filter_map(|own| Some(own.mcnemar?.p)).collect();
    let mut adjusted = holm(&of_mcnemar).into_iter();
    for own in found.iter_mut().filter(|own| own.mcnemar.is_some()) {
        own.mcnemar_holm = adjusted.next();
    }
    let mut metrics: Vec<Metric> = found
        .iter()
        .flat_map(|own| own.metrics.iter().map(|one| one.metric))
        .collect();
    let mut seen = HashSet::new();
    metrics.retain(|metric| seen.insert(*metric));
    for metric in metrics {
        let of_metric = |found: &mut [Compared], with: &mut dyn FnMut(&mut Exceeds)| {
            let all = found.iter_mut().flat_map(|own| &mut own.metrics);
            all.filter(|one| one.metric == metric && one.excess.p.is_some())
                .for_each(with);
        };
        let mut values = Vec::new();
        of_metric(found, &mut |one| values.extend(one.excess.p));
        let mut adjusted = holm(&values).into_iter();
        of_metric(found, &mut |one| one.holm = adjusted.next());
    }
}
