//! What a loss is of a whole side of the split, of a step's micro-batches, and by its name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use emorun_engine::train::losses::{LossTable, Sides};
use emorun_lang::Signal;
use emorun_nn::value::{Targets, Value, Values};
use emorun_nodes::network::{Network, Pass};
use serde_json::Value as Json;

use crate::networks::{data, device, labels, labels_signal, network, step, turn, wired};
use crate::support::{self, Lab, REPOSITORY, metrics};

fn golden(group: &str) -> Vec<Json> {
    let all = support::json(Path::new(REPOSITORY).join("tests/golden/objectives.json"));
    all[group].as_array().unwrap().clone()
}

fn floats(value: &Json) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap() as f32).collect()
}

/// The loss of a side that is evaluated in batches of a size.
fn over_side(network: &Network, items: usize, size: usize, batch: impl Fn(usize, usize) -> Values) -> f64 {
    let frozen = network.without_autodiff();
    let mut sides = Sides::of(&frozen);
    for start in (0..items).step_by(size) {
        let end = (start + size).min(items);
        let mut values = batch(start, end);
        let step = step(false, end - start);
        frozen.forward(Pass::Evaluate, &mut values, &step).unwrap();
        assert!(frozen.losses(&values, 1.0).is_empty(), "a batch alone has no loss");
        sides.add(&frozen, &values);
    }
    let mut table = LossTable::default();
    sides.enter(&frozen, &mut table).unwrap();
    assert_eq!(table.by_node(&frozen)["loss"].of, "data");
    table.by_node(&frozen)["loss"].value.unwrap()
}

#[test]
fn losses_that_compare_items_are_those_of_the_whole_side_for_any_batch() {
    let _turn = turn();
    let rows = |x: &[f32], width: usize, start: usize, end: usize| {
        let values = TensorData::new(x[start * width..end * width].to_vec(), [end - start, width]);
        Value::Vector(Tensor::from_data(values, &device().inner()))
    };
    let mut seen = BTreeMap::new();
    for case in golden("labels").into_iter().chain(golden("numbers")) {
        let kind = case["kind"].as_str().unwrap();
        if !["ccc", "triplet", "supervised_contrastive"].contains(&kind) {
            continue;
        }
        *seen.entry(kind.to_owned()).or_insert(0) += 1;
        let x = floats(&case["x"]["values"]);
        let width = case["x"]["shape"][1].as_u64().unwrap() as usize;
        let items = x.len() / width;
        let (target, column): (Signal, Box<dyn Fn(usize, usize) -> Value>) = if kind == "ccc" {
            let names = (0..width).map(|at| format!("number{at}")).collect();
            let truth = case["targets"].as_array().unwrap().clone();
            let column = move |start: usize, end: usize| {
                let rows = truth[start..end].iter();
                let rows = rows.flat_map(|row| (0..width).map(move |at| row.get(at).and_then(Json::as_f64)));
                Value::Targets(Targets::new(
                    rows.map(|value| value.map(|value| value as f32)).collect(),
                    width,
                ))
            };
            (Signal::Values { names }, Box::new(column))
        } else {
            let truth = case["labels"].as_array().unwrap().iter();
            let truth: Vec<Option<u32>> = truth.map(|label| label.as_u64().map(|label| label as u32)).collect();
            (labels_signal(4), Box::new(move |start, end| labels(&truth[start..end])))
        };
        let inputs = [
            ("input", data("vector"), Signal::Vector { width }),
            ("target", data("truth"), target),
        ];
        let network = network(vec![wired("loss", kind, &case["fields"], &inputs)], 1);
        // The values of pytorch-metric-learning, and of the papers' equations in double precision.
        let expected = case["loss"].as_f64().unwrap();
        for size in [1, 2, 4, 16, items] {
            let found = over_side(&network, items, size, |start, end| {
                Values::from([
                    (data("vector"), rows(&x, width, start, end)),
                    (data("truth"), column(start, end)),
                ])
            });
            let of = format!("{kind} {} in batches of {size}", case["fields"]);
            assert!((found - expected).abs() < 1e-7, "{of}: {found}, not {expected}");
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

/// Two heads and losses of every scope, without what depends on the batch while training.
const SEVERAL: &str = "\
extends: crnn.yaml
name: several
encoders: { crnn: null }
blocks:
  masked: null
  pooled: { kind: pool, input: norm, how: statistics }
  shared: { kind: linear, input: pooled, width: 12, activation: tanh }
heads:
  emotion: { kind: mlp_classifier, input: shared, target: data.emotion, hidden: [6], dropout: 0.0 }
  gender: { kind: mlp_classifier, input: shared, target: data.gender, hidden: [6], dropout: 0.0 }
losses:
  ce: { kind: cross_entropy, input: emotion, class_weights: { values: [1.0, 5.0] } }
  gender_ce: { kind: focal, input: gender, weight: 0.25, class_weights: { values: [3.0, 1.0] } }
  apart: { kind: triplet, input: shared, target: data.emotion, weight: 0.5 }
  alike: { kind: supervised_contrastive, input: shared, target: data.emotion, weight: 0.1 }
training:
  batch_size: 6
  optimizer: { kind: sgd, lr: 0.05 }
  scheduler: { kind: constant }
  clip_norm: null
";

fn of_split(run: &Path, split: &str) -> Vec<Json> {
    let lines = metrics(run).into_iter();
    lines.filter(|line| line["split"] == split).collect()
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_loss_of_a_side_does_not_depend_on_evaluations_batches() {
    let lab = Lab::new();
    lab.write("several.yaml", SEVERAL);
    let runs: Vec<_> = [1, 2, 4, 16, 1000]
        .map(|size| {
            let size = format!("evaluation.batch_size={size}");
            lab.run(&["several.yaml", "--set", &size, "--set", "training.epochs=2"])
        })
        .into();
    for split in ["validation", "final_train", "final_validation", "final_test"] {
        let expected = of_split(&runs[0], split);
        for run in &runs {
            for (found, expected) in of_split(run, split).iter().zip(&expected) {
                for loss in ["loss", "loss.ce", "loss.gender_ce", "loss.apart", "loss.alike"] {
                    let (found, expected) = (number(&found[loss]), number(&expected[loss]));
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{split} {loss}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_loss_has_its_name_and_a_head_its_own() {
    let lab = Lab::new();
    lab.write("several.yaml", SEVERAL);
    let watched = ["--set", "evaluation.best=loss.gender_ce"];
    let outcome = lab.emorun(&[&["several.yaml"], &watched[..]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let run = lab.path(outcome.last_line());
    let weights = [("ce", 1.0), ("gender_ce", 0.25), ("apart", 0.5), ("alike", 0.1)];
    let lines = ["train", "train_epoch", "validation", "final_test"].map(|split| of_split(&run, split));
    for line in lines.iter().flatten() {
        let sum: f64 = weights
            .iter()
            .map(|(loss, weight)| weight * number(&line[format!("loss.{loss}")]))
            .sum();
        assert!((sum - number(&line["loss"])).abs() < 1e-5, "{line}");
    }
    let summary = support::json(run.join("summary.json"));
    let last = &lines[3][0];
    for (loss, _) in weights {
        assert_eq!(summary["splits"]["test"]["losses"][loss], last[format!("loss.{loss}")]);
    }
    let best = lines[2]
        .iter()
        .map(|line| number(&line["loss.gender_ce"]))
        .fold(f64::INFINITY, f64::min);
    assert_eq!(number(&summary["best"]["value"]), best, "the lower, the better");
    assert!(outcome.stderr.contains("gender_ce"), "{}", outcome.stderr);
    let report = fs::read_to_string(run.join("report/report.txt")).unwrap();
    let table = |title: &str| {
        let lines: Vec<&str> = report.lines().skip_while(|line| *line != title).skip(1).collect();
        let cells = |line: &&str| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let rows: Vec<Vec<String>> = lines.iter().take_while(|line| !line.is_empty()).map(cells).collect();
        rows
    };
    let of_head = table("gender");
    assert_eq!(of_head[0][..3], ["split", "items", "gender_ce"], "{report}");
    assert_eq!(
        of_head[3][2],
        format!("{:.4}", number(&last["loss.gender_ce"])),
        "{report}"
    );
    let all = table("losses");
    assert_eq!(
        all[0],
        ["split", "alike", "apart", "ce", "gender_ce", "weighted sum"],
        "{report}"
    );
    assert_eq!(all[3][5], format!("{:.4}", number(&last["loss"])), "{report}");
}

#[test]
fn micro_batches_make_the_step_of_one_batch_whatever_class_weights_say() {
    let lab = Lab::new();
    // Of losses that do not compare items, and without batch normalisation.
    lab.write(
        "weighted.yaml",
        "extends: several.yaml\nlosses: { apart: null, alike: null }\n",
    );
    lab.write("several.yaml", SEVERAL);
    let run = |size: usize, accumulate: usize, devices: usize| {
        let sets = [
            format!("training.batch_size={size}"),
            format!("training.accumulate={accumulate}"),
            format!("training.devices={devices}"),
        ];
        let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
        lab.run(&["weighted.yaml"].into_iter().chain(sets).collect::<Vec<_>>())
    };
    let whole = run(6, 1, 1);
    for parts in [run(2, 3, 1), run(3, 2, 1), run(1, 6, 1), run(6, 1, 2), run(3, 2, 2)] {
        for split in ["train", "train_epoch", "validation"] {
            let (found, expected) = (of_split(&parts, split), of_split(&whole, split));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                for (key, expected) in expected.as_object().unwrap() {
                    if let Some(expected) = expected.as_f64() {
                        let found = number(&found[key]);
                        assert!(
                            (found - expected).abs() < 1e-4 * expected.abs().max(1e-3),
                            "{split} {key}: {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn metrics_follow_from_the_predictions_in_the_file() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml"]);
    let summary = support::json(run.join("summary.json"));
    let mut reader = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|known| known == name).unwrap();
    let mut losses: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        let p = |class: &str| row[column(&format!("p_{class}"))].parse::<f64>().unwrap();
        let sum = p("neutral") + p("angry");
        assert!((sum - 1.0).abs() < 1e-6, "{row:?}");
        let highest = p("angry").max(p("neutral"));
        assert_eq!(p(&row[column("predicted")]), highest, "{row:?}");
        let split = row[column("split")].to_owned();
        losses.entry(split).or_default().push(-p(&row[column("true")]).ln());
    }
    for (split, losses) in losses {
        let expected = losses.iter().sum::<f64>() / losses.len() as f64;
        let found = number(&summary["splits"][&split]["heads"]["emotion"]["log_loss"]);
        assert!((found - expected).abs() < 1e-7, "{split}: {found}, not {expected}");
        assert!(summary["splits"][&split]["heads"]["emotion"]["weighted_f1"].is_number());
    }
}

#[test]
fn what_nothing_trains_is_a_mistake() {
    let lab = Lab::new();
    lab.write("several.yaml", SEVERAL);
    for (sets, messages) in [
        (
            &["losses.gender_ce=null"][..],
            &[
                "nothing trains the head `gender`: no loss follows from its output",
                "training: { untrained: [gender] }",
            ][..],
        ),
        (
            &["losses.gender_ce.weight=0"],
            &["nothing trains the head `gender`: the weight of its loss `gender_ce` is 0"],
        ),
        (
            &[
                "losses={ ce: { weight: 0.0 }, gender_ce: null, apart: null, alike: null }",
                "training.untrained=[gender]",
            ],
            &["nothing is trained: the weight of `ce`, the only loss, is 0"],
        ),
        (
            &["training.untrained=[emotion]"],
            &["`emotion` is trained, by the loss `ce`"],
        ),
        (
            &["losses.gender_ce=null", "training.untrained=[gendr]"],
            &["`gendr` is no head of this experiment", "gender"],
        ),
        (
            &["losses.ce.ramp={ begin: 0.5, end: 0.2 }"],
            &["the ramp ends at 0.2 and begins at 0.5"],
        ),
        (
            &["training.optimizer={ kind: adam, lr: 0 }"],
            &["`training.optimizer.lr` must be more than 0"],
        ),
        (
            &["training.optimizer={ kind: adamw, lr: 0.001, betas: [0.9, 1.0] }"],
            &["`training.optimizer.betas.1` must be less than 1"],
        ),
        (
            &["training.optimizer={ kind: adam, lr: 0.001, betas: [-0.1, 0.9] }"],
            &["`training.optimizer.betas.0` must be at least 0"],
        ),
        (
            &["training.optimizer={ kind: muon, lr: 0.001, betas: [0.9] }"],
            &["`training.optimizer.betas` must have 2 items"],
        ),
        (
            &["training.optimizer={ kind: sgd, lr: .nan }"],
            &["`training.optimizer.lr` must be a finite number"],
        ),
        (
            &["training.optimizer={ kind: sgd, lr: -0.1 }"],
            &["`training.optimizer.lr` must be more than 0"],
        ),
        (
            &["training.optimizer={ kind: sgd, lr: 0.1, momentum: 1.0 }"],
            &["`training.optimizer.momentum` must be less than 1"],
        ),
        (
            &["training.scheduler={ kind: one_cycle, max_lr: 0 }"],
            &["`training.scheduler.max_lr` must be more than 0"],
        ),
        (
            &["training.scheduler={ kind: plateau, factor: 1.0 }"],
            &["`training.scheduler.factor` must be less than 1"],
        ),
        (
            &["evaluation.best=loss.nothing"],
            &["`loss.nothing` is no metric of this experiment", "loss.ce"],
        ),
    ] {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["check", "several.yaml", "--structure"]
            .into_iter()
            .chain(sets)
            .collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 3, "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
        for message in messages {
            assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
        }
    }
    let said = ["--set", "losses.gender_ce=null", "--set", "training.untrained=[gender]"];
    let outcome = lab.emorun(&[&["several.yaml"], &said[..]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
