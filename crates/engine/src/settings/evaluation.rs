//! What is measured, and on which weights.

use emorun_metrics::{Metric, Predicts};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Measure, SaveMisclassified, SchedulerConfig, Settings};

/// What is measured, and on which weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Metrics shown while training and at the end, of each head those of what it predicts. Of classes `uar`, `wa`,
    /// `macro_f1`, `weighted_f1` and `log_loss` are in the summary and the logs in any case, of numbers `ccc` and `mse`;
    /// others where they are named here or choose (`best`, early stopping, a plateau).
    #[serde(default = "default_metrics")]
    #[schemars(schema_with = "metrics_schema")]
    pub metrics: Vec<Metric>,
    /// Metric on the validation split by which the best checkpoint is chosen: `loss` (the weighted sum),
    /// `loss.<loss>` or `<head>.<metric>`; the first metric of the first head when left out.
    #[serde(default)]
    pub best: Option<String>,
    /// Weights that the final evaluation uses; `best` needs a validation split, and is taken when
    /// there is one.
    #[serde(default)]
    pub weights: Option<FinalWeights>,
    /// Items of one batch in evaluation. It changes no result but for the rounding of sums, which
    /// `precision: bf16` makes large enough to be seen.
    #[serde(default = "default_evaluation_batch")]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
    /// Saves what was predicted wrongly on the test side, as audio and as a table, in `report/misclassified/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_misclassified: Option<SaveMisclassified>,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            metrics: default_metrics(),
            best: None,
            weights: None,
            batch_size: default_evaluation_batch(),
            save_misclassified: None,
        }
    }
}

impl Evaluation {
    /// The metrics that are shown of a head: the named ones of what it predicts; where others alone are named, those that
    /// are shown where nothing is.
    pub fn shown(&self, predicts: Predicts) -> Vec<Metric> {
        let is_of = |metric: &Metric| metric.is_of(predicts);
        let named: Vec<Metric> = self.metrics.iter().copied().filter(is_of).collect();
        if !named.is_empty() || self.metrics.is_empty() && predicts == Predicts::Classes {
            return named;
        }
        match predicts {
            Predicts::Classes => Metric::SHOWN.to_vec(),
            Predicts::Numbers | Predicts::Frames => vec![Metric::CCC],
        }
    }
}

impl Settings {
    /// Names of the measures by which something is chosen while training, and where they stand in the file.
    pub fn choosing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let stopping = self.training.early_stopping.as_ref();
        let plateau = match &self.training.scheduler {
            SchedulerConfig::Plateau(plateau) => plateau.metric.as_deref(),
            _ => None,
        };
        let all = [
            ("evaluation.best", self.evaluation.best.as_deref()),
            (
                "training.early_stopping.metric",
                stopping.and_then(|stopping| stopping.metric.as_deref()),
            ),
            ("training.scheduler.metric", plateau),
        ];
        all.into_iter().filter_map(|(place, name)| Some((place, name?)))
    }

    /// The metrics of a head that are computed and written, in the order of tables: those that every such head has, then
    /// those that are asked for.
    pub fn reported(&self, head: &str, predicts: Predicts) -> Vec<Metric> {
        let choosing = self.choosing().filter_map(|(_, name)| match Measure::named(name) {
            Some(Measure::OfHead(of, metric)) if of == head => Some(metric),
            _ => None,
        });
        let named = self.evaluation.metrics.iter().copied();
        let mut reported = Metric::always(predicts).to_vec();
        for metric in named.chain(choosing).filter(|metric| metric.is_of(predicts)) {
            if !reported.contains(&metric) {
                reported.push(metric);
            }
        }
        reported
    }
}

/// Weights of the final evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalWeights {
    /// Those of the best validation metric.
    Best,
    /// Those of the last epoch.
    Last,
}

fn default_metrics() -> Vec<Metric> {
    Metric::SHOWN.to_vec()
}

fn metrics_schema(_: &mut SchemaGenerator) -> Schema {
    let choices = Metric::ALL.iter().map(|metric| {
        let (about, needs) = (metric.about(), metric.needs().text());
        let (better, undefined) = (metric.direction().text(), metric.undefined());
        json_schema!({
            "description": format!("{about}\nOf {needs}; {better}.\nNo value where {undefined}."),
            "type": "string",
            "const": metric.name(),
        })
    });
    json_schema!({
        "type": "array",
        "items": { "description": "A metric of a head.", "oneOf": choices.collect::<Vec<Schema>>() },
    })
}

fn default_evaluation_batch() -> usize {
    32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_head_shows_what_is_named_of_its_kind() {
        let (classes, numbers) = (Predicts::Classes, Predicts::Numbers);
        for (named, of_classes, of_numbers) in [
            (Metric::SHOWN.to_vec(), Metric::SHOWN.to_vec(), vec![Metric::CCC]),
            (vec![Metric::MAE, Metric::MCC], vec![Metric::MCC], vec![Metric::MAE]),
            (vec![Metric::MAE], Metric::SHOWN.to_vec(), vec![Metric::MAE]),
            (vec![], vec![], vec![Metric::CCC]),
        ] {
            let evaluation = Evaluation {
                metrics: named.clone(),
                ..Evaluation::default()
            };
            assert_eq!(evaluation.shown(classes), of_classes, "{named:?}");
            assert_eq!(evaluation.shown(numbers), of_numbers, "{named:?}");
        }
    }
}
