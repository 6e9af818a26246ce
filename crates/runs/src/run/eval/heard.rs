//! How much a run needs to hear of each recording.

use emorun_audio::{MIN_DURATION_S, Segment};
use emorun_data::{AudioSource, Items};

use emorun_engine::exit::Failure;
use emorun_experiment::prepare::Model;

/// The items with no more than so many seconds of each, from its beginning; shorter ones are whole.
///
/// # Errors
/// It is too little to be decoded, or what the run takes of items is more than recordings, which alone can be cut.
pub(super) fn beginnings(model: &Model, items: &Items, seconds: f64) -> Result<Items, Failure> {
    if !seconds.is_finite() || seconds < MIN_DURATION_S {
        return Err(Failure::Usage(format!(
            "--heard-seconds {seconds}: give {MIN_DURATION_S} or more, or `all`"
        )));
    }
    let cannot = |what: &str| Failure::Usage(format!("--heard-seconds cuts recordings, and {what}"));
    if let Some((stream, _)) = model.streams(|_| true).first() {
        return Err(cannot(&format!(
            "the run also takes `data.{stream}`, which would not be cut"
        )));
    }
    let mut reads = model.nodes().filter(|(_, _, config)| config.feature_files().is_some());
    if let Some((_, name, _)) = reads.next() {
        return Err(cannot(&format!("`{name}` reads features of whole ones from files")));
    }
    let cut = |item: Result<emorun_data::Item, emorun_data::DataError>| {
        let mut item = item?;
        let AudioSource::File { segment, .. } = &mut item.audio else {
            return Err(cannot("generated speech is none"));
        };
        if item.duration_s > seconds {
            let start_s = segment.map_or(0.0, |segment| segment.start_s);
            *segment = Some(Segment {
                start_s,
                end_s: start_s + seconds,
            });
            item.duration_s = seconds;
        }
        Ok(item)
    };
    items.iter().map(cut).collect()
}
