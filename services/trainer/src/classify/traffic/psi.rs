//! How far two samples are apart: the population stability index.
//!
//! The sum over the bins of `(a - b)·ln(a / b)`, where `a` and `b` are the parts of both samples in a bin. It comes from credit
//! scoring, whose rule of thumb is used here: below 0.1 no change, from 0.1 on some, from 0.25 on much (Siddiqi 2006, "Credit Risk
//! Scorecards"). Two samples of the same distribution are apart too, by chance: `(bins - 1)·(1/n + 1/m)` on average, of n and m
//! observations; the index is distributed like χ² with `bins - 1` degrees of freedom, times `1/n + 1/m` (Yurdakul 2018,
//! "Statistical Properties of Population Stability Index"). That average is taken off, and what is left counts only where it is
//! more than chance.

use graft_proto::v1::DriftLevel;

/// Observations from which it is told.
pub const LEAST: u64 = 200;
/// From here on it is watched.
const WATCH: f64 = 0.1;
/// From here on it is an alarm.
const ALARM: f64 = 0.25;
/// Standard deviations above chance, from which on it is more than chance.
const SURE: f64 = 4.0;
/// Observations that the smaller sample must lead to expect in a bin, or else it is taken together with others: χ² needs as many
/// (Cochran 1954). They are expected from both samples together: a bin that is chosen by one of them would look too full there.
const LEAST_OF_A_BIN: f64 = 5.0;
/// What each bin has from the start, in both samples: an empty one would be infinitely far.
const SMOOTHING: f64 = 0.5;

/// How far the observations of now are from those of then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The index without what chance gives on average; 0 at the least.
    pub index: f64,
    /// Whether it is more than chance.
    sure: bool,
}

impl Drift {
    /// How far `now` is from `then`, which count observations by bin. Of those, so many are independent of each other: all of
    /// them unless fewer. `None` where `now` has fewer than [`LEAST`], or `then` none.
    pub fn between(now: &[u64], then: &[u64], independent: [u64; 2]) -> Option<Drift> {
        let (all_now, all_then): (u64, u64) = (now.iter().sum(), then.iter().sum());
        let [n, m] = [all_now.min(independent[0]), all_then.min(independent[1])];
        if now.len() != then.len() || n < LEAST || m == 0 {
            return None;
        }
        let groups = grouped(now, then, n.min(m) as f64 / (all_now + all_then) as f64);
        let bins = groups.len() as f64;
        let part = |count: u64, all: u64| (count as f64 + SMOOTHING) / (all as f64 + SMOOTHING * bins);
        let terms = groups.iter().map(|(now, then)| {
            let (a, b) = (part(*now, all_now), part(*then, all_then));
            (a - b) * (a / b).ln()
        });
        let scale = 1.0 / n as f64 + 1.0 / m as f64;
        let above = terms.sum::<f64>() - (bins - 1.0) * scale;
        let sure = above > SURE * (2.0 * (bins - 1.0)).sqrt() * scale;
        Some(Drift { index: above.max(0.0), sure })
    }

    /// What it means.
    pub fn level(&self) -> DriftLevel {
        match self.index {
            index if self.sure && index >= ALARM => DriftLevel::Alarm,
            index if self.sure && index >= WATCH => DriftLevel::Watch,
            _ => DriftLevel::Steady,
        }
    }
}

/// The bins of both samples, the rare ones together; `rate` is how many the smaller sample has of one in both.
fn grouped(now: &[u64], then: &[u64], rate: f64) -> Vec<(u64, u64)> {
    let enough = |(now, then): (u64, u64)| (now + then) as f64 * rate >= LEAST_OF_A_BIN;
    let (mut groups, mut rare) = (Vec::new(), None::<(u64, u64)>);
    for bin in now.iter().copied().zip(then.iter().copied()) {
        if enough(bin) {
            groups.push(bin);
            continue;
        }
        let (sum_now, sum_then) = rare.unwrap_or_default();
        let sum = (sum_now + bin.0, sum_then + bin.1);
        rare = Some(sum);
        if enough(sum) {
            groups.push(sum);
            rare = None;
        }
    }
    // What never was in either is no bin.
    groups.extend(rare.filter(|rare| *rare != (0, 0)));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::random::Random;

    fn drift(now: &[u64], then: &[u64]) -> Drift {
        Drift::between(now, then, [u64::MAX; 2]).unwrap()
    }

    #[test]
    fn the_index_is_that_of_the_formula() {
        // Parts of 3/4 and 1/4 against halves: 1/4·ln(3/2) - 1/4·ln(1/2) = ln(3)/4.
        let found = drift(&[750_000, 250_000], &[500_000, 500_000]);
        assert!((found.index - 3f64.ln() / 4.0).abs() < 1e-5, "{found:?}");
        assert_eq!(found.level(), DriftLevel::Alarm);
        // By hand, three bins with what they have from the start: 300.5, 500.5, 200.5 of 1001.5 against 200.5, 500.5, 300.5.
        let (a, b) = (300.5 / 1001.5, 200.5 / 1001.5);
        let expected: f64 = 2.0 * (a - b) * f64::ln(a / b) - 2.0 * (1.0 / 1000.0 + 1.0 / 1000.0);
        let found = drift(&[300, 500, 200], &[200, 500, 300]);
        assert!((found.index - expected).abs() < 1e-12 && (found.index - 0.0768).abs() < 1e-4, "{found:?}");
        assert_eq!(found.level(), DriftLevel::Steady);
        assert_eq!(drift(&[350, 500, 150], &[200, 500, 300]).level(), DriftLevel::Watch);
    }

    #[test]
    fn too_little_is_not_told() {
        assert_eq!(Drift::between(&[199, 0], &[50, 50], [u64::MAX; 2]), None);
        assert_eq!(Drift::between(&[100, 100], &[0, 0], [u64::MAX; 2]), None);
        assert_eq!(Drift::between(&[900, 900], &[50, 50], [199, 100]), None, "few are independent");
        assert!(Drift::between(&[100, 100], &[50, 50], [u64::MAX; 2]).is_some());
    }

    #[test]
    fn what_is_empty_is_not_infinitely_far() {
        let found = drift(&[0, 1000], &[1000, 0]);
        assert!(found.index > 5.0 && found.index < 20.0, "{found:?}");
        assert_eq!(drift(&[1000, 0, 0], &[1000, 0, 0]).index, 0.0);
    }

    #[test]
    fn many_rare_classes_are_taken_together_and_a_shift_between_them_is_seen() {
        let then = vec![10; 1000];
        let mut few = vec![0; 1000];
        (few[3], few[700]) = (500, 500);
        assert_eq!(drift(&few, &then).level(), DriftLevel::Alarm);
        // Two that are frequent by now, and the others in sixes.
        assert_eq!(grouped(&few, &then, 1.0 / 11.0).len(), 169);
    }

    /// So many draws, each bin as likely as its weight says.
    fn draw(random: &mut Random, weights: &[u64], count: u64) -> Vec<u64> {
        let all: u64 = weights.iter().sum();
        let mut bins = vec![0; weights.len()];
        for _ in 0..count {
            let mut left = random.below(all as usize) as u64;
            let bin = weights.iter().position(|weight| {
                let here = left < *weight;
                left = left.wrapping_sub(*weight);
                here
            });
            bins[bin.unwrap()] += 1;
        }
        bins
    }

    #[test]
    fn the_same_distribution_is_no_drift_however_small_the_samples() {
        let mut random = Random::new(7);
        let mut watched = 0;
        for weights in [vec![1; 2], vec![1; 10], vec![90, 5, 3, 1, 1], vec![1; 100], vec![1; 1000], (1..=15).collect()]
        {
            for (n, m) in [(200, 200), (200, 10_000), (1000, 50), (2000, 2000)] {
                for _ in 0..20 {
                    let found = drift(&draw(&mut random, &weights, n), &draw(&mut random, &weights, m));
                    assert_ne!(found.level(), DriftLevel::Alarm, "{} bins, {n} and {m}: {found:?}", weights.len());
                    watched += u32::from(found.level() == DriftLevel::Watch);
                }
            }
        }
        // Of 480.
        assert!(watched <= 3, "{watched}");
    }
}
