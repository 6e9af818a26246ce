//! `emorun data faces`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;
use emorun_face::{Feature, Reading, Scale, landmarks, read, write};
use emorun_features::FeatureFile;
use emorun_figures::{FaceFrame, FacePanel, Faces};
use emorun_files::{Files, read_regular};

use crate::cli::print;

/// Most bytes of a table and of a recording.
const MOST_BYTES: u64 = 1 << 28;
/// Most pictures of an animation.
const MOST_PICTURES: usize = 250;
/// What is measured of a face without landmarks, in its order.
const MEASURED: [Feature; 3] = [Feature::ActionUnits, Feature::Pose, Feature::Gaze];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Faces, each with its name: a table that OpenFace wrote (landmarks, or action units, pose and gaze), or a `.npy` or
    /// `.safetensors` file (`FILE#TENSOR`) of [time, 22] or [samples, time, 22] numbers: 17 action units, 3 rotations, 2 of the
    /// gaze, such as `embed` writes.
    #[arg(required = true, value_name = "NAME=FILE")]
    faces: Vec<String>,
    /// The file to write: `.html` (a page that plays them), `.png` (an animated PNG) or, of a single face, `.csv` (in OpenFace's
    /// columns).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A WAV file to hear beside them, on a page.
    #[arg(long, value_name = "WAV")]
    audio: Option<PathBuf>,
    /// In which units the files are.
    #[arg(long, value_enum, default_value_t = Units::Auto)]
    units: Units,
    /// Frames a second.
    #[arg(long, value_name = "HZ", default_value_t = 25.0)]
    rate_hz: f64,
    /// Which face of a table with several.
    #[arg(long, value_name = "ID")]
    face: Option<u32>,
    /// Most frames of a gap that is bridged by a straight line.
    #[arg(long, value_name = "FRAMES", default_value_t = 5)]
    longest_gap: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Units {
    /// OpenFace's of a table with its column `frame`, parts of what is possible elsewhere.
    Auto,
    /// Intensities from 0 to 5, radians, pixels.
    Openface,
    /// Intensities divided by 5, angles by π, as `data dyads` writes them.
    Unit,
}

/// A face that was read: rows of the features, in OpenFace's units, and of each frame whether it was seen.
struct Read {
    name: String,
    features: Vec<Feature>,
    rows: Vec<f32>,
    seen: Vec<bool>,
}

pub(super) fn faces(arguments: &Arguments) -> Result<(), Failure> {
    if !(arguments.rate_hz.is_finite() && arguments.rate_hz > 0.0) {
        return Err(Failure::Usage("--rate-hz must be above 0".to_owned()));
    }
    let extension = arguments.out.extension().and_then(OsStr::to_str).unwrap_or_default();
    if !["html", "png", "csv"].contains(&extension) {
        return Err(Failure::Usage(format!(
            "{}: a page ends in .html, an animation in .png, a table in .csv",
            arguments.out.display()
        )));
    }
    let mut all = Vec::new();
    for given in &arguments.faces {
        let Some((name, file)) = given.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::Usage(format!("`{given}` is no NAME=FILE")));
        };
        all.extend(read_faces(name, file, arguments)?);
    }
    let bytes = match (extension, all.as_slice()) {
        ("csv", [one]) => table(one, arguments.rate_hz).into_bytes(),
        ("csv", more) => {
            return Err(Failure::Usage(format!(
                "a table holds one face, and there are {}",
                more.len()
            )));
        }
        (extension, _) => picture(&all, extension, arguments)?,
    };
    write_atomically(&Files::default(), &arguments.out, &bytes)?;
    for face in &all {
        let unseen = face.seen.iter().filter(|seen| !**seen).count();
        print(&format!(
            "{}: {} frames, {unseen} not seen\n",
            face.name,
            face.seen.len()
        ));
    }
    print(&format!("{}\n", arguments.out.display()));
    Ok(())
}

fn picture(all: &[Read], extension: &str, arguments: &Arguments) -> Result<Vec<u8>, Failure> {
    let panels: Vec<FacePanel> = all.iter().map(panel).collect();
    let title = arguments.out.file_stem().and_then(OsStr::to_str).unwrap_or("faces");
    let drawn = Faces {
        title,
        panels: &panels,
        rate_hz: arguments.rate_hz,
    };
    if extension == "html" {
        let sound = match &arguments.audio {
            Some(path) => Some(read_regular(path, MOST_BYTES).map_err(Failure::io("read", path))?),
            None => None,
        };
        return Ok(drawn.page(sound.as_deref()).into_bytes());
    }
    let every = drawn.frames().div_ceil(MOST_PICTURES).max(1);
    let image = drawn.to_animation(every);
    image
        .map(|image| image.bytes)
        .map_err(|error| Failure::Input(error.to_string()))
}

/// The faces of a file: one, or one a sample.
fn read_faces(name: &str, file: &str, arguments: &Arguments) -> Result<Vec<Read>, Failure> {
    let is_table = [".csv", ".tsv"]
        .iter()
        .any(|end| file.to_ascii_lowercase().ends_with(end));
    if is_table {
        read_table(name, Path::new(file), arguments).map(|one| vec![one])
    } else {
        read_array(name, file, arguments)
    }
}

fn read_table(name: &str, path: &Path, arguments: &Arguments) -> Result<Read, Failure> {
    let text = read_regular(path, MOST_BYTES).map_err(Failure::io("read", path))?;
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = String::from_utf8_lossy(header);
    let has = |column: &str| header.split(',').any(|own| own.trim() == column);
    let features = match has("x_0") && has("y_67") {
        true if has("AU01_r") => [&[Feature::Landmarks][..], &MEASURED].concat(),
        true => vec![Feature::Landmarks],
        false => MEASURED.to_vec(),
    };
    let is_unit = match arguments.units {
        Units::Auto => !has("frame"),
        units => units == Units::Unit,
    };
    let reading = Reading {
        features,
        scale: Scale::Openface,
        rate_hz: arguments.rate_hz,
        longest_gap: arguments.longest_gap,
        least_confidence: 0.5,
        face: arguments.face,
    };
    let track = read(&text, &reading).map_err(|problem| Failure::Input(format!("{} {problem}", path.display())))?;
    let mut own = Read {
        name: name.to_owned(),
        features: reading.features,
        rows: track.values,
        seen: track.seen,
    };
    if is_unit {
        own.scale_to_openface();
    }
    Ok(own)
}

fn read_array(name: &str, file: &str, arguments: &Arguments) -> Result<Vec<Read>, Failure> {
    let (path, tensor) = match file.split_once('#') {
        Some((path, tensor)) => (path, Some(tensor)),
        None => (file, None),
    };
    let failed = |error: emorun_features::FeatureError| Failure::Input(error.to_string());
    let opened = FeatureFile::open(Path::new(path)).map_err(failed)?;
    let names: Vec<&str> = opened.names().collect();
    let tensor = match (tensor, names.as_slice()) {
        (Some(tensor), _) => tensor,
        (None, [only]) => only,
        (None, several) => {
            let first = several.first().copied().unwrap_or_default();
            return Err(Failure::Usage(format!(
                "{path} holds {} tensors; name one, such as `{path}#{first}`",
                several.len()
            )));
        }
    };
    let array = opened.read(tensor).map_err(failed)?;
    let width: usize = MEASURED.iter().map(|feature| feature.width()).sum();
    let (samples, time) = match *array.shape() {
        [time, own] if own == width => (1, time),
        [samples, time, own] if own == width => (samples, time),
        ref shape => {
            return Err(Failure::Input(format!(
                "{path}: {shape:?} is not [time, {width}] or [samples, time, {width}]"
            )));
        }
    };
    let faces = array
        .values()
        .chunks_exact((time * width).max(1))
        .enumerate()
        .map(|(at, rows)| {
            let mut own = Read {
                name: if samples == 1 {
                    name.to_owned()
                } else {
                    format!("{name} {}", at + 1)
                },
                features: MEASURED.to_vec(),
                rows: rows.to_vec(),
                seen: vec![true; time],
            };
            if arguments.units != Units::Openface {
                own.scale_to_openface();
            }
            own
        });
    Ok(faces.collect())
}

impl Read {
    fn width(&self) -> usize {
        self.features.iter().map(|feature| feature.width()).sum()
    }

    fn scale_to_openface(&mut self) {
        let units = self.features.iter().flat_map(|feature| {
            let unit = feature.divisor(Scale::Unit);
            std::iter::repeat_n(unit, feature.width())
        });
        let units: Vec<f32> = units.collect();
        for row in self.rows.chunks_exact_mut(units.len().max(1)) {
            row.iter_mut().zip(&units).for_each(|(value, unit)| *value *= unit);
        }
    }

    /// The part of a frame that is a feature.
    fn part<'a>(&self, row: &'a [f32], feature: Feature) -> Option<&'a [f32]> {
        let at = self.features.iter().position(|own| *own == feature)?;
        let start: usize = self.features[..at].iter().map(|own| own.width()).sum();
        row.get(start..start + feature.width())
    }
}

fn panel(read: &Read) -> FacePanel {
    let rows = read.rows.chunks_exact(read.width().max(1)).zip(&read.seen);
    let frames = rows.map(|(row, seen)| {
        let gaze = match read.part(row, Feature::Gaze) {
            Some(&[x, y]) => [x, y],
            _ => [0.0; 2],
        };
        let points = match (read.part(row, Feature::Landmarks), read.part(row, Feature::ActionUnits)) {
            (Some(places), _) => {
                let half = places.len() / 2;
                std::array::from_fn(|at| [places[at], places[half + at]])
            }
            (None, units) => {
                let pose = match read.part(row, Feature::Pose) {
                    Some(&[x, y, z]) => [x, y, z],
                    _ => [0.0; 3],
                };
                landmarks(units.unwrap_or_default(), pose)
            }
        };
        seen.then_some(FaceFrame { points, gaze })
    });
    let mut frames: Vec<Option<FaceFrame>> = frames.collect();
    if read.features.contains(&Feature::Landmarks) {
        fit(&mut frames);
    }
    FacePanel {
        name: read.name.clone(),
        frames,
    }
}

/// Moves and scales a face's points so that all of its frames lie in its image, by one factor for the whole clip.
fn fit(frames: &mut [Option<FaceFrame>]) {
    const MARGIN: f32 = 12.0;
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for [x, y] in frames.iter().flatten().flat_map(|face| face.points) {
        low = [low[0].min(x), low[1].min(y)];
        high = [high[0].max(x), high[1].max(y)];
    }
    let widest = (high[0] - low[0]).max(high[1] - low[1]);
    if !(widest.is_finite() && widest > 0.0) {
        return;
    }
    let scale = (224.0 - 2.0 * MARGIN) / widest;
    for point in frames.iter_mut().flatten().flat_map(|face| &mut face.points) {
        for axis in 0..2 {
            let middle = (low[axis] + high[axis]) / 2.0;
            point[axis] = 112.0 + scale * (point[axis] - middle);
        }
    }
}

/// A face as OpenFace writes it.
fn table(read: &Read, rate_hz: f64) -> String {
    let mut rows = Vec::new();
    for (row, seen) in read.rows.chunks_exact(read.width().max(1)).zip(&read.seen) {
        rows.extend(row);
        rows.push(if *seen { 1.0 } else { 0.0 });
    }
    let features: Vec<Feature> = read.features.iter().copied().chain([Feature::Seen]).collect();
    write(&rows, &features, Scale::Openface, rate_hz)
}
