//! The logits of a linear head, as fast as its weights come from memory.
//!
//! The weights lie as `[classes, dimension]`, so that a class is one line that is read once, from its beginning to its end. An
//! embedding stays in the cache meanwhile, and several of them share a pass. What is larger than a piece is multiplied on all
//! threads of the pool that this runs in.

use pulp::Arch;
use rayon::prelude::*;

use crate::fit::{head::LinearHead, kernel::Logits};

/// Bytes of weights that one thread multiplies at once.
pub const PIECE_BYTES: usize = 128 << 10;

/// The weights of a linear head.
#[derive(Debug)]
pub struct Rows {
    /// `[classes, dimension]`.
    weights: Vec<f32>,
    /// `[classes]`.
    bias: Vec<f32>,
    dimension: usize,
}

impl Rows {
    /// Those of `head`, which has them as `[dimension, classes]`.
    pub fn new(head: LinearHead) -> Rows {
        let LinearHead { weights, bias, dimension, classes } = head;
        let mut rows = Vec::with_capacity(weights.len());
        rows.extend((0..classes).flat_map(|class| weights.iter().skip(class).step_by(classes)));
        Rows { weights: rows, bias, dimension }
    }

    /// The logits `[rows, classes]` of embeddings `[rows, dimension]`.
    pub fn logits(&self, embeddings: &[f32]) -> Vec<f32> {
        let (classes, dim) = (self.bias.len(), self.dimension);
        let rows = embeddings.len() / dim;
        let multiply = |weights: &[f32]| {
            if rows == 1 {
                return Arch::new().dispatch(|| weights.chunks_exact(dim).map(|line| dot(line, embeddings)).collect());
            }
            let mut logits = vec![0.0; rows * (weights.len() / dim)];
            Arch::new().dispatch(Logits { x: embeddings, weights, dim, logits: &mut logits });
            logits
        };
        let lines = (PIECE_BYTES / size_of::<f32>() / dim).max(1);
        let mut logits = if classes <= lines {
            multiply(&self.weights)
        } else {
            let pieces: Vec<Vec<f32>> = self.weights.par_chunks(lines * dim).map(multiply).collect();
            // A piece has some classes of every row.
            let row = |row: usize| {
                pieces.iter().flat_map(move |piece| {
                    let classes = piece.len() / rows;
                    &piece[row * classes..(row + 1) * classes]
                })
            };
            (0..rows).flat_map(row).copied().collect()
        };
        for row in logits.chunks_exact_mut(classes) {
            row.iter_mut().zip(&self.bias).for_each(|(logit, bias)| *logit += bias);
        }
        logits
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        self.dimension
    }
}

/// Products that are summed side by side.
const LANES: usize = 32;

/// The product of a line of weights with one embedding. One line after the other is how memory gives most.
#[inline(always)]
fn dot(line: &[f32], embedding: &[f32]) -> f32 {
    let ((line, line_rest), (x, x_rest)) = (line.as_chunks::<LANES>(), embedding.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (line, x) in line.iter().zip(x) {
        for (sum, (weight, x)) in sums.iter_mut().zip(line.iter().zip(x)) {
            *sum += weight * x;
        }
    }
    sums.iter().sum::<f32>() + line_rest.iter().zip(x_rest).map(|(weight, x)| weight * x).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fit::random::Random;

    fn numbers(count: usize, random: &mut Random) -> Vec<f32> {
        (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()
    }

    fn check(rows: usize, dimension: usize, classes: usize, seed: u64) {
        let mut random = Random::new(seed);
        let weights = numbers(dimension * classes, &mut random);
        let head = LinearHead { weights, bias: numbers(classes, &mut random), dimension, classes };
        let x = numbers(rows * dimension, &mut random);
        let expected = head.logits(x.clone(), rows).unwrap();
        let packed = Rows::new(head);
        assert_eq!((packed.classes(), packed.dimension()), (classes, dimension));
        let found = packed.logits(&x);
        assert_eq!(found.len(), expected.len());
        let most = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < 1e-4 * (dimension as f32).sqrt(), "{rows} {dimension} {classes}: {most}");
    }

    proptest! {
        #[test]
        fn the_packed_product_is_that_of_the_head(
            rows in 1usize..6, dimension in 1usize..80, classes in 1usize..30, seed in any::<u64>(),
        ) {
            check(rows, dimension, classes, seed);
        }
    }

    #[test]
    fn a_head_of_many_pieces_has_the_same_product() {
        for (rows, dimension, classes) in [(1, 1280, 1000), (3, 1280, 77), (2, 40_000, 7)] {
            check(rows, dimension, classes, 7);
        }
    }
}
