//! A server that holds what it is sent in memory, keeps a point twice that is logged twice, and refuses what MLflow does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How the server is.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Longest value of a parameter.
    pub param: usize,
    /// Where artifacts are kept.
    pub artifacts: &'static str,
    /// Answers everything so, if it does.
    pub always: Option<(u16, &'static str)>,
    /// State of the experiment.
    pub stage: &'static str,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            param: 6000,
            artifacts: "mlflow-artifacts:/0/RUN/artifacts",
            always: None,
            stage: "active",
        }
    }
}

#[derive(Debug, Default)]
pub struct State {
    pub requests: Vec<Request>,
    pub runs: Vec<Value>,
    pub metrics: Vec<(String, Value)>,
    pub files: Vec<(String, Vec<u8>)>,
    experiment: Option<String>,
}

pub struct Stub {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

impl Stub {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &shared, &manner);
            }
        });
        Self { address, state }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, manner: &Manner) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return;
    };
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request {
        method,
        path,
        authorization,
        body,
    };
    let mut state = state.lock().unwrap();
    let (status, text) = match manner.always {
        Some((status, text)) => (status, text.to_owned()),
        None => {
            let (status, value) = state.answer(&request, manner);
            (status, value.to_string())
        }
    };
    state.requests.push(request);
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all((head + &text).as_bytes());
}

fn refused(code: &str, message: &str) -> (u16, Value) {
    let status = if code == "RESOURCE_DOES_NOT_EXIST" { 404 } else { 400 };
    (status, json!({ "error_code": code, "message": message }))
}

impl State {
    fn answer(&mut self, request: &Request, manner: &Manner) -> (u16, Value) {
        if let Some(place) = request.path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/") {
            assert_eq!(request.method, "PUT");
            self.files.retain(|(own, _)| own != place);
            self.files.push((place.to_owned(), request.body.clone()));
            return (200, json!({}));
        }
        let place = request.path.strip_prefix("/api/2.0/mlflow/").unwrap();
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        match place {
            "experiments/get-by-name" => match &self.experiment {
                Some(name) => {
                    let own = json!({ "experiment_id": "7", "name": name, "lifecycle_stage": manner.stage });
                    (200, json!({ "experiment": own }))
                }
                None if manner.stage == "deleted" => {
                    let own = json!({ "experiment_id": "7", "lifecycle_stage": "deleted" });
                    (200, json!({ "experiment": own }))
                }
                None => refused("RESOURCE_DOES_NOT_EXIST", "no such experiment"),
            },
            "experiments/create" => {
                self.experiment = Some(request.json()["name"].as_str().unwrap().to_owned());
                (200, json!({ "experiment_id": "7" }))
            }
            "runs/search" => {
                let asked = request.json();
                let filter = asked["filter"].as_str().unwrap();
                let id = filter
                    .strip_prefix("tags.`emorun.id` = '")
                    .unwrap()
                    .trim_end_matches('\'');
                let is_it = |run: &&Value| run["tags"]["emorun.id"] == id;
                let found: Vec<Value> = self.runs.iter().filter(is_it).map(|run| self.shown(run)).collect();
                (200, json!({ "runs": found }))
            }
            "runs/create" => {
                let body = request.json();
                let id = format!("r{}", self.runs.len());
                let tag = &body["tags"][0];
                let run = json!({
                    "id": id, "name": body["run_name"], "started": body["start_time"], "status": "RUNNING", "ended": null,
                    "params": {}, "tags": { tag["key"].as_str().unwrap(): tag["value"] },
                    "artifacts": manner.artifacts.replace("RUN", &id),
                });
                self.runs.push(run.clone());
                (200, json!({ "run": self.shown(&run) }))
            }
            "runs/get" => {
                let id = query.strip_prefix("run_id=").unwrap();
                let run = self.runs.iter().find(|run| run["id"] == id).unwrap();
                (200, json!({ "run": self.shown(run) }))
            }
            "runs/update" => {
                let body = request.json();
                let run = self.run(&body);
                run["status"] = body["status"].clone();
                run["ended"] = body["end_time"].clone();
                (200, json!({}))
            }
            "runs/delete-tag" => {
                let body = request.json();
                let gone = self.run(&body)["tags"]
                    .as_object_mut()
                    .unwrap()
                    .remove(body["key"].as_str().unwrap());
                assert!(gone.is_some());
                (200, json!({}))
            }
            "runs/log-batch" => self.log(&request.json(), manner),
            "metrics/get-history" => {
                let key = query
                    .split('&')
                    .find_map(|part| part.strip_prefix("metric_key="))
                    .unwrap();
                let key = key.replace("%2F", "/");
                let own = self
                    .metrics
                    .iter()
                    .filter(|(run, metric)| query.contains(run) && metric["key"] == key);
                (
                    200,
                    json!({ "metrics": own.map(|(_, metric)| metric).collect::<Vec<_>>() }),
                )
            }
            other => panic!("asked for {other}"),
        }
    }

    fn run(&mut self, body: &Value) -> &mut Value {
        self.runs.iter_mut().find(|run| run["id"] == body["run_id"]).unwrap()
    }

    fn shown(&self, run: &Value) -> Value {
        let list = |map: &Map<String, Value>| -> Vec<Value> {
            map.iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect()
        };
        let own = self.metrics.iter().filter(|(id, _)| run["id"] == *id);
        let mut metrics: Vec<Value> = Vec::new();
        for (_, metric) in own {
            if metrics.iter().all(|known| known["key"] != metric["key"]) {
                metrics.push(metric.clone());
            }
        }
        json!({
            "info": { "run_id": run["id"], "artifact_uri": run["artifacts"] },
            "data": {
                "params": list(run["params"].as_object().unwrap()), "tags": list(run["tags"].as_object().unwrap()), "metrics": metrics,
            },
        })
    }

    fn log(&mut self, body: &Value, manner: &Manner) -> (u16, Value) {
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let (metrics, params, tags) = (list("metrics"), list("params"), list("tags"));
        if metrics.len() > 1000 || params.len() > 100 || tags.len() > 100 || body.to_string().len() > 1_000_000 {
            return refused("INVALID_PARAMETER_VALUE", "a batch logging request holds too much");
        }
        let is_name = |entry: &Value| {
            let key = entry["key"].as_str().unwrap();
            let is_letter = |letter: char| letter.is_alphanumeric() || "_-. /".contains(letter);
            !key.is_empty() && key.chars().count() <= 250 && key.chars().all(is_letter) && !key.contains("//")
        };
        if !metrics.iter().chain(&params).chain(&tags).all(is_name) {
            return refused("INVALID_PARAMETER_VALUE", "invalid name");
        }
        for entry in &params {
            let (key, value) = (entry["key"].as_str().unwrap(), entry["value"].as_str().unwrap());
            if value.chars().count() > manner.param {
                return refused("INVALID_PARAMETER_VALUE", "Param value exceeds the maximum length");
            }
            let known = &self.run(body)["params"][key];
            if !known.is_null() && known != value {
                return refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed");
            }
        }
        for (name, entries) in [("params", &params), ("tags", &tags)] {
            for entry in entries {
                self.run(body)[name][entry["key"].as_str().unwrap()] = entry["value"].clone();
            }
        }
        let id = body["run_id"].as_str().unwrap();
        self.metrics
            .extend(metrics.into_iter().map(|metric| (id.to_owned(), metric)));
        (200, json!({}))
    }
}
