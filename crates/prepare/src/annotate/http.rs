//! As much of HTTP/1.1 as a page on one machine needs: one request a connection, bounded in every respect.

use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Most bytes of a request line with its headers.
const MAX_HEAD: usize = 16 << 10;
/// Most bytes of a body.
const MAX_BODY: usize = 16 << 10;
/// Most headers.
const MAX_HEADERS: usize = 64;
/// Longest time that a whole request may take, and a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait for the other side to hang up, and most pieces that are thrown away meanwhile.
const LINGER: Duration = Duration::from_millis(200);
const MAX_LINGER: usize = 64;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub method: String,
    pub path: String,
    pub host: Option<String>,
    pub origin: Option<String>,
    pub range: Option<String>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }
}

/// Reads a request; an error is the answer to it, none where nobody waits for one.
pub(super) fn read(stream: &mut TcpStream) -> Result<Request, Option<Reply>> {
    let until = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let (mut request, length, head) = loop {
        more(stream, &mut bytes, until)?;
        if let Some(parsed) = parse(&bytes)? {
            break parsed;
        }
        if bytes.len() > MAX_HEAD {
            return Err(Some(Reply::text(431, "the headers are too long")));
        }
    };
    if length > MAX_BODY {
        return Err(Some(Reply::text(413, "the body is too long")));
    }
    while bytes.len() < head + length {
        more(stream, &mut bytes, until)?;
    }
    request.body = bytes[head..head + length].to_vec();
    Ok(request)
}

/// Reads what has come, and waits for something if nothing has.
fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>, until: Instant) -> Result<(), Option<Reply>> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Some(Reply::text(408, "the request did not end")));
    }
    let mut piece = [0; 4096];
    let read = stream
        .set_read_timeout(Some(left))
        .and_then(|()| stream.read(&mut piece))
        .map_err(|_| None)?;
    if read == 0 {
        return Err(None);
    }
    bytes.extend_from_slice(&piece[..read]);
    Ok(())
}

/// A request without its body, the body's length, and where it starts; none while headers are missing.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Option<Reply>> {
    let bad = |why: &str| Some(Reply::text(400, why));
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(bad(&error.to_string())),
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let mut length = 0;
    for header in parsed.headers.iter() {
        let Ok(value) = std::str::from_utf8(header.value) else {
            return Err(bad("a header is not text"));
        };
        let field = match header.name.to_ascii_lowercase().as_str() {
            "host" => &mut request.host,
            "origin" => &mut request.origin,
            "range" => &mut request.range,
            "content-type" => &mut request.content_type,
            "content-length" => {
                length = value.parse().map_err(|_| bad("content-length is no number"))?;
                continue;
            }
            "transfer-encoding" => return Err(Some(Reply::text(411, "send the body's length"))),
            _ => continue,
        };
        if field.replace(value.to_owned()).is_some() {
            return Err(bad("a header is given twice"));
        }
    }
    Ok(Some((request, length, head)))
}

/// Sends an answer and ends the connection.
pub(super) fn send(stream: &mut TcpStream, reply: &Reply, with_body: bool) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut out = BufWriter::new(&mut *stream);
    write!(out, "HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status))?;
    write!(out, "content-type: {}\r\n", reply.content_type)?;
    write!(out, "content-length: {}\r\n", reply.body.len())?;
    for (name, value) in &reply.headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    // What is served is of this moment, for this page and for no other.
    out.write_all(
        b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\
          cross-origin-resource-policy: same-origin\r\nconnection: close\r\n\r\n",
    )?;
    if with_body {
        out.write_all(&reply.body)?;
    }
    out.flush()?;
    drop(out);
    stream.shutdown(std::net::Shutdown::Write)?;
    // A connection that is closed before all of its request was read is reset, and the answer with it.
    stream.set_read_timeout(Some(LINGER))?;
    let mut piece = [0; 4096];
    for _ in 0..MAX_LINGER {
        if stream.read(&mut piece)? == 0 {
            break;
        }
    }
    Ok(())
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}

/// First and last byte of a request for a part of `length` bytes; none for the whole, an error where there is no such
/// part.
pub(super) fn range(asked: Option<&str>, length: usize) -> Result<Option<(usize, usize)>, ()> {
    let Some((from, to)) = asked
        .and_then(|asked| asked.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| text.parse::<usize>().map_err(drop);
    let last = length.checked_sub(1).ok_or(())?;
    let (from, to) = match (from, to) {
        ("", suffix) => (length.saturating_sub(number(suffix)?), last),
        (from, "") => (number(from)?, last),
        (from, to) => (number(from)?, number(to)?.min(last)),
    };
    if from <= to { Ok(Some((from, to))) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_browsers_write_them() {
        for (asked, expected) in [
            (None, Ok(None)),
            (Some("items=0-1"), Ok(None)),
            (Some("bytes=0-"), Ok(Some((0, 99)))),
            (Some("bytes=10-19"), Ok(Some((10, 19)))),
            (Some("bytes=90-500"), Ok(Some((90, 99)))),
            (Some("bytes=-10"), Ok(Some((90, 99)))),
            (Some("bytes=-500"), Ok(Some((0, 99)))),
            (Some("bytes=100-"), Err(())),
            (Some("bytes=5-4"), Err(())),
            (Some("bytes=a-b"), Err(())),
            (Some("bytes=0-1,3-4"), Err(())),
        ] {
            assert_eq!(range(asked, 100), expected, "{asked:?}");
        }
        assert_eq!(range(Some("bytes=0-"), 0), Err(()));
    }

    #[test]
    fn a_request_is_read_or_refused() {
        let whole = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
        for length in 0..whole.len() - 2 {
            assert!(parse(&whole[..length]).unwrap().is_none());
        }
        let (request, length, head) = parse(whole).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.host.as_deref(), length),
            ("POST", Some("a"), 2)
        );
        assert_eq!(&whole[head..], b"hi");
        for (bad, status) in [
            (&b"\0\0\0\0\r\n\r\n"[..], 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ] {
            assert_eq!(parse(bad).unwrap_err().unwrap().status, status);
        }
    }
}
