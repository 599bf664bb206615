//! Which requests a canary answers.

use uuid::Uuid;

use crate::store::aliases::WHOLE;

/// The bucket of a key, 0 to 9,999: the same for the same head, alias and key, on every replica. Those below a canary's share are
/// the canary's, so that a share that grows keeps every key that it had.
pub fn of_key(head: &str, alias: &str, key: &str) -> u32 {
    bucket([head.as_bytes(), alias.as_bytes(), key.as_bytes()])
}

/// A bucket by chance: that of a request without a key.
pub fn by_chance() -> u32 {
    bucket([Uuid::now_v7().as_bytes()])
}

fn bucket<const N: usize>(parts: [&[u8]; N]) -> u32 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    // Of 2^64 numbers, none is favoured by more than one in 10^15.
    (u64::from_le_bytes(first) % u64::from(WHOLE)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_gets_about_as_many_keys_and_keeps_them_when_it_grows() {
        let buckets: Vec<u32> = (0..20_000).map(|key| of_key("h", "production", &format!("user-{key}"))).collect();
        let below = |share: u32| buckets.iter().filter(|bucket| **bucket < share).count();
        // Four standard deviations.
        for (share, slack) in [(100, 57), (1000, 170), (5000, 283)] {
            let expected = buckets.len() * share as usize / WHOLE as usize;
            assert!(below(share).abs_diff(expected) < slack, "{} of a share of {share}", below(share));
        }
        assert_eq!((below(0), below(WHOLE)), (0, buckets.len()));
        assert_eq!(buckets[7], of_key("h", "production", "user-7"), "what is below a share is below a greater one");
    }

    #[test]
    fn heads_and_aliases_choose_keys_of_their_own() {
        let apart = |a: [&str; 3], b: [&str; 3]| {
            (0..100).any(|n| of_key(a[0], a[1], &format!("{}{n}", a[2])) != of_key(b[0], b[1], &format!("{}{n}", b[2])))
        };
        assert!(apart(["h", "production", "k"], ["g", "production", "k"]));
        assert!(apart(["h", "production", "k"], ["h", "staging", "k"]));
        assert!(apart(["ab", "c", ""], ["a", "bc", ""]));
    }

    #[test]
    fn chance_is_balanced() {
        let below = (0..10_000).filter(|_| by_chance() < 1000).count();
        assert!(below.abs_diff(1000) < 150, "{below}");
    }
}
