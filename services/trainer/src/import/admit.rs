//! Takes examples in: those that can be answered at once are, and the rest is kept.

use graft_chassis::status;
use graft_proto::v1::{Example, ImportExamplesRequest, Split, import_examples_request};
use metrics::counter;
use tonic::Status;

use super::{
    CHUNK, Import, Waiting, appearance,
    intake::{self, Came, Checked},
    outcome::{same_image, too_many_labels},
};
use crate::{
    content::ContentHash,
    embed::size,
    names::MOST_LABELS,
    store::{
        add::Added,
        appearances::Appearance,
        examples::ExampleRow,
        retry::{PATIENCE, patiently},
        segments::NewExample,
    },
};

impl Import {
    pub(super) async fn read(&mut self, request: ImportExamplesRequest) -> Result<(), Status> {
        let examples = match request.message {
            Some(import_examples_request::Message::Examples(examples)) => examples.examples,
            Some(import_examples_request::Message::Options(_)) => {
                return Err(status::invalid("options", "given twice; only the first message holds the options"));
            }
            None => return Err(status::invalid("examples", "a message without examples")),
        };
        let mut examples = examples.into_iter();
        loop {
            let chunk: Vec<Example> = examples.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            self.admit(chunk).await?;
            // A message may hold far more small images than a segment does.
            self.begin_writes(false).await?;
        }
    }

    /// Take a few examples in: tell the outcomes that are known already, and keep the rest.
    async fn admit(&mut self, examples: Vec<Example>) -> Result<(), Status> {
        let mut outcomes = Vec::new();
        let mut checked = Vec::with_capacity(examples.len());
        for example in examples {
            match intake::check(example, &self.dataset) {
                Ok(example) => checked.push(example),
                Err(rejected) => outcomes.push(*rejected),
            }
        }
        let hashes: Vec<ContentHash> = checked.iter().map(|example| example.row.hash).collect();
        let Import { store, dataset, .. } = &*self;
        let look_up = || async {
            tokio::try_join!(
                store.known(dataset.id, &hashes),
                store.embedded(&self.tenant, &dataset.space, &hashes),
                store.viewed(&self.tenant, dataset, &hashes),
                store.former_splits(dataset.id, &hashes),
            )
        };
        let (known, embedded, viewed, former) = patiently!(PATIENCE, look_up())?;
        let (mut again, mut reused) = (Vec::new(), Vec::new());
        for Checked { mut row, came } in checked {
            let hash = row.hash;
            if let Some(later) = self.under_way.get_mut(&hash) {
                later.push(row);
                self.later += 1;
                continue;
            }
            if let Some(known) = known.get(&hash) {
                let stored = known.row(hash);
                if stored.waits_for(&row) {
                    again.push(Appearance { hash, id: row.id.clone(), labels: None });
                } else {
                    if known.has_appearances || stored.id != row.id || stored.labels != row.labels {
                        again.push(appearance(&row, &stored));
                    }
                    outcomes.push(same_image(&row, &stored));
                    continue;
                }
            }
            if let Some(label) = self.one_too_many(&row.labels) {
                outcomes.push(too_many_labels(row.id, &label));
                continue;
            }
            if row.split == Split::Unspecified {
                let chosen = self.balance.place(hash.as_bytes(), &row.labels);
                row.split = former.get(&hash).copied().unwrap_or(chosen);
            }
            self.under_way.insert(hash, Vec::new());
            // What is measured on needs no views.
            let views = if row.split == Split::Test { 0 } else { self.dataset.views() };
            if embedded.contains(&hash) && (views == 0 || viewed.contains(&hash)) {
                reused.push((NewExample { row, embedding: None, views: Vec::new() }, came));
            } else {
                self.take_up(row, came);
            }
        }
        patiently!(PATIENCE, self.store.note(&self.tenant, self.dataset.id, &again))?;
        self.tell(outcomes).await?;
        self.reuse(reused).await
    }

    /// Send an image to the extractor when its turn comes; an embedding is ready to be written.
    fn take_up(&mut self, row: ExampleRow, came: Came) {
        match came {
            Came::Embedding(numbers) => self.gather(NewExample { row, embedding: Some(numbers), views: Vec::new() }),
            Came::Image(image) => {
                let views = if row.split == Split::Test { 0 } else { self.dataset.views() };
                let (bytes, came) = (size(&image), vec![None; 1 + views as usize]);
                self.backlog.push_back((Waiting { row, bytes, came }, image));
            }
        }
    }

    /// Store examples whose embeddings the store has. Some may have been collected just now: those are embedded after all, and
    /// so what they came as is kept until it is known.
    async fn reuse(&mut self, reused: Vec<(NewExample, Came)>) -> Result<(), Status> {
        if reused.is_empty() {
            return Ok(());
        }
        let (examples, came): (Vec<NewExample>, Vec<Came>) = reused.into_iter().unzip();
        let added = self.add(&examples).await?;
        let mut rows = Vec::with_capacity(examples.len());
        for ((example, came), added) in examples.into_iter().zip(came).zip(added) {
            match added {
                Added::Lost => self.take_up(example.row, came),
                added => rows.push((example.row, added)),
            }
        }
        counter!("graft_trainer_embeddings_reused_total").increment(rows.len() as u64);
        self.conclude(rows).await
    }

    /// The label that the dataset may not have, if there is one: it has too many already. The others it has from now on.
    pub(super) fn one_too_many(&mut self, labels: &[String]) -> Option<String> {
        let new = labels.iter().filter(|label| !self.labels.contains(*label));
        let room = MOST_LABELS.saturating_sub(self.labels.len());
        if let Some(label) = new.clone().nth(room) {
            return Some(label.clone());
        }
        let new: Vec<String> = new.cloned().collect();
        self.labels.extend(new);
        None
    }
}
