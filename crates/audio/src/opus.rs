//! Opus, decoded by opus-pure out of what symphonia finds in Ogg.
//!
//! An Opus decoder remembers all that it has decoded: a part has the samples of the whole only when it is decoded from the
//! start.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

/// Rate that is decoded to, in hertz: the one that Opus counts in, whatever rate was coded.
pub(crate) const RATE_HZ: u32 = 48_000;

/// The decoder of a stream of one or two channels.
pub(crate) struct OpusDecoder {
    decoder: opus_pure::OpusDecoder,
    channels: u16,
}

impl OpusDecoder {
    /// Opens the stream that an identification header describes; none for more than two channels, or for channels that
    /// are none of loudspeakers.
    ///
    /// # Source
    /// RFC 7845, section 5.1.
    pub fn open(parameters: &AudioCodecParameters) -> Option<Self> {
        let head = parameters.extra_data.as_deref()?;
        let &[channels @ 1..=2, _, _, _, _, _, _, gain_low, gain_high, 0] = head.get(9..19)? else {
            return None;
        };
        let mut decoder = opus_pure::OpusDecoder::new(RATE_HZ as i32, usize::from(channels)).ok()?;
        decoder.gain_q8 = i32::from(i16::from_le_bytes([gain_low, gain_high]));
        Some(Self {
            decoder,
            channels: u16::from(channels),
        })
    }

    /// Decodes a packet into `samples`, without what its container cuts off: the rate and the number of channels.
    pub fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Result<(u32, u16), Error> {
        let channels = usize::from(self.channels);
        samples.clear();
        // An empty packet stands for one that was lost, and would be made up.
        if packet.data.is_empty() {
            return Err(Error::DecodeError("opus: an empty packet"));
        }
        samples.resize(opus_pure::MAX_PACKET_SAMPLES * channels, 0.0);
        let frames = self
            .decoder
            .decode(&packet.data, opus_pure::MAX_PACKET_SAMPLES, samples);
        let frames = frames.map_err(|_| Error::DecodeError("opus: an invalid packet"))?;
        let trim = |frames: u64| usize::try_from(frames).unwrap_or(usize::MAX);
        let end = frames.saturating_sub(trim(packet.trim_end.get()));
        let start = trim(packet.trim_start.get()).min(end);
        samples.truncate(end * channels);
        samples.drain(..start * channels);
        Ok((RATE_HZ, self.channels))
    }
}
