//! What is measured of a split, as the file and the logs name it.

use emorun_metrics::{Direction, Metric};

/// What a name such as `loss`, `loss.ce` or `emotion.uar` stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure<'a> {
    /// `loss`: the weighted sum of the losses.
    Loss,
    /// `loss.<loss>`: one of them.
    OneLoss(&'a str),
    /// `<head>.<metric>`.
    OfHead(&'a str, Metric),
}

impl<'a> Measure<'a> {
    /// What a name stands for; `None` where it is none of these.
    pub fn named(name: &'a str) -> Option<Self> {
        if name == "loss" {
            return Some(Self::Loss);
        }
        match name.rsplit_once('.')? {
            ("loss", loss) => Some(Self::OneLoss(loss)),
            (head, metric) => Some(Self::OfHead(head, Metric::named(metric)?)),
        }
    }

    /// Which values are the better ones.
    pub fn direction(self) -> Direction {
        match self {
            Self::Loss | Self::OneLoss(_) => Direction::Lower,
            Self::OfHead(_, metric) => metric.direction(),
        }
    }
}

/// Which values of what is so named are the better ones; of what is no measure, the higher.
pub fn direction_of(name: &str) -> Direction {
    Measure::named(name).map_or(Direction::Higher, Measure::direction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_measured_and_which_way_it_is_better() {
        for (name, measure, direction) in [
            ("loss", Some(Measure::Loss), Direction::Lower),
            ("loss.mse", Some(Measure::OneLoss("mse")), Direction::Lower),
            ("loss.ccc", Some(Measure::OneLoss("ccc")), Direction::Lower),
            (
                "emotion.uar",
                Some(Measure::OfHead("emotion", Metric::UAR)),
                Direction::Higher,
            ),
            (
                "emotion.log_loss",
                Some(Measure::OfHead("emotion", Metric::LOG_LOSS)),
                Direction::Lower,
            ),
            (
                "numbers.mse",
                Some(Measure::OfHead("numbers", Metric::MSE)),
                Direction::Lower,
            ),
            (
                "numbers.bias",
                Some(Measure::OfHead("numbers", Metric::BIAS)),
                Direction::NearZero,
            ),
            ("emotion.uarr", None, Direction::Higher),
            ("progress", None, Direction::Higher),
        ] {
            assert_eq!(Measure::named(name), measure, "{name}");
            assert_eq!(direction_of(name), direction, "{name}");
        }
    }
}
