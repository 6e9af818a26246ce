//! `emorun live`: what a trained run says of a microphone, a file or a pipe while it is heard.

mod latency;
mod lines;
mod microphone;
mod recording;
mod session;
mod source;
#[cfg_attr(not(feature = "live"), path = "no_window.rs")]
mod window;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, parse_device, print};
use emorun_engine::device::DeviceRequest;
use emorun_engine::exit::Failure;
use emorun_engine::train::interrupt;
use emorun_live::{Listener, Model, Preset};
use emorun_recognise::Recogniser;
use emorun_runs::run::predictor::Predictor;
use emorun_runs::run::trained::TrainedRun;

use recording::Recording;
use session::{Output, Session};
use source::Source;
use window::Window;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory of a run.
    #[arg(required_unless_present = "list_devices")]
    run: Option<PathBuf>,
    /// What is heard: default or the name of a microphone, a recording, or - for samples on stdin.
    #[arg(long, value_name = "default|NAME|FILE|-", default_value = "default")]
    input: String,
    /// How fast a recording is heard: 1 as it was spoken, 0 as fast as it is answered, with nothing skipped.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = parse_speed)]
    speed: f64,
    /// Samples a second on stdin.
    #[arg(long, value_name = "HERTZ", default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1_000..=768_000))]
    rate: u32,
    /// Channels on stdin, one sample of each after another; their mean is heard.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
    /// How samples on stdin are written.
    #[arg(long, value_enum, default_value_t = Encoding::S16le)]
    encoding: Encoding,
    /// What is listened to and how answers are shown.
    #[arg(long, value_enum, default_value_t = PresetArgument::Default)]
    preset: PresetArgument,
    /// Most seconds that one answer is about; the preset's own when left out.
    #[arg(long, value_name = "SECONDS")]
    window: Option<f64>,
    /// What is shown; text when left out, or a window on a terminal where emorun was built with the feature `live`.
    #[arg(long, value_enum)]
    format: Option<FormArgument>,
    /// Keeps the sound (sound.wav), all events (events.jsonl) and label tracks for Audacity in a folder.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Shows the microphones that there are.
    #[arg(long)]
    list_devices: bool,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceRequest,
    /// Sets a value of the run's file, such as encoders.hubert.weights=models/hubert; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// How samples on stdin are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// 16-bit integers, lower byte first.
    S16le,
    /// 32-bit floats, lowest byte first, full scale 1.
    F32le,
}

/// A set of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PresetArgument {
    /// Speech, found by voice activity: four times a second all that was said so far, 5 s at most; smoothed.
    Default,
    /// Windows of 5 s, one behind the other, each by itself; silent ones are left out.
    Windowed,
    /// Ten times a second the last 3 s, smoothed.
    Ring,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormArgument {
    /// A window on the terminal.
    Window,
    /// A line for people.
    Text,
    /// An object a line.
    Json,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if speed == 0.0 || (0.01..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("use 0, or a number from 0.01 to 1000".to_owned()),
    }
}

impl PresetArgument {
    fn preset(self) -> Preset {
        match self {
            Self::Default => Preset::Default,
            Self::Windowed => Preset::Windowed,
            Self::Ring => Preset::Ring,
        }
    }
}

pub(super) fn live(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    if arguments.list_devices {
        print(&microphone::list()?);
        return Ok(());
    }
    let Some(folder) = &arguments.run else {
        return Err(Failure::Usage("say which run is to listen".into()));
    };
    let preset = arguments.preset.preset();
    let settings = arguments
        .window
        .map_or_else(|| preset.settings(), |window_s| preset.with_window(window_s));
    settings.check().map_err(|error| Failure::Usage(error.to_string()))?;
    let form = arguments.format.unwrap_or(if Window::can_open() {
        FormArgument::Window
    } else {
        FormArgument::Text
    });
    if form == FormArgument::Window && !Window::can_open() {
        let message =
            "--format window needs a terminal, and an emorun that was built with the feature `live`; use text or json";
        return Err(Failure::Usage(message.into()));
    }
    let source = Source::open(arguments)?;
    let runs = TrainedRun::open_all(folder)?;
    let device = super::run::choose(arguments.device)?;
    let mut predictor = Predictor::open(
        &runs,
        (&arguments.sets, common.offline),
        &device,
        &mut |report, sources| {
            super::check::write(report, sources, common.format);
        },
    )?;
    warm_up(&mut predictor, settings.window_s)?;
    let listener = Listener::new(&settings, Model::of(&predictor), source.rate_hz())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let recording = arguments
        .record
        .as_deref()
        .map(|folder| Recording::begin(folder, source.rate_hz(), listener.heads()))
        .transpose()?;
    interrupt::install_saying("ending");
    let output = match form {
        FormArgument::Text => Output::Text,
        FormArgument::Json => Output::Json,
        FormArgument::Window => Output::Window(Window::open(predictor.name(), &source.name())?),
    };
    Session::new(listener, recording, output).run(Box::new(predictor), source, arguments.speed == 0.0)
}

/// Asks about a window of silence, so that what is made once is made before anybody speaks.
fn warm_up(predictor: &mut Predictor, window_s: f64) -> Result<(), Failure> {
    let samples = (window_s * f64::from(predictor.rate_hz())) as usize;
    let silence = vec![0.0; samples.max(predictor.shortest())];
    match predictor.recognise(&[&silence]) {
        // A model need not have an answer to silence.
        Ok(_) | Err(emorun_recognise::RecogniserError::Model(_)) => Ok(()),
        Err(error) => Err(Failure::Bug(error.to_string())),
    }
}
