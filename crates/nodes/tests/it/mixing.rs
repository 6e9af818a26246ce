//! Blocks that change features while training: mixup, noise, dropped frames, crops.

use burn::tensor::{Device, Tensor};
use emorun_kernels::{Dropout, dropout};
use emorun_lang::Signal;
use emorun_nn::value::{PortId, Targets, Value, Values};
use emorun_nodes::network::Network;
use serde_json::json;

use crate::networks::{
    assert_near, batch, data, device, frames_signal, labels, labels_signal, logits_signal, network, numbers, run, turn,
    wired,
};

const WIDTH: usize = 3;
const CLASSES: usize = 4;
/// Lengths of items in frames; their frames are `item + 1` throughout, so that a blend tells its shares.
const LENGTHS: [usize; 6] = [4, 30, 9, 17, 30, 2];

fn items(copies: usize) -> Vec<Vec<f32>> {
    let one = LENGTHS.iter().enumerate();
    let one: Vec<Vec<f32>> = one.map(|(at, length)| vec![at as f32 + 1.0; length * WIDTH]).collect();
    one.iter().cycle().take(copies * LENGTHS.len()).cloned().collect()
}

fn block(kind: &str, fields: &serde_json::Value) -> Network {
    let mut inputs = vec![("input", data("mel"), frames_signal(WIDTH))];
    if kind == "mixup" {
        inputs.push(("target", data("emotion"), labels_signal(CLASSES)));
    }
    network(vec![wired("node", kind, fields, &inputs)], 1)
}

/// The valid frames of each item that a block gives, and the values.
fn given(network: &Network, items: &[Vec<f32>], classes: &[Option<u32>], training: bool) -> (Vec<Vec<f32>>, Values) {
    let (frames, lengths) = batch(items, WIDTH, 31);
    let inputs = [
        (data("mel"), Value::Frames(frames, lengths)),
        (data("emotion"), labels(classes)),
    ];
    let values = run(network, &inputs, training, items.len());
    let Value::Frames(frames, lengths) = &values[&PortId::new("node", "")] else {
        panic!("no frames");
    };
    let rows = lengths.as_slice().iter().enumerate().map(|(at, &length)| {
        let row = numbers(frames.clone().narrow(0, at, 1));
        assert!(row[length * WIDTH..].iter().all(|&x| x == 0.0), "padding is zero");
        row[..length * WIDTH].to_vec()
    });
    (rows.collect(), values)
}

fn shares(values: &Values) -> Vec<Vec<Option<f32>>> {
    match &values[&PortId::new("node", "target")] {
        Value::Targets(targets) => targets.rows().map(<[_]>::to_vec).collect(),
        other => panic!("{} at `target`", other.name()),
    }
}

#[test]
fn a_blend_holds_as_much_of_each_item_as_its_labels_say() {
    let _turn = turn();
    let items = items(1);
    // The class tells the item, so that shares of classes are shares of items; one lacks the label.
    let classes = [Some(0), Some(1), Some(2), Some(3), None, None];
    let mixup = block("mixup", &json!({ "alpha": 2.0 }));
    let (blended, values) = given(&mixup, &items, &classes, true);
    let mut mixed = 0;
    for ((at, row), shares) in blended.iter().enumerate().zip(shares(&values)) {
        let Some(own) = classes[at] else {
            assert_eq!((row, &shares), (&items[at], &vec![None; CLASSES]));
            continue;
        };
        let shares: Vec<f32> = shares.into_iter().map(Option::unwrap).collect();
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{shares:?}");
        let parts: Vec<usize> = (0..CLASSES).filter(|&class| shares[class] > 0.0).collect();
        assert!(parts.contains(&(own as usize)) && parts.len() <= 2, "{shares:?}");
        mixed += usize::from(parts.len() == 2);
        assert_eq!(
            row.len() / WIDTH,
            parts.iter().map(|&part| LENGTHS[part]).max().unwrap()
        );
        for (place, value) in row.iter().enumerate() {
            let sounding = parts.iter().filter(|&&part| place / WIDTH < LENGTHS[part]);
            let expected: f32 = sounding.map(|&part| shares[part] * (part as f32 + 1.0)).sum();
            assert!(
                (value - expected).abs() < 1e-5,
                "item {at} at {place}: {value}, not {expected}"
            );
        }
    }
    assert!(mixed >= 1, "some items are blended");
    // Nothing of it outside training, and where it is not drawn.
    let never = block("mixup", &json!({ "p": 0.0 }));
    for (network, training) in [(&mixup, false), (&never, true)] {
        let (same, values) = given(network, &items, &classes, training);
        assert_eq!(same, items);
        let hard = |class: Option<u32>| -> Vec<Option<f32>> {
            (0..4)
                .map(|at| class.map(|class| f32::from(u8::from(class == at))))
                .collect()
        };
        assert_eq!(shares(&values), classes.map(hard).to_vec());
    }
}

#[test]
fn shares_follow_the_beta_distribution() {
    let _turn = turn();
    for alpha in [0.2, 1.0, 4.0] {
        let mixup = block("mixup", &json!({ "alpha": alpha }));
        // Two classes: where partners differ, an item's own class has the share λ.
        let classes: Vec<Option<u32>> = (0..6000).map(|at| Some(u32::from(at % 2 == 1))).collect();
        let (_, values) = given(&mixup, &items(1000), &classes, true);
        let own: Vec<f64> = shares(&values)
            .iter()
            .zip(&classes)
            .filter(|(row, _)| row.iter().flatten().filter(|share| **share > 0.0).count() == 2)
            .filter_map(|(row, class)| row[class.unwrap() as usize])
            .map(f64::from)
            .collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let variance = own.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / own.len() as f64;
        assert!(
            own.len() > 2000 && (mean - 0.5).abs() < 0.03,
            "{} pairs, mean {mean}",
            own.len()
        );
        // Beta(α, α) has the variance 1 / (4 (2α + 1)).
        let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
        assert!(
            (variance / expected - 1.0).abs() < 0.08,
            "α {alpha}: {variance}, not {expected}"
        );
    }
}

#[test]
fn cross_entropy_of_a_blend_is_the_blend_of_cross_entropies() {
    let _turn = turn();
    let Signal::Labels { labels: of } = labels_signal(CLASSES) else {
        unreachable!()
    };
    let fields = json!({ "label_smoothing": 0.1, "class_weights": { "values": [1.0, 2.0, 0.5, 1.5] } });
    let loss = |target: Value, signal: Signal| {
        let inputs = [
            ("input", data("logits"), logits_signal(CLASSES)),
            ("target", data("target"), signal),
        ];
        let network = network(vec![wired("node", "cross_entropy", &fields, &inputs)], 1);
        let logits = [0.3, -1.2, 2.0, 0.1, 1.5, 0.2, -0.4, 0.9];
        let logits = burn::tensor::Tensor::from_data(
            burn::tensor::TensorData::new(logits.to_vec(), [2, CLASSES]),
            &crate::networks::device(),
        );
        let values = run(
            &network,
            &[(data("logits"), Value::Logits(logits)), (data("target"), target)],
            true,
            2,
        );
        let loss = network.losses(&values, 1.0).remove(0);
        (numbers(loss.mean)[0], loss.count)
    };
    let hard = |classes: [Option<u32>; 2]| loss(labels(&classes), labels_signal(CLASSES));
    let soft = |rows: [[Option<f32>; CLASSES]; 2]| {
        let targets = Targets::new(rows.concat(), CLASSES);
        loss(Value::Targets(targets), Signal::SoftLabels { labels: of.clone() })
    };
    let one = |class: usize| std::array::from_fn(|at| Some(f32::from(u8::from(at == class))));
    assert_eq!(soft([one(2), one(0)]), hard([Some(2), Some(0)]));
    assert_eq!(soft([one(2), [None; CLASSES]]), hard([Some(2), None]));
    // The sums are linear in the target, and so are the weights that they are divided by.
    let blend: [Option<f32>; CLASSES] = [None, None, None, None].map(|_: Option<f32>| Some(0.0));
    let mut blend = blend;
    (blend[1], blend[3]) = (Some(0.7), Some(0.3));
    let (first, second) = (hard([Some(1), Some(0)]), hard([Some(3), Some(0)]));
    let count = 0.7 * first.1 + 0.3 * second.1;
    let expected = (0.7 * first.1 * f64::from(first.0) + 0.3 * second.1 * f64::from(second.0)) / count;
    let found = soft([blend, one(0)]);
    assert!((found.1 - count).abs() < 1e-6);
    assert_near(&[found.0], &[expected as f32], 1e-6, "blend");
}

#[test]
fn noise_dropped_frames_and_crops_are_as_strong_as_they_say() {
    let _turn = turn();
    let items = items(200);
    let classes = vec![None; items.len()];
    for kind in ["feature_noise", "temporal_dropout", "sequence_crop"] {
        let fields = match kind {
            "feature_noise" => json!({ "std": 0.3 }),
            "temporal_dropout" => json!({ "p": 0.25 }),
            _ => json!({ "length_s": 0.1, "p": 0.5 }),
        };
        let node = block(kind, &fields);
        let (changed, _) = given(&node, &items, &classes, true);
        let (again, _) = given(&node, &items, &classes, true);
        assert_eq!(changed, again, "{kind}: draws are those of the epoch and the item");
        assert_eq!(
            given(&node, &items, &classes, false).0,
            items,
            "{kind}: nothing outside training"
        );
        let pairs = || changed.iter().zip(&items);
        match kind {
            "feature_noise" => {
                let noise: Vec<f64> = pairs()
                    .flat_map(|(row, item)| row.iter().zip(item).map(|(a, b)| f64::from(a - b)))
                    .collect();
                let mean = noise.iter().sum::<f64>() / noise.len() as f64;
                let std = (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt();
                assert!(mean.abs() < 0.01 && (std - 0.3).abs() < 0.005, "{mean} ± {std}");
            }
            "temporal_dropout" => {
                let frames: Vec<(&[f32], &[f32])> = pairs()
                    .flat_map(|(row, item)| row.chunks(WIDTH).zip(item.chunks(WIDTH)))
                    .collect();
                let whole = frames
                    .iter()
                    .all(|(found, item)| found == item || **found == [0.0; WIDTH]);
                let dropped = frames.iter().filter(|(found, _)| **found == [0.0; WIDTH]).count();
                let share = dropped as f64 / frames.len() as f64;
                assert!(whole && (share - 0.25).abs() < 0.02, "{share}");
            }
            _ => {
                let longer = pairs().filter(|(_, item)| item.len() > 10 * WIDTH);
                let (cropped, all) = longer.fold((0, 0), |(cropped, all), (row, item)| {
                    assert!([10 * WIDTH, item.len()].contains(&row.len()), "{} numbers", row.len());
                    (cropped + usize::from(row.len() < item.len()), all + 1)
                });
                assert!(
                    (cropped as f64 / f64::from(all) - 0.5).abs() < 0.1,
                    "{cropped} of {all}"
                );
                assert!(
                    pairs()
                        .filter(|(_, item)| item.len() <= 10 * WIDTH)
                        .all(|(row, item)| row == item)
                );
            }
        }
    }
}

#[test]
fn a_crop_is_a_stretch_of_the_item_at_any_place() {
    let _turn = turn();
    let counting: Vec<f32> = (0..30 * WIDTH).map(|at| at as f32 + 1.0).collect();
    let items = vec![counting.clone(); 300];
    let (changed, _) = given(
        &block("sequence_crop", &json!({ "length_s": 0.1 })),
        &items,
        &[None; 300],
        true,
    );
    let mut starts: Vec<usize> = changed
        .iter()
        .map(|row| {
            let start = (row[0] - 1.0) as usize;
            assert_eq!(row[..], counting[start..start + 10 * WIDTH]);
            start / WIDTH
        })
        .collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(
        starts,
        (0..=20).collect::<Vec<_>>(),
        "every place from the first to the last"
    );
}

#[test]
fn dropout_drops_the_same_elements_on_every_device() {
    let _turn = turn();
    // Numbers of 2³¹ and more among them, which some backends take for negative ones.
    for key in [[1, 2], [0x9e37_79b9, 0x0bad_cafe], [7, u32::MAX], [1 << 31, 1 << 31]] {
        let drop = |device: &Device| numbers(dropout(Tensor::<3>::ones([3, 70, 5], device), Dropout::new(0.3, key)));
        assert_eq!(drop(&device().inner()), drop(&Device::flex()), "{key:x?}");
        assert_eq!(drop(&device()), drop(&Device::flex()), "{key:x?}");
    }
}
