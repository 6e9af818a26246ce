//! How fast entries are written and read: `cargo bench -p emorun-features`, with a folder as argument to try its disk.
//! What is read was just written, so it comes from memory unless the folder is larger than that.
#![allow(clippy::unwrap_used)]

use emorun_features::{Array, Key, KeyBuilder, Origin, Precision, Store};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn key(number: usize) -> Key {
    KeyBuilder::new("bench").part("number", number.to_le_bytes()).finish()
}

fn frames(time: usize, width: usize) -> Array {
    let values = (0..time * width).map(|i| (i as f32 * 0.37).sin()).collect();
    Array::new([time, width], values).unwrap()
}

/// Time that this thread was on a processor: what an entry costs, whatever else the machine does.
fn processor_time() -> Option<Duration> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(schedule.split(' ').next()?.parse().ok()?))
}

/// Does `work` with each entry and prints how fast.
fn measure(what: &str, entries: usize, bytes: usize, work: impl Fn(usize)) {
    let (wall, processor) = (Instant::now(), processor_time());
    (0..entries).for_each(work);
    let rate = |took: Duration| {
        let seconds = took.as_secs_f64();
        let (count, megabytes) = (entries as f64, (entries * bytes) as f64 / 1e6);
        format!("{:>6.0} entries/s {:>5.0} MB/s", count / seconds, megabytes / seconds)
    };
    print!("{what:<42} {}", rate(wall.elapsed()));
    if let (Some(before), Some(after)) = (processor, processor_time()) {
        print!("; by processor time {}", rate(after.saturating_sub(before)));
    }
    println!();
}

fn main() {
    let given = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"))
        .map(PathBuf::from);
    let folder = given.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let cases = [
        (10_000, 4, 768, Precision::F32),
        (500, 150, 768, Precision::F32),
        (500, 150, 768, Precision::F16),
    ];
    for (number, (entries, time, width, precision)) in cases.into_iter().enumerate() {
        let store = Store::open(&folder.path().join(number.to_string()), Some(1 << 40)).unwrap();
        let array = frames(time, width);
        let bytes = time * width * 4;
        let what = format!("{entries} × {time} × {width} {precision}");
        measure(&format!("{what}: put"), entries, bytes, |entry| {
            store.put(&key(entry), &array, precision, &Origin::default()).unwrap();
        });
        measure(&format!("{what}: get, verify, read"), entries, bytes, |entry| {
            black_box(store.get(&key(entry)).unwrap().entry().unwrap().read());
        });
        let start = Instant::now();
        let counted = store.stats().unwrap().all.entries;
        println!("{what}: stats of {counted} in {:.0?}", start.elapsed());
        let start = Instant::now();
        let removed = store.gc(0).unwrap().entries;
        println!("{what}: gc of {removed} in {:.0?}", start.elapsed());
    }
}
