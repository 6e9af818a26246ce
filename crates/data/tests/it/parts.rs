//! Parts of recordings are compared by their samples, as whole recordings are.

use super::{check, datasets, items, split_of};
use emorun_data::{Corpus, DataError, ErrorClass, ScanLevel, scan};
use serde_json::json;
use std::fs;
use std::path::Path;

const RATE_HZ: u32 = 16_000;

fn write(path: &Path, channels: u16, samples: impl Iterator<Item = i16>) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.for_each(|sample| (0..channels).for_each(|_| writer.write_sample(sample).unwrap()));
    writer.finalize().unwrap();
}

/// A second of a tone that never repeats itself.
fn chirp(number: u32, from: u32, to: u32) -> impl Iterator<Item = i16> {
    let pitch = 0.02 + 0.01 * f64::from(number);
    (from..to).map(move |at| (9000.0 * (f64::from(at) * (pitch + f64::from(at) * 1e-6)).sin()) as i16)
}

fn read(root: &Path, rows: &[&str], level: ScanLevel) -> Result<Corpus, Vec<DataError>> {
    fs::write(
        root.join("m.csv"),
        format!("path,speaker,emotion,start,end\n{}\n", rows.join("\n")),
    )
    .unwrap();
    let config = json!({ "d": { "kind": "manifest", "path": root.join("m.csv") } });
    scan(&datasets(config), level, Some(&root.join("scanned.json")))
}

/// Four recordings, and one that was cut out of the first: its samples from 0.1 to 0.7 s.
fn laid() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..4 {
        write(&root.path().join(format!("{number}.wav")), 1, chirp(number, 0, RATE_HZ));
    }
    write(&root.path().join("cutout.wav"), 2, chirp(0, 1600, 11_200));
    root
}

#[test]
fn a_recording_that_was_cut_out_of_another_is_no_recording_of_its_own() {
    let root = laid();
    let root = root.path();
    let (part, cutout) = ("0.wav,11,angry,0.1,0.7", "cutout.wav,999,angry,,");
    let errors = read(root, &[part, "1.wav,12,sad,,", cutout], ScanLevel::Deep).unwrap_err();
    check(&errors, ErrorClass::Data, &["its speaker is `999` and not `11`"]);
    for name in ["0.wav#0.1-0.7", "cutout.wav"] {
        assert!(errors[0].to_string().contains(name), "{}", errors[0]);
    }
    // Within one speaker it is counted once, also where what was decoded is remembered.
    for _ in 0..2 {
        let same = ["0.wav,11,angry,0.1,0.7", "1.wav,12,sad,,", "cutout.wav,11,angry,,"];
        let corpus = read(root, &same, ScanLevel::Deep).unwrap();
        assert_eq!((corpus.items.len(), corpus.duplicates.len()), (2, 1));
    }
    // Another part, by a sample, and one that nobody has cut out, are their own.
    for other in ["0.wav,11,angry,0.1000625,0.7", "2.wav,11,angry,0.1,0.7"] {
        let corpus = read(root, &[other, "1.wav,12,sad,,", cutout], ScanLevel::Deep).unwrap();
        assert_eq!((corpus.items.len(), corpus.duplicates.len()), (3, 0), "{other}");
    }
}

#[test]
fn a_cut_out_recording_of_another_dataset_stays_on_the_side_of_the_whole() {
    let root = laid();
    let root = root.path();
    let rows = [
        "0.wav,a,angry,0.1,0.7",
        "0.wav,b,sad,0.6,0.9",
        "1.wav,c,angry,,",
        "2.wav,d,sad,,",
        "3.wav,e,sad,,",
    ];
    fs::write(
        root.join("m.csv"),
        format!("path,speaker,emotion,start,end\n{}\n", rows.join("\n")),
    )
    .unwrap();
    fs::create_dir(root.join("cut")).unwrap();
    fs::rename(root.join("cutout.wav"), root.join("cut/cutout.wav")).unwrap();
    for number in [7, 8] {
        write(&root.join(format!("cut/{number}.wav")), 1, chirp(number, 0, RATE_HZ));
    }
    let rows = "path,speaker,emotion\ncutout.wav,x,angry\n7.wav,y,sad\n8.wav,z,sad\n";
    fs::write(root.join("cut/n.csv"), rows).unwrap();
    let config = json!({
        // Before the whole, so that its number is the smaller one.
        "cut": { "kind": "manifest", "path": root.join("cut/n.csv") },
        "d": { "kind": "manifest", "path": root.join("m.csv") },
    });
    let corpus = scan(&datasets(config), ScanLevel::Deep, None).unwrap();
    let told = corpus
        .warnings
        .iter()
        .any(|warning| warning.contains("in more than one dataset"));
    assert!(told, "{:?}", corpus.warnings);
    let all = items(&corpus);
    let place = |key: &str| all.iter().position(|item| &*item.key == key).unwrap();
    let one = ["cut/cutout.wav", "d/0.wav#0.1-0.7", "d/0.wav#0.6-0.9"].map(place);
    for assignment in split_of(&corpus, json!({ "kind": "by_speaker", "validation": 0.3, "test": 0.3 })).unwrap() {
        let sides = [&assignment.train, &assignment.validation, &assignment.test];
        assert!(sides.iter().any(|side| one.iter().all(|item| side.contains(item))));
    }
    // Each two of the three apart are told of, whichever way they are connected.
    for test in [["x"], ["a"], ["b"]] {
        let errors = split_of(
            &corpus,
            json!({ "kind": "fixed", "test": test, "validation": ["e"], "rest": "train" }),
        );
        let errors = errors.unwrap_err();
        check(&errors, ErrorClass::Invalid, &["the recording in "]);
        for item in one {
            assert!(errors[0].to_string().contains(&*all[item].key), "{}", errors[0]);
        }
    }
}

#[test]
fn parts_of_silence_are_not_one_recording() {
    let root = laid();
    let root = root.path();
    for (number, name) in [(5, "s.wav"), (6, "t.wav")] {
        write(
            &root.join(name),
            1,
            std::iter::repeat_n(0, 8000).chain(chirp(number, 0, 8000)),
        );
    }
    let rows = ["s.wav,a,angry,0.0,0.4", "t.wav,b,sad,0.0,0.4", "1.wav,c,sad,,"];
    assert_eq!(read(root, &rows, ScanLevel::Deep).unwrap().items.len(), 3);
}
