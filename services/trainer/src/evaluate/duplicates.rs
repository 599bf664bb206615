//! Pictures of the test split that are nearly in the train split: the same one at another size or quality. A head that has
//! seen them looks better than it is. (The very same file cannot be in two splits.)

use candle_core::{Device, Tensor};

/// The cosine of two embeddings from which their pictures are taken to be nearly the same.
pub const NEAR: f32 = 0.999;
/// The most multiplications of a search: a few seconds. Where there would be more, the first test rows are searched for.
pub const MOST_WORK: usize = 1 << 38;
/// Train rows, and test rows, that are compared together: 1.3 MB of f32 an embedding of 1280 a block of them.
const BLOCK: usize = 1024;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NearDuplicates {
    /// Test rows that were searched for.
    pub searched: usize,
    /// The test rows with a near duplicate among the train rows: each with the train row that is nearest and their cosine.
    pub pairs: Vec<Pair>,
}

/// Two rows that are nearly the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The test row.
    pub test: usize,
    /// The train row.
    pub train: usize,
    /// The cosine of their embeddings.
    pub cosine: f32,
}

/// Search for rows of `test` that are nearly in `train`, both `[rows, dimension]`. `go_on` is asked between blocks; where it
/// says no, the search ends with what it has.
///
/// # Errors
/// Those of the tensor operations.
pub fn search(
    train: &[f32],
    test: &[f32],
    dimension: usize,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<NearDuplicates, candle_core::Error> {
    let train_rows = train.len() / dimension.max(1);
    let most = MOST_WORK / train.len().max(1);
    let searched = (test.len() / dimension.max(1)).min(most);
    let mut nearest: Vec<Option<Pair>> = vec![None; searched];
    for first_train in (0..train_rows).step_by(BLOCK) {
        let rows = BLOCK.min(train_rows - first_train);
        let block = unit_rows(&train[first_train * dimension..(first_train + rows) * dimension], dimension)?.t()?;
        for first_test in (0..searched).step_by(BLOCK) {
            if !go_on() {
                return Ok(NearDuplicates::default());
            }
            let count = BLOCK.min(searched - first_test);
            let tests = unit_rows(&test[first_test * dimension..(first_test + count) * dimension], dimension)?;
            let cosines = tests.matmul(&block)?.flatten_all()?.to_vec1::<f32>()?;
            for (row, cosines) in cosines.chunks_exact(rows).enumerate() {
                let at = super::most_probable(cosines);
                let found = Pair { test: first_test + row, train: first_train + at, cosine: cosines[at] };
                let best = &mut nearest[first_test + row];
                if found.cosine >= NEAR && best.is_none_or(|best| found.cosine > best.cosine) {
                    *best = Some(found);
                }
            }
        }
    }
    Ok(NearDuplicates { searched, pairs: nearest.into_iter().flatten().collect() })
}

/// The rows, each scaled to length 1; one of zeros stays so, and is like none.
fn unit_rows(rows: &[f32], dimension: usize) -> Result<Tensor, candle_core::Error> {
    let mut unit = rows.to_vec();
    for row in unit.chunks_exact_mut(dimension) {
        let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        let scale = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
        row.iter_mut().for_each(|x| *x *= scale);
    }
    Tensor::from_vec(unit, (rows.len() / dimension, dimension), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_the_same_is_found_in_whatever_block() {
        let dimension = 8;
        let row = |seed: usize| (0..dimension).map(move |column| ((seed * 31 + column * 17) % 101) as f32 - 50.0);
        let train: Vec<f32> = (0..2500).flat_map(row).collect();
        let mut test: Vec<f32> = (0..1100).flat_map(|_| row(7).map(|x| -x)).collect();
        // The same but brighter, and one that differs a little.
        test[1050 * dimension..1051 * dimension].iter_mut().zip(row(2400)).for_each(|(x, y)| *x = 3.0 * y);
        test[3 * dimension..4 * dimension].iter_mut().zip(row(99)).for_each(|(x, y)| *x = y + 0.01);
        let found = search(&train, &test, dimension, &mut || true).unwrap();
        assert_eq!(found.searched, 1100);
        let pairs: Vec<usize> = found.pairs.iter().map(|pair| pair.test).collect();
        assert!(pairs.contains(&3) && pairs.contains(&1050), "{pairs:?}");
        assert!(found.pairs.iter().all(|pair| pair.cosine >= NEAR));
        assert_eq!(search(&train, &test, dimension, &mut || false).unwrap(), NearDuplicates::default());
        let zeros = search(&[0.0; 16], &[0.0; 8], dimension, &mut || true).unwrap();
        assert!(zeros.pairs.is_empty());
    }
}
