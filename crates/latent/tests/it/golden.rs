use emorun_latent::{
    Distances, Method, Vectors, discrepancies, principal, probe, project, silhouette, trustworthiness,
};
use serde_json::Value;

pub(crate) struct Case {
    pub vectors: Vectors,
    pub classes: Vec<usize>,
    pub speakers: Vec<Option<usize>>,
    golden: Value,
}

impl Case {
    fn number(&self, name: &str) -> f64 {
        self.golden[name].as_f64().unwrap()
    }
}

pub(crate) fn cases() -> Vec<(String, Case)> {
    let text = include_str!("../golden/golden.json");
    let cases: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let case = |golden: Value| {
        let rows: Vec<Vec<f32>> = serde_json::from_value(golden["vectors"].clone()).unwrap();
        Case {
            vectors: Vectors::new(&rows).unwrap(),
            classes: serde_json::from_value(golden["classes"].clone()).unwrap(),
            speakers: serde_json::from_value(golden["speakers"].clone()).unwrap(),
            golden,
        }
    };
    cases.into_iter().map(|(name, golden)| (name, case(golden))).collect()
}

pub(crate) fn digits() -> Case {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "digits").unwrap();
    case
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, not {expected}");
}

#[test]
fn silhouettes_and_discrepancies_are_the_references() {
    for (name, case) in cases() {
        let distances = Distances::of(&case.vectors);
        let found = silhouette(&distances, &case.classes).unwrap();
        close(found, case.number("silhouette"), 1e-9, &name);
        let found = discrepancies(&distances, &case.classes).unwrap();
        close(found.bandwidth, case.number("bandwidth"), 1e-9, &name);
        let expected: Vec<(usize, usize, f64)> = serde_json::from_value(case.golden["mmd2"].clone()).unwrap();
        assert_eq!(found.pairs.len(), expected.len());
        for (pair, (one, other, mmd2)) in found.pairs.iter().zip(expected) {
            assert_eq!(pair.classes, [one, other]);
            close(pair.mmd2, mmd2, 1e-9, &name);
        }
    }
}

#[test]
fn principal_components_are_scikit_learns() {
    for (name, case) in cases() {
        let found = principal(&case.vectors);
        let expected: Vec<[f64; 2]> = serde_json::from_value(case.golden["pca"].clone()).unwrap();
        for (place, expected) in found.plane().iter().zip(&expected) {
            close(place[0], expected[0], 1e-8, &name);
            close(place[1], expected[1], 1e-8, &name);
        }
        let shares: [f64; 2] = serde_json::from_value(case.golden["variance_share"].clone()).unwrap();
        close(found.variance_share[0], shares[0], 1e-10, &name);
        close(found.variance_share[1], shares[1], 1e-10, &name);
        let plane = Distances::on_plane(&found.plane());
        let kept = trustworthiness(&Distances::of(&case.vectors), &plane, 5).unwrap();
        close(kept, case.number("trustworthiness_pca"), 1e-12, &name);
    }
}

#[test]
fn a_probe_finds_as_many_speakers_as_scikit_learns() {
    for (name, case) in cases() {
        let found = probe(&case.vectors, &case.speakers).unwrap();
        close(found.accuracy, case.number("probe"), 1e-12, &name);
    }
}

#[test]
fn tsne_and_umap_keep_neighbourhoods_as_the_references_do() {
    let case = digits();
    let distances = Distances::of(&case.vectors);
    let principal = principal(&case.vectors);
    for (method, name) in [(Method::Tsne, "tsne"), (Method::Umap, "umap")] {
        let places = project(method, &principal, &distances, 1).unwrap();
        let plane = Distances::on_plane(&places);
        let kept = trustworthiness(&distances, &plane, 5).unwrap();
        let apart = silhouette(&plane, &case.classes).unwrap();
        let (reference, its) = (
            case.number(&format!("trustworthiness_{name}")),
            case.number(&format!("silhouette_{name}")),
        );
        println!("{name}: trustworthiness {kept:.4} ({reference:.4}), silhouette {apart:.4} ({its:.4})");
        assert!(kept > reference - 0.02, "{name}: {kept}, {reference}");
        assert!(apart > its - 0.1, "{name}: {apart}, {its}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let case = digits();
    let run = |threads: usize, method: Method, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let principal = principal(&case.vectors);
            project(method, &principal, &Distances::of(&case.vectors), seed).unwrap()
        })
    };
    for method in Method::ALL {
        assert_eq!(run(1, method, 7), run(3, method, 7), "{method:?}");
    }
    assert_ne!(run(1, Method::Umap, 7), run(1, Method::Umap, 8));
}
