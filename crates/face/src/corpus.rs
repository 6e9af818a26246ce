//! A folder of generated dyads, as `kind: manifest` reads it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_audio::{AudioError, Clip, write_wav};

use crate::{DyadSpec, FACE_RATE_HZ, Side};

/// Sample rate of the voices in Hz.
const RATE_HZ: u32 = 8000;

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorpusSpec {
    /// Seed of everything.
    pub seed: u64,
    /// Pairs of people, each of two who are in no other.
    pub dyads: u32,
    /// Clips of each pair; one and the other speak in turn.
    pub clips: u32,
    /// Length of a clip in frames, 25 a second.
    pub frames: u32,
    /// Frames after which a listener reacts.
    pub delay: u32,
    /// How far people differ in what they show, from 0 to below 1.
    pub style: f64,
    /// Noise of each channel, as a part of what is possible.
    pub noise: f64,
}

/// Why a folder is not written.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// Something is there already.
    #[error("{} is there and not empty; name another folder, or remove it", .0.display())]
    NotEmpty(PathBuf),
    /// Something on the disk cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A voice cannot be written.
    #[error(transparent)]
    Audio(#[from] AudioError),
}

impl CorpusSpec {
    /// All clips, with the number of their dyad.
    pub fn clips(&self) -> impl Iterator<Item = (u32, DyadSpec)> {
        let spec = *self;
        let of_dyad = move |dyad| {
            (0..spec.clips).map(move |clip| {
                let (one, other) = (2 * dyad, 2 * dyad + 1);
                let (speaker, listener) = if clip % 2 == 0 { (one, other) } else { (other, one) };
                let clip = DyadSpec {
                    seed: spec.seed,
                    speaker,
                    listener,
                    clip,
                    frames: spec.frames,
                    delay: spec.delay,
                    gain: 1.0,
                    style: spec.style,
                    noise: spec.noise,
                };
                (dyad, clip)
            })
        };
        (0..self.dyads).flat_map(of_dyad)
    }

    /// Writes `all.csv`, and of each clip a WAV of the speaker's voice and tables of the speaker's face, of the listener's,
    /// and of the other reaction that would have been as right; 22 numbers a frame, intensities divided by 5 and angles by π.
    ///
    /// # Errors
    /// Something is in the folder, or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), CorpusError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CorpusError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        if fs::read_dir(folder).map_err(io(folder))?.next().is_some() {
            return Err(CorpusError::NotEmpty(folder.to_owned()));
        }
        let mut table = "path,speaker,reaction,speaker_face,listener_face,other_face\n".to_owned();
        for (dyad, clip) in self.clips() {
            let name = format!("{dyad:03}_{:02}", clip.clip);
            let own = clip.reaction();
            let voice = Clip {
                samples: clip.voice(RATE_HZ),
                rate_hz: RATE_HZ,
            };
            write_wav(&folder.join(format!("{name}.wav")), &voice)?;
            let faces = [
                ("speaker", Side::Speaker),
                ("listener", Side::Listener(own)),
                ("other", Side::Listener(own.other())),
            ];
            for (side, face) in faces {
                let path = folder.join(format!("{name}_{side}.csv"));
                fs::write(&path, rows(&clip.face(face))).map_err(io(&path))?;
            }
            let _ = writeln!(
                table,
                "{name}.wav,dyad {dyad},{},{name}_speaker.csv,{name}_listener.csv,{name}_other.csv",
                own.name()
            );
        }
        // Last, so that a folder with a table is whole.
        let path = folder.join("all.csv");
        fs::write(&path, table).map_err(io(&path))
    }

    /// Seconds of a clip.
    pub fn seconds(&self) -> f64 {
        f64::from(self.frames) / f64::from(FACE_RATE_HZ)
    }
}

/// A face as a table with the names of its channels.
fn rows(face: &[f32]) -> String {
    let (names, units): (Vec<String>, Vec<f32>) = DyadSpec::channels().unzip();
    let mut text = names.join(",");
    text.push('\n');
    for frame in face.chunks_exact(units.len()) {
        for (at, (value, unit)) in frame.iter().zip(&units).enumerate() {
            let end = if at + 1 == units.len() { '\n' } else { ',' };
            let _ = write!(text, "{:.5}{end}", value / unit);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: CorpusSpec = CorpusSpec {
        seed: 3,
        dyads: 3,
        clips: 2,
        frames: 30,
        delay: 5,
        style: 0.3,
        noise: 0.04,
    };

    #[test]
    fn a_folder_has_a_table_of_clips_whose_files_are_as_long_as_said() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("dyads");
        SPEC.write(&place).unwrap();
        let table = fs::read_to_string(place.join("all.csv")).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7);
        let cells: Vec<&str> = lines[1].split(',').collect();
        assert_eq!(emorun_audio::probe(&place.join(cells[0])).unwrap().duration_s(), 1.2);
        for file in &cells[3..] {
            let text = fs::read_to_string(place.join(file)).unwrap();
            let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
            assert_eq!(rows.len(), 31);
            assert_eq!((rows[0][0], rows[0][21]), ("AU01_r", "gaze_angle_y"));
            for row in &rows[1..] {
                assert_eq!(row.len(), 22);
                assert!(row.iter().all(|cell| cell.parse::<f32>().unwrap().abs() <= 1.0));
            }
        }
        // Nothing is written over.
        assert!(matches!(SPEC.write(&place), Err(CorpusError::NotEmpty(_))));
        // The same numbers give the same files.
        let again = folder.path().join("again");
        SPEC.write(&again).unwrap();
        for entry in fs::read_dir(&place).unwrap() {
            let name = entry.unwrap().file_name();
            assert_eq!(
                fs::read(place.join(&name)).unwrap(),
                fs::read(again.join(&name)).unwrap()
            );
        }
    }

    #[test]
    fn nobody_is_in_two_dyads_and_both_speak() {
        let clips: Vec<(u32, DyadSpec)> = SPEC.clips().collect();
        for (dyad, clip) in &clips {
            assert_eq!((clip.speaker / 2, clip.listener / 2), (*dyad, *dyad));
            assert_ne!(clip.speaker, clip.listener);
        }
        assert_ne!(clips[0].1.speaker, clips[1].1.speaker);
    }
}
