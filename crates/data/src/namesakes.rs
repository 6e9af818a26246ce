//! Whether speakers whom two datasets call alike are the same people.

use crate::candidate::{Candidate, Origin};
use crate::corpora::{DatasetConfig, Facts, people_of};
use crate::{Corpus, Item, person};
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a dataset's people come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// From its `people:`.
    ByTheFile,
    /// From its kind, which knows its corpus.
    ByTheKind,
    /// From nobody: they are called after the dataset.
    No,
}

fn said(config: &DatasetConfig) -> Said {
    let written = serde_json::to_value(config).unwrap_or_default();
    if written.get("people").is_some_and(|people| !people.is_null()) {
        return Said::ByTheFile;
    }
    match config.corpus().people("").is_empty() {
        true => Said::No,
        false => Said::ByTheKind,
    }
}

/// Where a dataset reads: its root, below which all is its own, or the folders of the files that its table lists.
struct Places {
    folders: HashSet<PathBuf>,
    is_root: bool,
}

impl Places {
    fn meet(&self, other: &Self) -> bool {
        let within = |inner: &Self, outer: &Self| {
            let mut folders = inner.folders.iter();
            outer.is_root && folders.any(|folder| folder.ancestors().any(|above| outer.folders.contains(above)))
        };
        within(self, other) || within(other, self) || !self.folders.is_disjoint(&other.folders)
    }
}

/// Makes those who are called alike one person where datasets read the same files and none of them says whose they are;
/// gives the name of each dataset's people.
///
/// A dataset that does not say who its people are (`files`, `manifest`) has those of the one corpus whose root it reads,
/// or else of the first dataset of its like that reads there.
pub(crate) fn join(candidates: &mut [Candidate], datasets: &IndexMap<String, DatasetConfig>) -> Vec<String> {
    let own = people_of(datasets);
    let said: Vec<Said> = datasets.values().map(said).collect();
    if datasets.len() < 2 || !said.contains(&Said::No) {
        return own;
    }
    let places = places(candidates, datasets);
    let mut people = own.clone();
    let open = || (0..said.len()).filter(|at| said[*at] == Said::No);
    let mut known: Vec<bool> = said.iter().map(|said| *said == Said::ByTheKind).collect();
    for at in open() {
        let corpora =
            (0..said.len()).filter(|other| said[*other] == Said::ByTheKind && places[at].meet(&places[*other]));
        let names: IndexSet<&str> = corpora.map(|other| own[other].as_str()).collect();
        // Of several corpora it is not known which: a remark says so.
        if let (Some(name), 1) = (names.first(), names.len()) {
            people[at] = (*name).to_owned();
            known[at] = true;
        }
    }
    for at in open() {
        if !known[at]
            && let Some(first) = (0..at).find(|other| said[*other] == Said::No && places[at].meet(&places[*other]))
        {
            people[at] = people[first].clone();
        }
    }
    rename(candidates, &own, &people);
    people
}

fn places(candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>) -> Vec<Places> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut places: Vec<Places> = datasets
        .values()
        .map(|config| {
            let root = config.table().is_none().then(|| root_of(config)).flatten();
            Places {
                is_root: root.is_some(),
                folders: root.iter().map(|root| real(root)).collect(),
            }
        })
        .collect();
    // Thousands of files are in one folder.
    let mut seen: HashSet<(usize, Arc<Path>)> = HashSet::new();
    for candidate in candidates {
        if let Origin::File { path, .. } = &candidate.origin
            && !places[candidate.dataset].is_root
            && seen.insert((candidate.dataset, path.folder.clone()))
        {
            places[candidate.dataset].folders.insert(real(&path.folder));
        }
    }
    places
}

fn root_of(config: &DatasetConfig) -> Option<PathBuf> {
    let written = serde_json::to_value(config).ok()?;
    written.get("root")?.as_str().map(PathBuf::from)
}

/// Gives the utterances of datasets whose people have another name now this name, unless their table says whose they are.
fn rename(candidates: &mut [Candidate], own: &[String], people: &[String]) {
    // The old ones beside the new, so that no others come to lie at their place.
    type Renamed = (Arc<Facts>, Arc<Facts>);
    let mut known: HashMap<(usize, *const Facts), Renamed> = HashMap::new();
    for candidate in candidates {
        let at = candidate.dataset;
        if own[at] == people[at] || candidate.facts.people.is_some() {
            continue;
        }
        let entry = known.entry((at, Arc::as_ptr(&candidate.facts)));
        let (_, new) = entry.or_insert_with(|| {
            let mut new = (*candidate.facts).clone();
            new.people = Some(people[at].clone());
            (candidate.facts.clone(), Arc::new(new))
        });
        candidate.facts = new.clone();
    }
}

/// Remarks on datasets that call speakers alike who are taken for different people, where neither says that they are.
pub(crate) fn warn(items: &[Item], datasets: &IndexMap<String, DatasetConfig>, corpus: &mut Corpus) {
    let said: HashMap<&str, Said> = datasets
        .iter()
        .map(|(name, config)| (name.as_str(), said(config)))
        .collect();
    let own = |dataset: &str| corpus.datasets.get(dataset).map(|facts| facts.people.as_str());
    let mut ids: IndexMap<(&str, &str), HashSet<String>> = IndexMap::new();
    let mut seen = HashSet::new();
    for item in items {
        if !person::is_unknown(&item.speaker) && seen.insert((item.dataset.as_ptr(), item.speaker.as_ptr())) {
            let (people, id) = item.speaker.split_once('/').unwrap_or(("", &item.speaker));
            // Others are people that a table's column names.
            if own(&item.dataset) == Some(people) {
                let ids = ids.entry((&item.dataset, people)).or_default();
                ids.insert(person::key_of(id));
            }
        }
    }
    let mut warnings = Vec::new();
    for (at, ((dataset, people), theirs)) in ids.iter().enumerate() {
        for ((other, others), own) in ids.iter().skip(at + 1) {
            let both = [*dataset, *other].map(|name| said.get(name).copied().unwrap_or(Said::ByTheFile));
            let alike = theirs.intersection(own).count();
            if alike == 0 || people == others || both.contains(&Said::ByTheFile) || !both.contains(&Said::No) {
                continue;
            }
            let remedy = match both {
                [Said::ByTheKind, _] => format!("give `{other}` `people: {people}`, and if not, another name"),
                [_, Said::ByTheKind] => format!("give `{dataset}` `people: {others}`, and if not, another name"),
                _ => "give both the same `people: NAME`".to_owned(),
            };
            let speakers = if alike == 1 {
                "1 speaker"
            } else {
                &format!("{alike} speakers")
            };
            warnings.push(format!(
                "datasets `{dataset}` and `{other}` name {speakers} alike, who are taken for different people; if they are the same, {remedy}"
            ));
        }
    }
    corpus.warnings.extend(warnings);
}
