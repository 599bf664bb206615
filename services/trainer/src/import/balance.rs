//! The splits of examples whose callers named none: by a hash of the content, stratified.
//!
//! The hash alone is fair to a large class and may be unfair to a small one: of ten examples, all may fall into one split.
//! So each class of an import is counted, and where the hash would put one example too many of it into a split, that
//! example goes to the split that lacks most. Most examples follow their hash; what is stored keeps its split.

use std::collections::HashMap;

use graft_proto::v1::Split;

use crate::fit::split::by_content;

/// The splits and the parts of a class that they should have, as [`by_content`] has them.
const SHARES: [(Split, f64); 3] = [(Split::Train, 0.70), (Split::Validation, 0.15), (Split::Test, 0.15)];
/// Examples that a split may have beyond its part of a class of `total`: about what chance alone would give it.
fn slack(total: f64) -> f64 {
    (total.sqrt() / 2.0).max(1.0)
}

/// What one import has put where.
#[derive(Clone, Debug, Default)]
pub struct Balance {
    /// Examples of each class in each split, in the order of [`SHARES`]. It has an entry a label, so the limit on labels
    /// bounds it.
    classes: HashMap<String, [u64; 3]>,
}

impl Balance {
    /// The split of an example with this content and these labels.
    pub fn place(&mut self, hash: &[u8; 32], labels: &[String]) -> Split {
        // Of several labels the rarest needs most care.
        let total = |label: &str| self.classes.get(label).map_or(0, |counts| counts.iter().sum::<u64>());
        let rarest = labels.iter().min_by_key(|label| (total(label), *label)).map_or("", String::as_str);
        let counts = self.classes.get(rarest).copied().unwrap_or_default();
        let chosen = choose(counts, by_content(hash));
        for label in labels.iter().map(String::as_str).chain(labels.is_empty().then_some("")) {
            self.classes.entry(label.to_owned()).or_default()[chosen] += 1;
        }
        SHARES[chosen].0
    }
}

/// The split for one more example of a class that has `counts`, whose hash says `wanted`.
fn choose(counts: [u64; 3], wanted: Split) -> usize {
    let total = counts.iter().sum::<u64>() as f64 + 1.0;
    let lacks = |split: usize| SHARES[split].1 * total - counts[split] as f64;
    let wanted = SHARES.iter().position(|(split, _)| *split == wanted).unwrap_or(0);
    if lacks(wanted) + slack(total) >= 1.0 {
        return wanted;
    }
    (0..SHARES.len()).max_by(|a, b| lacks(*a).total_cmp(&lacks(*b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_class_has_its_parts_in_any_order(seeds in prop::collection::vec((any::<[u8; 32]>(), 0u8..4), 1..400)) {
            let mut balance = Balance::default();
            let mut again = Balance::default();
            for (hash, class) in &seeds {
                let labels = [class.to_string()];
                prop_assert_eq!(balance.place(hash, &labels), again.place(hash, &labels), "no chance is in it");
            }
            for counts in balance.classes.values() {
                let total = counts.iter().sum::<u64>() as f64;
                for (split, (_, share)) in SHARES.iter().enumerate() {
                    let off = counts[split] as f64 - share * total;
                    // What one has too much, the two others lack.
                    prop_assert!((-2.0 * slack(total)..=slack(total)).contains(&off), "{counts:?}");
                }
            }
        }
    }

    #[test]
    fn most_examples_follow_their_hash() {
        let mut balance = Balance::default();
        let labels = ["x".to_owned()];
        let hashes = (0..2000u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes());
        let followed = hashes.filter(|hash| balance.place(hash, &labels) == by_content(hash)).count();
        assert!(followed > 1700, "{followed}");
    }

    #[test]
    fn a_class_of_ten_is_in_every_split_whatever_its_hashes() {
        let mut balance = Balance::default();
        let labels = ["x".to_owned()];
        // The hash of zeros says train.
        let placed: Vec<Split> = (0..10).map(|_| balance.place(&[0; 32], &labels)).collect();
        for split in [Split::Train, Split::Validation, Split::Test] {
            assert!(placed.contains(&split), "{placed:?}");
        }
        assert!(balance.place(&[0; 32], &[]) == Split::Train, "no label is a class of its own");
    }
}
