//! The images of a stream that are not answered: those that wait for an extractor, and those that are at one.
//!
//! An image is kept until all of its views are answered, so that what a lost extractor had can be sent again. What is answered
//! a second time then is dropped.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use graft_proto::v1::ExtractItem;

use super::{Embedded, MOST_LOSSES, size};

/// An image that is not answered, or not all of its views.
#[derive(Debug)]
struct Unanswered {
    item: ExtractItem,
    bytes: usize,
    /// Embeddings that it has in all.
    rows: usize,
    /// The views that were answered.
    came: Vec<u32>,
    /// Extractors that were lost while they had it.
    losses: usize,
}

/// An image at an extractor.
#[derive(Debug)]
struct Out {
    image: Unanswered,
    link: u64,
    since: Instant,
}

/// An image that is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// Its bytes.
    pub bytes: usize,
    /// How long its extractor took.
    pub took: Duration,
}

/// What was lost with an extractor.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Images that wait again.
    pub again: usize,
    /// The ids of those that were lost too often: they are not asked any more.
    pub given_up: Vec<String>,
}

/// All of them.
#[derive(Debug)]
pub struct Images {
    /// Views of an image, besides itself.
    views: usize,
    waiting: VecDeque<Unanswered>,
    /// Those that one more loss condemns: they are sent alone, so that the loss is not that of another.
    suspects: VecDeque<Unanswered>,
    /// Those at extractors, by their ids.
    out: HashMap<String, Out>,
}

impl Images {
    /// None yet, of a stream whose images have `views` views each.
    pub fn new(views: u32) -> Images {
        Images { views: views as usize, waiting: VecDeque::new(), suspects: VecDeque::new(), out: HashMap::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.suspects.len() + self.out.len()
    }

    /// Whether there are images that must be sent alone.
    pub fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Take in images, which wait.
    pub fn wait(&mut self, items: Vec<ExtractItem>) {
        self.waiting.extend(items.into_iter().map(|item| Unanswered {
            bytes: item.image.as_ref().map_or(0, size),
            rows: if item.without_views { 1 } else { 1 + self.views },
            item,
            came: Vec::new(),
            losses: 0,
        }));
    }

    /// The next image for `link`, and its bytes.
    pub fn give(&mut self, link: u64) -> Option<(ExtractItem, usize)> {
        let image = self.waiting.pop_front()?;
        Some(self.put(image, link))
    }

    /// The next image that must be sent alone, for `link`, and its bytes.
    pub fn give_suspect(&mut self, link: u64) -> Option<(ExtractItem, usize)> {
        let image = self.suspects.pop_front()?;
        Some(self.put(image, link))
    }

    fn put(&mut self, image: Unanswered, link: u64) -> (ExtractItem, usize) {
        let given = (image.item.clone(), image.bytes);
        self.out.insert(image.item.id.clone(), Out { image, link, since: Instant::now() });
        given
    }

    /// Take in embeddings from `link`: those that are new, and the images that they complete.
    pub fn embedded(&mut self, link: u64, rows: Vec<Embedded>) -> (Vec<Embedded>, Vec<Done>) {
        let (mut new, mut done) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let Some(Out { image, .. }) = self.out.get_mut(&row.id).filter(|out| out.link == link) else { continue };
            if image.came.contains(&row.view) {
                // Of an image that was asked again, or by an extractor that repeats itself.
                continue;
            }
            image.came.push(row.view);
            if image.came.len() >= image.rows {
                done.extend(self.remove(&row.id));
            }
            new.push(row);
        }
        (new, done)
    }

    /// Take in that `link` could not embed an image. Nothing, if it was not there.
    pub fn refused(&mut self, link: u64, id: &str) -> Option<Done> {
        self.out.get(id).filter(|out| out.link == link)?;
        self.remove(id)
    }

    fn remove(&mut self, id: &str) -> Option<Done> {
        let Out { image, since, .. } = self.out.remove(id)?;
        Some(Done { bytes: image.bytes, took: since.elapsed() })
    }

    /// `link` was lost: what it had waits again, before all others.
    pub fn lost(&mut self, link: u64) -> Lost {
        let mut lost = Lost::default();
        for (id, Out { mut image, .. }) in self.out.extract_if(|_, out| out.link == link) {
            // It may have stopped the extractor before all of its views were answered.
            image.losses += 1;
            if image.losses >= MOST_LOSSES {
                lost.given_up.push(id);
                continue;
            }
            lost.again += 1;
            if image.losses + 1 == MOST_LOSSES {
                self.suspects.push_back(image);
            } else {
                self.waiting.push_front(image);
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(views: u32, ids: &[&str]) -> Images {
        let mut images = Images::new(views);
        let item = |id: &&str| ExtractItem { id: (*id).to_owned(), ..Default::default() };
        images.wait(ids.iter().map(item).collect());
        images
    }

    fn row(id: &str, view: u32) -> Embedded {
        Embedded { id: id.to_owned(), view, numbers: Vec::new() }
    }

    fn ids(rows: &[Embedded]) -> Vec<(&str, u32)> {
        rows.iter().map(|row| (row.id.as_str(), row.view)).collect()
    }

    #[test]
    fn a_view_that_was_answered_before_the_loss_is_not_answered_again() {
        let mut images = images(1, &["a", "b"]);
        assert_eq!(images.give(1).unwrap().0.id, "a");
        assert_eq!(images.give(1).unwrap().0.id, "b");
        let (new, done) = images.embedded(1, vec![row("a", 1), row("b", 0), row("b", 1), row("unknown", 0)]);
        assert_eq!((ids(&new), done.len()), (vec![("a", 1), ("b", 0), ("b", 1)], 1));
        assert_eq!(images.lost(1), Lost { again: 1, given_up: vec![] });
        assert_eq!(images.give(2).unwrap().0.id, "a");
        assert!(images.embedded(1, vec![row("a", 0)]).0.is_empty(), "what the lost one had is at another");
        let (new, done) = images.embedded(2, vec![row("a", 0), row("a", 1)]);
        assert_eq!((ids(&new), done.len(), images.len()), (vec![("a", 0)], 1, 0));
        assert!(images.refused(2, "a").is_none());
    }

    #[test]
    fn an_image_that_was_at_every_loss_is_alone_and_then_given_up() {
        let mut images = images(0, &["a", "b", "c"]);
        for link in [1, 2] {
            assert!(!images.has_suspects());
            while images.give(link).is_some() {}
            assert_eq!(images.lost(link).again, 3);
        }
        assert!(images.has_suspects() && images.give(3).is_none(), "all are sent alone");
        let first = images.give_suspect(3).unwrap().0.id;
        assert_eq!(images.lost(3), Lost { again: 0, given_up: vec![first] });
        images.give_suspect(4).unwrap();
        images.give_suspect(5).unwrap();
        assert_eq!((images.lost(6), images.len()), (Lost::default(), 2));
    }
}
