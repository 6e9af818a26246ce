//! From candidates to items, which share what they have in common.

use crate::candidate::{Candidate, Origin};
use crate::corpora::{DatasetConfig, Facts, people_of};
use crate::scan::CORPUS;
use crate::{AudioSource, Item, Name, StreamSource};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Labels of an item by name.
type Labels = Arc<IndexMap<String, Option<u32>>>;

/// Makes items of candidates, sharing what they have in common.
pub(crate) struct ItemBuilder<'a> {
    names: Vec<Name>,
    /// Name of each dataset's people.
    people: Vec<String>,
    label_sets: &'a IndexMap<String, Vec<String>>,
    attribute_sets: &'a IndexMap<String, Vec<String>>,
    /// Speakers and groups by name.
    interned: HashSet<Name>,
    /// Labels and attributes by their classes.
    rows: HashMap<(bool, Vec<Option<u32>>), Labels>,
    /// What follows from facts that several candidates share, by where those stand, with the facts that keep it there.
    known: HashMap<(usize, *const Facts), (Arc<Facts>, Shared)>,
    no_values: Arc<IndexMap<String, f32>>,
    no_soft_labels: Arc<IndexMap<String, Vec<f32>>>,
    no_streams: Arc<[(Name, StreamSource)]>,
}

/// What an item has of its facts.
#[derive(Clone)]
struct Shared {
    speaker: Name,
    groups: Arc<[Name]>,
    labels: Arc<IndexMap<String, Option<u32>>>,
    attributes: Arc<IndexMap<String, Option<u32>>>,
    soft_labels: Arc<IndexMap<String, Vec<f32>>>,
    values: Arc<IndexMap<String, f32>>,
}

impl<'a> ItemBuilder<'a> {
    pub fn new(
        datasets: &IndexMap<String, DatasetConfig>,
        label_sets: &'a IndexMap<String, Vec<String>>,
        attribute_sets: &'a IndexMap<String, Vec<String>>,
    ) -> Self {
        Self {
            names: datasets.keys().map(|name| Name::from(name.as_str())).collect(),
            people: people_of(datasets),
            label_sets,
            attribute_sets,
            interned: HashSet::new(),
            rows: HashMap::new(),
            known: HashMap::new(),
            no_values: Arc::default(),
            no_soft_labels: Arc::default(),
            no_streams: Arc::default(),
        }
    }

    /// The item for a candidate.
    pub fn item(&mut self, candidate: Candidate) -> Item {
        let Candidate {
            dataset,
            key,
            origin,
            facts,
            text,
            streams,
            segment,
            duration_s,
            content,
            part_content,
            stamp,
            ..
        } = candidate;
        let place = (dataset, Arc::as_ptr(&facts));
        let told = match self.known.get(&place) {
            Some((_, told)) => told.clone(),
            None => {
                let told = self.told(dataset, &facts);
                if Arc::strong_count(&facts) > 1 {
                    self.known.insert(place, (facts.clone(), told.clone()));
                }
                told
            }
        };
        Item {
            key,
            dataset: self.names[dataset].clone(),
            audio: match origin {
                Origin::File { path, channel, .. } => AudioSource::File { path, segment, channel },
                Origin::Voice(spec) => AudioSource::Synthetic(*spec),
            },
            speaker: told.speaker,
            groups: told.groups,
            labels: told.labels,
            attributes: told.attributes,
            soft_labels: told.soft_labels,
            values: told.values,
            text,
            streams: match streams.is_empty() {
                true => self.no_streams.clone(),
                false => streams.into(),
            },
            split: facts.split,
            duration_s,
            content,
            part_content,
            stamp,
        }
    }

    fn told(&mut self, dataset: usize, facts: &Facts) -> Shared {
        let name = self.names[dataset].clone();
        let index = |value: Option<&str>, classes: &[String]| {
            let class = value.and_then(|value| classes.iter().position(|class| class == value));
            class.and_then(|class| u32::try_from(class).ok())
        };
        let labels = self.label_sets.iter().map(|(column, classes)| {
            let value = match column.as_str() {
                "emotion" => facts.emotion.as_deref(),
                "gender" => facts.gender.as_deref(),
                _ => facts.labels.get(column).map(String::as_str),
            };
            index(value, classes)
        });
        let labels = labels.collect();
        let attributes = self.attribute_sets.iter().map(|(column, classes)| {
            let value = facts.attributes.get(column).or_else(|| facts.labels.get(column));
            let value = if column == CORPUS {
                Some(name.as_str())
            } else {
                value.map(String::as_str)
            };
            index(value, classes)
        });
        let attributes = attributes.collect();
        let soft = self.label_sets.get("emotion").filter(|_| !facts.votes.is_empty());
        let soft_labels = soft.map(|classes| {
            let share = |class: &String| facts.votes.get(class).copied().unwrap_or(0.0) as f32;
            Arc::new(IndexMap::from([(
                "emotion".to_owned(),
                classes.iter().map(share).collect(),
            )]))
        });
        let people = facts.people.as_ref().unwrap_or(&self.people[dataset]).clone();
        let groups = facts
            .groups
            .iter()
            .map(|group| self.name(format!("{people}/{group}")))
            .collect();
        Shared {
            speaker: self.name(format!("{people}/{}", facts.speaker)),
            groups,
            labels: self.row(false, labels),
            attributes: self.row(true, attributes),
            soft_labels: soft_labels.unwrap_or_else(|| self.no_soft_labels.clone()),
            values: match facts.values.is_empty() {
                true => self.no_values.clone(),
                false => Arc::new(facts.values.clone()),
            },
        }
    }

    fn name(&mut self, text: String) -> Name {
        match self.interned.get(text.as_str()) {
            Some(name) => name.clone(),
            None => {
                let name = Name::from(text);
                self.interned.insert(name.clone());
                name
            }
        }
    }

    /// The labels, or the attributes, of these classes in the order of the sets.
    fn row(&mut self, attributes: bool, classes: Vec<Option<u32>>) -> Arc<IndexMap<String, Option<u32>>> {
        let sets = if attributes {
            self.attribute_sets
        } else {
            self.label_sets
        };
        self.rows
            .entry((attributes, classes))
            .or_insert_with_key(|(_, classes)| Arc::new(sets.keys().cloned().zip(classes.iter().copied()).collect()))
            .clone()
    }
}
