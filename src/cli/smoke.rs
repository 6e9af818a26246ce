//! `emorun smoke`.

use clap::Args;

use super::{Common, ExperimentArguments, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_engine::train::interrupt;
use emorun_runs::smoke;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = super::parse_device)]
    device: DeviceRequest,
    /// Keep the folder with the generated corpora and weights, the changed experiment and its run.
    #[arg(long)]
    keep: bool,
}

pub(super) fn smoke(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let device = super::run::choose(arguments.device)?;
    interrupt::install();
    let folder = smoke::temporary_folder()?;
    let outcome = smoke::smoke(
        &arguments.experiment.source(common),
        &folder,
        &device,
        &mut |report, sources| super::check::write(report, sources, common.format),
    );
    // An interrupted run is to be resumed there.
    let keep = arguments.keep
        || matches!(&outcome, Err(failure) if failure.code() == emorun_engine::exit::ExitCode::Interrupted);
    if keep {
        tell(&format!("kept: {}", folder.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!("cannot remove {}: {error}", folder.display());
    }
    let smoked = outcome?;
    let mut text = smoked
        .changes
        .iter()
        .map(|change| format!("{change}\n"))
        .collect::<String>();
    text.push_str(smoked.finished.text.trim_end());
    text.push_str("\n\n");
    for (stage, seconds) in &smoked.seconds {
        text.push_str(&format!("{seconds:7.2} s  {stage}\n"));
    }
    let total: f64 = smoked.seconds.iter().map(|(_, seconds)| seconds).sum();
    text.push_str(&format!(
        "{} runs end to end ({total:.1} s); the numbers above mean nothing\n",
        arguments.experiment.experiment.display()
    ));
    print(&text);
    Ok(())
}
