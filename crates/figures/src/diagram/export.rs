//! Diagrams as text for other programs to lay out.

use std::fmt::Write as _;

use super::Diagram;
use crate::colour::{Rgb, box_hue};

/// Fill and outline of a section's boxes, as `#rrggbb`.
fn colours(index: usize) -> (String, String) {
    let hex = |Rgb(r, g, b): Rgb| format!("#{r:02x}{g:02x}{b:02x}");
    let hue = box_hue(index);
    (hex(Rgb::oklch(0.955, 0.03, hue)), hex(Rgb::oklch(0.6, 0.12, hue)))
}

pub(super) fn dot(diagram: &Diagram) -> String {
    let mut out = format!(
        "digraph {} {{\n  rankdir=TB;\n  node [shape=box, style=\"rounded,filled\", \
         fillcolor=\"#f6f7f9\", fontname=\"Helvetica\"];\n  edge [fontname=\"Helvetica\", fontsize=11];\n",
        quoted(&diagram.title)
    );
    let sections = diagram.sections();
    for node in &diagram.nodes {
        let lines = [&node.title].into_iter().chain(&node.lines);
        let label: Vec<&str> = lines.map(String::as_str).collect();
        let mut line = format!("  {} [label={}", quoted(&node.id), quoted(&label.join("\n")));
        if let Some((_, index)) = sections.iter().find(|(name, _)| *name == node.section) {
            let (fill, outline) = colours(*index);
            let _ = write!(line, ", fillcolor=\"{fill}\", color=\"{outline}\"");
        }
        if node.dashed {
            line.push_str(", style=\"rounded,filled,dashed\"");
        }
        let _ = writeln!(out, "{line}];");
    }
    for (_, _, edge) in diagram.resolved_edges() {
        let mut attributes = Vec::new();
        if !edge.label.is_empty() {
            attributes.push(format!("label={}", quoted(&edge.label)));
        }
        if edge.dashed {
            attributes.push("style=dashed".into());
        }
        let attributes = if attributes.is_empty() {
            String::new()
        } else {
            format!(" [{}]", attributes.join(", "))
        };
        let _ = writeln!(out, "  {} -> {}{attributes};", quoted(&edge.from), quoted(&edge.to));
    }
    out.push_str("}\n");
    out
}

/// A quoted DOT string in which nothing is special.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn mermaid(diagram: &Diagram) -> String {
    let mut out = String::from("flowchart TB\n");
    // Ids of our own: names may be Mermaid's keywords.
    let sections = diagram.sections();
    for (i, node) in diagram.nodes.iter().enumerate() {
        let lines = [&node.title].into_iter().chain(&node.lines);
        let label: Vec<String> = lines.map(|line| entities(line)).collect();
        let _ = writeln!(out, "  n{i}[\"{}\"]", label.join("<br/>"));
    }
    for (from, to, edge) in diagram.resolved_edges() {
        let arrow = if edge.dashed { "-.->" } else { "-->" };
        let label = if edge.label.is_empty() {
            String::new()
        } else {
            format!("|\"{}\"|", entities(&edge.label))
        };
        let _ = writeln!(out, "  n{from} {arrow}{label} n{to}");
    }
    for (name, index) in &sections {
        let (fill, outline) = colours(*index);
        let _ = writeln!(out, "  classDef s{index} fill:{fill},stroke:{outline},color:#1f2937");
        let members: Vec<String> = (0..diagram.nodes.len())
            .filter(|&i| diagram.nodes[i].section == *name)
            .map(|i| format!("n{i}"))
            .collect();
        let _ = writeln!(out, "  class {} s{index}", members.join(","));
    }
    let dashed: Vec<String> = (0..diagram.nodes.len())
        .filter(|&i| diagram.nodes[i].dashed)
        .map(|i| format!("n{i}"))
        .collect();
    if !dashed.is_empty() {
        out.push_str("  classDef dashed stroke-dasharray:5 4\n");
        let _ = writeln!(out, "  class {} dashed", dashed.join(","));
    }
    out
}

/// Text in which Mermaid finds neither markup, Markdown nor the end of the string.
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '*' | '_' | '~' | '|' | '$' | '%' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
