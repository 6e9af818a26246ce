//! What depends on what, what touches the outside, and under which licences.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::REPOSITORY;

/// Names, and for each those that it may use.
type Edges = &'static [(&'static str, &'static [&'static str])];

/// Crates of the workspace and which of them each may use, itself only those above it.
const CRATES: &[(&str, &[&str])] = &[
    ("emorun-lang", &[]),
    ("emorun-audio", &[]),
    ("emorun-import", &["emorun-lang"]),
    ("emorun-metrics", &[]),
    ("emorun-evaluation", &["emorun-metrics"]),
    ("emorun-face", &["emorun-audio"]),
    ("emorun-latent", &[]),
    ("emorun-files", &[]),
    ("emorun-recognise", &["emorun-metrics"]),
    ("emorun-transcribe", &[]),
    ("emorun-live", &["emorun-audio", "emorun-metrics", "emorun-recognise"]),
    (
        "emorun-serve",
        &["emorun-audio", "emorun-metrics", "emorun-recognise", "emorun-live"],
    ),
    ("emorun-tensorboard", &["emorun-files"]),
    ("emorun-figures", &[]),
    (
        "emorun-catalogue",
        &["emorun-lang", "emorun-metrics", "emorun-files", "emorun-figures"],
    ),
    (
        "emorun-report",
        &[
            "emorun-audio",
            "emorun-metrics",
            "emorun-evaluation",
            "emorun-files",
            "emorun-figures",
        ],
    ),
    ("emorun-features", &["emorun-files"]),
    ("emorun-fetch", &["emorun-files"]),
    ("emorun-mlflow", &["emorun-files", "emorun-fetch", "emorun-catalogue"]),
    ("emorun-weights", &["emorun-files", "emorun-fetch"]),
    ("emorun-onnx", &["emorun-files"]),
    ("emorun-kernels", &[]),
    (
        "emorun-data",
        // Frames of streams lie in the files that features lie in.
        &[
            "emorun-lang",
            "emorun-audio",
            "emorun-files",
            "emorun-figures",
            "emorun-features",
        ],
    ),
    (
        "emorun-prepare",
        &[
            "emorun-lang",
            "emorun-audio",
            "emorun-metrics",
            "emorun-files",
            "emorun-fetch",
            "emorun-data",
        ],
    ),
    (
        "emorun-nn",
        &["emorun-lang", "emorun-features", "emorun-weights", "emorun-kernels"],
    ),
    (
        "emorun-pretrained",
        &[
            "emorun-lang",
            "emorun-features",
            "emorun-weights",
            "emorun-kernels",
            "emorun-nn",
        ],
    ),
    (
        "emorun-nodes",
        &[
            "emorun-lang",
            "emorun-audio",
            "emorun-metrics",
            "emorun-features",
            "emorun-kernels",
            "emorun-data",
            "emorun-nn",
            "emorun-pretrained",
        ],
    ),
    (
        "emorun-engine",
        &[
            "emorun-lang",
            "emorun-audio",
            "emorun-metrics",
            "emorun-files",
            "emorun-tensorboard",
            "emorun-figures",
            "emorun-features",
            "emorun-kernels",
            "emorun-data",
            "emorun-nn",
            "emorun-nodes",
        ],
    ),
    (
        "emorun-experiment",
        &[
            "emorun-lang",
            "emorun-audio",
            // Which metrics the heads of an experiment can give is checked there.
            "emorun-metrics",
            "emorun-files",
            "emorun-figures",
            "emorun-features",
            "emorun-weights",
            "emorun-onnx",
            "emorun-data",
            "emorun-nn",
            "emorun-pretrained",
            "emorun-nodes",
            "emorun-engine",
        ],
    ),
    (
        "emorun-runs",
        &[
            "emorun-lang",
            "emorun-latent",
            "emorun-audio",
            "emorun-metrics",
            "emorun-evaluation",
            "emorun-files",
            "emorun-recognise",
            "emorun-tensorboard",
            "emorun-figures",
            "emorun-report",
            "emorun-features",
            "emorun-weights",
            "emorun-kernels",
            "emorun-data",
            "emorun-nn",
            "emorun-nodes",
            "emorun-engine",
            "emorun-experiment",
        ],
    ),
    (
        "emorun-bench",
        &[
            "emorun-audio",
            "emorun-files",
            "emorun-kernels",
            "emorun-nn",
            "emorun-pretrained",
            "emorun-nodes",
            "emorun-engine",
            "emorun-experiment",
            "emorun-runs",
        ],
    ),
    (
        "emorun",
        &[
            "emorun-lang",
            "emorun-face",
            "emorun-latent",
            "emorun-audio",
            "emorun-metrics",
            "emorun-mlflow",
            "emorun-files",
            "emorun-import",
            "emorun-recognise",
            "emorun-live",
            "emorun-tensorboard",
            "emorun-figures",
            "emorun-catalogue",
            "emorun-features",
            "emorun-fetch",
            "emorun-kernels",
            "emorun-data",
            "emorun-prepare",
            "emorun-nn",
            "emorun-nodes",
            "emorun-engine",
            "emorun-experiment",
            "emorun-runs",
            "emorun-serve",
            "emorun-bench",
        ],
    ),
];

/// Crates that have several rooms: their modules, and which of them each may use, itself only those above it.
const ROOMS: [(&str, Edges); 5] = [
    (
        "nn",
        &[
            ("draw", &[]),
            ("presence", &[]),
            ("waits", &[]),
            ("value", &["presence", "waits"]),
            ("precision", &[]),
            ("recompute", &[]),
            ("state", &["waits"]),
            ("host", &[]),
            ("facts", &["host"]),
            ("node", &["draw", "value", "precision", "recompute", "state", "facts"]),
            ("layers", &["value", "state", "node"]),
            ("no_grad", &["draw", "value", "precision", "node", "layers"]),
        ],
    ),
    (
        "nodes",
        &[
            ("contract", &[]),
            ("inference", &[]),
            ("ramp", &[]),
            ("policies", &["contract", "inference"]),
            ("augmentations", &["contract"]),
            ("encoders", &["contract", "inference"]),
            ("blocks", &["contract", "inference", "ramp"]),
            ("heads", &["contract", "inference", "policies"]),
            ("generators", &["contract", "inference", "blocks", "heads"]),
            ("losses", &["contract", "inference", "ramp"]),
            // What it makes of the list holds any kind, and names what each section asks.
            (
                "registry",
                &["contract", "policies", "augmentations", "heads", "generators", "losses"],
            ),
            (
                "kinds",
                &[
                    "policies",
                    "augmentations",
                    "encoders",
                    "blocks",
                    "heads",
                    "generators",
                    "losses",
                    "registry",
                ],
            ),
            ("network", &["policies", "kinds"]),
            ("parameters", &["network"]),
            // Whole networks of one node, for tests of kinds and of devices.
            ("samples", &["kinds", "network"]),
        ],
    ),
    (
        "engine",
        &[
            ("terminal", &[]),
            ("exit", &[]),
            ("memory", &[]),
            ("device", &["exit"]),
            ("settings", &[]),
            ("feed", &["memory"]),
            ("train", &["terminal", "exit", "memory", "settings", "feed"]),
        ],
    ),
    (
        "experiment",
        &[
            ("folders", &[]),
            ("ancestry", &[]),
            ("checkpoints", &[]),
            ("prepare", &["folders", "ancestry", "checkpoints"]),
        ],
    ),
    (
        "runs",
        &[
            ("logging", &[]),
            ("run", &["logging"]),
            ("smoke", &["run"]),
            ("verify", &["run"]),
        ],
    ),
];

/// Files that may write to stdout and stderr by themselves: all else goes through the first, which no broken terminal
/// stops; workers of benchmarks answer on stdout.
const TERMINAL: [&str; 3] = [
    "crates/engine/src/terminal.rs",
    "src/cli/bench/",
    "crates/data/src/corpora/emobox/tests.rs",
];

/// The file that reads tensors and seeds devices, and counts both.
const WAITS: &str = "crates/nn/src/waits.rs";

/// Licences that ask for no more than to be named.
const PERMISSIVE: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates under MPL-2.0, whose files are used unchanged: the FLAC decoder, what Burn prints with, and
/// (with CUDA) how cubecl tells builds apart.
const MPL: [&str; 3] = ["symphonia", "colored ", "buildid "];

fn cargo(arguments: &[&str], more: &[&str]) -> Result<String, String> {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(arguments)
        .args(more)
        .args(["--offline", "--package", "emorun"])
        .current_dir(REPOSITORY)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// All Rust files below a folder of the repository, by their paths within it.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(REPOSITORY).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(REPOSITORY).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Lines of code: what stands before a comment, up to the unit tests at a file's end.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or_default())
}

#[test]
fn lists_of_edges_go_one_way() {
    let rooms = ROOMS.iter().map(|(_, modules)| *modules);
    for list in rooms.chain([CRATES]) {
        for (at, (name, below)) in list.iter().enumerate() {
            for used in *below {
                assert!(
                    list[..at].iter().any(|(earlier, _)| earlier == used),
                    "{name} uses {used}, which is not listed above it"
                );
            }
        }
    }
}

#[test]
fn crates_use_only_the_crates_listed() {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(REPOSITORY)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = array(&metadata, "packages");
    assert_eq!(packages.len(), CRATES.len());
    for package in packages {
        let name = text(package, "name");
        let (_, allowed) = CRATES
            .iter()
            .find(|(listed, _)| *listed == name)
            .unwrap_or_else(|| panic!("{name} is not listed"));
        let used: BTreeSet<&str> = array(package, "dependencies")
            .iter()
            .map(|dependency| text(dependency, "name"))
            .filter(|used| used.starts_with("emorun") && *used != name)
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert_eq!(used, allowed, "what {name} uses");
        let heavy = array(package, "dependencies")
            .iter()
            .map(|dependency| text(dependency, "name"))
            .find(|used| used.starts_with("burn") || used.starts_with("cubecl"));
        // All below the network's parts is built without Burn, and the command line does not touch tensors.
        let may = [
            "emorun",
            "emorun-kernels",
            "emorun-nn",
            "emorun-pretrained",
            "emorun-nodes",
            "emorun-engine",
            "emorun-experiment",
            "emorun-runs",
            "emorun-bench",
        ]
        .contains(&name);
        assert!(may || heavy.is_none(), "{name} uses {heavy:?}");
    }
}

#[test]
fn a_device_is_waited_for_in_one_place() {
    const WAITING: [&str; 6] = [
        ".into_data()",
        ".to_data()",
        "into_scalar",
        "_data_async",
        ".seed(",
        "Tensor::random",
    ];
    for room in ["nn", "pretrained", "nodes", "engine"] {
        for (path, text) in sources(&format!("crates/{room}/src")) {
            if path == WAITS {
                continue;
            }
            for line in code(&text) {
                // Centres of classes are drawn once, when a network is built.
                let is_built = path.ends_with("losses/center.rs") && line.contains("Tensor::random");
                let found = WAITING.iter().find(|waiting| line.contains(**waiting));
                assert!(
                    is_built || found.is_none(),
                    "{path}: `{}`; read by `emorun_nn::waits`, draw by `Context`",
                    line.trim()
                );
            }
        }
    }
}

#[test]
fn modules_use_only_the_modules_listed() {
    for (room, modules) in ROOMS {
        let folder = format!("crates/{room}/src");
        let mut used: Vec<(&str, BTreeSet<&str>)> = modules.iter().map(|(name, _)| (*name, BTreeSet::new())).collect();
        for (path, text) in sources(&folder) {
            let below = Path::new(&path).strip_prefix(&folder).unwrap();
            let module = below.components().next().unwrap().as_os_str().to_str().unwrap();
            let module = module.trim_end_matches(".rs");
            if module == "lib" {
                continue;
            }
            let (_, edges) = used
                .iter_mut()
                .find(|(name, _)| *name == module)
                .unwrap_or_else(|| panic!("{path} is of no listed module"));
            for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
                for rest in line.split("crate::").skip(1) {
                    // One path, or several in braces.
                    let paths = rest
                        .strip_prefix('{')
                        .map_or(rest, |group| group.split('}').next().unwrap_or(group));
                    let several = if rest.starts_with('{') { usize::MAX } else { 1 };
                    for path in paths.split(',').take(several) {
                        let path = path.trim_start().chars();
                        let name: String = path.take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                        if let Some((listed, _)) = modules.iter().find(|(listed, _)| *listed == name && name != module)
                        {
                            edges.insert(listed);
                        }
                    }
                }
            }
        }
        for ((name, edges), (_, allowed)) in used.iter().zip(modules) {
            let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
            assert_eq!(*edges, allowed, "what {folder}/{name} uses");
        }
    }
}

#[test]
fn the_language_does_no_input_or_output() {
    for (path, text) in sources("crates/lang/src") {
        for line in code(&text) {
            for outside in [
                "std::fs",
                "std::env",
                "std::net",
                "std::process",
                "SystemTime",
                "println!",
            ] {
                assert!(!line.contains(outside), "{path}: {line}");
            }
        }
    }
}

#[test]
fn only_the_command_line_writes_to_the_terminal() {
    let folders = [
        "src",
        "crates/audio/src",
        "crates/bench/src",
        "crates/catalogue/src",
        "crates/data/src",
        "crates/engine/src",
        "crates/experiment/src",
        "crates/figures/src",
        "crates/metrics/src",
        "crates/nn/src",
        "crates/nodes/src",
        "crates/pretrained/src",
        "crates/runs/src",
    ];
    for (path, text) in folders.into_iter().flat_map(sources) {
        if TERMINAL.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for line in code(&text) {
            for write in ["print!", "println!", "io::stdout", "io::stderr"] {
                assert!(!line.contains(write), "{path}: {line}");
            }
        }
    }
}

/// Whether an SPDX expression can be satisfied by permissive licences alone.
fn permissive(licence: &str) -> bool {
    // Cargo's old form of `OR`; no crate here nests parentheses deeper.
    let licence = licence.replace('/', " OR ").replace(['(', ')'], " ");
    // `A OR B AND C` binds as `A OR (B AND C)`; with parentheses taken out, asking that every
    // alternative list holds a permissive one is the stricter reading.
    licence.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|name| PERMISSIVE.contains(&name.split_whitespace().collect::<Vec<_>>().join(" ").as_str()))
    })
}

#[test]
fn licences_are_read_as_they_are_written() {
    for (licence, expected) in [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0-only", false),
        ("MIT AND GPL-3.0-only", false),
        ("MPL-2.0", false),
        ("", false),
    ] {
        assert_eq!(permissive(licence), expected, "{licence}");
    }
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    for features in [&[][..], &["--features", "cuda,onnx,wgpu,live"]] {
        let output = cargo(
            &[
                "tree",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--format",
                "{p}|{l}",
            ],
            features,
        );
        let tree = match output {
            Ok(tree) => tree,
            Err(error) => {
                println!("skipped with {features:?}: cargo tree needs the network: {error}");
                continue;
            }
        };
        let crates: BTreeSet<(&str, &str)> = tree
            .lines()
            .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
            .collect();
        assert!(crates.len() > 100, "only {} crates", crates.len());
        let wrong: Vec<_> = crates
            .iter()
            .filter(|(name, licence)| {
                let unchanged = MPL.iter().any(|mpl| name.starts_with(mpl)) && *licence == "MPL-2.0";
                !permissive(licence) && !unchanged
            })
            .collect();
        assert!(wrong.is_empty(), "not permissive: {wrong:#?}");
    }
}

/// Kinds of which it is counted in how many files their name stands, and how many these may be.
///
/// A loss and an encoder stand in their own file, in the `mod.rs` of their section and in the list; a pretrained family in
/// its file and that of the families, as a kind and in the list; a host feature in those of a kind, and in the file of its
/// algorithm and the two that hand it on.
const DISTANCES: [(&str, usize); 4] = [("focal", 3), ("crnn", 3), ("wavlm", 4), ("mfcc", 5)];

#[test]
fn a_kind_is_named_in_few_files() {
    let mut all = sources("src");
    all.extend(sources("crates"));
    for (kind, most) in DISTANCES {
        let named: Vec<&str> = all
            .iter()
            .filter(|(path, _)| path.starts_with("src/") || path.contains("/src/"))
            // A line of small configurations to try, which is its test.
            .filter(|(path, _)| path != "crates/nodes/src/samples.rs")
            // What another program calls its encoders.
            .filter(|(path, _)| !path.starts_with("crates/import/"))
            .filter(|(_, text)| code(text).any(|line| line.to_lowercase().contains(kind)))
            .map(|(path, _)| path.as_str())
            .collect();
        assert!(named.len() <= most, "`{kind}` stands in {named:#?}, not {most}");
    }
}
