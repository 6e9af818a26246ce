//! Tables and folders as people have them: read as they are meant, or refused with one error that says what to do.

mod folders;
mod tables;

use super::{datasets, text};
use emorun_audio::{Clip, write_wav};
use emorun_data::{Corpus, ScanLevel, scan};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What a scan has to end with.
pub enum Expected<'a> {
    /// So many items, and remarks that hold these texts, one each.
    Items(usize, &'a [&'a str]),
    /// Errors that hold these texts, and their help these, one each.
    Errors(&'a [(&'a str, &'a str)]),
}
pub use Expected::{Errors, Items};

/// Lays a corpus out in a folder of its own, scans it deep with a configuration in which `ROOT` is that folder, and compares.
pub fn check(case: &str, lay: impl FnOnce(&Path), config: Value, expected: &Expected<'_>) -> Option<Corpus> {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path());
    let root = folder.path().to_str().unwrap();
    let config: Value = serde_json::from_str(&config.to_string().replace("ROOT", root)).unwrap();
    let result = scan(&datasets(json!({ "d": config })), ScanLevel::Deep, None);
    match (result, expected) {
        (Ok(corpus), Items(count, remarks)) => {
            assert_eq!(corpus.items.len(), *count, "{case}: {:?}", corpus.skipped);
            let said: Vec<String> = corpus
                .warnings
                .iter()
                .map(|remark| remark.replace(root, "ROOT"))
                .collect();
            assert_eq!(said.len(), remarks.len(), "{case}: {said:#?}");
            for (remark, part) in said.iter().zip(*remarks) {
                assert!(remark.contains(part), "{case}: `{remark}` lacks `{part}`");
            }
            Some(corpus)
        }
        (Err(errors), Errors(expected)) => {
            assert_eq!(errors.len(), expected.len(), "{case}: {}", text(&errors));
            for (error, (part, remedy)) in errors.iter().zip(*expected) {
                let said = error.to_string().replace(root, "ROOT");
                assert!(said.contains(part), "{case}: `{said}` lacks `{part}`");
                let help = error.help().unwrap_or_default().replace(root, "ROOT");
                assert!(help.contains(remedy), "{case}: `{help}` lacks `{remedy}`");
            }
            None
        }
        (Ok(corpus), Errors(_)) => panic!("{case} is accepted: {:?}", corpus.warnings),
        (Err(errors), Items(..)) => panic!("{case} is refused: {}", text(&errors)),
    }
}

/// A file of its own content below a root.
pub fn tone(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pitch = 0.05
        + name
            .bytes()
            .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) as f32
            / 5e10;
    let samples = (0..1600).map(|at| 0.3 * (at as f32 * pitch).sin()).collect();
    write_wav(
        &path,
        &Clip {
            samples,
            rate_hz: 16_000,
        },
    )
    .unwrap();
}

/// A dataset of this table.
pub fn manifest(file: &str) -> Value {
    json!({ "kind": "manifest", "path": format!("ROOT/{file}") })
}
