//! `emorun graph`: the experiment's graph as a drawing.

use clap::{Args, ValueEnum};

use super::{Common, ExperimentArguments, print};
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Depth, prepare};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Form of the drawing.
    #[arg(long, value_enum, default_value_t = Drawing::Svg)]
    format: Drawing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Drawing {
    /// A picture for a browser.
    Svg,
    /// Graphviz.
    Dot,
    /// Mermaid, for Markdown.
    Mermaid,
}

pub(super) fn graph(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let source = arguments.experiment.source(common);
    let prepared = prepare(&source, Depth::Structure, &mut |report, sources| {
        super::check::write(report, sources, common.format)
    })?;
    let diagram = prepared.diagram();
    let text = match arguments.format {
        Drawing::Svg => diagram.to_svg(),
        Drawing::Dot => diagram.to_dot(),
        Drawing::Mermaid => diagram.to_mermaid(),
    };
    print(&text);
    Ok(())
}
