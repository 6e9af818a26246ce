//! Many small pictures as one.

use crate::{FigureError, PngImage, colour::Rgb, figure::Raster, figure::Rect, raster};

/// Small square pictures in grey, side by side in as many rows as columns, the first in the upper left corner; each is
/// `side × side` levels from 0 (white) to 1 (black), row after row, and what is missing or not a number is white.
///
/// # Errors
/// It would be larger than 8192 pixels.
pub fn sprite(pictures: &[Vec<f32>], side: usize) -> Result<PngImage, FigureError> {
    const WIDEST: usize = 8192;
    let across = (1..).find(|across| across * across >= pictures.len()).unwrap_or(1);
    let width = across * side;
    if width > WIDEST || width == 0 {
        return Err(FigureError::TooLarge {
            width: u32::try_from(width).unwrap_or(u32::MAX),
            height: u32::try_from(width).unwrap_or(u32::MAX),
        });
    }
    let pixel = |at: usize| {
        let (row, column) = (at / width, at % width);
        let picture = pictures.get(row / side * across + column / side);
        let level = picture.and_then(|levels| levels.get(row % side * side + column % side));
        let level = level.copied().filter(|level| level.is_finite()).unwrap_or(0.0);
        let shade = ((1.0 - level.clamp(0.0, 1.0)) * 255.0).round() as u8;
        Rgb(shade, shade, shade)
    };
    let size = width as u32;
    let bytes = raster::encoded(&Raster {
        rect: Rect {
            x: 0.0,
            y: 0.0,
            width: width as f64,
            height: width as f64,
        },
        columns: width,
        rows: width,
        pixels: (0..width * width).map(pixel).collect(),
        smooth: false,
    })?;
    Ok(PngImage {
        width: size,
        height: size,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_side_by_side() {
        let pictures = vec![vec![1.0; 4], vec![0.0; 4], vec![f32::NAN, 1.0, 2.0, 0.5]];
        let image = sprite(&pictures, 2).unwrap();
        assert_eq!((image.width, image.height), (4, 4));
        let decoded = resvg::tiny_skia::Pixmap::decode_png(&image.bytes).unwrap();
        let reds: Vec<u8> = decoded.pixels().iter().map(|pixel| pixel.red()).collect();
        assert_eq!(
            reds,
            [0, 0, 255, 255, 0, 0, 255, 255, 255, 0, 255, 255, 0, 128, 255, 255]
        );
        assert!(sprite(&vec![vec![]; 2048], 200).is_err());
    }
}
