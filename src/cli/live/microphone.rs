//! Microphones, by the crate cpal: with the feature `live` alone, which on Linux needs ALSA's headers when it is built.

#[cfg(feature = "live")]
pub(super) use with::{Microphone, OpenMicrophone, list};
#[cfg(not(feature = "live"))]
pub(super) use without::{Microphone, OpenMicrophone, list};

#[cfg(feature = "live")]
mod with {
    use std::sync::mpsc::{SyncSender, TrySendError};
    use std::time::Instant;

    use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
    use cpal::{ErrorKind, FromSample, Sample, SampleFormat, SizedSample, SupportedStreamConfig};
    use emorun_engine::exit::Failure;

    use crate::cli::live::session::Message;
    use crate::cli::live::source::{Sound, mixed};

    /// A microphone that was found.
    pub(in crate::cli::live) struct Microphone {
        device: cpal::Device,
        name: String,
        config: SupportedStreamConfig,
    }

    /// A microphone that listens until it is dropped.
    pub(in crate::cli::live) struct OpenMicrophone {
        _stream: cpal::Stream,
    }

    /// The names of all microphones, a line each.
    pub(in crate::cli::live) fn list() -> Result<String, Failure> {
        let names = named()?.into_iter().map(|(name, _)| format!("{name}\n"));
        Ok(names.collect())
    }

    fn named() -> Result<Vec<(String, cpal::Device)>, Failure> {
        let devices = cpal::default_host().input_devices().map_err(unusable)?;
        let named = devices.filter_map(|device| Some((device.description().ok()?.name().to_owned(), device)));
        Ok(named.collect())
    }

    fn unusable(error: cpal::Error) -> Failure {
        Failure::Usage(format!("no microphone can be used: {error}"))
    }

    impl Microphone {
        /// The one of a name, or the default one.
        pub(in crate::cli::live) fn find(wanted: &str) -> Result<Self, Failure> {
            let device = if wanted == "default" {
                cpal::default_host().default_input_device()
            } else {
                named()?
                    .into_iter()
                    .find(|(name, _)| name == wanted)
                    .map(|(_, device)| device)
            };
            let Some(device) = device else {
                let names: Vec<String> = named()?.into_iter().map(|(name, _)| format!("`{name}`")).collect();
                let known = if names.is_empty() {
                    "there is none on this machine; give a recording, or - for samples on stdin".to_owned()
                } else {
                    format!("there are {}", names.join(", "))
                };
                return Err(Failure::Usage(format!(
                    "no microphone or file is called `{wanted}`: {known}"
                )));
            };
            let config = device.default_input_config().map_err(unusable)?;
            let name = device
                .description()
                .map_or_else(|_| wanted.to_owned(), |known| known.name().to_owned());
            Ok(Self { device, name, config })
        }

        pub(in crate::cli::live) fn rate_hz(&self) -> u32 {
            self.config.sample_rate()
        }

        pub(in crate::cli::live) fn name(&self) -> &str {
            &self.name
        }

        /// Begins to listen.
        pub(in crate::cli::live) fn start(self, messages: SyncSender<Message>) -> Result<OpenMicrophone, Failure> {
            let stream = match self.config.sample_format() {
                SampleFormat::F32 => self.stream::<f32>(messages),
                SampleFormat::I16 => self.stream::<i16>(messages),
                SampleFormat::U16 => self.stream::<u16>(messages),
                SampleFormat::I32 => self.stream::<i32>(messages),
                format => {
                    let message = format!("`{}` gives samples as {format}, which are not read", self.name);
                    return Err(Failure::Usage(message));
                }
            }
            .map_err(unusable)?;
            stream.play().map_err(unusable)?;
            Ok(OpenMicrophone { _stream: stream })
        }

        fn stream<T>(&self, messages: SyncSender<Message>) -> Result<cpal::Stream, cpal::Error>
        where
            T: SizedSample,
            f32: FromSample<T>,
        {
            let channels = self.config.channels();
            let (ends, name) = (messages.clone(), self.name.clone());
            let mut lost = 0;
            let hear = move |samples: &[T], _: &cpal::InputCallbackInfo| {
                let samples: Vec<f32> = samples.iter().map(|&sample| f32::from_sample(sample)).collect();
                let samples: Vec<f32> = mixed(&samples, channels).collect();
                let count = samples.len() as u64;
                let at = Instant::now();
                // The system's thread is never kept waiting; what is lost is told with what comes next.
                match messages.try_send(Message::Sound(Sound { samples, at, lost })) {
                    Err(TrySendError::Full(_)) => lost += count,
                    _ => lost = 0,
                }
            };
            let fail = move |error: cpal::Error| match error.kind() {
                ErrorKind::DeviceChanged | ErrorKind::Xrun | ErrorKind::RealtimeDenied => {
                    tracing::warn!("{name}: {error}");
                }
                _ => {
                    let failure = Failure::Input(format!("`{name}` cannot be heard any more: {error}"));
                    let _ = ends.try_send(Message::Ended(Err(failure)));
                }
            };
            self.device.build_input_stream(self.config.into(), hear, fail, None)
        }
    }
}

#[cfg(not(feature = "live"))]
mod without {
    use std::sync::mpsc::SyncSender;

    use emorun_engine::exit::Failure;

    use crate::cli::live::session::Message;

    /// There are none.
    pub(in crate::cli::live) enum Microphone {}

    /// There are none.
    pub(in crate::cli::live) enum OpenMicrophone {}

    /// Says how to build emorun with microphones.
    pub(in crate::cli::live) fn list() -> Result<String, Failure> {
        Err(Failure::Usage(
            "this emorun was built without microphones: build it with `cargo build --release --features live` (on Linux, \
             libasound2-dev is needed for that), or let --input be a recording, or - for samples on stdin"
                .into(),
        ))
    }

    impl Microphone {
        pub(in crate::cli::live) fn find(wanted: &str) -> Result<Self, Failure> {
            match (wanted, list()) {
                ("default", Err(failure)) => Err(failure),
                (wanted, _) => Err(Failure::Usage(format!(
                    "there is no file `{wanted}`, and this emorun was built without microphones (feature `live`)"
                ))),
            }
        }

        pub(in crate::cli::live) fn rate_hz(&self) -> u32 {
            match *self {}
        }

        pub(in crate::cli::live) fn name(&self) -> &str {
            match *self {}
        }

        pub(in crate::cli::live) fn start(self, _: SyncSender<Message>) -> Result<OpenMicrophone, Failure> {
            match self {}
        }
    }
}
