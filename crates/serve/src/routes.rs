//! Where everything is, and what every request passes on its way there.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::app::App;
use crate::metrics::CONTENT_TYPE;
use crate::openapi;
use crate::page::{ASSETS, protect};
use crate::predict::predict;
use crate::problem::Problem;
use crate::stream::stream;

/// What programs ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Predict,
    Stream,
    Models,
    Health,
    Metrics,
    OpenApi,
}

impl Endpoint {
    pub const ALL: [Self; 6] = [
        Self::Predict,
        Self::Stream,
        Self::Models,
        Self::Health,
        Self::Metrics,
        Self::OpenApi,
    ];

    pub fn path(self) -> &'static str {
        match self {
            Self::Predict => "/v1/predict",
            Self::Stream => "/v1/stream",
            Self::Models => "/v1/models",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The method, as OpenAPI writes it.
    #[cfg(test)]
    pub fn method(self) -> &'static str {
        if self == Self::Predict { "post" } else { "get" }
    }

    /// Whether it answers only who shows the token, where there is one.
    pub fn is_secret(self) -> bool {
        !matches!(self, Self::Health | Self::OpenApi)
    }

    /// Whether it answers while the server ends.
    fn answers_at_the_end(self) -> bool {
        matches!(self, Self::Health | Self::Metrics)
    }

    fn handler(self) -> MethodRouter<Arc<App>> {
        match self {
            Self::Predict => post(predict),
            Self::Stream => get(stream),
            Self::Models => get(models),
            Self::Health => get(health),
            Self::Metrics => get(metrics),
            Self::OpenApi => get(openapi_document),
        }
    }
}

/// Everything that the server answers.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let endpoints = Endpoint::ALL.into_iter().fold(Router::new(), |router, endpoint| {
        let guarded = endpoint
            .handler()
            .layer(from_fn_with_state((app.clone(), endpoint), guard));
        router.route(endpoint.path(), guarded)
    });
    let all = ASSETS.into_iter().fold(endpoints, |router, asset| {
        router.route(asset.path, get(move || async move { asset }))
    });
    let body_bytes = usize::try_from(app.limits.body_bytes).unwrap_or(usize::MAX);
    all.fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address answers another method; see /openapi.json",
            )
        })
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app.clone())
}

/// Of what programs ask: who may, and whether it still is answered.
async fn guard(State((app, endpoint)): State<(Arc<App>, Endpoint)>, request: Request, next: Next) -> Response {
    if endpoint.is_secret()
        && let Err(problem) = app.gate.check_token(request.headers())
    {
        return problem.into_response();
    }
    match app.drain.begin() {
        Some(_begun) => next.run(request).await,
        None if endpoint.answers_at_the_end() => next.run(request).await,
        None => Problem::draining().into_response(),
    }
}

/// Of every request: whether a page of another site makes it; it is counted, and a panic, which is a bug, ends it alone.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    // Addresses that are none are many: they are counted as one.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str);
    let route = route.to_owned();
    let mut response = match app.gate.check_site(request.headers(), request.uri()) {
        Err(problem) => problem.into_response(),
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Problem::internal("a handler panicked").into_response()),
    };
    protect(&mut response);
    if app.drain.has_started() {
        let close = axum::http::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    app.metrics
        .answered(&route, response.status().as_u16(), begun.elapsed());
    response
}

fn json_text(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn models(State(app): State<Arc<App>>) -> Response {
    let models: Vec<Value> = app
        .models
        .iter()
        .map(|model| {
            let heads: Vec<Value> = model
                .heads
                .iter()
                .map(|head| {
                    let predicts = match head.predicts {
                        emorun_metrics::Predicts::Classes => "classes",
                        emorun_metrics::Predicts::Numbers | emorun_metrics::Predicts::Frames => "numbers",
                    };
                    json!({ "name": head.name, "predicts": predicts, "outputs": head.outputs })
                })
                .collect();
            json!({
                "name": model.name,
                "rate_hz": model.rate_hz,
                "shortest_s": model.shortest as f64 / f64::from(model.rate_hz),
                "heads": heads,
            })
        })
        .collect();
    let limits = json!({
        "body_bytes": app.limits.body_bytes,
        "seconds": app.limits.seconds,
        "clip_seconds": app.limits.clip_seconds,
    });
    json_text(
        StatusCode::OK,
        &json!({ "models": models, "limits": limits, "transcripts": false }),
    )
}

async fn health(State(app): State<Arc<App>>) -> Response {
    if app.drain.has_started() {
        return Problem::draining().into_response();
    }
    json_text(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = app.metrics.text(&app.models);
    let text = text.map_err(|error| Problem::internal(&error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn openapi_document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}
