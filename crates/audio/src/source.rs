//! An open audio file, and what it is by its content.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;

use crate::error::{AudioError, MalformedFile};

/// An open regular file.
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    pub file: File,
    pub len: u64,
}

impl<'a> Source<'a> {
    pub fn open(path: &'a Path) -> Result<Self, AudioError> {
        let failed = |source| AudioError::Open {
            path: path.to_owned(),
            source,
        };
        let regular = |metadata: std::fs::Metadata| match metadata.is_file() {
            true => Ok(metadata.len()),
            false => Err(AudioError::NotAFile { path: path.to_owned() }),
        };
        // Opening a pipe would wait for a writer, so the kind is asked for first.
        regular(std::fs::metadata(path).map_err(failed)?)?;
        let file = File::open(path).map_err(failed)?;
        let len = regular(file.metadata().map_err(failed)?)?;
        Ok(Self { path, file, len })
    }

    pub fn failed(&self, source: std::io::Error) -> AudioError {
        AudioError::Read {
            path: self.path.to_owned(),
            source,
        }
    }

    pub fn malformed(&self, source: MalformedFile) -> AudioError {
        AudioError::Malformed {
            path: self.path.to_owned(),
            source,
        }
    }

    pub fn channels(&self, channels: u16) -> AudioError {
        AudioError::Channels {
            path: self.path.to_owned(),
            channels,
        }
    }

    pub fn seek(&mut self, position: u64) -> Result<(), AudioError> {
        let result = self.file.seek(SeekFrom::Start(position));
        result.map(drop).map_err(|error| self.failed(error))
    }

    pub fn read(&mut self, bytes: &mut [u8]) -> Result<(), AudioError> {
        let result = self.file.read_exact(bytes);
        result.map_err(|error| self.failed(error))
    }

    /// Fills `bytes` from `position`.
    pub fn read_at(&mut self, position: u64, bytes: &mut [u8]) -> Result<(), AudioError> {
        if position.saturating_add(bytes.len() as u64) > self.len {
            return Err(AudioError::Truncated {
                path: self.path.to_owned(),
                promised: position.saturating_add(bytes.len() as u64),
                found: self.len,
                unit: "bytes",
            });
        }
        self.seek(position)?;
        self.read(bytes)
    }
}

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// RIFF WAVE or one of its kin, with the signature.
    Wav([u8; 4]),
    Flac,
    Aiff,
    Caf,
    /// MPEG-4 or QuickTime.
    Mp4,
    Ogg,
    /// MPEG audio without a container.
    Mp3,
    /// AAC without a container.
    Adts,
}

/// Most bytes of ID3 tags before the audio.
const MAX_TAGS: u64 = 64 << 20;

impl Container {
    /// Finds out what a file is, and where it begins behind tags.
    pub fn of(source: &mut Source<'_>) -> Result<(Self, u64), AudioError> {
        if source.len == 0 {
            return Err(AudioError::Empty {
                path: source.path.to_owned(),
            });
        }
        let mut begin = 0_u64;
        let mut start = first(source, begin)?;
        // ID3 tags stand before audio of any kind; each says its length in seven bits a byte.
        while let [b'I', b'D', b'3', _, _, flags, sizes @ ..] = start.as_slice()
            && let [a, b, c, d, ..] = *sizes
        {
            let length = [a, b, c, d].iter().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
            begin += 10 + length + if flags & 0x10 != 0 { 10 } else { 0 };
            if begin >= source.len || begin > MAX_TAGS {
                return Err(source.malformed(MalformedFile::OnlyTags));
            }
            start = first(source, begin)?;
        }
        let after_tags = begin > 0;
        if after_tags {
            // Padding that some writers put between their tags and the audio.
            let zeros = zeros(source, begin)?;
            if zeros > 0 {
                begin += zeros;
                start = first(source, begin)?;
            }
        }
        match Self::by_signature(&start) {
            Some(container) => Ok((container, begin)),
            None => Err(AudioError::NotAudio {
                path: source.path.to_owned(),
                what: name_of(&start),
                start: start.into_iter().take(12).collect(),
            }),
        }
    }

    fn by_signature(start: &[u8]) -> Option<Self> {
        Some(match start {
            [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, b'W', b'A', b'V', b'E', ..]
            | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..]
            | [b'B', b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => {
                Self::Wav([start[0], start[1], start[2], start[3]])
            }
            [b'f', b'L', b'a', b'C', ..] => Self::Flac,
            [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => Self::Aiff,
            [b'c', b'a', b'f', b'f', ..] => Self::Caf,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Self::Mp4,
            [b'O', b'g', b'g', b'S', ..] => Self::Ogg,
            // Eleven or twelve bits that are set; then the version, the layer, and a rate that is none of the reserved.
            [0xff, second, third, ..] if second & 0xf6 == 0xf0 && third >> 2 & 0xf < 13 => Self::Adts,
            [0xff, second, third, ..]
                if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third >> 4 != 0xf && third >> 2 & 3 != 3 =>
            {
                Self::Mp3
            }
            _ => return None,
        })
    }
}

fn first(source: &mut Source<'_>, begin: u64) -> Result<Vec<u8>, AudioError> {
    let mut start = vec![0; (source.len - begin).min(64) as usize];
    source.read_at(begin, &mut start)?;
    Ok(start)
}

/// How many zeros stand at a place, as far as a padding may reach.
fn zeros(source: &mut Source<'_>, begin: u64) -> Result<u64, AudioError> {
    let mut block = vec![0; (source.len - begin).min(4096) as usize];
    source.read_at(begin, &mut block)?;
    Ok(block.iter().position(|byte| *byte != 0).unwrap_or_default() as u64)
}

/// What else a file is, with what to do about it.
fn name_of(start: &[u8]) -> &'static str {
    let contains = |text: &[u8]| start.windows(text.len()).any(|part| part == text);
    match start {
        [0x30, 0x26, 0xb2, 0x75, ..] => "is Windows Media (ASF)",
        [b'#', b'!', b'A', b'M', b'R', ..] => "is AMR",
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => "is NIST SPHERE (which `sox` and `sph2pipe` convert)",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "is Matroska or WebM",
        [b'M', b'A', b'C', b' ', ..] => "is Monkey's Audio",
        [b'w', b'v', b'p', b'k', ..] => "is WavPack",
        [b'.', b's', b'n', b'd', ..] => "is Sun audio (AU)",
        [b'r', b'i', b'f', b'f', ..] => "is Sony Wave64",
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 6 != 0 => "is MPEG audio of layer 1 or 2",
        [b'R', b'I', b'F', b'F', ..] => "is RIFF but no WAV, perhaps a film",
        [b'P', b'K', 3, 4, ..] => "is a ZIP archive",
        [0x1f, 0x8b, ..] => "is compressed with gzip",
        _ if contains(b"git-lfs.github.com") => "is a pointer of Git LFS in place of a file (run `git lfs pull`)",
        _ if contains(b"<html") || contains(b"<!DOCTYPE") || contains(b"<HTML") || contains(b"<!doctype") => {
            "is a web page (a download that went wrong)"
        }
        _ => "is no audio that is known here",
    }
}

/// A part of a file to its end, behind a head that is not in it.
pub(crate) struct Stream {
    head: Vec<u8>,
    file: File,
    begin: u64,
    len: u64,
    position: u64,
    seekable: bool,
}

impl Stream {
    /// Of a file of `file_len` bytes from `begin` on.
    pub fn new(head: Vec<u8>, file: File, begin: u64, file_len: u64, seekable: bool) -> Self {
        Self {
            len: head.len() as u64 + file_len.saturating_sub(begin),
            head,
            file,
            begin,
            position: 0,
            seekable,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let head = self.head.len() as u64;
        let read = match self.head.get(self.position as usize..).filter(|left| !left.is_empty()) {
            Some(mut left) => left.read(buffer)?,
            None => {
                // Copies of the file share its position.
                self.file.seek(SeekFrom::Start(self.begin + self.position - head))?;
                self.file.read(buffer)?
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?.min(self.len);
        Ok(self.position)
    }
}

impl MediaSource for Stream {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then_some(self.len)
    }
}
