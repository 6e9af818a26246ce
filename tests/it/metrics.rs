//! Metrics that an experiment asks for: where they are written, shown and compared, and which it cannot have.

use serde_json::Value;

use crate::support::{Lab, json, metrics};

/// Classes and numbers of the same items; every fifth class is not what it sounds like, so that no head is without fault.
fn lab() -> Lab {
    let lab = crate::objectives::lab();
    let table = std::fs::read_to_string(lab.path("corpus/all.csv")).unwrap();
    let line = |(at, line): (usize, &str)| match at % 5 {
        3 if line.contains("neutral") => line.replace("neutral", "angry") + "\n",
        3 => line.replace("angry", "neutral") + "\n",
        _ => line.to_owned() + "\n",
    };
    lab.write(
        "corpus/all.csv",
        table.lines().enumerate().map(line).collect::<String>(),
    );
    lab.write(
        "asked.yaml",
        "\
extends: numbers.yaml
name: asked
training: { epochs: 10, scheduler: { max_lr: 0.02 } }
evaluation: { metrics: [mcc, roc_auc, ece, mae], best: emotion.brier }
",
    );
    lab
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Matthews' correlation of two classes, from its definition as that of Pearson.
fn matthews(counts: &Value) -> f64 {
    let count = |truth: usize, predicted: usize| counts[truth][predicted].as_f64().unwrap();
    let (tn, fp, fn_, tp) = (count(0, 0), count(0, 1), count(1, 0), count(1, 1));
    let spread = (tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_);
    (tp * tn - fp * fn_) / spread.sqrt()
}

#[test]
fn metrics_that_are_asked_for_are_logged_summed_up_and_shown() {
    let lab = lab();
    let outcome = lab.emorun(&["asked.yaml", "--run-label", "whole"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for title in ["MCC", "ROC AUC", "ECE", "MAE", "UAR", "CCC"] {
        assert!(outcome.stdout.contains(title), "{title}: {}", outcome.stdout);
    }
    let run = lab.path("runs/asked/whole");
    let lines = metrics(&run);
    let of = |split: &str| lines.iter().find(|line| line["split"] == split).unwrap();
    for name in [
        "emotion.uar",
        "emotion.log_loss",
        "emotion.mcc",
        "emotion.roc_auc",
        "emotion.ece",
        "emotion.brier",
        "numbers.ccc",
        "numbers.mse",
        "numbers.mae",
        "numbers.valence.ccc",
        "numbers.arousal.mae",
    ] {
        assert!(of("validation")[name].is_number(), "{name}: {}", of("validation"));
        assert!(of("final_train")[name].is_number(), "{name}");
    }
    // Of training there are counts alone.
    let training = of("train_epoch");
    assert!(training["emotion.mcc"].is_number(), "{training}");
    assert_eq!(training.get("emotion.roc_auc"), None, "{training}");
    let summary = json(run.join("summary.json"));
    let train = &summary["splits"]["train"];
    let head = &train["heads"]["emotion"];
    let mut names = keys(head);
    names.sort_unstable();
    let expected = [
        "brier",
        "confusion",
        "ece",
        "log_loss",
        "macro_f1",
        "mcc",
        "roc_auc",
        "uar",
        "wa",
        "weighted_f1",
    ];
    assert_eq!(names, expected);
    let mcc = head["mcc"].as_f64().unwrap();
    assert!((mcc - matthews(&head["confusion"]["counts"])).abs() < 1e-9, "{head}");
    let numbers = &train["regressions"]["numbers"];
    let of_each = |name: &str| numbers["numbers"][name]["mae"].as_f64().unwrap();
    let mean = (of_each("valence") + of_each("arousal")) / 2.0;
    assert!((numbers["mae"].as_f64().unwrap() - mean).abs() < 1e-9, "{numbers}");
    // The lowest Brier score is the best.
    let scores = lines.iter().filter(|line| line["split"] == "validation");
    let scores = scores.map(|line| line["emotion.brier"].as_f64().unwrap());
    let best = &summary["best"];
    assert_eq!(best["metric"], "emotion.brier");
    assert_eq!(best["value"].as_f64(), scores.reduce(f64::min));
}

#[test]
fn folds_merge_each_metric_in_its_own_way() {
    let lab = lab();
    let split = "split={ kind: folds, folds: { k: 3 } }";
    let sets = [
        "evaluation.metrics=[mcc, brier, roc_auc, mae]",
        "evaluation.best=null",
        split,
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<&str> = ["asked.yaml"].into_iter().chain(sets).collect();
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let summary = json(lab.path(outcome.last_line()).join("summary.json"));
    let members: Vec<&Value> = summary["members"].as_object().unwrap().values().collect();
    assert_eq!(members.len(), 3);
    let pooled = &summary["pooled"]["heads"]["emotion"];
    let mcc = pooled["mcc"].as_f64().unwrap();
    assert!(
        (mcc - matthews(&pooled["confusion"]["counts"])).abs() < 1e-9,
        "{pooled}"
    );
    let items = |member: &Value| -> f64 {
        let rows = member["heads"]["emotion"]["confusion"]["counts"].as_array().unwrap();
        let counts = rows.iter().flat_map(|row| row.as_array().unwrap());
        counts.map(|count| count.as_f64().unwrap()).sum()
    };
    let of = |member: &Value, metric: &str| member["heads"]["emotion"][metric].as_f64();
    // Over all items: the mean by their number.
    let all: f64 = members.iter().map(|member| items(member)).sum();
    let brier: f64 = members.iter().map(|m| of(m, "brier").unwrap() * items(m)).sum::<f64>() / all;
    assert!((pooled["brier"].as_f64().unwrap() - brier).abs() < 1e-9, "{pooled}");
    // Scores of different models are not ranked together.
    let areas: Vec<f64> = members.iter().filter_map(|member| of(member, "roc_auc")).collect();
    let area = areas.iter().sum::<f64>() / areas.len() as f64;
    assert!((pooled["roc_auc"].as_f64().unwrap() - area).abs() < 1e-9, "{pooled}");
    let number = |part: &Value| part["regressions"]["numbers"]["numbers"]["valence"].clone();
    let weighed = |member: &&Value| {
        let number = number(member);
        number["mae"].as_f64().unwrap() * number["agreement"]["n"].as_f64().unwrap()
    };
    let found = number(&summary["pooled"]);
    let mae = members.iter().map(weighed).sum::<f64>() / found["agreement"]["n"].as_f64().unwrap();
    assert!((found["mae"].as_f64().unwrap() - mae).abs() < 1e-9, "{found}");
    for title in ["MCC", "Brier", "ROC AUC", "MAE"] {
        assert!(outcome.stdout.contains(title), "{title}: {}", outcome.stdout);
    }
}

#[test]
fn what_no_head_can_give_is_told_with_what_heads_can() {
    let lab = lab();
    lab.write(
        "alone.yaml",
        "extends: numbers.yaml\nname: alone\nheads: { emotion: null }\nlosses: { ce: null }\n",
    );
    for (file, set, messages) in [
        (
            "crnn.yaml",
            "evaluation.metrics=[uar, mae]",
            &[
                "no head can give `mae`: it needs numbers, which none predicts",
                "`uar`, `wa`",
            ][..],
        ),
        (
            "alone.yaml",
            "evaluation.metrics=[uar]",
            &[
                "no head can give `uar`: it needs classes, which none predicts",
                "`ccc`, `pearson`",
            ],
        ),
        (
            "alone.yaml",
            "evaluation.metrics=[rmsee]",
            &[
                "`rmsee` is not a value of `evaluation.metrics.0`",
                "did you mean `rmse`",
            ],
        ),
        (
            "crnn.yaml",
            "evaluation.best=emotion.uarr",
            &[
                "`emotion.uarr` is no metric of this experiment",
                "did you mean `emotion.uar`",
            ],
        ),
        (
            "crnn.yaml",
            "evaluation.best=emotion.ccc",
            &["`emotion.ccc` is no metric of this experiment", "`emotion.uar`"],
        ),
        (
            "crnn.yaml",
            "training.early_stopping={ patience: 2, metric: emotion.maco_f1 }",
            &["did you mean `emotion.macro_f1`"],
        ),
    ] {
        let outcome = lab.emorun(&["check", file, "--structure", "--set", set]);
        assert_eq!(outcome.code, 3, "{set}: {}{}", outcome.stdout, outcome.stderr);
        for message in messages {
            assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
        }
    }
    // What is left out, or written as it is by default, says nothing of heads.
    for set in [
        "evaluation.metrics=[uar, wa, macro_f1]",
        "evaluation.metrics=[mae, bias]",
    ] {
        let outcome = lab.emorun(&["check", "alone.yaml", "--structure", "--set", set]);
        assert_eq!(outcome.code, 0, "{set}: {}{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn every_metric_is_explained() {
    let lab = Lab::new();
    let page = lab.emorun(&["nodes", "evaluation"]).stdout;
    for line in [
        "macro_f1",
        "roc_auc",
        "Of probabilities of classes; the lower, the better.",
        "Of numbers; the nearer to 0, the better.",
        "No value where a class has no item: it has no recall.",
    ] {
        assert!(page.lines().any(|found| found.trim() == line), "{line}: {page}");
    }
}
