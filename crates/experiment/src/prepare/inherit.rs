//! What an experiment takes of the run that `init_from` names, held against that run before anything is trained.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use emorun_files::read_regular;
use emorun_lang::{Code, Diagnostic, Report, Role, Section, Tree};
use emorun_weights::TensorFile;
use serde::Deserialize as _;
use serde_json::Value;

use super::identity::WeightsFacts;
use super::{Prepared, at, read_resolved};
use emorun_engine::exit::Failure;
use emorun_nodes::network::{Network, Wired};
use emorun_nodes::parameters::{collect, node_of};

/// Shapes of tensors by name, `<node>.<field>.…`.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Largest `run.json` and `resolved.yaml` that are read.
const MOST_BYTES: u64 = 64 << 20;
/// Fields of a node that say where its files lie and how they are read: what they hold is compared by its content.
const ELSEWHERE: [&str; 6] = ["path", "weights", "model", "root", "cache", "train"];

/// Says how the tensors of a node differ.
///
/// # Errors
/// They do.
pub fn same_tensors(own: &Shapes, other: &Shapes, node: &str) -> Result<(), String> {
    let of_node = |tensors: &'_ Shapes| -> Vec<(String, Vec<usize>)> {
        let own = tensors.iter().filter(|(name, _)| node_of(name) == node);
        own.map(|(name, shape)| (name.clone(), shape.clone())).collect()
    };
    let (here, there) = (of_node(own), of_node(other));
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

/// The run that weights come from, as far as it tells of itself without its tensors' values.
struct Ancestor {
    run: PathBuf,
    record: Value,
    resolved: Option<Value>,
    shapes: Shapes,
}

impl Ancestor {
    /// # Errors
    /// What cannot be read of it, and what helps.
    fn of(run: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let path = run.join(name);
            read_regular(&path, MOST_BYTES).map_err(|error| format!("{}: {error}", path.display()))
        };
        let record: Value = serde_json::from_slice(&read("run.json")?)
            .map_err(|error| format!("{}: {error}", run.join("run.json").display()))?;
        // Members do not repeat it in their record.
        let resolved = read("resolved.yaml")
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(Self {
            run: run.to_owned(),
            resolved: resolved.and_then(|text| read_resolved(&text).ok().flatten()),
            shapes: shapes_there(run)?,
            record,
        })
    }

    fn text(&self) -> String {
        self.run.display().to_string()
    }

    fn outputs(&self, node: &str) -> Option<Vec<String>> {
        Vec::deserialize(&self.record["outputs"][node]).ok()
    }

    fn node(&self, section: Section, name: &str) -> Option<&Value> {
        self.resolved.as_ref()?.get(section.name())?.get(name)
    }
}

/// The tensors of a run's newest checkpoint that can be read: those of all of them are alike.
fn shapes_there(run: &Path) -> Result<Shapes, String> {
    let folder = run.join("checkpoints");
    let step = |path: &PathBuf| -> Option<u64> { path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok() };
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut steps: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| Some((step(&entry.path())?, entry.path())))
        .collect();
    steps.sort();
    let opened = steps
        .iter()
        .rev()
        .find_map(|(_, path)| TensorFile::open(&path.join("weights.safetensors")).ok());
    let Some(file) = opened else {
        return Err(format!(
            "{} has no checkpoint that can be read; give the directory of a run, or of one member of a run of several",
            run.display()
        ));
    };
    let shape = |name: &str| Some((name.to_owned(), file.shape(name)?.to_vec()));
    Ok(file.names().filter_map(shape).collect())
}

/// The tensors here, without those of pretrained encoders, whose checkpoints a plain check does not read.
fn shapes_here(prepared: &Prepared) -> Result<Shapes, Failure> {
    let wired = prepared.wired()?;
    let drawn: Vec<Wired> = wired
        .iter()
        .filter(|node| node.config.pretrained().is_none())
        .cloned()
        .collect();
    let counts: HashMap<String, Vec<usize>> = match prepared.assignments.first() {
        Some(assignment) => prepared.class_counts(assignment),
        None => HashMap::new(),
    };
    let seed = prepared.settings.seed;
    let network = Network::build(drawn.into(), &counts, &prepared.facts, seed, &Device::flex())?;
    let tensors = collect(&network).into_iter();
    Ok(tensors
        .map(|(name, data)| (name, data.shape().iter().copied().collect()))
        .collect())
}

/// What was found, with its place in the file.
#[derive(Default)]
struct Found {
    errors: Vec<(Vec<String>, String, String)>,
    warnings: Vec<(Vec<String>, String, String)>,
}

fn place(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Holds the experiment against the run that its weights come from: what is taken, what is left as it is drawn and why,
/// and what stands in front of what is taken otherwise than when it was trained. Gives the number of mistakes.
///
/// # Errors
/// A node cannot be built.
pub(super) fn check(prepared: &mut Prepared, tree: &Tree, report: &mut Report) -> Result<usize, Failure> {
    let Some(run) = prepared.settings.init_from.as_ref().and_then(|from| from.run.as_ref()) else {
        return Ok(0);
    };
    let mut found = Found::default();
    match Ancestor::of(run.as_path()) {
        Ok(ancestor) => {
            let own = shapes_here(prepared)?;
            let (taken, drawn) = taken(prepared, &ancestor, &own, &mut found);
            for node in &taken {
                in_front(prepared, &ancestor, (node, &taken), &own, &mut found);
            }
            sample_rate(prepared, &ancestor, &taken, &mut found);
            prepared.inherited = Some(line(&ancestor, &taken, &drawn));
        }
        Err(message) => found.warnings.push((
            place(&["init_from", "run"]),
            format!("it cannot be said what is taken: {message}"),
            "the run is refused if it has not begun yet".into(),
        )),
    }
    let mistakes = found.errors.len();
    let warnings = found.warnings.into_iter().map(|(path, message, help)| {
        let warning = Diagnostic::warning(Code::InvalidValue, message);
        (path, if help.is_empty() { warning } else { warning.help(help) })
    });
    let errors = found
        .errors
        .into_iter()
        .map(|(path, message, help)| (path, Diagnostic::error(Code::InvalidValue, message).help(help)));
    for (path, diagnostic) in errors.chain(warnings) {
        report.push(at(diagnostic, &path, tree));
    }
    report.sort();
    Ok(mistakes)
}

/// The nodes whose tensors are taken, and those that stay as drawn, each with why.
fn taken(
    prepared: &Prepared,
    ancestor: &Ancestor,
    own: &Shapes,
    found: &mut Found,
) -> (BTreeSet<String>, Vec<(String, String)>) {
    let wanted = prepared.settings.init_from.as_ref().map_or(&[][..], |from| &from.nodes);
    let here = prepared.output_names();
    let is_pretrained = |name: &str| {
        let config = prepared
            .nodes()
            .find(|(_, node, _)| *node == name)
            .map(|(_, _, config)| config);
        config.and_then(|config| config.pretrained()).is_some()
    };
    let there: BTreeSet<&str> = ancestor.shapes.keys().map(|name| node_of(name)).collect();
    let mut names: BTreeSet<String> = own.keys().map(|name| node_of(name).to_owned()).collect();
    names.extend(
        there
            .iter()
            .filter(|name| is_pretrained(name))
            .map(|name| (*name).to_owned()),
    );
    if !wanted.is_empty() {
        names = wanted.iter().cloned().collect();
    }
    let (mut taken, mut drawn) = (BTreeSet::new(), Vec::new());
    for name in names {
        let tensors = match is_pretrained(&name) && there.contains(name.as_str()) {
            true => Ok(()),
            false => same_tensors(own, &ancestor.shapes, &name),
        };
        match other_classes(here.get(&name), ancestor.outputs(&name)).and(tensors) {
            Ok(()) => {
                taken.insert(name);
            }
            Err(difference) if !wanted.is_empty() => found.errors.push((
                place(&["init_from", "nodes"]),
                format!("`{name}` {difference}: it cannot be taken from {}", ancestor.text()),
                format!("make `{name}` as it is there, or take it off `nodes`: it is then drawn anew"),
            )),
            Err(difference) => {
                if there.contains(name.as_str()) {
                    found.warnings.push((
                        section_of(prepared, &name),
                        format!("`{name}` is not taken from {} and begins as drawn: it {difference}", ancestor.text()),
                        format!("make `{name}` as it is there if it is to go on; `init_from.nodes` says which nodes are meant"),
                    ));
                }
                drawn.push((name, difference));
            }
        }
    }
    if taken.is_empty() && wanted.is_empty() {
        found.errors.push((
            place(&["init_from", "run"]),
            format!("no node has the name and the tensors of one in {}", ancestor.text()),
            "name them alike, or leave init_from out".into(),
        ));
    }
    (taken, drawn)
}

fn section_of(prepared: &Prepared, name: &str) -> Vec<String> {
    let section = prepared.plan().node(name).map(|node| node.section.name());
    section.map_or_else(|| place(&["init_from"]), |section| place(&[section, name]))
}

/// # Errors
/// The names of a node's outputs are not the same ones, whatever their order.
fn other_classes(here: Option<&Vec<String>>, there: Option<Vec<String>>) -> Result<(), String> {
    let (Some(here), Some(there)) = (here, there) else {
        return Ok(());
    };
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    if set(here) == set(&there) {
        return Ok(());
    }
    Err(format!(
        "tells other classes (or numbers) apart: there {}, here {}",
        there.join(", "),
        here.join(", ")
    ))
}

/// What stands in front of a node that is taken otherwise than when it was trained.
fn in_front(
    prepared: &Prepared,
    ancestor: &Ancestor,
    (node, taken): (&str, &BTreeSet<String>),
    own: &Shapes,
    found: &mut Found,
) {
    let weights = prepared.weights_facts(
        prepared
            .settings
            .training
            .seeds
            .first()
            .copied()
            .unwrap_or(prepared.settings.seed),
    );
    let files = prepared.file_hashes();
    for front in prepared.upstream(node) {
        let Some(plan) = prepared.plan().node(&front) else {
            continue;
        };
        let section = plan.section;
        let mut warn = |message: String, help: &str| {
            let warning = (place(&[section.name(), &front]), message, help.to_owned());
            if !found
                .warnings
                .iter()
                .any(|(place, other, _)| (place, other) == (&warning.0, &warning.1))
            {
                found.warnings.push(warning);
            }
        };
        if let Some(now) = weights.get(&front) {
            let then = WeightsFacts::deserialize(&ancestor.record["weights"][&front]).ok();
            let difference = then.and_then(|then| then.difference(now));
            if let Some(difference) = difference.filter(|_| !taken.contains(&front) || now.frozen) {
                found.errors.push((
                    place(&["init_from", "run"]),
                    format!("`{node}` was trained behind other pretrained weights than those of `{front}` here: {difference}"),
                    format!("give `{front}` the weights of then, or take only nodes that it does not lead to, with `nodes: […]`"),
                ));
                return;
            }
            continue;
        }
        if front == node || taken.contains(&front) || plan.roles.predict != Role::Runs {
            continue;
        }
        if own.keys().any(|name| node_of(name) == front) {
            warn(
                format!(
                    "what is taken from {} was trained behind another `{front}` than this, which begins as drawn",
                    ancestor.text()
                ),
                "take it too (it needs the name and shapes of there), or train what stands behind it anew",
            );
            continue;
        }
        let then = ancestor.record["files"][&front].as_str();
        if let (Some(then), Some(now)) = (then, files.get(&front))
            && then != now
        {
            warn(
                format!(
                    "what is taken from {} was trained behind other files of `{front}`: then they had the hash {then}, now {now}",
                    ancestor.text()
                ),
                "features of other recordings are well if they were computed in the same way, which nothing here shows",
            );
        }
        let Some(resolved) = prepared
            .resolved
            .get(section.name())
            .and_then(|nodes| nodes.get(&front))
        else {
            continue;
        };
        if ancestor.resolved.is_none() {
            continue;
        }
        let difference = match ancestor.node(section, &front) {
            Some(then) => differences(then, resolved),
            None => "it is not there".to_owned(),
        };
        if !difference.is_empty() {
            warn(
                format!(
                    "what is taken from {} was trained behind another `{front}`: {difference}",
                    ancestor.text()
                ),
                "put it back as it was there, or train what stands behind it anew",
            );
        }
    }
}

/// The fields in which a node's settings differ, but for where its files lie.
fn differences(then: &Value, now: &Value) -> String {
    let (Some(before), Some(after)) = (then.as_object(), now.as_object()) else {
        return String::new();
    };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = keys
        .into_iter()
        .filter(|key| !ELSEWHERE.contains(&key.as_str()) && before.get(*key) != after.get(*key));
    let shown = |map: &serde_json::Map<String, Value>, key: &str| match map.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => "nothing".to_owned(),
    };
    let lines: Vec<String> = differ
        .map(|key| format!("{key}: there {}, here {}", shown(before, key), shown(after, key)))
        .collect();
    lines.join("; ")
}

fn sample_rate(prepared: &Prepared, ancestor: &Ancestor, taken: &BTreeSet<String>, found: &mut Found) {
    const FIELD: &str = "sample_rate_hz";
    let then = ancestor.resolved.as_ref().and_then(|resolved| resolved[FIELD].as_u64());
    let now = u64::from(prepared.settings.sample_rate_hz);
    if let Some(then) = then.filter(|then| *then != now && !taken.is_empty()) {
        found.warnings.push((
            place(&[FIELD]),
            format!(
                "what is taken from {} was trained on audio at {then} Hz, here it hears {now} Hz",
                ancestor.text()
            ),
            format!("set `{FIELD}: {then}`"),
        ));
    }
}

/// What is taken and what is not, for people.
fn line(ancestor: &Ancestor, taken: &BTreeSet<String>, drawn: &[(String, String)]) -> String {
    let listed = |names: &mut dyn Iterator<Item = String>| {
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    };
    format!(
        "weights of {} for {}; as drawn: {}",
        ancestor.text(),
        listed(&mut taken.iter().cloned()),
        listed(&mut drawn.iter().map(|(name, why)| format!("{name} (it {why})")))
    )
}
