//! The host side of a checked experiment: what is computed there, what is kept.

use std::path::Path;

use emorun_audio::augment::AugmentError;
use emorun_data::StreamForm;
use emorun_lang::{NodeRef, Placement, PlanNode, Section, Signal};

use super::{Model, Prepared};
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::{AugmentationStep, Augmentations, Change};
use emorun_engine::feed::cached::{CachedNode, FeatureCache, Keeping};
use emorun_engine::feed::host::{HostParts, HostStep};
use emorun_engine::feed::streams::AUDIO;
use emorun_nn::draw::DrawKey;
use emorun_nn::host::HostOperation;
use emorun_nn::node::FRONT_END;
use emorun_nn::value::PortId;
use emorun_nodes::augmentations::{self, AugmentationKind};
use emorun_nodes::kinds::NodeConfig;
use emorun_pretrained::cache::Cache;
use emorun_pretrained::load::RANDOM;

/// How what is frozen of an encoder is computed. Whether it is kept changes no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caching {
    /// For each item alone, and kept: this many versions of each training item.
    Kept(u64),
    /// For each item alone whenever it is needed: of each training item in so many versions; with the reason.
    Anew(u64, String),
    /// In every step, as a batch; with the reason.
    Aside(String),
}

impl Caching {
    /// How many versions of each training item come again, where it is computed for each alone.
    pub fn views(&self) -> Option<u64> {
        match self {
            Self::Kept(views) | Self::Anew(views, _) => Some(*views),
            Self::Aside(_) => None,
        }
    }
}

/// True for what host nodes give and read; labels and texts stand at ports of their own.
fn is_host_value(signal: &Signal) -> bool {
    matches!(
        signal,
        Signal::Wave { .. }
            | Signal::Frames { .. }
            | Signal::Vector { .. }
            | Signal::LayerStack { .. }
            | Signal::Tokens { .. }
    )
}

/// How what is frozen of a node is computed; `None` of a node that has no such part.
fn of<'a>(caching: &'a [(String, Caching)], node: &PlanNode) -> Option<&'a Caching> {
    let (_, caching) = caching.iter().find(|(name, _)| *name == node.name)?;
    Some(caching)
}

/// Adds what is known of files that were not read.
fn stamp_files(files: &[&Path], hash: &mut blake3::Hasher) {
    for file in files {
        hash.update(file.as_os_str().as_encoded_bytes());
        let metadata = std::fs::metadata(file).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        hash.update(&metadata.map_or(0, |metadata| metadata.len()).to_le_bytes());
        hash.update(&since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    }
}

impl Model {
    /// What a node computes on the host, if it does: all of it, or its front end.
    pub(super) fn host_op(&self, node: &PlanNode) -> Result<Option<Box<dyn HostOperation>>, Failure> {
        let Some(found) = self.experiment.graph.node(&node.name) else {
            return Ok(None);
        };
        found
            .config
            .host_operation(&node.input_signals(), &self.facts)
            .map_err(|error| Failure::Bug(error.to_string()))
    }

    fn is_host(&self, name: &str) -> bool {
        name == emorun_lang::DATA
            || self
                .plan()
                .node(name)
                .is_some_and(|node| node.placement == Placement::Host)
    }

    /// The pretrained encoders and models from files, and how what is frozen of them is computed.
    pub fn caching(&self) -> Vec<(String, Caching)> {
        let any = self.augmentation_nodes().next().is_some();
        self.cached_kinds()
            .map(|(node, config, cache)| {
                let augmented = any && self.hears_audio(node);
                let aside = self.computed_in_batches(node, config).or_else(|| {
                    (augmented && cache.views.is_none()).then(|| {
                        "augmentation is drawn anew each epoch; `cache: { views: K }` takes K versions in turn".into()
                    })
                });
                let views = if augmented { cache.views.unwrap_or(1) } else { 1 };
                let caching = match aside {
                    Some(reason) => Caching::Aside(reason),
                    None if !cache.enabled => Caching::Anew(views, "`cache.enabled` is false".into()),
                    None if self.cache.is_none() => {
                        Caching::Anew(views, "there is no folder for caches on this machine".into())
                    }
                    None => Caching::Kept(views),
                };
                (node.name.clone(), caching)
            })
            .collect()
    }

    /// The nodes that can be told how what is frozen of them is kept.
    fn cached_kinds(&self) -> impl Iterator<Item = (&PlanNode, &NodeConfig, Cache)> {
        self.plan().nodes().iter().filter_map(|node| {
            let config = &self.experiment.graph.node(&node.name)?.config;
            Some((node, config, config.cache()?))
        })
    }

    /// Why what is frozen of a node cannot be computed for each item alone; `None` if it can.
    fn computed_in_batches(&self, node: &PlanNode, config: &NodeConfig) -> Option<String> {
        if !node.inputs.iter().all(|input| self.is_host(&input.node)) {
            return Some("its input is computed on the device".into());
        }
        if self.reads_items(node) {
            return Some("its input is read from files of the items' own".into());
        }
        config.not_cacheable(&node.input_signals(), &self.facts)
    }

    /// The first node whose `cache.views` is not that of another: an item is augmented once for all nodes. Gives its
    /// name, what is wrong and what helps.
    pub(super) fn views_conflict(&self) -> Option<(String, String, String)> {
        self.augmentation_nodes().next()?;
        let nodes: Vec<(&PlanNode, Option<u64>, bool)> = self
            .cached_kinds()
            .filter(|(node, ..)| self.hears_audio(node))
            .map(|(node, config, cache)| (node, cache.views, self.computed_in_batches(node, config).is_none()))
            .collect();
        let (first, views) = nodes
            .iter()
            .find_map(|(node, views, alone)| Some((*node, views.filter(|_| *alone)?)))?;
        let (other, theirs, _) = nodes.iter().find(|(_, theirs, alone)| match theirs {
            Some(theirs) => *theirs != views,
            None => *alone,
        })?;
        let theirs = match theirs {
            Some(theirs) => format!("asks for {theirs} versions of each training item"),
            None => "would hear each training item augmented anew in every epoch".to_owned(),
        };
        Some((
            other.name.clone(),
            format!(
                "`{}` {theirs}, `{}` for {views} versions in turn; an item is augmented once for all encoders",
                other.name, first.name
            ),
            format!("give both the same, such as `cache: {{ views: {views} }}`"),
        ))
    }

    /// Whether anything upstream of a node reads files of the items' own, which their audio does not tell.
    fn reads_items(&self, node: &PlanNode) -> bool {
        node.inputs.iter().any(|input| {
            let config = self.experiment.graph.node(&input.node).map(|node| &node.config);
            config.is_some_and(|config| config.feature_files().is_some())
                || self.plan().node(&input.node).is_some_and(|node| self.reads_items(node))
        })
    }

    /// Whether anything of what a node takes is, or follows from, the items' own audio, which augmentations change.
    fn hears_audio(&self, node: &PlanNode) -> bool {
        node.inputs.iter().any(|input| {
            let is_audio = input.node == emorun_lang::DATA && input.node_port == AUDIO;
            is_audio || self.plan().node(&input.node).is_some_and(|node| self.hears_audio(node))
        })
    }

    /// The streams of items that nodes take, among these nodes.
    pub fn streams(&self, among: impl Fn(&str) -> bool) -> Vec<(String, StreamForm)> {
        let mut found: Vec<(String, StreamForm)> = Vec::new();
        let nodes = self.plan().nodes().iter().filter(|node| among(&node.name));
        for input in nodes.flat_map(|node| &node.inputs) {
            let is_stream = input.node == emorun_lang::DATA && ![AUDIO, "text"].contains(&input.node_port.as_str());
            if is_stream
                && let Some(form) = StreamForm::of(&input.signal)
                && !found.iter().any(|(name, _)| *name == input.node_port)
            {
                found.push((input.node_port.clone(), form));
            }
        }
        found
    }

    fn augmentation_nodes(&self) -> impl Iterator<Item = (&str, &NodeConfig, &dyn AugmentationKind)> {
        self.experiment
            .graph
            .section(Section::Augmentations)
            .filter_map(|node| Some((node.name.as_str(), &node.config, node.config.as_augmentation()?)))
    }

    /// Ports whose values for each item are kept in memory from epoch to epoch: host values that
    /// device nodes read, and what cached encoders give.
    pub(super) fn host_ports(&self) -> Vec<PortId> {
        let caching = self.caching();
        let mut ports: Vec<PortId> = Vec::new();
        for node in self.plan().nodes() {
            if !node.section.has_ports() || node.placement == Placement::Host {
                continue;
            }
            let kept = matches!(of(&caching, node), Some(Caching::Kept(_)));
            let own = kept.then(|| PortId::new(&node.name, ""));
            let read = node
                .inputs
                .iter()
                .filter(|input| !kept && self.is_host(&input.node) && is_host_value(&input.signal))
                .map(|input| PortId::new(&input.node, &input.node_port));
            for port in own.into_iter().chain(read) {
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
        }
        ports
    }

    /// Builds the augmentations.
    ///
    /// # Errors
    /// The first that cannot be built, by the node's name, because of the files that it reads.
    pub fn build_augmentations(&self) -> Result<Augmentations, (String, AugmentError)> {
        let mut hash = blake3::Hasher::new();
        let held: Vec<&str> = self
            .augmentation_nodes()
            .flat_map(|(_, _, augmentation)| augmentation.holds())
            .map(NodeRef::as_str)
            .collect();
        let steps = self
            .augmentation_nodes()
            .filter(|(name, _, _)| !held.contains(name))
            .map(|node| self.augmentation_step(node, &mut hash))
            .collect::<Result<Vec<_>, _>>()?;
        // All of them have the same, which was checked.
        let caching = self.caching().into_iter();
        let heard = |name: &str| self.plan().node(name).is_some_and(|node| self.hears_audio(node));
        let mut heard = caching.filter(|(name, _)| heard(name));
        let views = heard.find_map(|(_, caching)| caching.views());
        Ok(Augmentations {
            views: views.filter(|_| !steps.is_empty()),
            steps,
            hash: *hash.finalize().as_bytes(),
            evaluated: None,
        })
    }

    /// An augmentation with those that it holds, which the language allows to be a few deep.
    fn augmentation_step(
        &self,
        (name, config, augmentation): (&str, &NodeConfig, &dyn AugmentationKind),
        hash: &mut blake3::Hasher,
    ) -> Result<AugmentationStep, (String, AugmentError)> {
        hash.update(name.as_bytes());
        hash.update(serde_json::to_string(config).unwrap_or_default().as_bytes());
        let built = augmentation
            .change(self.settings.sample_rate_hz)
            .map_err(|error| (name.to_owned(), error))?;
        let change = match built {
            augmentations::Change::Transform(augment) => {
                match self.facts.drawn(name) {
                    Some(content) => {
                        hash.update(&content);
                    }
                    None => stamp_files(&augment.files(), hash),
                }
                Change::Transform(augment)
            }
            augmentations::Change::Group(group) => Change::Group {
                p: group.p,
                count: group.count,
                steps: group
                    .of
                    .iter()
                    .filter_map(|held| self.augmentation_nodes().find(|(name, _, _)| *name == held.as_str()))
                    .map(|node| self.augmentation_step(node, hash))
                    .collect::<Result<_, _>>()?,
            },
        };
        Ok(AugmentationStep {
            name: name.to_owned(),
            only: augmentation.only().to_vec(),
            change,
        })
    }

    /// Everything that is computed on the host of recordings as they are, in a run with this seed on a kind of device
    /// (`cpu` or `cuda`), on which the last bits of what frozen encoders give depend.
    ///
    /// # Errors
    /// A host node cannot be built; its check should have found why.
    pub fn plain_host_parts(&self, seed: u64, device: &str) -> Result<HostParts, Failure> {
        let mut parts = HostParts {
            streams: self.streams(|_| true),
            ..HostParts::default()
        };
        let caching = self.caching();
        for node in self.plan().nodes().iter().filter(|node| node.section.has_ports()) {
            let on_host = node.placement == Placement::Host;
            let mut from: Vec<PortId> = node
                .inputs
                .iter()
                .filter(|input| self.is_host(&input.node) && is_host_value(&input.signal))
                .map(|input| PortId::new(&input.node, &input.node_port))
                .collect();
            let input = from.first().cloned();
            let alone = of(&caching, node).filter(|caching| caching.views().is_some());
            let stored = matches!(alone, Some(Caching::Kept(_)));
            if let Some(op) = self.host_op(node)?.filter(|op| op.reads_item() || input.is_some()) {
                let content = op.content().filter(|_| alone.is_some());
                let keeping = content.and_then(|content| self.keeping_of_model(node, content, stored));
                let output = PortId::new(&node.name, if on_host { "" } else { FRONT_END });
                from = vec![output.clone()];
                parts.steps.push(HostStep {
                    input,
                    output,
                    op,
                    keeping,
                });
            }
            if on_host {
                continue;
            }
            match from.first() {
                Some(input) if alone.is_some() => {
                    parts.cached.push(self.cached_node(node, input, seed, device, stored)?);
                }
                _ => {
                    for port in from {
                        if !parts.wanted.contains(&port) {
                            parts.wanted.push(port);
                        }
                    }
                }
            }
        }
        parts.decoded_on_disk = self.settings.training.loader.decoded_on_disk;
        let keeps = |caching: &Caching| matches!(caching, Caching::Kept(_));
        if parts.decoded_on_disk || caching.iter().any(|(_, caching)| keeps(caching)) {
            parts.cache = self.feature_cache();
        }
        Ok(parts)
    }

    /// Warns where nothing can be kept of what is frozen; for a command to say once.
    pub fn warn_of_no_cache(&self) {
        let caching = self.caching();
        let anew = caching.iter().filter_map(|(name, caching)| match caching {
            Caching::Anew(..) if self.cache.is_none() => Some(format!("`{name}`")),
            _ => None,
        });
        let anew: Vec<String> = anew.collect();
        if !anew.is_empty() {
            tracing::warn!(
                "nothing is kept: there is no folder for caches (set XDG_CACHE_HOME or HOME to one that can be written), so that what is frozen of {} is computed anew in every epoch, to the same numbers",
                anew.join(", ")
            );
        }
    }

    /// The folder of kept features; without one they are computed anew, with a warning.
    fn feature_cache(&self) -> Option<FeatureCache> {
        let root = self.cache.as_ref()?.join("features");
        let limit = self.settings.training.loader.cache_gib << 30;
        match FeatureCache::open(&root, limit) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!("features are computed anew instead of kept: {error}");
                None
            }
        }
    }

    /// How the results of a model from a file are kept: by its content and use, and by what comes before it.
    fn keeping_of_model(&self, node: &PlanNode, model: [u8; 32], stored: bool) -> Option<Keeping> {
        let file = self.experiment.graph.node(&node.name)?.config.model_file()?;
        let before: Vec<Option<String>> = node.inputs.iter().map(|input| self.content(&input.node)).collect();
        let mut hash = blake3::Hasher::new();
        hash.update(node.kind.as_bytes());
        hash.update(&model);
        hash.update(serde_json::json!([file.settings, before]).to_string().as_bytes());
        Some(Keeping {
            kind: node.kind.clone(),
            upstream: *hash.finalize().as_bytes(),
            precision: file.precision,
            stored,
        })
    }

    /// What a host node's values follow from beside the item.
    fn content(&self, name: &str) -> Option<String> {
        let node = self.plan().node(name)?;
        let operation = self.host_op(node).ok().flatten();
        match operation.and_then(|operation| operation.content()) {
            Some(content) => {
                let keeping = self.keeping_of_model(node, content, false)?;
                Some(blake3::Hash::from_bytes(keeping.upstream).to_string())
            }
            None => Some(node.hash.clone()),
        }
    }

    fn cached_node(
        &self,
        node: &PlanNode,
        input: &PortId,
        seed: u64,
        device: &str,
        stored: bool,
    ) -> Result<CachedNode, Failure> {
        let config = self
            .experiment
            .graph
            .node(&node.name)
            .map(|node| &node.config)
            .and_then(|config| Some((config, config.pretrained()?.settings())));
        let Some((config, pretrained)) = config else {
            return Err(Failure::Bug(format!("`{}` is no pretrained encoder", node.name)));
        };
        let facts = self.facts.checkpoint(&pretrained.weights);
        let mut hash = blake3::Hasher::new();
        hash.update(node.kind.as_bytes());
        match facts.and_then(|facts| facts.content) {
            Some(content) => hash.update(content.all.as_bytes()),
            None if pretrained.weights == RANDOM => {
                let key = DrawKey::root(seed).with("weights").with(&node.name);
                hash.update(&key.device_seed().to_le_bytes())
            }
            None => return Err(Failure::Bug(format!("the weights of `{}` were not read", node.name))),
        };
        let mut what = vec![
            serde_json::json!(pretrained.layout),
            serde_json::json!(pretrained.output),
            pretrained.train.frozen_part(),
            serde_json::json!(self.settings.precision),
            serde_json::json!(device),
        ];
        if !pretrained.final_norm {
            what.push("raw".into());
        }
        let what = serde_json::Value::Array(what);
        hash.update(what.to_string().as_bytes());
        Ok(CachedNode {
            name: node.name.clone(),
            input: input.clone(),
            keeping: Keeping {
                kind: config.kind().to_owned(),
                upstream: *hash.finalize().as_bytes(),
                precision: pretrained.cache.precision,
                stored,
            },
        })
    }
}

impl Prepared {
    /// As [`Model::plain_host_parts`], with the changes of training waveforms.
    ///
    /// # Errors
    /// As there, or an augmentation cannot be built.
    pub fn host_parts(&self, seed: u64, device: &str) -> Result<HostParts, Failure> {
        let augmentations = self
            .build_augmentations()
            .map_err(|(name, error)| Failure::Input(format!("augmentation `{name}`: {error}")))?;
        Ok(HostParts {
            augmentations,
            ..self.plain_host_parts(seed, device)?
        })
    }
}
