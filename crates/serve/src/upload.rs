//! A recording that is sent: received into a file that only this process knows, and gone with the request.

use std::io::Write;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use futures_util::{Stream, StreamExt};
use tempfile::NamedTempFile;

use crate::limits::Limits;
use crate::problem::Problem;

/// Slowest client that is waited for, in bytes a second, behind the first seconds.
const SLOWEST: f64 = 4096.0;
/// Longest name of a recording that is repeated in an answer, in characters.
const LONGEST_NAME: usize = 200;
/// What a recording without a name is called.
const NAMELESS: &str = "recording";

/// A recording that was received.
#[derive(Debug)]
pub(crate) struct Upload {
    /// What its sender calls it: a text for the answer, which names nothing here.
    pub name: String,
    /// Its bytes. The file's name is drawn, only its owner can read it, and it goes when this is dropped.
    pub file: NamedTempFile,
}

impl Upload {
    /// Receives a recording: the body itself, or the first file of a form (`multipart/form-data`).
    ///
    /// # Errors
    /// It is too large or comes too slowly, the form is none or has no file, or the disk fails.
    pub async fn receive(request: Request, limits: &Limits) -> Result<Self, Problem> {
        let headers = request.headers();
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok());
        if announced.and_then(|length| length.parse::<u64>().ok()) > Some(limits.body_bytes) {
            return Err(too_large(limits));
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form = kind.is_some_and(|kind| kind.trim_start().to_lowercase().starts_with("multipart/"));
        let mut writer = Writer::new(limits)?;
        if !is_form {
            let body = request.into_body().into_data_stream();
            let body = body.map(|part| part.map_err(|_| Problem::bad("the body broke off")));
            writer.write_all(body).await?;
            return Ok(writer.upload(NAMELESS));
        }
        let form = Multipart::from_request(request, &()).await;
        let mut form = form.map_err(|error| Problem::bad(format!("the form cannot be read: {error}")))?;
        let broken = |error: axum::extract::multipart::MultipartError| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large(limits)
            } else {
                Problem::bad(format!("the form cannot be read: {}", error.body_text()))
            }
        };
        while let Some(field) = writer.in_time(form.next_field()).await?.map_err(broken)? {
            let Some(name) = field.file_name() else { continue };
            let name = shown(name);
            writer.write_all(field.map(|part| part.map_err(broken))).await?;
            return Ok(writer.upload(&name));
        }
        Err(Problem::bad(
            "the form has no file: send one, such as with `curl -F file=@speech.wav`",
        ))
    }
}

fn too_large(limits: &Limits) -> Problem {
    Problem::too_large(format!(
        "the body is longer than the {} bytes that are taken",
        limits.body_bytes
    ))
}

/// A name as it is repeated: a line, not too long.
fn shown(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

/// Writes what comes to a file, as long as it comes fast enough.
struct Writer<'a> {
    file: NamedTempFile,
    received: u64,
    since: Instant,
    limits: &'a Limits,
}

impl<'a> Writer<'a> {
    fn new(limits: &'a Limits) -> Result<Self, Problem> {
        let file = tempfile::Builder::new().prefix("emorun-").tempfile();
        let file = file.map_err(|error| Problem::internal(&format!("no temporary file can be made: {error}")))?;
        Ok(Self {
            file,
            received: 0,
            since: Instant::now(),
            limits,
        })
    }

    /// What comes next, if it comes in time: none may be silent for too long, or slow on the whole.
    async fn in_time<T>(&self, next: impl Future<Output = T>) -> Result<T, Problem> {
        let whole = self.limits.patience + Duration::from_secs_f64(self.received as f64 / SLOWEST);
        let left = whole.saturating_sub(self.since.elapsed()).min(self.limits.patience);
        let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body comes too slowly");
        tokio::time::timeout(left, next).await.map_err(slow)
    }

    async fn write_all(
        &mut self,
        mut parts: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
    ) -> Result<(), Problem> {
        while let Some(part) = self.in_time(parts.next()).await? {
            let part = part?;
            self.received += part.len() as u64;
            if self.received > self.limits.body_bytes {
                return Err(too_large(self.limits));
            }
            // A part is a few kilobytes, which the system takes at once.
            let written = self.file.write_all(&part);
            written.map_err(|error| Problem::internal(&format!("a temporary file cannot be written: {error}")))?;
        }
        Ok(())
    }

    fn upload(self, name: &str) -> Upload {
        Upload {
            name: name.to_owned(),
            file: self.file,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_line() {
        assert_eq!(shown("../../etc/passwd"), "../../etc/passwd");
        assert_eq!(shown("a\r\nb\0.wav"), "ab.wav");
        assert_eq!(shown("\n"), NAMELESS);
        assert_eq!(shown(&"ü".repeat(1000)).chars().count(), LONGEST_NAME);
    }
}
