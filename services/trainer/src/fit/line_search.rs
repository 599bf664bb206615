//! A step along a direction that meets the strong Wolfe conditions: Nocedal and Wright, Numerical Optimization, 2nd
//! edition, algorithms 3.5 and 3.6, with cubic interpolation (equation 3.59).

use super::FitError;

/// Sufficient decrease (c1): the textbook's value for quasi-Newton methods.
const DECREASE: f64 = 1e-4;
/// Curvature (c2): likewise.
const CURVATURE: f64 = 0.9;
/// Evaluations before it gives up. A good direction needs one or two.
const MAX_EVALUATIONS: usize = 20;
/// A rise of the value below this part of it is the noise of f32 products; the slope then decides alone ("approximate
/// Wolfe", Hager and Zhang 2005, whose value this is).
const NOISE: f64 = 1e-6;

/// The function along the direction, at one step.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// How far along the direction.
    pub step: f64,
    /// The value there.
    pub value: f64,
    /// The derivative there, along the direction.
    pub slope: f64,
}

/// Finds a step from `start` (step 0, negative slope), trying `first` at first. The point that is returned is always the
/// one that was evaluated last; `None` where no step could be found.
///
/// # Errors
/// Those of `evaluate`.
pub fn search(
    start: Point,
    first: f64,
    evaluate: &mut dyn FnMut(f64) -> Result<Point, FitError>,
) -> Result<Option<Point>, FitError> {
    let (mut before, mut step) = (start, first);
    for evaluations in 1..=MAX_EVALUATIONS {
        let point = evaluate(step)?;
        if !point.value.is_finite() || !point.slope.is_finite() {
            // Too far to be a number: a shorter step, on this side of it.
            step = before.step + (step - before.step) * 0.1;
            continue;
        }
        if !decreases(start, point) || (evaluations > 1 && point.value > before.value && !is_noise(start, point)) {
            return zoom(start, before, point, MAX_EVALUATIONS - evaluations, evaluate);
        }
        if flat_enough(start, point) {
            return Ok(Some(point));
        }
        if point.slope >= 0.0 {
            return zoom(start, point, before, MAX_EVALUATIONS - evaluations, evaluate);
        }
        // Still falling: further, as the cubic says, at least twice and at most ten times.
        let guess = cubic_minimum(before, point).unwrap_or(f64::INFINITY);
        step = guess.clamp(point.step * 2.0, point.step * 10.0);
        before = point;
    }
    Ok(None)
}

/// Narrows an interval that holds a good step: `low` meets the decrease condition and its slope points to `high`.
fn zoom(
    start: Point,
    mut low: Point,
    mut high: Point,
    evaluations: usize,
    evaluate: &mut dyn FnMut(f64) -> Result<Point, FitError>,
) -> Result<Option<Point>, FitError> {
    for _ in 0..evaluations {
        let slopes_alone = is_noise(start, low) && is_noise(start, high);
        let point = evaluate(if slopes_alone { level(low, high) } else { between(low, high) })?;
        if point.value.is_finite() && is_noise(start, point) {
            if flat_enough(start, point) {
                return Ok(Some(point));
            }
            // A rise or fall of the values says nothing here, and would keep one end of the interval for ever.
            (low, high) = if low.slope < 0.0 { (low, high) } else { (high, low) };
            *(if point.slope < 0.0 { &mut low } else { &mut high }) = point;
            continue;
        }
        if !point.value.is_finite() || !decreases(start, point) || point.value > low.value {
            high = point;
            continue;
        }
        if flat_enough(start, point) {
            return Ok(Some(point));
        }
        if point.slope * (high.step - low.step) >= 0.0 {
            high = low;
        }
        low = point;
    }
    Ok(None)
}

/// Whether the value falls enough for the length of the step, or the two cannot be told apart and the slope has not
/// turned up by as much as it pointed down.
fn decreases(start: Point, point: Point) -> bool {
    point.value <= start.value + DECREASE * point.step * start.slope
        || (is_noise(start, point) && point.slope <= (2.0 * DECREASE - 1.0) * start.slope)
}

/// Whether the value is the same as at the start but for rounding.
fn is_noise(start: Point, point: Point) -> bool {
    (point.value - start.value).abs() <= NOISE * start.value.abs()
}

/// The curvature condition.
fn flat_enough(start: Point, point: Point) -> bool {
    point.slope.abs() <= -CURVATURE * start.slope
}

/// A step inside the interval, a tenth of it away from both ends at least.
fn between(low: Point, high: Point) -> f64 {
    let middle = (low.step + high.step) / 2.0;
    within(low, high, cubic_minimum(low, high).unwrap_or(middle))
}

/// Where the line through both slopes is level, with the same margins.
fn level(low: Point, high: Point) -> f64 {
    let guess = low.step - low.slope * (high.step - low.step) / (high.slope - low.slope);
    let middle = (low.step + high.step) / 2.0;
    within(low, high, if guess.is_finite() { guess } else { middle })
}

/// `step`, moved a tenth of the interval away from both ends at least.
fn within(low: Point, high: Point, step: f64) -> f64 {
    let margin = (high.step - low.step).abs() * 0.1;
    let (left, right) = (low.step.min(high.step) + margin, low.step.max(high.step) - margin);
    step.clamp(left, right.max(left))
}

/// Where the cubic through both points, with their slopes, has its minimum; `None` where it has none.
fn cubic_minimum(a: Point, b: Point) -> Option<f64> {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt() * (b.step - a.step).signum();
    let step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    step.is_finite().then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches along `f`, given with its derivative.
    fn along(f: impl Fn(f64) -> (f64, f64), first: f64) -> Option<Point> {
        let at = |step: f64| {
            let (value, slope) = f(step);
            Point { step, value, slope }
        };
        let start = at(0.0);
        let mut last = f64::NAN;
        let found = search(start, first, &mut |step| {
            last = step;
            Ok(at(step))
        })
        .unwrap();
        if let Some(point) = found {
            assert_eq!(point.step, last, "the point returned is the one evaluated last");
            assert!(point.value <= start.value + DECREASE * point.step * start.slope);
            assert!(point.slope.abs() <= -CURVATURE * start.slope);
        }
        found
    }

    #[test]
    fn where_the_values_are_noise_the_slopes_lead() {
        // A bowl with its bottom at 0.4, so shallow that its values are all rounding, with a lure at the far end.
        let noise = |step: f64| if step == 1.0 { -1e-8 } else { 1e-8 * (step * 1e4).sin() };
        let found = along(|step| (1.0 + noise(step), 1e-8 * (step - 0.4)), 1.0).unwrap();
        assert!((found.step - 0.4).abs() < 0.36, "{found:?}");
    }

    #[test]
    fn both_conditions_hold_from_first_steps_far_too_short_and_far_too_long() {
        for first in [1e-6, 1e-2, 1.0, 1e2, 1e6] {
            assert!(along(|x| ((x - 3.0).powi(2), 2.0 * (x - 3.0)), first).is_some(), "parabola {first}");
            assert!(along(|x| (x.cosh() - 5.0 * x, x.sinh() - 5.0), first).is_some(), "overflowing {first}");
            let bumpy = |x: f64| (0.1 * x * x - x.sin(), 0.2 * x - x.cos());
            assert!(along(bumpy, first).is_some(), "several minima {first}");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        assert!(along(|x| (-x, -1.0), 1.0).is_none());
    }

    #[test]
    fn noise_in_the_value_does_not_hide_a_slope() {
        // A fall of 1e-10 under noise of 1e-7 on a value of 1.
        let noisy =
            |x: f64| (1.0 + 1e-10 * ((x - 1.0).powi(2) - 1.0) + 1e-7 * f64::from(u8::from(x > 0.0)), 2e-10 * (x - 1.0));
        let at = |step: f64| Point { step, value: noisy(step).0, slope: noisy(step).1 };
        assert!(search(at(0.0), 0.9, &mut |step| Ok(at(step))).unwrap().is_some());
    }
}
