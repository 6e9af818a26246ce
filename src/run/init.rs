//! Starting from the weights of another run.

use std::collections::BTreeSet;
use std::path::Path;

use emorun_data::{Assignment, SplitName};
use serde_json::Value;

use super::dir::read_json;
use crate::exit::Failure;
use crate::network::Network;
use crate::settings::InitFrom;
use crate::train::checkpoint::Store;
use crate::train::parameters::{NamedTensors, collect, restore};

/// Puts the weights of another run into a network that is not trained yet, and warns where that run
/// was trained on speakers who are to be heard for the first time here.
///
/// # Errors
/// The run or its checkpoint cannot be read; a node that is named is missing on one side or differs
/// in its tensors; nothing at all fits.
pub fn initialise(network: &mut Network, from: &InitFrom, assignment: &Assignment) -> Result<(), Failure> {
    let run = from.run.as_path();
    let weights = weights_of(run)?;
    let own = collect(network);
    let refuse = |message: String| Failure::Input(format!("init_from: {}: {message}", run.display()));
    let nodes = match from.nodes.as_slice() {
        [] => shared(&own, &weights),
        named => {
            let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
            for node in &named {
                same_tensors(&own, &weights, node).map_err(|difference| refuse(format!("`{node}` {difference}")))?;
            }
            named
        }
    };
    if nodes.is_empty() {
        return Err(refuse(
            "no node has the name and the tensors of one here; name them alike, or leave init_from out".into(),
        ));
    }
    let untouched: BTreeSet<&str> = own.keys().map(|name| node_of(name)).collect();
    let untouched: Vec<&str> = untouched.difference(&nodes).copied().collect();
    tracing::info!(
        "weights of {} for {}; as drawn: {}",
        run.display(),
        nodes.iter().copied().collect::<Vec<_>>().join(", "),
        if untouched.is_empty() {
            "nothing".to_owned()
        } else {
            untouched.join(", ")
        }
    );
    let mut start = own.clone();
    for (name, tensor) in &weights {
        if nodes.contains(node_of(name)) {
            start.insert(name.clone(), tensor.clone());
        }
    }
    restore(network, start).map_err(Failure::Bug)?;
    warn_of_leaks(run, assignment)
}

/// The weights of the best epoch, or the newest where no epoch was chosen.
fn weights_of(run: &Path) -> Result<NamedTensors, Failure> {
    let checkpoints = Store::in_folder(run.join("checkpoints"));
    let newest = checkpoints.read_newest(|warning| tracing::warn!("{warning}"))?;
    let Some(newest) = newest else {
        return Err(Failure::Input(format!(
            "init_from: {} has no checkpoint; give the directory of a run, or of one member of a run of several",
            run.display()
        )));
    };
    match newest.state.best {
        Some(best) if best.step != newest.state.step => Ok(checkpoints.read(best.step)?.into_weights()),
        _ => Ok(newest.into_weights()),
    }
}

fn node_of(tensor: &str) -> &str {
    tensor.split('.').next().unwrap_or(tensor)
}

fn of_node<'a>(tensors: &'a NamedTensors, node: &'a str) -> impl Iterator<Item = (&'a str, Vec<usize>)> {
    let of_node = tensors.iter().filter(move |(name, _)| node_of(name) == node);
    of_node.map(|(name, data)| (name.as_str(), data.shape().iter().copied().collect()))
}

/// Says how the tensors of a node differ.
fn same_tensors(own: &NamedTensors, other: &NamedTensors, node: &str) -> Result<(), String> {
    let here: Vec<_> = of_node(own, node).collect();
    let there: Vec<_> = of_node(other, node).collect();
    if here.is_empty() {
        return Err("is no node of this experiment that has weights".into());
    }
    if there.is_empty() {
        let nodes: BTreeSet<&str> = other.keys().map(|name| node_of(name)).collect();
        let nodes: Vec<&str> = nodes.into_iter().collect();
        return Err(format!("is not there; it has {}", nodes.join(", ")));
    }
    match here.iter().zip(&there).find(|(here, there)| here != there) {
        Some(((name, shape), (other, other_shape))) => Err(format!(
            "differs: {name} is {shape:?} here, {other} is {other_shape:?} there"
        )),
        None if here.len() != there.len() => Err(format!("has {} tensors there and {} here", there.len(), here.len())),
        None => Ok(()),
    }
}

/// Nodes that both have, with the same tensors.
fn shared<'a>(own: &'a NamedTensors, other: &NamedTensors) -> BTreeSet<&'a str> {
    let nodes: BTreeSet<&str> = own.keys().map(|name| node_of(name)).collect();
    let fits = |node: &&str| same_tensors(own, other, node).is_ok();
    nodes.into_iter().filter(fits).collect()
}

/// Speakers of the other run's training who stand on this run's validation or test side.
fn warn_of_leaks(run: &Path, assignment: &Assignment) -> Result<(), Failure> {
    let record: Value = read_json(&run.join("run.json"))?;
    let trained: BTreeSet<&str> = record["certificate"]["splits"]["train"]["speakers"]
        .as_object()
        .into_iter()
        .flat_map(|speakers| speakers.keys().map(String::as_str))
        .collect();
    for side in [SplitName::Validation, SplitName::Test] {
        let Some(facts) = assignment.certificate.splits.get(&side) else {
            continue;
        };
        let heard: Vec<&str> = facts
            .speakers
            .keys()
            .map(String::as_str)
            .filter(|speaker| trained.contains(speaker))
            .collect();
        if !heard.is_empty() {
            tracing::warn!(
                "{} was trained on {} speaker(s) of the {side} side ({}): what is measured there is not on unheard speakers",
                run.display(),
                heard.len(),
                heard.join(", ")
            );
        }
    }
    Ok(())
}
