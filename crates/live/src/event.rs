//! What a listener says, and its form in JSON.

use emorun_metrics::Predicts;
use emorun_recognise::Head;
use serde_json::{Map, Value, json};

/// Something that has happened in a stream. Times are in seconds from its start.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody has begun to speak, or windows have become loud enough.
    SpeechStarted {
        /// Number of the stretch of speech, from 1 on.
        segment: u64,
        /// When it was noticed.
        time_s: f64,
        /// Where what is heard of it begins.
        from_s: f64,
    },
    /// A stretch of speech has ended. Its last update may still come.
    SpeechEnded {
        /// Its number.
        segment: u64,
        /// When it was noticed.
        time_s: f64,
        /// Where what was heard of it begins.
        from_s: f64,
        /// Where that ends.
        to_s: f64,
        /// Whether it had become too long, and goes on as another.
        forced: bool,
    },
    /// What the heads say now.
    Update(Update),
    /// Speech of which too little was heard to say anything.
    NotEnough {
        /// Its number.
        segment: u64,
        /// Where what was heard ends.
        time_s: f64,
        /// Seconds of speech heard.
        heard_s: f64,
        /// Whether no more comes of it.
        last: bool,
    },
    /// Questions that were dropped because newer ones came first.
    Skipped {
        /// When.
        time_s: f64,
        /// How many.
        count: u64,
    },
    /// The first samples that were no numbers of sound; they are heard as silence.
    BadSamples {
        /// When they came.
        time_s: f64,
        /// How many.
        count: u64,
    },
}

/// What the heads say of a stretch of speech so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Number of the stretch.
    pub segment: u64,
    /// Where the sound begins that the model was asked about, in seconds from the stream's start.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// Seconds of speech heard in this stretch, whether the model was asked about all of it or not.
    pub heard_s: f64,
    /// Whether no more comes of this stretch.
    pub last: bool,
    /// One for each head, in order.
    pub estimates: Vec<Estimate>,
}

/// What a head says.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// What it predicts.
    pub predicts: Predicts,
    /// What the model has answered: a probability for each class, or numbers.
    pub raw: Vec<f32>,
    /// The same, smoothed over the updates of this stretch.
    pub smoothed: Vec<f32>,
    /// The class that is shown, of a head of classes.
    pub label: Option<String>,
}

impl Event {
    /// An object whose `event` says which it is, with the fields of this type. A head whose temperature was fitted has
    /// `calibrated` too: what was smoothed, at that temperature.
    ///
    /// ```json
    /// {"event":"speech_started","segment":1,"time_s":0.944,"from_s":0.68}
    /// {"event":"not_enough","segment":1,"time_s":1.13,"heard_s":0.25,"last":false}
    /// {"event":"update","segment":1,"from_s":0.68,"to_s":1.38,"heard_s":0.5,"last":false,"heads":{
    ///   "emotion":{"label":"happy","probabilities":{"sad":0.2,"happy":0.8},"smoothed":{"sad":0.2,"happy":0.8}},
    ///   "dims":{"values":{"valence":0.25},"smoothed":{"valence":0.25}}}}
    /// {"event":"speech_ended","segment":1,"time_s":2.4,"from_s":0.68,"to_s":2.0,"forced":false}
    /// {"event":"skipped","time_s":2.4,"count":1}
    /// {"event":"bad_samples","time_s":2.4,"count":160}
    /// ```
    #[must_use]
    pub fn json(&self, heads: &[Head]) -> Value {
        let seconds = |seconds: &f64| number(*seconds);
        match self {
            Self::SpeechStarted {
                segment,
                time_s,
                from_s,
            } => json!({
                "event": "speech_started", "segment": segment, "time_s": seconds(time_s), "from_s": seconds(from_s),
            }),
            Self::SpeechEnded {
                segment,
                time_s,
                from_s,
                to_s,
                forced,
            } => json!({
                "event": "speech_ended", "segment": segment, "time_s": seconds(time_s), "from_s": seconds(from_s),
                "to_s": seconds(to_s), "forced": forced,
            }),
            Self::Update(update) => {
                let estimates = heads.iter().zip(&update.estimates);
                let estimates: Map<String, Value> = estimates
                    .map(|(head, estimate)| (head.name.clone(), estimate.json(head)))
                    .collect();
                json!({
                    "event": "update", "segment": update.segment, "from_s": seconds(&update.from_s),
                    "to_s": seconds(&update.to_s), "heard_s": seconds(&update.heard_s), "last": update.last,
                    "heads": estimates,
                })
            }
            Self::NotEnough {
                segment,
                time_s,
                heard_s,
                last,
            } => json!({
                "event": "not_enough", "segment": segment, "time_s": seconds(time_s), "heard_s": seconds(heard_s),
                "last": last,
            }),
            Self::Skipped { time_s, count } => {
                json!({ "event": "skipped", "time_s": seconds(time_s), "count": count })
            }
            Self::BadSamples { time_s, count } => {
                json!({ "event": "bad_samples", "time_s": seconds(time_s), "count": count })
            }
        }
    }
}

impl Estimate {
    fn json(&self, head: &Head) -> Value {
        let named = |numbers: &[f32]| -> Map<String, Value> {
            let numbers = numbers.iter().map(|&value| number(f64::from(value)));
            head.outputs.iter().cloned().zip(numbers).collect()
        };
        let (raw, smoothed) = (named(&self.raw), named(&self.smoothed));
        match self.predicts {
            Predicts::Classes => {
                let mut said = json!({ "label": self.label, "probabilities": raw, "smoothed": smoothed });
                if let Some(calibrated) = head.calibrated(&self.smoothed) {
                    said["calibrated"] = named(&calibrated).into();
                }
                said
            }
            Predicts::Numbers | Predicts::Frames => json!({ "values": raw, "smoothed": smoothed }),
        }
    }
}

/// A number to the millionth: of seconds, less than a sample.
fn number(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}
