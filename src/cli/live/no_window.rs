//! No window on the terminal: this is built without the feature `live`.

use emorun_engine::exit::Failure;
use emorun_live::{Event, Listener};

/// There is none.
pub(super) enum Window {}

impl Window {
    pub(super) fn can_open() -> bool {
        false
    }

    pub(super) fn open(_: &str, _: &str) -> Result<Self, Failure> {
        Err(Failure::Bug("there is no window in this build".into()))
    }

    pub(super) fn show(&mut self, _: &Event) {
        match *self {}
    }

    pub(super) fn look(&mut self, _: &Listener) -> Result<bool, Failure> {
        match *self {}
    }

    pub(super) fn close(&mut self) {
        match *self {}
    }
}
