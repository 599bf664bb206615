//! Frames, scales and labels of plots. Sizes are in the units of the view box, which are pixels where the page is wide enough.

use maud::{Markup, html};

/// The width of a letter of a plot's text, and of one that is not Latin, in its units: 12 to the letter's height.
const LETTER: f64 = 6.8;
const WIDE_LETTER: f64 = 12.5;
/// How small a plot may be drawn: its text is 12 pixels high, and 9 can be read.
const SHRINKS: f64 = 0.75;

/// A straight map from values to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    /// From the values `from` to the places `to`.
    pub fn new(from: (f64, f64), to: (f64, f64)) -> Scale {
        Scale { from, to }
    }

    /// The place of a value.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.from.1 - self.from.0;
        let part = if span == 0.0 { 0.5 } else { (value - self.from.0) / span };
        self.to.0 + part * (self.to.1 - self.to.0)
    }
}

/// The inside of a plot: left, top, right and bottom of where values are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// All of the plot.
    pub size: (f64, f64),
    /// Where values are drawn from, and to.
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Frame {
    /// An inside with room around it: for marks on the left and below.
    pub fn new(width: f64, height: f64) -> Frame {
        Frame { size: (width, height), left: 56.0, top: 16.0, right: width - 20.0, bottom: height - 48.0 }
    }

    /// The scale of values across.
    pub fn across(&self, from: f64, to: f64) -> Scale {
        Scale::new((from, to), (self.left, self.right))
    }

    /// The scale of values up.
    pub fn up(&self, from: f64, to: f64) -> Scale {
        Scale::new((from, to), (self.bottom, self.top))
    }

    /// A plot of this size; `about` is read out where it cannot be seen. Where the page is too narrow for its text to be
    /// read, it is moved sideways.
    pub fn plot(&self, about: &str, body: Markup) -> Markup {
        let (width, height) = self.size;
        let style = format!("max-width:{width}px;min-width:{:.0}px", width * SHRINKS);
        html! {
            div.scroll {
                svg.plot viewBox=(format!("0 0 {width} {height}")) style=(style) role="img" aria-label=(about) { (body) }
            }
        }
    }

    /// Lines across at `marks`, each named on the left.
    pub fn rows(&self, scale: Scale, marks: &[(f64, String)]) -> Markup {
        html! {
            @for (value, name) in marks {
                line.grid x1=(place(self.left)) x2=(place(self.right)) y1=(place(scale.at(*value))) y2=(place(scale.at(*value))) {}
                text.mark x=(place(self.left - 8.0)) y=(place(scale.at(*value) + 4.0)) text-anchor="end" { (name) }
            }
        }
    }

    /// Names below, at `marks`.
    pub fn columns(&self, scale: Scale, marks: &[(f64, String)]) -> Markup {
        html! {
            @for (value, name) in marks {
                text.mark x=(place(scale.at(*value))) y=(place(self.bottom + 18.0)) text-anchor="middle" { (name) }
            }
        }
    }

    /// What is shown across, below everything; and what is shown up, above everything.
    pub fn names(&self, across: &str) -> Markup {
        let middle = (self.left + self.right) / 2.0;
        html! { text.axis x=(place(middle)) y=(place(self.size.1 - 8.0)) text-anchor="middle" { (across) } }
    }
}

/// A place with no more digits than are seen.
pub fn place(at: f64) -> String {
    format!("{at:.1}")
}

/// A line through places.
pub fn path(places: impl Iterator<Item = (f64, f64)>) -> String {
    places.enumerate().map(|(i, (x, y))| format!("{}{x:.1} {y:.1}", if i == 0 { "M" } else { " L" })).collect()
}

/// As much of `label` as fits in `width`.
pub fn fit(label: &str, width: f64) -> String {
    let letter = |c: char| if c.is_ascii() { LETTER } else { WIDE_LETTER };
    if label.chars().map(letter).sum::<f64>() <= width {
        return label.to_owned();
    }
    let (mut shown, mut used) = (String::new(), LETTER * 1.5);
    for c in label.chars() {
        used += letter(c);
        if used > width {
            break;
        }
        shown.push(c);
    }
    shown + "…"
}

/// The width that the longest of `labels` needs, within bounds.
pub fn width_of<'a>(labels: impl Iterator<Item = &'a str>, least: f64, most: f64) -> f64 {
    let letter = |c: char| if c.is_ascii() { LETTER } else { WIDE_LETTER };
    labels.map(|label| label.chars().map(letter).sum::<f64>()).fold(least, f64::max).min(most)
}

/// From three to six round values that cover `from` to `to`, 0 to 1, as percentages.
pub fn percentages(from: f64, to: f64) -> Vec<(f64, String)> {
    let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25].into_iter().find(|step| (to - from) / step <= 5.5).unwrap_or(0.25);
    let first = (from / step).floor() as i64;
    let last = (to / step).ceil() as i64;
    (first..=last)
        .map(|at| at as f64 * step)
        .filter(|value| (-1e-9..=1.0 + 1e-9).contains(value))
        .map(|value| (value, format!("{:.0}%", value * 100.0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_where_they_do_not_fit() {
        assert_eq!(fit("cat", 100.0), "cat");
        let cut = fit("a label that is far too long", 80.0);
        assert!(cut.ends_with('…') && cut.chars().count() < 12, "{cut}");
        assert!(fit("这是一个很长的标签", 60.0).chars().count() <= 5);
    }

    #[test]
    fn marks_cover_the_values() {
        let marks = percentages(0.83, 0.91);
        assert!(marks[0].0 <= 0.83 && marks.last().unwrap().0 >= 0.91 - 1e-9, "{marks:?}");
        assert!((3..=7).contains(&marks.len()), "{marks:?}");
        assert_eq!(percentages(0.0, 1.0).last().unwrap().1, "100%");
        assert_eq!(Scale::new((0.0, 2.0), (10.0, 20.0)).at(1.0), 15.0);
        assert_eq!(Scale::new((1.0, 1.0), (10.0, 20.0)).at(1.0), 15.0);
    }
}
