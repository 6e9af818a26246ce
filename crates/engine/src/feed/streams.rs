//! Streams of items on the host: what they give, and what follows from which.

use std::sync::Arc;

use emorun_data::{Item, StreamForm, StreamSource, StreamValue};
use emorun_lang::DATA;
use emorun_nn::host::HostValue;
use emorun_nn::presence::Presence;
use emorun_nn::value::{PortId, Value, Values};

use super::FeedError;
use super::augment::Version;
use super::host::{HostParts, HostPipeline};

/// Port of `data` at which items' own audio stands.
pub const AUDIO: &str = "audio";

impl HostParts {
    /// The port of `data` that a host value follows from. What is read from files of the items' own has no other, and
    /// follows from their audio as far as anybody knows.
    pub fn source<'a>(&'a self, port: &'a PortId) -> &'a str {
        if port.node == DATA {
            return &port.port;
        }
        let step = self.steps.iter().find(|step| step.output == *port);
        match step.and_then(|step| step.input.as_ref()) {
            Some(input) => self.source(input),
            None => AUDIO,
        }
    }
}

impl HostPipeline {
    /// Whether a host value that is not there yet is what stands at a port of `data`, or computed from it.
    pub(super) fn needs(&self, source: &str, port: &PortId, values: &[(PortId, HostValue)]) -> bool {
        if values.iter().any(|(at, _)| at == port) {
            return false;
        }
        if port.node == DATA {
            return port.port == source;
        }
        let step = self.parts.steps.iter().find(|step| step.output == *port);
        let input = step.and_then(|step| step.input.as_ref());
        input.is_some_and(|input| self.needs(source, input, values))
    }

    /// An item's part of a stream, which augmentation does not reach: where the item's other values never come again, it
    /// is remembered for itself. `None` where the item has none, and of texts, which do not go through the host.
    pub(super) fn stream(
        &self,
        item: &Item,
        name: &str,
        form: &StreamForm,
        version: &Version,
    ) -> Result<Option<HostValue>, FeedError> {
        let known_as = (item.key.clone(), format!("{DATA}.{name}"));
        let known = self.remembered().read.get(&known_as).cloned();
        if let Some(value) = known {
            return Ok(Some(HostValue::clone(&value)));
        }
        let loaded = item.load_stream(name, form, self.sample_rate_hz);
        let value = match (loaded.map_err(FeedError::Data)?, form) {
            (Some(StreamValue::Audio(samples)), _) => HostValue::Wave(samples),
            (Some(StreamValue::Frames(values)), StreamForm::Frames { width, .. }) => {
                HostValue::of_frames(values, *width)
            }
            (Some(StreamValue::Tokens(ids)), StreamForm::Tokens { vocabulary, .. }) => HostValue::Tokens {
                ids,
                vocabulary: *vocabulary,
            },
            _ => return Ok(None),
        };
        let mut remembered = self.remembered();
        if version.again().is_none() && value.bytes() <= remembered.budget {
            remembered.budget -= value.bytes();
            remembered.read.insert(known_as, Arc::new(value.clone()));
        }
        Ok(Some(value))
    }

    /// Whether the file that a host value follows from is still the one that was scanned.
    pub(super) fn check_unchanged(&self, port: &PortId, item: &Item) -> Result<(), FeedError> {
        let unchanged = match self.parts.source(port) {
            AUDIO => item.check_unchanged(),
            stream => item.check_stream_unchanged(stream),
        };
        unchanged.map_err(FeedError::Data)
    }

    /// Adds which items have each stream that some of them lack, at its port and behind the host nodes that follow from it.
    pub(super) fn add_presence(&self, rows: &[Item], values: &mut Values) {
        for (name, _) in &self.parts.streams {
            let presence = Presence::new(rows.iter().map(|item| item.stream(name).is_some()).collect());
            if presence.is_whole() {
                continue;
            }
            let of_steps = self.parts.steps.iter().map(|step| &step.output);
            let behind = of_steps.filter(|output| self.parts.source(output) == name);
            for port in behind.cloned().chain([PortId::new(DATA, name)]) {
                values.insert(port.presence(), Value::Presence(presence.clone()));
            }
        }
    }

    /// The texts of a stream, one an item.
    pub(super) fn texts(name: &str, rows: &[Item]) -> Value {
        let text = |item: &Item| match item.stream(name) {
            Some(StreamSource::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        Value::Text(rows.iter().map(text).collect())
    }
}
