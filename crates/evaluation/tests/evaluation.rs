//! What a document says of predictions, also of odd ones.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use emorun_evaluation::{
    Bootstrapped, Evaluation, EvaluationError, ItemFacts, Protocol, Run, Said, Side, VERSION, fits, side, text,
};
use emorun_metrics::{ClassPredictions, Metric, NaiveBayes, NumberPredictions, Predictions, Uncalibrated, Votes};
use indexmap::IndexMap;

/// A head over three classes: rows of truth, scores, speaker, gender.
fn said(rows: &[(u32, [f32; 3], &str, &str)]) -> Said {
    let mut predictions = ClassPredictions::new(&["angry", "<script>", "sad"]);
    let mut items = Vec::new();
    for (at, (truth, scores, speaker, gender)) in rows.iter().enumerate() {
        predictions.add(Some(*truth), scores).unwrap();
        items.push(ItemFacts {
            item: format!("corpus/{at}.wav"),
            path: format!("/data/{at}.wav"),
            dataset: "corpus".to_owned(),
            speaker: (!speaker.is_empty()).then(|| (*speaker).to_owned()),
            duration_s: 0.5 + at as f64,
            described: vec![("gender".to_owned(), (*gender).to_owned())],
            ..ItemFacts::default()
        });
    }
    Said {
        head: "emotion".to_owned(),
        column: Some("emotion".to_owned()),
        metrics: vec![Metric::UAR, Metric::WA, Metric::ROC_AUC],
        shown: vec![Metric::UAR],
        predictions: Predictions::Classes(predictions),
        items,
        votes: Vec::new(),
        training: Some(vec![4, 1, 0]),
        reader: None,
        several_models: false,
    }
}

/// Twelve items each of four speakers: the women are understood, the men one time in two.
fn two_genders() -> Said {
    let mut rows = Vec::new();
    for (speaker, gender) in [("a", "female"), ("b", "male"), ("c", "female"), ("d", "male")] {
        for at in 0..12 {
            let right = gender == "female" || at % 2 == 0;
            let truth = u32::from(at % 4 < 2);
            let scores = match right == (truth == 0) {
                true => [0.7, 0.2, 0.1],
                false => [0.2, 0.7, 0.1],
            };
            rows.push((truth, scores, speaker, gender));
        }
    }
    said(&rows)
}

fn document(sides: IndexMap<String, Side>) -> Evaluation {
    Evaluation {
        version: VERSION,
        emorun: "0".to_owned(),
        run: Run::default(),
        pooled: None,
        protocol: Protocol::default(),
        bootstrap: Bootstrapped::default(),
        fits: IndexMap::new(),
        sides,
        conditions: Vec::new(),
        remarks: Vec::new(),
    }
}

#[test]
fn groups_have_their_counts_their_gap_and_its_interval() {
    let own = side(&[two_genders()], &IndexMap::new(), (false, 1));
    let head = &own.classifiers["emotion"];
    let by = |name: &str| head.groups.iter().find(|grouping| grouping.by == name).unwrap();
    let gender = by("gender");
    let counts: Vec<(&str, usize, usize, bool)> = gender
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.items, group.speakers, group.few))
        .collect();
    assert_eq!(counts, [("female", 24, 2, false), ("male", 24, 2, false)]);
    let gap = &gender.gaps[0];
    assert_eq!(
        (gap.best.as_str(), gap.worst.as_str(), gap.gap),
        ("female", "male", 0.5)
    );
    let interval = gap.interval.unwrap();
    assert!(interval.low > 0.2 && interval.low < 0.5 && interval.high > 0.5 && interval.high < 0.8);
    // A speaker is drawn as a whole, so that two of them have no interval between them.
    assert_eq!((by("speaker").groups.len(), by("speaker").gaps[0].interval), (4, None));
    let text = text::classifier("emotion", "test", head, "");
    assert!(text.contains("UAR of female above male: +50.00 (+"), "{text}");
    assert!(text.contains("most confused: angry as <script>"), "{text}");
    assert!(
        head.groups.iter().all(|grouping| grouping.by != "dataset"),
        "one value says nothing"
    );
}

#[test]
fn every_shown_metric_has_its_gap_and_each_is_that_of_drawing_it_alone() {
    let shown = |shown: Vec<Metric>| {
        let said = Said { shown, ..two_genders() };
        let own = side(&[said], &IndexMap::new(), (false, 1));
        let groups = &own.classifiers["emotion"].groups;
        groups
            .iter()
            .find(|grouping| grouping.by == "gender")
            .unwrap()
            .gaps
            .clone()
    };
    let both = shown(vec![Metric::UAR, Metric::LOG_LOSS, Metric::WA]);
    let metrics: Vec<Metric> = both.iter().map(|gap| gap.metric).collect();
    assert_eq!(metrics, [Metric::UAR, Metric::WA], "the log loss is not measured");
    assert!(both.iter().all(|gap| gap.interval.is_some()));
    assert_eq!(both[0..1], shown(vec![Metric::UAR]));
    assert_eq!(both[1..2], shown(vec![Metric::WA]));
}

#[test]
fn items_that_several_models_have_heard_count_once_among_items_and_their_scores_are_not_ranked() {
    let once = two_genders();
    let Predictions::Classes(rows) = &once.predictions else {
        unreachable!()
    };
    let mut predictions = rows.clone();
    for row in rows.rows() {
        let truth = row.truth.map(|truth| truth as u32);
        predictions.add(truth, row.probabilities).unwrap();
    }
    let twice = Said {
        predictions: Predictions::Classes(predictions),
        items: [once.items.clone(), once.items.clone()].concat(),
        metrics: vec![Metric::UAR, Metric::WA],
        several_models: true,
        ..once.clone()
    };
    let of = |said: Said| side(&[said], &IndexMap::new(), (false, 1)).classifiers["emotion"].clone();
    let (once, twice) = (of(once), of(twice));
    assert_eq!((twice.items, twice.confusion.total()), (once.items, 2 * once.items));
    assert_eq!(twice.speakers, once.speakers);
    // The same predictions twice are no more certain.
    assert_eq!(twice.metrics[&Metric::UAR], once.metrics[&Metric::UAR]);
    let counts = |head: &emorun_evaluation::Classifier| -> Vec<(usize, bool)> {
        let groups = head.groups.iter().flat_map(|grouping| &grouping.groups);
        groups.map(|group| (group.items, group.few)).collect()
    };
    assert_eq!(counts(&twice), counts(&once));
    assert!(twice.curves.roc.is_empty() && twice.calibration.before.reliability.is_none());
    assert!(twice.calibration.before.ece.is_none() && twice.calibration.before.brier.is_some());
    let names: Vec<&str> = twice.hardest.iter().map(|mistake| mistake.item.as_str()).collect();
    let expected: Vec<&str> = once.hardest.iter().map(|mistake| mistake.item.as_str()).collect();
    assert_eq!(names, expected);
}

#[test]
fn few_items_make_no_gap() {
    let rows: Vec<(u32, [f32; 3], &str, &str)> = (0..9)
        .map(|at| (at % 2, [0.5, 0.25, 0.25], "a", if at == 0 { "male" } else { "female" }))
        .collect();
    let own = side(&[said(&rows)], &IndexMap::new(), (false, 1));
    let head = &own.classifiers["emotion"];
    assert!(head.groups.iter().all(|grouping| grouping.gaps.is_empty()));
    assert!(head.metrics.values().all(|own| own.interval.is_none()), "one speaker");
}

#[test]
fn a_class_without_items_has_no_curve_and_no_wrong_number() {
    let own = side(&[two_genders()], &IndexMap::new(), (false, 1));
    let head = &own.classifiers["emotion"];
    assert_eq!(head.curves.roc.keys().collect::<Vec<_>>(), ["angry", "<script>"]);
    assert!(head.curves.roc_macro.is_none() && head.metrics[&Metric::ROC_AUC].value.is_none());
    assert_eq!((head.classes[2].report.support, head.classes[2].roc_auc), (0, None));
    assert_eq!(head.metrics[&Metric::UAR].value, Some(0.75));
    // Half of the items are angry, which all are taken for.
    assert_eq!(head.baselines[0].metrics[&Metric::UAR], Some(0.5));
}

#[test]
fn what_is_fitted_is_tried_on_the_other_side_alone() {
    let validation = two_genders();
    let fitted = fits(std::slice::from_ref(&validation));
    let here = side(std::slice::from_ref(&validation), &fitted, (true, 1));
    let there = side(&[validation], &fitted, (false, 1));
    let (here, there) = (&here.classifiers["emotion"], &there.classifiers["emotion"]);
    assert!(here.calibration.after.is_none() && here.conformal.as_ref().unwrap().made_here);
    let after = there.calibration.after.as_ref().unwrap();
    assert!(after.log_loss < there.calibration.before.log_loss);
    assert_eq!(there.conformal.as_ref().unwrap().by_speaker.len(), 4);
    let without = side(&[two_genders()], &IndexMap::new(), (false, 1));
    let without = &without.classifiers["emotion"];
    assert!(without.conformal.is_none() && without.calibration.remark.is_some());
    let right = said(&[(0, [0.7, 0.2, 0.1], "a", "male")]);
    assert_eq!(fits(&[right])["emotion"].uncalibrated, Some(Uncalibrated::AllRight));
}

#[test]
fn mistakes_are_named_the_most_confident_first() {
    let own = side(
        &[said(&[
            (0, [0.1, 0.6, 0.3], "a", "male"),
            (1, [0.0, 1.0, 0.0], "a", "male"),
            (2, [0.9, 0.1, 0.0], "b", "male"),
        ])],
        &IndexMap::new(),
        (false, 1),
    );
    let head = &own.classifiers["emotion"];
    let items = |of: &[emorun_evaluation::Mistake]| of.iter().map(|one| one.item.clone()).collect::<Vec<_>>();
    assert_eq!(items(&head.most_confident_mistakes), ["corpus/2.wav", "corpus/0.wav"]);
    assert_eq!(items(&head.hardest), ["corpus/2.wav", "corpus/0.wav", "corpus/1.wav"]);
}

#[test]
fn scores_that_are_no_numbers_leave_no_number_behind() {
    let own = side(
        &[said(&[
            (0, [f32::NAN, 0.6, 0.3], "a", "male"),
            (1, [0.2, 0.7, 0.1], "b", "male"),
        ])],
        &IndexMap::new(),
        (false, 1),
    );
    let head = &own.classifiers["emotion"];
    assert!(!head.curves.roc.contains_key("angry") && head.curves.risk_coverage.is_none());
    assert_eq!(head.classes[0].roc_auc, None);
    assert_eq!(
        (head.calibration.before.log_loss, head.calibration.before.ece),
        (None, None)
    );
    let written = serde_json::to_vec(&document([("test".to_owned(), own)].into())).unwrap();
    Evaluation::parse(&written).unwrap();
}

#[test]
fn votes_are_those_of_all_items_and_numbers_have_their_bias_by_target() {
    let mut with_votes = two_genders();
    with_votes.votes = vec![
        Votes {
            votes: vec![0.5, 0.5, 0.0],
            predicted: vec![0.5, 0.5, 0.0],
        };
        3
    ];
    let mut numbers = NumberPredictions::new(&["valence"]);
    for at in 0..48_u8 {
        numbers.add(&[Some(f32::from(at % 7))], &[3.0]).unwrap();
    }
    let numbers = Said {
        head: "valence".to_owned(),
        column: None,
        metrics: vec![Metric::CCC, Metric::MSE],
        shown: vec![Metric::CCC],
        predictions: Predictions::Numbers(numbers),
        ..two_genders()
    };
    let own = side(&[with_votes, numbers], &IndexMap::new(), (false, 1));
    let votes = own.classifiers["emotion"].votes.as_ref().unwrap();
    assert_eq!((votes.divergence.items, votes.divergence.jsd), (3, 0.0));
    let number = &own.regressors["valence"].numbers[0];
    assert_eq!(number.by_target.len(), 5);
    assert!(number.by_target[0].bias.unwrap() > 0.0 && number.by_target[4].bias.unwrap() < 0.0);
    let document = document([("test".to_owned(), own)].into());
    let written = serde_json::to_vec(&document).unwrap();
    assert_eq!(Evaluation::parse(&written).unwrap(), document);
}

#[test]
fn what_is_said_alone_stands_beside_what_is_heard() {
    let mut said = two_genders();
    // Every second item says its class, the others nothing.
    let Predictions::Classes(rows) = &said.predictions else {
        unreachable!()
    };
    let truths: Vec<usize> = rows.rows().filter_map(|row| row.truth).collect();
    for (at, (item, truth)) in said.items.iter_mut().zip(&truths).enumerate() {
        item.text = (at % 2 == 0).then(|| ["so angry", "so odd"][*truth].to_owned());
    }
    let training = [("so angry", 0), ("very angry", 0), ("so odd", 1)];
    said.reader = NaiveBayes::fit(training, 3).map(Arc::new);
    let own = side(&[said], &IndexMap::new(), (false, 1));
    let baselines = &own.classifiers["emotion"].baselines;
    let names: Vec<&str> = baselines.iter().map(|report| report.baseline.name()).collect();
    assert_eq!(names, ["majority", "prior", "text"]);
    // Those that say nothing are taken for the most frequent class: a quarter of all are wrong.
    assert_eq!(baselines[2].metrics[&Metric::WA], Some(0.75));
}

#[test]
fn a_later_document_is_refused_and_more_fields_are_not() {
    let written = serde_json::to_string(&document(IndexMap::new())).unwrap();
    let more = written.replacen('{', r#"{"of_a_later_emorun":[1],"#, 1);
    Evaluation::parse(more.as_bytes()).unwrap();
    let later = written.replacen(&format!("\"version\":{VERSION}"), "\"version\":1000", 1);
    assert!(matches!(
        Evaluation::parse(later.as_bytes()),
        Err(EvaluationError::Version { version: 1000 })
    ));
    assert!(matches!(
        Evaluation::parse(&written.as_bytes()[1..]),
        Err(EvaluationError::Form(_))
    ));
}
