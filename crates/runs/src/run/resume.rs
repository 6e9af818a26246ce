//! What may be different when a run goes on, and what is said of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dir::{RunDir, read_json};
use super::parent::members;
use super::record::{Change, RunRecord, Started, Versions, timestamp};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Prepared, with_defaults};

/// Keys that can change without making what was trained something else; `*` stands for any name.
/// That a corpus, pretrained weights, or other files are the same at another place is compared by their content, and
/// epochs may only be added.
const SAFE: [&str; 15] = [
    "training.epochs",
    "training.checkpoints",
    "training.loader",
    "datasets.*.root",
    "datasets.*.path",
    "augmentations.*.root",
    "augmentations.*.response.folder",
    "encoders.*.weights",
    "encoders.*.path",
    "encoders.*.model",
    "evaluation.metrics",
    "evaluation.batch_size",
    "evaluation.save_misclassified",
    "logging",
    "description",
];

/// The key to which an exception is made: it may grow.
const EPOCHS: &str = "training.epochs";

/// Compares an experiment, this program and the device with those that the run in `dir` was started or
/// resumed with before. What is safe is noted in its `run.json` and `resolved.yaml`; another version
/// or device is warned of.
///
/// # Errors
/// A value has changed that would make it another experiment; the message names all of them.
pub fn accept(prepared: &Prepared, dir: &RunDir, device: &Chosen) -> Result<(), Failure> {
    let path = dir.path().join("run.json");
    if !path.is_file() {
        return Ok(());
    }
    let mut record: RunRecord = read_json(&path)?;
    let settings = changed_settings(prepared, &record, dir)?;
    // Before anything is written, so that nothing is noted of what is refused.
    same_content(prepared, &record, dir.path())?;
    check_moved(&settings, &record)?;
    let surroundings = changed_surroundings(&record, device);
    if settings.is_empty() && surroundings.is_empty() {
        return Ok(());
    }
    for change in &surroundings {
        tracing::warn!(
            "{} was made with {} {} and goes on with {}: its results may no longer be to the bit those of a run that was not resumed",
            dir.path().display(),
            change.key,
            shown(&change.from),
            shown(&change.to)
        );
    }
    if settings.iter().any(|change| change.key == EPOCHS) {
        if prepared.settings.training.scheduler.spans_the_run() {
            tracing::warn!("the learning rate follows the longer schedule from here on, not from the start");
        }
        // Before the experiment is changed: a kill in between must not leave an old result as the new one.
        let members = record.members.iter().map(|member| dir.path().join(member));
        for place in members.chain([dir.path().to_owned()]) {
            let summary = place.join("summary.json");
            if summary.is_file() {
                dir.files()
                    .remove_file(&summary)
                    .map_err(Failure::io("remove", &summary))?;
            }
        }
    }
    if !settings.is_empty() {
        dir.write("resolved.yaml", prepared.resolved_yaml().as_bytes())?;
        record.config_hash = prepared.config_hash();
        record.resolved = prepared.resolved.clone();
    }
    record.versions = Versions::default();
    record.device = Some(device.name.to_string());
    for change in settings.into_iter().chain(surroundings) {
        tracing::info!("changed: {}", line(&change));
        record.changes.push(change);
    }
    dir.write_json("run.json", &record)
}

/// Compares by content all that a run, and each of its members that has begun, was started with: a member that would
/// begin now has nothing of its own to be held against, and its result is pooled with those of before.
///
/// # Errors
/// Something has changed.
pub(super) fn same_content(prepared: &Prepared, record: &RunRecord, run: &Path) -> Result<(), Failure> {
    let data = prepared.data_facts();
    record.check_items(&data, run)?;
    record.check_identity(prepared, |_| true, run)?;
    for spec in members(prepared) {
        let place = match spec.path.as_str() {
            "" => run.to_owned(),
            member => run.join(member),
        };
        let path = place.join("run.json");
        // One that cannot be read fails alone, when it is its turn.
        let Some(own) = path.is_file().then(|| read_json::<RunRecord>(&path).ok()).flatten() else {
            continue;
        };
        let certificate = &prepared.assignments[spec.assignment].certificate;
        let certificate = serde_json::to_value(certificate).map_err(|error| Failure::Bug(error.to_string()))?;
        own.check_data(&data, &certificate, &place)?;
        own.check_identity(prepared, |_| true, &place)?;
    }
    Ok(())
}

/// The weights from elsewhere that a member of a run has begun with, and its directory.
pub(super) fn started_in(run: &Path) -> Option<(PathBuf, Started)> {
    let record: RunRecord = read_json(&run.join("run.json")).ok()?;
    record.members.iter().find_map(|member| {
        let place = run.join(member);
        let own: RunRecord = read_json(&place.join("run.json")).ok()?;
        Some((place, own.started_from?))
    })
}

/// What is different of the program and the machine.
fn changed_surroundings(record: &RunRecord, device: &Chosen) -> Vec<Change> {
    let now = Versions::default();
    // Behind the name stands why it was chosen.
    let name = |device: &str| device.split(" (").next().unwrap_or_default().to_owned();
    let device_then = record.device.as_deref().map_or_else(|| device.name.name.clone(), name);
    let pairs = [
        ("emorun", record.versions.emorun.clone(), now.emorun),
        ("burn", record.versions.burn.clone(), now.burn),
        ("device", device_then, device.name.name.clone()),
    ];
    let differ = pairs.into_iter().filter(|(_, then, now)| then != now);
    differ
        .map(|(key, then, now)| change(key, then.into(), now.into()))
        .collect()
}

/// Safe changes of the experiment.
fn changed_settings(prepared: &Prepared, record: &RunRecord, dir: &RunDir) -> Result<Vec<Change>, Failure> {
    if record.resolved.is_null() {
        // Written before it was stored.
        return Ok(Vec::new());
    }
    let then = with_defaults(&record.resolved)?;
    let mut changes = Vec::new();
    compare("", &then, &prepared.resolved, &mut changes);
    let refused: Vec<String> = changes.iter().filter(|change| !is_safe(change)).map(line).collect();
    if refused.is_empty() {
        return Ok(changes);
    }
    Err(Failure::Conflict(format!(
        "the experiment is not the one that {0} was started with:\n  {1}\nput it back as it was in {0}/resolved.yaml, or start a new run (from these weights with `init_from`); what may change is {2} (epochs only to more)",
        dir.path().display(),
        refused.join("\n  "),
        SAFE.join(", ")
    )))
}

/// Makes sure that what lies elsewhere now was compared by its content.
fn check_moved(changes: &[Change], record: &RunRecord) -> Result<(), Failure> {
    for change in changes {
        let mut keys = change.key.split('.');
        let (section, node) = (keys.next().unwrap_or_default(), keys.next().unwrap_or_default());
        let is_known = record.weights.contains_key(node) || record.files.contains_key(node);
        if ["augmentations", "encoders"].contains(&section) && !is_known {
            return Err(Failure::Conflict(format!(
                "{} was {}, now {}: the run does not say what `{node}` read, so that it cannot be compared; put it back, or start a new run instead",
                change.key,
                shown(&change.from),
                shown(&change.to)
            )));
        }
    }
    Ok(())
}

fn is_safe(change: &Change) -> bool {
    if change.key == EPOCHS {
        return change.to.as_u64() >= change.from.as_u64();
    }
    SAFE.iter().any(|safe| {
        let mut keys = change.key.split('.');
        safe.split('.')
            .all(|part| keys.next().is_some_and(|key| part == "*" || part == key))
    })
}

/// Every value that differs, by dotted path.
fn compare(path: &str, then: &Value, now: &Value, changes: &mut Vec<Change>) {
    let (Value::Object(before), Value::Object(after)) = (then, now) else {
        if then != now {
            changes.push(change(path, then.clone(), now.clone()));
        }
        return;
    };
    // Augmentations act, and losses are added up, in the order of the file.
    if ["augmentations", "losses"].contains(&path) {
        let order = |map: &serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>| -> Vec<String> {
            map.keys().filter(|key| other.contains_key(*key)).cloned().collect()
        };
        let (before, after) = (order(before, after), order(after, before));
        if before != after {
            changes.push(change(&format!("{path} (their order)"), before.into(), after.into()));
        }
    }
    let added = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(added) {
        let below = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        compare(&below, &value(before), &value(after), changes);
    }
}

fn change(key: &str, from: Value, to: Value) -> Change {
    Change {
        at: timestamp(),
        key: key.to_owned(),
        from,
        to,
    }
}

fn line(change: &Change) -> String {
    format!("{}: {}, now {}", change.key, shown(&change.from), shown(&change.to))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_trains_nothing_else_is_safe() {
        for (key, from, to, safe) in [
            ("training.epochs", json!(3), json!(4), true),
            ("training.epochs", json!(3), json!(2), false),
            ("training.batch_size", json!(3), json!(4), false),
            ("training.loader.workers", json!(3), json!(1), true),
            ("training.checkpoints.keep_last", json!(2), json!(9), true),
            ("training", json!({}), json!(null), false),
            ("datasets.ravdess.root", json!("a"), json!("b"), true),
            ("datasets.ravdess.kind", json!("a"), json!("b"), false),
            ("datasets.ravdess", json!({}), json!(null), false),
            ("encoders.x.root", json!("a"), json!("b"), false),
            ("encoders.x.weights", json!("a"), json!("b"), true),
            ("augmentations.x.root", json!("a"), json!("b"), true),
            ("augmentations.x.p", json!(0.1), json!(0.2), false),
            ("augmentations (their order)", json!(["x"]), json!(["y"]), false),
            ("logging.every_steps", json!(1), json!(10), true),
            ("seed", json!(1), json!(2), false),
        ] {
            assert_eq!(is_safe(&change(key, from, to)), safe, "{key}");
        }
    }

    #[test]
    fn every_value_that_differs_is_named_once() {
        let then = json!({ "seed": 1, "a": { "b": [1, 2], "c": 1, "gone": { "x": 1 } }, "same": [] });
        let now = json!({ "seed": 2, "a": { "b": [1, 3], "c": 1, "new": true }, "same": [] });
        let mut changes = Vec::new();
        compare("", &then, &now, &mut changes);
        let lines: Vec<String> = changes.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "seed: 1, now 2",
                "a.b: [1,2], now [1,3]",
                "a.gone: {\"x\":1}, now nothing",
                "a.new: nothing, now true"
            ]
        );
        let order = |keys: [&str; 2]| json!({ "augmentations": { keys[0]: 1, keys[1]: 1 }, "blocks": { keys[0]: 1, keys[1]: 1 } });
        let mut changes = Vec::new();
        compare("", &order(["noise", "room"]), &order(["room", "noise"]), &mut changes);
        let lines: Vec<String> = changes.iter().map(line).collect();
        assert_eq!(
            lines,
            ["augmentations (their order): [\"noise\",\"room\"], now [\"room\",\"noise\"]"]
        );
    }
}
