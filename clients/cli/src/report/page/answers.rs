//! Each label's own confusion matrix, of a head that gives several: bars of what was found, missed and wrongly given, and a table.

use graft_client::proto::{ClassReport, LabelCounts, Report};
use maud::{Markup, html};

use super::svg::{Frame, fit, place, width_of};
use crate::report::count;

/// Labels that are drawn: those with the most wrong answers.
const MOST: usize = 30;
/// The height of a label.
const ROW: f64 = 26.0;
/// The width of the plot.
const WIDTH: f64 = 760.0;

fn counts(class: &ClassReport) -> LabelCounts {
    class.counts.unwrap_or_default()
}

/// Wrong answers about a label.
fn wrong(class: &ClassReport) -> u64 {
    counts(class).false_positives + counts(class).false_negatives
}

/// Bars of pictures, the label with the most wrong answers first.
pub fn plot(report: &Report) -> Markup {
    let mut classes: Vec<&ClassReport> = report.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(wrong(class)));
    let left_out = classes.len().saturating_sub(MOST);
    classes.truncate(MOST);
    let length = |class: &&ClassReport| class.support + counts(class).false_positives;
    let most = classes.iter().map(length).max().unwrap_or(0).max(1);
    let label_width = width_of(classes.iter().map(|class| class.label.as_str()), 40.0, 180.0);
    let mut frame = Frame::new(WIDTH, ROW * classes.len() as f64 + 56.0);
    (frame.left, frame.right, frame.top) = (label_width + 16.0, WIDTH - 20.0, 6.0);
    let scale = frame.across(0.0, most as f64);
    let marks = [0, most / 2, most];
    let marks: Vec<(f64, String)> = marks.into_iter().map(|mark| (mark as f64, count(mark))).collect();
    let bar = |class: &ClassReport, top: f64| {
        let LabelCounts { true_positives, false_positives, false_negatives, .. } = counts(class);
        let ends = [0, true_positives, class.support, class.support + false_positives].map(|at| scale.at(at as f64));
        html! {
            g {
                title {
                    (class.label) ": " (count(true_positives)) " found, " (count(false_negatives)) " missed, "
                    (count(false_positives)) " wrongly given"
                }
                text.label x=(place(frame.left - 10.0)) y=(place(top + ROW / 2.0 + 4.0)) text-anchor="end" {
                    (fit(&class.label, label_width))
                }
                @for (part, kind) in ["bar", "bar missed", "bar given"].into_iter().enumerate() {
                    rect class=(kind) x=(place(ends[part])) y=(place(top + 5.0)) width=(place(ends[part + 1] - ends[part]))
                        height=(place(ROW - 10.0)) {}
                }
            }
        }
    };
    let body = html! {
        @for (value, _) in &marks {
            line.grid x1=(place(scale.at(*value))) x2=(place(scale.at(*value))) y1=(place(frame.top)) y2=(place(frame.bottom)) {}
        }
        @for (row, class) in classes.iter().enumerate() { (bar(class, frame.top + row as f64 * ROW)) }
        (frame.columns(scale, &marks))
        (frame.names("test pictures"))
    };
    html! {
        div.legend {
            span { i.swatch.one {} "has it, and it was found" }
            span { i.swatch.missed {} "has it, and it was missed" }
            span { i.swatch.given {} "has it not, and it was given" }
        }
        (frame.plot("Answers about each label", body))
        @if left_out > 0 { p.note { (left_out) " labels with fewer wrong answers are not drawn; the table has all." } }
    }
}

/// Every label with its counts.
pub fn details(report: &Report) -> Markup {
    let figure = |found: Option<f64>| found.map_or("–".to_owned(), |figure| format!("{figure:.3}"));
    html! {
        details {
            summary { "All counts of all labels" }
            div.scroll {
                table {
                    thead { tr {
                        th { "label" } th.n { "given from" } th.n { "found" } th.n { "missed" } th.n { "wrongly given" }
                        th.n { "rightly not" } th.n { "calibration error" }
                    } }
                    tbody {
                        @for class in &report.classes {
                            tr {
                                td.wrap { (class.label) }
                                td.n { (figure(class.threshold)) }
                                td.n { (count(counts(class).true_positives)) } td.n { (count(counts(class).false_negatives)) }
                                td.n { (count(counts(class).false_positives)) } td.n { (count(counts(class).true_negatives)) }
                                td.n { (figure(class.calibration_error)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_with_the_most_wrong_answers_comes_first_and_bars_follow_each_other() {
        let class = |label: &str, [found, given, missed]: [u64; 3]| ClassReport {
            label: label.into(),
            support: found + missed,
            counts: Some(LabelCounts {
                true_positives: found,
                false_positives: given,
                false_negatives: missed,
                true_negatives: 5,
            }),
            ..Default::default()
        };
        let classes = vec![class("sea", [10, 0, 0]), class("sky", [10, 4, 2])];
        let page = plot(&Report { classes, ..Default::default() }).into_string();
        assert!(page.find("sky").unwrap() < page.find("sea").unwrap());
        assert!(page.contains("sky: 10 found, 2 missed, 4 wrongly given") && !page.contains("NaN"));
        let empty = plot(&Report { classes: vec![class("none", [0, 0, 0])], ..Default::default() }).into_string();
        assert!(empty.contains("none: 0 found") && !empty.contains("NaN"));
    }
}
