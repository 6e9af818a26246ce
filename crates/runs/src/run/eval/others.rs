//! Another corpus seen by a run: its classes by their names, and what the run does not know of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use emorun_data::{Corpus, Item, Items};
use indexmap::IndexMap;

use super::Counts;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::Model;

/// What a run and another corpus do not share.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// Items of each class that the run does not know, by label column.
    pub unknown: Counts,
    /// Items that are not measured, because they have no class or number that a head predicts.
    pub items: usize,
    /// Classes of the run that no item has, by label column.
    pub absent: BTreeMap<String, Vec<String>>,
}

/// How another corpus' classes are numbered in the run.
pub(super) struct Others<'a> {
    run: &'a IndexMap<String, Vec<String>>,
    /// Of each column of the corpus the run's number of each class; columns that the run does not have keep theirs.
    numbers: HashMap<String, Vec<Option<u32>>>,
    corpus: IndexMap<String, Vec<String>>,
    /// A column and class for each item whose class the run does not know.
    unknown: Vec<(String, u32)>,
}

type Labels = Arc<IndexMap<String, Option<u32>>>;

impl<'a> Others<'a> {
    /// The classes of a run and of a corpus, by column.
    pub(super) fn new(run: &'a IndexMap<String, Vec<String>>, corpus: &IndexMap<String, Vec<String>>) -> Self {
        let numbers = corpus.iter().filter_map(|(column, classes)| {
            let known = run.get(column)?;
            let number = |class: &String| known.iter().position(|own| own == class).map(|at| at as u32);
            Some((column.clone(), classes.iter().map(number).collect()))
        });
        Self {
            run,
            numbers: numbers.collect(),
            corpus: corpus.clone(),
            unknown: Vec::new(),
        }
    }

    /// The items with the run's numbers: a class that the run does not know is no label any more.
    pub(super) fn renumbered(&mut self, items: &Items) -> Result<Items, Failure> {
        // What items share they share again.
        let mut known: HashMap<*const IndexMap<String, Option<u32>>, Labels> = HashMap::new();
        let mut renumber = |labels: &Labels| {
            let new = known.entry(Arc::as_ptr(labels)).or_insert_with(|| {
                let number = |(column, class): (&String, &Option<u32>)| {
                    let class = class.and_then(|class| match self.numbers.get(column) {
                        Some(numbers) => numbers.get(class as usize).copied().flatten(),
                        None => Some(class),
                    });
                    (column.clone(), class)
                };
                Arc::new(labels.iter().map(number).collect())
            });
            new.clone()
        };
        let mut all = Vec::with_capacity(items.len());
        // The old ones stay until the end, so that no other has the place of one in memory.
        let old = items.to_vec()?;
        for item in &old {
            for (column, class) in item.labels.iter().chain(item.attributes.iter()) {
                let numbers = self.numbers.get(column);
                if let (Some(numbers), Some(class)) = (numbers, class)
                    && numbers.get(*class as usize).copied().flatten().is_none()
                {
                    self.unknown.push((column.clone(), *class));
                }
            }
            all.push(Item {
                labels: renumber(&item.labels),
                attributes: renumber(&item.attributes),
                soft_labels: self.soft(item),
                ..item.clone()
            });
        }
        Ok(all.into())
    }

    /// Shares of classes in the run's order; none where one is of a class that the run does not know.
    fn soft(&self, item: &Item) -> Arc<IndexMap<String, Vec<f32>>> {
        let renumber = |(column, shares): (&String, &Vec<f32>)| {
            let (Some(numbers), Some(run)) = (self.numbers.get(column), self.run.get(column)) else {
                return Some((column.clone(), shares.clone()));
            };
            let mut new = vec![0.0; run.len()];
            for (share, number) in shares.iter().zip(numbers) {
                match number {
                    Some(number) => new[*number as usize] = *share,
                    None if *share > 0.0 => return None,
                    None => {}
                }
            }
            Some((column.clone(), new))
        };
        if item.soft_labels.is_empty() {
            return item.soft_labels.clone();
        }
        Arc::new(item.soft_labels.iter().filter_map(renumber).collect())
    }

    /// What is left out, and the items that are measured: those with a class, or a number, that a head predicts.
    pub(super) fn left(
        &self,
        corpus: &Corpus,
        model: &Model,
        datasets: &[String],
    ) -> Result<(LeftOut, Vec<usize>), Failure> {
        let columns: Vec<String> = model.predicted_columns().into_values().collect();
        let has_numbers = !model.regressors().is_empty();
        let mut items = Vec::new();
        let mut seen: BTreeMap<&String, Vec<bool>> = BTreeMap::new();
        for (at, item) in corpus.items.iter().enumerate() {
            let item = item?;
            let mut counts = has_numbers && !item.values.is_empty();
            for column in &columns {
                let Some(class) = item.label(column) else { continue };
                counts = true;
                let classes = self.run.get(column).map_or(0, Vec::len);
                let seen = seen.entry(column).or_insert_with(|| vec![false; classes]);
                if let Some(seen) = seen.get_mut(class as usize) {
                    *seen = true;
                }
            }
            if counts {
                items.push(at);
            }
        }
        let mut left_out = LeftOut {
            items: corpus.items.len() - items.len(),
            ..LeftOut::default()
        };
        for (column, class) in &self.unknown {
            let name = self.corpus.get(column).and_then(|classes| classes.get(*class as usize));
            if let Some(name) = name.filter(|_| columns.contains(column)) {
                let counts = left_out.unknown.entry(column.clone()).or_default();
                *counts.entry(name.clone()).or_default() += 1;
            }
        }
        for column in &columns {
            let classes = self.run.get(column).into_iter().flatten().enumerate();
            let is_seen = |at: usize| seen.get(column).is_some_and(|seen| seen[at]);
            let absent = classes.filter(|(at, _)| !is_seen(*at)).map(|(_, class)| class.clone());
            let absent: Vec<String> = absent.collect();
            if !absent.is_empty() {
                left_out.absent.insert(column.clone(), absent);
            }
        }
        if items.is_empty() {
            return Err(self.nothing_left(&columns, datasets));
        }
        Ok((left_out, items))
    }

    fn nothing_left(&self, columns: &[String], datasets: &[String]) -> Failure {
        let listed = |sets: &IndexMap<String, Vec<String>>, column: &String| {
            let classes = sets.get(column).filter(|classes| !classes.is_empty());
            classes.map_or_else(|| "none".to_owned(), |classes| classes.join(", "))
        };
        let column = |column: &String| {
            format!(
                "`{column}` of the run: {}; of the corpus: {}",
                listed(self.run, column),
                listed(&self.corpus, column)
            )
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        Failure::Input(format!(
            "no item of {} has a class that the run knows ({}); give names to each other with `mapping:` of the dataset, such as --set 'datasets.NAME.mapping={{joy: happy}}'",
            datasets.join(", "),
            columns.join("; ")
        ))
    }
}
