//! Where weights are to come from, as an experiment says it.

use crate::WeightsError;
use std::fmt;
use std::path::{Path, PathBuf};

/// The value of `weights:` in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WeightsSource {
    /// No file: the network keeps its random initialisation.
    Random,
    /// A repository of the Hub.
    Hub {
        /// `owner/name`.
        id: String,
        /// Branch, tag or commit; none means `main`.
        revision: Option<String>,
    },
    /// A folder with `config.json` and the tensors.
    Folder(PathBuf),
    /// A file of tensors with `config.json` beside it.
    File(PathBuf),
}

/// Extensions of tensor files.
pub(crate) const EXTENSIONS: [&str; 5] = ["safetensors", "bin", "pt", "pth", "ckpt"];

impl WeightsSource {
    /// Reads the text of `weights:`. What exists as a path is that path; text that starts with `.`, `/` or `~` or ends
    /// in a tensor file's extension is a path even if nothing is there yet; `owner/name` is a Hub id.
    ///
    /// # Errors
    /// [`WeightsError::Form`] when the text has none of the forms.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        Self::parse_with(text, std::env::home_dir().as_deref())
    }

    fn parse_with(text: &str, home: Option<&Path>) -> Result<Self, WeightsError> {
        let form = || WeightsError::Form { text: text.to_owned() };
        if text == "random" {
            return Ok(Self::Random);
        }
        if text.is_empty() || text.contains('\0') {
            return Err(form());
        }
        let path = expand(text, home);
        let tensors = path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| EXTENSIONS.contains(&extension));
        if path.is_dir() {
            Ok(Self::Folder(path))
        } else if path.is_file() {
            if tensors { Ok(Self::File(path)) } else { Err(form()) }
        } else if tensors {
            Ok(Self::File(path))
        } else if text.starts_with(['.', '/', '~']) {
            Ok(Self::Folder(path))
        } else {
            hub(text).ok_or_else(form)
        }
    }
}

impl fmt::Display for WeightsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Hub { id, revision: None } => f.write_str(id),
            Self::Hub {
                id,
                revision: Some(revision),
            } => write!(f, "{id}@{revision}"),
            Self::Folder(path) | Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

fn expand(text: &str, home: Option<&Path>) -> PathBuf {
    match (text, text.strip_prefix("~/"), home) {
        ("~", _, Some(home)) => home.to_owned(),
        (_, Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

fn hub(text: &str) -> Option<WeightsSource> {
    let (id, revision) = match text.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (text, None),
    };
    let (owner, name) = id.split_once('/')?;
    let legal = id.len() <= 96 && is_hub_name(owner) && is_hub_name(name) && revision.is_none_or(is_revision);
    legal.then(|| WeightsSource::Hub {
        id: id.to_owned(),
        revision: revision.map(str::to_owned),
    })
}

/// The Hub's own rule for owners and names; `--` would make folder names of the cache ambiguous.
fn is_hub_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("--")
        && !name.contains("..")
}

/// A name that is also safe as a file below `refs/`.
fn is_revision(revision: &str) -> bool {
    revision.len() <= 200
        && revision.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(id: &str, revision: Option<&str>) -> WeightsSource {
        WeightsSource::Hub {
            id: id.to_owned(),
            revision: revision.map(str::to_owned),
        }
    }

    #[test]
    fn every_form_is_read_as_what_it_is() {
        let home = Path::new("/home/ada");
        let cases = [
            ("random", WeightsSource::Random),
            ("facebook/hubert-base-ls960", hub("facebook/hubert-base-ls960", None)),
            (
                "facebook/hubert-base-ls960@main",
                hub("facebook/hubert-base-ls960", Some("main")),
            ),
            ("a/b@refs/pr/1", hub("a/b", Some("refs/pr/1"))),
            ("./weights", WeightsSource::Folder("./weights".into())),
            ("../w", WeightsSource::Folder("../w".into())),
            ("/models/hubert", WeightsSource::Folder("/models/hubert".into())),
            (
                "~/models/hubert",
                WeightsSource::Folder("/home/ada/models/hubert".into()),
            ),
            ("~", WeightsSource::Folder("/home/ada".into())),
            (
                "facebook/model.safetensors",
                WeightsSource::File("facebook/model.safetensors".into()),
            ),
            ("model.bin", WeightsSource::File("model.bin".into())),
            ("~/model.pt", WeightsSource::File("/home/ada/model.pt".into())),
            ("x/y/z.pth", WeightsSource::File("x/y/z.pth".into())),
            ("last.ckpt", WeightsSource::File("last.ckpt".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(WeightsSource::parse_with(text, Some(home)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn text_of_no_form_is_refused_with_the_forms() {
        for text in [
            "",
            "hubert",
            "a/b/c",
            "facebook/",
            "/",
            "a/b@",
            "a/b@../c",
            "a/b@.x",
            "a b/c",
            "a/b--c",
            "-a/b",
            "a/b.",
            "a\0/b",
            "näme/b",
        ] {
            match WeightsSource::parse_with(text, None) {
                Err(WeightsError::Form { text: named }) => assert_eq!(named, text),
                other => assert_eq!(text, "/", "{other:?}"),
            }
        }
        let message = WeightsSource::parse("hubert").unwrap_err().to_string();
        assert!(
            message.contains("owner/name") && message.contains("random"),
            "{message}"
        );
    }

    #[test]
    fn an_existing_path_wins_over_a_hub_id() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        assert_eq!(
            WeightsSource::parse(text).unwrap(),
            WeightsSource::Folder(folder.path().to_owned())
        );
        let here = Path::new("src/hub");
        assert!(here.is_dir());
        assert_eq!(
            WeightsSource::parse("src/hub").unwrap(),
            WeightsSource::Folder(here.to_owned())
        );
        assert!(matches!(
            WeightsSource::parse("src/lib.rs"),
            Err(WeightsError::Form { .. })
        ));
    }

    #[test]
    fn a_source_prints_as_it_was_written() {
        for text in ["random", "a/b", "a/b@v1.0", "./x", "m.safetensors"] {
            assert_eq!(WeightsSource::parse(text).unwrap().to_string(), text);
        }
    }
}
