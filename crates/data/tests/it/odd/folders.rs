//! Folders with pointers, links and more than a corpus' own files.

use super::{Errors, Items, check, manifest, tone};
use crate::items;
use serde_json::json;
use std::fs;
use std::path::Path;

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
