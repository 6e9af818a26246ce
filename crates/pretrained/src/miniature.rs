//! Checkpoints of a published architecture, but tiny: all its layers, a few channels wide, with
//! drawn weights. What `emorun smoke` loads in place of the real ones.

use std::collections::BTreeMap;

use burn::tensor::Device;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use super::config::{ConfigError, SpeechConfig, WhisperConfig};
use super::families::Family;
use super::known;
use super::reader::{Origin, WeightReader, draw};
use super::wav2vec2::Wav2Vec2;
use super::whisper::WhisperEncoder;
use emorun_nn::draw::DrawKey;

/// A checkpoint that is not written yet.
#[derive(Clone, Debug)]
pub struct Miniature {
    /// `config.json`.
    config: Value,
    /// `preprocessor_config.json`, where there is one.
    preprocessor: Option<Value>,
    /// Values of its tensors, with their shapes, by name.
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Miniature {
    /// A model of the wav2vec 2.0 layout with this `config.json`, `width` wide (a multiple of 4) or as wide
    /// as it says.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn speech(
        family: Family,
        config: &Value,
        preprocessor: Option<Value>,
        width: Option<usize>,
    ) -> Result<Self, ConfigError> {
        let mut config = config.clone();
        known::shrink_speech(&mut config, family, width);
        let sizes = SpeechConfig::from_json(family, &config)?;
        Ok(Self::listed(config, preprocessor, |reader| {
            Wav2Vec2::read(&sizes, false, reader);
        }))
    }

    /// A Whisper encoder with this `config.json`, `width` wide (a multiple of 2) or as wide as it
    /// says.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn whisper(config: &Value, preprocessor: Option<Value>, width: Option<usize>) -> Result<Self, ConfigError> {
        let mut config = config.clone();
        known::shrink_whisper(&mut config, width);
        let sizes = WhisperConfig::from_json(&config)?;
        Ok(Self::listed(config, preprocessor, |reader| {
            WhisperEncoder::read(&sizes, reader);
        }))
    }

    fn listed(config: Value, preprocessor: Option<Value>, read: impl FnOnce(&mut WeightReader<'_>)) -> Self {
        let key = DrawKey::root(0).with("miniature");
        let mut reader = WeightReader::new(Origin::Random(key), &Device::flex(), &|_| false, None, key);
        read(&mut reader);
        let tensors = reader.listed.into_iter().map(|tensor| {
            let values = draw(&key.with(&tensor.name), tensor.shape.iter().product(), tensor.init);
            (tensor.name, (tensor.shape, values))
        });
        Self {
            config,
            preprocessor,
            tensors: tensors.collect(),
        }
    }

    /// Its files, as transformers would write them: names and bytes.
    ///
    /// # Errors
    /// A tensor that cannot be stored, which is a bug.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, SafeTensorError> {
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .values()
            .map(|(_, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
            .collect();
        let views = self
            .tensors
            .iter()
            .zip(&bytes)
            .map(|((name, (shape, _)), bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, SafeTensorError>>()?;
        let mut files = vec![
            ("config.json", self.config.to_string().into_bytes()),
            ("model.safetensors", safetensors::serialize(views, None)?),
        ];
        let preprocessor = self.preprocessor.as_ref();
        files.extend(preprocessor.map(|file| ("preprocessor_config.json", file.to_string().into_bytes())));
        Ok(files)
    }
}
