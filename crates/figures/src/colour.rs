//! Colours.

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rgb(pub u8, pub u8, pub u8);

pub(crate) const WHITE: Rgb = Rgb(255, 255, 255);
pub(crate) const INK: Rgb = Rgb(31, 41, 55);
pub(crate) const MUTED: Rgb = Rgb(100, 110, 124);
/// Of what is there but counts for little.
pub(crate) const QUIET: Rgb = Rgb(168, 176, 188);
pub(crate) const FAINT: Rgb = Rgb(224, 228, 233);

impl Rgb {
    /// The colour of a lightness (0 to 1), a chroma (0 is grey) and a hue in degrees; what no screen
    /// can show is clipped.
    ///
    /// # Source
    /// B. Ottosson, "A perceptual color space for image processing" (Oklab), 2020.
    pub fn oklch(lightness: f64, chroma: f64, hue: f64) -> Self {
        let (sin, cos) = hue.to_radians().sin_cos();
        let (a, b) = (chroma * cos, chroma * sin);
        let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
        Self(
            channel(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
            channel(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
            channel(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
        )
    }

    /// A step of the sequential scale, from nearly white (0) to deep blue (1); equal steps look equal.
    pub fn sequential(share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let chroma = 0.14 * (1.0 - (1.0 - share).powi(2));
        Self::oklch(0.985 - 0.6 * share, chroma, 256.0)
    }

    /// This colour with a share of another in it.
    pub fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// Black or white, whichever is read more easily on this colour.
    pub fn ink_on(self) -> Self {
        let luminance = 0.299 * f64::from(self.0) + 0.587 * f64::from(self.1) + 0.114 * f64::from(self.2);
        if luminance < 140.0 { WHITE } else { INK }
    }
}

/// A linear channel in sRGB's encoding.
fn channel(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let encoded = if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    };
    (encoded * 255.0).round() as u8
}

/// Colours of categories that most colour-blind readers tell apart too. In place of the yellow of the source, which is
/// not seen on white, the last is the wine of the second.
///
/// # Source
/// M. Okabe and K. Ito, "Color Universal Design", 2008; P. Tol, "Colour schemes", 2021 ("muted").
const CATEGORIES: [Rgb; 8] = [
    Rgb(0, 114, 178),
    Rgb(213, 94, 0),
    Rgb(0, 158, 115),
    Rgb(204, 121, 167),
    Rgb(230, 159, 0),
    Rgb(86, 180, 233),
    INK,
    Rgb(136, 34, 85),
];

/// The colour of the `index`-th category; from the ninth on lighter and darker ones of the first.
pub(crate) fn category(index: usize) -> Rgb {
    let colour = CATEGORIES[index % CATEGORIES.len()];
    match index / CATEGORIES.len() % 3 {
        0 => colour,
        1 => colour.mixed(WHITE, 0.45),
        _ => colour.mixed(Rgb(0, 0, 0), 0.45),
    }
}

/// Hues of pastel boxes with a name on them.
const HUES: [f64; 10] = [250.0, 75.0, 155.0, 305.0, 25.0, 200.0, 350.0, 110.0, 280.0, 50.0];

/// The hue of the `index`-th kind of box, in degrees.
pub(crate) fn box_hue(index: usize) -> f64 {
    HUES[index % HUES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oklab_gives_the_known_corners() {
        assert_eq!(Rgb::oklch(1.0, 0.0, 0.0), WHITE);
        assert_eq!(Rgb::oklch(0.0, 0.0, 0.0), Rgb(0, 0, 0));
        assert_eq!(Rgb::oklch(0.627_955, 0.257_683, 29.233_9), Rgb(255, 0, 0));
    }

    #[test]
    fn categories_differ() {
        let colours: Vec<Rgb> = (0..24).map(category).collect();
        for (i, colour) in colours.iter().enumerate() {
            assert!(!colours[..i].contains(colour), "{i}");
        }
    }

    #[test]
    fn the_scale_darkens_with_every_step() {
        let brightness = |step: u32| {
            let Rgb(r, g, b) = Rgb::sequential(f64::from(step) / 50.0);
            2 * u32::from(r) + 5 * u32::from(g) + u32::from(b)
        };
        for step in 0..50 {
            assert!(brightness(step) > brightness(step + 1), "{step}");
        }
    }
}
