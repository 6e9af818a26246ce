//! Straightens edges that pass through several layers.

use super::{layers::Layered, layout::separation};

/// A span of places, in pixels.
pub(super) type Span = (f64, f64);

/// Moves the places where edges pass through layers so that each edge runs straight down for as long
/// as its neighbours let it; `ends` are the spans where each edge may leave and reach its boxes.
pub(super) fn straighten(graph: &Layered, x: &mut [f64], ends: &[(Span, Span)]) {
    let mut place = vec![0; x.len()];
    for layer in &graph.layers {
        for (i, &v) in layer.iter().enumerate() {
            place[v] = i;
        }
    }
    for (chain, &(start, end)) in graph.chains.iter().zip(ends) {
        let Some([_, inner @ .., _]) = chain.as_ref().map(|c| c.vertices.as_slice()) else {
            continue;
        };
        let mut rest = inner;
        while !rest.is_empty() {
            // As many layers as have one place in common.
            let mut common = (f64::NEG_INFINITY, f64::INFINITY);
            let mut length = 0;
            for &v in rest {
                let both = intersect(common, free(graph, x, &place, v));
                if both.0 > both.1 {
                    break;
                }
                common = both;
                length += 1;
            }
            // Rounding may leave a place that seems to have no room: it stays.
            let (run, next) = rest.split_at(length.max(1));
            let start = Some(start).filter(|_| rest.len() == inner.len());
            let end = Some(end).filter(|_| next.is_empty());
            let mut places: Vec<f64> = run.iter().map(|&v| x[v]).collect();
            places.sort_by(f64::total_cmp);
            let usual = places[places.len() / 2];
            rest = next;
            if length == 0 {
                continue;
            }
            // Best is no bend at either end, then none at the arrow, then none at the beginning.
            let everywhere = (f64::NEG_INFINITY, f64::INFINITY);
            let wishes = [(start, end), (None, end), (start, None), (None, None)];
            let best = wishes
                .into_iter()
                .map(|(start, end)| {
                    let wish = intersect(start.unwrap_or(everywhere), end.unwrap_or(everywhere));
                    intersect(common, wish)
                })
                .find(|span| span.0 <= span.1);
            if let Some((low, high)) = best {
                for &v in run {
                    x[v] = usual.clamp(low, high);
                }
            }
        }
    }
}

fn intersect(a: Span, b: Span) -> Span {
    (a.0.max(b.0), a.1.min(b.1))
}

/// Where a vertex can move without coming too close to its neighbours.
fn free(graph: &Layered, x: &[f64], place: &[usize], v: usize) -> Span {
    let vertex = &graph.vertices[v];
    let layer = &graph.layers[vertex.layer];
    let left = place[v].checked_sub(1).and_then(|i| layer.get(i));
    let right = layer.get(place[v] + 1);
    (
        left.map_or(f64::NEG_INFINITY, |&n| x[n] + separation(&graph.vertices[n], vertex)),
        right.map_or(f64::INFINITY, |&n| x[n] - separation(vertex, &graph.vertices[n])),
    )
}
