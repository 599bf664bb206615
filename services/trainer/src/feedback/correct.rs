//! Puts what is right where a head was wrong into the head's dataset.

use std::time::Instant;

use graft_chassis::status;
use graft_proto::v1::{CorrectionEffect, ExtractItem, Image, Priority, Split};
use tonic::Status;

use crate::{
    content::ContentHash,
    embed::{Answer, Extractor},
    names::{MOST_LABELS, Tenant},
    store::{
        Store,
        add::Added,
        datasets::DatasetRow,
        edits::{Key, Undone},
        examples::ExampleRow,
        segments::NewExample,
    },
};

/// How often what another does to the same example meanwhile is put up with.
const TRIES: usize = 5;

/// What was classified.
#[derive(Clone, Debug)]
pub enum Input {
    /// An image.
    Image(Image),
    /// An embedding of the dataset's space.
    Embedding(Vec<f32>),
}

/// Corrects examples of one dataset.
#[derive(Debug)]
pub struct Corrector<'a> {
    /// The state.
    pub store: &'a Store,
    /// Embeds new images.
    pub extractor: &'a Extractor,
    /// Whose dataset it is.
    pub tenant: &'a Tenant,
    /// The dataset.
    pub dataset: &'a DatasetRow,
    /// Until when a new image must be embedded.
    pub deadline: Option<Instant>,
}

impl Corrector<'_> {
    /// Make `input` an example as `row` says, or give the one that is there its labels. An example that has labels stays in its
    /// split.
    pub async fn correct(&self, row: &ExampleRow, input: &Input) -> Result<CorrectionEffect, Status> {
        let dataset = self.dataset.id;
        for _ in 0..TRIES {
            let known = self.store.known(dataset, &[row.hash]).await?.remove(&row.hash);
            match known.map(|known| known.row(row.hash)) {
                Some(stored) if !stored.is_unlabelled() && stored.labels == row.labels => {
                    return Ok(CorrectionEffect::Unchanged);
                }
                Some(_) => {
                    let entry = [(Key::Hash(row.hash), row.labels.clone())];
                    let done = self.store.relabel(self.tenant, self.dataset, &entry, &mut |_, _| row.split).await?;
                    match done.into_iter().next() {
                        Some(Ok(_)) => return Ok(CorrectionEffect::Relabelled),
                        Some(Err(Undone::TooManyLabels(label))) => return Err(too_many(&label)),
                        // It was removed just now.
                        Some(Err(Undone::Unknown)) | None => {}
                    }
                }
                None => {
                    let added = self.add(row, input).await?;
                    if added == Added::New {
                        return Ok(CorrectionEffect::Added);
                    }
                }
            }
        }
        Err(status::unavailable("others change the same example at this moment; try it again"))
    }

    async fn add(&self, row: &ExampleRow, input: &Input) -> Result<Added, Status> {
        let labels = self.store.all_labels(self.dataset.id).await?;
        let mut new = row.labels.iter().filter(|label| !labels.contains(*label));
        if let Some(label) = new.nth(MOST_LABELS.saturating_sub(labels.len())) {
            return Err(too_many(label));
        }
        let example = self.embedded(row, input).await?;
        let gone = || status::precondition("head", format!("its dataset `{}` was deleted just now", self.dataset.name));
        let added = self.store.add(self.tenant, self.dataset, std::slice::from_ref(&example)).await?;
        added.and_then(|added| added.first().copied()).ok_or_else(gone)
    }

    /// The example with the embeddings that the store lacks.
    async fn embedded(&self, row: &ExampleRow, input: &Input) -> Result<NewExample, Status> {
        let views = if row.split == Split::Test { 0 } else { self.dataset.views() };
        let image = match input {
            Input::Embedding(_) if views > 0 => {
                let name = &self.dataset.name;
                return Err(status::precondition(
                    "input.embedding",
                    format!(
                        "`{name}` has {views} views of each example, which an embedding has not; send the image, or say \
                         SPLIT_TEST, which has no views"
                    ),
                ));
            }
            Input::Embedding(numbers) => {
                return Ok(NewExample { row: row.clone(), embedding: Some(numbers.clone()), views: Vec::new() });
            }
            Input::Image(image) => image,
        };
        let hashes = [row.hash];
        let there = self.store.embedded(self.tenant, &self.dataset.space, &hashes).await?.contains(&row.hash);
        if there && (views == 0 || self.store.viewed(self.tenant, self.dataset, &hashes).await?.contains(&row.hash)) {
            return Ok(NewExample { row: row.clone(), embedding: None, views: Vec::new() });
        }
        let (backbone, space) = (&self.dataset.backbone, &self.dataset.space);
        if views == 0 {
            let numbers = self.extractor.embed(backbone, space, image.clone(), self.deadline).await?;
            return Ok(NewExample { row: row.clone(), embedding: Some(numbers), views: Vec::new() });
        }
        let mut came = self.with_views(image.clone(), 1 + views as usize).await?.into_iter();
        Ok(NewExample { row: row.clone(), embedding: came.next(), views: came.collect() })
    }

    /// The embeddings of an image and of each of its views, `count` in all.
    async fn with_views(&self, image: Image, count: usize) -> Result<Vec<Vec<f32>>, Status> {
        let DatasetRow { backbone, space, augmentation, .. } = self.dataset;
        let begun = self.extractor.begin(backbone, space, augmentation.clone(), Priority::Interactive, self.deadline);
        let mut stream = begun.await?;
        stream.send_items(vec![ExtractItem { id: "1".into(), image: Some(image), without_views: false }]);
        stream.end();
        let mut came = vec![None; count];
        while let Some(answer) = stream.next().await? {
            match answer {
                Answer::Refused(_, status) => return Err(status),
                Answer::Embedded(rows) => {
                    for row in rows {
                        let slot = came.get_mut(row.view as usize);
                        *slot.ok_or_else(|| status::internal("the extractor gave a view that was not asked for"))? =
                            Some(row.numbers);
                    }
                }
            }
        }
        came.into_iter().collect::<Option<_>>().ok_or_else(|| self.extractor.ended_early())
    }
}

fn too_many(label: &str) -> Status {
    let label = status::quoted(label);
    status::precondition("labels", format!("`{label}` is one label too many; a dataset has at most {MOST_LABELS}"))
}

/// What an input is known by; `None` if it holds nothing, or only says where its content is.
pub fn hash(input: &Input) -> Option<ContentHash> {
    match input {
        Input::Image(image) => ContentHash::of(image),
        Input::Embedding(numbers) => Some(ContentHash::of_embedding(numbers)),
    }
}
