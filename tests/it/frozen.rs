//! What frozen encoders give is computed once, kept, and never wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use burn::tensor::Device;
use emorun::feed::Feed;
use emorun::feed::cached::{CachedNode, CachedValue, Keeping, array_of};
use emorun::feed::host::{HostParts, HostPipeline};
use emorun::feed::loader::Batch;
use emorun::host::HostValue;
use emorun::node::PREFIX;
use emorun::value::{PortId, Value as Flowing};
use emorun_data::{AudioSource, Item, Items};
use emorun_features::{Array, Precision};
use emorun_lang::Signal;
use serde_json::{Value, json as value};

use crate::networks::{data, network, turn, wired};
use crate::support::{Lab, finished, json, metrics};

/// A lab with experiments on a frozen encoder: augmented and not.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write(
        "frozen.yaml",
        "extends: hubert.yaml\nencoders: { hubert: { train: none } }\ntraining: { epochs: 4 }\n",
    );
    lab.write(
        "clean.yaml",
        "extends: frozen.yaml\naugmentations: { gain: null, noise: null }\nencoders: { hubert: { cache: { views: null } } }\n",
    );
    lab
}

/// Files of kept features.
fn entries(lab: &Lab) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![lab.path("cache/emorun/features")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "feat") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines of `metrics.jsonl` without what depends on the clock.
fn lines(run: &Path) -> Vec<Value> {
    metrics(run)
}

/// Losses of training and validation by step.
fn losses(run: &Path) -> Vec<f64> {
    lines(run).iter().filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
fn a_second_run_reads_what_the_first_kept_and_gives_the_same() {
    let lab = lab();
    for (experiment, versions) in [("clean.yaml", 1), ("frozen.yaml", 2)] {
        let before = entries(&lab).len();
        let label = |number: &str| format!("{}-{number}", experiment.trim_end_matches(".yaml"));
        let first = lab.run(&[experiment, "--run-label", &label("first")]);
        let kept = entries(&lab);
        let summary = json(first.join("summary.json"));
        let count = |side: &str| summary["splits"][side]["n"].as_u64().unwrap() as usize;
        let all = count("train") + count("validation") + count("test");
        // Every item plain, which the two experiments share, and training items in every version.
        let expected = if versions == 1 { all } else { versions * count("train") };
        assert_eq!(kept.len() - before, expected, "{experiment}");
        let times: Vec<_> = kept.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        let second = lab.run(&[experiment, "--run-label", &label("second")]);
        assert_eq!(lines(&first), lines(&second), "{experiment}");
        let after: Vec<_> = kept.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        assert_eq!((entries(&lab).len(), after), (kept.len(), times), "{experiment}");
    }
}

#[test]
fn a_kept_feature_is_the_computed_one() {
    let lab = lab();
    let kept = lab.run(&["clean.yaml", "--run-label", "kept"]);
    let off = "encoders.hubert.cache={enabled: false}";
    let computed = lab.run(&["clean.yaml", "--run-label", "computed", "--set", off]);
    assert_eq!(lines(&kept), lines(&computed));
}

#[test]
fn a_flipped_bit_in_the_cache_is_noticed_and_computed_anew() {
    let lab = lab();
    let first = lab.run(&["clean.yaml", "--run-label", "first"]);
    for (number, path) in entries(&lab).iter().enumerate() {
        let mut bytes = fs::read(path).unwrap();
        let at = (number * 977) % bytes.len();
        bytes[at] ^= 1 << (number % 8);
        fs::write(path, bytes).unwrap();
    }
    let outcome = lab.emorun(&["clean.yaml", "--run-label", "second"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("WARN") || outcome.stderr.contains("warning"),
        "{}",
        outcome.stderr
    );
    assert_eq!(lines(&first), lines(&lab.path(outcome.last_line())));
}

#[test]
fn two_runs_fill_the_cache_at_once() {
    let lab = lab();
    let alone = lab.run(&["frozen.yaml", "--run-label", "alone"]);
    fs::remove_dir_all(lab.path("cache/emorun/features")).unwrap();
    let children = ["a", "b"].map(|label| {
        lab.command(&["frozen.yaml", "--run-label", label])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for child in children {
        let outcome = finished(&child.wait_with_output().unwrap());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(lines(&alone), lines(&lab.path(outcome.last_line())));
    }
}

#[test]
fn a_cache_that_cannot_be_written_does_not_stop_a_run() {
    let lab = lab();
    let first = lab.run(&["clean.yaml", "--run-label", "first"]);
    fs::remove_dir_all(lab.path("cache/emorun/features")).unwrap();
    // A file where the folder should be.
    lab.write("cache/emorun/features", "");
    let outcome = lab.emorun(&["clean.yaml", "--run-label", "second"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("computed anew"), "{}", outcome.stderr);
    assert_eq!(lines(&first), lines(&lab.path(outcome.last_line())));
}

#[test]
fn a_disk_that_fills_up_in_the_cache_does_not_stop_a_run() {
    let lab = lab();
    let first = lab.run(&["clean.yaml", "--run-label", "first"]);
    fs::remove_dir_all(lab.path("cache/emorun/features")).unwrap();
    let script = format!(
        "set -e
        mkdir -p cache/emorun/features
        mount -t tmpfs -o size=32k tmpfs cache/emorun/features || exit 77
        exec '{}' clean.yaml --run-label second",
        env!("CARGO_BIN_EXE_emorun")
    );
    // Of its own, so that the disk goes when the script ends.
    let outcome = match lab.program("unshare").args(["--mount", "sh", "-c", &script]).output() {
        Ok(output) => finished(&output),
        Err(error) => {
            println!("skipped: cannot start unshare: {error}");
            return;
        }
    };
    if outcome.code == 77 || outcome.stderr.contains("unshare failed") {
        println!("skipped: cannot mount a small disk: {}", outcome.stderr);
        return;
    }
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("No space left"), "{}", outcome.stderr);
    assert_eq!(lines(&first), lines(&lab.path(outcome.last_line())));
}

#[test]
fn features_in_another_precision_are_others() {
    let lab = lab();
    let exact = lab.run(&["clean.yaml", "--run-label", "exact"]);
    let kept = entries(&lab).len();
    let outcome = lab.emorun(&["clean.yaml", "--run-label", "rounded", "--set", "precision=bf16"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("slower than f32 on the CPU"),
        "{}",
        outcome.stderr
    );
    assert_eq!(entries(&lab).len(), 2 * kept);
    let rounded = losses(&lab.path(outcome.last_line()));
    assert!(losses(&exact).iter().zip(&rounded).any(|(a, b)| a != b));
    assert!(losses(&exact).iter().zip(&rounded).all(|(a, b)| (a - b).abs() < 0.1));
}

#[test]
fn the_plan_says_what_is_kept_and_why_not() {
    let lab = lab();
    for (arguments, line) in [
        (
            vec!["check", "clean.yaml"],
            "cache: what is frozen of `hubert` is computed once and kept",
        ),
        (
            vec!["check", "frozen.yaml"],
            "cache: what is frozen of `hubert` is kept for 2 versions of each training item, taken in turn",
        ),
        (
            vec!["check", "frozen.yaml", "--set", "encoders.hubert.cache.enabled=false"],
            "cache: what is frozen of `hubert` is computed for each item in every epoch, in 2 versions of each training item taken in turn and not kept: `cache.enabled` is false",
        ),
        (
            vec!["check", "frozen.yaml", "--set", "encoders.hubert.cache={}"],
            "cache: `hubert` is computed in every step: augmentation is drawn anew each epoch; `cache: { views: K }` takes K versions in turn",
        ),
        (
            vec![
                "check",
                "clean.yaml",
                "--set",
                "encoders.hubert.train=all",
                "--set",
                "encoders.hubert.train_front_end=true",
            ],
            "cache: `hubert` is computed in every step: everything of it trains",
        ),
    ] {
        let outcome = lab.emorun(&arguments);
        assert!(
            outcome.stdout.lines().any(|found| found == line),
            "{}{}",
            outcome.stdout,
            outcome.stderr
        );
    }
}

/// An item that is nothing but a name.
fn item(key: &str) -> Item {
    Item {
        key: key.into(),
        dataset: "d".into(),
        audio: AudioSource::File {
            path: key.into(),
            segment: None,
        },
        speaker: Default::default(),
        groups: Default::default(),
        labels: Default::default(),
        attributes: Default::default(),
        soft_labels: Default::default(),
        values: Default::default(),
        text: None,
        split: None,
        duration_s: 1.0,
        content: None,
        stamp: None,
    }
}

/// What a frozen encoder gives for items in a batch, some of which are known.
#[test]
fn a_batch_of_known_and_unknown_items_has_them_all_as_each_alone() {
    let _turn = turn();
    let fields = value!({ "weights": "random", "layout": "tiny_base", "train": "none" });
    let inputs = [("input", data("audio"), Signal::Wave { rate_hz: 16_000 })];
    let network = network(vec![wired("node", "hubert", &fields, &inputs)], 5).without_autodiff();
    let parts = HostParts {
        cached: vec![CachedNode {
            name: "node".into(),
            input: data("audio"),
            keeping: Keeping {
                kind: "hubert".into(),
                upstream: [0; 32],
                precision: Precision::F32,
                stored: true,
            },
        }],
        ..HostParts::default()
    };
    let feed = Feed {
        items: Items::default(),
        pipeline: Arc::new(HostPipeline::new(16_000, parts, 0)),
        labels: [].into(),
        workers: 1,
        ahead: 1,
    };
    let device = Device::flex();
    let given = |cached: Vec<CachedValue>| -> Flowing {
        let rows: Vec<Item> = (0..cached.len()).map(|at| item(&format!("d/{at}"))).collect();
        let batch = Batch {
            items: (0..rows.len()).collect(),
            rows,
            values: Vec::new(),
            cached: vec![cached],
        };
        let mut values = feed.values(batch, &network, &device).unwrap();
        values.remove(&PortId::new("node", PREFIX)).unwrap()
    };
    let wave = |length: usize| HostValue::Wave((0..length).map(|at| (at as f32 * 0.03).sin()).collect());
    let unknown = |length| CachedValue::Unknown {
        input: wave(length),
        key: None,
    };
    let alone = |length| -> Array { array_of(given(vec![unknown(length)])).unwrap() };
    let known = CachedValue::Known(Arc::new(alone(4000)));
    let together = given(vec![
        unknown(9000),
        known,
        unknown(3000),
        CachedValue::Passing(wave(5000)),
    ]);
    let Flowing::Stack(stack, lengths) = together else {
        panic!("no stack");
    };
    let [_, batch, _, _] = stack.dims();
    assert_eq!(batch, 4);
    for (at, length) in [9000, 4000, 3000, 5000].into_iter().enumerate() {
        let expected = alone(length);
        let valid = lengths.as_slice()[at];
        assert_eq!(valid, expected.shape()[1]);
        let own = stack.clone().narrow(1, at, 1).narrow(2, 0, valid).into_data();
        assert_eq!(own.iter::<f32>().collect::<Vec<_>>(), expected.values(), "item {at}");
    }
}
