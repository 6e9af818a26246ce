//! `emorun data prepare`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};
use emorun_fetch::{Presence, presence};
use emorun_lang::{Code, Diagnostic, Kinded as _, Report, Sources, load, read_record};
use emorun_prepare::{Plan, Preparation, PrepareError, annotate, integrate, plan, preprocess};

use super::fetch::{Job, bring};
use super::progress::Bars;
use crate::cli::file_kind::FileKind;
use crate::cli::{Common, check, print};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_experiment::prepare::read_text;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The preparation file.
    file: PathBuf,
    /// Sets a value of the file, such as audio.loudness_lufs=-20; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// What to do; all is download, preprocess and integrate.
    #[arg(long, value_enum, default_value_t = Step::All)]
    step: Step,
    /// Check the file and do nothing.
    #[arg(long)]
    check: bool,
    /// Who labels, in the step annotate.
    #[arg(long, value_name = "NAME", default_value = "annotator")]
    annotator: String,
    /// Keep the corpus' labels from the annotator, in the step annotate: agreement is computed from such answers alone.
    #[arg(long)]
    blind: bool,
    /// Port of the page in the step annotate; any free one when left out.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// The licences of corpora to download have been read and are accepted, for scripts.
    #[arg(long)]
    accept_licence: bool,
    /// Threads that preprocess; as many as the machine has cores when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Fetch the corpora whose folders are missing.
    Download,
    /// Bring all audio to one rate and loudness, and measure it.
    Preprocess,
    /// Filter, and write the table and the report.
    Integrate,
    /// Serve the page on which labels are confirmed or corrected.
    Annotate,
    /// Download, preprocess and integrate.
    All,
}

pub(super) fn prepare(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    FileKind::Preparation.expect(&arguments.file)?;
    let preparation = read(arguments, common)?;
    if arguments.check {
        print(&format!("{} is valid\n", arguments.file.display()));
        return Ok(());
    }
    let step = |one: Step| arguments.step == one || (arguments.step == Step::All && one != Step::Annotate);
    if step(Step::Download) {
        download(&preparation, arguments, common)?;
    }
    if arguments.step == Step::Download {
        return Ok(());
    }
    let output = preparation.output.as_path();
    let plan = plan(&preparation).map_err(failed)?;
    if step(Step::Preprocess) {
        let workers = arguments.workers.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        );
        let bars = Bars::new();
        let new = preprocess(&preparation, &plan, workers, &|event| {
            bars.at("utterances", event.done as u64, Some(event.all as u64), false);
        })
        .map_err(failed)?;
        bars.done("utterances");
        tell(&format!(
            "{new} of {} utterances were preprocessed now",
            plan.wanted.len()
        ));
    }
    if step(Step::Integrate) {
        let integrated = integrate(&preparation, &plan).map_err(failed)?;
        print(&format!(
            "{}\n{}\n",
            integrated.report.to_text(),
            output.join("manifest.csv").display()
        ));
        tell(&format!(
            "the report as a page: {}",
            output.join("report.html").display()
        ));
    }
    if step(Step::Annotate) {
        serve(&preparation, &plan, arguments)?;
    }
    Ok(())
}

fn read(arguments: &Arguments, common: Common) -> Result<Preparation, Failure> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let here = std::env::current_dir().map_err(Failure::io("find", Path::new(".")))?;
    let path = arguments.file.to_string_lossy();
    let tree = load(&path, &arguments.sets, &mut read_text, &mut sources, &mut report);
    let span = tree.as_ref().map(|tree| tree.span);
    let preparation = tree.and_then(|tree| read_record::<Preparation>(tree, &here, &mut report));
    if let Some(Err(mistakes)) = preparation.as_ref().map(Preparation::check) {
        for mistake in mistakes {
            let mistake = Diagnostic::error(Code::InvalidValue, mistake);
            report.push(match span {
                Some(span) => mistake.label(span, "in this file"),
                None => mistake,
            });
        }
    }
    report.sort();
    check::write(&report, &sources, common.format);
    preparation
        .filter(|_| !report.has_errors())
        .ok_or_else(|| Failure::Rejected {
            mistakes: report.errors(),
            data: false,
        })
}

/// Fetches the corpora whose folders are missing.
fn download(preparation: &Preparation, arguments: &Arguments, common: Common) -> Result<(), Failure> {
    for (name, dataset) in &preparation.datasets {
        let config = serde_json::to_value(dataset).map_err(|error| Failure::Bug(error.to_string()))?;
        // Of EmoBox the metadata can be fetched, not the audio that it lists.
        let field = if dataset.kind() == "emobox" { "metadata" } else { "root" };
        let Some(root) = config.get(field).and_then(serde_json::Value::as_str).map(PathBuf::from) else {
            continue;
        };
        let Some(source) = emorun_fetch::find(dataset.kind()) else {
            if root.exists() {
                continue;
            }
            return Err(Failure::Input(format!(
                "the folder {} of `{name}` is missing, and there is no address to fetch a `{}` from",
                root.display(),
                dataset.kind()
            )));
        };
        match presence(source, &root).map_err(super::fetch::failed)? {
            Presence::Own | Presence::Whole => continue,
            Presence::Absent | Presence::Begun => {}
        }
        let job = Job {
            parts: &[],
            accepted: arguments.accept_licence,
            mirror: None,
            keep_archives: false,
            connections: 4,
        };
        bring(source, &root, &job, common)?;
    }
    Ok(())
}

fn serve(preparation: &Preparation, plan: &Plan, arguments: &Arguments) -> Result<(), Failure> {
    let server =
        annotate::open(preparation, plan, &arguments.annotator, arguments.port, arguments.blind).map_err(failed)?;
    let (decided, clips) = server.progress();
    tell(&format!(
        "{decided} of {clips} clips are decided by {}; open the page below, end with Ctrl-C, then bring the labels into \
         the table with --step integrate",
        arguments.annotator
    ));
    if !arguments.blind {
        tell(
            "the corpus' label is shown and marked, so that these answers say nothing of how far annotators agree; for \
             that, label with --blind",
        );
    }
    print(&format!("{}\n", server.url()));
    // Nothing is lost when the process ends: every decision is on the disk before the next clip is shown.
    server.serve(&AtomicBool::new(false)).map_err(failed)
}

fn failed(error: PrepareError) -> Failure {
    match error {
        PrepareError::Data(errors) => Failure::Data(errors),
        PrepareError::Io { action, path, source } => super::fetch::unwritten(action, path, &source),
        PrepareError::Busy { .. } => Failure::Conflict(error.to_string()),
        PrepareError::Annotator { .. } | PrepareError::NotPreprocessed { .. } => Failure::Usage(error.to_string()),
        PrepareError::Invalid(mistakes) => {
            for mistake in &mistakes {
                tell(&format!("error: {mistake}"));
            }
            Failure::Rejected {
                mistakes: mistakes.len(),
                data: false,
            }
        }
        _ => Failure::Input(error.to_string()),
    }
}
