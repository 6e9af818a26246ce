//! `emorun data fetch`.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use emorun_fetch::{Class, Client, Event, FetchError, How, Network, Options, SOURCES, Source, fetch_corpus};

use super::progress::Bars;
use crate::cli::{Common, print};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::{tell, write_stderr};
use emorun_runs::run::report::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The corpus; all that can be fetched are listed when left out.
    name: Option<String>,
    /// Folder to fetch into; `data/CORPUS` when left out.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Part of the corpus, such as dev-clean; may be given several times.
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<String>,
    /// The corpus' licence has been read and is accepted, for scripts.
    #[arg(long)]
    accept_licence: bool,
    /// Address of a folder with the same files, asked instead of the official one.
    #[arg(long, value_name = "ADDRESS")]
    mirror: Option<String>,
    /// Keep archives beside what was in them.
    #[arg(long)]
    keep_archives: bool,
    /// Files that are downloaded at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    connections: u8,
}

pub(super) fn fetch(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let Some(name) = &arguments.name else {
        print(&list());
        return Ok(());
    };
    let source = Source::named(name).map_err(failed)?;
    let to = arguments
        .to
        .clone()
        .unwrap_or_else(|| Path::new("data").join(source.folder));
    let job = Job {
        parts: &arguments.parts,
        accepted: arguments.accept_licence,
        mirror: arguments.mirror.as_deref(),
        keep_archives: arguments.keep_archives,
        connections: usize::from(arguments.connections),
    };
    bring(source, &to, &job, common)?;
    print(&format!("{}\n", to.display()));
    Ok(())
}

/// How a corpus is fetched.
pub(super) struct Job<'a> {
    pub parts: &'a [String],
    pub accepted: bool,
    pub mirror: Option<&'a str>,
    pub keep_archives: bool,
    pub connections: usize,
}

/// Shows the licence, asks for consent and fetches.
pub(super) fn bring(source: &Source, to: &Path, job: &Job<'_>, common: Common) -> Result<(), Failure> {
    write_stderr(&describe(source));
    if let How::Request(steps) = source.how {
        let steps: String = steps
            .iter()
            .enumerate()
            .map(|(number, step)| format!("\n  {}. {step}", number + 1))
            .collect();
        return Err(Failure::Input(format!(
            "{} is handed out by its owners on request:{steps}",
            source.name
        )));
    }
    if common.offline {
        return Err(Failure::Input(format!(
            "{} cannot be fetched with --offline; copy it to {} from a machine that has it",
            source.name,
            to.display()
        )));
    }
    consent(source, job.accepted)?;
    let client = Client::new(&Network::from_env(), "", None).map_err(failed)?;
    let options = Options {
        to,
        parts: job.parts,
        mirror: job.mirror,
        keep_archives: job.keep_archives,
        connections: job.connections,
    };
    let bars = Bars::new();
    let fetched = fetch_corpus(&client, source, &options, &|event| show(&bars, event)).map_err(failed)?;
    for name in &fetched.recorded {
        tell(&format!(
            "nobody publishes a hash of {name}: the recordings in it have the corpus' names; its hash is recorded, and \
             checked from now on"
        ));
    }
    tell(&format!(
        "{} files downloaded and {} found in {}",
        fetched.downloaded,
        fetched.present,
        to.display()
    ));
    Ok(())
}

fn show(bars: &Bars, event: Event<'_>) {
    match event {
        Event::Waiting => bars.line("another process fetches into the same folder; waiting for it"),
        Event::Present { file } => bars.line(&format!("{file} is there")),
        Event::Received { file, bytes, total } => bars.at(file, bytes, total, true),
        Event::Busy { file, status, wait } => bars.line(&format!(
            "{file}: the server is busy ({status}); asking again in {} s",
            wait.as_secs()
        )),
        Event::Unpacking { file, files } => bars.at(&unpacking(file), files, None, false),
        Event::Done { file } => {
            bars.clear(&unpacking(file));
            bars.done(file);
        }
        Event::Counted { done, files, .. } if done == files => bars.done("files"),
        Event::Counted { done, files, .. } => bars.at("files", done as u64, Some(files as u64), false),
    }
}

/// Name of the bar of an archive that is being unpacked.
fn unpacking(file: &str) -> String {
    format!("unpacking {file}: files")
}

/// What a corpus is and what its use is bound to.
fn describe(source: &Source) -> String {
    format!(
        "{}\n  page     {}\n  licence  {} ({})\n           {}\n  cite     {}\n",
        source.title, source.page, source.licence.name, source.licence.note, source.licence.url, source.cite
    )
}

/// Asks whether the licence is accepted.
fn consent(source: &Source, accepted: bool) -> Result<(), Failure> {
    if accepted {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "the licence of {} has to be accepted: read {} and give --accept-licence",
            source.name, source.licence.url
        )));
    }
    write_stderr("Do you accept this licence? [y/N] ");
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::Usage(
            "the licence was not accepted; nothing was fetched".into(),
        )),
    }
}

/// All corpora with their parts.
fn list() -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let size =
        |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9));
    for source in &SOURCES {
        let row = |part: &str, size: String| {
            vec![
                source.name.to_owned(),
                part.to_owned(),
                size,
                source.licence.name.to_owned(),
            ]
        };
        match source.how {
            How::Archives(files) => rows.extend(files.iter().map(|file| row(file.part, size(file.size)))),
            How::Lfs(lfs) => rows.push(row("all", size(Some(lfs.bytes)))),
            How::Repository(_) => rows.push(row("all", size(None))),
            How::Request(_) => rows.push(row("on request", String::new())),
        }
    }
    table(&["name", "part", "size", "licence"], &rows)
}

/// A failure of the file system, without the advice on runs that belongs to other commands.
pub(super) fn unwritten(action: &'static str, path: PathBuf, source: &std::io::Error) -> Failure {
    Failure::Io {
        action,
        path,
        source: std::io::Error::other(source.to_string()),
    }
}

/// A failure to fetch as a command's.
pub(super) fn failed(error: FetchError) -> Failure {
    match (error.class(), error) {
        (_, FetchError::Io { action, path, source }) => unwritten(action, path, &source),
        (Class::Usage, error) => Failure::Usage(error.to_string()),
        (Class::Io, FetchError::DiskFull { path }) => Failure::Io {
            action: "write",
            source: std::io::Error::other("no space left; free some, then run the same command again to go on"),
            path,
        },
        (_, error) => Failure::Input(error.to_string()),
    }
}
