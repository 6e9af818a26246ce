//! How the Hub is reached, read from the variables that `huggingface_hub` reads.

use emorun_fetch::Clock;
use emorun_files::read_regular;
use std::fmt;
use std::path::{Path, PathBuf};

const ENDPOINT: &str = "https://huggingface.co";
/// Largest file of a token.
const MOST_TOKEN: u64 = 1 << 16;

/// How the Hub is reached and where its cache is.
#[derive(Clone)]
pub struct HubSettings {
    /// Address without a slash at its end.
    pub endpoint: String,
    /// The folder of `models--owner--name`.
    pub cache: PathBuf,
    /// Sent to the endpoint and to no other host.
    pub token: Option<String>,
    /// Whether the cache has to do.
    pub offline: bool,
    /// Whether HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
    pub proxy_from_env: bool,
    /// PEM file of certificates to trust instead of the built-in ones, for networks that open TLS.
    pub certificates: Option<PathBuf>,
    /// By what a busy Hub is waited for.
    pub clock: Clock,
}

impl HubSettings {
    /// Reads `HF_ENDPOINT`, `HF_HUB_CACHE` (else `HF_HOME`, else `XDG_CACHE_HOME`), `HF_TOKEN` (else the file that
    /// `hf auth login` wrote), `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` and `REQUESTS_CA_BUNDLE` or `SSL_CERT_FILE`.
    #[must_use]
    pub fn from_env(offline: bool) -> Self {
        Self::from_vars(offline, std::env::home_dir().as_deref(), |name| {
            std::env::var(name).ok()
        })
    }

    fn from_vars(offline: bool, home: Option<&Path>, var: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| {
            var(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let path = |name: &str| text(name).map(PathBuf::from);
        let yes = |name: &str| {
            text(name).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
        };
        let base = path("HF_HOME").unwrap_or_else(|| {
            let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| home.unwrap_or(Path::new(".")).join(".cache"));
            caches.join("huggingface")
        });
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| base.join("token"));
        Self {
            endpoint: text("HF_ENDPOINT")
                .unwrap_or_else(|| ENDPOINT.to_owned())
                .trim_end_matches('/')
                .to_owned(),
            cache: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| base.join("hub")),
            token: text("HF_TOKEN")
                .or_else(|| String::from_utf8(read_regular(&token_file, MOST_TOKEN).ok()?).ok())
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: offline || yes("HF_HUB_OFFLINE") || yes("TRANSFORMERS_OFFLINE"),
            proxy_from_env: true,
            certificates: path("REQUESTS_CA_BUNDLE").or_else(|| path("SSL_CERT_FILE")),
            clock: Clock::default(),
        }
    }
}

impl fmt::Debug for HubSettings {
    /// All but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_vars(false, Some(Path::new("/home/ada")), |name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_the_cache_is_where_python_has_it() {
        let plain = settings(&[]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache, Path::new("/home/ada/.cache/huggingface/hub"));
        assert!(!plain.offline && plain.token.is_none());
    }

    #[test]
    fn the_closer_variable_wins() {
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], "/c"),
        ];
        for (vars, cache) in cases {
            assert_eq!(settings(vars).cache, Path::new(cache), "{vars:?}");
        }
    }

    #[test]
    fn offline_is_read_as_python_reads_it() {
        for (value, offline) in [
            ("1", true),
            ("true", true),
            ("ON", true),
            ("0", false),
            ("", false),
            ("no", false),
        ] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
    }

    #[test]
    fn a_token_is_trimmed_and_never_printed() {
        let settings = settings(&[("HF_TOKEN", " secret\n"), ("HF_ENDPOINT", "http://mirror/")]);
        assert_eq!(settings.token.as_deref(), Some("secret"));
        assert_eq!(settings.endpoint, "http://mirror");
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
