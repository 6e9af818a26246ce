//! `emorun serve`: trained runs over HTTP and WebSocket, with a page.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::parse_device;
use emorun_engine::device::DeviceRequest;

#[derive(Debug, Args)]
#[cfg_attr(
    not(feature = "serve"),
    expect(dead_code, reason = "what is said without the feature is the same for all")
)]
pub(super) struct Arguments {
    /// Directories of runs, or bundles, each as RUN or as NAME=RUN; the first answers who names none.
    #[arg(required = true, value_name = "[NAME=]RUN")]
    runs: Vec<String>,
    /// Where to listen; port 0 is any free one. Beyond this machine a token is needed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A further name of the host under which it is reached, such as behind a proxy; may be given several times. Then a
    /// token is needed.
    #[arg(long = "host", value_name = "NAME[:PORT]")]
    hosts: Vec<String>,
    /// A file with the token that clients show (`Authorization: Bearer TOKEN`); EMORUN_TOKEN when left out.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Most megabytes (MiB) of a recording's file.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    max_body: u64,
    /// Most seconds of a recording.
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, value_parser = parse_seconds)]
    max_seconds: f64,
    /// Most seconds that a model is given at once; longer recordings are asked about by windows.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = parse_seconds)]
    max_clip: f64,
    /// Most recordings at the same time; others are asked to come again (429).
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_requests: u32,
    /// Most streams at the same time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_streams: u32,
    /// Most clips that wait for a model.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_queue: u32,
    /// Padded seconds of a batch.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = parse_seconds)]
    batch_seconds: f64,
    /// Milliseconds that a clip waits for others to be computed with.
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    batch_wait: u64,
    /// Seconds for which a silent or slow client is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = parse_seconds)]
    patience: f64,
    /// Seconds for which what has begun is waited for after SIGTERM or Ctrl-C; a second one ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = parse_seconds)]
    drain: f64,
    /// auto, cpu, cuda, cuda:N, wgpu or wgpu:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Sets a value of the runs' files, such as encoders.hubert.weights=models/hubert; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number of seconds".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("use a number of seconds from 0.1 to 86400".to_owned())
    }
}

#[cfg(not(feature = "serve"))]
pub(super) fn serve(_: &Arguments, _: super::Common) -> Result<(), emorun_engine::exit::Failure> {
    Err(emorun_engine::exit::Failure::Usage(
        "this program was built without `serve`: build it with cargo build --release --features serve".into(),
    ))
}

#[cfg(feature = "serve")]
pub(super) use served::serve;

#[cfg(feature = "serve")]
mod served {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::Arguments;
    use crate::cli::{Common, check, print, run};
    use emorun_engine::exit::{ExitCode, Failure};
    use emorun_engine::terminal::tell;
    use emorun_files::read_regular;
    use emorun_recognise::Recogniser;
    use emorun_runs::run::predictor::Predictor;
    use emorun_runs::run::trained::TrainedRun;
    use emorun_serve::{Bound, Limits, ServeError, Server, Token};

    /// Where a token may stand that no file has.
    const VARIABLE: &str = "EMORUN_TOKEN";
    /// Most of a token's file that is read, in bytes.
    const MOST_TOKEN: u64 = 1 << 16;

    pub(in crate::cli) fn serve(arguments: &Arguments, common: Common) -> Result<(), Failure> {
        let token = token(arguments).map_err(failure)?;
        // A taken port is told before weights are read.
        let bound = Bound::bind(arguments.listen, &arguments.hosts, token).map_err(failure)?;
        let device = run::choose(arguments.device)?;
        let mut models: Vec<(String, Box<dyn Recogniser>)> = Vec::new();
        for given in &arguments.runs {
            let (name, dir) = named(given);
            let runs = TrainedRun::open_all(&dir)?;
            let changes = (arguments.sets.as_slice(), common.offline);
            let predictor = Predictor::open(&runs, changes, &device, &mut |report, sources| {
                check::write(report, sources, common.format);
            })?;
            let name = name.unwrap_or_else(|| predictor.name().to_owned());
            models.push((name, Box::new(predictor)));
        }
        let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
        let url = bound.url();
        let server = Server::new(bound, models, limits(arguments)).map_err(failure)?;
        tell(&format!("serving {}; Ctrl-C ends it", names.join(", ")));
        let ended = server.run(|| print(&format!("{url}\n"))).map_err(failure)?;
        if ended.broken_off > 0 {
            return Err(Failure::Partly {
                code: ExitCode::Interrupted,
                message: format!(
                    "{} request(s) or stream(s) took longer than {} s and were broken off (--drain)",
                    ended.broken_off, arguments.drain
                ),
            });
        }
        Ok(())
    }

    /// A run as it is given: perhaps under a name.
    fn named(given: &str) -> (Option<String>, PathBuf) {
        // A folder may have the sign in its own name.
        match given.split_once('=') {
            Some((name, dir)) if !name.is_empty() && !name.contains(['/', '\\']) && !Path::new(given).exists() => {
                (Some(name.to_owned()), dir.into())
            }
            _ => (None, given.into()),
        }
    }

    fn limits(arguments: &Arguments) -> Limits {
        Limits {
            body_bytes: arguments.max_body << 20,
            seconds: arguments.max_seconds,
            clip_seconds: arguments.max_clip,
            requests: arguments.max_requests as usize,
            queue: arguments.max_queue as usize,
            streams: arguments.max_streams as usize,
            batch_seconds: arguments.batch_seconds,
            batch_wait: Duration::from_millis(arguments.batch_wait),
            patience: Duration::from_secs_f64(arguments.patience),
            drain: Duration::from_secs_f64(arguments.drain),
        }
    }

    fn token(arguments: &Arguments) -> Result<Option<Token>, ServeError> {
        let (from, text) = match &arguments.token_file {
            Some(path) => {
                let bytes = read_regular(path, MOST_TOKEN).map_err(|source| ServeError::TokenFile {
                    path: path.clone(),
                    source,
                })?;
                (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())
            }
            None => match std::env::var_os(VARIABLE) {
                Some(value) => (VARIABLE.to_owned(), value.to_string_lossy().into_owned()),
                None => return Ok(None),
            },
        };
        match Token::new(&text) {
            Ok(token) => Ok(Some(token)),
            Err(source) => Err(ServeError::Token { from, source }),
        }
    }

    fn failure(error: ServeError) -> Failure {
        match error {
            ServeError::TokenFile { .. } | ServeError::Token { .. } | ServeError::Gate(_) | ServeError::SameName(_) => {
                Failure::Usage(error.to_string())
            }
            ServeError::Listen { .. } => Failure::Conflict(error.to_string()),
            ServeError::System(_) => Failure::Bug(error.to_string()),
        }
    }
}
