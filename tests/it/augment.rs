//! Augmentation in the whole program: groups, draws, and what `emorun data listen` writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use emorun_audio::load;
use emorun_engine::feed::augment::Version;
use emorun_engine::feed::host::HostPipeline;
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare_with};
use emorun_nn::host::HostValue;
use emorun_runs::run::listen::{Heard, Request, listen};

use crate::support::{Lab, json};

/// Everything at once.
const HEARD: &str = "\
extends: hubert.yaml
augmentations:
  gain: null
  noise: null
  pitch: { kind: pitch_shift, p: 0.7 }
  tempo: { kind: time_stretch, p: 0.7 }
  channel: { kind: some_of, of: [room, line, hole], count: [1, 2] }
  room: { kind: reverb, response: { shoebox: { rt60_s: [0.2, 0.3] } }, p: 0.8 }
  line: { kind: sequence, of: [telephone, coded] }
  telephone: { kind: band_pass, p: 1.0 }
  coded: { kind: codec, p: 1.0 }
  hole: { kind: time_mask, p: 1.0 }
encoders: { hubert: { train: none, cache: { enabled: false, views: null } } }
training: { epochs: 2 }
";

/// Groups of gains, which show in the samples what was applied.
const GROUPS: &str = "\
extends: hubert.yaml
augmentations:
  gain: null
  noise: null
  level: { kind: one_of, of: [up, down] }
  up: { kind: gain, gain_db: [20, 20], p: 1.0 }
  down: { kind: gain, gain_db: [-20, -20], p: 1.0 }
";

fn prepared(lab: &Lab, name: &str, text: &str) -> Prepared {
    lab.write(name, text);
    let source = Source {
        path: lab.path(name),
        sets: Vec::new(),
        offline: true,
    };
    let mut heard = String::new();
    prepare_with(&source, Depth::Metadata, None, &mut |report, sources| {
        heard.push_str(&report.render(sources, false));
    })
    .unwrap_or_else(|failure| panic!("{failure}\n{heard}"))
}

/// By how many dB each item is changed in each of the first epochs, rounded.
fn changes_db(prepared: &Prepared, epochs: u64) -> Vec<i32> {
    let augmentations = prepared.build_augmentations().unwrap();
    let mut changes = Vec::new();
    for item in prepared.corpus.items.to_vec().unwrap() {
        let wave = item.load_audio(16_000).unwrap();
        let power = |wave: &[f32]| wave.iter().map(|x| f64::from(x * x)).sum::<f64>();
        for epoch in 0..epochs {
            let version = augmentations.version(7, epoch);
            let changed = augmentations.apply(wave.clone(), 16_000, &item, &version).unwrap();
            changes.push((10.0 * (power(&changed) / power(&wave)).log10()).round() as i32);
        }
    }
    changes
}

#[test]
fn listening_hears_what_the_model_hears() {
    let lab = Lab::new();
    let prepared = prepared(&lab, "heard.yaml", HEARD);
    let out = lab.path("out/deep");
    let request = Request {
        sample: 3,
        views: 3,
        out: &out,
    };
    let heard = listen(&prepared, &request).unwrap();
    assert_eq!(heard.len(), 3 * 4);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2 * heard.len());
    let pipeline = HostPipeline::new(16_000, prepared.host_parts(7, "cpu").unwrap(), 0);
    let mut different = BTreeSet::new();
    for Heard { item, epoch, path, .. } in &heard {
        let version = match epoch {
            None => Version::Plain,
            Some(epoch) => pipeline.parts.augmentations.version(7, epoch - 1),
        };
        let mut items = prepared.corpus.items.to_vec().unwrap().into_iter();
        let found = items.find(|found| found.key == *item).unwrap();
        let values = pipeline.values(&found, &version).unwrap();
        let Some(HostValue::Wave(fed)) = &values.wanted[0] else {
            panic!("hubert takes a waveform");
        };
        assert_eq!(load(path, 16_000, None).unwrap().samples, *fed, "{}", path.display());
        let image = fs::read(path.with_extension("png")).unwrap();
        assert!(image.starts_with(b"\x89PNG"), "{}", path.display());
        different.insert(fed.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    }
    assert_eq!(different.len(), heard.len());
}

#[test]
fn what_listening_says_was_drawn_was_done() {
    let lab = Lab::new();
    let prepared = prepared(&lab, "drawn.yaml", GROUPS);
    let out = lab.path("out");
    let request = Request {
        sample: 3,
        views: 4,
        out: &out,
    };
    let power = |path: &Path| -> f64 {
        let samples = load(path, 16_000, None).unwrap().samples;
        samples.iter().map(|x| f64::from(x * x)).sum()
    };
    let (mut original, mut signs) = (0.0, BTreeSet::new());
    for Heard { epoch, path, drawn, .. } in listen(&prepared, &request).unwrap() {
        if epoch.is_none() {
            original = power(&path);
            assert!(drawn.is_empty());
            continue;
        }
        let [only] = drawn.as_slice() else { panic!("{drawn:?}") };
        let said: f64 = only.note.strip_suffix(" dB").unwrap().parse().unwrap();
        let done = 10.0 * (power(&path) / original).log10();
        assert!((said - done).abs() < 0.01, "{only:?}, but {done} dB");
        assert_eq!(only.node, if said > 0.0 { "up" } else { "down" });
        signs.insert(said > 0.0);
    }
    assert_eq!(signs.len(), 2, "both are drawn");
}

#[test]
fn the_command_lists_what_it_wrote_and_overwrites_nothing() {
    let lab = Lab::new();
    lab.write("heard.yaml", HEARD);
    let arguments = [
        "data",
        "listen",
        "heard.yaml",
        "--sample",
        "2",
        "--views",
        "2",
        "--out",
        "out",
    ];
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.last_line(), "out");
    // Two originals and four views in the table, and what was drawn for each view.
    assert_eq!(outcome.stdout.matches(".wav").count(), 6 + 4, "{}", outcome.stdout);
    let (_, drawn) = outcome.stdout.split_once("what was drawn:").unwrap();
    assert_eq!(drawn.matches(".epoch-2.wav: ").count(), 2, "{}", outcome.stdout);
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
}

#[test]
fn groups_apply_one_some_or_all_of_what_they_hold() {
    let lab = Lab::new();
    let one = changes_db(&prepared(&lab, "one.yaml", GROUPS), 4);
    let ups = one.iter().filter(|&&db| db == 20).count();
    let downs = one.iter().filter(|&&db| db == -20).count();
    assert_eq!(ups + downs, one.len());
    assert!(ups > one.len() / 4 && downs > one.len() / 4, "{ups} and {downs}");

    let third = format!("{GROUPS}  more: {{ kind: gain, gain_db: [3, 3], p: 1.0 }}\n");
    let some = third.replace("one_of, of: [up, down]", "some_of, of: [up, down, more], count: [0, 2]");
    let found: BTreeSet<i32> = changes_db(&prepared(&lab, "some.yaml", &some), 4).into_iter().collect();
    assert_eq!(found, BTreeSet::from([-20, -17, 0, 3, 20, 23]));

    let all = third.replace("one_of, of: [up, down]", "sequence, of: [up, more], p: 0.5");
    let found = changes_db(&prepared(&lab, "all.yaml", &all), 4);
    // `down`, which nothing holds, is applied to all.
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([-20, 3]));
    let whole = found.iter().filter(|&&db| db == 3).count();
    assert!(
        whole > found.len() / 4 && whole < found.len() * 3 / 4,
        "{whole} of {}",
        found.len()
    );
}

#[test]
fn other_nodes_change_no_draw() {
    let lab = Lab::new();
    let alone = changes_db(&prepared(&lab, "one.yaml", GROUPS), 4);
    let more = GROUPS.replace("  level:", "  flip: { kind: polarity }\n  level:");
    assert_eq!(changes_db(&prepared(&lab, "more.yaml", &more), 4), alone);
    let later = format!("{GROUPS}  hole: {{ kind: time_mask, mask_fraction: [0, 0], p: 1.0 }}\n");
    assert_eq!(changes_db(&prepared(&lab, "later.yaml", &later), 4), alone);
    // Held in another node, a node draws as before.
    let deeper = GROUPS.replace("  level:", "  whole: { kind: sequence, of: [level] }\n  level:");
    assert_eq!(changes_db(&prepared(&lab, "deeper.yaml", &deeper), 4), alone);
}

#[test]
fn what_does_not_fit_is_named_at_its_field() {
    let lab = Lab::new();
    let level = "level: { kind: one_of, of: [up, down] }";
    let cases = [
        (
            "level: { kind: some_of, count: [2, 3], of: [up, down] }",
            "`level.count` is [2, 3]",
        ),
        (
            "level: { kind: one_of, of: [up, down, hubert] }",
            "`hubert` in `encoders` is no augmentation",
        ),
        ("level: { kind: one_of, of: [] }", "`augmentations.level.of`"),
        (
            "level: { kind: one_of, of: [up, down] }\n  line: { kind: band_pass, band: { between: { low_hz: [100, 200], high_hz: [7900, 7900] } } }",
            "band.between.high_hz is [7900, 7900]; give a range within 10 to 7840 Hz",
        ),
    ];
    for (written, expected) in cases {
        lab.write("wrong.yaml", GROUPS.replace(level, written));
        let outcome = lab.emorun(&["check", "wrong.yaml"]);
        assert_eq!(outcome.code, 3, "{written}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{written}: {}", outcome.stderr);
    }
}

#[test]
fn spec_augment_masks_what_an_encoder_gives() {
    let lab = Lab::new();
    lab.write(
        "masked.yaml",
        "\
extends: hubert.yaml
encoders: { hubert: { train: none } }
blocks: { masked: { kind: spec_augment, input: hubert, features_mask_size: 8, frames_mask_size: 20, max_frames_mask_fraction: 0.2 } }
heads: { emotion: { input: masked } }
training: { epochs: 1 }
",
    );
    let run = lab.run(&["masked.yaml", "--run-label", "masked"]);
    assert_eq!(json(run.join("summary.json"))["status"], "completed");
}

/// A WAV file with 16 bits at 16 kHz.
fn wav(samples: &[f32]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(16_000_u32.to_le_bytes());
    file.extend(32_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()));
    file
}

#[test]
fn recordings_that_are_of_no_use_are_named_before_a_run() {
    let lab = Lab::new();
    let noise: Vec<f32> = (0..16_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 8) as f32 / f32::from(u16::MAX) / 256.0 - 0.5)
        .collect();
    let mut samples = noise.clone();
    samples[3] = f32::NAN;
    let mut nan = wav(&noise);
    nan[20] = 3;
    nan[32..36].copy_from_slice(b"\x04\0\x20\0");
    nan.truncate(44);
    nan.extend(samples.iter().flat_map(|x| x.to_le_bytes()));
    let bytes = (nan.len() as u32 - 44).to_le_bytes();
    nan[40..44].copy_from_slice(&bytes);
    // A FLAC file that breaks off: its header is whole.
    let flac = lab.path("whole.flac");
    let clip = emorun_audio::Clip {
        samples: noise.clone(),
        rate_hz: 16_000,
    };
    emorun_audio::write_flac(&flac, &clip).unwrap();
    let flac = fs::read(flac).unwrap();
    lab.write("noise/a.wav", wav(&noise));
    lab.write("noise/silent.wav", wav(&[0.0; 16_000]));
    lab.write("noise/nan.wav", nan);
    lab.write("noise/tiny.wav", wav(&noise[..5]));
    lab.write("noise/cut.flac", &flac[..flac.len() / 2]);
    lab.write("rooms/a.wav", wav(&noise));
    lab.write(
        "noisy.yaml",
        "\
extends: hubert.yaml
augmentations:
  gain: null
  noise: { kind: background_noise, root: noise, p: 1.0 }
  level: { kind: one_of, of: [room] }
  room: { kind: reverb, response: { folder: rooms }, p: 1.0 }
",
    );
    // The headers are whole.
    let outcome = lab.emorun(&["check", "noisy.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let outcome = lab.emorun(&["check", "--deep", "noisy.yaml"]);
    assert_ne!(outcome.code, 0);
    let heard = format!("{}{}", outcome.stdout, outcome.stderr);
    for expected in [
        "noise/silent.wav: is silent",
        "noise/nan.wav: sample 3 is NaN",
        "noise/tiny.wav: lasts 0.000 s, less than 0.05 s",
        "noise/cut.flac: is truncated",
        "rooms/a.wav: is no impulse response",
    ] {
        assert!(heard.contains(expected), "{expected}: {heard}");
    }
    assert!(!heard.contains("noise/a.wav"), "{heard}");
    let outcome = lab.emorun(&["run", "noisy.yaml"]);
    assert_ne!(outcome.code, 0);
    assert!(!lab.path("runs").exists(), "nothing was begun");
    for name in ["silent.wav", "nan.wav", "tiny.wav", "cut.flac"] {
        fs::remove_file(lab.path("noise").join(name)).unwrap();
    }
    let fall = noise.iter().enumerate();
    let room: Vec<f32> = fall.map(|(at, x)| x * 0.999_f32.powi(at as i32)).collect();
    lab.write("rooms/a.wav", wav(&room));
    let outcome = lab.emorun(&["check", "--deep", "noisy.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
