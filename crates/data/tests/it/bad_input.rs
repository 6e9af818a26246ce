//! Every kind of bad file in a corpus: an error that names it, or left out and listed where the experiment says so.

use super::{datasets, items, scanned, text};
use emorun_audio::{Clip, write_wav};
use emorun_data::{AudioSource, ErrorClass, ScanLevel, SkipReason, scan};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const RATE_HZ: u32 = 16_000;

/// A WAV file: format tag, channels and bits of its samples, and what stands for its data.
fn wav(tag: u16, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file[4..8].copy_from_slice(&(36 + data.len() as u32).to_le_bytes());
    for field in [tag, channels] {
        file.extend(field.to_le_bytes());
    }
    for field in [RATE_HZ, RATE_HZ * u32::from(align)] {
        file.extend(field.to_le_bytes());
    }
    for field in [align, bits] {
        file.extend(field.to_le_bytes());
    }
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

fn sound(path: &Path, seconds: f64, level: f32) {
    let samples = (0..(seconds * f64::from(RATE_HZ)) as usize).map(|i| level * (i as f32 * 0.1).sin());
    let clip = Clip {
        samples: samples.collect(),
        rate_hz: RATE_HZ,
    };
    write_wav(path, &clip).unwrap();
}

/// A folder in EmoDB's layout with two good recordings.
fn corpus() -> (tempfile::TempDir, Value) {
    let root = tempfile::tempdir().unwrap();
    sound(&root.path().join("03a01Fa.wav"), 0.5, 0.1);
    sound(&root.path().join("08a01Wa.wav"), 0.5, 0.2);
    let config = json!({ "kind": "emodb", "root": root.path() });
    (root, config)
}

#[test]
fn every_kind_of_bad_file_is_named_or_left_out_where_that_is_wanted() {
    let (root, mut config) = corpus();
    let lying = |at: usize, value: u32| {
        let mut file = wav(1, 1, 16, &[1; 4000]);
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        file
    };
    let flac = tempfile::NamedTempFile::new().unwrap();
    sound_flac(flac.path());
    let whole = fs::read(flac.path()).unwrap();
    let mut lying_flac = whole.clone();
    lying_flac[24] ^= 0x80;
    let nan: Vec<u8> = [0.0, f32::NAN]
        .repeat(4000)
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let bad: [(&str, Vec<u8>, &str); 11] = [
        ("03a02Fa.wav", Vec::new(), "holds no samples"),
        ("03a02Fb.wav", wav(1, 1, 16, &[]), "holds no samples"),
        ("03a02Na.wav", wav(3, 1, 32, &nan), "sample 1 is NaN"),
        ("03a02Ta.wav", wav(1, 1, 16, &[0; 2]), "lasts 0.000 s"),
        ("03a02Wa.wav", wav(1, 65, 16, &[0; 65 * 2 * 2000]), "has 65 channels"),
        (
            "03a04Fa.wav",
            lying(40, 0x0fff_fffe),
            "is truncated (4000 of 268435454 bytes",
        ),
        ("03a04Na.wav", lying(24, 0), "has a rate of 0 Hz"),
        ("03a04Ta.wav", whole[..whole.len() / 2].to_vec(), "is truncated"),
        ("03a04Wa.wav", lying_flac, "is truncated"),
        ("03a05Fa.wav", b"<html>404 Not Found</html>".to_vec(), "is a web page"),
        ("03a05Na.wav", wav(0x31, 1, 8, &[0; 4000]), "is WAV that holds GSM 6.10"),
    ];
    for (name, content, _) in &bad {
        fs::write(root.path().join(name), content).unwrap();
    }
    // 64 channels are fine, and so is the same sound in FLAC, whatever the name says.
    fs::write(root.path().join("08a02Fa.wav"), wav(1, 64, 16, &[1; 64 * 2 * 2000])).unwrap();
    fs::write(root.path().join("08a02Wa.wav"), &whole).unwrap();
    let errors = scan(&datasets(json!({ "e": config })), ScanLevel::Deep, None).unwrap_err();
    assert_eq!(errors.len(), bad.len(), "{}", text(&errors));
    for (name, _, expected) in &bad {
        let error = errors.iter().find(|error| error.to_string().contains(name));
        let error = error.unwrap_or_else(|| panic!("{name} is not named: {}", text(&errors)));
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.class(), ErrorClass::Data);
    }
    config["on_bad_audio"] = json!("skip");
    let corpus = scan(&datasets(json!({ "e": config })), ScanLevel::Deep, None).unwrap();
    assert_eq!(corpus.items.len(), 4);
    assert_eq!(corpus.skipped.len(), bad.len());
    for skipped in &corpus.skipped {
        let (_, _, expected) = bad.iter().find(|(name, ..)| skipped.path.ends_with(name)).unwrap();
        let SkipReason::BadAudio(reason) = &skipped.reason else {
            panic!("{skipped:?}")
        };
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn what_is_odd_about_files_is_told_once_a_corpus_with_their_number() {
    let (root, config) = corpus();
    // No two hold the same sound.
    let streamed = |length: u32, level: u8| {
        let mut file = wav(1, 1, 16, &[level; 4000]);
        file[40..44].copy_from_slice(&length.to_le_bytes());
        file
    };
    let frames: Vec<u8> = (0..2000)
        .flat_map(|at| {
            let wave = (8000.0 * (f64::from(at) * 0.3).sin()) as i16;
            [wave, -wave].map(i16::to_le_bytes).concat()
        })
        .collect();
    for (name, content) in [
        ("03a02Fa.wav", streamed(u32::MAX, 1)),
        ("03a02Fb.wav", streamed(0x7fff_f000, 2)),
        ("03a02Na.wav", streamed(0, 3)),
        ("03a02Ta.wav", streamed(4016, 4)),
        ("03a02Wa.wav", wav(1, 2, 16, &frames)),
    ] {
        fs::write(root.path().join(name), content).unwrap();
    }
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("scanned.json");
    let told = |config: &Value, level| -> Vec<String> {
        let corpus = scan(&datasets(json!({ "e": config })), level, Some(&cache)).unwrap();
        assert_eq!(corpus.items.len(), 7);
        let warnings = corpus.warnings.into_iter();
        warnings.filter(|warning| warning.contains("of its files")).collect()
    };
    // The second time the files are not read again.
    for _ in 0..2 {
        let told = told(&config, ScanLevel::Deep);
        let [streamed, short, cancels] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(
            streamed.starts_with("dataset `e`: 3 of its files do not say how long they are")
                && streamed.ends_with("03a02Fa.wav\""),
            "{streamed}"
        );
        assert!(
            short.contains("1 of its files end up to 10 ms before") && short.contains("03a02Ta.wav"),
            "{short}"
        );
        assert!(
            cancels.contains("cancel each other") && cancels.contains("03a02Wa.wav"),
            "{cancels}"
        );
    }
    assert_eq!(told(&config, ScanLevel::Metadata).len(), 2);
    // One channel is heard as it is; a file that has but one has no right.
    let mut left = config.clone();
    left["channel"] = json!("left");
    assert_eq!(told(&left, ScanLevel::Deep).len(), 2);
    left["channel"] = json!("right");
    let errors = scan(&datasets(json!({ "e": left })), ScanLevel::Metadata, None).unwrap_err();
    assert_eq!(errors.len(), 1, "{}", text(&errors));
    assert!(
        text(&errors).contains("6 audio files cannot be used, all for one reason")
            && text(&errors).contains("has 1 channel(s), so that `channel: right` names none"),
        "{}",
        text(&errors)
    );
}

#[test]
fn the_channels_of_a_file_are_two_recordings_that_stay_together() {
    let root = tempfile::tempdir().unwrap();
    let frames: Vec<u8> = (0..4000_i16)
        .flat_map(|at| [at, 8000 - at].map(i16::to_le_bytes).concat())
        .collect();
    fs::write(root.path().join("call.wav"), wav(1, 2, 16, &frames)).unwrap();
    fs::write(
        root.path().join("a.csv"),
        "path,speaker,emotion\ncall.wav,agent,neutral\n",
    )
    .unwrap();
    fs::write(
        root.path().join("b.csv"),
        "path,speaker,emotion\ncall.wav,caller,angry\n",
    )
    .unwrap();
    let side =
        |name: &str, channel: Value| json!({ "kind": "manifest", "path": root.path().join(name), "channel": channel });
    let corpus = scanned(json!({ "agent": side("a.csv", json!("left")), "caller": side("b.csv", json!(1)) }));
    let first: Vec<f32> = items(&corpus)
        .iter()
        .map(|item| item.load_audio(RATE_HZ).unwrap()[0])
        .collect();
    assert_eq!(first, [0.0, 8000.0 / 32_768.0]);
    let prints: Vec<&String> = corpus.datasets.values().map(|facts| &facts.fingerprint).collect();
    assert_ne!(prints[0], prints[1]);
}

fn sound_flac(path: &Path) {
    let clip = Clip {
        samples: (0..8000).map(|i| 0.3 * (i as f32 * 0.07).sin()).collect(),
        rate_hz: RATE_HZ,
    };
    emorun_audio::write_flac(path, &clip).unwrap();
}

#[test]
fn a_file_that_changes_after_it_was_scanned_is_named_when_it_is_read() {
    let (root, config) = corpus();
    let corpus = scanned(json!({ "e": config }));
    let path = root.path().join("03a01Fa.wav");
    let item = items(&corpus)
        .into_iter()
        .find(|item| item.key == "e/03a01Fa.wav")
        .unwrap();
    let whole = fs::read(&path).unwrap();
    for (content, expected) in [
        (Some(&whole[..whole.len() / 2]), "has changed since the corpus was read"),
        (Some(&whole[..0]), "has changed since the corpus was read"),
        (None, "cannot be opened"),
    ] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let message = item.load_audio(RATE_HZ).unwrap_err().to_string();
        assert!(
            message.contains("03a01Fa.wav") && message.contains(expected),
            "{message}"
        );
    }
    // A memory of an earlier deep scan does not hide it either.
    fs::write(&path, &whole).unwrap();
    let memory = root.path().join("memory.json");
    let deep = || scan(&datasets(json!({ "e": config })), ScanLevel::Deep, Some(&memory));
    deep().unwrap();
    fs::write(&path, &whole[..whole.len() - 400]).unwrap();
    let errors = deep().unwrap_err();
    assert!(text(&errors).contains("03a01Fa.wav"), "{}", text(&errors));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_or_named() {
    let (root, config) = corpus();
    let path = root.path().join("03a01Fa.wav");
    let (short, flac) = (root.path().join("short"), root.path().join("flac"));
    sound(&short, 0.2, 0.1);
    sound_flac(&flac);
    let versions = [&path, &short, &flac].map(|path| fs::read(path).unwrap());
    let corpus = scanned(json!({ "e": config.clone() }));
    let mut item = items(&corpus)
        .into_iter()
        .find(|item| item.key == "e/03a01Fa.wav")
        .unwrap();
    // By its stamp the file would be refused before it is read.
    item.stamp = None;
    let done = AtomicBool::new(false);
    let (mut read, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for version in &versions {
                    // Emptied, then written: a reader meets any part of it.
                    fs::write(&path, version).unwrap();
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
            }
        });
        for _ in 0..2000 {
            match item.load_audio(RATE_HZ) {
                Ok(samples) => {
                    assert!(samples.iter().all(|x| x.is_finite()));
                    read += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("03a01Fa.wav"), "{error}");
                    refused += 1;
                }
            }
        }
        let _ = scan(&datasets(json!({ "e": config })), ScanLevel::Deep, None);
        done.store(true, Ordering::Relaxed);
    });
    println!("{read} read, {refused} refused");
    assert!(read > 0);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_and_names_of_any_bytes_are_named_and_the_rest_is_read() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let (root, config) = corpus();
    let odd = root
        .path()
        .join("a name with\nnewline, \"quotes\", 空白 and 'e\u{301}'");
    fs::create_dir(&odd).unwrap();
    sound(&odd.join("09a01Fa.wav"), 0.5, 0.3);
    symlink(root.path(), odd.join("up")).unwrap();
    symlink(&odd, odd.join("itself")).unwrap();
    let not_text = odd.join(std::ffi::OsStr::from_bytes(b"10a01\xff.wav"));
    sound(&not_text, 0.5, 0.3);
    let found = scanned(json!({ "e": config }));
    let mut keys: Vec<String> = items(&found).iter().map(|item| item.key.to_string()).collect();
    keys.sort_unstable();
    let key = "e/a name with\nnewline, \"quotes\", 空白 and 'e\u{301}'/09a01Fa.wav";
    assert_eq!(keys, ["e/03a01Fa.wav", "e/08a01Wa.wav", key]);
    let item = items(&found).into_iter().find(|item| item.key == key).unwrap();
    assert_eq!(item.load_audio(RATE_HZ).unwrap().len(), 8000);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.skipped[0].path, not_text);
    // Links to each other, by way of which there is no file.
    let (a, b) = (root.path().join("10a01Fa.wav"), root.path().join("10a01Wa.wav"));
    symlink(&a, &b).unwrap();
    symlink(&b, &a).unwrap();
    let errors = scan(&datasets(json!({ "e": config })), ScanLevel::Metadata, None).unwrap_err();
    let message = text(&errors);
    assert!(
        message.contains("10a01Fa.wav") || message.contains("10a01Wa.wav"),
        "{message}"
    );
    assert!(message.contains("symbolic links"), "{message}");
}

/// Root may read everything: as root the test runs itself again as nobody.
#[cfg(unix)]
#[test]
fn files_without_permission_are_named_and_folders_left_out_with_a_remark() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    const NAME: &str = "bad_input::files_without_permission_are_named_and_folders_left_out_with_a_remark";
    let (root, mut config) = corpus();
    let allow = |path: &PathBuf, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let path = root.path().join("03a01Fa.wav");
    allow(&path, 0o000);
    if fs::File::open(&path).is_ok() {
        let this = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new(&this);
        let output = again
            .args(["--exact", NAME, "--nocapture"])
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .output();
        match output {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && said.contains("1 passed"), "{said}");
            }
            Err(error) => {
                println!("skipped: this user may read everything, and nobody may not start {this:?}: {error}")
            }
        }
        return;
    }
    let corpus = scan(&datasets(json!({ "e": config.clone() })), ScanLevel::Metadata, None);
    let message = text(&corpus.unwrap_err());
    assert!(
        message.contains("03a01Fa.wav") && message.contains("ermission"),
        "{message}"
    );
    config["on_bad_audio"] = json!("skip");
    let corpus = scanned(json!({ "e": config.clone() }));
    assert_eq!((corpus.items.len(), corpus.skipped.len()), (1, 1));
    allow(&path, 0o644);
    let corpus = scanned(json!({ "e": config.clone() }));
    allow(&path, 0o000);
    let item = items(&corpus)
        .into_iter()
        .find(|item| item.key == "e/03a01Fa.wav")
        .unwrap();
    assert!(matches!(&item.audio, AudioSource::File { .. }));
    let message = item.load_audio(RATE_HZ).unwrap_err().to_string();
    assert!(
        message.contains("03a01Fa.wav") && message.contains("ermission"),
        "{message}"
    );
    let folder = root.path().join("forbidden");
    fs::create_dir(&folder).unwrap();
    allow(&folder, 0o000);
    let corpus = scanned(json!({ "e": config }));
    let remarks = corpus.warnings.join("\n");
    assert!(remarks.contains("1 folders may not be read by this user"), "{remarks}");
    let alone = json!({ "kind": "emodb", "root": folder });
    let message = text(&scan(&datasets(json!({ "e": alone })), ScanLevel::Metadata, None).unwrap_err());
    assert!(
        message.contains("forbidden") && message.contains("ermission"),
        "{message}"
    );
    allow(&folder, 0o755);
}
