//! `emorun verify`: whether a finished run holds what it claims.

use std::path::{Path, PathBuf};

use clap::Args;
use emorun_catalogue::{Claim, Verdict, bundle, compare_predictions, plain, verify as of_files};
use emorun_data::SplitName;

use super::runs::failed;
use super::{Common, Format, parse_device, print, tell};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_runs::run::eval::{Request, eval, write};
use emorun_runs::run::recheck::recheck;
use emorun_runs::run::trained::TrainedRun;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory of the run.
    run: PathBuf,
    /// Also computes every prediction again, from the weights.
    #[arg(long)]
    deep: bool,
    /// Finds a corpus where it has moved to: datasets.NAME.root=FOLDER; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Also writes one archive (.tar.gz) with what a reviewer needs of the run, without audio.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// How the claims are written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where predictions are computed: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
}

const CONFIGURATION: &str = "the configuration has the recorded hash";
const CONTENT: &str = "items, labels, splits and pretrained weights are the recorded ones";
const PREDICTIONS: &str = "predictions follow from the weights";

pub(super) fn verify(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let dir = arguments.run.as_path();
    if !dir.join("run.json").is_file() {
        return Err(Failure::Usage(format!(
            "{} is no run directory: it has no run.json",
            dir.display()
        )));
    }
    let mut claims = of_files(dir);
    claims.extend(of_corpora(dir, arguments, common));
    if arguments.deep {
        claims.extend(of_weights(dir, arguments, common));
    }
    print(&match arguments.format {
        Format::Human => text(&claims),
        Format::Json => format!("{:#}\n", serde_json::json!(claims)),
    });
    if let Some(archive) = &arguments.bundle {
        let (number, left_out) = bundle(dir, archive).map_err(failed)?;
        tell(&format!(
            "{}: {number} files; {} with audio or of use for training alone are left out",
            archive.display(),
            left_out.len()
        ));
    }
    let contradicted = claims
        .iter()
        .filter(|claim| claim.verdict == Verdict::Contradicted)
        .count();
    match contradicted {
        0 => Ok(()),
        _ => Err(Failure::Corrupt {
            path: dir.to_owned(),
            message: format!("{contradicted} of {} claims are contradicted", claims.len()),
        }),
    }
}

fn text(claims: &[Claim]) -> String {
    let lines = claims
        .iter()
        .map(|claim| plain(&format!("{}: {} ({})", claim.verdict, claim.what, claim.why)) + "\n");
    lines.collect()
}

/// What the corpora and pretrained weights say, where they are there.
fn of_corpora(dir: &Path, arguments: &Arguments, common: Common) -> Vec<Claim> {
    let mut heard = String::new();
    let found = recheck(dir, &arguments.sets, common.offline, &mut |report, sources| {
        heard = report.render(sources, false);
    });
    let found = match found {
        Ok(found) => found,
        Err(failure) => {
            let first = heard.lines().next().unwrap_or_default();
            let why = format!("{failure} {first}");
            return [CONFIGURATION, CONTENT]
                .map(|what| Claim::not_provable(what, why.trim()))
                .into();
        }
    };
    let (then, now) = &found.config_hash;
    let configuration = match then == now {
        true => Claim::proven(CONFIGURATION, now.clone()),
        // A corpus that has moved makes another configuration.
        false if !arguments.sets.is_empty() => Claim::not_provable(CONFIGURATION, "it was changed by --set"),
        false => Claim::contradicted(CONFIGURATION, format!("recorded {then}, now {now}")),
    };
    let content = match found.content {
        Ok(()) => Claim::proven(CONTENT, "read, drawn and hashed again"),
        Err(failure) => Claim::contradicted(CONTENT, failure.to_string()),
    };
    vec![configuration, content]
}

/// Predictions computed again, of a run or of each of its members.
fn of_weights(dir: &Path, arguments: &Arguments, common: Common) -> Vec<Claim> {
    let members = emorun_catalogue::members(dir);
    let places = match members.is_empty() {
        true => vec![dir.to_owned()],
        false => members.iter().map(|member| dir.join(member)).collect(),
    };
    let mut claims = Vec::new();
    for place in places {
        match predicted_again(&place, arguments, common) {
            Ok(own) => claims.extend(own),
            Err(failure) => claims.push(Claim::not_provable(
                PREDICTIONS,
                format!("{}: {failure}", place.display()),
            )),
        }
    }
    claims
}

fn predicted_again(dir: &Path, arguments: &Arguments, common: Common) -> Result<Vec<Claim>, Failure> {
    let run = TrainedRun::open(dir)?;
    let device = super::run::choose(arguments.device)?;
    let request = Request {
        sets: arguments.sets.clone(),
        sides: SplitName::ALL.to_vec(),
        offline: common.offline,
        ..Request::default()
    };
    let outcome = eval(&run, &request, &device, &mut |_, _| {})?;
    let folder = std::env::temp_dir().join(format!("emorun-verify-{}-{}", std::process::id(), outcome_name(dir)));
    let written = write(&outcome, &folder);
    let claims = written.map(|_| compare_predictions(dir, &folder, PREDICTIONS));
    // Nothing of it is needed any more, and a folder that stays is the system's to clear.
    let _ = std::fs::remove_dir_all(&folder);
    claims
}

fn outcome_name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
