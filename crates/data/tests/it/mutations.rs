//! Names and tables that are wrong in any way end in items, remarks or errors, never in a panic.

use super::datasets;
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::esd::{EsdLayout, write_esd};
use emorun_data::corpora::iemocap::{IemocapLabels, write_iemocap};
use emorun_data::corpora::librispeech::write_librispeech;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::{DatasetConfig, ScanLevel, scan, verify};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Pieces that names and lines are spoilt with.
const PIECES: [&str; 16] = [
    "", "_", "-", " ", "\t", "é", "快乐", "0", "99", "XX", ".", ":", ";", "[", "\"", "\u{202e}",
];

/// A stream of numbers that is the same every time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// The text with one to three places overwritten, taken out or put in.
    fn spoil(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(letters.len() + 1);
            let until = (at + self.below(4)).min(letters.len());
            let piece = PIECES[self.below(PIECES.len())];
            letters.splice(at..until, piece.chars());
        }
        letters.into_iter().collect()
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn no_name_and_no_table_makes_a_scan_or_a_verification_panic() {
    let root = tempfile::tempdir().unwrap();
    let mut draws = Draws(20_251_121);
    let at = |kind: &str| root.path().join(kind);
    write_ravdess(&at("ravdess"), &[1], 0.06).unwrap();
    write_cremad(&at("cremad"), &[1001], 0.06).unwrap();
    write_emodb(&at("emodb"), &["03"], 0.06).unwrap();
    write_iemocap(&at("iemocap"), &[1], IemocapLabels::Dialogue, 0.06).unwrap();
    write_esd(&at("esd"), &[1, 11], 4, EsdLayout::Sides, 0.06).unwrap();
    write_librispeech(&at("librispeech"), 0.06).unwrap();
    let (mut scans, mut read) = (0, 0);
    for kind in ["ravdess", "cremad", "emodb", "iemocap", "esd", "librispeech"] {
        let mut all = Vec::new();
        files(&at(kind), &mut all);
        let is_audio = |path: &&PathBuf| path.extension().is_some_and(|end| end == "wav" || end == "flac");
        let (audio, tables): (Vec<&PathBuf>, Vec<&PathBuf>) = all.iter().partition(is_audio);
        // Names: every other file gets a new one, some twice.
        for path in audio.iter().step_by(2) {
            let name = draws.spoil(path.file_name().unwrap().to_str().unwrap());
            let new = path.with_file_name(name.replace('/', "_"));
            if !name.trim_matches('.').is_empty() && !new.exists() {
                fs::rename(path, new).unwrap();
            }
        }
        let texts: Vec<String> = tables.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for _ in 0..12 {
            for (path, text) in tables.iter().zip(&texts) {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                for _ in 0..4 {
                    let line = draws.below(lines.len());
                    let spoilt = draws.spoil(lines.get(line).map_or("", String::as_str));
                    if let Some(place) = lines.get_mut(line) {
                        *place = spoilt;
                    }
                }
                fs::write(path, lines.join("\n")).unwrap();
            }
            let config = datasets(json!({ "d": { "kind": kind, "root": at(kind), "on_bad_audio": "skip" } }));
            scans += 1;
            match scan(&config, ScanLevel::Metadata, None) {
                Ok(corpus) => {
                    read += 1;
                    assert!(!corpus.items.is_empty());
                }
                Err(errors) => assert!(errors.iter().all(|error| !error.to_string().is_empty())),
            }
            if let Ok(report) = verify("d", &DatasetConfig::whole(kind, &at(kind)).unwrap(), false) {
                assert!(!report.complete && !report.to_text().is_empty());
            }
            if tables.is_empty() {
                break;
            }
        }
    }
    assert!(scans > 40 && 2 * read > scans, "{read} of {scans} scans");
}
