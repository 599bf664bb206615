//! Each class on its own: bars of F1, and a table of all figures.

use graft_client::proto::{ClassReport, Report};
use maud::{Markup, html};

use super::svg::{Frame, fit, percentages, place, width_of};
use crate::report::count;

/// Classes that are drawn: the worst.
const MOST: usize = 30;
/// The height of a class.
const ROW: f64 = 26.0;
/// The width of the plot.
const WIDTH: f64 = 760.0;

/// Bars of F1, the worst first, with precision and recall as marks on them.
pub fn plot(report: &Report) -> Markup {
    let mut classes: Vec<&ClassReport> = report.classes.iter().filter(|class| class.support > 0).collect();
    classes.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    let left_out = classes.len().saturating_sub(MOST);
    classes.truncate(MOST);
    if classes.is_empty() {
        return html! { p.note { "The test split holds no example of any class." } };
    }
    let label_width = width_of(classes.iter().map(|class| class.label.as_str()), 40.0, 180.0);
    let mut frame = Frame::new(WIDTH, ROW * classes.len() as f64 + 56.0);
    (frame.left, frame.right, frame.top) = (label_width + 16.0, WIDTH - 60.0, 6.0);
    let scale = frame.across(0.0, 1.0);
    let marks = percentages(0.0, 1.0);
    let plot = html! {
        @for (value, _) in &marks {
            line.grid x1=(place(scale.at(*value))) x2=(place(scale.at(*value))) y1=(place(frame.top)) y2=(place(frame.bottom)) {}
        }
        @for (row, class) in classes.iter().enumerate() { (bar(class, &frame, label_width, frame.top + row as f64 * ROW)) }
        (frame.columns(scale, &marks))
        (frame.names("F1, with precision and recall"))
    };
    html! {
        div.legend {
            span { i.swatch.one {} "F1" }
            span { i.mark-precision {} "precision" }
            span { i.mark-recall {} "recall" }
        }
        (frame.plot("F1 of each class", plot))
        @if left_out > 0 { p.note { (left_out) " better classes are not drawn; the table has all." } }
    }
}

fn bar(class: &ClassReport, frame: &Frame, label_width: f64, top: f64) -> Markup {
    let scale = frame.across(0.0, 1.0);
    let middle = top + ROW / 2.0;
    html! {
        g {
            title {
                (class.label) ": F1 " (format!("{:.3}", class.f1)) ", precision " (format!("{:.3}", class.precision))
                ", recall " (format!("{:.3}", class.recall)) ", " (count(class.support)) " test examples"
            }
            text.label x=(place(frame.left - 10.0)) y=(place(middle + 4.0)) text-anchor="end" { (fit(&class.label, label_width)) }
            rect.bar x=(place(frame.left)) y=(place(top + 5.0)) width=(place(scale.at(class.f1) - frame.left))
                height=(place(ROW - 10.0)) rx="3" {}
            circle.precision cx=(place(scale.at(class.precision))) cy=(place(middle)) r="4" {}
            path.recall d=(diamond(scale.at(class.recall), middle)) {}
            text.value x=(place(frame.right + 12.0)) y=(place(middle + 4.0)) { (format!("{:.3}", class.f1)) }
        }
    }
}

fn diamond(x: f64, y: f64) -> String {
    format!("M{:.1} {y:.1} L{x:.1} {:.1} L{:.1} {y:.1} L{x:.1} {:.1} Z", x - 5.0, y - 5.0, x + 5.0, y + 5.0)
}

/// Every class with all its figures.
pub fn details(report: &Report) -> Markup {
    let figure = |figure: f64| format!("{figure:.3}");
    let maybe = |found: Option<f64>| found.map_or("–".to_owned(), figure);
    html! {
        details {
            summary { "All figures of all classes" }
            div.scroll {
                table {
                    thead { tr {
                        th { "class" } th.n { "precision" } th.n { "recall" } th.n { "F1" } th.n { "ROC AUC" }
                        th.n { "avg. precision" } th.n { "fitted on" } th.n { "test" }
                    } }
                    tbody {
                        @for class in &report.classes {
                            tr {
                                td.wrap { (class.label) }
                                td.n { (figure(class.precision)) } td.n { (figure(class.recall)) } td.n { (figure(class.f1)) }
                                td.n { (maybe(class.roc_auc)) } td.n { (maybe(class.average_precision)) }
                                td.n { (count(class.train_count)) } td.n { (count(class.support)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
