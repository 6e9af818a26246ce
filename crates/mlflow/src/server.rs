//! Requests to a tracking server.

use std::env;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use emorun_fetch::http::{Response, header};
use emorun_fetch::{Agent, Body, Network, TransportError};
use serde_json::Value;

use crate::MlflowError;

/// Largest answer that is read.
const MOST_ANSWER: u64 = 64 << 20;
/// Characters of an answer that is no JSON that are shown.
const SHOWN: usize = 300;

/// Who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Anybody.
    #[default]
    None,
    /// The bearer of a token.
    Token(String),
    /// A user with a password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::Password { .. } => "Password { … }",
        })
    }
}

impl Credentials {
    /// Those of `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, else of `MLFLOW_TRACKING_TOKEN`: the order of
    /// MLflow's own client.
    pub fn from_env() -> Self {
        let of = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let user = of("MLFLOW_TRACKING_USERNAME").zip(of("MLFLOW_TRACKING_PASSWORD"));
        match (user, of("MLFLOW_TRACKING_TOKEN")) {
            (Some((user, password)), _) => Self::Password { user, password },
            (None, Some(token)) => Self::Token(token),
            (None, None) => Self::None,
        }
    }

    fn header(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Token(token) => Some(format!("Bearer {token}")),
            Self::Password { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
        }
    }
}

/// A tracking server.
pub struct Server {
    agent: Agent,
    /// Its address, without a slash at the end.
    base: String,
    authorization: Option<String>,
}

impl Server {
    /// The server at an address such as `http://127.0.0.1:5000`; nothing is asked of it yet.
    ///
    /// # Errors
    /// It is no address, or certificates cannot be read.
    pub fn new(address: &str, credentials: &Credentials, network: &Network) -> Result<Self, MlflowError> {
        let base = address.trim();
        let wrong = |problem| MlflowError::Address {
            address: shown(base),
            problem,
        };
        let rest = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        let rest = rest.ok_or_else(|| wrong("it begins neither with http:// nor with https://"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(wrong("it names no server"));
        }
        if authority.contains('@') {
            return Err(wrong(
                "it holds a password, which others could read; give it by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            ));
        }
        if base.contains(['?', '#']) || base.contains(char::is_whitespace) {
            return Err(wrong("it has parts that an address of a server has not"));
        }
        Ok(Self {
            agent: network.agent()?,
            base: base.trim_end_matches('/').to_owned(),
            authorization: credentials.header(),
        })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Asks by GET, such as `runs/get` with its query.
    pub(crate) fn get(&self, action: &'static str, path: &str, query: &[(&str, &str)]) -> Result<Value, MlflowError> {
        let mut request = self.agent.get(self.api(path));
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        self.answer(action, request.call())
    }

    /// Asks by POST, such as `runs/create`.
    pub(crate) fn post(&self, action: &'static str, path: &str, body: &Value) -> Result<Value, MlflowError> {
        let mut request = self.agent.post(self.api(path));
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        self.answer(action, request.send(body.to_string().as_bytes()))
    }

    /// Puts an artifact in its place, which replaces one that is there.
    pub(crate) fn put_artifact(&self, path: &str, bytes: &[u8]) -> Result<(), MlflowError> {
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}", self.base);
        let mut request = self.agent.put(url);
        request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        self.answer("keep an artifact", request.send(bytes)).map(|_| ())
    }

    fn api(&self, path: &str) -> String {
        format!("{}/api/2.0/mlflow/{path}", self.base)
    }

    fn answer(
        &self,
        action: &'static str,
        answered: Result<Response<Body>, TransportError>,
    ) -> Result<Value, MlflowError> {
        let none = |error: TransportError| MlflowError::NoAnswer {
            server: self.base.clone(),
            reason: error.to_string(),
        };
        let mut answer = answered.map_err(none)?;
        let status = answer.status();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(MOST_ANSWER)
            .read_to_vec()
            .map_err(none)?;
        let value: Result<Value, _> = match bytes.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&bytes),
        };
        if !status.is_success() {
            let text = |key: &str| Some(value.as_ref().ok()?[key].as_str()?.to_owned());
            let plain = || String::from_utf8_lossy(&bytes).chars().take(SHOWN).collect();
            let message: String = text("message").unwrap_or_else(plain);
            return Err(MlflowError::Refused {
                server: self.base.clone(),
                action,
                status: status.as_u16(),
                code: text("error_code").unwrap_or_default(),
                message: emorun_catalogue::plain(&message),
            });
        }
        value.map_err(|error| self.unlike(action, error.to_string()))
    }

    /// An answer that is none of an MLflow server.
    pub(crate) fn unlike(&self, action: &'static str, problem: String) -> MlflowError {
        MlflowError::Answer {
            server: self.base.clone(),
            action,
            problem,
        }
    }

    /// A text of an answer.
    pub(crate) fn text(&self, action: &'static str, value: &Value, pointer: &str) -> Result<String, MlflowError> {
        let text = value.pointer(pointer).and_then(Value::as_str);
        let lacks = || self.unlike(action, format!("the answer lacks {pointer}"));
        text.map(str::to_owned).ok_or_else(lacks)
    }
}

/// An address without what stands before an `@`.
fn shown(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => address.to_owned(),
    }
}
