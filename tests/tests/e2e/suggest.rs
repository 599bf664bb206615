//! What is suggested is worth more than what is drawn by lot, and no two suggestions are nearly the same.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{Example, GetHeadRequest, Split, SuggestExamplesRequest, SuggestExamplesResponse};
use graft_tests::{
    calls::{create_dataset, example, examples, import, refused, train},
    fashion::{self, Row},
    services::{Pair, Service},
};
use tonic::{Code, Status};

/// Rows of each class that are labelled at first, and rows in each round; rows that wait for a label.
const FIRST: usize = 4;
const ROUND: usize = 60;
const ROUNDS: usize = 5;
const POOL: std::ops::Range<usize> = 100..1900;

fn unlabelled(rows: &[Row], first: usize) -> Vec<Example> {
    let bare = |example: Example| Example { label: String::new(), ..example };
    examples(rows, Split::Unlabelled, first).into_iter().map(bare).collect()
}

async fn suggest(trainer: &Service, dataset: &str, count: usize) -> Result<SuggestExamplesResponse, Status> {
    let client = trainer.feedback_client().await;
    let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = SuggestExamplesRequest { dataset: dataset.into(), count: count as u32, ..Default::default() };
    Ok(client.suggest_examples(request).await?.into_inner())
}

/// Say what some rows are: to fit on, so that all are measured on the same.
async fn label(trainer: &Service, dataset: &str, ids: &[String], rows: &[Row]) -> Result<()> {
    let labelled = |id: &String| -> Result<Example> {
        let row: usize = id.strip_prefix("row-").context("a row")?.parse()?;
        Ok(example(id, &rows[row].label, Split::Train, rows[row].image()))
    };
    let labelled = ids.iter().map(labelled).collect::<Result<Vec<Example>>>()?;
    let outcomes = import(trainer, dataset, labelled).await?;
    ensure!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    Ok(())
}

/// The first few rows of each class.
fn few_of_each(rows: &[Row]) -> Vec<Example> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let all = examples(rows, Split::Train, 0).into_iter().zip(rows);
    let few = all.filter(|(_, row)| {
        let count = counts.entry(&row.label).or_default();
        *count += 1;
        *count <= FIRST
    });
    few.map(|(example, _)| example).collect()
}

async fn accuracy(trainer: &Service, dataset: &str) -> Result<f64> {
    train(trainer, dataset).await?;
    let request = GetHeadRequest { name: dataset.into() };
    let head = trainer.head_client().await?.get_head(request).await?.into_inner().head;
    Ok(head.and_then(|head| head.report).context("a report")?.accuracy)
}

#[tokio::test]
async fn labels_that_are_suggested_teach_more_than_those_drawn_by_lot() -> Result<()> {
    let pair = Pair::start().await?;
    let (trainer, rows) = (&pair.trainer, fashion::train()?);
    let tests = examples(&fashion::test()?, Split::Test, 10_000);
    let mut start = few_of_each(&rows[..POOL.start]);
    start.extend(tests);
    start.extend(unlabelled(&rows[POOL], POOL.start));
    let mut asked = 0.0;
    let mut drawn = Vec::new();
    for lot in 0..4 {
        let dataset = format!("lot-{lot}");
        create_dataset(trainer, &dataset).await?;
        import(trainer, &dataset, start.clone()).await?;
        let before = accuracy(trainer, &dataset).await?;
        let mut found = before;
        for round in 0..ROUNDS {
            let ids: Vec<String> = match lot {
                0 => {
                    let found = suggest(trainer, &dataset, ROUND).await?;
                    ensure!(found.suggestions.len() == ROUND && found.head.starts_with("lot-0@"), "{found:?}");
                    ensure!(found.unlabelled_count == (POOL.len() - round * ROUND) as u64, "{found:?}");
                    found.suggestions.into_iter().map(|one| one.id).collect()
                }
                // The rows are in no order: those that follow each other are as good as drawn.
                _ => {
                    let first = POOL.start + ((lot - 1) * ROUNDS + round) * ROUND;
                    (first..first + ROUND).map(|row| format!("row-{row}")).collect()
                }
            };
            label(trainer, &dataset, &ids, &rows).await?;
            found = accuracy(trainer, &dataset).await?;
        }
        println!("{dataset}: {before:.4} -> {found:.4}");
        match lot {
            0 => asked = found,
            _ => drawn.push(found),
        }
    }
    let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
    ensure!(asked > mean + 0.007, "{asked:.4} with what was suggested, {mean:.4} with what was drawn ({drawn:.4?})");
    ensure!(drawn.iter().all(|drawn| asked > *drawn), "{asked:.4} {drawn:.4?}");
    Ok(())
}

#[tokio::test]
async fn suggestions_differ_and_are_the_same_each_time() -> Result<()> {
    let pair = Pair::start().await?;
    let (trainer, rows) = (&pair.trainer, fashion::train()?);
    create_dataset(trainer, "d").await?;
    import(trainer, "d", examples(&rows[..60], Split::Train, 0)).await?;
    refused(suggest(trainer, "d", 5).await, Code::NotFound, &["head `d`", "graft train"])?;
    train(trainer, "d").await?;
    let none = suggest(trainer, "d", 5).await?;
    ensure!(none.suggestions.is_empty() && none.unlabelled_count == 0 && none.head == "d@1", "{none:?}");

    // Of each row four more that differ in one pixel by one step: in what they are, in nothing.
    let mut all = Vec::new();
    for (number, row) in rows[100..160].iter().enumerate() {
        for copy in 0..5u8 {
            let mut pixels = row.pixels.to_vec();
            let at = 400 + usize::from(copy);
            pixels[at] =
                if pixels[at] > 127 { pixels[at] - u8::from(copy > 0) } else { pixels[at] + u8::from(copy > 0) };
            let image = fashion::pixels(28, 28, 1, pixels);
            all.push(example(&format!("{number}/{copy}"), "", Split::Unlabelled, image));
        }
    }
    import(trainer, "d", all).await?;
    let found = suggest(trainer, "d", 30).await?;
    ensure!(found.suggestions.len() == 30 && found.unlabelled_count == 300 && found.examined_count == 300, "{found:?}");
    let of: HashSet<&str> = found.suggestions.iter().filter_map(|one| one.id.split('/').next()).collect();
    ensure!(of.len() == 30, "no two are of one row: {of:?}");
    ensure!(found.suggestions.is_sorted_by(|a, b| a.margin <= b.margin), "the least sure first");
    for one in &found.suggestions {
        let [first, second] = &one.predictions[..] else { anyhow::bail!("two classes: {one:?}") };
        let margin = f64::from(first.probability - second.probability);
        ensure!((margin - one.margin).abs() < 1e-6 && one.reason.contains(&first.label), "{one:?}");
    }
    ensure!(suggest(trainer, "d", 30).await? == found, "no chance is in it");
    let all = suggest(trainer, "d", 500).await?;
    ensure!(all.suggestions.len() <= 60, "there are sixty that differ: {}", all.suggestions.len());
    refused(suggest(trainer, "d", 501).await, Code::InvalidArgument, &["count", "500"])?;
    refused(suggest(trainer, "nowhere", 5).await, Code::NotFound, &["nowhere"])?;
    Ok(())
}
