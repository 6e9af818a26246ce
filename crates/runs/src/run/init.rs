//! Starting from the weights of another run, or of a file.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::TensorData;

use super::dir::read_json;
use super::init_file;
use super::record::{RunRecord, Started};
use emorun_engine::exit::Failure;
use emorun_engine::settings::InitFrom;
use emorun_engine::train::checkpoint::Store;
use emorun_experiment::prepare::{Prepared, Shapes, same_tensors};
use emorun_nodes::kinds::NodeLayer;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{NamedTensors, collect, node_of, restore};

/// Puts weights from elsewhere into a network that is not trained yet; `seed` is that of the network.
///
/// # Errors
/// The weights cannot be read; a node that is named is missing on one side or differs in its tensors or classes; it
/// would stand behind other pretrained weights than it was trained behind; nothing at all fits.
pub fn initialise(prepared: &Prepared, network: &mut Network, from: &InitFrom, seed: u64) -> Result<Started, Failure> {
    let own = collect(network);
    let (place, taken) = match (&from.run, &from.file) {
        (Some(run), None) => (
            run.as_str(),
            of_run(prepared, network, &own, run.as_path(), &from.nodes, seed)?,
        ),
        (None, Some(file)) => (
            file.as_str(),
            init_file::tensors(prepared, network, &own, file.as_path(), from)?,
        ),
        _ => return Err(Failure::Bug("init_from names neither a run nor a file, or both".into())),
    };
    let nodes: BTreeSet<&str> = taken.keys().map(|name| node_of(name)).collect();
    let untouched: BTreeSet<&str> = own.keys().map(|name| node_of(name)).collect();
    let untouched: Vec<&str> = untouched.difference(&nodes).copied().collect();
    tracing::info!(
        "weights of {place} for {}; as drawn: {}",
        nodes.iter().copied().collect::<Vec<_>>().join(", "),
        if untouched.is_empty() {
            "nothing".to_owned()
        } else {
            untouched.join(", ")
        }
    );
    let started = Started {
        from: place.to_owned(),
        hash: hash_of(&taken),
        nodes: nodes.into_iter().map(str::to_owned).collect(),
    };
    let mut start = own.clone();
    start.extend(taken);
    restore(network, start).map_err(Failure::Bug)?;
    Ok(started)
}

/// BLAKE3 over tensors with their names and shapes.
fn hash_of(tensors: &NamedTensors) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        let shape: Vec<usize> = tensor.shape().iter().copied().collect();
        hasher.update(format!("{name} {shape:?}\n").as_bytes());
        hasher.update(tensor.as_bytes());
    }
    hasher.finalize().to_string()
}

pub(super) fn refuse(place: &Path, message: &str) -> Failure {
    Failure::Input(format!("init_from: {}: {message}", place.display()))
}

/// The tensors of another run that are taken, as they are to be here.
fn of_run(
    prepared: &Prepared,
    network: &Network,
    own: &NamedTensors,
    run: &Path,
    wanted: &[String],
    seed: u64,
) -> Result<NamedTensors, Failure> {
    let record: RunRecord = read_json(&run.join("run.json"))?;
    let weights = weights_of(run)?;
    let (here_shapes, there_shapes) = (shapes(own), shapes(&weights));
    let here = prepared.output_names();
    let named: BTreeSet<&str> = match wanted {
        [] => own.keys().map(|name| node_of(name)).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let mut taken = NamedTensors::new();
    for node in &named {
        match same_tensors(&here_shapes, &there_shapes, node) {
            Ok(()) => {}
            Err(difference) if !wanted.is_empty() => return Err(refuse(run, &format!("`{node}` {difference}"))),
            Err(_) => continue,
        }
        let tensors = weights.iter().filter(|(name, _)| node_of(name) == *node);
        let tensors = tensors.map(|(name, tensor)| (name.clone(), tensor.clone()));
        let there = record.outputs.get(*node).cloned();
        let there = there.or_else(|| record.classes_then(prepared, node));
        match by_name(
            network,
            node,
            tensors,
            here.get(*node).map(Vec::as_slice),
            there.as_deref(),
        ) {
            Ok(tensors) => taken.extend(tensors),
            Err(difference) if !wanted.is_empty() => return Err(refuse(run, &format!("`{node}` {difference}"))),
            Err(difference) => {
                tracing::warn!("init_from: {}: `{node}` is not taken: it {difference}", run.display());
            }
        }
    }
    if taken.is_empty() {
        return Err(refuse(
            run,
            "no node has the name and the tensors of one here; name them alike, or leave init_from out",
        ));
    }
    same_weights_in_front(prepared, &record, run, &weights, &taken, seed)?;
    Ok(taken)
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

fn shapes(tensors: &NamedTensors) -> Shapes {
    let shape = |(name, data): (&String, &TensorData)| (name.clone(), data.shape().iter().copied().collect());
    tensors.iter().map(shape).collect()
}

/// A node's tensors from elsewhere, with their entries in the order that the names of its outputs have here.
///
/// # Errors
/// The names are not the same ones, or the node counts them in a way that cannot be put in order; how they differ.
pub(super) fn by_name(
    network: &Network,
    node: &str,
    tensors: impl Iterator<Item = (String, TensorData)>,
    here: Option<&[String]>,
    there: Option<&[String]>,
) -> Result<NamedTensors, String> {
    let (Some(here), Some(there)) = (here, there) else {
        return Ok(tensors.collect());
    };
    if here == there {
        return Ok(tensors.collect());
    }
    let both = || format!("there {}, here {}", there.join(", "), here.join(", "));
    let order: Option<Vec<usize>> = here
        .iter()
        .map(|name| there.iter().position(|other| other == name))
        .collect();
    let Some(order) = order.filter(|order| order.len() == there.len()) else {
        return Err(format!("tells other classes (or numbers) apart: {}", both()));
    };
    let layer: Option<&NodeLayer> = network.nodes().find(|(name, _)| *name == node).map(|(_, layer)| layer);
    let mut moved = false;
    let tensors: NamedTensors = tensors
        .map(|(name, tensor)| {
            let path = name.split_once('.').map_or("", |(_, path)| path);
            match layer.and_then(|layer| layer.named_axis(path)) {
                Some(axis) => {
                    moved = true;
                    let tensor = reordered(&tensor, axis, &order);
                    (name, tensor)
                }
                None => (name, tensor),
            }
        })
        .collect();
    if !moved {
        return Err(format!("counts the classes in another order: {}", both()));
    }
    tracing::info!("the outputs of `{node}` are put in order by their names: {}", both());
    Ok(tensors)
}

/// A tensor whose entry `at` along an axis is entry `order[at]` of another.
fn reordered(tensor: &TensorData, axis: usize, order: &[usize]) -> TensorData {
    let shape: Vec<usize> = tensor.shape().iter().copied().collect();
    let inner: usize = shape[axis + 1..].iter().product();
    let values: Vec<f32> = tensor.iter::<f32>().collect();
    let mut moved = Vec::with_capacity(values.len());
    for outer in values.chunks_exact((order.len() * inner).max(1)) {
        for &at in order {
            moved.extend_from_slice(&outer[at * inner..(at + 1) * inner]);
        }
    }
    TensorData::new(moved, shape)
}

/// Makes sure that what is taken stands behind the pretrained weights that it was trained behind.
fn same_weights_in_front(
    prepared: &Prepared,
    record: &RunRecord,
    run: &Path,
    weights: &NamedTensors,
    taken: &NamedTensors,
    seed: u64,
) -> Result<(), Failure> {
    let here = prepared.weights_facts(seed);
    let nodes: BTreeSet<&str> = taken.keys().map(|name| node_of(name)).collect();
    let mut unsure: BTreeSet<&str> = BTreeSet::new();
    for node in &nodes {
        for front in prepared.upstream(node) {
            let Some((name, now)) = here.get_key_value(&front) else {
                continue;
            };
            let is_taken = nodes.contains(front.as_str());
            if is_taken && !now.frozen {
                continue;
            }
            let difference = match record.weights.get(name) {
                Some(then) => then.difference(now),
                None if record.weights.is_empty() => {
                    unsure.insert(name);
                    None
                }
                None => record
                    .weights
                    .values()
                    .all(|then| then.difference(now).is_some())
                    .then(|| "the run has none of the kind".to_owned()),
            };
            if let Some(difference) = difference {
                return Err(refuse(
                    run,
                    &format!(
                        "`{node}` was trained behind other pretrained weights than those of `{name}` here: {difference}; give `{name}` the weights of then, or take only nodes that it does not lead to, with `nodes: […]`"
                    ),
                ));
            }
            if !is_taken && weights.keys().any(|tensor| node_of(tensor) == name) {
                tracing::warn!(
                    "init_from: {}: `{node}` was trained behind `{name}` as it was trained there; here it stands behind `{name}` as published",
                    run.display()
                );
            }
        }
    }
    same_models_in_front(prepared, record, run, &nodes)?;
    for name in unsure {
        tracing::warn!(
            "init_from: {} does not say which pretrained weights it used; those of `{name}` may be others",
            run.display()
        );
    }
    Ok(())
}

/// As [`same_weights_in_front`], for models from files. What was computed for other items says nothing of how.
fn same_models_in_front(
    prepared: &Prepared,
    record: &RunRecord,
    run: &Path,
    nodes: &BTreeSet<&str>,
) -> Result<(), Failure> {
    let front: BTreeSet<String> = nodes.iter().flat_map(|node| prepared.upstream(node)).collect();
    let now = prepared.file_hashes();
    for (_, name, config) in prepared.nodes() {
        if config.model_file().is_some()
            && front.contains(name)
            && let (Some(then), Some(now)) = (record.files.get(name), now.get(name))
            && then != now
        {
            return Err(refuse(
                run,
                &format!(
                    "the model of `{name}` is another one: then it had the hash {then}, now {now}; give `{name}` the model of then, or take only nodes that it does not lead to, with `nodes: […]`"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_follow_their_names_along_any_axis() {
        let tensor = TensorData::new((0..12).map(|x| x as f32).collect(), [2, 3, 2]);
        let values = |tensor: TensorData| tensor.iter::<f32>().map(|x| x as usize).collect::<Vec<_>>();
        // numpy: np.arange(12).reshape(2, 3, 2)[:, [2, 0, 1]].ravel(), and [[1, 0]] and [:, :, [1, 0]].
        assert_eq!(
            values(reordered(&tensor, 1, &[2, 0, 1])),
            [4, 5, 0, 1, 2, 3, 10, 11, 6, 7, 8, 9]
        );
        assert_eq!(
            values(reordered(&tensor, 0, &[1, 0])),
            [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
        );
        assert_eq!(
            values(reordered(&tensor, 2, &[1, 0])),
            [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
        );
    }
}
