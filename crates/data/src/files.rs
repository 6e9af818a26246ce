//! Reading the files of a corpus: headers, or every sample, remembered between scans.

use crate::parallel;
use crate::sound::Sound;
use crate::{ContentHash, ShortStamp};
use emorun_audio::{AcousticFingerprint, AudioError, AudioInfo, Channel, Remark, Segment, check_channel, probe};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A part of a file that is used, with `None` for all of it, and the channel of it that is heard. An end that is not known
/// is the file's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub part: Option<(f64, Option<f64>)>,
    pub channel: Channel,
}

/// A file and what is asked about it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub path: PathBuf,
    /// What of it is used.
    pub parts: Vec<Wanted>,
    /// Length in seconds below which a part is of no use.
    pub minimum_s: f64,
    /// Whether to hash its samples.
    pub hash: bool,
    /// Whether to decode it.
    pub decode: bool,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub duration_s: f64,
    pub content: Option<ContentHash>,
    /// Which file it was, before it was read.
    pub stamp: Option<ShortStamp>,
    /// For each part asked for: its segment, or what is wrong with it.
    pub parts: Vec<Result<Option<Segment>, AudioError>>,
    /// For each part asked for: the hash of its samples, where it is not the whole file and was decoded, and sounds.
    pub part_contents: Vec<Option<ContentHash>>,
    /// What is odd about it.
    pub remarks: Vec<Remark>,
    /// Largest magnitude of a sample of its parts, where they were decoded.
    pub peak: f32,
    /// What it sounds like, where it was decoded.
    pub print: AcousticFingerprint,
}

/// What is remembered of a file that was decoded without fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    stamp: u64,
    duration_s: f64,
    content: ContentHash,
    parts: Vec<RememberedPart>,
    remarks: Vec<Remark>,
    peak: f32,
    print: String,
}

/// A part that was decoded: from where to where in seconds, with `None` for all of the file; the channel that is heard; the
/// hash of its samples.
type RememberedPart = (Option<(f64, f64)>, Channel, Option<ContentHash>);

/// The cache file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    version: u32,
    files: IndexMap<PathBuf, Remembered>,
}

/// Raised when what a deep scan checks changes, so that older memories do not count.
const VERSION: u32 = 5;

/// Reads files, with a memory of those that were decoded.
pub(crate) struct Files<'a> {
    cache: Option<&'a Path>,
    memory: Memory,
    changed: bool,
}

impl<'a> Files<'a> {
    /// With the memory in the file `cache`.
    pub fn open(cache: Option<&'a Path>) -> Self {
        Self {
            cache,
            memory: cache.map(Memory::open).unwrap_or_default(),
            changed: false,
        }
    }

    /// Reads files, from the memory where decoding is asked for and they have not changed.
    pub fn read(&mut self, requests: &[Request]) -> Vec<Result<FileFacts, AudioError>> {
        let files = &self.memory.files;
        let results = parallel::map(requests, |request| read_one(request, files.get(&request.path)));
        let remember = |(request, result): (&Request, Result<(FileFacts, Option<Remembered>), AudioError>)| {
            result.map(|(facts, remember)| {
                if let Some(remember) = remember {
                    self.changed = true;
                    self.memory.files.insert(request.path.clone(), remember);
                }
                facts
            })
        };
        requests.iter().zip(results).map(remember).collect()
    }

    /// Stores the memory; the text is a remark on it.
    pub fn finish(mut self) -> Option<String> {
        let path = self.cache.filter(|_| self.changed)?;
        let error = self.memory.save(path).err()?;
        Some(format!(
            "cannot remember which files were checked in {path:?}: {error}; the next scan reads them again"
        ))
    }
}

fn read_one(request: &Request, memory: Option<&Remembered>) -> Result<(FileFacts, Option<Remembered>), AudioError> {
    let path = &request.path;
    let stamp = ShortStamp::of(path);
    if request.decode
        && let Some(memory) = memory.filter(|memory| stamp.map(ShortStamp::number) == Some(memory.stamp))
        && let Some(facts) = memory.recall(request)
    {
        return Ok((FileFacts { stamp, ..facts }, None));
    }
    let info = probe(path)?;
    // Of a file that cannot be decoded as a whole parts may be good: what is wrong with the others is found below.
    let sound = match request.hash || request.decode {
        true => Sound::of(path).ok(),
        false => None,
    };
    let content = match &sound {
        Some(sound) => Some(sound.content),
        None if request.hash || request.decode => {
            let hash = ContentHash::of_file(path).map_err(|source| AudioError::Read {
                path: path.clone(),
                source,
            })?;
            Some(hash)
        }
        None => None,
    };
    let print = sound
        .map(|sound| sound.print)
        .filter(|_| request.decode)
        .unwrap_or_default();
    let (mut remarks, mut peak): (Vec<Remark>, f32) = (info.remark.into_iter().collect(), 0.0);
    let mut part_contents = Vec::with_capacity(request.parts.len());
    let parts: Vec<_> = request
        .parts
        .iter()
        .map(|wanted| {
            part_contents.push(None);
            let segment = wanted.part.map(|(start_s, end_s)| Segment {
                start_s,
                end_s: end_s.unwrap_or_else(|| info.duration_s()),
            });
            check_part(path, &info, segment, request.minimum_s)?;
            wanted.channel.check(path, &info)?;
            if request.decode {
                let checked = check_channel(path, segment, wanted.channel, request.minimum_s)?;
                peak = peak.max(checked.peak);
                remarks.extend(checked.remark.filter(|remark| !remarks.contains(remark)));
                if let (Some(segment), Some(content)) = (segment, part_contents.last_mut()) {
                    *content = ContentHash::of_part(path, segment)?;
                }
            }
            Ok(segment)
        })
        .collect();
    // A file that changed while it was read is told when it is used.
    let unchanged = stamp.filter(|_| request.decode && ShortStamp::of(path) == stamp);
    let remember = match (unchanged, content) {
        (Some(stamp), Some(content)) if parts.iter().all(Result::is_ok) => {
            let spans = parts.iter().flatten();
            let spans = spans.map(|segment| segment.map(|segment| (segment.start_s, segment.end_s)));
            let channels = request.parts.iter().map(|wanted| wanted.channel);
            let parts = spans.zip(channels).zip(&part_contents);
            let parts = parts
                .map(|((span, channel), content)| (span, channel, *content))
                .collect();
            Some(Remembered {
                stamp: stamp.number(),
                duration_s: info.duration_s(),
                content,
                parts,
                remarks: remarks.clone(),
                peak,
                print: print.to_string(),
            })
        }
        _ => None,
    };
    Ok((
        FileFacts {
            duration_s: info.duration_s(),
            content,
            stamp,
            parts,
            part_contents,
            remarks,
            peak,
            print,
        },
        remember,
    ))
}

/// What the header alone says about a part: inside the file, and long enough.
fn check_part(path: &Path, info: &AudioInfo, segment: Option<Segment>, minimum_s: f64) -> Result<(), AudioError> {
    let duration_s = info.duration_s();
    let Segment { start_s, end_s } = segment.unwrap_or(Segment {
        start_s: 0.0,
        end_s: duration_s,
    });
    // Manifests round their times; `load` allows as much.
    const SLACK_S: f64 = 0.01;
    if start_s >= end_s || end_s > duration_s + SLACK_S {
        return Err(AudioError::SegmentOutside {
            path: path.to_owned(),
            start_s,
            end_s,
            duration_s,
        });
    }
    let seconds = end_s.min(duration_s) - start_s;
    if seconds < minimum_s {
        return Err(AudioError::TooShort {
            path: path.to_owned(),
            seconds,
            minimum_s,
        });
    }
    Ok(())
}

impl Remembered {
    /// The facts asked for, where every part asked for was checked.
    fn recall(&self, request: &Request) -> Option<FileFacts> {
        let (parts, part_contents) = request
            .parts
            .iter()
            .map(|wanted| {
                let span = wanted
                    .part
                    .map(|(start_s, end_s)| (start_s, end_s.unwrap_or(self.duration_s)));
                let seconds = span.map_or(self.duration_s, |(start_s, end_s)| end_s - start_s);
                let mut checked = self.parts.iter();
                let (_, _, content) = checked.find(|(own, channel, _)| (*own, *channel) == (span, wanted.channel))?;
                let segment = span.map(|(start_s, end_s)| Segment { start_s, end_s });
                (seconds >= request.minimum_s).then_some((Ok(segment), *content))
            })
            .collect::<Option<(Vec<_>, Vec<_>)>>()?;
        Some(FileFacts {
            duration_s: self.duration_s,
            content: Some(self.content),
            stamp: None,
            parts,
            part_contents,
            remarks: self.remarks.clone(),
            peak: self.peak,
            print: self.print.parse().ok()?,
        })
    }
}

impl Memory {
    /// A file that is missing, damaged or of another version counts as no memory: everything is
    /// read again.
    fn open(path: &Path) -> Self {
        fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|memory| memory.version == VERSION)
            .unwrap_or_default()
    }

    /// Replaces the file as a whole, so that a reader or a second writer never meets half of one.
    fn save(&mut self, path: &Path) -> io::Result<()> {
        self.version = VERSION;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let draft = path.with_file_name(name);
        let written = fs::write(&draft, serde_json::to_vec(self)?).and_then(|()| fs::rename(&draft, path));
        if written.is_err() {
            // The error that matters is the one of the writing.
            let _ = fs::remove_file(&draft);
        }
        written
    }
}
