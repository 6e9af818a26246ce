//! `max_batch_seconds: auto`: the number of seconds that fits, found out before a run.

use std::path::Path;

use serde_json::{Value, json};

use super::dir::read_json;
use super::member::set_up;
use super::parent::members;
use super::record::RunRecord;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::memory::{free, mib, rss};
use emorun_engine::settings::{BatchSeconds, Batching};
use emorun_engine::train::dry_run::most_items;
use emorun_experiment::prepare::Prepared;

/// Share of the memory that a run may take: the rest is for evaluation, what loaders hold, other processes.
const SHARE: f64 = 0.8;

/// Where the bound stands in the experiment.
pub const KEY: &str = "training.batching.by_length.max_batch_seconds";

fn pointer() -> String {
    format!("/{}", KEY.replace('.', "/"))
}

/// The number of seconds that a run has, if it has one.
pub fn of(record: &RunRecord) -> Option<f64> {
    record.resolved.pointer(&pointer()).and_then(Value::as_f64)
}

/// Puts a number of seconds in the place of `auto`, if that is what the experiment says: the one of the run in
/// `run`, where one has begun there, or what fits into memory now.
///
/// # Errors
/// Memory cannot be measured on this device; a step fails; the run's record cannot be read.
pub fn settle(prepared: &mut Prepared, run: Option<&Path>, device: &Chosen) -> Result<(), Failure> {
    if !prepared.settings.training.batching.is_auto() {
        return Ok(());
    }
    let known = match run.map(|run| run.join("run.json")).filter(|path| path.is_file()) {
        Some(path) => of(&read_json(&path)?),
        None => None,
    };
    let seconds = match known {
        Some(seconds) => seconds,
        None => find_out(prepared, device)?,
    };
    if let Batching::ByLength(by_length) = &mut prepared.model.settings.training.batching {
        by_length.max_batch_seconds = Some(BatchSeconds::Seconds(seconds));
    }
    if let Some(place) = prepared.model.resolved.pointer_mut(&pointer()) {
        *place = json!(seconds);
    }
    Ok(())
}

/// Seconds of a batch that fit into memory, from steps on the longest items.
fn find_out(prepared: &Prepared, device: &Chosen) -> Result<f64, Failure> {
    let unknown = |why: &str| {
        Failure::Usage(format!(
            "`max_batch_seconds: auto` cannot be found out: {why}; give a number of seconds"
        ))
    };
    if device.name.name != "cpu" {
        return Err(unknown("only the CPU's memory is measured"));
    }
    let members = members(prepared);
    let first = members
        .first()
        .ok_or_else(|| Failure::Bug("the experiment has no member".into()))?;
    let train = prepared.assignments[first.assignment].train.iter();
    let longest_s = train
        .map(|item| prepared.corpus.items.durations_s()[*item])
        .fold(0.0, f64::max);
    let (trainer, network) = set_up(prepared, first, device)?;
    let whole = free().zip(rss()).map(|(free, taken)| free + taken);
    let taken = trainer
        .dry_run(network)
        .map_err(|abort| abort.into_failure(Path::new("")))?;
    let (Some(whole), Some(step)) = (whole, taken.first()) else {
        return Err(unknown("the system does not tell what is free"));
    };
    let budget = (SHARE * whole as f64) as u64;
    let batch_size = prepared.settings.training.batch_size as u64;
    let most = most_items(&taken, budget).unwrap_or(1).min(batch_size);
    if step.peak > budget {
        tracing::warn!(
            "a step on the longest item alone takes {} of {}: train on shorter ones, with `random_crop` or in the manifest",
            mib(step.peak),
            mib(whole)
        );
    }
    // Up to a millisecond, so that as many of the longest items are within it.
    let seconds = (most as f64 * longest_s * 1000.0).ceil() / 1000.0;
    tracing::info!(
        "max_batch_seconds: {seconds} ({most} of the longest items, {longest_s:.2} s; {} of memory)",
        mib(whole)
    );
    Ok(seconds)
}
