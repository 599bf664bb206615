//! A call to one extractor after the other, the one with the least to do first, until one answers.

use std::{sync::Arc, time::Duration};

use graft_chassis::status;
use graft_proto::v1::{Backbone, ExtractItem, GetBackboneRequest, Image};
use tokio::time::Instant;
use tonic::Status;

use super::{
    Answer, MOST_LOSSES, PATIENCE,
    failure::Failure,
    member::{Member, Outstanding},
    pool::{Pool, Refusal},
    stream::{Wanted, open},
    suspicious,
};

/// Describe a backbone.
pub(super) async fn backbone(pool: &Pool, name: &str) -> Result<Backbone, Status> {
    in_turn(pool, PATIENCE, |member| {
        let (mut client, request) = (member.client(), GetBackboneRequest { name: name.to_owned() });
        async move {
            let answer = client.get_backbone(request).await.map_err(Failure::of_call)?;
            let missing = || Failure::Failed(status::internal("the extractor described no backbone"));
            answer.into_inner().backbone.ok_or_else(missing)
        }
    })
    .await
}

/// Embed one image.
pub(super) async fn embed(pool: &Pool, wanted: Wanted, image: Image) -> Result<Vec<f32>, Status> {
    // Who has little time is still told that nobody is there.
    let time = wanted.deadline.map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
    let patience = time.map_or(PATIENCE, |time| PATIENCE.min(time / 2));
    in_turn(pool, patience, |member| embed_at(member, wanted.clone(), image.clone())).await
}

async fn embed_at(member: Arc<Member>, wanted: Wanted, image: Image) -> Result<Vec<f32>, Failure> {
    let mut outstanding = Outstanding::new(member.clone());
    outstanding.add();
    let item = ExtractItem { id: "1".to_owned(), image: Some(image), without_views: false };
    let (images, mut answers) = open(&member, &wanted, vec![item]).await?;
    drop(images);
    match answers.next().await? {
        Some(Answer::Embedded(mut rows)) if rows.len() == 1 => {
            member.prove();
            Ok(rows.remove(0).numbers)
        }
        Some(Answer::Refused(_, status)) => Err(Failure::Failed(status)),
        _ => Err(Failure::Lost("it ended the stream before it had answered".to_owned())),
    }
}

/// Make a call to one extractor after the other. For so long, they are waited for if none can be reached.
async fn in_turn<T, F>(pool: &Pool, patience: Duration, call: impl Fn(Arc<Member>) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Failure>>,
{
    let until = Instant::now() + patience;
    let mut changes = pool.changes();
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut losses = 0;
    loop {
        let refused = |member: &Arc<Member>| refusals.iter().any(|(refuser, _)| Arc::ptr_eq(refuser, member));
        let Some(member) = pool.ready().into_iter().find(|member| !refused(member)) else {
            if let Some(refusal) = pool.all_refuse(&refusals) {
                return Err(refusal);
            }
            if !pool.wait(&mut changes, until).await {
                return Err(pool.unreachable(&refusals));
            }
            continue;
        };
        match call(member.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Failed(status)) => return Err(status),
            Err(Failure::Refused(status)) => refusals.push((member, status)),
            Err(Failure::Unreached(why)) => member.lose(&why),
            Err(Failure::Lost(why)) => {
                member.lose(&why);
                losses += 1;
                if losses == MOST_LOSSES {
                    return Err(suspicious());
                }
            }
        }
    }
}
