use super::*;
use serde_json::json;
use std::io::{Seek, SeekFrom};

/// A manifest of five recordings, of which one has two parts, with labels, numbers, groups and texts.
fn datasets(folder: &Path) -> IndexMap<String, DatasetConfig> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    fs::create_dir_all(folder.join("ä folder")).unwrap();
    for at in 0..5_i16 {
        let mut wav = hound::WavWriter::create(folder.join(format!("ä folder/{at}.wav")), spec).unwrap();
        (0..8000 + at).for_each(|x| wav.write_sample(x % (37 + at)).unwrap());
        wav.finalize().unwrap();
    }
    let table = "path,speaker,emotion,start,end,valence,style,session,text,split
ä folder/0.wav,a,happy,0.1,0.4,1.5,loud,1,one,train
ä folder/0.wav,a,happy,0.5,0.9,,soft,1,,train
ä folder/1.wav,b,sad,,,2.5,loud,1,two,test
ä folder/2.wav,c,sad,,,,,2,three \"and\" more,
ä folder/3.wav,c,,,,,,2,,validation
ä folder/4.wav,d,happy,,,0.0,loud,,,
";
    fs::write(folder.join("all.csv"), table).unwrap();
    let config = json!({
        "kind": "manifest", "path": folder.join("all.csv"), "labels": ["style"], "values": ["valence"], "columns": { "groups": ["session"] },
    });
    let config = serde_json::from_value(config).unwrap();
    IndexMap::from([("ü".to_owned(), config)])
}

fn in_files(folder: &Path) -> PathBuf {
    folder.join("scanned.json")
}

#[test]
fn an_index_gives_the_corpus_as_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = datasets(folder.path());
    for level in [ScanLevel::Deep, ScanLevel::Metadata] {
        let cache = in_files(folder.path());
        crate::scan(&datasets, level, Some(&cache)).unwrap();
        let index = Index::of(&datasets, level, folder.path()).unwrap();
        assert!(
            level == ScanLevel::Metadata || index.load().is_none(),
            "small corpora have none"
        );
        let first = crate::scan::scan_indexed(&datasets, level, Some(&cache), 6).unwrap();
        assert_eq!(first.items.len(), 6);
        let deep = crate::scan(&datasets, ScanLevel::Deep, None).unwrap();
        let known = index.load().unwrap();
        assert_eq!(known.items, deep.items, "also where less is asked for");
        assert_eq!(known.datasets, deep.datasets);
        assert_eq!((known.label_sets, known.values), (deep.label_sets, deep.values));
        // And it is what a scan gives from then on, with a remark.
        let again = crate::scan(&datasets, level, Some(&in_files(folder.path()))).unwrap();
        assert_eq!(
            (again.items, again.warnings.len()),
            (deep.items, deep.warnings.len() + 1)
        );
    }
}

#[test]
fn an_index_counts_only_for_the_tables_and_settings_that_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = datasets(folder.path());
    let of = |datasets: &IndexMap<String, DatasetConfig>| Index::of(datasets, ScanLevel::Deep, folder.path());
    let corpus = crate::scan(&datasets, ScanLevel::Deep, None).unwrap();
    of(&datasets).unwrap().save(&corpus).unwrap();
    let other = datasets.values().next().unwrap().clone();
    let renamed = IndexMap::from([("other".to_owned(), other)]);
    assert!(of(&renamed).unwrap().load().is_none());
    let table = folder.path().join("all.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text + "ä folder/4.wav,e,sad,0.1,0.2,,,,,\n").unwrap();
    assert!(of(&datasets).unwrap().load().is_none());
    let generated: DatasetConfig = serde_json::from_value(json!({ "kind": "synthetic" })).unwrap();
    assert!(
        of(&IndexMap::from([("g".to_owned(), generated)])).is_none(),
        "without a table there is none"
    );
}

#[test]
fn a_damaged_index_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = datasets(folder.path());
    let corpus = crate::scan(&datasets, ScanLevel::Deep, None).unwrap();
    let index = Index::of(&datasets, ScanLevel::Deep, folder.path()).unwrap();
    index.save(&corpus).unwrap();
    let whole = fs::read(index.path()).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut file = fs::OpenOptions::new().write(true).open(index.path()).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[whole[at] ^ 0x41]).unwrap();
        assert!(index.load().is_none(), "byte {at} is another one");
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&whole[at..=at]).unwrap();
    }
    assert!(index.load().is_some());
    for length in [0, 7, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(index.path(), &whole[..length]).unwrap();
        assert!(index.load().is_none(), "{length} bytes");
    }
    fs::write(index.path(), [&whole[..], b"x"].concat()).unwrap();
    assert!(index.load().is_none(), "one byte more");
}

#[test]
fn a_file_that_changed_behind_its_index_is_named_when_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = datasets(folder.path());
    let corpus = crate::scan(&datasets, ScanLevel::Deep, None).unwrap();
    Index::of(&datasets, ScanLevel::Deep, folder.path())
        .unwrap()
        .save(&corpus)
        .unwrap();
    fs::copy(
        folder.path().join("ä folder/3.wav"),
        folder.path().join("ä folder/1.wav"),
    )
    .unwrap();
    fs::remove_file(folder.path().join("ä folder/2.wav")).unwrap();
    let corpus = crate::scan(&datasets, ScanLevel::Deep, Some(&in_files(folder.path()))).unwrap();
    let load = |at: usize| corpus.items[at].load_audio(8000);
    assert!(load(0).is_ok() && load(4).is_ok());
    let changed = load(2).unwrap_err();
    assert!(changed.to_string().contains("1.wav"), "{changed}");
    assert!(changed.help().unwrap().contains("touch"));
    assert!(matches!(load(3), Err(crate::DataError::BadAudio { .. })));
}
