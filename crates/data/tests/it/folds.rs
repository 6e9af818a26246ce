use super::{assert_apart, check, scanned, speakers, split_of};
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::{Assignment, Corpus, ErrorClass};
use serde_json::{Value, json};

fn ravdess(actors: &[u32]) -> Corpus {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), actors, 0.06).unwrap();
    scanned(json!({ "ravdess": { "kind": "ravdess", "root": root.path() } }))
}

fn folds(corpus: &Corpus, folds: Value) -> Vec<Assignment> {
    split_of(corpus, json!({ "kind": "folds", "folds": folds })).unwrap()
}

/// Every item is tested once, and sides are apart.
fn assert_complete(corpus: &Corpus, folds: &[Assignment]) {
    let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.iter().copied()).collect();
    tested.sort_unstable();
    assert_eq!(tested, (0..corpus.items.len()).collect::<Vec<_>>());
    for fold in folds {
        assert_apart(corpus, fold);
        assert_eq!(
            fold.train.len() + fold.validation.len() + fold.test.len(),
            corpus.items.len()
        );
    }
}

#[test]
fn k_folds_are_disjoint_complete_and_even() {
    let corpus = scanned(json!({ "s": { "kind": "synthetic", "speakers": 20, "utterances": 1 } }));
    let drawn = folds(&corpus, json!({ "k": 5 }));
    assert_complete(&corpus, &drawn);
    for (index, fold) in drawn.iter().enumerate() {
        assert_eq!(fold.label.as_deref(), Some(format!("fold-{}", index + 1).as_str()));
        assert_eq!(speakers(&corpus, &fold.test).len(), 4);
        assert!(
            corpus
                .class_counts("gender", &fold.test)
                .into_values()
                .all(|count| count > 0)
        );
    }
    let hashes =
        |folds: &[Assignment]| -> Vec<String> { folds.iter().map(|fold| fold.certificate.hash.clone()).collect() };
    assert_eq!(hashes(&drawn), hashes(&folds(&corpus, json!({ "k": 5 }))));
    let errors = split_of(&corpus, json!({ "kind": "folds", "folds": { "k": 21 } })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["has 20 independent speaker groups"]);
    let errors = split_of(&corpus, json!({ "kind": "folds", "folds": { "k": 1 } })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`folds.k`"]);
}

#[test]
fn one_speaker_is_left_out_at_a_time() {
    let corpus = ravdess(&[3, 1, 2]);
    let drawn = folds(&corpus, json!("leave_one_speaker_out"));
    assert_complete(&corpus, &drawn);
    let order: Vec<String> = drawn.iter().flat_map(|fold| speakers(&corpus, &fold.test)).collect();
    assert_eq!(order, ["ravdess/01", "ravdess/02", "ravdess/03"]);
}

#[test]
fn given_groups_are_the_folds_whether_ids_are_text_or_numbers() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03", "08", "09", "10", "11", "13"], 0.06).unwrap();
    let corpus = scanned(json!({ "emodb": { "kind": "emodb", "root": root.path() } }));
    let drawn = folds(
        &corpus,
        json!({ "groups": [["03", 8], [9, "emodb/10"], ["emodb/11", "13"]] }),
    );
    assert_complete(&corpus, &drawn);
    assert_eq!(
        speakers(&corpus, &drawn[0].test),
        ["emodb/03", "emodb/08"].map(str::to_owned).into()
    );
    let config = |groups: Value| json!({ "kind": "folds", "folds": { "groups": groups } });
    let errors = split_of(&corpus, config(json!([["03", 8, 3], [9, 10], [11, "31"]]))).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["`emodb/03` is in both", "no speaker or dataset `31`"],
    );
    assert_eq!(errors[1].document_path(), ["split", "folds", "groups", "2", "1"]);
    let errors = split_of(&corpus, config(json!([["03", 8], [9, 10]]))).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["2 speakers are on no side: `emodb/11`, `emodb/13`"],
    );
    let errors = split_of(&corpus, config(json!([["03"], []]))).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`folds.groups.1` is empty"]);
}

#[test]
fn speakers_in_no_fold_are_trained_on_or_dropped_as_the_file_says() {
    let corpus = ravdess(&[1, 2, 3, 4]);
    let with = |rest: &str| {
        let config = json!({ "kind": "folds", "folds": { "groups": [[1], [2]] }, "rest": rest });
        split_of(&corpus, config).unwrap()
    };
    for fold in with("train") {
        assert_apart(&corpus, &fold);
        assert_eq!((fold.train.len(), fold.test.len()), (180, 60));
    }
    for fold in with("drop") {
        assert_eq!((fold.train.len(), fold.test.len()), (60, 60));
    }
}

#[test]
fn validation_is_nothing_a_share_or_the_next_fold() {
    let corpus = ravdess(&[1, 2, 3, 4, 5, 6]);
    let with = |validation: Value| {
        let config = json!({
            "kind": "folds", "folds": { "groups": [[1, 2], [3, 4], [5, 6]] }, "validation": validation,
        });
        split_of(&corpus, config)
    };
    assert!(
        with(json!("none"))
            .unwrap()
            .iter()
            .all(|fold| fold.validation.is_empty())
    );
    let next = with(json!("next_fold")).unwrap();
    assert_complete(&corpus, &next);
    assert_eq!(next[2].validation, next[0].test);
    let share = with(json!({ "fraction": 0.25 })).unwrap();
    assert_complete(&corpus, &share);
    assert!(share.iter().all(|fold| speakers(&corpus, &fold.validation).len() == 1));
    check(
        &with(json!({ "fraction": 1.0 })).unwrap_err(),
        ErrorClass::Invalid,
        &["`validation.fraction` is 1"],
    );
    let two = json!({ "kind": "folds", "folds": { "groups": [[1], [2]] }, "rest": "drop", "validation": "next_fold" });
    let errors = split_of(&corpus, two).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["in fold-1, nothing is in train", "in fold-2, nothing is in train"],
    );
}

#[test]
fn some_of_the_folds_keep_their_numbers() {
    let corpus = ravdess(&[1, 2, 3]);
    let config = |only: Value| json!({ "kind": "folds", "folds": "leave_one_speaker_out", "only": only });
    let drawn = split_of(&corpus, config(json!([3, 1]))).unwrap();
    let labels: Vec<&str> = drawn.iter().filter_map(|fold| fold.label.as_deref()).collect();
    assert_eq!(labels, ["fold-3", "fold-1"]);
    let errors = split_of(&corpus, config(json!([0, 2, 2, 4]))).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["`only.0` is 0", "`only.2` is 2", "`only.3` is 4"],
    );
    check(
        &split_of(&corpus, config(json!([]))).unwrap_err(),
        ErrorClass::Invalid,
        &["`only` is empty"],
    );
}

#[test]
fn emoboxs_folds_need_all_of_ravdess() {
    let all: Vec<u32> = (1..=24).collect();
    let corpus = ravdess(&all);
    assert_eq!(corpus.items.len(), 1440);
    let drawn = folds(&corpus, json!({ "named": "emobox_ravdess" }));
    assert_complete(&corpus, &drawn);
    assert_eq!(
        speakers(&corpus, &drawn[3].test),
        ["ravdess/03", "ravdess/05", "ravdess/07", "ravdess/24"]
            .map(str::to_owned)
            .into()
    );
    assert!(drawn.iter().all(|fold| fold.test.len() == 240));
    let config = json!({ "kind": "folds", "folds": { "named": "emobox_ravdess" } });
    let some = ravdess(&[1, 11, 20, 21, 4, 10, 12, 14]);
    let errors = split_of(&some, config.clone()).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["not in the data: `ravdess/08`, `ravdess/09`"],
    );
    let other = scanned(json!({ "s": { "kind": "synthetic", "speakers": 2, "utterances": 1 } }));
    check(
        &split_of(&other, config).unwrap_err(),
        ErrorClass::Invalid,
        &["there are 0 with people"],
    );
}
