//! How far it is to a new corpus: the files in which one's name stands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Places that a corpus may touch: its own file, or folder where its stand-in's data are long, the list of corpora, EmoBox's
/// list where it has it, and the table of downloads.
const MOST: usize = 4;

/// Folders that do not count: what is in them says nothing about how a corpus works. `import` reads other programs' names.
const ASIDE: [&str; 5] = ["tests", "benches", "examples", "target", "import"];

/// All source files of the program, by their paths within the repository.
fn sources() -> Vec<(PathBuf, String)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![repository.join("src"), repository.join("crates")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !ASIDE.contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&repository).unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// The code of a file without comments, up to its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The words of a text in lower case: `EmoboxEsd`, `write_esd` and `ESD` have the word `esd`, `resd` and `mesd` have not.
fn has_word(text: &str, wanted: &str) -> bool {
    let starts = |at: usize| {
        let mut before = text[..at].chars().rev();
        let first = text[at..].chars().next().unwrap_or_default();
        match before.next() {
            Some(last) if last.is_alphanumeric() => first.is_uppercase() && last.is_lowercase(),
            _ => true,
        }
    };
    let ends = |at: usize| {
        let last = text[..at].chars().next_back().unwrap_or_default();
        match text[at..].chars().next() {
            Some(next) if next.is_alphanumeric() => next.is_uppercase() && last.is_lowercase(),
            _ => true,
        }
    };
    let lower = text.to_ascii_lowercase();
    lower
        .match_indices(wanted)
        .any(|(at, found)| starts(at) && ends(at + found.len()))
}

#[test]
fn words_are_told_from_parts_of_others() {
    for (text, wanted) in [
        ("EmoboxEsd", true),
        ("Esd(esd::Esd)", true),
        ("write_esd", true),
        ("EMOBOX_ESD", true),
        ("\"ESD: 20 speakers\"", true),
        ("mesd", false),
        ("Resd", false),
        ("usesDecibels", false),
        ("esdx", false),
    ] {
        assert_eq!(has_word(text, "esd"), wanted, "{text}");
    }
    assert_eq!(code("a // esd\nb\n#[cfg(test)]\nmod tests {\n esd }\n"), "a \nb");
}

#[test]
fn a_corpus_stands_in_four_places_and_no_more() {
    let sources = sources();
    for corpus in ["ravdess", "esd", "cremad", "iemocap"] {
        let own_folder = Path::new("crates/data/src/corpora").join(corpus);
        let places: BTreeSet<PathBuf> = sources
            .iter()
            .filter(|(path, text)| has_word(&code(text), corpus) || has_word(path.to_str().unwrap(), corpus))
            .map(|(path, _)| {
                if path.starts_with(&own_folder) {
                    own_folder.clone()
                } else {
                    path.clone()
                }
            })
            .collect();
        let is_own = |place: &PathBuf| place.to_str().unwrap().contains(corpus);
        assert!(places.iter().any(is_own), "{corpus}: {places:?}");
        assert!(places.len() <= MOST, "{corpus} stands in {}: {places:#?}", places.len());
    }
}
