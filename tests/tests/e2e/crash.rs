//! The trainer is killed in the middle of an import: nothing acknowledged is lost, nothing is doubled, nothing that is
//! stored is embedded again.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{GetDatasetRequest, Outcome, Split};
use graft_tests::{
    calls::{create_dataset, examples, import, import_messages, train},
    fashion,
    services::Pair,
};

/// Images that an import has at the extractor, and examples that come before they are written after half a second, at the most.
const AT_THE_EXTRACTOR: usize = 256;
const A_SEGMENT: usize = 512;

#[tokio::test]
async fn a_killed_import_goes_on_where_it_stopped() -> Result<()> {
    let mut pair = Pair::start().await?;
    create_dataset(&pair.trainer, "fashion").await?;
    let all = examples(&fashion::train()?, Split::Train, 0);

    let mut acknowledged = HashSet::new();
    for stop_at in [300, 900] {
        let messages = tokio_stream::iter(import_messages("fashion", all.clone()));
        let mut client = pair.trainer.dataset_client().await?;
        let mut answers = client.import_examples(messages).await?.into_inner();
        while acknowledged.len() < stop_at {
            let answer = answers.message().await?.context("the import was over before it was killed")?;
            for outcome in answer.outcomes {
                ensure!(outcome.outcome() != Outcome::Rejected, "{outcome:?}");
                acknowledged.insert(outcome.id);
            }
        }
        // Somewhere in the middle of a segment.
        tokio::time::sleep(Duration::from_millis(137)).await;
        pair.trainer.restart().await?;
        let stored = count(&pair).await?;
        ensure!(stored >= acknowledged.len() as u64, "{} acknowledged, {stored} stored", acknowledged.len());
    }

    let stored = count(&pair).await?;
    // What the killed trainer had asked for is done or dropped by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    let outcomes = import(&pair.trainer, "fashion", all.clone()).await?;
    ensure!(outcomes.len() == all.len(), "an outcome for every example");
    let of = |wanted: Outcome| outcomes.iter().filter(|outcome| outcome.outcome() == wanted).count() as u64;
    let (known, new) = (of(Outcome::AlreadyKnown), of(Outcome::Stored));
    ensure!(known == stored && known + new == all.len() as u64, "{stored} stored, {known} known, {new} new");
    let acknowledged_again = outcomes.iter().filter(|outcome| acknowledged.contains(&outcome.id));
    ensure!(acknowledged_again.clone().all(|outcome| outcome.outcome() == Outcome::AlreadyKnown), "nothing is lost");
    let after = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(after - before == new as f64, "{} embedded for {new} new examples", after - before);
    ensure!(count(&pair).await? == all.len() as u64, "nothing is doubled");
    // What a kill can lose is what was at the extractor, and what waited for its segment to be full.
    let most = all.len() + 2 * (AT_THE_EXTRACTOR + A_SEGMENT);
    ensure!(after <= most as f64, "{after} images embedded for {}", all.len());
    train(&pair.trainer, "fashion").await.context("every segment is whole")?;
    Ok(())
}

async fn count(pair: &Pair) -> Result<u64> {
    let request = GetDatasetRequest { name: "fashion".into() };
    let answer = pair.trainer.dataset_client().await?.get_dataset(request).await?.into_inner();
    Ok(answer.dataset.context("a dataset")?.example_count)
}
