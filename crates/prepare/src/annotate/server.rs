//! The page's server: on this machine alone, for whoever knows the address.

use super::decisions::{Labelled, Session};
use super::http::{self, Reply, Request};
use super::picture;
use crate::PrepareError;
use emorun_files::read_regular;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Most connections at the same time.
const CONNECTIONS: usize = 32;
/// Most that is read of a clip's file: a quarter of an hour at 192 kHz in 32 bits.
const MOST_AUDIO: u64 = 1 << 30;
/// How often an idle server looks whether it shall end.
const IDLE: Duration = Duration::from_millis(20);

/// How often it is looked whether a place has become free.
const PAUSE: Duration = Duration::from_millis(2);

/// The page; `NONCE` in it is replaced by what lets its own script and style in and no others.
const PAGE: &str = include_str!("page.html");

/// A clip to be labelled.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Its utterance.
    pub key: String,
    /// Its prepared audio.
    pub path: PathBuf,
    /// The audio's sampling rate in Hz.
    pub rate_hz: u32,
    /// Place of its proposed emotion among the targets.
    pub emotion: usize,
    /// What its corpus calls it.
    pub corpus_emotion: String,
    /// Its speaker.
    pub speaker: String,
    /// What is said.
    pub text: Option<String>,
    /// Length in seconds.
    pub duration_s: f64,
}

/// A server that listens, and serves once it is told to.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// `127.0.0.1:PORT` and `localhost:PORT`: another name in a request is another site's.
    hosts: [String; 2],
    token: String,
    clips: Vec<Clip>,
    session: Mutex<Session>,
}

/// A decision as the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// Place of the clip.
    clip: usize,
    /// Place of the label among the targets; `null`, which has to be written, for an unusable clip.
    #[serde(deserialize_with = "written")]
    label: Option<usize>,
}

/// A value that may be `null` but not be left out.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    Option::deserialize(deserializer)
}

impl Server {
    pub(super) fn bind(session: Session, clips: Vec<Clip>, port: u16) -> Result<Self, PrepareError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |error| PrepareError::io("listen at", wanted.to_string())(error);
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| PrepareError::Random(error.to_string()))?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let state = State {
            hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", address.port())),
            token,
            clips,
            session: Mutex::new(session),
        };
        Ok(Self {
            listener,
            address,
            state: Arc::new(state),
        })
    }

    /// The page's address, the secret included.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.state.token)
    }

    /// How many clips are decided, and how many there are.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.state.session().decided(), self.state.clips.len())
    }

    /// Serves the page until `stop` is set.
    ///
    /// # Errors
    /// The socket fails.
    pub fn serve(&self, stop: &AtomicBool) -> Result<(), PrepareError> {
        let failed = |error| PrepareError::io("listen at", self.address.to_string())(error);
        self.listener.set_nonblocking(true).map_err(failed)?;
        let open = Arc::new(AtomicUsize::new(0));
        let silent = Arc::new(Silent::default());
        while !stop.load(Ordering::Relaxed) {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // Nobody came, or gave up before being let in.
                Err(_) => {
                    std::thread::sleep(IDLE);
                    continue;
                }
            };
            // Whoever comes beyond that takes the place of the one who has been silent for longest; where nobody is, they
            // wait.
            while open.load(Ordering::Relaxed) >= CONNECTIONS && !stop.load(Ordering::Relaxed) {
                silent.hang_up_on_oldest();
                std::thread::sleep(PAUSE);
            }
            let slot = Slot::take(&open);
            let waiting = silent.enter(&stream);
            let (state, silent) = (self.state.clone(), silent.clone());
            std::thread::spawn(move || {
                let _slot = slot;
                let _ = state.serve_one(stream, || silent.leave(waiting));
                silent.leave(waiting);
            });
        }
        Ok(())
    }
}

/// A connection's place among those that may be open. It is given back however its thread ends.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections whose request has not come, the oldest first.
#[derive(Default)]
struct Silent(Mutex<(u64, VecDeque<(u64, TcpStream)>)>);

impl Silent {
    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<(u64, TcpStream)>)> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a connection; its number.
    fn enter(&self, stream: &TcpStream) -> u64 {
        let mut silent = self.lock();
        silent.0 += 1;
        let number = silent.0;
        // One that cannot be noted cannot be hung up on, and ends by its own patience.
        if let Ok(other) = stream.try_clone() {
            silent.1.push_back((number, other));
        }
        number
    }

    fn leave(&self, number: u64) {
        self.lock().1.retain(|(known, _)| *known != number);
    }

    fn hang_up_on_oldest(&self) {
        if let Some((_, stream)) = self.lock().1.pop_front() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Answers a connection's request; `on_request` hears of its having come.
    fn serve_one(&self, mut stream: TcpStream, on_request: impl FnOnce()) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        let read = http::read(&mut stream);
        on_request();
        let (reply, with_body) = match read {
            Ok(request) => (self.answer(&request), request.method != "HEAD"),
            Err(Some(reply)) => (reply, true),
            Err(None) => return Ok(()),
        };
        http::send(&mut stream, &reply, with_body)
    }

    /// Refuses what does not come from the page itself. A page of another site can make a browser send requests here,
    /// also under a name of its own that it lets point to this machine.
    fn refusal(&self, request: &Request) -> Option<Reply> {
        let is_here = |host: &String| self.hosts.contains(host);
        if !request.host.as_ref().is_some_and(is_here) {
            return Some(Reply::text(403, "this server answers at its own address only"));
        }
        let own = request.origin.as_deref().map(|origin| {
            origin
                .strip_prefix("http://")
                .is_some_and(|host| Some(host) == request.host.as_deref())
        });
        if own == Some(false) || (request.method == "POST" && own.is_none()) {
            return Some(Reply::text(403, "requests come from the page itself only"));
        }
        None
    }

    fn answer(&self, request: &Request) -> Reply {
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let token = parts.next().unwrap_or_default();
        if !same(token.as_bytes(), self.token.as_bytes()) {
            return Reply::text(404, "use the whole address that emorun printed");
        }
        let route: Vec<&str> = parts.next().unwrap_or_default().split('/').collect();
        match (request.method.as_str(), route.as_slice()) {
            ("GET" | "HEAD", [""]) => self.page(),
            ("GET" | "HEAD", ["state"]) => self.describe(),
            ("GET" | "HEAD", ["clips", place, what]) => {
                let clip = place.parse::<usize>().ok().and_then(|place| self.clips.get(place));
                clip.map_or_else(
                    || Reply::text(404, "there is no such clip"),
                    |clip| clip_part(clip, what, request.range.as_deref()),
                )
            }
            ("POST", ["decide"]) => self.decide(request),
            ("POST", ["undo"]) => self.undo(),
            ("GET" | "HEAD", _) => Reply::text(404, "there is nothing at this address"),
            _ => Reply::text(405, "GET, or POST to decide and undo"),
        }
    }

    fn page(&self) -> Reply {
        let mut random = [0; 16];
        if let Err(error) = getrandom::fill(&mut random) {
            return Reply::text(500, &error.to_string());
        }
        let nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut reply = Reply::new(200, "text/html; charset=utf-8", PAGE.replace("NONCE", &nonce));
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; media-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        reply.headers.push(("content-security-policy", policy));
        reply
    }

    fn describe(&self) -> Reply {
        let session = self.session();
        let agreement = match session.agreement() {
            Ok(agreement) => agreement,
            Err(error) => return Reply::text(500, &error.to_string()),
        };
        let current = session.current().map(|place| {
            let clip = &self.clips[place];
            let mut shown = json!({
                "clip": place,
                "speaker": clip.speaker,
                "text": clip.text,
                "duration_s": clip.duration_s,
            });
            // Names of files tell emotions in many corpora.
            if !session.is_blind() {
                shown["key"] = json!(clip.key);
                shown["proposed"] = json!(clip.emotion);
                shown["corpus_emotion"] = json!(clip.corpus_emotion);
            }
            shown
        });
        Reply::json(&json!({
            "annotator": session.annotator(),
            "blind": session.is_blind(),
            "labels": session.targets(),
            "clips": self.clips.len(),
            "decided": session.decided(),
            "current": current,
            "agreement": agreement,
        }))
    }

    fn undo(&self) -> Reply {
        let undone = self.session().undo();
        undone.map_or_else(|error| Reply::text(500, &error.to_string()), |_| self.describe())
    }

    fn decide(&self, request: &Request) -> Reply {
        if request.content_type.as_deref() != Some("application/json") {
            return Reply::text(400, "send JSON");
        }
        let decision: Decision = match serde_json::from_slice(&request.body) {
            Ok(decision) => decision,
            Err(error) => return Reply::text(400, &error.to_string()),
        };
        {
            let mut session = self.session();
            // A key pressed twice, or a second window: the decision is on a clip that is no longer shown.
            if session.current() != Some(decision.clip) {
                return Reply::text(409, "another clip is to be decided; load the page anew");
            }
            let label = match decision.label.map(|label| session.targets().get(label).cloned()) {
                None => Labelled::Unusable,
                Some(Some(label)) => Labelled::As(label),
                Some(None) => return Reply::text(400, "there is no such label"),
            };
            if let Err(error) = session.decide(decision.clip, label) {
                return Reply::text(500, &error.to_string());
            }
        }
        self.describe()
    }
}

/// Compares without telling by the time it takes how much was right.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

fn clip_part(clip: &Clip, what: &str, range: Option<&str>) -> Reply {
    match what {
        "audio.wav" => audio(&clip.path, range),
        "outline.json" | "spectrogram.png" => {
            let samples = match emorun_audio::load(&clip.path, clip.rate_hz, None) {
                Ok(loaded) => loaded.samples,
                Err(error) => return Reply::text(500, &error.to_string()),
            };
            if what == "outline.json" {
                return Reply::json(&json!(picture::outline(&samples)));
            }
            picture::spectrogram(&samples, clip.rate_hz).map_or_else(
                || Reply::text(404, "the clip is too short for a spectrogram"),
                |png| Reply::new(200, "image/png", png),
            )
        }
        _ => Reply::text(404, "a clip has audio.wav, outline.json and spectrogram.png"),
    }
}

fn audio(path: &Path, range: Option<&str>) -> Reply {
    let bytes = match read_regular(path, MOST_AUDIO) {
        Ok(bytes) => bytes,
        Err(error) => return Reply::text(500, &format!("{}: {error}", path.display())),
    };
    let length = bytes.len();
    let mut reply = match http::range(range, length) {
        Ok(None) => Reply::new(200, "audio/wav", bytes),
        Ok(Some((from, to))) => {
            let mut reply = Reply::new(206, "audio/wav", &bytes[from..=to]);
            let part = format!("bytes {from}-{to}/{length}");
            reply.headers.push(("content-range", part));
            reply
        }
        Err(()) => {
            let mut reply = Reply::text(416, "the clip is shorter");
            reply.headers.push(("content-range", format!("bytes */{length}")));
            reply
        }
    };
    reply.headers.push(("accept-ranges", "bytes".to_owned()));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_by_a_thread_that_panics() {
        let open = Arc::new(AtomicUsize::new(0));
        let slot = Slot::take(&open);
        assert_eq!(open.load(Ordering::Relaxed), 1);
        let thread = std::thread::spawn(move || {
            let _slot = slot;
            std::panic::resume_unwind(Box::new("a picture that cannot be drawn"));
        });
        assert!(thread.join().is_err());
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
