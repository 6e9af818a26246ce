//! Damaged files give an error or a clip: no panic, no hang, no memory for what a header claims.

use std::path::Path;
use std::time::{Duration, Instant};

use emorun_audio::{check_file, load, probe};

mod mutants;

const FILES: [&str; 13] = [
    "signed16_stereo.wav",
    "extensible24.wav",
    "float32.wav",
    "signed16.flac",
    "signed24_stereo.flac",
    "variants/ima_stereo.wav",
    "variants/aiff_pcm_16_stereo.aiff",
    "variants/caf_float_stereo.caf",
    "variants/mp3_mono.mp3",
    "variants/vorbis_mono.ogg",
    "opus/hybrid_mono.opus",
    "variants/aac_mono.m4a",
    "variants/adts_mono.aac",
];
const MUTANTS: u64 = 1000;

/// Most address space this process has had, in MiB, where the system says so.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn mutated_files_never_panic_hang_or_take_memory() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutant");
    let before = peak_mib();
    let (mut accepted, mut refused) = (0, 0);
    let mut slowest = Duration::ZERO;
    for (file, name) in (0_u64..).zip(FILES) {
        let original = std::fs::read(golden.join(name)).unwrap();
        for mutant in 0..MUTANTS {
            let mut state = file * MUTANTS + mutant;
            let mut bytes = original.clone();
            mutants::mutate(&mut bytes, &mut state);
            std::fs::write(&path, &bytes).unwrap();
            let start = Instant::now();
            let header = probe(&path);
            match load(&path, 16_000, None) {
                Ok(clip) => {
                    assert!(header.is_ok(), "{name}, mutant {mutant}");
                    assert!(check_file(&path, None, 0.0).is_ok(), "{name}, mutant {mutant}");
                    assert!(clip.samples.iter().all(|x| x.is_finite()));
                    accepted += 1;
                }
                Err(error) => {
                    assert!(check_file(&path, None, 0.0).is_err(), "{name}, mutant {mutant}");
                    let message = error.to_string();
                    assert!(
                        message.starts_with(&path.display().to_string()),
                        "{name}, mutant {mutant}: {message}"
                    );
                    refused += 1;
                }
            }
            slowest = slowest.max(start.elapsed());
        }
    }
    println!("{accepted} accepted, {refused} refused, slowest {slowest:?}");
    // Both kinds of outcome: a mutation in the samples goes unseen in WAV, one in a header does not.
    assert!(accepted > 500 && refused > 1500);
    assert!(slowest < Duration::from_secs(10));
    if let (Some(before), Some(after)) = (before, peak_mib()) {
        assert!(after - before < 512, "address space grew by {} MiB", after - before);
    }
}
