//! Whole fits on examples with sets of labels.

use std::ops::ControlFlow;

use super::naive::Case;
use super::*;

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn options() -> FitOptions {
    FitOptions { head: HeadKind::Sigmoid, ..FitOptions::default() }
}

/// Of three labels, each on about half of the rows, and each seen in a feature of its own; the last few rows are for validation.
fn seen(rows: usize) -> (Vec<f32>, LabelSets) {
    let case = Case::random(rows, 6, 3, 9);
    let mut features = case.features;
    let mut sets = Vec::new();
    for (row, x) in features.chunks_mut(6).enumerate() {
        let set: Vec<u32> = (0..3).filter(|class| (row * 2_654_435_761) >> (5 + 3 * class) & 1 == 1).collect();
        set.iter().for_each(|class| x[*class as usize] += 5.0);
        sets.push(set);
    }
    (features, LabelSets::new(sets.iter().map(Vec::as_slice)))
}

fn data(features: &[f32], sets: &LabelSets, classes: usize, train: usize) -> TrainingData {
    let dim = features.len() / sets.rows().len();
    TrainingData::of(features.to_vec(), dim, Labels::Sets(sets.clone()), classes, train).unwrap()
}

/// Rows whose given labels are the right ones, no more and no less.
fn exact(fitted: &FittedHead, features: &[f32], sets: &LabelSets) -> usize {
    let Head::Sigmoid { thresholds, .. } = &fitted.head else { panic!("{:?}", fitted.head) };
    let rows = sets.rows();
    let mut logits = fitted.head.logits(features.to_vec(), rows.len()).unwrap();
    fitted.head.probabilities(&mut logits);
    let given = logits.iter().zip(thresholds.iter().cycle()).map(|(p, threshold)| p >= threshold);
    let (given, has) = (given.collect::<Vec<_>>(), Truth::Sets(rows).dense(thresholds.len()));
    given.chunks(thresholds.len()).zip(has.chunks(thresholds.len())).filter(|(given, has)| given == has).count()
}

#[test]
fn each_label_is_found_and_the_bytes_are_the_same_each_time() {
    let (features, sets) = seen(400);
    for train in [300, 400] {
        let fit = || fit_head(data(&features, &sets, 3, train), &options(), &mut on).unwrap();
        let fitted = fit();
        assert!(fitted.converged && fitted.kind == HeadKind::Sigmoid);
        assert!(exact(&fitted, &features, &sets) > 380, "{} of 400", exact(&fitted, &features, &sets));
        assert_eq!(fitted.head, fit().head);
        assert_eq!(fitted.selection_logits.is_some(), train < 400);
    }
    let smooth = FitOptions { label_smoothing: 0.1, ..options() };
    let fitted = fit_head(data(&features, &sets, 3, 300), &smooth, &mut on).unwrap();
    assert!(fitted.converged && exact(&fitted, &features, &sets) > 380);
}

#[test]
fn each_column_is_the_fit_of_its_label_alone() {
    let (features, sets) = seen(300);
    let one_l2 = FitOptions { l2: vec![0.01], tolerance: 1e-6, ..options() };
    let all = fit_head(data(&features, &sets, 3, 300), &one_l2, &mut on).unwrap();
    let all = all.head.linear().unwrap();
    for class in 0..3u32 {
        let has = |row: usize| if sets.rows().of(row).contains(&class) { &[0][..] } else { &[] };
        let alone = LabelSets::new((0..300).map(has));
        let alone = fit_head(data(&features, &alone, 1, 300), &one_l2, &mut on).unwrap();
        let alone = alone.head.linear().unwrap();
        for (at, weight) in alone.weights.iter().enumerate() {
            let together = all.weights[at * 3 + class as usize];
            assert!((together - weight).abs() < 1e-3 * weight.abs().max(0.1), "{class} {at}: {together} {weight}");
        }
        assert!((all.bias[class as usize] - alone.bias[0]).abs() < 2e-3 * alone.bias[0].abs().max(1.0));
    }
}

#[test]
fn one_example_of_a_label_and_labels_on_all_or_none_do_no_harm() {
    let (features, sets) = seen(200);
    // A fourth label that one train row has, a fifth that one validation row has, a sixth on all rows, a seventh on none.
    let with = |row: usize| {
        let more: &[u32] = match row {
            17 => &[3, 5],
            190 => &[4, 5],
            _ => &[5],
        };
        [sets.rows().of(row), more].concat()
    };
    let rows: Vec<Vec<u32>> = (0..200).map(with).collect();
    let sets = LabelSets::new(rows.iter().map(Vec::as_slice));
    let fitted = fit_head(data(&features, &sets, 7, 150), &options(), &mut on).unwrap();
    assert!(fitted.converged);
    let mut p = fitted.head.logits(features.clone(), 200).unwrap();
    fitted.head.probabilities(&mut p);
    assert!(p.chunks(7).all(|row| row[5] > 0.9 && row[6] < 0.1), "what is always or never there is known");
    assert!(p[17 * 7 + 3] > p[16 * 7 + 3], "the one example is told from another");
    let logits = cross_validate(&data(&features, &sets, 7, 200), &options(), 5, 1, &mut on).unwrap();
    assert!(logits.len() == 1400 && logits.iter().all(|logit| logit.is_finite()));
    let has = Truth::Sets(sets.rows()).dense(7);
    let right = logits.chunks(7).zip(has.chunks(7)).filter(|(z, has)| (0..3).all(|k| (z[k] > 0.0) == has[k])).count();
    assert!(right > 180, "{right} of 200 by heads that never saw them");
}

#[test]
fn what_has_no_meaning_for_sets_is_refused() {
    let (features, sets) = seen(60);
    let refused = |options: FitOptions| fit_head(data(&features, &sets, 3, 50), &options, &mut on).unwrap_err();
    for head in [HeadKind::Softmax, HeadKind::Auto, HeadKind::Lda, HeadKind::Perceptron] {
        let error = refused(FitOptions { head, ..options() });
        assert!(matches!(error, FitError::OneLabelEach { kind } if kind == head.name()));
    }
    let error = refused(FitOptions { class_weights: ClassWeights::Balanced, ..options() });
    assert!(matches!(error, FitError::ClassWeightsOfSets));
    let same = LabelSets::new((0..60).map(|_| &[0, 1][..]));
    let error = fit_head(data(&features, &same, 3, 50), &options(), &mut on).unwrap_err();
    assert!(matches!(error, FitError::NothingToTellApart));
    let bad = LabelSets::new((0..60).map(|row| if row == 7 { &[0, 3][..] } else { &[] }));
    let error = TrainingData::of(features.clone(), 6, Labels::Sets(bad), 3, 50).unwrap_err();
    assert!(matches!(error, FitError::UnknownClass { row: 7, class: 3, classes: 3 }));
}
