//! Which rows a head is fitted on: the examples of the train split, their views, those of the validation split, theirs. The test
//! split has no views.

use crate::fit::split::Plan;

/// The rows of a fit, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitRows {
    /// The example of each row, an index into the snapshot, and which view of it; 0 for itself.
    pub rows: Vec<(usize, u32)>,
    /// How many of them are of the train split.
    pub train: usize,
    /// The example's own row of each row; nothing where there are no views.
    pub own: Option<Vec<u32>>,
}

impl FitRows {
    /// The rows of a plan where each example has `views` views.
    pub fn new(plan: &Plan, views: u32) -> FitRows {
        let (mut rows, mut own) = (Vec::new(), Vec::new());
        for split in [&plan.train, &plan.validation] {
            let first = rows.len();
            rows.extend(split.iter().map(|example| (*example, 0)));
            own.extend(first as u32..rows.len() as u32);
            for (at, example) in split.iter().enumerate() {
                rows.extend((1..=views).map(|view| (*example, view)));
                own.extend((0..views).map(|_| (first + at) as u32));
            }
        }
        FitRows { rows, train: plan.train.len() * (1 + views as usize), own: (views > 0).then_some(own) }
    }

    /// How many rows of embeddings a run holds: these, and one for each example that is measured on.
    pub fn count(plan: &Plan, views: u32) -> usize {
        (plan.train.len() + plan.validation.len()).saturating_mul(1 + views as usize).saturating_add(plan.test.len())
    }

    /// The example of each row.
    pub fn examples(&self) -> Vec<usize> {
        self.rows.iter().map(|(example, _)| *example).collect()
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Split;
    use proptest::prelude::*;

    use super::*;
    use crate::fit::{split, views::Views};

    proptest! {
        #[test]
        fn views_never_cross_splits(
            examples in prop::collection::vec((0u32..4, 1i32..4), 1..120), views in 0u32..6,
        ) {
            let classes: Vec<u32> = examples.iter().map(|(class, _)| *class).collect();
            let splits: Vec<Split> = examples.iter().map(|(_, split)| Split::try_from(*split).unwrap()).collect();
            let plan = split::plan(&classes, &splits);
            let found = FitRows::new(&plan, views);
            for (row, (example, _)) in found.rows.iter().enumerate() {
                let split = if row < found.train { &plan.train } else { &plan.validation };
                prop_assert!(split.contains(example) && !plan.test.contains(example));
            }
            let fit_on = plan.train.len() + plan.validation.len();
            prop_assert_eq!(found.rows.len(), fit_on * (1 + views as usize));
            prop_assert_eq!(FitRows::count(&plan, views), found.rows.len() + plan.test.len());
            let mut distinct = found.rows.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), found.rows.len(), "each view once");
            let labels: Vec<u32> = found.examples().iter().map(|example| classes[*example]).collect();
            match &found.own {
                Some(own) => {
                    let fine = own.iter().zip(&found.rows).all(|(of, (example, view))| {
                        found.rows[*of as usize] == (*example, 0) && (*view > 0 || found.rows[*of as usize].1 == *view)
                    });
                    prop_assert!(fine && Views::new(own.clone(), &labels, found.train).is_ok());
                }
                None => prop_assert_eq!(found.examples(), [&plan.train[..], &plan.validation].concat()),
            }
        }
    }
}
