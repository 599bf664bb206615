//! What is taken for what: a heat map, and the most frequent confusions.

use graft_client::proto::Report;
use maud::{Markup, html};

use super::svg::{Frame, fit, place, width_of};
use crate::report::{count, percent};

/// Classes that are drawn: those with the most confusions.
const MOST: usize = 30;
/// Confusions that are listed.
const PAIRS: usize = 10;
/// The width of a plot.
const WIDTH: f64 = 760.0;

/// A class that was taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What it is.
    pub label: String,
    /// What it was said to be.
    pub predicted: String,
    /// How often.
    pub count: u64,
    /// How many there are of what it is.
    pub of: u64,
}

/// The most frequent confusions, at most `most`.
pub fn worst_pairs(report: &Report, most: usize) -> Vec<Pair> {
    let classes = &report.classes;
    let cells = report.confusion.iter().enumerate().filter(|(_, count)| **count > 0);
    let wrong = cells.filter_map(|(at, count)| {
        let (row, column) = (at / classes.len().max(1), at % classes.len().max(1));
        let (is, predicted) = (classes.get(row)?, classes.get(column)?);
        (row != column).then(|| Pair {
            label: is.label.clone(),
            predicted: predicted.label.clone(),
            count: *count,
            of: is.support,
        })
    });
    let mut pairs: Vec<Pair> = wrong.collect();
    pairs.sort_by(|a, b| {
        b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)).then_with(|| a.predicted.cmp(&b.predicted))
    });
    pairs.truncate(most);
    pairs
}

/// The classes that are drawn, in their order.
fn drawn(report: &Report) -> Vec<usize> {
    let classes = report.classes.len();
    let cell = |row: usize, column: usize| report.confusion.get(row * classes + column).copied().unwrap_or(0);
    let wrong =
        |class: usize| (0..classes).filter(|c| *c != class).map(|c| cell(class, c) + cell(c, class)).sum::<u64>();
    let mut order: Vec<usize> = (0..classes).collect();
    if classes > MOST {
        order.sort_by_key(|class| (std::cmp::Reverse(wrong(*class)), *class));
        order.truncate(MOST);
        order.sort_unstable();
    }
    order
}

/// The heat map.
pub fn plot(report: &Report) -> Markup {
    let shown = drawn(report);
    let label = |class: usize| report.classes[class].label.as_str();
    let room = width_of(shown.iter().map(|class| label(*class)), 30.0, 150.0);
    let cell = ((WIDTH - room - 24.0) / shown.len() as f64).min(56.0);
    let side = cell * shown.len() as f64;
    let mut frame = Frame::new(room + 24.0 + side, room + 24.0 + side);
    (frame.left, frame.top) = (room + 12.0, room + 12.0);
    let body = html! {
        @for (row, class) in shown.iter().enumerate() {
            text.label x=(place(frame.left - 8.0)) y=(place(frame.top + (row as f64 + 0.5) * cell + 4.0)) text-anchor="end" {
                (fit(label(*class), room)) title { (label(*class)) }
            }
            (column_name(label(*class), room, frame.left + (row as f64 + 0.5) * cell + 4.0, frame.top - 8.0))
            @for (column, predicted) in shown.iter().enumerate() {
                (square(report, *class, *predicted, (frame.left + column as f64 * cell, frame.top + row as f64 * cell), cell))
            }
        }
    };
    html! {
        (frame.plot("Confusion matrix", body))
        @if shown.len() < report.classes.len() {
            p.note { "The " (shown.len()) " of " (report.classes.len()) " classes with the most confusions." }
        }
    }
}

fn column_name(label: &str, room: f64, x: f64, y: f64) -> Markup {
    let turn = format!("rotate(-90 {x:.1} {y:.1})");
    html! { text.label x=(place(x)) y=(place(y)) transform=(turn) { (fit(label, room)) title { (label) } } }
}

fn square(report: &Report, class: usize, predicted: usize, (x, y): (f64, f64), cell: f64) -> Markup {
    let (is, said) = (&report.classes[class], &report.classes[predicted]);
    let number = report.confusion.get(class * report.classes.len() + predicted).copied().unwrap_or(0);
    let part = if is.support == 0 { 0.0 } else { number as f64 / is.support as f64 };
    // The square root, so that the few that are wrong can be seen beside the many that are right.
    let depth = if number == 0 { 0.0 } else { 0.06 + 0.94 * part.sqrt() };
    let kind = if class == predicted { "cell right" } else { "cell wrong" };
    // Dark numbers are read on orange for longer than on blue.
    let turns = if class == predicted { 0.55 } else { 0.8 };
    let text = if depth > turns { "number over" } else { "number" };
    let digits = number.to_string();
    let fits = cell >= 7.5 * digits.len() as f64 + 4.0 && cell >= 16.0;
    html! {
        g {
            title { (is.label) " → " (said.label) ": " (count(number)) " (" (percent(part)) ")" }
            rect class=(kind) x=(place(x + 1.0)) y=(place(y + 1.0)) width=(place(cell - 2.0)) height=(place(cell - 2.0)) rx="3"
                fill-opacity=(format!("{depth:.3}")) {}
            @if number > 0 && fits {
                text class=(text) x=(place(x + cell / 2.0)) y=(place(y + cell / 2.0 + 4.0)) text-anchor="middle" { (digits) }
            }
        }
    }
}

/// The most frequent confusions as sentences.
pub fn pairs(report: &Report) -> Markup {
    let pairs = worst_pairs(report, PAIRS);
    html! {
        @if !pairs.is_empty() {
            h3 { "Most frequent confusions" }
            ol.pairs {
                @for pair in pairs {
                    li {
                        b { (pair.label) } " taken for " b { (pair.predicted) } ": " (count(pair.count)) " of " (count(pair.of))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use graft_client::proto::ClassReport;

    use super::*;

    fn report(classes: usize) -> Report {
        let class = |index: usize| ClassReport { label: format!("c{index}"), support: 10, ..Default::default() };
        let mut confusion = vec![0; classes * classes];
        (0..classes).for_each(|class| confusion[class * classes + class] = 8);
        confusion[classes - 1] = 2;
        confusion[classes * (classes - 1)] = 1;
        Report { classes: (0..classes).map(class).collect(), confusion, test_count: 10, ..Default::default() }
    }

    #[test]
    fn the_most_frequent_confusion_comes_first() {
        let pairs = worst_pairs(&report(3), 5);
        assert_eq!(pairs.len(), 2);
        assert_eq!((pairs[0].label.as_str(), pairs[0].predicted.as_str(), pairs[0].count), ("c0", "c2", 2));
    }

    #[test]
    fn of_many_classes_those_that_are_confused_are_drawn() {
        let shown = drawn(&report(200));
        assert_eq!(shown.len(), MOST);
        assert!(shown.contains(&0) && shown.contains(&199));
        assert!(plot(&report(200)).into_string().contains("of 200 classes"));
    }
}
