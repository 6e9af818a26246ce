//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod damage;
mod folders;
mod golden;
mod hostile;
mod hub;
mod refusals;
mod repository;
#[path = "../../../fetch/tests/it/server.rs"]
mod server;

use emorun_weights::{Checkpoint, Clock, HubSettings, Located, WeightsError, WeightsSource, locate};
use std::path::{Path, PathBuf};

/// A file that `make_golden.py` wrote.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Settings with which nothing leaves the machine.
fn settings(cache: &Path, endpoint: &str) -> HubSettings {
    HubSettings {
        endpoint: endpoint.to_owned(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
        proxy_from_env: false,
        certificates: None,
        // Nobody waits in tests.
        clock: Clock::new(std::time::SystemTime::now, |_| ()),
    }
}

/// Finds files that need no Hub.
fn find(path: &Path) -> Result<Located, WeightsError> {
    let source = WeightsSource::parse(path.to_str().unwrap())?;
    let nowhere = settings(Path::new("/nowhere"), "http://127.0.0.1:1");
    locate(&source, &nowhere, &mut |progress| panic!("{progress:?}")).map(|located| located.unwrap())
}

/// A file of tensors copied to a folder with a configuration, opened.
fn open(file: &Path) -> Result<Checkpoint, WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(file.file_name().unwrap());
    std::fs::copy(file, &copy).unwrap();
    open_bytes(&copy, &std::fs::read(file).unwrap())
}

/// The same of bytes.
fn open_bytes(file: &Path, bytes: &[u8]) -> Result<Checkpoint, WeightsError> {
    std::fs::write(file, bytes).unwrap();
    let config = file.with_file_name("config.json");
    if !config.exists() {
        std::fs::write(config, "{}").unwrap();
    }
    Checkpoint::open(&find(file)?)
}
