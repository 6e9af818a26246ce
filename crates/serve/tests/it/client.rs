//! A client that says exactly what a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::script::Running;

const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The word of a refusal.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Reads an answer whose length its head tells.
pub fn read_reply(reader: &mut impl BufRead) -> std::io::Result<Reply> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    Ok(Reply { status, headers, body })
}

impl Running {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request and reads its answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses a body need not read it.
        let _ = stream.write_all(body);
        let is_head = method == "HEAD";
        let mut reader = BufReader::new(stream);
        if is_head {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            let text = text
                .split("\r\n")
                .filter(|line| !line.starts_with("content-length"))
                .collect::<Vec<_>>();
            return read_reply(&mut text.join("\r\n").as_bytes()).unwrap();
        }
        read_reply(&mut reader).unwrap()
    }

    /// As [`Self::get`], of a server that may close the connection without an answer.
    pub fn try_get(&self, path: &str) -> std::io::Result<Reply> {
        let mut stream = self.connect();
        let head = format!(
            "GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {}\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes())?;
        read_reply(&mut BufReader::new(stream))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], &[])
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.ask("POST", path, &[], body)
    }

    /// A number of `/metrics`, which is there.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").body;
        let found = text
            .lines()
            .find_map(|known| known.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {line} in {text}"))
    }

    /// Waits until a number of `/metrics` is a value.
    pub fn until_metric(&self, line: &str, value: f64) {
        let end = Instant::now() + PATIENCE;
        while self.metric(line) != value {
            assert!(Instant::now() < end, "{line} is {}", self.metric(line));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Opens a stream.
    pub fn stream(&self, query: &str) -> Result<WebSocket<TcpStream>, tungstenite::Error> {
        let request = format!("ws://{}/v1/stream{query}", self.address).into_client_request()?;
        let opened = tungstenite::client(request, self.connect());
        match opened {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
            Err(tungstenite::HandshakeError::Interrupted(_)) => panic!("the server is silent"),
        }
    }
}

/// A form with one file.
pub fn form(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let boundary = "----boundary";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: audio/wav\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// A WAV file of 16-bit samples.
pub fn wav(rate_hz: u32, samples: &[f32]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        writer.write_sample((sample * 32_768.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A WAV file of float samples.
pub fn float_wav(rate_hz: u32, samples: &[f32]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A tone.
pub fn tone(seconds: f64, loudness: f32) -> Vec<f32> {
    let samples = (seconds * 16_000.0) as usize;
    (0..samples).map(|at| loudness * (at as f32 * 0.2).sin()).collect()
}

/// Events until the server closes, and the code of that.
pub fn read_stream(socket: &mut WebSocket<TcpStream>) -> (Vec<Value>, Option<u16>) {
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => events.push(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(frame)) => return (events, frame.map(|frame| frame.code.into())),
            Ok(_) => {}
            Err(_) => return (events, None),
        }
    }
}
