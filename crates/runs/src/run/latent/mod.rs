//! What a node of a trained run knows of emotions and speakers: its output for the run's own items, on a plane and in numbers.

mod labels;
mod pictures;
mod written;

use std::path::{Path, PathBuf};

use emorun_data::SplitName;
use emorun_features::Array;
use emorun_files::read_regular;
use emorun_latent::{Analysis, LatentError, MOST_ITEMS, Method, Study, Vectors, analyse};
use serde::Serialize;

use super::embed::Outputs;
use super::trained::TrainedRun;
use super::{eval, evaluated};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_evaluation::Evaluation;
use emorun_experiment::prepare::OnReport;
use labels::{Seen, seen};

pub use written::{free, text, write};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `node`, or `node.port`.
    pub node: &'a str,
    /// The side of the run's own data.
    pub side: SplitName,
    /// Ways to a plane.
    pub methods: &'a [Method],
    /// `path=value` arguments that say where corpora lie now.
    pub sets: &'a [String],
    /// Nothing may be downloaded.
    pub offline: bool,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Latent {
    /// Version of emorun.
    pub emorun: &'static str,
    /// Name of the experiment.
    pub name: String,
    /// Hash of the run's configuration.
    pub config_hash: String,
    /// The node, or port, that was looked at.
    pub node: String,
    /// The side.
    pub split: SplitName,
    /// Items of the side.
    pub items_of_split: usize,
    /// Items that the node gives nothing for, as they lack a stream.
    pub items_without_output: usize,
    /// Where the confusions come from; `None` where there are none of this side.
    pub confusion_of_head: Option<String>,
    /// All that is said of the vectors.
    pub analysis: Analysis,
    /// The run's directory.
    #[serde(skip)]
    pub run: PathBuf,
    /// The vectors, `[items, width]`.
    #[serde(skip)]
    pub vectors: Vec<Vec<f32>>,
    /// What is known of the items.
    #[serde(skip)]
    seen: Seen,
    #[serde(skip)]
    rate_hz: u32,
}

/// Looks at what a node gives for a side of the run's own data, frames and layers pooled by their mean. Of more items than
/// [`MOST_ITEMS`] so many are taken, evenly spaced.
///
/// # Errors
/// The run cannot be used, or its corpora have changed; the node is unknown; too few items have an output, or all the same.
pub fn latent(
    run: &TrainedRun,
    request: &Request<'_>,
    device: &Chosen,
    on_report: OnReport<'_>,
) -> Result<Latent, Failure> {
    let how = (request.side, request.sets, request.offline);
    let own = eval::own(run, request.node, how, on_report)?;
    let wanted = spaced(&own.items, MOST_ITEMS);
    let outputs = Outputs::new(&own.model, Some(run), (request.node, &own.corpus.items, false), device)?;
    let (mut items, mut vectors) = (Vec::new(), Vec::new());
    outputs.each(&wanted, &mut |item, _, array| {
        items.push(own.corpus.items.get(item)?);
        vectors.push(pooled(&array));
        Ok(())
    })?;
    let seen = seen(&own.corpus, items);
    let (confusion_of_head, confused) = confusions(&run.dir, request.side, &seen.emotion_column);
    let refused =
        |error: LatentError| Failure::Input(format!("`{}` on the {} side: {error}", request.node, request.side));
    let checked = Vectors::new(&vectors).map_err(refused)?;
    let analysis = analyse(&Study {
        vectors: &checked,
        labellings: &seen.labellings,
        emotion: labels::EMOTION,
        confused: &confused,
        speaker: labels::SPEAKER,
        methods: request.methods,
        seed: run.seed,
    })
    .map_err(refused)?;
    Ok(Latent {
        emorun: env!("CARGO_PKG_VERSION"),
        name: run.record.name.clone(),
        config_hash: run.record.config_hash.clone(),
        node: request.node.to_owned(),
        split: request.side,
        items_of_split: own.items.len(),
        items_without_output: wanted.len() - vectors.len(),
        confusion_of_head,
        analysis,
        run: run.dir.clone(),
        vectors,
        seen,
        rate_hz: own.model.settings.sample_rate_hz,
    })
}

/// At most so many of the items, evenly spaced.
fn spaced(items: &[usize], most: usize) -> Vec<usize> {
    match items.len() > most {
        true => (0..most).map(|at| items[at * items.len() / most]).collect(),
        false => items.to_vec(),
    }
}

/// The mean over all but the last axis.
fn pooled(array: &Array) -> Vec<f32> {
    let rows = array.values().chunks(array.width().max(1));
    let mut sums = vec![0.0_f64; array.width()];
    let count = rows.len() as f64;
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Two classes, and the share of their items that were taken for the other.
type Confused = (String, String, f64);

/// How often pairs of classes are confused on a side, by the first head that predicts the column, and the head.
fn confusions(run: &Path, side: SplitName, column: &str) -> (Option<String>, Vec<Confused>) {
    const MOST: u64 = 256 << 20;
    let known = read_regular(&run.join(evaluated::FILE), MOST).ok();
    let known = known.and_then(|text| Evaluation::parse(&text).ok());
    let head = known.as_ref().and_then(|known| {
        let mut heads = known.sides.get(side.to_string().as_str())?.classifiers.iter();
        heads.find(|(_, head)| head.column.as_deref() == Some(column))
    });
    let Some((name, head)) = head else {
        return (None, Vec::new());
    };
    let rows: Vec<&[u64]> = head.confusion.rows().collect();
    let labels = head.confusion.labels();
    let mut confused = Vec::new();
    for one in 0..rows.len() {
        for other in one + 1..rows.len() {
            let of_both: u64 = [one, other].iter().map(|class| rows[*class].iter().sum::<u64>()).sum();
            if of_both > 0 {
                let share = (rows[one][other] + rows[other][one]) as f64 / of_both as f64;
                confused.push((labels[one].clone(), labels[other].clone(), share));
            }
        }
    }
    (Some(name.clone()), confused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_layers_are_pooled_by_their_mean() {
        let array = |shape: &[usize], values: &[f32]| Array::new(shape, values.to_vec()).unwrap();
        assert_eq!(pooled(&array(&[2], &[1.0, 3.0])), [1.0, 3.0]);
        assert_eq!(pooled(&array(&[2, 2], &[1.0, 3.0, 2.0, 5.0])), [1.5, 4.0]);
        assert_eq!(pooled(&array(&[2, 2, 1], &[1.0, 3.0, 2.0, 6.0])), [3.0]);
    }

    #[test]
    fn of_too_many_items_some_are_taken_all_over() {
        let all: Vec<usize> = (100..110).collect();
        assert_eq!(spaced(&all, 4), [100, 102, 105, 107]);
        assert_eq!(spaced(&all, 10), all);
    }
}
