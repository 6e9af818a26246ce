//! What holds for every diagram, on graphs that are made up.

use super::{Diagram, DiagramEdge, DiagramNode, draw};
use crate::figure::{Path, Point, Rect, Segment, Shape, point};

fn node(id: &str) -> DiagramNode {
    DiagramNode {
        id: id.into(),
        title: id.into(),
        ..DiagramNode::default()
    }
}

fn edge(from: &str, to: &str, label: &str) -> DiagramEdge {
    DiagramEdge {
        from: from.into(),
        to: to.into(),
        label: label.into(),
        dashed: false,
    }
}

/// A graph of `nodes`; only a wild one has cycles.
fn made_up(seed: u64, nodes: usize, wild: bool) -> Diagram {
    let mut state = seed;
    let mut below = |limit: usize| {
        // Knuth's MMIX constants.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut diagram = Diagram::default();
    for i in 0..nodes {
        let lines = vec!["a line".repeat(1 + below(5)); below(4)];
        diagram.nodes.push(DiagramNode {
            lines,
            section: format!("section {}", below(12)),
            dashed: below(4) == 0,
            ..node(&i.to_string())
        });
        for _ in 0..below(4).min(i) {
            let other = below(if wild { nodes } else { i });
            let label = ["", "", "audio", "a long label"][below(4)];
            let edge = edge(&other.to_string(), &i.to_string(), label);
            diagram.edges.push(edge);
        }
    }
    diagram
}

fn each(check: impl Fn(&Diagram)) {
    for seed in 0..40 {
        check(&made_up(seed, 1 + seed as usize * 3 / 2, seed % 3 == 0));
    }
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

/// Places along a path, close to one another.
fn places(path: &Path) -> Vec<Point> {
    let mut at = path.start;
    let mut places = Vec::new();
    for segment in &path.segments {
        let (a, b, end) = match *segment {
            Segment::Line(end) => (at, end, end),
            Segment::Curve(a, b, end) => (a, b, end),
        };
        places.extend((1..=24).map(|i| {
            let t = f64::from(i) / 24.0;
            let u = 1.0 - t;
            let mix = |of: fn(&Point) -> f64| {
                u * u * u * of(&at) + 3.0 * u * u * t * of(&a) + 3.0 * u * t * t * of(&b) + t * t * t * of(&end)
            };
            point(mix(|p| p.x), mix(|p| p.y))
        }));
        at = end;
    }
    places
}

#[test]
fn boxes_and_labels_never_overlap() {
    each(|diagram| {
        let layout = draw::arrange(diagram);
        assert_eq!(layout.boxes.len(), diagram.nodes.len());
        let labels = layout.labels.iter().flatten();
        let rects: Vec<&Rect> = layout.boxes.iter().chain(labels).collect();
        for (i, a) in rects.iter().enumerate() {
            assert!(a.x > -0.01 && a.right() < layout.width + 0.01);
            assert!(a.y > -0.01 && a.bottom() < layout.height + 0.01);
            for b in &rects[..i] {
                assert!(!overlap(a, b), "{a:?} and {b:?}");
            }
        }
    });
}

#[test]
fn no_edge_runs_through_a_box() {
    each(|diagram| {
        let layout = draw::arrange(diagram);
        for path in layout.paths.iter().flatten() {
            for at in places(path) {
                let hit = layout.boxes.iter().find(|rect| {
                    let inside = |low: f64, value: f64, high: f64| low + 0.1 < value && value < high - 0.1;
                    inside(rect.x, at.x, rect.right()) && inside(rect.y, at.y, rect.bottom())
                });
                assert_eq!(hit, None, "{at:?}");
            }
        }
    });
}

#[test]
fn every_edge_leads_from_its_box_to_its_box_with_one_arrow() {
    each(|diagram| {
        let layout = draw::arrange(diagram);
        let edges = diagram.resolved_edges();
        assert_eq!(edges.len(), diagram.edges.len());
        for (path, (from, to, _)) in layout.paths.iter().zip(&edges) {
            let Some(path) = path else {
                assert_eq!(from, to);
                continue;
            };
            let end = places(path).last().copied();
            for (at, node) in [(Some(path.start), from), (end, to)] {
                let at = at.unwrap();
                let rect = &layout.boxes[*node];
                assert!(at.x >= rect.x && at.x <= rect.right(), "{at:?} {rect:?}");
                let sides = [rect.y, rect.bottom()];
                assert!(sides.iter().any(|y| (y - at.y).abs() < 0.02), "{at:?} {rect:?}");
            }
        }
        let figure = diagram.draw();
        let arrows = figure.shapes.iter().filter(|s| matches!(s, Shape::Arrow(..)));
        assert_eq!(arrows.count(), edges.len());
        for (text, count) in [(diagram.to_dot(), " -> "), (diagram.to_mermaid(), ">")] {
            let lines = text.lines().filter(|l| l.contains(count) && !l.contains("[\""));
            assert_eq!(lines.count(), edges.len(), "{text}");
        }
    });
}

#[test]
fn the_same_diagram_gives_the_same_bytes() {
    let diagram = made_up(7, 30, true);
    assert_eq!(diagram.to_svg(), diagram.to_svg());
    let png = diagram.to_png().unwrap();
    assert_eq!(png, diagram.to_png().unwrap());
}

#[test]
fn the_image_decodes_and_shows_the_boxes() {
    let mut diagram = made_up(3, 12, false);
    diagram.title = "über → all…".into();
    let image = diagram.to_png().unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(&image.bytes));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (image.width, image.height));
    let figure = diagram.draw();
    let fills = figure.shapes.iter().filter_map(|shape| match shape {
        Shape::Box { rect, fill, .. } => Some((point(rect.x + 4.5, rect.y + 6.5), *fill)),
        _ => None,
    });
    let mut boxes = 0;
    for (at, fill) in fills.filter(|(_, fill)| fill.0 < 255) {
        let offset = (at.y as usize * image.width as usize + at.x as usize) * 3;
        assert_eq!(pixels[offset..offset + 3], [fill.0, fill.1, fill.2], "{at:?}");
        boxes += 1;
    }
    assert!(boxes >= 12);
}

#[test]
fn special_characters_are_text_in_every_form() {
    let name = "<b>\"&'\\ #quot; `x` | end\n]";
    let diagram = Diagram {
        title: name.into(),
        nodes: vec![
            DiagramNode {
                lines: vec![name.into()],
                section: name.into(),
                ..node(name)
            },
            node("end"),
        ],
        edges: vec![edge(name, "end", name), edge("end", "nowhere", "lost")],
        ..Diagram::default()
    };
    let svg = diagram.to_svg();
    assert!(svg.contains("&lt;b&gt;&quot;&amp;&#39;\\ #quot; `x` | end ]"), "{svg}");
    assert!(!svg.contains("<b>") && !svg.contains("lost"));
    let dot = diagram.to_dot();
    assert!(dot.contains(r##""<b>\"&'\\ #quot; `x` | end\n]" -> "end""##), "{dot}");
    let mermaid = diagram.to_mermaid();
    let escaped = "#60;b#62;#34;#38;'#92; #35;quot#59; #96;x#96; #124; end ]";
    let lines = [
        "flowchart TB".to_owned(),
        format!("  n0[\"{escaped}<br/>{escaped}\"]"),
        "  n1[\"end\"]".to_owned(),
        format!("  n0 -->|\"{escaped}\"| n1"),
    ];
    assert!(mermaid.starts_with(&lines.join("\n")), "{mermaid}");
}

#[test]
fn known_sections_keep_their_colour_whatever_else_there_is() {
    let sections = |names: &[&str]| {
        let with_section = |name: &&str| DiagramNode {
            section: (*name).into(),
            ..node(name)
        };
        let diagram = Diagram {
            nodes: names.iter().map(with_section).collect(),
            ..Diagram::default()
        };
        let sections = diagram.sections().into_iter();
        sections.map(|(_, colour)| colour).collect::<Vec<_>>()
    };
    assert_eq!(sections(&["losses", "mine", "datasets", "", "yours"]), [6, 8, 0, 9]);
    assert_eq!(sections(&["datasets"]), [0]);
}
