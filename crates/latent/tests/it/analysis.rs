use emorun_latent::{Labelling, Method, Study, Vectors, analyse};

use crate::golden::digits;

fn labelling(name: &str, labels: &[&str]) -> Labelling {
    let label = |label: &&str| (!label.is_empty()).then(|| (*label).to_owned());
    Labelling::of(name, labels.iter().map(label))
}

fn study<'a>(vectors: &'a Vectors, labellings: &'a [Labelling], methods: &'a [Method]) -> Study<'a> {
    Study {
        vectors,
        labellings,
        emotion: "emotion",
        confused: &[],
        speaker: "speaker",
        methods,
        seed: 1,
    }
}

#[test]
fn four_items_are_enough_and_what_is_not_known_of_them_is_none() {
    let rows: Vec<[f32; 3]> = vec![[0.0, 1.0, 0.0], [0.0, 1.0, 0.5], [4.0, 1.0, 0.0], [4.0, 1.0, 1.0]];
    let vectors = Vectors::new(&rows).unwrap();
    let labellings = [
        labelling("emotion", &["a", "a", "b", ""]),
        labelling("corpus", &["x"; 4]),
        labelling("speaker", &["1", "2", "3", "4"]),
    ];
    let found = analyse(&study(&vectors, &labellings, &Method::ALL)).unwrap();
    let silhouettes: Vec<Option<f64>> = found.silhouettes.iter().map(|one| one.silhouette).collect();
    assert!(
        silhouettes[0].is_some_and(|value| (0.0..1.0).contains(&value)),
        "{silhouettes:?}"
    );
    assert_eq!(silhouettes[1..], [None, None]);
    assert_eq!(found.silhouettes[0].items, 3);
    assert_eq!((found.speaker_probe, found.mmd_and_confusion), (None, None));
    assert!(found.pairs.is_empty());
    assert_eq!(found.planes.len(), 3);
    for plane in &found.planes {
        assert_eq!((plane.places.len(), plane.neighbours), (4, 1));
    }
}

#[test]
fn twins_and_a_line_are_placed() {
    let twins: Vec<[f32; 2]> = (0..40).map(|i| [(i % 2) as f32, 0.0]).collect();
    let line: Vec<[f32; 1]> = (0..40).map(|i| [i as f32 * 1e30]).collect();
    for vectors in [Vectors::new(&twins).unwrap(), Vectors::new(&line).unwrap()] {
        let names: Vec<String> = (0..40).map(|i| (i % 3).to_string()).collect();
        let labellings = [Labelling::of("emotion", names.into_iter().map(Some))];
        analyse(&study(&vectors, &labellings, &Method::ALL)).unwrap();
    }
}

#[test]
fn confusions_are_found_by_names_in_either_order() {
    let case = digits();
    let labellings = [Labelling::of(
        "emotion",
        case.classes.iter().map(|class| Some(class.to_string())),
    )];
    let nearness = |one: usize, other: usize| (one * other) as f64 / 100.0;
    let pairs = (0..10).flat_map(|one| (one + 1..10).map(move |other| (one, other)));
    let confused: Vec<(String, String, f64)> = pairs
        .map(|(one, other)| (other.to_string(), one.to_string(), nearness(one, other)))
        .collect();
    let found = analyse(&Study {
        confused: &confused,
        ..study(&case.vectors, &labellings, &[])
    })
    .unwrap();
    assert_eq!(found.mmd_and_confusion.unwrap().pairs, 45);
    assert!(
        found
            .pairs
            .iter()
            .all(|pair| pair.confused.is_some() && pair.mmd2 > 0.0)
    );
}

#[test]
fn labels_of_other_items_are_refused() {
    let rows = [[0.0], [1.0], [2.0], [3.0]];
    let vectors = Vectors::new(&rows).unwrap();
    let labellings = [labelling("emotion", &["a", "b"])];
    let error = analyse(&study(&vectors, &labellings, &[])).unwrap_err();
    assert_eq!(error.to_string(), "there are 2 labels of 4 items");
}
