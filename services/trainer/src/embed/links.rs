//! The streams that one stream of images is spread over, and how much each is given.
//!
//! What an extractor may have unanswered follows from how fast it answers: it grows as long as answers come soon, and shrinks
//! when they take long. So a fast one never waits for images, and a slow one does not hoard them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use graft_proto::v1::ExtractItem;

use super::{
    member::{Member, Outstanding},
    stream,
    unanswered::Done,
};

/// Images at one extractor, at the least, at first, and at the most.
const LEAST: usize = 16;
const FIRST: usize = 32;
const MOST: usize = 256;
/// Their bytes, at about the most.
const MOST_BYTES: usize = 32 << 20;
/// Answers that take longer make the extractor have less.
const SOON: Duration = Duration::from_secs(2);
/// Bytes of images in one message, at about the most; one image may be larger.
const MESSAGE: usize = 1 << 20;
/// Another extractor begins once there are so many images for each that has begun.
const EACH: usize = 8;
/// How long one may take to begin before another is asked as well.
const SLOW: Duration = Duration::from_secs(1);

/// A stream to one extractor.
#[derive(Debug)]
struct Link {
    /// What it has.
    has: Outstanding,
    bytes: usize,
    /// Where images go, once it has begun.
    images: Option<stream::Images>,
    since: Instant,
    /// How many images it may have.
    window: usize,
    /// Whether what it has must be alone.
    alone: bool,
    /// Whether it has answered.
    proven: bool,
    /// What is sent with the next message.
    message: Vec<ExtractItem>,
    message_bytes: usize,
}

/// All of them, by their numbers.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<u64, Link>,
    last: u64,
}

impl Links {
    /// A new one to `member`, which has not begun.
    pub fn add(&mut self, member: Arc<Member>) -> u64 {
        self.last += 1;
        let link = Link {
            has: Outstanding::new(member),
            bytes: 0,
            images: None,
            since: Instant::now(),
            window: FIRST,
            alone: false,
            proven: false,
            message: Vec::new(),
            message_bytes: 0,
        };
        self.links.insert(self.last, link);
        self.last
    }

    /// A stream has begun.
    pub fn begun(&mut self, link: u64, images: stream::Images) {
        if let Some(link) = self.links.get_mut(&link) {
            link.images = Some(images);
        }
    }

    /// A stream has ended: who it was to.
    pub fn remove(&mut self, link: u64) -> Option<Arc<Member>> {
        self.links.remove(&link).map(|link| link.has.member.clone())
    }

    /// End the streams to extractors that are gone, once they have answered.
    pub fn let_go(&mut self) {
        self.links.retain(|_, link| !(link.has.member.is_gone() && link.has.images() == 0));
    }

    /// Whether there is none, not even one that may begin yet.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether one has begun.
    pub fn any_begun(&self) -> bool {
        self.links.values().any(|link| link.images.is_some())
    }

    /// Whether there is one to `member`.
    pub fn has(&self, member: &Arc<Member>) -> bool {
        self.links.values().any(|link| Arc::ptr_eq(&link.has.member, member))
    }

    /// Whether another one should begin, for so many images.
    pub fn too_few_for(&self, images: usize) -> bool {
        let counts = |link: &&Link| link.images.is_some() || link.since.elapsed() < SLOW;
        let wanted = images.div_ceil(EACH).max(1);
        self.links.values().filter(counts).count() < wanted
    }

    /// The one whose extractor has least to do, of those that may have one more; but not `held`.
    pub fn least(&self, held: Option<u64>) -> Option<u64> {
        let may = |(id, link): &(&u64, &Link)| Some(**id) != held && link.has_room();
        self.links.iter().filter(may).min_by_key(|(_, link)| link.has.member.outstanding()).map(|(id, _)| *id)
    }

    /// One that has nothing; if there are several, one that has answered before.
    pub fn idle(&self) -> Option<u64> {
        let idle = |(_, link): &(&u64, &Link)| link.has_room() && link.has.images() == 0;
        self.links.iter().filter(idle).max_by_key(|(_, link)| link.proven).map(|(id, _)| *id)
    }

    /// The one that has least and is given no more, so that it can have an image alone; none if one has.
    pub fn hold(&self) -> Option<u64> {
        if self.links.values().any(|link| link.alone) {
            return None;
        }
        let begun = self.links.iter().filter(|(_, link)| link.images.is_some());
        begun.min_by_key(|(_, link)| link.has.images()).map(|(id, _)| *id)
    }

    /// Give an image to one. It is sent by the next [`flush`](Self::flush), or before.
    pub fn give(&mut self, link: u64, (item, bytes): (ExtractItem, usize), alone: bool) {
        let Some(link) = self.links.get_mut(&link) else { return };
        link.has.add();
        link.bytes += bytes;
        link.alone = alone;
        link.message.push(item);
        link.message_bytes += bytes;
        if link.message_bytes > MESSAGE {
            link.flush();
        }
    }

    /// Send what was given.
    pub fn flush(&mut self) {
        self.links.values_mut().for_each(Link::flush);
    }

    /// One has answered an image.
    pub fn done(&mut self, link: u64, done: &Done) {
        let Some(link) = self.links.get_mut(&link) else { return };
        link.has.done();
        link.bytes = link.bytes.saturating_sub(done.bytes);
        link.alone = false;
        link.window = if done.took < SOON { (link.window + 1).min(MOST) } else { (link.window - 1).max(LEAST) };
        link.proven = true;
        link.has.member.prove();
    }
}

impl Link {
    fn has_room(&self) -> bool {
        let gone = self.has.member.is_gone();
        self.images.is_some() && !gone && !self.alone && self.has.images() < self.window && self.bytes < MOST_BYTES
    }

    fn flush(&mut self) {
        self.message_bytes = 0;
        if let Some(images) = self.images.as_ref().filter(|_| !self.message.is_empty()) {
            images.send(std::mem::take(&mut self.message));
        }
    }
}
