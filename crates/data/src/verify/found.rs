//! The files that are found: which can be used, and which are copies.

use super::{Copies, Recording, Unusable, Verification};
use crate::corpora::Source;
use crate::files::{Files, Request, Wanted};
use crate::foreign::{FETCH, is_lfs_pointer};
use crate::{ContentHash, Foreign, parallel};
use emorun_audio::{AudioError, Channel, MIN_DURATION_S};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A recording that can be used, with the hash of its file where another one may be the same, and the
/// bits of the times of its part.
pub(super) type Usable = (Recording, Option<ContentHash>, Option<(u64, u64)>);

/// Reads headers (or all samples), and the bytes of files that may be copies; those that cannot be used
/// are reported and left out.
pub(super) fn read(found: Vec<(Recording, Source)>, deep: bool, report: &mut Verification) -> Vec<Usable> {
    let sizes: IndexMap<&Path, u64> = found
        .iter()
        .filter_map(|(_, source)| match source {
            Source::File { found, .. } => Some((found.path.as_path(), found.bytes)),
            Source::Voice(_) => None,
        })
        .collect();
    let alike = alike(&sizes);
    let mut requests: Vec<Request> = sizes
        .keys()
        .map(|path| Request {
            path: path.to_path_buf(),
            parts: Vec::new(),
            minimum_s: MIN_DURATION_S,
            hash: alike.contains(path),
            decode: deep,
        })
        .collect();
    // For each recording: its file among the requests, and its part within the file.
    let asked: Vec<Option<(usize, usize)>> = found
        .iter()
        .map(|(_, source)| match source {
            Source::File { found, part } => {
                let file = sizes.get_index_of(found.path.as_path())?;
                let parts = &mut requests.get_mut(file)?.parts;
                parts.push(Wanted {
                    part: part.map(|part| (part.start_s, part.end_s)),
                    channel: Channel::Mix,
                });
                Some((file, parts.len() - 1))
            }
            Source::Voice(_) => None,
        })
        .collect();
    let read = Files::open(None).read(&requests);
    let mut other_lengths = OtherLengths::default();
    let mut usable = Vec::with_capacity(found.len());
    for ((recording, _), asked) in found.into_iter().zip(asked) {
        let Some((file, part)) = asked else {
            usable.push((recording, None, None));
            continue;
        };
        let outcome = match &read[file] {
            Ok(facts) => facts.parts[part].as_ref().map(|segment| (facts.content, *segment)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((content, segment)) => {
                let whole_s = read[file].as_ref().map_or(0.0, |facts| facts.duration_s);
                other_lengths.compare(&recording, segment.map_or(whole_s, |part| part.end_s - part.start_s));
                let times = segment.map(|segment| (segment.start_s.to_bits(), segment.end_s.to_bits()));
                usable.push((recording, content, times));
            }
            Err(error) => report.unusable.push(Unusable {
                path: requests[file].path.display().to_string(),
                problem: problem(&requests[file].path, error),
            }),
        }
    }
    report.remarks.extend(other_lengths.remark());
    usable
}

/// Recordings that are not as long as published: somebody has changed them.
#[derive(Default)]
struct OtherLengths {
    compared: usize,
    others: usize,
    first: String,
}

impl OtherLengths {
    fn compare(&mut self, recording: &Recording, found_s: f64) {
        /// Lengths differ by so much where encoders pad.
        const SLACK_S: f64 = 0.1;
        let Some(published_s) = recording.seconds else { return };
        self.compared += 1;
        if (found_s - published_s).abs() > SLACK_S {
            self.others += 1;
            if self.others == 1 {
                self.first = format!(
                    "{:?} with {found_s:.2} s in place of {published_s:.2} s",
                    recording.path
                );
            }
        }
    }

    fn remark(self) -> Option<String> {
        (self.others > 0).then(|| {
            format!(
                "{} of {} recordings are not as long as published, such as {}: this is a changed copy, and results on it are not comparable with published ones",
                self.others, self.compared, self.first
            )
        })
    }
}

/// What is wrong with a file.
fn problem(path: &Path, error: &AudioError) -> String {
    match is_lfs_pointer(path) {
        true => format!("{}: {}; {FETCH}", path.display(), Foreign::LfsPointer),
        false => error.to_string(),
    }
}

/// The files that share their size and their start with another one: only these can be copies.
fn alike<'a>(sizes: &IndexMap<&'a Path, u64>) -> HashSet<&'a Path> {
    /// Bytes of a file's start.
    const START: u64 = 1 << 14;
    let mut by_size: HashMap<u64, Vec<&'a Path>> = HashMap::new();
    for (path, bytes) in sizes {
        by_size.entry(*bytes).or_default().push(path);
    }
    let same_size: Vec<(u64, &Path)> = by_size
        .into_iter()
        .filter(|(_, paths)| paths.len() > 1)
        .flat_map(|(bytes, paths)| paths.into_iter().map(move |path| (bytes, path)))
        .collect();
    // Those that cannot be read are reported when all of them is.
    let starts = parallel::map(&same_size, |(_, path)| {
        // Opening a pipe would wait for its other end.
        if !path.is_file() {
            return None;
        }
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
        read.ok().map(|_| ContentHash::of(&start))
    });
    let mut by_start: HashMap<(u64, ContentHash), Vec<&'a Path>> = HashMap::new();
    for ((bytes, path), start) in same_size.into_iter().zip(starts) {
        if let Some(start) = start {
            by_start.entry((bytes, start)).or_default().push(path);
        }
    }
    by_start
        .into_values()
        .filter(|paths| paths.len() > 1)
        .flatten()
        .collect()
}

/// Leaves out copies of what was found before.
pub(super) fn count_once(
    found: Vec<Usable>,
    twice: &dyn Fn(&str, &str) -> bool,
    report: &mut Verification,
) -> Vec<Recording> {
    let mut first: HashMap<(ContentHash, Option<(u64, u64)>), usize> = HashMap::new();
    let mut kept: Vec<Recording> = Vec::with_capacity(found.len());
    for (recording, content, segment) in found {
        let earlier = content
            .and_then(|content| first.get(&(content, segment)))
            .map(|at| &kept[*at]);
        if let Some(earlier) = earlier {
            let pair = Copies {
                kept: earlier.path.clone(),
                copy: recording.path.clone(),
            };
            let same = earlier.class == recording.class && earlier.speaker == recording.speaker;
            if same && earlier.stem == recording.stem {
                report.copies.push(pair);
                continue;
            }
            // Two names for one recording: both are in the list, so both count.
            match twice(&earlier.stem, &recording.stem) {
                true => report.published.push(pair),
                false => report.contradictions.push(pair),
            }
        } else if let Some(content) = content {
            first.insert((content, segment), kept.len());
        }
        kept.push(recording);
    }
    kept
}
