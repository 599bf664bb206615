//! `graft diff`: two versions of classifiers beside each other, on the same test split.

use anyhow::{Context, Result};
use clap::Args;
use graft_client::{
    Graft,
    proto::{CompareHeadsRequest, CompareHeadsResponse, ComparedAnswer, ComparedClass, ComparedHead, Disagreement},
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
    report::{count, name, percent, short},
};

/// A chance below which a difference is called one.
const UNLIKELY: f64 = 0.05;
/// Classes that are all shown; of more, those whose F1 changed most.
const CLASSES: usize = 20;

/// Compare two versions of a classifier, or of two on the same backbone, on the same test split.
#[derive(Args)]
pub struct Diff {
    /// The first: NAME for the newest version, NAME@VERSION, or NAME@ALIAS.
    first: String,
    /// The second, in the same way.
    second: String,
    /// The id of the snapshot whose test split both are measured on; that of the later version unless told.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    snapshot: String,
    /// Examples to show that the two answer differently, at the most.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    most: u32,
    /// Write one JSON document to standard output, as `--output json` does.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Diff { first, second, snapshot, most, json } = self;
        let request = CompareHeadsRequest { first, second, snapshot, most_disagreements: most };
        let answer = graft.trainer.heads().compare_heads(request).await;
        let found = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let versions = (found.first.as_ref().context("no first")?, found.second.as_ref().context("no second")?);
        let output = if json { Output::Json } else { output };
        output.show(|| text(&found, versions), || describe(&found, versions))?;
        Ok(Done::All)
    }
}

fn text(found: &CompareHeadsResponse, versions: (&ComparedHead, &ComparedHead)) -> String {
    let parts = [
        heading(found, versions),
        figures(found, versions),
        verdict(found, versions),
        classes(found, versions),
        disagreements(found, versions),
    ];
    let shown: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    shown.join("\n")
}

fn heading(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> String {
    let mut text = format!(
        "{} and {} on {} test examples of `{}`, snapshot {}\n",
        first.head,
        second.head,
        count(found.test_count),
        found.dataset,
        found.snapshot.get(..12).unwrap_or(&found.snapshot),
    );
    for version in [first, second] {
        match version.fitted_on {
            Some(0) => {}
            Some(fitted) => {
                text += &format!("{} was fitted on {} of them: it looks too good\n", version.head, count(fitted))
            }
            None => text += &format!("it is not known which of them {} was fitted on\n", version.head),
        }
        if !version.unknown_labels.is_empty() {
            text += &format!("{} does not know: {}\n", version.head, version.unknown_labels.join(", "));
        }
    }
    text
}

fn figures(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> String {
    let row = |name: &str, first: f64, second: f64| {
        vec![name.to_owned(), format!("{first:.4}"), format!("{second:.4}"), format!("{:+.4}", second - first)]
    };
    let right = if found.multi_label { "exactly right" } else { "accuracy" };
    let mut rows = vec![row(right, first.accuracy, second.accuracy)];
    if let (Some(first), Some(second)) = (first.micro_f1, second.micro_f1) {
        rows.push(row("micro F1", first, second));
    }
    rows.push(row("macro F1", first.macro_f1, second.macro_f1));
    rows.push(row("log loss", first.log_loss, second.log_loss));
    table(&["figure", &first.head, &second.head, "change"], &rows)
}

/// Whether the difference means something, in words.
fn verdict(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> String {
    let (one, other) = (found.only_first_right, found.only_second_right);
    let counts = format!(
        "both right {}, only {} {}, only {} {}, both wrong {}\n",
        count(found.both_right),
        first.head,
        count(one),
        second.head,
        count(other),
        count(found.both_wrong),
    );
    let better = if other > one { second } else { first };
    let words = if one == other {
        "neither is right more often".to_owned()
    } else if found.p_value < UNLIKELY {
        format!("{} is right more often, and hardly by chance (p = {:.2e}, McNemar)", better.head, found.p_value)
    } else {
        format!("{} is right more often, which may be chance (p = {:.2}, McNemar)", better.head, found.p_value)
    };
    counts + &words + "\n"
}

/// By how much the F1 of a class differs; a version that does not know it has none of it.
fn change(class: &ComparedClass) -> f64 {
    class.second_f1.unwrap_or_default() - class.first_f1.unwrap_or_default()
}

fn classes(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> String {
    let mut shown: Vec<&ComparedClass> = found.classes.iter().collect();
    let left_out = shown.len().saturating_sub(CLASSES);
    if left_out > 0 {
        shown.sort_by(|a, b| change(b).abs().total_cmp(&change(a).abs()).then(a.label.cmp(&b.label)));
        shown.truncate(CLASSES);
    }
    let f1 = |f1: Option<f64>| f1.map_or("-".to_owned(), |f1| format!("{f1:.3}"));
    let row = |class: &&ComparedClass| {
        let (first, second) = (f1(class.first_f1), f1(class.second_f1));
        vec![short(&class.label), first, second, format!("{:+.3}", change(class)), class.support.to_string()]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    let text = table(&["F1 of class", &first.head, &second.head, "change", "support"], &rows);
    if left_out > 0 { text + &format!("and {left_out} more, which changed less\n") } else { text }
}

fn disagreements(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> String {
    if found.disagreement_count == 0 {
        return "both answer all of them alike\n".to_owned();
    }
    let part = percent(found.disagreement_count as f64 / found.test_count.max(1) as f64);
    let row = |example: &Disagreement| {
        let answered = |answer: &Option<ComparedAnswer>| answer.as_ref().map(answer_text).unwrap_or_default();
        vec![
            name(&example.id, &example.hash),
            labels(example.labels.iter().map(String::as_str)),
            answered(&example.first),
            answered(&example.second),
        ]
    };
    let rows: Vec<_> = found.disagreements.iter().map(row).collect();
    let heading = format!("answered differently: {} ({part}), the surest first\n", count(found.disagreement_count));
    heading + &table(&["example", "is", &first.head, &second.head], &rows)
}

/// `bag 0.981 ✓`.
fn answer_text(answer: &ComparedAnswer) -> String {
    let right = if answer.right { "✓" } else { "✗" };
    format!("{} {:.3} {right}", labels(answer.labels.iter().map(|label| label.label.as_str())), answer.confidence)
}

fn labels<'a>(labels: impl Iterator<Item = &'a str>) -> String {
    let labels: Vec<&str> = labels.collect();
    if labels.is_empty() { "–".to_owned() } else { short(&labels.join("+")) }
}

fn describe(found: &CompareHeadsResponse, (first, second): (&ComparedHead, &ComparedHead)) -> Value {
    let class = |class: &ComparedClass| {
        json!({
            "label": class.label, "support": class.support, "first_f1": class.first_f1, "second_f1": class.second_f1,
        })
    };
    let example = |example: &Disagreement| {
        json!({
            "id": example.id, "hash": example.hash, "labels": example.labels,
            "first": example.first.as_ref().map(answer), "second": example.second.as_ref().map(answer),
        })
    };
    json!({
        "first": version(first), "second": version(second), "snapshot": found.snapshot, "dataset": found.dataset,
        "test_count": found.test_count, "multi_label": found.multi_label, "both_right": found.both_right,
        "only_first_right": found.only_first_right, "only_second_right": found.only_second_right,
        "both_wrong": found.both_wrong, "p_value": found.p_value,
        "classes": found.classes.iter().map(class).collect::<Vec<_>>(),
        "disagreement_count": found.disagreement_count,
        "disagreements": found.disagreements.iter().map(example).collect::<Vec<_>>(),
    })
}

fn version(version: &ComparedHead) -> Value {
    json!({
        "head": version.head, "accuracy": version.accuracy, "macro_f1": version.macro_f1, "log_loss": version.log_loss,
        "micro_f1": version.micro_f1, "unknown_labels": version.unknown_labels, "fitted_on": version.fitted_on,
    })
}

fn answer(answer: &ComparedAnswer) -> Value {
    let labels = answer.labels.iter().map(|l| json!({ "label": l.label, "probability": l.probability }));
    json!({ "labels": labels.collect::<Vec<_>>(), "right": answer.right, "confidence": answer.confidence })
}

#[cfg(test)]
mod tests {
    use graft_client::proto::ComparedLabel;

    use super::*;

    fn found(only_first_right: u64, only_second_right: u64, p_value: f64) -> CompareHeadsResponse {
        let version = |head: &str, accuracy| ComparedHead { head: head.into(), accuracy, ..Default::default() };
        let said = |label: &str, right| {
            let label = ComparedLabel { label: label.into(), probability: 0.75 };
            Some(ComparedAnswer { labels: vec![label], right, confidence: 0.75 })
        };
        CompareHeadsResponse {
            first: Some(version("h@1", 0.5)),
            second: Some(ComparedHead { fitted_on: Some(3), ..version("h@2", 0.75) }),
            test_count: 8,
            only_first_right,
            only_second_right,
            p_value,
            classes: vec![ComparedClass { label: "new".into(), second_f1: Some(0.5), ..Default::default() }],
            disagreement_count: 1,
            disagreements: vec![Disagreement {
                id: "x.png".into(),
                labels: vec!["cat".into()],
                first: said("dog", false),
                second: said("cat", true),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn told(found: &CompareHeadsResponse) -> String {
        text(found, (found.first.as_ref().unwrap(), found.second.as_ref().unwrap()))
    }

    #[test]
    fn both_are_told_side_by_side_with_what_to_make_of_it() {
        let text = told(&found(1, 9, 0.021));
        for words in [
            "accuracy  0.5000  0.7500  +0.2500",
            "h@2 is right more often, and hardly by chance (p = 2.10e-2",
            "h@2 was fitted on 3 of them",
            "new            -  0.500  +0.500",
            "x.png    cat  dog 0.750 ✗  cat 0.750 ✓",
            "answered differently: 1 (12.5%)",
        ] {
            assert!(text.contains(words), "`{words}` is missing in:\n{text}");
        }
        assert!(told(&found(3, 2, 1.0)).contains("h@1 is right more often, which may be chance"));
        assert!(told(&found(2, 2, 1.0)).contains("neither is right more often"));
    }
}
