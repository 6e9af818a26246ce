//! Faces that move, side by side: a picture of one frame, an animated PNG, and a page that plays them with sound.

mod page;

use crate::{
    FigureError, PngImage, animation,
    colour::{INK, Rgb, category},
    figure::{Anchor, Figure, Path, Point, Rect, Segment, Shape, Stroke, point},
    text::Font,
};

/// Side of a face's image, in pixels.
const SIDE: f64 = 224.0;
/// Between panels and around them.
const GAP: f64 = 12.0;
/// Height of the title and of a panel's name.
const HEAD: f64 = 30.0;
const NAME: f64 = 24.0;
/// Panels in a row.
const ACROSS: usize = 4;
/// An eye that is less open than this is closed, and has no pupil.
const OPEN: f64 = 2.5;
/// How far a pupil moves for a radian of gaze, in pixels.
const GAZE: f64 = 10.0;

/// Which points are joined by a line, and whether its end is joined to its start.
const LINES: [(std::ops::RangeInclusive<usize>, bool); 9] = [
    (0..=16, false),
    (17..=21, false),
    (22..=26, false),
    (27..=30, false),
    (31..=35, false),
    (36..=41, true),
    (42..=47, true),
    (48..=59, true),
    (60..=67, true),
];

/// A face at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceFrame {
    /// The 68 points of the iBUG scheme: x to the right and y down, in pixels of an image of 224 × 224. A face with a point that
    /// is not finite is not drawn.
    pub points: [[f32; 2]; 68],
    /// Where the eyes look, in radians: to the right of the image and down are positive, as OpenFace has them.
    pub gaze: [f32; 2],
}

/// A face over time.
#[derive(Clone, Debug, PartialEq)]
pub struct FacePanel {
    /// Whose it is, such as "speaker" or "sample 3".
    pub name: String,
    /// Frames at the rate of [`Faces`]; `None` where nobody saw the face.
    pub frames: Vec<Option<FaceFrame>>,
}

/// Faces side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Faces<'a> {
    /// Above the faces.
    pub title: &'a str,
    /// The faces, the first to the left; one that ends sooner than others is then not drawn.
    pub panels: &'a [FacePanel],
    /// Frames a second.
    pub rate_hz: f64,
}

impl FaceFrame {
    fn at(&self, at: usize) -> Point {
        let [x, y] = self.points[at];
        point(f64::from(x), f64::from(y))
    }

    fn is_known(&self) -> bool {
        self.points.iter().flatten().all(|value| value.is_finite())
    }

    /// Where the pupils of open eyes are.
    fn pupils(&self) -> Vec<Point> {
        let eye = |[from, upper, lower]: [usize; 3]| {
            let open = self.at(lower).y - self.at(upper).y;
            let corners = [self.at(from), self.at(from + 3)];
            let middle = point(
                (corners[0].x + corners[1].x) / 2.0,
                (self.at(upper).y + self.at(lower).y) / 2.0,
            );
            let [x, y] = self.gaze.map(|gaze| {
                if gaze.is_finite() {
                    f64::from(gaze).clamp(-1.0, 1.0)
                } else {
                    0.0
                }
            });
            (open > OPEN).then(|| point(middle.x + GAZE * x, middle.y + GAZE * y * 0.5))
        };
        [[36, 37, 41], [42, 43, 47]].into_iter().filter_map(eye).collect()
    }
}

impl Faces<'_> {
    /// Frames of the longest panel.
    pub fn frames(&self) -> usize {
        self.panels.iter().map(|panel| panel.frames.len()).max().unwrap_or(0)
    }

    /// Draws one frame of all faces.
    pub fn draw(&self, frame: usize) -> Figure {
        let mut figure = Figure::new(self.title);
        let across = self.panels.len().clamp(1, ACROSS);
        let down = self.panels.len().div_ceil(across).max(1);
        figure.width = GAP + across as f64 * (SIDE + GAP);
        figure.height = HEAD + down as f64 * (NAME + SIDE + GAP);
        let title = Font::Title.fit(self.title, figure.width - 2.0 * GAP - 60.0);
        figure.text(point(GAP, HEAD / 2.0), Anchor::Start, Font::Title, INK, &title);
        let seconds = match self.rate_hz > 0.0 {
            true => format!("{:.2} s", frame as f64 / self.rate_hz),
            false => format!("{frame}"),
        };
        figure.text(
            point(figure.width - GAP, HEAD / 2.0),
            Anchor::End,
            Font::Small,
            INK,
            &seconds,
        );
        if self.panels.is_empty() {
            figure.text(point(GAP, HEAD + NAME), Anchor::Start, Font::Body, INK, "no faces");
        }
        for (at, panel) in self.panels.iter().enumerate() {
            let x = GAP + (at % across) as f64 * (SIDE + GAP);
            let y = HEAD + (at / across) as f64 * (NAME + SIDE + GAP);
            let name = Font::Bold.fit_name(&panel.name, SIDE);
            figure.text(point(x, y + NAME / 2.0), Anchor::Start, Font::Bold, category(at), &name);
            let corner = point(x, y + NAME);
            figure.shapes.push(Shape::Box {
                rect: Rect {
                    x: corner.x,
                    y: corner.y,
                    width: SIDE,
                    height: SIDE,
                },
                radius: 6.0,
                fill: Rgb(250, 250, 248),
                stroke: Some(Stroke {
                    colour: Rgb(225, 225, 220),
                    width: 1.0,
                    dashed: false,
                }),
            });
            match panel.frames.get(frame).copied().flatten().filter(FaceFrame::is_known) {
                Some(face) => add_face(&mut figure, &face, corner, category(at)),
                None => {
                    let middle = point(corner.x + SIDE / 2.0, corner.y + SIDE / 2.0);
                    figure.text(middle, Anchor::Middle, Font::Small, Rgb(120, 120, 120), "not seen");
                }
            }
        }
        figure
    }

    /// An animated PNG of every `every`-th frame, as fast as the faces moved.
    ///
    /// # Errors
    /// There is no frame, or the picture would be too large.
    pub fn to_animation(&self, every: usize) -> Result<PngImage, FigureError> {
        let every = every.max(1);
        let figures: Vec<Figure> = (0..self.frames())
            .step_by(every)
            .map(|frame| self.draw(frame))
            .collect();
        let seconds = every as f64 / self.rate_hz.max(0.001);
        animation(&figures, seconds)
    }
}

/// Lines and pupils of a face whose image's corner is there.
fn add_face(figure: &mut Figure, face: &FaceFrame, corner: Point, colour: Rgb) {
    // What lies outside its panel is drawn at its edge.
    let inside = |at: Point| {
        point(
            corner.x + at.x.clamp(1.0, SIDE - 1.0),
            corner.y + at.y.clamp(1.0, SIDE - 1.0),
        )
    };
    let stroke = Stroke {
        colour,
        width: 2.0,
        dashed: false,
    };
    for (points, is_closed) in LINES {
        let start = *points.start();
        let mut segments: Vec<Segment> = points.skip(1).map(|at| Segment::Line(inside(face.at(at)))).collect();
        if is_closed {
            segments.push(Segment::Line(inside(face.at(start))));
        }
        let start = inside(face.at(start));
        figure.shapes.push(Shape::Path(Path { start, segments }, stroke));
    }
    figure.shapes.push(Shape::Dots {
        at: face.pupils().into_iter().map(inside).collect(),
        radius: 3.0,
        colour: INK,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid in the place of a face.
    fn face(shift: f32) -> FaceFrame {
        FaceFrame {
            points: std::array::from_fn(|at| [20.0 + 20.0 * (at % 9) as f32 + shift, 20.0 + 20.0 * (at / 9) as f32]),
            gaze: [0.1, 0.0],
        }
    }

    fn panels() -> Vec<FacePanel> {
        let panel = |name: &str, frames: Vec<Option<FaceFrame>>| FacePanel {
            name: name.to_owned(),
            frames,
        };
        let mut broken = face(0.0);
        broken.points[4][0] = f32::NAN;
        vec![
            panel("speaker", vec![Some(face(0.0)), Some(face(3.0)), Some(face(900.0))]),
            panel("sample 1 </script><b>", vec![Some(face(1.0)), None]),
            panel("", vec![Some(broken)]),
        ]
    }

    #[test]
    fn faces_are_drawn_where_they_were_seen_and_stay_in_their_panels() {
        let panels = panels();
        let faces = Faces {
            title: "a clip",
            panels: &panels,
            rate_hz: 25.0,
        };
        assert_eq!(faces.frames(), 3);
        let unseen = |frame: usize| faces.draw(frame).to_svg().matches("not seen").count();
        assert_eq!([0, 1, 2].map(unseen), [1, 2, 2]);
        for frame in 0..4 {
            crate::figure::tests::text_stays_inside(&faces.draw(frame));
            faces.draw(frame).to_png().unwrap();
        }
        let nothing = Faces { panels: &[], ..faces };
        assert!(nothing.draw(0).to_svg().contains("no faces"));
        assert!(nothing.to_animation(1).is_err());
    }

    #[test]
    fn an_animation_is_as_fast_as_the_faces() {
        let panels = panels();
        let faces = Faces {
            title: "a clip",
            panels: &panels,
            rate_hz: 25.0,
        };
        let image = faces.to_animation(2).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&image.bytes))
            .read_info()
            .unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 2);
        let control = reader.info().frame_control().unwrap();
        assert_eq!((control.delay_num, control.delay_den), (80, 1000));
    }

    #[test]
    fn a_page_holds_everything_and_lets_no_name_become_markup() {
        let panels = panels();
        let faces = Faces {
            title: "a <clip> & more",
            panels: &panels,
            rate_hz: 25.0,
        };
        let page = faces.page(Some(b"RIFFdata"));
        assert!(page.contains("a &lt;clip&gt; &amp; more"));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("data:audio/wav;base64,UklGRmRhdGE="));
        assert!(
            !page.contains("http:") && !page.contains("https:"),
            "nothing is fetched"
        );
        assert!(page.contains("default-src 'none'") && page.contains("script-src 'sha256-"));
        assert!(!page.contains("NaN"));
        assert!(!faces.page(None).contains("<audio"));
    }
}
