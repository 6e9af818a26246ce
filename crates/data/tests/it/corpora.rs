use super::{check, datasets, items, refused, scanned};
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::FIXTURE_S;
use emorun_data::{DatasetConfig, EMOTIONS, ErrorClass, KINDS, ScanLevel, declare, scan};
use emorun_lang::{Kinded as _, LabelSet, Signal};
use serde_json::json;
use std::fs;

#[test]
fn every_kind_is_listed_with_a_documented_schema() {
    let listed: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(listed, DatasetConfig::KINDS);
    for kind in KINDS {
        let schema = (kind.schema)();
        for (field, property) in schema["properties"].as_object().unwrap() {
            assert!(
                property["description"].is_string(),
                "{}.{field} has no description",
                kind.name
            );
        }
    }
}

#[test]
fn a_config_survives_writing_with_every_default() {
    let config = datasets(json!({ "r": { "kind": "ravdess", "root": "data" }, "s": { "kind": "synthetic" } }));
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(written["r"]["vocal_channel"], "speech");
    assert_eq!(written["s"]["speakers"], 12);
    assert_eq!(
        serde_json::from_value::<indexmap::IndexMap<String, DatasetConfig>>(written).unwrap(),
        config
    );
    let unknown = json!({ "r": { "kind": "ravdess", "root": "data", "rooot": 1 } });
    assert!(serde_json::from_value::<indexmap::IndexMap<String, DatasetConfig>>(unknown).is_err());
}

#[test]
fn ravdess_tells_emotion_speaker_gender_and_words() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(write_ravdess(root.path(), &[1, 2], FIXTURE_S).unwrap(), 120);
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path() } }));
    assert_eq!(corpus.items.len(), 120);
    assert_eq!(corpus.label_sets["emotion"], EMOTIONS[..8]);
    let item = items(&corpus)
        .into_iter()
        .find(|item| item.key.ends_with("03-01-06-02-02-01-02.wav"))
        .unwrap();
    assert_eq!(item.key, "r/Actor_02/03-01-06-02-02-01-02.wav");
    assert_eq!(
        (item.speaker.as_str(), item.label("emotion"), item.label("gender")),
        ("ravdess/02", Some(5), Some(0))
    );
    assert_eq!(item.text.as_deref(), Some("Dogs are sitting by the door"));
    assert!((item.duration_s - FIXTURE_S).abs() < 1e-9);
    let all: Vec<usize> = (0..120).collect();
    let counts: Vec<usize> = corpus.class_counts("emotion", &all).into_values().collect();
    assert_eq!(counts, [8, 16, 16, 16, 16, 16, 16, 16]);
}

#[test]
fn ravdess_song_and_intensity_narrow_the_declared_classes() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    fs::copy(
        root.path().join("Actor_01/03-01-01-01-01-01-01.wav"),
        root.path().join("Actor_01/03-02-02-01-01-01-01.wav"),
    )
    .unwrap();
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path(), "vocal_channel": "song" } }));
    assert_eq!((corpus.items.len(), corpus.label_sets["emotion"].len()), (1, 6));
    assert_eq!(corpus.datasets["r"].filtered, 60);
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path(), "intensity": "strong" } }));
    assert_eq!(
        (corpus.items.len(), corpus.label_sets["emotion"][0].as_str()),
        (28, "calm")
    );
}

#[test]
fn emodb_tells_emotion_speaker_gender_and_words() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(write_emodb(root.path(), &["03", "08"], FIXTURE_S).unwrap(), 140);
    let corpus = scanned(json!({ "e": { "kind": "emodb", "root": root.path() } }));
    assert_eq!(
        corpus.label_sets["emotion"],
        ["neutral", "happy", "sad", "angry", "fearful", "disgust", "bored"]
    );
    let item = items(&corpus)
        .into_iter()
        .find(|item| item.key == "e/wav/08b01La.wav")
        .unwrap();
    assert_eq!(
        (item.speaker.as_str(), item.label("emotion"), item.label("gender")),
        ("emodb/08", Some(6), Some(0))
    );
    assert!(item.text.as_deref().unwrap().starts_with("Was sind denn das für Tüten"));
}

#[test]
fn cremad_takes_gender_from_its_table_and_does_without() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(write_cremad(root.path(), &[1001, 1002], FIXTURE_S).unwrap(), 164);
    let corpus = scanned(json!({ "c": { "kind": "cremad", "root": root.path() } }));
    let all: Vec<usize> = (0..164).collect();
    assert_eq!(
        corpus.class_counts("gender", &all).into_values().collect::<Vec<_>>(),
        [82, 82]
    );
    assert_eq!(corpus.class_counts("emotion", &all)["neutral"], 24);
    assert!(corpus.warnings.is_empty());
    // From the folder below, the table beside it is found too.
    let below = scanned(json!({ "c": { "kind": "cremad", "root": root.path().join("AudioWAV") } }));
    assert_eq!(below.class_counts("gender", &all)["male"], 82);
    fs::remove_file(root.path().join("VideoDemographics.csv")).unwrap();
    let corpus = scanned(json!({ "c": { "kind": "cremad", "root": root.path() } }));
    assert!(items(&corpus).into_iter().all(|item| item.labels["gender"].is_none()));
    assert_eq!(corpus.warnings.len(), 1);
}

#[test]
fn synthetic_speech_needs_no_file_and_is_the_same_each_time() {
    let config = json!({ "s": { "kind": "synthetic", "speakers": 4, "utterances": 2 } });
    let corpus = scanned(config.clone());
    assert_eq!(
        (
            corpus.items.len(),
            corpus.speakers().len(),
            corpus.label_sets["emotion"].len()
        ),
        (40, 4, 5)
    );
    let (first, again) = (&items(&corpus)[7], &items(&scanned(config))[7]);
    assert_eq!(first, again);
    let audio = first.load_audio(16_000).unwrap();
    assert_eq!(audio, again.load_audio(16_000).unwrap());
    assert!((audio.len() as f64 / 16_000.0 - first.duration_s).abs() < 1e-3);
    let hashes: std::collections::HashSet<_> = items(&corpus).into_iter().map(|item| item.content).collect();
    assert_eq!(hashes.len(), 40);
    refused(
        json!({ "s": { "kind": "synthetic", "speakers": 0, "overlap": -1.0 } }),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["`speakers`", "`overlap`"],
    );
}

#[test]
fn a_subset_is_numbered_anew_in_the_order_written() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    let corpus = scanned(json!({
        "r": { "kind": "ravdess", "root": root.path(), "emotions": ["angry", "neutral"] }
    }));
    assert_eq!(corpus.label_sets["emotion"], ["angry", "neutral"]);
    let all: Vec<usize> = (0..corpus.items.len()).collect();
    assert_eq!(
        corpus.class_counts("emotion", &all).into_values().collect::<Vec<_>>(),
        [8, 4]
    );
    let angry = items(&corpus)
        .into_iter()
        .find(|item| item.key.contains("03-01-05"))
        .unwrap();
    assert_eq!(angry.label("emotion"), Some(0));
    assert_eq!(corpus.datasets["r"].filtered, 48);
}

#[test]
fn corpora_merge_to_the_union_of_their_classes_with_absent_labels() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(&root.path().join("r"), &[1], FIXTURE_S).unwrap();
    write_emodb(&root.path().join("e"), &["03"], FIXTURE_S).unwrap();
    let corpus = scanned(json!({
        "e": { "kind": "emodb", "root": root.path().join("e") },
        "r": { "kind": "ravdess", "root": root.path().join("r"), "mapping": { "fear": "anxious", "calm": null } },
    }));
    assert_eq!(
        corpus.label_sets["emotion"],
        [
            "neutral",
            "happy",
            "sad",
            "angry",
            "fearful",
            "disgust",
            "surprised",
            "bored",
            "anxious"
        ]
    );
    assert_eq!(corpus.items.len(), 70 + 52);
    assert_eq!(corpus.speakers(), ["emodb/03", "ravdess/01"]);
    let mapped = items(&corpus)
        .into_iter()
        .find(|item| item.key.contains("03-01-06"))
        .unwrap();
    assert_eq!(mapped.label("emotion"), Some(8));
}

#[test]
fn what_is_declared_without_files_is_what_the_scan_finds() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(&root.path().join("r"), &[1], FIXTURE_S).unwrap();
    write_cremad(&root.path().join("c"), &[1001], FIXTURE_S).unwrap();
    let config = json!({
        "c": { "kind": "cremad", "root": root.path().join("c"), "emotions": ["happy", "sad"] },
        "r": { "kind": "ravdess", "root": root.path().join("r") },
        "s": { "kind": "synthetic", "speakers": 2, "utterances": 1 },
    });
    let ports = declare(&datasets(config.clone()), 16_000).unwrap();
    let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "audio",
            "emotion",
            "gender",
            "text",
            "emotion_soft",
            "intensity",
            "race",
            "ethnicity",
            "corpus",
            "age"
        ]
    );
    assert_eq!(ports[0].1, Signal::Wave { rate_hz: 16_000 });
    let corpus = scanned(config);
    for (name, signal) in &ports[1..3] {
        assert_eq!(
            *signal,
            Signal::Labels {
                labels: LabelSet::new(name, &corpus.label_sets[name])
            }
        );
    }
}

#[test]
fn wrong_emotions_are_all_reported_without_files() {
    let config = datasets(json!({
        "a": { "kind": "emodb", "root": "nowhere", "emotions": ["calm", "hapy"] },
        "b": { "kind": "ravdess", "root": "nowhere", "mapping": { "boredom": "sad" } },
    }));
    let errors = declare(&config, 16_000).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`calm`", "`hapy`", "`boredom`"]);
    assert_eq!(errors[1].document_path(), ["datasets", "a", "emotions", "1"]);
    assert_eq!(errors[2].document_path(), ["datasets", "b", "mapping", "boredom"]);
    assert!(errors[1].help().unwrap().contains("`happy`"));
}

#[test]
fn missing_and_empty_roots_are_reported_together() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    fs::create_dir(root.path().join("other")).unwrap();
    fs::write(root.path().join("other/song.wav"), "x").unwrap();
    refused(
        json!({
            "a": { "kind": "ravdess", "root": root.path().join("none") },
            "b": { "kind": "emodb", "root": root.path().join("empty") },
            "c": { "kind": "cremad", "root": root.path().join("other") },
            "d": { "kind": "manifest", "path": root.path().join("none.csv") },
        }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &[
            "does not exist",
            "no audio file",
            "none of the 1 audio files",
            "cannot read",
        ],
    );
}

#[test]
fn names_that_do_not_parse_are_listed_and_left_out() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    for name in [
        "03-01-09-01-01-01-01.wav",
        "03-01-01.wav",
        "readme.wav",
        "03-01-01-01-01-01-99.wav",
    ] {
        fs::write(root.path().join(name), "x").unwrap();
    }
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path() } }));
    assert_eq!(
        (corpus.items.len(), corpus.skipped.len(), corpus.warnings.len()),
        (60, 4, 1)
    );
    assert!(
        corpus
            .skipped
            .iter()
            .any(|skipped| skipped.reason.to_string().contains("emotion 09"))
    );
}

#[test]
fn a_filter_that_leaves_nothing_is_the_experiments_fault() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    refused(
        json!({ "r": { "kind": "ravdess", "root": root.path(), "vocal_channel": "song" } }),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["no recording is left: 60"],
    );
}

#[test]
fn bad_audio_is_named_file_by_file_or_left_out() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03"], FIXTURE_S).unwrap();
    let file = |name: &str| root.path().join("wav").join(name);
    fs::write(file("03a01Fa.wav"), "this is text").unwrap();
    fs::write(file("03a01Na.wav"), "").unwrap();
    let whole = fs::read(file("03a01Wa.wav")).unwrap();
    fs::write(file("03a01Wa.wav"), &whole[..whole.len() / 2]).unwrap();
    write_emodb(&root.path().join("short"), &["03"], 0.01).unwrap();
    fs::copy(root.path().join("short/wav/03a02Aa.wav"), file("03a02Aa.wav")).unwrap();
    fs::remove_dir_all(root.path().join("short")).unwrap();
    let config = json!({ "kind": "emodb", "root": root.path() });
    refused(
        json!({ "e": config }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["03a01Fa.wav", "03a01Na.wav", "03a01Wa.wav", "03a02Aa.wav"],
    );
    let corpus = scanned(json!({ "e": { "kind": "emodb", "root": root.path(), "on_bad_audio": "skip" } }));
    assert_eq!((corpus.items.len(), corpus.skipped.len()), (66, 4));
}

#[test]
fn a_deep_scan_finds_what_headers_hide_and_remembers_what_it_read() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03"], FIXTURE_S).unwrap();
    let path = root.path().join("wav/03a01Fa.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let good = fs::read(&path).unwrap();
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..1600).for_each(|index| writer.write_sample(if index == 800 { f32::NAN } else { 0.1 }).unwrap());
    writer.finalize().unwrap();
    let config = json!({ "e": { "kind": "emodb", "root": root.path() } });
    assert_eq!(scanned(config.clone()).items.len(), 70);
    refused(config.clone(), ScanLevel::Deep, ErrorClass::Data, &["03a01Fa.wav"]);

    fs::write(&path, good).unwrap();
    let cache = root.path().join("cache/checked.json");
    let deep = || scan(&datasets(config.clone()), ScanLevel::Deep, Some(&cache));
    let first = deep().unwrap();
    assert!(items(&first).into_iter().all(|item| item.content.is_some()));
    let remembered = fs::read_to_string(&cache).unwrap();
    assert_eq!(items(&deep().unwrap()), items(&first));
    assert_eq!(fs::read_to_string(&cache).unwrap(), remembered);
    // What is remembered is not read again, so a doctored hash comes back; a changed file does not trust it.
    let hash = items(&first)[0].content.unwrap().to_string();
    fs::write(&cache, remembered.replace(&hash, &"0".repeat(64))).unwrap();
    assert_eq!(items(&deep().unwrap())[0].content.unwrap().to_string(), "0".repeat(64));
    fs::write(&cache, "damaged").unwrap();
    assert_eq!(items(&deep().unwrap()), items(&first));
    let AudioFile(file) = audio_file(&first, 0);
    fs::write(&file, "no audio any more").unwrap();
    check(&deep().unwrap_err(), ErrorClass::Data, &["wav"]);
}

struct AudioFile(std::path::PathBuf);

fn audio_file(corpus: &emorun_data::Corpus, index: usize) -> AudioFile {
    match &items(corpus)[index].audio {
        emorun_data::AudioSource::File { path, .. } => AudioFile(path.to_path()),
        _ => panic!("generated audio has no file"),
    }
}

#[test]
fn a_file_that_changes_but_for_its_size_and_time_is_read_again_and_refused_by_a_corpus_read_before() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03"], FIXTURE_S).unwrap();
    let config = json!({ "e": { "kind": "emodb", "root": root.path() } });
    let cache = root.path().join("cache/checked.json");
    let deep = || scan(&datasets(config.clone()), ScanLevel::Deep, Some(&cache)).unwrap();
    let first = deep();
    let [path, other] = [0, 1].map(|index| {
        let AudioFile(path) = audio_file(&first, index);
        path
    });
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    // What `rsync -t` leaves: another file in its place, as long and with its time.
    let beside = root.path().join("beside");
    fs::copy(&other, &beside).unwrap();
    assert_eq!(fs::metadata(&beside).unwrap().len(), fs::metadata(&path).unwrap().len());
    fs::File::options()
        .write(true)
        .open(&beside)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    fs::remove_file(&other).unwrap();
    fs::rename(&beside, &path).unwrap();
    let second = deep();
    assert_ne!(first.datasets["e"].fingerprint, second.datasets["e"].fingerprint);
    assert_eq!(items(&second)[0].content, items(&first)[1].content);
    let error = items(&first)[0].load_audio(16_000).unwrap_err();
    assert!(error.to_string().contains("has changed since"), "{error}");
    // A change of rights alone is no change of what is heard.
    let rights = fs::metadata(&path).unwrap().permissions();
    fs::set_permissions(&path, {
        let mut rights = rights.clone();
        rights.set_readonly(true);
        rights
    })
    .unwrap();
    assert!(items(&second)[0].load_audio(16_000).is_ok());
    fs::set_permissions(&path, rights).unwrap();
}

#[test]
fn an_unwritable_cache_is_a_remark_and_no_error() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03"], FIXTURE_S).unwrap();
    let config = datasets(json!({ "e": { "kind": "emodb", "root": root.path() } }));
    let corpus = scan(&config, ScanLevel::Deep, Some(root.path())).unwrap();
    assert_eq!(corpus.warnings.len(), 1, "{:?}", corpus.warnings);
}
