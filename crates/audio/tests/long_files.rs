//! Recordings of three hours: checked in memory that does not grow with them, read in parts, refused whole where
//! they are too much. A test of its own process, which watches its memory.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers count as no test"
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use emorun_audio::{AudioError, MIN_DURATION_S, Segment, check_file, load, probe};

const THREE_HOURS_S: u32 = 3 * 3600;

/// Silence in 16 bits that takes no room on the disk.
fn silence(path: &Path, rate_hz: u32, channels: u16) {
    let align = 2 * channels;
    let bytes = THREE_HOURS_S * rate_hz * u32::from(align);
    let mut head = b"RIFF".to_vec();
    head.extend((36 + bytes).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    head.extend(channels.to_le_bytes());
    head.extend(rate_hz.to_le_bytes());
    head.extend((rate_hz * u32::from(align)).to_le_bytes());
    head.extend(align.to_le_bytes());
    head.extend(16_u16.to_le_bytes());
    head.extend(b"data");
    head.extend(bytes.to_le_bytes());
    let mut file = File::create(path).unwrap();
    file.write_all(&head).unwrap();
    file.set_len(u64::from(bytes) + head.len() as u64).unwrap();
}

/// Most memory this process has had, in MiB, where the system says so.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn three_hours_are_checked_in_little_memory_and_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (fits, too_much) = (folder.path().join("16.wav"), folder.path().join("48.wav"));
    silence(&fits, 16_000, 1);
    silence(&too_much, 48_000, 1);
    let before = peak_mib();
    assert_eq!(probe(&fits).unwrap().duration_s(), f64::from(THREE_HOURS_S));
    check_file(&fits, None, MIN_DURATION_S).unwrap();
    let last = Segment {
        start_s: f64::from(THREE_HOURS_S) - 2.0,
        end_s: f64::from(THREE_HOURS_S),
    };
    for path in [&fits, &too_much] {
        assert_eq!(load(path, 16_000, Some(last)).unwrap().samples.len(), 32_000);
    }
    // Beyond what is held in memory at once.
    for error in [
        load(&too_much, 16_000, None).unwrap_err(),
        check_file(&too_much, None, MIN_DURATION_S).unwrap_err(),
    ] {
        assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
        assert!(
            error.to_string().starts_with(&too_much.display().to_string()),
            "{error}"
        );
    }
    if let (Some(before), Some(after)) = (before, peak_mib()) {
        assert!(after - before < 16, "memory grew by {} MiB", after - before);
    }
}
