//! Diagrams of directed graphs.

mod draw;
mod export;
mod layers;
mod layout;
mod straight;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::{Figure, FigureError, PngImage};

/// A directed graph to look at, drawn from top to bottom.
///
/// Boxes never overlap and no edge runs through a box. Cycles and parallel edges are drawn as they
/// are. An edge whose end is not among `nodes` is left out, in every form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagram {
    /// Above the diagram.
    pub title: String,
    /// The boxes.
    pub nodes: Vec<DiagramNode>,
    /// The arrows.
    pub edges: Vec<DiagramEdge>,
    /// What a dashed outline means, for the legend; may be empty.
    pub dashed_nodes: String,
    /// What a dashed arrow means, for the legend; may be empty.
    pub dashed_edges: String,
}

/// A box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagramNode {
    /// What edges call it by; of several with the same id the first counts.
    pub id: String,
    /// Its first line.
    pub title: String,
    /// Its further lines.
    pub lines: Vec<String>,
    /// What it belongs to: gives its colour and an entry in the legend.
    pub section: String,
    /// Whether its outline is dashed.
    pub dashed: bool,
}

/// An arrow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagramEdge {
    /// Id of the node it leaves.
    pub from: String,
    /// Id of the node it points to.
    pub to: String,
    /// Written on it; may be empty.
    pub label: String,
    /// Whether it is dashed.
    pub dashed: bool,
}

/// Sections whose colour does not depend on what else a diagram holds.
const SECTIONS: [&str; 8] = [
    "datasets",
    "augmentations",
    "encoders",
    "blocks",
    "heads",
    "generators",
    "losses",
    "policies",
];

impl Diagram {
    /// Lays the diagram out, for [`Figure::to_svg`] and [`Figure::to_png`].
    pub fn draw(&self) -> Figure {
        draw::draw(self)
    }

    /// The diagram as an SVG document.
    pub fn to_svg(&self) -> String {
        self.draw().to_svg()
    }

    /// The diagram as an image.
    ///
    /// # Errors
    /// It would have more than 32 million pixels.
    pub fn to_png(&self) -> Result<PngImage, FigureError> {
        self.draw().to_png()
    }

    /// The diagram in Graphviz's language.
    pub fn to_dot(&self) -> String {
        export::dot(self)
    }

    /// The diagram as a Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        export::mermaid(self)
    }

    /// The edges with both ends among the nodes, as places of the nodes.
    fn resolved_edges(&self) -> Vec<(usize, usize, &DiagramEdge)> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            places.entry(&node.id).or_insert(place);
        }
        let place = |id: &String| places.get(id.as_str()).copied();
        self.edges
            .iter()
            .filter_map(|edge| Some((place(&edge.from)?, place(&edge.to)?, edge)))
            .collect()
    }

    /// The sections in order of appearance, each with the number of its colour.
    fn sections(&self) -> Vec<(&str, usize)> {
        let mut sections: Vec<(&str, usize)> = Vec::new();
        for node in &self.nodes {
            let name = node.section.as_str();
            if name.is_empty() || sections.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let others = sections.iter().filter(|(_, colour)| *colour >= SECTIONS.len());
            let colour = SECTIONS
                .iter()
                .position(|known| *known == name)
                .unwrap_or(SECTIONS.len() + others.count());
            sections.push((name, colour));
        }
        sections
    }
}
