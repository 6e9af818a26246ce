//! The command line: progress on stderr, results on stdout, documented exit codes.

mod bench;
mod bundle;
mod cache;
mod check;
mod data;
mod embed;
mod eval;
mod export;
mod file_kind;
mod gpu_check;
mod graph;
mod import;
mod latent;
mod live;
mod lr_find;
mod nodes;
mod predict;
mod run;
mod runs;
mod schema;
mod serve;
mod smoke;
mod sweep;
mod verify;
mod verify_resume;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use file_kind::FileKind;

use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::{ExitCode, Failure, guarded};
use emorun_engine::terminal::{lost, print, tell};
use emorun_experiment::prepare::Source;

/// Declarative experiments on emotion in speech: `emorun EXPERIMENT.yaml` checks, trains,
/// evaluates and reports.
#[derive(Debug, Parser)]
#[command(name = "emorun", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// More messages on stderr; twice for debugging.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// How errors are written: for people, or as JSON objects.
    #[arg(long, value_enum, default_value_t = Format::Human, global = true)]
    message_format: Format,
    /// Download nothing: weights must be on this machine.
    #[arg(long, global = true)]
    offline: bool,
}

/// What every command knows.
#[derive(Clone, Copy, Debug)]
struct Common {
    /// How errors are written.
    format: Format,
    /// Nothing may be downloaded.
    offline: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 bug, 2 usage, 3 invalid experiment, 4 data or weights missing or corrupt, \
5 run conflict, 6 diverged, 7 I/O, 130 interrupted with the checkpoint written.";

/// How something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, train, evaluate and report (what `emorun EXPERIMENT` does).
    Run(RunArguments),
    /// Check an experiment and show its plan.
    Check(check::Arguments),
    /// Make another program's configuration an experiment file.
    Import(import::Arguments),
    /// Draw an experiment's graph.
    Graph(graph::Arguments),
    /// Continue a run or a sweep from its newest checkpoints.
    Resume(ResumeArguments),
    /// List runs, compare them, tag them, remove them and put them back.
    Runs(runs::Arguments),
    /// Run every experiment of a model_runs file.
    Sweep(sweep::Arguments),
    /// Write what a node gives for recordings to a .safetensors file.
    Embed(embed::Arguments),
    /// Show what a node of a trained run knows of emotions and speakers: on a plane, in numbers, in TensorBoard's projector.
    Latent(latent::Arguments),
    /// Measure a run again: on a side of its own data, or on another corpus.
    Eval(eval::Arguments),
    /// Say what a trained run makes of recordings, as a table or as tracks of emotion over time.
    Predict(predict::Arguments),
    /// Write a trained run as one file that `predict` takes in its place, without corpora.
    Bundle(bundle::Arguments),
    /// Answer over HTTP and WebSocket what trained runs make of recordings and of a microphone, with a page for the browser.
    Serve(serve::Arguments),
    /// Say what a trained run makes of a microphone, a recording or samples on stdin while they are heard.
    Live(live::Arguments),
    /// Show what is kept of frozen encoders, or remove what was not used for longest.
    Cache(cache::Arguments),
    /// Hold what a finished run claims against its own files, its corpora and its weights: each claim is proven,
    /// not provable here, or contradicted (exit code 4).
    Verify(verify::Arguments),
    /// Prove that an experiment continues to the same bits: run it twice, once killed again and again
    /// and resumed, and compare all that was written.
    VerifyResume(verify_resume::Arguments),
    /// Try rising learning rates on an experiment, draw the loss over them and suggest one.
    LrFind(lr_find::Arguments),
    /// Work on corpora: fetch, verify and prepare them, show what they consist of, listen to what a
    /// network hears.
    Data(data::Arguments),
    /// Try an experiment end to end in seconds: on generated data in its corpora's own layouts, with
    /// tiny encoders. Nothing is needed but the file.
    Smoke(smoke::Arguments),
    /// Time emorun beside its peers on this machine.
    Bench(bench::Arguments),
    /// Prove what a GPU must prove before results on it are believed, and time it: each kind beside the CPU, hundreds of
    /// steps with fusion and without, the quickstart, a killed run, HuBERT beside PyTorch. Under 8 minutes.
    GpuCheck(gpu_check::Arguments),
    /// List the kinds of nodes, or show one.
    Nodes(nodes::Arguments),
    /// Write the JSON Schemas of the files, or check that they are up to date.
    Schema(schema::Arguments),
}

/// An experiment and what is changed in it.
#[derive(Clone, Debug, Args)]
struct ExperimentArguments {
    /// The experiment file.
    experiment: PathBuf,
    /// Sets a value of the file, such as training.epochs=3; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

impl ExperimentArguments {
    fn source(&self, common: Common) -> Source {
        Source {
            path: self.experiment.clone(),
            sets: self.sets.clone(),
            offline: common.offline,
        }
    }
}

/// Where and on what to run.
#[derive(Clone, Debug, Args)]
struct PlaceArguments {
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Name of the run's folder; from the time and the configuration when left out.
    #[arg(long, value_name = "LABEL", value_parser = parse_label)]
    run_label: Option<String>,
    /// Folder of all runs.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

fn parse_device(text: &str) -> Result<DeviceRequest, String> {
    text.parse()
}

fn parse_label(text: &str) -> Result<String, String> {
    match emorun_lang::folder_name_problem(text) {
        None => Ok(text.to_owned()),
        Some(problem) => Err(format!("it becomes the name of a folder, and {problem}")),
    }
}

#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
struct ResumeArguments {
    /// Directory of the run or sweep.
    run: PathBuf,
    /// Changes a value that may change while a run goes on, such as training.epochs=100 or
    /// datasets.NAME.root=FOLDER; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Also tries again the members of a run, and the runs of a sweep, that have diverged or failed.
    #[arg(long)]
    retry_failed: bool,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
}

/// Runs the program with the given arguments, the first of which is its name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = with_command(arguments);
    let format = asked_format(&arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && format == Format::Json => {
            let message = error.render().to_string();
            let failure = Failure::Usage(message.trim().trim_start_matches("error: ").to_owned());
            report(&failure, format);
            return failure.code();
        }
        Err(error) => {
            // Asking for help or the version is no mistake; clap's own code for one is 2.
            let code = if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Ok
            };
            let _ = error.print();
            return code;
        }
    };
    emorun_runs::logging::init(cli.verbose);
    emorun_engine::train::interrupt::outlive_file_limits();
    emorun_runs::run::last_words::install();
    let common = Common {
        format: cli.message_format,
        offline: cli.offline,
    };
    // Of these, stdout shows what is on the disk.
    let is_kept = matches!(
        cli.command,
        Command::Run(_)
            | Command::Resume(_)
            | Command::Sweep(_)
            | Command::Embed(_)
            | Command::Eval(_)
            | Command::Latent(_)
            | Command::LrFind(_)
    );
    let outcome = guarded(|| execute(cli.command, common));
    let outcome = match (outcome, lost()) {
        (Ok(()), Some(error)) if is_kept => {
            tracing::warn!("the result is on the disk, but could not be written to stdout: {error}");
            Ok(())
        }
        (Ok(()), Some(error)) => Err(Failure::io("write to", Path::new("stdout"))(error)),
        (outcome, _) => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::Ok,
        Err(failure) => {
            report(&failure, common.format);
            failure.code()
        }
    }
}

fn execute(command: Command, common: Common) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments.experiment, &arguments.place, common),
        Command::Check(arguments) => check::check(&arguments, common),
        Command::Graph(arguments) => graph::graph(&arguments, common),
        Command::Import(arguments) => import::import(&arguments, common),
        Command::Resume(arguments) => run::resume(&arguments, common),
        Command::Runs(arguments) => runs::runs(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments, common),
        Command::Embed(arguments) => embed::embed(&arguments, common),
        Command::Eval(arguments) => eval::eval(&arguments, common),
        Command::Latent(arguments) => latent::latent(&arguments, common),
        Command::Predict(arguments) => predict::predict(&arguments, common),
        Command::Bundle(arguments) => bundle::bundle(&arguments, common),
        Command::Serve(arguments) => serve::serve(&arguments, common),
        Command::Live(arguments) => live::live(&arguments, common),
        Command::LrFind(arguments) => lr_find::lr_find(&arguments, common),
        Command::Cache(arguments) => cache::cache(&arguments),
        Command::Verify(arguments) => verify::verify(&arguments, common),
        Command::VerifyResume(arguments) => verify_resume::verify_resume(&arguments, common),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::GpuCheck(arguments) => gpu_check::gpu_check(&arguments),
        Command::Data(arguments) => data::data(&arguments, common),
        Command::Smoke(arguments) => smoke::smoke(&arguments, common),
        Command::Nodes(arguments) => nodes::nodes(&arguments),
        Command::Schema(arguments) => schema::schema(&arguments),
    }
}

/// Puts the command in front that takes a file, when one stands where a command would.
fn with_command(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let program = Cli::command();
    let mut may_be_value = false;
    for at in 1..arguments.len() {
        let word = arguments[at].to_string_lossy().into_owned();
        if word.starts_with('-') {
            // Options before the file may carry values, all but these.
            let is_flag = ["--offline", "--verbose", "--help", "--version"].contains(&&*word)
                || word.trim_start_matches('-').chars().all(|letter| letter == 'v');
            may_be_value = !is_flag && !word.contains('=');
            continue;
        }
        if word == "help" || program.find_subcommand(&word).is_some() {
            break;
        }
        let is_file = word.ends_with(".yaml") || word.ends_with(".yml") || word.contains(['/', '\\']);
        if is_file && !word.contains('=') {
            let kind = FileKind::of(Path::new(&word)).unwrap_or(FileKind::Experiment);
            arguments.splice(1..1, kind.command().iter().map(OsString::from));
            break;
        }
        if !may_be_value {
            // Neither a command nor a file: it is said so.
            break;
        }
        may_be_value = false;
    }
    arguments
}

/// How errors are to be written, where the command line is too wrong to be read as a whole.
fn asked_format(arguments: &[OsString]) -> Format {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let apart = words
        .windows(2)
        .any(|pair| pair[0] == "--message-format" && pair[1] == "json");
    if apart || words.iter().any(|word| word == "--message-format=json") {
        Format::Json
    } else {
        Format::Human
    }
}

fn report(failure: &Failure, format: Format) {
    match format {
        Format::Human => {
            // Diagnostics of an invalid experiment were written where they were found.
            tell(&format!("error: {failure}"));
        }
        Format::Json => {
            let object = serde_json::json!({ "code": failure.code() as u8, "message": failure.to_string() });
            tell(&object.to_string());
        }
    }
}
