//! The tables that OpenFace writes: a frame a line, read with its gaps, and written.
//!
//! Columns are found by their names, which older versions write with a space in front. A frame counts as not seen where it is
//! missing, where `success` is 0 or `confidence` too low, and where a number that is wanted is empty or not finite. Frames not
//! seen between two that were are bridged by a straight line up to a length; longer gaps, and those at the ends, are zeros
//! and marked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{Feature, Scale};

/// Most frames of a table: a damaged number of a frame must not take all memory.
const MOST_FRAMES: usize = 1 << 19;
/// How far, as a share, frames may be from the rate that is declared.
const RATE_TOLERANCE: f64 = 0.02;

/// What is read of a table, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What is read, one after the other in each frame.
    pub features: Vec<Feature>,
    /// In which units.
    pub scale: Scale,
    /// Frames a second, which the column `timestamp` must agree with.
    pub rate_hz: f64,
    /// Most frames of a gap that is bridged.
    pub longest_gap: usize,
    /// The least confidence of a frame that counts as seen.
    pub least_confidence: f64,
    /// Which face (`face_id`) of several is read; `None` where a table must hold one alone.
    pub face: Option<u32>,
}

impl Reading {
    /// Numbers a frame.
    pub fn width(&self) -> usize {
        self.features.iter().map(|feature| feature.width()).sum()
    }
}

/// How many frames were not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Frames of all.
    pub frames: usize,
    /// Those not seen that were bridged.
    pub bridged: usize,
    /// Those not seen that are marked.
    pub masked: usize,
}

/// A face over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Numbers, frame after frame.
    pub values: Vec<f32>,
    /// Of each frame whether the face was seen or bridged.
    pub seen: Vec<bool>,
    /// How many were not.
    pub gaps: Gaps,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    /// Columns are not there.
    #[error("has no column {}{}", listed(missing), nearest.as_ref().map_or_else(String::new, |name| format!(" (the nearest is `{name}`)")))]
    Columns {
        /// Their names.
        missing: Vec<String>,
        /// The name most like the first.
        nearest: Option<String>,
    },
    /// A cell holds no number.
    #[error("line {line}: column `{column}` is `{cell}`, which is no number")]
    Cell {
        /// Its line.
        line: u64,
        /// Its column.
        column: String,
        /// What it holds.
        cell: String,
    },
    /// Text that is no table.
    #[error("line {line}: {reason}")]
    Text {
        /// Its line.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Several faces.
    #[error("holds {} faces ({}); name the one that is meant: `face: ID`", faces.len(), shown(faces))]
    Faces {
        /// Their ids, with the number of frames of each.
        faces: Vec<(u32, usize)>,
    },
    /// Frames out of order, or twice.
    #[error("line {line}: frame {frame} comes after frame {before}")]
    Order {
        /// The line.
        line: u64,
        /// Its frame.
        frame: usize,
        /// The frame before.
        before: usize,
    },
    /// Another rate than declared.
    #[error("has {found:.2} frames a second by its timestamps, and {declared} are declared")]
    Rate {
        /// By the column `timestamp`.
        found: f64,
        /// Of the stream.
        declared: f64,
    },
    /// More frames than there can be.
    #[error("line {line}: frame {frame} is beyond the {MOST_FRAMES} frames that are read")]
    TooLong {
        /// The line.
        line: u64,
        /// Its frame.
        frame: usize,
    },
    /// No frame in which the face was seen.
    #[error("holds no frame in which the face was seen ({frames} frames)")]
    Nothing {
        /// Frames that it has.
        frames: usize,
    },
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut all: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        all.push(format!("{} more", names.len() - SHOWN));
    }
    all.join(", ")
}

fn shown(faces: &[(u32, usize)]) -> String {
    let all = faces.iter().map(|(id, frames)| format!("{id} in {frames} frames"));
    all.collect::<Vec<String>>().join(", ")
}

/// Where columns stand.
struct Places {
    values: Vec<(usize, String, f32)>,
    frame: Option<usize>,
    face: Option<usize>,
    timestamp: Option<usize>,
    confidence: Option<usize>,
    success: Option<usize>,
}

impl Places {
    fn of(header: &csv::StringRecord, reading: &Reading) -> Result<Self, TableProblem> {
        let place = |name: &str| header.iter().position(|own| own == name);
        let mut values = Vec::new();
        let mut missing = Vec::new();
        for feature in &reading.features {
            for column in feature.columns() {
                match place(&column) {
                    Some(at) => values.push((at, column, feature.divisor(reading.scale))),
                    None => missing.push(column),
                }
            }
        }
        if let Some(first) = missing.first() {
            let apart = |name: &&str| strsim::damerau_levenshtein(name, first);
            let nearest = header.iter().filter(|name| !name.is_empty()).min_by_key(apart);
            return Err(TableProblem::Columns {
                nearest: nearest.map(str::to_owned),
                missing,
            });
        }
        Ok(Self {
            values,
            frame: place("frame"),
            face: place("face_id"),
            timestamp: place("timestamp"),
            confidence: place("confidence"),
            success: place("success"),
        })
    }
}

/// A line of a table.
struct Line {
    number: u64,
    face: u32,
    frame: Option<usize>,
    timestamp: Option<f64>,
    /// What is wanted; `None` where the face was not seen.
    values: Option<Vec<f32>>,
}

/// Reads a table.
///
/// # Errors
/// See [`TableProblem`].
pub fn read(text: &[u8], reading: &Reading) -> Result<Track, TableProblem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let wrong = |error: csv::Error| TableProblem::Text {
        line: error.position().map_or(1, csv::Position::line),
        reason: error.to_string(),
    };
    let places = Places::of(reader.headers().map_err(wrong)?, reading)?;
    let mut record = csv::StringRecord::new();
    let mut lines = Vec::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        let number = record.position().map_or(0, csv::Position::line);
        lines.push(line(&record, number, &places, reading)?);
        if lines.len() > MOST_FRAMES {
            return Err(TableProblem::TooLong {
                line: number,
                frame: lines.len(),
            });
        }
    }
    let lines = one_face(lines, reading)?;
    check_rate(&lines, reading)?;
    bridged(frames(lines)?, reading)
}

fn line(record: &csv::StringRecord, number: u64, places: &Places, reading: &Reading) -> Result<Line, TableProblem> {
    let cell = |at: usize| record.get(at).unwrap_or_default();
    let parsed = |at: usize, column: &str| -> Result<Option<f64>, TableProblem> {
        match cell(at) {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(value) => Ok(value.is_finite().then_some(value)),
                Err(_) => Err(TableProblem::Cell {
                    line: number,
                    column: column.to_owned(),
                    cell: text.chars().take(40).collect(),
                }),
            },
        }
    };
    let known = |place: Option<usize>, column: &str| place.map_or(Ok(None), |at| parsed(at, column));
    let success = known(places.success, "success")?;
    let confidence = known(places.confidence, "confidence")?;
    let mut values = Some(Vec::with_capacity(places.values.len()));
    for (at, column, divisor) in &places.values {
        match (parsed(*at, column)?, &mut values) {
            (Some(value), Some(values)) => values.push(value as f32 / divisor),
            (None, _) => values = None,
            (Some(_), None) => {}
        }
    }
    let is_seen = success.is_none_or(|success| success != 0.0)
        && confidence.is_none_or(|confidence| confidence >= reading.least_confidence);
    Ok(Line {
        number,
        face: known(places.face, "face_id")?.unwrap_or(0.0) as u32,
        frame: known(places.frame, "frame")?.map(|frame| frame as usize),
        timestamp: known(places.timestamp, "timestamp")?,
        values: values.filter(|_| is_seen),
    })
}

/// The lines of the face that is read.
fn one_face(lines: Vec<Line>, reading: &Reading) -> Result<Vec<Line>, TableProblem> {
    if let Some(face) = reading.face {
        return Ok(lines.into_iter().filter(|line| line.face == face).collect());
    }
    let mut faces: BTreeMap<u32, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *faces.entry(line.face).or_default() += 1);
    match faces.len() {
        0 | 1 => Ok(lines),
        _ => Err(TableProblem::Faces {
            faces: faces.into_iter().collect(),
        }),
    }
}

/// Compares timestamps with the rate that is declared: the median of what neighbouring lines are apart, by frame.
fn check_rate(lines: &[Line], reading: &Reading) -> Result<(), TableProblem> {
    let mut apart: Vec<f64> = lines
        .windows(2)
        .filter_map(|two| {
            let frames = match (two[0].frame, two[1].frame) {
                (Some(before), Some(after)) if after > before => after - before,
                _ => 1,
            };
            let seconds = two[1].timestamp? - two[0].timestamp?;
            (seconds > 0.0).then(|| seconds / frames as f64)
        })
        .collect();
    apart.sort_by(f64::total_cmp);
    // Timestamps are written to a thousandth of a second, so the mean says more than a median of few.
    let Some(median) = apart.get(apart.len() / 2) else {
        return Ok(());
    };
    let usual: Vec<f64> = apart
        .iter()
        .copied()
        .filter(|one| (one / median - 1.0).abs() < 0.5)
        .collect();
    let found = usual.len() as f64 / usual.iter().sum::<f64>();
    match (found / reading.rate_hz - 1.0).abs() <= RATE_TOLERANCE {
        true => Ok(()),
        false => Err(TableProblem::Rate {
            found,
            declared: reading.rate_hz,
        }),
    }
}

/// Each frame from the first to the last, `None` where the face was not seen. Frames are numbered from 1 on, so that those
/// missing at the start are there too.
fn frames(lines: Vec<Line>) -> Result<Vec<Option<Vec<f32>>>, TableProblem> {
    let mut frames: Vec<Option<Vec<f32>>> = Vec::new();
    let starts_at = match lines.first().and_then(|line| line.frame) {
        Some(0) => 0,
        _ => 1,
    };
    for line in lines {
        let at = line.frame.map_or(frames.len(), |frame| frame.saturating_sub(starts_at));
        if at < frames.len() {
            return Err(TableProblem::Order {
                line: line.number,
                frame: at + starts_at,
                before: frames.len() - 1 + starts_at,
            });
        }
        if at >= MOST_FRAMES {
            return Err(TableProblem::TooLong {
                line: line.number,
                frame: at,
            });
        }
        frames.resize(at, None);
        frames.push(line.values);
    }
    Ok(frames)
}

/// Bridges gaps up to a length, and marks the others.
fn bridged(mut frames: Vec<Option<Vec<f32>>>, reading: &Reading) -> Result<Track, TableProblem> {
    let seen: Vec<usize> = (0..frames.len()).filter(|&at| frames[at].is_some()).collect();
    if seen.is_empty() {
        return Err(TableProblem::Nothing { frames: frames.len() });
    }
    let mut gaps = Gaps {
        frames: frames.len(),
        masked: frames.len() - seen.len(),
        bridged: 0,
    };
    for two in seen.windows(2) {
        let (from, to) = (two[0], two[1]);
        let missing = to - from - 1;
        if missing == 0 || missing > reading.longest_gap {
            continue;
        }
        let (Some(start), Some(end)) = (frames[from].clone(), frames[to].clone()) else {
            continue;
        };
        for (at, frame) in frames.iter_mut().enumerate().take(to).skip(from + 1) {
            let part = (at - from) as f32 / (to - from) as f32;
            *frame = Some(start.iter().zip(&end).map(|(a, b)| a + part * (b - a)).collect());
        }
        gaps.bridged += missing;
        gaps.masked -= missing;
    }
    let mut values = Vec::with_capacity(frames.len() * reading.width());
    let mut marks = Vec::with_capacity(frames.len());
    for frame in &frames {
        marks.push(frame.is_some());
        let mut rest = frame.as_deref().unwrap_or_default();
        for feature in &reading.features {
            match feature {
                Feature::Seen => values.push(if frame.is_some() { 1.0 } else { 0.0 }),
                feature if rest.len() >= feature.width() => {
                    let (own, further) = rest.split_at(feature.width());
                    values.extend(own);
                    rest = further;
                }
                feature => values.extend(std::iter::repeat_n(0.0, feature.width())),
            }
        }
    }
    Ok(Track {
        values,
        seen: marks,
        gaps,
    })
}

/// A face as OpenFace writes it: `frame, face_id, timestamp, confidence, success` and a column for each number. `rows` are
/// frames of `features` in `scale`, row after row.
pub fn write(rows: &[f32], features: &[Feature], scale: Scale, rate_hz: f64) -> String {
    let mut text = "frame, face_id, timestamp, confidence, success".to_owned();
    let mut units = Vec::new();
    for feature in features {
        let divisor = Some(feature.divisor(scale)).filter(|_| *feature != Feature::Seen);
        units.extend(std::iter::repeat_n(divisor, feature.width()));
        for column in feature.columns() {
            let _ = write!(text, ", {column}");
        }
    }
    text.push('\n');
    let seen_at = units.iter().position(Option::is_none);
    for (at, row) in rows.chunks_exact(units.len().max(1)).enumerate() {
        let seen = seen_at.is_none_or(|seen| row[seen] > 0.5);
        let (confidence, success) = if seen { ("0.98", 1) } else { ("0.00", 0) };
        let _ = write!(
            text,
            "{}, 0, {:.3}, {confidence}, {success}",
            at + 1,
            at as f64 / rate_hz
        );
        for (value, unit) in row.iter().zip(&units) {
            if let Some(unit) = unit {
                let _ = write!(text, ", {:.3}", value * unit);
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(features: &[Feature]) -> Reading {
        Reading {
            features: features.to_vec(),
            scale: Scale::Openface,
            rate_hz: 25.0,
            longest_gap: 2,
            least_confidence: 0.5,
            face: None,
        }
    }

    /// As OpenFace 2.0 writes it, with frames 3, 4, and 7 to 9 not seen, each in another way.
    const TABLE: &str = "frame, face_id, timestamp, confidence, success, gaze_0_x, gaze_angle_x, gaze_angle_y, AU01_c
1, 0, 0.000, 0.98, 1, 0.5, 0.100, 0.200, 1.00
2, 0, 0.040, 0.98, 1, 0.5, 0.200, 0.200, 0.00
3, 0, 0.080, 0.98, 0, 0.5, 9.000, 0.200, 0.00
5, 0, 0.160, 0.98, 1, 0.5, 0.500, 0.500, 0.00
6, 0, 0.200, 0.98, 1, 0.5, 0.600, 0.400, 0.00
7, 0, 0.240, 0.30, 1, 0.5, 9.000, 0.200, 0.00
8, 0, 0.280, 0.98, 1, 0.5, nan, 0.200, 0.00
9, 0, 0.320, 0.98, 1, 0.5, , 0.200, 0.00
10, 0, 0.360, 0.98, 1, 0.5, 1.000, 0.800, 0.00
";

    #[test]
    fn short_gaps_are_bridged_and_long_ones_are_marked() {
        let track = read(TABLE.as_bytes(), &reading(&[Feature::Gaze, Feature::Seen])).unwrap();
        assert_eq!(
            track.gaps,
            Gaps {
                frames: 10,
                bridged: 2,
                masked: 3
            }
        );
        let near = |at: usize, expected: [f32; 3]| {
            let found = &track.values[3 * at..3 * at + 3];
            let apart = found
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(apart < 1e-6, "{at}: {found:?}");
        };
        near(1, [0.2, 0.2, 1.0]);
        near(2, [0.3, 0.3, 1.0]);
        near(3, [0.4, 0.4, 1.0]);
        near(7, [0.0, 0.0, 0.0]);
        near(9, [1.0, 0.8, 1.0]);
        let all = Reading {
            longest_gap: 3,
            scale: Scale::Unit,
            ..reading(&[Feature::Gaze])
        };
        let track = read(TABLE.as_bytes(), &all).unwrap();
        assert_eq!(track.gaps.masked, 0);
        assert!((track.values[2 * 7] - 0.8 / std::f32::consts::PI).abs() < 1e-6);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_with_its_place() {
        let problem = |text: &str, reading: &Reading| read(text.as_bytes(), reading).unwrap_err().to_string();
        let gaze = reading(&[Feature::Gaze]);
        assert_eq!(
            problem(&TABLE.replace("gaze_angle_x", "gaze_angl_x"), &gaze),
            "has no column `gaze_angle_x` (the nearest is `gaze_angl_x`)"
        );
        assert!(problem(TABLE, &reading(&[Feature::ActionUnits])).contains("`AU05_r`, 13 more"));
        assert_eq!(
            problem(&TABLE.replace("0.600", "abc"), &gaze),
            "line 6: column `gaze_angle_x` is `abc`, which is no number"
        );
        let faces = TABLE.replace("6, 0,", "6, 1,");
        assert_eq!(
            problem(&faces, &gaze),
            "holds 2 faces (0 in 8 frames, 1 in 1 frames); name the one that is meant: `face: ID`"
        );
        let first = Reading {
            face: Some(0),
            ..gaze.clone()
        };
        assert_eq!(read(faces.as_bytes(), &first).unwrap().gaps.masked, 4);
        let third = Reading {
            face: Some(3),
            ..gaze.clone()
        };
        assert!(problem(TABLE, &third).contains("no frame in which the face was seen"));
        let fast = Reading {
            rate_hz: 30.0,
            ..gaze.clone()
        };
        assert_eq!(
            problem(TABLE, &fast),
            "has 25.00 frames a second by its timestamps, and 30 are declared"
        );
        assert_eq!(
            problem(&TABLE.replace("\n6, 0", "\n5, 0"), &gaze),
            "line 6: frame 5 comes after frame 5"
        );
        assert!(problem(&TABLE.replace("\n10, 0", "\n99999999999, 0"), &gaze).starts_with("line 10: frame "));
        assert!(problem("frame, gaze_angle_x, gaze_angle_y\n1, 2\n", &gaze).starts_with("line 2: "));
        assert!(problem("", &gaze).contains("has no column"));
        // One frame is a clip.
        let lines: Vec<&str> = TABLE.lines().take(2).collect();
        assert_eq!(read(lines.join("\n").as_bytes(), &gaze).unwrap().seen, [true]);
    }

    #[test]
    fn what_is_written_is_read() {
        let features = [Feature::ActionUnits, Feature::Pose, Feature::Seen, Feature::Gaze];
        let width: usize = features.iter().map(|feature| feature.width()).sum();
        let mut rows: Vec<f32> = (0..5 * width).map(|at| (at % 9) as f32 / 100.0).collect();
        for frame in 0..5 {
            rows[frame * width + 20] = if frame == 1 { 0.0 } else { 1.0 };
        }
        let text = write(&rows, &features, Scale::Unit, 25.0);
        assert!(text.starts_with("frame, face_id, timestamp, confidence, success, AU01_r, AU02_r"));
        let own = Reading {
            scale: Scale::Unit,
            longest_gap: 0,
            ..reading(&features)
        };
        let track = read(text.as_bytes(), &own).unwrap();
        assert_eq!(track.seen, [true, false, true, true, true]);
        for (at, (found, row)) in track.values.iter().zip(&rows).enumerate() {
            let expected = if at / width == 1 { 0.0 } else { *row };
            assert!((found - expected).abs() < 1e-3, "{at}: {found} {expected}");
        }
    }
}
