//! How long a list of many runs takes: without an index, and with one.
//!
//! ```text
//! cargo bench -p emorun-catalogue --bench ten_thousand
//! ```

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::time::{Duration, Instant};

use emorun_catalogue::{Catalogue, Listing, Request};

#[expect(dead_code, reason = "what only the tests need")]
#[path = "../tests/it/made.rs"]
mod made;

const RUNS: u64 = 10_000;
const FILTER: &str = "status == completed && emotion.uar > 0.7 && training.optimizer.lr < 1e-3";

/// Time that the processor has spent on this process, in steps of 10 ms; 0 where the system does not tell.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(10 * ticks)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..RUNS {
        let run = made::Made {
            place: format!("experiment-{}/run-{number:05}", number % 10),
            status: if number % 17 == 0 { "failed" } else { "completed" },
            lr: 1e-5 * (1.0 + (number % 200) as f64),
            seed: number,
            uar: 0.5 + (number % 4000) as f64 * 1e-4,
        };
        run.write(folder.path());
    }
    // What was written a moment ago is read again each time.
    std::thread::sleep(Duration::from_secs(3));
    let time = |name: &str, filter: Option<&str>| {
        let (begin, used) = (Instant::now(), processor());
        let catalogue = Catalogue::read(folder.path()).unwrap();
        let read = begin.elapsed();
        let request = Request {
            filter: filter.map(str::to_owned),
            sort: Some("-emotion.uar".to_owned()),
            ..Request::default()
        };
        let listing = Listing::of(&catalogue, &request).unwrap();
        let table = listing.table();
        println!(
            "{name}: {:?} ({:?} of the processor), of which reading {read:?}; {} lines",
            begin.elapsed(),
            processor() - used,
            table.lines().count()
        );
    };
    time("without an index", None);
    let index = std::fs::metadata(folder.path().join(".emorun-index.json"))
        .unwrap()
        .len();
    println!("index: {index} bytes");
    for _ in 0..std::env::var("REPEAT").ok().and_then(|n| n.parse().ok()).unwrap_or(3) {
        time("with an index", None);
        time("with an index, filtered", Some(FILTER));
    }
}
