//! Fits that only gather: the mean direction of each class, and the directions of all examples.

use super::FitError;
use super::data::Rows;
use super::head::cosine::{NeighboursHead, PrototypeHead, Space, to_unit};

/// The most numbers that a head keeps of its examples: 256 MB.
pub const MAX_EXAMPLE_NUMBERS: usize = 1 << 26;

/// The mean of the directions of each class, each row counting by its weight, for rows that are standardised already.
///
/// # Errors
/// Those of the tensor operations.
pub fn prototypes(rows: &Rows<'_>) -> Result<PrototypeHead, FitError> {
    let dim = rows.shape.dim;
    let (space, directions) = directions(rows)?;
    let mut sums = vec![0.0f64; rows.shape.weights()];
    for (row, (direction, class)) in directions.chunks_exact(dim).zip(rows.labels).enumerate() {
        let weight = rows.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
        let sum = &mut sums[*class as usize * dim..(*class as usize + 1) * dim];
        sum.iter_mut().zip(direction).for_each(|(sum, x)| *sum += weight * f64::from(*x));
    }
    let mut means: Vec<f32> = Vec::with_capacity(sums.len());
    for sum in sums.chunks_exact(dim) {
        // Scaled before it becomes f32: a sum of small weights would vanish.
        let largest = sum.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
        means.extend(sum.iter().map(|x| (x / largest) as f32));
    }
    means.chunks_exact_mut(dim).for_each(to_unit);
    Ok(PrototypeHead { space, means, sharpness: 1.0 })
}

/// All examples that have a weight, for rows that are standardised already.
///
/// # Errors
/// [`FitError::TooManyExamples`], and those of the tensor operations.
pub fn neighbours(rows: &Rows<'_>) -> Result<NeighboursHead, FitError> {
    let dim = rows.shape.dim;
    let (space, directions) = directions(rows)?;
    let counts = |row: usize| rows.weights.as_ref().is_none_or(|weights| weights[row] > 0.0);
    let kept: Vec<usize> = (0..rows.labels.len()).filter(|row| counts(*row)).collect();
    let examples = kept.iter().flat_map(|row| directions[row * dim..(row + 1) * dim].iter().copied()).collect();
    let owners = kept.iter().map(|row| rows.labels[*row]).collect();
    Ok(NeighboursHead { space, examples, owners, classes: rows.shape.classes, nearest: 1, factor: 1.0 })
}

fn directions(rows: &Rows<'_>) -> Result<(Space, Vec<f32>), FitError> {
    let dim = rows.shape.dim;
    let numbers = rows.labels.len().saturating_mul(dim);
    if numbers > MAX_EXAMPLE_NUMBERS {
        return Err(FitError::TooManyExamples { rows: rows.labels.len(), dim });
    }
    let space = Space { mean: vec![0.0; dim], scale: vec![1.0; dim] };
    let mut directions = rows.features.flatten_all()?.to_vec1::<f32>()?;
    space.directions(&mut directions);
    Ok((space, directions))
}

#[cfg(test)]
mod tests {
    use super::super::naive::Case;
    use super::*;

    #[test]
    fn a_class_is_the_mean_of_its_directions() {
        let case = Case::random(30, 6, 3, 1);
        let head = prototypes(&case.rows()).unwrap();
        for class in 0..3 {
            let mut sum = [0.0f64; 6];
            for row in (class..30).step_by(3) {
                let x = &case.features[row * 6..row * 6 + 6];
                let length = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                (0..6).for_each(|j| sum[j] += f64::from(x[j]) / length);
            }
            let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            for (j, sum) in sum.iter().enumerate() {
                assert!((f64::from(head.means[class * 6 + j]) - sum / length).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn an_example_is_its_own_nearest() {
        let case = Case::random(20, 6, 4, 1);
        let head = neighbours(&case.rows()).unwrap();
        let logits = head.logits(case.features.clone(), 20).unwrap();
        for (row, label) in logits.chunks(4).zip(&case.labels) {
            assert!((0..4).all(|class| class == *label as usize || row[class] < row[*label as usize]));
        }
    }
}
