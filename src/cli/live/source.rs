//! Where sound comes from: a microphone, a recording at the speed at which it was spoken, or samples on stdin.

use std::io::{ErrorKind, IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use emorun_engine::exit::Failure;

use super::microphone::{Microphone, OpenMicrophone};
use super::session::Message;
use super::{Arguments, Encoding};

/// Seconds of sound that are handed on at once.
const PIECE_S: f64 = 0.02;

/// Mono sound that has come.
pub(super) struct Sound {
    pub(super) samples: Vec<f32>,
    /// When its last sample came.
    pub(super) at: Instant,
    /// Samples before it that nobody took in time.
    pub(super) lost: u64,
}

/// Where sound comes from.
pub(super) enum Source {
    /// A microphone.
    Microphone(Microphone),
    /// A recording, heard so many times as fast as it was spoken, or as fast as can be.
    File {
        path: PathBuf,
        rate_hz: u32,
        channels: u16,
        speed: f64,
    },
    /// Samples on stdin.
    Stdin {
        rate_hz: u32,
        channels: u16,
        encoding: Encoding,
    },
}

/// A microphone that is kept open; all else flows by itself.
pub(super) type Flow = Option<OpenMicrophone>;

impl Source {
    /// Finds it, and reads what must be known of it.
    pub(super) fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let name = arguments.input.as_str();
        if name == "-" {
            if stdin().is_terminal() {
                let message =
                    "stdin is a terminal: pipe samples into it, such as of `arecord -t raw -f S16_LE -r 16000`";
                return Err(Failure::Usage(message.into()));
            }
            return Ok(Self::Stdin {
                rate_hz: arguments.rate,
                channels: arguments.channels,
                encoding: arguments.encoding,
            });
        }
        let path = Path::new(name);
        // A microphone is not called like a path.
        if path.exists() || name.contains(['/', '\\']) || emorun_audio::has_audio_name(path) {
            let info = emorun_audio::probe(path).map_err(|error| Failure::Input(error.to_string()))?;
            return Ok(Self::File {
                path: path.to_owned(),
                rate_hz: info.rate_hz,
                channels: info.channels,
                speed: arguments.speed,
            });
        }
        Microphone::find(name).map(Self::Microphone)
    }

    pub(super) fn rate_hz(&self) -> u32 {
        match self {
            Self::Microphone(microphone) => microphone.rate_hz(),
            Self::File { rate_hz, .. } | Self::Stdin { rate_hz, .. } => *rate_hz,
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Microphone(microphone) => microphone.name().to_owned(),
            Self::File { path, .. } => path.display().to_string(),
            Self::Stdin { .. } => "stdin".to_owned(),
        }
    }

    /// Whether it waits when it is not listened to.
    pub(super) fn waits(&self) -> bool {
        !matches!(self, Self::Microphone(_))
    }

    /// Lets sound flow.
    pub(super) fn start(self, messages: SyncSender<Message>) -> Result<Flow, Failure> {
        let begin = move |name: &str, flow: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(flow);
            thread.map(|_| None).map_err(|error| Failure::Bug(error.to_string()))
        };
        match self {
            Self::Microphone(microphone) => microphone.start(messages).map(Some),
            Self::File {
                path,
                rate_hz,
                channels,
                speed,
            } => begin(
                "recording",
                Box::new(move || {
                    let mut pace = Pace::new(rate_hz, channels, Some(speed), messages);
                    let end = emorun_audio::each_block(&path, None, &mut |block| pace.take(block));
                    pace.end(end.map(drop).map_err(|error| Failure::Input(error.to_string())));
                }),
            ),
            Self::Stdin {
                rate_hz,
                channels,
                encoding,
            } => begin(
                "stdin",
                Box::new(move || {
                    let mut pace = Pace::new(rate_hz, channels, None, messages);
                    let end = read_samples(&mut stdin().lock(), channels, encoding, &mut |samples| {
                        pace.take(samples)
                    });
                    pace.end(end);
                }),
            ),
        }
    }
}

/// The mean of channels, of which one sample stands after another.
pub(super) fn mixed(samples: &[f32], channels: u16) -> impl Iterator<Item = f32> {
    let channels = usize::from(channels.max(1));
    samples
        .chunks_exact(channels)
        .map(move |frame| frame.iter().sum::<f32>() / channels as f32)
}

/// Hands sound on in pieces, no faster than it was spoken.
struct Pace {
    rate_hz: u32,
    channels: u16,
    /// None where whoever gives the samples keeps the pace.
    speed: Option<f64>,
    messages: SyncSender<Message>,
    pending: Vec<f32>,
    /// Samples handed on.
    sent: u64,
    start: Instant,
    is_heard: bool,
}

impl Pace {
    fn new(rate_hz: u32, channels: u16, speed: Option<f64>, messages: SyncSender<Message>) -> Self {
        Self {
            rate_hz,
            channels,
            speed: speed.filter(|&speed| speed > 0.0),
            messages,
            pending: Vec::new(),
            sent: 0,
            start: Instant::now(),
            is_heard: true,
        }
    }

    fn take(&mut self, samples: &[f32]) {
        if !self.is_heard {
            return;
        }
        self.pending.extend(mixed(samples, self.channels));
        let piece = ((PIECE_S * f64::from(self.rate_hz)) as usize).max(1);
        // Whoever gives samples at his own pace is not kept waiting for more.
        let whole = if self.speed.is_some() {
            self.pending.len() / piece * piece
        } else {
            self.pending.len()
        };
        let ready: Vec<f32> = self.pending.drain(..whole).collect();
        for piece in ready.chunks(piece) {
            self.send(piece.to_vec());
        }
    }

    fn send(&mut self, samples: Vec<f32>) {
        self.sent += samples.len() as u64;
        if let Some(speed) = self.speed {
            let due = Duration::from_secs_f64(self.sent as f64 / f64::from(self.rate_hz) / speed);
            if let Some(rest) = due.checked_sub(self.start.elapsed()) {
                thread::sleep(rest);
            }
        }
        let sound = Sound {
            samples,
            at: Instant::now(),
            lost: 0,
        };
        self.is_heard &= self.messages.send(Message::Sound(sound)).is_ok();
    }

    fn end(mut self, end: Result<(), Failure>) {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() && self.is_heard {
            self.send(rest);
        }
        // Nobody need be there any more.
        let _ = self.messages.send(Message::Ended(end));
    }
}

/// Reads samples to their end.
///
/// # Errors
/// There are none, they cannot be read, or they end within a frame.
fn read_samples(
    from: &mut dyn Read,
    channels: u16,
    encoding: Encoding,
    take: &mut dyn FnMut(&[f32]),
) -> Result<(), Failure> {
    let bytes = match encoding {
        Encoding::S16le => 2,
        Encoding::F32le => 4,
    };
    let frame = bytes * usize::from(channels);
    let (mut buffer, mut held, mut count) = (vec![0; frame.max(1 << 13)], 0, 0_u64);
    loop {
        match from.read(&mut buffer[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::io("read", Path::new("stdin"))(error)),
        }
        let whole = held / frame * frame;
        let samples: Vec<f32> = buffer[..whole].chunks_exact(bytes).map(decoded).collect();
        take(&samples);
        count += whole as u64;
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
    if held > 0 {
        return Err(Failure::Input(format!(
            "stdin ends {held} byte(s) into a frame of {frame}: was it cut off, or are --encoding or --channels others? \
             All before was heard"
        )));
    }
    if count == 0 {
        return Err(Failure::Input("stdin holds no samples".into()));
    }
    Ok(())
}

/// A sample of two bytes or of four.
fn decoded(bytes: &[u8]) -> f32 {
    match *bytes {
        [low, high] => f32::from(i16::from_le_bytes([low, high])) / 32_768.0,
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes a few at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(3).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(bytes: &[u8], channels: u16, encoding: Encoding) -> (Vec<f32>, Result<(), Failure>) {
        let mut samples = Vec::new();
        let end = read_samples(&mut Slow(bytes), channels, encoding, &mut |block| {
            samples.extend(mixed(block, channels))
        });
        (samples, end)
    }

    #[test]
    fn samples_on_stdin_are_read_however_they_are_cut() {
        let bytes: Vec<u8> = [-32_768_i16, 16_384, 0, 32_767]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let (samples, end) = read(&bytes, 1, Encoding::S16le);
        assert!(end.is_ok());
        assert_eq!(samples, [-1.0, 0.5, 0.0, 32_767.0 / 32_768.0]);
        assert_eq!(read(&bytes, 2, Encoding::S16le).0, [-0.25, 32_767.0 / 65_536.0]);
        let bytes: Vec<u8> = [0.25_f32, -0.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(read(&bytes, 1, Encoding::F32le).0, [0.25, -0.5]);
    }

    #[test]
    fn samples_that_are_cut_off_or_missing_are_told() {
        let (samples, end) = read(&[0, 64, 7], 1, Encoding::S16le);
        assert_eq!(samples, [0.5]);
        assert!(
            end.unwrap_err()
                .to_string()
                .starts_with("stdin ends 1 byte(s) into a frame of 2")
        );
        assert_eq!(
            read(&[], 1, Encoding::F32le).1.unwrap_err().to_string(),
            "stdin holds no samples"
        );
        assert!(
            read(&[0; 7], 2, Encoding::F32le)
                .1
                .unwrap_err()
                .to_string()
                .contains("7 byte(s) into a frame of 8")
        );
    }
}
