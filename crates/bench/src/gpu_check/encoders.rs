//! HuBERT on the device beside PyTorch: forward, a step with the encoder frozen, a step that trains everything.

use burn::tensor::DType;
use emorun_engine::device::Chosen;
use emorun_engine::memory::mib;
use emorun_nn::precision::Precision;
use emorun_pretrained::families;
use emorun_pretrained::known::Layout;

use super::{Deadline, Part, Request, Row, Verdict, is_cuda};
use crate::{Outcome, Peer, Setup, Task, median, time};

/// What is timed.
const TASKS: [Task; 3] = [Task::Forward, Task::Frozen, Task::Full];
/// Rounds of each.
const ROUNDS: usize = 5;
/// Seconds without which no further combination is begun.
const NEEDS_S: u64 = 15;

/// Times all combinations that there is time for.
pub fn time_all(request: &Request, chosen: &Chosen, deadline: Deadline, add: &mut dyn FnMut(Row)) {
    let layouts: &[Layout] = if request.small {
        &[Layout::TinyBase, Layout::TinyLarge]
    } else {
        &[Layout::Base, Layout::Large]
    };
    let peer = Peer::Tried(request.python.clone());
    let mut said: Vec<String> = Vec::new();
    for &layout in layouts {
        for precision in [Precision::F32, Precision::Bf16] {
            if precision == Precision::Bf16 && !chosen.device.supports_dtype(DType::BF16) {
                let what = format!("HuBERT {}, bf16", name(layout));
                add(Row::new(
                    Part::Encoders,
                    what,
                    Verdict::LeftOut,
                    "the device has no bfloat16",
                ));
                continue;
            }
            for task in TASKS {
                let what = format!(
                    "HuBERT {}, {}, {}",
                    name(layout),
                    precision_name(precision),
                    task.title()
                );
                if deadline.left().as_secs() < NEEDS_S {
                    add(Row::new(Part::Encoders, what, Verdict::LeftOut, "no time is left"));
                    continue;
                }
                let setup = Setup {
                    model: families::HUBERT,
                    layout,
                    batch: if request.small { 2 } else { 8 },
                    seconds: if request.small { 1.0 } else { 5.0 },
                    threads: std::thread::available_parallelism().map_or(1, usize::from),
                    device: request.device.clone(),
                    precision,
                };
                let mut say = |message: &str| {
                    if message.contains("timed alone") && !said.iter().any(|said| said == message) {
                        said.push(message.to_owned());
                    }
                };
                match time(task, &setup, if request.small { 2 } else { ROUNDS }, &peer, &mut say) {
                    Ok(outcomes) => outcomes
                        .iter()
                        .for_each(|outcome| add(row(&what, outcome, &outcomes[0]))),
                    Err(why) => add(Row::new(Part::Encoders, what, Verdict::Failed, why.to_string())),
                }
            }
        }
    }
    for message in said {
        add(Row::new(Part::Encoders, "PyTorch", Verdict::LeftOut, message));
    }
    if request.small {
        let why = "base and large are too slow here: as many layers, 16 wide, 2 × 1 s";
        add(Row::new(Part::Encoders, "full sizes", Verdict::LeftOut, why));
    }
    if is_cuda(chosen) {
        let why = "single precision is TF32 on both sides: Burn has no switch, PyTorch is set to it";
        add(Row::new(Part::Encoders, "f32", Verdict::Measured, why));
    }
}

fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Base => "base",
        Layout::Large => "large",
        Layout::TinyBase => "tiny_base",
        Layout::TinyLarge => "tiny_large",
    }
}

fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Bf16 => "bf16",
        Precision::F32 => "f32",
    }
}

fn row(what: &str, outcome: &Outcome, own: &Outcome) -> Row {
    let middle = median(outcome.seconds()).unwrap_or(f64::NAN);
    let memory = outcome.device_bytes.or(outcome.peak_bytes);
    let ratio = (outcome.side != own.side).then(|| own.ratio_to(outcome)).flatten();
    let mut found = format!(
        "{:.1} ms, the first {:.2} s, {}",
        1e3 * middle,
        outcome.first_s,
        memory.map_or_else(|| "memory unknown".into(), mib)
    );
    if let Some(ratio) = ratio {
        found.push_str(&format!("; emorun takes {ratio:.2} of it"));
    }
    let mut row = Row::new(
        Part::Encoders,
        format!("{what}: {}", outcome.side),
        Verdict::Measured,
        found,
    )
    .with("median_s", middle)
    .with("first_s", outcome.first_s);
    if let Some(bytes) = memory {
        row = row.with("peak_bytes", bytes);
    }
    if let Some(ratio) = ratio {
        row = row.with("emorun_over_it", ratio);
    }
    row
}
