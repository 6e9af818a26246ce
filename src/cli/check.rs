//! `emorun check`: everything that can be known before training.

use std::fmt::Write as _;

use clap::Args;
use emorun_data::Assignment;
use emorun_lang::{Report, Schedule, Sources};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::file_kind::FileKind;
use super::{Common, ExperimentArguments, Format, print};
use emorun_engine::exit::Failure;
use emorun_engine::memory::mib;
use emorun_engine::settings::{Batching, ByLength, Training};
use emorun_engine::terminal::{is_terminal, tell, write_stderr};
use emorun_engine::train::batches::{epoch_batches, padding_share};
use emorun_experiment::prepare::{Caching, Depth, Prepared, prepare};
use emorun_runs::run::parent;
use emorun_runs::run::report::{heard_text, table};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Check the file alone: neither corpora nor weights are needed.
    #[arg(long, conflicts_with = "deep")]
    structure: bool,
    /// Also decode every file of the corpora.
    #[arg(long)]
    deep: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn check(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    FileKind::Experiment.expect(&arguments.experiment.experiment)?;
    let source = arguments.experiment.source(common);
    let depth = match (arguments.structure, arguments.deep) {
        (true, _) => Depth::Structure,
        (_, true) => Depth::Deep,
        _ => Depth::Metadata,
    };
    let json = arguments.format == Format::Json;
    let mut diagnostics = Value::Array(Vec::new());
    let outcome = prepare(&source, depth, &mut |report, sources| {
        diagnostics = report.to_json(sources);
        if !json {
            write(report, sources, common.format);
        }
    });
    match outcome {
        Ok(prepared) => {
            if json {
                print(&format!(
                    "{:#}\n",
                    json!({ "ok": true, "diagnostics": diagnostics, "plan": plan_json(&prepared) })
                ));
            } else {
                print(&plan_text(&prepared));
            }
            Ok(())
        }
        Err(failure) => {
            if json {
                print(&format!(
                    "{:#}\n",
                    json!({ "ok": false, "diagnostics": diagnostics, "plan": null })
                ));
            }
            Err(failure)
        }
    }
}

/// Writes diagnostics to stderr.
pub(super) fn write(report: &Report, sources: &Sources, format: Format) {
    if report.is_empty() {
        return;
    }
    match format {
        Format::Human => write_stderr(&report.render(sources, is_terminal())),
        Format::Json => {
            for diagnostic in report.to_json(sources).as_array().into_iter().flatten() {
                tell(&diagnostic.to_string());
            }
        }
    }
}

/// Share of padding that sorting must save to be worth a word.
const WORTH_SORTING: f64 = 0.05;
/// Speakers of a side that are listed; large corpora have thousands.
const SPEAKERS_SHOWN: usize = 100;

/// Hours of audio, steps and work of an epoch of training.
struct Epoch {
    items: usize,
    hours: f64,
    steps: u64,
    gflop: f64,
    /// Share of its batches that is padding, and what it would be with batches of like length.
    padding: f64,
    padding_by_length: f64,
}

fn epoch(prepared: &Prepared) -> Option<Epoch> {
    let assignment = prepared
        .assignments
        .iter()
        .max_by_key(|assignment| assignment.train.len())?;
    let items = &prepared.corpus.items;
    let seconds: f64 = assignment.train.iter().map(|&item| items.durations_s()[item]).sum();
    let training = &prepared.settings.training;
    let batches = |training: &Training| epoch_batches(training, items, &assignment.train, prepared.settings.seed, 0);
    let share = |batches: &[Vec<usize>]| padding_share(items, batches);
    let first = batches(training);
    let mut forward = 0.0;
    let mut trained = 0.0;
    for node in prepared.plan().running(Schedule::Train) {
        let flops = node.cost.flops_per_second * seconds + node.cost.flops_per_item * assignment.train.len() as f64;
        forward += flops;
        if !node.frozen {
            trained += flops;
        }
    }
    Some(Epoch {
        items: assignment.train.len(),
        hours: seconds / 3600.0,
        steps: first.len().div_ceil(training.accumulate) as u64,
        // The backward pass computes gradients of inputs and of weights: twice the forward work.
        gflop: (forward + 2.0 * trained) / 1e9,
        padding: share(&first),
        padding_by_length: share(&batches(&Training {
            batching: Batching::ByLength(ByLength::default()),
            ..training.clone()
        })),
    })
}

fn plan_text(prepared: &Prepared) -> String {
    let mut text = prepared.plan().render_table();
    let total = prepared.plan().cost();
    let _ = writeln!(
        text,
        "\nparameters: {} ({} trainable, {} frozen)",
        total.parameters,
        total.trainable,
        total.parameters - total.trainable
    );
    add_computation(prepared, &mut text);
    for remark in prepared.remarks().into_iter().chain(prepared.memory_remark()) {
        let _ = writeln!(text, "remark: {remark}");
    }
    let members = parent::members(prepared);
    if members.len() > 1 {
        let _ = writeln!(
            text,
            "members: {} ({} to {})",
            members.len(),
            members[0].path,
            members[members.len() - 1].path
        );
    }
    for assignment in &prepared.assignments {
        add_split(prepared, assignment, &mut text);
    }
    text
}

/// What is computed, where it is kept and what it takes.
fn add_computation(prepared: &Prepared, text: &mut String) {
    if let Some(need) = prepared.need() {
        let free = need
            .free
            .map_or_else(String::new, |free| format!(" of {} that are free", mib(free)));
        let longest = prepared.longest_item().map_or_else(String::new, |longest| {
            format!("; the longest training item is {longest}")
        });
        let evaluated = prepared.longest_that_decides().map_or_else(String::new, |longest| {
            format!("; the estimate is that of evaluation, whose longest item is {longest}")
        });
        let _ = writeln!(text, "peak memory: about {}{free}{longest}{evaluated}", mib(need.peak));
    }
    for (node, preparation) in prepared.preparations() {
        let how = if preparation.normalise {
            "with zero mean and unit variance"
        } else {
            "as it is"
        };
        let why = if preparation.assumed {
            "ASSUMED, without a preprocessor_config.json"
        } else {
            "preprocessor_config.json"
        };
        let _ = writeln!(text, "input: `{node}` takes each waveform {how} ({why})");
    }
    for (node, caching) in prepared.caching() {
        let _ = match caching {
            Caching::Kept(1) => writeln!(text, "cache: what is frozen of `{node}` is computed once and kept"),
            Caching::Kept(views) => writeln!(
                text,
                "cache: what is frozen of `{node}` is kept for {views} versions of each training item, taken in turn"
            ),
            Caching::Anew(versions, reason) => {
                let of = match versions {
                    1 => String::new(),
                    versions => format!(", in {versions} versions of each training item taken in turn"),
                };
                writeln!(
                    text,
                    "cache: what is frozen of `{node}` is computed for each item in every epoch{of} and not kept: {reason}"
                )
            }
            Caching::Aside(reason) => writeln!(text, "cache: `{node}` is computed in every step: {reason}"),
        };
    }
    if let Some(epoch) = epoch(prepared) {
        let _ = writeln!(
            text,
            "an epoch: {} items, {:.2} h of audio, {} steps, {:.1} GFLOP",
            epoch.items, epoch.hours, epoch.steps, epoch.gflop
        );
        let _ = write!(text, "padding: {:.1} % of a batch on average", 100.0 * epoch.padding);
        let _ = if epoch.padding - epoch.padding_by_length > WORTH_SORTING {
            writeln!(
                text,
                "; `training.batching: {{ by_length: {{}} }}` leaves {:.1} %",
                100.0 * epoch.padding_by_length
            )
        } else {
            writeln!(text)
        };
    }
}

/// Who and what is on each side of a split, and what is known of it.
fn add_split(prepared: &Prepared, assignment: &Assignment, text: &mut String) {
    let name = assignment.label.as_deref().unwrap_or("split");
    let _ = writeln!(text, "\n{name}");
    let sides = &assignment.certificate.splits;
    let rows: Vec<Vec<String>> = sides
        .iter()
        .map(|(side, facts)| {
            vec![
                side.to_string(),
                facts.items.to_string(),
                format!("{:.2} h", facts.duration_s / 3600.0),
                facts.speakers.len().to_string(),
            ]
        })
        .collect();
    text.push_str(&table(&["side", "items", "audio", "speakers"], &rows));
    if let Some(columns) = sides
        .values()
        .next()
        .map(|facts| facts.classes.keys().cloned().collect::<Vec<_>>())
    {
        for column in columns {
            let mut counts: IndexMap<&str, Vec<String>> = IndexMap::new();
            for facts in sides.values() {
                for (class, count) in facts.classes.get(&column).into_iter().flatten() {
                    counts.entry(class).or_default().push(count.to_string());
                }
            }
            let rows: Vec<Vec<String>> = counts
                .into_iter()
                .map(|(class, counts)| std::iter::once(class.to_owned()).chain(counts).collect())
                .collect();
            let names: Vec<String> = sides.keys().map(ToString::to_string).collect();
            let header: Vec<&str> = std::iter::once(column.as_str())
                .chain(names.iter().map(String::as_str))
                .collect();
            text.push('\n');
            text.push_str(&table(&header, &rows));
        }
    }
    for (side, facts) in sides {
        let mut speakers: Vec<String> = facts
            .speakers
            .iter()
            .take(SPEAKERS_SHOWN)
            .map(|(speaker, items)| format!("{speaker} ({items})"))
            .collect();
        if facts.speakers.len() > SPEAKERS_SHOWN {
            speakers.push(format!("and {} more", facts.speakers.len() - SPEAKERS_SHOWN));
        }
        let _ = writeln!(
            text,
            "{side} speakers: {}",
            if speakers.is_empty() {
                "none".into()
            } else {
                speakers.join(", ")
            }
        );
    }
    for claim in assignment.certificate.claims() {
        let _ = writeln!(text, "{claim}");
    }
    text.push_str(heard_text(&prepared.heard_before(assignment), &prepared.ancestry).trim_start());
}

fn plan_json(prepared: &Prepared) -> Value {
    let mut plan = serde_json::to_value(prepared.plan()).unwrap_or_default();
    if let Value::Object(plan) = &mut plan {
        if let Some(need) = prepared.need() {
            plan.insert("peak_memory_bytes".into(), json!(need.peak));
            plan.insert("free_memory_bytes".into(), json!(need.free));
        }
        plan.insert("longest_training_item".into(), json!(prepared.longest_item()));
        if let Some(epoch) = epoch(prepared) {
            plan.insert(
                "epoch".into(),
                json!({ "items": epoch.items, "hours": epoch.hours, "steps": epoch.steps, "gflop": epoch.gflop, "padding": epoch.padding }),
            );
        }
        let members: Vec<String> = parent::members(prepared)
            .into_iter()
            .map(|member| member.path)
            .collect();
        plan.insert("members".into(), json!(members));
        let splits: Vec<Value> = prepared
            .assignments
            .iter()
            .map(|assignment| {
                json!({
                    "fold": assignment.label,
                    "certificate": assignment.certificate,
                    "claims": assignment.certificate.claims(),
                    "heard_before": prepared.heard_before(assignment),
                })
            })
            .collect();
        plan.insert("splits".into(), Value::Array(splits));
        plan.insert("inputs".into(), json!(prepared.preparations()));
        plan.insert("ancestry".into(), json!(prepared.ancestry));
        let remarks: Vec<String> = prepared.remarks().into_iter().chain(prepared.memory_remark()).collect();
        plan.insert("remarks".into(), json!(remarks));
    }
    plan
}
