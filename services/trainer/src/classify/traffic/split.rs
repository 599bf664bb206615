//! How the canary and the shadow of an alias do.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use graft_proto::v1::Prediction;
use parking_lot::Mutex;

use super::windows::{Count, Windows};
use crate::store::now;

/// How the canary and the shadow of an alias do, since they are both what they are.
#[derive(Debug, Default)]
pub struct SplitTraffic {
    seen: Mutex<Seen>,
    fallbacks: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// When the alias last answered, in milliseconds since 1970; 0 if it never did.
    last: AtomicI64,
}

#[derive(Debug, Default)]
struct Seen {
    sides: Windows<Sides>,
    compared: Windows<Compared>,
}

#[derive(Debug, Default)]
struct Sides {
    answers: u64,
    canary: u64,
}

#[derive(Debug, Default)]
struct Compared {
    compared: u64,
    agreed: u64,
    difference: f64,
}

/// What is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Answers of the alias.
    pub answers: u64,
    /// Those of the canary.
    pub canary_answers: u64,
    /// Those that the canary should have given.
    pub fallbacks: u64,
    /// Answers of the shadow that were compared.
    pub compared: u64,
    /// Those that agreed.
    pub agreed: u64,
    /// How far the confidence is apart, on average.
    pub confidence_difference: f64,
    /// Answers of the shadow that failed.
    pub failed: u64,
    /// Answers of the shadow that were not asked for.
    pub dropped: u64,
}

impl Count for Sides {
    fn clear(&mut self) {
        *self = Sides::default();
    }
}

impl Count for Compared {
    fn clear(&mut self) {
        *self = Compared::default();
    }
}

impl SplitTraffic {
    /// The alias answered so many requests, by its canary or by its own version.
    pub fn answered(&self, by_canary: bool, answers: usize) {
        let mut seen = self.seen.lock();
        for _ in 0..answers {
            let sides = seen.sides.slot();
            sides.answers += 1;
            sides.canary += u64::from(by_canary);
        }
        self.last.store(now(), Ordering::Relaxed);
    }

    /// When the alias last answered, in milliseconds since 1970; 0 if it never did.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }

    /// The canary could not answer. Gives back whether to tell of it.
    pub fn fell_back(&self) -> bool {
        add(&self.fallbacks, 1)
    }

    /// The shadow was compared with the answer that was given. Gives back whether both agree.
    pub fn compared(&self, given: &[Prediction], shadow: &[Prediction]) -> bool {
        let agreed = agree(given, shadow);
        let difference = f64::from((confidence(given) - confidence(shadow)).abs());
        let mut seen = self.seen.lock();
        let compared = seen.compared.slot();
        compared.compared += 1;
        compared.agreed += u64::from(agreed);
        compared.difference += difference;
        agreed
    }

    /// The shadow failed to answer so many requests. Gives back whether to tell of it.
    pub fn failed(&self, answers: usize) -> bool {
        add(&self.failed, answers as u64)
    }

    /// The shadow was not asked so many requests.
    pub fn dropped(&self, answers: usize) {
        add(&self.dropped, answers as u64);
    }

    /// What is known.
    pub fn figures(&self) -> Figures {
        let seen = self.seen.lock();
        let compared: u64 = seen.compared.sum(|counts| counts.compared);
        Figures {
            answers: seen.sides.sum(|counts| counts.answers),
            canary_answers: seen.sides.sum(|counts| counts.canary),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            compared,
            agreed: seen.compared.sum(|counts| counts.agreed),
            confidence_difference: seen.compared.sum::<f64>(|counts| counts.difference) / compared.max(1) as f64,
            failed: self.failed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// Count more. Gives back whether that is the first, or twice as many as when it was so before: the log is not to be flooded.
fn add(counter: &AtomicU64, more: u64) -> bool {
    let before = counter.fetch_add(more, Ordering::Relaxed);
    before.checked_ilog2() != (before + more).checked_ilog2()
}

/// The probability of the most probable class.
fn confidence(predictions: &[Prediction]) -> f32 {
    predictions.first().map_or(0.0, |first| first.probability)
}

/// Whether both name the same class first; where both give labels on their own, whether they give the same.
fn agree(a: &[Prediction], b: &[Prediction]) -> bool {
    let sets = [a, b].iter().all(|side| side.first().is_some_and(|first| first.threshold.is_some()));
    let same = |side: &[Prediction], other: &[Prediction]| {
        let mut given = side.iter().filter(|one| one.applies);
        given.all(|one| other.iter().any(|other| other.applies && other.label == one.label))
    };
    if sets {
        same(a, b) && same(b, a)
    } else {
        a.first().map(|first| &first.label) == b.first().map(|first| &first.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(label: &str, probability: f32) -> Prediction {
        Prediction { label: label.into(), probability, ..Default::default() }
    }

    fn label(label: &str, probability: f32) -> Prediction {
        Prediction { threshold: Some(0.5), applies: probability >= 0.5, ..class(label, probability) }
    }

    #[test]
    fn agreement_is_of_the_first_class_or_of_all_labels() {
        assert!(agree(&[class("a", 0.9), class("b", 0.1)], &[class("a", 0.5)]));
        assert!(!agree(&[class("a", 0.9)], &[class("b", 0.9)]));
        assert!(agree(&[label("a", 0.9), label("b", 0.6)], &[label("b", 0.8), label("a", 0.7)]));
        assert!(!agree(&[label("a", 0.9), label("b", 0.6)], &[label("a", 0.9), label("b", 0.4)]));
        assert!(!agree(&[label("a", 0.9)], &[label("a", 0.9), label("b", 0.6)]));
        assert!(agree(&[label("a", 0.2)], &[label("b", 0.3)]), "neither gives any");
    }

    #[test]
    fn figures_are_of_the_last_answers() {
        let split = SplitTraffic::default();
        split.answered(true, 1000);
        for _ in 0..3 {
            split.answered(false, 900);
            split.answered(true, 100);
        }
        assert!(split.compared(&[class("a", 0.9)], &[class("a", 0.7)]));
        assert!(!split.compared(&[class("a", 0.9)], &[class("b", 0.9)]));
        let told: Vec<bool> = (0..5).map(|_| split.fell_back()).collect();
        assert_eq!(told, [true, true, false, true, false]);
        split.failed(2);
        split.dropped(16);
        let found = split.figures();
        assert_eq!((found.answers, found.canary_answers, found.fallbacks), (2000, 200, 5));
        assert_eq!((found.compared, found.agreed, found.failed, found.dropped), (2, 1, 2, 16));
        assert!((found.confidence_difference - 0.1).abs() < 1e-6);
    }
}
