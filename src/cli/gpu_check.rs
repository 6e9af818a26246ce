//! `emorun gpu-check`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::print;
use emorun_bench::gpu_check::{Part, Request, Row, Told, Verdict, check, work};
use emorun_engine::device;
use emorun_engine::exit::{ExitCode, Failure};
use emorun_engine::terminal::tell;
use emorun_runs::run::report::table;
use emorun_runs::smoke::temporary_folder;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Also write all rows to this file, as JSON.
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Small sizes; so without this on the CPU and on software devices.
    #[arg(long)]
    small: bool,
    /// Python with torch and transformers; without one emorun is timed alone.
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Keep the folder with the runs.
    #[arg(long)]
    keep: bool,
    /// Be this part.
    #[arg(long, hide = true, requires = "told", value_parser = super::bench::parse::<Part>)]
    part: Option<Part>,
    #[arg(long, hide = true)]
    told: Option<String>,
}

pub(super) fn gpu_check(arguments: &Arguments) -> Result<(), Failure> {
    let asked = arguments.device.parse().map_err(Failure::Usage)?;
    let chosen = device::choose(asked)?;
    if let (Some(part), Some(told)) = (arguments.part, &arguments.told) {
        let told: Told = serde_json::from_str(told).map_err(|error| Failure::Usage(format!("--told: {error}")))?;
        return work(part, &told, &chosen, asked, &mut |text| print(text));
    }
    tell(&format!("device: {}", chosen.name));
    let folder = temporary_folder()?;
    let request = Request {
        // Its parts take the one that was chosen.
        device: chosen.name.name.clone(),
        small: arguments.small || chosen.kind() == "cpu" || chosen.is_software,
        software: chosen.is_software,
        python: arguments.python.clone(),
        folder: folder.clone(),
    };
    let rows = check(&request, &chosen, &mut |row| {
        tell(&format!(
            "{}: {}: {}: {}",
            row.part,
            row.what,
            row.verdict.title(),
            row.found
        ));
    });
    if arguments.keep {
        tell(&format!("kept: {}", folder.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!("cannot remove {}: {error}", folder.display());
    }
    let rows = rows?;
    let failed = rows.iter().filter(|row| row.verdict == Verdict::Failed).count();
    if let Some(path) = &arguments.out {
        let all = json!({
            "emorun": env!("CARGO_PKG_VERSION"),
            "device": chosen.name.to_string(),
            "small": request.small,
            "failed": failed,
            "rows": rows,
        });
        std::fs::write(path, format!("{all:#}\n")).map_err(Failure::io("write", path))?;
    }
    print(&text(&rows));
    if failed > 0 {
        return Err(Failure::Partly {
            code: ExitCode::Bug,
            message: format!("{failed} proof(s) failed: the rows above say which and why"),
        });
    }
    Ok(())
}

fn text(rows: &[Row]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.part.clone(),
                row.what.clone(),
                row.verdict.title().to_owned(),
                row.found.clone(),
            ]
        })
        .collect();
    table(&["part", "what", "result", "found"], &cells)
}
