//! Named sources of items beside their audio: other recordings, frames at a rate, texts, tokens.
//!
//! A dataset declares what each of its streams is (a [`StreamForm`]), an item says where its own are (a [`StreamSource`]),
//! or has none. What an item is, in splits and among copies, is told by its audio alone.

mod check;
mod read;

use crate::corpora::DatasetConfig;
use crate::{Also, ContentHash, DataError, FilePath, Item, Name, ShortStamp, StreamProblem};
use emorun_audio::{Channel, load_channel};
use emorun_lang::{FrameRate, Signal};
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) use check::check;
pub(crate) use read::MAX_VOCABULARY;

/// What a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamForm {
    /// A recording.
    Audio,
    /// Frames over time.
    Frames {
        /// Values a frame.
        width: usize,
        /// Frames a second.
        rate: FrameRate,
    },
    /// A text.
    Text,
    /// Symbols of a vocabulary.
    Tokens {
        /// Number of different symbols.
        vocabulary: usize,
        /// Symbols a second; `None` for those that are not spaced in time.
        rate: Option<FrameRate>,
    },
}

impl StreamForm {
    /// What stands at the stream's port, at the experiment's sample rate.
    #[must_use]
    pub fn signal(&self, sample_rate_hz: u32) -> Signal {
        match *self {
            Self::Audio => Signal::Wave {
                rate_hz: sample_rate_hz,
            },
            Self::Frames { width, rate } => Signal::Frames { width, rate },
            Self::Text => Signal::Text,
            Self::Tokens { vocabulary, rate } => Signal::Tokens { vocabulary, rate },
        }
    }

    /// The form of a stream whose port carries a signal; `None` of what no stream carries.
    #[must_use]
    pub fn of(signal: &Signal) -> Option<Self> {
        Some(match *signal {
            Signal::Wave { .. } => Self::Audio,
            Signal::Frames { width, rate } => Self::Frames { width, rate },
            Signal::Text => Self::Text,
            Signal::Tokens { vocabulary, rate } => Self::Tokens { vocabulary, rate },
            _ => return None,
        })
    }
}

/// Where an item's own part of a stream is.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamSource {
    /// A recording, frames or tokens in a file.
    File(Arc<StreamFile>),
    /// A text.
    Text(Name),
    /// Tokens of the table itself.
    Tokens(Arc<[u32]>),
}

/// A file of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamFile {
    /// The file.
    pub path: FilePath,
    /// The tensor in a `.safetensors` of several.
    pub tensor: Option<Name>,
    /// Which channel of a recording is heard.
    pub channel: Channel,
    /// Which file it was when it was looked at.
    pub stamp: Option<ShortStamp>,
    /// Hash of its samples or values, after a deep scan.
    pub content: Option<ContentHash>,
    /// Its length in seconds (a recording), frames or tokens, after a deep scan.
    pub length: Option<f64>,
}

/// An item's part of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamValue {
    /// Mono samples at the rate asked for.
    Audio(Vec<f32>),
    /// `time × width` values, row after row.
    Frames(Vec<f32>),
    /// A text.
    Text(Name),
    /// Numbers of symbols.
    Tokens(Vec<u32>),
}

impl Item {
    /// Where the item's part of a stream is, where it has one.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&StreamSource> {
        let own = self.streams.iter().find(|(own, _)| own == name);
        own.map(|(_, source)| source)
    }

    /// The item's part of a stream, audio as samples at `rate_hz`; `None` where it has none.
    ///
    /// # Errors
    /// Where the file can no longer be read as it was when it was scanned, or is another one.
    pub fn load_stream(&self, name: &str, form: &StreamForm, rate_hz: u32) -> Result<Option<StreamValue>, DataError> {
        let Some(source) = self.stream(name) else {
            return Ok(None);
        };
        let loaded = match source {
            StreamSource::Text(text) => Ok(StreamValue::Text(text.clone())),
            StreamSource::Tokens(tokens) => Ok(StreamValue::Tokens(tokens.to_vec())),
            StreamSource::File(file) => file.load(form, rate_hz),
        };
        loaded.map(Some).map_err(|problem| self.stream_error(name, problem))
    }
}

impl Item {
    /// Whether the file of the item's part of a stream is still the one that was scanned.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check_stream_unchanged(&self, name: &str) -> Result<(), DataError> {
        let Some(StreamSource::File(file)) = self.stream(name) else {
            return Ok(());
        };
        file.check_unchanged(&file.path.to_path())
            .map_err(|problem| self.stream_error(name, problem))
    }

    fn stream_error(&self, name: &str, problem: StreamProblem) -> DataError {
        DataError::Stream {
            dataset: self.dataset.to_string(),
            stream: name.to_owned(),
            row: None,
            problem: Box::new(problem),
            also: Also::default(),
        }
    }
}

impl StreamSource {
    /// Its length in seconds (a recording), frames or tokens, as far as it is known.
    #[must_use]
    pub fn length(&self) -> Option<f64> {
        match self {
            Self::File(file) => file.length,
            Self::Tokens(tokens) => Some(tokens.len() as f64),
            Self::Text(_) => None,
        }
    }

    /// What tells it from another: its content, or of a file that was not read its size and date. Not where it lies.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Tokens(tokens) => format!("{tokens:?}"),
            Self::File(file) => {
                let stamp = || format!("{:?}", file.stamp.map(ShortStamp::number));
                let content = file.content.map_or_else(stamp, |content| content.to_string());
                match file.channel {
                    Channel::Mix => content,
                    channel => format!("{content} channel {channel}"),
                }
            }
        }
    }
}

impl StreamFile {
    fn load(&self, form: &StreamForm, rate_hz: u32) -> Result<StreamValue, StreamProblem> {
        let path = self.path.to_path();
        self.check_unchanged(&path)?;
        match form {
            StreamForm::Audio => {
                let clip = load_channel(&path, rate_hz, None, self.channel).map_err(StreamProblem::Audio)?;
                Ok(StreamValue::Audio(clip.samples))
            }
            StreamForm::Frames { width, .. } => read::frames(&path, self.tensor.as_deref(), *width),
            StreamForm::Tokens { vocabulary, .. } => read::tokens(&path, self.tensor.as_deref(), *vocabulary),
            StreamForm::Text => Err(StreamProblem::Format { path }),
        }
    }

    /// Whether it is the file that was scanned: by its stamp, or else a recording by its content.
    fn check_unchanged(&self, path: &Path) -> Result<(), StreamProblem> {
        let now = ShortStamp::of(path);
        let is_another = self.stamp.is_some() && now.is_some() && now != self.stamp;
        if is_another && read::content_of(path, self.tensor.as_deref()).is_none_or(|now| Some(now) != self.content) {
            return Err(StreamProblem::Changed { path: path.to_owned() });
        }
        Ok(())
    }
}

/// The streams of all datasets, in their order.
///
/// # Errors
/// Each that is something else in another dataset.
pub fn stream_forms(
    datasets: &IndexMap<String, DatasetConfig>,
) -> Result<IndexMap<String, StreamForm>, Vec<DataError>> {
    let mut forms: IndexMap<String, (String, StreamForm)> = IndexMap::new();
    let mut errors = Vec::new();
    for (dataset, config) in datasets {
        for (name, form) in config.corpus().streams() {
            match forms.get(&name) {
                Some((other, known)) if *known != form => errors.push(DataError::Stream {
                    dataset: dataset.clone(),
                    stream: name,
                    row: None,
                    problem: Box::new(StreamProblem::Differs {
                        form: form.signal(0),
                        other: other.clone(),
                        theirs: known.signal(0),
                    }),
                    also: Also::default(),
                }),
                Some(_) => {}
                None => {
                    forms.insert(name, (dataset.clone(), form));
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(forms.into_iter().map(|(name, (_, form))| (name, form)).collect())
    } else {
        Err(errors)
    }
}
