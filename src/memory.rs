//! Memory: what a run will need, and what it took.

use emorun_lang::Cost;

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

/// Bytes that the system can still give to this process without swapping, within the limit of its container;
/// `None` where the system does not say.
pub fn free() -> Option<u64> {
    let system = bytes_in("/proc/meminfo", "MemAvailable:")?;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let container = [("memory.max", "memory.current"), CGROUP_1]
        .into_iter()
        .find_map(|(limit, used)| {
            let limit = number(&format!("{CGROUPS}/{limit}"))?;
            Some(limit.saturating_sub(number(&format!("{CGROUPS}/{used}"))?))
        });
    Some(container.map_or(system, |container| container.min(system)))
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
    /// Length to which the longest batch is padded, in seconds.
    pub batch_seconds: f64,
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
    /// Estimate of the largest resident memory in bytes: weights, gradients and two moments,
    /// activations kept for the backward pass, host values.
    pub fn peak_bytes(&self) -> u64 {
        let parameters = 4.0 * (self.cost.parameters + 3 * self.cost.trainable + self.cost.buffers) as f64;
        let item =
            4.0 * (self.cost.activation_floats_per_second * self.batch_seconds + self.cost.activation_floats_per_item);
        // Evaluation keeps no layer for a backward pass either.
        let recomputed = 4.0 * self.cost.recomputed_floats_per_second * self.batch_seconds;
        let least = item - recomputed;
        let trained = if self.checkpointing { least } else { item };
        let activations =
            (trained * self.batch_size as f64).max(EVALUATION_SHARE * least * self.evaluation_batch_size as f64);
        (BASE + SLACK * (parameters + activations) + self.host_bytes) as u64
    }
}

/// Bytes as people read them.
pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / (1u64 << 20) as f64)
}
