//! Versions of a head get an alias, which is moved, guarded by a gate, rolled back, and survives a kill; and two versions are
//! compared.

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, DeleteHeadRequest, GateOutcome, GetHeadRequest, ListAliasesRequest,
    ListPromotionsRequest, PromoteHeadRequest, PromotionAction, Split, classify_input,
};
use graft_tests::{
    calls::{create_dataset, examples, import, mentions, refused},
    command::{Ended, expect, graft_on},
    fashion::{self, Row},
    services::Pair,
};
use serde_json::Value;
use tonic::Code;

/// Run the command; what it writes is JSON.
fn json(pair: &Pair, arguments: &[&str]) -> Result<Value> {
    let out = expect(graft_on(pair, &[arguments, &["--output", "json"]].concat())?, 0, &[])?;
    Ok(serde_json::from_str(&out)?)
}

/// Fit the next version, a good one or one that has learnt next to nothing.
fn train(pair: &Pair, good: bool) -> Result<Value> {
    let l2 = if good { "0.001" } else { "1000000" };
    let quick = ["--label-errors", "never", "--learning-curve", "never", "--output", "json"];
    let (code, out, err) = graft_on(pair, &[&["train", "fashion", "--l2", l2][..], &quick].concat())?;
    ensure!(code == 0, "{out}{err}");
    Ok(serde_json::from_str(&out)?)
}

/// The version that answers a request for `head`.
async fn asked(pair: &Pair, head: &str, row: &Row) -> Result<String> {
    let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(row.image())) });
    let request = ClassifyRequest { head: head.into(), input, ..Default::default() };
    Ok(pair.trainer.classifier_client().await?.classify(request).await?.into_inner().head)
}

/// The command failed and said why.
fn fails(found: Ended, words: &[&str]) -> Result<()> {
    let (code, _, err) = found;
    ensure!(code == 1, "exit code {code}: {err}");
    mentions(&err, words)
}

async fn fill(pair: &Pair, train: &[Row], test: &[Row]) -> Result<()> {
    create_dataset(&pair.trainer, "fashion").await?;
    let mut all = examples(train, Split::Train, 0);
    all.extend(examples(test, Split::Test, train.len()));
    import(&pair.trainer, "fashion", all).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_guarded_and_rolled_back_and_survives_a_kill() -> Result<()> {
    let mut pair = Pair::start().await?;
    let (rows, row) = (fashion::test()?, fashion::test()?[0].clone());
    fill(&pair, &fashion::train()?[..400], &rows[..200]).await?;
    let (good, bad) = (train(&pair, true)?, train(&pair, false)?);
    let [accuracy, worse] = [&good, &bad].map(|head| head["report"]["accuracy"].as_f64().unwrap_or(-1.0));
    ensure!(accuracy > worse + 0.2, "{accuracy} and {worse}");

    let first = graft_on(&pair, &["promote", "fashion@1", "--by", "zoë"])?;
    expect(first, 0, &["fashion@production is version 1\n"])?;
    ensure!(asked(&pair, "fashion@production", &row).await? == "fashion@1", "the newest is 2, and was not promoted");
    let gate = format!("accuracy {worse:.4} instead of {accuracy:.4}");
    fails(
        graft_on(&pair, &["promote", "fashion"])?,
        &["fashion@2 is worse than fashion@1", &gate, "200 test examples"],
    )?;
    fails(graft_on(&pair, &["promote", "fashion", "--tolerance", "2"])?, &["tolerance", "0 to 1"])?;
    ensure!(asked(&pair, "fashion@production", &row).await? == "fashion@1", "a refusal changes nothing");
    let forced = json(&pair, &["promote", "fashion", "--force", "--by", "max"])?;
    ensure!(forced["gate"]["outcome"] == "overruled" && forced["promotion"]["forced"] == true, "{forced}");
    ensure!(asked(&pair, "fashion@production", &row).await? == "fashion@2", "the version that answers is told");
    let again = json(&pair, &["promote", "fashion@2"])?;
    ensure!(again["gate"]["outcome"] == "unchanged" && again["promotion"].is_null(), "{again}");

    // What is in use stays.
    fails(graft_on(&pair, &["heads", "delete", "fashion@2"])?, &["fashion@2 is in use", "`production`"])?;
    fails(graft_on(&pair, &["heads", "delete", "fashion"])?, &["`production` is on fashion@2"])?;
    fails(graft_on(&pair, &["heads", "delete", "fashion@production"])?, &["DeleteAlias", "unalias"])?;
    fails(
        graft_on(&pair, &["promote", "fashion@1", "--expected", "1"])?,
        &["version 2", "not on version 1", "look again"],
    )?;

    pair.trainer.restart().await?;
    ensure!(asked(&pair, "fashion@production", &row).await? == "fashion@2", "a kill moves nothing");
    expect(graft_on(&pair, &["rollback", "fashion", "--by", "zoë"])?, 0, &["version 1 again, and was 2"])?;
    fails(graft_on(&pair, &["rollback", "fashion"])?, &["no other version before"])?;
    pair.trainer.restart().await?;

    let history = json(&pair, &["heads", "history", "fashion"])?;
    let told: Vec<String> = history
        .as_array()
        .context("a list")?
        .iter()
        .map(|entry| format!("{} {} {} {}", entry["action"], entry["from_version"], entry["to_version"], entry["by"]))
        .collect();
    let expected = [r#""roll_back" 2 1 "zoë""#, r#""promote" 1 2 "max""#, r#""promote" null 1 "zoë""#];
    ensure!(told == expected, "{told:?}");
    ensure!(history[0]["create_time_seconds"].as_i64().is_some_and(|when| when > 1_700_000_000), "{history}");
    let table = expect(graft_on(&pair, &["heads", "history", "fashion"])?, 0, &["promote (forced)", "roll back"])?;
    ensure!(table.lines().count() == 4, "{table}");
    expect(graft_on(&pair, &["heads", "aliases"])?, 0, &["fashion@production", "zoë"])?;
    expect(graft_on(&pair, &["heads", "show", "fashion@production"])?, 0, &["fashion@1 (production) on "])?;
    ensure!(json(&pair, &["report", "fashion@production"])?["version"] == 1, "reports are found by alias");

    expect(graft_on(&pair, &["heads", "unalias", "fashion@production"])?, 0, &["it was version 1"])?;
    fails(
        graft_on(&pair, &["report", "fashion@production"])?,
        &["`fashion@production` does not exist", "graft promote"],
    )?;
    expect(graft_on(&pair, &["heads", "delete", "fashion"])?, 0, &["deleted fashion"])?;
    let history = json(&pair, &["heads", "history", "fashion", "--alias", "production"])?;
    ensure!(history.as_array().is_some_and(|entries| entries.len() == 4), "it outlives the head: {history}");
    fails(graft_on(&pair, &["heads", "history", "nothing"])?, &["`nothing` does not exist"])
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_different_snapshots_are_measured_on_the_same_examples() -> Result<()> {
    let pair = Pair::start().await?;
    let nine =
        |rows: Vec<Row>, with: bool| rows.into_iter().filter(|row| (row.label == "9") == with).collect::<Vec<_>>();
    fill(&pair, &nine(fashion::train()?, false)[..400], &nine(fashion::test()?, false)[..150]).await?;
    train(&pair, true)?;
    let bad = train(&pair, false)?;
    let mut boots = examples(&nine(fashion::train()?, true)[..40], Split::Train, 1000);
    boots.extend(examples(&nine(fashion::test()?, true)[..25], Split::Test, 2000));
    import(&pair.trainer, "fashion", boots).await?;
    train(&pair, true)?;
    let last = train(&pair, false)?;

    let mut heads = pair.trainer.head_client().await?;
    let mut promote = async |head: &str, alias: &str| {
        let request =
            PromoteHeadRequest { head: head.into(), alias: alias.into(), by: "ci".into(), ..Default::default() };
        heads.promote_head(request).await.map(tonic::Response::into_inner)
    };
    ensure!(promote("fashion@1", "").await?.gate.context("a gate")?.outcome() == GateOutcome::NewAlias, "the first");
    let gate = promote("fashion@3", "").await?.gate.context("a gate")?;
    let (current, promoted) = (gate.current.context("measured")?, gate.promoted.context("measured")?);
    ensure!(gate.outcome() == GateOutcome::Passed && promoted.accuracy > current.accuracy, "{current:?} {promoted:?}");
    mentions(&gate.note, &["measured on the snapshot of fashion@3"])?;
    refused(promote("fashion@4", "").await, Code::FailedPrecondition, &["fashion@4 is worse", "175 test examples"])?;
    refused(promote("fashion@1", "7").await, Code::InvalidArgument, &["alias", "digits"])?;
    refused(promote("fashion@9", "").await, Code::NotFound, &["fashion@9"])?;
    promote("fashion@production", "canary").await?;

    let mut heads = pair.trainer.head_client().await?;
    let head = heads.get_head(GetHeadRequest { name: "fashion@canary".into() }).await?.into_inner().head;
    ensure!(head.is_some_and(|head| head.version == 3 && head.aliases == ["canary", "production"]), "both are on 3");
    let page = ListAliasesRequest { page_size: 1, ..Default::default() };
    let one = heads.list_aliases(page.clone()).await?.into_inner();
    let two = heads.list_aliases(ListAliasesRequest { page_token: one.next_page_token, ..page }).await?.into_inner();
    ensure!(one.aliases[0].name == "canary" && two.aliases[0].name == "production", "{:?}", two.aliases);
    ensure!(two.next_page_token.is_empty() && two.aliases[0].by == "ci", "{two:?}");
    let page = ListPromotionsRequest { head: "fashion".into(), page_size: 2, ..Default::default() };
    let one = heads.list_promotions(page.clone()).await?.into_inner();
    let token = one.next_page_token.clone();
    let two = heads.list_promotions(ListPromotionsRequest { page_token: token, ..page }).await?.into_inner();
    let entries = [one.promotions, two.promotions].concat();
    ensure!(entries.iter().map(|entry| entry.number).eq([3, 2, 1]) && two.next_page_token.is_empty(), "{entries:?}");
    ensure!(entries.iter().all(|entry| entry.action() == PromotionAction::Promote && !entry.forced), "{entries:?}");
    let whole = heads.delete_head(DeleteHeadRequest { name: "fashion".into() }).await;
    refused(whole, Code::FailedPrecondition, &["`canary` is on fashion@3, `production` is on fashion@3"])?;

    // The diff of both, which differ in what they know.
    let diff = json(&pair, &["diff", "fashion@2", "fashion@production"])?;
    ensure!(diff["test_count"] == 175 && diff["first"]["unknown_labels"][0] == "9", "{diff}");
    ensure!(diff["second"]["head"] == "fashion@3" && diff["p_value"].as_f64().is_some_and(|p| p < 0.001), "{diff}");
    let counts = ["both_right", "only_first_right", "only_second_right", "both_wrong"];
    let sum: u64 = counts.iter().filter_map(|count| diff[*count].as_u64()).sum();
    ensure!(sum == 175 && diff["disagreements"].as_array().is_some_and(|all| all.len() == 10), "{diff}");
    let snapshot = bad["report"]["snapshot"].as_str().context("an id")?;
    let flags = ["diff", "fashion@1", "fashion@4", "--snapshot", snapshot, "--most", "3", "--json"];
    let diff: Value = serde_json::from_str(&expect(graft_on(&pair, &flags)?, 0, &[])?)?;
    ensure!(diff["test_count"] == 150 && diff["disagreements"].as_array().is_some_and(|all| all.len() == 3), "{diff}");
    ensure!(last["version"] == 4, "{last}");
    let words = ["accuracy", "hardly by chance", "does not know: 9", "answered differently", "✗"];
    expect(graft_on(&pair, &["diff", "fashion@1", "fashion@3"])?, 0, &words)?;
    fails(
        graft_on(&pair, &["diff", "fashion@1", "fashion@3", "--snapshot", &"0".repeat(64)])?,
        &["snapshot", "`fashion`"],
    )
}
