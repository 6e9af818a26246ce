//! Damages audio files of every kind millions of times and reads them: no panic, no hang, no memory for what a header
//! claims.
//!
//! `cargo run --release -p emorun-audio --example mutate -- [MUTANTS] [FIRST] [THREADS]`: mutants FIRST to
//! FIRST + MUTANTS, which are the same at every run. The folder for temporary files should be in memory (TMPDIR).
//! Exits with 1 where anything was found.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use emorun_audio::{AudioError, check_file, load, probe};

#[path = "../tests/mutants/mod.rs"]
mod mutants;

/// Headers of every kind with few samples behind them.
const SEEDS: [&[u8]; 29] = [
    include_bytes!("../tests/golden/unsigned8.wav"),
    include_bytes!("../tests/golden/signed16.wav"),
    include_bytes!("../tests/golden/signed24.wav"),
    include_bytes!("../tests/golden/signed16_stereo.wav"),
    include_bytes!("../tests/golden/extensible24.wav"),
    include_bytes!("../tests/golden/float32.wav"),
    include_bytes!("../tests/golden/signed8.flac"),
    include_bytes!("../tests/golden/signed16.flac"),
    include_bytes!("../tests/golden/signed24_stereo.flac"),
    include_bytes!("../tests/golden/variants/wav_double.wav"),
    include_bytes!("../tests/golden/variants/wavex_alaw_three.wav"),
    include_bytes!("../tests/golden/variants/rf64_pcm_16_stereo.wav"),
    include_bytes!("../tests/golden/variants/rifx_24.wav"),
    include_bytes!("../tests/golden/variants/ima_stereo.wav"),
    include_bytes!("../tests/golden/variants/ms_mono.wav"),
    include_bytes!("../tests/golden/variants/valid_20_in_24_1.wav"),
    include_bytes!("../tests/golden/variants/aiff_pcm_16_stereo.aiff"),
    include_bytes!("../tests/golden/variants/aifc_little_24.aif"),
    include_bytes!("../tests/golden/variants/caf_float_stereo.caf"),
    include_bytes!("../tests/golden/variants/mp3_mono.mp3"),
    include_bytes!("../tests/golden/variants/mp3_without_tag.mp3"),
    include_bytes!("../tests/golden/variants/vorbis_mono.ogg"),
    include_bytes!("../tests/golden/opus/silk_mono.opus"),
    include_bytes!("../tests/golden/opus/hybrid_mono.opus"),
    include_bytes!("../tests/golden/opus/celt_stereo.opus"),
    include_bytes!("../tests/golden/variants/flac_mono.oga"),
    include_bytes!("../tests/golden/variants/aac_mono.m4a"),
    include_bytes!("../tests/golden/variants/alac_mono.m4a"),
    include_bytes!("../tests/golden/variants/adts_mono.aac"),
];
/// Mutants that a thread takes at a time.
const CHUNK: u64 = 10_000;
/// Longest time that a mutant of a few kilobytes may take.
const SLOW: Duration = Duration::from_secs(1);
/// Longest time before a mutant counts as one that never ends.
const HANG: Duration = Duration::from_secs(30);

thread_local! {
    /// Panics of this thread, those that were turned into errors included.
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    /// Refused mutants by the kind of the error.
    refused: BTreeMap<String, u64>,
    /// Panics of decoders, which became errors.
    contained: u64,
    slowest: Duration,
    findings: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.contained += other.contained;
        self.slowest = self.slowest.max(other.slowest);
        self.findings.extend(other.findings);
        for (kind, count) in other.refused {
            *self.refused.entry(kind).or_default() += count;
        }
    }
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut number = |default| numbers.next().map_or(Ok(default), |number| number);
    let (Ok(count), Ok(first), Ok(threads)) = (number(1_000_000), number(0), number(1)) else {
        eprintln!("usage: mutate [MUTANTS] [FIRST] [THREADS], three numbers");
        return ExitCode::FAILURE;
    };
    std::panic::set_hook(Box::new(|_| PANICS.set(PANICS.get() + 1)));
    let (next, all, ended) = (
        AtomicU64::new(first),
        Mutex::new(Tally::default()),
        AtomicBool::new(false),
    );
    let now: Vec<(AtomicU64, AtomicU64)> = (0..threads).map(|_| Default::default()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&now, begun, &ended));
        let workers: Vec<_> = now
            .iter()
            .enumerate()
            .map(|(at, now)| {
                let (next, all) = (&next, &all);
                scope.spawn(move || {
                    let path = std::env::temp_dir().join(format!("emorun-mutant-{}-{at}", std::process::id()));
                    loop {
                        let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                        if from >= first + count {
                            break;
                        }
                        let tally = chunk(from..(from + CHUNK).min(first + count), &path, now, begun);
                        if let Ok(mut all) = all.lock() {
                            all.add(tally);
                        }
                    }
                    now.1.store(0, Ordering::Relaxed);
                    let _ = fs::remove_file(path);
                })
            })
            .collect();
        for worker in workers {
            let _ = worker.join();
        }
        ended.store(true, Ordering::Relaxed);
    });
    let tally = all.into_inner().unwrap_or_default();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{count} mutants from {first} on in {seconds:.0} s ({:.1} µs each and thread); slowest {:?}; peak memory {}",
        1e6 * seconds * threads as f64 / count as f64,
        tally.slowest,
        peak().unwrap_or_else(|| "unknown".into())
    );
    println!(
        "accepted {}; panics of the decoder contained {}; refused:",
        tally.accepted, tally.contained
    );
    for (kind, count) in &tally.refused {
        println!("  {kind} {count}");
    }
    for finding in &tally.findings {
        println!("FOUND {finding}");
    }
    println!("{} found", tally.findings.len());
    if tally.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Ends the program when a mutant does not end.
fn watch(now: &[(AtomicU64, AtomicU64)], begun: Instant, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        for (mutant, since_ms) in now {
            let since = Duration::from_millis(since_ms.load(Ordering::Relaxed));
            if since > Duration::ZERO && begun.elapsed().saturating_sub(since) > HANG {
                println!("FOUND mutant {} does not end", mutant.load(Ordering::Relaxed));
                std::process::exit(1);
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn chunk(mutants: std::ops::Range<u64>, path: &Path, now: &(AtomicU64, AtomicU64), begun: Instant) -> Tally {
    let mut tally = Tally::default();
    for mutant in mutants {
        let mut state = mutant;
        let seed = SEEDS[(mutants::draw(&mut state) % SEEDS.len() as u64) as usize];
        let mut bytes = seed.to_vec();
        mutants::mutate(&mut bytes, &mut state);
        if let Err(error) = fs::write(path, &bytes) {
            tally.findings.push(format!("{}: {error}", path.display()));
            break;
        }
        now.0.store(mutant, Ordering::Relaxed);
        now.1.store(begun.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        let (start, panics) = (Instant::now(), PANICS.get());
        let outcome = catch_unwind(AssertUnwindSafe(|| read(path)));
        let taken = start.elapsed();
        tally.slowest = tally.slowest.max(taken);
        if taken > SLOW {
            tally.findings.push(format!("mutant {mutant} takes {taken:?}"));
        }
        match outcome {
            Ok(Ok(())) => tally.accepted += 1,
            Ok(Err(error)) => {
                tally.contained += PANICS.get() - panics;
                if !error.to_string().starts_with(&path.display().to_string()) {
                    tally
                        .findings
                        .push(format!("mutant {mutant}: `{error}` does not name the file"));
                }
                let text = format!("{error:?}");
                let kind = text.split([' ', '{', '(']).next().unwrap_or_default();
                *tally.refused.entry(kind.to_owned()).or_default() += 1;
            }
            Err(_) => tally.findings.push(format!("mutant {mutant} panics")),
        }
    }
    tally
}

/// Reads a file in every way; what one of them says, the others must say as well.
fn read(path: &Path) -> Result<(), AudioError> {
    let header = probe(path);
    let checked = check_file(path, None, 0.0);
    let info = header?;
    let loaded = load(path, info.rate_hz, None);
    assert_eq!(checked.is_ok(), loaded.is_ok(), "a check and a load differ");
    let clip = loaded?;
    assert_eq!(clip.samples.len() as u64, info.frames, "as long as the header says");
    assert!(clip.samples.iter().all(|x| x.is_finite()), "finite");
    Ok(())
}

fn peak() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
