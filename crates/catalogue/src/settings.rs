//! Configurations of many runs, in which most settings are the same: each setting is kept once.

use std::collections::HashMap;

use indexmap::IndexSet;
use serde_json::Value;

use crate::{Facts, Run};

/// Deepest part of a configuration that is told apart; what lies deeper is one value.
const DEEPEST: usize = 24;

/// A setting by its dotted path, and its value as JSON text.
pub(crate) type Setting = (String, String);

/// The settings of all runs, each once.
#[derive(Clone, Debug, Default)]
pub struct Settings(IndexSet<Setting>);

impl Settings {
    pub(crate) fn of(settings: impl IntoIterator<Item = Setting>) -> Self {
        Self(settings.into_iter().collect())
    }

    /// The path of a setting, and its value as JSON text.
    pub fn get(&self, place: u32) -> Option<(&str, &str)> {
        let (path, value) = self.0.get_index(place as usize)?;
        Some((path, value))
    }

    /// All paths, some of them several times.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| path.as_str())
    }

    /// The places of a configuration's settings, which are entered where they are new.
    pub(crate) fn enter(&mut self, resolved: &Value) -> Vec<u32> {
        let mut found = Vec::new();
        flatten(resolved, String::new(), 0, &mut |path, value| {
            let (place, _) = self.0.insert_full((path, value.to_string()));
            found.extend(u32::try_from(place));
        });
        found.sort_unstable();
        found
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }
}

/// Calls `with` for every value by its path. Lists of plain values are values; entries of other lists are told apart by
/// their numbers.
fn flatten(value: &Value, path: String, depth: usize, with: &mut impl FnMut(String, &Value)) {
    let below = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::Object(entries) if depth < DEEPEST && !entries.is_empty() => {
            for (key, value) in entries {
                flatten(value, below(key), depth + 1, with);
            }
        }
        Value::Array(entries)
            if depth < DEEPEST && entries.iter().any(|entry| entry.is_object() || entry.is_array()) =>
        {
            for (at, value) in entries.iter().enumerate() {
                flatten(value, below(&at.to_string()), depth + 1, with);
            }
        }
        Value::Null if path.is_empty() => {}
        value => with(path, value),
    }
}

/// All settings of one configuration.
pub(crate) fn flat(resolved: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    flatten(resolved, String::new(), 0, &mut |path, value| {
        found.push((path, value.clone()))
    });
    found
}

/// The settings in which each run differs from others of its experiment, in the order of `runs`.
///
/// Of runs of one experiment alone: networks of different experiments have little in common.
pub fn differing<'a>(settings: &'a Settings, runs: &[&'a Run]) -> Vec<Vec<(&'a str, &'a str)>> {
    let mut groups: HashMap<&str, (usize, Vec<usize>)> = HashMap::new();
    let is_configured = |facts: &Facts| !facts.settings.is_empty();
    for run in runs.iter().filter(|run| is_configured(&run.facts)) {
        let group = groups.entry(&run.facts.experiment);
        let (number, counts) = group.or_insert_with(|| (0, vec![0; settings.len()]));
        *number += 1;
        for place in &run.facts.settings {
            if let Some(count) = counts.get_mut(*place as usize) {
                *count += 1;
            }
        }
    }
    let of = |run: &&'a Run| {
        let Some((number, counts)) = groups.get(run.facts.experiment.as_str()) else {
            return Vec::new();
        };
        let own = run.facts.settings.iter();
        let own = own.filter(|place| counts.get(**place as usize) != Some(number));
        own.filter_map(|place| settings.get(*place)).collect()
    };
    runs.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_configuration_is_its_values_by_their_paths() {
        let resolved = json!({
            "name": "a", "training": { "lr": 1e-3, "betas": [0.9, 0.999], "groups": [{ "factor": 2 }] }, "blocks": {},
            "init_from": null,
        });
        let found: Vec<(String, String)> = flat(&resolved)
            .into_iter()
            .map(|(path, value)| (path, value.to_string()))
            .collect();
        let expected = [
            ("name", "\"a\""),
            ("training.lr", "0.001"),
            ("training.betas", "[0.9,0.999]"),
            ("training.groups.0.factor", "2"),
            ("blocks", "{}"),
            ("init_from", "null"),
        ];
        assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }

    #[test]
    fn runs_differ_from_those_of_their_own_experiment_alone() {
        let mut settings = Settings::default();
        let mut run = |experiment: &str, resolved: Value| Run {
            facts: Box::new(Facts {
                experiment: experiment.to_owned(),
                settings: settings.enter(&resolved),
                ..Facts::default()
            }),
            ..Run::default()
        };
        let runs = [
            run("a", json!({ "lr": 1, "seed": 3 })),
            run("b", json!({ "lr": 5 })),
            run("a", json!({ "lr": 2, "seed": 3, "new": true })),
            run("a", Value::Null),
        ];
        let runs: Vec<&Run> = runs.iter().collect();
        let expected: [&[(&str, &str)]; 4] = [&[("lr", "1")], &[], &[("lr", "2"), ("new", "true")], &[]];
        assert_eq!(differing(&settings, &runs), expected);
    }
}
