//! MP3, Ogg, MPEG-4 and AAC, read by symphonia (Opus by opus-pure).
//!
//! How long such a file lasts is found by walking through its packets without decoding them. A part of it is found in the
//! same way, and decoded from a little before it, so that the decoder has settled. symphonia panics on some damaged
//! files, so it runs under `catch_unwind`.

use std::path::Path;

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;
use symphonia::default::formats::{AdtsReader, IsoMp4Reader, MpaReader, OggReader};

use crate::decode::{Output, Source, check_header};
use crate::error::{AudioError, MalformedFile};
use crate::flac::contained;
use crate::opus::OpusDecoder;
use crate::source::{Container, Stream};
use crate::{AudioFormat, AudioInfo, mp4};

/// Largest file decoded, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// Frames by which the length in an MP3 file's tag may differ from what there is: a packet, of which some count the tag.
const TAG_SLACK: u64 = 1152;

/// A validated header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodedHeader {
    pub info: AudioInfo,
    container: Container,
    begin: u64,
    /// Decoded frames before the first of the recording.
    skipped: u64,
    /// Frames of every packet where the container's times do not say.
    packet_frames: Option<u64>,
}

impl Container {
    const fn name(self) -> &'static str {
        match self {
            Self::Wav(_) => "WAV",
            Self::Flac => "FLAC",
            Self::Aiff => "AIFF",
            Self::Caf => "CAF",
            Self::Mp4 => "MPEG-4",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MPEG audio",
            Self::Adts => "ADTS",
        }
    }
}

/// Reads a file's header and walks through its packets.
pub(crate) fn read_header(
    source: &mut Source<'_>,
    container: Container,
    begin: u64,
) -> Result<CodedHeader, AudioError> {
    if source.len > MAX_FILE_BYTES {
        return Err(AudioError::TooLarge {
            path: source.path.to_owned(),
            bytes: source.len,
            limit: MAX_FILE_BYTES,
        });
    }
    let edit = match container {
        Container::Mp4 => mp4::edit(source, begin)?,
        _ => mp4::Edit::default(),
    };
    let path = source.path;
    let header = contained(path, || walk(source, container, begin, edit))?;
    check_header(path, &header.info)?;
    Ok(header)
}

fn walk(source: &Source<'_>, container: Container, begin: u64, edit: mp4::Edit) -> Result<CodedHeader, AudioError> {
    let mut track = Track::open(source, container, begin)?;
    let promised = track.promised;
    let mut frames = 0_u64;
    let mut first = None;
    let mut packet_frames = None;
    let mut samples = Vec::new();
    while let Some(packet) = track.next(promised)? {
        // What it is turns out when it is decoded. A first packet may give nothing yet.
        if first.is_none_or(|(_, channels)| channels == 0) {
            let (rate_hz, channels) = track.decode(&packet, &mut samples)?;
            first = Some((rate_hz, channels));
            if track.codec == CODEC_ID_AAC {
                packet_frames = Some((samples.len() / usize::from(channels.max(1))) as u64);
            }
        }
        let rate_hz = first.map_or(0, |(rate_hz, _)| rate_hz);
        frames = frames.saturating_add(track.frames_of(&packet, rate_hz, packet_frames));
    }
    let Some((rate_hz, channels)) = first else {
        return Err(AudioError::Empty {
            path: source.path.to_owned(),
        });
    };
    if let (Container::Mp3, Some(promised)) = (container, promised)
        && frames.saturating_add(TAG_SLACK) < promised
    {
        return Err(truncated(source.path, promised, frames));
    }
    let at = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
    let skipped = (at(edit.start_s) + track.delay).min(frames);
    let left = frames - skipped;
    Ok(CodedHeader {
        info: AudioInfo {
            rate_hz,
            channels,
            frames: edit.length_s.map_or(left, |length_s| at(length_s).min(left)),
            format: AudioFormat::Coded {
                container: container.name(),
                codec: track.codec_name(),
            },
            remark: None,
        },
        container,
        begin,
        skipped,
        packet_frames,
    })
}

/// Hands over `frames` frames from frame `start` on, block by block.
pub(crate) fn decode(
    source: Source<'_>,
    header: &CodedHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    contained(source.path, || decode_frames(&source, header, start, frames, output))
}

fn decode_frames(
    source: &Source<'_>,
    header: &CodedHeader,
    start: u64,
    frames: u64,
    output: &mut Output<'_>,
) -> Result<(), AudioError> {
    let mut track = Track::open(source, header.container, header.begin)?;
    let promised = track.promised;
    let channels = usize::from(header.info.channels);
    let start = start + header.skipped;
    let end = start + frames;
    let settling = track.settling();
    let mut position = 0_u64;
    let mut samples = Vec::new();
    // Packets decoded without a gap before them.
    let mut settled = true;
    while position < end {
        let Some(packet) = track.next(promised)? else { break };
        let told = track.frames_of(&packet, header.info.rate_hz, header.packet_frames);
        let next = position.saturating_add(told);
        if next.saturating_add(settling) <= start {
            (position, settled) = (next, false);
            continue;
        }
        let spec = track.decode(&packet, &mut samples)?;
        let is_first = !std::mem::replace(&mut settled, true);
        if !samples.is_empty() && spec != (header.info.rate_hz, header.info.channels) {
            return Err(source.malformed(MalformedFile::Changes));
        }
        // What comes first after a gap lacks what was before it.
        if (samples.len() / channels) as u64 == told {
            let (from, to) = (
                start.clamp(position, next) - position,
                end.clamp(position, next) - position,
            );
            output.take(&samples[from as usize * channels..to as usize * channels], channels);
        } else if !is_first || next > start {
            return Err(source.malformed(MalformedFile::OtherLength));
        }
        position = next;
        output.tell()?;
    }
    match position < end {
        true => Err(truncated(
            source.path,
            header.info.frames,
            position.saturating_sub(header.skipped),
        )),
        false => Ok(()),
    }
}

fn truncated(path: &Path, promised: u64, found: u64) -> AudioError {
    AudioError::Truncated {
        path: path.to_owned(),
        promised,
        found,
        unit: "frames",
    }
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(OpusDecoder),
}

/// The first track with sound of an open file.
struct Track<'s> {
    path: &'s Path,
    container: Container,
    reader: Box<dyn FormatReader + 's>,
    decoder: Decoder,
    id: u32,
    codec: AudioCodecId,
    time_base: Option<TimeBase>,
    /// Frames that the header tells.
    promised: Option<u64>,
    /// Frames that Opus decodes before the first of the recording.
    delay: u64,
    /// Where the next packet of an Ogg stream has to begin.
    expected: Option<i64>,
    rate_hz: u32,
}

impl<'s> Track<'s> {
    fn open(source: &Source<'s>, container: Container, begin: u64) -> Result<Self, AudioError> {
        let path = source.path;
        let failed = |source| failed(path, container, source);
        let file = source.file.try_clone().map_err(|error| source.failed(error))?;
        // Where symphonia can seek in MPEG audio without a tag, it guesses the length and cuts the end by it.
        let seekable = container != Container::Mp3;
        let stream = Stream::new(Vec::new(), file, begin, source.len, seekable);
        let mut stream = MediaSourceStream::new(Box::new(stream), Default::default());
        let options = FormatOptions::default();
        let reader: Result<Box<dyn FormatReader + 's>, Error> = match container {
            Container::Mp3 => MpaReader::try_new(stream, options).map(|reader| Box::new(reader) as _),
            Container::Ogg => OggReader::try_new(stream, options).map(|reader| Box::new(reader) as _),
            Container::Mp4 => {
                // It steps back over the size that stands before the signature.
                stream.ignore_bytes(4).map_err(|error| source.failed(error))?;
                IsoMp4Reader::try_new(stream, options).map(|reader| Box::new(reader) as _)
            }
            Container::Adts => AdtsReader::try_new(stream, options).map(|reader| Box::new(reader) as _),
            Container::Wav(_) | Container::Flac | Container::Aiff | Container::Caf => {
                return Err(source.malformed(MalformedFile::NoDataChunk));
            }
        };
        let reader = reader.map_err(failed)?;
        let other = |what| AudioError::Codec {
            path: path.to_owned(),
            container: container.name(),
            what,
        };
        let track = reader
            .default_track(TrackType::Audio)
            .ok_or_else(|| other("no audio, or audio of a kind that is not read"))?;
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| other("audio of a kind that is not read"))?;
        let mut options = AudioDecoderOptions::default();
        options.gapless = true;
        let decoder = match (parameters.codec, container) {
            (CODEC_ID_OPUS, Container::Ogg) => OpusDecoder::open(parameters)
                .map(Decoder::Opus)
                .ok_or_else(|| other("Opus that is neither mono nor stereo"))?,
            (CODEC_ID_OPUS, _) => return Err(other("Opus")),
            _ => symphonia::default::get_codecs()
                .make_audio_decoder(parameters, &options)
                .map(Decoder::Symphonia)
                .map_err(|error| match error {
                    Error::Unsupported(_) => other("audio of a kind that is not read"),
                    error => failed(error),
                })?,
        };
        let delay = match decoder {
            Decoder::Opus(_) => track.delay.map_or(0, u64::from),
            Decoder::Symphonia(_) => 0,
        };
        let (id, codec, time_base, promised) = (track.id, parameters.codec, track.time_base, track.num_frames);
        let rate_hz = parameters.sample_rate.unwrap_or_default();
        Ok(Self {
            path,
            container,
            reader,
            decoder,
            id,
            codec,
            time_base,
            promised,
            delay,
            expected: None,
            rate_hz,
        })
    }

    /// The next packet of the track; none at its end.
    fn next(&mut self, promised: Option<u64>) -> Result<Option<Packet>, AudioError> {
        loop {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return match promised {
                        Some(promised) => Err(truncated(self.path, promised, 0)),
                        None => Err(self.malformed(MalformedFile::Ends)),
                    };
                }
                Err(Error::ResetRequired) => return Err(self.malformed(MalformedFile::Chained)),
                Err(error) => return Err(failed(self.path, self.container, error)),
            };
            if packet.track_id != self.id {
                continue;
            }
            // Damaged pages are passed over by the reader: the times of the others tell.
            if self.container == Container::Ogg {
                let pts = packet.pts.get();
                if self.expected.is_some_and(|expected| expected != pts) {
                    let second = pts.max(0) as u64 / u64::from(self.rate_hz.max(1));
                    return Err(self.malformed(MalformedFile::Gap(second)));
                }
                self.expected = i64::try_from(packet.block_dur().get())
                    .ok()
                    .and_then(|dur| pts.checked_add(dur));
            }
            return Ok(Some(packet));
        }
    }

    /// Frames that a packet gives.
    fn frames_of(&self, packet: &Packet, rate_hz: u32, packet_frames: Option<u64>) -> u64 {
        let duration = packet.dur.get();
        if let Some(frames) = packet_frames {
            return frames;
        }
        match (self.container, self.time_base) {
            // What is cut off is within its duration.
            (Container::Mp3, _) => duration
                .saturating_sub(packet.trim_start.get())
                .saturating_sub(packet.trim_end.get()),
            (_, Some(base)) if base.numer.get() == 1 && base.denom.get() == rate_hz => duration,
            (_, Some(base)) => {
                let ticks = u128::from(duration) * u128::from(base.numer.get()) * u128::from(rate_hz);
                u64::try_from(ticks / u128::from(base.denom.get())).unwrap_or(u64::MAX)
            }
            (_, None) => duration,
        }
    }

    /// Decodes a packet: frames with their channels one after another, the rate in hertz and the number of channels.
    fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Result<(u32, u16), AudioError> {
        let failed = |error| failed(self.path, self.container, error);
        let decoder = match &mut self.decoder {
            Decoder::Symphonia(decoder) => decoder,
            Decoder::Opus(decoder) => return decoder.decode(packet, samples).map_err(failed),
        };
        let decoded = decoder.decode(packet).map_err(failed)?;
        decoded.copy_to_vec_interleaved(samples);
        let spec = decoded.spec();
        Ok((spec.rate(), u16::try_from(spec.channels().count()).unwrap_or(u16::MAX)))
    }

    /// Frames before a part from which on decoding gives what it gives from the start.
    fn settling(&self) -> u64 {
        match self.codec {
            // A packet reaches back nine others, and their own overlap.
            CODEC_ID_MP3 => 16 * 1152,
            CODEC_ID_VORBIS => 2 * 8192,
            CODEC_ID_AAC => 8 * 1024,
            CODEC_ID_OPUS => u64::MAX,
            _ => 0,
        }
    }

    fn codec_name(&self) -> &'static str {
        match self.codec {
            CODEC_ID_MP3 => "MP3",
            CODEC_ID_OPUS => "Opus",
            CODEC_ID_VORBIS => "Vorbis",
            CODEC_ID_AAC => "AAC",
            CODEC_ID_ALAC => "ALAC",
            _ => "PCM",
        }
    }

    fn malformed(&self, source: MalformedFile) -> AudioError {
        AudioError::Malformed {
            path: self.path.to_owned(),
            source,
        }
    }
}

fn failed(path: &Path, container: Container, source: Error) -> AudioError {
    let path = path.to_owned();
    match source {
        Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => AudioError::Malformed {
            path,
            source: MalformedFile::Ends,
        },
        source => AudioError::Decode {
            path,
            format: container.name(),
            source,
        },
    }
}
