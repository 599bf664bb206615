//! One stream of images, spread over the extractors that take it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use graft_chassis::status;
use graft_proto::v1::ExtractItem;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::{
    Answer, MOST_LOSSES, PATIENCE, TRY,
    failure::Failure,
    links::Links,
    member::Member,
    pool::{Pool, Refusal},
    stream::{self, Wanted},
    suspicious,
    unanswered::{Done, Images},
};

/// Messages of extractors that are not looked at yet, at the most.
const EVENTS: usize = 16;
/// When an extractor that refused a stream is asked again.
const AGAIN: Duration = Duration::from_secs(30);

/// A stream under way. It belongs to one task.
pub(super) struct Spread {
    pool: Arc<Pool>,
    wanted: Arc<Wanted>,
    /// What is to be embedded, and whether there is more to come.
    sent: mpsc::UnboundedReceiver<Vec<ExtractItem>>,
    more: bool,
    /// Where answers go.
    answers: mpsc::Sender<Result<Answer, Status>>,
    /// Who waits for the beginning, until it has begun.
    begins: Option<oneshot::Sender<Result<(), Status>>>,
    images: Images,
    links: Links,
    /// Images that are given up, until something shows that not the extractors are to blame.
    given_up: Vec<String>,
    /// Who did not take the stream, and when that was.
    refusals: Vec<Refusal>,
    refused: Option<Instant>,
    /// What the streams to extractors tell, each by its number.
    told: mpsc::Receiver<(u64, Event)>,
    tell: mpsc::Sender<(u64, Event)>,
    /// Since when there is nobody who has begun.
    nobody: Option<Instant>,
}

/// What happens on a stream to one extractor.
enum Event {
    Begun(stream::Images),
    Answered(Answer),
    Ended(Failure),
}

impl Spread {
    /// A stream as it is `wanted`. `begins` is told once an extractor has taken it, or that none does.
    pub(super) fn new(
        pool: Arc<Pool>,
        wanted: Wanted,
        sent: mpsc::UnboundedReceiver<Vec<ExtractItem>>,
        answers: mpsc::Sender<Result<Answer, Status>>,
        begins: oneshot::Sender<Result<(), Status>>,
    ) -> Spread {
        let (tell, told) = mpsc::channel(EVENTS);
        let images = Images::new(wanted.augmentation.as_ref().map_or(0, |augmentation| augmentation.views));
        Spread {
            pool,
            wanted: Arc::new(wanted),
            sent,
            more: true,
            answers,
            begins: Some(begins),
            images,
            links: Links::default(),
            given_up: Vec::new(),
            refusals: Vec::new(),
            refused: None,
            told,
            tell,
            nobody: None,
        }
    }

    /// Spread what is sent, until all is answered, nobody reads the answers, or it fails.
    pub(super) async fn run(mut self) {
        if let Err(status) = self.pump().await {
            match self.begins.take() {
                // Nobody waits any more: then there is nobody to tell.
                Some(begins) => drop(begins.send(Err(status))),
                None => drop(self.answers.send(Err(status)).await),
            }
        }
    }

    async fn pump(&mut self) -> Result<(), Status> {
        let mut changes = self.pool.changes();
        while self.more || self.images.len() > 0 {
            if self.images.len() == 0 {
                self.tell_given_up().await;
            }
            self.begin();
            self.give_out();
            self.look_for_somebody()?;
            tokio::select! {
                () = self.answers.closed() => return Ok(()),
                Some((link, event)) = self.told.recv() => self.hear(link, event).await?,
                sent = self.sent.recv(), if self.more => match sent {
                    Some(items) => self.images.wait(items),
                    None => self.more = false,
                },
                _ = changes.changed() => {}
                () = tokio::time::sleep(TRY), if self.nobody.is_some() => {}
            }
        }
        self.tell_given_up().await;
        Ok(())
    }

    /// Begin streams to more extractors, if there are images for them.
    fn begin(&mut self) {
        if self.refused.is_some_and(|refused| refused.elapsed() > AGAIN) {
            (self.refused, self.refusals) = (None, Vec::new());
        }
        self.links.let_go();
        while self.links.too_few_for(self.images.len()) {
            let refused = |member: &Arc<Member>| self.refusals.iter().any(|(refuser, _)| Arc::ptr_eq(refuser, member));
            let fresh = |member: &Arc<Member>| !self.links.has(member) && !refused(member);
            let Some(member) = self.pool.ready().into_iter().find(fresh) else { return };
            let link = self.links.add(member.clone());
            tokio::spawn(follow(link, member, self.wanted.clone(), self.tell.clone()));
        }
    }

    /// Give each extractor what it may have.
    fn give_out(&mut self) {
        while self.images.has_suspects()
            && let Some(link) = self.links.idle()
            && let Some(image) = self.images.give_suspect(link)
        {
            self.links.give(link, image, true);
        }
        let held = if self.images.has_suspects() { self.links.hold() } else { None };
        while let Some(link) = self.links.least(held)
            && let Some(image) = self.images.give(link)
        {
            self.links.give(link, image, false);
        }
        self.links.flush();
    }

    /// Where nobody has begun, try to reach somebody; but not for ever.
    fn look_for_somebody(&mut self) -> Result<(), Status> {
        let idle = self.images.len() == 0 && self.begins.is_none();
        if idle || self.links.any_begun() {
            self.nobody = None;
            return Ok(());
        }
        let since = *self.nobody.get_or_insert_with(Instant::now);
        self.pool.hurry();
        if !self.links.is_empty() {
            return Ok(());
        }
        match self.pool.all_refuse(&self.refusals) {
            Some(refusal) => Err(refusal),
            None if since.elapsed() < PATIENCE => Ok(()),
            None => Err(self.pool.unreachable(&self.refusals)),
        }
    }

    async fn hear(&mut self, link: u64, event: Event) -> Result<(), Status> {
        match event {
            Event::Begun(images) => {
                self.links.begun(link, images);
                if let Some(begins) = self.begins.take() {
                    // If nobody waits any more, the answers are closed too.
                    let _ = begins.send(Ok(()));
                }
            }
            Event::Answered(Answer::Embedded(rows)) => {
                let (new, done) = self.images.embedded(link, rows);
                for done in done {
                    self.done(link, &done).await;
                }
                if !new.is_empty() {
                    self.answer(Answer::Embedded(new)).await;
                }
            }
            Event::Answered(Answer::Refused(id, status)) => {
                if let Some(done) = self.images.refused(link, &id) {
                    self.done(link, &done).await;
                    self.answer(Answer::Refused(id, status)).await;
                }
            }
            Event::Ended(failure) => self.end(link, failure).await?,
        }
        Ok(())
    }

    /// A stream to an extractor has ended: what it had goes elsewhere.
    async fn end(&mut self, link: u64, failure: Failure) -> Result<(), Status> {
        // One that was let go has nothing that could be lost.
        let Some(member) = self.links.remove(link) else { return Ok(()) };
        match failure {
            Failure::Failed(status) => return Err(status),
            Failure::Refused(status) => {
                self.refused.get_or_insert_with(Instant::now);
                self.refusals.push((member, status));
            }
            Failure::Unreached(why) => member.lose(&why),
            Failure::Lost(why) => {
                member.lose(&why);
                let lost = self.images.lost(link);
                member.count_resent(lost.again);
                self.given_up.extend(lost.given_up);
                // Each was alone, so it is not the images.
                if self.given_up.len() >= MOST_LOSSES {
                    return Err(status::unavailable(format!(
                        "extractors are lost whatever image they are given; that at {}: {why}",
                        member.url
                    )));
                }
            }
        }
        Ok(())
    }

    /// An image is answered: its extractor works.
    async fn done(&mut self, link: u64, done: &Done) {
        self.links.done(link, done);
        self.tell_given_up().await;
    }

    async fn tell_given_up(&mut self) {
        for id in std::mem::take(&mut self.given_up) {
            self.answer(Answer::Refused(id, suspicious())).await;
        }
    }

    async fn answer(&self, answer: Answer) {
        // If nobody reads any more, the stream ends.
        let _ = self.answers.send(Ok(answer)).await;
    }
}

/// Open a stream to `member`, and tell what happens on it.
async fn follow(link: u64, member: Arc<Member>, wanted: Arc<Wanted>, tell: mpsc::Sender<(u64, Event)>) {
    let told = async {
        let (images, mut answers) = match stream::open(&member, &wanted, Vec::new()).await {
            Ok(open) => open,
            Err(failure) => return tell.send((link, Event::Ended(failure))).await,
        };
        tell.send((link, Event::Begun(images))).await?;
        let ended = loop {
            match answers.next().await {
                Ok(Some(answer)) => tell.send((link, Event::Answered(answer))).await?,
                Ok(None) => break Failure::Lost("it ended the stream before it had answered everything".to_owned()),
                Err(failure) => break failure,
            }
        };
        tell.send((link, Event::Ended(ended))).await
    };
    tokio::select! {
        () = tell.closed() => {}
        // If nobody listens any more, there is nobody to tell.
        _ = told => {}
    }
}
