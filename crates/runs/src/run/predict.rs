//! What a trained run says of recordings: `emorun predict`.

use std::path::{Path, PathBuf};

use emorun_audio::{Segment, each_block, probe};
use emorun_data::{AudioSource, Item, Items};
use emorun_recognise::{Loudness, Prediction, Predictions, Recogniser, Windows};

use super::embed::{found_in, item};
use super::predictor::{Predictor, Source};
use super::trained::TrainedRun;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::OnReport;

/// What to say something of, and how.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Recordings, and folders of which all recordings are taken.
    pub given: &'a [PathBuf],
    /// Windows of each recording; the whole of it where there are none.
    pub windows: Option<Windows>,
    /// Root mean square below which a stretch counts as silence, in dB relative to full scale.
    pub silence_db: f64,
    /// `path=value` arguments that change the run's file.
    pub sets: &'a [String],
    /// Whether nothing may be downloaded.
    pub offline: bool,
}

/// Says what a run's heads make of recordings; of several runs, the mean of what they say.
///
/// # Errors
/// The run has no weights or is not made of what is there now, or nothing can be predicted without labels; a recording
/// that cannot be used is no error but listed.
pub fn predict(
    runs: &[TrainedRun],
    request: &Request<'_>,
    device: &Chosen,
    on_report: OnReport<'_>,
) -> Result<Predictions, Failure> {
    let mut unusable = Vec::new();
    let mut stretches = Vec::new();
    for path in found_in(request.given)? {
        match stretches_of(&path, request) {
            Ok(found) => stretches.extend(found),
            Err(reason) => unusable.push((path.display().to_string(), reason)),
        }
    }
    let items = |stretches: &[Stretch]| -> Items { stretches.iter().map(|stretch| stretch.item.clone()).collect() };
    let predictor = Predictor::for_items(
        runs,
        &items(&stretches),
        (request.sets, request.offline),
        device,
        on_report,
    )?;
    let shortest = stretches.iter().min_by(|a, b| a.seconds().total_cmp(&b.seconds()));
    if let Some((least, reason)) = shortest
        .map(|shortest| predictor.least(&shortest.item))
        .transpose()?
        .flatten()
    {
        let is_long = |stretch: &Stretch| predictor.samples(stretch.seconds()) >= least;
        for stretch in stretches.iter().filter(|stretch| !is_long(stretch)) {
            let reason = format!("is too short ({:.4} s): {reason}", stretch.seconds());
            unusable.push((stretch.file.clone(), reason));
        }
        stretches.retain(is_long);
    }
    let answers = predictor.answers(&items(&stretches), Source::Files)?;
    let stretches = stretches.into_iter().zip(answers).map(|(stretch, answers)| Prediction {
        file: stretch.file,
        start_s: stretch.start_s,
        end_s: stretch.end_s,
        silent: stretch.silent,
        answers,
    });
    Ok(Predictions {
        heads: predictor.heads().to_vec(),
        stretches: stretches.collect(),
        unusable,
    })
}

/// A stretch of a recording.
#[derive(Clone, Debug)]
struct Stretch {
    file: String,
    start_s: f64,
    end_s: f64,
    silent: bool,
    item: Item,
}

impl Stretch {
    fn seconds(&self) -> f64 {
        self.item.duration_s
    }
}

/// The stretches of a recording, which is decoded to its end before anything is computed; or why it cannot be used.
fn stretches_of(path: &Path, request: &Request<'_>) -> Result<Vec<Stretch>, String> {
    let whole = item(path).map_err(|failure| failure.to_string())?;
    let loudness = loudness_of(path)?;
    let duration_s = whole.duration_s;
    let file = path.display().to_string();
    let places = match request.windows {
        Some(windows) => windows.over(duration_s),
        None => vec![(0.0, duration_s)],
    };
    let is_whole = |start_s: f64, end_s: f64| start_s == 0.0 && end_s == duration_s;
    Ok(places
        .into_iter()
        .map(|(start_s, end_s)| {
            let mut item = whole.clone();
            if let AudioSource::File { segment, .. } = &mut item.audio
                && !is_whole(start_s, end_s)
            {
                *segment = Some(Segment { start_s, end_s });
                item.key = format!("{file}#{start_s}-{end_s}").into();
                item.duration_s = end_s - start_s;
                // What is kept by content is so by the whole file's.
                item.content = None;
            }
            Stretch {
                file: file.clone(),
                start_s,
                end_s,
                silent: loudness.db(start_s, end_s) < request.silence_db,
                item,
            }
        })
        .collect())
}

fn loudness_of(path: &Path) -> Result<Loudness, String> {
    let failed = |error: emorun_audio::AudioError| error.to_string();
    let info = probe(path).map_err(failed)?;
    let mut loudness = Loudness::new(info.rate_hz, info.channels);
    each_block(path, None, &mut |block| loudness.hear(block)).map_err(failed)?;
    Ok(loudness.finished())
}
