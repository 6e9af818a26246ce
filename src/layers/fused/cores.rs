//! Running a whole step on the threads that share its operations out.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use rayon::Yield;

/// How long a thread that finds nothing to do stays awake for more.
const AWAKE: Duration = Duration::from_millis(1);

thread_local! {
    /// Whether a step runs on this thread.
    static HOME: Cell<bool> = const { Cell::new(false) };
}

/// Runs work on a device; on the CPU as one of the threads that share its operations out, with the
/// others awake.
///
/// A step is a thousand short operations. Called from outside, each would wake a thread and wait to be
/// woken itself, and between two that are shared out the others would fall asleep. What is computed is
/// the same.
pub fn on_cores<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if HOME.get() || !super::runs_on(device) {
        return work();
    }
    let over = AtomicBool::new(false);
    rayon::scope(|scope| {
        let _at_home = AtHome::new(&over);
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| stay_awake(&over));
        }
        work()
    })
}

/// Takes what there is to do until the step is over, or there has been nothing for some time.
fn stay_awake(over: &AtomicBool) {
    // A thread with a step of its own may come here while it waits for a part of it: it has to go back.
    if HOME.get() {
        return;
    }
    let mut idle_since = None;
    while !over.load(Ordering::Acquire) {
        if let Some(Yield::Executed) = rayon::yield_now() {
            idle_since = None;
            continue;
        }
        let since = idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() > AWAKE {
            return;
        }
        // Other programs come first.
        std::thread::yield_now();
    }
}

/// Marks this thread as a step's own while the value lives, which ends with the step, also by a panic.
struct AtHome<'a> {
    over: &'a AtomicBool,
    before: bool,
}

impl<'a> AtHome<'a> {
    fn new(over: &'a AtomicBool) -> Self {
        let before = HOME.replace(true);
        Self { over, before }
    }
}

impl Drop for AtHome<'_> {
    fn drop(&mut self) {
        HOME.set(self.before);
        self.over.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn steps_on_every_thread_at_once_come_to_an_end() {
        let device = Device::flex();
        let total = || {
            (0..1000_u32)
                .into_par_iter()
                .with_max_len(1)
                .map(|x| u64::from(x).pow(2))
                .sum::<u64>()
        };
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let device = device.clone();
                std::thread::spawn(move || {
                    (0..50)
                        .map(|_| on_cores(&device, || total() + on_cores(&device, total)))
                        .sum::<u64>()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 50 * 2 * 332_833_500);
        }
    }

    #[test]
    fn a_panic_comes_through_and_the_threads_go_on() {
        let device = Device::flex();
        for _ in 0..4 {
            let step = std::panic::AssertUnwindSafe(|| on_cores(&device, || assert!(!HOME.get(), "as wanted")));
            assert!(std::panic::catch_unwind(step).is_err());
        }
        assert_eq!(on_cores(&device, || (0..10).into_par_iter().sum::<i32>()), 45);
    }
}
