//! Whole fits of every kind, on good data and bad.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::naive::Case;
use super::*;

const KINDS: [HeadKind; 8] = [
    HeadKind::Auto,
    HeadKind::Softmax,
    HeadKind::Sigmoid,
    HeadKind::Ridge,
    HeadKind::Lda,
    HeadKind::Prototype,
    HeadKind::Neighbours,
    HeadKind::Perceptron,
];

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn options(head: HeadKind) -> FitOptions {
    FitOptions { head, ..FitOptions::default() }
}

fn data(case: &Case, train: usize) -> TrainingData {
    TrainingData::new(case.features.clone(), case.shape.dim, case.labels.clone(), case.shape.classes, train).unwrap()
}

fn accuracy(fitted: &FittedHead, case: &Case) -> f64 {
    let (rows, classes) = (case.labels.len(), case.shape.classes);
    let logits = fitted.head.logits(case.features.clone(), rows).unwrap();
    let most = |row: &[f32]| (0..classes).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as u32;
    logits.chunks(classes).zip(&case.labels).filter(|(row, label)| most(row) == **label).count() as f64 / rows as f64
}

/// Classes far enough apart that every kind can tell them.
fn easy(rows: usize) -> Case {
    let mut case = Case::random(rows, 12, 3, 5);
    for (row, x) in case.features.chunks_mut(12).enumerate() {
        x[row % 3] += 4.0;
        x.iter_mut().for_each(|x| *x = 3.0 * *x + 7.0);
    }
    case
}

#[test]
fn every_kind_tells_easy_classes_apart_and_is_the_same_each_time() {
    let case = easy(300);
    for kind in KINDS {
        for train in [240, 300] {
            let fit = || fit_head(data(&case, train), &options(kind), &mut on).unwrap();
            let fitted = fit();
            assert!(accuracy(&fitted, &case) > 0.95, "{kind:?}: {}", accuracy(&fitted, &case));
            let bytes = |fitted: &FittedHead| fitted.head.to_safetensors(HashMap::new()).unwrap();
            assert_eq!(bytes(&fitted), bytes(&fit()), "{kind:?}");
            let logits = fitted.selection_logits.as_ref().map(Vec::len);
            assert_eq!(logits, (train < 300).then_some(60 * 3), "{kind:?}");
            assert!(kind == HeadKind::Auto || fitted.kind == kind);
            assert_eq!(fitted.comparison.is_empty(), kind != HeadKind::Auto);
        }
    }
}

#[test]
fn what_is_served_is_what_was_measured() {
    // The logits of the rows that were held out, and of the head that was refitted on them too, agree roughly; a scaling that is
    // not folded back would show.
    let case = easy(300);
    for kind in KINDS {
        let fitted = fit_head(data(&case, 240), &options(kind), &mut on).unwrap();
        let served = fitted.head.logits(case.features[240 * 12..].to_vec(), 60).unwrap();
        let held_out = fitted.selection_logits.as_ref().unwrap();
        let agree = served.chunks(3).zip(held_out.chunks(3)).filter(|(a, b)| {
            let most = |row: &[f32]| (0..3).max_by(|a, b| row[*a].total_cmp(&row[*b]));
            most(a) == most(b)
        });
        assert!(agree.count() >= 57, "{kind:?}");
    }
}

#[test]
fn auto_keeps_the_kind_with_the_least_loss() {
    let case = Case::random(200, 30, 4, 12);
    let fitted = fit_head(data(&case, 200), &options(HeadKind::Auto), &mut on).unwrap();
    assert!(fitted.comparison.len() >= 5);
    assert_eq!(fitted.comparison[0].kind, fitted.kind);
    assert!(fitted.comparison.windows(2).all(|pair| pair[0].log_loss <= pair[1].log_loss));
    assert_eq!(fitted.comparison[0].setting, fitted.setting);
}

#[test]
fn every_kind_stops_when_told_and_its_progress_never_falls() {
    let case = easy(300);
    for kind in KINDS {
        let mut seen = Vec::new();
        fit_head(data(&case, 240), &options(kind), &mut |now| {
            seen.push(now.fraction);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{kind:?} {seen:?}");
        let mut calls = 0;
        let stopped = fit_head(data(&case, 240), &options(kind), &mut |_| {
            calls += 1;
            if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(FitError::Cancelled)) && calls == 2, "{kind:?}");
    }
}

#[test]
fn every_kind_lives_with_constant_features_and_classes_of_two() {
    let mut case = easy(302);
    // The last two rows are a class of their own.
    case.labels[300..].fill(3);
    case.shape.classes = 4;
    case.features.chunks_mut(12).for_each(|x| x[11] = 5.0);
    for kind in KINDS {
        let fitted = fit_head(data(&case, 302), &options(kind), &mut on).unwrap();
        assert!(accuracy(&fitted, &case) > 0.9, "{kind:?}: {}", accuracy(&fitted, &case));
    }
}

#[test]
fn rows_that_are_all_the_same_are_refused_or_fitted_but_never_a_panic() {
    let mut case = easy(60);
    case.features.fill(1.5);
    for kind in KINDS {
        match fit_head(data(&case, 60), &options(kind), &mut on) {
            Ok(fitted) => {
                assert!(fitted.head.logits(vec![1.5; 12], 1).unwrap().iter().all(|z| z.is_finite()), "{kind:?}")
            }
            Err(error) => assert!(matches!(error, FitError::Singular), "{kind:?}: {error}"),
        }
    }
}

#[test]
fn a_row_that_is_not_finite_is_named_whatever_the_kind() {
    let mut case = easy(60);
    case.features[12 * 7 + 3] = f32::INFINITY;
    for kind in KINDS {
        let refused = fit_head(data(&case, 60), &options(kind), &mut on);
        assert!(matches!(refused, Err(FitError::NonFinite { row: 7, column: 3, .. })), "{kind:?}");
    }
}

#[test]
fn ten_thousand_classes_are_fitted() {
    let classes = 10_000;
    let features: Vec<f32> =
        (0..2 * classes).flat_map(|row| [(row % 100) as f32, (row % classes / 100) as f32]).collect();
    let labels: Vec<u32> = (0..2 * classes).map(|row| (row % classes) as u32).collect();
    let few = FitOptions { l2: vec![0.1], max_iterations: 1, ..FitOptions::default() };
    let data = TrainingData::new(features, 2, labels, classes, 2 * classes).unwrap();
    let fitted = fit_head(data, &few, &mut on).unwrap();
    assert_eq!(fitted.head.classes(), classes);
    assert!(fitted.loss < (classes as f64).ln() + 0.1, "{}", fitted.loss);
}

#[test]
fn weights_and_smoothing_reach_every_kind_that_they_have_a_meaning_for() {
    // Two classes that overlap, one of them ten times as frequent: balanced, the rare one is named more often.
    let mut case = Case::random(440, 4, 2, 3);
    case.labels = (0..440).map(|row| u32::from(row % 11 == 0)).collect();
    for (x, label) in case.features.chunks_mut(4).zip(&case.labels) {
        x[0] += *label as f32;
    }
    let named = |fitted: &FittedHead| {
        let logits = fitted.head.logits(case.features.clone(), 440).unwrap();
        logits.chunks(2).filter(|row| row[1] > row[0]).count()
    };
    for kind in [HeadKind::Softmax, HeadKind::Sigmoid, HeadKind::Ridge, HeadKind::Lda, HeadKind::Perceptron] {
        let plain = fit_head(data(&case, 440), &options(kind), &mut on).unwrap();
        let balanced = FitOptions { class_weights: ClassWeights::Balanced, ..options(kind) };
        let balanced = fit_head(data(&case, 440), &balanced, &mut on).unwrap();
        assert!(named(&balanced) > named(&plain) + 40, "{kind:?}: {} {}", named(&balanced), named(&plain));
    }
    let most = |smoothing: f64| {
        let options = FitOptions { label_smoothing: smoothing, l2: vec![1e-4], ..FitOptions::default() };
        let case = easy(300);
        let fitted = fit_head(data(&case, 300), &options, &mut on).unwrap();
        let mut logits = fitted.head.logits(case.features.clone(), 300).unwrap();
        logits.chunks_mut(3).for_each(|row| fitted.head.probabilities(row));
        logits.iter().copied().fold(0.0f32, f32::max)
    };
    assert!(most(0.0) > 0.99 && most(0.3) < 0.95, "{} {}", most(0.0), most(0.3));
}
