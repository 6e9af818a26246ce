use super::*;
use crate::Item;
use serde_json::json;

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
        (0..24_000 + at).for_each(|x| wav.write_sample(x % (37 + at)).unwrap());
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

fn items(corpus: &Corpus) -> Vec<Item> {
    corpus.items.to_vec().unwrap()
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
        assert_eq!(items(&known), items(&deep), "also where less is asked for");
        assert_eq!(known.datasets, deep.datasets);
        assert_eq!((&known.label_sets, &known.values), (&deep.label_sets, &deep.values));
        // And it is what a scan gives from then on, with a remark.
        let again = crate::scan(&datasets, level, Some(&in_files(folder.path()))).unwrap();
        assert_eq!(
            (items(&again), again.warnings.len()),
            (items(&deep), deep.warnings.len() + 1)
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

/// A corpus of several blocks of items, in memory, and its index.
fn large(folder: &Path) -> (Corpus, Corpus, Index) {
    let datasets = datasets(folder);
    let mut table = "path,speaker,emotion,start,end,valence,style,session,text,split\n".to_owned();
    for at in 0..3 * BLOCK + 5 {
        let (file, from) = (at % 5, at / 5);
        // Parts of four speakers; of one file each reaches into the next.
        let (speaker, to) = (file.min(3), from + 1 + usize::from(file == 1));
        let [from, to] = [from, to].map(|at| 0.06 * at as f64);
        let (emotion, valence) = (["happy", "sad"][at % 2], at % 3);
        table += &format!("ä folder/{file}.wav,{speaker},{emotion},{from:.2},{to:.2},{valence},,{speaker},,\n");
    }
    fs::write(folder.join("all.csv"), table).unwrap();
    let read = crate::scan(&datasets, ScanLevel::Deep, None).unwrap();
    let index = Index::of(&datasets, ScanLevel::Deep, folder).unwrap();
    index.save(&read).unwrap();
    let known = index.load().unwrap();
    (read, known, index)
}

#[test]
fn items_and_splits_are_the_same_from_an_index_of_several_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let (read, known, _) = large(folder.path());
    assert!(read.items.in_memory().is_some() && known.items.in_memory().is_none());
    assert_eq!(items(&known), items(&read));
    let all = items(&read);
    for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK + 7, all.len() - 1] {
        assert_eq!(known.items.get(at).unwrap(), all[at]);
    }
    assert_eq!(known.items.overlaps(), read.items.overlaps());
    assert_eq!(read.items.overlaps().len(), 1);
    for rule in [
        json!({ "kind": "by_speaker", "validation": 0.25, "test": 0.25 }),
        json!({ "kind": "folds", "folds": { "k": 2 } }),
        json!({ "kind": "fixed", "train": ["0", "1"], "validation": ["2"], "test": ["3"] }),
    ] {
        let rule = serde_json::from_value(rule).unwrap();
        let sides = |corpus| {
            let assignments = crate::split(corpus, &rule, &["emotion"], 7).unwrap().into_iter();
            let sides = assignments.map(|one| (one.train, one.validation, one.test, one.certificate));
            sides.collect::<Vec<_>>()
        };
        assert_eq!(sides(&known), sides(&read));
    }
}

#[test]
fn what_is_damaged_of_an_index_is_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_, known, index) = large(folder.path());
    let whole = fs::read(index.path()).unwrap();
    let mut late = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(index.path(), &bytes).unwrap();
        // Without an index the corpus is read again; a record is known to be damaged when it is used.
        if let Some(corpus) = index.load() {
            late += 1;
            let error = corpus.items.to_vec().expect_err("byte {at} is another one");
            assert!(matches!(error, crate::DataError::Index { .. }), "{error}");
            assert!(
                error.help().is_some() && error.to_string().contains("damaged"),
                "{error}"
            );
            let wrong = corpus.items.iter().filter(Result::is_err).count();
            assert_eq!(wrong, 1, "one block");
        }
    }
    assert!(late > 0);
    for length in [0, 7, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(index.path(), &whole[..length]).unwrap();
        assert!(index.load().is_none(), "{length} bytes");
    }
    fs::write(index.path(), [&whole[..], b"x"].concat()).unwrap();
    assert!(index.load().is_none(), "one byte more");
    fs::write(index.path(), &whole).unwrap();
    let loaded = index.load().unwrap();
    assert_eq!(items(&loaded), items(&known));
    // A disk that is gone, or an index cut while it is used.
    fs::File::options()
        .write(true)
        .open(index.path())
        .unwrap()
        .set_len(100)
        .unwrap();
    let error = loaded.items.get(0).expect_err("its record is gone");
    assert!(matches!(error, crate::DataError::Index { .. }), "{error}");
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
    let load = |at: usize| items(&corpus)[at].load_audio(8000);
    assert!(load(0).is_ok() && load(4).is_ok());
    let changed = load(2).unwrap_err();
    assert!(changed.to_string().contains("1.wav"), "{changed}");
    assert!(changed.help().unwrap().contains("touch"));
    assert!(matches!(load(3), Err(crate::DataError::BadAudio { .. })));
}
