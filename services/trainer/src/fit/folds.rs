//! Rows dealt into folds, the same for the same seed.

use super::random::Random;

/// The fold of each row: every fold gets its share of every class, and all folds are as large as each other, give or take a
/// row.
pub fn stratified(labels: &[u32], classes: usize, folds: usize, seed: u64) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(row, class)| members[*class as usize].push(row));
    let mut random = Random::new(seed);
    let mut fold = vec![0; labels.len()];
    let mut dealt = 0;
    for rows in &mut members {
        random.shuffle(rows);
        // Each class goes on where the one before stopped, so that the remainders do not pile up in the first folds.
        for row in rows {
            fold[*row] = dealt % folds;
            dealt += 1;
        }
    }
    fold
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn folds_share_every_class_evenly(
            labels in prop::collection::vec(0u32..4, 1..200), folds in 2usize..8, seed in any::<u64>(),
        ) {
            let fold = stratified(&labels, 4, folds, seed);
            prop_assert_eq!(&fold, &stratified(&labels, 4, folds, seed));
            let spread = |class: Option<u32>| {
                let mut counts = vec![0usize; folds];
                let meant = fold.iter().zip(&labels).filter(|(_, label)| class.is_none_or(|class| class == **label));
                meant.for_each(|(fold, _)| counts[*fold] += 1);
                counts.iter().max().unwrap() - counts.iter().min().unwrap()
            };
            prop_assert!(spread(None) <= 1);
            prop_assert!((0..4).all(|class| spread(Some(class)) <= 1));
        }
    }

    #[test]
    fn another_seed_deals_otherwise() {
        let labels = vec![0; 50];
        assert_ne!(stratified(&labels, 1, 5, 1), stratified(&labels, 1, 5, 2));
    }
}
