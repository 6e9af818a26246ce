//! Checkpoints as people save them: read as what they are, or one error that says what they are and what helps.
//!
//! The expected states are transformers' (`tests/golden/encoders/make_encoders.py` and `make_batch_norm.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value as Json, json};

use crate::networks::turn;
use crate::pretrained::{HIDDEN, encoder_of, folder, hidden_error, last_hidden, read, sizes, states, waves};
use crate::support::Lab;

type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The tensors of a layout's checkpoint.
fn stored(layout: &str) -> Stored {
    let bytes = fs::read(folder(layout).join("model.safetensors")).unwrap();
    SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            (
                name.to_owned(),
                (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
            )
        })
        .collect()
}

/// Writes a checkpoint whose `config.json` is a layout's with other keys (`null` removes one).
fn write(at: &Path, layout: &str, tensors: &Stored, keys: &Json) {
    fs::create_dir_all(at).unwrap();
    let text = fs::read_to_string(folder(layout).join("config.json")).unwrap();
    let mut config: Json = serde_json::from_str(&text).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(at.join("config.json"), config.to_string()).unwrap();
    let preprocessor = "preprocessor_config.json";
    fs::copy(folder(layout).join(preprocessor), at.join(preprocessor)).unwrap();
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    fs::write(
        at.join("model.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
}

#[test]
fn a_model_is_read_behind_whatever_names_trainers_put_in_front_of_it() {
    let _turn = turn();
    let lab = Lab::new();
    let golden = read(&folder("hubert_base").join("golden.safetensors"));
    let (shape, expected) = last_hidden(&golden);
    let own = stored("hubert_base");
    let counter = (Dtype::I64, vec![1], 3_i64.to_le_bytes().to_vec());
    let head = (Dtype::F32, vec![1], 1_f32.to_le_bytes().to_vec());
    for (number, (front, between)) in [
        ("module.hubert.", ""),
        ("model.hubert.", ""),
        ("wav2vec2.", ""),
        ("wav2vec2.wav2vec2PT.hubert.", ""),
        ("_orig_mod.", ""),
        ("module.", "_orig_mod."),
        ("", "_fsdp_wrapped_module."),
    ]
    .into_iter()
    .enumerate()
    {
        let mut renamed: Stored = own
            .iter()
            .map(|(name, tensor)| {
                // A wrapper around each layer.
                let name = name.replace("encoder.layers.0.", &format!("encoder.layers.0.{between}"));
                (format!("{front}{name}"), tensor.clone())
            })
            .collect();
        renamed.insert(format!("{front}encoder.position_ids"), counter.clone());
        if !front.is_empty() && front != "_orig_mod." && front != "module." {
            renamed.insert("classifier_of_my_own.weight".to_owned(), head.clone());
        }
        let at = lab.path(format!("weights-{number}"));
        write(&at, "hubert_base", &renamed, &json!({}));
        let (found, lengths) = states(&encoder_of(&at, "hubert", &json!({})), waves(&golden, 0.0), false);
        let error = hidden_error(&found[0], expected, shape, lengths.as_slice());
        assert!(error <= HIDDEN, "{front} {between}: {error:.1e}");
    }
}

#[test]
fn batch_norm_in_front_of_the_positions_is_that_of_transformers() {
    let _turn = turn();
    let golden = read(&folder("hubert_batch_norm").join("golden.safetensors"));
    for train in ["none", "all"] {
        // Numbers in the padding must not matter.
        let network = encoder_of(
            &folder("hubert_batch_norm"),
            "hubert",
            &json!({ "output": "all", "train": train }),
        );
        for training in [false, train == "all"] {
            let (found, lengths) = states(&network, waves(&golden, 0.7), training);
            assert_eq!(lengths.as_slice(), sizes(&golden, "frame_lengths"));
            for (number, found) in found.iter().enumerate() {
                let (shape, expected) = &golden[&format!("hidden.{number}")];
                let error = hidden_error(found, expected, shape, lengths.as_slice());
                assert!(error <= HIDDEN, "train {train} hidden.{number}: {error:.1e}");
            }
        }
    }
}

/// What `check --deep` says of an experiment with these weights.
fn complaint(lab: &Lab, weights: &str) -> String {
    lab.write(
        "weights.yaml",
        format!("extends: hubert.yaml\nencoders:\n  hubert: null\n  enc: {{ kind: hubert, input: data.audio, weights: {weights}, train: none }}\n\
             heads: {{ emotion: {{ input: enc }} }}\n"),
    );
    let outcome = lab.emorun(&["check", "weights.yaml", "--deep"]);
    assert_ne!(outcome.code, 0, "{weights}");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    outcome.stderr
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_said_with_what_it_has_and_what_helps() {
    let lab = Lab::new();
    let own = stored("hubert_base");
    let with = |more: &[(&str, Dtype)]| {
        let mut tensors = own.clone();
        for (name, dtype) in more {
            let bytes = vec![0; if *dtype == Dtype::F32 { 4 } else { 8 }];
            tensors.insert((*name).to_owned(), (*dtype, vec![1], bytes));
        }
        tensors
    };
    let renamed = |fronts: &[&str]| -> Stored {
        fronts
            .iter()
            .flat_map(|front| {
                own.iter()
                    .map(move |(name, tensor)| (format!("{front}{name}"), tensor.clone()))
            })
            .collect()
    };
    let foreign: Stored = own
        .iter()
        .map(|(name, tensor)| (name.replace("feature_projection", "post_extract_proj"), tensor.clone()))
        .collect();
    for (name, tensors, keys, parts) in [
        (
            "adapter",
            with(&[("encoder.layers.0.adapter.weight", Dtype::F32)]),
            json!({}),
            vec!["encoder.layers.0.adapter.weight", "save it without"],
        ),
        (
            "two",
            renamed(&["student.", "teacher."]),
            json!({}),
            vec!["`student.`, `teacher.`"],
        ),
        ("twice", renamed(&["", "module."]), json!({}), vec!["twice"]),
        (
            "foreign",
            foreign,
            json!({}),
            vec!["feature_projection.projection.weight", "its tensors are `encoder."],
        ),
        (
            "no_type",
            own.clone(),
            json!({ "model_type": null }),
            vec!["no `model_type`", "\"model_type\": \"hubert\""],
        ),
        (
            "wrong_key",
            own.clone(),
            json!({ "hidden_size": "wide" }),
            vec!["hidden_size"],
        ),
    ] {
        write(&lab.path(name), "hubert_base", &tensors, &keys);
        let said = complaint(&lab, &format!("./{name}"));
        for part in parts {
            assert!(said.contains(part), "{name}: {part} in {said}");
        }
    }
    for (name, content, part) in [
        (
            "lfs",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "git lfs pull",
        ),
        ("html", "<!DOCTYPE html><html></html>", "web page"),
    ] {
        write(&lab.path(name), "hubert_base", &own, &json!({}));
        lab.write(&format!("{name}/model.safetensors"), content);
        let said = complaint(&lab, &format!("./{name}"));
        assert!(said.contains(part), "{name}: {said}");
    }
    write(&lab.path("adapters"), "hubert_base", &own, &json!({}));
    fs::remove_file(lab.path("adapters/model.safetensors")).unwrap();
    lab.write("adapters/adapter_config.json", "{\"peft_type\": \"LORA\"}");
    assert!(complaint(&lab, "./adapters").contains("merge_and_unload"));
    #[cfg(unix)]
    for target in ["/dev/zero", "/dev/tty"] {
        let at = lab.path("device");
        write(&at, "hubert_base", &own, &json!({}));
        fs::remove_file(at.join("config.json")).unwrap();
        std::os::unix::fs::symlink(target, at.join("config.json")).unwrap();
        complaint(&lab, "./device");
        complaint(&lab, target);
    }
}
