//! `graft heads`: list, show or delete classifiers and their aliases.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use graft_client::{
    Graft,
    proto::{DeleteHeadRequest, GetHeadRequest, Head, HeadOrigin, ListHeadsRequest, MultiLabelReport, Report},
};
use serde_json::{Value, json};

use crate::{
    Done, aliases,
    output::{Output, table},
    pages::{ALL, pages},
    report,
};

/// List, show or delete classifiers and their aliases.
#[derive(Args)]
pub struct Heads {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The newest version of each head.
    List,
    /// One head with its report: NAME, NAME@VERSION or NAME@ALIAS.
    Show {
        /// NAME for the newest version, NAME@VERSION, or NAME@ALIAS.
        name: String,
    },
    /// Delete all versions of a head (NAME), or one (NAME@VERSION). What an alias is on is not deleted.
    Delete {
        /// NAME for all versions, or NAME@VERSION.
        name: String,
    },
    /// The aliases of a head, or of all heads.
    Aliases(aliases::List),
    /// Delete an alias; the version that it is on stays.
    Unalias(aliases::Delete),
    /// What was done to the aliases of a head, and by whom; the newest first.
    History(aliases::History),
}

impl Heads {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let mut client = graft.trainer.heads();
        match self.command.unwrap_or(Command::List) {
            Command::List => {
                let heads = all(graft).await?;
                output.show(|| list(&heads), || heads.iter().map(json).collect())?;
            }
            Command::Show { name } => {
                let answer = client.get_head(GetHeadRequest { name }).await.map_err(|s| graft.trainer.error(s))?;
                let head = answer.into_inner().head.context("no head")?;
                output.show(|| text(&head), || json(&head))?;
            }
            Command::Delete { name } => {
                let request = DeleteHeadRequest { name: name.clone() };
                client.delete_head(request).await.map_err(|s| graft.trainer.error(s))?;
                output.show(|| format!("deleted {name}"), || json!({ "deleted": name }))?;
            }
            Command::Aliases(list) => return list.run(graft, output).await,
            Command::Unalias(delete) => return delete.run(graft, output).await,
            Command::History(history) => return history.run(graft, output).await,
        }
        Ok(Done::All)
    }
}

/// The newest version of each head.
pub async fn all(graft: &Graft) -> Result<Vec<Head>> {
    let page = async |page_size, page_token| {
        let answer = graft.trainer.heads().list_heads(ListHeadsRequest { page_size, page_token }).await;
        let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        Ok((page.heads, page.next_page_token))
    };
    Ok(pages(ALL, page).await?.entries)
}

fn list(heads: &[Head]) -> String {
    let row = |head: &Head| {
        let report = head.report.clone().unwrap_or_default();
        vec![
            format!("{}@{}", head.name, head.version),
            head.labels.len().to_string(),
            if report.multi_label.is_some() { "several" } else { "one" }.to_owned(),
            measured(&report, report.accuracy),
            measured(&report, report.macro_f1),
            report.train_count.to_string(),
            report.test_count.to_string(),
            head.space.clone(),
            head.aliases.join(" "),
        ]
    };
    let rows: Vec<_> = heads.iter().map(row).collect();
    table(&["head", "classes", "an image", "accuracy", "macro F1", "train", "test", "space", "aliases"], &rows)
}

/// A figure, if there were examples to measure it on.
fn measured(report: &Report, figure: f64) -> String {
    if report.test_count == 0 { "-".to_owned() } else { format!("{figure:.4}") }
}

/// A head with its report, for people.
pub fn text(head: &Head) -> String {
    let report = head.report.clone().unwrap_or_default();
    if let Some(origin) = &head.origin {
        let HeadOrigin { note, exported_as, .. } = origin;
        let labels = head.labels.join(", ");
        let was = if exported_as.is_empty() { String::new() } else { format!(", exported as {exported_as}") };
        let note = if note.is_empty() { String::new() } else { format!("\n{note}") };
        return format!(
            "{}@{} on {}\nimported{was}; nothing was measured of it{note}\nlabels: {labels}\n",
            head.name, head.version, head.space
        );
    }
    if let Some(sets) = &report.multi_label {
        return several(head, &report, sets);
    }
    let Report { accuracy, macro_f1, log_loss, l2, train_count, test_count, iterations, .. } = report;
    let mut text = format!(
        "{} on {}\nfitted on {train_count} examples, L2 {l2:.3e}, {iterations} iterations; measured on {test_count}\n\
         accuracy {accuracy:.4}   macro F1 {macro_f1:.4}   log loss {log_loss:.4}\n\n",
        called(head),
        head.space,
    );
    let row = |class: &graft_client::proto::ClassReport| {
        let figures = [class.precision, class.recall, class.f1].map(|figure| format!("{figure:.3}"));
        [vec![class.label.clone()], figures.to_vec(), vec![class.support.to_string()]].concat()
    };
    let rows: Vec<_> = report.classes.iter().map(row).collect();
    text += &table(&["class", "precision", "recall", "F1", "support"], &rows);
    text + "\n" + &confusion(&head.labels, &report.confusion)
}

/// A version with its aliases: `fashion@3 (canary, production)`.
fn called(head: &Head) -> String {
    let Head { name, version, aliases, .. } = head;
    if aliases.is_empty() { format!("{name}@{version}") } else { format!("{name}@{version} ({})", aliases.join(", ")) }
}

/// The same of a head that gives an image several labels.
fn several(head: &Head, report: &Report, sets: &MultiLabelReport) -> String {
    let Report { l2, train_count, test_count, iterations, .. } = report;
    let text = format!(
        "{} on {}, several labels an image\nfitted on {train_count} examples, L2 {l2:.3e}, {iterations} iterations; measured on \
         {test_count}\nexactly right {:.4}   micro F1 {:.4}   macro F1 {:.4}   Hamming loss {:.4}   mean average precision {}\n\n",
        called(head),
        head.space,
        report.accuracy,
        sets.micro_f1,
        report.macro_f1,
        sets.hamming_loss,
        report.average_precision.map_or("-".to_owned(), |figure| format!("{figure:.4}")),
    );
    text + &report::labels(&report.classes)
}

fn confusion(labels: &[String], counts: &[u64]) -> String {
    let mut headings = vec!["is \\ predicted"];
    headings.extend(labels.iter().map(String::as_str));
    let rows: Vec<Vec<String>> = labels
        .iter()
        .zip(counts.chunks(labels.len().max(1)))
        .map(|(label, row)| [vec![label.clone()], row.iter().map(u64::to_string).collect()].concat())
        .collect();
    table(&headings, &rows)
}

/// A head with its report, for programs.
pub fn json(head: &Head) -> Value {
    let report = head.report.clone().unwrap_or_default();
    let origin = head
        .origin
        .as_ref()
        .map(|origin| json!({ "note": origin.note, "file_hash": origin.file_hash, "exported_as": origin.exported_as }));
    json!({
        "name": head.name, "version": head.version, "space": head.space, "backbone": head.backbone,
        "labels": head.labels, "dimension": head.dimension, "dataset": head.dataset,
        "training_run": head.training_run, "graft_version": head.graft_version,
        "aliases": head.aliases,
        "origin": origin,
        "report": report::json::report(&report, head.labels.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confusion_matrix_has_the_right_class_in_its_rows() {
        let labels = ["cat".to_owned(), "dog".to_owned()];
        assert_eq!(
            confusion(&labels, &[3, 1, 0, 12]),
            "is \\ predicted  cat  dog\ncat               3    1\ndog               0   12\n"
        );
    }
}
