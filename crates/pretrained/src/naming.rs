//! What a model's tensors are called in a checkpoint that others wrote.
//!
//! Trainers put the model into classes of their own, each of which puts a word in front of every name (`model.hubert.`,
//! `wav2vec2.wav2vec2PT.hubert.`); wrappers of PyTorch put words in between, wherever they were used. What is between is
//! left out, and what is in front is found by a tensor that every model of the architecture has.

use std::collections::BTreeMap;

/// Words that wrappers put into names: data parallelism, `torch.compile`, FSDP, activation checkpointing.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// Names shown where none fits.
const MOST_SHOWN: usize = 5;

/// The names of a model in a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// What the model's names begin with once wrappers are left out; often nothing.
    prefix: String,
    /// What the checkpoint calls a tensor, by its name without wrappers.
    stored: BTreeMap<String, String>,
}

impl Naming {
    /// Finds a model among the names of a checkpoint. Every model has the tensor `probe`; where several have it, the one
    /// without anything in front is meant, else the one behind the first of `prefixes` that is there.
    ///
    /// # Errors
    /// There is none, or several of which none is meant, or a name is there twice; in words, with the names.
    pub fn find<'a>(names: impl Iterator<Item = &'a str>, probe: &str, prefixes: &[&str]) -> Result<Self, String> {
        let mut stored = BTreeMap::new();
        for name in names {
            let plain = without_wrappers(name);
            if let Some(other) = stored.insert(plain.clone(), name.to_owned()) {
                return Err(format!(
                    "it has the tensor `{plain}` twice, as `{other}` and as `{name}`; save one of the two models alone"
                ));
            }
        }
        let fronts: Vec<&str> = stored
            .keys()
            .filter_map(|name| name.strip_suffix(probe))
            .filter(|front| front.is_empty() || front.ends_with('.'))
            .collect();
        let wanted = std::iter::once("").chain(prefixes.iter().copied());
        let prefix = match fronts.as_slice() {
            [one] => (*one).to_owned(),
            [] => {
                let mut shown: Vec<String> = stored
                    .values()
                    .take(MOST_SHOWN)
                    .map(|name| format!("`{name}`"))
                    .collect();
                if stored.len() > MOST_SHOWN {
                    shown.push(format!("and {} more", stored.len() - MOST_SHOWN));
                }
                return Err(format!(
                    "it has no tensor whose name ends in `{probe}`, which every checkpoint of the architecture has; its \
                     tensors are {}",
                    shown.join(", ")
                ));
            }
            several => wanted
                .into_iter()
                .find(|prefix| several.contains(prefix))
                .map(str::to_owned)
                .ok_or_else(|| {
                    let fronts: Vec<String> = several.iter().map(|front| format!("`{front}`")).collect();
                    format!(
                        "it has several models, whose tensors begin with {}; save the one that is meant alone",
                        fronts.join(", ")
                    )
                })?,
        };
        Ok(Self { prefix, stored })
    }

    /// What the checkpoint calls a tensor of the model.
    pub fn stored(&self, name: &str) -> Option<&str> {
        self.stored.get(&self.full(name)).map(String::as_str)
    }

    /// A tensor's name with what stands in front of the model's.
    pub fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The tensors of the checkpoint: what the model calls each (none outside the model), and what the checkpoint does.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.stored
            .iter()
            .map(|(plain, stored)| (plain.strip_prefix(self.prefix.as_str()), stored.as_str()))
    }

    /// Whether the model stands in the checkpoint with nothing in front of its names.
    pub fn is_bare(&self) -> bool {
        self.prefix.is_empty()
    }
}

fn without_wrappers(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: &str = "projection.weight";

    fn find(names: &[&str]) -> Result<Naming, String> {
        Naming::find(names.iter().copied(), PROBE, &["hubert."])
    }

    #[test]
    fn whatever_stands_in_front_of_a_model_is_found() {
        for (front, between) in [
            ("", ""),
            ("hubert.", ""),
            ("module.hubert.", ""),
            ("model.hubert.", ""),
            ("wav2vec2.wav2vec2PT.hubert.", ""),
            ("_orig_mod.", ""),
            ("model._orig_mod.module.encoder.", ""),
            ("", "_fsdp_wrapped_module."),
            ("net.", "_checkpoint_wrapped_module._orig_mod."),
        ] {
            let probe = format!("{front}{between}{PROBE}");
            let other = format!("{front}layers.0.{between}bias");
            let naming = find(&[&probe, &other, "head.weight"]).unwrap();
            assert_eq!(naming.stored(PROBE), Some(probe.as_str()));
            assert_eq!(naming.stored("layers.0.bias"), Some(other.as_str()));
            assert_eq!(naming.stored("layers.1.bias"), None);
            let outside = naming.all().filter(|(own, _)| own.is_none()).count();
            assert_eq!(outside, usize::from(!naming.is_bare()), "{front}");
        }
    }

    #[test]
    fn of_several_models_the_known_one_is_meant_or_all_are_named() {
        let naming = find(&["hubert.projection.weight", "teacher.projection.weight"]).unwrap();
        assert_eq!(naming.full("x"), "hubert.x");
        assert!(find(&["projection.weight", "ema.projection.weight"]).unwrap().is_bare());
        let error = find(&["student.projection.weight", "teacher.projection.weight"]).unwrap_err();
        assert!(error.contains("`student.`, `teacher.`"), "{error}");
        let error = find(&["projection.weight", "module.projection.weight"]).unwrap_err();
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn where_there_is_no_model_the_tensors_are_named() {
        let error = find(&["a.weight", "b.weight", "c", "d", "e", "f", "xprojection.weight"]).unwrap_err();
        assert!(
            error.contains("`a.weight`, `b.weight`") && error.contains("and 2 more"),
            "{error}"
        );
    }
}
