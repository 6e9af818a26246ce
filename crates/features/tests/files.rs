//! Feature files: those of numpy, of safetensors and of our own writer, found for items.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use emorun_features::{
    Array, Common, FeatureError, FeatureFile, FeatureSource, FeatureWriter, Missing, Precision, write_features,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

const SHAPES: [&[usize]; 3] = [&[5], &[4, 3], &[2, 4, 3]];

/// The array that `make_golden.py` makes of a type and a shape.
fn array(kind: char, shape: &[usize]) -> Array {
    let offset = match kind {
        'f' => 3.5,
        'i' => 3.0,
        _ => 0.0,
    };
    let count = u16::try_from(shape.iter().product::<usize>()).unwrap();
    let values = (0..count).map(|i| f32::from(i) - offset).collect();
    Array::new(shape, values).unwrap()
}

/// Reads the only array of a file.
fn read(path: &Path) -> Result<Array, FeatureError> {
    let file = FeatureFile::open(path)?;
    let name = file.names().next().unwrap().to_owned();
    let array = file.read(&name)?;
    assert_eq!(file.shape(&name).unwrap(), array.shape());
    Ok(array)
}

#[test]
fn arrays_of_numpy_are_read_as_they_were_saved() {
    let mut files = 0;
    for entry in fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((kind, rest)) = name.trim_start_matches("big_").split_once('_') else {
            continue;
        };
        if !["f2", "f4", "f8", "i2", "u1"].contains(&kind) {
            continue;
        }
        let axes: usize = rest[..1].parse().unwrap();
        let expected = array(kind.chars().next().unwrap(), SHAPES[axes - 1]);
        assert_eq!(read(&path).unwrap(), expected, "{name}");
        files += 1;
    }
    assert_eq!(files, 5 * 5 + 3);
    for version in [2, 3] {
        assert_eq!(
            read(&golden(&format!("version{version}.npy"))).unwrap(),
            array('f', SHAPES[1])
        );
    }
}

#[test]
fn arrays_that_are_no_features_are_refused_with_their_reason() {
    for (name, part) in [
        ("scalar", "has shape []; features are [width]"),
        ("four_axes", "has shape [1, 2, 1, 2]; features are [width]"),
        ("complex", "has elements of type <c8"),
        ("text", "has elements of type <U1"),
        ("record", "has elements of type [('a', '<f4'), ('b', '<i4')]"),
        ("no_frames", "has shape [0, 3] and thus no values"),
        ("nan", "holds NaN at [1, 0]"),
    ] {
        let path = golden(&format!("bad_{name}.npy"));
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{path:?}")) && error.contains(part),
            "{error}"
        );
    }
}

#[test]
fn tensors_of_numpy_are_read_as_they_were_saved() {
    let file = FeatureFile::open(&golden("numpy.safetensors")).unwrap();
    assert_eq!(file.names().count(), 12);
    for name in file.names() {
        let axes: usize = name[3..4].parse().unwrap();
        let expected = array(name.chars().next().unwrap(), SHAPES[axes - 1]);
        assert_eq!(file.read(name).unwrap(), expected, "{name}");
    }
    assert!(matches!(file.read("f4"), Err(FeatureError::NoTensor { .. })));
}

/// Writes the features that `make_golden.py` expects.
fn write(path: &Path, precision: Precision) {
    let keys = ["d/a.wav", "d/b.wav", "d/ü \"c\".wav"];
    let features = keys
        .into_iter()
        .zip(SHAPES)
        .map(|(key, shape)| Ok::<_, FeatureError>((key, array('f', shape))));
    let metadata = [("node", "hubert".to_owned()), ("precision", precision.to_string())];
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    write_features(path, precision, features, &metadata).unwrap();
}

#[test]
fn what_is_written_is_what_the_python_package_read() {
    let folder = tempfile::tempdir().unwrap();
    for precision in [Precision::F16, Precision::F32] {
        let path = folder.path().join("features.safetensors");
        write(&path, precision);
        let expected = fs::read(golden(&format!("written_{precision}.safetensors"))).unwrap();
        assert!(
            fs::read(&path).unwrap() == expected,
            "{precision}; to accept, copy it and run make_golden.py"
        );
        let file = FeatureFile::open(&path).unwrap();
        assert_eq!(file.read("d/a.wav").unwrap(), array('f', SHAPES[0]));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_file_that_is_not_finished_leaves_the_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    write(&path, Precision::F32);
    let before = fs::read(&path).unwrap();
    let mut writer = FeatureWriter::create(&path, Precision::F16).unwrap();
    writer.add("a", &array('f', &[3])).unwrap();
    for (key, value) in [("a", 1.0), ("__metadata__", 1.0), ("b", 1e6)] {
        assert!(
            writer.add(key, &Array::new([1], vec![value]).unwrap()).is_err(),
            "{key}"
        );
    }
    drop(writer);
    let broken = [
        Ok(("a", array('f', &[3]))),
        Err(FeatureError::NoFiles { root: path.clone() }),
    ];
    assert!(write_features(&path, Precision::F32, broken, &BTreeMap::new()).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(FeatureWriter::create(&folder.path().join("no/features.safetensors"), Precision::F32).is_err());
}

#[test]
fn a_file_cut_short_anywhere_or_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["f4_2d_f.npy", "written_f16.safetensors"] {
        let bytes = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = FeatureFile::open(&path).unwrap_err();
            assert!(matches!(error, FeatureError::Damaged { .. }), "{length}: {error}");
        }
        fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
        assert!(FeatureFile::open(&path).unwrap_err().to_string().contains("too long"));
    }
}

#[test]
fn no_change_of_a_header_does_more_than_fail() {
    let folder = tempfile::tempdir().unwrap();
    for (name, header) in [
        ("f8_3d_f.npy", 128),
        ("i2_2d_c.npy", 128),
        ("written_f32.safetensors", 360),
    ] {
        let bytes = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        let (mut opened, mut refused) = (0, 0);
        for at in 0..header.min(bytes.len()) {
            for with in [0, b'9', b'(', b'\'', b',', 0xff, bytes[at] ^ 1, bytes[at] ^ 4] {
                let mut changed = bytes.clone();
                changed[at] = with;
                fs::write(&path, &changed).unwrap();
                match FeatureFile::open(&path) {
                    Ok(file) => {
                        opened += 1;
                        for name in file.names() {
                            if let Ok(array) = file.read(name) {
                                assert!(array.values().len() * 2 <= bytes.len());
                            }
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(opened > 0 && refused > 0, "{name}: {opened} opened, {refused} refused");
    }
}

#[test]
fn a_file_that_changes_after_it_was_opened_is_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    fs::copy(golden("f4_2d_c.npy"), &path).unwrap();
    let file = FeatureFile::open(&path).unwrap();
    fs::copy(golden("f8_2d_c.npy"), &path).unwrap();
    assert!(matches!(file.read("a"), Err(FeatureError::Changed { .. })));
}

/// A folder with an array of a shape in each of the files.
fn tree(files: &[(&str, &[usize])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, shape) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with(".npy") {
            let header = format!(
                "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}\n",
                join(shape)
            );
            let size = u16::try_from(header.len()).unwrap().to_le_bytes();
            let values = vec![7; shape.iter().product()];
            fs::write(
                path,
                [&b"\x93NUMPY\x01\x00"[..], &size, header.as_bytes(), &values].concat(),
            )
            .unwrap();
        } else {
            fs::write(path, "no feature").unwrap();
        }
    }
    root
}

fn join(shape: &[usize]) -> String {
    shape.iter().map(|size| format!("{size},")).collect()
}

#[test]
fn an_item_finds_its_feature_by_its_path_and_no_other() {
    // Files, item, the file found, or a part of the error.
    let cases: [(&[&str], &str, Result<&str, &str>); 15] = [
        (&["s1/x.npy", "s2/x.npy"], "d/s2/x.wav", Ok("s2/x.npy")),
        (&["d/s1/x.npy", "e/s1/x.npy"], "d/s1/x.wav", Ok("d/s1/x.npy")),
        (&["s1/x.wav.npy", "s2/x.wav.npy"], "d/s1/x.wav", Ok("s1/x.wav.npy")),
        (&["s1/x.MP4.npy"], "d/s1/x.flac", Ok("s1/x.MP4.npy")),
        (&["x.npy", "y.npy"], "d/s1/deep/x.wav", Ok("x.npy")),
        (&["deep/x.npy", "other/x.npy"], "d/s1/deep/x.wav", Ok("deep/x.npy")),
        (&["hubert/s1/x.npy", "s1.txt"], "d/s1/x.wav", Ok("hubert/s1/x.npy")),
        (&["train/x.npy", "notes.txt"], "d/x.wav", Ok("train/x.npy")),
        (&["x.v2.npy", "x.npy"], "d/x.v2.wav", Ok("x.v2.npy")),
        (&["x#0.5-2.npy", "x.npy"], "d/x.wav#0.5-2", Ok("x#0.5-2.npy")),
        (&["x.npy"], "d/x.wav#0.5-2", Err("1 of 1 items have no feature")),
        (&["train/x.npy", "test/x.npy"], "d/x.wav", Err("test/x.npy\" and ")),
        (
            &["s1/x.npy", "s1/x.wav.npy"],
            "d/s1/x.wav",
            Err("s1/x.wav.npy\" fit item d/s1/x.wav"),
        ),
        (
            &["s2/x.npy"],
            "d/s1/x.wav",
            Err("s2/x.npy\" has that name but lies in another folder"),
        ),
        (
            &["y.npy"],
            "d/s1/x.wav",
            Err("for d/s1/x.wav looked for d/s1/x, s1/x, x"),
        ),
    ];
    for (files, item, expected) in cases {
        let files: Vec<(&str, &[usize])> = files.iter().map(|name| (*name, &[2, 3][..])).collect();
        let root = tree(&files);
        let source = FeatureSource::scan(root.path()).unwrap();
        match (source.lookup(item), expected) {
            (Ok(located), Ok(expected)) => {
                assert_eq!(located.path(), root.path().join(expected));
                assert_eq!(located.read().unwrap().shape(), [2, 3]);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{item} in {files:?}: {found:?}"),
        }
    }
}

#[test]
fn tensors_are_found_by_any_of_the_names_an_item_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let mut writer = FeatureWriter::create(&path, Precision::F32).unwrap();
    let keys = [
        "d/s1/a.wav",
        "s1/b.wav",
        "s1/c",
        "d",
        "/data/corpus/s1/e.wav",
        "f.wav",
        "d/s1/g.wav#1-2.5",
    ];
    for key in keys {
        writer.add(key, &array('f', &[3])).unwrap();
    }
    writer.finish(&BTreeMap::new()).unwrap();
    for root in [&path, folder.path()] {
        let source = FeatureSource::scan(root).unwrap();
        assert_eq!(source.len(), keys.len());
        for (name, key) in ["a", "b", "c", "d", "e", "f"].into_iter().zip(keys) {
            let located = source.lookup(&format!("d/s1/{name}.wav")).unwrap();
            assert_eq!(located.place(), format!("`{key}` in {path:?}"));
        }
        assert!(source.lookup("d/s1/g.wav#1-2.5").is_ok());
        assert!(source.lookup("d/s1/g.wav#1-2").is_err());
    }
}

#[test]
fn all_missing_items_are_counted_and_the_first_named() {
    let root = tree(&[("a.npy", &[3])]);
    let source = FeatureSource::scan(root.path()).unwrap();
    let items: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .map(|name| format!("d/s/{name}.wav"))
        .collect();
    let Err(FeatureError::Missing(missing)) = source.lookup_all(&items) else {
        panic!("six are missing");
    };
    let expected = Missing {
        root: root.path().to_owned(),
        missing: 6,
        items: 7,
        first: items[1..6].to_vec(),
        looked_for: ["d/s/b", "s/b", "b"].map(str::to_owned).to_vec(),
        near: None,
    };
    assert_eq!(missing, expected);
    assert_eq!(
        missing.to_string(),
        format!(
            "6 of 7 items have no feature in {:?}: d/s/b.wav, d/s/c.wav, d/s/d.wav, d/s/e.wav, d/s/f.wav, …; \
             for d/s/b.wav looked for d/s/b, s/b, b",
            root.path()
        )
    );
}

#[test]
fn no_two_items_share_a_feature_and_none_comes_from_another_corpus() {
    let flat = tree(&[("001.npy", &[3]), ("002.npy", &[3])]);
    let source = FeatureSource::scan(flat.path()).unwrap();
    assert_eq!(source.lookup_all(&["d/s1/002.wav", "d/s1/001.wav"]).unwrap().len(), 2);
    let error = source.lookup_all(&["d/s1/001.wav", "d/s2/001.wav"]).unwrap_err();
    assert!(
        error.to_string().contains("fits both d/s1/001.wav and d/s2/001.wav"),
        "{error}"
    );

    let corpora = tree(&[("a/1.npy", &[3]), ("b/1.npy", &[3]), ("b/2.npy", &[3])]);
    let source = FeatureSource::scan(corpora.path()).unwrap();
    assert_eq!(source.lookup_all(&["b/1.wav", "a/1.wav", "b/2.wav"]).unwrap().len(), 3);
    let error = source.lookup_all(&["a/1.wav", "a/2.wav"]).unwrap_err();
    assert!(matches!(error, FeatureError::Scattered { .. }), "{error}");
}

#[test]
fn features_of_all_items_have_one_kind_and_width() {
    let root = tree(&[
        ("v3.npy", &[3]),
        ("f3.npy", &[5, 3]),
        ("f3b.npy", &[7, 3]),
        ("f4.npy", &[5, 4]),
        ("s23.npy", &[2, 5, 3]),
        ("s33.npy", &[3, 5, 3]),
    ]);
    let source = FeatureSource::scan(root.path()).unwrap();
    let common = |names: &[&str]| {
        let items: Vec<String> = names.iter().map(|name| format!("d/{name}.wav")).collect();
        Common::of(&source.lookup_all(&items).unwrap())
    };
    assert_eq!(common(&[]).unwrap(), None);
    let frames = Common {
        axes: 2,
        layers: None,
        width: 3,
    };
    assert_eq!(common(&["f3", "f3b"]).unwrap(), Some(frames));
    let stack = Common {
        axes: 3,
        layers: Some(2),
        width: 3,
    };
    assert_eq!(common(&["s23"]).unwrap(), Some(stack));
    for names in [["f3", "f4"], ["f3", "v3"], ["s23", "s33"], ["s23", "f3"]] {
        let error = common(&names).unwrap_err().to_string();
        assert!(
            names.iter().all(|name| error.contains(&format!("{name}.npy"))),
            "{error}"
        );
    }
}

#[test]
fn files_that_a_table_names_are_used_as_named() {
    let root = tree(&[("one/any.npy", &[3]), ("two/any.npy", &[4])]);
    let archive = root.path().join("many.safetensors");
    write(&archive, Precision::F32);
    let rows = |files: &[(&str, &str)]| {
        let pairs: Vec<_> = files
            .iter()
            .map(|(item, file)| ((*item).to_owned(), root.path().join(file)))
            .collect();
        FeatureSource::listed(Path::new("table.csv"), pairs)
    };
    let source = rows(&[
        ("d/x.wav", "two/any.npy"),
        ("d/y.wav", "one/any.npy"),
        ("d/a.wav", "many.safetensors"),
        ("d/z.wav", "many.safetensors"),
    ])
    .unwrap();
    let shape = |item| source.lookup(item).map(|located| located.shape().unwrap().to_vec());
    assert_eq!(shape("d/x.wav").unwrap(), [4]);
    assert_eq!(shape("d/y.wav").unwrap(), [3]);
    assert_eq!(shape("d/a.wav").unwrap(), [5]);
    let error = shape("d/z.wav").unwrap_err().to_string();
    assert!(error.contains("in \"table.csv\": d/z.wav"), "{error}");
    assert!(matches!(
        rows(&[("d/x.wav", "x.csv")]),
        Err(FeatureError::Format { .. })
    ));
    let error = rows(&[("d/x.wav", "gone.npy")]).unwrap_err().to_string();
    assert!(error.contains("gone.npy"), "{error}");
}

#[test]
fn a_place_without_features_is_an_error_that_says_so() {
    let empty = tree(&[("notes.txt", &[])]);
    assert!(matches!(
        FeatureSource::scan(empty.path()),
        Err(FeatureError::NoFiles { .. })
    ));
    let gone = FeatureSource::scan(&empty.path().join("gone")).unwrap_err();
    assert!(gone.to_string().contains("gone"), "{gone}");
    let text = FeatureSource::scan(&empty.path().join("notes.txt")).unwrap_err();
    assert!(matches!(text, FeatureError::Format { .. }));
    let one = FeatureSource::scan(&golden("f4_2d_c.npy")).unwrap_err();
    assert!(matches!(one, FeatureError::OneArray { .. }));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_end() {
    let root = tree(&[("a/x.npy", &[3])]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
    let source = FeatureSource::scan(root.path()).unwrap();
    assert_eq!(source.len(), 1);
}
