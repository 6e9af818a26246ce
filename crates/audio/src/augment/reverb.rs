//! Speech in a room.

use std::path::{Path, PathBuf};

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolve::Kernel;
use super::level::power;
use super::noise_folder::{NoiseFolder, Use};
use super::response::{is_response, loudest};
use super::room::Room;
use super::{Augment, AugmentConfig, AugmentError, Held, Interval, Mistakes, NoiseFolderError, Recordings, Wave};

/// Longest impulse response in seconds; what comes later is cut off.
const LONGEST_S: f64 = 4.0;
/// Nearest that speaker and microphone come to a wall, and to each other, in metres.
const APART_M: f64 = 0.3;

/// Where impulse responses come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// A folder with recorded ones, audio files at any depth, such as OpenSLR 28, of which the noise is left out.
    // `x-path` is how the experiment language knows a path.
    Folder(#[schemars(length(min = 1), extend("x-path" = true))] PathBuf),
    /// A box of drawn size with walls that all absorb alike.
    Shoebox(Shoebox),
}

/// Rooms to draw from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct Shoebox {
    /// Range of the length in metres.
    #[schemars(inner(range(min = 2.0, max = 30.0)))]
    pub length_m: Interval,
    /// Range of the width in metres.
    #[schemars(inner(range(min = 2.0, max = 30.0)))]
    pub width_m: Interval,
    /// Range of the height in metres.
    #[schemars(inner(range(min = 2.0, max = 10.0)))]
    pub height_m: Interval,
    /// Range of the time in seconds in which the sound in the room falls by 60 dB.
    #[schemars(inner(range(min = 0.1, max = 1.0)))]
    pub rt60_s: Interval,
}

impl Default for Shoebox {
    fn default() -> Self {
        Self {
            length_m: Interval::known(3.0, 8.0),
            width_m: Interval::known(3.0, 8.0),
            height_m: Interval::known(2.5, 3.5),
            rt60_s: Interval::known(0.2, 0.6),
        }
    }
}

/// Lets the speech sound as in a room: convolves it with an impulse response, whose direct sound keeps
/// its place, and gives it the power that it had. The length stays. Of a recording with several channels one is
/// drawn: their mean would be that of a comb filter. Before a run every recording is decoded, and one that is no impulse
/// response (its peak and much of its energy are not at its beginning, or it does not decay from there, as speech and noise do not) is an error.
///
/// Draws the recording and, where it has several, its channel; or the box's length, width, height and reverberation time, then the places of
/// speaker and microphone, three numbers each.
///
/// Source: Ko et al., A study on data augmentation of reverberant speech for robust speech recognition,
/// ICASSP 2017; Allen & Berkley, JASA 65, 1979, for synthetic rooms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reverb {
    /// Impulse responses: `folder: data/RIRS_NOISES`, or `shoebox: { rt60_s: [0.2, 0.6] }` for synthetic
    /// rooms.
    pub response: Response,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Reverb {
    fn default() -> Self {
        Self {
            response: Response::Shoebox(Shoebox::default()),
            p: 0.5,
        }
    }
}

impl AugmentConfig for Reverb {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let mut mistakes = Mistakes::default();
        if let Response::Shoebox(room) = &self.response {
            mistakes = mistakes
                .range("response.shoebox.length_m", room.length_m, 2.0, 30.0, "m")
                .range("response.shoebox.width_m", room.width_m, 2.0, 30.0, "m")
                .range("response.shoebox.height_m", room.height_m, 2.0, 10.0, "m")
                .range("response.shoebox.rt60_s", room.rt60_s, 0.1, 1.0, "s");
        }
        mistakes.probability(self.p).finish()
    }

    fn recordings(&self) -> Option<Recordings> {
        matches!(self.response, Response::Folder(_)).then(|| Recordings {
            field: "/response/folder",
            categories: Vec::new(),
            holds: Held::Responses,
        })
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        let source = match &self.response {
            Response::Folder(root) => Source::Folder(NoiseFolder::scan(root, &[], rate_hz, Use::Response)?),
            Response::Shoebox(room) => Source::Shoebox(*room),
        };
        Ok(Box::new(Reverberation { source, rate_hz }))
    }
}

#[derive(Debug)]
enum Source {
    Folder(NoiseFolder),
    Shoebox(Shoebox),
}

#[derive(Debug)]
struct Reverberation {
    source: Source,
    rate_hz: u32,
}

impl Augment for Reverberation {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let (response, direct) = match &self.source {
            Source::Folder(folder) => {
                let index = rng.random_range(0..folder.len());
                wave.note(|| folder.name(index));
                let channel = folder.channel(index, rng);
                let response = folder.beginning(index, self.longest(), channel)?;
                let direct = loudest(&response);
                (response, direct)
            }
            Source::Shoebox(ranges) => {
                let room = draw_room(ranges, rng);
                wave.note(|| {
                    let [length, width, height] = room.size_m;
                    format!("{length:.1} × {width:.1} × {height:.1} m, RT60 {:.2} s", room.rt60_s)
                });
                (room.response(self.rate_hz), room.direct(self.rate_hz))
            }
        };
        // Silence would take the speech with it.
        if power(&response) == 0.0 {
            return Ok(());
        }
        let samples = wave.samples();
        let before = power(samples);
        Kernel::new(&response).apply(samples, direct);
        let factor = (before / power(samples)).sqrt() as f32;
        if factor.is_finite() {
            for x in samples.iter_mut() {
                *x *= factor;
            }
        }
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        match &self.source {
            Source::Folder(folder) => folder.paths().collect(),
            Source::Shoebox(_) => Vec::new(),
        }
    }

    fn remarks(&self) -> Vec<String> {
        match &self.source {
            Source::Folder(folder) => folder.remarks().to_vec(),
            Source::Shoebox(_) => Vec::new(),
        }
    }

    fn judge(&self, file: usize, _peak: f32) -> Result<(), AugmentError> {
        let Source::Folder(folder) = &self.source else {
            return Ok(());
        };
        let Some(path) = folder.paths().nth(file) else {
            return Ok(());
        };
        for channel in folder.channels(file) {
            let response = folder.glance(file, self.longest(), channel)?;
            let path = path.to_owned();
            if response.iter().all(|x| *x == 0.0) {
                return Err(NoiseFolderError::Silent { path, above: 0.0 }.into());
            }
            if let Err(why) = is_response(&response, self.rate_hz) {
                return Err(NoiseFolderError::NoResponse { path, why }.into());
            }
        }
        Ok(())
    }
}

impl Reverberation {
    /// Most samples of an impulse response.
    fn longest(&self) -> usize {
        (LONGEST_S * f64::from(self.rate_hz)) as usize
    }
}

fn draw_room(ranges: &Shoebox, rng: &mut dyn Rng) -> Room {
    let size_m = [ranges.length_m, ranges.width_m, ranges.height_m].map(|range| range.draw(rng));
    let rt60_s = ranges.rt60_s.draw(rng);
    let mut place = || size_m.map(|size| APART_M + (size - 2.0 * APART_M) * rng.random::<f64>());
    let source_m = place();
    let mut microphone_m = place();
    // Nearer than that a microphone hears no room; it is moved along the length, where there is space.
    let squared: f64 = source_m.iter().zip(&microphone_m).map(|(a, b)| (a - b) * (a - b)).sum();
    if squared < APART_M * APART_M {
        let away = if source_m[0] > size_m[0] / 2.0 {
            -APART_M
        } else {
            APART_M
        };
        microphone_m[0] = source_m[0] + away;
    }
    Room {
        size_m,
        source_m,
        microphone_m,
        rt60_s,
    }
}
