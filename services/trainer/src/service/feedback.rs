//! `graft.v1.FeedbackService`.

use std::sync::Arc;

use graft_chassis::{deadline, status};
use graft_proto::v1::{
    CorrectRequest, CorrectResponse, Head, ListCorrectionsRequest, ListCorrectionsResponse, Split,
    SuggestExamplesRequest, SuggestExamplesResponse, classify_input, feedback_service_server::FeedbackService,
    image::Source,
};
use metrics::counter;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{datasets, examples::describe, heads};
use crate::{
    embed::Extractor,
    feedback::{
        correct::{Corrector, Input, hash},
        suggest::{Learner, suggest},
    },
    given::{self, Taker},
    names::{HeadRef, Name, Tenant, check_id, check_label, check_labels},
    paging::Page,
    store::{Store, corrections::Wrong, datasets::DatasetRow, examples::ExampleRow},
};

/// Suggestions that are looked for at once: each may read a whole dataset.
const SUGGESTING: usize = 2;
/// Examples that are suggested unless told, and at the most.
const USUAL_COUNT: usize = 20;
const MOST_COUNT: usize = 500;
/// Labels of one answer, at the most.
const MOST_PREDICTED: usize = 100;

/// Serves feedback.
#[derive(Clone, Debug)]
pub struct Feedback {
    store: Store,
    extractor: Extractor,
    /// One permit a correction, and one a suggestion.
    corrections: Arc<Semaphore>,
    suggestions: Arc<Semaphore>,
    /// Bytes of embeddings that a suggestion may hold.
    most_bytes: usize,
}

impl Feedback {
    /// Serve feedback, embedding with `extractor`, with at most `corrections` under way, and at most `most_bytes` of
    /// embeddings in memory for suggestions.
    pub fn new(store: Store, extractor: Extractor, corrections: usize, most_bytes: usize) -> Feedback {
        let (corrections, suggestions) = (Semaphore::new(corrections), Semaphore::new(SUGGESTING));
        let (corrections, suggestions) = (Arc::new(corrections), Arc::new(suggestions));
        Feedback { store, extractor, corrections, suggestions, most_bytes: most_bytes / SUGGESTING }
    }

    /// All versions of a head, or one: that which an alias is on.
    async fn meant(&self, tenant: &Tenant, head: &str) -> Result<HeadRef, Status> {
        let of = HeadRef::parse("head", head)?;
        if of.alias().is_none() {
            return Ok(of);
        }
        let version = self.store.version(tenant, &of).await?.ok_or_else(|| heads::missing(&of))?;
        Ok(HeadRef::version_of(&of.name, version))
    }

    /// The dataset that a head was fitted on, if it is there still.
    async fn dataset_of(&self, tenant: &Tenant, head: &Head) -> Result<DatasetRow, Status> {
        let named = format!("{}@{}", head.name, head.version);
        let gone = || {
            status::precondition("head", format!("the dataset of {named}, `{}`, is not there any more", head.dataset))
        };
        let name = Name::parse("head", &head.dataset).map_err(|_| gone())?;
        let dataset = self.store.dataset(tenant, &name).await?.ok_or_else(gone)?;
        if dataset.space != head.space {
            let (there, needed) = (&dataset.space, &head.space);
            let message = format!("{named} is of `{needed}`, but its dataset `{name}` is of `{there}` now");
            return Err(status::precondition("head", message));
        }
        Ok(dataset)
    }
}

/// What is to be corrected.
fn input(request: &CorrectRequest, head: &Head) -> Result<Input, Status> {
    let missing = || status::invalid("input", "missing; an image or an embedding is accepted");
    match request.input.as_ref().and_then(|input| input.input.as_ref()).ok_or_else(missing)? {
        classify_input::Input::Embedding(embedding) => {
            let name = format!("{}@{}", head.name, head.version);
            let taker = Taker { name: &name, space: &head.space, dimension: head.dimension as usize };
            Ok(Input::Embedding(given::read("input.embedding", embedding, taker)?))
        }
        classify_input::Input::Image(image) => match &image.source {
            Some(Source::Uri(_)) => {
                let message = "an example is known by its content; send the image itself, encoded or as pixels";
                Err(status::invalid("input.image.uri", message))
            }
            Some(_) => Ok(Input::Image(image.clone())),
            None => Err(missing()),
        },
    }
}

/// What a new example is to be used for.
fn split(request: &CorrectRequest) -> Result<Split, Status> {
    match Split::try_from(request.split) {
        Ok(Split::Unspecified) => Ok(Split::Train),
        Ok(split @ (Split::Train | Split::Validation | Split::Test)) => Ok(split),
        _ => {
            let message = format!("{}; SPLIT_TRAIN, SPLIT_VALIDATION and SPLIT_TEST are accepted", request.split);
            Err(status::invalid("split", message))
        }
    }
}

/// What the head gave.
fn predicted(request: &CorrectRequest) -> Result<Vec<String>, Status> {
    let mut predicted = request.predicted.clone();
    if predicted.len() > MOST_PREDICTED {
        let message = format!("{} labels; at most {MOST_PREDICTED} are accepted", predicted.len());
        return Err(status::invalid("predicted", message));
    }
    predicted.iter().try_for_each(|label| check_label("predicted", label))?;
    predicted.sort();
    predicted.dedup();
    Ok(predicted)
}

#[tonic::async_trait]
impl FeedbackService for Feedback {
    async fn correct(&self, request: Request<CorrectRequest>) -> Result<Response<CorrectResponse>, Status> {
        let _permit = self.corrections.try_acquire().map_err(|_| {
            let message = "this trainer has as many corrections under way as it takes (--max-classify-calls)";
            status::exhausted("calls", message)
        })?;
        let (tenant, deadline) = (Tenant::of(&request), deadline::of(request.metadata()));
        let request = request.into_inner();
        check_id("id", &request.id)?;
        let (split, predicted) = (split(&request)?, predicted(&request)?);
        let head = heads::existing(&self.store, &tenant, &HeadRef::parse("head", &request.head)?).await?;
        let input = input(&request, &head)?;
        let hash = hash(&input).ok_or_else(|| status::invalid("input", "it holds nothing"))?;
        let dataset = self.dataset_of(&tenant, &head).await?;
        let labels = check_labels("labels", request.labels, dataset.multi_label)?;

        let row = ExampleRow { hash, id: request.id, labels, split };
        let (store, extractor) = (&self.store, &self.extractor);
        let corrector = Corrector { store, extractor, tenant: &tenant, dataset: &dataset, deadline };
        let effect = corrector.correct(&row, &input).await?;
        // Only now: who repeats a call that broke off finds the example corrected, and the correction is kept all the same.
        let (name, version) = (head.name.as_str(), head.version);
        let wrong = Wrong { head: name, version, hash, predicted: &predicted, labels: &row.labels };
        if store.keep_correction(&tenant, &wrong).await? {
            counter!("graft_trainer_corrections_total").increment(1);
        }
        let example = describe(store, dataset.id, store.some_examples(dataset.id, &[hash]).await?).await?.pop();
        let held_out = example.as_ref().is_some_and(|example| example.split() == Split::Test);
        let (head, effect) = (format!("{name}@{version}"), effect as i32);
        Ok(Response::new(CorrectResponse { head, dataset: dataset.name, example, effect, held_out }))
    }

    async fn list_corrections(
        &self,
        request: Request<ListCorrectionsRequest>,
    ) -> Result<Response<ListCorrectionsResponse>, Status> {
        let tenant = Tenant::of(&request);
        let ListCorrectionsRequest { head, page_size, page_token } = request.into_inner();
        let page = Page::parse(page_size, &page_token)?;
        let of = if head.is_empty() { None } else { Some(self.meant(&tenant, &head).await?) };
        let mut corrections = self.store.corrections(&tenant, of.as_ref(), &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut corrections, |correction| &correction.id);
        let next_page_token = Page::cut_by_bytes(&mut corrections, next_page_token, |correction| &correction.id);
        let correction_count = self.store.count_corrections(&tenant, of.as_ref()).await?;
        Ok(Response::new(ListCorrectionsResponse { corrections, next_page_token, correction_count }))
    }

    async fn suggest_examples(
        &self,
        request: Request<SuggestExamplesRequest>,
    ) -> Result<Response<SuggestExamplesResponse>, Status> {
        let _permit = self.suggestions.try_acquire().map_err(|_| {
            let message = format!("this trainer looks for {SUGGESTING} suggestions at once; try it again in a while");
            status::exhausted("suggestions", message)
        })?;
        let tenant = Tenant::of(&request);
        let SuggestExamplesRequest { dataset, head, count } = request.into_inner();
        let count = match count as usize {
            0 => USUAL_COUNT,
            count if count <= MOST_COUNT => count,
            count => {
                let message = format!("{count}; 1 to {MOST_COUNT} are accepted, 0 for {USUAL_COUNT}");
                return Err(status::invalid("count", message));
            }
        };
        let name = Name::parse("dataset", &dataset)?;
        let wanted = HeadRef::parse("head", if head.is_empty() { name.as_str() } else { &head })?;
        let dataset = datasets::existing(&self.store, &tenant, &name).await?;
        let description = heads::existing(&self.store, &tenant, &wanted).await?;
        let head = format!("{}@{}", description.name, description.version);
        if description.space != dataset.space {
            let (of_head, of_dataset) = (&description.space, &dataset.space);
            let message =
                format!("{head} is of `{of_head}`, but `{name}` is of `{of_dataset}`; they must not be mixed");
            return Err(status::precondition("head", message));
        }
        let weights = self.store.weights(&tenant, &description.name, description.version).await?;
        let weights = weights.ok_or_else(|| status::not_found("head", &head, "it was deleted just now"))?;
        let learner = Learner { description, head: weights };
        let found = suggest(&self.store, &tenant, &dataset, learner, count, self.most_bytes).await?;
        Ok(Response::new(SuggestExamplesResponse {
            suggestions: found.suggestions,
            head,
            unlabelled_count: self.store.count_unlabelled(dataset.id).await?,
            examined_count: found.examined,
        }))
    }
}
