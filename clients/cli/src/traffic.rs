//! `graft traffic`: what a classifier was asked of late, and how its canaries and shadows do.

use anyhow::Result;
use clap::Args;
use graft_client::{
    Graft,
    proto::{
        CanaryFigures, ClassTraffic, DriftLevel, GetHeadTrafficRequest, GetHeadTrafficResponse, ShadowFigures,
        SplitFigures, VersionTraffic,
    },
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
};

/// Show what a classifier was asked of late, how far that is from its test split, and how canaries and shadows do.
#[derive(Args)]
pub struct Traffic {
    /// The classifier: NAME for all its versions, NAME@VERSION or NAME@ALIAS for one.
    head: String,
    /// Show each class, too.
    #[arg(long)]
    classes: bool,
}

impl Traffic {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let request = GetHeadTrafficRequest { head: self.head };
        let answer = graft.trainer.heads().get_head_traffic(request).await;
        let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        output.show(|| text(&answer, self.classes), || describe(&answer))?;
        Ok(Done::All)
    }
}

fn text(answer: &GetHeadTrafficResponse, classes: bool) -> String {
    if answer.versions.is_empty() && answer.splits.is_empty() {
        return "nothing was asked here since the trainer was started".to_owned();
    }
    let headings = ["version", "answers", "of", "confidence", "on test", "PSI classes", "PSI confidence", "drift"];
    let rows: Vec<_> = answer.versions.iter().map(version).collect();
    let mut parts = vec![table(&headings, &rows)];
    if classes {
        parts.extend(answer.versions.iter().map(of_classes));
    }
    parts.extend(answer.splits.iter().map(split));
    parts.join("\n")
}

fn version(version: &VersionTraffic) -> Vec<String> {
    vec![
        version.head.clone(),
        version.answers.to_string(),
        version.answers_in_all.to_string(),
        format!("{:.4}", version.confidence),
        figure(version.test_confidence),
        figure(version.class_drift),
        figure(version.confidence_drift),
        level(version),
    ]
}

fn figure(figure: Option<f64>) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.4}"))
}

/// `unknown`, `steady`, `watch` or `alarm`.
fn level(version: &VersionTraffic) -> String {
    match version.level() {
        DriftLevel::Unspecified => "unknown".to_owned(),
        known => known.as_str_name().trim_start_matches("DRIFT_LEVEL_").to_lowercase(),
    }
}

fn of_classes(version: &VersionTraffic) -> String {
    let row = |class: &ClassTraffic| vec![class.label.clone(), format!("{:.4}", class.rate), figure(class.test_rate)];
    table(&[&version.head[..], "rate", "on test"], &version.classes.iter().map(row).collect::<Vec<_>>())
}

fn split(split: &SplitFigures) -> String {
    let mut text = format!("{} is version {}\n", split.alias, split.version);
    if let Some(CanaryFigures { version, percent, answers, canary_answers, fallbacks }) = &split.canary {
        text += &format!("  canary {version}: gave {canary_answers} of {answers} answers, {percent}% are its part");
        if *fallbacks > 0 {
            text += &format!("; {fallbacks} times it could not answer");
        }
        text.push('\n');
    }
    if let Some(ShadowFigures { version, compared, agreed, confidence_difference, failed, dropped }) = &split.shadow {
        let part = 100.0 * *agreed as f64 / (*compared).max(1) as f64;
        text += &format!(
            "  shadow {version}: agreed {agreed} of {compared} times ({part:.1}%), confidence {confidence_difference:.4} \
             apart; {failed} failed, {dropped} not asked\n"
        );
    }
    text
}

fn describe(answer: &GetHeadTrafficResponse) -> Value {
    let class =
        |class: &ClassTraffic| json!({ "label": class.label, "rate": class.rate, "test_rate": class.test_rate });
    let version = |version: &VersionTraffic| {
        json!({
            "head": version.head, "answers": version.answers, "answers_in_all": version.answers_in_all,
            "last_answer_time_seconds": version.last_answer_time.map(|time| time.seconds),
            "confidence": version.confidence, "test_confidence": version.test_confidence,
            "class_drift": version.class_drift, "confidence_drift": version.confidence_drift, "level": level(version),
            "classes": version.classes.iter().map(class).collect::<Vec<_>>(),
        })
    };
    let canary = |canary: &CanaryFigures| {
        json!({
            "version": canary.version, "percent": canary.percent, "answers": canary.answers,
            "canary_answers": canary.canary_answers, "fallbacks": canary.fallbacks,
        })
    };
    let shadow = |shadow: &ShadowFigures| {
        json!({
            "version": shadow.version, "compared": shadow.compared, "agreed": shadow.agreed,
            "confidence_difference": shadow.confidence_difference, "failed": shadow.failed, "dropped": shadow.dropped,
        })
    };
    let split = |split: &SplitFigures| {
        json!({
            "alias": split.alias, "version": split.version,
            "canary": split.canary.as_ref().map(canary), "shadow": split.shadow.as_ref().map(shadow),
        })
    };
    json!({
        "versions": answer.versions.iter().map(version).collect::<Vec<_>>(),
        "splits": answer.splits.iter().map(split).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_with_its_drift_and_an_alias_with_its_split() {
        let version = VersionTraffic {
            head: "h@1".into(),
            answers: 1500,
            answers_in_all: 9000,
            confidence: 0.5,
            class_drift: Some(0.3),
            level: DriftLevel::Alarm as i32,
            ..Default::default()
        };
        let canary = CanaryFigures { version: 2, answers: 100, canary_answers: 9, fallbacks: 1, percent: 10.0 };
        let shadow = ShadowFigures { version: 3, compared: 8, agreed: 6, ..Default::default() };
        let split = SplitFigures { alias: "production".into(), version: 1, canary: Some(canary), shadow: Some(shadow) };
        let answer = GetHeadTrafficResponse { versions: vec![version], splits: vec![split] };
        let text = text(&answer, false);
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["h@1", "1500", "9000", "0.5000", "-", "0.3000", "-", "alarm"]);
        assert!(text.contains("canary 2: gave 9 of 100 answers, 10% are its part; 1 times"), "{text}");
        assert!(text.contains("shadow 3: agreed 6 of 8 times (75.0%)"), "{text}");
        assert_eq!(describe(&answer)["versions"][0]["level"], "alarm");
    }
}
