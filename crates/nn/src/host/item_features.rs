//! Features of items from files that other programs wrote.

use std::sync::Arc;

use emorun_features::{Common, FeatureError, FeatureSource};

use super::{HostError, HostOperation, HostValue};

/// Features that a node declares and the files that they are in.
#[derive(Clone, Debug)]
pub struct ItemFeatures {
    /// The files.
    pub source: Arc<FeatureSource>,
    /// What the node declares.
    pub declared: Common,
}

/// Why an item's feature cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ItemFeatureError {
    /// It is not there, or its file is damaged.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// It is another one than declared.
    #[error("{place} has shape {shape:?}; the node declares {}", described(*declared))]
    Shape {
        /// The feature.
        place: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What the node declares.
        declared: Common,
    },
}

impl ItemFeatures {
    /// The feature of an item.
    ///
    /// # Errors
    /// It is missing, cannot be read, or is not what the node declares.
    pub fn read(&self, item: &str) -> Result<HostValue, ItemFeatureError> {
        let located = self.source.lookup(item)?;
        if Common::of(std::slice::from_ref(&located))? != Some(self.declared) {
            return Err(ItemFeatureError::Shape {
                place: located.place(),
                shape: located.shape()?.to_vec(),
                declared: self.declared,
            });
        }
        let array = located.read()?;
        let time = array.shape().iter().rev().nth(1).copied().unwrap_or(1);
        let width = self.declared.width;
        Ok(match (self.declared.axes, self.declared.layers) {
            (1, _) => HostValue::Vector(array.into_values()),
            (_, Some(layers)) => HostValue::Stack {
                values: array.into_values(),
                layers,
                width,
            },
            _ => HostValue::Frames {
                values: array.into_values(),
                width,
                valid: time,
            },
        })
    }
}

impl HostOperation for ItemFeatures {
    fn compute(&self, item: &str, _input: Option<&HostValue>) -> Result<HostValue, HostError> {
        Ok(self.read(item)?)
    }

    fn reads_item(&self) -> bool {
        true
    }
}

/// A form in words, and the fields that declare it.
pub fn described(form: Common) -> String {
    let Common { axes, layers, width } = form;
    match (axes, layers) {
        (1, _) => format!("vectors {width} wide (`what: vector, width: {width}`)"),
        (_, Some(layers)) => {
            format!("stacks of {layers} layers {width} wide (`what: stack, layers: {layers}, width: {width}`)")
        }
        _ => format!("frames {width} wide (`what: frames, width: {width}`)"),
    }
}
