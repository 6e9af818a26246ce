use super::{assert_apart, datasets, items, speakers, split_of};
use emorun_data::{Corpus, ScanLevel, scan};
use serde_json::json;
use std::path::PathBuf;

/// A folder of real speech beside the project, or `None` with a printed reason.
pub fn real(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: {} is absent", root.display());
    None
}

fn deep(kind: &str) -> Option<Corpus> {
    let config = json!({ kind: { "kind": kind, "root": real(kind)? } });
    let corpus = scan(&datasets(config), ScanLevel::Deep, None);
    Some(corpus.unwrap_or_else(|errors| panic!("{}", super::text(&errors))))
}

#[test]
fn emodb_is_535_utterances_of_ten_speakers_in_seven_emotions() {
    let Some(corpus) = deep("emodb") else { return };
    let all: Vec<usize> = (0..corpus.items.len()).collect();
    assert_eq!((corpus.items.len(), corpus.speakers().len()), (535, 10));
    assert_eq!(
        (corpus.duplicates.len(), corpus.skipped.len(), corpus.warnings.len()),
        (0, 0, 0)
    );
    // Ten sentences, said again and again, are no copies of one another.
    assert_eq!(corpus.alike, Vec::<Vec<usize>>::new());
    let counts = corpus.class_counts("emotion", &all);
    let counts: Vec<(&str, usize)> = counts.iter().map(|(class, count)| (class.as_str(), *count)).collect();
    assert_eq!(
        counts,
        [
            ("neutral", 79),
            ("happy", 71),
            ("sad", 62),
            ("angry", 127),
            ("fearful", 69),
            ("disgust", 46),
            ("bored", 81)
        ]
    );
    assert_eq!(
        corpus.class_counts("gender", &all).into_values().collect::<Vec<_>>(),
        [302, 233]
    );
    let pairs = json!([["03", "08"], ["09", 10], [11, 13], [12, 14], [15, 16]]);
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": { "groups": pairs } })).unwrap();
    assert_eq!(folds.iter().map(|fold| fold.test.len()).sum::<usize>(), 535);
    for fold in &folds {
        assert_apart(&corpus, fold);
        assert_eq!(fold.certificate.audio_compared, 535);
    }
}

#[test]
fn ravdess_has_sixty_utterances_of_each_actor() {
    let Some(corpus) = deep("ravdess") else { return };
    let all: Vec<usize> = (0..corpus.items.len()).collect();
    assert_eq!((corpus.items.len(), corpus.speakers().len()), (480, 8));
    assert_eq!(corpus.alike, Vec::<Vec<usize>>::new());
    assert_eq!(
        corpus.class_counts("emotion", &all).into_values().collect::<Vec<_>>(),
        [32, 64, 64, 64, 64, 64, 64, 64]
    );
    let pairs = json!([[1, 4], [11, 10], [21, 12], [20, 14]]);
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": { "groups": pairs } })).unwrap();
    assert!(
        folds
            .iter()
            .all(|fold| fold.test.len() == 120 && speakers(&corpus, &fold.test).len() == 2)
    );
    // A few of the files are stereo.
    let audio = items(&corpus)[0].load_audio(16_000).unwrap();
    assert!((audio.len() as f64 / 16_000.0 - items(&corpus)[0].duration_s).abs() < 1e-3);
}
