//! Scatter plots, such as of a latent space.

use crate::{
    axis::Axis,
    colour::{Rgb, WHITE, category},
    figure::{Figure, Point, Raster, Rect, Shape, point},
    plot::{Layout, Plot, Swatch},
};

const WIDTH: f64 = 440.0;
/// Up to so many points are discs; more become pixels, whose number does not grow with them.
const MAX_DISCS: usize = 4000;
/// Pixels of the picture a pixel of the figure.
const FINENESS: f64 = 2.0;
/// Beyond this, differences of coordinates overflow.
const LARGEST: f64 = 1e300;

/// Points on a plane, coloured by class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter<'a> {
    /// Above the plot.
    pub title: &'a str,
    /// What the axes are, such as "UMAP 1".
    pub x_label: &'a str,
    /// What the axes are, such as "UMAP 2".
    pub y_label: &'a str,
    /// `(x, y)`; what is not finite is not drawn.
    pub points: &'a [(f64, f64)],
    /// The class of each point, a place in `labels`; a point without one is grey.
    pub classes: &'a [usize],
    /// The names of the classes.
    pub labels: &'a [String],
}

impl Scatter<'_> {
    /// Draws the points, 440 pixels wide, on axes without numbers. Of more than 4000 points a picture of fixed size lies
    /// behind the axes, so that the SVG form stays small.
    pub fn draw(&self) -> Figure {
        let points = || self.points.iter().filter(|pair| is_drawn(**pair));
        let shown = points().count();
        let note = match self.points.len() - shown {
            0 => format!("{shown} points"),
            lost => format!("{shown} points; {lost} that are not finite are left out"),
        };
        let mut plot = Layout {
            title: self.title,
            note: &note,
            x_label: self.x_label,
            y_label: self.y_label,
            width: WIDTH,
            height: None,
            x: around(points().map(|(x, _)| *x)),
            y: around(points().map(|(_, y)| *y)),
        }
        .draw();
        let radius = match shown {
            0..=300 => 3.5,
            301..=2000 => 2.5,
            2001..=20_000 => 1.8,
            _ => 1.3,
        };
        if shown > MAX_DISCS {
            let picture = self.picture(&plot, radius);
            plot.figure.shapes.push(Shape::Raster(picture));
        } else {
            self.discs(&mut plot, radius);
        }
        if shown == 0 {
            plot.empty("no points");
        }
        let entries: Vec<(Swatch, String)> = self
            .labels
            .iter()
            .enumerate()
            .map(|(class, label)| (Swatch::Dot(category(class)), label.clone()))
            .collect();
        plot.legend(&entries);
        plot.figure
    }

    /// The points that are drawn, with their colours.
    fn placed<'b>(&'b self, plot: &'b Plot) -> impl Iterator<Item = (Point, Option<usize>)> + 'b {
        let classes = self
            .classes
            .iter()
            .map(|class| Some(*class))
            .chain(std::iter::repeat(None));
        let known = |class: Option<usize>| class.filter(|class| *class < self.labels.len());
        let pairs = self.points.iter().zip(classes).filter(|(pair, _)| is_drawn(**pair));
        pairs.map(move |(pair, class)| (plot.place(*pair), known(class)))
    }

    fn discs(&self, plot: &mut Plot, radius: f64) {
        let mut groups: Vec<Vec<Point>> = vec![Vec::new(); self.labels.len() + 1];
        for (at, class) in self.placed(plot) {
            groups[class.map_or(0, |class| class + 1)].push(at);
        }
        for (group, at) in groups.into_iter().enumerate().filter(|(_, at)| !at.is_empty()) {
            plot.figure.shapes.push(Shape::Dots {
                at,
                radius,
                colour: colour(group.checked_sub(1)),
            });
        }
    }

    fn picture(&self, plot: &Plot, radius: f64) -> Raster {
        let area = plot.area;
        let size = |length: f64| (length * FINENESS).ceil().max(1.0) as usize;
        let (columns, rows) = (size(area.width), size(area.height));
        let mut pixels = vec![WHITE; columns * rows];
        let reach = radius * FINENESS;
        let mut placed: Vec<(Point, Option<usize>)> = self.placed(plot).collect();
        mix(&mut placed);
        for (at, class) in placed {
            let centre = point((at.x - area.x) * FINENESS, (at.y - area.y) * FINENESS);
            let colour = colour(class);
            let range = |middle: f64, limit: usize| {
                let clamp = |value: f64| value.clamp(0.0, limit as f64) as usize;
                clamp(middle - reach)..clamp(middle + reach + 1.0)
            };
            for row in range(centre.y, rows) {
                for column in range(centre.x, columns) {
                    // Few colours make a small file: edges are smooth only because the pixels are fine.
                    if (column as f64 + 0.5 - centre.x).hypot(row as f64 + 0.5 - centre.y) <= reach {
                        pixels[row * columns + column] = colour;
                    }
                }
            }
        }
        Raster {
            rect: Rect {
                width: columns as f64 / FINENESS,
                height: rows as f64 / FINENESS,
                ..area
            },
            columns,
            rows,
            pixels,
            smooth: true,
        }
    }
}

fn colour(class: Option<usize>) -> Rgb {
    class.map_or(crate::colour::QUIET, category)
}

/// Another order, always the same: what comes last lies above, and classes often come one after the other.
fn mix<T>(items: &mut Vec<T>) {
    let count = items.len();
    let mut mixed: Vec<(u64, T)> = Vec::with_capacity(count);
    // Multiples of the golden section spread evenly (Knuth, The Art of Computer Programming 3, 6.4).
    let place = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.extend(items.drain(..).enumerate().map(|(i, item)| (place(i), item)));
    mixed.sort_by_key(|(place, _)| *place);
    items.extend(mixed.into_iter().map(|(_, item)| item));
}

fn is_drawn((x, y): (f64, f64)) -> bool {
    x.abs() <= LARGEST && y.abs() <= LARGEST
}

/// An axis without marks, a little longer than the values need.
fn around(values: impl Iterator<Item = f64> + Clone) -> Axis {
    let mut tight = Axis::over(values, 8.0, false);
    let (low, high) = tight.range();
    let pad = 0.03 * (high - low);
    tight = Axis::over([low - pad, high + pad].into_iter(), 8.0, false);
    tight.ticks.clear();
    tight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spiral(count: u32) -> (Vec<(f64, f64)>, Vec<usize>) {
        let points = (0..count).map(|i| f64::from(i) / 500.0);
        let points = points.map(|t| (t.cos() * t, t.sin() * t)).collect();
        (points, (0..count).map(|i| i as usize % 3).collect())
    }

    fn drawn(points: &[(f64, f64)], classes: &[usize]) -> Figure {
        let labels = ["angry", "<b>", "sad"].map(str::to_owned);
        Scatter {
            title: "latent space",
            x_label: "UMAP 1",
            y_label: "UMAP 2",
            points,
            classes,
            labels: &labels,
        }
        .draw()
    }

    #[test]
    fn a_few_points_are_discs_of_their_class() {
        let figure = drawn(
            &[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (f64::NAN, 1.0), (0.5, 0.5)],
            &[0, 1, 0, 0],
        );
        let dots: Vec<(usize, Rgb)> = figure
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Dots { at, colour, .. } => Some((at.len(), *colour)),
                _ => None,
            })
            .collect();
        assert_eq!(dots, [(1, crate::colour::QUIET), (2, category(0)), (1, category(1))]);
        let svg = figure.to_svg();
        assert!(svg.contains(">4 points; 1 that are not finite are left out<") && svg.contains(">&lt;b&gt;<"));
    }

    #[test]
    fn a_hundred_thousand_points_are_a_small_picture() {
        let (points, classes) = spiral(100_000);
        let figure = drawn(&points, &classes);
        let svg = figure.to_svg();
        assert!(svg.len() < 250_000, "{}", svg.len());
        figure.to_png().unwrap();
    }

    #[test]
    fn discs_and_picture_show_the_same() {
        let (points, classes) = spiral(3000);
        let plot =
            |points: &[(f64, f64)], classes: &[usize]| crate::raster::paint(&drawn(points, classes), 1.0).unwrap();
        let few = plot(&points, &classes);
        // The same places twice are more than are drawn as discs.
        let many = plot(&points.repeat(2), &classes.repeat(2));
        let ink = |pixmap: &resvg::tiny_skia::Pixmap| {
            let pixels = pixmap.pixels().iter().skip(440 * 80).take(440 * 300);
            pixels
                .map(|pixel| {
                    765.0 - f64::from(u32::from(pixel.red()) + u32::from(pixel.green()) + u32::from(pixel.blue()))
                })
                .sum::<f64>()
        };
        let ratio = ink(&many) / ink(&few);
        assert!((0.9..1.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn nothing_one_place_and_nonsense_are_drawn() {
        assert!(drawn(&[], &[]).to_svg().contains(">no points<"));
        for points in [
            vec![(1.0, 1.0); 5000],
            vec![(f64::INFINITY, 0.0); 3],
            vec![(-1e300, 1e300), (1e300, -1e300)],
        ] {
            let svg = drawn(&points, &[usize::MAX, 7]).to_svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
