//! The PNG form of a figure: its SVG form, painted by resvg.

use std::collections::HashMap;

use resvg::{
    tiny_skia::{Color, FilterQuality, Pixmap, PixmapPaint, PixmapRef, Transform},
    usvg::{Options, Tree},
};

use crate::{
    FigureError, PngImage,
    colour::Rgb,
    figure::{Figure, Raster, Shape},
    svg,
};

/// 128 MB of pixels.
const MAX_PIXELS: f64 = 32_000_000.0;

/// Paints `figure`, `scale` times as large, and encodes it.
pub(crate) fn png(figure: &Figure, scale: f64, dpi: Option<u32>) -> Result<PngImage, FigureError> {
    let pixmap = paint(figure, scale)?;
    let mut bytes = Vec::new();
    let mut encoder = encoder(&mut bytes, pixmap.width(), pixmap.height());
    encoder.set_pixel_dims(dpi.map(|dpi| {
        let per_metre = (f64::from(dpi) / 0.0254).round() as u32;
        png::PixelDimensions {
            xppu: per_metre,
            yppu: per_metre,
            unit: png::Unit::Meter,
        }
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb(&pixmap))?;
    writer.finish()?;
    Ok(PngImage {
        width: pixmap.width(),
        height: pixmap.height(),
        bytes,
    })
}

/// Paints `figure` on white, `scale` times as large.
pub(crate) fn paint(figure: &Figure, scale: f64) -> Result<Pixmap, FigureError> {
    let (width, height) = figure.size();
    let (width, height) = ((width * scale).round().max(1.0), (height * scale).round().max(1.0));
    let too_large = || FigureError::TooLarge {
        width: width as u32,
        height: height as u32,
    };
    // Also false where a size is no number.
    if !matches!(width * height, 0.0..=MAX_PIXELS) {
        return Err(too_large());
    }
    let mut pixmap = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
    pixmap.fill(Color::WHITE);
    let scaled = Transform::from_scale(scale as f32, scale as f32);
    // resvg is built without its decoders of images: pixels are painted between the shapes below and above them.
    for run in figure.shapes.split_inclusive(|shape| matches!(shape, Shape::Raster(_))) {
        let (shapes, pixels) = match run {
            [shapes @ .., Shape::Raster(pixels)] => (shapes, Some(pixels)),
            shapes => (shapes, None),
        };
        if !shapes.is_empty() {
            let tree = Tree::from_str(&svg::outlined(figure, shapes), &Options::default())?;
            resvg::render(&tree, scaled, &mut pixmap.as_mut());
        }
        if let Some(pixels) = pixels {
            stretch(&mut pixmap, pixels, scaled);
        }
    }
    Ok(pixmap)
}

fn stretch(pixmap: &mut Pixmap, raster: &Raster, scaled: Transform) {
    let opaque: Vec<u8> = raster.pixels.iter().flat_map(|c| [c.0, c.1, c.2, 255]).collect();
    let Some(pixels) = PixmapRef::from_bytes(&opaque, raster.columns as u32, raster.rows as u32) else {
        return;
    };
    let paint = PixmapPaint {
        quality: if raster.smooth {
            FilterQuality::Bilinear
        } else {
            FilterQuality::Nearest
        },
        ..PixmapPaint::default()
    };
    let placed = Transform::from_row(
        (raster.rect.width / raster.columns as f64) as f32,
        0.0,
        0.0,
        (raster.rect.height / raster.rows as f64) as f32,
        raster.rect.x as f32,
        raster.rect.y as f32,
    );
    pixmap.draw_pixmap(0, 0, pixels, &paint, placed.post_concat(scaled), None);
}

/// Pixels as a PNG file, with a palette if they have few colours.
pub(crate) fn encoded(raster: &Raster) -> Result<Vec<u8>, FigureError> {
    let mut bytes = Vec::new();
    let mut encoder = encoder(&mut bytes, raster.columns as u32, raster.rows as u32);
    encoder.set_compression(png::Compression::High);
    let mut places: HashMap<Rgb, u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut place = |colour: &Rgb| match (places.get(colour), u8::try_from(places.len())) {
        (Some(place), _) => Some(*place),
        (None, Ok(next)) => {
            palette.extend([colour.0, colour.1, colour.2]);
            places.insert(*colour, next);
            Some(next)
        }
        (None, Err(_)) => None,
    };
    let data = match raster.pixels.iter().map(&mut place).collect::<Option<Vec<u8>>>() {
        Some(indexed) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette);
            indexed
        }
        None => raster.pixels.iter().flat_map(|c| [c.0, c.1, c.2]).collect(),
    };
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&data)?;
    writer.finish()?;
    Ok(bytes)
}

pub(crate) fn encoder(bytes: &mut Vec<u8>, width: u32, height: u32) -> png::Encoder<'static, &mut Vec<u8>> {
    let mut encoder = png::Encoder::new(bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
}

/// The bytes of an opaque pixmap, three a pixel.
pub(crate) fn rgb(pixmap: &Pixmap) -> Vec<u8> {
    let pixels = pixmap.data().chunks_exact(4);
    pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        colour::{INK, WHITE},
        figure::{Anchor, Rect, point},
        text::Font,
    };

    const RED: Rgb = Rgb(200, 0, 0);

    fn blank(width: f64, height: f64) -> Figure {
        Figure {
            width,
            height,
            ..Figure::new("test")
        }
    }

    fn at(pixmap: &Pixmap, x: u32, y: u32) -> [u8; 3] {
        let pixel = pixmap.pixel(x, y).unwrap();
        [pixel.red(), pixel.green(), pixel.blue()]
    }

    #[test]
    fn text_is_as_wide_as_it_was_measured_and_stands_on_its_middle_line() {
        for text in ["mmmmmmm", "Emotion 0.93 →", "語語語"] {
            let width = Font::Title.width(text);
            let mut figure = blank(width + 40.0, 40.0);
            figure.text(point(20.0, 20.0), Anchor::Start, Font::Title, INK, text);
            let pixmap = paint(&figure, 1.0).unwrap();
            let dark = |x: u32, y: u32| at(&pixmap, x, y)[0] < 200;
            let columns: Vec<u32> = (0..pixmap.width()).filter(|&x| (0..40).any(|y| dark(x, y))).collect();
            let (first, last) = (columns[0], columns[columns.len() - 1]);
            assert!((19..=24).contains(&first), "{text}: {first}");
            let end = 20.0 + width - f64::from(last);
            assert!((-1.0..=10.0).contains(&end), "{text}: {end}");
            let rows: Vec<u32> = (0..40).filter(|&y| (0..pixmap.width()).any(|x| dark(x, y))).collect();
            assert!(rows[0] >= 10 && rows[rows.len() - 1] <= 29, "{text}: {rows:?}");
        }
    }

    #[test]
    fn upright_text_is_the_same_text_turned() {
        let mut flat = blank(80.0, 80.0);
        flat.text(point(40.0, 40.0), Anchor::Middle, Font::Bold, INK, "Ag7");
        let mut turned = blank(80.0, 80.0);
        turned.upright(point(40.0, 40.0), Anchor::Middle, Font::Bold, INK, "Ag7");
        let (flat, turned) = (paint(&flat, 1.0).unwrap(), paint(&turned, 1.0).unwrap());
        for y in 0..80 {
            for x in 0..80 {
                let (a, b) = (at(&flat, x, y)[0], at(&turned, y, 79 - x)[0]);
                assert!(a.abs_diff(b) < 60, "{x} {y}: {a} {b}");
            }
        }
    }

    #[test]
    fn pixels_lie_between_what_is_below_and_above_them() {
        let mut figure = blank(40.0, 40.0);
        let everywhere = Rect {
            x: 0.0,
            y: 0.0,
            width: 40.0,
            height: 40.0,
        };
        figure.fill(everywhere, 0.0, INK);
        figure.shapes.push(Shape::Raster(Raster {
            rect: Rect {
                width: 20.0,
                height: 20.0,
                ..everywhere
            },
            columns: 2,
            rows: 1,
            pixels: vec![RED, WHITE],
            smooth: false,
        }));
        let above = Rect {
            width: 5.0,
            height: 5.0,
            ..everywhere
        };
        figure.fill(above, 0.0, INK);
        let pixmap = paint(&figure, 2.0).unwrap();
        let ink = [INK.0, INK.1, INK.2];
        assert_eq!(at(&pixmap, 3, 3), ink);
        assert_eq!(at(&pixmap, 18, 18), [200, 0, 0]);
        assert_eq!(at(&pixmap, 21, 21), [255; 3]);
        assert_eq!(at(&pixmap, 60, 60), ink);
        assert!(figure.to_svg().contains("data:image/png;base64,"));
    }

    #[test]
    fn pixels_in_the_svg_keep_their_colours_whether_these_are_few_or_many() {
        for colours in [1, 256, 257, 2000] {
            let pixels: Vec<Rgb> = (0..2000)
                .map(|i| i % colours)
                .map(|i| Rgb(7, (i / 256) as u8, (i % 256) as u8))
                .collect();
            let raster = Raster {
                rect: Rect {
                    x: 0.0,
                    y: 0.0,
                    width: 9.0,
                    height: 9.0,
                },
                columns: 50,
                rows: 40,
                pixels,
                smooth: false,
            };
            let bytes = encoded(&raster).unwrap();
            let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
            decoder.set_transformations(png::Transformations::EXPAND);
            let mut reader = decoder.read_info().unwrap();
            let mut decoded = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut decoded).unwrap();
            let expected: Vec<u8> = raster.pixels.iter().flat_map(|c| [c.0, c.1, c.2]).collect();
            assert_eq!(decoded, expected, "{colours}");
        }
    }

    #[test]
    fn an_image_for_print_says_how_large_it_is() {
        let image = blank(96.0, 48.0).to_png_at(300).unwrap();
        assert_eq!((image.width, image.height), (300, 150));
        let reader = png::Decoder::new(std::io::Cursor::new(&image.bytes))
            .read_info()
            .unwrap();
        let dims = reader.info().pixel_dims.unwrap();
        // libpng: 300 dpi are 11811 pixels a metre.
        assert_eq!((dims.xppu, dims.unit), (11_811, png::Unit::Meter));
    }

    #[test]
    fn shapes_beyond_the_edge_and_broken_numbers_are_cut() {
        let mut figure = blank(20.0, 20.0);
        for x in [-1e9, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let rect = Rect {
                x,
                y: 5.0,
                width: x.abs(),
                height: 3.0,
            };
            figure.fill(rect, 1.0, RED);
            figure.text(point(x, 5.0), Anchor::Start, Font::Body, RED, "text");
            let stroke = crate::figure::Stroke {
                colour: RED,
                width: 2.0,
                dashed: true,
            };
            figure.line(point(x, 0.0), point(5.0, 1e4), stroke);
            figure.shapes.push(Shape::Arrow([point(x, x); 3], RED));
        }
        paint(&figure, 1.0).unwrap();
        assert!(!figure.to_svg().contains("NaN"));
    }

    #[test]
    fn a_picture_without_bounds_is_an_error() {
        for (width, height, scale) in [(1e5, 1e5, 1.0), (1e3, 1e3, 1e3), (1e300, 1e300, 1.0)] {
            let error = paint(&blank(width, height), scale).unwrap_err().to_string();
            assert!(error.contains("too large"), "{error}");
        }
    }
}
