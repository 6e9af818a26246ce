//! Many clients of a server at the same time, most of them well behaved: streams at the speed of speech, some of which are
//! killed and begin anew, and recordings that are posted one after another. Prints a line of figures every ten seconds.
//!
//! ```text
//! emorun serve RUN --max-streams 200 &
//! cargo run --release -p emorun-serve --example load -- 127.0.0.1:8080 speech.wav 200 600 $!
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tungstenite::Message;

/// Sound that is sent at a time, in seconds.
const PART_S: f64 = 0.1;
/// Clients that post recordings.
const POSTING: usize = 2;
/// Every so many streams is killed now and then.
const KILLED: usize = 10;

/// What the clients have met.
#[derive(Default)]
struct Met {
    codes: BTreeMap<String, u64>,
    /// From the end of the sound that an update is about to its arrival, in seconds.
    delays_s: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file, streams, seconds, process] = arguments.as_slice() else {
        return Err("ADDRESS:PORT FILE.wav STREAMS SECONDS PROCESS".into());
    };
    let (streams, seconds): (usize, u64) = (streams.parse()?, seconds.parse()?);
    let bytes = std::fs::read(file)?;
    let clip = emorun_audio::load(file.as_ref(), 16_000, None)?;
    let samples: Vec<u8> = clip
        .samples
        .iter()
        .flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes())
        .collect();
    let (met, begun) = (Mutex::new(Met::default()), Instant::now());
    let end = begun + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for client in 0..streams {
            let (met, samples) = (&met, &samples);
            scope.spawn(move || {
                // Not all at the same moment.
                std::thread::sleep(Duration::from_millis((client * 37 % 2000) as u64));
                while Instant::now() < end {
                    let outcome = stream(address, samples, client, end, met);
                    count(met, &outcome.unwrap_or_else(|error| format!("stream: {error}")));
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        for _ in 0..POSTING {
            scope.spawn(|| {
                while Instant::now() < end {
                    let code = post(address, &bytes).unwrap_or_else(|error| format!("post: {error}"));
                    count(&met, &code);
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        while Instant::now() < end {
            std::thread::sleep(Duration::from_secs(10));
            report(&met, begun.elapsed(), process);
        }
    });
    report(&met, begun.elapsed(), process);
    Ok(())
}

fn count(met: &Mutex<Met>, what: &str) {
    if let Ok(mut met) = met.lock() {
        *met.codes.entry(what.to_owned()).or_default() += 1;
    }
}

/// A stream in real time until the end, or until it is killed.
fn stream(
    address: &str,
    samples: &[u8],
    client: usize,
    end: Instant,
    met: &Mutex<Met>,
) -> Result<String, Box<dyn Error>> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let opened = tungstenite::client(format!("ws://{address}/v1/stream?format=s16le"), socket);
    let (mut socket, _) = opened.map_err(|error| error.to_string())?;
    socket.get_mut().set_read_timeout(Some(Duration::from_millis(1)))?;
    let part = (PART_S * 16_000.0) as usize * 2;
    let life = match client % KILLED {
        0 => Duration::from_secs(5 + client as u64 / 10),
        _ => Duration::MAX,
    };
    let begun = Instant::now();
    for at in 0.. {
        if Instant::now() >= end {
            socket.close(None)?;
            return Ok("stream ended".to_owned());
        }
        if begun.elapsed() > life {
            return Ok("stream killed".to_owned());
        }
        let from = at * part % samples.len();
        let sound = &samples[from..(from + part).min(samples.len())];
        let sound = [sound, &vec![0; part - sound.len()]].concat();
        socket.send(Message::Binary(sound.into()))?;
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => hear(&text, begun, met)?,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let next = Duration::from_secs_f64((at + 1) as f64 * PART_S);
        std::thread::sleep(next.saturating_sub(begun.elapsed()));
    }
    Ok(String::new())
}

fn hear(text: &str, begun: Instant, met: &Mutex<Met>) -> Result<(), Box<dyn Error>> {
    let event: serde_json::Value = serde_json::from_str(text)?;
    let kind = event["event"].as_str().unwrap_or("no event");
    count(met, &format!("event {kind}"));
    if let (Some(to_s), Ok(mut met)) = (event["to_s"].as_f64().filter(|_| kind == "update"), met.lock()) {
        met.delays_s.push(begun.elapsed().as_secs_f64() - to_s);
    }
    Ok(())
}

/// Posts a recording; the code of the answer.
fn post(address: &str, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = bytes.len();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(bytes)?;
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    reader.read_to_end(&mut Vec::new())?;
    Ok(format!("post {}", line.split(' ').nth(1).unwrap_or("none")))
}

fn report(met: &Mutex<Met>, after: Duration, process: &str) {
    let Ok(mut met) = met.lock() else { return };
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let of = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or(" ?")
            .trim()
            .to_owned()
    };
    let mut delays_s = std::mem::take(&mut met.delays_s);
    delays_s.sort_by(f64::total_cmp);
    let at = |share: f64| {
        delays_s
            .get((share * delays_s.len() as f64) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    println!(
        "{:4.0} s  memory {}, {} threads  delay p50 {:.3} s, p95 {:.3} s of {}  {:?}",
        after.as_secs_f64(),
        of("VmRSS:"),
        of("Threads:"),
        at(0.5),
        at(0.95),
        delays_s.len(),
        met.codes
    );
}
