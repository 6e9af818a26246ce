//! Tables and folders as people have them: read as they are meant, or refused with one error that says what to do.

use super::{datasets, items, text};
use emorun_audio::{Clip, write_wav};
use emorun_data::{Corpus, ScanLevel, scan};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What a scan has to end with.
enum Expected<'a> {
    /// So many items, and remarks that hold these texts, one each.
    Items(usize, &'a [&'a str]),
    /// Errors that hold these texts, and their help these, one each.
    Errors(&'a [(&'a str, &'a str)]),
}
use Expected::{Errors, Items};

/// Lays a corpus out in a folder of its own, scans it deep with a configuration in which `ROOT` is that folder, and compares.
fn check(case: &str, lay: impl FnOnce(&Path), config: Value, expected: &Expected<'_>) -> Option<Corpus> {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path());
    let root = folder.path().to_str().unwrap();
    let config: Value = serde_json::from_str(&config.to_string().replace("ROOT", root)).unwrap();
    let result = scan(&datasets(json!({ "d": config })), ScanLevel::Deep, None);
    match (result, expected) {
        (Ok(corpus), Items(count, remarks)) => {
            assert_eq!(corpus.items.len(), *count, "{case}: {:?}", corpus.skipped);
            let said: Vec<String> = corpus
                .warnings
                .iter()
                .map(|remark| remark.replace(root, "ROOT"))
                .collect();
            assert_eq!(said.len(), remarks.len(), "{case}: {said:#?}");
            for (remark, part) in said.iter().zip(*remarks) {
                assert!(remark.contains(part), "{case}: `{remark}` lacks `{part}`");
            }
            Some(corpus)
        }
        (Err(errors), Errors(expected)) => {
            assert_eq!(errors.len(), expected.len(), "{case}: {}", text(&errors));
            for (error, (part, remedy)) in errors.iter().zip(*expected) {
                let said = error.to_string().replace(root, "ROOT");
                assert!(said.contains(part), "{case}: `{said}` lacks `{part}`");
                let help = error.help().unwrap_or_default().replace(root, "ROOT");
                assert!(help.contains(remedy), "{case}: `{help}` lacks `{remedy}`");
            }
            None
        }
        (Ok(corpus), Errors(_)) => panic!("{case} is accepted: {:?}", corpus.warnings),
        (Err(errors), Items(..)) => panic!("{case} is refused: {}", text(&errors)),
    }
}

/// A file of its own content below a root.
fn tone(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pitch = 0.05
        + name
            .bytes()
            .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) as f32
            / 5e10;
    let samples = (0..1600).map(|at| 0.3 * (at as f32 * pitch).sin()).collect();
    write_wav(
        &path,
        &Clip {
            samples,
            rate_hz: 16_000,
        },
    )
    .unwrap();
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

const ROWS: [[&str; 3]; 4] = [
    ["wav/Spk 03/a.wav", "03", "Anger"],
    ["wav/Spk 03/b.wav", "03", "Sadness"],
    ["wav/Spk 08/Müller.wav", "08", "Neutral"],
    ["wav/Spk 08/d.wav", "08", "Happiness"],
];

/// A table of [`ROWS`] with cells and lines that end so.
fn table(separator: &str, end: &str, path: impl Fn(&str) -> String) -> String {
    let mut text = format!("path{separator}speaker{separator}emotion{end}");
    for [name, speaker, emotion] in ROWS {
        text += &format!("{}{separator}{speaker}{separator}{emotion}{end}", path(name));
    }
    text
}

fn manifest(file: &str) -> Value {
    json!({ "kind": "manifest", "path": format!("ROOT/{file}") })
}

/// Name, two things to read, and pairs of what is said of them.
type Case<'a, A, B> = (&'a str, A, B, &'a [(&'a str, &'a str)]);

#[test]
fn manifests_of_spreadsheets_and_other_systems_are_read() {
    let same = str::to_owned;
    let plain = table(",", "\n", same);
    let semicolons = table(";", "\r\n", same);
    let tabs = table("\t", "\r\n", same);
    let indexed: String = plain
        .lines()
        .enumerate()
        .map(|(at, line)| {
            if at == 0 {
                format!(",{line}\n")
            } else {
                format!("{},{line}\n", at - 1)
            }
        })
        .collect();
    let headed = |header: &str| plain.replacen("path,speaker,emotion", header, 1);
    let marked = |text: &str| format!("\u{feff}{text}");
    let json_lines = |end: &str| -> String {
        let line =
            |[path, speaker, emotion]: [&str; 3]| json!({ "path": path, "speaker": speaker, "emotion": emotion });
        ROWS.map(|row| format!("{}{end}", line(row))).concat()
    };
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a plain table", "m.csv", plain.clone().into()),
        ("CSV UTF-8 of Excel", "m.csv", marked(&table(",", "\r\n", same)).into()),
        ("German Excel", "m.csv", marked(&semicolons).into()),
        ("tabs in a .csv", "m.csv", tabs.clone().into()),
        ("commas in a .tsv", "m.tsv", plain.clone().into()),
        (
            "Unicode text of Excel",
            "m.txt",
            utf16(&marked(&tabs), u16::to_le_bytes),
        ),
        (
            "UTF-16, big end first",
            "m.csv",
            utf16(&marked(&plain), u16::to_be_bytes),
        ),
        ("UTF-16 without a mark", "m.csv", utf16(&semicolons, u16::to_le_bytes)),
        (
            "UTF-16 without a mark, big end first",
            "m.tsv",
            utf16(&tabs, u16::to_be_bytes),
        ),
        ("Excel's sep line", "m.csv", format!("sep=;\r\n{semicolons}").into()),
        (
            "Excel's sep line behind a mark",
            "m.csv",
            marked(&format!("\"sep=,\"\n{plain}")).into(),
        ),
        ("an old Mac", "m.csv", table(",", "\r", same).into()),
        (
            "empty lines below",
            "m.csv",
            format!("{}{}", table(",", "\r\n", same), ",,\r\n,,\r\n\r\n").into(),
        ),
        (
            "an empty line amid",
            "m.csv",
            plain.replacen("Anger\n", "Anger\n , ,\n", 1).into(),
        ),
        (
            "empty columns beside",
            "m.csv",
            plain
                .lines()
                .map(|line| format!("{line},,\n"))
                .collect::<String>()
                .into(),
        ),
        ("a comment", "m.csv", format!("# made by me, today\r\n{plain}").into()),
        (
            "names in other letter case, with blanks",
            "m.csv",
            headed(" Path ,SPEAKER,Emotion").into(),
        ),
        ("a commented header", "m.csv", headed("#path,speaker,emotion").into()),
        ("the index of pandas", "m.csv", indexed.into()),
        (
            "everything in quotes",
            "m.csv",
            plain
                .lines()
                .map(|line| format!("\"{}\"\n", line.replace(',', "\",\"")))
                .collect::<String>()
                .into(),
        ),
        (
            "backslashes",
            "m.csv",
            table(",", "\r\n", |name| name.replace('/', "\\")).into(),
        ),
        (
            "a dot in front",
            "m.csv",
            table(",", "\n", |name| format!(".\\{}", name.replace('/', "\\"))).into(),
        ),
        ("JSON lines of Windows", "m.jsonl", marked(&json_lines("\r\n")).into()),
        ("JSON lines of an old Mac", "m.jsonl", json_lines("\r").into()),
        (
            "JSON lines in UTF-16",
            "m.ndjson",
            utf16(&marked(&json_lines("\n")), u16::to_le_bytes),
        ),
    ];
    let mut all = Vec::new();
    for (case, file, bytes) in cases {
        let lay = |root: &Path| {
            ROWS.iter().for_each(|[name, ..]| tone(root, name));
            fs::write(root.join(file), bytes).unwrap();
        };
        let corpus = check(case, lay, manifest(file), &Items(4, &[])).unwrap();
        let told: Vec<String> = items(&corpus)
            .iter()
            .map(|item| format!("{} {} {:?}", item.key, item.speaker, item.label("emotion")))
            .collect();
        assert_eq!(
            corpus.label_sets["emotion"],
            ["neutral", "happy", "sad", "angry"],
            "{case}"
        );
        all.push((case, told));
    }
    for (case, told) in &all[1..] {
        assert_eq!(*told, all[0].1, "{case}");
    }
}

#[test]
fn names_that_differ_in_unicode_form_or_letter_case_are_found_with_a_remark() {
    let decomposed = "wav/Spk 08/Mu\u{308}ller.wav";
    let remark = &["names that differ from the table's in letter case or Unicode form"][..];
    for (case, on_disk, written) in [
        ("a disk of macOS", decomposed, "wav/Spk 08/Müller.wav"),
        ("a table of macOS", "wav/Spk 08/Müller.wav", decomposed),
        ("a table of Windows", "wav/Spk 08/Müller.wav", "WAV\\spk 08\\MÜLLER.WAV"),
    ] {
        let lay = |root: &Path| {
            tone(root, on_disk);
            fs::write(root.join("m.csv"), format!("path,speaker,emotion\n{written},1,sad\n")).unwrap();
        };
        let corpus = check(case, lay, manifest("m.csv"), &Items(1, remark)).unwrap();
        // The key is what the table says, as on the machine where names are alike.
        assert_eq!(
            items(&corpus)[0].key,
            format!("d/{}", written.replace('\\', "/")),
            "{case}"
        );
    }
}

#[test]
fn tables_that_cannot_be_read_are_refused_with_what_they_are_and_what_to_do() {
    let plain = table(",", "\r\n", str::to_owned);
    let latin: Vec<u8> = plain.replace('ü', "?").into_bytes();
    let latin: Vec<u8> = latin
        .iter()
        .map(|byte| if *byte == b'?' { 0xfc } else { *byte })
        .collect();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    let cases: [Case<'_, &str, Vec<u8>>; 14] = [
        (
            "Windows-1252",
            "m.csv",
            latin,
            &[("\"ROOT/m.csv\" is not UTF-8: line 4 has the byte 0xfc", "CSV UTF-8")],
        ),
        (
            "paths of Windows",
            "m.csv",
            table(",", "\r\n", |name| {
                format!("C:\\Users\\me\\corpus\\{}", name.replace('/', "\\"))
            })
            .into(),
            &[(
                "names files by Windows paths, which lead nowhere here, such as `C:\\Users\\me\\corpus\\wav\\Spk 03\\a.wav` in line 2 (and in 3 further lines: 3, 4, 5)",
                "take `C:\\Users\\me\\corpus\\` out of every line",
            )],
        ),
        (
            "paths of a server",
            "m.csv",
            b"path,speaker\n\\\\nas\\x\\gone.wav,1\n".to_vec(),
            &[("in line 2", "`root`")],
        ),
        (
            "a workbook",
            "m.csv",
            b"PK\x03\x04\x14\0\x06\0\x08\0".to_vec(),
            &[("is an Excel or LibreOffice workbook", "CSV UTF-8")],
        ),
        (
            "a workbook by its name",
            "m.xlsx",
            b"PK\x03\x04".to_vec(),
            &[("must end in .csv", "CSV UTF-8")],
        ),
        (
            "a pointer",
            "m.csv",
            pointer.into(),
            &[("is a Git LFS pointer", "git lfs pull")],
        ),
        (
            "a page",
            "m.csv",
            b"<html><body>Sign in</body></html>".to_vec(),
            &[("is a web page", "download")],
        ),
        (
            "UTF-32",
            "m.csv",
            vec![0xff, 0xfe, 0, 0, b'p', 0, 0, 0],
            &[("is UTF-32", "iconv")],
        ),
        (
            "noise",
            "m.csv",
            b"path,speaker\n\0\x01\x02\n".to_vec(),
            &[("line 2 has a NUL byte", "export")],
        ),
        (
            "a JSON list",
            "m.jsonl",
            b"[{\"path\": \"a.wav\"}]".to_vec(),
            &[("is one JSON list", "jq")],
        ),
        (
            "no header",
            "m.csv",
            b"wav/a.wav,03,anger\n".to_vec(),
            &[
                ("has no column `path`", "first line of a table has to name its columns"),
                ("has no column `speaker`", "first line"),
            ],
        ),
        (
            "a decimal comma",
            "m.csv",
            b"path;speaker;start\r\na.wav;1;0,5\r\na.wav;1;1,25\r\n".to_vec(),
            &[(
                "line 2: column `start` is `0,5`, which is no time in seconds (0 or more) (and in 1 further line: 3)",
                "decimal point",
            )],
        ),
        (
            "an open quotation mark",
            "m.csv",
            b"path,speaker\r\n\r\n\"a.wav,1\r\nb.wav,2\r\n".to_vec(),
            &[("quotation mark", "")],
        ),
        (
            "nothing but a header",
            "m.csv",
            "\u{feff}path;speaker\r\n;\r\n".into(),
            &[("lists no recording", "")],
        ),
    ];
    for (case, file, bytes, errors) in cases {
        let lay = |root: &Path| {
            ROWS.iter().for_each(|[name, ..]| tone(root, name));
            fs::write(root.join(file), bytes).unwrap();
        };
        check(case, lay, manifest(file), &Errors(errors));
    }
}

#[test]
fn the_same_fault_in_many_lines_is_one_error_with_the_lines() {
    let rows = |count: usize, row: &dyn Fn(usize) -> String| -> String { (0..count).map(row).collect() };
    let cases: [Case<'_, String, Value>; 5] = [
        (
            "an unknown label",
            rows(300, &|at| {
                format!("a.wav,{at},{}\n", if at % 100 == 7 { "hapy" } else { "zufrieden" })
            }),
            json!({}),
            &[
                (
                    "line 2: column `emotion` is `zufrieden`, which is no known label (and in 296 further lines: 3, 4, 5, 6, …)",
                    "map it with `mapping`",
                ),
                (
                    "line 9: column `emotion` is `hapy`, which is no known label (and in 2 further lines: 109, 209)",
                    "did you mean `happy`?",
                ),
            ],
        ),
        (
            "a misspelt key of mapping",
            "a.wav,1,zufrieden\nb.wav,2,anger\n".to_owned(),
            json!({ "mapping": { "zufriden": "happy" } }),
            &[
                (
                    "`mapping` has the label `zufriden`, which no item has; they have `zufrieden`, `anger`",
                    "did you mean `zufrieden`?",
                ),
                ("line 2: column `emotion` is `zufrieden`", "map it"),
            ],
        ),
        (
            "a key of mapping that would be passed over",
            "a.wav,1,boredom\nb.wav,2,anger\n".to_owned(),
            json!({ "mapping": { "boredm": "neutral" } }),
            &[("`mapping` has the label `boredm`", "did you mean `boredom`?")],
        ),
        (
            "files that are not there",
            rows(12, &|at| format!("gone{at}.wav,{at},sad\n")),
            json!({}),
            &[(
                "12 audio files cannot be used, all for one reason. The first: line 2 names ROOT/gone0.wav",
                "on_bad_audio: skip",
            )],
        ),
        (
            "an empty column",
            "a.wav,1,sad\nb.wav,2,anger\n".to_owned(),
            json!({ "values": { "valence": "v" } }),
            &[("column `v` of \"ROOT/m.csv\" is empty in every line", "`values`")],
        ),
    ];
    for (case, rows, more, errors) in cases {
        let lay = |root: &Path| {
            tone(root, "a.wav");
            tone(root, "b.wav");
            let rows: String = rows.lines().map(|line| format!("{line},\n")).collect();
            fs::write(root.join("m.csv"), format!("path,speaker,emotion,v\n{rows}")).unwrap();
        };
        let mut config = manifest("m.csv");
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        check(case, lay, config, &Errors(errors));
    }
}

/// A corpus in EmoDB's layout with so many good recordings.
fn emodb(root: &Path, good: usize) {
    let names = ["03a01Fa", "03a02Wb", "08a01Na", "08a02Fa", "09a01Ta", "09a02Wa"];
    for name in &names[..good] {
        tone(root, &format!("wav/{name}.wav"));
    }
}

fn pointers(root: &Path, count: usize) {
    for at in 0..count {
        let name = format!(
            "wav/1{}a0{}{}a.wav",
            at % 7,
            [1, 2, 4, 5, 7][at / 7 % 5],
            ['F', 'W', 'N'][at / 35 % 3]
        );
        fs::create_dir_all(root.join("wav")).unwrap();
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{at:064x}\nsize 72862\n");
        fs::write(root.join(name), text).unwrap();
    }
}

#[test]
fn pointers_of_git_lfs_are_one_error_for_the_corpus() {
    let at_root = |kind: &str| json!({ "kind": kind, "root": "ROOT" });
    let both =
        "run `git lfs pull` in the folder of the corpus, or fetch the corpus anew with `emorun data fetch emodb`";
    check(
        "pointers alone",
        |root| pointers(root, 70),
        at_root("emodb"),
        &Errors(&[(
            "dataset `d`: 70 of 70 audio files are Git LFS pointers, which stand for files that were not fetched, such as \"ROOT/wav/10a01Fa.wav\"",
            both,
        )]),
    );
    let mixed = |root: &Path| {
        emodb(root, 4);
        pointers(root, 2);
        // A name that is none of the corpus' and a file without samples are told of by themselves.
        tone(root, "wav/03x99Qa.wav");
        fs::write(root.join("wav/16a01Wb.wav"), "").unwrap();
    };
    check(
        "a mixed folder",
        mixed,
        at_root("emodb"),
        &Errors(&[
            ("2 of 7 audio files are Git LFS pointers", both),
            ("16a01Wb.wav: holds no samples", "skip"),
        ]),
    );
    let mut skip = at_root("emodb");
    skip["on_bad_audio"] = json!("skip");
    let corpus = check(
        "a mixed folder, skipped",
        mixed,
        skip,
        &Items(4, &["1 audio file does not follow"]),
    )
    .unwrap();
    let reasons: Vec<String> = corpus
        .skipped
        .iter()
        .map(|skipped| skipped.reason.to_string())
        .collect();
    assert_eq!(
        reasons.iter().filter(|reason| reason.contains("git lfs pull")).count(),
        2,
        "{reasons:?}"
    );
    let mut list = manifest("m.csv");
    list["on_bad_audio"] = json!("error");
    let listed = |root: &Path| {
        pointers(root, 3);
        fs::write(
            root.join("m.csv"),
            "path,speaker\nwav/10a01Fa.wav,1\nwav/11a01Fa.wav,2\n",
        )
        .unwrap();
    };
    check(
        "a manifest of pointers",
        listed,
        list,
        &Errors(&[("2 of 2 audio files are Git LFS pointers", "git lfs pull")]),
    );
    let labels = |root: &Path| {
        tone(root, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav");
        let folder = root.join("Session1/dialog/EmoEvaluation");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("Ses01F_impro01.txt"),
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        )
        .unwrap();
    };
    check(
        "labels",
        labels,
        at_root("iemocap"),
        &Errors(&[("Ses01F_impro01.txt\" is a Git LFS pointer", "git lfs pull")]),
    );
}

#[test]
fn the_same_fault_in_many_files_is_one_error_with_their_number() {
    let empty = |root: &Path| {
        emodb(root, 2);
        for text in ["a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03"] {
            fs::write(root.join(format!("wav/16{text}Wa.wav")), "").unwrap();
        }
        fs::write(root.join("wav/16b09Wa.wav"), "no audio, whatever its name says").unwrap();
    };
    let config = json!({ "kind": "emodb", "root": "ROOT" });
    let first = "8 audio files cannot be used, all for one reason. The first: ROOT/wav/16a01Wa.wav: holds no samples";
    check(
        "eight of one fault",
        empty,
        config,
        &Errors(&[(first, "skip"), ("16b09Wa.wav", "skip")]),
    );
}

#[cfg(unix)]
#[test]
fn links_pipes_and_folders_that_lead_nowhere_are_left_out_with_a_remark() {
    use std::os::unix::fs::symlink;
    let lay = |root: &Path| {
        let (corpus, elsewhere) = (root.join("c"), root.join("elsewhere"));
        emodb(&elsewhere, 4);
        fs::create_dir_all(corpus.join("wav")).unwrap();
        // As data managers lay corpora out.
        for entry in fs::read_dir(elsewhere.join("wav")).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), corpus.join("wav").join(entry.file_name())).unwrap();
        }
        fs::create_dir_all(corpus.join("other/lost+found")).unwrap();
        symlink("../../c", corpus.join("other/loop")).unwrap();
        symlink("/nonexistent", corpus.join("wav/x.link")).unwrap();
        symlink("/dev/zero", corpus.join("wav/16a01Fa.wav")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(corpus.join("wav/16a02Fa.wav"))
            .status();
        assert!(made.unwrap().success());
    };
    let remarks = &[
        "1 links lead nowhere and are left out, such as \"ROOT/c/wav/x.link\"",
        "1 links lead to a folder that they are in",
        "1 folders called `lost+found`",
        "2 pipes, sockets or devices are left out",
    ][..];
    let config = json!({ "kind": "emodb", "root": "ROOT/c" });
    check("links", lay, config.clone(), &Items(4, remarks));
    let dead = |root: &Path| {
        lay(root);
        symlink("/nonexistent", root.join("c/wav/16b10Wa.wav")).unwrap();
        symlink("16b10Wb.wav", root.join("c/wav/16b10Wb.wav")).unwrap();
    };
    let errors = [
        ("16b10Wa.wav: cannot be opened", "skip"),
        ("16b10Wb.wav: cannot be opened", "skip"),
    ];
    check("audio links that lead nowhere", dead, config.clone(), &Errors(&errors));
    let mut skip = config;
    skip["on_bad_audio"] = json!("skip");
    let corpus = check("audio links, skipped", dead, skip, &Items(4, remarks)).unwrap();
    assert_eq!(corpus.skipped.len(), 2);
    for (case, target, expected) in [
        ("a device", "/dev/zero", "is a device, not a file"),
        ("a folder", "/", "is a folder, not a file"),
        ("nothing", "/nonexistent", "No such file"),
    ] {
        let lay = |root: &Path| symlink(target, root.join("m.csv")).unwrap();
        check(case, lay, manifest("m.csv"), &Errors(&[(expected, "")]));
    }
}

#[test]
fn iemocap_is_read_as_it_is_published_without_its_other_gigabytes() {
    let dialogue = "Ses01F_impro01";
    let lay = |root: &Path| {
        let at = |path: &str| root.join("IEMOCAP_full_release/Session1").join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        for name in ["F000", "F001", "M000"] {
            tone(
                root,
                &format!("IEMOCAP_full_release/Session1/sentences/wav/{dialogue}/{dialogue}_{name}.wav"),
            );
        }
        let lines = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n\
            [6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n\n\
            [10.0100 - 11.3925]\tSes01F_impro01_F001\tang\t[2.5000, 2.5000, 2.5000]\n\n\
            [14.8872 - 18.0175]\tSes01F_impro01_M000\tsad\t[2.0000, 2.0000, 2.0000]\n";
        write(&format!("dialog/EmoEvaluation/{dialogue}.txt"), lines);
        write(&format!("dialog/EmoEvaluation/._{dialogue}.txt"), "\0\x05\x16\x07");
        // Other labels, in places where none are read: as of motion capture, and of the actors' own.
        let wrong = lines
            .replace("\tneu\t", "\thap\t")
            .replace("\tang\t", "\thap\t")
            .replace("\tsad\t", "\thap\t");
        write(
            "dialog/EmoEvaluation/Self-evaluation/Ses01F_impro01_f_cat.txt",
            "Ses01F_impro01_F000 :Happiness; ()\n",
        );
        for folder in ["MOCAP_hand", "MOCAP_head", "MOCAP_rotated", "lab/Ses01_F", "avi/DivX"] {
            write(&format!("dialog/{folder}/{dialogue}.txt"), &wrong);
        }
        for folder in ["MOCAP_hand", "MOCAP_head", "MOCAP_rotated", "ForcedAlignment"] {
            write(&format!("sentences/{folder}/{dialogue}/{dialogue}_F000.txt"), &wrong);
        }
        write(
            &format!("sentences/wav/{dialogue}/._{dialogue}_F000.wav"),
            "\0\x05\x16\x07",
        );
        write(
            &format!("dialog/transcriptions/{dialogue}.txt"),
            "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n",
        );
        tone(
            root,
            &format!("IEMOCAP_full_release/Session1/dialog/wav/{dialogue}.wav"),
        );
        // A copy of the motion capture elsewhere: far too large for labels, though the disk gives no room to it.
        write("mocap of mine/x.txt", "");
        fs::create_dir_all(at("copied")).unwrap();
        let file = fs::File::create(at("copied/Ses01F_impro02.txt")).unwrap();
        file.set_len(5 << 30).unwrap();
    };
    let config = json!({ "kind": "iemocap", "root": "ROOT" });
    let remarks = &["1 text files have more than 4194304 bytes, as no label file of the corpus has"];
    let corpus = check("IEMOCAP", lay, config, &Items(3, remarks)).unwrap();
    let told: Vec<String> = items(&corpus)
        .iter()
        .map(|item| {
            let class = item
                .label("emotion")
                .map(|class| corpus.label_sets["emotion"][class as usize].as_str());
            format!(
                "{} {} {:?}",
                class.unwrap(),
                item.speaker.rsplit('/').next().unwrap(),
                item.text.as_deref()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "neutral Ses01F Some(\"Excuse me.\")",
            "angry Ses01F None",
            "sad Ses01M None"
        ]
    );
}

#[test]
fn votes_attributes_renamed_values_and_words_for_sides_are_read() {
    let lay = |root: &Path| {
        for name in ["a", "b", "c", "d"] {
            tone(root, &format!("{name}.wav"));
        }
        let table = "File;Who;Emo;V;A;Mic;Part;n_ang;n_sad;all\n\
            a.wav;1;anger;1.5;2;near;TRN;3;1;\"{\"\"angry\"\": 3, \"\"sad\"\": 1}\"\n\
            b.wav;1;sad;;2;far;TRN;;2;sad:2\n\
            c.wav;unknown;anger;3;4;near;held out;1;1;angry; sad\n\
            d.wav;;;3;4;;dev;;;\n";
        fs::write(root.join("m.csv"), table.replace("angry; sad", "\"angry; sad\"")).unwrap();
    };
    let votes = [
        json!({ "columns": { "angry": "n_ang", "sad": "n_sad" } }),
        json!({ "column": "all" }),
    ];
    for votes in votes {
        let config = json!({
            "kind": "manifest", "path": "ROOT/m.csv", "votes": votes,
            "columns": { "path": "file", "speaker": "who", "emotion": "emo", "split": "part" },
            "values": { "valence": "v", "arousal": "a" }, "attributes": { "microphone": "mic" },
            "split_names": { "trn": "train", "Held out": "test" },
        });
        let corpus = check(
            "a rich table",
            lay,
            config,
            &Items(4, &["nobody knows who speaks in 2 items"]),
        )
        .unwrap();
        assert_eq!(corpus.label_sets["emotion"], ["sad", "angry"]);
        assert_eq!(corpus.attribute_sets["microphone"], ["far", "near"]);
        assert_eq!(corpus.values, ["valence", "arousal"]);
        let told: Vec<String> = items(&corpus)
            .iter()
            .map(|item| {
                let soft = item.soft_labels.get("emotion").cloned().unwrap_or_default();
                format!(
                    "{:?} {soft:?} {:?} {:?}",
                    item.split.map(|side| side.to_string()),
                    item.label("microphone"),
                    item.values
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "Some(\"train\") [0.25, 0.75] Some(1) {\"valence\": 1.5, \"arousal\": 2.0}",
                "Some(\"train\") [1.0, 0.0] Some(0) {\"arousal\": 2.0}",
                "Some(\"test\") [0.5, 0.5] Some(1) {\"valence\": 3.0, \"arousal\": 4.0}",
                "Some(\"validation\") [] None {\"valence\": 3.0, \"arousal\": 4.0}",
            ]
        );
    }
    // Without a column of the emotion most votes decide, and equal ones leave it open.
    let config = json!({
        "kind": "manifest", "path": "ROOT/m.csv", "votes": { "column": "all" },
        "columns": { "path": "File", "speaker": "Who" },
    });
    let corpus = check(
        "votes alone",
        lay,
        config,
        &Items(4, &["nobody knows who speaks in 2 items"]),
    )
    .unwrap();
    let classes: Vec<Option<u32>> = items(&corpus).iter().map(|item| item.label("emotion")).collect();
    assert_eq!(classes, [Some(1), Some(0), None, None]);
    let config = json!({
        "kind": "manifest", "path": "ROOT/m.csv", "votes": { "columns": { "angr": "n_ang" } },
        "columns": { "path": "File", "speaker": "Who", "split": "Part" },
    });
    let errors = [
        (
            "line 2: column `Part` is `TRN`, which is no known label (and in 1 further line: 3)",
            "`split_names`",
        ),
        ("line 4: column `Part` is `held out`", "`split_names`"),
    ];
    check("words that nobody explains", lay, config, &Errors(&errors));
}
