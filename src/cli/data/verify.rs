//! `emorun data verify`.

use clap::Args;
use emorun_data::Verification;
use serde_json::json;

use super::{CorpusArguments, noise};
use crate::cli::{Common, Format, print};
use emorun_engine::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    corpora: CorpusArguments,
    /// Also decode every sample of every file.
    #[arg(long)]
    deep: bool,
}

pub(super) fn verify(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let corpora = &arguments.corpora;
    let source = corpora.kind.as_deref().and_then(noise);
    let reports: Vec<Verification> = match (source, &corpora.root) {
        (Some(noise), Some(root)) => {
            vec![emorun_data::verify_noise(noise, root, arguments.deep).map_err(Failure::Data)?]
        }
        _ => {
            let (mut reports, mut errors) = (Vec::new(), Vec::new());
            for (name, config) in corpora.datasets(common)? {
                match emorun_data::verify(&name, &config, arguments.deep) {
                    Ok(report) => reports.push(report),
                    Err(wrong) => errors.extend(wrong),
                }
            }
            if !errors.is_empty() {
                return Err(Failure::Data(errors));
            }
            reports
        }
    };
    let problems: Vec<String> = reports.iter().filter_map(Verification::problem).collect();
    print(&match corpora.format {
        Format::Human => reports.iter().map(Verification::to_text).collect::<Vec<_>>().join("\n"),
        Format::Json => format!("{:#}\n", json!({ "ok": problems.is_empty(), "datasets": reports })),
    });
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Input(problems.join("\n")))
    }
}
