//! From predictions to what is said of them.

use emorun_metrics::{
    Baseline, Bootstrap, Calibration as Bins, ClassPredictions, Conformal, Divergence, Metric, NumberPredictions,
    Predictions, Temperature, by_agreement, macro_precision_recall_curve, macro_roc_curve, precision_recall_curve,
    risk_coverage_curve, roc_curve,
};
use indexmap::{IndexMap, IndexSet};

use crate::document::{
    BaselineReport, Calibrated, Calibration, Class, Classifier, ConformalReport, Confused, Curves, Fit, Measured,
    Metrics, Mistake, NumberReport, Regressor, Side, VotesReport,
};
use crate::groups::groupings;
use crate::said::{ItemFacts, Said};

/// Most replicates of the bootstrap.
const REPLICATES: usize = 2000;
/// Least of them.
const LEAST_REPLICATES: usize = 400;
/// Rows that all replicates draw together; more items are drawn less often, so that a report takes seconds.
const DRAWN: usize = 40_000_000;
/// How much less often groups are drawn of many items: there are several columns of them.
const GROUPED: usize = 4;
/// Points of a curve.
const POINTS: usize = 400;
/// Pairs of classes that are named.
const PAIRS: usize = 10;
/// Items that are named.
const NAMED: usize = 50;
/// Coverage that conformal sets are made for.
const LEVEL: f64 = 0.9;
/// Ranges of a true number.
const RANGES: usize = 5;

/// How often so many items are drawn, with this seed.
pub fn bootstrap(items: usize, seed: u64) -> Bootstrap {
    Bootstrap {
        replicates: (DRAWN / items.max(1)).clamp(LEAST_REPLICATES, REPLICATES),
        seed,
    }
}

/// What is fitted of the heads that predict classes, on the validation side alone.
pub fn fits(validation: &[Said]) -> IndexMap<String, Fit> {
    let fit = |said: &Said| {
        let Predictions::Classes(rows) = &said.predictions else {
            return None;
        };
        let temperature = Temperature::fit(rows);
        let fit = Fit {
            temperature: temperature.ok(),
            uncalibrated: temperature.err(),
            why: temperature.err().map(|why| why.to_string()),
            conformal: Conformal::calibrated(rows, LEVEL),
        };
        Some((said.head.clone(), fit))
    };
    validation.iter().filter_map(fit).collect()
}

/// Everything of a side; `fitted_here` says that what was fitted was so on this side.
pub fn side(heads: &[Said], fits: &IndexMap<String, Fit>, (fitted_here, seed): (bool, u64)) -> Side {
    let mut side = Side {
        items: heads.iter().map(side_items).max().unwrap_or(0),
        ..Side::default()
    };
    for said in heads {
        match &said.predictions {
            Predictions::Classes(rows) => {
                let classifier = classifier(said, rows, fits.get(&said.head), (fitted_here, seed));
                side.classifiers.insert(said.head.clone(), classifier);
            }
            Predictions::Numbers(rows) => {
                side.regressors.insert(said.head.clone(), regressor(said, rows, seed));
            }
        }
    }
    side
}

/// Items of a side, each once.
fn side_items(said: &Said) -> u64 {
    said.items_of(0..said.items.len()).len() as u64
}

/// The metrics of a head with their intervals, and how often these were drawn.
pub fn measured(said: &Said, seed: u64) -> (Metrics, usize) {
    let bootstrap = bootstrap(said.items.len(), seed);
    let intervals = bootstrap.intervals(&said.predictions, &said.clusters(), &said.metrics);
    let metrics = said.metrics.iter().zip(intervals).map(|(metric, interval)| {
        let value = metric.compute(&said.predictions);
        let interval = interval.filter(|_| value.is_some());
        (*metric, Measured { value, interval })
    });
    (metrics.collect(), bootstrap.replicates)
}

fn classifier(said: &Said, rows: &ClassPredictions, fit: Option<&Fit>, (fitted_here, seed): (bool, u64)) -> Classifier {
    let (metrics, replicates) = measured(said, seed);
    let clusters = said.clusters();
    let unknown = said.unknown_speakers();
    // Scores of several models are not ranked together.
    let curves = match said.several_models {
        true => Curves::default(),
        false => curves(rows),
    };
    let area = |of: &IndexMap<String, emorun_metrics::Curve>, label: &String| of.get(label).map(|curve| curve.area);
    let classes = rows.confusion().per_class().into_iter().map(|report| Class {
        roc_auc: area(&curves.roc, &report.label),
        average_precision: area(&curves.precision_recall, &report.label),
        report,
    });
    Classifier {
        column: said.column.clone(),
        items: side_items(said),
        speakers: clusters.len() - unknown,
        items_of_unknown_speakers: unknown,
        replicates,
        shown: said.shown.clone(),
        metrics,
        classes: classes.collect(),
        confusion: rows.confusion().clone(),
        confused: confused(rows),
        calibration: calibration(said, rows, fit, fitted_here),
        conformal: conformal(said, rows, fit, fitted_here),
        baselines: baselines(said, rows),
        groups: groupings(said, &clusters, &bootstrap(GROUPED * said.items.len(), seed)),
        votes: votes(said),
        most_confident_mistakes: mistakes(said, rows, |row| row.is_wrong.then_some(row.confidence)),
        hardest: mistakes(said, rows, |row| Some(-row.of_true)),
        curves: curves.thinned(),
    }
}

fn regressor(said: &Said, rows: &NumberPredictions, seed: u64) -> Regressor {
    let (metrics, replicates) = measured(said, seed);
    let clusters = said.clusters();
    let unknown = said.unknown_speakers();
    let number = |number: emorun_metrics::Number<'_>| NumberReport {
        name: number.name.to_owned(),
        items: number.items(),
        metrics: {
            let own = said.metrics.iter().chain(&Metric::OF_EACH_NUMBER);
            own.map(|metric| (*metric, metric.of_number(number))).collect()
        },
        // Of frames there may be a hundred numbers.
        by_target: if rows.of_frames() {
            Vec::new()
        } else {
            number.by_target(RANGES)
        },
    };
    Regressor {
        items: rows
            .numbers()
            .map(|number| number.items())
            .max()
            .unwrap_or(0)
            .min(side_items(said)),
        speakers: clusters.len() - unknown,
        items_of_unknown_speakers: unknown,
        replicates,
        shown: said.shown.clone(),
        metrics,
        numbers: rows.numbers().map(number).collect(),
        groups: groupings(said, &clusters, &bootstrap(GROUPED * said.items.len(), seed)),
    }
}

fn curves(rows: &ClassPredictions) -> Curves {
    let labels = || rows.labels().iter().enumerate();
    let each = |of: fn(&ClassPredictions, usize) -> Option<emorun_metrics::Curve>| {
        labels()
            .filter_map(|(class, label)| Some((label.clone(), of(rows, class)?)))
            .collect()
    };
    Curves {
        roc: each(roc_curve),
        roc_macro: macro_roc_curve(rows),
        precision_recall: each(precision_recall_curve),
        precision_recall_macro: macro_precision_recall_curve(rows),
        risk_coverage: risk_coverage_curve(rows),
    }
}

impl Curves {
    /// The same with few points each.
    fn thinned(self) -> Self {
        let each = |curves: IndexMap<String, emorun_metrics::Curve>| {
            let curves = curves.into_iter();
            curves.map(|(label, curve)| (label, curve.thinned(POINTS))).collect()
        };
        let one = |curve: Option<emorun_metrics::Curve>| curve.map(|curve| curve.thinned(POINTS));
        Self {
            roc: each(self.roc),
            roc_macro: one(self.roc_macro),
            precision_recall: each(self.precision_recall),
            precision_recall_macro: one(self.precision_recall_macro),
            risk_coverage: one(self.risk_coverage),
        }
    }
}

/// Pairs of classes by how many items of one are taken for the other.
fn confused(rows: &ClassPredictions) -> Vec<Confused> {
    let counts = rows.confusion();
    let mut pairs = Vec::new();
    for (truth, row) in counts.rows().enumerate() {
        let support: u64 = row.iter().sum();
        for (predicted, &items) in row.iter().enumerate().filter(|(at, n)| *at != truth && **n > 0) {
            pairs.push(Confused {
                truth: counts.labels()[truth].clone(),
                predicted: counts.labels()[predicted].clone(),
                items,
                share: items as f64 / support as f64,
            });
        }
    }
    // Stable: of equals the earlier class.
    pairs.sort_by(|one, other| other.items.cmp(&one.items).then(other.share.total_cmp(&one.share)));
    pairs.truncate(PAIRS);
    pairs
}

fn calibration(said: &Said, rows: &ClassPredictions, fit: Option<&Fit>, fitted_here: bool) -> Calibration {
    let of = |rows: &ClassPredictions| {
        let value = |metric: Metric| metric.compute(&Predictions::Classes(rows.clone()));
        Calibrated {
            ece: value(Metric::ECE).filter(|_| !said.several_models),
            brier: value(Metric::BRIER),
            log_loss: value(Metric::LOG_LOSS),
            reliability: Bins::of(rows).filter(|_| !said.several_models),
        }
    };
    let temperature = fit.and_then(|fit| fit.temperature).filter(|_| !fitted_here);
    let remark = match fit {
        _ if said.several_models => {
            Some("bins and temperatures are of one model: each member has its own, in its own report".to_owned())
        }
        None => Some("there is no temperature: nothing was fitted on a validation side".to_owned()),
        Some(fit) if fitted_here && fit.temperature.is_some() => {
            Some("the temperature was fitted on these items, so that it is not tried on them".to_owned())
        }
        Some(fit) => fit
            .why
            .as_ref()
            .map(|why| format!("no temperature was found on the validation side: {why}")),
    };
    Calibration {
        before: of(rows),
        after: temperature.map(|temperature| of(&temperature.applied(rows))),
        remark,
    }
}

fn conformal(said: &Said, rows: &ClassPredictions, fit: Option<&Fit>, made_here: bool) -> Option<ConformalReport> {
    let sets = fit?.conformal?;
    let mut speakers: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (row, item) in said.items.iter().enumerate() {
        if let Some(speaker) = &item.speaker {
            speakers.entry(speaker).or_default().push(row);
        }
    }
    let of_speaker = |(speaker, rows): (&str, Vec<usize>)| match said.predictions.at(&rows) {
        Predictions::Classes(own) => Some((speaker.to_owned(), sets.coverage(&own)?)),
        Predictions::Numbers(_) => None,
    };
    Some(ConformalReport {
        sets,
        coverage: sets.coverage(rows)?,
        by_speaker: speakers.into_iter().filter_map(of_speaker).collect(),
        made_here,
    })
}

fn baselines(said: &Said, rows: &ClassPredictions) -> Vec<BaselineReport> {
    // Counts over other classes are of another head.
    let counts = said
        .training
        .as_ref()
        .and_then(|counts| Baseline::of_counts(rows, counts).ok());
    let mut given = counts.unwrap_or_default();
    if let Some(reader) = &said.reader {
        let texts = said.items.iter().map(|item| item.text.as_deref());
        given.push((Baseline::Text, Baseline::of_texts(rows, reader, texts)));
    }
    let report = |(baseline, given)| {
        let given = Predictions::Classes(given);
        let metrics = said.metrics.iter();
        BaselineReport {
            baseline,
            metrics: metrics.map(|metric| (*metric, metric.compute(&given))).collect(),
        }
    };
    given.into_iter().map(report).collect()
}

fn votes(said: &Said) -> Option<VotesReport> {
    Some(VotesReport {
        divergence: Divergence::of(&said.votes)?,
        by_agreement: by_agreement(&said.votes),
    })
}

/// A row as mistakes are chosen by.
struct Judged {
    is_wrong: bool,
    confidence: f64,
    of_true: f64,
}

/// The items with the highest number, in the order of the rows where it is equal.
fn mistakes(said: &Said, rows: &ClassPredictions, by: impl Fn(&Judged) -> Option<f64>) -> Vec<Mistake> {
    let mut found: Vec<(f64, Mistake)> = Vec::new();
    for (row, item) in rows.rows().zip(&said.items) {
        let Some(truth) = row.truth else { continue };
        let judged = Judged {
            is_wrong: truth != row.predicted,
            confidence: f64::from(row.probabilities[row.predicted]),
            of_true: f64::from(row.probabilities[truth]),
        };
        if let Some(key) = by(&judged).filter(|key| key.is_finite()) {
            let label = |class: usize| rows.labels()[class].clone();
            found.push((key, mistake(item, &judged, label(truth), label(row.predicted))));
        }
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    // Of several models that have heard an item, the one that was the most wrong.
    let mut named = IndexSet::new();
    found.retain(|(_, mistake)| named.insert(mistake.item.clone()));
    found.truncate(NAMED);
    found.into_iter().map(|(_, mistake)| mistake).collect()
}

fn mistake(item: &ItemFacts, judged: &Judged, truth: String, predicted: String) -> Mistake {
    Mistake {
        item: item.item.clone(),
        path: item.path.clone(),
        audio: item.audio.clone(),
        dataset: item.dataset.clone(),
        speaker: item.speaker.clone(),
        duration_s: item.duration_s,
        truth,
        predicted,
        confidence: judged.confidence,
        of_true: judged.of_true,
    }
}
