//! Corpora, merging and splits through the public interface, on generated trees and on real speech.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod alike;
mod bad_input;
mod copies;
mod corpora;
mod distance;
mod emobox;
mod files;
mod folds;
mod listings;
mod manifest;
mod more_corpora;
mod mutations;
mod namesakes;
mod odd;
mod parts;
mod people;
mod real;
mod sides;
mod streams;
mod verify;

use emorun_data::{
    Assignment, Corpus, DataError, DatasetConfig, ErrorClass, Item, ScanLevel, SplitConfig, scan, split,
};
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::BTreeSet;

pub fn datasets(config: Value) -> IndexMap<String, DatasetConfig> {
    serde_json::from_value(config).unwrap()
}

pub fn scanned(config: Value) -> Corpus {
    scan(&datasets(config), ScanLevel::Metadata, None).unwrap_or_else(|errors| panic!("{}", text(&errors)))
}

pub fn items(corpus: &Corpus) -> Vec<Item> {
    corpus.items.to_vec().unwrap()
}

/// The errors of a scan, as class and message, which have to contain `parts` one by one.
pub fn refused(config: Value, level: ScanLevel, class: ErrorClass, parts: &[&str]) {
    let errors = scan(&datasets(config), level, None).expect_err("the scan accepts it");
    check(&errors, class, parts);
}

pub fn check(errors: &[DataError], class: ErrorClass, parts: &[&str]) {
    assert_eq!(errors.len(), parts.len(), "{}", text(errors));
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.to_string().contains(part), "`{error}` lacks `{part}`");
        assert_eq!(error.class(), class, "{error}");
    }
}

pub fn split_of(corpus: &Corpus, config: Value) -> Result<Vec<Assignment>, Vec<DataError>> {
    let config: SplitConfig = serde_json::from_value(config).unwrap();
    split(corpus, &config, &["emotion"], 42)
}

pub fn speakers(corpus: &Corpus, indices: &[usize]) -> BTreeSet<String> {
    let items = items(corpus);
    indices.iter().map(|index| items[*index].speaker.to_string()).collect()
}

/// Sides are disjoint in items and speakers, and nothing is shared.
pub fn assert_apart(corpus: &Corpus, assignment: &Assignment) {
    let sides = [&assignment.train, &assignment.validation, &assignment.test];
    for (index, a) in sides.iter().enumerate() {
        for b in &sides[index + 1..] {
            assert!(a.iter().all(|item| !b.contains(item)));
            assert!(speakers(corpus, a).is_disjoint(&speakers(corpus, b)));
        }
    }
    assert!(assignment.certificate.shared.is_empty());
    assert_eq!(assignment.certificate.leak, None);
}

pub fn text(errors: &[DataError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}
