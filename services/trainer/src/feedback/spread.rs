//! Chooses among uncertain examples so that they differ: ten pictures of one thing teach hardly more than one.
//!
//! Nearly the same ones are left out first. Of what remains, the least sure some are gone through farthest first: each next one
//! is the one whose nearest chosen one is the farthest away (Gonzalez, Clustering to minimize the maximum intercluster
//! distance, 1985; for labelling, Sener and Savarese, Active learning for convolutional neural networks: a core-set approach,
//! 2018). That only uncertain ones are gone through, a few times as many as are wanted, is of Zhdanov, Diverse mini-batch active
//! learning, 2019. Distance is by the angle between embeddings.

use rayon::prelude::*;

use super::uncertain::Candidate;
use crate::evaluate::duplicates::NEAR;

/// Uncertain examples that one is chosen from.
pub const CHOICE: usize = 4;

/// At most `count` of `candidates`, which come the least sure first, in the same order.
pub fn spread(candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    let different = different(candidates, count.saturating_mul(CHOICE));
    let mut chosen = farthest_first(&different, count);
    chosen.sort_unstable();
    let mut chosen = chosen.into_iter().peekable();
    let keep = |(at, one): (usize, (Candidate, Vec<f32>))| chosen.next_if_eq(&at).map(|_| one.0);
    different.into_iter().enumerate().filter_map(keep).collect()
}

/// The first `most` of which no two are nearly the same, each with its direction.
fn different(candidates: Vec<Candidate>, most: usize) -> Vec<(Candidate, Vec<f32>)> {
    let mut kept: Vec<(Candidate, Vec<f32>)> = Vec::new();
    for candidate in candidates {
        if kept.len() == most {
            break;
        }
        let direction = direction(&candidate.row);
        if !kept.par_iter().with_min_len(256).any(|(_, other)| cosine(&direction, other) >= NEAR) {
            kept.push((candidate, direction));
        }
    }
    kept
}

/// The positions of `count` that are far from each other, the first one first.
fn farthest_first(candidates: &[(Candidate, Vec<f32>)], count: usize) -> Vec<usize> {
    let mut nearest = vec![f32::NEG_INFINITY; candidates.len()];
    let mut chosen: Vec<usize> = Vec::new();
    let mut next = 0;
    while chosen.len() < count.min(candidates.len()) {
        chosen.push(next);
        let last = &candidates[next].1;
        let others = nearest.par_iter_mut().zip(candidates).with_min_len(256);
        others.for_each(|(nearest, (_, direction))| *nearest = nearest.max(cosine(last, direction)));
        nearest[next] = f32::INFINITY;
        // Of equals the first: it is less sure.
        next = (0..nearest.len()).min_by(|a, b| nearest[*a].total_cmp(&nearest[*b])).unwrap_or(0);
    }
    chosen
}

fn direction(row: &[f32]) -> Vec<f32> {
    let norm = cosine(row, row).sqrt().max(f32::MIN_POSITIVE);
    row.iter().map(|number| number / norm).collect()
}

/// The cosine of two directions. Eight sums side by side, so that the processor adds them at once.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A candidate in a direction of the plane, in degrees.
    fn candidate(at: usize, degrees: f32, length: f32) -> Candidate {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let row = vec![length * cos, length * sin];
        Candidate { at, margin: at as f32, classes: vec![], probabilities: vec![], row }
    }

    fn chosen(degrees: &[f32], count: usize) -> Vec<usize> {
        let candidates = degrees.iter().enumerate().map(|(at, degrees)| candidate(at, *degrees, 1.0 + at as f32));
        spread(candidates.collect(), count).into_iter().map(|candidate| candidate.at).collect()
    }

    #[test]
    fn those_far_apart_are_chosen_and_those_nearly_the_same_are_one() {
        assert_eq!(chosen(&[0.0, 10.0, 20.0, 90.0, 95.0, 200.0], 3), [0, 4, 5]);
        assert_eq!(chosen(&[0.0, 1.0, 2.0, 0.5, 50.0], 9), [0, 4], "a cosine of 0.999 is an angle of 2.6 degrees");
        assert_eq!(chosen(&[], 3), [0; 0]);
        assert_eq!(chosen(&[7.0], 3), [0]);
    }

    #[test]
    fn the_least_sure_are_chosen_from() {
        // The ninth is the farthest away, but not among the eight that two are chosen from.
        let degrees: Vec<f32> = (0..8).map(|n| n as f32 * 5.0).chain([180.0]).collect();
        assert_eq!(chosen(&degrees, 2), [0, 7]);
    }
}
