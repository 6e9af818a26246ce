//! Every metric beside scikit-learn's, and what the table of metrics promises.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use emorun_metrics::{
    Agreement, Bootstrap, Calibration, ClassPredictions, Clusters, Confusion, Direction, Merge, Metric, Needs,
    NumberPredictions, Predictions, Predicts,
};
use serde_json::Value;

const CLOSE: f64 = 1e-9;

fn golden(part: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    golden[part].as_array().unwrap().clone()
}

fn list<T: serde::de::DeserializeOwned>(case: &Value, key: &str) -> Vec<T> {
    serde_json::from_value(case[key].clone()).unwrap()
}

fn assert_close(ours: Option<f64>, theirs: &Value, what: &str) {
    match (ours, theirs.as_f64()) {
        (Some(ours), Some(theirs)) => assert!((ours - theirs).abs() < CLOSE, "{what}: {ours} ≠ {theirs}"),
        (ours, theirs) => assert_eq!(ours, theirs, "{what}"),
    }
}

/// Every metric that the case names; gives how many.
fn assert_metrics(case: &Value, predictions: &Predictions) -> usize {
    let expected = case["metrics"].as_object().unwrap();
    for (name, theirs) in expected {
        let metric = Metric::named(name).unwrap();
        assert_close(metric.compute(predictions), theirs, &format!("{} {name}", case["name"]));
    }
    expected.len()
}

fn classes(case: &Value) -> ClassPredictions {
    let scores: Vec<Vec<f32>> = list(case, "scores");
    let labels: Vec<String> = (0..scores[0].len()).map(|class| format!("c{class}")).collect();
    let mut rows = ClassPredictions::new(&labels);
    for (truth, scores) in list::<u32>(case, "truth").into_iter().zip(&scores) {
        rows.add(Some(truth), scores).unwrap();
        // What has no label counts in no metric.
        rows.add(None, scores).unwrap();
    }
    rows
}

fn numbers(case: &Value) -> NumberPredictions {
    let mut rows = NumberPredictions::new(&["valence"]);
    for (truth, predicted) in list::<f32>(case, "truth")
        .into_iter()
        .zip(list::<f32>(case, "predicted"))
    {
        rows.add(&[Some(truth)], &[predicted]).unwrap();
        rows.add(&[None], &[predicted]).unwrap();
    }
    rows
}

#[test]
fn metrics_of_classes_equal_those_of_scikit_learn() {
    let cases = golden("classes");
    assert!(cases.len() > 15);
    for case in &cases {
        let rows = classes(case);
        for (at, class) in rows.confusion().per_class().iter().enumerate() {
            for (key, ours) in [
                ("precision", class.precision),
                ("recall", class.recall),
                ("f1", class.f1),
                ("support", class.support as f64),
            ] {
                assert_close(Some(ours), &case[key][at], &format!("{} {key} {at}", case["name"]));
            }
        }
        let count = assert_metrics(case, &Predictions::Classes(rows));
        assert_eq!(count, Metric::of(Predicts::Classes).count());
    }
}

#[test]
fn bins_of_confidence_are_those_of_scikit_learn() {
    for case in &golden("classes") {
        let calibration = Calibration::of(&classes(case)).unwrap();
        assert_eq!(calibration.bins.len(), 15);
        for (at, bin) in calibration.bins.iter().enumerate() {
            let theirs = &case["bins"][at];
            let what = format!("{} bin {at}", case["name"]);
            assert_eq!(bin.n, theirs[0], "{what}");
            assert_close(bin.accuracy, &theirs[1], &what);
            assert_close(bin.confidence, &theirs[2], &what);
            assert!((bin.high - bin.low - 1.0 / 15.0).abs() < 1e-12);
        }
    }
}

#[test]
fn metrics_of_numbers_equal_those_of_scikit_learn() {
    let cases = golden("numbers");
    assert!(cases.len() > 8);
    for case in &cases {
        let count = assert_metrics(case, &Predictions::Numbers(numbers(case)));
        assert_eq!(count, Metric::of(Predicts::Numbers).count());
    }
}

#[test]
fn of_several_numbers_a_metric_is_the_mean_of_those_that_have_it() {
    let mut rows = NumberPredictions::new(&["valence", "arousal", "dominance"]);
    rows.add(&[Some(1.0), Some(4.0), None], &[2.0, 1.0, 0.0]).unwrap();
    let mae = Metric::MAE.compute(&Predictions::Numbers(rows));
    assert_eq!(mae, Some(2.0));
}

#[test]
fn without_labels_no_metric_has_a_value() {
    let mut rows = ClassPredictions::new(&["a", "b"]);
    let mut numbers = NumberPredictions::new(&["valence"]);
    for _ in 0..2 {
        for predictions in [
            Predictions::Classes(rows.clone()),
            Predictions::Numbers(numbers.clone()),
        ] {
            for metric in Metric::ALL {
                assert_eq!(metric.compute(&predictions), None, "{metric:?}");
                assert!(!metric.undefined().is_empty() && !metric.about().is_empty());
            }
        }
        assert_eq!(Calibration::of(&rows), None);
        rows.add(None, &[0.5, 0.5]).unwrap();
        numbers.add(&[None], &[0.5]).unwrap();
    }
}

#[test]
fn what_is_no_number_is_never_shown() {
    let mut rows = ClassPredictions::new(&["a", "b"]);
    rows.add(Some(0), &[f32::NAN, 0.5]).unwrap();
    rows.add(Some(1), &[0.5, 0.5]).unwrap();
    let mut numbers = NumberPredictions::new(&["valence"]);
    numbers.add(&[Some(1.0)], &[f32::INFINITY]).unwrap();
    numbers.add(&[Some(2.0)], &[f32::NAN]).unwrap();
    for predictions in [Predictions::Classes(rows), Predictions::Numbers(numbers)] {
        for metric in Metric::ALL {
            let value = metric.compute(&predictions);
            assert!(value.is_none_or(f64::is_finite), "{metric:?}: {value:?}");
        }
    }
}

#[test]
fn counts_alone_give_what_needs_no_scores() {
    let mut counts = Confusion::new(&["a", "b"]);
    counts.extend(&[0, 0, 1], &[0, 1, 1]).unwrap();
    let predictions = Predictions::Classes(ClassPredictions::of_counts(counts));
    for metric in Metric::of(Predicts::Classes) {
        let has_value = metric.compute(&predictions).is_some();
        assert_eq!(has_value, metric.needs() == Needs::Classes, "{metric:?}");
    }
}

#[test]
fn values_of_members_become_that_of_all_their_items() {
    let cases = golden("classes");
    let case = cases.iter().find(|case| case["name"] == "random 7 classes").unwrap();
    let whole = classes(case);
    let mut parts = [
        ClassPredictions::new(whole.labels()),
        ClassPredictions::new(whole.labels()),
    ];
    for (at, row) in whole.rows().enumerate() {
        let truth = row.truth.map(|truth| truth as u32);
        parts[usize::from(at > 20)].add(truth, row.probabilities).unwrap();
    }
    let mut pooled = parts[0].confusion().clone();
    pooled.merge(parts[1].confusion()).unwrap();
    let items = parts.each_ref().map(|part| part.confusion().total() as f64);
    let parts = parts.map(Predictions::Classes);
    let whole = Predictions::Classes(whole);
    for metric in Metric::of(Predicts::Classes) {
        let all = metric.compute(&whole).unwrap();
        let merged = match metric.merge() {
            Merge::Pooled => metric.of_counts(&pooled).unwrap(),
            Merge::ItemMean => {
                let [first, second] = parts.each_ref().map(|part| metric.compute(part).unwrap());
                (first * items[0] + second * items[1]) / (items[0] + items[1])
            }
            // Says itself that it is no value of all items together.
            Merge::MemberMean => continue,
        };
        assert!((all - merged).abs() < 1e-12, "{metric:?}: {all} {merged}");
    }
}

#[test]
fn sums_of_numbers_are_merged_to_those_of_all_items() {
    let cases = golden("numbers");
    let case = &cases[0];
    let whole = numbers(case);
    let mut sums = [Agreement::default(); 2];
    for (at, (truth, predicted)) in whole.rows().enumerate() {
        if let Some(truth) = truth[0] {
            sums[at % 3 / 2].add(truth.into(), predicted[0].into());
        }
    }
    let [mut merged, other] = sums;
    merged.merge(&other);
    let number = whole.numbers().next().unwrap();
    for metric in Metric::of(Predicts::Numbers).filter(|metric| metric.merge() == Merge::Pooled) {
        let (all, merged) = (metric.of_number(number).unwrap(), metric.of_sums(&merged).unwrap());
        assert!((all - merged).abs() < 1e-12, "{metric:?}: {all} {merged}");
    }
}

#[test]
fn a_metric_is_its_name_in_files() {
    for (at, metric) in Metric::ALL.iter().enumerate() {
        assert_eq!(Metric::named(metric.name()), Some(*metric));
        assert_eq!(Metric::ALL.iter().position(|other| other == metric), Some(at));
        let text = serde_json::to_string(metric).unwrap();
        assert_eq!(text, format!("{:?}", metric.name()));
        assert_eq!(serde_json::from_str::<Metric>(&text).unwrap(), *metric);
    }
    assert!(serde_json::from_str::<Metric>("\"uarr\"").is_err());
    assert_eq!(Metric::named("loss"), None);
}

#[test]
fn a_direction_says_which_value_is_better() {
    for (direction, better, worse) in [
        (Direction::Higher, 0.5, 0.25),
        (Direction::Lower, 0.25, 0.5),
        (Direction::NearZero, -0.25, 0.5),
        (Direction::NearZero, 0.25, -0.5),
    ] {
        assert!(direction.is_better(better, worse, 0.125), "{direction:?}");
        assert!(!direction.is_better(better, worse, 0.25), "{direction:?}");
        assert!(!direction.is_better(worse, better, 0.0), "{direction:?}");
        assert!(direction.is_better_by_share(better, worse, 0.25), "{direction:?}");
        assert!(!direction.is_better_by_share(worse, better, 0.0), "{direction:?}");
        assert!(direction.reward(better) > direction.reward(worse), "{direction:?}");
    }
}

#[test]
fn a_value_is_written_in_its_unit() {
    assert_eq!(Metric::UAR.text(Some(0.123_46)), "12.35 %");
    assert_eq!(Metric::LOG_LOSS.text(Some(0.123_46)), "0.1235");
    assert_eq!(Metric::CCC.text(None), "–");
    assert_eq!(Metric::UAR.unit().signed(0.05), "+5.00");
    assert_eq!(Metric::CCC.unit().signed(-0.05), "-0.0500");
    assert_eq!(
        (Metric::UAR.unit().short(0.5), Metric::CCC.unit().short(0.5)),
        ("50.0 %".into(), "0.500".into())
    );
}

/// A case of `bootstrap.json`: what was said, and by whom.
fn assert_intervals(case: &Value, predictions: &Predictions) {
    let speakers: Vec<String> = list(case, "speakers");
    let clusters = Clusters::of(speakers.iter().map(|speaker| Some(speaker.as_str())));
    let bootstrap = Bootstrap {
        replicates: case["replicates"].as_u64().unwrap() as usize,
        seed: case["seed"].as_u64().unwrap(),
    };
    let same = case["same"].as_object().unwrap();
    let metrics: Vec<Metric> = same.keys().map(|name| Metric::named(name).unwrap()).collect();
    let found = bootstrap.intervals(predictions, &clusters, &metrics);
    for (metric, found) in metrics.iter().zip(found) {
        let found = found.unwrap();
        let same = &case["same"][metric.name()];
        let what = format!("{} {}", case["name"], metric.name());
        assert_close(Some(found.low), &same[0], &what);
        assert_close(Some(found.high), &same[1], &what);
        // Beside another generator: 2000 draws place a 2.5 % quantile within some hundredths of the width.
        let other = &case["other"][metric.name()];
        let (low, high) = (other[0].as_f64().unwrap(), other[1].as_f64().unwrap());
        let most = 0.08 * (high - low);
        assert!((found.low - low).abs() < most, "{what}: {} ≠ {low}", found.low);
        assert!((found.high - high).abs() < most, "{what}: {} ≠ {high}", found.high);
    }
}

#[test]
fn bootstrap_intervals_are_those_of_numpy_over_speakers_and_their_items() {
    let golden: Value = serde_json::from_str(include_str!("golden/bootstrap.json")).unwrap();
    for case in golden["classes"].as_array().unwrap() {
        let scores: Vec<Vec<f32>> = list(case, "said");
        let mut rows = ClassPredictions::new(&["a", "b", "c"]);
        for (truth, scores) in list::<u32>(case, "truth").into_iter().zip(&scores) {
            rows.add(Some(truth), scores).unwrap();
        }
        assert_intervals(case, &Predictions::Classes(rows));
    }
    for case in golden["numbers"].as_array().unwrap() {
        let mut rows = NumberPredictions::new(&["valence"]);
        let pairs = list::<f32>(case, "truth").into_iter().zip(list::<f32>(case, "said"));
        for (truth, said) in pairs {
            rows.add(&[Some(truth)], &[said]).unwrap();
        }
        assert_intervals(case, &Predictions::Numbers(rows));
    }
}
