//! A value with its interval for each group of items, such as speakers.

use crate::{
    axis::Axis,
    colour::{FAINT, INK, MUTED, QUIET, category},
    figure::{Anchor, Figure, Rect, Stroke, point},
    plot::{MARGIN, REFERENCE, WIDTH, heading, nothing},
    text::Font,
};

/// Most groups that are drawn; the further ones are counted.
const MAX_GROUPS: usize = 200;
/// Width of the longest name, in pixels.
const LONGEST: f64 = 130.0;
/// Height of a group's row, in pixels.
const ROW: f64 = 24.0;

/// Bars of a value by group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupBars {
    /// Above the bars.
    pub title: String,
    /// What the bars measure, such as "UAR".
    pub value_label: String,
    /// The groups, from top to bottom.
    pub groups: Vec<Group>,
    /// The value over all items, a dashed line.
    pub overall: Option<f64>,
    /// Whether a lower value is better, as of an error: decides which group is the worst.
    pub lower_is_better: bool,
}

/// One bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Its name, such as a speaker's.
    pub name: String,
    /// Its value; one that is not finite has no bar.
    pub value: f64,
    /// The 95 % interval around it.
    pub interval: Option<(f64, f64)>,
    /// Number of items in it.
    pub items: u64,
}

impl Group {
    fn counts(&self) -> bool {
        self.items >= super::FEW_ITEMS && self.value.is_finite()
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        self.interval.filter(|(low, high)| low.is_finite() && high.is_finite())
    }
}

impl GroupBars {
    /// Draws a row a group, 480 pixels wide: bar, interval, value and number of items. Groups of under ten items are grey
    /// and are never the worst, which is named below the title.
    pub fn draw(&self) -> Figure {
        let mut figure = Figure::new(&self.title);
        figure.width = WIDTH;
        let groups = &self.groups[..self.groups.len().min(MAX_GROUPS)];
        let worst = self.worst();
        let note = worst.map_or_else(String::new, |worst| {
            let Group { name, value, items, .. } = &self.groups[worst];
            let name = Font::Body.fit_name(name, LONGEST);
            format!("worst: {name}, {} {}, n = {items}", self.value_label, number(*value))
        });
        let top = heading(&mut figure, &note) + 12.0;
        if groups.is_empty() {
            figure.height = top + 80.0 + MARGIN;
            nothing(&mut figure, point(WIDTH / 2.0, top + 40.0), "no groups");
            return figure;
        }
        let names: Vec<String> = groups
            .iter()
            .map(|group| Font::Body.fit_name(&group.name, LONGEST))
            .collect();
        let figures: Vec<String> = groups.iter().map(|group| format!("n = {}", group.items)).collect();
        let widest = |font: Font, texts: &[String]| texts.iter().map(|text| font.width(text)).fold(0.0, f64::max);
        let values: Vec<String> = groups.iter().map(|group| number(group.value)).collect();
        let columns = (widest(Font::Bold, &values), widest(Font::Small, &figures));
        let left = (MARGIN + widest(Font::Bold, &names) + 10.0).ceil();
        let right = WIDTH - MARGIN - columns.0 - 12.0 - columns.1;
        let axis = self.axis(groups);
        let area = Rect {
            x: left,
            y: top,
            width: (right - 12.0 - left).max(1.0),
            height: ROW * groups.len() as f64,
        };
        let place = |value: f64| area.x + area.width * axis.place(value);
        grid(&mut figure, area, &axis, &self.value_label);
        let zero = place(0.0f64.clamp(axis.range().0, axis.range().1));
        for (i, group) in groups.iter().enumerate() {
            let y = area.y + ROW * (i as f64 + 0.5);
            let is_worst = worst == Some(i);
            let (colour, ink) = match (group.counts(), is_worst) {
                (false, _) => (QUIET, QUIET),
                (true, true) => (category(1), INK),
                (true, false) => (category(0), INK),
            };
            let font = if is_worst { Font::Bold } else { Font::Body };
            figure.text(point(area.x - 10.0, y), Anchor::End, font, ink, &names[i]);
            if group.value.is_finite() {
                let end = place(group.value);
                let bar = Rect {
                    x: zero.min(end),
                    y: y - 7.0,
                    width: (end - zero).abs(),
                    height: 14.0,
                };
                figure.fill(bar, 0.0, colour.mixed(crate::colour::WHITE, 0.35));
            }
            if let Some((low, high)) = group.bounds() {
                let stroke = Stroke {
                    colour: ink,
                    width: 1.5,
                    dashed: false,
                };
                let (low, high) = (place(low), place(high));
                figure.line(point(low, y), point(high, y), stroke);
                for end in [low, high] {
                    figure.line(point(end, y - 4.0), point(end, y + 4.0), stroke);
                }
            }
            figure.text(point(right + columns.0, y), Anchor::End, font, ink, &values[i]);
            let at = point(WIDTH - MARGIN, y);
            figure.text(
                at,
                Anchor::End,
                Font::Small,
                if group.counts() { MUTED } else { QUIET },
                &figures[i],
            );
        }
        if let Some(overall) = self.overall.filter(|value| value.is_finite()) {
            let x = place(overall);
            figure.line(point(x, area.y - 4.0), point(x, area.bottom() + 2.0), REFERENCE);
        }
        self.notes(&mut figure, area.bottom() + 48.0, groups);
        figure
    }

    /// The place of the group with the worst value, of those with enough items; none of fewer than two.
    fn worst(&self) -> Option<usize> {
        let counting = || self.groups.iter().enumerate().filter(|(_, group)| group.counts());
        if counting().count() < 2 {
            return None;
        }
        let sign = if self.lower_is_better { -1.0 } else { 1.0 };
        let worst = counting().min_by(|a, b| (sign * a.1.value).total_cmp(&(sign * b.1.value)));
        worst.map(|(place, _)| place)
    }

    /// Over all values and intervals, and 0.
    fn axis(&self, groups: &[Group]) -> Axis {
        let ends = groups.iter().flat_map(|group| {
            let (low, high) = group.bounds().unwrap_or((group.value, group.value));
            [low, high, group.value]
        });
        let all = ends.chain(self.overall).chain([0.0]);
        // Differences of greater numbers overflow.
        Axis::over(all.filter(|value| value.abs() < 1e300), 4.0, true)
    }

    /// What the marks mean, below the axis.
    fn notes(&self, figure: &mut Figure, top: f64, groups: &[Group]) {
        let mut notes = Vec::new();
        if groups.iter().any(|group| group.bounds().is_some()) {
            notes.push("lines: 95 % intervals".to_owned());
        }
        if let Some(overall) = self.overall.filter(|value| value.is_finite()) {
            notes.push(format!("dashed: all items, {}", number(overall)));
        }
        if groups.iter().any(|group| group.items < super::FEW_ITEMS) {
            notes.push(format!("grey: under {} items", super::FEW_ITEMS));
        }
        let more = self.groups.len() - groups.len();
        if more > 0 {
            notes.push(format!("and {more} more"));
        }
        let text = Font::Small.fit(&notes.join("; "), WIDTH - 2.0 * MARGIN);
        figure.text(point(MARGIN, top), Anchor::Start, Font::Small, MUTED, &text);
        figure.height = top + if text.is_empty() { 0.0 } else { 8.0 } + MARGIN;
    }
}

/// Vertical lines at the marks, their numbers, and what is measured, below.
fn grid(figure: &mut Figure, area: Rect, axis: &Axis, label: &str) {
    for &tick in &axis.ticks {
        let x = area.x + area.width * axis.place(tick);
        let line = Rect {
            x: x.round() - 0.5,
            y: area.y,
            width: 1.0,
            height: area.height,
        };
        figure.fill(line, 0.0, FAINT);
        let at = point(x, area.bottom() + 11.0);
        figure.text(at, Anchor::Middle, Font::Small, MUTED, &axis.label(tick));
    }
    let label = Font::Body.fit(label, area.width);
    let at = point(area.centre().x, area.bottom() + 27.0);
    figure.text(at, Anchor::Middle, Font::Body, MUTED, &label);
}

fn number(value: f64) -> String {
    match value {
        value if !value.is_finite() => "not defined".to_owned(),
        value if value.abs() >= 1e4 => format!("{value:.1e}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Shape;

    fn group(name: &str, value: f64, items: u64) -> Group {
        Group {
            name: name.into(),
            value,
            interval: Some((value - 0.1, value + 0.1)),
            items,
        }
    }

    fn bars(groups: Vec<Group>) -> GroupBars {
        GroupBars {
            title: "UAR by speaker".into(),
            value_label: "UAR".into(),
            groups,
            overall: Some(0.6),
            lower_is_better: false,
        }
    }

    #[test]
    fn the_worst_is_the_worst_of_those_with_enough_items() {
        let mut chart = bars(vec![
            group("one", 0.7, 50),
            group("few", 0.1, 9),
            group("none", f64::NAN, 0),
            group("<bad>", 0.4, 10),
        ]);
        let svg = chart.draw().to_svg();
        assert!(svg.contains(">worst: &lt;bad&gt;, UAR 0.400, n = 10<"), "{svg}");
        assert!(svg.contains("grey: under 10 items") && svg.contains(">not defined<") && !svg.contains("NaN"));
        chart.lower_is_better = true;
        assert!(chart.draw().to_svg().contains(">worst: one, UAR 0.700, n = 50<"));
        chart.groups.truncate(2);
        assert!(!chart.draw().to_svg().contains("worst"));
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_begin_at_zero() {
        let figure = bars(vec![group("a", 0.2, 20), group("b", 0.8, 20), group("c", -0.2, 20)]).draw();
        let widths: Vec<(f64, f64)> = figure
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Box { rect, .. } if rect.height == 14.0 => Some((rect.x, rect.width)),
                _ => None,
            })
            .collect();
        assert!((widths[1].1 / widths[0].1 - 4.0).abs() < 1e-9, "{widths:?}");
        assert!((widths[2].0 + widths[2].1 - widths[0].0).abs() < 1e-9, "{widths:?}");
    }

    #[test]
    fn any_number_of_groups_and_any_number_fits() {
        for count in [0, 1, 500] {
            let mut groups = vec![group(&"speaker ".repeat(25), 0.5, u64::MAX); count];
            if let Some(first) = groups.first_mut() {
                first.value = f64::INFINITY;
                first.interval = Some((f64::NEG_INFINITY, 1e308));
            }
            let figure = bars(groups).draw();
            let svg = figure.to_svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(count > 0 || svg.contains(">no groups<"));
            assert!(count < 500 || svg.contains("and 300 more"));
            assert_eq!(figure.width, WIDTH);
            figure.to_png().unwrap();
        }
    }
}
