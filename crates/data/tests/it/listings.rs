//! The real names of published corpora: every one has to tell what EmoBox's metadata says of it.
//!
//! EmoBox (Ma et al., Interspeech 2024, MIT licence) lists each file of a corpus with its label, and publishes folds by
//! speaker. Where its archive is beside the project, its names are laid out, each a recording of its own, and scanned.

use super::{items, scanned};
use emorun_audio::{Clip, write_wav};
use emorun_data::canonical;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CORPORA: [&str; 5] = ["ravdess", "cremad", "emodb", "esd", "iemocap"];

/// The metadata of these corpora, or `None` with a printed reason.
fn metadata() -> Option<tempfile::TempDir> {
    let archive = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/emobox.tar.xz");
    if !archive.is_file() {
        println!("skipped: {} is absent", archive.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(folder.path());
    tar.args(CORPORA.map(|corpus| format!("data/{corpus}")));
    match tar.status() {
        Ok(status) if status.success() => Some(folder),
        outcome => {
            println!("skipped: tar cannot unpack {}: {outcome:?}", archive.display());
            None
        }
    }
}

/// A file in EmoBox's list: its path, label and name.
struct Listed {
    path: String,
    label: String,
    stem: String,
}

/// The files of a list.
fn listed(list: &Path) -> Vec<Listed> {
    let text = fs::read_to_string(list).unwrap();
    text.lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let path = entry["wav"].as_str().unwrap().to_owned();
            let stem = Path::new(&path).file_stem().unwrap().to_str().unwrap().to_owned();
            let label = entry["emo"].as_str().unwrap().to_owned();
            Listed { path, label, stem }
        })
        .collect()
}

/// The test side of each fold.
fn folds(corpus: &str, data: &Path) -> Vec<Vec<Listed>> {
    let list = |fold: u32| data.join(format!("{corpus}/fold_{fold}/{corpus}_test_fold_{fold}.jsonl"));
    (1..)
        .map(list)
        .take_while(|list| list.is_file())
        .map(|list| listed(&list))
        .collect()
}

/// The name here for a label of EmoBox.
fn expected(corpus: &str, label: &str) -> &'static str {
    match (corpus, label) {
        // Its misspelling of boredom.
        ("emodb", "boredem") => "bored",
        // The four classes of IEMOCAP count excited as happy, as EmoBox's map does.
        ("iemocap", "exc") => "happy",
        _ => canonical(label).unwrap_or_else(|| panic!("{corpus}: {label}")),
    }
}

/// Writes IEMOCAP's label files, in the form that they are published in, for the utterances listed.
fn write_labels(root: &Path, files: &[Listed]) {
    let mut dialogues: BTreeMap<&str, String> = BTreeMap::new();
    for file in files {
        let (dialogue, _) = file.stem.rsplit_once('_').unwrap();
        let text = dialogues
            .entry(dialogue)
            .or_insert_with(|| "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n".to_owned());
        *text += &format!(
            "[6.2901 - 8.2357]\t{}\t{}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n",
            file.stem, file.label
        );
    }
    for (dialogue, text) in dialogues {
        let folder = root.join(format!(
            "downloads/iemocap/Session{}/dialog/EmoEvaluation",
            &dialogue[4..5]
        ));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{dialogue}.txt")), text).unwrap();
    }
}

#[test]
fn every_published_name_tells_the_label_and_speaker_that_emobox_states() {
    let Some(folder) = metadata() else { return };
    let data = folder.path().join("data");
    // Files, speakers, and speakers of a fold where folds are by speaker.
    for (corpus, files, speakers, of_fold) in [
        ("ravdess", 1440, 24, Some(4)),
        ("cremad", 7442, 91, None),
        ("emodb", 535, 10, None),
        ("esd", 35_000, 20, Some(4)),
        ("iemocap", 5531, 10, Some(2)),
    ] {
        let list = data.join(format!("{corpus}/{corpus}.jsonl"));
        let folds = folds(corpus, &data);
        // The list of all of ESD is not in the archive; its folds' test sides are all of it.
        let all: Vec<Listed> = match list.is_file() {
            true => listed(&list),
            false => self::folds(corpus, &data).into_iter().flatten().collect(),
        };
        assert_eq!(all.len(), files, "{corpus}");
        let root = tempfile::tempdir().unwrap();
        for (at, file) in all.iter().enumerate() {
            let path = root.path().join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // No two recordings are the same, or their labels would contradict each other.
            let bit = |sample: usize| sample < 32 && at >> sample & 1 == 1;
            let samples = (0..1600).map(|sample| if bit(sample) { 0.1 } else { -0.1 });
            let clip = Clip {
                samples: samples.collect(),
                rate_hz: 16_000,
            };
            write_wav(&path, &clip).unwrap();
        }
        if corpus == "iemocap" {
            write_labels(root.path(), &all);
        }
        let scanned = scanned(json!({ "d": { "kind": corpus, "root": root.path() } }));
        assert_eq!(
            (scanned.items.len(), scanned.skipped.len(), scanned.speakers().len()),
            (files, 0, speakers),
            "{corpus}: {:?}",
            scanned.skipped.first()
        );
        let told: BTreeMap<String, (String, String, Option<u32>)> = items(&scanned)
            .into_iter()
            .map(|item| {
                let class = item
                    .label("emotion")
                    .map(|class| scanned.label_sets["emotion"][class as usize].clone());
                let speaker = item.speaker.rsplit('/').next().unwrap_or_default().to_owned();
                let key = item.key.strip_prefix("d/").unwrap_or_default().to_owned();
                (key, (class.unwrap_or_default(), speaker, item.label("gender")))
            })
            .collect();
        for file in &all {
            assert_eq!(
                told[&file.path].0,
                expected(corpus, &file.label),
                "{corpus}: {}",
                file.path
            );
        }
        let of = |fold: &[Listed]| -> BTreeSet<(String, Option<u32>)> {
            fold.iter()
                .map(|file| (told[&file.path].1.clone(), told[&file.path].2))
                .collect()
        };
        let sides: Vec<BTreeSet<(String, Option<u32>)>> = folds.iter().map(|fold| of(fold)).collect();
        let Some(of_fold) = of_fold else { continue };
        assert!(sides.iter().all(|side| side.len() == of_fold), "{corpus}: {sides:?}");
        let together: BTreeSet<&(String, Option<u32>)> = sides.iter().flatten().collect();
        assert_eq!(
            (together.len(), sides.len() * of_fold),
            (speakers, speakers),
            "{corpus}"
        );
        match corpus {
            // EmoBox's second fold of RAVDESS is female alone, and IEMOCAP's folds are of a woman and a man.
            "ravdess" => assert!(sides[1].iter().all(|(_, gender)| *gender == Some(0))),
            "iemocap" => assert!(sides.iter().all(|side| {
                let genders: BTreeSet<Option<u32>> = side.iter().map(|(_, gender)| *gender).collect();
                genders == [Some(0), Some(1)].into()
            })),
            _ => {}
        }
    }
}
