//! What a run is made of beside its settings, by content: compared when it goes on and when others start from it.

use std::collections::BTreeMap;
use std::path::Path;

use emorun_lang::Signal;
use emorun_weights::{WeightsError, hash_files};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::recordings::transforms;
use super::{Model, Prepared};
use emorun_engine::exit::Failure;
use emorun_nn::draw::DrawKey;
use emorun_nodes::kinds::NodeConfig;
use emorun_pretrained::load::RANDOM;
use emorun_pretrained::settings::Preparation;

/// The pretrained weights that an encoder begins with, and keeps where it does not train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsFacts {
    /// The text of `weights:`.
    pub weights: String,
    /// Commit of the Hub's repository, where they come from one.
    pub revision: Option<String>,
    /// BLAKE3 of the file of tensors; of several, of their hashes. Of random weights, the key that they are drawn by.
    pub tensors: String,
    /// BLAKE3 of `config.json`.
    pub config: Option<String>,
    /// BLAKE3 of `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<String>,
    /// How the waveform is prepared in front.
    pub preparation: Option<Preparation>,
    /// Whether any of them are frozen, so that the run's checkpoints do not hold them.
    pub frozen: bool,
}

impl WeightsFacts {
    /// Says in which way other weights are not these; nothing where an encoder gives the same with both.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let from = |facts: &Self| {
            let revision = facts.revision.as_ref();
            let revision = revision.map_or_else(String::new, |revision| format!(", revision {revision}"));
            format!("`{}`{revision}", facts.weights)
        };
        let changed = |what: &str, then: &str, now: &str| {
            Some(format!(
                "{what} then had the hash {then} ({}), now it is {now} ({})",
                from(self),
                from(other)
            ))
        };
        if self.tensors != other.tensors {
            if [&self.weights, &other.weights].iter().all(|weights| *weights == RANDOM) {
                return Some("weights that are `random` were drawn for another seed or node".into());
            }
            return changed("the file of tensors", &self.tensors, &other.tensors);
        }
        if let (Some(then), Some(now)) = (&self.config, &other.config)
            && then != now
        {
            return changed("config.json", then, now);
        }
        // What counts is what it says: a file that is missing may say the same by its absence.
        let normalises = |facts: &Self| facts.preparation.map(|preparation| preparation.normalise);
        if normalises(self) != normalises(other) {
            let none = || "none".to_owned();
            return changed(
                "preprocessor_config.json, which says whether waveforms are normalised,",
                &self.preprocessor.clone().unwrap_or_else(none),
                &other.preprocessor.clone().unwrap_or_else(none),
            );
        }
        None
    }
}

impl Model {
    /// Of each node whose outputs have names, these in their order: the classes of its target, or the numbers that it
    /// predicts. Those of a policy that a head holds are the head's, whose probabilities it sees.
    pub fn output_names(&self) -> IndexMap<String, Vec<String>> {
        let mut names: IndexMap<String, Vec<String>> = IndexMap::new();
        for node in self.plan().nodes() {
            let config = self.experiment.graph.node(&node.name).map(|node| &node.config);
            let input = |port: &str| node.inputs.iter().find(|input| input.port == port);
            let own = match input("target").map(|target| &target.signal) {
                Some(Signal::Labels { labels } | Signal::SoftLabels { labels }) => labels.classes.as_deref(),
                Some(Signal::Values { names }) => Some(names.as_slice()),
                _ => None,
            };
            if let Some(own) = own.filter(|_| node.cost.parameters > 0) {
                names.insert(node.name.clone(), own.to_vec());
                if config.and_then(|config| config.rollout()).is_some() {
                    let held = node.uses.iter().map(|held| held.node.clone());
                    names.extend(held.map(|held| (held, own.to_vec())));
                }
            }
            if let (Some(said), Some(input)) = (config.and_then(|config| config.input_names()), input("input")) {
                names.entry(input.node.clone()).or_insert(said);
            }
        }
        names
    }

    /// The pretrained weights of each encoder, in a run with this seed; without those that were not read.
    pub fn weights_facts(&self, seed: u64) -> IndexMap<String, WeightsFacts> {
        let of = |name: &str, config: &NodeConfig| {
            let pretrained = config.pretrained()?.settings();
            let node = self.plan().node(name)?;
            let facts = self.facts.checkpoint(&pretrained.weights);
            let content = facts.and_then(|facts| facts.content);
            let tensors = match content {
                Some(content) => content.tensors.to_string(),
                None if pretrained.weights == RANDOM => {
                    let key = DrawKey::root(seed).with("weights").with(name);
                    format!("random-{:016x}", key.device_seed())
                }
                None => return None,
            };
            let files = facts.and_then(|facts| facts.files.as_deref());
            Some(WeightsFacts {
                weights: pretrained.weights.clone(),
                revision: files.and_then(|files| files.located().revision.clone()),
                tensors,
                config: content.map(|content| content.config.to_string()),
                preprocessor: content.and_then(|content| Some(content.preprocessor?.to_string())),
                preparation: config.preparation(&self.facts),
                frozen: node.cost.parameters > node.cost.trainable,
            })
        };
        self.nodes()
            .filter_map(|(_, name, config)| Some((name.to_owned(), of(name, config)?)))
            .collect()
    }

    /// How waveforms are prepared for each pretrained encoder that takes them as they are.
    pub fn preparations(&self) -> IndexMap<String, Preparation> {
        let of = |(_, name, config): (_, &str, &NodeConfig)| Some((name.to_owned(), config.preparation(&self.facts)?));
        self.nodes().filter_map(of).collect()
    }

    /// Hashes of what nodes read beside the corpora and pretrained weights, by node: features and models from files, and
    /// the recordings that augmentations draw from.
    pub fn file_hashes(&self) -> BTreeMap<String, String> {
        let hash = |name: &str, config: &NodeConfig| {
            let features = config.feature_files();
            let features = features.and_then(|files| self.facts.features_hash(&files.place()));
            let model = || Some(config.model_file()?.read(&self.facts)?.hash());
            let drawn = || config.as_augmentation().and_then(|_| self.facts.drawn(name));
            features.or_else(model).or_else(drawn)
        };
        self.nodes()
            .filter_map(|(_, name, config)| {
                let hash = blake3::Hash::from_bytes(hash(name, config)?);
                Some((name.to_owned(), hash.to_string()))
            })
            .collect()
    }
}

impl Prepared {
    /// Names of the classes of each label column and attribute, in the order of their numbers.
    pub fn classes(&self) -> IndexMap<String, Vec<String>> {
        self.corpus.label_sets.clone()
    }

    /// Reads the recordings that augmentations draw from and notes what they are, by their names and content.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn note_drawn(&mut self) -> Result<(), Failure> {
        let memory = self.cache.as_ref().map(|folder| folder.join("hashed.json"));
        for (name, augment) in transforms(&self.augmentations.steps) {
            let files = augment.files();
            if !files.is_empty() {
                let content = content_of(&files, memory.as_deref())
                    .map_err(|error| Failure::Input(format!("augmentation `{name}`: {error}")))?;
                self.model.facts.insert_drawn(name, content);
            }
        }
        Ok(())
    }
}

/// BLAKE3 over files' names below the folder that they share, and their content; where the folder lies does not count.
fn content_of(files: &[&Path], memory: Option<&Path>) -> Result<[u8; 32], WeightsError> {
    let parent = |file: &&Path| file.parent().unwrap_or(Path::new("")).to_owned();
    let mut shared = files.first().map(parent).unwrap_or_default();
    for file in files {
        while !file.starts_with(&shared) && shared.pop() {}
    }
    let hashes = hash_files(files.iter().copied(), memory)?;
    let mut all = blake3::Hasher::new();
    for (file, hash) in files.iter().zip(hashes) {
        let name = file.strip_prefix(&shared).unwrap_or(file);
        let name = name.as_os_str().as_encoded_bytes();
        all.update(&(name.len() as u64).to_le_bytes()).update(name);
        all.update(hash.as_bytes());
    }
    Ok(*all.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_known_by_name_and_content_and_not_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |place: &str, text: &str| {
            let path = folder.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let content = |places: &[(&str, &str)]| {
            let files: Vec<_> = places.iter().map(|(place, text)| write(place, text)).collect();
            let files: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
            content_of(&files, None).unwrap()
        };
        let first = content(&[("a/x/1.wav", "one"), ("a/y/2.wav", "two")]);
        assert_eq!(
            first,
            content(&[("b/c/x/1.wav", "one"), ("b/c/y/2.wav", "two")]),
            "moved"
        );
        for others in [
            [("d/x/1.wav", "one"), ("d/y/2.wav", "three")],
            [("e/x/1.wav", "two"), ("e/y/2.wav", "one")],
            [("f/x/1.wav", "one"), ("f/y/3.wav", "two")],
            [("g/x/1.wav", "one"), ("g/z/2.wav", "two")],
        ] {
            assert_ne!(first, content(&others), "{others:?}");
        }
    }
}
