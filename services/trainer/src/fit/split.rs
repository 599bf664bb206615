//! Which example is fitted on, which the L2 is chosen on, which the head is measured on.

use graft_proto::v1::Split;

/// Of the rows to fit on, the part that is held out to choose the L2 on, where none were given.
const VALIDATION_SHARE: f64 = 0.15;
/// The part that is held out to measure on, where none were given.
const TEST_SHARE: f64 = 0.2;

/// Indices of examples, by what they are used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To fit on.
    pub train: Vec<usize>,
    /// To choose the L2 on.
    pub validation: Vec<usize>,
    /// To measure on.
    pub test: Vec<usize>,
}

/// The split of an example whose content has this hash, where none was given: 70% train, 15% validation, 15% test. It
/// depends on the content alone, so it stays as the dataset grows.
pub fn by_content(hash: &[u8; 32]) -> Split {
    // The hash is uniform, so its first bytes are a number drawn evenly from 0 to 65535.
    match u32::from(u16::from_le_bytes([hash[0], hash[1]])) * 100 / 65_536 {
        0..70 => Split::Train,
        70..85 => Split::Validation,
        _ => Split::Test,
    }
}

/// Plan a fit on examples of these classes and splits, which must come in an order that does not depend on chance (that
/// of their content hashes, say). Where there is nothing to measure on, or to choose on, a part of each class is taken
/// from what there is to fit on; a class never loses its last two examples that way.
pub fn plan(classes: &[u32], splits: &[Split]) -> Plan {
    let of = |wanted: Split| (0..splits.len()).filter(|index| splits[*index] == wanted).collect::<Vec<_>>();
    let mut plan = Plan { train: of(Split::Train), validation: of(Split::Validation), test: of(Split::Test) };
    if plan.test.is_empty() {
        (plan.test, plan.train) = hold_out(&plan.train, classes, TEST_SHARE);
    }
    if plan.validation.is_empty() {
        (plan.validation, plan.train) = hold_out(&plan.train, classes, VALIDATION_SHARE);
    }
    plan
}

/// The part of each class that is held out, and the rest.
fn hold_out(indices: &[usize], classes: &[u32], share: f64) -> (Vec<usize>, Vec<usize>) {
    let most = classes.iter().max().map_or(0, |most| *most as usize + 1);
    let mut counts = vec![0usize; most];
    indices.iter().for_each(|index| counts[classes[*index] as usize] += 1);
    let mut quota: Vec<usize> = counts
        .iter()
        .map(|count| ((*count as f64 * share).round() as usize).max(1).min(count.saturating_sub(2)))
        .collect();
    indices.iter().partition(|index| {
        let left = &mut quota[classes[**index] as usize];
        let held = *left > 0;
        *left -= usize::from(held);
        held
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_example_has_one_use(classes in prop::collection::vec(0u32..5, 1..200), kinds in prop::collection::vec(1i32..4, 200)) {
            let splits: Vec<Split> = kinds[..classes.len()].iter().map(|k| Split::try_from(*k).unwrap()).collect();
            let plan = plan(&classes, &splits);
            let mut all: Vec<usize> = [&plan.train[..], &plan.validation, &plan.test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
        }

        #[test]
        fn a_class_keeps_something_to_fit_on(classes in prop::collection::vec(0u32..5, 1..200)) {
            let plan = plan(&classes, &vec![Split::Train; classes.len()]);
            for class in &classes {
                prop_assert!(plan.train.iter().any(|index| classes[*index] == *class));
            }
        }
    }

    #[test]
    fn given_splits_are_kept_and_missing_ones_are_made() {
        let classes = vec![0; 100];
        let mut splits = vec![Split::Train; 100];
        let made = plan(&classes, &splits);
        assert_eq!((made.train.len(), made.validation.len(), made.test.len()), (68, 12, 20));
        splits[90..].fill(Split::Test);
        splits[80..90].fill(Split::Validation);
        let given = plan(&classes, &splits);
        assert_eq!((given.train.len(), given.validation.len(), given.test.len()), (80, 10, 10));
    }

    #[test]
    fn content_is_spread_as_promised() {
        let count =
            |wanted| (0..20_000u32).filter(|i| by_content(blake3::hash(&i.to_le_bytes()).as_bytes()) == wanted).count();
        assert!((13_700..14_300).contains(&count(Split::Train)));
        assert!((2_800..3_200).contains(&count(Split::Test)));
    }
}
