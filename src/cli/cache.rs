//! `emorun cache`: what is kept of frozen encoders on disk.

use std::fmt::Write as _;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use emorun_features::{Removed, Stats, Store, StoreError};
use serde_json::json;

use super::{Format, print};
use emorun_engine::exit::Failure;
use emorun_engine::memory::mib;
use emorun_engine::settings::LoaderSettings;
use emorun_experiment::folders;
use emorun_runs::run::report::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show what there is, or remove what was not used for longest.
    #[arg(value_enum, default_value_t = Action::Stats)]
    action: Action,
    /// What `gc` leaves at most, in GiB; training.loader.cache_gib's default when left out.
    #[arg(long, value_name = "GIB", value_parser = parse_gib)]
    limit_gib: Option<f64>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Entries and bytes by encoder and dataset.
    Stats,
    /// Remove entries, those not used for longest first, down to a limit.
    Gc,
}

fn parse_gib(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|gib| gib.is_finite() && *gib >= 0.0)
        .ok_or_else(|| "give a number of GiB, 0 or more".into())
}

pub(super) fn cache(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.action == Action::Stats && arguments.limit_gib.is_some() {
        return Err(Failure::Usage("--limit-gib is for `emorun cache gc`".into()));
    }
    let folder = folders::cache().ok_or_else(|| {
        Failure::Usage("there is no folder for caches: set XDG_CACHE_HOME to one that can be written".into())
    })?;
    let store = Store::open(&folder.join("features"), None).map_err(failed)?;
    let removed = match arguments.action {
        Action::Stats => None,
        Action::Gc => {
            let gib = arguments
                .limit_gib
                .unwrap_or_else(|| LoaderSettings::default().cache_gib as f64);
            Some(store.gc((gib * (1u64 << 30) as f64) as u64).map_err(failed)?)
        }
    };
    let stats = store.stats().map_err(failed)?;
    let folder = store.root().display().to_string();
    print(&match arguments.format {
        Format::Human => text(&folder, removed.as_ref(), &stats),
        Format::Json => format!("{:#}\n", as_json(&folder, removed.as_ref(), &stats)),
    });
    Ok(())
}

fn failed(error: StoreError) -> Failure {
    match error {
        StoreError::Open { folder: path, source } => Failure::Io {
            action: "create",
            path,
            source,
        },
        StoreError::Read { path, source } => Failure::Io {
            action: "read",
            path,
            source,
        },
        StoreError::Write { folder: path, source } => Failure::Io {
            action: "write",
            path,
            source,
        },
        StoreError::Remove { path, source } => Failure::Io {
            action: "remove",
            path,
            source,
        },
        error @ (StoreError::TooLarge { .. } | StoreError::Value(_)) => Failure::Bug(error.to_string()),
    }
}

fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(|time| DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn text(folder: &str, removed: Option<&Removed>, stats: &Stats) -> String {
    let mut text = String::new();
    if let Some(removed) = removed {
        let _ = writeln!(
            text,
            "removed {} entries, {} damaged and {} unfinished: {}",
            removed.entries,
            removed.damaged,
            removed.unfinished,
            mib(removed.bytes)
        );
        if removed.recent > 0 {
            let _ = writeln!(text, "{} of the entries were used within two hours", removed.recent);
        }
    }
    let row = |kind: &str, source: &str, entries: u64, bytes: u64| {
        vec![kind.to_owned(), source.to_owned(), entries.to_string(), mib(bytes)]
    };
    let mut rows: Vec<Vec<String>> = stats
        .by_origin
        .iter()
        .map(|(origin, usage)| row(&origin.kind, &origin.source, usage.entries, usage.bytes))
        .collect();
    rows.push(row("total", "", stats.all.entries, stats.all.bytes));
    text.push_str(&table(&["encoder", "dataset", "entries", "size"], &rows));
    if let (Some(oldest), Some(newest)) = (time(stats.oldest_use), time(stats.newest_use)) {
        let _ = writeln!(text, "used between {oldest} and {newest}");
    }
    for (name, usage) in [("damaged", stats.damaged), ("unfinished", stats.unfinished)] {
        if usage.entries > 0 {
            let _ = writeln!(text, "{name}: {} files, {}", usage.entries, mib(usage.bytes));
        }
    }
    let _ = writeln!(text, "{folder}");
    text
}

fn as_json(folder: &str, removed: Option<&Removed>, stats: &Stats) -> serde_json::Value {
    let origins: Vec<serde_json::Value> = stats
        .by_origin
        .iter()
        .map(|(origin, usage)| {
            json!({
                "encoder": origin.kind, "dataset": origin.source, "entries": usage.entries, "bytes": usage.bytes,
            })
        })
        .collect();
    let removed = removed.map(|removed| {
        json!({
            "entries": removed.entries,
            "recent": removed.recent,
            "damaged": removed.damaged,
            "unfinished": removed.unfinished,
            "bytes": removed.bytes,
        })
    });
    json!({
        "folder": folder,
        "removed": removed,
        "entries": stats.all.entries,
        "bytes": stats.all.bytes,
        "by_origin": origins,
        "oldest_use": time(stats.oldest_use),
        "newest_use": time(stats.newest_use),
        "damaged": { "entries": stats.damaged.entries, "bytes": stats.damaged.bytes },
        "unfinished": { "entries": stats.unfinished.entries, "bytes": stats.unfinished.bytes },
    })
}
