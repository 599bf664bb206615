//! Reads one stream's images: each is answered at once, queued, or fetched first.

use graft_chassis::status;
use graft_proto::v1::{ExtractItem, ExtractRequest, extract_request, image};
use graft_pull::allowed::Found;
use tonic::{Status, Streaming};

use crate::{
    admission::Admission,
    answers::{Answers, NoTicket, Ticket},
    batch::Refused,
    decode::{RawPixels, Source},
    engine::refuse,
    fetch::Fetching,
    input::Input,
    rows::Rows,
};

/// The longest id of an item, in bytes.
const ID_BYTES: usize = 256;

/// Reads one stream's images into a queue.
#[derive(Debug)]
pub struct Reader {
    admission: Admission,
    /// The same for images that are to have no views.
    without_views: Admission,
    answers: Answers,
    /// What fetches its images by URI, if any may be.
    fetching: Option<Fetching>,
    /// Embeddings that need not be made, on their way into one message.
    known: Rows,
}

/// Where an image is.
enum Image {
    /// Here.
    Brought(Input),
    /// There, and who fetches it.
    At(Found, Fetching),
}

impl Reader {
    /// A reader that lets images in by `admission`, and answers on `answers` what it refuses.
    pub fn new(admission: Admission, answers: Answers, fetching: Option<Fetching>) -> Reader {
        let without_views = Admission { recipe: None, ..admission.clone() };
        Reader { admission, without_views, answers, fetching, known: Rows::default() }
    }

    /// End the stream with `status`.
    pub fn fail(&self, status: Status) {
        self.answers.send(Err(status));
    }

    /// Read the stream to its end.
    pub async fn read(&mut self, mut requests: Streaming<ExtractRequest>) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            match request.message {
                Some(extract_request::Message::Items(items)) => {
                    let more = self.admit_all(items.items).await;
                    self.answer_known();
                    if !more? {
                        return Ok(());
                    }
                }
                Some(extract_request::Message::Options(_)) => {
                    return Err(status::invalid("options", "given twice; only the first message holds the options"));
                }
                None => return Err(status::invalid("items", "a message without items")),
            }
        }
        Ok(())
    }

    /// Admit the images of one message. `false` if there is nobody to answer.
    async fn admit_all(&mut self, items: Vec<ExtractItem>) -> Result<bool, Status> {
        for item in items {
            if !self.admit(item).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Answer or queue one image, or answer why not. `false` if there is nobody to answer.
    async fn admit(&mut self, item: ExtractItem) -> Result<bool, Status> {
        if item.id.is_empty() || item.id.len() > ID_BYTES {
            let found = item.id.len();
            return Err(status::invalid("items.id", format!("{found} bytes; 1 to {ID_BYTES} bytes are accepted")));
        }
        if !self.answers.has_ticket() {
            // What is known holds tickets too.
            self.answer_known();
        }
        let ticket = match self.answers.ticket(item.id).await {
            Ok(ticket) => ticket,
            Err(NoTicket::Gone) => return Ok(false),
            Err(NoTicket::InUse(id)) => {
                let message = format!("`{id}` was used for an image that is not answered yet; ids must be unique");
                return Err(status::invalid("items.id", message));
            }
        };
        let admission = if item.without_views { &self.without_views } else { &self.admission }.clone();
        match self.image(item.image) {
            Ok(Image::Brought(input)) => return Ok(self.bring(&admission, ticket, input).await),
            Ok(Image::At(place, fetching)) => fetch(admission, ticket, place, fetching),
            Err(status) => refuse(Refused { ticket, status }),
        }
        Ok(true)
    }

    fn image(&self, image: Option<graft_proto::v1::Image>) -> Result<Image, Status> {
        let source = match image.and_then(|image| image.source) {
            Some(image::Source::Encoded(bytes)) => Source::Encoded(bytes),
            Some(image::Source::Pixels(pixels)) => Source::Pixels(RawPixels {
                height: pixels.height,
                width: pixels.width,
                channels: pixels.channels,
                data: pixels.data,
            }),
            Some(image::Source::Uri(uri)) => {
                let fetching = self.fetching.as_ref().ok_or_else(|| {
                    let message = "images by URI are off; --image-uri of the extractor allows prefixes of them";
                    status::invalid("image.uri", message)
                })?;
                return fetching.fetcher.find(&uri).map(|place| Image::At(place, fetching.clone()));
            }
            None => return Err(status::invalid("image", "missing; encoded bytes, raw pixels or a URI are accepted")),
        };
        Ok(Image::Brought(Input::Image(source)))
    }

    /// Answer or queue an image. `false` if the backbone was stopped.
    async fn bring(&mut self, admission: &Admission, ticket: Ticket, input: Input) -> bool {
        match admission.recall(ticket, &input).await {
            Ok(known) => {
                known.into_iter().for_each(|(ticket, embedding)| self.known.push(ticket, &embedding));
                if self.known.is_full() {
                    self.answer_known();
                }
                true
            }
            Err(ticket) => {
                // The queue may be full for a while.
                self.answer_known();
                admission.enqueue(ticket, input).await
            }
        }
    }

    fn answer_known(&mut self) {
        self.known.send(&self.admission.engine.description.space);
    }
}

/// Fetch an image while the stream goes on, and let it in when it is here. The ticket bounds how many there are.
fn fetch(admission: Admission, ticket: Ticket, place: Found, fetching: Fetching) {
    tokio::spawn(async move {
        let fetched = tokio::select! {
            () = ticket.gone() => return,
            fetched = fetching.fetch(place, admission.deadline) => fetched,
        };
        match fetched {
            // It counts as fetched until the queue counts it.
            Ok((bytes, _slot)) => admission.admit(ticket, Input::Fetched(bytes)).await,
            Err(status) => refuse(Refused { ticket, status }),
        }
    });
}
