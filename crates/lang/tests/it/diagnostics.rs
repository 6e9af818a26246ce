//! Every diagnostic as users see it.

use std::collections::BTreeSet;

use emorun_lang::Code;

use crate::toy::{GOOD, rejected};

struct Case {
    name: &'static str,
    /// The codes that must be reported, in order.
    codes: &'static [Code],
    files: Vec<(&'static str, String)>,
    sets: &'static [&'static str],
}

/// A case of the good experiment with one text replaced.
fn edit(name: &'static str, codes: &'static [Code], from: &str, to: &str) -> Case {
    assert!(GOOD.contains(from), "{from}");
    files(name, codes, &[("main.yaml", &GOOD.replace(from, to))])
}

/// Augmentations in one another.
fn held_in_one_another(levels: usize) -> String {
    let holders = (1..=levels).map(|level| format!("  a{level}: {{ kind: one_of, of: [a{}] }}\n", level - 1));
    format!("a0: {{ kind: gain, db: [0, 6] }}\n{}", holders.collect::<String>())
}

fn files(name: &'static str, codes: &'static [Code], files: &[(&'static str, &str)]) -> Case {
    Case {
        name,
        codes,
        files: files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
        sets: &[],
    }
}

fn set(name: &'static str, codes: &'static [Code], sets: &'static [&'static str]) -> Case {
    Case {
        sets,
        ..files(name, codes, &[("main.yaml", GOOD)])
    }
}

/// A table: every mistake with the file that makes it, a few lines each.
fn cases() -> Vec<Case> {
    use Code::*;
    let deep = format!("name: {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = (1..60).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let below = level - 1;
        format!("{text}a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n")
    });
    let louder = "louder: { kind: gain, db: [-6, 6] }";
    let mel = "mel: { kind: log_mel }";
    let emotion = "    input: masked\n";
    vec![
        edit("syntax", &[Syntax], "db: [-6, 6] }", "db: [-6, 6"),
        edit("syntax_alias", &[Syntax], mel, "mel: *nothing"),
        files("too_large_nesting", &[TooLarge], &[("main.yaml", &deep)]),
        files("too_large_aliases", &[TooLarge], &[("main.yaml", &bomb)]),
        files("too_large_text", &[TooLarge], &[("main.yaml", &"#".repeat(1_100_000))]),
        edit("unsupported_tag", &[UnsupportedYaml], "name: good", "name: !!str good"),
        edit(
            "unsupported_documents",
            &[UnsupportedYaml],
            "training:",
            "---\ntraining:",
        ),
        edit("unsupported_key", &[UnsupportedYaml], "name: good", "? [a, b]\n: good"),
        edit(
            "duplicate_key",
            &[DuplicateKey],
            emotion,
            "    input: masked\n    input: mel\n",
        ),
        files("unreadable_file", &[UnreadableFile], &[]),
        edit(
            "unreadable_base",
            &[UnreadableFile],
            "name: good",
            "name: good\nextends: [base.yaml]",
        ),
        files(
            "extends_cycle",
            &[ExtendsCycle],
            &[
                ("main.yaml", "extends: sub/b.yaml\n"),
                ("sub/b.yaml", "extends: ./c.yaml\n"),
                ("sub/c.yaml", "extends: ../sub/./b.yaml\n"),
            ],
        ),
        set("invalid_set_form", &[InvalidSet], &["training.epochs"]),
        set("invalid_set_index", &[InvalidSet], &["augmentations.louder.db.2=4"]),
        set("invalid_set_path", &[InvalidSet], &["training..epochs=4"]),
        set("unknown_key_set", &[UnknownKey], &["training.epoch=4"]),
        set("missing_key_set", &[MissingKey], &["heads.emotoin.hidden=4"]),
        edit(
            "unknown_key",
            &[UnknownKey],
            emotion,
            "    input: masked\n    hiden: 4\n",
        ),
        edit(
            "unknown_key_top",
            &[UnknownKey],
            "encoders:\n",
            "encoder: {}\nencoders:\n",
        ),
        edit("missing_key", &[MissingKey], "  epochs: 5\n", ""),
        edit("missing_key_top", &[MissingKey], "name: good\n", ""),
        edit("missing_kind", &[MissingKey], mel, "mel: { bands: 40 }"),
        edit("missing_kind_setting", &[MissingKey], "kind: adam, ", ""),
        edit("wrong_type", &[WrongType], "epochs: 5", "epochs: many"),
        edit("wrong_type_float", &[WrongType], "epochs: 5", "epochs: 1.0e+1"),
        edit("wrong_type_node", &[WrongType], mel, "mel: log_mel"),
        edit(
            "wrong_type_section",
            &[WrongType],
            "augmentations:\n  louder: { kind: gain, db: [-6, 6] }",
            "augmentations: [louder]",
        ),
        edit("wrong_type_option", &[WrongType], "epochs: 5", "epochs: 5\n  seeds: 3"),
        edit(
            "wrong_type_variant",
            &[WrongType],
            mel,
            "mel: { kind: hubert, input: data.audio, train: last }",
        ),
        edit(
            "wrong_type_inputs",
            &[WrongType],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: fuse, inputs: mel, width: 4 }",
        ),
        files("wrong_type_file", &[WrongType], &[("main.yaml", "- a\n- b\n")]),
        edit(
            "unknown_value",
            &[UnknownValue],
            mel,
            "mel: { kind: hubert, input: data.audio, train: al }",
        ),
        edit(
            "unknown_value_tag",
            &[UnknownValue],
            mel,
            "mel: { kind: hubert, input: data.audio, train: { lats: 2 } }",
        ),
        edit("out_of_range", &[OutOfRange], "test: 0.2", "test: 1.5"),
        edit("out_of_range_exclusive", &[OutOfRange], "lr: 1.0e-4", "lr: 0"),
        edit(
            "wrong_type_large",
            &[WrongType],
            "epochs: 5",
            "epochs: 99999999999999999999",
        ),
        edit("wrong_length", &[WrongLength], "db: [-6, 6]", "db: [-6, 6, 7]"),
        edit("invalid_value", &[InvalidValue], "db: [-6, 6]", "db: [6, -6]"),
        edit(
            "invalid_value_inferred",
            &[InvalidValue],
            emotion,
            "    input: masked\n    hidden: 4096\n",
        ),
        edit("unknown_kind", &[UnknownKind], "log_mel", "logmel"),
        edit(
            "unknown_kind_elsewhere",
            &[UnknownKind],
            "kind: classifier",
            "kind: log_mal",
        ),
        edit("unknown_kind_setting", &[UnknownKind], "kind: adam", "kind: adm"),
        edit(
            "misplaced_kind",
            &[MisplacedKind],
            "kind: classifier",
            "kind: spec_augment",
        ),
        edit(
            "invalid_name",
            &[InvalidName, InvalidName],
            "  ce:",
            "  data: { kind: cross_entropy, input: emotion }\n  9 lives:",
        ),
        edit("duplicate_name", &[DuplicateName], "  ce:", "  emotion:"),
        edit("unknown_node", &[UnknownNode], emotion, "    input: maskd\n"),
        edit(
            "unknown_node_dataset",
            &[UnknownNode],
            "kind: spec_augment, input: mel }",
            "kind: fuse, inputs: [mel, toy], width: 4 }",
        ),
        set("unknown_node_removed", &[UnknownNode], &["heads.emotoin=null"]),
        edit(
            "held_elsewhere",
            &[UnknownNode, UnknownNode],
            louder,
            "louder: { kind: one_of, of: [quieter, mel] }",
        ),
        edit(
            "held_twice",
            &[InvalidValue],
            louder,
            "louder: { kind: gain, db: [0, 6] }\n  one: { kind: one_of, of: [louder] }\n  two: { kind: one_of, of: [louder] }",
        ),
        edit(
            "held_in_a_circle",
            &[Cycle],
            louder,
            "louder: { kind: one_of, of: [other] }\n  other: { kind: one_of, of: [louder] }",
        ),
        edit("held_deep", &[InvalidValue], louder, &held_in_one_another(10)),
        edit("unknown_port", &[UnknownPort], "data.emotion", "data.emotions"),
        edit("unknown_port_node", &[UnknownPort], emotion, "    input: masked.left\n"),
        edit(
            "unknown_port_default",
            &[UnknownPort],
            mel,
            "mel: { kind: log_mel, input: data }",
        ),
        edit(
            "self_reference",
            &[SelfReference],
            "kind: spec_augment, input: mel }",
            "kind: fuse, inputs: [mel, masked], width: 4 }",
        ),
        edit(
            "cycle",
            &[Cycle],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: spec_augment, input: b }\n  b: { kind: spec_augment, input: c }\n  c: { kind: fuse, inputs: [mel, masked], width: 4 }",
        ),
        edit(
            "unused_node",
            &[UnusedNode],
            mel,
            "mel: { kind: log_mel }\n  wide: { kind: log_mel, bands: 128 }",
        ),
        edit("mismatch", &[Mismatch], "input: emotion }", "input: mel }"),
        edit(
            "mismatch_data",
            &[Mismatch],
            mel,
            "mel: { kind: log_mel, input: data.text }",
        ),
        edit(
            "mismatch_rate",
            &[Mismatch],
            "mel: { kind: log_mel }\nblocks:\n  masked: { kind: spec_augment, input: mel }",
            "mel: { kind: log_mel }\n  fast: { kind: log_mel, hop: 80 }\nblocks:\n  masked: { kind: fuse, inputs: { a: mel, b: fast }, width: 4 }",
        ),
        edit(
            "wrong_length_inputs",
            &[UnusedNode, WrongLength],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: fuse, inputs: {}, width: 4 }",
        ),
        edit(
            "missing_input",
            &[UnusedNode, MissingInput],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: host_statistics }",
        ),
        edit(
            "device_to_host",
            &[DeviceToHost],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: host_statistics, input: mel }",
        ),
        edit(
            "label_in_predict",
            &[UnusedNode, LabelInPredict],
            "masked: { kind: spec_augment, input: mel }",
            "masked: { kind: label_embedding, input: data.emotion, width: 8 }",
        ),
        edit(
            "mismatch_run",
            &[Mismatch],
            mel,
            "mel: { kind: log_mel, input: run.progress }",
        ),
        edit(
            "policy",
            &[UnknownPort, UnknownNode, UnknownNode],
            "losses:\n",
            "policies:\n  test: { kind: steer, reward: run.test.emotion.uar, acts_on: [loudr] }\n  text: { kind: steer, reward: data.text, acts_on: [masked] }\nlosses:\n",
        ),
    ]
}

#[test]
fn every_mistake_is_shown_with_its_place_and_a_remedy() {
    let mut covered = BTreeSet::new();
    for case in cases() {
        let files: Vec<(&str, &str)> = case.files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let (diagnostics, rendered) = rejected(&files, case.sets);
        let codes: Vec<Code> = diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(codes, case.codes, "{}\n{rendered}", case.name);
        covered.extend(codes);
        insta::assert_snapshot!(case.name, rendered);
    }
    // Reported by what reads corpora and weights, not here.
    covered.extend([Code::MissingData, Code::InvalidData]);
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !covered.contains(code)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
