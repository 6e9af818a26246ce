//! `emorun embed`: what a node gives, as a file of features.

use std::path::PathBuf;

use clap::Args;
use emorun_features::Precision;

use super::{Common, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::Source;
use emorun_runs::run::embed::{Request, embed as write, recordings};
use emorun_runs::run::trained::TrainedRun;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An experiment file, or the directory of a run, whose weights are then used.
    experiment: PathBuf,
    /// Recordings, and folders of which all recordings are taken; all items of the experiment's corpora when left out.
    files: Vec<PathBuf>,
    /// The node, or NODE.PORT, whose output is written.
    #[arg(long, value_name = "NODE")]
    node: String,
    /// The .safetensors file to write, with a tensor for each recording named by its path.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replaces --out if it is there, once the new file is whole.
    #[arg(long)]
    force: bool,
    /// f32, or f16 for half the space.
    #[arg(long, default_value = "f32", value_parser = parse_precision)]
    precision: Precision,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Sets a value of the file, such as datasets.speech.root=data; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    match text {
        "f16" => Ok(Precision::F16),
        "f32" => Ok(Precision::F32),
        _ => Err("use f16 or f32".into()),
    }
}

pub(super) fn embed(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let out = &arguments.out;
    if out.extension().is_none_or(|extension| extension != "safetensors") {
        return Err(Failure::Usage(format!(
            "--out {} must end in .safetensors, by which it is read again",
            out.display()
        )));
    }
    if out.exists() && !arguments.force {
        return Err(Failure::Conflict(format!(
            "{} exists already; replace it with --force, or choose another --out",
            out.display()
        )));
    }
    let device = super::run::choose(arguments.device)?;
    let given = &arguments.experiment;
    let run = given.is_dir().then(|| TrainedRun::open(given)).transpose()?;
    let recordings = match &arguments.files[..] {
        [] => None,
        files => Some(recordings(files)?),
    };
    let request = |items| Request {
        node: &arguments.node,
        items,
        others: recordings.is_some(),
        out,
        precision: arguments.precision,
    };
    let count = if let (Some(run), Some(items)) = (&run, &recordings) {
        let how = (&arguments.sets[..], common.offline);
        let model = run.model(&arguments.node, items, how, &mut |report, sources| {
            super::check::write(report, sources, common.format);
        })?;
        write(&model, Some(run), &request(items), &device)?
    } else {
        let path = if run.is_some() {
            given.join("resolved.yaml")
        } else {
            given.clone()
        };
        let source = Source {
            path,
            sets: arguments.sets.clone(),
            offline: common.offline,
        };
        let prepared = super::run::prepared(&source, common.format)?;
        let items = recordings.as_ref().unwrap_or(&prepared.corpus.items);
        write(&prepared, run.as_ref(), &request(items), &device)?
    };
    print(&format!(
        "{}: {count} features of `{}`\n",
        out.display(),
        arguments.node
    ));
    Ok(())
}
