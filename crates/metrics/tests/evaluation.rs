//! Curves, temperatures, sets, baselines, votes and bias by target beside others' programs (`golden/make_evaluation.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use emorun_metrics::{
    Baseline, Bootstrap, ClassPredictions, Clusters, Conformal, Curve, Divergence, Metric, NaiveBayes,
    NumberPredictions, Predictions, Temperature, Uncalibrated, Votes, by_agreement, macro_precision_recall_curve,
    macro_roc_curve, precision_recall_curve, risk_coverage_curve, roc_curve,
};
use serde_json::Value;

const CLOSE: f64 = 1e-9;

fn golden(part: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/evaluation.json")).unwrap();
    golden[part].as_array().unwrap().clone()
}

fn list<T: serde::de::DeserializeOwned>(case: &Value, key: &str) -> Vec<T> {
    serde_json::from_value(case[key].clone()).unwrap()
}

fn predictions(case: &Value, truth: &str, scores: &str) -> ClassPredictions {
    let scores: Vec<Vec<f32>> = list(case, scores);
    let labels: Vec<String> = (0..scores[0].len()).map(|class| format!("c{class}")).collect();
    let mut rows = ClassPredictions::new(&labels);
    for (truth, scores) in list::<u32>(case, truth).into_iter().zip(&scores) {
        rows.add(Some(truth), scores).unwrap();
        // What has no label counts nowhere.
        rows.add(None, scores).unwrap();
    }
    rows
}

fn assert_close(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() < CLOSE, "{what}: {ours} ≠ {theirs}");
}

fn assert_numbers(ours: &[f64], theirs: &Value, what: &str) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!(ours.len(), theirs.len(), "{what}: {ours:?} ≠ {theirs:?}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_close(*ours, theirs, what);
    }
}

fn assert_curve(ours: Option<Curve>, theirs: &Value, what: &str) {
    let Some(ours) = ours else {
        assert!(theirs.is_null(), "{what}");
        return;
    };
    assert_numbers(&ours.x, &theirs["x"], what);
    assert_numbers(&ours.y, &theirs["y"], what);
    assert_close(ours.area, &theirs["area"], what);
    if let Some(thresholds) = theirs["threshold"].as_array() {
        let theirs: Vec<Option<f64>> = thresholds.iter().map(Value::as_f64).collect();
        assert_eq!(ours.threshold, theirs, "{what}");
    }
}

#[test]
fn curves_are_those_of_scikit_learn_point_by_point() {
    let cases = golden("classes");
    assert!(cases.len() > 10);
    for case in &cases {
        let rows = predictions(case, "truth", "scores");
        for class in 0..rows.labels().len() {
            let what = format!("{} class {class}", case["name"]);
            assert_curve(roc_curve(&rows, class), &case["roc"][class], &what);
            assert_curve(
                precision_recall_curve(&rows, class),
                &case["precision_recall"][class],
                &what,
            );
        }
        let what = case["name"].to_string();
        assert_curve(risk_coverage_curve(&rows), &case["risk_coverage"], &what);
        assert_curve(
            macro_precision_recall_curve(&rows),
            &case["macro_precision_recall"],
            &what,
        );
    }
}

#[test]
fn the_macro_curve_is_the_mean_of_the_classes_curves_before_and_after_each_step() {
    for case in &golden("classes") {
        let rows = predictions(case, "truth", "scores");
        let Some(curve) = macro_roc_curve(&rows) else {
            assert!(case["macro_roc"].is_null(), "{}", case["name"]);
            continue;
        };
        let theirs = &case["macro_roc"];
        let grid: Vec<f64> = list(theirs, "grid");
        for (at, x) in grid.iter().enumerate() {
            let own: Vec<f64> = (0..curve.len())
                .filter(|own| curve.x[*own] == *x)
                .map(|own| curve.y[own])
                .collect();
            assert_close(own[0], &theirs["before"][at], &format!("{} {x}", case["name"]));
            assert_close(
                own[own.len() - 1],
                &theirs["after"][at],
                &format!("{} {x}", case["name"]),
            );
        }
        assert_close(curve.area, &theirs["area"], &case["name"].to_string());
        let under: f64 = (1..curve.len())
            .map(|at| (curve.x[at] - curve.x[at - 1]) * 0.5 * (curve.y[at] + curve.y[at - 1]))
            .sum();
        assert!((under - curve.area).abs() < CLOSE, "{}", case["name"]);
        let metric = Metric::ROC_AUC.compute(&Predictions::Classes(rows)).unwrap();
        assert!((metric - curve.area).abs() < CLOSE);
    }
}

#[test]
fn a_temperature_is_the_minimum_that_scipy_finds_and_changes_no_prediction() {
    let mut fitted = 0;
    for case in &golden("classes") {
        let rows = predictions(case, "truth", "scores");
        let Some(theirs) = case["temperature"].as_object() else {
            assert!(Temperature::fit(&rows).is_err(), "{}", case["name"]);
            continue;
        };
        let found = Temperature::fit(&rows).unwrap();
        let value = theirs["value"].as_f64().unwrap();
        assert!(
            (found.value / value - 1.0).abs() < 1e-6,
            "{}: {} ≠ {value}",
            case["name"],
            found.value
        );
        let scaled = found.applied(&rows);
        let loss = |rows: &ClassPredictions| Metric::LOG_LOSS.compute(&Predictions::Classes(rows.clone())).unwrap();
        assert_close(loss(&rows), &theirs["before"], "before");
        // Scaled probabilities are single precision again.
        assert!(
            (loss(&scaled) - theirs["after"].as_f64().unwrap()).abs() < 1e-6,
            "{}",
            case["name"]
        );
        assert_eq!(scaled.confusion(), rows.confusion());
        fitted += 1;
    }
    assert!(fitted > 5);
}

#[test]
fn what_has_no_temperature_says_why() {
    let of = |rows: &[(u32, &[f32])]| {
        let labels = ["a", "b", "c"];
        let mut all = ClassPredictions::new(&labels[..rows.first().map_or(3, |row| row.1.len())]);
        for (truth, scores) in rows {
            all.add(Some(*truth), scores).unwrap();
        }
        Temperature::fit(&all).unwrap_err()
    };
    assert_eq!(of(&[]), Uncalibrated::NoItems);
    assert_eq!(of(&[(0, &[1.0])]), Uncalibrated::OneClass);
    assert_eq!(of(&[(0, &[0.5, 0.5]), (1, &[0.25, 0.25])]), Uncalibrated::Constant);
    assert_eq!(of(&[(0, &[0.75, 0.25]), (1, &[0.4, 0.6])]), Uncalibrated::AllRight);
    assert_eq!(
        of(&[(1, &[0.75, 0.25]), (0, &[0.4, 0.6])]),
        Uncalibrated::NoBetterThanChance
    );
    assert_eq!(
        of(&[(1, &[0.75, 0.25]), (0, &[f32::NAN, 0.6])]),
        Uncalibrated::NotFinite
    );
    let alike: [(u32, &[f32]); 4] = [
        (0, &[0.5001, 0.4999]),
        (0, &[0.5001, 0.4999]),
        (0, &[0.5001, 0.4999]),
        (1, &[0.5001, 0.4999]),
    ];
    assert_eq!(of(&alike), Uncalibrated::TooEven);
}

#[test]
fn conformal_sets_are_those_of_mapie() {
    for case in &golden("conformal") {
        let level = case["level"].as_f64().unwrap();
        let sets = Conformal::calibrated(&predictions(case, "truth", "scores"), level).unwrap();
        let test = predictions(case, "test_truth", "test_scores");
        let held: Vec<Vec<u8>> = list(case, "held");
        for (row, held) in test.rows().filter(|row| row.truth.is_some()).zip(held) {
            let own: Vec<u8> = row.probabilities.iter().map(|p| u8::from(sets.holds(*p))).collect();
            assert_eq!(own, held, "{} {sets:?} {:?}", case["name"], row.probabilities);
        }
        let found = sets.coverage(&test).unwrap();
        for (key, ours) in [
            ("coverage", found.coverage),
            ("mean_size", found.mean_size),
            ("single", found.single),
            ("empty", found.empty),
        ] {
            assert_close(ours, &case[key], &format!("{} {key}", case["name"]));
        }
    }
}

#[test]
fn too_few_items_for_a_level_make_sets_of_all_classes() {
    let mut rows = ClassPredictions::new(&["a", "b"]);
    assert_eq!(Conformal::calibrated(&rows, 0.9), None);
    for _ in 0..8 {
        rows.add(Some(0), &[0.75, 0.25]).unwrap();
    }
    let sets = Conformal::calibrated(&rows, 0.9).unwrap();
    assert_eq!((sets.least, sets.coverage(&rows).unwrap().mean_size), (0.0, 2.0));
    rows.add(Some(0), &[0.75, 0.25]).unwrap();
    assert_eq!(Conformal::calibrated(&rows, 0.9).unwrap().least, 0.75);
    rows.add(Some(1), &[0.5, f32::NAN]).unwrap();
    assert_eq!(Conformal::calibrated(&rows, 0.9), None);
}

#[test]
fn baselines_are_scikit_learns_dummies() {
    for case in &golden("classes") {
        let rows = predictions(case, "truth", "scores");
        let training: Vec<u64> = list(&case["baselines"], "training");
        for (baseline, said) in Baseline::of_counts(&rows, &training).unwrap() {
            let said = Predictions::Classes(said);
            for (name, theirs) in case["baselines"]["metrics"][baseline.name()].as_object().unwrap() {
                let ours = Metric::named(name).unwrap().compute(&said).unwrap();
                assert_close(ours, theirs, &format!("{} {} {name}", case["name"], baseline.name()));
            }
        }
        assert!(Baseline::of_counts(&rows, &vec![0; training.len()]).unwrap().is_empty());
        assert!(Baseline::of_counts(&rows, &[]).is_err());
    }
}

#[test]
fn what_words_alone_say_is_what_scikit_learn_says() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden/text_baseline.json")).unwrap();
    for case in &golden {
        let training: Vec<(String, usize)> = list(case, "training");
        let classes = training.iter().map(|(_, class)| class + 1).max().unwrap();
        let reader = NaiveBayes::fit(training.iter().map(|(text, class)| (text.as_str(), *class)), classes).unwrap();
        let texts: Vec<String> = list(case, "texts");
        for (text, theirs) in texts.iter().zip(case["probabilities"].as_array().unwrap()) {
            assert_numbers(
                &reader.probabilities(text),
                theirs,
                &format!("{}: {text:?}", case["name"]),
            );
        }
        // A class that no training text has is never said.
        let wider = NaiveBayes::fit(
            training.iter().map(|(text, class)| (text.as_str(), *class)),
            classes + 1,
        )
        .unwrap();
        for text in &texts {
            let with = wider.probabilities(text);
            assert_eq!(with[classes], 0.0);
            assert_numbers(&with[..classes], &serde_json::json!(reader.probabilities(text)), text);
        }
    }
    assert_eq!(NaiveBayes::fit([], 3), None);
    assert_eq!(NaiveBayes::fit([("? !", 0)], 3), None);
}

#[test]
fn divergences_from_votes_are_those_of_scipy() {
    for case in &golden("votes") {
        let votes = Votes {
            votes: list(case, "votes"),
            predicted: list(case, "predicted"),
        };
        let what = case["name"].to_string();
        match case["kl"].is_null() {
            // Without an end in scipy: here with the least probability of the log loss.
            true => assert!((votes.kl().unwrap() + f64::EPSILON.ln()).abs() < CLOSE, "{what}"),
            false => assert_close(votes.kl().unwrap(), &case["kl"], &what),
        }
        assert_close(votes.jsd().unwrap(), &case["jsd"], &what);
        assert_close(votes.entropy_bits().unwrap(), &case["entropy_bits"], &what);
    }
    for (votes, predicted) in [
        (vec![0.0, 0.0], vec![0.5, 0.5]),
        (vec![1.0, f32::NAN], vec![0.5, 0.5]),
        (vec![1.5, -0.5], vec![0.5, 0.5]),
        (vec![1.0], vec![0.5, 0.5]),
    ] {
        let votes = Votes { votes, predicted };
        assert_eq!((votes.kl(), votes.jsd()), (None, None));
        assert_eq!(Divergence::of([&votes]), None);
    }
}

#[test]
fn thirds_of_agreement_keep_items_of_one_entropy_together() {
    let item = |votes: [f32; 2]| Votes {
        votes: votes.to_vec(),
        predicted: vec![0.75, 0.25],
    };
    let sure: Vec<Votes> = (0..4).map(|_| item([1.0, 0.0])).collect();
    let split = [item([0.5, 0.5]), item([0.25, 0.75])];
    let all: Vec<Votes> = sure.into_iter().chain(split).collect();
    let thirds = by_agreement(&all);
    let found: Vec<(&str, u64, f64)> = thirds
        .iter()
        .map(|third| (third.third.as_str(), third.divergence.items, third.top_agrees))
        .collect();
    assert_eq!(found, [("low", 4, 1.0), ("high", 2, 0.5)]);
    assert!(thirds[0].most_bits == 0.0 && thirds[1].most_bits == 1.0);
    assert_eq!(by_agreement(&[]), []);
}

#[test]
fn bias_by_target_is_scipys_binned_statistic() {
    for case in &golden("by_target") {
        let mut rows = NumberPredictions::new(&["valence"]);
        let pairs = list::<f32>(case, "truth")
            .into_iter()
            .zip(list::<f32>(case, "predicted"));
        for (truth, predicted) in pairs {
            rows.add(&[Some(truth)], &[predicted]).unwrap();
        }
        let bins = rows
            .numbers()
            .next()
            .unwrap()
            .by_target(case["bins"].as_u64().unwrap() as usize);
        assert_eq!(bins.len(), case["items"].as_array().unwrap().len());
        for (at, bin) in bins.iter().enumerate() {
            let what = format!("{} bin {at}", case["name"]);
            assert_close(bin.low, &case["edges"][at], &what);
            assert_close(bin.high, &case["edges"][at + 1], &what);
            assert_eq!(bin.items, case["items"][at], "{what}");
            for (ours, theirs) in [(bin.bias, &case["bias"][at]), (bin.mae, &case["mae"][at])] {
                match ours {
                    Some(ours) => assert_close(ours, theirs, &what),
                    None => assert!(theirs.is_null(), "{what}"),
                }
            }
        }
    }
    let mut rows = NumberPredictions::new(&["valence"]);
    let bins = |rows: &NumberPredictions| rows.numbers().next().unwrap().by_target(5);
    assert_eq!(bins(&rows), []);
    rows.add(&[Some(2.0)], &[2.5]).unwrap();
    assert_eq!((bins(&rows).len(), bins(&rows)[0].bias), (1, Some(0.5)));
    rows.add(&[Some(2.0)], &[f32::NAN]).unwrap();
    assert_eq!(bins(&rows), []);
}

#[test]
fn a_gap_is_drawn_with_both_groups_and_has_no_interval_where_one_is_mostly_missing() {
    let mut rows = ClassPredictions::new(&["a", "b"]);
    let mut speakers = Vec::new();
    for speaker in 0..8 {
        for item in 0..6 {
            // Speakers with an even number are understood, the others one time in three.
            let right = speaker % 2 == 0 || item % 3 == 0;
            let scores = if right { [0.75, 0.25] } else { [0.25, 0.75] };
            rows.add(Some(0), &scores).unwrap();
            speakers.push(format!("s{speaker}"));
        }
    }
    let clusters = Clusters::of(speakers.iter().map(|speaker| Some(speaker.as_str())));
    let rows = Predictions::Classes(rows);
    let bootstrap = Bootstrap {
        replicates: 400,
        seed: 1,
    };
    let of = |speaker: usize| (speaker * 6..(speaker + 1) * 6).collect::<Vec<usize>>();
    let side = |odd: usize| (0..4).flat_map(|at| of(2 * at + odd)).collect::<Vec<usize>>();
    let found = bootstrap.gaps(&rows, &clusters, &[Metric::WA], (&side(0), &side(1)));
    let gap = found[0].unwrap();
    assert!(
        gap.low > 0.4 && gap.low < 2.0 / 3.0 && gap.high > 2.0 / 3.0 && gap.high < 0.95,
        "{gap:?}"
    );
    // Two single speakers are seldom drawn together.
    assert_eq!(
        bootstrap.gaps(&rows, &clusters, &[Metric::WA], (&of(0), &of(1))),
        [None]
    );
}
