//! `emorun predict`: what a trained run says of recordings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::{ExitCode, Failure};
use emorun_recognise::{Form, Predictions, TrackError, Windows};
use emorun_runs::run::predict::{Request, predict as say};
use emorun_runs::run::trained::TrainedRun;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory of a run, or a bundle; of a run with members, the mean of what they say.
    run: PathBuf,
    /// Recordings, folders of which all recordings are taken, patterns such as 'day-*/*.wav', and - for one on stdin.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Says something of every stretch of so many seconds instead of whole recordings.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    window: Option<f64>,
    /// From the start of one window to that of the next, in seconds; a third of the window when left out.
    #[arg(long, value_name = "SECONDS", requires = "window", value_parser = parse_seconds)]
    hop: Option<f64>,
    /// Loudness (root mean square, dB of full scale) below which a stretch is marked as silence.
    #[arg(long, value_name = "DB", default_value_t = -50.0, allow_negative_numbers = true)]
    silence: f64,
    /// How it is written; audacity and textgrid need --out FOLDER.
    #[arg(long, value_enum, default_value_t = FormArgument::Table)]
    format: FormArgument,
    /// The file to write, or the folder for audacity and textgrid; stdout when left out.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Sets a value of the run's file, such as encoders.hubert.weights=models/hubert; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormArgument {
    /// Columns for people.
    Table,
    /// An object a line.
    Jsonl,
    /// A row a stretch, a column a class.
    Csv,
    /// Segments in the columns of NIST's RTTM.
    Rttm,
    /// Audacity's label tracks.
    Audacity,
    /// Praat's TextGrids.
    Textgrid,
}

impl FormArgument {
    fn form(self) -> Form {
        match self {
            Self::Table => Form::Table,
            Self::Jsonl => Form::Jsonl,
            Self::Csv => Form::Csv,
            Self::Rttm => Form::Rttm,
            Self::Audacity => Form::Audacity,
            Self::Textgrid => Form::Textgrid,
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number of seconds".to_owned())?;
    // A hundredth of a second is a frame of most front ends.
    if (0.01..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("use a number of seconds from 0.01 to 86400".to_owned())
    }
}

pub(super) fn predict(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let form = arguments.format.form();
    if form.is_by_recording() && arguments.out.is_none() {
        return Err(Failure::Usage(
            "--format audacity and textgrid write a file for each recording: say where with --out FOLDER".into(),
        ));
    }
    let runs = TrainedRun::open_all(&arguments.run)?;
    let (given, stdin) = given(&arguments.files)?;
    let device = super::run::choose(arguments.device)?;
    let request = Request {
        given: &given,
        windows: arguments.window.map(|window_s| Windows {
            window_s,
            hop_s: arguments.hop.unwrap_or(window_s / 3.0),
        }),
        silence_db: arguments.silence,
        sets: &arguments.sets,
        offline: common.offline,
    };
    let mut predictions = say(&runs, &request, &device, &mut |report, sources| {
        super::check::write(report, sources, common.format);
    })?;
    if let Some(stdin) = &stdin {
        stdin.rename(&mut predictions);
    }
    match &arguments.out {
        Some(folder) if form.is_by_recording() => {
            let count = predictions.write_each(form, folder).map_err(unwritten)?;
            print(&format!("{}: {count} file(s)\n", folder.display()));
        }
        Some(file) => {
            let text = predictions.text(form).map_err(unwritten)?;
            std::fs::write(file, text).map_err(Failure::io("write", file))?;
            print(&format!("{}\n", file.display()));
        }
        None => print(&predictions.text(form).map_err(unwritten)?),
    }
    if predictions.unusable.is_empty() {
        return Ok(());
    }
    let lines = predictions.unusable.iter().map(|(file, reason)| {
        // Most reasons name the file themselves.
        if reason.contains(file.as_str()) {
            reason.clone()
        } else {
            format!("{file} {reason}")
        }
    });
    Err(Failure::Partly {
        code: ExitCode::Data,
        message: format!(
            "{} recording(s) could not be used{}:\n{}",
            predictions.unusable.len(),
            if predictions.stretches.is_empty() {
                ""
            } else {
                ", the others are done"
            },
            lines.collect::<Vec<_>>().join("\n")
        ),
    })
}

/// What is asked for as files and folders: patterns that name no file themselves as what they stand for, and what
/// comes on stdin as a file that is there as long as what is given beside it.
fn given(asked: &[PathBuf]) -> Result<(Vec<PathBuf>, Option<Received>), Failure> {
    let (mut given, mut received) = (Vec::new(), None);
    for path in asked {
        let text = path.to_string_lossy();
        if text == "-" {
            if received.is_some() {
                return Err(Failure::Usage("stdin (-) can be given once".into()));
            }
            let from_stdin = Received::from_stdin()?;
            given.push(from_stdin.file.clone());
            received = Some(from_stdin);
        } else if text.contains(['*', '?', '[']) && path.symlink_metadata().is_err() {
            let wrong = |error: glob::PatternError| Failure::Usage(format!("{text} is no pattern: {error}"));
            let before = given.len();
            for found in glob::glob(&text).map_err(wrong)? {
                given.push(found.map_err(|error| {
                    let path = error.path().to_owned();
                    Failure::io("read", &path)(error.into())
                })?);
            }
            if given.len() == before {
                return Err(Failure::Input(format!("{text} names no file")));
            }
        } else {
            given.push(path.clone());
        }
    }
    Ok((given, received))
}

/// A recording that came on stdin.
struct Received {
    folder: PathBuf,
    file: PathBuf,
}

impl Received {
    fn from_stdin() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("emorun-stdin-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(Failure::io("create", &folder))?;
        let received = Self {
            file: folder.join("stdin"),
            folder,
        };
        let file = &received.file;
        let mut kept = std::fs::File::create_new(file).map_err(Failure::io("create", file))?;
        std::io::copy(&mut std::io::stdin().lock(), &mut kept).map_err(Failure::io("write", file))?;
        Ok(received)
    }
}

impl Received {
    /// Calls it what it was called on the command line.
    fn rename(&self, predictions: &mut Predictions) {
        let file = self.file.display().to_string();
        let stretches = predictions.stretches.iter_mut().map(|stretch| &mut stretch.file);
        for (name, reason) in &mut predictions.unusable {
            *reason = reason.replace(&file, "-");
            *name = name.replace(&file, "-");
        }
        stretches
            .filter(|name| **name == file)
            .for_each(|name| *name = "-".to_owned());
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn unwritten(error: TrackError) -> Failure {
    match error {
        TrackError::Io { action, path, source } => Failure::Io { action, path, source },
        TrackError::SameName(_) => Failure::Usage(error.to_string()),
        TrackError::Table(_) => Failure::Bug(error.to_string()),
    }
}
