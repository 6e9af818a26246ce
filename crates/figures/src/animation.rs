//! Figures one after the other, as an animated PNG.

use crate::{FigureError, PngImage, figure::Figure, raster};

/// Makes an animated PNG of figures, such as the confusion matrices of all epochs, that begins again at its end.
///
/// It is as large as the largest figure; others lie in its upper left corner on white. Readers that know no animation
/// show the first.
///
/// # Units
/// `seconds_each` is how long a figure is seen, in seconds, to the millisecond; at most 65 s.
///
/// # Errors
/// There is no figure, or a figure would have more than 32 million pixels.
pub fn animation<'a>(
    figures: impl IntoIterator<Item = &'a Figure>,
    seconds_each: f64,
) -> Result<PngImage, FigureError> {
    let figures: Vec<&Figure> = figures.into_iter().collect();
    let (mut width, mut height) = (0.0f64, 0.0f64);
    for figure in &figures {
        let size = figure.size();
        (width, height) = (width.max(size.0), height.max(size.1));
    }
    if figures.is_empty() {
        return Err(FigureError::NoFrames);
    }
    let mut bytes = Vec::new();
    let mut encoder = raster::encoder(&mut bytes, width.max(1.0) as u32, height.max(1.0) as u32);
    encoder.set_animated(figures.len() as u32, 0)?;
    // A number that is none is no time at all.
    encoder.set_frame_delay((seconds_each * 1000.0).round().clamp(0.0, 65_000.0) as u16, 1000)?;
    let mut writer = encoder.write_header()?;
    for figure in figures {
        let frame = Figure {
            width,
            height,
            ..figure.clone()
        };
        writer.write_image_data(&raster::rgb(&raster::paint(&frame, 1.0)?))?;
    }
    writer.finish()?;
    Ok(PngImage {
        width: width.max(1.0) as u32,
        height: height.max(1.0) as u32,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confusion_matrix;

    #[test]
    fn every_figure_is_a_frame_of_the_same_size() {
        let matrix = |epoch: u64, labels: &[&str]| {
            let rows: Vec<Vec<u64>> = labels.iter().map(|_| vec![epoch; labels.len()]).collect();
            confusion_matrix(
                &format!("emotion, epoch {epoch}"),
                labels,
                rows.iter().map(Vec::as_slice),
            )
            .unwrap()
        };
        let figures = [
            matrix(1, &["a", "b"]),
            matrix(2, &["a", "b", "c", "d", "e"]),
            matrix(3, &["a"]),
        ];
        let image = animation(&figures, 0.5).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&image.bytes))
            .read_info()
            .unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        for figure in &figures {
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let frame = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((frame.width, frame.height), (image.width, image.height));
            let control = reader.info().frame_control().unwrap();
            assert_eq!((control.delay_num, control.delay_den), (500, 1000));
            let alone = raster::paint(figure, 1.0).unwrap();
            let row = 40 * image.width as usize * 3;
            let width = alone.width() as usize * 3;
            assert_eq!(pixels[row..row + width], raster::rgb(&alone)[40 * width..41 * width]);
        }
    }

    #[test]
    fn an_animation_of_nothing_is_an_error() {
        let error = animation(&[], 1.0).unwrap_err().to_string();
        assert!(error.contains("at least one"), "{error}");
        let one = confusion_matrix("t", &["a"], [&[1u64][..]]).unwrap();
        for seconds in [f64::NAN, -1.0, f64::INFINITY] {
            animation([&one], seconds).unwrap();
        }
    }
}
