//! What may be different when a run goes on, and what may not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json as value};

use crate::support::{Lab, assert_same_run, files, json, kill, metrics, yaml};

/// A run of the small experiment, killed in its second epoch.
fn killed(lab: &Lab, label: &str, more: &[&str]) -> PathBuf {
    let run = lab.path(format!("runs/tiny/{label}"));
    let arguments = [&["crnn.yaml", "--run-label", label], more].concat();
    kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), 11));
    run
}

fn resume(lab: &Lab, label: &str, more: &[&str]) -> crate::support::Outcome {
    let run = format!("runs/tiny/{label}");
    lab.emorun(&[&["resume", run.as_str()], more].concat())
}

/// Changes a JSON file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut object = json(path);
    change(&mut object);
    fs::write(path, object.to_string()).unwrap();
}

#[test]
fn what_would_make_it_another_experiment_is_refused_and_named() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = killed(&lab, "cut", &[]);
    let resolved = fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let changed = resolved
        .replace("gru_hidden: 4", "gru_hidden: 5")
        .replace("lr: 0.002", "lr: 0.003")
        .replace("workers: 2", "workers: 1");
    assert_ne!(changed, resolved);
    fs::write(run.join("resolved.yaml"), changed).unwrap();
    let refused = resume(&lab, "cut", &[]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    for part in [
        "runs/tiny/cut",
        "encoders.crnn.gru_hidden: 4, now 5",
        "training.optimizer.lr: 0.002, now 0.003",
        "training.epochs",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("workers: 2"), "safe: {}", refused.stderr);
    fs::write(run.join("resolved.yaml"), resolved).unwrap();
    for set in [
        "seed=8",
        "training.epochs=2",
        "losses.ce.label_smoothing=0.1",
        "blocks.norm=null",
    ] {
        let refused = resume(&lab, "cut", &["--set", set]);
        assert!([3, 5].contains(&refused.code), "{set}: {}", refused.stderr);
    }
    assert_eq!(json(run.join("run.json"))["changes"], value!([]));
    assert_eq!(resume(&lab, "cut", &["--set", "training.loader.workers=1"]).code, 0);
    assert_same_run(&run, &whole);
    let changes = json(run.join("run.json"))["changes"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 1, "{changes}");
    assert_eq!(
        (&changes[0]["key"], &changes[0]["from"], &changes[0]["to"]),
        (&value!("training.loader.workers"), &value!(2), &value!(1))
    );
    assert_eq!(
        yaml(run.join("resolved.yaml"))["training"]["loader"]["workers"],
        value!(1)
    );
}

#[test]
fn a_run_goes_on_for_more_epochs_as_if_they_had_been_asked_for_at_first() {
    let lab = Lab::new();
    let constant = ["--set", "training.scheduler={ kind: constant }"];
    let run = |label: &str, epochs: &str, more: &[&str]| {
        let own = ["crnn.yaml", "--run-label", label, "--set", epochs];
        lab.run(&[&own[..], &constant, more].concat())
    };
    let longer = run("longer", "training.epochs=5", &[]);
    let completed = run("completed", "training.epochs=3", &[]);
    let cut = killed(&lab, "cut", &constant);
    for label in ["completed", "cut"] {
        let outcome = resume(&lab, label, &["--set", "training.epochs=5"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    assert_same_run(&completed, &longer);
    assert_same_run(&cut, &longer);
    assert!(
        resume(&lab, "cut", &[]).stdout.contains("emotion confusion"),
        "is completed"
    );
    // Folds and seeds are all trained on.
    let seeds = ["--set", "training.seeds=[1, 2]"];
    let longer = run("longer-seeds", "training.epochs=3", &seeds);
    let several = run("seeds", "training.epochs=2", &seeds);
    let outcome = resume(&lab, "seeds", &["--set", "training.epochs=3"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for member in ["seed-1", "seed-2"] {
        assert_same_run(&several.join(member), &longer.join(member));
    }
    let mean = |run: &Path| json(run.join("summary.json"))["mean"].clone();
    assert_eq!(mean(&several), mean(&longer));
    // A schedule over the whole run becomes another one, which is said.
    lab.run(&["crnn.yaml", "--run-label", "cycle", "--set", "training.epochs=1"]);
    let cycle = resume(&lab, "cycle", &["--set", "training.epochs=2"]);
    assert_eq!(cycle.code, 0, "{}", cycle.stderr);
    assert!(
        cycle.stderr.contains("the longer schedule from here"),
        "{}",
        cycle.stderr
    );
}

#[test]
fn another_version_or_device_is_warned_of_and_noted() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = killed(&lab, "cut", &[]);
    edit(&run.join("run.json"), |record| {
        record["versions"]["emorun"] = value!("0.0.1");
        record["device"] = value!("cuda:1 (asked for)");
    });
    let outcome = resume(&lab, "cut", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in ["emorun 0.0.1 and goes on with", "device cuda:1 and goes on with cpu"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert_same_run(&run, &whole);
    let record = json(run.join("run.json"));
    let keys: Vec<&Value> = record["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["key"])
        .collect();
    assert_eq!(keys, ["emorun", "device"]);
    assert_eq!(record["versions"]["emorun"], env!("CARGO_PKG_VERSION"));
    // A run of a version that did not store all of this yet.
    let old = killed(&lab, "old", &[]);
    edit(&old.join("run.json"), |record| {
        for key in ["id", "resolved", "changes", "unlogged"] {
            record.as_object_mut().unwrap().remove(key).unwrap();
        }
    });
    let outcome = resume(&lab, "old", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&old, &whole);
}

/// A corpus of tones in files, below `folder`.
fn write_tones(lab: &Lab, folder: &str, first: &str) {
    let mut table = "path,speaker,emotion\n".to_owned();
    for (number, speaker) in ["anna", "ben", "carl", "dora", "emil", "fritz"].iter().enumerate() {
        for (emotion, pitch) in [("angry", 0.1), ("neutral", 0.13)] {
            let name = format!("{speaker}-{emotion}.wav");
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut bytes = std::io::Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
            for at in 0..4000 {
                let phase = f64::from(at) * pitch * (1.0 + number as f64 * 0.17);
                writer.write_sample((8000.0 * phase.sin()) as i16).unwrap();
            }
            writer.finalize().unwrap();
            lab.write(&format!("{folder}/{name}"), bytes.into_inner());
            let emotion = if number == 0 && emotion == "angry" {
                first
            } else {
                emotion
            };
            table.push_str(&format!("{name},{speaker},{emotion}\n"));
        }
    }
    lab.write(&format!("{folder}/all.csv"), table);
}

#[test]
fn a_corpus_may_move_but_not_be_missing_or_another() {
    let lab = Lab::new();
    write_tones(&lab, "corpus", "angry");
    let speech =
        "extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: { kind: manifest, path: corpus/all.csv }\n";
    lab.write("speech.yaml", speech);
    let more = ["--set", "training.epochs=6"];
    let whole = lab.run(&[&["speech.yaml", "--run-label", "whole"][..], &more].concat());
    let run = lab.path("runs/tiny/cut");
    let arguments = [&["speech.yaml", "--run-label", "cut"][..], &more].concat();
    kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), 6));
    fs::rename(lab.path("corpus"), lab.path("moved")).unwrap();
    let missing = resume(&lab, "cut", &[]);
    assert_eq!(missing.code, 4, "{}", missing.stderr);
    assert!(
        missing.stderr.contains("corpus/all.csv") && missing.stderr.contains("--set datasets.NAME."),
        "{}",
        missing.stderr
    );
    write_tones(&lab, "other", "neutral");
    let other = resume(&lab, "cut", &["--set", "datasets.speech.path=other/all.csv"]);
    assert_eq!(other.code, 5, "{}", other.stderr);
    assert!(
        other.stderr.contains("their labels or their split have changed"),
        "{}",
        other.stderr
    );
    let outcome = resume(&lab, "cut", &["--set", "datasets.speech.path=moved/all.csv"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // Reports name the files, and with them where they lie.
    assert_eq!(metrics(&run), metrics(&whole));
    let weights = |run: &Path| {
        let newest = files(&run.join("checkpoints")).pop().unwrap();
        fs::read(run.join("checkpoints").join(newest).join("weights.safetensors")).unwrap()
    };
    assert!(weights(&run) == weights(&whole));
}

#[test]
fn a_run_directory_may_be_moved() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = killed(&lab, "cut", &[]);
    fs::create_dir_all(lab.path("elsewhere/of mine")).unwrap();
    let moved = lab.path("elsewhere/of mine/moved");
    fs::rename(run, &moved).unwrap();
    let outcome = lab.emorun(&["resume", "elsewhere/of mine/moved"]);
    assert_eq!(
        (outcome.code, outcome.last_line()),
        (0, "elsewhere/of mine/moved"),
        "{}",
        outcome.stderr
    );
    assert_same_run(&moved, &whole);
}

#[test]
fn a_clock_that_jumps_back_changes_nothing() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = killed(&lab, "cut", &[]);
    // As if the run had been started in the year 2101.
    let events = files(&run).into_iter().find(|name| name.contains("tfevents")).unwrap();
    let (rest, second) = (events.splitn(5, '.').nth(4).unwrap(), 4_133_980_800_u64);
    let future = run.join(format!("events.out.tfevents.{second}.{rest}"));
    fs::rename(run.join(&events), &future).unwrap();
    edit(&run.join("run.json"), |record| {
        record["started"] = value!("2101-01-01T00:00:00Z")
    });
    let state = files(&run.join("checkpoints")).pop().unwrap();
    let ahead = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second));
    let path = run.join("checkpoints").join(state).join("state.json");
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_times(ahead)
        .unwrap();
    let outcome = resume(&lab, "cut", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&run, &whole);
    let events: Vec<String> = files(&run)
        .into_iter()
        .filter(|name| name.contains("tfevents"))
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(run.join(&events[0]), future, "what is newer sorts behind");
    let differences = emorun_runs::verify::compare(&whole, &run, &mut std::collections::BTreeMap::new()).unwrap();
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn checkpoints_of_another_experiment_are_not_used() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let other = lab.run(&["crnn.yaml", "--run-label", "other", "--set", "seed=8"]);
    let run = killed(&lab, "cut", &[]);
    let number = |name: &String| name.strip_prefix("step-").unwrap().parse::<u64>().unwrap();
    let strange = files(&other.join("checkpoints"))
        .into_iter()
        .max_by_key(number)
        .unwrap();
    let place = run.join("checkpoints").join(&strange);
    fs::create_dir_all(&place).unwrap();
    for file in files(&other.join("checkpoints").join(&strange)) {
        fs::copy(other.join("checkpoints").join(&strange).join(&file), place.join(&file)).unwrap();
    }
    let outcome = resume(&lab, "cut", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let warning = outcome.stderr.lines().find(|line| line.contains("checkpoint not used"));
    let warning = warning.unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert!(
        warning.contains(&strange) && warning.contains("another run"),
        "{warning}"
    );
    assert_same_run(&run, &whole);
    // Where it is the only one, nothing is trained on it.
    let run = killed(&lab, "only", &[]);
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    fs::create_dir_all(run.join("checkpoints")).unwrap();
    fs::rename(place_of(&other, &strange), run.join("checkpoints").join(&strange)).unwrap();
    let outcome = resume(&lab, "only", &[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("another run"), "{}", outcome.stderr);
}

fn place_of(run: &Path, checkpoint: &str) -> PathBuf {
    run.join("checkpoints").join(checkpoint)
}

#[test]
fn lines_of_metrics_that_a_power_cut_took_are_missed_and_no_more() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = killed(&lab, "cut", &[]);
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Two whole lines and a half.
    let kept = lines[..2].iter().map(|line| line.len() + 1).sum::<usize>();
    fs::write(&path, &text[..kept + lines[2].len() / 2]).unwrap();
    let outcome = resume(&lab, "cut", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("the last lines are missing"),
        "{}",
        outcome.stderr
    );
    let (found, expected) = (metrics(&run), metrics(&whole));
    assert_eq!(found[..2], expected[..2]);
    assert!(found.len() < expected.len());
    assert_eq!(found[2..], expected[expected.len() + 2 - found.len()..]);
}

/// A limit on the size of one file stands in for a disk that takes no more.
#[test]
fn a_log_that_cannot_be_written_stops_no_training_and_is_told_of_once() {
    let lab = Lab::new();
    // Events are the largest file by far: pictures are in them.
    let script = format!(
        "trap '' XFSZ; ulimit -f 48; exec '{}' crnn.yaml --run-label full",
        env!("CARGO_BIN_EXE_emorun")
    );
    let outcome = crate::support::finished(&lab.program("sh").args(["-c", &script]).output().unwrap());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let told = outcome
        .stderr
        .matches("cannot write to the TensorBoard event file")
        .count();
    assert_eq!(told, 1, "{}", outcome.stderr);
    let run = lab.path("runs/tiny/full");
    assert!(
        fs::read_to_string(run.join("log.txt"))
            .unwrap()
            .contains("TensorBoard event file")
    );
    assert!(json(run.join("run.json"))["unlogged"].as_u64().unwrap() > 0);
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    assert_same_run(&run, &whole);
    assert_eq!(json(whole.join("run.json"))["unlogged"], 0);
}

/// The tones in two folds of which the first is whole and the second has not begun, as a kill between members leaves
/// them.
fn between_members(lab: &Lab, file: &str, more: &str) -> PathBuf {
    write_tones(lab, "corpus", "angry");
    let folds =
        "split: { kind: folds, folds: { k: 2 }, validation: none }\nevaluation: { best: null, weights: last }\n";
    let data = "datasets:\n  synthetic: null\n  speech: { kind: manifest, path: corpus/all.csv }\n";
    lab.write(file, format!("extends: crnn.yaml\n{data}{folds}{more}"));
    let run = lab.run(&[file, "--run-label", "cut", "--set", "training.epochs=1"]);
    fs::remove_dir_all(run.join("fold-2")).unwrap();
    run
}

#[test]
fn a_member_that_begins_later_has_the_data_of_those_before() {
    let lab = Lab::new();
    let run = between_members(&lab, "folds.yaml", "");
    let table = fs::read_to_string(lab.path("corpus/all.csv")).unwrap();
    let mut rows: Vec<&str> = table.lines().skip(1).collect();
    rows.reverse();
    for (changed, expected) in [
        (
            table.replace(",angry", ",sad"),
            "their labels or their split have changed",
        ),
        (
            format!("path,speaker,emotion\n{}\n", rows.join("\n")),
            "but in another order",
        ),
    ] {
        lab.write("corpus/all.csv", changed);
        let outcome = resume(&lab, "cut", &[]);
        assert_eq!(outcome.code, 5, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert!(!run.join("fold-2").exists());
        assert_eq!(json(run.join("fold-1/run.json"))["status"], "completed");
    }
    lab.write("corpus/all.csv", table);
    let outcome = resume(&lab, "cut", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn a_longer_run_on_other_data_is_refused_before_its_result_is_removed() {
    let lab = Lab::new();
    write_tones(&lab, "corpus", "angry");
    let data = "datasets:\n  synthetic: null\n  speech: { kind: manifest, path: corpus/all.csv }\n";
    lab.write("speech.yaml", format!("extends: crnn.yaml\n{data}"));
    let run = lab.run(&["speech.yaml", "--run-label", "cut", "--set", "training.epochs=1"]);
    let kept = ["summary.json", "resolved.yaml", "run.json"].map(|name| run.join(name));
    let before = kept.each_ref().map(|path| fs::read(path).unwrap());
    write_tones(&lab, "corpus", "neutral");
    let outcome = resume(&lab, "cut", &["--set", "training.epochs=2"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("since runs/tiny/cut was started"),
        "{}",
        outcome.stderr
    );
    assert!(kept.map(|path| fs::read(path).unwrap()) == before);
}

#[test]
fn a_member_that_begins_later_starts_from_the_weights_of_those_before() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "base", "--set", "training.epochs=1"]);
    let more = "name: later\ninit_from: { run: runs/tiny/base, nodes: [crnn] }\n";
    let run = between_members(&lab, "folds.yaml", more);
    lab.emorun(&["resume", "runs/tiny/base", "--set", "training.epochs=9"]);
    let outcome = lab.emorun(&["resume", "runs/later/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("are not those that runs/later/cut/fold-1 began with"),
        "{}",
        outcome.stderr
    );
    assert!(!run.join("fold-2/checkpoints").exists());
}

#[test]
fn a_run_of_a_sweep_that_begins_later_has_the_data_of_those_before() {
    let lab = Lab::new();
    write_tones(&lab, "corpus", "angry");
    let data = "datasets:\n  synthetic: null\n  speech: { kind: manifest, path: corpus/all.csv }\n";
    lab.write("speech.yaml", format!("extends: crnn.yaml\n{data}"));
    lab.write(
        "sweep.yaml",
        "name: compared\nruns:\n  - { label: one, experiment: speech.yaml }\n  - { label: two, experiment: speech.yaml, set: { seed: 8 } }\n",
    );
    let outcome = lab.emorun(&[
        "sweep",
        "sweep.yaml",
        "--run-label",
        "cut",
        "--set",
        "training.epochs=1",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let second = lab.path("runs/compared/cut/two");
    fs::remove_dir_all(&second).unwrap();
    write_tones(&lab, "corpus", "neutral");
    let outcome = lab.emorun(&["resume", "runs/compared/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("since runs/compared/cut/one was started"),
        "{}",
        outcome.stderr
    );
    assert!(!second.exists());
    write_tones(&lab, "corpus", "angry");
    let outcome = lab.emorun(&["resume", "runs/compared/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
