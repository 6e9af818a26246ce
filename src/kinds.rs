//! The list of node kinds: the one place where a kind is registered.

use burn::module::Module;
use emorun_data::DatasetConfig;
use emorun_lang::{
    Cost, DeserializeError, InferError, Inferred, InputSignals, KindInfo, KindSet, Kinded, NodeSpec, Placement,
    Section, Tree, from_tree, schema_of,
};
use serde::{Serialize, Serializer};

use crate::node::{BuildContext, Context, Kind, Layer, NodeError, Outputs, Ports};
use crate::nodes;
use crate::nodes::log_mel::LogMelNode;

/// Makes, from the list of device kinds, the enum of configurations, the enum of Burn modules and
/// the dispatch over both: Burn's `Module` cannot be boxed.
macro_rules! device_kinds {
    ($($name:ident => $config:ident($path:ty), $section:ident, $summary:literal, $source:literal, $inputs:literal => $outputs:literal;)+) => {
        /// Configuration of a node of any kind.
        #[derive(Clone, Debug)]
        pub enum NodeConfig {
            /// A corpus.
            Dataset(DatasetConfig),
            /// Log-mel spectrogram on the host.
            LogMel(LogMelNode),
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
            fn fits(&self) -> bool {
                match self { $(Self::$config(layer) => layer.fits()),+ }
            }
            fn fit(&mut self, inputs: &Ports) -> Result<(), NodeError> {
                match self { $(Self::$config(layer) => layer.fit(inputs)),+ }
            }
            fn finish_fit(&mut self) {
                match self { $(Self::$config(layer) => layer.finish_fit()),+ }
            }
        }

        impl NodeSpec for NodeConfig {
            fn infer(&self, inputs: &InputSignals<'_>) -> Result<Inferred, InferError> {
                match self {
                    // What datasets give stands at the ports of `data`.
                    Self::Dataset(_) => Ok(Inferred {
                        outputs: Vec::new(),
                        placement: Placement::Host,
                        cost: Cost::default(),
                        reads_labels: false,
                        train_only: false,
                    }),
                    Self::LogMel(config) => config.infer(inputs),
                    $(Self::$config(config) => config.infer(inputs)),+
                }
            }
        }

        impl Serialize for NodeConfig {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Dataset(config) => config.serialize(serializer),
                    Self::LogMel(config) => config.serialize(serializer),
                    $(Self::$config(config) => config.serialize(serializer)),+
                }
            }
        }

        impl NodeConfig {
            /// Builds a device node's module.
            ///
            /// # Errors
            /// As inference; and a host node has no module.
            pub fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<NodeLayer, InferError> {
                match self {
                    Self::Dataset(_) | Self::LogMel(_) => Err(InferError::invalid("kind", "a host node has no module")),
                    $(Self::$config(config) => config.build(inputs, context).map(NodeLayer::$config)),+
                }
            }

            /// The kind's name.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Dataset(config) => config.kind(),
                    Self::LogMel(_) => "log_mel",
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
    crnn => Crnn(nodes::crnn::Crnn), Encoders,
        "convolution blocks over a spectrogram, then a bidirectional GRU",
        "Zhao, Mao & Chen, Biomedical Signal Processing and Control 47, 2019", "input: frames" => "frames";
    transformer => Transformer(nodes::transformer::Transformer), Encoders,
        "transformer encoder trained from scratch",
        "Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020", "input: frames" => "frames";
    normalise => Normalise(nodes::normalise::Normalise), Blocks,
        "zero mean and unit deviation in each band, over the training items",
        "cepstral mean and variance normalisation, per corpus", "input: frames" => "frames";
    spec_augment => SpecAugment(nodes::spec_augment::SpecAugment), Blocks,
        "random time and frequency masks while training",
        "Park et al., Interspeech 2019", "input: frames" => "frames";
    attention_classifier => AttentionClassifier(nodes::attention_classifier::AttentionClassifier), Heads,
        "attention pooling and a two-layer classifier",
        "Safari, India & Hernando, Interspeech 2020", "input: frames, target: labels" => "logits";
    mean_classifier => MeanClassifier(nodes::mean_classifier::MeanClassifier), Heads,
        "mean pooling and a two-layer classifier",
        "Ma et al., EmoBox, Interspeech 2024", "input: frames, target: labels" => "logits";
    cross_entropy => CrossEntropy(nodes::cross_entropy::CrossEntropy), Losses,
        "cross-entropy with class weights and label smoothing",
        "torch.nn.CrossEntropyLoss; Szegedy et al., CVPR 2016", "input: logits, target: labels (the head's own)" => "scalar";
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

impl NodeConfig {
    /// Factor in the sum of losses; `None` for what is no loss.
    pub fn loss_weight(&self) -> Option<f64> {
        match self {
            Self::CrossEntropy(config) => Some(config.weight),
            _ => None,
        }
    }
}

/// All kinds of this program.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<KindInfo>);

impl Default for Kinds {
    fn default() -> Self {
        let mut kinds = emorun_data::KINDS.to_vec();
        kinds.push(LOG_MEL);
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
        parse_device(kind, fields)
            .unwrap_or_else(|| DatasetConfig::deserialize_kind(kind, fields).map(NodeConfig::Dataset))
    }
}
