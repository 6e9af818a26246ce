//! Starting from a file of tensors that another program, or another run, has written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use emorun_weights::{TensorFile, WeightsError};
use indexmap::IndexMap;

use super::dir::read_json;
use super::init::{by_name, refuse};
use super::record::RunRecord;
use emorun_engine::exit::Failure;
use emorun_engine::settings::{FileLayout, InitFrom};
use emorun_experiment::ancestry::checkpointed_run;
use emorun_experiment::prepare::Prepared;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{NamedTensors, node_of, transposed_in_torch};

/// Last parts of names that PyTorch's norms have, and those of Burn's.
const NORMS: [(&str, &str); 2] = [(".weight", ".gamma"), (".bias", ".beta")];
/// What PyTorch's batch norms count and nothing here needs.
const COUNTER: &str = "num_batches_tracked";
/// Tensors that a message lists.
const LISTED: usize = 12;

/// The tensors of a file that are taken, by their names here and as they are to be here.
///
/// # Errors
/// The file cannot be read; something that is mapped is not there, has another shape or has no place here; the order of
/// classes is not told or not that of the same classes. Of a checkpoint of a run the layout and the classes are known from
/// the run; `classes` that contradict it are refused.
pub(super) fn tensors(
    prepared: &Prepared,
    network: &Network,
    own: &NamedTensors,
    path: &Path,
    from: &InitFrom,
) -> Result<NamedTensors, Failure> {
    let unreadable = |error: WeightsError| Failure::Input(format!("init_from: {error}"));
    let file = TensorFile::open(path).map_err(unreadable)?;
    let places = places(&file, own, from).map_err(|message| refuse(path, &message))?;
    let run = run_of(path)?;
    let layout = match run {
        Some(_) => FileLayout::Emorun,
        None => from.layout,
    };
    let transposed = match layout {
        FileLayout::Torch => transposed_in_torch(network),
        FileLayout::Emorun => BTreeSet::new(),
    };
    let mut wrong = Vec::new();
    let mut taken = NamedTensors::new();
    for (name, theirs) in &places {
        let Some(here) = own.get(name) else { continue };
        let here: Vec<usize> = here.shape().iter().copied().collect();
        let there = file.shape(theirs).unwrap_or_default();
        let turn = transposed.contains(name) && here.len() == 2;
        let wanted: Vec<usize> = if turn {
            here.iter().rev().copied().collect()
        } else {
            here.clone()
        };
        if there != wanted {
            let turned = there.iter().rev().eq(&wanted) && there.len() == 2;
            let hint = match turned && run.is_none() {
                true if turn => "; the file has it the other way round: `layout: emorun`?",
                true => "; the file has it the other way round: `layout: torch`?",
                false => "",
            };
            wrong.push(format!("{theirs} is {there:?}, {name} wants {wanted:?}{hint}"));
            continue;
        }
        let values = file.read_f32(theirs).map_err(unreadable)?;
        let values = if turn { turned(&values, there) } else { values };
        taken.insert(name.clone(), TensorData::new(values, here));
    }
    if !wrong.is_empty() {
        return Err(refuse(path, &format!("shapes differ: {}", listed(&wrong))));
    }
    let classes = match &run {
        Some((record, place)) => {
            // Other tensors of a node do not count its classes, and may be of another node there.
            let counting = |ours: &str| {
                let (node, path) = ours.split_once('.').unwrap_or((ours, ""));
                let layer = network.nodes().find(|(name, _)| *name == node).map(|(_, layer)| layer);
                layer.and_then(|layer| layer.named_axis(path)).is_some()
            };
            let places = places.iter().filter(|(ours, _)| counting(ours));
            stored_classes((record, place), places, from)
        }
        None => Ok(from.classes.clone()),
    };
    classes
        .and_then(|classes| in_order(prepared, network, taken, &classes))
        .map_err(|message| refuse(path, &message))
}

/// The run that a file is a checkpoint of: `RUN/checkpoints/step-N/weights.safetensors`.
fn run_of(file: &Path) -> Result<Option<(RunRecord, PathBuf)>, Failure> {
    match checkpointed_run(file) {
        Some(run) => Ok(Some((read_json(&run.join("run.json"))?, run.to_owned()))),
        None => Ok(None),
    }
}

/// The order of classes that a run has stored of its nodes, by the nodes here that take their tensors; what `classes`
/// says of others.
///
/// # Errors
/// `classes` says otherwise than the run.
fn stored_classes<'a>(
    (record, run): (&RunRecord, &Path),
    places: impl Iterator<Item = (&'a String, &'a String)>,
    from: &InitFrom,
) -> Result<IndexMap<String, Vec<String>>, String> {
    let mut classes = from.classes.clone();
    for (ours, theirs) in places {
        let (here, there) = (node_of(ours), node_of(theirs));
        let Some(stored) = record.outputs.get(there) else {
            continue;
        };
        let said = classes.entry(here.to_owned()).or_insert_with(|| stored.clone());
        if said != stored {
            return Err(format!(
                "`classes` has {} for `{here}`, but {} has stored {} for `{there}`; leave `{here}` out of `classes`: a checkpoint of a run tells its order",
                said.join(", "),
                run.display(),
                stored.join(", ")
            ));
        }
    }
    Ok(classes)
}

/// A matrix `[rows, columns]` with its rows as columns.
fn turned(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let (rows, columns) = (shape[0], shape[1]);
    let at = |place: usize| values[place % rows * columns + place / rows];
    (0..values.len()).map(at).collect()
}

/// The tensor of the file for each tensor here that is taken.
fn places(file: &TensorFile, own: &NamedTensors, from: &InitFrom) -> Result<BTreeMap<String, String>, String> {
    let below = |name: &str, prefix: &str| {
        let rest = name.strip_prefix(prefix)?;
        (prefix.is_empty() || rest.is_empty() || rest.starts_with('.')).then(|| rest.to_owned())
    };
    for (theirs, ours) in &from.map {
        if !own.keys().any(|name| below(name, ours).is_some()) {
            let nodes: BTreeSet<&str> = own.keys().map(|name| node_of(name)).collect();
            return Err(format!(
                "`map` leads to `{ours}`, below which nothing here has weights; nodes with weights are {}",
                Vec::from_iter(nodes).join(", ")
            ));
        }
        if !file.names().any(|name| below(name, theirs).is_some()) {
            let names: Vec<String> = file.names().map(str::to_owned).collect();
            return Err(format!(
                "`map` begins at `{theirs}`, and no tensor's name begins so; it has {}",
                listed(&names)
            ));
        }
    }
    let nodes: BTreeSet<&str> = own.keys().map(|name| node_of(name)).collect();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    let mut strange = Vec::new();
    let mut unused = 0_usize;
    for theirs in file.names() {
        let ours = if from.map.is_empty() {
            nodes.contains(node_of(theirs)).then(|| theirs.to_owned())
        } else {
            let fitting = from
                .map
                .iter()
                .filter_map(|(prefix, ours)| Some((prefix.len(), ours, below(theirs, prefix)?)));
            let longest = fitting.max_by_key(|(length, ..)| *length);
            longest.map(|(_, ours, rest)| {
                if rest.is_empty() || rest.starts_with('.') {
                    format!("{ours}{rest}")
                } else {
                    format!("{ours}.{rest}")
                }
            })
        };
        let Some(ours) = ours else {
            unused += 1;
            continue;
        };
        if theirs.ends_with(COUNTER) {
            continue;
        }
        match known_as(&ours, own) {
            Some(ours) => {
                if let Some(first) = places.insert(ours.clone(), theirs.to_owned()) {
                    return Err(format!("`{first}` and `{theirs}` would both become {ours}"));
                }
            }
            None => strange.push(format!(
                "{theirs} {:?} as {ours}",
                file.shape(theirs).unwrap_or_default()
            )),
        }
    }
    if !strange.is_empty() {
        return Err(format!("there is no place here for {}", listed(&strange)));
    }
    let reached = |name: &str| match from.map.is_empty() {
        true => places.keys().any(|taken| node_of(taken) == node_of(name)),
        false => from.map.values().any(|ours| below(name, ours).is_some()),
    };
    let missing: Vec<String> = own
        .iter()
        .filter(|(name, _)| reached(name) && !places.contains_key(*name))
        .map(|(name, tensor)| format!("{name} {:?}", tensor.shape().iter().collect::<Vec<_>>()))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "it lacks {}; `map` says which of its tensors they are",
            listed(&missing)
        ));
    }
    if places.is_empty() {
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        return Err(format!(
            "none of its tensors is named as one here; say in `map` how its names begin and how the same ones begin here; it has {}",
            listed(&names)
        ));
    }
    if unused > 0 {
        tracing::info!("{}: {unused} tensors are not used", file.path().display());
    }
    Ok(places)
}

/// A tensor here by its name, or by that of the same tensor in PyTorch.
fn known_as(name: &str, own: &NamedTensors) -> Option<String> {
    if own.contains_key(name) {
        return Some(name.to_owned());
    }
    NORMS.iter().find_map(|(torch, burn)| {
        let name = format!("{}{burn}", name.strip_suffix(torch)?);
        own.contains_key(&name).then_some(name)
    })
}

/// The tensors with their entries in the order that the names of outputs have here.
fn in_order(
    prepared: &Prepared,
    network: &Network,
    taken: NamedTensors,
    classes: &IndexMap<String, Vec<String>>,
) -> Result<NamedTensors, String> {
    let here = prepared.output_names();
    let mut ordered = NamedTensors::new();
    let nodes: BTreeSet<String> = taken.keys().map(|name| node_of(name).to_owned()).collect();
    if let Some(name) = classes.keys().find(|name| !nodes.contains(*name)) {
        return Err(format!("`classes` names `{name}`, of which nothing is taken"));
    }
    for node in &nodes {
        let own: NamedTensors = taken
            .iter()
            .filter(|(name, _)| node_of(name) == node)
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        let layer = network.nodes().find(|(name, _)| name == node).map(|(_, layer)| layer);
        let path = |name: &str| name.split_once('.').map_or(String::new(), |(_, path)| path.to_owned());
        let counts = own
            .keys()
            .any(|name| layer.is_some_and(|layer| layer.named_axis(&path(name)).is_some()));
        let names = here.get(node).filter(|_| counts).map(Vec::as_slice);
        let there = classes.get(node).map(Vec::as_slice);
        if let (Some(names), None) = (names, there) {
            return Err(format!(
                "`{node}` has an entry for each of {0}, and a file does not tell in which order it has them; say so with `classes: {{ {node}: [{0}] }}`, in the order of the file",
                names.join(", ")
            ));
        }
        let own = by_name(network, node, own.into_iter(), names, there);
        ordered.extend(own.map_err(|difference| format!("`{node}` {difference}"))?);
    }
    Ok(ordered)
}

fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_turned_round() {
        // numpy: np.arange(6).reshape(2, 3).T.ravel()
        let values: Vec<f32> = (0..6).map(|x| x as f32).collect();
        assert_eq!(turned(&values, &[2, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
