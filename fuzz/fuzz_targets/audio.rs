//! Any bytes as a WAV or FLAC file: an error that names it or finite samples.
//!
//! Start it from the golden files: `cargo +nightly fuzz run audio fuzz/corpus/audio crates/audio/tests/golden`.

#![no_main]

use emorun_audio::{check_file, load, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("emorun-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("the folder for temporary files can be written");
    let header = probe(&path);
    let checked = check_file(&path, None, 0.0);
    let loaded = header.and_then(|info| load(&path, info.rate_hz, None));
    assert_eq!(checked.is_ok(), loaded.is_ok());
    match loaded {
        Ok(clip) => assert!(clip.samples.iter().all(|x| x.is_finite())),
        Err(error) => assert!(error.to_string().starts_with(&path.display().to_string())),
    }
});
