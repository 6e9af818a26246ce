//! `emorun runs`: what becomes of runs after they were trained.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand, ValueEnum};
use emorun_catalogue::notes::{self, Notes};
use emorun_catalogue::{
    Catalogue, CatalogueError, Comparison, Kind, Listing, Request, Run, best, plain, report, root_of, show, show_json,
    tensorboard, trash,
};
use emorun_files::Files;

use super::{Format, print, tell};
use emorun_engine::exit::Failure;
use emorun_experiment::folders;
use emorun_runs::run::html;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArguments,
    /// Folder of all runs.
    #[arg(long, value_name = "FOLDER", default_value = "runs", global = true)]
    runs: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List runs (what `emorun runs` does).
    List(ListArguments),
    /// Show all that is known of a run.
    Show {
        /// Its directory, label or id.
        run: String,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Show what differs between runs, and whether it matters on the test items of both.
    Diff {
        /// Their directories, labels or ids; the others are compared with the first.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Name the best completed run: on validation, unless no run has such a result.
    Best {
        /// By which result, such as emotion.uar; the first of most runs when left out.
        #[arg(long, value_name = "HEAD.METRIC")]
        metric: Option<String>,
        /// Among the runs of this experiment.
        #[arg(long, value_name = "NAME")]
        experiment: Option<String>,
        /// Among these, as in a list.
        #[arg(long, value_name = "EXPRESSION")]
        filter: Option<String>,
    },
    /// Write the report of a run anew, with figures and tables for papers, into its folder `report`; of several runs, or with
    /// --out, one HTML page with the runs beside each other and their curves.
    Report {
        /// Their directories, labels or ids.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
        /// The page of runs beside each other; runs.html when left out.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a page that is there.
        #[arg(long)]
        force: bool,
    },
    /// Show runs, with their members, on an MLflow tracking server. What was exported before is brought up to date, and
    /// nothing is there twice. Recordings that a run has saved stay here, and its page if that holds them.
    Export {
        /// Their directories, labels or ids.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
        /// Address of the server. Credentials are taken from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or from
        /// MLFLOW_TRACKING_TOKEN.
        #[arg(long, value_name = "URI", required = true)]
        mlflow: String,
    },
    /// Tag runs, to find them by `--filter 'tag == WORD'`.
    Tag(TagArguments),
    /// Note something about a run; without a text, show what was noted.
    Note {
        /// Its directory, label or id.
        run: String,
        /// What to note; an empty text removes the note.
        text: Option<String>,
    },
    /// Leave runs out of lists.
    Archive {
        /// Their directories, labels or ids.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
        /// Bring them back into lists instead.
        #[arg(long)]
        undo: bool,
    },
    /// Move runs to the trash, from which `undo` and `restore` put them back.
    Rm {
        /// Their directories, labels or ids.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
    },
    /// Put back what the last `rm` removed.
    Undo,
    /// Put back one run of the trash.
    Restore {
        /// Its path below the folder of runs, or its label.
        run: String,
    },
    /// Show what the trash holds, or delete it for good.
    Trash {
        /// Deletes it.
        #[arg(long)]
        empty: bool,
    },
    /// Show some runs alone in TensorBoard: prints the command, or starts it.
    Tensorboard {
        /// Their directories, labels or ids.
        #[arg(required = true, value_name = "RUN")]
        runs_named: Vec<String>,
        /// Starts it and waits for its end.
        #[arg(long)]
        start: bool,
    },
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only these, such as 'status == completed && emotion.uar > 0.7 && training.optimizer.lr < 1e-3'. Known are
    /// results, settings, and label, experiment, status, seed, started, seconds, device, commit, tag, note and others.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// The order, such as -emotion.uar,label; `-` puts the highest first. By their starts when left out.
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    sort: Option<String>,
    /// The result to show, such as emotion.macro_f1 or validation.emotion.uar.
    #[arg(long, value_name = "HEAD.METRIC")]
    metric: Option<String>,
    /// Also those that are archived.
    #[arg(long)]
    archived: bool,
    /// Leaves out members: folds and seeds.
    #[arg(long)]
    without_members: bool,
    /// How the list is written.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
}

#[derive(Debug, Args)]
struct TagArguments {
    /// Its directory, label or id.
    run: String,
    /// The tags.
    #[arg(required = true)]
    tags: Vec<String>,
    /// Takes them away instead.
    #[arg(long)]
    remove: bool,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For people.
    Table,
    /// Comma-separated values, with all results and differing settings.
    Csv,
    /// A list of objects.
    Json,
}

pub(super) fn runs(arguments: &Arguments) -> Result<(), Failure> {
    let root = arguments.runs.as_path();
    match &arguments.action {
        None => list(root, &arguments.list),
        Some(Action::List(own)) => list(root, own),
        Some(Action::Show { run, format }) => show_run(root, run, *format),
        Some(Action::Diff { runs_named, format }) => diff(root, runs_named, *format),
        Some(Action::Best {
            metric,
            experiment,
            filter,
        }) => name_best(root, metric.as_deref(), experiment.as_deref(), filter.as_deref()),
        Some(Action::Report { runs_named, out, force }) => write_report(root, runs_named, out.as_deref(), *force),
        Some(Action::Export { runs_named, mlflow }) => super::export::export(root, runs_named, mlflow),
        Some(Action::Tag(own)) => tag(root, own),
        Some(Action::Note { run, text }) => note(root, run, text.as_deref()),
        Some(Action::Archive { runs_named, undo }) => archive(root, runs_named, !undo),
        Some(Action::Rm { runs_named }) => remove(root, runs_named),
        Some(Action::Undo) => put_back(&trash::undo(root).map_err(failed)?),
        Some(Action::Restore { run }) => put_back(&trash::restore(root, run).map_err(failed)?),
        Some(Action::Trash { empty }) => show_trash(root, *empty),
        Some(Action::Tensorboard { runs_named, start }) => open_tensorboard(root, runs_named, *start),
    }
}

fn list(root: &Path, arguments: &ListArguments) -> Result<(), Failure> {
    let catalogue = Catalogue::read(root).map_err(failed)?;
    let request = Request {
        filter: arguments.filter.clone(),
        sort: arguments.sort.clone(),
        metric: arguments.metric.clone(),
        archived: arguments.archived,
        without_members: arguments.without_members,
    };
    let listing = Listing::of(&catalogue, &request).map_err(failed)?;
    print(&match arguments.format {
        ListFormat::Table => listing.table(),
        ListFormat::Csv => listing.csv(),
        ListFormat::Json => listing.json(),
    });
    Ok(())
}

/// The folder of runs that names are looked up in: the one that is asked for, or that in which all of them lie as paths.
pub(super) fn catalogue_of(root: &Path, names: &[String]) -> Result<Catalogue, Failure> {
    let of_first = names.first().and_then(|name| root_of(Path::new(name)));
    let elsewhere = of_first.filter(|own| std::fs::canonicalize(root).ok().as_ref() != Some(own));
    Catalogue::read(elsewhere.as_deref().unwrap_or(root)).map_err(failed)
}

fn show_run(root: &Path, name: &str, format: Format) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, &[name.to_owned()])?;
    let run = catalogue.find(name).map_err(failed)?;
    print(&match format {
        Format::Human => show(&catalogue, run),
        Format::Json => show_json(&catalogue, run),
    });
    Ok(())
}

fn diff(root: &Path, names: &[String], format: Format) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, names)?;
    let runs = catalogue.find_all(names).map_err(failed)?;
    let comparison = Comparison::of(&catalogue, &runs).map_err(failed)?;
    print(&match format {
        Format::Human => comparison.text(),
        Format::Json => comparison.json(),
    });
    Ok(())
}

fn name_best(root: &Path, metric: Option<&str>, experiment: Option<&str>, filter: Option<&str>) -> Result<(), Failure> {
    let catalogue = Catalogue::read(root).map_err(failed)?;
    let best = best(&catalogue, metric, experiment, filter).map_err(failed)?;
    tell(best.text().trim_end());
    print(&format!("{}\n", best.run.dir.display()));
    Ok(())
}

fn write_report(root: &Path, names: &[String], out: Option<&Path>, is_forced: bool) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, names)?;
    let runs = catalogue.find_all(names).map_err(failed)?;
    if let ([run], None) = (runs.as_slice(), out) {
        html::write_anew(&run.dir, &Files::default())?;
        print(&format!("{}\n", run.dir.join("report").join(html::FILE).display()));
        return Ok(());
    }
    let out = out.unwrap_or(Path::new("runs.html"));
    if !is_forced && out.symlink_metadata().is_ok() {
        return Err(Failure::Conflict(format!(
            "{} is there already; replace it with --force, or choose another --out",
            out.display()
        )));
    }
    let page = report(&catalogue, &runs).map_err(failed)?;
    emorun_engine::train::checkpoint::write_atomically(&Files::default(), out, page.as_bytes())?;
    print(&format!("{}\n", out.display()));
    Ok(())
}

/// Calls `change` with the notes of a run.
fn change(root: &Path, name: &str, change: impl FnOnce(&mut Notes)) -> Result<Notes, Failure> {
    let catalogue = catalogue_of(root, &[name.to_owned()])?;
    let run = catalogue.find(name).map_err(failed)?;
    noted(run, change)
}

/// Changes the notes of a run; logs of other programs are not written to.
fn noted(run: &Run, change: impl FnOnce(&mut Notes)) -> Result<Notes, Failure> {
    match run.kind {
        Kind::Entered => Err(failed(CatalogueError::NotARun(run.dir.clone()))),
        _ => notes::change(&run.dir, &Files::default(), change).map_err(failed),
    }
}

fn tag(root: &Path, arguments: &TagArguments) -> Result<(), Failure> {
    for tag in &arguments.tags {
        let is_word = !tag.is_empty() && !tag.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        if !is_word {
            return Err(Failure::Usage(format!(
                "a tag is a word without spaces, and {tag:?} is none"
            )));
        }
    }
    let notes = change(root, &arguments.run, |notes| {
        for tag in &arguments.tags {
            match arguments.remove {
                true => notes.remove_tag(tag),
                false => notes.add_tag(tag),
            }
        }
    })?;
    print(&format!("{}\n", plain(&notes.tags.join(" "))));
    Ok(())
}

fn note(root: &Path, name: &str, text: Option<&str>) -> Result<(), Failure> {
    let shown = match text {
        Some(text) => change(root, name, |notes| text.clone_into(&mut notes.note))?.note,
        None => {
            let catalogue = catalogue_of(root, &[name.to_owned()])?;
            catalogue.find(name).map_err(failed)?.facts.notes.note.clone()
        }
    };
    let lines: Vec<String> = shown.lines().map(plain).collect();
    print(&format!("{}\n", lines.join("\n")));
    Ok(())
}

fn archive(root: &Path, names: &[String], archived: bool) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, names)?;
    for run in catalogue.find_all(names).map_err(failed)? {
        noted(run, |notes| notes.archived = archived)?;
        print(&format!("{}\n", plain(&run.place)));
    }
    Ok(())
}

fn remove(root: &Path, names: &[String]) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, names)?;
    let runs = catalogue.find_all(names).map_err(failed)?;
    let removed = trash::remove(&catalogue, &runs).map_err(failed)?;
    print_places(&removed);
    tell("removed; put back with: emorun runs undo");
    Ok(())
}

fn put_back(places: &[String]) -> Result<(), Failure> {
    print_places(places);
    Ok(())
}

fn print_places(places: &[String]) {
    let lines = places.iter().map(|place| plain(place) + "\n");
    print(&lines.collect::<String>());
}

fn show_trash(root: &Path, is_emptied: bool) -> Result<(), Failure> {
    if is_emptied {
        print_places(&trash::empty(root).map_err(failed)?);
        return Ok(());
    }
    let removed = trash::contents(root).into_iter();
    print_places(&removed.map(|removed| removed.place).collect::<Vec<_>>());
    Ok(())
}

fn open_tensorboard(root: &Path, names: &[String], is_started: bool) -> Result<(), Failure> {
    let catalogue = catalogue_of(root, names)?;
    let runs: Vec<&Run> = catalogue.find_all(names).map_err(failed)?;
    let cache = folders::cache().unwrap_or_else(std::env::temp_dir).join("tensorboard");
    let folder = tensorboard::links(&cache, &runs).map_err(failed)?;
    if !is_started {
        print(&format!("tensorboard --logdir {}\n", folder.display()));
        return Ok(());
    }
    let status = Command::new("tensorboard").arg("--logdir").arg(&folder).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Input(format!("tensorboard ended with {status}"))),
        Err(error) => Err(Failure::Input(format!(
            "tensorboard cannot be started: {error}; install it (pip install tensorboard) and make it one of the commands that your shell finds"
        ))),
    }
}

/// An error with the exit code of its kind.
pub(super) fn failed(error: CatalogueError) -> Failure {
    use CatalogueError as E;
    let message = error.to_string();
    match error {
        E::NoFolder(_)
        | E::IsRun(_)
        | E::Expression { .. }
        | E::UnknownKey { .. }
        | E::NoRun { .. }
        | E::Ambiguous { .. }
        | E::NotARun(_)
        | E::Member { .. }
        | E::NotInTrash { .. }
        | E::EmptyTrash(_)
        | E::NoBest { .. }
        | E::TooMany { .. }
        | E::OneRun => Failure::Usage(message),
        E::Held { .. } | E::Taken(_) | E::Exists(_) => Failure::Conflict(message),
        E::Corrupt { path, message } => Failure::Corrupt { path, message },
        E::Template(_) => Failure::Bug(message),
        E::Io { action, path, source } => Failure::Io { action, path, source },
    }
}
