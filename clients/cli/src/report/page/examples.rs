//! Examples to look at: the surest mistakes and the likeliest label errors, with pictures where their files are at hand.

use graft_client::proto::{LabelError, Mistake, Report};
use maud::{Markup, html};

use super::section;
use crate::report::{count, images::Images, name, percent};

/// Mistakes that are shown, and label errors.
const MISTAKES: usize = 40;
const LABEL_ERRORS: usize = 100;

/// The surest mistakes.
pub fn mistakes(report: &Report, images: &Images) -> Markup {
    if report.mistakes.is_empty() {
        return html! {};
    }
    let lead = "The wrong answers on the test split that it was surest of. Some may be labels that are wrong.";
    let readings = |mistake: &Mistake| {
        let (label, predicted) = (mistake.label.clone(), mistake.predicted.clone());
        match &report.multi_label {
            None => vec![("is", label, mistake.label_probability), ("said", predicted, mistake.confidence)],
            // The probability is that of the label, whichever way it went.
            Some(_) if predicted.is_empty() => vec![("missed", label, mistake.label_probability)],
            Some(_) => vec![("wrongly gave", predicted, mistake.confidence)],
        }
    };
    let cards = html! {
        div.cards {
            @for mistake in report.mistakes.iter().take(MISTAKES) {
                (card(&name(&mistake.id, &mistake.hash), images.small(&mistake.id, &mistake.hash), readings(mistake)))
            }
        }
    };
    section("mistakes", "Its surest mistakes", lead, cards)
}

/// The likeliest label errors.
pub fn label_errors(report: &Report, images: &Images) -> Markup {
    let Some(found) = &report.label_errors else { return html! {} };
    let lead = format!(
        "Five heads were each fitted on four fifths of the {} {} and looked at the last fifth: {} labels are likely wrong. \
         The likeliest come first. Look before you correct: some are right and only hard.",
        count(found.examined),
        if report.multi_label.is_some() { "answers (examples times labels)" } else { "examples" },
        count(found.found)
    );
    let readings = |error: &LabelError| {
        let (label, suggested) = (error.label.clone(), error.suggested.clone());
        match &report.multi_label {
            None => {
                vec![("labelled", label, error.label_probability), ("rather", suggested, error.suggested_probability)]
            }
            Some(_) if suggested.is_empty() => vec![("one too many", label, error.label_probability)],
            Some(_) => vec![("likely lacks", suggested, error.suggested_probability)],
        }
    };
    let cards = html! {
        div.cards {
            @for error in found.errors.iter().take(LABEL_ERRORS) {
                (card(&name(&error.id, &error.hash), images.small(&error.id, &error.hash), readings(error)))
            }
        }
    };
    section("label-errors", "Labels that are likely wrong", &lead, cards)
}

/// An example with one or two readings of it: what each says, and how probable the head takes it to be.
fn card(name: &str, picture: Option<String>, readings: Vec<(&str, String, f64)>) -> Markup {
    html! {
        div.card {
            @if let Some(picture) = picture { img src=(picture) alt=(name) loading="lazy"; }
            div.text {
                @for (kind, label, probability) in readings {
                    p { span.reading { (kind) } " " b { (label) } " " span.probability { (percent(probability)) } }
                }
                p.id title=(name) { (name) }
            }
        }
    }
}
