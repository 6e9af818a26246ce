//! Manifests as spreadsheets and other systems write them.

use super::{Errors, Items, check, manifest, tone};
use crate::items;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

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

/// Name, two things to read, and pairs of what is said of them.
type Case<'a, A, B> = (&'a str, A, B, &'a [(&'a str, &'a str)]);

/// A table of files and what is read from each.
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

/// A table of files and what is said of each.
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
