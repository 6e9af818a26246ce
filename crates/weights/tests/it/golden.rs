//! Files that PyTorch and safetensors wrote, and what these say is in them.

use crate::{find, golden, open};
use emorun_weights::{Checkpoint, WeightsError};
use serde_json::Value;

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(golden("expected.json")).unwrap()).unwrap()
}

fn assert_holds(checkpoint: &Checkpoint, file: &str) {
    let expected = expected();
    let tensors = expected[file].as_object().unwrap();
    let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), names, "{file}");
    for (name, tensor) in tensors {
        let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
        assert_eq!(checkpoint.shape(name).unwrap(), shape, "{file} {name}");
        assert_eq!(
            checkpoint.dtype(name).unwrap().to_string(),
            tensor["dtype"].as_str().unwrap(),
            "{file} {name}"
        );
        match tensor["values"].as_array() {
            Some(values) => {
                let values: Vec<u32> = values.iter().map(|v| (v.as_f64().unwrap() as f32).to_bits()).collect();
                let found = checkpoint.read_f32(name).unwrap();
                assert_eq!(
                    found.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                    values,
                    "{file} {name}"
                );
            }
            None => assert!(
                matches!(checkpoint.read_f32(name), Err(WeightsError::Dtype { .. })),
                "{file} {name}"
            ),
        }
    }
}

#[test]
fn every_golden_file_has_the_values_that_its_writer_put_in() {
    for file in [
        "mixed.safetensors",
        "zip.bin",
        "legacy.bin",
        "protocol4.bin",
        "parameters.pt",
        "wrapped.pt",
        "model_key.pt",
        "views.pt",
        "views_legacy.pt",
    ] {
        assert_holds(&open(&golden(file)).unwrap(), file);
    }
}

#[test]
fn a_folder_of_shards_is_one_checkpoint_with_its_configurations() {
    let located = find(&golden("sharded")).unwrap();
    assert_eq!(located.tensors.len(), 2);
    let checkpoint = Checkpoint::open(&located).unwrap();
    assert_holds(&checkpoint, "sharded");
    assert_eq!(checkpoint.config()["model_type"], "hubert");
    assert_eq!(checkpoint.preprocessor().unwrap()["do_normalize"], true);
}

#[test]
fn values_that_are_not_finite_are_refused_with_the_tensor_and_the_element() {
    let checkpoint = open(&golden("not_finite.safetensors")).unwrap();
    assert_eq!(checkpoint.read_f32("good").unwrap(), [1.0, 1.0]);
    for (name, text) in [("nan", "`nan` in"), ("huge", "is inf at element 0")] {
        let error = checkpoint.read_f32(name).unwrap_err();
        assert!(matches!(error, WeightsError::NotFinite { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(
        checkpoint
            .read_f32("nan")
            .unwrap_err()
            .to_string()
            .contains("NaN at element 1")
    );
}

#[test]
fn an_integer_tensor_is_refused_with_its_type() {
    let message = open(&golden("mixed.safetensors"))
        .unwrap()
        .read_f32("i64")
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`i64`") && message.contains("is i64, not f16"),
        "{message}"
    );
}

#[test]
fn a_tensor_that_is_not_there_is_named() {
    let message = open(&golden("zip.bin"))
        .unwrap()
        .read_f32("decoder")
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no tensor `decoder`") && message.contains("zip.bin"),
        "{message}"
    );
}

#[test]
fn a_pickle_that_would_run_code_is_refused_and_nothing_runs() {
    let here = std::env::current_dir().unwrap();
    for (file, global) in [
        ("attack_zip.pt", "posix.system"),
        ("attack_legacy.pt", "posix.system"),
        ("attack_protocol4.pt", "posix.system"),
        ("attack_popped.bin", "__builtin__.eval"),
    ] {
        match open(&golden(file)) {
            Err(WeightsError::PickleRefused { path, global: named }) => {
                assert_eq!(named, global);
                assert!(path.ends_with(file));
            }
            other => panic!("{file}: {other:?}"),
        }
    }
    assert!(matches!(
        open(&golden("attack_bare.bin")),
        Err(WeightsError::Damaged { .. })
    ));
    assert!(!here.join("emorun_was_here").exists());
}
