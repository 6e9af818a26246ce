//! What is heard of an item is what a run began with: noise and rooms by their content, features kept or not.

use std::fs::{self, FileTimes};
use std::path::Path;

use crate::origin::refused;
use crate::support::{Lab, Outcome, assert_same_run, json, kill, wav};

/// A recording of noise.
fn hiss(seed: u32) -> Vec<u8> {
    let mut state = seed;
    wav(
        16_000,
        (0..16_000).map(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as i16
        }),
    )
}

/// An impulse response: noise that dies away behind its first sample.
fn room(seed: u32) -> Vec<u8> {
    let mut state = seed;
    wav(
        16_000,
        (0..8000).map(move |at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let loud = f64::from((state >> 20) as i16) * (-f64::from(at) / 600.0).exp() * 4.0;
            if at == 0 { 30_000 } else { loud as i16 }
        }),
    )
}

/// Replaces a file and leaves it its time, as `rsync -t` and `touch -r` do.
fn replace(path: &Path, bytes: &[u8]) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn a_run_goes_on_with_the_noise_and_rooms_that_it_began_with() {
    let lab = Lab::new();
    for number in 0..3 {
        lab.write(&format!("noise/kinds/{number}.wav"), hiss(number));
        lab.write(&format!("rooms/{number}.wav"), room(10 + number));
    }
    lab.write(
        "noisy.yaml",
        "extends: crnn.yaml\naugmentations:\n  noise: { kind: background_noise, root: noise, p: 1.0 }\n  room: { kind: reverb, response: { folder: rooms }, p: 0.5 }\n",
    );
    let whole = lab.run(&["noisy.yaml", "--run-label", "whole"]);
    let run = lab.path("runs/tiny/cut");
    kill(lab.start_until(&["noisy.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 11));
    let files = json(run.join("run.json"))["files"].clone();
    assert_eq!(files.as_object().unwrap().len(), 2, "{files}");
    for (path, node, (own, other)) in [
        ("noise/kinds/1.wav", "noise", (hiss(1), hiss(77))),
        ("rooms/2.wav", "room", (room(12), room(77))),
    ] {
        // Long enough ago to be remembered.
        std::thread::sleep(std::time::Duration::from_millis(2100));
        lab.emorun(&["check", "noisy.yaml", "--deep"]);
        replace(&lab.path(path), &other);
        let then = files[node].as_str().unwrap();
        refused(
            &lab.emorun(&["resume", "runs/tiny/cut"]),
            5,
            &[&format!("files that `{node}` reads"), then],
        );
        lab.write(path, own);
    }
    // Another place is no other noise.
    fs::rename(lab.path("noise"), lab.path("elsewhere")).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut", "--set", "augmentations.noise.root=elsewhere"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&run, &whole);
    // Augmentations act one after the other.
    let resolved = fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let turned = crate::support::yaml(run.join("resolved.yaml"));
    let mut augmentations = serde_json::Map::new();
    for name in ["room", "noise"] {
        augmentations.insert(name.to_owned(), turned["augmentations"][name].clone());
    }
    let mut turned = turned;
    turned["augmentations"] = augmentations.into();
    fs::write(run.join("resolved.yaml"), emorun_lang::to_yaml(&turned)).unwrap();
    refused(
        &lab.emorun(&["resume", "runs/tiny/cut"]),
        5,
        &["augmentations (their order)"],
    );
    fs::write(run.join("resolved.yaml"), resolved).unwrap();
}

/// Runs a command where there is no folder for caches.
fn without_cache(lab: &Lab, arguments: &[&str]) -> Outcome {
    let mut command = lab.command(arguments);
    command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
    crate::support::finished(&command.output().unwrap())
}

#[test]
fn whether_features_are_kept_changes_no_bit() {
    let lab = Lab::new();
    for (label, experiment) in [
        (
            "clean",
            "augmentations: { gain: null, noise: null }\nencoders: { hubert: { train: none, cache: { views: null } } }\n",
        ),
        (
            "views",
            "encoders: { hubert: { train: { last: 1 }, cache: { views: 2 } } }\n",
        ),
    ] {
        let file = format!("{label}.yaml");
        lab.write(&file, format!("extends: hubert.yaml\n{experiment}"));
        let run = |name: &str| lab.path(format!("runs/tiny/{label}-{name}"));
        let start = |name: &str| [file.clone(), "--run-label".to_owned(), format!("{label}-{name}")];
        let of = |name: &str| start(name).map(|text| text.to_string());
        let whole = of("kept");
        let whole = lab.run(&whole.each_ref().map(String::as_str));
        let nowhere = of("nowhere");
        let outcome = without_cache(&lab, &nowhere.each_ref().map(String::as_str));
        refused(&outcome, 0, &["nothing is kept: there is no folder for caches"]);
        assert_same_run(&run("nowhere"), &whole);
        let off = of("off");
        let off = [
            &off.each_ref().map(String::as_str)[..],
            &["--set", "encoders.hubert.cache.enabled=false"],
        ]
        .concat();
        assert_same_run(&lab.run(&off), &whole);
        // Begun with a cache and gone on without, and the other way round.
        let cut = of("cut");
        kill(lab.start_until(
            &cut.each_ref().map(String::as_str),
            &run("cut").join("metrics.jsonl"),
            7,
        ));
        let resumed = run("cut").display().to_string();
        assert_eq!(without_cache(&lab, &["resume", &resumed]).code, 0);
        assert_same_run(&run("cut"), &whole);
    }
}

#[test]
fn encoders_that_ask_for_different_views_are_refused() {
    let lab = Lab::new();
    let two = |first: &str, second: &str| {
        format!(
            "extends: hubert.yaml
encoders:
  hubert: {{ train: none, cache: {first} }}
  second: {{ kind: wavlm, input: data.audio, weights: random, layout: tiny_base, train: none, cache: {second} }}
heads: {{ again: {{ kind: mean_classifier, input: second, target: data.emotion, hidden: 4 }} }}
losses: {{ again_ce: {{ kind: cross_entropy, input: again }} }}
"
        )
    };
    for (first, second, message) in [
        (
            "{ views: 2 }",
            "{ views: 3 }",
            "`second` asks for 3 versions of each training item, `hubert` for 2 versions",
        ),
        (
            "{ views: 2 }",
            "{}",
            "`second` would hear each training item augmented anew in every epoch, `hubert` for 2",
        ),
    ] {
        lab.write("two.yaml", two(first, second));
        for more in [&[][..], &["--structure"]] {
            refused(
                &lab.emorun(&[&["check", "two.yaml"], more].concat()),
                3,
                &[message, "give both the same"],
            );
        }
    }
    for (first, second) in [
        ("{ views: 2 }", "{ views: 2, enabled: false }"),
        ("{ views: null }", "{}"),
    ] {
        lab.write("two.yaml", two(first, second));
        let outcome = lab.emorun(&["check", "two.yaml"]);
        assert_eq!(outcome.code, 0, "{first} {second}: {}", outcome.stderr);
    }
}
