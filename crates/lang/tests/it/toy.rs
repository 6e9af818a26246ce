//! A small language: a few kinds of every section, and settings.

use emorun_lang::{
    Cost, DataPath, DeserializeError, Diagnostic, Experiment, FrameRate, InferError, Inferred, InputSignals, Inputs,
    KindInfo, KindSet, Kinded, LabelSet, Language, NodeRef, NodeSpec, Placement, PortRef, ReadError, Report, Section,
    Signal, Sources, Tree, Uses, kinded_enum, load, schema_of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! config {
    ($(#[$meta:meta])* struct $name:ident { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($body)* }
    };
}

// Settings

config! {
    /// Every item on a random side.
    struct Random {
        /// Share of the items kept for testing.
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f32,
    }
}
config! {
    /// Disjoint folds.
    struct Folds {
        /// Number of folds.
        #[schemars(range(min = 2))]
        k: u32,
    }
}
kinded_enum! {
    /// How items are parted.
    pub enum Split {
        random => Random(Random),
        folds => Folds(Folds),
    }
}
config! {
    /// Adam.
    struct Adam {
        /// Learning rate.
        #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
        lr: f64,
        /// Decay rates of the moments.
        #[serde(default = "betas")]
        betas: [f32; 2],
    }
}
config! {
    /// Stochastic gradient descent.
    struct Sgd {
        /// Learning rate.
        lr: f64,
    }
}
fn betas() -> [f32; 2] {
    [0.9, 0.999]
}
kinded_enum! {
    /// How weights are updated.
    pub enum Optimizer {
        adam => Adam(Adam),
        sgd => Sgd(Sgd),
    }
}
config! {
    /// The training loop.
    struct Training {
        /// Passes over the training items.
        #[schemars(range(min = 1))]
        epochs: u32,
        /// How weights are updated.
        optimizer: Optimizer,
        /// Seeds of repeated runs.
        #[serde(default)]
        seeds: Option<Vec<u64>>,
    }
}
config! {
    /// Settings.
    struct Settings {
        /// Name of the experiment.
        #[schemars(length(min = 1))]
        name: String,
        /// Seed of every draw.
        #[serde(default)]
        seed: u64,
        /// How items are parted.
        split: Split,
        /// The training loop.
        training: Training,
    }
}

// Nodes

config! {
    /// A corpus.
    struct Corpus {
        /// Folder of the corpus.
        root: DataPath,
        /// Classes kept.
        #[serde(default)]
        emotions: Option<Vec<String>>,
    }
}
config! {
    /// Random gain.
    struct Gain {
        /// Range of the gain, in dB.
        db: [f32; 2],
        /// Probability.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        p: f32,
    }
}
fn half() -> f32 {
    0.3
}
config! {
    /// Log-mel features.
    struct LogMel {
        /// Waveform.
        #[serde(default = "audio")]
        input: PortRef,
        /// Number of bands.
        #[serde(default = "bands")]
        #[schemars(range(min = 1, max = 512))]
        bands: u16,
        /// Samples between frames.
        #[serde(default = "hop")]
        hop: u32,
    }
}
fn audio() -> PortRef {
    PortRef::new("data.audio")
}
fn bands() -> u16 {
    64
}
fn hop() -> u32 {
    160
}
/// What of an encoder is trained.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Train {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// The last layers.
    Last(u32),
}
config! {
    /// One of several augmentations.
    struct OneOf {
        /// Which.
        of: Vec<NodeRef>,
    }
}
config! {
    /// A pretrained encoder.
    struct Hubert {
        /// Waveform.
        input: PortRef,
        /// What is trained.
        #[serde(default)]
        train: Train,
    }
}
config! {
    /// Random masks.
    struct SpecAugment {
        /// Frames.
        input: PortRef,
        /// Number of masks.
        #[serde(default = "two")]
        masks: usize,
    }
}
fn two() -> usize {
    2
}
config! {
    /// Two streams together and each alone.
    struct Fuse {
        /// Streams of frames.
        inputs: Inputs,
        /// Width of the result.
        width: usize,
    }
}
config! {
    /// Statistics computed by the loader.
    struct HostStatistics {
        /// Anything.
        #[serde(default)]
        input: Option<PortRef>,
    }
}
config! {
    /// A denoiser that is called by others.
    struct Unet {
        /// Width.
        width: usize,
    }
}
config! {
    /// A vector for each class.
    struct LabelEmbedding {
        /// Labels.
        input: PortRef,
        /// Width of a vector.
        width: usize,
    }
}
config! {
    /// A classifier.
    struct Classifier {
        /// Frames or a vector.
        input: PortRef,
        /// Labels to learn.
        #[serde(default)]
        target: Option<PortRef>,
        /// Width of the hidden layer.
        #[serde(default = "hidden")]
        hidden: usize,
    }
}
fn hidden() -> usize {
    32
}
config! {
    /// Denoises step by step.
    struct Rollout {
        /// Condition.
        input: PortRef,
        /// What it calls.
        uses: Uses,
        /// Number of steps.
        steps: u32,
    }
}
config! {
    /// Cross-entropy.
    struct CrossEntropy {
        /// A head.
        input: PortRef,
        /// Weight in the sum of losses.
        #[serde(default = "one")]
        weight: f64,
    }
}
fn one() -> f64 {
    1.0
}
config! {
    /// A policy trained by reward.
    struct Guide {
        /// What was rolled out.
        input: PortRef,
    }
}
config! {
    /// A policy that acts on augmentations.
    struct Steer {
        /// What it is rewarded with.
        reward: PortRef,
        /// What it acts on.
        acts_on: Vec<NodeRef>,
    }
}

kinded_enum! {
    /// Every kind of node.
    pub enum Config {
        corpus => Corpus(Corpus),
        gain => Gain(Gain),
        one_of => OneOf(OneOf),
        log_mel => LogMel(LogMel),
        hubert => Hubert(Hubert),
        spec_augment => SpecAugment(SpecAugment),
        fuse => Fuse(Fuse),
        host_statistics => HostStatistics(HostStatistics),
        unet => Unet(Unet),
        label_embedding => LabelEmbedding(LabelEmbedding),
        classifier => Classifier(Classifier),
        rollout => Rollout(Rollout),
        cross_entropy => CrossEntropy(CrossEntropy),
        guide => Guide(Guide),
        steer => Steer(Steer),
    }
}

fn trained(parameters: u64) -> Cost {
    Cost {
        parameters,
        trainable: parameters,
        ..Cost::default()
    }
}

fn none(placement: Placement) -> Inferred {
    Inferred {
        outputs: Vec::new(),
        placement,
        cost: Cost::default(),
        reads_labels: false,
        train_only: false,
    }
}

fn frames(inputs: &InputSignals<'_>, port: &str) -> Result<(usize, FrameRate), InferError> {
    match inputs.require(port)? {
        Signal::Frames { width, rate } => Ok((*width, *rate)),
        other => Err(InferError::mismatch(port, "frames", other)),
    }
}

impl NodeSpec for Config {
    type Facts = ();

    // A match with one arm a kind, as `Kind::infer` has a file each in the program.
    fn infer(&self, inputs: &InputSignals<'_>, (): &()) -> Result<Inferred, InferError> {
        match self {
            Self::Corpus(_) | Self::Gain(_) | Self::OneOf(_) => Ok(none(Placement::Host)),
            Self::LogMel(config) => {
                let Signal::Wave { rate_hz } = *inputs.require("input")? else {
                    return Err(InferError::mismatch("input", "a wave", inputs.require("input")?));
                };
                let rate = FrameRate::new(rate_hz, config.hop)
                    .ok_or_else(|| InferError::invalid("hop", "must be at least 1"))?;
                let width = usize::from(config.bands);
                Ok(Inferred::device(Signal::Frames { width, rate }, Cost::default()))
            }
            Self::Hubert(config) => {
                let Signal::Wave { rate_hz } = *inputs.require("input")? else {
                    return Err(InferError::mismatch("input", "a wave", inputs.require("input")?));
                };
                let rate = FrameRate::new(rate_hz, 320).ok_or_else(|| InferError::invalid("input", "has no rate"))?;
                let cost = Cost {
                    parameters: 94_371_712,
                    trainable: match config.train {
                        Train::None => 0,
                        Train::All => 94_371_712,
                        Train::Last(layers) => u64::from(layers) * 7_087_872,
                    },
                    ..Cost::default()
                };
                Ok(Inferred::device(Signal::Frames { width: 768, rate }, cost))
            }
            Self::SpecAugment(_) => {
                let (width, rate) = frames(inputs, "input")?;
                Ok(Inferred {
                    train_only: true,
                    ..Inferred::device(Signal::Frames { width, rate }, Cost::default())
                })
            }
            Self::Fuse(config) => {
                let mut outputs = Vec::new();
                let mut first: Option<FrameRate> = None;
                for (name, signal) in inputs.below("inputs") {
                    let port = format!("inputs.{name}");
                    let (width, rate) = frames(inputs, &port)?;
                    if let Some(wanted) = first
                        && wanted != rate
                    {
                        return Err(InferError::Mismatch {
                            port,
                            wanted: format!("frames at {wanted}"),
                            found: signal.clone(),
                            help: Some("resample one of the two".to_owned()),
                        });
                    }
                    first = Some(rate);
                    outputs.push((name.to_owned(), Signal::Frames { width, rate }));
                }
                let rate = first.ok_or_else(|| InferError::Missing {
                    port: "inputs".to_owned(),
                })?;
                let width = config.width;
                outputs.push((String::new(), Signal::Frames { width, rate }));
                Ok(Inferred {
                    outputs,
                    ..Inferred::device(Signal::Scalar, trained(1000))
                })
            }
            Self::HostStatistics(_) => {
                inputs.require("input")?;
                Ok(Inferred {
                    placement: Placement::Host,
                    ..Inferred::device(Signal::Vector { width: 4 }, Cost::default())
                })
            }
            Self::Unet(config) => Ok(Inferred::device(Signal::Vector { width: config.width }, trained(5000))),
            Self::LabelEmbedding(config) => match inputs.require("input")? {
                Signal::Labels { .. } => Ok(Inferred::device(Signal::Vector { width: config.width }, trained(70))),
                other => Err(InferError::mismatch("input", "labels", other)),
            },
            Self::Classifier(config) => {
                let width = match inputs.require("input")? {
                    Signal::Frames { width, .. } | Signal::Vector { width } => *width,
                    other => return Err(InferError::mismatch("input", "frames or a vector", other)),
                };
                if config.hidden > width * 8 {
                    return Err(InferError::Invalid {
                        field: "hidden".to_owned(),
                        message: format!("is far wider than its input of {width}"),
                        help: Some(format!("at most {}", width * 8)),
                    });
                }
                let labels = match inputs.get("target") {
                    None => LabelSet::undetermined("emotion"),
                    Some(Signal::Labels { labels }) => labels.clone(),
                    Some(other) => return Err(InferError::mismatch("target", "labels", other)),
                };
                Ok(Inferred::device(
                    Signal::Logits { labels },
                    trained((width * config.hidden) as u64),
                ))
            }
            Self::Rollout(_) => {
                let (width, rate) = frames(inputs, "input")?;
                Ok(Inferred::device(Signal::Frames { width, rate }, Cost::default()))
            }
            Self::CrossEntropy(_) => match inputs.require("input")? {
                Signal::Logits { .. } => Ok(Inferred {
                    reads_labels: true,
                    ..Inferred::device(Signal::Scalar, Cost::default())
                }),
                other => Err(InferError::mismatch("input", "logits", other)),
            },
            Self::Steer(_) => match inputs.require("reward")? {
                Signal::Scalar => Ok(none(Placement::Device)),
                found => Err(InferError::mismatch("reward", "a number", found)),
            },
            Self::Guide(_) => {
                let (width, _) = frames(inputs, "input")?;
                Ok(Inferred::device(Signal::Vector { width }, trained(10)))
            }
        }
    }
}

/// The toy kinds.
pub struct Kinds(Vec<KindInfo>);

impl Kinds {
    pub fn new() -> Self {
        use Section::*;
        macro_rules! kinds {
            ($($section:ident $name:literal $config:ty),* $(,)?) => {
                vec![$(KindInfo {
                    name: $name,
                    section: $section,
                    summary: concat!("The kind ", $name, "."),
                    source: "none",
                    schema: schema_of::<$config>,
                    inputs: "",
                    outputs: "",
                }),*]
            };
        }
        Self(kinds![
            Datasets "corpus" Corpus,
            Augmentations "gain" Gain,
            Augmentations "one_of" OneOf,
            Encoders "log_mel" LogMel,
            Encoders "hubert" Hubert,
            Blocks "spec_augment" SpecAugment,
            Blocks "fuse" Fuse,
            Blocks "host_statistics" HostStatistics,
            Blocks "unet" Unet,
            Blocks "label_embedding" LabelEmbedding,
            Heads "classifier" Classifier,
            Generators "rollout" Rollout,
            Losses "cross_entropy" CrossEntropy,
            Policies "guide" Guide,
            Policies "steer" Steer,
        ])
    }
}

impl KindSet for Kinds {
    type Config = Config;

    fn kinds(&self) -> &[KindInfo] {
        &self.0
    }

    fn parse(&self, kind: &str, fields: &Tree) -> Result<Config, DeserializeError> {
        let config = Config::deserialize_kind(kind, fields)?;
        if let Config::Gain(gain) = &config
            && gain.db[0] > gain.db[1]
        {
            let span = fields.get("db").map_or(fields.span, |tree| tree.span);
            return Err(DeserializeError::new("the range is upside down", span));
        }
        Ok(config)
    }
}

/// What the datasets give.
pub fn data() -> Vec<(String, Signal)> {
    let labels = LabelSet::new("emotion", ["neutral", "happy", "sad", "angry"]);
    vec![
        ("audio".to_owned(), Signal::Wave { rate_hz: 16_000 }),
        ("emotion".to_owned(), Signal::Labels { labels }),
        ("text".to_owned(), Signal::Text),
    ]
}

/// What is seen of training.
pub fn run() -> Vec<(String, Signal)> {
    vec![
        ("progress".to_owned(), Signal::Scalar),
        ("validation.emotion.uar".to_owned(), Signal::Scalar),
    ]
}

/// A small experiment that is right.
pub const GOOD: &str = "\
name: good
split: { kind: random, test: 0.2 }
training:
  epochs: 5
  optimizer: { kind: adam, lr: 1.0e-4 }
datasets:
  toy: { kind: corpus, root: data/toy }
augmentations:
  louder: { kind: gain, db: [-6, 6] }
encoders:
  mel: { kind: log_mel }
blocks:
  masked: { kind: spec_augment, input: mel }
heads:
  emotion:
    kind: classifier
    input: masked
    target: data.emotion
losses:
  ce: { kind: cross_entropy, input: emotion }
";

pub type Toy = Experiment<Settings, Config>;

pub fn language() -> Language<Settings, Kinds> {
    Language::new(Kinds::new(), "/lab")
}

/// Reads `main.yaml` of `files` and checks it; the error is the report.
pub fn check(files: &[(&str, &str)], sets: &[&str]) -> Result<Toy, (Report, Sources)> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let mut read = |path: &str| {
        files
            .iter()
            .find(|(name, _)| *name == path)
            .map(|(_, text)| (*text).to_owned())
            .ok_or(ReadError::NotFound)
    };
    let tree = load("main.yaml", &sets, &mut read, &mut sources, &mut report);
    let Some(tree) = tree else {
        report.sort();
        return Err((report, sources));
    };
    let draft = language().read(tree, &mut report);
    match draft.finish(&data(), &run(), &(), report) {
        Ok((experiment, _)) => Ok(experiment),
        Err(report) => Err((report, sources)),
    }
}

/// As [`check`] for one file that must be right.
pub fn checked(text: &str) -> Toy {
    check(&[("main.yaml", text)], &[]).unwrap_or_else(|(report, sources)| panic!("{}", report.render(&sources, false)))
}

/// The rendered report of files that must be wrong.
pub fn rejected(files: &[(&str, &str)], sets: &[&str]) -> (Vec<Diagnostic>, String) {
    let Err((report, sources)) = check(files, sets) else {
        panic!("no mistake was found in {files:?} {sets:?}");
    };
    (report.diagnostics().to_vec(), report.render(&sources, false))
}
