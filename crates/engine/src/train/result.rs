//! What a network has been measured to do on a split.

use std::collections::BTreeMap;

use emorun_metrics::{ClassPredictions, Confusion, Metric, Needs, NumberPredictions, Predictions, Predicts};

use super::losses::NodeLoss;
use crate::settings::{Measure, Settings};

/// A network's result on a split.
#[derive(Clone, Debug, Default)]
pub struct SplitResult {
    /// Number of items.
    pub n: u64,
    /// Weighted sum of the losses, each a mean over the items that it counts; `None` without such items.
    pub loss: Option<f64>,
    /// Each loss by its node's name.
    pub losses: BTreeMap<String, NodeLoss>,
    /// Result of each head.
    pub heads: BTreeMap<String, HeadResult>,
}

/// What a head has said of the items of a split, and how well.
#[derive(Clone, Debug)]
pub struct HeadResult {
    /// What it said, a row an item, in the order in which they were evaluated.
    pub predictions: Predictions,
    /// Index of each row's item in the corpus; empty where there are counts alone.
    pub items: Vec<usize>,
    /// Rows in the order of the split's items.
    pub order: Vec<usize>,
    /// The metrics that are written of it.
    pub metrics: Vec<(Metric, Option<f64>)>,
}

impl HeadResult {
    /// The metrics of `predictions` that an experiment asks for.
    pub fn new(head: &str, predictions: Predictions, settings: &Settings) -> Self {
        let (predicts, has_scores) = match &predictions {
            Predictions::Classes(rows) => (Predicts::Classes, rows.has_scores()),
            Predictions::Numbers(rows) if rows.of_frames() => (Predicts::Frames, true),
            Predictions::Numbers(_) => (Predicts::Numbers, true),
        };
        let reported = settings.reported(head, predicts).into_iter();
        let given = reported.filter(|metric| has_scores || metric.needs() != Needs::Scores);
        let metrics = given.map(|metric| (metric, metric.compute(&predictions))).collect();
        Self {
            predictions,
            items: Vec::new(),
            order: Vec::new(),
            metrics,
        }
    }

    /// The result behind counts of an epoch of training, whose scores are not kept.
    pub fn of_counts(head: &str, counts: &Confusion, settings: &Settings) -> Self {
        let predictions = ClassPredictions::of_counts(counts.clone());
        Self::new(head, Predictions::Classes(predictions), settings)
    }

    /// One of its metrics, also one that is not written.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        match self.metrics.iter().find(|(own, _)| *own == metric) {
            Some((_, value)) => *value,
            None => metric.compute(&self.predictions),
        }
    }

    /// The metrics that are written of each number that it predicts.
    pub fn metrics_of_each_number(&self) -> Vec<Metric> {
        let always = Metric::OF_EACH_NUMBER;
        let asked_for = self.asked_for().filter(|metric| !always.contains(metric));
        always.into_iter().chain(asked_for).collect()
    }

    /// The metrics of numbers that are written because they are asked for.
    fn asked_for(&self) -> impl Iterator<Item = Metric> {
        let metrics = self.metrics.iter().map(|(metric, _)| *metric);
        metrics.filter(|metric| !Metric::always(Predicts::Numbers).contains(metric))
    }
}

impl SplitResult {
    /// What is so named; see [`Measure`].
    pub fn metric(&self, name: &str) -> Option<f64> {
        match Measure::named(name)? {
            Measure::Loss => self.loss,
            Measure::OneLoss(loss) => self.losses.get(loss)?.value,
            Measure::OfHead(head, metric) => self.heads.get(head)?.metric(metric),
        }
    }

    /// The heads that predict classes.
    pub fn classifiers(&self) -> impl Iterator<Item = (&String, &HeadResult, &ClassPredictions)> {
        self.heads.iter().filter_map(|(name, head)| match &head.predictions {
            Predictions::Classes(rows) => Some((name, head, rows)),
            Predictions::Numbers(_) => None,
        })
    }

    /// The heads that predict numbers.
    pub fn regressors(&self) -> impl Iterator<Item = (&String, &HeadResult, &NumberPredictions)> {
        self.heads.iter().filter_map(|(name, head)| match &head.predictions {
            Predictions::Numbers(rows) => Some((name, head, rows)),
            Predictions::Classes(_) => None,
        })
    }

    /// What a head that predicts classes said.
    pub fn classes(&self, head: &str) -> Option<&ClassPredictions> {
        match &self.heads.get(head)?.predictions {
            Predictions::Classes(rows) => Some(rows),
            Predictions::Numbers(_) => None,
        }
    }

    /// What a head that predicts numbers said.
    pub fn numbers(&self, head: &str) -> Option<&NumberPredictions> {
        match &self.heads.get(head)?.predictions {
            Predictions::Numbers(rows) => Some(rows),
            Predictions::Classes(_) => None,
        }
    }

    /// The rows of a head in the order of the split's items, each with its item's index in the corpus.
    pub fn in_order<T: Copy>(&self, head: &str, rows: &[T]) -> impl Iterator<Item = (usize, T)> {
        let head = self.heads.get(head).into_iter();
        let places = head.flat_map(|head| head.order.iter().map(|&at| (head.items.get(at), at)));
        places.filter_map(|(item, at)| Some((*item?, *rows.get(at)?)))
    }

    /// Losses and metrics as named numbers.
    pub fn named(&self) -> Vec<(String, Option<f64>)> {
        let mut named = vec![("loss".to_owned(), self.loss)];
        for (node, loss) in &self.losses {
            named.push((format!("loss.{node}"), loss.value));
        }
        for (head, result, _) in self.classifiers() {
            let metrics = result.metrics.iter();
            named.extend(metrics.map(|(metric, value)| (format!("{head}.{}", metric.name()), *value)));
        }
        for (head, result, rows) in self.regressors() {
            let metrics = result.metrics.iter();
            named.extend(metrics.map(|(metric, value)| (format!("{head}.{}", metric.name()), *value)));
            // Of frames there may be a hundred, which nobody follows one by one.
            for number in rows.numbers().filter(|_| !rows.of_frames()) {
                let metrics = std::iter::once(Metric::CCC).chain(result.asked_for());
                let name = |metric: Metric| format!("{head}.{}.{}", number.name, metric.name());
                named.extend(metrics.map(|metric| (name(metric), metric.of_number(number))));
            }
        }
        named
    }
}
