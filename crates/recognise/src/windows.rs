//! How a long recording is cut.

/// Shortest rest at a recording's end that is heard, in seconds.
const LEAST_REST_S: f64 = 0.01;

/// How a recording is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Length of a window in seconds.
    pub window_s: f64,
    /// From the start of one to that of the next, in seconds.
    pub hop_s: f64,
}

impl Windows {
    /// Where the windows of a recording begin and end: from its start on, and a last one that ends with it.
    #[must_use]
    pub fn over(self, duration_s: f64) -> Vec<(f64, f64)> {
        let Self { window_s, hop_s } = self;
        if duration_s <= window_s {
            return vec![(0.0, duration_s)];
        }
        let last = ((duration_s - window_s) / hop_s).floor() as usize;
        let mut places: Vec<(f64, f64)> = (0..=last)
            .map(|at| (at as f64 * hop_s, at as f64 * hop_s + window_s))
            .collect();
        // What is left at the end is heard too.
        if duration_s - (last as f64 * hop_s + window_s) > LEAST_REST_S {
            places.push((duration_s - window_s, duration_s));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_recording_to_its_end() {
        let windows = Windows {
            window_s: 3.0,
            hop_s: 1.0,
        };
        assert_eq!(windows.over(2.5), [(0.0, 2.5)]);
        assert_eq!(windows.over(3.0), [(0.0, 3.0)]);
        assert_eq!(windows.over(5.0), [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]);
        assert_eq!(windows.over(4.5), [(0.0, 3.0), (1.0, 4.0), (1.5, 4.5)]);
        let far = Windows {
            window_s: 1.0,
            hop_s: 4.0,
        };
        assert_eq!(far.over(6.0), [(0.0, 1.0), (4.0, 5.0), (5.0, 6.0)]);
    }
}
