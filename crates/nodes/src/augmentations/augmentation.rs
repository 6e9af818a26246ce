//! Waveform augmentations as nodes of the host pipeline.

use emorun_audio::augment::{AugmentConfig, AugmentError, Recordings};
use emorun_lang::{DeserializeError, InferError, Inferred, InputSignals, Tree, from_tree, schema_of};
use emorun_nn::facts::Facts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{AugmentationKind, Change};
use crate::contract::{Fields, Kind, without_outputs};

/// The field that every augmentation has beside those of its kind.
const ONLY: &str = "only";

/// An augmentation and the datasets that it is for.
#[derive(Clone, Debug)]
pub struct Augmentation<C> {
    /// Names of the datasets to whose training items it is applied; empty for all.
    pub only: Vec<String>,
    /// The fields of its kind.
    pub config: C,
}

impl<C: JsonSchema + DeserializeOwned> Fields for Augmentation<C> {
    fn schema() -> Value {
        let mut schema = schema_of::<C>();
        schema["properties"][ONLY] = json!({
            "description": "Datasets to whose training items it is applied; all of them when left out.",
            "type": "array",
            "items": { "type": "string" },
            "default": [],
        });
        schema
    }

    fn parse(fields: &Tree) -> Result<Self, DeserializeError> {
        let mut fields = fields.clone();
        let mut only = Vec::new();
        if let emorun_lang::Value::Map(entries) = &mut fields.value
            && let Some(at) = entries.iter().position(|entry| entry.key == ONLY)
        {
            only = from_tree(&entries.remove(at).value)?;
        }
        Ok(Self {
            only,
            config: from_tree(&fields)?,
        })
    }
}

impl<C: AugmentConfig> Kind for Augmentation<C> {
    fn infer(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        if let Err(errors) = self.config.validate()
            && let Some(error) = errors.first()
        {
            return Err(InferError::invalid(field_of(error), error.to_string()));
        }
        Ok(without_outputs(true))
    }

    fn recordings(&self) -> Option<Recordings> {
        self.config.recordings()
    }
}

impl<C: AugmentConfig> AugmentationKind for Augmentation<C> {
    fn only(&self) -> &[String] {
        &self.only
    }

    fn change(&self, rate_hz: u32) -> Result<Change<'_>, AugmentError> {
        self.config.build(rate_hz).map(Change::Transform)
    }
}

impl<C: Serialize> Serialize for Augmentation<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serde_json::to_value(&self.config).map_err(S::Error::custom)?;
        fields[ONLY] = json!(self.only);
        fields.serialize(serializer)
    }
}

/// The field that an error is about, as a dotted path.
pub fn field_of(error: &AugmentError) -> &str {
    match error {
        AugmentError::Probability(_) => "p",
        AugmentError::Range { field, .. } | AugmentError::Value { field, .. } | AugmentError::Length { field, .. } => {
            field
        }
        AugmentError::CategoryName(_) => "categories",
        AugmentError::Rate { .. } | AugmentError::Resample(_) => "kind",
        AugmentError::NoiseFolder(_) | AugmentError::NoiseFile(_) => "root",
    }
}

/// Whether an error is about files rather than about the experiment.
pub fn is_about_files(error: &AugmentError) -> bool {
    matches!(error, AugmentError::NoiseFolder(_) | AugmentError::NoiseFile(_))
}
