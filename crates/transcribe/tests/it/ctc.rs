//! Beside transformers' `Wav2Vec2CTCTokenizer` (`golden/make_golden.py`).

use emorun_transcribe::ctc::{Vocabulary, VocabularyError};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Golden {
    vocab: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    lower: bool,
    path: Vec<usize>,
    text: String,
}

#[test]
fn paths_read_as_in_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/ctc.json")).unwrap();
    assert!(golden.cases.len() >= 20);
    for case in golden.cases {
        let vocabulary = Vocabulary::read(&golden.vocab, "<pad>", "|", case.lower).unwrap();
        assert_eq!(vocabulary.text(&case.path), case.text, "{:?}", case.path);
    }
}

#[test]
fn refuses_vocabularies_that_are_none() {
    let read = |vocab| Vocabulary::read(&vocab, "<pad>", "|", false).unwrap_err();
    assert_eq!(read(json!([])), VocabularyError::Shape);
    assert_eq!(read(json!({ "<pad>": -1 })), VocabularyError::Shape);
    assert_eq!(read(json!({ "<pad>": 0, "A": 0 })), VocabularyError::Gap(0));
    assert_eq!(read(json!({ "<pad>": 0, "A": 2 })), VocabularyError::Gap(2));
    assert_eq!(read(json!({ "A": 0 })), VocabularyError::NoBlank("<pad>".into()));
}
