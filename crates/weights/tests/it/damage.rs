//! Damaged and hostile files: an error or a value, never a panic, and memory in proportion to the file.

use crate::{golden, open_bytes};
use emorun_weights::WeightsError;
use std::path::Path;

/// Opens bytes as a file and reads all that can be read; `true` when everything could be.
fn survives(path: &Path, bytes: &[u8]) -> bool {
    match open_bytes(path, bytes) {
        Ok(checkpoint) => {
            let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
            names.iter().all(|name| match checkpoint.read_f32(name) {
                Ok(values) => {
                    assert!(values.len() <= bytes.len(), "{name}");
                    true
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    false
                }
            })
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn no_flipped_byte_and_no_cut_makes_a_reader_panic() {
    let folder = tempfile::tempdir().unwrap();
    for (name, masks) in [("mixed.safetensors", 2), ("legacy.bin", 2), ("zip.bin", 1)] {
        let path = folder.path().join(name);
        let bytes = std::fs::read(golden(name)).unwrap();
        for at in 0..bytes.len() {
            for turn in 0..masks {
                let mut damaged = bytes.clone();
                damaged[at] ^= if (at + turn) % 2 == 0 { 0x01 } else { 0xff };
                survives(&path, &damaged);
            }
        }
        for length in 0..bytes.len() {
            assert!(!survives(&path, &bytes[..length]), "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn one_changed_bit_of_the_values_in_an_archive_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(golden("zip.bin")).unwrap();
    let scale = bytes.windows(4).position(|four| four == 0.25f32.to_le_bytes()).unwrap();
    bytes[scale] ^= 1;
    let checkpoint = open_bytes(&folder.path().join("zip.bin"), &bytes).unwrap();
    assert!(matches!(
        checkpoint.read_f32("scale"),
        Err(WeightsError::Damaged { .. })
    ));
}

#[test]
fn a_safetensors_file_that_lies_about_its_header_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let with_header = |header: &str, values: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + values, 0);
        bytes
    };
    let cases = [
        (Vec::new(), "fewer than the header"),
        (
            u64::MAX.to_le_bytes().to_vec(),
            "header is said to have 18446744073709551615 bytes",
        ),
        (
            90_000_000u64.to_le_bytes().to_vec(),
            "header is said to have 90000000 bytes",
        ),
        (with_header("{", 0), "header does not hold"),
        (
            with_header(r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7),
            "cut short",
        ),
        (
            with_header(r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),
            "too long",
        ),
        (
            with_header(r#"{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
            "header does not hold",
        ),
        (
            with_header(
                r#"{"w":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}}"#,
                8,
            ),
            "header does not hold",
        ),
        (
            with_header(
                r#"{"w":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
                8,
            ),
            "",
        ),
        (std::fs::read(golden("zip.bin")).unwrap(), "header is said to have"),
    ];
    for (bytes, reason) in cases {
        match open_bytes(&path, &bytes) {
            Err(WeightsError::Damaged { reason: found, .. }) => assert!(found.contains(reason), "{reason}: {found}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
}

/// A file of the older format around one pickle, with one storage `0` of two f32.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(b"\x80\x02}(X\x10\0\0\0protocol_versionM\xe9\x03X\x0d\0\0\0little_endian\x88u.");
    bytes.extend(b"\x80\x02");
    bytes.extend(pickle);
    bytes.extend(b"\x80\x02](X\x01\0\0\x000e.");
    bytes.extend(2i64.to_le_bytes());
    bytes.extend([1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat());
    bytes
}

/// `{"w": tensor}` with shape and stride given as pickles.
fn tensor(shape: &[u8], stride: &[u8]) -> Vec<u8> {
    let mut pickle =
        b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n".to_vec();
    pickle.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQK\0");
    pickle.extend(shape);
    pickle.extend(stride);
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    pickle
}

#[test]
fn a_small_file_cannot_claim_a_large_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pt");
    let good = open_bytes(&path, &legacy(&tensor(b"K\x02\x85", b"K\x01\x85"))).unwrap();
    assert_eq!(good.read_f32("w").unwrap(), [1.0, 2.0]);
    let cases: [(&[u8], &[u8], &str); 5] = [
        // A view that repeats one element 2³¹ - 1 times.
        (b"J\xff\xff\xff\x7f\x85", b"K\0\x85", "larger than the file"),
        (
            b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87",
            b"K\0K\0K\0\x87",
            "overflows",
        ),
        (b"K\x03\x85", b"K\x01\x85", "needs 3 elements"),
        (b"K\x02\x85", b"J\xff\xff\xff\xff\x85", "non-negative"),
        (b"K\x02\x85", b"K\x01K\x01\x86", "rank"),
    ];
    for (shape, stride, reason) in cases {
        match open_bytes(&path, &legacy(&tensor(shape, stride))) {
            Err(WeightsError::Damaged { reason: found, .. }) => assert!(found.contains(reason), "{reason}: {found}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
}

#[test]
fn bombs_in_a_pickle_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pt");
    let deep = [b"]".repeat(200_000), b"a".repeat(199_999), b".".to_vec()].concat();
    let deep_tuples = [b")".to_vec(), b"\x85".repeat(200_000), b".".to_vec()].concat();
    // Each list holds the one before it twice: 2⁶⁴ values in some hundred bytes.
    let mut laughs = b"]q\0".to_vec();
    for level in 0..64u8 {
        laughs.extend([b']', b'(', b'h', level, b'h', level, b'e', b'q', level + 1]);
    }
    laughs.push(b'.');
    // One large text, remembered once and fetched often.
    let mut texts = [
        b"](X".to_vec(),
        (1u32 << 20).to_le_bytes().to_vec(),
        vec![b'x'; 1 << 20],
        b"q\0".to_vec(),
    ]
    .concat();
    texts.extend(b"h\0".repeat(10_000));
    texts.extend(b"e.");
    let huge_text = b"X\xff\xff\xff\xff.".to_vec();
    let huge_bytes = b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec();
    let endless_line = [b"c".to_vec(), vec![b'x'; 1 << 20], b".".to_vec()].concat();
    for pickle in [deep, deep_tuples, laughs, texts, huge_text, huge_bytes, endless_line] {
        match open_bytes(&path, &legacy(&pickle)) {
            Err(WeightsError::Damaged { .. } | WeightsError::PickleRefused { .. }) => {}
            other => panic!("{:?}: {other:?}", &pickle[..20.min(pickle.len())]),
        }
    }
}

#[test]
fn a_global_is_refused_however_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pt");
    let cases: [(&[u8], &str); 7] = [
        (b"cos\nsystem\nX\x02\0\0\0ls\x85R0}.", "os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x8c\x02os\x94\x8c\x06system\x94\x93.", "os.system"),
        // Both words fetched from the memo.
        (
            b"X\x06\0\0\0systemq\x05X\x02\0\0\0osq\x0600h\x06h\x05\x93.",
            "os.system",
        ),
        (b"]0\x8c\x02os2\x93.", "a name that it computes"),
        (b"(ios\nsystem\n.", "os.system"),
        (b"\x82\x01.", "extension registry"),
    ];
    for (pickle, global) in cases {
        match open_bytes(&path, &legacy(pickle)) {
            Err(WeightsError::PickleRefused { global: found, .. }) => assert!(found.contains(global), "{found}"),
            other => panic!("{global}: {other:?}"),
        }
    }
    let message = open_bytes(&path, &legacy(b"cos\nsys\x1b[2Jtem\n."))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("nothing in it was run") && !message.contains('\u{1b}'),
        "{message}"
    );
}

#[test]
fn a_header_of_a_million_tensors_is_refused_before_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let entries: Vec<String> = (0..1_000_000)
        .map(|number| format!(r#""{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    let begun = std::time::Instant::now();
    let error = open_bytes(&path, &bytes).unwrap_err().to_string();
    assert!(error.contains("header"), "{error}");
    // The rest of the bound: fewer bytes than the longest header, more tensors than a file may have.
    let header = format!("{{{}}}", entries[..300_000].join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    let error = open_bytes(&path, &bytes).unwrap_err().to_string();
    assert!(error.contains("more than the 50000 tensors"), "{error}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn what_stands_in_for_a_file_that_was_not_downloaded_is_told_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for (content, part) in [
        (pointer, "git lfs pull"),
        ("<!DOCTYPE html><html></html>", "web page"),
        ("\n<HTML><body>log in", "web page"),
        ("<?xml version=\"1.0\"?><Error/>", "web page"),
    ] {
        for name in ["model.safetensors", "model.bin", "model.pt"] {
            let error = open_bytes(&folder.path().join(name), content.as_bytes()).unwrap_err();
            assert!(matches!(error, WeightsError::StandIn { .. }), "{name}: {error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        let own = tempfile::tempdir().unwrap();
        std::fs::write(own.path().join("config.json"), content).unwrap();
        let bytes = std::fs::read(golden("mixed.safetensors")).unwrap();
        let error = open_bytes(&own.path().join("model.safetensors"), &bytes)
            .unwrap_err()
            .to_string();
        assert!(error.contains("config.json") && error.contains(part), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn pipes_and_devices_in_the_place_of_files_are_refused_at_once() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fill = |link: &str, target: &Path| {
        for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
            let _ = std::fs::remove_file(at(name));
        }
        std::fs::write(at("config.json"), "{}").unwrap();
        std::fs::copy(golden("mixed.safetensors"), at("model.safetensors")).unwrap();
        let _ = std::fs::remove_file(at(link));
        symlink(target, at(link)).unwrap();
    };
    let pipe = at("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for target in [Path::new("/dev/zero"), &pipe] {
        for link in ["config.json", "model.safetensors"] {
            fill(link, target);
            assert!(
                crate::find(folder.path())
                    .and_then(|located| emorun_weights::Checkpoint::open(&located))
                    .is_err()
            );
            let error = crate::find(&at("model.safetensors"));
            assert!(error.is_err(), "{link}");
        }
        let error = crate::find(target).unwrap_err().to_string();
        assert!(error.contains("not a file"), "{error}");
    }
}
