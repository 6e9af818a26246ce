//! What a request that cannot be answered is told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use emorun_audio::AudioError;
use emorun_recognise::RecogniserError;
use serde_json::{Value, json};

/// Seconds after which a client that met a limit may try again.
const RETRY_AFTER_S: &str = "1";

/// Why a request is not answered: `{"error": {"code": …, "message": …}}` with a status.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people, with the remedy.
    pub message: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A limit is met now and may not be in a moment.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
    }

    pub fn draining() -> Self {
        let message = "the server is ending; nothing new is taken";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ending", message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub fn unusable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable_audio", message)
    }

    /// What went wrong on this side. The client hears that it did; the reason is for the log.
    pub fn internal(reason: &str) -> Self {
        tracing::error!("a request failed: {reason}");
        let message = "the server failed on this request; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Of audio that cannot be decoded. Where it lies on this machine is nobody's business.
    pub fn of_audio(error: &AudioError, path: &std::path::Path) -> Self {
        let message = error.to_string().replace(&path.display().to_string(), "the recording");
        match error {
            AudioError::NotAudio { .. }
            | AudioError::WavCodec { .. }
            | AudioError::WavEncoding { .. }
            | AudioError::Codec { .. } => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_audio", message),
            AudioError::TooLarge { .. } | AudioError::TooLong { .. } => Self::too_large(message),
            AudioError::Empty { .. }
            | AudioError::Truncated { .. }
            | AudioError::Malformed { .. }
            | AudioError::Decode { .. } => Self::new(StatusCode::BAD_REQUEST, "damaged_audio", message),
            AudioError::Open { .. }
            | AudioError::NotAFile { .. }
            | AudioError::Read { .. }
            | AudioError::Write { .. } => Self::internal(&message),
            AudioError::NoChannel { .. }
            | AudioError::Channels { .. }
            | AudioError::Rate { .. }
            | AudioError::TooShort { .. }
            | AudioError::NonFinite { .. }
            | AudioError::Amplitude { .. }
            | AudioError::SegmentOutside { .. }
            | AudioError::Resample { .. } => Self::unusable(message),
        }
    }

    pub fn of_model(error: &RecogniserError) -> Self {
        match error {
            RecogniserError::TooShort { .. } | RecogniserError::NotFinite { .. } => {
                Self::unusable(format!("the recording cannot be used: {error}"))
            }
            RecogniserError::Model(reason) => Self::internal(reason),
        }
    }

    pub fn json(&self) -> Value {
        json!({ "error": { "code": self.code, "message": self.message } })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, headers, self.json().to_string()).into_response();
        let headers = response.headers_mut();
        let may_retry = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if may_retry.contains(&self.status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
