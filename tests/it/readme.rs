//! What the README shows is what this commit does.

use std::fs;
use std::path::Path;

use crate::support::{Lab, REPOSITORY};

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
