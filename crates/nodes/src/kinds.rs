//! The list of node kinds: the one place where a kind is registered.

use burn::module::Module;
use emorun_data::DatasetConfig;
use emorun_lang::{
    Cost, DeserializeError, InferError, Inferred, InputSignals, KindInfo, KindSet, Kinded, NodeSpec, Placement,
    Section, Signal, Tree, from_tree, schema_of,
};
use serde::{Serialize, Serializer};

use crate::augmentations::augmentation::{self, AugmentationNode};
use crate::encoders::EncoderKind;
use crate::encoders::fbank::FbankNode;
use crate::encoders::log_mel::LogMelNode;
use crate::encoders::mfcc::MfccNode;
use crate::encoders::onnx::Onnx;
use crate::encoders::precomputed::Precomputed;
use crate::encoders::pretrained::{Preparation, PretrainedKind};
use crate::heads::{HeadKind, Predicts};
use crate::losses::LossKind;
use crate::policies::kind::PolicyKind;
use crate::policies::layer::PolicyLayer;
use crate::policies::{PolicySpec, Rollout};
use crate::ramp::Ramp;
use crate::{augmentations, blocks, encoders, heads, losses, policies};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOp, ItemFeatures};
use emorun_nn::node::{BuildContext, BuildError, Context, Kind, Layer, Loss, NodeError, Outputs, Ports};
use emorun_nn::value::Value;
use emorun_pretrained::cache::Cache;
use emorun_pretrained::config::ConfigError;
use emorun_pretrained::load::RANDOM;
use emorun_pretrained::miniature::Miniature;

/// Matches the configurations of what does not run on the device.
macro_rules! host_kinds {
    () => {
        NodeConfig::Dataset(_)
            | NodeConfig::Augmentation(_)
            | NodeConfig::LogMel(_)
            | NodeConfig::Mfcc(_)
            | NodeConfig::Fbank(_)
            | NodeConfig::Precomputed(_)
            | NodeConfig::Onnx(_)
    };
}

/// The node as what its section asks of it; `None` in any other section. A kind that is listed in a section
/// without being what this asks does not compile, so that none is forgotten.
macro_rules! of_section {
    (Encoders, Encoders, $node:expr) => {
        Some($node)
    };
    (Heads, Heads, $node:expr) => {
        Some($node)
    };
    (Losses, Losses, $node:expr) => {
        Some($node)
    };
    (Policies, Policies, $node:expr) => {
        Some($node)
    };
    ($wanted:ident, $section:ident, $node:expr) => {{
        let _ = $node;
        None
    }};
}

/// Makes, from the list of device kinds, the enum of configurations, the enum of Burn modules and
/// the dispatch over both: Burn's `Module` cannot be boxed.
macro_rules! device_kinds {
    ($($name:ident => $config:ident($path:ty), $section:ident, $summary:literal, $source:literal, $inputs:literal => $outputs:literal;)+) => {
        /// Configuration of a node of any kind.
        #[derive(Clone, Debug)]
        pub enum NodeConfig {
            /// A corpus.
            Dataset(DatasetConfig),
            /// A change of training waveforms on the host.
            Augmentation(AugmentationNode),
            /// Log-mel spectrogram on the host.
            LogMel(LogMelNode),
            /// Mel-frequency cepstral coefficients on the host.
            Mfcc(MfccNode),
            /// Kaldi's filterbank energies on the host.
            Fbank(FbankNode),
            /// Features from files.
            Precomputed(Precomputed),
            /// A frozen model from an ONNX file.
            Onnx(Onnx),
            $(
                #[doc = $summary]
                $config($path)
            ),+
        }

        /// Module of a device node of any kind.
        #[derive(Module, Debug)]
        pub enum NodeLayer {
            $(
                #[doc = $summary]
                $config(<$path as Kind>::Layer)
            ),+
        }

        impl Layer for NodeLayer {
            fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
                match self { $(Self::$config(layer) => layer.forward(inputs, context)),+ }
            }
            fn learning_rate(&self, path: &str) -> f64 {
                match self { $(Self::$config(layer) => layer.learning_rate(path)),+ }
            }
            fn named_axis(&self, path: &str) -> Option<usize> {
                match self { $(Self::$config(layer) => layer.named_axis(path)),+ }
            }
            fn prefix(&self, inputs: &Ports, context: &Context) -> Result<Option<Value>, NodeError> {
                match self { $(Self::$config(layer) => layer.prefix(inputs, context)),+ }
            }
            fn takes_partial_items(&self) -> bool {
                match self { $(Self::$config(layer) => layer.takes_partial_items()),+ }
            }
            fn fits(&self) -> bool {
                match self { $(Self::$config(layer) => layer.fits()),+ }
            }
            fn fit(&mut self, inputs: &Ports) -> Result<(), NodeError> {
                match self { $(Self::$config(layer) => layer.fit(inputs)),+ }
            }
            fn finish_fit(&mut self) {
                match self { $(Self::$config(layer) => layer.finish_fit()),+ }
            }
            fn relabel(&self, inputs: &Ports, context: &Context) -> Result<Option<Outputs>, NodeError> {
                match self { $(Self::$config(layer) => layer.relabel(inputs, context)),+ }
            }
            fn is_hidden_matrix(&self, path: &str) -> bool {
                match self { $(Self::$config(layer) => layer.is_hidden_matrix(path)),+ }
            }
        }

        impl NodeLayer {
            /// The module as that of a loss; `None` for any other node.
            pub fn as_loss(&self) -> Option<&dyn Loss> {
                match self { $(Self::$config(layer) => of_section!(Losses, $section, layer)),+ }
            }

            /// The module of a policy; `None` for any other node.
            pub fn policy(&self) -> Option<&PolicyLayer> {
                match self { $(Self::$config(layer) => of_section!(Policies, $section, layer)),+ }
            }
        }

        impl NodeSpec for NodeConfig {
            type Facts = Facts;

            fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
                match self {
                    // What datasets give stands at the ports of `data`.
                    Self::Dataset(_) => Ok(Inferred {
                        outputs: Vec::new(),
                        placement: Placement::Host,
                        cost: Cost::default(),
                        reads_labels: false,
                        train_only: false,
                    }),
                    Self::Augmentation(config) => config.infer(),
                    Self::LogMel(config) => config.infer(inputs),
                    Self::Mfcc(config) => config.infer(inputs),
                    Self::Fbank(config) => config.infer(inputs),
                    Self::Precomputed(config) => config.infer(),
                    Self::Onnx(config) => config.infer(inputs),
                    $(Self::$config(config) => config.infer(inputs, facts)),+
                }
            }
        }

        impl Serialize for NodeConfig {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Dataset(config) => config.serialize(serializer),
                    Self::Augmentation(config) => config.serialize(serializer),
                    Self::LogMel(config) => config.serialize(serializer),
                    Self::Mfcc(config) => config.serialize(serializer),
                    Self::Fbank(config) => config.serialize(serializer),
                    Self::Precomputed(config) => config.serialize(serializer),
                    Self::Onnx(config) => config.serialize(serializer),
                    $(Self::$config(config) => config.serialize(serializer)),+
                }
            }
        }

        impl NodeConfig {
            /// Builds a device node's module.
            ///
            /// # Errors
            /// As inference; a host node has no module; weights that cannot be used.
            pub fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<NodeLayer, BuildError> {
                match self {
                    host_kinds!() => {
                        Err(InferError::invalid("kind", "a host node has no module").into())
                    }
                    $(Self::$config(config) => config.build(inputs, context).map(NodeLayer::$config)),+
                }
            }

            /// What the numbers at the node's `input` stand for, where the node itself says so.
            pub fn input_names(&self) -> Option<Vec<String>> {
                match self {
                    host_kinds!() => None,
                    $(Self::$config(config) => config.input_names()),+
                }
            }

            /// The node as a kind of `encoders` that runs on the device.
            fn as_encoder(&self) -> Option<&dyn EncoderKind> {
                match self {
                    host_kinds!() => None,
                    $(Self::$config(config) => of_section!(Encoders, $section, config)),+
                }
            }

            /// The node as a kind of `heads`.
            fn as_head(&self) -> Option<&dyn HeadKind> {
                match self {
                    host_kinds!() => None,
                    $(Self::$config(config) => of_section!(Heads, $section, config)),+
                }
            }

            /// The node as a kind of `losses`.
            fn as_loss(&self) -> Option<&dyn LossKind> {
                match self {
                    host_kinds!() => None,
                    $(Self::$config(config) => of_section!(Losses, $section, config)),+
                }
            }

            /// The node as a kind of `policies`.
            fn as_policy(&self) -> Option<&dyn PolicyKind> {
                match self {
                    host_kinds!() => None,
                    $(Self::$config(config) => of_section!(Policies, $section, config)),+
                }
            }

            /// The kind's name.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Dataset(config) => config.kind(),
                    Self::Augmentation(config) => config.kind(),
                    Self::LogMel(_) => LOG_MEL.name,
                    Self::Mfcc(_) => MFCC.name,
                    Self::Fbank(_) => FBANK.name,
                    Self::Precomputed(_) => PRECOMPUTED.name,
                    Self::Onnx(_) => ONNX.name,
                    $(Self::$config(_) => stringify!($name)),+
                }
            }
        }

        const DEVICE_KINDS: &[KindInfo] = &[$(KindInfo {
            name: stringify!($name),
            section: Section::$section,
            summary: $summary,
            source: $source,
            schema: schema_of::<$path>,
            inputs: $inputs,
            outputs: $outputs,
        }),+];

        fn parse_device(kind: &str, fields: &Tree) -> Option<Result<NodeConfig, DeserializeError>> {
            match kind {
                $(stringify!($name) => Some(from_tree(fields).map(NodeConfig::$config)),)+
                _ => None,
            }
        }
    };
}

device_kinds! {
    hubert => Hubert(encoders::pretrained::Hubert), Encoders,
        "HuBERT, pretrained: frames or the stack of hidden states",
        "Hsu et al., IEEE/ACM TASLP 29, 2021", "input: wave" => "frames, or layer stack";
    wav2vec2 => Wav2Vec2(encoders::pretrained::Wav2Vec2Node), Encoders,
        "wav2vec 2.0, pretrained: frames or the stack of hidden states",
        "Baevski et al., NeurIPS 2020", "input: wave" => "frames, or layer stack";
    wavlm => WavLm(encoders::pretrained::WavLm), Encoders,
        "WavLM, pretrained: frames or the stack of hidden states",
        "Chen et al., IEEE JSTSP 16, 2022", "input: wave" => "frames, or layer stack";
    data2vec_audio => Data2VecAudio(encoders::pretrained::Data2VecAudio), Encoders,
        "data2vec for speech, pretrained: frames or the stack of hidden states",
        "Baevski et al., ICML 2022", "input: wave" => "frames, or layer stack";
    whisper => Whisper(encoders::pretrained::Whisper), Encoders,
        "encoder of Whisper, pretrained: frames or the stack of hidden states",
        "Radford et al., ICML 2023", "input: wave" => "frames, or layer stack";
    crnn => Crnn(encoders::crnn::Crnn), Encoders,
        "convolution blocks over a spectrogram, then a bidirectional GRU",
        "Zhao, Mao & Chen, Biomedical Signal Processing and Control 47, 2019", "input: frames" => "frames";
    transformer => Transformer(encoders::transformer::Transformer), Encoders,
        "transformer encoder trained from scratch",
        "Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020", "input: frames" => "frames";
    conv_pool => ConvPool(encoders::conv_pool::ConvPool), Encoders,
        "convolution blocks over a spectrogram, then the mean of what is left",
        "Lin, Chen & Yan, ICLR 2014", "input: frames" => "vector";
    normalise => Normalise(blocks::normalise::Normalise), Blocks,
        "zero mean and unit deviation in each band, over the training items",
        "cepstral mean and variance normalisation, per corpus", "input: frames" => "frames";
    spec_augment => SpecAugment(blocks::spec_augment::SpecAugment), Blocks,
        "random time and frequency masks while training",
        "Park et al., Interspeech 2019", "input: frames" => "frames";
    temporal_dropout => TemporalDropout(blocks::temporal_dropout::TemporalDropout), Blocks,
        "whole frames dropped at random while training",
        "system 3 of the reference", "input: frames" => "frames";
    feature_noise => FeatureNoise(blocks::feature_noise::FeatureNoise), Blocks,
        "Gaussian noise on frames while training",
        "Bishop, Neural Computation 7(1), 1995", "input: frames" => "frames";
    sequence_crop => SequenceCrop(blocks::sequence_crop::SequenceCrop), Blocks,
        "a stretch of drawn place while training",
        "system 3 of the reference", "input: frames" => "frames";
    mixup => Mixup(blocks::mixup::Mixup), Blocks,
        "items blended with one another while training, and their labels at the port `target`",
        "Zhang et al., ICLR 2018", "input: frames, or vector, target: labels" => "as the input, target: soft labels";
    weighted_sum => WeightedSum(blocks::weighted_sum::WeightedSum), Blocks,
        "learned weighted sum of an encoder's layers",
        "Yang et al., SUPERB, Interspeech 2021", "input: layer stack" => "frames";
    linear => Linear(blocks::linear::Linear), Blocks,
        "linear layer, activation and dropout on each frame or vector",
        "torch.nn.Linear", "input: frames, or vector" => "as the input";
    pool => Pool(blocks::pool::Pool), Blocks,
        "mean, maximum, or mean and deviation over the valid frames",
        "Snyder et al., x-vectors, ICASSP 2018", "input: frames" => "vector";
    attention_pool => AttentionPool(blocks::attention_pool::AttentionPool), Blocks,
        "multi-head attention pooling over the valid frames",
        "Lin et al., ICLR 2017", "input: frames" => "vector";
    fuse => Fuse(blocks::fuse::Fuse), Blocks,
        "several vectors or streams of frames joined, summed or gated",
        "Arevalo et al., ICLR workshop 2017", "inputs: vectors, or frames at one rate" => "as the inputs";
    gradient_reversal => GradientReversal(blocks::gradient_reversal::GradientReversal), Blocks,
        "unchanged, but its gradient turned round",
        "Ganin & Lempitsky, ICML 2015", "input: frames, or vector" => "as the input";
    attention_classifier => AttentionClassifier(heads::attention_classifier::AttentionClassifier), Heads,
        "attention pooling and a two-layer classifier",
        "Safari, India & Hernando, Interspeech 2020", "input: frames, target: labels" => "logits";
    mean_classifier => MeanClassifier(heads::mean_classifier::MeanClassifier), Heads,
        "mean pooling and a two-layer classifier",
        "Ma et al., EmoBox, Interspeech 2024", "input: frames, target: labels" => "logits";
    mlp_classifier => MlpClassifier(heads::mlp_classifier::MlpClassifier), Heads,
        "classifier of several layers on a vector",
        "multilayer perceptron; Ioffe & Szegedy, ICML 2015", "input: vector, target: labels" => "logits";
    mlp_regressor => MlpRegressor(heads::mlp_regressor::MlpRegressor), Heads,
        "regression of several layers on a vector, such as of valence and arousal",
        "multilayer perceptron; Ioffe & Szegedy, ICML 2015", "input: vector, target: values" => "vector";
    early_classifier => EarlyClassifier(heads::early_classifier::EarlyClassifier), Heads,
        "classifier that answers when a policy says so, before an item's end",
        "Lakomkin et al., ICRA 2018", "input: frames, target: labels, uses.policy: a policy" => "logits, whole: logits, heard: seconds, state, taken, reward: frames";
    cross_entropy => CrossEntropy(losses::cross_entropy::CrossEntropy), Losses,
        "cross-entropy with class weights and label smoothing",
        "torch.nn.CrossEntropyLoss; Szegedy et al., CVPR 2016", "input: logits, target: labels (the head's own)" => "scalar";
    focal => Focal(losses::focal::Focal), Losses,
        "cross-entropy in which items that are classified well count less",
        "Lin et al., ICCV 2017", "input: logits, target: labels (the head's own)" => "scalar";
    soft_label_kl => SoftLabelKl(losses::soft_label_kl::SoftLabelKl), Losses,
        "divergence from the shares of raters' votes",
        "Kullback & Leibler 1951; Fayek et al., IJCNN 2016", "input: logits, target: soft labels" => "scalar";
    ccc => Ccc(losses::ccc::Ccc), Losses,
        "one minus the concordance of predicted numbers with true ones",
        "Lin, Biometrics 45, 1989", "input: vector, target: values (the head's own)" => "scalar";
    mse => Mse(losses::mse::Mse), Losses,
        "mean squared error of predicted numbers",
        "torch.nn.MSELoss", "input: vector, target: values (the head's own)" => "scalar";
    ctc => Ctc(losses::ctc::Ctc), Losses,
        "transcripts against scores of frames, over all alignments",
        "Graves et al., ICML 2006", "input: frames, target: text" => "scalar";
    triplet => Triplet(losses::triplet::Triplet), Losses,
        "items nearer to their own class than to others by a margin",
        "Schroff et al., CVPR 2015; Hermans et al. 2017", "input: vector, target: labels" => "scalar";
    center => Center(losses::center::Center), Losses,
        "items near the learned centre of their class",
        "Wen et al., ECCV 2016", "input: vector, target: labels" => "scalar";
    supervised_contrastive => SupervisedContrastive(losses::supervised_contrastive::SupervisedContrastive), Losses,
        "items more similar to their own class than to the rest of the batch",
        "Khosla et al., NeurIPS 2020", "input: vector, target: labels" => "scalar";
    reinforce => Reinforce(policies::reinforce::Reinforce), Policies,
        "policy that learns from the rewards that followed, less a baseline",
        "Williams, Machine Learning 8, 1992", "state, reward: of `run`, or frames of a rollout" => "actions, where it is held";
    ppo => Ppo(policies::ppo::Ppo), Policies,
        "policy that learns in small steps from generalised advantages",
        "Schulman et al. 2017; Schulman et al., ICLR 2016", "state, reward: of `run`, or frames of a rollout" => "actions, where it is held";
    random_policy => RandomPolicy(policies::random_policy::RandomPolicy), Policies,
        "policy that chooses at random",
        "uniform draws", "" => "actions, where it is held";
    fixed_policy => FixedPolicy(policies::fixed_policy::FixedPolicy), Policies,
        "policy that always takes the same action",
        "a constant", "" => "actions, where it is held";
}

const LOG_MEL: KindInfo = KindInfo {
    name: "log_mel",
    section: Section::Encoders,
    summary: "log-mel spectrogram, computed on the host",
    source: "torchaudio.transforms.MelSpectrogram",
    schema: schema_of::<LogMelNode>,
    inputs: "input: wave",
    outputs: "frames",
};

const MFCC: KindInfo = KindInfo {
    name: "mfcc",
    section: Section::Encoders,
    summary: "mel-frequency cepstral coefficients, computed on the host",
    source: "torchaudio.transforms.MFCC",
    schema: schema_of::<MfccNode>,
    inputs: "input: wave",
    outputs: "frames",
};

const FBANK: KindInfo = KindInfo {
    name: "fbank",
    section: Section::Encoders,
    summary: "Kaldi's log filterbank energies, computed on the host",
    source: "Povey et al., ASRU 2011; torchaudio.compliance.kaldi.fbank",
    schema: schema_of::<FbankNode>,
    inputs: "input: wave",
    outputs: "frames",
};

const PRECOMPUTED: KindInfo = KindInfo {
    name: "precomputed",
    section: Section::Encoders,
    summary: "features that other programs computed, from .npy and .safetensors files",
    source: "numpy's .npy format; safetensors; `emorun embed`",
    schema: schema_of::<Precomputed>,
    inputs: "",
    outputs: "frames, vector or layer stack",
};

const ONNX: KindInfo = KindInfo {
    name: "onnx",
    section: Section::Encoders,
    summary: "frozen model from an ONNX file, run on the host (build with `--features onnx`)",
    source: "the ONNX standard, onnx.ai; Wagner et al., IEEE TPAMI 45, 2023, for emotion dimensions",
    schema: schema_of::<Onnx>,
    inputs: "input: wave, or frames of a host node",
    outputs: "frames, or vector",
};

impl NodeConfig {
    /// The text of `weights:` of a pretrained encoder.
    pub fn weights(&self) -> Option<&str> {
        self.pretrained()
            .map(|pretrained| pretrained.settings().weights.as_str())
    }

    /// What training must know of a policy; `None` for any other node.
    pub fn policy(&self) -> Option<PolicySpec> {
        self.as_policy().map(PolicyKind::spec)
    }

    /// Where a policy that this node holds finds what it learns from; `None` for a node that holds none.
    pub fn rollout(&self) -> Option<Rollout> {
        self.as_head()?.rollout()
    }

    /// The node as a pretrained encoder.
    pub fn pretrained(&self) -> Option<&dyn PretrainedKind> {
        self.as_encoder()?.pretrained()
    }

    /// How the waveform is prepared for a pretrained encoder that takes waveforms as they are; `None` for any other
    /// node (Whisper's spectrogram is always the same), and where the checkpoint is not known.
    pub fn preparation(&self, facts: &Facts) -> Option<Preparation> {
        let takes_waves = !matches!(self, Self::Whisper(_));
        self.pretrained().filter(|_| takes_waves)?.settings().preparation(facts)
    }

    /// Whether the sizes of a pretrained encoder are a guess: its checkpoint is not on this machine
    /// and not known by name.
    pub fn guesses_sizes(&self, facts: &Facts) -> bool {
        self.pretrained().is_some_and(|pretrained| {
            let weights = &pretrained.settings().weights;
            weights != RANDOM && facts.checkpoint(weights).is_none() && !pretrained.is_known()
        })
    }

    /// Seconds that an encoder hears of each item, where there is a bound.
    pub fn hears_s(&self) -> Option<f64> {
        self.pretrained()?.hears_s()
    }

    /// What the user should know of how a pretrained encoder is trained.
    pub fn remark(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
        self.pretrained()?.remark(inputs, facts)
    }

    /// How what cannot change is kept; `None` for a node that keeps nothing.
    pub fn cache(&self) -> Option<Cache> {
        match self {
            Self::Onnx(config) => Some(config.cache),
            _ => self.pretrained().map(|pretrained| pretrained.settings().cache),
        }
    }

    /// A tiny checkpoint in place of a pretrained encoder's own; `None` for any other node.
    pub fn miniature(&self, facts: &Facts, width: Option<usize>) -> Option<Result<Miniature, ConfigError>> {
        self.pretrained().map(|pretrained| pretrained.miniature(facts, width))
    }

    /// Why what is frozen of an encoder cannot be kept; `None` if it can.
    pub fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
        match (self, self.pretrained()) {
            (Self::Onnx(_), _) => None,
            (_, Some(pretrained)) => pretrained.not_cacheable(inputs, facts),
            (_, None) => Some("it is no pretrained encoder".into()),
        }
    }

    /// What the node computes on the host: all of it, or the front end of a device node.
    ///
    /// # Errors
    /// As inference.
    pub fn host_op(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Option<HostOp>, InferError> {
        let rate_hz = inputs.iter().find_map(|(_, signal)| match signal {
            Signal::Wave { rate_hz } => Some(*rate_hz),
            _ => None,
        });
        Ok(match (self, rate_hz) {
            (Self::LogMel(config), Some(rate_hz)) => Some(HostOp::LogMel(Box::new(config.extractor(rate_hz)?))),
            (Self::Mfcc(config), Some(rate_hz)) => Some(HostOp::Mfcc(Box::new(config.extractor(rate_hz)?))),
            (Self::Fbank(config), Some(rate_hz)) => Some(HostOp::Fbank(Box::new(config.extractor(rate_hz)?))),
            (Self::Precomputed(config), _) => facts.features(&config.place()).map(|source| {
                HostOp::Precomputed(ItemFeatures {
                    source: source.clone(),
                    declared: config.declared(),
                })
            }),
            (Self::Onnx(config), _) => facts
                .model(config.model.as_str(), config.settings())
                .map(|model| HostOp::Model(model.clone())),
            (Self::Whisper(config), _) => Some(HostOp::WhisperMel(Box::new(config.front_end(inputs, facts)?))),
            _ => None,
        })
    }

    /// Metrics of the node as a head, the first of which chooses the best epoch; none for any other node.
    pub fn metrics(&self) -> &'static [&'static str] {
        self.as_head().map_or(&[], |head| head.predicts().metrics())
    }

    /// Whether the node as a head predicts numbers.
    pub fn is_regressor(&self) -> bool {
        self.as_head().is_some_and(|head| head.predicts() == Predicts::Numbers)
    }

    /// How the factor of a loss changes over training.
    pub fn loss_ramp(&self) -> Option<Ramp> {
        self.as_loss()?.factor().1
    }

    /// Factor in the sum of losses at a progress of training from 0 to 1; `None` for what is no loss.
    pub fn loss_weight(&self, progress: f64) -> Option<f64> {
        let (weight, ramp) = self.as_loss()?.factor();
        Some(weight * ramp.map_or(1.0, |ramp| ramp.at(progress)))
    }
}

/// All kinds of this program.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<KindInfo>);

impl Default for Kinds {
    fn default() -> Self {
        let mut kinds = emorun_data::KINDS.to_vec();
        kinds.extend_from_slice(augmentation::KINDS);
        kinds.extend_from_slice(&augmentations::augmentation_group::KINDS);
        kinds.push(LOG_MEL);
        kinds.push(MFCC);
        kinds.push(FBANK);
        kinds.push(PRECOMPUTED);
        kinds.push(ONNX);
        kinds.extend_from_slice(DEVICE_KINDS);
        Self(kinds)
    }
}

impl KindSet for Kinds {
    type Config = NodeConfig;

    fn kinds(&self) -> &[KindInfo] {
        &self.0
    }

    fn parse(&self, kind: &str, fields: &Tree) -> Result<NodeConfig, DeserializeError> {
        if kind == LOG_MEL.name {
            return from_tree(fields).map(NodeConfig::LogMel);
        }
        if kind == MFCC.name {
            return from_tree(fields).map(NodeConfig::Mfcc);
        }
        if kind == FBANK.name {
            return from_tree(fields).map(NodeConfig::Fbank);
        }
        if kind == PRECOMPUTED.name {
            return from_tree(fields).map(NodeConfig::Precomputed);
        }
        if kind == ONNX.name {
            return from_tree(fields).map(NodeConfig::Onnx);
        }
        if let Some(parsed) = AugmentationNode::parse(kind, fields) {
            return parsed.map(NodeConfig::Augmentation);
        }
        parse_device(kind, fields)
            .unwrap_or_else(|| DatasetConfig::deserialize_kind(kind, fields).map(NodeConfig::Dataset))
    }
}
