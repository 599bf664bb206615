//! The evidence as one HTML page that holds everything itself: styles, plots as SVG, pictures as `data:`. It runs no script
//! and asks no network.
//!
//! # Layout
//! - [`svg`]: frames, scales and labels of plots.
//! - [`confusion`], [`reliability`], [`bars`], [`curves`]: the plots. [`answers`]: each label's own confusion matrix, of a head that
//!   gives several.
//! - [`overview`]: what is said first. [`examples`]: mistakes and likely label errors, with pictures.

use graft_client::proto::{Head, Report};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{count, images::Images, percent};

mod answers;
mod bars;
pub mod confusion;
mod curves;
mod examples;
mod overview;
mod reliability;
mod svg;

/// The page's look; `overview.rs` and the plots name its classes.
const STYLE: &str = include_str!("style.css");
/// What the browser may load: nothing but the page's own styles and pictures.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page of `head`, with small pictures from `images`.
pub fn page(head: &Head, images: &Images) -> String {
    let report = head.report.clone().unwrap_or_default();
    let title = format!("{}@{}", head.name, head.version);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) " · report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (overview::header(head, &report))
                    (overview::warnings(&report))
                    @if report.test_count > 0 { (overview::figures(&report)) }
                    (classes(&report))
                    @if report.multi_label.is_some() { (label_answers(&report)) } @else { (confusions(&report)) }
                    (calibration(&report))
                    (unknown(&report))
                    (more_data(&report))
                    (examples::mistakes(&report, images))
                    (examples::label_errors(&report, images))
                    (l2(&report))
                    (overview::provenance(head, &report))
                }
            }
        }
    }
    .into_string()
}

/// A section with what it answers as its heading.
fn section(id: &str, title: &str, lead: &str, body: Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (title) }
            @if !lead.is_empty() { p.lead { (lead) } }
            (body)
        }
    }
}

fn classes(report: &Report) -> Markup {
    if report.classes.is_empty() {
        return html! {};
    }
    let lead = "F1 of each class, the harmonic mean of its precision (how often it is right when named) and recall (how often \
                it is found). The worst come first.";
    let title = if report.multi_label.is_some() { "Which labels it knows" } else { "Which classes it knows" };
    section("classes", title, lead, html! { (bars::plot(report)) (bars::details(report)) })
}

fn confusions(report: &Report) -> Markup {
    if report.test_count == 0 || report.classes.len() < 2 {
        return html! {};
    }
    let lead = "A row is what a picture is, a column what it was said to be; the number counts pictures, the colour is the \
                part of the row. What lies off the diagonal is wrong.";
    section("confusion", "What it takes for what", lead, html! { (confusion::plot(report)) (confusion::pairs(report)) })
}

fn label_answers(report: &Report) -> Markup {
    if report.test_count == 0 || report.classes.is_empty() {
        return html! {};
    }
    let lead = "Each label is an answer of its own, yes or no, so there is no one table of what is taken for what: a bar is the \
                pictures that have the label, those that it found and those that it missed, and behind them those that it gave \
                the label wrongly.";
    section(
        "answers",
        "Where it gives a label and where it should",
        lead,
        html! { (answers::plot(report)) (answers::details(report)) },
    )
}

fn calibration(report: &Report) -> Markup {
    let Some(found) = &report.calibration else { return html! {} };
    let meaning = match &report.multi_label {
        None => "Of pictures that it is 80% sure of, 80% should be right",
        Some(_) => {
            "Of the labels that it gives a probability of 80%, 80% should be there (all labels are taken together)"
        }
    };
    let lead = format!(
        "{meaning}: the dots should lie on the line. The temperature, {:.3}, was \
         fitted on the validation split and is part of the head; it brought the calibration error from {:.1} to {:.1} points.",
        found.temperature,
        100.0 * found.error_before,
        100.0 * found.error_after,
    );
    section(
        "calibration",
        "Whether its confidence can be believed",
        &lead,
        reliability::plot(found, report.multi_label.is_some()),
    )
}

fn unknown(report: &Report) -> Markup {
    let Some(found) = &report.unknown else { return html! {} };
    let lead = format!(
        "A caller that asks for it is told “unknown” where the most probable class has less than {:.3}. The threshold was \
         chosen on the validation split so that 95% of the right answers stay; this is what it does on the test split.",
        found.threshold
    );
    let fact = |figure: f64, of: &str| html! { div.fact { b { (percent(figure)) } span { (of) } } };
    let facts = html! {
        div.facts {
            (fact(found.coverage, "of pictures are still answered"))
            (fact(found.accuracy, "of those answers are right"))
            (fact(found.wrong_rejected, "of wrong answers become unknown"))
            (fact(found.right_rejected, "of right answers are lost"))
        }
    };
    section("unknown", "When it should say that it does not know", &lead, facts)
}

fn more_data(report: &Report) -> Markup {
    let Some(curve) = report.learning_curve.as_ref().filter(|curve| curve.points.len() > 1) else { return html! {} };
    let lead = match &curve.forecast {
        Some(forecast) => format!(
            "With {} examples, twice as many as now, about {} would be {}: the power law through the points, continued.",
            count(forecast.examples),
            percent(forecast.accuracy),
            if report.multi_label.is_some() { "exactly right" } else { "right" }
        ),
        None => "Accuracy of heads that were fitted on parts of the examples.".to_owned(),
    };
    section("learning-curve", "Whether more data would help", &lead, curves::learning(curve))
}

fn l2(report: &Report) -> Markup {
    if report.l2_trials.len() < 2 {
        return html! {};
    }
    let lead = "Log loss on the validation split for each L2 that was tried. The least was chosen.";
    section("l2", "How the L2 was chosen", lead, curves::l2(report))
}

#[cfg(test)]
mod tests {
    use graft_client::proto::{ClassReport, Mistake};

    use super::*;

    #[test]
    fn labels_and_ids_are_text_and_never_markup() {
        let bad = "<script>alert(1)</script>\"'&";
        let report = Report {
            test_count: 2,
            classes: vec![ClassReport { label: bad.into(), support: 1, ..Default::default() }; 2],
            confusion: vec![1, 0, 1, 0],
            mistakes: vec![Mistake { id: bad.into(), label: bad.into(), predicted: bad.into(), ..Default::default() }],
            ..Default::default()
        };
        let head = Head { name: bad.into(), labels: vec![bad.into(); 2], report: Some(report), ..Default::default() };
        let page = page(&head, &Images::open(None).unwrap());
        assert!(!page.contains("<script"), "nothing of a label is markup");
        assert!(page.contains("&lt;script&gt;") && page.contains("svg"));
    }

    #[test]
    fn a_head_without_a_report_has_a_page_too() {
        let page = page(&Head { name: "h".into(), ..Default::default() }, &Images::open(None).unwrap());
        assert!(page.contains("h@0") && page.contains("No example was held out"));
    }
}
