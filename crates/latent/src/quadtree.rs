//! A plane divided into quarters, so that points far away count as one (Barnes and Hut, 1986).

use crate::tsne::between;

/// Quarters in one another at most: what is closer together than this counts as one place.
const DEEPEST: usize = 48;

#[derive(Clone, Copy, Debug)]
struct Cell {
    centre: [f64; 2],
    side: f64,
    points: f64,
    /// Sum of its points, then their mean.
    middle: [f64; 2],
    /// Places of its four quarters; `None` for a cell of one place.
    quarters: [Option<usize>; 4],
    is_leaf: bool,
}

/// Points in cells, each with the mean of what lies in it.
#[derive(Clone, Debug)]
pub(crate) struct QuadTree {
    cells: Vec<Cell>,
}

impl QuadTree {
    /// A tree of points that are all finite.
    pub(crate) fn new(points: &[[f64; 2]]) -> Self {
        let bound = |axis: usize| {
            let values = || points.iter().map(|point| point[axis]);
            (
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            )
        };
        let ((left, right), (low, high)) = (bound(0), bound(1));
        let side = (right - left).max(high - low).max(f64::MIN_POSITIVE);
        let centre = [f64::midpoint(left, right), f64::midpoint(low, high)];
        let mut tree = Self {
            cells: vec![Cell::empty(centre, side)],
        };
        for point in points {
            tree.insert(*point);
        }
        for cell in &mut tree.cells {
            cell.middle = cell.middle.map(|sum| sum / cell.points);
        }
        tree
    }

    fn insert(&mut self, point: [f64; 2]) {
        let mut at = 0;
        for depth in 0..=DEEPEST {
            let cell = &mut self.cells[at];
            let here = cell.points;
            let place = cell.middle.map(|sum| sum / here);
            cell.points += 1.0;
            cell.middle = [cell.middle[0] + point[0], cell.middle[1] + point[1]];
            if here == 0.0 || depth == DEEPEST || cell.is_leaf && place == point {
                return;
            }
            if cell.is_leaf {
                cell.is_leaf = false;
                let moved = self.quarter(at, place);
                let old = &mut self.cells[moved];
                old.points = here;
                old.middle = place.map(|value| value * here);
            }
            at = self.quarter(at, point);
        }
    }

    /// The quarter of a cell that a point lies in, made if it is not there.
    fn quarter(&mut self, at: usize, point: [f64; 2]) -> usize {
        let Cell {
            centre, side, quarters, ..
        } = self.cells[at];
        let beyond = [point[0] > centre[0], point[1] > centre[1]];
        let which = usize::from(beyond[0]) + 2 * usize::from(beyond[1]);
        if let Some(found) = quarters[which] {
            return found;
        }
        let shifted = |axis: usize| match beyond[axis] {
            true => centre[axis] + side / 4.0,
            false => centre[axis] - side / 4.0,
        };
        let made = self.cells.len();
        self.cells.push(Cell::empty([shifted(0), shifted(1)], side / 2.0));
        self.cells[at].quarters[which] = Some(made);
        made
    }

    /// What all other points push one of them with, and the sum of their kernels; a cell whose side is less than `angle`
    /// times its distance counts as one place.
    pub(crate) fn push(&self, point: [f64; 2], angle: f64) -> ([f64; 2], f64) {
        let mut force = [0.0; 2];
        let mut sum = 0.0;
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let cell = &self.cells[at];
            let (across, up, q) = between(point, cell.middle);
            if cell.is_leaf || cell.side < angle * across.hypot(up) {
                force[0] += cell.points * q * q * across;
                force[1] += cell.points * q * q * up;
                sum += cell.points * q;
            } else {
                open.extend(cell.quarters.iter().rev().flatten());
            }
        }
        // Its own kernel: it lies in no cell that counts from afar.
        (force, sum - 1.0)
    }
}

impl Cell {
    fn empty(centre: [f64; 2], side: f64) -> Self {
        Self {
            centre,
            side,
            points: 0.0,
            middle: [0.0; 2],
            quarters: [None; 4],
            is_leaf: true,
        }
    }
}
