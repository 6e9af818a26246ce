//! How often a training step waits for its device: counted on the CPU, where a GPU would stand still as often.

use crate::support::Lab;

/// Reads and seeds of each epoch, as multiples of its steps.
fn waits(lab: &Lab, arguments: &[&str]) -> Vec<[f64; 2]> {
    let base = ["-vv", "--set", "training.checkpoints.every_steps=null"];
    let arguments: Vec<&str> = base.iter().chain(arguments).copied().collect();
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 0, "{arguments:?}\n{}", outcome.stderr);
    let lines = outcome.stderr.lines().filter(|line| line.contains("reads of devices"));
    let counts = lines.map(|line| {
        let (_, counts) = line.split_once("epoch ").unwrap();
        let numbers: Vec<f64> = counts
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let [_, steps, reads, seeds] = numbers[..] else {
            panic!("{line}")
        };
        assert!(steps > 0.0, "{line}");
        [reads / steps, seeds / steps]
    });
    counts.collect()
}

#[test]
fn a_step_of_training_waits_for_its_device_once() {
    let lab = Lab::new();
    // Dropout at every site, SpecAugment within the encoder, dropped layers, two losses, clipping, a line for each step.
    lab.write(
        "all.yaml",
        "extends: hubert.yaml
encoders:
  hubert: { train: all, cache: { views: null }, mask_time_prob: 0.2, mask_feature_prob: 0.1, dropout: 0.1, layer_drop: 0.1 }
  context: { kind: transformer, input: hubert, stack: 1, width: 16, layers: 1, heads: 2, feed_forward: 16, dropout: 0.1 }
blocks: { pooled: { kind: pool, input: hubert } }
heads:
  emotion: { input: context }
  gender: { kind: mlp_classifier, input: pooled, target: data.gender, hidden: [4], dropout: 0.2 }
losses: { other: { kind: cross_entropy, input: gender } }
training: { epochs: 2, average: { kind: ema, decay: 0.9 } }
",
    );
    lab.write(
        "frozen.yaml",
        "extends: hubert.yaml\nencoders: { hubert: { train: none } }\ntraining: { epochs: 4 }\n",
    );
    for (experiment, more) in [
        ("crnn.yaml", &[][..]),
        ("transformer.yaml", &[]),
        ("all.yaml", &[]),
        ("all.yaml", &["--set", "training.gradient_checkpointing=true"]),
    ] {
        let arguments: Vec<&str> = std::iter::once(&experiment).chain(more).copied().collect();
        for (epoch, waits) in waits(&lab, &arguments).into_iter().enumerate() {
            assert_eq!(waits, [1.0, 0.0], "{arguments:?}, epoch {}", epoch + 1);
        }
    }
    // Once both versions of every item are known, nothing is computed and read but the step's own numbers.
    let frozen = waits(&lab, &["frozen.yaml"]);
    assert!(frozen[0][0] > 1.0, "{frozen:?}");
    assert_eq!(frozen[2..], [[1.0, 0.0]; 2]);
    // Each micro-batch is read once.
    let accumulated = waits(
        &lab,
        &[
            "crnn.yaml",
            "--set",
            "training.batch_size=2",
            "--set",
            "training.accumulate=2",
        ],
    );
    assert!(
        accumulated.iter().all(|waits| waits[0] <= 2.0 && waits[1] == 0.0),
        "{accumulated:?}"
    );
}
