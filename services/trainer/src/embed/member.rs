//! One extractor: its connection, whether it can be reached, and how much it has to do.
//!
//! Each has a keeper, a task that tries it until it answers, and again after whoever spoke to it lost it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use graft_chassis::serve::MESSAGE_BYTES;
use graft_proto::v1::{GetBackboneRequest, extractor_service_client::ExtractorServiceClient};
use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::{
    endpoints::{Endpoint, EndpointError},
    failure::lost,
};

/// The pause before an extractor is tried again: the first, and the longest. It doubles until an image is answered.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// The least pause, where somebody waits who has no other extractor.
const HURRIED: Duration = Duration::from_millis(250);
/// How long it may take to say that it is there.
const PROBE: Duration = Duration::from_secs(20);

/// One extractor.
#[derive(Debug)]
pub struct Member {
    /// Where it is.
    pub address: SocketAddr,
    /// The same as a URL.
    pub url: String,
    /// The number of the endpoint that it belongs to.
    pub endpoint: usize,
    /// The endpoint as it was given: metrics name it, since addresses come and go.
    name: String,
    client: ExtractorServiceClient<Channel>,
    health: Mutex<Health>,
    /// Images that it has to do, of all who ask it.
    outstanding: AtomicUsize,
    /// Tells its keeper that it was lost, and that somebody waits for it.
    lost: Notify,
    hurry: Notify,
    /// Cancelled when it is no extractor of ours any more.
    gone: CancellationToken,
    /// Tells everybody that extractors came or went.
    changes: watch::Sender<()>,
}

/// Whether an extractor can be reached.
#[derive(Debug)]
struct Health {
    state: State,
    /// Why not, as it was last seen.
    why: String,
    /// Whether it answered an image since it was found.
    proven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Gone,
}

impl Member {
    /// The extractor of endpoint number `index` at `address`, which is tried from now on.
    ///
    /// # Errors
    /// An address that cannot be connected to, whoever listens there.
    pub fn start(
        index: usize,
        endpoint: &Endpoint,
        address: SocketAddr,
        changes: watch::Sender<()>,
    ) -> Result<Arc<Member>, EndpointError> {
        let client = ExtractorServiceClient::new(endpoint.channel(address)?)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let member = Arc::new(Member {
            address,
            url: endpoint.url_at(address),
            endpoint: index,
            name: endpoint.to_string(),
            client,
            health: Mutex::new(Health { state: State::Down, why: "it has not answered yet".to_owned(), proven: false }),
            outstanding: AtomicUsize::new(0),
            lost: Notify::new(),
            hurry: Notify::new(),
            gone: CancellationToken::new(),
            changes,
        });
        member.counted(State::Down).increment(1.0);
        let kept = member.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = kept.gone.cancelled() => {}
                () = kept.keep() => {}
            }
        });
        Ok(member)
    }

    /// A client of it.
    pub fn client(&self) -> ExtractorServiceClient<Channel> {
        self.client.clone()
    }

    /// Whether it can be reached, for all that is known.
    pub fn is_up(&self) -> bool {
        self.health.lock().state == State::Up
    }

    /// Whether it is no extractor of ours any more, so that it is to have no new work.
    pub fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Why it cannot be reached, as it was last seen.
    pub fn why(&self) -> String {
        self.health.lock().why.clone()
    }

    /// Images that it has to do.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Note that it has answered an image.
    pub fn prove(&self) {
        self.health.lock().proven = true;
    }

    /// Note that somebody could not reach it, or lost it. Who else speaks to it finds out for himself.
    pub fn lose(&self, why: &str) {
        let was_up = self.turn(State::Down, why);
        if was_up {
            tracing::warn!(extractor = %self.url, why, "an extractor was lost; what it had goes to others");
            counter!("graft_trainer_extractors_lost_total", "endpoint" => self.name.clone()).increment(1);
            self.lost.notify_one();
        }
    }

    /// Try it soon, if it cannot be reached: somebody waits.
    pub fn hurry(&self) {
        if !self.is_up() {
            self.hurry.notify_one();
        }
    }

    /// It is no extractor of ours any more. Who speaks to it may finish.
    pub fn leave(&self) {
        self.turn(State::Gone, "its name has this address no more");
        self.gone.cancel();
    }

    /// Count images that were lost with it and are sent again.
    pub fn count_resent(&self, images: usize) {
        counter!("graft_trainer_images_resent_total", "endpoint" => self.name.clone()).increment(images as u64);
    }

    async fn keep(&self) {
        let mut pause = PAUSES[0];
        loop {
            match self.probe().await {
                Ok(()) => {
                    self.turn(State::Up, "");
                    tracing::info!(extractor = %self.url, "an extractor was found");
                    self.lost.notified().await;
                    if std::mem::take(&mut self.health.lock().proven) {
                        pause = PAUSES[0];
                    }
                }
                Err(why) => {
                    tracing::debug!(extractor = %self.url, why, "an extractor cannot be reached");
                    self.turn(State::Down, &why);
                }
            }
            tokio::time::sleep(HURRIED).await;
            let hurried = tokio::time::timeout(pause - HURRIED, self.hurry.notified()).await;
            if hurried.is_err() {
                pause = (pause * 2).min(PAUSES[1]);
            }
        }
    }

    /// Ask it for anything: whatever it answers, it is there.
    async fn probe(&self) -> Result<(), String> {
        let mut client = self.client();
        let asked = client.get_backbone(GetBackboneRequest::default());
        match tokio::time::timeout(PROBE, asked).await {
            Ok(Err(status)) => lost(&status).map_or(Ok(()), Err),
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(format!("it did not answer within {} s", PROBE.as_secs())),
        }
    }

    /// Change its state, unless it is gone. Whether it was up.
    fn turn(&self, state: State, why: &str) -> bool {
        let mut health = self.health.lock();
        let former = health.state;
        if former == State::Gone {
            return false;
        }
        health.why = why.to_owned();
        if former != state {
            health.state = state;
            self.counted(former).decrement(1.0);
            self.counted(state).increment(1.0);
            self.changes.send_replace(());
        }
        former == State::Up
    }

    /// The extractors of the endpoint that are in this state.
    fn counted(&self, state: State) -> metrics::Gauge {
        let state = match state {
            State::Up => "up",
            State::Down => "down",
            State::Gone => return metrics::Gauge::noop(),
        };
        gauge!("graft_trainer_extractors", "endpoint" => self.name.clone(), "state" => state)
    }
}

/// Images that an extractor has to do. They count for as long as this lives.
#[derive(Debug)]
pub struct Outstanding {
    /// The extractor.
    pub member: Arc<Member>,
    images: usize,
}

impl Outstanding {
    /// None yet.
    pub fn new(member: Arc<Member>) -> Outstanding {
        Outstanding { member, images: 0 }
    }

    /// How many there are.
    pub fn images(&self) -> usize {
        self.images
    }

    /// One more.
    pub fn add(&mut self) {
        self.images += 1;
        self.member.outstanding.fetch_add(1, Ordering::Relaxed);
        self.gauge().increment(1.0);
    }

    /// One is done.
    pub fn done(&mut self) {
        self.take(1);
    }

    fn take(&mut self, images: usize) {
        let images = images.min(self.images);
        self.images -= images;
        self.member.outstanding.fetch_sub(images, Ordering::Relaxed);
        self.gauge().decrement(images as f64);
    }

    fn gauge(&self) -> metrics::Gauge {
        gauge!("graft_trainer_extractor_images_outstanding", "endpoint" => self.member.name.clone())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.take(self.images);
    }
}
