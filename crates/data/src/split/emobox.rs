//! EmoBox's published folds, and its cross-corpus track.

use super::Assignment;
use super::assign::{assemble, draw};
use super::by_speaker::{by_dataset, share_error};
use super::units::{Unit, units};
use crate::corpora::emobox::{EmoboxCorpus, EmoboxError};
use crate::emotion::nearest;
use crate::person::is_unknown;
use crate::protocol::{PublishedFold, PublishedFolds};
use crate::text::in_a_sentence;
use crate::{Corpus, DataError, SplitName};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The folds that EmoBox publishes for datasets of kind `emobox`, one run each.
///
/// Training, validation and test are the published ones. Where a fold has no validation side, it is drawn from training by
/// speaker, by the experiment's seed; of a training side with fewer than three speakers, or whose speakers are not known, by
/// recording, which is said. Many of the folds were drawn without regard to who speaks: such a split says `leak: as
/// published`, and every report repeats it.
///
/// # Source
/// Ma et al., "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark", Interspeech 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmoboxFolds {
    /// Numbers of the folds to run, from 1; all by default.
    #[serde(default)]
    pub only: Option<Vec<usize>>,
    /// Share of each dataset's training speakers that is drawn for validation where the fold has no validation side, from 0
    /// to below 1; with 0 there is none, and the last epoch is reported.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation: f64,
    /// Why speakers are on two sides, where the published folds put them there: `as published`. Every report repeats it.
    #[serde(default)]
    pub leak: Option<String>,
}

/// EmoBox's cross-corpus track: training on some corpora, and a report on the balanced test sets of others: 60 recordings
/// each of neutral, happy, sad and angry of IEMOCAP, MELD, RAVDESS and SAVEE.
///
/// # Source
/// As [`EmoboxFolds`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmoboxCross {
    /// Names of the datasets, of kind `emobox`, whose balanced test sets are reported on; what else they have is left out.
    /// All other datasets are trained on.
    pub test: Vec<String>,
    /// Share of each training dataset's speakers that is drawn for validation, from 0 to below 1.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation: f64,
    /// Why speakers or recordings are on two sides, where they are. Every report repeats it.
    #[serde(default)]
    pub leak: Option<String>,
}

/// EmoBox draws a fifth of the training side, by recording.
fn default_share() -> f64 {
    0.2
}

/// Fewest speakers of which some are drawn for validation.
const LEAST_SPEAKERS: usize = 3;

pub(super) fn folds(
    corpus: &Corpus,
    config: &EmoboxFolds,
    learned: &[&str],
    seed: u64,
) -> Result<Vec<Assignment>, Vec<DataError>> {
    check_share(config.validation)?;
    let published = published(corpus)?;
    let numbers: Vec<usize> = numbers(&published)?;
    let wanted = wanted(config.only.as_deref(), &numbers)?;
    let names = own_names(corpus).map_err(|error| vec![error])?;
    let units = units(corpus);
    let (mut assignments, mut errors) = (Vec::new(), Vec::new());
    for number in wanted {
        let outcome = fold(&published, number, corpus, &names).and_then(|(sides, warnings)| {
            let drawing = Drawing {
                corpus,
                names: &names,
                units: &units,
                share: config.validation,
                seed,
                label: format!("fold-{number}"),
            };
            let folds = published.values().filter_map(|folds| fold_of(folds, number));
            let has_validation = folds.clone().count() > 0 && folds.clone().all(|fold| fold.has_validation);
            drawing.assignment(sides, has_validation, warnings, learned, config.leak.as_deref())
        });
        match outcome {
            Ok(assignment) => assignments.push(assignment),
            Err(wrong) => errors.extend(wrong),
        }
    }
    if errors.is_empty() {
        Ok(assignments)
    } else {
        Err(errors)
    }
}

pub(super) fn cross(
    corpus: &Corpus,
    config: &EmoboxCross,
    learned: &[&str],
    seed: u64,
) -> Result<Assignment, Vec<DataError>> {
    check_share(config.validation)?;
    let field = |at: usize, problem: String| DataError::SplitField {
        field: format!("test.{at}"),
        problem,
    };
    let mut errors = Vec::new();
    if config.test.is_empty() {
        errors.push(DataError::SplitField {
            field: "test".to_owned(),
            problem: "names no dataset".to_owned(),
        });
    }
    let mut balanced = IndexMap::new();
    for (at, name) in config.test.iter().enumerate() {
        let known = || corpus.datasets.keys().map(String::as_str);
        match corpus.published.get(name) {
            _ if !corpus.datasets.contains_key(name) => {
                let meant = nearest(name, known()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
                errors.push(field(at, format!("is `{name}`, which is no dataset of this experiment{meant}")));
            }
            Some(PublishedFolds { balanced: Some(set), .. }) => {
                balanced.insert(name.as_str(), set);
            }
            Some(folds) => errors.push(field(
                at,
                format!(
                    "is `{name}`, and the metadata has no balanced test set of `{}`; EmoBox has those of {}, in its folder track2",
                    folds.corpus,
                    balanced_corpora()
                ),
            )),
            None => errors.push(field(at, format!("is `{name}`, which is not of kind `emobox`"))),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let names = own_names(corpus).map_err(|error| vec![error])?;
    let mut left_out: IndexMap<&str, usize> = IndexMap::new();
    let sides: Vec<Option<SplitName>> = names
        .iter()
        .map(|(dataset, name)| match balanced.get_key_value(dataset.as_str()) {
            None => Some(SplitName::Train),
            Some((_, set)) if set.contains(name) => Some(SplitName::Test),
            Some((dataset, _)) => {
                *left_out.entry(dataset).or_default() += 1;
                None
            }
        })
        .collect();
    let warnings = left_out
        .into_iter()
        .map(|(name, count)| format!("{count} items of `{name}` are not in its balanced test set and are left out"));
    let drawing = Drawing {
        corpus,
        names: &names,
        units: &units(corpus),
        share: config.validation,
        seed,
        label: String::new(),
    };
    drawing.assignment(sides, false, warnings.collect(), learned, config.leak.as_deref())
}

/// The corpora of which EmoBox has balanced test sets, as a sentence lists them.
fn balanced_corpora() -> String {
    let balanced = EmoboxCorpus::ALL.into_iter().filter(|corpus| corpus.is_balanced());
    let names: Vec<&str> = balanced.map(EmoboxCorpus::name).collect();
    in_a_sentence(&names)
}

fn check_share(share: f64) -> Result<(), Vec<DataError>> {
    match (0.0..1.0).contains(&share) {
        true => Ok(()),
        false => Err(vec![share_error("validation", share)]),
    }
}

/// The published folds of each dataset.
fn published(corpus: &Corpus) -> Result<IndexMap<&str, &PublishedFolds>, Vec<DataError>> {
    let other = corpus
        .datasets
        .iter()
        .find(|(name, _)| !corpus.published.contains_key(*name));
    if let Some((name, facts)) = other {
        return Err(vec![DataError::SplitField {
            field: "kind".to_owned(),
            problem: format!(
                "is `emobox_folds`, which is for datasets of kind `emobox`, and `{name}` is of kind `{}`",
                facts.kind
            ),
        }]);
    }
    Ok(corpus
        .published
        .iter()
        .map(|(name, folds)| (name.as_str(), folds))
        .collect())
}

/// The numbers of the folds, which all datasets must have.
fn numbers(published: &IndexMap<&str, &PublishedFolds>) -> Result<Vec<usize>, Vec<DataError>> {
    let of = |folds: &PublishedFolds| folds.folds.iter().map(|fold| fold.number).collect::<Vec<_>>();
    let mut all = published.iter();
    let Some((first, folds)) = all.next() else {
        return Ok(Vec::new());
    };
    let numbers = of(folds);
    if let Some((other, _)) = all.find(|(_, folds)| of(folds) != numbers) {
        return Err(vec![DataError::SplitField {
            field: "kind".to_owned(),
            problem: format!(
                "is `emobox_folds`, and `{first}` and `{other}` have different numbers of folds; give each its own experiment"
            ),
        }]);
    }
    Ok(numbers)
}

fn wanted(only: Option<&[usize]>, numbers: &[usize]) -> Result<Vec<usize>, Vec<DataError>> {
    let Some(only) = only else {
        return Ok(numbers.to_vec());
    };
    let known = numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let mut errors: Vec<DataError> = only
        .iter()
        .enumerate()
        .filter(|(place, number)| !numbers.contains(number) || only[..*place].contains(number))
        .map(|(place, number)| DataError::SplitField {
            field: format!("only.{place}"),
            problem: format!("is {number}, and the folds are {known}, each once"),
        })
        .collect();
    if only.is_empty() {
        errors.push(DataError::SplitField {
            field: "only".to_owned(),
            problem: "is empty".to_owned(),
        });
    }
    if errors.is_empty() {
        Ok(only.to_vec())
    } else {
        Err(errors)
    }
}

/// The dataset and own name of each item.
fn own_names(corpus: &Corpus) -> Result<Vec<(String, String)>, DataError> {
    corpus
        .items
        .iter()
        .map(|item| {
            let item = item?;
            let own = item
                .key
                .strip_prefix(item.dataset.as_str())
                .and_then(|rest| rest.strip_prefix('/'));
            Ok((item.dataset.to_string(), own.unwrap_or(&item.key).to_owned()))
        })
        .collect()
}

fn fold_of(folds: &PublishedFolds, number: usize) -> Option<&PublishedFold> {
    folds.folds.iter().find(|fold| fold.number == number)
}

/// The side of each item in a fold, with remarks on what is not there of it.
type Sides = (Vec<Option<SplitName>>, Vec<String>);

fn fold(
    published: &IndexMap<&str, &PublishedFolds>,
    number: usize,
    corpus: &Corpus,
    names: &[(String, String)],
) -> Result<Sides, Vec<DataError>> {
    let sides: Vec<Option<SplitName>> = names
        .iter()
        .map(|(dataset, name)| {
            fold_of(published.get(dataset.as_str())?, number)?
                .sides
                .get(name)
                .copied()
        })
        .collect();
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (dataset, folds) in published {
        let Some(fold) = fold_of(folds, number) else { continue };
        if !fold.missing.is_empty() {
            errors.push(
                EmoboxError::FoldFiles {
                    dataset: (*dataset).to_owned(),
                    fold: number,
                    files: fold.missing.clone(),
                }
                .into(),
            );
            continue;
        }
        for (side, absent) in SplitName::ALL.into_iter().zip(fold.absent) {
            let listed = fold.sides.values().filter(|own| **own == side).count();
            let here = sides
                .iter()
                .zip(names)
                .filter(|(own, (name, _))| **own == Some(side) && name == dataset)
                .count();
            if absent > 0 && here == 0 {
                errors.push(
                    EmoboxError::FoldAbsent {
                        dataset: (*dataset).to_owned(),
                        fold: number,
                        side: side.as_str(),
                        listed,
                        whole: whole_folds(corpus, published, names),
                    }
                    .into(),
                );
            } else if absent > 0 {
                warnings.push(format!(
                    "in fold-{number}, {absent} of the {listed} recordings that EmoBox lists for {side} of `{dataset}` are not there: its results are not comparable with published ones"
                ));
            }
        }
    }
    if errors.is_empty() {
        Ok((sides, warnings))
    } else {
        Err(errors)
    }
}

/// The folds of which something is there on both sides.
fn whole_folds(corpus: &Corpus, published: &IndexMap<&str, &PublishedFolds>, names: &[(String, String)]) -> Vec<usize> {
    let has = |dataset: &str, fold: &PublishedFold, side| {
        let own = names.iter().filter(|(own, _)| own == dataset);
        own.clone().any(|(_, name)| fold.sides.get(name) == Some(&side))
    };
    let numbers = published
        .values()
        .next()
        .into_iter()
        .flat_map(|folds| &folds.folds)
        .map(|fold| fold.number);
    let is_whole = |number: &usize| {
        corpus.datasets.keys().all(|dataset| {
            let fold = published
                .get(dataset.as_str())
                .and_then(|folds| fold_of(folds, *number));
            fold.is_some_and(|fold| {
                fold.missing.is_empty() && has(dataset, fold, SplitName::Train) && has(dataset, fold, SplitName::Test)
            })
        })
    };
    numbers.filter(is_whole).collect()
}

/// What an assignment is made of.
struct Drawing<'a> {
    corpus: &'a Corpus,
    /// Dataset and own name of each item.
    names: &'a [(String, String)],
    units: &'a [Unit],
    share: f64,
    seed: u64,
    /// `fold-1`; empty where there are no folds.
    label: String,
}

impl Drawing<'_> {
    /// The assignment with these sides, and validation drawn where it is wanted and not published.
    fn assignment(
        &self,
        mut sides: Vec<Option<SplitName>>,
        has_validation: bool,
        mut warnings: Vec<String>,
        learned: &[&str],
        leak: Option<&str>,
    ) -> Result<Assignment, Vec<DataError>> {
        let mut needed = vec![SplitName::Train, SplitName::Test];
        if !has_validation && self.share > 0.0 {
            warnings.extend(self.draw_validation(&mut sides));
        }
        if has_validation || self.share > 0.0 {
            needed.push(SplitName::Validation);
        }
        let label = (!self.label.is_empty()).then(|| self.label.clone());
        // Without a reason one error tells of all that is shared, and not one of each speaker.
        let reason = leak.unwrap_or("undeclared");
        let assignment = assemble(self.corpus, learned, label, &sides, &needed, Some(reason))?;
        let shared = &assignment.certificate.shared;
        if let (None, Some(first)) = (leak, shared.first()) {
            return Err(vec![
                EmoboxError::Leak {
                    fold: assignment.label.clone(),
                    count: shared.len(),
                    first: first.what.clone(),
                    sides: first.sides.iter().map(ToString::to_string).collect(),
                }
                .into(),
            ]);
        }
        let mut assignment = assignment;
        if leak.is_none() {
            // What `assemble` says of a reason that nobody gave.
            assignment
                .warnings
                .retain(|warning| !warning.starts_with("`leak` says"));
        }
        warnings.append(&mut assignment.warnings);
        Ok(Assignment { warnings, ..assignment })
    }

    /// Draws validation from training; what is to be remarked on.
    fn draw_validation(&self, sides: &mut [Option<SplitName>]) -> Vec<String> {
        let trained: Vec<Unit> = self
            .units
            .iter()
            .filter_map(|unit| self.training_part(unit, sides))
            .collect();
        let within = if self.label.is_empty() {
            String::new()
        } else {
            format!("in {}, ", self.label)
        };
        let mut warnings = Vec::new();
        for (dataset, own) in by_dataset(&trained) {
            let unknown = own
                .iter()
                .any(|unit| unit.speakers.iter().any(|speaker| is_unknown(speaker)));
            let purpose = format!("emobox validation of {} of {dataset}", self.label);
            let shares = [1.0 - self.share, self.share];
            let by_recording: Vec<Unit>;
            let drawn_from: Vec<&Unit> = if unknown || own.len() < LEAST_SPEAKERS {
                let why = match unknown {
                    true => "who speaks is not known of all of training".to_owned(),
                    false => format!(
                        "training has {} independent groups of speakers, too few to draw from",
                        own.len()
                    ),
                };
                warnings.push(format!(
                    "{within}validation of `{dataset}` is drawn by recording, and shares speakers with training: {why}"
                ));
                by_recording = own.iter().flat_map(|unit| self.recordings(unit)).collect();
                by_recording.iter().collect()
            } else {
                own
            };
            if drawn_from.len() < 2 {
                continue;
            }
            let drawn = draw(&drawn_from, &shares, &[0; 2], self.seed, &purpose);
            for (unit, _) in drawn_from.iter().zip(drawn).filter(|(_, side)| *side == 1) {
                unit.items
                    .iter()
                    .for_each(|item| sides[*item] = Some(SplitName::Validation));
            }
        }
        warnings
    }

    /// What a unit has in training; `None` where that is nothing.
    fn training_part(&self, unit: &Unit, sides: &[Option<SplitName>]) -> Option<Unit> {
        let items: Vec<usize> = unit
            .items
            .iter()
            .copied()
            .filter(|item| sides[*item] == Some(SplitName::Train))
            .collect();
        (!items.is_empty()).then(|| Unit {
            dataset: unit.dataset.clone(),
            speakers: unit.speakers.clone(),
            profile: self.profile(&items),
            items,
        })
    }

    /// Each recording of a unit as one by itself, called by its own name.
    fn recordings(&self, unit: &Unit) -> Vec<Unit> {
        let one = |item: &usize| Unit {
            dataset: unit.dataset.clone(),
            speakers: vec![self.names[*item].1.clone()],
            items: vec![*item],
            profile: self.profile(&[*item]),
        };
        unit.items.iter().map(one).collect()
    }

    /// Items of each class of each label column, as in [`Unit::profile`].
    fn profile(&self, items: &[usize]) -> Vec<f64> {
        let mut profile = Vec::new();
        for (column, classes) in &self.corpus.label_sets {
            let offset = profile.len();
            profile.resize(offset + classes.len(), 0.0);
            for item in items {
                let class = self.corpus.items.profile(*item).label(column);
                if let Some(own) = class.and_then(|class| profile.get_mut(offset + class as usize)) {
                    *own += 1.0;
                }
            }
        }
        profile
    }
}
