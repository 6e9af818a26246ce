//! `emorun latent`: the latent space of a trained run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use emorun_data::SplitName;
use emorun_latent::Method;

use super::{Common, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_runs::run::latent::{Request, free, latent as look, text, write};
use emorun_runs::run::trained::TrainedRun;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory of a run, or of one of its members.
    run: PathBuf,
    /// The node, or NODE.PORT, whose output is looked at; frames and layers are pooled by their mean.
    #[arg(long, value_name = "NODE")]
    node: String,
    /// The side of the run's own data.
    #[arg(long, value_enum, default_value = "test")]
    split: Side,
    /// Ways to a plane: pca, tsne, umap.
    #[arg(long, value_name = "METHODS", value_delimiter = ',', value_parser = parse_method, default_value = "pca,tsne,umap")]
    methods: Vec<Method>,
    /// Folder to write to; `latent/NODE-SPLIT` in the run's when left out.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replaces a latent space that is there.
    #[arg(long)]
    force: bool,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Says where a corpus lies now, such as datasets.speech.root=data; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// Sides of a split.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Train,
    Validation,
    Test,
}

impl Side {
    fn name(self) -> SplitName {
        match self {
            Self::Train => SplitName::Train,
            Self::Validation => SplitName::Validation,
            Self::Test => SplitName::Test,
        }
    }
}

fn parse_method(text: &str) -> Result<Method, String> {
    Method::named(text).ok_or_else(|| "use pca, tsne or umap".to_owned())
}

pub(super) fn latent(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let run = TrainedRun::open(&arguments.run)?;
    let side = arguments.split.name();
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => {
            let name = format!("{}-{side}", arguments.node);
            if let Some(problem) = emorun_lang::folder_name_problem(&name) {
                return Err(Failure::Usage(format!(
                    "the folder would be called {name:?}, and {problem}; choose one with --out"
                )));
            }
            arguments.run.join("latent").join(name)
        }
    };
    free(&out, arguments.force)?;
    let mut methods = Vec::new();
    for method in &arguments.methods {
        if !methods.contains(method) {
            methods.push(*method);
        }
    }
    let device = super::run::choose(arguments.device)?;
    let request = Request {
        node: &arguments.node,
        side,
        methods: &methods,
        sets: &arguments.sets,
        offline: common.offline,
    };
    let found = look(&run, &request, &device, &mut |report, sources| {
        super::check::write(report, sources, common.format);
    })?;
    write(&found, &out)?;
    print(&format!("{}\n{}\n", text(&found), out.display()));
    Ok(())
}
