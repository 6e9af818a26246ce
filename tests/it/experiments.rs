//! The files under `experiments/` and `schemas/`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Lab, REPOSITORY, files, finished, json, yaml};

/// An experiment or model_runs file of the repository.
struct Example {
    name: String,
    text: String,
    value: Value,
    /// The schema that its first line names.
    schema: String,
}

fn examples() -> Vec<Example> {
    let folder = Path::new(REPOSITORY).join("experiments");
    let examples: Vec<Example> = files(&folder)
        .into_iter()
        .filter(|name| name.ends_with(".yaml"))
        .map(|name| {
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let header = text.lines().next().unwrap_or_default();
            let schema = header
                .strip_prefix("# yaml-language-server: $schema=../schemas/")
                .unwrap_or_else(|| panic!("{name} does not begin with its schema: {header}"))
                .to_owned();
            Example {
                value: yaml(folder.join(&name)),
                name,
                text,
                schema,
            }
        })
        .collect();
    assert!(examples.len() >= 5);
    examples
}

#[test]
fn schemas_are_up_to_date() {
    let lab = Lab::new();
    let outcome = finished(
        &lab.command(&["schema", "--check"])
            .current_dir(REPOSITORY)
            .output()
            .unwrap(),
    );
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn a_schema_that_is_not_up_to_date_is_named() {
    let lab = Lab::new();
    assert_eq!(lab.emorun(&["schema"]).code, 0);
    assert_eq!(lab.emorun(&["schema", "--check"]).code, 0);
    lab.write("schemas/experiment.schema.json", "{}\n");
    let outcome = lab.emorun(&["schema", "--check"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome
            .stderr
            .contains("schemas/experiment.schema.json is not up to date"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn examples_validate_against_the_schemas() {
    for example in examples() {
        let schema = json(Path::new(REPOSITORY).join("schemas").join(&example.schema));
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let mistakes: Vec<String> = validator
            .iter_errors(&example.value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(mistakes.is_empty(), "{}: {mistakes:#?}", example.name);
    }
}

#[test]
fn the_schemas_refuse_what_the_check_refuses() {
    let experiment = examples()
        .into_iter()
        .find(|example| example.name == "quickstart.yaml")
        .unwrap();
    let schema = json(Path::new(REPOSITORY).join("schemas").join(&experiment.schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for (path, value) in [
        ("/training/epochs", Value::from(0)),
        ("/training/epochs", Value::from("ten")),
        ("/training/optimizer/kind", Value::from("adamm")),
        ("/encoders/crnn/kind", Value::from("cross_entropy")),
        ("/encoders/crnn/gru_hidden", Value::Null),
        ("/split/test", Value::from(1.5)),
    ] {
        let mut changed = experiment.value.clone();
        *changed.pointer_mut(path).unwrap() = value.clone();
        assert!(!validator.is_valid(&changed), "{path} = {value}");
    }
}

#[test]
fn examples_pass_the_structural_check_without_any_corpus() {
    let lab = Lab::new();
    for example in examples() {
        let path = format!("experiments/{}", example.name);
        let arguments: &[&str] = if example.schema.starts_with("experiment") {
            &["check", &path, "--structure"]
        } else if example.schema.starts_with("preparation") {
            &["data", "prepare", &path, "--check"]
        } else {
            // A sweep has no structural check. One that is not on generated speech says which corpus is not
            // here, after the structure of all its runs.
            &["sweep", &path, "--check"]
        };
        let outcome = finished(&lab.command(arguments).current_dir(REPOSITORY).output().unwrap());
        let on_a_corpus = ["augmentation_policies.yaml", "early_decisions.yaml"].contains(&example.name.as_str());
        if on_a_corpus && outcome.code == 4 {
            assert!(outcome.stderr.contains("data/emodb"), "{}", outcome.stderr);
            continue;
        }
        assert_eq!(outcome.code, 0, "{path}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.matches("error").count(), 0, "{path}: {}", outcome.stderr);
    }
}

#[test]
fn examples_say_how_they_are_run() {
    for example in examples() {
        let path = format!("experiments/{}", example.name);
        let command = example
            .text
            .lines()
            .find_map(|line| line.strip_prefix("# Run it with: cargo run --release -- "))
            .unwrap_or_else(|| panic!("{path} does not say how it is run"));
        assert!(
            command.split_whitespace().any(|word| word == path),
            "{path} names another file: {command}"
        );
        assert!(
            example.text.lines().take_while(|line| line.starts_with('#')).count() >= 4,
            "{path} does not say what it is about"
        );
    }
}
