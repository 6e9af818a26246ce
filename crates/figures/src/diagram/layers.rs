//! The first half of a layered layout: which layer each vertex is in, and in which order.
//!
//! # Source
//! Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures",
//! 1981: longest-path layers, then barycentre sweeps against crossings.

use std::collections::BTreeSet;

/// Sweeps over all layers, each down and up.
const SWEEPS: usize = 24;

/// The size of a box or label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    /// In pixels.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    /// To be left free on both sides, in pixels.
    pub margin: f64,
}

/// A vertex of the layered graph: a box, or the place where a long edge passes through a layer.
#[derive(Clone, Debug)]
pub(super) struct Vertex {
    pub layer: usize,
    /// Of a place on an edge, that of its label.
    pub size: Size,
    /// Whether it is a box.
    pub is_box: bool,
    /// Vertices of the layer above.
    pub above: Vec<usize>,
    /// Vertices of the layer below.
    pub below: Vec<usize>,
}

impl Vertex {
    /// How far it reaches from its middle to either side, in pixels.
    pub fn reach(&self) -> f64 {
        self.size.width / 2.0 + self.size.margin
    }
}

/// One edge, from the upper to the lower end.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// From box to box, one vertex a layer.
    pub vertices: Vec<usize>,
    /// Whether the edge points up.
    pub reversed: bool,
    /// The vertex that holds the edge's label.
    pub label: Option<usize>,
}

/// A graph whose edges lead from each layer to the next.
pub(super) struct Layered {
    /// First the boxes, as they were given.
    pub vertices: Vec<Vertex>,
    /// One an edge, as they were given; none for an edge from a node to itself.
    pub chains: Vec<Option<Chain>>,
    /// The vertices of each layer from left to right.
    pub layers: Vec<Vec<usize>>,
}

/// Puts boxes of the given sizes into layers; `edges` are `(from, to, label size)`.
pub(super) fn layered(sizes: &[Size], edges: &[(usize, usize, Option<Size>)]) -> Layered {
    let position = order(sizes.len(), edges);
    let downward: Vec<(usize, usize)> = edges
        .iter()
        .map(|&(from, to, _)| {
            if position[from] <= position[to] {
                (from, to)
            } else {
                (to, from)
            }
        })
        .collect();
    // Labels get layers of their own between those of the boxes, so that they overlap nothing.
    let stride = if edges.iter().any(|(_, _, label)| label.is_some()) {
        2
    } else {
        1
    };
    let layer_of = layers(&position, &downward);
    let mut vertices: Vec<Vertex> = sizes
        .iter()
        .zip(&layer_of)
        .map(|(&size, layer)| Vertex {
            layer: layer * stride,
            size,
            is_box: true,
            above: Vec::new(),
            below: Vec::new(),
        })
        .collect();
    let mut chains = Vec::new();
    for (&(from, _, label), &(upper, lower)) in edges.iter().zip(&downward) {
        if upper == lower {
            chains.push(None);
            continue;
        }
        let mut chain = vec![upper];
        let mut labelled = None;
        for layer in vertices[upper].layer + 1..vertices[lower].layer {
            let size = label.filter(|_| layer + 1 == vertices[lower].layer);
            if size.is_some() {
                labelled = Some(vertices.len());
            }
            chain.push(vertices.len());
            vertices.push(Vertex {
                layer,
                size: size.unwrap_or_default(),
                is_box: false,
                above: Vec::new(),
                below: Vec::new(),
            });
        }
        chain.push(lower);
        for pair in chain.windows(2) {
            vertices[pair[0]].below.push(pair[1]);
            vertices[pair[1]].above.push(pair[0]);
        }
        chains.push(Some(Chain {
            vertices: chain,
            reversed: from != upper,
            label: labelled,
        }));
    }
    let layers = ordered(&vertices);
    Layered {
        vertices,
        chains,
        layers,
    }
}

/// Each node's position in an order in which as good as all edges point forward: all of them if
/// there is no cycle; else the first node given is taken to begin it.
fn order<T>(nodes: usize, edges: &[(usize, usize, T)]) -> Vec<usize> {
    let mut waiting = vec![0_usize; nodes];
    let mut targets = vec![Vec::new(); nodes];
    for &(from, to, _) in edges.iter().filter(|(from, to, _)| from != to) {
        waiting[to] += 1;
        targets[from].push(to);
    }
    let mut open: BTreeSet<usize> = (0..nodes).collect();
    let mut free: BTreeSet<usize> = (0..nodes).filter(|&node| waiting[node] == 0).collect();
    let mut position = vec![0; nodes];
    for next in 0..nodes {
        let Some(node) = free.pop_first().or_else(|| open.first().copied()) else {
            break;
        };
        open.remove(&node);
        position[node] = next;
        for &to in &targets[node] {
            waiting[to] = waiting[to].saturating_sub(1);
            if waiting[to] == 0 && open.contains(&to) {
                free.insert(to);
            }
        }
    }
    position
}

/// Longest-path layers; a node that feeds more than it is fed then moves down to its users.
fn layers(position: &[usize], downward: &[(usize, usize)]) -> Vec<usize> {
    let mut nodes: Vec<usize> = (0..position.len()).collect();
    nodes.sort_by_key(|&node| position[node]);
    let mut above = vec![Vec::new(); nodes.len()];
    let mut below = vec![Vec::new(); nodes.len()];
    for &(upper, lower) in downward.iter().filter(|(upper, lower)| upper != lower) {
        above[lower].push(upper);
        below[upper].push(lower);
    }
    let mut layer = vec![0_usize; nodes.len()];
    for &node in &nodes {
        let lowest = above[node].iter().map(|&n| layer[n] + 1).max();
        layer[node] = lowest.unwrap_or(0);
    }
    for &node in nodes.iter().rev() {
        let highest = below[node].iter().map(|&n| layer[n]).min();
        if let Some(highest) = highest
            && below[node].len() > above[node].len()
        {
            layer[node] = highest.saturating_sub(1);
        }
    }
    let first = layer.iter().copied().min().unwrap_or(0);
    layer.iter().map(|l| l - first).collect()
}

/// The vertices of each layer in an order with few crossings.
fn ordered(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let count = vertices.iter().map(|v| v.layer + 1).max().unwrap_or(0);
    let mut layers = vec![Vec::new(); count];
    // Depth first from the top, so that what belongs together starts together.
    let mut seen = vec![false; vertices.len()];
    let mut roots: Vec<usize> = (0..vertices.len()).collect();
    roots.sort_by_key(|&v| vertices[v].layer);
    for root in roots {
        let mut stack = vec![root];
        while let Some(vertex) = stack.pop() {
            if !std::mem::replace(&mut seen[vertex], true) {
                layers[vertices[vertex].layer].push(vertex);
                stack.extend(vertices[vertex].below.iter().rev());
            }
        }
    }
    let mut best = layers.clone();
    let mut least = crossings(vertices, &layers);
    for sweep in 0..SWEEPS {
        if least == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let order: Vec<usize> = if down {
            (0..count).collect()
        } else {
            (0..count).rev().collect()
        };
        let mut place = places(vertices.len(), &layers);
        for layer in order {
            let barycentre = |v: usize| {
                let vertex = &vertices[v];
                let beside = if down { &vertex.above } else { &vertex.below };
                if beside.is_empty() {
                    return place[v] as f64;
                }
                let sum: f64 = beside.iter().map(|&n| place[n] as f64).sum();
                sum / beside.len() as f64
            };
            let mut keyed: Vec<(f64, usize)> = layers[layer].iter().map(|&v| (barycentre(v), v)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[layer] = keyed.into_iter().map(|(_, v)| v).collect();
            for (i, &v) in layers[layer].iter().enumerate() {
                place[v] = i;
            }
        }
        swap_neighbours(vertices, &mut layers);
        let now = crossings(vertices, &layers);
        if now < least {
            least = now;
            best.clone_from(&layers);
        }
    }
    best
}

/// Swaps neighbours in a layer wherever that saves crossings.
fn swap_neighbours(vertices: &[Vertex], layers: &mut [Vec<usize>]) {
    let mut place = places(vertices.len(), layers);
    for layer in layers {
        for _ in 0..4 {
            let mut swapped = false;
            for i in 1..layer.len() {
                let (a, b) = (layer[i - 1], layer[i]);
                let pairs = |left: usize, right: usize| {
                    let (left, right) = (&vertices[left], &vertices[right]);
                    inversions(&left.above, &right.above, &place) + inversions(&left.below, &right.below, &place)
                };
                if pairs(b, a) < pairs(a, b) {
                    layer.swap(i - 1, i);
                    (place[a], place[b]) = (i, i - 1);
                    swapped = true;
                }
            }
            if !swapped {
                break;
            }
        }
    }
}

/// Each vertex's place in its layer.
fn places(vertices: usize, layers: &[Vec<usize>]) -> Vec<usize> {
    let mut place = vec![0; vertices];
    for layer in layers {
        for (i, &vertex) in layer.iter().enumerate() {
            place[vertex] = i;
        }
    }
    place
}

/// Crossings between the edges of two vertices, the first to the left of the second.
fn inversions(left: &[usize], right: &[usize], place: &[usize]) -> usize {
    let crossed = |&l: &usize| right.iter().filter(|&&r| place[r] < place[l]).count();
    left.iter().map(crossed).sum()
}

fn crossings(vertices: &[Vertex], layers: &[Vec<usize>]) -> usize {
    let place = places(vertices.len(), layers);
    let mut sum = 0;
    for layer in layers {
        // The ends below of all edges, in the order of their beginnings: each inversion crosses.
        let mut seen: Vec<usize> = Vec::new();
        for &vertex in layer {
            let ends = vertices[vertex].below.iter().map(|&v| place[v]);
            let mut ends: Vec<usize> = ends.collect();
            ends.sort_unstable();
            for &end in &ends {
                sum += seen.len() - seen.partition_point(|&earlier| earlier <= end);
            }
            seen.extend(ends);
            seen.sort_unstable();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size {
        width: 10.0,
        height: 10.0,
        margin: 0.0,
    };

    fn plain(edges: &[(usize, usize)], nodes: usize) -> Layered {
        let edges: Vec<_> = edges.iter().map(|&(a, b)| (a, b, None)).collect();
        layered(&vec![BOX; nodes], &edges)
    }

    #[test]
    fn a_node_lies_below_all_that_feed_it_and_sources_close_to_their_users() {
        // 0 → 1 → 2 → 3 and 4 → 3: the source 4 belongs next to 2, not to 0.
        let graph = plain(&[(0, 1), (1, 2), (2, 3), (4, 3)], 5);
        let layers: Vec<usize> = graph.vertices[..5].iter().map(|v| v.layer).collect();
        assert_eq!(layers, [0, 1, 2, 3, 2]);
    }

    #[test]
    fn a_cycle_turns_one_edge_only() {
        let graph = plain(&[(0, 1), (1, 2), (2, 0)], 3);
        let reversed: Vec<bool> = graph
            .chains
            .iter()
            .map(|chain| chain.as_ref().unwrap().reversed)
            .collect();
        assert_eq!(reversed, [false, false, true]);
    }

    #[test]
    fn crossings_that_can_be_avoided_are() {
        // Two rows of six, joined in reverse order.
        let edges: Vec<(usize, usize)> = (0..6).map(|i| (i, 11 - i)).collect();
        let graph = plain(&edges, 12);
        assert_eq!(crossings(&graph.vertices, &graph.layers), 0);
        // The complete bipartite graph of 2 and 2 has one that cannot.
        let graph = plain(&[(0, 2), (0, 3), (1, 2), (1, 3)], 4);
        assert_eq!(crossings(&graph.vertices, &graph.layers), 1);
    }

    #[test]
    fn a_label_has_a_place_in_a_layer_of_its_own() {
        let wide = Size { width: 30.0, ..BOX };
        let graph = layered(&[BOX; 3], &[(0, 1, Some(wide)), (1, 2, None)]);
        let label = graph.chains[0].as_ref().unwrap().label.unwrap();
        assert_eq!(graph.vertices[label].size, wide);
        let layer = &graph.layers[graph.vertices[label].layer];
        assert!(layer.iter().all(|&v| !graph.vertices[v].is_box));
    }
}
