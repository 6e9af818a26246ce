//! Looking at the files of streams while a corpus is scanned.

use super::{StreamFile, StreamForm, StreamSource, StreamValue, read};
use crate::candidate::Candidate;
use crate::corpora::DatasetConfig;
use crate::files::{Files, Request, Wanted};
use crate::{Also, ContentHash, Corpus, DataError, Name, ScanLevel, ShortStamp, StreamProblem, parallel};
use emorun_audio::{Channel, MIN_DURATION_S};
use indexmap::IndexMap;
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file as a stream of one form.
#[derive(PartialEq, Eq, Hash)]
struct Wish {
    path: PathBuf,
    tensor: Option<Name>,
    /// Place of the stream's form.
    form: usize,
    channel: Option<u16>,
}

/// What a file turned out to be.
#[derive(Default)]
struct Looked {
    content: Option<ContentHash>,
    length: Option<f64>,
}

/// What is wrong with files, those together of one stream of a dataset in which the same is.
#[derive(Default)]
struct Wrong {
    groups: IndexMap<(usize, Name, Discriminant<StreamProblem>), Group>,
}

/// The line of the first file, what is wrong with it, and the lines of the others.
struct Group {
    row: Option<u64>,
    problem: StreamProblem,
    also: Also,
}

impl Wrong {
    fn add(&mut self, candidate: &Candidate, stream: &Name, problem: StreamProblem) {
        let key = (candidate.dataset, stream.clone(), discriminant(&problem));
        match self.groups.entry(key) {
            indexmap::map::Entry::Occupied(mut known) => known.get_mut().also.add(candidate.row.unwrap_or_default()),
            indexmap::map::Entry::Vacant(new) => {
                new.insert(Group {
                    row: candidate.row,
                    problem,
                    also: Also::default(),
                });
            }
        }
    }

    fn into_errors(self, datasets: &IndexMap<String, DatasetConfig>) -> impl Iterator<Item = DataError> {
        let groups = self.groups.into_iter();
        groups.filter_map(|((dataset, stream, _), Group { row, problem, also })| {
            let (dataset, _) = datasets.get_index(dataset)?;
            Some(DataError::Stream {
                dataset: dataset.clone(),
                stream: stream.to_string(),
                row,
                problem: Box::new(problem),
                also,
            })
        })
    }
}

/// Looks at every file that is part of a stream: whether it is there, and in a deep scan whether all of it can be used.
/// What was found out is added to the candidates, what is wrong to `errors`, and remarks on absent streams to the corpus.
pub(crate) fn check(
    candidates: &mut [Candidate],
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
    corpus: &mut Corpus,
    errors: &mut Vec<DataError>,
) {
    let forms = match super::stream_forms(datasets) {
        Ok(forms) if forms.is_empty() => return,
        Ok(forms) => forms,
        Err(wrong) => {
            errors.extend(wrong);
            return;
        }
    };
    let mut wishes: IndexMap<Wish, Vec<(usize, usize)>> = IndexMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        for (at, (name, source)) in candidate.streams.iter().enumerate() {
            if let (StreamSource::File(file), Some(form)) = (source, forms.get_index_of(name.as_str())) {
                let wish = Wish {
                    path: file.path.to_path(),
                    tensor: file.tensor.clone(),
                    form,
                    channel: (file.channel != Channel::Mix).then(|| file.channel.code()),
                };
                wishes.entry(wish).or_default().push((place, at));
            }
        }
    }
    let mut files = Files::open(cache);
    let asked: Vec<(&Wish, Channel)> = wishes
        .iter()
        .filter_map(|(wish, users)| {
            let (place, at) = *users.first()?;
            match &candidates[place].streams[at].1 {
                StreamSource::File(file) => Some((wish, file.channel)),
                _ => None,
            }
        })
        .collect();
    let looked = look(&asked, &forms, level, &mut files);
    corpus.warnings.extend(files.finish());
    let mut wrong = Wrong::default();
    for ((wish, users), looked) in wishes.iter().zip(looked) {
        let (stamp, looked) = match looked {
            Ok(looked) => looked,
            Err(problem) => {
                let Some((place, at)) = users.first() else { continue };
                let candidate = &candidates[*place];
                wrong.add(candidate, &candidate.streams[*at].0, problem);
                continue;
            }
        };
        let mut shared: Option<Arc<StreamFile>> = None;
        for &(place, at) in users {
            if let StreamSource::File(file) = &mut candidates[place].streams[at].1 {
                let known = shared.get_or_insert_with(|| {
                    Arc::new(StreamFile {
                        path: wish.path.as_path().into(),
                        tensor: wish.tensor.clone(),
                        channel: file.channel,
                        stamp,
                        content: looked.content,
                        length: looked.length,
                    })
                });
                *file = known.clone();
            }
        }
    }
    errors.extend(wrong.into_errors(datasets));
    note_absent(candidates, datasets, &forms, corpus);
}

/// Looks at files, the audio among them with the memory of earlier scans; gives the stamp of each as well.
fn look(
    asked: &[(&Wish, Channel)],
    forms: &IndexMap<String, StreamForm>,
    level: ScanLevel,
    files: &mut Files<'_>,
) -> Vec<Result<(Option<ShortStamp>, Looked), StreamProblem>> {
    let form = |wish: &Wish| forms.get_index(wish.form).map(|(_, form)| form);
    let is_audio = |wish: &Wish| form(wish) == Some(&StreamForm::Audio);
    let requests = asked.iter().filter(|(wish, _)| is_audio(wish) && wish.path.is_file());
    let requests: Vec<Request> = requests
        .map(|(wish, channel)| Request {
            path: wish.path.clone(),
            parts: vec![Wanted {
                part: None,
                channel: *channel,
            }],
            minimum_s: MIN_DURATION_S,
            hash: false,
            decode: level == ScanLevel::Deep,
        })
        .collect();
    let mut heard = requests.iter().map(|request| &request.path).zip(files.read(&requests));
    let others = parallel::map(asked, |(wish, _)| {
        if !wish.path.is_file() {
            return Err(StreamProblem::Missing {
                path: wish.path.clone(),
            });
        }
        match form(wish) {
            Some(form) if level == ScanLevel::Deep && !is_audio(wish) => look_at_array(wish, form),
            _ => Ok(Looked::default()),
        }
    });
    let all = asked.iter().zip(others).map(|((wish, _), looked)| {
        let stamp = ShortStamp::of(&wish.path);
        let looked = looked?;
        if !is_audio(wish) {
            return Ok((stamp, looked));
        }
        let Some((_, facts)) = heard.next() else {
            return Ok((stamp, looked));
        };
        let facts = facts.map_err(StreamProblem::Audio)?;
        for part in facts.parts {
            part.map_err(StreamProblem::Audio)?;
        }
        let looked = Looked {
            content: facts.content,
            length: Some(facts.duration_s),
        };
        Ok((facts.stamp, looked))
    });
    all.collect()
}

fn look_at_array(wish: &Wish, form: &StreamForm) -> Result<Looked, StreamProblem> {
    let (path, tensor) = (wish.path.as_path(), wish.tensor.as_deref());
    let (shape, values) = match form {
        StreamForm::Frames { width, .. } => match read::frames(path, tensor, *width)? {
            StreamValue::Frames(values) => (vec![values.len() / width, *width], values),
            _ => return Err(StreamProblem::Format { path: path.to_owned() }),
        },
        StreamForm::Tokens { vocabulary, .. } => match read::tokens(path, tensor, *vocabulary)? {
            StreamValue::Tokens(ids) => (vec![ids.len()], ids.into_iter().map(|id| id as f32).collect()),
            _ => return Err(StreamProblem::Format { path: path.to_owned() }),
        },
        StreamForm::Audio | StreamForm::Text => return Err(StreamProblem::Format { path: path.to_owned() }),
    };
    Ok(Looked {
        content: Some(read::content(&shape, &values)),
        length: Some(shape[0] as f64),
    })
}

/// One remark for each stream of a dataset that some of its items lack.
fn note_absent(
    candidates: &[Candidate],
    datasets: &IndexMap<String, DatasetConfig>,
    forms: &IndexMap<String, StreamForm>,
    corpus: &mut Corpus,
) {
    for (dataset, name) in datasets.keys().enumerate() {
        let own: Vec<&Candidate> = candidates.iter().filter(|one| one.dataset == dataset).collect();
        for stream in forms.keys() {
            let lacking = own
                .iter()
                .filter(|one| !one.streams.iter().any(|(own, _)| own == stream));
            let count = lacking.count();
            if count > 0 {
                corpus.warnings.push(format!(
                    "dataset `{name}`: {count} of {} items lack the stream `{stream}`; what needs it runs without them",
                    own.len()
                ));
            }
        }
    }
}
