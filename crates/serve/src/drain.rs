//! Ending without breaking off what has begun.

use std::time::Duration;

use tokio::sync::watch;

/// Whether the server is ending, and how much it still does.
#[derive(Debug)]
pub(crate) struct Drain {
    ending: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

/// A request or stream that has begun. The server does not end before it is dropped.
#[derive(Debug)]
pub(crate) struct Begun(watch::Sender<usize>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Drain {
    pub fn new() -> Self {
        Self {
            ending: watch::Sender::new(false),
            open: watch::Sender::new(0),
        }
    }

    /// Begins something; `None` when nothing new is taken.
    pub fn begin(&self) -> Option<Begun> {
        // Counted first, so that no end is reached between the two.
        self.open.send_modify(|open| *open += 1);
        let begun = Begun(self.open.clone());
        (!*self.ending.borrow()).then_some(begun)
    }

    /// Takes nothing new from now on.
    pub fn start(&self) {
        self.ending.send_replace(true);
    }

    /// Whether nothing new is taken.
    pub fn has_started(&self) -> bool {
        *self.ending.borrow()
    }

    /// Waits until nothing new is taken.
    pub async fn started(&self) {
        let mut ending = self.ending.subscribe();
        // The sender lives as long as this value.
        let _ = ending.wait_for(|ending| *ending).await;
    }

    /// Waits until all that has begun is done; how much is not, once that has taken too long.
    pub async fn finished(&self, most: Duration) -> usize {
        let mut open = self.open.subscribe();
        let done = tokio::time::timeout(most, open.wait_for(|open| *open == 0)).await;
        match done {
            Ok(_) => 0,
            Err(_) => *self.open.borrow(),
        }
    }
}
