//! What `check` says of the run that weights come from, before anything is trained.

use crate::support::{Lab, Outcome};

/// A head on means of what an encoder without weights gives.
const PLAIN: &str = "\
extends: crnn.yaml
encoders: { crnn: null }
blocks: { masked: null, norm: null, pooled: { kind: pool, input: mel, how: mean } }
heads:
  emotion: { kind: mlp_classifier, input: pooled, target: data.emotion, hidden: [4], dropout: 0.0 }
training: { epochs: 1, checkpoints: { every_steps: 100 } }
";

fn checked(lab: &Lab, file: &str, from: &str, sets: &[&str]) -> Outcome {
    let from = format!("init_from={{ run: runs/tiny/base{from} }}");
    let mut arguments = vec!["check", file, "--set", &from];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    lab.emorun(&arguments)
}

fn said(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn what_is_taken_and_what_is_left_as_drawn_is_said_before_a_run() {
    let lab = Lab::new();
    lab.write("plain.yaml", PLAIN);
    lab.run(&["plain.yaml", "--run-label", "base"]);
    let same = checked(&lab, "plain.yaml", "", &[]);
    said(&same, 0, &["runs/tiny/base for emotion; as drawn: nothing"]);
    assert!(!same.stderr.contains("warning"), "{}", same.stderr);
    // Another class set: the head cannot go on.
    let classes = "datasets.synthetic.emotions=[neutral, angry, sad]";
    let parts = ["there neutral, angry, here neutral, angry, sad"];
    let left = checked(&lab, "plain.yaml", "", &[classes]);
    said(&left, 4, &["no node has the name and the tensors of one in", parts[0]]);
    for deep in [false, true] {
        let mut arguments = vec![
            "check",
            "plain.yaml",
            "--set",
            "init_from={ run: runs/tiny/base, nodes: [emotion] }",
        ];
        arguments.extend(["--set", classes]);
        arguments.extend(deep.then_some("--deep"));
        said(
            &lab.emorun(&arguments),
            4,
            &["`emotion` tells other", parts[0], "it cannot be taken from"],
        );
    }
    // As many classes, but others, have the same shapes.
    let others = checked(
        &lab,
        "plain.yaml",
        ", nodes: [emotion]",
        &["datasets.synthetic.emotions=[neutral, sad]"],
    );
    said(&others, 4, &["there neutral, angry, here neutral, sad"]);
    let wider = checked(&lab, "plain.yaml", ", nodes: [emotion]", &["heads.emotion.hidden=[5]"]);
    said(
        &wider,
        4,
        &[
            "`emotion` differs",
            "[5, 2] here",
            "[4, 2] there",
            "cannot be taken from",
        ],
    );
    let unknown = checked(&lab, "plain.yaml", ", nodes: [judge]", &[]);
    said(
        &unknown,
        4,
        &["`judge`", "is no node of this experiment that has weights"],
    );
    // Where other nodes are taken, it is a warning.
    lab.run(&["crnn.yaml", "--run-label", "base2", "--set", "training.epochs=1"]);
    let warned = lab.emorun(&[
        "check",
        "crnn.yaml",
        "--set",
        "init_from={ run: runs/tiny/base2 }",
        "--set",
        classes,
    ]);
    said(
        &warned,
        0,
        &[
            "warning",
            "`emotion` is not taken from",
            parts[0],
            "for crnn, norm; as drawn: emotion (it tells",
        ],
    );
}

#[test]
fn what_stands_otherwise_in_front_of_what_is_taken_is_said_before_a_run() {
    let lab = Lab::new();
    lab.write("plain.yaml", PLAIN);
    lab.run(&["plain.yaml", "--run-label", "base"]);
    for (set, part) in [
        (
            "sample_rate_hz=16000",
            "was trained on audio at 8000 Hz, here it hears 16000 Hz",
        ),
        (
            "encoders.mel.hop_length=80",
            "was trained behind another `mel`: hop_length: there 160, here 80",
        ),
        (
            "blocks.pooled.how=max",
            "was trained behind another `pooled`: how: there mean, here max",
        ),
    ] {
        said(&checked(&lab, "plain.yaml", "", &[set]), 0, &["warning", part]);
    }
    // What only training sees, and what does not lead there, is no matter.
    for set in [
        "training.batch_size=3",
        "encoders.spare={ kind: log_mel, input: data.audio, n_mels: 8 }",
    ] {
        let outcome = checked(&lab, "plain.yaml", "", &[set]);
        assert!(!outcome.stderr.contains("was trained behind"), "{}", outcome.stderr);
    }
    // A head behind an encoder that is drawn anew.
    lab.run(&["crnn.yaml", "--run-label", "base3", "--set", "training.epochs=1"]);
    let from = "init_from={ run: runs/tiny/base3, nodes: [emotion] }";
    let outcome = lab.emorun(&["check", "crnn.yaml", "--set", from]);
    said(
        &outcome,
        0,
        &["was trained behind another `crnn` than this, which begins as drawn"],
    );
}

#[test]
fn a_run_of_several_is_told_to_name_a_member() {
    let lab = Lab::new();
    let folds = "split={ kind: folds, folds: { k: 2 }, validation: none }";
    let sets = [
        "--set",
        folds,
        "--set",
        "training.epochs=1",
        "--set",
        "evaluation.best=null",
    ];
    lab.run(&[&["crnn.yaml", "--run-label", "base"][..], &sets].concat());
    let outcome = checked(&lab, "crnn.yaml", "", &[]);
    said(
        &outcome,
        0,
        &[
            "has no checkpoint that can be read",
            "of one member of a run of several",
        ],
    );
    let outcome = checked(&lab, "crnn.yaml", "/fold-1", &[]);
    said(&outcome, 0, &["fold-1 for crnn, emotion, norm; as drawn: nothing"]);
}
