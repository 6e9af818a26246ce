//! `emorun eval`: a trained run measured again, also on other corpora.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use emorun_data::SplitName;

use super::{Common, Format, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_runs::run::eval::conditions::{CodecName, Grid};
use emorun_runs::run::eval::{Members, Request, eval as measure, free, write};
use emorun_runs::run::trained::{TrainedRun, WhichWeights};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory of the run, all of its members if it has several, or of one of them.
    run: PathBuf,
    /// A side of the run's own data: its test side when left out.
    #[arg(long, value_enum)]
    split: Option<Side>,
    /// A file whose `datasets:`, as in an experiment, are measured in place of the run's; all of their items.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Sets a value: `datasets.NAME.root=FOLDER` finds the run's own corpus where it has moved to, and
    /// `datasets.NAME={kind: …}` measures another corpus, all of its items; others change the
    /// experiment, such as `evaluation.metrics=[uar, roc_auc]`. May be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Which weights; those that the run itself was measured with when left out.
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// Also measures so many seconds of each recording from its beginning, such as 0.5,1,2; `all` stands for
    /// whole ones, which are measured in any case.
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', value_parser = parse_seconds)]
    heard_seconds: Vec<Heard>,
    /// Also measures with noise at these signal-to-noise ratios in dB, such as 20,10,0, mixed as `background_noise` does; every
    /// item gets the same noise at each ratio and from each run.
    #[arg(long, value_name = "DB", value_delimiter = ',', allow_negative_numbers = true)]
    noise_snr: Vec<f64>,
    /// Folder of recordings of noise, at any depth.
    #[arg(long, value_name = "FOLDER")]
    noise_root: Option<PathBuf>,
    /// Also measures behind a codec: `g711`, a telephone line of 8 kHz and 8 bits, or a sampling rate in Hz, such as 4000.
    #[arg(long, value_name = "CODEC", value_delimiter = ',', value_parser = parse_codec)]
    codec: Vec<CodecName>,
    /// Folder to write to; `eval/SPLIT` or `eval/CORPUS` in the run's when left out.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replaces an evaluation that is there.
    #[arg(long)]
    force: bool,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
}

/// Sides of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    Train,
    Validation,
    Test,
    All,
}

/// Weights of a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Weights {
    /// Those of the best validation metric.
    Best,
    /// Those of the newest checkpoint; their average, where `training.average` keeps one.
    Last,
    /// The average of the newest checkpoint.
    Averaged,
    /// Those of the newest checkpoint as they are trained, also where an average is kept.
    Raw,
}

/// How much of a recording is heard, in seconds; `None` for all.
#[derive(Clone, Copy, Debug)]
struct Heard(Option<f64>);

fn parse_seconds(text: &str) -> Result<Heard, String> {
    match text {
        "all" => Ok(Heard(None)),
        _ => match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(Heard(Some(seconds))),
            _ => Err("give seconds above 0, or `all`".to_owned()),
        },
    }
}

fn parse_codec(text: &str) -> Result<CodecName, String> {
    match text {
        "g711" => Ok(CodecName::G711),
        _ => text
            .parse()
            .map(CodecName::Rate)
            .map_err(|_| "give `g711` or a sampling rate in Hz, such as 4000".to_owned()),
    }
}

impl Side {
    fn sides(self) -> Vec<SplitName> {
        match self {
            Self::Train => vec![SplitName::Train],
            Self::Validation => vec![SplitName::Validation],
            Self::Test => vec![SplitName::Test],
            Self::All => SplitName::ALL.to_vec(),
        }
    }
}

/// The folder's name: what is measured, and by which weights where that was said.
fn default_name(arguments: &Arguments) -> String {
    let mut datasets: Vec<String> = arguments.sets.iter().filter_map(|set| other(set)).collect();
    if let Some(file) = &arguments.data {
        datasets.insert(0, file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    datasets.dedup();
    let name = match (datasets.is_empty(), arguments.split) {
        (false, _) => datasets.join("+"),
        (true, Some(side)) => side
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned()),
        (true, None) => "test".to_owned(),
    };
    match arguments.weights.and_then(|weights| weights.to_possible_value()) {
        Some(weights) => format!("{name}-{}", weights.get_name()),
        None => name,
    }
}

/// The dataset that an argument puts in the place of others; not of one that only moves it.
fn other(set: &str) -> Option<String> {
    let (path, _) = set.strip_prefix("datasets.")?.split_once('=')?;
    (!path.contains('.')).then(|| path.to_owned())
}

pub(super) fn eval(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let members = Members::open(&arguments.run)?;
    let run = match &members {
        Some(_) => None,
        None => Some(TrainedRun::open(&arguments.run)?),
    };
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => {
            let name = default_name(arguments);
            if let Some(problem) = emorun_lang::folder_name_problem(&name) {
                return Err(Failure::Usage(format!(
                    "the evaluation's folder would be called {name:?}, and {problem}; choose one with --out"
                )));
            }
            arguments.run.join("eval").join(name)
        }
    };
    free(&out, arguments.force)?;
    let device = super::run::choose(arguments.device)?;
    let request = Request {
        data: arguments.data.clone(),
        sets: arguments.sets.clone(),
        sides: arguments.split.map_or_else(Vec::new, Side::sides),
        weights: arguments.weights.map(|weights| match weights {
            Weights::Best => WhichWeights::Best,
            Weights::Last => WhichWeights::Last,
            Weights::Averaged => WhichWeights::Averaged,
            Weights::Raw => WhichWeights::Raw,
        }),
        grid: Grid {
            heard_s: arguments.heard_seconds.iter().filter_map(|heard| heard.0).collect(),
            noise_snr_db: arguments.noise_snr.clone(),
            noise_root: arguments.noise_root.clone(),
            codecs: arguments.codec.clone(),
        },
        offline: common.offline,
    };
    let on_report: emorun_experiment::prepare::OnReport<'_> =
        &mut |report, sources| super::check::write(report, sources, common.format);
    let measured = match (&members, &run) {
        (Some(members), _) => members.eval(&request, &device, &out, on_report),
        (None, Some(run)) => measure(run, &request, &device, on_report).and_then(|outcome| write(&outcome, &out)),
        (None, None) => Err(Failure::Bug("neither a run nor members were opened".into())),
    };
    let text = measured.inspect_err(|failure| {
        if matches!(failure, Failure::Rejected { data: true, .. }) && common.format == Format::Human {
            tell("a corpus that has moved is found with: --set datasets.NAME.root=FOLDER (or .path, of a table)");
        }
    })?;
    print(&format!("{text}{}\n", out.display()));
    Ok(())
}
