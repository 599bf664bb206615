//! `graft dataset stats`.

use anyhow::{Context, Result};
use graft_client::{
    Graft,
    proto::{GetDatasetStatsRequest, GetDatasetStatsResponse},
};
use serde_json::json;

use super::examples;
use crate::{Done, output::Output};

pub async fn run(graft: &Graft, output: Output, name: String) -> Result<Done> {
    let answer = graft.trainer.datasets().get_dataset_stats(GetDatasetStatsRequest { name }).await;
    let GetDatasetStatsResponse {
        dataset,
        splits,
        unlabelled_count,
        duplicate_count,
        conflict_count,
        conflicts,
        duplicates,
    } = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
    let (dataset, splits) = (dataset.context("no dataset")?, splits.unwrap_or_default());
    let text = || {
        let mut text = super::text(&dataset);
        text += &format!(
            "\nin all: train {}, validation {}, test {}\nto which no label applies {unlabelled_count}, under several ids \
             {duplicate_count}, with several labels {conflict_count}\n",
            splits.train, splits.validation, splits.test
        );
        for (heading, shown, count, flag) in [
            ("with several labels, of which the first counts", &conflicts, conflict_count, "--conflicts"),
            ("under several ids, held once", &duplicates, duplicate_count, "--duplicates"),
        ] {
            if !shown.is_empty() {
                text += &format!("\n{heading}:\n{}", examples::text(shown));
            }
            if count > shown.len() as u64 {
                text +=
                    &format!("and {} more; `graft dataset examples {flag}` lists all\n", count - shown.len() as u64);
            }
        }
        text
    };
    let json = || {
        let all = |shown: &[_]| shown.iter().map(examples::describe).collect::<Vec<_>>();
        json!({
            "dataset": super::json(&dataset),
            "splits": { "train": splits.train, "validation": splits.validation, "test": splits.test },
            "no_label_applies": unlabelled_count, "duplicates": duplicate_count, "conflicts": conflict_count,
            "first_conflicts": all(&conflicts), "first_duplicates": all(&duplicates),
        })
    };
    output.show(text, json)?;
    Ok(Done::All)
}
