//! Whether nodes that others hold are such as these hand over to them.

use emorun_lang::{Code, Diagnostic, PlanNode, Report, Signal, Tree};

use super::{Model, at};

/// Reports held nodes that do not fit what holds them.
pub(super) fn check(model: &Model, tree: &Tree, report: &mut Report) {
    for node in model.plan().nodes() {
        let Some((_, _, config)) = model.nodes().find(|(_, name, _)| *name == node.name) else {
            continue;
        };
        for holds in config.holds(&node.input_signals()) {
            let mut uses = node.uses.iter().filter(|held| held.port == holds.held);
            let held = uses.find_map(|held| model.plan().node(&held.node));
            let Some(held) = held else { continue };
            let mut place = vec![node.section.name().to_owned(), node.name.clone()];
            place.extend(holds.held.split('.').map(str::to_owned));
            let mut wrong = |message: String| {
                let mistake = Diagnostic::error(Code::InvalidValue, message);
                let help = format!("`{}` says of its field `{}` what belongs there", node.kind, holds.held);
                report.push(at(mistake.help(help), &place, tree));
            };
            let (port, signal) = &holds.gives;
            if held.output(port) != Some(signal) {
                let found = held
                    .output(port)
                    .map_or_else(|| "nothing".to_owned(), Signal::to_string);
                let at_port = if port.is_empty() {
                    String::new()
                } else {
                    format!(" at `{port}`")
                };
                wrong(format!(
                    "`{}` gives {found}{at_port}, where `{}` needs {signal}",
                    held.name, node.name
                ));
                continue;
            }
            let found = widths(held, |port| port.starts_with("inputs."));
            if found != holds.inputs {
                wrong(format!(
                    "the inputs of `{}` are {found:?} wide, and `{}` hands over such as are {:?}",
                    held.name, node.name, holds.inputs
                ));
            }
            if let Some((port, width)) = holds.beside
                && widths(held, |own| own == port) != [width]
            {
                wrong(format!(
                    "`{port}` of `{}` is not {width} wide, as what `{}` hands over",
                    held.name, node.name
                ));
            }
        }
    }
}

/// Widths of what a node takes at some ports.
fn widths(node: &PlanNode, is_wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let inputs = node.inputs.iter().filter(|input| is_wanted(&input.port));
    let width = |signal: &Signal| match signal {
        Signal::Frames { width, .. } | Signal::Vector { width } => *width,
        _ => 0,
    };
    inputs.map(|input| width(&input.signal)).collect()
}
