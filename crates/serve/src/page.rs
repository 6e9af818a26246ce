//! The page and its parts, which lie in the program.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Where it is found.
    pub path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($path:literal, $kind:expr, $file:literal) => {
        Asset {
            path: $path,
            kind: $kind,
            text: include_str!(concat!("page/", $file)),
        }
    };
}

/// Every file of the page.
pub(crate) const ASSETS: [Asset; 12] = [
    asset!("/", HTML, "index.html"),
    asset!("/page/style.css", CSS, "style.css"),
    asset!("/page/main.js", JAVASCRIPT, "main.js"),
    asset!("/page/server.js", JAVASCRIPT, "server.js"),
    asset!("/page/microphone.js", JAVASCRIPT, "microphone.js"),
    asset!("/page/capture.js", JAVASCRIPT, "capture.js"),
    asset!("/page/bars.js", JAVASCRIPT, "bars.js"),
    asset!("/page/colours.js", JAVASCRIPT, "colours.js"),
    asset!("/page/track.js", JAVASCRIPT, "track.js"),
    asset!("/page/spectrogram.js", JAVASCRIPT, "spectrogram.js"),
    asset!("/page/fourier.js", JAVASCRIPT, "fourier.js"),
    asset!("/page/save.js", JAVASCRIPT, "save.js"),
];

/// What the page may load and do: its own files, this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.kind),
            // A new version of the program is a new page.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.text).into_response()
    }
}

/// What every answer tells browsers.
pub(crate) fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("microphone=(self), camera=(), geolocation=()"),
    );
}
