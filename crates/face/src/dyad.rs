//! Pairs of a speaker and a listener whose faces hang together in a known way.
//!
//! A speaker's face follows four things that come and go: a smile, raised brows, a frown and talking. The head and the gaze
//! wander. The listener's face follows the speaker's some frames later, each channel another one of the speaker's by a known
//! gain ([`Reaction::couplings`]), and in one of two ways that are equally right: it mirrors the speaker, or it answers with
//! other parts of the face. Which of the two is drawn for each clip and cannot be told from the speaker. Listeners differ in
//! how much they show (their style), blink on their own, and every channel has some noise.
//!
//! Numbers are a function of the [`DyadSpec`] alone, made of additions, multiplications and divisions, with the same bits on
//! every machine.

use crate::draws::Draws;

/// Names of the facial action units whose intensity OpenFace measures, in its order.
pub const ACTION_UNITS: [&str; 17] = [
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23",
    "AU25", "AU26", "AU45",
];

/// Frames a second of a generated face.
pub const FACE_RATE_HZ: u32 = 25;

/// Channels that are generated: action units, rotations of the head, gaze.
const CHANNELS: usize = ACTION_UNITS.len() + 3 + 2;
/// First channel behind the action units.
const HEAD: usize = ACTION_UNITS.len();
/// The action unit of parted lips, which the loudness of the voice follows.
const LIPS_PART: usize = 14;
/// The action unit of blinks.
const BLINK: usize = 16;
/// Highest intensity of an action unit.
const MOST: f64 = 5.0;

/// How much of a smile, raised brows, a frown and talking is in each action unit.
const EXPRESSIONS: [[f64; 4]; ACTION_UNITS.len()] = [
    [0.0, 3.2, 0.4, 0.0], // AU01, inner brows up
    [0.0, 2.8, 0.0, 0.0], // AU02, outer brows up
    [0.0, 0.0, 3.4, 0.0], // AU04, brows down
    [0.0, 1.8, 0.0, 0.0], // AU05, upper lids up
    [3.0, 0.0, 0.0, 0.0], // AU06, cheeks up
    [0.8, 0.0, 1.8, 0.0], // AU07, lids tight
    [0.0, 0.0, 1.2, 0.0], // AU09, nose wrinkled
    [0.6, 0.0, 0.8, 0.3], // AU10, upper lip up
    [4.0, 0.0, 0.0, 0.0], // AU12, corners of the lips up
    [1.0, 0.0, 0.4, 0.0], // AU14, dimples
    [0.0, 0.0, 1.6, 0.2], // AU15, corners of the lips down
    [0.0, 0.3, 1.4, 0.4], // AU17, chin up
    [0.0, 0.0, 0.3, 1.4], // AU20, lips stretched
    [0.0, 0.0, 1.0, 0.7], // AU23, lips tight
    [0.8, 0.4, 0.0, 3.4], // AU25, lips part
    [0.2, 0.6, 0.0, 2.6], // AU26, jaw drops
    [0.0, 0.0, 0.0, 0.0], // AU45, blinks, which come by themselves
];

/// Names of the channels behind the action units.
const HEAD_CHANNELS: [&str; 5] = ["pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"];

/// One of two equally right ways to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// The listener does what the speaker does.
    Mirror,
    /// The listener answers with other parts of the face: raises the brows at a smile, smiles at raised brows, presses the
    /// lips at a frown, and nods the other way.
    Answer,
}

/// A channel of the listener that follows one of the speaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coupling {
    /// The speaker's channel, by its name in OpenFace's tables without `_r`.
    pub from: &'static str,
    /// The listener's.
    pub to: &'static str,
    /// What the speaker's is multiplied by.
    pub gain: f64,
}

impl Reaction {
    /// Both ways.
    pub const ALL: [Self; 2] = [Self::Mirror, Self::Answer];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Answer => "answer",
        }
    }

    /// The other way.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Mirror => Self::Answer,
            Self::Answer => Self::Mirror,
        }
    }

    /// The couplings of all channels but that of blinks, in the order of the listener's channels.
    pub fn couplings(self) -> Vec<Coupling> {
        let table: [(&str, f64); CHANNELS] = match self {
            Self::Mirror => [
                ("AU01", 0.8),
                ("AU02", 0.8),
                ("AU04", 0.7),
                ("AU05", 0.7),
                ("AU06", 0.9),
                ("AU07", 0.7),
                ("AU09", 0.7),
                ("AU10", 0.7),
                ("AU12", 0.9),
                ("AU14", 0.9),
                ("AU15", 0.7),
                ("AU17", 0.7),
                ("AU20", 0.5),
                ("AU23", 0.7),
                ("AU12", 0.3),
                ("AU12", 0.2),
                ("AU45", 0.0),
                ("pose_Rx", 0.6),
                ("pose_Ry", 0.7),
                ("pose_Rz", 0.7),
                ("gaze_angle_x", 0.6),
                ("gaze_angle_y", 0.6),
            ],
            Self::Answer => [
                ("AU12", 0.7),
                ("AU12", 0.6),
                ("AU01", 0.4),
                ("AU05", 0.7),
                ("AU01", 0.9),
                ("AU07", 0.7),
                ("AU04", 0.4),
                ("AU04", 0.4),
                ("AU01", 1.0),
                ("AU04", 0.8),
                ("AU12", 0.3),
                ("AU04", 0.6),
                ("AU20", 0.5),
                ("AU04", 0.5),
                ("AU01", 0.4),
                ("AU01", 0.3),
                ("AU45", 0.0),
                ("pose_Rx", -0.6),
                ("pose_Ry", 0.7),
                ("pose_Rz", 0.7),
                ("gaze_angle_x", 0.6),
                ("gaze_angle_y", 0.6),
            ],
        };
        let names = ACTION_UNITS.into_iter().chain(HEAD_CHANNELS);
        let coupled = names.zip(table).filter(|(to, _)| *to != ACTION_UNITS[BLINK]);
        coupled.map(|(to, (from, gain))| Coupling { from, to, gain }).collect()
    }
}

/// Whose face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// That of the one who speaks.
    Speaker,
    /// That of the one who listens, reacting in one of the ways.
    Listener(Reaction),
}

/// One clip of a generated dyad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DyadSpec {
    /// Seed of the whole corpus.
    pub seed: u64,
    /// Who speaks.
    pub speaker: u32,
    /// Who listens.
    pub listener: u32,
    /// Which of the clips in which these two have these parts.
    pub clip: u32,
    /// Length in frames, [`FACE_RATE_HZ`] a second.
    pub frames: u32,
    /// Frames after which the listener reacts.
    pub delay: u32,
    /// What all gains of the coupling are multiplied by.
    pub gain: f64,
    /// How far people differ in what they show: a person's factor lies within 1 ± this.
    pub style: f64,
    /// Noise of each channel, as a part of what is possible.
    pub noise: f64,
}

impl DyadSpec {
    /// Names of the channels as OpenFace's columns have them, and what stands for 1 in each: the highest intensity, half a
    /// turn.
    pub fn channels() -> impl Iterator<Item = (String, f32)> {
        let units = ACTION_UNITS.iter().map(|unit| (format!("{unit}_r"), MOST as f32));
        let others = HEAD_CHANNELS
            .iter()
            .map(|name| ((*name).to_owned(), std::f32::consts::PI));
        units.chain(others)
    }

    /// The reaction that the listener of this clip shows.
    pub fn reaction(&self) -> Reaction {
        Reaction::ALL[usize::from(self.draws("reaction").uniform() >= 0.5)]
    }

    /// A face over time, `frames × 22` in OpenFace's units: action units, rotations of the head, gaze.
    pub fn face(&self, side: Side) -> Vec<f32> {
        let speaker = self.speaker_channels();
        let channels = match side {
            Side::Speaker => speaker,
            Side::Listener(reaction) => self.listener_channels(&speaker, reaction),
        };
        let frame = |at: usize| channels.iter().map(move |channel| channel[at] as f32);
        (0..self.length()).flat_map(frame).collect()
    }

    /// Loudness of the speaker's voice in each frame, from 0 to 1: it follows how far the lips are apart.
    pub fn loudness(&self) -> Vec<f32> {
        let lips = &self.speaker_channels()[LIPS_PART];
        lips.iter()
            .map(|lips| (0.03 + 0.97 * (lips / 4.0).min(1.0)) as f32)
            .collect()
    }

    /// The speaker's voice: a tone of ten harmonics, as high as the person's is, as loud as the lips are apart.
    pub fn voice(&self, rate_hz: u32) -> Vec<f32> {
        let pitch_hz = Draws::keyed("pitch", &[self.seed, u64::from(self.speaker)]).between(100.0, 220.0);
        let mut draws = self.draws("breath");
        let loudness = self.loudness();
        let samples = self.length() * rate_hz as usize / FACE_RATE_HZ as usize;
        let sample = |at: usize| {
            let seconds = at as f64 / f64::from(rate_hz);
            let loudness = loudness[(at * FACE_RATE_HZ as usize / rate_hz as usize).min(loudness.len() - 1)];
            let harmonic = |k: i32| libm::sin(std::f64::consts::TAU * f64::from(k) * pitch_hz * seconds) / f64::from(k);
            let tone: f64 = (1..=10).map(harmonic).sum();
            (0.2 * f64::from(loudness) * tone + 0.005 * draws.between(-1.0, 1.0)) as f32
        };
        (0..samples).map(sample).collect()
    }

    fn length(&self) -> usize {
        self.frames as usize
    }

    fn draws(&self, what: &str) -> Draws {
        let [speaker, listener, clip] = [self.speaker, self.listener, self.clip].map(u64::from);
        Draws::keyed(what, &[self.seed, speaker, listener, clip])
    }

    /// What a person shows of each channel: a factor of all, and one of each.
    fn style_of(&self, person: u32) -> [f64; CHANNELS] {
        let mut draws = Draws::keyed("person", &[self.seed, u64::from(person)]);
        let all = 1.0 + self.style * draws.between(-1.0, 1.0);
        std::array::from_fn(|_| all * (1.0 + 0.5 * self.style * draws.between(-1.0, 1.0)))
    }

    fn speaker_channels(&self) -> Vec<Vec<f64>> {
        let length = self.length();
        let mut draws = self.draws("behaviour");
        let expressions: [Vec<f64>; 4] = [
            // Gaps, rises, holds and falls in frames.
            events(
                &mut draws,
                length,
                [(15.0, 70.0), (5.0, 12.0), (6.0, 25.0), (8.0, 20.0)],
            ),
            events(&mut draws, length, [(12.0, 60.0), (4.0, 8.0), (3.0, 15.0), (5.0, 12.0)]),
            events(
                &mut draws,
                length,
                [(20.0, 80.0), (5.0, 12.0), (6.0, 25.0), (8.0, 16.0)],
            ),
            events(&mut draws, length, [(2.0, 8.0), (2.0, 4.0), (1.0, 4.0), (2.0, 5.0)]),
        ];
        let style = self.style_of(self.speaker);
        let mut channels: Vec<Vec<f64>> = EXPRESSIONS
            .iter()
            .zip(style)
            .map(|(shares, style)| {
                let value = |at: usize| {
                    let sum: f64 = shares
                        .iter()
                        .zip(&expressions)
                        .map(|(share, own)| share * own[at])
                        .sum();
                    style * sum
                };
                (0..length).map(value).collect()
            })
            .collect();
        channels[BLINK] = blinks(&mut draws, length);
        let wander = |draws: &mut Draws, every: usize, most: f64| -> Vec<f64> {
            wandering(draws, length, every)
                .iter()
                .map(|value| most * value)
                .collect()
        };
        for (every, most) in [(30, 0.25), (40, 0.35), (45, 0.15), (20, 0.3), (20, 0.2)] {
            channels.push(wander(&mut draws, every, most));
        }
        self.add_noise(&mut channels, &mut draws);
        channels
    }

    fn listener_channels(&self, speaker: &[Vec<f64>], reaction: Reaction) -> Vec<Vec<f64>> {
        let length = self.length();
        let mut draws = self.draws(match reaction {
            Reaction::Mirror => "mirror",
            Reaction::Answer => "answer",
        });
        let style = self.style_of(self.listener);
        let delay = self.delay as usize;
        let mut channels = vec![Vec::new(); CHANNELS];
        for Coupling { from, to, gain } in reaction.couplings() {
            let (Some(from), Some(to)) = (channel_of(from), channel_of(to)) else {
                continue;
            };
            // Rotations and gaze are no matter of how much somebody shows.
            let style = if to < HEAD { style[to] } else { 1.0 };
            let follow = |at: usize| self.gain * gain * style * speaker[from][at.saturating_sub(delay)];
            channels[to] = (0..length).map(follow).collect();
        }
        channels[BLINK] = blinks(&mut draws, length);
        self.add_noise(&mut channels, &mut draws);
        channels
    }

    /// Adds noise to every channel, and keeps intensities within their bounds.
    fn add_noise(&self, channels: &mut [Vec<f64>], draws: &mut Draws) {
        for (at, channel) in channels.iter_mut().enumerate() {
            let most = if at < HEAD { MOST } else { 0.5 };
            let noise = wandering(draws, channel.len(), 4);
            for (value, noise) in channel.iter_mut().zip(noise) {
                *value += self.noise * most * noise;
                if at < HEAD {
                    *value = value.clamp(0.0, MOST);
                }
            }
        }
    }
}

fn channel_of(name: &str) -> Option<usize> {
    let mut names = ACTION_UNITS.into_iter().chain(HEAD_CHANNELS);
    names.position(|own| own == name)
}

/// From 0 to 1 without an edge at either end.
fn smooth(x: f64) -> f64 {
    x * x * (3.0 - 2.0 * x)
}

/// Something that comes and goes, from 0 to 1: gaps, rises, holds and falls are drawn between bounds in frames.
fn events(draws: &mut Draws, length: usize, [gap, rise, hold, fall]: [(f64, f64); 4]) -> Vec<f64> {
    let mut track = vec![0.0; length];
    let mut from = draws.between(0.0, gap.1);
    while from < length as f64 {
        let [rise, hold, fall] = [rise, hold, fall].map(|(low, high)| draws.between(low, high));
        let height = draws.between(0.45, 1.0);
        let end = from + rise + hold + fall;
        for (at, value) in track.iter_mut().enumerate().skip(from as usize) {
            let at = at as f64;
            if at > end {
                break;
            }
            let part = ((at - from) / rise).min((end - at) / fall).clamp(0.0, 1.0);
            *value = height * smooth(part);
        }
        from = end + draws.between(gap.0, gap.1);
    }
    track
}

/// Blinks of about a fifth of a second, one every one to five seconds.
fn blinks(draws: &mut Draws, length: usize) -> Vec<f64> {
    let events = events(draws, length, [(25.0, 120.0), (1.5, 2.5), (0.5, 1.5), (2.0, 3.5)]);
    events.iter().map(|value| 4.0 * value).collect()
}

/// A value that wanders between -1 and 1: drawn every so many frames, smooth between.
fn wandering(draws: &mut Draws, length: usize, every: usize) -> Vec<f64> {
    let knots: Vec<f64> = (0..length / every + 2).map(|_| draws.between(-1.0, 1.0)).collect();
    let value = |at: usize| {
        let (from, to) = (knots[at / every], knots[at / every + 1]);
        from + (to - from) * smooth((at % every) as f64 / every as f64)
    };
    (0..length).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: DyadSpec = DyadSpec {
        seed: 0,
        speaker: 1,
        listener: 2,
        clip: 0,
        frames: 250,
        delay: 12,
        gain: 1.0,
        style: 0.0,
        noise: 0.0,
    };

    fn channel(face: &[f32], name: &str) -> Vec<f64> {
        let at = channel_of(name).unwrap();
        face.chunks_exact(CHANNELS).map(|frame| f64::from(frame[at])).collect()
    }

    #[test]
    fn a_listener_follows_the_speaker_by_the_gains_after_the_delay() {
        let speaker = SPEC.face(Side::Speaker);
        for reaction in Reaction::ALL {
            let listener = SPEC.face(Side::Listener(reaction));
            for Coupling { from, to, gain } in reaction.couplings() {
                let (from, to) = (channel(&speaker, from), channel(&listener, to));
                for at in 0..250_usize {
                    let expected = gain * from[at.saturating_sub(12)];
                    assert!((to[at] - expected).abs() < 1e-6, "{reaction:?} {at}");
                }
            }
        }
    }

    #[test]
    fn every_channel_moves_and_stays_within_its_bounds() {
        for clip in 0..20 {
            let spec = DyadSpec {
                clip,
                style: 0.3,
                noise: 0.04,
                ..SPEC
            };
            for side in [
                Side::Speaker,
                Side::Listener(Reaction::Mirror),
                Side::Listener(Reaction::Answer),
            ] {
                let face = spec.face(side);
                assert_eq!(face.len(), 250 * CHANNELS);
                for frame in face.chunks_exact(CHANNELS) {
                    assert!(frame[..HEAD].iter().all(|value| (0.0..=5.0).contains(value)));
                    assert!(frame[HEAD..].iter().all(|value| value.abs() < 1.0));
                }
            }
        }
        let spec = DyadSpec { frames: 5000, ..SPEC };
        for side in [
            Side::Speaker,
            Side::Listener(Reaction::Mirror),
            Side::Listener(Reaction::Answer),
        ] {
            let face = spec.face(side);
            for at in 0..CHANNELS {
                let values = face.iter().skip(at).step_by(CHANNELS);
                let most = values.fold(0.0_f32, |most, value| most.max(value.abs()));
                assert!(most > 0.05, "{side:?} {at}: {most}");
            }
        }
    }

    #[test]
    fn draws_follow_from_seed_people_and_clip_and_both_reactions_occur() {
        let face = SPEC.face(Side::Speaker);
        assert_eq!(SPEC.face(Side::Speaker), face);
        let others = [
            DyadSpec { seed: 1, ..SPEC },
            DyadSpec { speaker: 3, ..SPEC },
            DyadSpec { listener: 3, ..SPEC },
            DyadSpec { clip: 1, ..SPEC },
        ];
        assert!(others.iter().all(|other| other.face(Side::Speaker) != face));
        let mirrors = (0..100).filter(|&clip| DyadSpec { clip, ..SPEC }.reaction() == Reaction::Mirror);
        assert!((30..70).contains(&mirrors.count()));
        let longer = DyadSpec { frames: 300, ..SPEC };
        assert_eq!(longer.loudness().len(), 300);
    }

    #[test]
    fn the_voice_is_loud_where_the_lips_are_apart() {
        let lips = channel(&SPEC.face(Side::Speaker), "AU25");
        let loudness = SPEC.loudness();
        for (lips, loudness) in lips.iter().zip(loudness) {
            let expected = 0.03 + 0.97 * (lips / 4.0).min(1.0);
            assert!((f64::from(loudness) - expected).abs() < 1e-6);
        }
    }
}
