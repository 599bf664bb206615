//! Whole fits.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::naive::{Case, Random, norm};
use super::*;

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn linear(fitted: &FittedHead) -> &LinearHead {
    fitted.head.linear().unwrap()
}

fn data(case: &Case, train: usize) -> TrainingData {
    TrainingData::new(case.features.clone(), case.shape.dim, case.labels.clone(), case.shape.classes, train).unwrap()
}

fn with_l2(l2: f64, tolerance: f64) -> FitOptions {
    FitOptions { l2: vec![l2], tolerance, max_iterations: 2000, ..FitOptions::default() }
}

/// The gradient in f64 of the objective at the fitted head, over its norm at zero weights. The head is unscaled and the
/// features plain, so both are taken back to the standardised features that the objective is defined on.
fn gradient_at(case: &Case, fitted: &FittedHead, train: usize) -> f64 {
    let HeadShape { dim, classes } = case.shape;
    let column = |j: usize| (0..train).map(move |row| f64::from(case.features[row * dim + j]));
    let mean: Vec<f64> = (0..dim).map(|j| column(j).sum::<f64>() / train as f64).collect();
    let variances: Vec<f64> =
        (0..dim).map(|j| column(j).map(|x| (x - mean[j]).powi(2)).sum::<f64>() / train as f64).collect();
    let deviation: Vec<f64> = standardise::scales(&variances).into_iter().map(|scale| 1.0 / scale).collect();
    let scaled: Vec<f32> = case
        .features
        .iter()
        .enumerate()
        .map(|(at, x)| ((f64::from(*x) - mean[at % dim]) / deviation[at % dim]) as f32)
        .collect();
    let scaled = Case { features: scaled, ..case.clone() };
    let mut parameters: Vec<f64> =
        linear(fitted).weights.iter().enumerate().map(|(at, w)| f64::from(*w) * deviation[at / classes]).collect();
    for class in 0..classes {
        let moved: f64 = (0..dim).map(|j| f64::from(linear(fitted).weights[j * classes + class]) * mean[j]).sum();
        parameters.push(f64::from(linear(fitted).bias[class]) + moved);
    }
    let zeros = vec![0.0; parameters.len()];
    norm(&scaled.evaluate(&parameters, fitted.l2).1) / norm(&scaled.evaluate(&zeros, fitted.l2).1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_optimum_is_reached(
        rows in 20usize..120, dim in 1usize..30, classes in 2usize..6, strength in -4i32..2, seed in any::<u64>(),
    ) {
        let case = Case::random(rows, dim, classes, seed);
        let fitted = fit_head(data(&case, rows), &with_l2(10f64.powi(strength), 1e-5), &mut on).unwrap();
        prop_assert!(fitted.converged);
        let gradient = gradient_at(&case, &fitted, rows);
        prop_assert!(gradient < 1e-4, "{gradient}");
    }
}

#[test]
fn a_fit_whose_last_steps_are_noise_still_converges() {
    let cases = [(63, 5, 3, 1e-3, 9571509478619020507), (40, 11, 5, 1.0, 1701876114079549120)];
    for (rows, dim, classes, l2, seed) in cases {
        let case = Case::random(rows, dim, classes, seed);
        let fitted = fit_head(data(&case, rows), &with_l2(l2, 1e-5), &mut on).unwrap();
        assert!(fitted.converged, "{} iterations, loss {}", fitted.iterations, fitted.loss);
    }
}

#[test]
fn the_optimum_is_reached_from_a_guess_of_the_hessian() {
    // Enough rows for the guess to pay.
    let case = Case::random(4000, 40, 5, 3);
    assert!(curvature::Directions::measure(&case.rows()).unwrap().is_some());
    let fitted = fit_head(data(&case, 4000), &with_l2(1e-3, 1e-5), &mut on).unwrap();
    assert!(fitted.converged && fitted.iterations < 30, "{} iterations", fitted.iterations);
    assert!(gradient_at(&case, &fitted, 4000) < 1e-4);
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    let case = Case::random(3000, 33, 4, 9);
    let fit = || fit_head(data(&case, 2400), &FitOptions::default(), &mut on).unwrap();
    let (first, second) = (fit(), fit());
    assert_eq!(first.head, second.head);
    assert_eq!(first.trials, second.trials);
}

#[test]
fn separable_data_does_not_blow_up() {
    let features: Vec<f32> = (0..40).map(|row| if row % 2 == 0 { -1.0 } else { 1.0 }).collect();
    let labels: Vec<u32> = (0..40).map(|row| row % 2).collect();
    let data = TrainingData::new(features, 1, labels, 2, 40).unwrap();
    let fitted = fit_head(data, &with_l2(1e-12, 1e-4), &mut on).unwrap();
    assert!(fitted.converged, "{fitted:?}");
    let logits = fitted.head.logits(vec![-1.0, 1.0], 2).unwrap();
    assert!(logits[0] > logits[1] && logits[3] > logits[2]);
    assert!(logits.iter().all(|z| z.abs() < 1e4), "{logits:?}");
}

#[test]
fn constant_and_tiny_features_do_no_harm() {
    let mut random = Random(4);
    let mut features = Vec::new();
    for row in 0..60 {
        let class = f64::from(row % 3);
        features.extend([5.0f32, (class + 0.3 * random.unit()) as f32, (1e-20 * random.unit()) as f32]);
    }
    let labels: Vec<u32> = (0..60).map(|row| row % 3).collect();
    let data = TrainingData::new(features, 3, labels, 3, 60).unwrap();
    let fitted = fit_head(data, &with_l2(1e-2, 1e-4), &mut on).unwrap();
    assert!(fitted.converged);
    assert_eq!(linear(&fitted).weights[..3], [0.0; 3], "a constant feature has no weight");
}

#[test]
fn the_l2_with_the_least_validation_loss_is_chosen() {
    let case = Case::random(300, 60, 3, 21);
    let fitted = fit_head(data(&case, 200), &FitOptions::default(), &mut on).unwrap();
    assert!((5..=9).contains(&fitted.trials.len()), "weaker ones are left out when the loss rises");
    let best = fitted.trials.iter().min_by(|a, b| a.log_loss.total_cmp(&b.log_loss)).unwrap();
    assert_eq!(fitted.l2, best.l2);
    assert!(fitted.trials.last().unwrap().log_loss > best.log_loss, "noise is overfitted by the weakest");
    assert!(fitted.total_iterations > fitted.iterations);
    let logits = fitted.selection_logits.unwrap();
    let loss = |(row, label): (&[f32], &u32)| -softmax_rows::softmax(row)[*label as usize].ln();
    let log_loss = logits.chunks(3).zip(&case.labels[200..]).map(loss).sum::<f64>() / 100.0;
    assert!((log_loss - best.log_loss).abs() < 1e-6, "the logits are those that the L2 was chosen by");
}

#[test]
fn progress_never_falls_and_ends_near_one() {
    let case = Case::random(300, 10, 3, 2);
    let mut seen: Vec<Progress> = Vec::new();
    let options = FitOptions { l2: vec![1.0, 0.1, 0.01], ..FitOptions::default() };
    fit_head(data(&case, 200), &options, &mut |now| {
        seen.push(now);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(
        seen.windows(2).all(|pair| pair[0].fraction <= pair[1].fraction && pair[0].iterations < pair[1].iterations)
    );
    assert!(seen[0].validation_loss.is_none());
    let last = seen.last().unwrap();
    assert!(last.phase == Phase::Refit && last.fraction == 1.0 && last.validation_accuracy.is_some(), "{last:?}");
}

#[test]
fn a_weight_of_two_is_a_row_twice() {
    let case = Case::random(60, 5, 3, 4);
    let weights: Vec<f32> = (0..60).map(|row| (row % 3) as f32).collect();
    let weighted = data(&case, 60).with_weights(weights.clone()).unwrap();
    let options = with_l2(0.05, 1e-6);
    let by_weight = fit_head(weighted, &options, &mut on).unwrap();
    // Standardised over other rows, the same L2 means another penalty; what is compared is not penalised to speak of.
    let loose = with_l2(1e-9, 1e-6);
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for (row, weight) in weights.iter().enumerate() {
        for _ in 0..*weight as usize {
            features.extend_from_slice(&case.features[row * 5..(row + 1) * 5]);
            labels.push(row as u32 / 3 % 3);
        }
    }
    let relabelled: Vec<u32> = (0..60u32).map(|row| row / 3 % 3).collect();
    let rows = labels.len();
    let twice = TrainingData::new(features, 5, labels, 3, rows).unwrap();
    let weighted =
        TrainingData::new(case.features.clone(), 5, relabelled, 3, 60).unwrap().with_weights(weights).unwrap();
    let (a, b) = (fit_head(twice, &loose, &mut on).unwrap(), fit_head(weighted, &loose, &mut on).unwrap());
    assert!((a.loss - b.loss).abs() < 1e-5, "{} {}", a.loss, b.loss);
    assert!(by_weight.loss.is_finite());
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let case = Case::random(30, 4, 3, 1);
    let weigh = |weights: Vec<f32>| data(&case, 20).with_weights(weights);
    assert!(matches!(weigh(vec![1.0; 29]), Err(FitError::WeightCount { weights: 29, rows: 30 })));
    assert!(matches!(weigh(vec![0.0; 30]), Err(FitError::NoWeight)));
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let mut weights = vec![1.0; 30];
        weights[7] = bad;
        assert!(matches!(weigh(weights), Err(FitError::WeightOutOfRange { row: 7, .. })), "{bad}");
    }
}

#[test]
fn it_stops_when_told() {
    let case = Case::random(300, 10, 3, 2);
    let mut calls = 0;
    let stopped = fit_head(data(&case, 200), &FitOptions::default(), &mut |_| {
        calls += 1;
        if calls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(FitError::Cancelled)));
    assert_eq!(calls, 5);
}

#[test]
fn without_validation_rows_one_l2_is_taken_and_several_are_refused() {
    let case = Case::random(30, 4, 3, 1);
    let fitted = fit_head(data(&case, 30), &FitOptions::default(), &mut on).unwrap();
    assert_eq!((fitted.l2, fitted.trials.len()), (convex::UNCHOSEN_L2, 0));
    let options = FitOptions { l2: vec![0.1, 0.2], ..FitOptions::default() };
    let refused = fit_head(data(&case, 30), &options, &mut on);
    assert!(matches!(refused, Err(FitError::NoValidation { l2_values: 2 })));
}

#[test]
fn a_row_that_is_not_finite_is_named() {
    let mut case = Case::random(30, 4, 3, 1);
    case.features[4 * 17 + 2] = f32::NAN;
    let refused = fit_head(data(&case, 20), &FitOptions::default(), &mut on);
    assert!(matches!(refused, Err(FitError::NonFinite { row: 17, column: 2, .. })));
}
