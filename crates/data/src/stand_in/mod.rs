//! Small generated corpora in place of those that an experiment names, in their own layouts and with
//! the speakers that its split needs: what `emorun smoke` runs on.

mod streams;
mod writer;

pub(crate) use writer::{Told, Writer, labels_for};

use crate::corpora::DatasetConfig;
use crate::fixtures::FixtureError;
use crate::split::{EmoboxFolds, FoldScheme, Folds, SpeakerRef, SplitConfig, SplitSource, glob};
use emorun_lang::Kinded as _;
use indexmap::{IndexMap, IndexSet};
use std::path::Path;

/// Speakers of a corpus that may be drawn freely: two for each side, of both genders.
const SPEAKERS: usize = 6;
/// Most folds that are drawn.
const FOLDS: usize = 3;
/// Speakers of a corpus up to which each says every emotion twice.
const FEW: usize = 8;
/// Shortest file in seconds; the others are up to 0.3 s longer, so that batches are padded.
const SHORTEST_S: f64 = 0.5;

/// Datasets and a split to take the place of those given.
#[derive(Clone, Debug)]
pub struct StandIn {
    /// The datasets by name; their files are written.
    pub datasets: IndexMap<String, DatasetConfig>,
    /// The split: of folds, the first that the experiment runs.
    pub split: SplitConfig,
}

/// Writes small corpora below `folder`, each with an item of every class on each side of the split.
///
/// Emotions, mappings, label columns and named speakers are those of the experiment. Files are the
/// same in every call.
///
/// # Errors
/// A file cannot be written.
pub fn stand_in(
    datasets: &IndexMap<String, DatasetConfig>,
    split: &SplitConfig,
    folder: &Path,
) -> Result<StandIn, FixtureError> {
    let named = named_speakers(datasets, split);
    let sides_by_column = matches!(split, SplitConfig::Fixed(fixed) if fixed.from == Some(SplitSource::Column));
    let mut written = IndexMap::new();
    for (name, config) in datasets {
        let named = named.get(name.as_str());
        let speakers: Vec<String> = match (named, split) {
            (Some(named), SplitConfig::Fixed(fixed)) if fixed.rest.is_some() => {
                // Lists name some of its people: `rest` says what happens to others.
                let others = config.corpus().stand_in_speakers(SPEAKERS);
                let others = others.into_iter().filter(|speaker| !named.contains(speaker)).take(2);
                named.iter().cloned().chain(others).collect()
            }
            (Some(named), _) => named.iter().cloned().collect(),
            // No list mentions it: `rest` says what happens to its speakers.
            (None, SplitConfig::Fixed(fixed)) if fixed.from.is_none() => config.corpus().stand_in_speakers(2),
            (None, _) => config.corpus().stand_in_speakers(SPEAKERS),
        };
        let writer = Writer {
            dataset: name,
            root: folder.join(name),
            takes: if speakers.len() > FEW { 1 } else { 2 },
            speakers,
            named: named.is_some(),
            sides_by_column,
            folds: folds_of(split),
        };
        written.insert(name.clone(), config.corpus().stand_in(&writer)?);
    }
    Ok(StandIn {
        datasets: written,
        split: one_fold(split),
    })
}

/// The split with fewer folds, of which one is run.
fn one_fold(split: &SplitConfig) -> SplitConfig {
    let folds = match split {
        SplitConfig::Folds(folds) => folds,
        SplitConfig::EmoboxFolds(folds) => {
            let first = folds.only.as_ref().and_then(|only| only.first()).copied().unwrap_or(1);
            return SplitConfig::EmoboxFolds(EmoboxFolds {
                only: Some(vec![first]),
                ..folds.clone()
            });
        }
        SplitConfig::BySpeaker(_) | SplitConfig::Fixed(_) | SplitConfig::EmoboxCross(_) => return split.clone(),
    };
    let first = folds.only.as_ref().and_then(|only| only.first()).copied().unwrap_or(1);
    let (scheme, only) = match &folds.folds {
        FoldScheme::K(count) => (FoldScheme::K((*count).min(FOLDS)), 1),
        FoldScheme::LeaveOneSpeakerOut => (FoldScheme::LeaveOneSpeakerOut, 1),
        given => (given.clone(), first),
    };
    SplitConfig::Folds(Folds {
        folds: scheme,
        only: Some(vec![only]),
        ..folds.clone()
    })
}

/// How many published folds the split asks for.
fn folds_of(split: &SplitConfig) -> usize {
    match split {
        SplitConfig::EmoboxFolds(folds) => folds.only.iter().flatten().copied().max().unwrap_or(1),
        _ => 1,
    }
}

/// Speakers that the split names, by dataset.
fn named_speakers<'a>(
    datasets: &'a IndexMap<String, DatasetConfig>,
    split: &SplitConfig,
) -> IndexMap<&'a str, IndexSet<String>> {
    let mut named: IndexMap<&str, IndexSet<String>> = IndexMap::new();
    let lists: Vec<&SpeakerRef> = match split {
        SplitConfig::BySpeaker(_) | SplitConfig::EmoboxFolds(_) | SplitConfig::EmoboxCross(_) => Vec::new(),
        SplitConfig::Fixed(fixed) => [&fixed.train, &fixed.validation, &fixed.test]
            .into_iter()
            .flatten()
            .collect(),
        SplitConfig::Folds(folds) => match &folds.folds {
            FoldScheme::Groups(groups) => groups.iter().flatten().collect(),
            FoldScheme::Named(protocol) => {
                for (name, _) in datasets.iter().filter(|(_, config)| config.kind() == protocol.kind()) {
                    let speakers = protocol.speakers().into_iter();
                    named.entry(name).or_default().extend(speakers.map(str::to_owned));
                }
                Vec::new()
            }
            FoldScheme::K(_) | FoldScheme::LeaveOneSpeakerOut => Vec::new(),
        },
    };
    for reference in lists {
        for (name, ids) in meant(datasets, reference.as_str()) {
            named.entry(name).or_default().extend(ids);
        }
    }
    named
}

/// The datasets that a reference means, each with the ids of its speakers.
fn meant<'a>(datasets: &'a IndexMap<String, DatasetConfig>, text: &str) -> Vec<(&'a str, Vec<String>)> {
    let of = |name: &str, config: &DatasetConfig, prefix: &str| {
        glob(prefix, name) || glob(prefix, &config.corpus().people(name))
    };
    let (prefix, id) = match text.split_once('/') {
        Some((prefix, id)) => (Some(prefix), id),
        None if datasets
            .iter()
            .any(|(name, config)| !text.contains('*') && of(name, config, text)) =>
        {
            (Some(text), "*")
        }
        None => (None, text),
    };
    let within = datasets
        .iter()
        .filter(|(name, config)| prefix.is_none_or(|prefix| of(name, config, prefix)));
    if id.contains('*') {
        let ids = |config: &DatasetConfig| -> Vec<String> {
            let first = config.corpus().stand_in_speakers(SPEAKERS).into_iter();
            first.filter(|own| glob(id, own)).collect()
        };
        return within.map(|(name, config)| (name.as_str(), ids(config))).collect();
    }
    let known = |(name, config): (&'a String, &DatasetConfig)| match (config.corpus().stand_in_speaker(id), prefix) {
        (Some(id), _) => Some((name.as_str(), vec![id])),
        (None, Some(_)) => Some((name.as_str(), vec![id.to_owned()])),
        (None, None) => None,
    };
    match prefix {
        Some(_) => within.filter_map(known).collect(),
        None => within.filter_map(known).take(1).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpora::Manifest;
    use crate::{ScanLevel, declare, scan, split};

    /// An experiment's datasets and split, as JSON.
    fn checked(datasets: serde_json::Value, rule: serde_json::Value) -> (StandIn, Vec<crate::Assignment>) {
        let folder = tempfile::tempdir().unwrap();
        let datasets: IndexMap<String, DatasetConfig> = serde_json::from_value(datasets).unwrap();
        let rule: SplitConfig = serde_json::from_value(rule).unwrap();
        let made = stand_in(&datasets, &rule, folder.path()).unwrap();
        let corpus = scan(&made.datasets, ScanLevel::Deep, None).unwrap();
        assert!(corpus.duplicates.is_empty() && corpus.skipped.is_empty());
        let assignments = split(&corpus, &made.split, &["emotion"], 42).unwrap();
        for assignment in &assignments {
            for side in [&assignment.train, &assignment.validation, &assignment.test] {
                let missing = corpus
                    .class_counts("emotion", side)
                    .into_iter()
                    .find(|(_, count)| *count == 0);
                assert!(side.is_empty() || missing.is_none(), "{missing:?}");
            }
            assert!(!assignment.test.is_empty());
        }
        (made, assignments)
    }

    #[test]
    fn a_corpus_without_a_layout_of_its_own_is_stood_in_for_by_a_table() {
        for kind in [
            "ravdess",
            "cremad",
            "emodb",
            "iemocap",
            "esd",
            "librispeech",
            "synthetic",
        ] {
            let config = DatasetConfig::whole(kind, Path::new("no/such")).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let writer = Writer {
                dataset: "toy",
                root: folder.path().join("toy"),
                takes: 2,
                speakers: vec!["anna".to_owned(), "ben".to_owned()],
                named: false,
                sides_by_column: false,
                folds: 1,
            };
            let table = Manifest::stand_in_of(config.corpus(), "toy");
            let table = writer.table(&table, &Told::of(config.corpus())).unwrap();
            let given = IndexMap::from([("toy".to_owned(), config)]);
            let made = IndexMap::from([("toy".to_owned(), DatasetConfig::from(table))]);
            let corpus = scan(&made, ScanLevel::Deep, None).unwrap();
            assert!(corpus.warnings.is_empty(), "{kind}: {:?}", corpus.warnings);
            let declared = declare(&given, 16_000).unwrap();
            let told = declare(&made, 16_000).unwrap();
            let lacks: Vec<&str> = declared
                .iter()
                .map(|(port, _)| port.as_str())
                .filter(|port| !told.iter().any(|(known, _)| known == port))
                .collect();
            assert!(lacks.is_empty(), "{kind}: {lacks:?}");
            let own = given["toy"].corpus();
            if let Ok(Some(classes)) = own.labelling("toy").map(|rules| rules.classes()) {
                assert_eq!(corpus.label_sets["emotion"], classes, "{kind}");
            }
            for (column, classes) in own.attributes() {
                let found = &corpus.attribute_sets[column];
                let are_its = found.iter().all(|class| classes.contains(&class.as_str()));
                assert!(found.len() > 1 && are_its, "{kind}: {found:?}");
            }
            assert_eq!(corpus.values, own.values(), "{kind}");
            assert_eq!(corpus.datasets["toy"].people, own.people("toy"), "{kind}");
        }
    }

    #[test]
    fn every_corpus_stands_in_for_itself_under_every_split() {
        use serde_json::json;
        let manifest = json!({
            "kind": "manifest", "path": "no/such.tsv", "root": "no/such",
            "columns": { "path": "a \"quoted\", file", "speaker": "who", "emotion": "mood", "start": "from", "end": "to", "groups": ["session"] },
            "labels": ["arousal"],
            "mapping": { "joyful": "happy", "blue": "sad", "odd": null },
            "emotions": ["happy", "sad", "sleepy"],
        });
        let datasets = [
            json!({ "kind": "ravdess", "root": "no/such" }),
            json!({ "kind": "ravdess", "root": "no/such", "vocal_channel": "song", "intensity": "strong" }),
            json!({ "kind": "cremad", "root": "no/such", "demographics": "no/such.csv", "emotions": ["angry", "sad"] }),
            json!({ "kind": "emodb", "root": "no/such", "mapping": { "bored": "neutral" } }),
            json!({ "kind": "cremad", "root": "no/such", "min_agreement": 0.9, "recognised_only": true, "target": "perceived" }),
            json!({ "kind": "iemocap", "root": "no/such", "style": "scripted" }),
            json!({ "kind": "iemocap", "root": "no/such", "protocol": "all" }),
            json!({ "kind": "esd", "root": "no/such", "language": "mandarin" }),
            json!({ "kind": "esd", "root": "no/such" }),
            json!({ "kind": "librispeech", "root": "no/such", "subsets": ["train-other-500"] }),
            json!({ "kind": "synthetic", "speakers": 40, "utterances": 9 }),
            json!({ "kind": "emobox", "corpus": "emovo", "root": "no/such" }),
            json!({
                "kind": "files", "root": "no/such", "pattern": "(?P<speaker>..)-(?P<emotion>.)-(?P<take>.)", "labels": ["take"],
                "values": { "emotion": { "a": "angry", "b": "sleepy", "c": null } }, "constant": { "gender": "male" },
            }),
            manifest.clone(),
        ];
        let splits = [
            json!({ "kind": "by_speaker", "validation": 0.15, "test": 0.25 }),
            json!({ "kind": "by_speaker", "validation": 0.0, "test": 0.5 }),
            json!({ "kind": "folds", "folds": { "k": 10 }, "validation": { "fraction": 0.2 } }),
            json!({ "kind": "folds", "folds": "leave_one_speaker_out", "validation": "next_fold", "only": [4] }),
        ];
        for dataset in &datasets {
            for rule in &splits {
                let (_, assignments) = checked(json!({ "one": dataset }), rule.clone());
                assert_eq!(assignments.len(), 1, "{dataset} {rule}");
            }
        }
        let all = json!({ "a": datasets[0], "b": datasets[0], "c": manifest, "d": manifest });
        checked(all, splits[0].clone());
        let column = json!({ "kind": "fixed", "from": "column" });
        for kind in [
            manifest,
            json!({ "kind": "esd", "root": "x" }),
            json!({ "kind": "librispeech", "root": "x" }),
        ] {
            checked(json!({ "one": kind }), column.clone());
        }
        for (kind, protocol) in [("iemocap", "iemocap_sessions"), ("esd", "emobox_esd")] {
            let rule = json!({ "kind": "folds", "folds": { "named": protocol } });
            checked(json!({ kind: { "kind": kind, "root": "x" } }), rule);
        }
    }

    #[test]
    fn every_corpus_of_emobox_stands_in_with_its_folds_and_its_own_speakers() {
        use serde_json::json;
        for corpus in crate::corpora::emobox::EmoboxCorpus::ALL {
            let dataset = json!({ corpus.name(): { "kind": "emobox", "corpus": corpus, "root": "no/such" } });
            let rule = json!({ "kind": "emobox_folds", "only": [4], "leak": "as published" });
            let (_, assignments) = checked(dataset, rule);
            assert_eq!(assignments[0].label.as_deref(), Some("fold-4"), "{}", corpus.name());
        }
        let datasets = json!({
            "savee": { "kind": "emobox", "corpus": "savee", "root": "x" },
            "ravdess": { "kind": "ravdess", "root": "x", "emotions": ["neutral", "happy", "sad", "angry"] },
        });
        let (_, assignments) = checked(datasets, json!({ "kind": "emobox_cross", "test": ["savee"] }));
        assert_eq!(assignments[0].test.len(), 4 * 4);
        assert!(assignments[0].certificate.leak.is_none());
    }

    #[test]
    fn named_speakers_are_written_and_the_first_of_the_given_folds_is_run() {
        use serde_json::json;
        let emodb = json!({ "kind": "emodb", "root": "no/such" });
        let groups = json!({ "groups": [[3, "08"], ["emodb/09", "10"], ["11", 13]] });
        let rule = json!({ "kind": "folds", "folds": groups, "only": [2, 3] });
        let (_, assignments) = checked(json!({ "emodb": emodb }), rule);
        assert_eq!(assignments[0].label.as_deref(), Some("fold-2"));
        let ravdess = json!({ "kind": "ravdess", "root": "no/such" });
        let rule = json!({ "kind": "folds", "folds": { "named": "emobox_ravdess" } });
        let (_, assignments) = checked(json!({ "ravdess": ravdess }), rule);
        assert_eq!((assignments[0].train.len(), assignments[0].test.len()), (20 * 8, 4 * 8));
        let both = json!({
            "emodb": emodb,
            "synthetic": { "kind": "synthetic", "speakers": 4 },
            "own": { "kind": "manifest", "path": "no/such.csv", "mapping": { "x": "happy", "y": "sad" } },
        });
        let rule = json!({
            "kind": "fixed", "rest": "drop",
            "train": ["emodb/03", "synthetic/01", "own/anna", "ben"], "validation": ["08"], "test": ["09", "synthetic/2", "own/carl"],
        });
        let datasets: IndexMap<String, DatasetConfig> = serde_json::from_value(both).unwrap();
        let rule: SplitConfig = serde_json::from_value(rule).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = stand_in(&datasets, &rule, folder.path()).unwrap();
        let corpus = scan(&made.datasets, ScanLevel::Deep, None).unwrap();
        let assignments = split(&corpus, &made.split, &["emotion"], 42).unwrap();
        let speakers = |items: &[usize]| -> IndexSet<String> {
            items
                .iter()
                .map(|&item| corpus.items.get(item).unwrap().speaker.to_string())
                .collect()
        };
        let train: IndexSet<String> = ["emodb/03", "synthetic/01", "own/anna", "own/ben"]
            .map(str::to_owned)
            .into();
        assert_eq!(speakers(&assignments[0].train), train);
        assert_eq!(speakers(&assignments[0].validation).len(), 1);
        assert_eq!(speakers(&assignments[0].test).len(), 3);
    }
}
