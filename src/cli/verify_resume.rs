//! `emorun verify-resume`.

use clap::Args;

use super::{Common, ExperimentArguments, print};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_engine::train::interrupt;
use emorun_runs::smoke::temporary_folder;
use emorun_runs::verify::{Request, verify_resume as verify};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// How often the second run is killed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Keep the folder with both runs.
    #[arg(long)]
    keep: bool,
}

pub(super) fn verify_resume(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    interrupt::install();
    let folder = temporary_folder()?;
    let mut options = vec!["--device".to_owned(), arguments.device.clone()];
    if common.offline {
        options.push("--offline".into());
    }
    let outcome = verify(&Request {
        experiment: &arguments.experiment.experiment,
        sets: &arguments.experiment.sets,
        options: &options,
        kills: arguments.kills,
        folder: &folder,
    });
    let keep = arguments.keep || !outcome.as_ref().is_ok_and(|verified| verified.differences.is_empty());
    if keep {
        tell(&format!("kept: {}", folder.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!("cannot remove {}: {error}", folder.display());
    }
    let verified = outcome?;
    if !verified.differences.is_empty() {
        return Err(Failure::Bug(format!(
            "the run that was killed {} time(s) differs:\n{}",
            verified.kills.len(),
            verified.differences.join("\n")
        )));
    }
    if verified.kills.len() < arguments.kills as usize {
        tell("the run was over before it could be killed more often");
    }
    let mut text = format!(
        "killed {} time(s) and resumed, each time with another number of workers; the same in both runs:\n",
        verified.kills.len()
    );
    for (what, count) in &verified.compared {
        text.push_str(&format!("{count:8}  {what}\n"));
    }
    print(&text);
    Ok(())
}
