//! `emorun lr-find`: the loss while the learning rate rises, as a drawing, with what it suggests.

use std::path::PathBuf;

use clap::Args;

use super::{Common, ExperimentArguments, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_engine::train::range_test::{RangeTest, suggest};
use emorun_runs::run::batch_size::settle;
use emorun_runs::run::lr_find::{csv, draw, range_test};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// First learning rate.
    #[arg(long, default_value_t = 1e-7, value_name = "RATE")]
    from: f64,
    /// Last learning rate; the test ends earlier when the loss explodes.
    #[arg(long, default_value_t = 10.0, value_name = "RATE")]
    to: f64,
    /// Optimizer steps from one to the other.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    steps: u64,
    /// The drawing to write; the numbers go beside it, as .csv.
    #[arg(long, value_name = "FILE.svg", default_value = "lr_find.svg")]
    out: PathBuf,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
}

pub(super) fn lr_find(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let test = RangeTest {
        from: arguments.from,
        to: arguments.to,
        steps: arguments.steps,
    };
    let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
    if !is_rate(test.from) || !is_rate(test.to) || test.from >= test.to {
        return Err(Failure::Usage(format!(
            "--from {} --to {} must be two learning rates above 0, the first the lower",
            test.from, test.to
        )));
    }
    let svg = &arguments.out;
    if svg.extension().is_none_or(|extension| extension != "svg") {
        return Err(Failure::Usage(format!("--out {} must end in .svg", svg.display())));
    }
    let table = svg.with_extension("csv");
    if let Some(taken) = [svg, &table].into_iter().find(|path| path.exists()) {
        return Err(Failure::Conflict(format!(
            "{} exists already; remove it, or choose another --out",
            taken.display()
        )));
    }
    let device = super::run::choose(arguments.device)?;
    let mut prepared = super::run::prepared(&arguments.experiment.source(common), common.format)?;
    settle(&mut prepared, None, &device)?;
    let tried = range_test(&prepared, test, &device)?;
    let write = |path: &PathBuf, text: String| std::fs::write(path, text).map_err(Failure::io("write", path));
    let found = suggest(&tried, test.steps);
    write(svg, draw(&prepared.settings.name, &tried, found))?;
    write(&table, csv(&tried))?;
    let last = tried.last().map_or(test.from, |tried| tried.lr);
    let key = prepared.settings.training.highest_rate_key();
    let found = match found {
        Some(found) => format!(
            "before it explodes, the loss falls fastest at {:.2e}; a tenth of where it is least is {:.2e}\n\
             try: --set {key}={:.1e}\n",
            found.steepest, found.tenth_of_least, found.steepest
        ),
        None => format!(
            "before it explodes or the test ends, at {last:.2e}, the loss falls by no more than its batches differ, which says nothing: try more --steps, or larger batches (--set training.batch_size=… or training.accumulate=…)\n"
        ),
    };
    print(&format!(
        "{} steps, learning rate {:.1e} to {last:.2e}\n{found}{}\n",
        tried.len(),
        test.from,
        svg.display()
    ));
    Ok(())
}
