//! The server: connections taken in, and an end that waits for what has begun.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use emorun_recognise::Recogniser;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

use crate::access::{Gate, GateError};
use crate::app::App;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::routes::router;
use crate::token::{Token, TokenError};

/// How long is waited after a connection could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How long idle connections have to end once nothing else is to be done.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Exit code of a process that a second signal ends: that of one which was interrupted.
const INTERRUPTED: i32 = 130;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}; choose another one with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It may not be served like that.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The token's file cannot be read.
    #[error("the token's file {} cannot be read: {source}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is given as a token is none.
    #[error("{from}: {source}")]
    Token {
        /// The file or variable.
        from: String,
        /// Why not.
        source: TokenError,
    },
    /// Two models would be asked by one name.
    #[error("two models are called `{0}`; give one another name, as NAME=RUN")]
    SameName(String),
    /// The system gives no thread or timer.
    #[error("the server cannot start: {0}")]
    System(#[source] std::io::Error),
}

/// An address that is listened at, before the models are there.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    gate: Gate,
}

impl Bound {
    /// Listens at an address, of which port 0 is any free one; `hosts` are further names under which it is reached, such as
    /// behind a proxy.
    ///
    /// # Errors
    /// The address is taken or none of this machine; others could reach it and there is no token.
    pub fn bind(wanted: SocketAddr, hosts: &[String], token: Option<Token>) -> Result<Self, ServeError> {
        // What may not be served is refused before anybody can connect.
        Gate::new(wanted, hosts, token.clone())?;
        let failed = |source| ServeError::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            gate: Gate::new(address, hosts, token)?,
            listener,
            address,
        })
    }

    /// Its address, with the port that was found.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// A server of some models.
pub struct Server {
    listener: Bound,
    models: Vec<(String, Box<dyn Recogniser>)>,
    limits: Limits,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Requests and streams that took too long to be waited for.
    pub broken_off: usize,
}

impl Server {
    /// A server of some models, each under a name; the first is asked where none is named.
    ///
    /// # Errors
    /// Two models have one name.
    pub fn new(
        listener: Bound,
        models: Vec<(String, Box<dyn Recogniser>)>,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        for (at, (name, _)) in models.iter().enumerate() {
            if models.iter().take(at).any(|(other, _)| other == name) {
                return Err(ServeError::SameName(name.clone()));
            }
        }
        Ok(Self {
            listener,
            models,
            limits,
        })
    }

    /// Serves until SIGTERM or SIGINT (elsewhere Ctrl-C) comes; a second one ends the process at once. `ready` is called when
    /// signals are listened to: whoever is told the address may send one.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub fn run(self, ready: impl FnOnce()) -> Result<Ended, ServeError> {
        self.serve_until(|| {
            let signals = Signals::listen();
            ready();
            asked_to_end(signals)
        })
    }

    /// Serves until `stop` is done, then takes nothing new and ends when all that has begun is done, or has taken too long.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn serve(self, stop: impl Future<Output = ()>) -> Result<Ended, ServeError> {
        self.serve_until(|| stop)
    }

    /// As [`Self::serve`], with what is waited for made when the server is about to take connections.
    fn serve_until<F: Future<Output = ()>>(self, stop: impl FnOnce() -> F) -> Result<Ended, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("serve")
            .build()
            .map_err(ServeError::System)?;
        let metrics = Metrics::new();
        let (models, threads) = Models::start(self.models, &self.limits, &metrics).map_err(ServeError::System)?;
        let app = Arc::new(App::new(models, self.limits, self.listener.gate, metrics));
        let ended = runtime.block_on(async { accept(self.listener.listener, app, stop()).await })?;
        // What was broken off is not waited for, and nor are the models that still work on it.
        runtime.shutdown_timeout(LAST_WORDS);
        if ended.broken_off == 0 {
            for thread in threads {
                // Models catch their panics.
                let _ = thread.join();
            }
        }
        Ok(ended)
    }
}

/// Waits for a signal to end; from then on a second one does so at once.
async fn asked_to_end(mut signals: Signals) {
    signals.came().await;
    tracing::info!("ending: what has begun is finished");
    tokio::spawn(async move {
        signals.came().await;
        std::process::exit(INTERRUPTED);
    });
}

/// The signals that end a server. One that comes before they are listened to ends the process at once.
#[cfg(unix)]
struct Signals([Option<tokio::signal::unix::Signal>; 2]);

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!("a signal will end the server at once: {error}"))
                .ok()
        };
        Self([SignalKind::terminate(), SignalKind::interrupt()].map(listen))
    }

    async fn came(&mut self) {
        async fn came(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            () = came(terminate) => {}
            () = came(interrupt) => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn came(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!("Ctrl-C will end the server at once: {error}");
            std::future::pending().await
        }
    }
}

/// Takes connections in until all is done.
async fn accept(listener: TcpListener, app: Arc<App>, stop: impl Future<Output = ()>) -> Result<Ended, ServeError> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::System)?;
    let router = router(&app);
    let most = app.limits.connections();
    let places = Arc::new(Semaphore::new(most));
    let mut stop = std::pin::pin!(stop);
    let mut finished = std::pin::pin!(async {
        app.drain.started().await;
        app.drain.finished(app.limits.drain).await
    });
    let broken_off = loop {
        tokio::select! {
            () = &mut stop, if !app.drain.has_started() => app.drain.start(),
            broken_off = &mut finished => break broken_off,
            (stream, place) = next(&listener, &places) => {
                serve_one(stream, place, app.clone(), &router);
            }
        }
    };
    drop(listener);
    // The last answers are on their way: a connection that has sent all gives its place back.
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(LAST_WORDS, places.acquire_many(all)).await;
    Ok(Ended { broken_off })
}

/// The next connection, once there is a place for it. Those beyond wait in the system's own queue.
async fn next(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // The client gave up, or there are too many files open: others may go meanwhile.
            Err(error) => {
                tracing::debug!("a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn serve_one(stream: TcpStream, place: Option<OwnedSemaphorePermit>, app: Arc<App>, router: &Router) {
    let patience = app.limits.patience;
    // Small messages are events that somebody waits for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("messages may be held back: {error}");
    }
    let mut stream = TimeoutStream::new(stream);
    // A client that does not read what it is sent holds nothing for long.
    stream.set_write_timeout(Some(patience));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Of a request's head, and of the next request on the same connection.
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router.clone()))
        .with_upgrades();
    tokio::spawn(async move {
        let _place = place;
        let mut connection = std::pin::pin!(connection);
        // Who comes while the server ends is to hear so.
        let is_late = app.drain.has_started();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = app.drain.started(), if !is_late => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended: {error}");
        }
    });
}
