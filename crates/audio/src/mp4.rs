//! What symphonia does not read of MPEG-4 files: which part of the samples is the recording, and whether their sizes can
//! be.

use crate::decode::Source;
use crate::error::{AudioError, MalformedFile};

/// Atoms looked at.
const MAX_ATOMS: usize = 1 << 16;
/// Atoms within atoms.
const MAX_DEPTH: usize = 8;
/// Atoms that hold others.
const HOLDERS: [&[u8; 4]; 9] = [
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex",
];
/// Bytes of a table read at a time.
const TABLE_BYTES: u64 = 1 << 16;

/// The part of a track that is played.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Edit {
    /// Where it begins, in seconds: what is before is the coder's delay.
    pub start_s: f64,
    /// How long it lasts, in seconds.
    pub length_s: Option<f64>,
}

/// What is found of a track.
#[derive(Default)]
struct Track {
    is_sound: bool,
    timescale: u32,
    edits: Vec<(u64, i64)>,
}

struct Walk<'w, 'a> {
    source: &'w mut Source<'a>,
    left: usize,
    movie_timescale: u32,
    tracks: Vec<Track>,
}

/// Reads which part of the first track with sound is played, and checks the sizes that a reader would make room for.
///
/// # Source
/// ISO/IEC 14496-12, sections 8.6.6, 8.7.3 and 8.8.
pub(crate) fn edit(source: &mut Source<'_>, begin: u64) -> Result<Edit, AudioError> {
    let end = source.len;
    let mut walk = Walk {
        source,
        left: MAX_ATOMS,
        movie_timescale: 0,
        tracks: Vec::new(),
    };
    walk.atoms(begin, end, 0)?;
    let (movie, track) = (walk.movie_timescale, walk.tracks.iter().find(|track| track.is_sound));
    let Some(track) = track else { return Ok(Edit::default()) };
    // An edit without media is a pause before the track.
    let mut edits = track.edits.iter().filter(|(_, start)| *start >= 0);
    Ok(match (edits.next(), edits.next()) {
        (Some((length, start)), None) if track.timescale > 0 && movie > 0 => Edit {
            start_s: *start as f64 / f64::from(track.timescale),
            length_s: (*length > 0).then(|| *length as f64 / f64::from(movie)),
        },
        _ => Edit::default(),
    })
}

impl Walk<'_, '_> {
    fn atoms(&mut self, mut at: u64, end: u64, depth: usize) -> Result<(), AudioError> {
        while at + 8 <= end {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 || depth > MAX_DEPTH {
                return Err(self.source.malformed(MalformedFile::TooManyChunks(MAX_ATOMS)));
            }
            let [s0, s1, s2, s3, name @ ..] = self.bytes::<8>(at)?;
            let (head, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
                0 => (8, end - at),
                1 => (16, u64::from_be_bytes(self.bytes(at + 8)?)),
                size => (8, u64::from(size)),
            };
            if size < head {
                return Err(self.source.malformed(MalformedFile::Oversized));
            }
            let next = at.saturating_add(size);
            if next > end {
                // A part of the file is missing; within an atom its size is wrong.
                return Err(match depth {
                    0 => AudioError::Truncated {
                        path: self.source.path.to_owned(),
                        promised: next,
                        found: end,
                        unit: "bytes",
                    },
                    _ => self.source.malformed(MalformedFile::Oversized),
                });
            }
            self.atom(&name, at + head, next, depth)?;
            at = next;
        }
        Ok(())
    }

    fn atom(&mut self, name: &[u8; 4], at: u64, end: u64, depth: usize) -> Result<(), AudioError> {
        match name {
            b"trak" => self.tracks.push(Track::default()),
            b"mvhd" => self.movie_timescale = self.timescale(at, end)?,
            b"mdhd" => {
                let timescale = self.timescale(at, end)?;
                if let Some(track) = self.tracks.last_mut() {
                    track.timescale = timescale;
                }
            }
            b"hdlr" if end - at >= 12 => {
                let is_sound = self.bytes::<4>(at + 8)? == *b"soun";
                if let Some(track) = self.tracks.last_mut() {
                    track.is_sound |= is_sound;
                }
            }
            b"elst" => self.edits(at, end)?,
            b"stsz" if end - at >= 12 => {
                let size = self.number(at + 4)?;
                self.check_size(size)?;
                if size == 0 {
                    self.check_table(at + 12, end, 4, 0)?;
                }
            }
            b"trex" if end - at >= 24 => {
                let size = self.number(at + 16)?;
                self.check_size(size)?;
            }
            b"tfhd" if end - at >= 8 => {
                let flags = self.number(at)?;
                let before: u64 = [(1, 8), (2, 4), (8, 4)].iter().filter(|(bit, _)| flags & bit != 0).map(|(_, bytes)| bytes).sum();
                if flags & 0x10 != 0 && at + 12 + before <= end {
                    let size = self.number(at + 8 + before)?;
                    self.check_size(size)?;
                }
            }
            b"trun" if end - at >= 8 => {
                let flags = self.number(at)?;
                let count = |bits: &[u32]| bits.iter().filter(|bit| flags & **bit != 0).count() as u64 * 4;
                if flags & 0x200 != 0 {
                    let start = at + 8 + count(&[1, 4]);
                    self.check_table(start, end, count(&[0x100, 0x200, 0x400, 0x800]), count(&[0x100]))?;
                }
            }
            _ => {}
        }
        if HOLDERS.contains(&name) {
            self.atoms(at, end, depth + 1)?;
        }
        Ok(())
    }

    fn edits(&mut self, at: u64, end: u64) -> Result<(), AudioError> {
        if end - at < 8 {
            return Ok(());
        }
        let long = self.bytes::<1>(at)? == [1];
        let step = if long { 20 } else { 12 };
        let count = u64::from(self.number(at + 4)?).min((end - at - 8) / step).min(16);
        for number in 0..count {
            let entry = at + 8 + number * step;
            let edit = match long {
                true => (
                    u64::from_be_bytes(self.bytes(entry)?),
                    i64::from_be_bytes(self.bytes(entry + 8)?),
                ),
                false => (
                    u64::from(self.number(entry)?),
                    i64::from(i32::from_be_bytes(self.bytes(entry + 4)?)),
                ),
            };
            if let Some(track) = self.tracks.last_mut() {
                track.edits.push(edit);
            }
        }
        Ok(())
    }

    /// The number of ticks a second in the head of a movie or a track.
    fn timescale(&mut self, at: u64, end: u64) -> Result<u32, AudioError> {
        let behind = match self.bytes::<1>(at)? {
            [1] => 20,
            _ => 12,
        };
        if at + behind + 4 > end {
            return Ok(0);
        }
        self.number(at + behind)
    }

    /// Checks the sizes in a table whose entries take `step` bytes, each with its size `within` bytes from its start.
    fn check_table(&mut self, at: u64, end: u64, step: u64, within: u64) -> Result<(), AudioError> {
        let together = TABLE_BYTES / step * step;
        let mut table = Vec::new();
        let mut at = at;
        while at + step <= end {
            let bytes = together.min((end - at) / step * step);
            table.resize(bytes as usize, 0);
            self.source.read_at(at, &mut table)?;
            for entry in table.chunks_exact(step as usize) {
                let size = &entry[within as usize..within as usize + 4];
                self.check_size(u32::from_be_bytes([size[0], size[1], size[2], size[3]]))?;
            }
            at += bytes;
        }
        Ok(())
    }

    fn check_size(&self, size: u32) -> Result<(), AudioError> {
        match u64::from(size) > self.source.len {
            true => Err(self.source.malformed(MalformedFile::Oversized)),
            false => Ok(()),
        }
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], AudioError> {
        let mut bytes = [0; N];
        self.source.read_at(at, &mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self, at: u64) -> Result<u32, AudioError> {
        Ok(u32::from_be_bytes(self.bytes(at)?))
    }
}
