//! What happens, counted for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::models::Models;

/// Upper ends of the buckets of durations, in seconds: from a page's file to a long recording.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Upper ends of the buckets of batches, in clips.
const CLIPS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Media type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

/// All that is counted; copies count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<OfRoute, Histogram, fn() -> Histogram>,
    queue: Family<OfModel, Gauge>,
    batches: Family<OfModel, Histogram, fn() -> Histogram>,
    streams: Gauge,
    heard: Counter<f64, AtomicU64>,
    skipped: Counter,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("emorun");
        let requests = Family::default();
        registry.register("requests", "Requests that were answered", requests.clone());
        let durations: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(SECONDS));
        let help = "From a request's head to its answer; streams are not in it";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        let queue = Family::default();
        let help = "Clips that wait for a model or are being computed";
        registry.register("queue_clips", help, queue.clone());
        let batches: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(CLIPS));
        registry.register("batch_clips", "Clips that a model was given at a time", batches.clone());
        let streams = Gauge::default();
        registry.register("streams", "Streams that are open", streams.clone());
        let heard = Counter::default();
        let help = "Sound that came in streams";
        registry.register_with_unit("stream_audio", help, Unit::Seconds, heard.clone());
        let skipped = Counter::default();
        let help = "Updates of streams that were left out because the model was busy";
        registry.register("stream_updates_skipped", help, skipped.clone());
        Self(Arc::new(Counted {
            registry,
            requests,
            durations,
            queue,
            batches,
            streams,
            heard,
            skipped,
        }))
    }

    /// A request was answered with a code, after so long.
    pub fn answered(&self, route: &str, code: u16, after: Duration) {
        let route = route.to_owned();
        self.0
            .requests
            .get_or_create(&Answered {
                route: route.clone(),
                code,
            })
            .inc();
        // What a stream lasts says nothing of this server.
        if code != 101 {
            self.0
                .durations
                .get_or_create(&OfRoute { route })
                .observe(after.as_secs_f64());
        }
    }

    /// A model is given so many clips at a time.
    pub fn batch(&self, model: &str, clips: usize) {
        let model = model.to_owned();
        self.0.batches.get_or_create(&OfModel { model }).observe(clips as f64);
    }

    /// A stream has begun; it has ended when what this gives is dropped.
    pub fn stream(&self) -> OpenStream {
        self.0.streams.inc();
        OpenStream(self.clone())
    }

    /// So many seconds of sound came in a stream.
    pub fn heard(&self, seconds: f64) {
        self.0.heard.inc_by(seconds);
    }

    /// An update of a stream was left out.
    pub fn skipped(&self) {
        self.0.skipped.inc();
    }

    /// Everything, in the text form of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    /// It cannot be written to memory.
    pub fn text(&self, models: &Models) -> Result<String, std::fmt::Error> {
        for model in models.iter() {
            let of = OfModel {
                model: model.name.clone(),
            };
            let waiting = i64::try_from(model.waiting()).unwrap_or(i64::MAX);
            self.0.queue.get_or_create(&of).set(waiting);
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

/// An open stream, as counted.
#[derive(Debug)]
pub(crate) struct OpenStream(Metrics);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.streams.dec();
    }
}
