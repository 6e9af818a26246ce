//! What the README shows is what this commit does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::support::{Lab, REPOSITORY, finished, signal};

/// The block of the README that follows a line ending with `before`.
fn block_after(readme: &str, before: &str) -> String {
    let (_, rest) = readme
        .split_once(&format!("{before}\n```\n"))
        .expect("the README has the block");
    let (block, _) = rest.split_once("\n```").expect("the block ends");
    block.to_owned()
}

/// Everything but the lines that name the run, whose label is the time.
fn without_run(text: &str) -> Vec<&str> {
    let result = text.lines().take_while(|line| !line.starts_with("open it with"));
    result.filter(|line| !line.trim().is_empty()).collect()
}

#[test]
fn the_result_of_the_quickstart_is_the_one_that_the_readme_shows() {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let shown = block_after(&readme, "ends with");
    let lab = Lab::new();
    let quickstart = Path::new(REPOSITORY).join("experiments/quickstart.yaml");
    let outcome = lab.emorun(&[quickstart.to_str().unwrap(), "--run-label", "readme"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // Processors with other vector instructions round otherwise, and a few items may then be heard as another emotion.
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && !is_x86_feature_detected!("avx512f") {
        assert_eq!(without_run(&shown), without_run(&outcome.stdout));
        return;
    }
    let tables = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().filter(|word| word.parse::<f64>().is_err());
        words.map(str::to_owned).collect()
    };
    println!(
        "skipped: the numbers shown are those of a processor with AVX2 and without AVX-512; only the tables are compared"
    );
    assert_eq!(
        tables(&without_run(&shown).join("\n")),
        tables(&without_run(&outcome.stdout).join("\n"))
    );
}

#[test]
fn the_ten_commands_from_a_corpus_to_a_microphone_run_as_they_stand() {
    let experiments = Path::new(REPOSITORY).join("experiments");
    let readme = fs::read_to_string(experiments.join("README.md")).unwrap();
    let block = block_after(&readme, "A test runs them all.");
    let commands: Vec<&str> = block.lines().collect();
    assert_eq!(commands.len(), 10);
    let lab = Lab::new();
    fs::copy(experiments.join("quickstart.yaml"), lab.path("quickstart.yaml")).unwrap();
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "emorun", "{command}");
        if words[1] != "serve" {
            let outcome = lab.emorun(&words[1..]);
            assert_eq!(outcome.code, 0, "{command}: {}", outcome.stderr);
            assert!(!outcome.stdout.is_empty(), "{command}");
            continue;
        }
        // Another server may have the port that the document names.
        let arguments = [&words[1..], &["--listen", "127.0.0.1:0"]].concat();
        let mut child = lab.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line);
        read.unwrap();
        assert!(line.starts_with("http://127.0.0.1:"), "{line}");
        signal(&child, "TERM");
        assert_eq!(finished(&child.wait_with_output().unwrap()).code, 0);
    }
    // What the document says of them.
    assert!(lab.path("tracks/01-happy_03.original.TextGrid").is_file());
    assert!(lab.path("emotion.emorun").is_file());
}
