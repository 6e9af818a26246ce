//! Memory: what a run will need, and what it took.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use emorun_lang::Cost;

/// Bytes of the last request that the allocator could not fulfil.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// What the program is at work on.
static WORK: Mutex<String> = Mutex::new(String::new());

thread_local! {
    /// What this thread is at work on by itself.
    static OWN_WORK: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes that so many bytes could not be had.
pub fn refuse(bytes: usize) {
    REFUSED.store(bytes.max(1), Ordering::Relaxed);
}

/// Bytes that could not be had; 0 if all could.
pub fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}

/// Notes what is worked on, to be named should memory end; with `own`, by this thread alone.
pub fn work_on(what: String, own: bool) {
    if own {
        OWN_WORK.with(|work| *work.borrow_mut() = what);
    } else {
        *WORK.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what;
    }
}

/// Hands over what is worked on, where that is known: what this thread is at by itself before what all are at. Asks for
/// no memory and waits for nothing.
pub fn while_at_work<R>(then: impl FnOnce(&str) -> R) -> Option<R> {
    let mut then = Some(then);
    let own = OWN_WORK.try_with(|work| {
        let work = work.try_borrow().ok().filter(|work| !work.is_empty())?;
        then.take().map(|then| then(&work))
    });
    if let Ok(Some(found)) = own {
        return Some(found);
    }
    let work = match WORK.try_lock() {
        Ok(work) => work,
        Err(TryLockError::Poisoned(work)) => work.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    let then = then.take().filter(|_| !work.is_empty())?;
    Some(then(&work))
}

/// Largest resident memory of this process so far, in bytes; `None` where the system does not say.
pub fn peak_rss() -> Option<u64> {
    peak_rss_of("self")
}

/// As [`peak_rss`], of a process by its number.
pub fn peak_rss_of(process: &str) -> Option<u64> {
    bytes_in(&format!("/proc/{process}/status"), "VmHWM:")
}

/// Resident memory of this process now, in bytes; `None` where the system does not say.
pub fn rss() -> Option<u64> {
    bytes_in("/proc/self/status", "VmRSS:")
}

/// What the kernel says in a line of a file, such as `VmRSS: 1234 kB`.
fn bytes_in(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

/// Forgets the largest resident memory so far; false where the system does not let it.
pub fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Bytes that the system can still give to this process without swapping, within the limits of its container and of the
/// process; `None` where the system does not say.
pub fn free() -> Option<u64> {
    let system = bytes_in("/proc/meminfo", "MemAvailable:")?;
    let container = container().map(|(limit, used)| limit.saturating_sub(used));
    let process = process_limit().zip(bytes_in("/proc/self/status", "VmSize:"));
    let process = process.map(|(limit, used)| limit.saturating_sub(used));
    [container, process].into_iter().flatten().chain([system]).min()
}

/// Bytes that this process could ever have, were it alone on the machine: memory and swap, within the limits of its
/// container and of the process; `None` where the system does not say.
pub fn largest() -> Option<u64> {
    let memory = |field| bytes_in("/proc/meminfo", field);
    let system = memory("MemTotal:")? + memory("SwapTotal:").unwrap_or(0);
    let container = container().map(|(limit, _)| limit);
    [container, process_limit()].into_iter().flatten().chain([system]).min()
}

/// Limit and use of the container, where there is a limit.
fn container() -> Option<(u64, u64)> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    [("memory.max", "memory.current"), CGROUP_1]
        .into_iter()
        .find_map(|(limit, used)| {
            let limit = number(&format!("{CGROUPS}/{limit}"))?;
            Some((limit, number(&format!("{CGROUPS}/{used}"))?))
        })
}

/// The limit on addresses of this process (`ulimit -v`), where there is one.
fn process_limit() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Where a container's limits are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Limit and use in the first version of control groups.
const CGROUP_1: (&str, &str) = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes");

/// What a training keeps in memory at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Cost of all nodes that train.
    pub cost: Cost,
    /// Items of a micro-batch.
    pub batch_size: usize,
    /// Items of a batch in evaluation.
    pub evaluation_batch_size: usize,
    /// Length to which the longest training batch is padded, as long as augmentation can make it, in seconds.
    pub batch_seconds: f64,
    /// Length to which the longest batch in evaluation is padded, in seconds.
    pub evaluation_seconds: f64,
    /// Whether gradient checkpointing is on.
    pub checkpointing: bool,
    /// Bytes of host values kept from epoch to epoch.
    pub host_bytes: f64,
}

/// Bytes of the process beside weights, activations and host values: code, threads, what scanning,
/// generating and loading the corpora left with the allocator. Measured, on two cores.
const BASE: f64 = 180e6;
/// Factor by which the allocator holds more than is in use.
const SLACK: f64 = 1.05;
/// Share of the activations of training that evaluation holds at its peak: nothing is kept for a
/// backward pass, but the outputs of nodes.
const EVALUATION_SHARE: f64 = 0.35;

impl Load {
    /// The same with a single item in each batch, which is the least that there can be.
    pub fn of_one_item(self) -> Self {
        Self {
            batch_size: 1,
            evaluation_batch_size: 1,
            host_bytes: 0.0,
            ..self
        }
    }

    /// Estimate of the largest resident memory in bytes: weights, gradients and two moments,
    /// activations kept for the backward pass, host values.
    pub fn peak_bytes(&self) -> u64 {
        let parameters = 4.0 * (self.cost.parameters + 3 * self.cost.trainable + self.cost.buffers) as f64;
        let [trained, evaluated] = self.activation_bytes();
        (BASE + SLACK * (parameters + trained.max(evaluated)) + self.host_bytes) as u64
    }

    /// Whether evaluation needs more than training, so that the estimate is its.
    pub fn is_of_evaluation(&self) -> bool {
        let [trained, evaluated] = self.activation_bytes();
        evaluated > trained
    }

    /// Bytes of activations in a training step and in a batch of evaluation.
    fn activation_bytes(&self) -> [f64; 2] {
        let item = |seconds: f64| {
            let of_square = self.cost.activation_floats_per_square_second * seconds * seconds;
            4.0 * (self.cost.activation_floats_per_second * seconds + of_square + self.cost.activation_floats_per_item)
        };
        let recomputed = |seconds: f64| 4.0 * self.cost.recomputed_floats_per_second * seconds;
        let kept = if self.checkpointing {
            recomputed(self.batch_seconds)
        } else {
            0.0
        };
        let trained = item(self.batch_seconds) - kept;
        // Evaluation keeps no layer for a backward pass either.
        let evaluated = item(self.evaluation_seconds) - recomputed(self.evaluation_seconds);
        [
            trained * self.batch_size as f64,
            EVALUATION_SHARE * evaluated * self.evaluation_batch_size as f64,
        ]
    }
}

/// Bytes as people read them.
pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / (1u64 << 20) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_item_of_each_pass_is_what_its_batches_are_padded_to() {
        let load = Load {
            cost: Cost {
                activation_floats_per_second: 1e6,
                recomputed_floats_per_second: 5e5,
                ..Cost::default()
            },
            batch_size: 8,
            evaluation_batch_size: 16,
            batch_seconds: 10.0,
            evaluation_seconds: 10.0,
            checkpointing: false,
            host_bytes: 0.0,
        };
        let activations = |load: Load| (load.peak_bytes() as f64 - BASE) / SLACK;
        // 8 items of 10 s, 4 bytes a float.
        assert!((activations(load) / 320e6 - 1.0).abs() < 1e-6);
        // Training in clips, evaluation on whole recordings: 35 % of 16 items of 1000 s without what is computed again.
        let whole = Load {
            evaluation_seconds: 1000.0,
            ..load
        };
        assert!((activations(whole) / (0.35 * 16.0 * 4.0 * 5e5 * 1000.0) - 1.0).abs() < 1e-6);
        assert!((activations(load.of_one_item()) / 40e6 - 1.0).abs() < 1e-6);
        let square = Cost {
            activation_floats_per_square_second: 1e6,
            ..load.cost
        };
        assert!((activations(Load { cost: square, ..load }) / (320e6 + 8.0 * 4.0 * 1e8) - 1.0).abs() < 1e-6);
        assert!(
            (activations(Load {
                checkpointing: true,
                ..load
            }) / 160e6
                - 1.0)
                .abs()
                < 1e-6
        );
    }

    #[test]
    fn what_the_system_gives_is_within_what_there_is() {
        if let (Some(free), Some(largest)) = (free(), largest()) {
            assert!(0 < free && free <= largest, "{free} {largest}");
        }
    }
}
