//! A run's predictions as the document that reports are made from: at the end of training and by `emorun eval` alike.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use emorun_data::{AudioSource, Item, Items, SplitName};
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_engine::train::result::{HeadResult, SplitResult};
use emorun_evaluation::{
    AudioPlace, Bootstrapped, Evaluation, Fit, ItemFacts, Pooled, Protocol, Run, Said, Selection, Side, VERSION, fits,
    side,
};
use emorun_files::read_regular;
use emorun_metrics::{Merge, Metric, NaiveBayes, Predictions, Predicts, Temperature, Votes};
use indexmap::IndexMap;

/// The document's place in a run's directory.
pub const FILE: &str = "report/evaluation.json";
/// Largest document that is read.
const MOST: u64 = 256 << 20;

/// What reads transcripts as those of training items say, by label column.
pub type Readers = HashMap<String, Arc<NaiveBayes>>;

/// What transcripts of the training items say of the classes of columns; nothing of columns whose items have none.
///
/// # Errors
/// An item's record cannot be read.
pub fn readers<'a>(
    items: &Items,
    training: &[usize],
    columns: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
) -> Result<Readers, Failure> {
    let mut told: Vec<Item> = Vec::new();
    for &index in training {
        let item = items.get(index)?;
        if item.text.is_some() {
            told.push(item);
        }
    }
    let reader = |(column, classes): (&String, &Vec<String>)| {
        let of_column = told.iter().filter_map(|item| {
            let class = item.labels.get(column).copied().flatten()?;
            Some((&**item.text.as_ref()?, class as usize))
        });
        Some((column.clone(), Arc::new(NaiveBayes::fit(of_column, classes.len())?)))
    };
    Ok(columns.into_iter().filter_map(reader).collect())
}

/// What is known beside predictions.
#[derive(Clone, Debug)]
pub struct Basis<'a> {
    /// Items of the corpora.
    pub items: &'a Items,
    /// Names of the classes of label columns and attributes.
    pub classes: &'a IndexMap<String, Vec<String>>,
    /// Label column of each head that predicts classes.
    pub columns: &'a IndexMap<String, String>,
    /// Training items of each class, by label column.
    pub training: &'a HashMap<String, Vec<usize>>,
    /// What reads transcripts as those of the training items say, by label column.
    pub readers: &'a Readers,
    /// Settings of the experiment.
    pub settings: &'a Settings,
    /// Seed of draws.
    pub seed: u64,
    /// Whether predictions are of several models.
    pub several_models: bool,
}

/// The parts of a document that do not follow from predictions.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The run.
    pub run: Run,
    /// Its members, where predictions are those of all.
    pub pooled: Option<Pooled>,
    /// How it came about.
    pub protocol: Protocol,
    /// What a reader must know.
    pub remarks: Vec<String>,
}

impl Basis<'_> {
    /// Everything of some sides. What was fitted on a validation side is given where it is not among them.
    ///
    /// # Errors
    /// An item's record cannot be read.
    pub fn evaluation(
        &self,
        origin: Origin,
        splits: &IndexMap<SplitName, SplitResult>,
        fitted: Option<IndexMap<String, Fit>>,
    ) -> Result<Evaluation, Failure> {
        let said = |(name, split): (&SplitName, &SplitResult)| Ok((*name, self.said(split)?));
        let said = splits.iter().map(said).collect::<Result<Vec<_>, Failure>>()?;
        let own = said.iter().find(|(name, _)| *name == SplitName::Validation);
        let fits_here = own
            .filter(|_| origin.protocol.own_data)
            .map(|(_, validation)| fits(validation));
        let fits = fits_here.or(fitted).unwrap_or_default();
        let of_side = |(name, said): &(SplitName, Vec<Said>)| {
            let fitted_here = origin.protocol.own_data && *name == SplitName::Validation;
            (name.to_string(), side(said, &fits, (fitted_here, self.seed)))
        };
        let sides: IndexMap<String, Side> = said.iter().map(of_side).collect();
        Ok(Evaluation {
            version: VERSION,
            emorun: env!("CARGO_PKG_VERSION").to_owned(),
            run: origin.run,
            pooled: origin.pooled,
            protocol: origin.protocol,
            bootstrap: Bootstrapped {
                over: "speakers, and items of each".to_owned(),
                method: "percentile".to_owned(),
                level: 0.95,
                seed: self.seed,
            },
            fits,
            sides,
            conditions: Vec::new(),
            remarks: origin.remarks,
        })
    }

    /// What each head said of a side, of the items whose label is known.
    ///
    /// # Errors
    /// An item's record cannot be read.
    pub fn said(&self, split: &SplitResult) -> Result<Vec<Said>, Failure> {
        let heads = split.heads.iter();
        heads.map(|(name, head)| self.said_by(name, head)).collect()
    }

    fn said_by(&self, name: &str, head: &HeadResult) -> Result<Said, Failure> {
        let column = self.columns.get(name);
        let (mut rows, mut items, mut votes) = (Vec::new(), Vec::new(), Vec::new());
        let probabilities: Vec<(bool, &[f32])> = match &head.predictions {
            Predictions::Classes(all) => all.rows().map(|row| (row.truth.is_some(), row.probabilities)).collect(),
            Predictions::Numbers(all) => all.rows().map(|(_, predicted)| (true, predicted)).collect(),
        };
        let is_classifier = matches!(head.predictions, Predictions::Classes(_));
        for &row in &head.order {
            let (Some(&index), Some((is_known, predicted))) = (head.items.get(row), probabilities.get(row)) else {
                continue;
            };
            let item = self.items.get(index)?;
            let shares = column.and_then(|column| item.soft_labels.get(column));
            if let Some(shares) = shares.filter(|_| is_classifier) {
                votes.push(Votes {
                    votes: shares.clone(),
                    predicted: predicted.to_vec(),
                });
            }
            // What has no label counts in no metric, and must not be drawn in the place of what has.
            if *is_known {
                rows.push(row);
                items.push(self.facts(&item, column));
            }
        }
        let predicts = match &head.predictions {
            Predictions::Classes(_) => Predicts::Classes,
            Predictions::Numbers(rows) if rows.of_frames() => Predicts::Frames,
            Predictions::Numbers(_) => Predicts::Numbers,
        };
        let training = column.and_then(|column| self.training.get(column));
        let is_of_all = |metric: &Metric| !self.several_models || metric.merge() != Merge::MemberMean;
        let metrics = head.metrics.iter().map(|(metric, _)| *metric);
        let shown = self.settings.evaluation.shown(predicts).into_iter();
        Ok(Said {
            head: name.to_owned(),
            column: column.cloned(),
            metrics: metrics.filter(is_of_all).collect(),
            shown: shown.filter(is_of_all).collect(),
            predictions: head.predictions.at(&rows),
            items,
            votes,
            training: training.map(|counts| counts.iter().map(|count| *count as u64).collect()),
            reader: column.and_then(|column| self.readers.get(column)).cloned(),
            several_models: self.several_models,
        })
    }

    fn facts(&self, item: &Item, own: Option<&String>) -> ItemFacts {
        let audio = match &item.audio {
            AudioSource::File { path, segment, .. } => Some(AudioPlace {
                file: path.to_path().display().to_string(),
                segment_s: segment.map(|segment| [segment.start_s, segment.end_s]),
            }),
            AudioSource::Synthetic(_) | AudioSource::Samples(_) => None,
        };
        // The column of corpora says what the dataset does.
        let others = item.labels.iter().chain(item.attributes.iter());
        let others = others.filter(|(column, _)| *column != "corpus" && Some(*column) != own);
        let value = |(column, class): (&String, &Option<u32>)| {
            let name = self.classes.get(column)?.get((*class)? as usize)?;
            Some((column.clone(), name.clone()))
        };
        ItemFacts {
            item: item.key.to_string(),
            path: item.display_path(),
            audio,
            dataset: item.dataset.to_string(),
            speaker: item.has_known_speaker().then(|| item.speaker.to_string()),
            duration_s: item.duration_s,
            described: others.filter_map(value).collect(),
            text: item.text.as_ref().map(ToString::to_string),
        }
    }
}

/// What a run's own report has fitted on its validation side, if it is of the same weights.
pub fn fitted_before(run: &Path, of: &Run) -> Option<IndexMap<String, Fit>> {
    let text = read_regular(&run.join(FILE), MOST).ok()?;
    let known = Evaluation::parse(&text).ok()?;
    let same = Run {
        device: of.device.clone(),
        ..known.run
    };
    (same == *of).then_some(known.fits)
}

/// The file of a bundle's member that holds the temperatures of its heads.
pub const TEMPERATURES: &str = "temperatures.json";

/// Temperatures by head that were fitted on a run's validation side for the weights of a step; none where nothing was
/// fitted, or for other weights.
pub fn temperatures(run: &Path, step: u64) -> IndexMap<String, Temperature> {
    if let Ok(bytes) = read_regular(&run.join(TEMPERATURES), MOST) {
        return serde_json::from_slice(&bytes).unwrap_or_default();
    }
    let known = read_regular(&run.join(FILE), MOST).ok();
    let known = known.and_then(|bytes| Evaluation::parse(&bytes).ok());
    let fits = known
        .filter(|known| known.run.weights.step == step)
        .map(|known| known.fits);
    let temperature = |(head, fit): (String, Fit)| Some((head, fit.temperature?));
    fits.unwrap_or_default().into_iter().filter_map(temperature).collect()
}

/// The document as a file, on one line.
///
/// # Errors
/// None but a mistake of ours.
pub fn bytes(evaluation: &Evaluation) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec(evaluation).map_err(|error| Failure::Bug(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// How an epoch was chosen.
pub fn selection(best: Option<&emorun_engine::train::state::Best>) -> Option<Selection> {
    best.map(|best| Selection {
        metric: best.metric.clone(),
        value: best.value,
        epoch: best.epoch,
    })
}

/// What a person reads of every side.
pub fn text(evaluation: &Evaluation, name: impl Fn(&str) -> String, mark: impl Fn(&str) -> &'static str) -> String {
    use emorun_evaluation::text::{classifier, regressor};
    let mut text = String::new();
    for (side, own) in &evaluation.sides {
        for (head, classes) in &own.classifiers {
            text.push_str(&classifier(head, &name(side), classes, mark(head)));
        }
        for (head, numbers) in &own.regressors {
            text.push_str(&regressor(head, &name(side), numbers));
        }
    }
    text
}

/// Intervals of the metrics of each head on each side, for `summary.json`.
pub fn intervals(
    evaluation: &Evaluation,
) -> IndexMap<String, IndexMap<String, IndexMap<Metric, emorun_metrics::Interval>>> {
    let of = |metrics: &emorun_evaluation::Metrics| {
        let known = metrics
            .iter()
            .filter_map(|(metric, own)| Some((*metric, own.interval?)));
        known.collect::<IndexMap<Metric, emorun_metrics::Interval>>()
    };
    let side = |side: &Side| {
        let classifiers = side
            .classifiers
            .iter()
            .map(|(head, own)| (head.clone(), of(&own.metrics)));
        let regressors = side
            .regressors
            .iter()
            .map(|(head, own)| (head.clone(), of(&own.metrics)));
        let heads = classifiers.chain(regressors).filter(|(_, metrics)| !metrics.is_empty());
        heads.collect::<IndexMap<_, _>>()
    };
    let sides = evaluation.sides.iter().map(|(name, own)| (name.clone(), side(own)));
    sides.filter(|(_, heads)| !heads.is_empty()).collect()
}
