//! Settings that belong together.

use crate::settings::{Gate, Hearing, Settings, VoiceActivity};

/// A set of [`Settings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Speech is found by voice activity; four times a second something is said of all of it, 5 s at most.
    #[default]
    Default,
    /// Windows of 5 s, one behind the other, with a root mean square of 0.01 or more; each is taken by itself.
    Windowed,
    /// Ten times a second the last 3 s, where the mean of their magnitudes is 0.01 or more; smoothed, and labels held.
    Ring,
}

impl Preset {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 3] = [
        ("default", Self::Default),
        ("windowed", Self::Windowed),
        ("ring", Self::Ring),
    ];

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, preset)| preset)
    }

    /// Its settings.
    #[must_use]
    pub fn settings(self) -> Settings {
        match self {
            Self::Default => Settings {
                hearing: Hearing::Speech(VoiceActivity::default()),
                window_s: 5.0,
                hop_s: 0.25,
                least_s: 0.5,
                smoothing: 0.7,
                hold: 3,
            },
            Self::Windowed => Settings {
                hearing: Hearing::Windows(Gate::Rms(0.01)),
                window_s: 5.0,
                hop_s: 5.0,
                least_s: 0.5,
                smoothing: 0.0,
                hold: 1,
            },
            Self::Ring => Settings {
                hearing: Hearing::Windows(Gate::MeanMagnitude(0.01)),
                window_s: 3.0,
                hop_s: 0.1,
                least_s: 0.5,
                smoothing: 0.7,
                hold: 3,
            },
        }
    }

    /// Its settings with windows of another length. Where windows follow each other, they still do.
    #[must_use]
    pub fn with_window(self, window_s: f64) -> Settings {
        let mut settings = self.settings();
        if settings.hop_s == settings.window_s {
            settings.hop_s = window_s;
        }
        settings.window_s = window_s;
        settings
    }
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self {
            start: 0.5,
            stop: 0.45,
            onset_s: 0.064,
            pre_roll_s: 0.2,
            // Scores fall a tenth of a second behind the voice.
            post_roll_s: 0.0,
            silence_s: 0.5,
            longest_s: 30.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_name_and_can_be() {
        for (name, preset) in Preset::ALL {
            assert_eq!(Preset::named(name), Some(preset));
            assert_eq!(preset.settings().check(), Ok(()));
            assert_eq!(preset.with_window(2.0).check(), Ok(()));
        }
        assert_eq!(Preset::named("Ring"), None);
        assert_eq!(Preset::Windowed.with_window(2.0).hop_s, 2.0);
        assert_eq!(Preset::Ring.with_window(2.0).hop_s, 0.1);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for window_s in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = Preset::Default.with_window(window_s).check().unwrap_err();
            assert!(error.to_string().starts_with("the window is "), "{error}");
        }
        let mut settings = Preset::Default.settings();
        settings.smoothing = 1.0;
        assert_eq!(settings.check().unwrap_err().name, "smoothing");
        let mut settings = Preset::Default.settings();
        settings.hearing = Hearing::Speech(VoiceActivity {
            stop: 0.6,
            ..VoiceActivity::default()
        });
        assert_eq!(settings.check().unwrap_err().name, "the score that stops speech");
    }
}
