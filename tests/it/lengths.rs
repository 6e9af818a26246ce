//! Recordings that are too short for a network, or too long for the machine.

use std::fs;
use std::process::Command;

use crate::support::{Lab, Outcome, finished, json, wav};

/// Two speakers a side with clips of half a second, and one of them with a clip of `short_s`.
fn clips(lab: &Lab, rate_hz: u32, short_s: f64) {
    let mut table = "path,speaker,emotion\n".to_owned();
    for speaker in 0..6 {
        for (emotion, pitch_hz) in [("angry", 1500.0), ("neutral", 500.0)] {
            for take in 0..2 {
                let is_short = (speaker, emotion, take) == (3, "angry", 1);
                let seconds = if is_short { short_s } else { 0.5 };
                let name = if is_short {
                    "short.wav".to_owned()
                } else {
                    format!("{speaker}-{emotion}-{take}.wav")
                };
                let pitch_hz = pitch_hz * (1.0 + 0.01 * f64::from(2 * speaker + take));
                let sample = |at: u32| {
                    let phase = f64::from(at) / f64::from(rate_hz) * pitch_hz * std::f64::consts::TAU;
                    (8000.0 * phase.sin()) as i16
                };
                let samples = (seconds * f64::from(rate_hz)).round() as u32;
                lab.write(&format!("clips/{name}"), wav(rate_hz, (0..samples).map(sample)));
                table.push_str(&format!("{name},{speaker},{emotion}\n"));
            }
        }
    }
    lab.write("clips/all.csv", table);
}

const CLIPS: &str =
    "extends: crnn.yaml\ndatasets: { synthetic: null, clips: { kind: manifest, path: clips/all.csv } }\n";

/// Without padding a frame needs `n_fft` samples, as with torchaudio: 512 at 8 kHz are 64 ms.
#[test]
fn a_clip_of_which_the_front_end_gives_no_frame_is_found_before_training() {
    let lab = Lab::new();
    clips(&lab, 8000, 0.056);
    lab.write("clips.yaml", CLIPS);
    let uncentred = [
        "--set",
        "encoders.mel.center=false",
        "--set",
        "encoders.mel.n_fft=512",
        "--set",
        "encoders.mel.win_length=400",
    ];
    for command in [
        &["check", "--deep", "clips.yaml"][..],
        &["clips.yaml", "--run-label", "one"],
    ] {
        let outcome = lab.emorun(&[command, &uncentred].concat());
        assert_eq!(outcome.code, 4, "{}", outcome.stderr);
        for part in [
            "1 item(s) are too short for the network: ",
            "short.wav (0.0560 s)",
            "`mel` needs 0.0640 s (512 samples at 8000 Hz)",
        ] {
            assert!(outcome.stderr.contains(part), "no `{part}` in {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    }
    assert!(!lab.path("runs/tiny/one").exists());
    // One sample less of the window, and the clip is long enough.
    clips(&lab, 8000, 0.064);
    let outcome = lab.emorun(
        &[
            &[
                "clips.yaml",
                "--set",
                "training.batch_size=1",
                "--set",
                "training.epochs=1",
            ],
            &uncentred[..],
        ]
        .concat(),
    );
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

/// A frame without padding needs 400 samples here, as with torchaudio: at 16 kHz 25 ms.
#[test]
fn augmentation_that_leaves_too_little_is_found_before_training() {
    let lab = Lab::new();
    clips(&lab, 16_000, 0.06);
    lab.write(
        "clips.yaml",
        format!(
            "{CLIPS}sample_rate_hz: 16000\nencoders: {{ mel: {{ n_fft: 400, win_length: 400, center: false }} }}\naugmentations:\n  crop: {{ kind: random_crop, seconds: [0.02, 0.3] }}\n"
        ),
    );
    let check = |sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", *set]);
        lab.emorun(
            &["check", "--deep", "clips.yaml"]
                .into_iter()
                .chain(sets)
                .collect::<Vec<_>>(),
        )
    };
    let refused = check(&[]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    for part in [
        "`crop` can make training items too short for the network",
        "down to 0.0200 s (320 samples at 16000 Hz); `mel` needs 0.0250 s (400 samples at 16000 Hz)",
    ] {
        assert!(refused.stderr.contains(part), "no `{part}` in {}", refused.stderr);
    }
    let enough = check(&["augmentations.crop.seconds=[0.025, 0.3]"]);
    assert_eq!(enough.code, 0, "{}", enough.stderr);
    // Twice as fast, 60 ms are 30; by half again, 20.
    let fast = "augmentations.crop={ kind: speed_perturb, speeds: [200] }";
    let faster = "augmentations.faster={ kind: speed_perturb, speeds: [150], p: 0.1 }";
    assert_eq!(check(&[fast]).code, 0);
    let refused = check(&[fast, faster]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("`faster` can make"), "{}", refused.stderr);
}

#[test]
fn a_recording_that_is_too_short_is_not_embedded() {
    let lab = Lab::new();
    lab.write("short.wav", wav(8000, (0..448).map(|at| (at * 37 % 1000) as i16)));
    let arguments = [
        "embed",
        "crnn.yaml",
        "short.wav",
        "--node",
        "mel",
        "--out",
        "x.safetensors",
    ];
    let uncentred = [
        "--set",
        "encoders.mel.center=false",
        "--set",
        "encoders.mel.n_fft=512",
        "--set",
        "encoders.mel.win_length=400",
    ];
    let outcome = lab.emorun(&[&arguments[..], &uncentred].concat());
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("short.wav is too short (0.0560 s): `mel` needs 0.0640 s"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_estimate_of_memory_knows_what_augmentation_lengthens() {
    let lab = Lab::new();
    clips(&lab, 8000, 0.5);
    lab.write("clips.yaml", CLIPS);
    let peak = |sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", *set]);
        // So that what is kept of items and weights is little beside what a step holds.
        let large = [
            "check",
            "clips.yaml",
            "--format",
            "json",
            "--set",
            "encoders.crnn.channels=[256]",
            "--set",
            "training.batch_size=16",
        ];
        let outcome = lab.emorun(&large.into_iter().chain(sets).collect::<Vec<_>>());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(
            plan["plan"]["longest_training_item"]
                .as_str()
                .unwrap()
                .ends_with("(0.5 s)")
        );
        plan["plan"]["peak_memory_bytes"].as_f64().unwrap()
    };
    let alone = ["evaluation.batch_size=1"];
    let plain = peak(&alone);
    let base = peak(&[alone[0], "augmentations.x={ kind: random_crop, seconds: [0.05, 0.05] }"]);
    for slow in [
        "augmentations.x={ kind: pad_or_trim, seconds: 1.0 }",
        "augmentations.x={ kind: time_stretch, rate: [0.5, 1.0], p: 0.1 }",
        "augmentations.x={ kind: speed_perturb, speeds: [50, 100] }",
    ] {
        let slowed = peak(&[alone[0], slow]);
        // Twice as long: a tenth of that is the 0.05 s of the base.
        let ratio = (slowed - base) / (plain - base);
        assert!((ratio - 0.95 / 0.45).abs() < 0.1, "{slow}: {ratio}");
    }
}

/// Runs the small transformer on clips of which one is so long, with a limit on addresses that stands in for a machine
/// with little memory.
fn with_little_memory(long_s: f64, limit_mib: u64) -> (Lab, Outcome) {
    let lab = Lab::new();
    clips(&lab, 8000, long_s);
    lab.write(
        "long.yaml",
        "extends: transformer.yaml\ndatasets: { synthetic: null, clips: { kind: manifest, path: clips/all.csv } }\nencoders: { transformer: { input: masked, stack: 1 } }\nblocks: { noisy: null, dropped: null, cropped: null, mixed: null }\nlosses: { ce: { target: null } }\ntraining: { batching: random, epochs: 1 }\n",
    );
    let script = format!(
        "ulimit -v {}; exec '{}' long.yaml --run-label little",
        limit_mib * 1024,
        env!("CARGO_BIN_EXE_emorun")
    );
    let output = lab.program("sh").args(["-c", &script]).output().unwrap();
    (lab, finished(&output))
}

/// Attention over every 20 ms of a quarter of an hour: 45 000² weights for each head.
#[test]
fn a_recording_that_no_batch_can_hold_is_refused_by_name() {
    let (lab, outcome) = with_little_memory(900.0, 3000);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("error: a training step on ")
            && outcome.stderr.contains("short.wav (900.0 s) alone needs about "),
        "{}",
        outcome.stderr
    );
    assert!(!lab.path("runs/tiny").exists());
    let plan = lab.emorun(&["check", "long.yaml"]);
    assert!(plan.stdout.contains("short.wav (900.0 s)"), "{}", plan.stdout);
}

/// A recording that only evaluation meets is what it needs memory for.
#[test]
fn a_recording_that_only_evaluation_hears_is_named_with_its_side() {
    let lab = Lab::new();
    clips(&lab, 8000, 900.0);
    let split = "split: { kind: fixed, validation: ['2'], test: ['3'], rest: train }";
    lab.write(
        "long.yaml",
        format!("extends: transformer.yaml\ndatasets: {{ synthetic: null, clips: {{ kind: manifest, path: clips/all.csv }} }}\nencoders: {{ transformer: {{ input: masked, stack: 1 }} }}\nblocks: {{ noisy: null, dropped: null, cropped: null, mixed: null }}\nlosses: {{ ce: {{ target: null }} }}\ntraining: {{ batching: random, epochs: 1 }}\n{split}\n"),
    );
    let plan = lab.emorun(&["check", "long.yaml"]);
    let remark = plan.stdout.lines().find(|line| line.contains("of memory are needed"));
    let remark = remark.unwrap_or_else(|| panic!("{}{}", plan.stdout, plan.stderr));
    assert!(
        remark.contains("the longest of evaluation is ") && remark.contains("short.wav (900.0 s, on the test side)"),
        "{remark}"
    );
}

#[test]
fn memory_that_ends_is_told_with_the_recording_and_leaves_a_record() {
    let (lab, outcome) = with_little_memory(60.0, 1000);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    // Told before: an item alone would fit, a batch of four does not.
    assert!(
        outcome.stderr.contains("of memory are needed and"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("error: out of memory: "), "{}", outcome.stderr);
    let record = json(lab.path("runs/tiny/little/run.json"));
    assert_eq!((&record["status"], &record["exit_code"]), (&"failed".into(), &4.into()));
    let error = record["error"].as_str().unwrap();
    assert!(error.contains("short.wav (60.0 s)"), "{error}");
    // Nothing is in the way of going on where there is more of it.
    let resumed = lab.emorun(&["resume", "runs/tiny/little"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
}

/// A clock before 1970, as boards without a battery have it: a library in front of the system's stands in for one.
#[test]
#[cfg(target_os = "linux")]
fn a_clock_before_1970_ends_no_run() {
    const CLOCK: &str = "\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\");
    int outcome = real(id, time);
    if (id == CLOCK_REALTIME) time->tv_sec -= 3000000000L;
    return outcome;
}
";
    let lab = Lab::new();
    lab.write("clock.c", CLOCK);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"])
        .current_dir(lab.path(""))
        .status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler here");
        return;
    }
    let arguments = ["crnn.yaml", "--set", "training.epochs=1"];
    let output = lab
        .command(&arguments)
        .env("LD_PRELOAD", lab.path("clock.so"))
        .output()
        .unwrap();
    let outcome = finished(&output);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let run = lab.path(outcome.last_line());
    let started = json(run.join("run.json"))["started"].as_str().unwrap().to_owned();
    assert!(started.as_str() < "1970", "{started}");
    assert!(fs::metadata(run.join("summary.json")).is_ok());
}
