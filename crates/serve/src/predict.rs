//! `POST /v1/predict`: what a model says of a recording, as `emorun predict --format jsonl` writes it.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use emorun_recognise::{Form, Prediction, Predictions, Windows};
use serde::Deserialize;

use crate::app::App;
use crate::models::{Model, heard};
use crate::problem::Problem;
use crate::recording::{Recording, Stretch};
use crate::upload::Upload;

/// Loudness below which a stretch is marked as silence when nothing else is asked, in dB of full scale: that of the command.
const SILENCE_DB: f64 = -50.0;
/// Bounds of windows and hops, in seconds: those of the command.
const SECONDS: std::ops::RangeInclusive<f64> = 0.01..=86_400.0;
/// Most windows of a recording.
const MOST_WINDOWS: usize = 10_000;

/// What is asked of a recording.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Name of the model.
    model: Option<String>,
    /// Length of windows in seconds; the whole recording where there are none.
    window: Option<f64>,
    /// From one window to the next, in seconds; a third of the window when left out.
    hop: Option<f64>,
    /// Loudness below which a stretch is marked as silence, in dB of full scale.
    silence: Option<f64>,
}

impl Asked {
    fn windows(&self) -> Result<Option<Windows>, Problem> {
        let Some(window_s) = self.window else {
            let nothing = self.hop.map_or(Ok(None), |_| {
                Err(Problem::bad("`hop` is that of windows: give `window` too"))
            });
            return nothing;
        };
        let hop_s = self.hop.unwrap_or(window_s / 3.0);
        if ![window_s, hop_s].iter().all(|seconds| SECONDS.contains(seconds)) {
            return Err(Problem::bad("`window` and `hop` are seconds from 0.01 to 86400"));
        }
        Ok(Some(Windows { window_s, hop_s }))
    }

    fn silence_db(&self) -> Result<f64, Problem> {
        let silence_db = self.silence.unwrap_or(SILENCE_DB);
        if silence_db.is_finite() {
            Ok(silence_db)
        } else {
            Err(Problem::bad("`silence` is a number of dB of full scale, such as -50"))
        }
    }
}

/// Answers a recording: a line of JSON for each stretch.
pub(crate) async fn predict(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let Query(asked) = Query::<Asked>::try_from_uri(request.uri())
        .map_err(|error| Problem::bad(format!("the query cannot be read: {}", error.body_text())))?;
    let model = app.models.find(asked.model.as_deref())?.clone();
    let (windows, silence_db) = (asked.windows()?, asked.silence_db()?);
    let busy = |_| Problem::busy("as many recordings as are taken at a time are being answered; try again");
    let _place = app.requests.try_acquire().map_err(busy)?;

    let Upload { name, file } = Upload::receive(request, &app.limits).await?;
    let limits = app.limits;
    let recording = app
        .in_background(move || Recording::decode(file.path(), &limits))
        .await?;
    let stretches = recording.stretches(windows, silence_db);
    let longest_s = stretches
        .iter()
        .map(|stretch| stretch.end_s - stretch.start_s)
        .fold(0.0, f64::max);
    if longest_s > app.limits.clip_seconds {
        return Err(Problem::too_large(format!(
            "{longest_s:.0} s are more than the {} s that the model is given at once; ask for windows, such as ?window=3&hop=1",
            app.limits.clip_seconds
        )));
    }
    if stretches.len() > MOST_WINDOWS {
        return Err(Problem::bad(format!(
            "{} windows are asked for, more than {MOST_WINDOWS}; use a longer hop",
            stretches.len()
        )));
    }
    let stretches = answered(&app, &model, Arc::new(recording), stretches, &name).await?;
    let predictions = Predictions {
        heads: model.heads.to_vec(),
        stretches,
        unusable: Vec::new(),
    };
    let text = predictions
        .text(Form::Jsonl)
        .map_err(|error| Problem::internal(&error.to_string()))?;
    // One object is JSON; several lines are not.
    let kind = if windows.is_some() {
        "application/x-ndjson"
    } else {
        "application/json"
    };
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What the model says of each stretch. So many at a time are made and asked of that neither memory nor the queue is
/// filled by one recording.
async fn answered(
    app: &App,
    model: &Model,
    recording: Arc<Recording>,
    stretches: Vec<Stretch>,
    name: &str,
) -> Result<Vec<Prediction>, Problem> {
    let rate_hz = model.rate_hz;
    let mut predictions = Vec::with_capacity(stretches.len());
    for (part, stretches) in stretches.chunks(model.share()).enumerate() {
        let (recording, clipped) = (recording.clone(), stretches.to_vec());
        let clips: Result<Vec<Vec<f32>>, Problem> = app
            .in_background(move || {
                let clips = clipped.iter().map(|&stretch| recording.clip(stretch, rate_hz));
                Ok(clips.collect())
            })
            .await?;
        let mut said = Vec::new();
        for clip in clips? {
            said.push(match part {
                // Whoever has begun is not sent away any more.
                0 if said.is_empty() => model.ask(clip)?,
                _ => model.ask_when_free(clip).await?,
            });
        }
        for (stretch, said) in stretches.iter().zip(said) {
            predictions.push(Prediction {
                file: name.to_owned(),
                start_s: stretch.start_s,
                end_s: stretch.end_s,
                silent: stretch.is_silent,
                answers: heard(said).await?,
            });
        }
    }
    Ok(predictions)
}
