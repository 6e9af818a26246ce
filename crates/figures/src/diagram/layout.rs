//! The second half of a layered layout: coordinates of boxes, edges and labels.

use super::{
    layers::{Chain, Layered, Vertex},
    straight::{Span, straighten},
};
use crate::figure::{Path, Point, Rect, Segment, point};

/// Between two boxes of a layer, in pixels.
const BOX_GAP: f64 = 28.0;
/// Between two edges that pass through a layer, in pixels.
const EDGE_GAP: f64 = 16.0;
/// Between two edges at the side of a box, in pixels.
const PORT_GAP: f64 = 14.0;
/// From a box's corner to its first edge, in pixels.
const PORT_INSET: f64 = 14.0;
/// Passes over all layers that pull vertices towards their neighbours.
const PASSES: usize = 60;
/// Rounds in which edges and the ports of boxes adapt to each other.
const ROUNDS: usize = 5;

/// Coordinates with the upper left corner at (0, 0).
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    /// One a box, as they were given.
    pub boxes: Vec<Rect>,
    /// One an edge, as they were given, in the direction of its arrow; none for an edge from a node
    /// to itself.
    pub paths: Vec<Option<Path>>,
    /// One an edge: where its label has been left room.
    pub labels: Vec<Option<Rect>>,
}

/// Finds coordinates for a layered graph.
pub(super) fn layout(graph: &Layered) -> Layout {
    let mut x = horizontal(graph);
    let mut ends: Vec<(Span, Span)> = graph
        .chains
        .iter()
        .map(|chain| match chain.as_ref().map(|c| c.vertices.as_slice()) {
            Some([first, .., last]) => (port_span(graph, &x, *first), port_span(graph, &x, *last)),
            _ => ((0.0, 0.0), (0.0, 0.0)),
        })
        .collect();
    let mut ports = Vec::new();
    for _ in 0..ROUNDS {
        straighten(graph, &mut x, &ends);
        ports = place_ports(graph, &x, &ports);
        // The next round aims at the very ports.
        ends = ports.iter().map(|&(a, b)| ((a, a), (b, b))).collect();
    }
    from_zero(graph, &mut x, &mut ports);
    let (tops, heights, height) = vertical(graph, &x, &ports);
    let rect = |v: usize| {
        let vertex = &graph.vertices[v];
        let middle = tops[vertex.layer] + heights[vertex.layer] / 2.0;
        Rect {
            x: x[v] - vertex.size.width / 2.0,
            y: middle - vertex.size.height / 2.0,
            width: vertex.size.width,
            height: vertex.size.height,
        }
    };
    let boxes = (0..graph.vertices.len())
        .take_while(|&v| graph.vertices[v].is_box)
        .map(rect)
        .collect();
    let labels = graph
        .chains
        .iter()
        .map(|chain| chain.as_ref()?.label.map(rect))
        .collect();
    let paths = graph
        .chains
        .iter()
        .zip(&ports)
        .map(|(chain, &(start, end))| {
            let Chain { vertices, reversed, .. } = chain.as_ref()?;
            let (&upper, &lower) = (vertices.first()?, vertices.last()?);
            let mut knots = vec![point(start, rect(upper).bottom())];
            let layer = graph.vertices[upper].layer;
            knots.push(point(start, tops[layer] + heights[layer]));
            for &vertex in &vertices[1..vertices.len() - 1] {
                let layer = graph.vertices[vertex].layer;
                knots.push(point(x[vertex], tops[layer]));
                knots.push(point(x[vertex], tops[layer] + heights[layer]));
            }
            knots.push(point(end, tops[graph.vertices[lower].layer]));
            knots.push(point(end, rect(lower).y));
            let mut path = smooth(&knots);
            if *reversed {
                path = backwards(&path);
            }
            Some(path)
        })
        .collect();
    let right = |v: usize| x[v] + graph.vertices[v].reach();
    Layout {
        width: (0..x.len()).map(right).fold(0.0, f64::max),
        height,
        boxes,
        paths,
        labels,
    }
}

/// The least distance of the centres of two neighbours in a layer.
pub(super) fn separation(left: &Vertex, right: &Vertex) -> f64 {
    let gap = if left.is_box && right.is_box { BOX_GAP } else { EDGE_GAP };
    left.reach() + right.reach() + gap
}

/// The centre of each vertex: near its neighbours above and below, and edges as straight as can be.
fn horizontal(graph: &Layered) -> Vec<f64> {
    let mut x = vec![0.0; graph.vertices.len()];
    for layer in &graph.layers {
        let mut at = 0.0;
        for (i, &v) in layer.iter().enumerate() {
            if i > 0 {
                at += separation(&graph.vertices[layer[i - 1]], &graph.vertices[v]);
            }
            x[v] = at;
        }
    }
    // A straight line through several layers matters more than a box above the middle of its users.
    let pull = |a: &Vertex, b: &Vertex| match (a.is_box, b.is_box) {
        (true, true) => 1.0,
        (false, false) => 8.0,
        _ => 2.0,
    };
    for pass in 0..PASSES {
        let down = pass % 2 == 0;
        let both = pass + 4 >= PASSES;
        let mut order: Vec<usize> = (0..graph.layers.len()).collect();
        if !down {
            order.reverse();
        }
        for layer in order {
            let layer = &graph.layers[layer];
            let wishes: Vec<(f64, f64)> = layer
                .iter()
                .map(|&v| {
                    let vertex = &graph.vertices[v];
                    let above: &[usize] = if down || both { &vertex.above } else { &[] };
                    let below: &[usize] = if !down || both { &vertex.below } else { &[] };
                    let (mut sum, mut weight) = (0.0, 0.0);
                    for &other in above.iter().chain(below) {
                        let pull = pull(vertex, &graph.vertices[other]);
                        sum += pull * x[other];
                        weight += pull;
                    }
                    if weight > 0.0 {
                        (sum / weight, weight)
                    } else {
                        (x[v], 0.01)
                    }
                })
                .collect();
            let gaps: Vec<f64> = layer
                .windows(2)
                .map(|pair| separation(&graph.vertices[pair[0]], &graph.vertices[pair[1]]))
                .collect();
            for (&v, place) in layer.iter().zip(spread(&wishes, &gaps)) {
                x[v] = place;
            }
        }
    }
    x
}

/// Moves everything so that the leftmost is at 0.
fn from_zero(graph: &Layered, x: &mut [f64], ports: &mut [(f64, f64)]) {
    let left = (0..x.len())
        .map(|v| x[v] - graph.vertices[v].reach())
        .fold(f64::INFINITY, f64::min);
    if left.is_finite() {
        x.iter_mut().for_each(|place| *place -= left);
        for (start, end) in ports {
            *start -= left;
            *end -= left;
        }
    }
}

/// The places nearest to the wishes `(place, weight)`, in least squares, that keep the gaps.
///
/// # Source
/// Isotonic regression by pooling adjacent violators, on the wishes less the gaps before them.
fn spread(wishes: &[(f64, f64)], gaps: &[f64]) -> Vec<f64> {
    struct Pool {
        sum: f64,
        weight: f64,
        members: usize,
    }
    impl Pool {
        fn place(&self) -> f64 {
            self.sum / self.weight
        }
    }
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(wishes.len());
    let mut pools: Vec<Pool> = Vec::new();
    for (i, &(wish, weight)) in wishes.iter().enumerate() {
        if i > 0 {
            offset += gaps[i - 1];
        }
        offsets.push(offset);
        let mut pool = Pool {
            sum: weight * (wish - offset),
            weight,
            members: 1,
        };
        while let Some(before) = pools.pop_if(|before| before.place() > pool.place()) {
            pool.sum += before.sum;
            pool.weight += before.weight;
            pool.members += before.members;
        }
        pools.push(pool);
    }
    let places = pools
        .iter()
        .flat_map(|pool| std::iter::repeat_n(pool.place(), pool.members));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

/// Where edges may leave or reach a vertex.
fn port_span(graph: &Layered, x: &[f64], v: usize) -> Span {
    let vertex = &graph.vertices[v];
    let half = if vertex.is_box {
        (vertex.size.width / 2.0 - PORT_INSET).max(0.0)
    } else {
        0.0
    };
    (x[v] - half, x[v] + half)
}

/// Where each edge leaves its upper and reaches its lower box, given where it did `before`.
fn place_ports(graph: &Layered, x: &[f64], before: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let span = |v: usize| port_span(graph, x, v);
    // An edge between boxes that lie one above the other can run straight down where both have room.
    let wish = |own: usize, other: usize, opposite: Option<f64>| {
        let ((left, right), (other_left, other_right)) = (span(own), span(other));
        let (low, high) = (left.max(other_left), right.min(other_right));
        match opposite.filter(|_| graph.vertices[other].is_box) {
            Some(port) => port.clamp(left, right),
            None if low <= high => (low + high) / 2.0,
            None => x[other].clamp(left, right),
        }
    };
    let mut ports = vec![(0.0, 0.0); graph.chains.len()];
    for v in (0..graph.vertices.len()).take_while(|&v| graph.vertices[v].is_box) {
        for lower_side in [true, false] {
            let mut ends: Vec<(f64, f64, usize)> = Vec::new();
            for (i, chain) in graph.chains.iter().enumerate() {
                let Some(vertices) = chain.as_ref().map(|c| &c.vertices) else {
                    continue;
                };
                let (other, opposite) = match vertices.as_slice() {
                    [first, next, ..] if lower_side && *first == v => (*next, before.get(i).map(|ports| ports.1)),
                    [.., next, last] if !lower_side && *last == v => (*next, before.get(i).map(|ports| ports.0)),
                    _ => continue,
                };
                ends.push((wish(v, other, opposite), x[other], i));
            }
            ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let (left, right) = span(v);
            let between = ends.len().saturating_sub(1).max(1) as f64;
            let gap = PORT_GAP.min((right - left) / between);
            let wishes: Vec<(f64, f64)> = ends.iter().map(|end| (end.0, 1.0)).collect();
            let gaps = vec![gap; ends.len().saturating_sub(1)];
            let places = spread(&wishes, &gaps);
            // Pooling may push the outermost beyond the corners: then all move together.
            let over = places.last().map_or(0.0, |last| (last - right).max(0.0));
            let places: Vec<f64> = places.iter().map(|place| place - over).collect();
            let under = places.first().map_or(0.0, |first| (left - first).max(0.0));
            for (place, (_, _, i)) in places.iter().zip(ends) {
                let place = (place + under).clamp(left, right);
                if lower_side {
                    ports[i].0 = place;
                } else {
                    ports[i].1 = place;
                }
            }
        }
    }
    ports
}

/// Top and height of each layer, and the height of all.
fn vertical(graph: &Layered, x: &[f64], ports: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>, f64) {
    let count = graph.layers.len();
    let mut heights = vec![0.0_f64; count];
    for vertex in &graph.vertices {
        heights[vertex.layer] = heights[vertex.layer].max(vertex.size.height);
    }
    let with_boxes: Vec<bool> = graph
        .layers
        .iter()
        .map(|layer| layer.iter().any(|&v| graph.vertices[v].is_box))
        .collect();
    // How far the edges below each layer run sideways: the gap grows, so that they do not run flat.
    let mut sideways = vec![0.0_f64; count];
    for (chain, &(start, end)) in graph.chains.iter().zip(ports) {
        let Some([first, inner @ .., _]) = chain.as_ref().map(|c| c.vertices.as_slice()) else {
            continue;
        };
        let places = [start].into_iter().chain(inner.iter().map(|&v| x[v]));
        let nexts = inner.iter().map(|&v| x[v]).chain([end]);
        let layers = graph.vertices[*first].layer..;
        for ((place, next), layer) in places.zip(nexts).zip(layers) {
            sideways[layer] = sideways[layer].max((next - place).abs());
        }
    }
    let mut tops = Vec::with_capacity(count);
    let mut at = 0.0;
    for layer in 0..count {
        tops.push(at);
        let next_to_labels = !with_boxes[layer] || with_boxes.get(layer + 1) == Some(&false);
        let gap = if next_to_labels { 20.0 } else { 36.0 };
        at += heights[layer];
        if layer + 1 < count {
            at += gap + (0.12 * sideways[layer]).min(40.0);
        }
    }
    (tops, heights, at)
}

/// A curve through `knots` from top to bottom that begins and ends vertically and, between two
/// knots, never leaves the span of their `x`: so an edge that passes between boxes stays there.
///
/// # Source
/// Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants",
/// 1984, with x as a function of y.
fn smooth(knots: &[Point]) -> Path {
    let mut points: Vec<Point> = Vec::new();
    for &knot in knots {
        if points.last().is_none_or(|last| knot.y > last.y + 0.01) {
            points.push(knot);
        }
    }
    let secants: Vec<f64> = points
        .windows(2)
        .map(|pair| (pair[1].x - pair[0].x) / (pair[1].y - pair[0].y))
        .collect();
    let slope = |i: usize| {
        let (Some(before), Some(after)) = (i.checked_sub(1).map(|i| secants[i]), secants.get(i)) else {
            return 0.0;
        };
        if before * after <= 0.0 {
            0.0
        } else {
            2.0 * before * after / (before + after)
        }
    };
    let segments = points
        .windows(2)
        .enumerate()
        .map(|(i, pair)| {
            let (a, b) = (pair[0], pair[1]);
            if a.x == b.x && slope(i) == 0.0 && slope(i + 1) == 0.0 {
                return Segment::Line(b);
            }
            let third = (b.y - a.y) / 3.0;
            // Ends that run straight leave more of the height to the bend.
            let reach = |slope: f64| if slope == 0.0 { 1.5 * third } else { third };
            let (first, second) = (reach(slope(i)), reach(slope(i + 1)));
            Segment::Curve(
                point(a.x + slope(i) * first, a.y + first),
                point(b.x - slope(i + 1) * second, b.y - second),
                b,
            )
        })
        .collect();
    let start = points.first().copied().unwrap_or(point(0.0, 0.0));
    Path { start, segments }
}

fn backwards(path: &Path) -> Path {
    let mut start = path.start;
    let mut segments = Vec::new();
    for segment in &path.segments {
        let end = match *segment {
            Segment::Line(end) => {
                segments.push(Segment::Line(start));
                end
            }
            Segment::Curve(a, b, end) => {
                segments.push(Segment::Curve(b, a, start));
                end
            }
        };
        start = end;
    }
    segments.reverse();
    Path { start, segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_met_where_the_gaps_allow() {
        let wishes = [(0.0, 1.0), (0.0, 1.0), (100.0, 1.0)];
        assert_eq!(spread(&wishes, &[10.0, 10.0]), [-5.0, 5.0, 100.0]);
        let heavy = [(0.0, 1.0), (0.0, 3.0)];
        assert_eq!(spread(&heavy, &[8.0]), [-6.0, 2.0]);
        assert_eq!(spread(&[], &[]), [0.0; 0]);
    }

    #[test]
    fn an_edge_backwards_is_the_same_curve() {
        let knots = [point(0.0, 0.0), point(30.0, 40.0), point(30.0, 60.0)];
        let path = smooth(&knots);
        let back = backwards(&path);
        assert_eq!(back.start, point(30.0, 60.0));
        assert_eq!(back.segments.last(), backwards(&backwards(&back)).segments.last());
        assert_eq!(backwards(&back), path);
    }
}
