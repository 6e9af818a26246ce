//! Runs shown on an MLflow tracking server, over its REST interface.
//!
//! [`export`] makes of a run's directory what MLflow's own client would have logged: experiment, run, parameters, metrics with
//! their steps and times, tags and files. A run is found again by its id, which is a tag, so that exporting it twice adds
//! what is new and doubles nothing. Nothing of the run is changed.
//!
//! # Source
//! MLflow's REST API 2.0 (`mlflow/protos/service.proto`, `mlflow_artifacts.proto`), and its limits (`mlflow/utils/validation.py`).

mod content;
mod error;
mod server;

use std::collections::{HashMap, HashSet};

use emorun_catalogue::{Catalogue, Kind, Run};
use emorun_files::read_regular;
use indexmap::IndexMap;
use serde_json::{Value, json};

use content::{Content, GIVEN, ID, MOST_PARAM, OLD_PARAM, OWN, Point, cut};
pub use error::MlflowError;
pub use server::{Credentials, Server};

/// What a request may hold.
const METRICS_EACH: usize = 1000;
const PARAMS_EACH: usize = 100;
const TAGS_EACH: usize = 100;
/// Points of a metric that are asked for at once.
const HISTORY_EACH: &str = "20000";
/// Largest file that is exported.
const MOST_FILE: u64 = 256 << 20;
/// Where a server keeps artifacts that it takes itself.
const PROXIED: &str = "mlflow-artifacts:";

/// What was exported of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The run's id on the server.
    pub run_id: String,
    /// That of its experiment.
    pub experiment_id: String,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Points of metrics that were not there before.
    pub points: usize,
    /// Parameters that were not there before.
    pub params: usize,
    /// Files.
    pub files: usize,
    /// What a person must know.
    pub remarks: Vec<String>,
}

/// Exports a run; of one with members these too, as runs within it. Gives what was exported of each, by its place.
///
/// # Errors
/// It is no run that has begun, a file of it cannot be read, or the server cannot be reached or refuses.
pub fn export(server: &Server, catalogue: &Catalogue, run: &Run) -> Result<IndexMap<String, Exported>, MlflowError> {
    let problem = match run.kind {
        Kind::Run | Kind::Member => None,
        Kind::Sweep => Some("it is a sweep; export its runs"),
        Kind::Entered => Some("it was entered from elsewhere and is no run directory"),
    };
    if let Some(problem) = problem {
        return Err(MlflowError::Run {
            path: run.dir.clone(),
            problem: problem.to_owned(),
        });
    }
    let content = Content::of(catalogue, run)?;
    let experiment = experiment(server, &run.facts.experiment)?;
    let above = run.group.as_deref().filter(|_| run.kind == Kind::Member);
    let above = above.and_then(|place| catalogue.at(place));
    let parent = match above {
        Some(above) => find(server, &experiment, &above.facts.id)?,
        None => None,
    };
    let own = one(server, &experiment, run, &content, parent.as_deref())?;
    let id = own.run_id.clone();
    let mut exported = IndexMap::from([(run.place.clone(), own)]);
    let is_member = |other: &&Run| other.kind == Kind::Member && other.group.as_ref() == Some(&run.place);
    for member in catalogue.runs.iter().filter(is_member) {
        // One that has not begun says nothing.
        if !member.facts.id.is_empty() {
            let content = Content::of(catalogue, member)?;
            let own = one(server, &experiment, member, &content, Some(&id))?;
            exported.insert(member.place.clone(), own);
        }
    }
    Ok(exported)
}

/// The id of an experiment, which is made where there is none.
fn experiment(server: &Server, name: &str) -> Result<String, MlflowError> {
    const ACTION: &str = "find the experiment";
    let known = || server.get(ACTION, "experiments/get-by-name", &[("experiment_name", name)]);
    let found = match known() {
        Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {
            let made = server.post("make an experiment", "experiments/create", &json!({ "name": name }));
            match made {
                Ok(made) => return server.text("make an experiment", &made, "/experiment_id"),
                // Somebody else has been quicker.
                Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => known()?,
                Err(error) => return Err(error),
            }
        }
        found => found?,
    };
    let id = server.text(ACTION, &found, "/experiment/experiment_id")?;
    match found["experiment"]["lifecycle_stage"].as_str() {
        Some("deleted") => Err(MlflowError::Deleted {
            name: name.to_owned(),
            id,
        }),
        _ => Ok(id),
    }
}

/// The run that was exported before, if it was.
fn find(server: &Server, experiment: &str, id: &str) -> Result<Option<String>, MlflowError> {
    const ACTION: &str = "look for the run";
    let quoted = id.replace(['\'', '"', '\\'], "");
    let body = json!({
        "experiment_ids": [experiment], "filter": format!("tags.`{ID}` = '{quoted}'"), "max_results": 1,
    });
    let found = server.post(ACTION, "runs/search", &body)?;
    match found.pointer("/runs/0") {
        None => Ok(None),
        Some(run) => server.text(ACTION, run, "/info/run_id").map(Some),
    }
}

fn one(
    server: &Server,
    experiment: &str,
    run: &Run,
    content: &Content,
    parent: Option<&str>,
) -> Result<Exported, MlflowError> {
    let parent = parent.map(|id| ("mlflow.parentRunId".to_owned(), id.to_owned()));
    let tags: Vec<(String, String)> = content.tags.iter().cloned().chain(parent).collect();
    let known = find(server, experiment, &run.facts.id)?;
    let is_new = known.is_none();
    let run_id = match known {
        Some(run_id) => run_id,
        None => {
            let id = tags.iter().filter(|(name, _)| name == ID);
            let body = json!({
                "experiment_id": experiment, "start_time": content.started_ms, "run_name": content.name,
                // The rest comes below; by this one it is found even where that fails.
                "tags": id.map(entry).collect::<Vec<_>>(),
            });
            let made = server.post("make a run", "runs/create", &body)?;
            server.text("make a run", &made, "/run/info/run_id")?
        }
    };
    let there = server.get("read the run", "runs/get", &[("run_id", &run_id)])?;
    let mut remarks = Vec::new();
    let params = new_params(content, &there, &mut remarks);
    log_params(server, &run_id, &params)?;
    update_tags(server, &run_id, &tags, &there)?;
    let points = new_points(server, &run_id, content, &there)?;
    for part in points.chunks(METRICS_EACH) {
        let metrics: Vec<Value> = part.iter().map(|point| metric(point)).collect();
        server.post(
            "log metrics",
            "runs/log-batch",
            &json!({ "run_id": run_id, "metrics": metrics }),
        )?;
    }
    let mut state = json!({ "run_id": run_id, "status": content.status, "run_name": content.name });
    if let (Some(ended), Some(state)) = (content.ended_ms, state.as_object_mut()) {
        state.insert("end_time".to_owned(), ended.into());
    }
    server.post("end the run", "runs/update", &state)?;
    let files = put_files(server, run, &there, &mut remarks)?;
    Ok(Exported {
        run_id,
        experiment_id: experiment.to_owned(),
        is_new,
        points: points.len(),
        params: params.len(),
        files,
        remarks,
    })
}

fn entry((key, value): &(String, String)) -> Value {
    json!({ "key": key, "value": value })
}

fn metric(point: &Point) -> Value {
    json!({ "key": point.key, "value": point.value, "timestamp": point.timestamp_ms, "step": point.step })
}

/// Keys and values of a list of the run on the server.
fn entries<'a>(there: &'a Value, list: &str) -> HashMap<&'a str, &'a str> {
    let list = there["run"]["data"][list].as_array().into_iter().flatten();
    list.filter_map(|entry| Some((entry["key"].as_str()?, entry["value"].as_str().unwrap_or_default())))
        .collect()
}

/// Parameters that are not there yet. The server never changes one; what has become another is told.
fn new_params(content: &Content, there: &Value, remarks: &mut Vec<String>) -> Vec<(String, String)> {
    let known = entries(there, "params");
    let mut new = Vec::new();
    let mut changed = Vec::new();
    for (name, value) in &content.params {
        match known.get(name.as_str()) {
            None => new.push((name.clone(), value.clone())),
            Some(own) if *own == value || *own == cut(value, OLD_PARAM) => {}
            Some(_) => changed.push(name.as_str()),
        }
    }
    if !changed.is_empty() {
        let changed = changed.join(", ");
        remarks.push(format!(
            "a server never changes a parameter, and these were others when the run was first exported: {changed}"
        ));
    }
    new
}

fn log_params(server: &Server, run_id: &str, params: &[(String, String)]) -> Result<(), MlflowError> {
    for part in params.chunks(PARAMS_EACH) {
        let log = |most: usize| {
            let part = part
                .iter()
                .map(|(name, value)| entry(&(name.clone(), cut(value, most))));
            let body = json!({ "run_id": run_id, "params": part.collect::<Vec<Value>>() });
            server.post("log parameters", "runs/log-batch", &body).map(|_| ())
        };
        let is_long = part.iter().any(|(_, value)| value.chars().nth(OLD_PARAM).is_some());
        match log(MOST_PARAM) {
            // Older servers take less.
            Err(MlflowError::Refused {
                status: 400, message, ..
            }) if is_long && message.contains("length") => {
                log(OLD_PARAM)?;
            }
            logged => logged?,
        }
    }
    Ok(())
}

/// Sets the tags that are others there, and removes those of ours that the run no longer has.
fn update_tags(server: &Server, run_id: &str, tags: &[(String, String)], there: &Value) -> Result<(), MlflowError> {
    let known = entries(there, "tags");
    let is_other = |(name, value): &&(String, String)| known.get(name.as_str()) != Some(&value.as_str());
    let changed: Vec<Value> = tags.iter().filter(is_other).map(entry).collect();
    for part in changed.chunks(TAGS_EACH) {
        server.post("set tags", "runs/log-batch", &json!({ "run_id": run_id, "tags": part }))?;
    }
    let own: HashSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
    let is_ours = |name: &str| name.starts_with(OWN) || name.starts_with(GIVEN) || name == "mlflow.note.content";
    let mut gone: Vec<&str> = known
        .into_keys()
        .filter(|name| is_ours(name) && !own.contains(name))
        .collect();
    gone.sort_unstable();
    for name in gone {
        server.post(
            "remove a tag",
            "runs/delete-tag",
            &json!({ "run_id": run_id, "key": name }),
        )?;
    }
    Ok(())
}

/// The points that are not there yet: some servers keep a point twice that is logged twice.
fn new_points<'a>(
    server: &Server,
    run_id: &str,
    content: &'a Content,
    there: &Value,
) -> Result<Vec<&'a Point>, MlflowError> {
    let own = there["run"]["data"]["metrics"].as_array().into_iter().flatten();
    let mut known: HashSet<(String, u64, i64, u64)> = HashSet::new();
    for name in own.filter_map(|metric| metric["key"].as_str()) {
        if content.points.iter().any(|point| point.key == name) {
            history(server, run_id, name, &mut known)?;
        }
    }
    let is_new = |point: &&Point| {
        let value = (point.value + 0.0).to_bits();
        !known.contains(&(point.key.clone(), point.step, point.timestamp_ms, value))
    };
    Ok(content.points.iter().filter(is_new).collect())
}

/// Adds the points of a metric: name, step, time, and the bits of the value.
fn history(
    server: &Server,
    run_id: &str,
    name: &str,
    known: &mut HashSet<(String, u64, i64, u64)>,
) -> Result<(), MlflowError> {
    // Some servers write whole numbers as text.
    let whole = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0);
    let mut page = String::new();
    loop {
        let mut query = vec![("run_id", run_id), ("metric_key", name), ("max_results", HISTORY_EACH)];
        if !page.is_empty() {
            query.push(("page_token", &page));
        }
        let found = server.get("read a metric", "metrics/get-history", &query)?;
        for metric in found["metrics"].as_array().into_iter().flatten() {
            let value = metric["value"].as_f64().unwrap_or(f64::NAN) + 0.0;
            let (step, timestamp) = (whole(&metric["step"]).unsigned_abs(), whole(&metric["timestamp"]));
            known.insert((name.to_owned(), step, timestamp, value.to_bits()));
        }
        match found["next_page_token"]
            .as_str()
            .filter(|next| !next.is_empty() && *next != page)
        {
            Some(next) => page = next.to_owned(),
            None => return Ok(()),
        }
    }
}

/// Puts the files of a run where the server keeps them, if it takes them itself, and gives how many.
fn put_files(server: &Server, run: &Run, there: &Value, remarks: &mut Vec<String>) -> Result<usize, MlflowError> {
    let place = there["run"]["info"]["artifact_uri"].as_str().unwrap_or_default();
    let root = place.strip_prefix(PROXIED).map(|rest| rest.trim_start_matches('/'));
    let is_elsewhere = place.strip_prefix(PROXIED).is_some_and(|rest| rest.starts_with("//"));
    let root = match root.filter(|root| !root.is_empty() && !is_elsewhere) {
        Some(root) => root,
        None => {
            remarks.push(format!(
                "no files were exported: the server keeps them at {:?} and does not take them itself (mlflow server --serve-artifacts)",
                emorun_catalogue::plain(place)
            ));
            return Ok(0);
        }
    };
    let files = content::files(run)?;
    let mut count = 0;
    for (path, name) in files {
        let bytes = match read_regular(&path, MOST_FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                remarks.push(format!("{} was not exported: {error}", path.display()));
                continue;
            }
        };
        server.put_artifact(&format!("{root}/{}", encoded(&name)), &bytes)?;
        count += 1;
    }
    Ok(count)
}

/// A path as it stands in an address.
fn encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
