//! A laid-out diagram as shapes.

use super::{
    Diagram, DiagramNode,
    layers::{Size, layered},
    layout::{Layout, layout},
};
use crate::{
    colour::{INK, MUTED, Rgb, WHITE, box_hue},
    figure::{Anchor, Figure, Path, Point, Rect, Segment, Shape, Stroke, point},
    text::Font,
};

/// Longest line of a box, in pixels.
const LINE_LIMIT: f64 = 300.0;
/// Longest label of an edge, in pixels.
const LABEL_LIMIT: f64 = 180.0;
/// Around everything, in pixels.
const MARGIN: f64 = 24.0;
/// Between a box's outline and its text, in pixels.
const PADDING: (f64, f64) = (14.0, 9.0);
/// Length and half width of an arrow's head, in pixels.
const HEAD: (f64, f64) = (8.0, 4.0);
/// How far an edge from a node to itself reaches to the right, in pixels.
const LOOP: f64 = 24.0;

const EDGE: Rgb = Rgb(113, 122, 136);

/// A box's fill and outline.
struct Paint {
    fill: Rgb,
    line: Rgb,
}

impl Paint {
    fn of(section: Option<usize>) -> Self {
        match section {
            Some(index) => {
                let hue = box_hue(index);
                Self {
                    fill: Rgb::oklch(0.955, 0.03, hue),
                    line: Rgb::oklch(0.6, 0.12, hue),
                }
            }
            None => Self {
                fill: Rgb(246, 247, 249),
                line: Rgb(140, 148, 160),
            },
        }
    }
}

/// Finds the places of all boxes, edges and labels.
pub(super) fn arrange(diagram: &Diagram) -> Layout {
    let edges = diagram.resolved_edges();
    let label_width = |label: &str| Font::Small.width(&Font::Small.fit(label, LABEL_LIMIT));
    let sizes: Vec<Size> = diagram
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let loops = edges.iter().filter(|&&(from, to, _)| from == i && to == i);
            // Room for the loop and its label.
            let margin = loops
                .map(|(_, _, edge)| LOOP + label_width(&edge.label) / 2.0)
                .fold(0.0, f64::max);
            Size { margin, ..size(node) }
        })
        .collect();
    let labelled: Vec<(usize, usize, Option<Size>)> = edges
        .iter()
        .map(|&(from, to, edge)| {
            let size = Size {
                width: label_width(&edge.label) + 8.0,
                height: Font::Small.line_height(),
                margin: 0.0,
            };
            (from, to, (!edge.label.trim().is_empty()).then_some(size))
        })
        .collect();
    layout(&layered(&sizes, &labelled))
}

pub(super) fn draw(diagram: &Diagram) -> Figure {
    let layout = arrange(diagram);
    let edges = diagram.resolved_edges();
    let mut figure = Figure::new(&diagram.title);
    let title_at = point(MARGIN, MARGIN + 8.0);
    let title = Font::Title.fit(&diagram.title, layout.width.max(600.0));
    figure.text(title_at, Anchor::Start, Font::Title, INK, &title);
    let room = layout.width.max(Font::Title.width(&title)).max(420.0);
    let legend_bottom = legend(&mut figure, diagram, room);
    let origin = point(MARGIN + (room - layout.width) / 2.0, legend_bottom + 22.0);
    let shapes = figure.shapes.len();
    for (i, &(from, _, edge)) in edges.iter().enumerate() {
        let stroke = Stroke {
            colour: EDGE,
            width: 1.5,
            dashed: edge.dashed,
        };
        match &layout.paths[i] {
            Some(path) => arrow(&mut figure, path, stroke),
            None => arrow(&mut figure, &self_loop(layout.boxes[from]), stroke),
        }
    }
    labels(&mut figure, &layout, &edges);
    let sections = diagram.sections();
    for (node, rect) in diagram.nodes.iter().zip(&layout.boxes) {
        let colour = sections.iter().find(|(name, _)| *name == node.section);
        boxed(&mut figure, node, *rect, &Paint::of(colour.map(|s| s.1)));
    }
    for shape in &mut figure.shapes[shapes..] {
        shift(shape, origin);
    }
    figure.width = room + 2.0 * MARGIN;
    figure.height = origin.y + layout.height + MARGIN;
    figure
}

fn lines(node: &DiagramNode) -> impl Iterator<Item = (Font, String)> {
    let title = (Font::Bold, Font::Bold.fit(&node.title, LINE_LIMIT));
    let rest = node.lines.iter().map(|l| (Font::Body, Font::Body.fit(l, LINE_LIMIT)));
    [title].into_iter().chain(rest)
}

fn size(node: &DiagramNode) -> Size {
    let width = lines(node).map(|(font, text)| font.width(&text));
    let height: f64 = lines(node).map(|(font, _)| font.line_height()).sum();
    Size {
        width: (width.fold(60.0, f64::max) + 2.0 * PADDING.0).ceil(),
        height: height + 2.0 * PADDING.1,
        margin: 0.0,
    }
}

fn boxed(figure: &mut Figure, node: &DiagramNode, rect: Rect, paint: &Paint) {
    figure.shapes.push(Shape::Box {
        rect,
        radius: 7.0,
        fill: paint.fill,
        stroke: Some(Stroke {
            colour: paint.line,
            width: 1.5,
            dashed: node.dashed,
        }),
    });
    let mut y = rect.y + PADDING.1;
    for (font, text) in lines(node) {
        let at = point(rect.centre().x, y + font.line_height() / 2.0);
        let colour = if font == Font::Bold { INK } else { MUTED };
        figure.text(at, Anchor::Middle, font, colour, &text);
        y += font.line_height();
    }
}

fn labels(figure: &mut Figure, layout: &Layout, edges: &[(usize, usize, &super::DiagramEdge)]) {
    for (i, (from, to, edge)) in edges.iter().enumerate() {
        let text = Font::Small.fit(&edge.label, LABEL_LIMIT);
        if let Some(rect) = layout.labels[i] {
            figure.fill(rect, 3.0, WHITE);
            figure.text(rect.centre(), Anchor::Middle, Font::Small, MUTED, &text);
        } else if from == to {
            let rect = layout.boxes[*from];
            let at = point(rect.right() + LOOP, rect.y - 6.0);
            figure.text(at, Anchor::Middle, Font::Small, MUTED, &text);
        }
    }
}

/// A path with an arrow's head at its end.
fn arrow(figure: &mut Figure, path: &Path, stroke: Stroke) {
    let mut path = path.clone();
    let before = match path.segments.as_slice() {
        [.., Segment::Curve(_, control, _)] => *control,
        [.., Segment::Line(end) | Segment::Curve(_, _, end), Segment::Line(_)] => *end,
        _ => path.start,
    };
    let Some(Segment::Line(end) | Segment::Curve(_, _, end)) = path.segments.last_mut() else {
        return;
    };
    let tip = *end;
    let length = (tip.x - before.x).hypot(tip.y - before.y).max(1e-9);
    let (dx, dy) = ((tip.x - before.x) / length, (tip.y - before.y) / length);
    let back = point(tip.x - HEAD.0 * dx, tip.y - HEAD.0 * dy);
    // The line ends inside the head, whose tip is thinner than it.
    *end = point(tip.x - 0.7 * HEAD.0 * dx, tip.y - 0.7 * HEAD.0 * dy);
    let side = |sign: f64| point(back.x - sign * HEAD.1 * dy, back.y + sign * HEAD.1 * dx);
    figure.shapes.push(Shape::Path(path, stroke));
    let corners = [tip, side(1.0), side(-1.0)];
    figure.shapes.push(Shape::Arrow(corners, stroke.colour));
}

/// From a box's right side back to it.
fn self_loop(rect: Rect) -> Path {
    let (x, y) = (rect.right(), rect.centre().y);
    Path {
        start: point(x, y - 9.0),
        segments: vec![Segment::Curve(
            point(x + 1.2 * LOOP, y - 14.0),
            point(x + 1.2 * LOOP, y + 9.0),
            point(x, y + 9.0),
        )],
    }
}

/// One entry a section, and what dashes mean; returns where it ends.
fn legend(figure: &mut Figure, diagram: &Diagram, room: f64) -> f64 {
    let sections = diagram.sections();
    let mut entries: Vec<(&str, Option<usize>, bool)> = sections
        .iter()
        .map(|&(name, colour)| (name, Some(colour), false))
        .collect();
    if diagram.nodes.iter().any(|node| node.dashed) && !diagram.dashed_nodes.is_empty() {
        entries.push((&diagram.dashed_nodes, None, true));
    }
    let boxes = entries.len();
    if diagram.edges.iter().any(|edge| edge.dashed) && !diagram.dashed_edges.is_empty() {
        entries.push((&diagram.dashed_edges, None, true));
    }
    let top = MARGIN + 26.0;
    let (mut x, mut y) = (MARGIN, top);
    for (i, &(name, colour, dashed)) in entries.iter().enumerate() {
        let name = Font::Body.fit(name, LINE_LIMIT);
        let width = 26.0 + Font::Body.width(&name) + 16.0;
        if x > MARGIN && x + width > MARGIN + room {
            (x, y) = (MARGIN, y + 20.0);
        }
        let paint = Paint::of(colour);
        let stroke = Stroke {
            colour: if i < boxes { paint.line } else { EDGE },
            width: 1.5,
            dashed,
        };
        if i < boxes {
            figure.shapes.push(Shape::Box {
                rect: Rect {
                    x,
                    y: y + 2.0,
                    width: 20.0,
                    height: 12.0,
                },
                radius: 3.0,
                fill: paint.fill,
                stroke: Some(stroke),
            });
        } else {
            let path = Path::line(point(x, y + 8.0), point(x + 22.0, y + 8.0));
            arrow(figure, &path, stroke);
        }
        let at = point(x + 27.0, y + 8.0);
        figure.text(at, Anchor::Start, Font::Body, MUTED, &name);
        x += width;
    }
    if entries.is_empty() { MARGIN + 16.0 } else { y + 16.0 }
}

fn shift(shape: &mut Shape, by: Point) {
    let shift = |p: &mut Point| *p = point(p.x + by.x, p.y + by.y);
    match shape {
        Shape::Box { rect, .. } => {
            rect.x += by.x;
            rect.y += by.y;
        }
        Shape::Path(path, _) => {
            shift(&mut path.start);
            for segment in &mut path.segments {
                match segment {
                    Segment::Line(end) => shift(end),
                    Segment::Curve(a, b, end) => [a, b, end].into_iter().for_each(shift),
                }
            }
        }
        Shape::Arrow(corners, _) => corners.iter_mut().for_each(shift),
        Shape::Dots { at, .. } => at.iter_mut().for_each(shift),
        Shape::Raster(raster) => {
            raster.rect.x += by.x;
            raster.rect.y += by.y;
        }
        Shape::Text { at, .. } => shift(at),
    }
}
