//! Lines: what more examples give, and how the L2 was chosen.

use graft_client::proto::{LearningCurve, LearningPoint, Report};
use maud::{Markup, html};

use super::svg::{Frame, path, percentages, place};
use crate::report::{count, percent};

/// The width and height of a plot.
const SIZE: (f64, f64) = (760.0, 320.0);

/// Accuracy over the number of examples, on a logarithmic scale, with the forecast.
pub fn learning(curve: &LearningCurve) -> Markup {
    let all: Vec<&LearningPoint> = curve.points.iter().chain(&curve.forecast).collect();
    let low = all.iter().map(|point| point.accuracy).fold(1.0, f64::min);
    let high = all.iter().map(|point| point.accuracy).fold(0.0, f64::max);
    let marks = percentages(low, high);
    let frame = Frame::new(SIZE.0, SIZE.1);
    let decades = |examples: u64| (examples.max(1) as f64).log10();
    let first = all.iter().map(|point| decades(point.examples)).fold(f64::INFINITY, f64::min);
    let last = all.iter().map(|point| decades(point.examples)).fold(0.0, f64::max);
    let room = 0.08 * (last - first).max(0.1);
    let across = frame.across(first - room, last + room);
    let bounds = (marks.first().map_or(0.0, |mark| mark.0), marks.last().map_or(1.0, |mark| mark.0));
    let up = frame.up(bounds.0, bounds.1);
    let spot = |point: &LearningPoint| (across.at(decades(point.examples)), up.at(point.accuracy));
    let names: Vec<(f64, String)> = all.iter().map(|p| (decades(p.examples), count(p.examples))).collect();
    let body = html! {
        (frame.rows(up, &marks))
        (frame.columns(across, &names))
        path.line d=(path(curve.points.iter().map(spot))) {}
        @if let (Some(forecast), Some(now)) = (&curve.forecast, curve.points.last()) {
            path.line.dashed d=(path([spot(now), spot(forecast)].into_iter())) {}
            (dot(spot(forecast), "hollow", &format!("about {} with {}", percent(forecast.accuracy), count(forecast.examples))))
        }
        @for point in &curve.points {
            (dot(spot(point), "dot", &format!("{} with {}", percent(point.accuracy), count(point.examples))))
        }
        @for point in &all {
            text.value x=(place(spot(point).0)) y=(place((spot(point).1 - 12.0).max(12.0))) text-anchor="middle" { (percent(point.accuracy)) }
        }
        (frame.names("examples fitted on (logarithmic)"))
    };
    frame.plot("Learning curve", body)
}

/// Validation log loss over L2, on a logarithmic scale.
pub fn l2(report: &Report) -> Markup {
    let trials: Vec<_> = report.l2_trials.iter().filter(|trial| trial.l2 > 0.0 && trial.log_loss.is_finite()).collect();
    let low = trials.iter().map(|trial| trial.log_loss).fold(f64::INFINITY, f64::min);
    let high = trials.iter().map(|trial| trial.log_loss).fold(0.0, f64::max);
    let margin = 0.1 * (high - low).max(1e-6);
    let frame = Frame::new(SIZE.0, SIZE.1);
    let strongest = trials.iter().map(|trial| trial.l2.log10()).fold(f64::NEG_INFINITY, f64::max);
    let weakest = trials.iter().map(|trial| trial.l2.log10()).fold(f64::INFINITY, f64::min);
    let across = frame.across(weakest - 0.2, strongest + 0.2);
    let up = frame.up(low - margin, high + margin);
    let marks: Vec<(f64, String)> = (0..=4)
        .map(|step| low + (high - low) * f64::from(step) / 4.0)
        .map(|loss| (loss, format!("{loss:.3}")))
        .collect();
    let decades = (weakest.ceil() as i32..=strongest.floor() as i32).map(|at| (f64::from(at), power(at)));
    let decades: Vec<(f64, String)> = decades.step_by(((strongest - weakest) / 8.0).ceil().max(1.0) as usize).collect();
    let body = html! {
        (frame.rows(up, &marks))
        (frame.columns(across, &decades))
        path.line d=(path(trials.iter().map(|trial| (across.at(trial.l2.log10()), up.at(trial.log_loss))))) {}
        @for trial in &trials {
            (dot((across.at(trial.l2.log10()), up.at(trial.log_loss)), if trial.l2 == report.l2 { "dot chosen" } else { "dot" },
                &format!("L2 {:.1e}: log loss {:.4}, accuracy {}", trial.l2, trial.log_loss, percent(trial.accuracy))))
        }
        (frame.names("L2 (logarithmic); the large dot was chosen"))
    };
    frame.plot("Validation log loss by L2", body)
}

fn power(exponent: i32) -> String {
    match exponent {
        -3..=3 => format!("{}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

fn dot((x, y): (f64, f64), class: &str, about: &str) -> Markup {
    let radius = if class.contains("chosen") { "8" } else { "5" };
    html! { circle class=(class) cx=(place(x)) cy=(place(y)) r=(radius) { title { (about) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_within_the_plot() {
        let point = |examples, accuracy| LearningPoint { examples, accuracy };
        let curve = LearningCurve {
            points: vec![point(10, 0.2), point(20, 0.21), point(40, 1.0), point(80, 1.0)],
            forecast: Some(point(160, 1.0)),
        };
        let svg = learning(&curve).into_string();
        let places = svg.split("cy=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse::<f64>().ok());
        let places: Vec<f64> = places.collect();
        assert_eq!(places.len(), 5);
        assert!(places.iter().all(|y| (0.0..=SIZE.1).contains(y)), "{places:?}");
        assert!(!svg.contains("NaN"));
    }
}
