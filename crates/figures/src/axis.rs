//! Axes: their range and their marks.

/// The range of an axis and its marks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    pub ticks: Vec<f64>,
    marks: Marks,
}

/// How an axis writes its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    Numbers,
    /// The axis is one of exponents.
    PowersOfTen,
    Whole,
}

impl Axis {
    /// From 0 to 1.
    pub fn shares() -> Self {
        Self::over([0.0, 1.0].into_iter(), 5.0, true)
    }

    /// The same axis, of exponents of ten.
    pub fn of_powers(self) -> Self {
        Self {
            marks: Marks::PowersOfTen,
            ..self
        }
    }

    /// The same axis with marks at whole numbers alone.
    pub fn of_counts(mut self) -> Self {
        self.ticks.retain(|tick| tick.fract() == 0.0);
        Self {
            marks: Marks::Whole,
            ..self
        }
    }

    /// Over all `values`, with about `marks` round marks; `rounded` ends the range on marks.
    pub fn over(values: impl Iterator<Item = f64>, marks: f64, rounded: bool) -> Self {
        let range = values.fold(None, |range: Option<(f64, f64)>, v| {
            let (low, high) = range.unwrap_or((v, v));
            Some((low.min(v), high.max(v)))
        });
        let (mut low, mut high) = range.unwrap_or((0.0, 1.0));
        // Values that are equal, or differ in the last bits only, need a range all the same.
        if high - low <= 1e-9 * low.abs().max(high.abs()) || high - low < 1e-300 {
            let pad = (0.05 * low.abs()).max(0.5);
            (low, high) = (low - pad, high + pad);
        }
        let raw = (high - low) / marks;
        let power = 10_f64.powf(raw.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = nice.into_iter().find(|&s| s >= raw).unwrap_or(raw);
        if rounded {
            low = (low / step).floor() * step;
            high = (high / step).ceil() * step;
        }
        let first = (low / step - 1e-6).ceil();
        let count = ((high / step + 1e-6).floor() - first).clamp(0.0, 40.0) as u32;
        Self {
            low,
            high,
            step,
            ticks: (0..=count).map(|i| (first + f64::from(i)) * step).collect(),
            marks: Marks::Numbers,
        }
    }

    /// The least and the greatest value.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// From 0 at the low end to 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The text of a mark.
    pub fn label(&self, tick: f64) -> String {
        match self.marks {
            Marks::PowersOfTen => return power_of_ten(tick),
            Marks::Whole => return format!("{tick:.0}"),
            Marks::Numbers => {}
        }
        let largest = self.low.abs().max(self.high.abs());
        if largest >= 1e6 || self.step < 1e-5 {
            return if tick == 0.0 { "0".into() } else { format!("{tick:.1e}") };
        }
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{tick:.decimals$}");
        // Rounding may leave a negative zero.
        if text.trim_start_matches(['-', '0', '.']).is_empty() {
            "0".into()
        } else {
            text
        }
    }
}

/// `1e-3` at -3, and numbers as they are between such marks.
fn power_of_ten(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() < 1e-9 {
        format!("1e{exponent:.0}").replace("e-0", "e0")
    } else {
        format!("{:.1e}", 10_f64.powf(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::over(values.iter().copied(), 5.0, true);
        axis.ticks.iter().map(|&t| axis.label(t)).collect()
    }

    #[test]
    fn marks_are_round_and_hold_all_values() {
        assert_eq!(labels(&[0.0, 1.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[-3.0, 17.0]), ["-5", "0", "5", "10", "15", "20"]);
        assert_eq!(labels(&[2e-4, 9e-4]).first().unwrap(), "0.0002");
        for values in [
            &[][..],
            &[7.0],
            &[1e300, -1e300],
            &[0.3, 0.3 + 1e-17],
            &[5e-324, 0.0],
            &[1e9, 1e9 + 1.0],
        ] {
            let axis = Axis::over(values.iter().copied(), 5.0, true);
            assert!(axis.ticks.len() >= 2, "{values:?}");
            for value in values {
                assert!((-1e-6..=1.000_001).contains(&axis.place(*value)), "{values:?}");
            }
        }
    }
}
