//! Spectrograms.

use crate::{
    axis::Axis,
    colour::{FAINT, INK, MUTED, Rgb},
    figure::{Anchor, Figure, Raster, Rect, Shape, point},
    plot::{MARGIN, nothing},
    text::Font,
};

/// Widest that the levels are drawn, in pixels.
const WIDEST: usize = 900;
/// Widest that a frame is drawn, in pixels.
const FRAME: usize = 4;
/// Height of a band, in pixels.
const BAND: f64 = 3.0;
/// Longest title, in pixels.
const LONGEST: f64 = 600.0;
/// A recording that is said to be longer is one whose length is not known, in seconds.
const LONGEST_S: f64 = 1e9;
/// Least width of the axes, in pixels.
const NARROWEST: f64 = 160.0;

/// Levels over time and frequency.
#[derive(Clone, Debug)]
pub struct Spectrogram<'a> {
    /// What is shown.
    pub title: &'a str,
    /// Levels in dB, `frames × bands`, the lowest band first.
    pub levels: &'a [f32],
    /// Number of bands.
    pub bands: usize,
    /// Length of the recording in seconds.
    pub seconds: f64,
    /// Marks of the frequency axis: from 0 at the lowest band's edge to 1 at the highest's, and a text.
    pub marks: &'a [(f64, String)],
    /// The level that is drawn darkest, in dB.
    pub top_db: f64,
    /// How far below it a level is drawn white, in dB.
    pub range_db: f64,
}

impl Spectrogram<'_> {
    /// Draws it; of a long recording several frames share a column, which shows the loudest.
    pub fn draw(&self) -> Figure {
        let title = Font::Title.fit(self.title, LONGEST);
        let mut figure = Figure::new(self.title);
        let bands = self.bands.max(1);
        let frames = self.levels.len() / bands;
        let shared = frames.div_ceil(WIDEST).max(1);
        let columns = frames.div_ceil(shared);
        let column = (WIDEST / columns.max(1)).clamp(1, FRAME) as f64;
        let widest = self
            .marks
            .iter()
            .map(|(_, text)| Font::Small.width(text))
            .fold(0.0, f64::max);
        let plot = Rect {
            x: (MARGIN + Font::Body.line_height() + widest + 12.0).round(),
            y: (MARGIN + 26.0).round(),
            width: column * columns as f64,
            height: BAND * bands as f64,
        };
        figure.width = (plot.x + plot.width.max(NARROWEST)).max(plot.x + Font::Title.width(&title)) + MARGIN;
        figure.height = plot.bottom() + 42.0 + MARGIN;
        figure.text(point(plot.x, MARGIN + 8.0), Anchor::Start, Font::Title, INK, &title);
        // Also the frame of what is nearly white.
        figure.fill(plot, 0.0, FAINT);
        if columns > 0 {
            let cells = self.levels[..frames * bands].chunks(shared * bands);
            let groups: Vec<&[f32]> = cells.collect();
            let rows = (0..bands).rev();
            let pixels = rows.flat_map(|band| groups.iter().map(move |group| (band, *group)));
            figure.shapes.push(Shape::Raster(Raster {
                rect: plot,
                columns,
                rows: bands,
                pixels: pixels.map(|(band, group)| self.colour(group, band, bands)).collect(),
                smooth: false,
            }));
        } else {
            let centre = point(plot.x + NARROWEST / 2.0, plot.centre().y);
            nothing(&mut figure, centre, "no frames");
        }
        for (place, text) in self.marks.iter().filter(|(place, _)| (0.0..=1.0).contains(place)) {
            let y = plot.bottom() - plot.height * place;
            figure.fill(
                Rect {
                    x: plot.x - 5.0,
                    y: y.round(),
                    width: 5.0,
                    height: 1.0,
                },
                0.0,
                MUTED,
            );
            figure.text(point(plot.x - 8.0, y), Anchor::End, Font::Small, MUTED, text);
        }
        let has_length = self.seconds > 0.0 && self.seconds < LONGEST_S;
        let axis = Axis::over([0.0, self.seconds].into_iter().filter(|_| has_length), 6.0, false);
        for &tick in axis.ticks.iter().filter(|_| has_length) {
            let x = plot.x + plot.width * axis.place(tick);
            figure.fill(
                Rect {
                    x: x.round(),
                    y: plot.bottom(),
                    width: 1.0,
                    height: 5.0,
                },
                0.0,
                MUTED,
            );
            let at = point(x, plot.bottom() + 15.0);
            figure.text(at, Anchor::Middle, Font::Small, MUTED, &axis.label(tick));
        }
        let below = point(plot.centre().x, plot.bottom() + 34.0);
        figure.text(below, Anchor::Middle, Font::Body, MUTED, "s");
        let beside = point(MARGIN + 4.0, plot.centre().y);
        figure.upright(beside, Anchor::Middle, Font::Body, MUTED, "Hz");
        figure
    }

    /// The colour of the loudest of some frames in a band.
    fn colour(&self, frames: &[f32], band: usize, bands: usize) -> Rgb {
        let levels = frames.iter().skip(band).step_by(bands);
        let level = levels.copied().fold(f32::NEG_INFINITY, f32::max);
        let share = 1.0 + (f64::from(level) - self.top_db) / self.range_db;
        // What is not finite is drawn as silence.
        Rgb::sequential(if share.is_finite() { share } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(levels: &[f32], bands: usize) -> Figure {
        Spectrogram {
            title: "a",
            levels,
            bands,
            seconds: levels.len() as f64 / bands as f64 / 100.0,
            marks: &[(0.5, "1k".to_owned())],
            top_db: 0.0,
            range_db: 80.0,
        }
        .draw()
    }

    fn picture(figure: &Figure) -> Option<&Raster> {
        figure.shapes.iter().find_map(|shape| match shape {
            Shape::Raster(raster) => Some(raster),
            _ => None,
        })
    }

    #[test]
    fn low_bands_are_below_and_loud_ones_dark() {
        let figure = drawn(&[0.0, -80.0, -200.0, f32::NAN], 2);
        let (loud, silent) = (Rgb::sequential(1.0), Rgb::sequential(0.0));
        assert_eq!(picture(&figure).unwrap().pixels, [silent, silent, loud, silent]);
        let image = figure.to_png().unwrap();
        assert!(image.width > 100 && image.height > 50);
    }

    #[test]
    fn of_a_long_recording_the_loudest_frames_are_seen() {
        let mut levels = vec![-80.0; 10_000 * 4];
        levels[4 * 5003 + 2] = 0.0;
        let figure = drawn(&levels, 4);
        let picture = picture(&figure).unwrap();
        assert!(picture.columns <= WIDEST && picture.rows == 4);
        assert_eq!(
            picture
                .pixels
                .iter()
                .filter(|cell| **cell == Rgb::sequential(1.0))
                .count(),
            1
        );
        assert!(figure.width < 1100.0 && figure.to_svg().len() < 20_000);
    }

    #[test]
    fn nothing_is_an_empty_frame() {
        let figure = drawn(&[], 3);
        assert!(picture(&figure).is_none() && figure.to_svg().contains(">no frames<"));
        figure.to_png().unwrap();
    }
}
