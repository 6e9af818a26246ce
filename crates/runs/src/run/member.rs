//! One run: one split, one seed, one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use emorun_data::{Assignment, SplitName};
use emorun_files::Files;
use emorun_metrics::{Metric, Predicts};
use emorun_tensorboard::HParam;
use indexmap::IndexMap;
use serde_json::Value;

use super::curves;
use super::dir::{RunDir, read_json};
use super::evaluated::{self, Basis, Origin};
use super::html;
use super::last_words::LastWords;
use super::misclassified;
use super::record::{Git, RunRecord, Status, Versions, new_id, timestamp};
use super::report;
use super::resume::started_in;
use super::summary::{Seconds, SplitSummary, Summary};
use emorun_engine::device::Chosen;
use emorun_engine::exit::{Failure, guarded};
use emorun_engine::feed::Feed;
use emorun_engine::feed::host::HostPipeline;
use emorun_engine::settings::FinalWeights;
use emorun_engine::train::checkpoint::Store;
use emorun_engine::train::evaluate::evaluate;
use emorun_engine::train::journal::{Journal, Line};
use emorun_engine::train::result::SplitResult;
use emorun_engine::train::state::LoopState;
use emorun_engine::train::{Abort, StepNames, Trained, Trainer, final_weights};
use emorun_evaluation::{Evaluation, Protocol, Run, Weights};
use emorun_experiment::prepare::Prepared;
use emorun_nodes::network::Network;

/// What makes a member of an experiment.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    /// Fold and seed as folders, such as `fold-1/seed-42`; empty for a run of its own.
    pub path: String,
    /// Which of the experiment's assignments.
    pub assignment: usize,
    /// Seed of weights, order and draws.
    pub seed: u64,
}

/// The result of a member, with what its report needs.
#[derive(Debug)]
pub struct MemberResult {
    /// What is stored.
    pub summary: Summary,
    /// The final evaluation; `None` for a member that was completed before.
    pub splits: Option<IndexMap<SplitName, SplitResult>>,
    /// Lines and events that could not be logged.
    pub unlogged: u64,
}

/// The files that make a run directory complete by itself.
///
/// # Errors
/// A file cannot be written.
pub fn write_experiment(dir: &RunDir, prepared: &Prepared) -> Result<(), Failure> {
    dir.write("experiment.yaml", prepared.given.as_bytes())?;
    dir.write("resolved.yaml", prepared.resolved_yaml().as_bytes())?;
    let diagram = prepared.diagram();
    dir.write("report/graph.svg", diagram.to_svg().as_bytes())
}

/// The record of a run that starts now.
pub fn new_record(prepared: &Prepared, device: &Chosen) -> RunRecord {
    RunRecord {
        status: Status::Running,
        id: new_id(),
        name: prepared.settings.name.clone(),
        seed: None,
        fold: None,
        parent: None,
        set: prepared.sets.clone(),
        config_hash: prepared.config_hash(),
        resolved: Value::Null,
        changes: Vec::new(),
        versions: Versions::default(),
        git: Git::of(&prepared.folder),
        device: Some(device.name.to_string()),
        started: timestamp(),
        ended: None,
        members: Vec::new(),
        data: prepared.data_facts(),
        classes: prepared.classes(),
        outputs: prepared.output_names(),
        weights: prepared.weights_facts(prepared.settings.seed),
        files: prepared.file_hashes(),
        started_from: None,
        ancestry: Some(prepared.ancestry.clone()),
        certificate: Value::Null,
        peak_memory_bytes: None,
        unlogged: 0,
        error: None,
        exit_code: None,
    }
}

/// Runs a member in its directory, from its newest checkpoint if it has one.
///
/// # Errors
/// Training, evaluation or writing failed; `run.json` says so.
pub fn run(
    prepared: &Prepared,
    spec: &MemberSpec,
    dir: &RunDir,
    parent: Option<&Path>,
    device: &Chosen,
) -> Result<MemberResult, Failure> {
    let started = Instant::now();
    let assignment = &prepared.assignments[spec.assignment];
    let certificate = serde_json::to_value(&assignment.certificate).map_err(|error| Failure::Bug(error.to_string()))?;
    let known = dir.path().join("run.json");
    let mut record = if known.is_file() {
        let mut record: RunRecord = read_json(&known)?;
        record.check_data(&prepared.data_facts(), &certificate, dir.path())?;
        record.check_identity(prepared, |_| true, dir.path())?;
        record.say_if_cut_short(dir.path());
        record.go_on();
        record.device = Some(device.name.to_string());
        record
    } else {
        write_experiment(dir, prepared)?;
        RunRecord {
            seed: Some(spec.seed),
            fold: assignment.label.clone(),
            parent: parent.map(|parent| parent.display().to_string()),
            resolved: parent.map_or_else(|| prepared.resolved.clone(), |_| Value::Null),
            weights: prepared.weights_facts(spec.seed),
            certificate,
            ..new_record(prepared, device)
        }
    };
    dir.write_json("run.json", &record)?;
    let last_words = LastWords::of(dir.path(), &record);
    let begun = guarded(|| begin(prepared, spec, (dir, parent), device, &mut record));
    drop(last_words);
    // Again, with what the run has begun from.
    let last_words = LastWords::of(dir.path(), &record);
    let outcome = begun
        .and_then(|begun| guarded(|| train_and_evaluate(prepared, spec, dir, device, (&record.id, begun), started)));
    drop(last_words);
    record.end(&outcome);
    record.unlogged += outcome.as_ref().map_or(0, |result| result.unlogged);
    match (dir.write_json("run.json", &record), outcome) {
        (Ok(()), outcome) => outcome,
        // The first failure is what the user must hear of.
        (Err(_), Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
    }
}

fn train_and_evaluate(
    prepared: &Prepared,
    spec: &MemberSpec,
    dir: &RunDir,
    device: &Chosen,
    (run_id, (trainer, network)): (&str, (Trainer<'_>, Network)),
    started: Instant,
) -> Result<MemberResult, Failure> {
    let settings = &prepared.settings;
    let assignment = &prepared.assignments[spec.assignment];
    let trainer = Trainer {
        dir: dir.path().to_owned(),
        run_id: run_id.to_owned(),
        files: dir.files().clone(),
        ..trainer
    };
    let feed = trainer.feed.clone();
    let abort = |abort: Abort| abort.into_failure(dir.path());
    let Trained {
        network,
        state,
        mut journal,
    } = trainer
        .run(network, |journal| open_journal(prepared, spec, journal))
        .map_err(abort)?;
    journal.trained();
    let names = StepNames::new(spec.seed);
    let mut splits = IndexMap::new();
    for (name, items) in [
        (SplitName::Train, &assignment.train),
        (SplitName::Validation, &assignment.validation),
        (SplitName::Test, &assignment.test),
    ] {
        if items.is_empty() {
            continue;
        }
        let result = evaluate(&network, &feed, items, settings, &names, &device.device)
            .map_err(|found| abort(found.within(&format!("final evaluation on {name}"))))?;
        journal.line(
            state.step,
            state.epoch,
            &format!("final_{name}"),
            &Line {
                metrics: result.named(),
                ..Line::default()
            },
        );
        splits.insert(name, result);
    }
    write_predictions(dir, &feed, &mut journal, state.step, &splits)?;
    let heard = prepared.heard_before(assignment);
    let text = report::text(&splits)
        + &report::claims(&assignment.certificate)
        + &report::heard_text(&heard, &prepared.ancestry);
    dir.write("report/report.txt", text.as_bytes())?;
    let evaluation = evaluation(prepared, spec, device, &state, &splits)?;
    let own_side = |side: &str| side.to_owned();
    let read = evaluated::text(&evaluation, own_side, |_| "");
    dir.write("report/evaluation.txt", read.as_bytes())?;
    dir.write(evaluated::FILE, &evaluated::bytes(&evaluation)?)?;
    let mut below = |name: &str, bytes: &[u8]| dir.write(&format!("report/{name}"), bytes);
    misclassified::save(&feed.items, settings, &splits, &mut below)?;
    journal.completed();
    let unlogged = journal.close();
    if unlogged > 0 {
        tracing::warn!("{unlogged} lines of metrics or TensorBoard events could not be written");
    }
    curves::draw(dir, &[dir.path().to_owned()], &shown_metrics(prepared))?;
    html::write(dir);
    let summary = Summary {
        status: "completed".into(),
        splits: splits
            .iter()
            .map(|(name, result)| (name.to_string(), SplitSummary::from(result)))
            .collect(),
        best: state.best,
        intervals: evaluated::intervals(&evaluation),
        heard_before: heard,
        seconds: Seconds {
            train: state.seconds,
            checkpoints: state.checkpoint_seconds,
            total: started.elapsed().as_secs_f64(),
        },
    };
    dir.write_json("summary.json", &summary)?;
    Ok(MemberResult {
        summary,
        splits: Some(splits),
        unlogged,
    })
}

/// A table of each head's predictions, and confusion matrices.
fn write_predictions(
    dir: &RunDir,
    feed: &Feed,
    journal: &mut Journal,
    step: u64,
    splits: &IndexMap<SplitName, SplitResult>,
) -> Result<(), Failure> {
    for head in splits
        .values()
        .next()
        .map(|split| split.classifiers().map(|(head, ..)| head.clone()).collect::<Vec<_>>())
        .unwrap_or_default()
    {
        let csv = report::predictions_csv(&feed.items, &head, splits)?;
        dir.write(&format!("report/predictions.{head}.csv"), &csv)?;
        draw_confusions(dir, journal, step, &head, splits)?;
    }
    let first = splits.values().next();
    for head in first
        .map(|split| split.regressors().map(|(head, ..)| head.clone()).collect::<Vec<_>>())
        .unwrap_or_default()
    {
        let csv = report::estimates_csv(&feed.items, &head, splits)?;
        dir.write(&format!("report/predictions.{head}.csv"), &csv)?;
    }
    Ok(())
}

/// What is known of the member's predictions on its validation and test sides.
fn evaluation(
    prepared: &Prepared,
    spec: &MemberSpec,
    device: &Chosen,
    state: &LoopState,
    splits: &IndexMap<SplitName, SplitResult>,
) -> Result<Evaluation, Failure> {
    let assignment = &prepared.assignments[spec.assignment];
    let is_best = final_weights(&prepared.settings, &assignment.validation) == FinalWeights::Best;
    let best = state.best.as_ref().filter(|_| is_best);
    let datasets = prepared.corpus.datasets.as_object();
    let basis = Basis {
        items: &prepared.corpus.items,
        classes: &prepared.corpus.label_sets,
        columns: &prepared.predicted_columns(),
        training: &prepared.class_counts(assignment),
        readers: &evaluated::readers(&prepared.corpus.items, &assignment.train, &prepared.corpus.label_sets)?,
        settings: &prepared.settings,
        seed: spec.seed,
        several_models: false,
    };
    let origin = Origin {
        pooled: None,
        run: Run {
            name: prepared.settings.name.clone(),
            seed: spec.seed,
            fold: assignment.label.clone(),
            weights: Weights {
                which: if best.is_some() { "best" } else { "last" }.to_owned(),
                step: best.map_or(state.step, |best| best.step),
                epoch: best.map(|best| best.epoch),
            },
            device: device.name.to_string(),
        },
        protocol: Protocol {
            datasets: datasets.map_or_else(Vec::new, |datasets| datasets.keys().cloned().collect()),
            own_data: true,
            split: prepared.resolved["split"].clone(),
            selection: evaluated::selection(best),
        },
        remarks: Vec::new(),
    };
    let held_out = splits.iter().filter(|(side, _)| **side != SplitName::Train);
    let held_out = held_out.map(|(side, result)| (*side, result.clone())).collect();
    basis.evaluation(origin, &held_out, None)
}

/// The training of a member and its network, which has the weights that it begins with; those from elsewhere are noted
/// in its record. A member that has a checkpoint goes on from that.
fn begin<'a>(
    prepared: &'a Prepared,
    spec: &MemberSpec,
    (dir, parent): (&RunDir, Option<&Path>),
    device: &Chosen,
    record: &mut RunRecord,
) -> Result<(Trainer<'a>, Network), Failure> {
    let Some(from) = &prepared.settings.init_from else {
        return assemble(prepared, spec, device);
    };
    for line in prepared.heard_lines(&prepared.assignments[spec.assignment]) {
        tracing::warn!("{line}");
    }
    let (trainer, mut network) = assemble(prepared, spec, device)?;
    if Store::in_folder(dir.path().join("checkpoints")).has_any()? {
        return Ok((trainer, network));
    }
    let started = super::init::initialise(prepared, &mut network, from, spec.seed)?;
    // Members are pooled, so that all of them begin with the same.
    let before = match &record.started_from {
        Some(then) => Some((dir.path().to_owned(), then.clone())),
        None => parent.and_then(started_in),
    };
    if let Some((place, then)) = before.filter(|(_, then)| then.hash != started.hash) {
        return Err(Failure::Conflict(format!(
            "the weights of {} are not those that {} began with: then they had the hash {}, now {}; put them back, or start a new run instead",
            started.from,
            place.display(),
            then.hash,
            started.hash
        )));
    }
    record.started_from = Some(started);
    dir.write_json("run.json", record)?;
    Ok((trainer, network))
}

/// The training of a member, of which nothing is written anywhere yet, and the network that it starts
/// from.
///
/// # Errors
/// Weights that cannot be read or used.
pub fn set_up<'a>(
    prepared: &'a Prepared,
    spec: &MemberSpec,
    device: &Chosen,
) -> Result<(Trainer<'a>, Network), Failure> {
    let (trainer, mut network) = assemble(prepared, spec, device)?;
    if let Some(from) = &prepared.settings.init_from {
        super::init::initialise(prepared, &mut network, from, spec.seed)?;
    }
    Ok((trainer, network))
}

/// The training of a member and its network as it is drawn.
fn assemble<'a>(prepared: &'a Prepared, spec: &MemberSpec, device: &Chosen) -> Result<(Trainer<'a>, Network), Failure> {
    let settings = &prepared.settings;
    let assignment = &prepared.assignments[spec.assignment];
    let pipeline = HostPipeline::new(
        settings.sample_rate_hz,
        prepared.host_parts(spec.seed, device.kind())?,
        settings.training.loader.memory_mib.saturating_mul(1 << 20),
    );
    let autodiff = device.device.clone().autodiff();
    let others = device.beside(settings.training.devices)?;
    let network = build(prepared, assignment, spec.seed, &autodiff)?;
    let trainer = Trainer {
        settings,
        seed: spec.seed,
        feed: Feed {
            items: prepared.corpus.items.clone(),
            pipeline: Arc::new(pipeline),
            labels: prepared.label_columns().into(),
            workers: settings.training.loader.workers,
            ahead: settings.training.loader.ahead(),
        },
        train: &assignment.train,
        validation: &assignment.validation,
        best_metric: best_metric(prepared),
        device: autodiff,
        others,
        dir: PathBuf::new(),
        run_id: String::new(),
        files: Files::default(),
        label: if spec.path.is_empty() {
            settings.name.clone()
        } else {
            format!("{} {}", settings.name, spec.path)
        },
    };
    Ok((trainer, network))
}

/// The network of a member, with class weights from its training items.
fn build(
    prepared: &Prepared,
    assignment: &Assignment,
    seed: u64,
    device: &burn::tensor::Device,
) -> Result<Network, Failure> {
    let counts = prepared.class_counts(assignment);
    Ok(
        Network::build(prepared.wired()?, &counts, &prepared.facts, seed, device)?
            .with_precision(prepared.settings.precision),
    )
}

/// The heads of an experiment with what they predict, those of classes first.
fn heads(prepared: &Prepared) -> impl Iterator<Item = (String, Predicts)> {
    let classifiers = prepared.heads().into_iter().map(|head| (head, Predicts::Classes));
    let regressors = prepared.regressors().into_iter().map(|head| (head, Predicts::Numbers));
    let frames = prepared.frame_regressors().into_iter();
    let frames = frames.map(|head| (head, Predicts::Frames));
    classifiers.chain(regressors).chain(frames)
}

/// The metric that chooses the best epoch: the first that is shown of the first head where the file names none.
fn best_metric(prepared: &Prepared) -> String {
    let evaluation = &prepared.settings.evaluation;
    let of_head = |(head, predicts): (String, Predicts)| {
        let shown = evaluation.shown(predicts).into_iter();
        let metric = shown.chain(Metric::always(predicts).iter().copied()).next()?;
        Some(format!("{head}.{}", metric.name()))
    };
    let best = evaluation.best.clone();
    best.or_else(|| of_head(heads(prepared).next()?))
        .unwrap_or_else(|| "loss".into())
}

/// The metrics of an experiment's heads that are shown, `<head>.<metric>`.
pub fn shown_metrics(prepared: &Prepared) -> Vec<String> {
    let evaluation = &prepared.settings.evaluation;
    let of_head = |(head, predicts): (String, Predicts)| {
        let shown = evaluation.shown(predicts).into_iter();
        shown.map(move |metric| format!("{head}.{}", metric.name()))
    };
    heads(prepared).flat_map(of_head).collect()
}

/// What stands at the start of a run's events: configuration, graph, hyperparameters.
fn open_journal(prepared: &Prepared, spec: &MemberSpec, journal: &mut Journal) {
    journal.text("experiment", 0, &format!("```yaml\n{}\n```", prepared.resolved_yaml()));
    match prepared.diagram().to_png() {
        Ok(png) => journal.image("figures/graph", 0, &png.bytes),
        Err(error) => tracing::warn!("the graph was not drawn: {error}"),
    }
    let (group, values) = hyperparameters(prepared, spec);
    journal.hparams(&group, &values);
}

/// The hyperparameters of a member by dotted path, and the group of runs that repeat it: those of the same experiment
/// that differ in nothing but seed and fold.
fn hyperparameters(prepared: &Prepared, spec: &MemberSpec) -> (String, Vec<(String, HParam)>) {
    let mut values = Vec::new();
    flatten(&prepared.resolved, "", &mut values);
    let settings: Vec<u8> = values
        .iter()
        .flat_map(|(name, value)| format!("{name}={value:?}\n").into_bytes())
        .collect();
    let hash = blake3::hash(&settings).to_hex();
    let group = format!("{} {}", prepared.settings.name, &hash[..8]);
    values.push(("seed".to_owned(), HParam::Number(spec.seed as f64)));
    let fold = &prepared.assignments[spec.assignment].label;
    values.extend(fold.iter().map(|fold| ("fold".to_owned(), HParam::Text(fold.clone()))));
    (group, values)
}

/// Numbers, words and switches of the settings and nodes by dotted path.
fn flatten(value: &Value, path: &str, values: &mut Vec<(String, HParam)>) {
    // What makes no other experiment: names, seeds, which stand beside, and what is written and how fast.
    const APART: [&str; 7] = [
        "name",
        "description",
        "seed",
        "training.seeds",
        "training.loader",
        "training.checkpoints",
        "logging",
    ];
    let hparam = match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                if !APART.contains(&path.as_str()) {
                    flatten(value, &path, values);
                }
            }
            return;
        }
        Value::Number(number) => number.as_f64().map(HParam::Number),
        Value::Bool(switch) => Some(HParam::Bool(*switch)),
        Value::String(text) => Some(HParam::Text(text.clone())),
        Value::Array(_) => Some(HParam::Text(value.to_string())),
        Value::Null => None,
    };
    values.extend(hparam.map(|hparam| (path.to_owned(), hparam)));
}

fn draw_confusions(
    dir: &RunDir,
    journal: &mut Journal,
    step: u64,
    head: &str,
    splits: &IndexMap<SplitName, SplitResult>,
) -> Result<(), Failure> {
    for (name, result) in splits {
        let Some(rows) = result.classes(head) else { continue };
        let title = format!("{head}, {name}");
        let counts = rows.confusion();
        match emorun_figures::confusion_matrix(&title, counts.labels(), counts.rows()) {
            Ok(figure) => {
                dir.write(
                    &format!("report/confusion.{head}.{name}.svg"),
                    figure.to_svg().as_bytes(),
                )?;
                match figure.to_png() {
                    Ok(png) => journal.image(&format!("figures/confusion_final/{head}/{name}"), step, &png.bytes),
                    Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
                }
            }
            Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
        }
    }
    Ok(())
}
