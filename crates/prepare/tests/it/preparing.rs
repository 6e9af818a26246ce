//! From corpora to one table.

use crate::{Place, speech, text};
use emorun_audio::{Segment, load, probe};
use emorun_data::{DatasetConfig, ScanLevel, scan};
use emorun_prepare::{PrepareError, integrate, integrated_lufs, plan, preprocess};
use indexmap::IndexMap;
use std::fs;
use std::time::{Duration, SystemTime};

fn rows(place: &Place) -> Vec<String> {
    text(&place.path("out/manifest.csv"))
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect()
}

#[test]
fn corpora_become_one_table_with_target_emotions_and_even_audio() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("");
    let (plan, new) = place.preprocess(&preparation);
    assert_eq!(new, 3);
    let integrated = integrate(&preparation, &plan).unwrap();
    assert_eq!(integrated.kept, 3);
    let rows = rows(&place);
    assert!(rows[0].starts_with("d/a.wav,audio/d/a.wav,s0,happy,0,female,say a.wav,d,happy,corpus,1.000000,22050,"));
    assert!(
        rows[2].starts_with("d/c.wav,audio/d/c.wav,s0,anxious,3,"),
        "{}",
        rows[2]
    );
    for name in ["a", "b", "c"] {
        let path = place.path(&format!("out/audio/d/{name}.wav"));
        assert_eq!(probe(&path).unwrap().rate_hz, 22_050);
        let clip = load(&path, 22_050, None).unwrap();
        let lufs = integrated_lufs(&clip.samples, 22_050).unwrap();
        assert!((lufs + 23.0).abs() < 0.1, "{lufs}");
    }
    // The table is a corpus.
    let config = format!(
        r#"{{"kind": "manifest", "path": {:?}}}"#,
        place.path("out/manifest.csv")
    );
    let config: DatasetConfig = serde_json::from_str(&config).unwrap();
    let corpus = scan(&IndexMap::from([("p".to_owned(), config)]), ScanLevel::Deep, None).unwrap();
    assert_eq!(corpus.items.len(), 3);
    assert_eq!(corpus.label_sets["emotion"], ["happy", "sad", "anxious"]);
    assert_eq!(corpus.items.get(1).unwrap().text.as_deref(), Some("say b.wav"));
}

#[test]
fn nothing_is_done_twice_and_only_what_is_new_or_changed_is_done() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("");
    assert_eq!(place.preprocess(&preparation).1, 3);
    assert_eq!(place.preprocess(&preparation).1, 0);
    let before = fs::read(place.path("out/audio/d/a.wav")).unwrap();
    // New.
    place.table(&[
        ("a.wav", "happy"),
        ("b.wav", "sad"),
        ("c.wav", "fear"),
        ("e.wav", "angry"),
    ]);
    place.write("e.wav", speech(0.8, 300.0, 0.1), 16_000);
    assert_eq!(place.preprocess(&preparation).1, 1);
    // Changed.
    place.write("b.wav", speech(1.2, 300.0, 0.1), 16_000);
    let later = SystemTime::now() + Duration::from_secs(5);
    fs::File::options()
        .write(true)
        .open(place.path("corpus/b.wav"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_eq!(place.preprocess(&preparation).1, 1);
    // Lost or cut.
    fs::remove_file(place.path("out/audio/d/a.wav")).unwrap();
    fs::write(place.path("out/audio/d/c.wav"), "RIFF").unwrap();
    assert_eq!(place.preprocess(&preparation).1, 2);
    assert_eq!(fs::read(place.path("out/audio/d/a.wav")).unwrap(), before);
    // Other settings.
    let louder = place.preparation("audio: { loudness_lufs: -30 }\n");
    assert_eq!(place.preprocess(&louder).1, 4);
    let (plan, _) = place.preprocess(&louder);
    assert_eq!(integrate(&louder, &plan).unwrap().kept, 4);
}

#[test]
fn a_journal_that_was_cut_anywhere_is_gone_on_with() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("");
    let (plan, _) = place.preprocess(&preparation);
    integrate(&preparation, &plan).unwrap();
    let (manifest, journal) = (
        text(&place.path("out/manifest.csv")),
        fs::read(place.path("out/prepared.jsonl")).unwrap(),
    );
    let whole_lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    for length in (0..journal.len()).step_by(journal.len() / 12) {
        fs::write(place.path("out/prepared.jsonl"), &journal[..length]).unwrap();
        fs::write(place.path("out/.writing-0.wav"), "half").unwrap();
        let (plan, new) = place.preprocess(&preparation);
        assert_eq!(new, 3 - whole_lines(&journal[..length]));
        integrate(&preparation, &plan).unwrap();
        assert_eq!(text(&place.path("out/manifest.csv")), manifest);
    }
}

#[test]
fn every_filter_leaves_out_what_it_is_for_and_says_so() {
    let place = Place::new();
    let good = speech(1.0, 200.0, 0.2);
    let clipped: Vec<f32> = good.iter().map(|x| (20.0 * x).clamp(-1.0, 1.0)).collect();
    let mut paused = vec![0.0; 160_000];
    paused.extend(&good);
    let noise: Vec<f32> = speech(1.0, 200.0, 0.0).iter().map(|x| 100.0 * x).collect();
    let files = [
        ("good.wav", "happy", good.clone()),
        ("clipped.wav", "happy", clipped),
        ("paused.wav", "happy", paused),
        ("noise.wav", "happy", noise),
        ("short.wav", "happy", speech(0.3, 200.0, 0.2)),
        ("long.wav", "happy", speech(31.0, 200.0, 0.2)),
        ("silent.wav", "happy", vec![0.0; 16_000]),
        ("again.wav", "happy", good.clone()),
        ("one.wav", "sad", speech(1.0, 500.0, 0.2)),
        ("other.wav", "angry", speech(1.0, 500.0, 0.2)),
    ];
    let table: Vec<(&str, &str)> = files.iter().map(|(name, emotion, _)| (*name, *emotion)).collect();
    place.table(&table);
    for (name, _, samples) in files {
        // Other bytes around the same samples: the content decides.
        let samples = if name == "again.wav" { good.clone() } else { samples };
        place.write(name, samples, 16_000);
    }
    let again = fs::read(place.path("corpus/again.wav")).unwrap();
    fs::write(
        place.path("corpus/again.wav"),
        [again, b"LIST\x04\0\0\0abcd".to_vec()].concat(),
    )
    .unwrap();
    let other = fs::read(place.path("corpus/other.wav")).unwrap();
    fs::write(
        place.path("corpus/other.wav"),
        [other, b"LIST\x04\0\0\0abcd".to_vec()].concat(),
    )
    .unwrap();
    let preparation = place.preparation("");
    let (plan, _) = place.preprocess(&preparation);
    let report = integrate(&preparation, &plan).unwrap().report;
    assert_eq!(rows(&place).len(), 1, "{}", text(&place.path("out/rejected.csv")));
    let rejected = text(&place.path("out/rejected.csv"));
    for (name, reason) in [
        ("clipped", "clips too much"),
        ("paused", "has too much silence"),
        ("noise", "has too much noise"),
        ("short", "is too short"),
        ("long", "is too long"),
        ("silent", "is silent throughout"),
        ("again", "sounds as an earlier one,d/good.wav"),
        ("one", "another emotion"),
        ("other", "another emotion"),
    ] {
        let line = rejected.lines().find(|line| line.starts_with(&format!("d/{name}.wav")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name}: {line:?}");
    }
    assert_eq!(report.rejected.values().sum::<usize>(), 9);
    let page = text(&place.path("out/report.html"));
    assert!(page.contains("is too short") && page.contains("<svg"));
    let json: serde_json::Value = serde_json::from_str(&text(&place.path("out/report.json"))).unwrap();
    assert_eq!(json["kept"], 1);
    // Filters that are switched off let everything through but silence and contradictions.
    let open = place.preparation(
        "quality: { max_clipping_ratio: null, max_silence_ratio: null, min_snr_db: null, min_duration_s: null, \
         max_duration_s: null, duplicates: keep }\n",
    );
    let plan = emorun_prepare::plan(&open).unwrap();
    assert_eq!(integrate(&open, &plan).unwrap().kept, 9);
}

#[test]
fn a_corpus_without_one_usable_utterance_says_why() {
    let place = Place::new();
    place.table(&[("silent.wav", "happy")]);
    place.write("silent.wav", vec![0.0; 16_000], 16_000);
    let preparation = place.preparation("");
    let (plan, _) = place.preprocess(&preparation);
    let error = integrate(&preparation, &plan).unwrap_err();
    assert!(matches!(error, PrepareError::NothingLeft { .. }), "{error}");
    assert!(text(&place.path("out/report.txt")).contains("is silent throughout"));
}

#[test]
fn steps_in_the_wrong_order_and_two_at_once_are_errors() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("");
    let plan = plan(&preparation).unwrap();
    let error = integrate(&preparation, &plan).unwrap_err();
    assert!(matches!(error, PrepareError::NotPreprocessed { missing: 3 }), "{error}");
    fs::create_dir_all(place.path("out")).unwrap();
    let held = emorun_prepare::Journal::<u8>::open(&place.path("out/prepared.jsonl")).unwrap();
    let error = preprocess(&preparation, &plan, 1, &|_| ()).unwrap_err();
    assert!(matches!(error, PrepareError::Busy { .. }), "{error}");
    drop(held);
}

#[test]
fn parts_of_a_recording_are_utterances_of_their_own() {
    let place = Place::new();
    let samples = [speech(1.0, 200.0, 0.2), speech(1.0, 400.0, 0.2)].concat();
    place.write("a.wav", samples, 16_000);
    let table = "path,speaker,emotion,start,end\na.wav,s,happy,0,1\na.wav,s,sad,1,2\n";
    fs::write(place.path("corpus/table.csv"), table).unwrap();
    let preparation = place.preparation("audio: { sample_rate_hz: 16000, loudness_lufs: null, peak_dbfs: 0 }\n");
    let (plan, new) = place.preprocess(&preparation);
    assert_eq!((new, integrate(&preparation, &plan).unwrap().kept), (2, 2));
    let second: Vec<String> = rows(&place)[1].split(',').map(str::to_owned).collect();
    let written = load(&place.path("out").join(&second[1]), 16_000, None).unwrap();
    let part = Segment {
        start_s: 1.0,
        end_s: 2.0,
    };
    let expected = load(&place.path("corpus/a.wav"), 16_000, Some(part)).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn targets_are_configurable_and_what_is_wrong_in_the_file_is_said() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("emotions: { negative: [sad, fearful], other: [neutral] }\n");
    let (plan, _) = place.preprocess(&preparation);
    integrate(&preparation, &plan).unwrap();
    let emotions: Vec<String> = rows(&place)
        .iter()
        .map(|row| row.split(',').nth(3).unwrap().to_owned())
        .collect();
    assert_eq!(emotions, ["negative", "negative", "other"]);
    for (more, part) in [
        ("emotions: { a: [sad], b: [sadness] }\n", "becomes both `a` and `b`"),
        ("emotions: {}\n", "`emotions` is empty"),
        (
            "emotions: { a: [melancholy] }\n",
            "no corpus has the emotion `melancholy`",
        ),
        (
            "quality: { min_duration_s: 3, max_duration_s: 2 }\n",
            "nothing lies between",
        ),
    ] {
        let error = emorun_prepare::plan(&place.preparation(more)).unwrap_err();
        assert!(
            matches!(error, PrepareError::Invalid(_)) && error.to_string().contains(part),
            "{error}"
        );
    }
    let base = "name: x\noutput: out\ndatasets: {}\n";
    for (more, part) in [
        ("qualty: {}\n", "quality"),
        ("audio: { sample_rate_hz: 10 }\n", "sample_rate_hz"),
        ("disagreement: both\n", "drop"),
    ] {
        let report = place.read(&format!("{base}{more}")).unwrap_err();
        assert!(report.contains(part) && report.contains("prepare.yaml:4"), "{report}");
    }
}

#[test]
fn generated_speech_is_prepared_as_well() {
    let place = Place::new();
    let text = "name: x\noutput: out\ndatasets:\n  s: { kind: synthetic, speakers: 2, utterances: 2 }\n\
                quality: { min_snr_db: null }\n";
    let preparation = place.read(text).unwrap();
    let (plan, new) = place.preprocess(&preparation);
    // Two speakers, five emotions, two utterances of each.
    assert_eq!(new, 20);
    assert_eq!(place.preprocess(&preparation).1, 0);
    assert_eq!(integrate(&preparation, &plan).unwrap().kept, 20);
}

#[test]
fn files_that_cannot_be_read_are_noted_and_do_not_end_the_run() {
    let place = Place::new();
    place.four();
    let preparation = place.preparation("");
    let plan = plan(&preparation).unwrap();
    // It was good when it was looked at.
    let mut bytes = fs::read(place.path("corpus/b.wav")).unwrap();
    bytes.truncate(500);
    fs::write(place.path("corpus/b.wav"), bytes).unwrap();
    assert_eq!(preprocess(&preparation, &plan, 4, &|_| ()).unwrap(), 3);
    let integrated = integrate(&preparation, &plan).unwrap();
    assert_eq!(integrated.kept, 2);
    assert!(text(&place.path("out/rejected.csv")).contains("cannot be read"));
}

#[test]
fn by_default_every_emotion_is_kept_and_every_level_too() {
    let place = Place::new();
    place.table(&[
        ("a.wav", "happy"),
        ("b.wav", "sad"),
        ("c.wav", "fear"),
        ("d.wav", "neutral"),
    ]);
    let levels = [0.5, 0.02, 0.2, 0.999];
    for (name, level) in ["a.wav", "b.wav", "c.wav", "d.wav"].iter().zip(levels) {
        place.write(name, speech(1.0, 200.0, level), 16_000);
    }
    let text = "name: test\noutput: out\ndatasets:\n  d: { kind: manifest, path: corpus/table.csv }\n\
                quality: { min_snr_db: null }\n";
    let preparation = place.read(text).unwrap();
    let (plan, _) = place.preprocess(&preparation);
    assert_eq!(plan.targets, ["neutral", "happy", "sad", "fearful"]);
    let report = integrate(&preparation, &plan).unwrap().report;
    assert_eq!((report.kept, report.without_target.len()), (4, 0));
    for name in ["a.wav", "b.wav", "c.wav", "d.wav"] {
        let before = emorun_audio::load(&place.path("corpus").join(name), 16_000, None)
            .unwrap()
            .samples;
        let after = emorun_audio::load(&place.path("out/audio/d").join(name), 16_000, None)
            .unwrap()
            .samples;
        let apart = before
            .iter()
            .zip(&after)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            before.len() == after.len() && apart <= 1.0 / 32_768.0,
            "{name}: {apart}"
        );
    }
    let rows = rows(&place);
    let emotions: Vec<&str> = rows.iter().map(|row| row.split(',').nth(3).unwrap()).collect();
    assert_eq!(emotions, ["happy", "sad", "fearful", "neutral"]);
}

/// An item by its file name, with all that a table has to keep of it.
fn told(corpus: &emorun_data::Corpus, prefix: &str) -> std::collections::BTreeMap<String, Vec<String>> {
    let class = |sets: &IndexMap<String, Vec<String>>, name: &str, class: Option<u32>| {
        class.map(|class| format!("{name}={}", sets[name][class as usize]))
    };
    corpus
        .items
        .iter()
        .map(Result::unwrap)
        .filter(|item| item.label("emotion").is_some())
        .map(|item| {
            let key = item
                .key
                .split_once('/')
                .unwrap()
                .1
                .trim_start_matches(prefix)
                .to_owned();
            let mut told = vec![
                item.speaker.to_string(),
                format!("{:?}", item.split),
                format!("{:?}", item.text),
            ];
            told.extend(item.groups.iter().map(ToString::to_string));
            let labels = item.labels.iter();
            told.extend(labels.filter_map(|(name, own)| class(&corpus.label_sets, name, *own)));
            let attributes = item.attributes.iter();
            told.extend(attributes.filter_map(|(name, own)| class(&corpus.attribute_sets, name, *own)));
            told.extend(item.values.iter().map(|(name, value)| format!("{name}={value}")));
            let classes = &corpus.label_sets["emotion"];
            let shares = item.soft_labels.get("emotion").into_iter().flatten().zip(classes);
            told.extend(
                shares
                    .filter(|(share, _)| **share > 0.0)
                    .map(|(share, class)| format!("{class}:{share:.3}")),
            );
            // Which of the experiment's datasets an item is of is no label of its own.
            told.retain(|one| !one.starts_with("corpus="));
            told[3..].sort();
            (key, told)
        })
        .collect()
}

#[test]
fn a_prepared_corpus_keeps_people_dialogues_sides_dimensions_votes_and_attributes() {
    let place = Place::new();
    let labels = emorun_data::corpora::iemocap::IemocapLabels::Dialogue;
    emorun_data::corpora::iemocap::write_iemocap(&place.path("corpus/iemocap"), &[1, 2], labels, 0.6).unwrap();
    fs::write(
        place.path("corpus/table.csv"),
        "path,speaker,emotion,split,session,microphone\n\
         a.wav,s0,happy,train,x;1,near\nb.wav,s1,sad,test,x;1,far\nc.wav,,sad,dev,y,far\n",
    )
    .unwrap();
    for (number, name) in ["a.wav", "b.wav", "c.wav"].iter().enumerate() {
        place.write(name, speech(1.0, 200.0 + 50.0 * number as f32, 0.2), 16_000);
    }
    let text = "name: both\noutput: out\ndatasets:\n\
                \x20 iemocap: { kind: iemocap, root: corpus/iemocap }\n\
                \x20 own: { kind: manifest, path: corpus/table.csv, columns: { groups: [session] }, attributes: [microphone] }\n\
                quality: { min_snr_db: null, max_silence_ratio: null, duplicates: keep }\n";
    let preparation = place.read(text).unwrap();
    let (plan, _) = place.preprocess(&preparation);
    let report = integrate(&preparation, &plan).unwrap().report;
    let before = scan(&preparation.datasets, ScanLevel::Metadata, None).unwrap();
    assert_eq!(report.kept, told(&before, "").len());

    // As an experiment extends it.
    let written = text_of(&place, "out/dataset.yaml");
    let after = scan(&datasets(&place, &written), ScanLevel::Metadata, None).unwrap();
    let expected = told(&before, "");
    let found = told(&after, "audio/iemocap/");
    assert_eq!(expected.len(), found.len());
    for (key, told) in &expected {
        let found = found.get(key).or_else(|| found.get(&format!("audio/own/{key}")));
        // The item of the unknown speaker is alone with a name of its own.
        let (own, found) = (told[1..].to_vec(), found.unwrap()[1..].to_vec());
        assert_eq!(own, found, "{key}");
    }
    // Speakers are the same people as those of the corpus itself.
    let speakers = |corpus: &emorun_data::Corpus| {
        let mut speakers: Vec<String> = corpus.speakers().into_iter().map(str::to_owned).collect();
        speakers.sort();
        speakers
    };
    assert_eq!(speakers(&after), speakers(&before));

    // As somebody writes it who names the table alone: nothing that splits must respect is lost.
    let plain = datasets(&place, "datasets: { p: { kind: manifest, path: out/manifest.csv } }\n");
    let plain = scan(&plain, ScanLevel::Metadata, None).unwrap();
    let respected = |corpus: &emorun_data::Corpus| -> Vec<(String, Vec<String>, Option<emorun_data::SplitName>)> {
        let mut all: Vec<_> = corpus
            .items
            .iter()
            .map(Result::unwrap)
            .filter(|item| item.label("emotion").is_some())
            .map(|item| {
                let mut groups: Vec<String> = item.groups.iter().map(ToString::to_string).collect();
                groups.sort();
                let speaker = item.speaker.split('?').next().unwrap().to_owned();
                (speaker, groups, item.split)
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(respected(&plain), respected(&before));
}

fn text_of(place: &Place, name: &str) -> String {
    text(&place.path(name))
}

fn datasets(place: &Place, written: &str) -> IndexMap<String, DatasetConfig> {
    place.read(&format!("name: x\noutput: x\n{written}")).unwrap().datasets
}
