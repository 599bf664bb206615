//! L-BFGS in f64: the two-loop recursion (Nocedal and Wright, algorithms 7.4 and 7.5) with a strong Wolfe line search and,
//! where the caller has one, a better first guess of the inverse Hessian than a multiple of the identity.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::FitError;
use super::line_search::{Point, search};

/// Steps remembered. On embeddings 20 take a tenth fewer passes than 10, and 40 a twentieth fewer than 20.
const HISTORY: usize = 20;
/// Numbers that are remembered of them, at the most, so that a large head takes no more memory for it: half as many steps at the
/// most parameters that a head may have.
const HISTORY_NUMBERS: usize = HISTORY * super::data::MAX_PARAMETERS;

/// What is minimised.
pub trait Objective {
    /// The value at `parameters`; writes the gradient there, of the same length.
    ///
    /// # Errors
    /// Whatever hinders the evaluation.
    fn evaluate(&mut self, parameters: &[f64], gradient: &mut [f64]) -> Result<f64, FitError>;
}

/// A guess of the inverse Hessian, symmetric and positive definite.
pub trait InverseHessian {
    /// Multiplies `vector` by it, in place.
    ///
    /// # Errors
    /// Whatever hinders the product.
    fn apply(&self, vector: &mut [f64]) -> Result<(), FitError>;

    /// How far to go at first along what it makes of the gradient: 1 if it is of the right size. Later steps correct it.
    fn first_step(&self) -> f64 {
        1.0
    }
}

/// Where to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The Euclidean norm of the gradient at which it has converged.
    pub gradient_norm: f64,
    /// The most iterations.
    pub max_iterations: u32,
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The gradient is small enough.
    Converged,
    /// The most iterations have been done.
    MaxIterations,
    /// No step along the steepest descent lowers the value: the arithmetic has no more digits.
    Stalled,
}

/// Where it stands after an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Iteration {
    /// Iterations so far.
    pub iterations: u32,
    /// The value.
    pub value: f64,
    /// The Euclidean norm of the gradient.
    pub gradient_norm: f64,
}

/// Where it stopped.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// The value.
    pub value: f64,
    /// The Euclidean norm of the gradient.
    pub gradient_norm: f64,
    /// Iterations that were done.
    pub iterations: u32,
    /// Why it stopped.
    pub stop: Stop,
}

/// Minimises `objective` from `start`. `report` is called after each iteration and can break it off.
///
/// # Errors
/// Those of the objective, and [`FitError::Cancelled`].
pub fn minimise(
    objective: &mut dyn Objective,
    start: Vec<f64>,
    inverse_hessian: Option<&dyn InverseHessian>,
    limits: Limits,
    report: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
) -> Result<Minimum, FitError> {
    let mut at = Place::evaluate(objective, start)?;
    let mut history = History { pairs: VecDeque::new(), inverse_hessian };
    let mut iterations = 0;
    let stop = loop {
        if at.norm() <= limits.gradient_norm {
            break Stop::Converged;
        }
        if iterations == limits.max_iterations {
            break Stop::MaxIterations;
        }
        let Some(next) = advance(objective, &at, &mut history)? else { break Stop::Stalled };
        history.push(&at, &next)?;
        at = next;
        iterations += 1;
        let now = Iteration { iterations, value: at.value, gradient_norm: at.norm() };
        if report(now).is_break() {
            return Err(FitError::Cancelled);
        }
    };
    Ok(Minimum { gradient_norm: at.norm(), parameters: at.parameters, value: at.value, iterations, stop })
}

/// Parameters with their value and gradient.
struct Place {
    parameters: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Place {
    fn evaluate(objective: &mut dyn Objective, parameters: Vec<f64>) -> Result<Self, FitError> {
        let mut gradient = vec![0.0; parameters.len()];
        let value = objective.evaluate(&parameters, &mut gradient)?;
        Ok(Self { parameters, value, gradient })
    }

    fn norm(&self) -> f64 {
        dot(&self.gradient, &self.gradient).sqrt()
    }
}

/// One step: along the quasi-Newton direction, and where that fails once more without the history.
fn advance(objective: &mut dyn Objective, at: &Place, history: &mut History<'_>) -> Result<Option<Place>, FitError> {
    if !history.pairs.is_empty() {
        let direction = history.direction(&at.gradient)?;
        if let Some(next) = step_along(objective, at, &direction, 1.0)? {
            return Ok(Some(next));
        }
        history.pairs.clear();
    }
    let direction = history.direction(&at.gradient)?;
    // The first step has a length of 1 where nothing is known of the scale.
    let first = history.inverse_hessian.map_or(1.0 / at.norm(), InverseHessian::first_step);
    step_along(objective, at, &direction, first)
}

/// A line search from `at`; `None` where the direction does not go down or no step is found.
fn step_along(
    objective: &mut dyn Objective,
    at: &Place,
    direction: &[f64],
    first: f64,
) -> Result<Option<Place>, FitError> {
    let start = Point { step: 0.0, value: at.value, slope: dot(&at.gradient, direction) };
    if start.slope.is_nan() || start.slope >= 0.0 {
        return Ok(None);
    }
    let mut next = Place { parameters: at.parameters.clone(), value: at.value, gradient: at.gradient.clone() };
    let found = search(start, first, &mut |step| {
        let moved = at.parameters.iter().zip(direction).map(|(p, d)| p + step * d);
        next.parameters.iter_mut().zip(moved).for_each(|(p, moved)| *p = moved);
        next.value = objective.evaluate(&next.parameters, &mut next.gradient)?;
        Ok(Point { step, value: next.value, slope: dot(&next.gradient, direction) })
    })?;
    Ok(found.map(|_| next))
}

/// A step that was taken: `s`, the change of the parameters, `y`, that of the gradient, and `1/(s·y)`.
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    rho: f64,
    /// `s·y / y·H₀y`: makes the guess of the inverse Hessian as large as it was along this step.
    scale: f64,
}

/// What is known of the Hessian.
struct History<'a> {
    pairs: VecDeque<Pair>,
    inverse_hessian: Option<&'a dyn InverseHessian>,
}

impl History<'_> {
    /// Minus the inverse Hessian times the gradient.
    fn direction(&self, gradient: &[f64]) -> Result<Vec<f64>, FitError> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let alpha = pair.rho * dot(&pair.s, &q);
            add(&mut q, -alpha, &pair.y);
            alphas.push(alpha);
        }
        if let Some(inverse_hessian) = self.inverse_hessian {
            inverse_hessian.apply(&mut q)?;
        }
        if let Some(newest) = self.pairs.back() {
            q.iter_mut().for_each(|q| *q *= newest.scale);
        }
        for (pair, alpha) in self.pairs.iter().zip(alphas.iter().rev()) {
            let beta = pair.rho * dot(&pair.y, &q);
            add(&mut q, alpha - beta, &pair.s);
        }
        Ok(q)
    }

    /// Remembers the step from `from` to `to`, unless it says nothing of a convex function (`s·y` not positive).
    fn push(&mut self, from: &Place, to: &Place) -> Result<(), FitError> {
        let s = difference(&to.parameters, &from.parameters);
        let y = difference(&to.gradient, &from.gradient);
        let sy = dot(&s, &y);
        if sy <= f64::EPSILON * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() {
            return Ok(());
        }
        let mut hy = y.clone();
        if let Some(inverse_hessian) = self.inverse_hessian {
            inverse_hessian.apply(&mut hy)?;
        }
        let scale = sy / dot(&y, &hy);
        let most = HISTORY.min(HISTORY_NUMBERS / (2 * to.parameters.len().max(1)));
        if self.pairs.len() >= most {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { s, y, rho: 1.0 / sy, scale });
        Ok(())
    }
}

/// Inner product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums at once, so that the compiler can use the vector unit; in a fixed order.
    let mut sums = [0.0; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `vector += factor * other`.
pub(super) fn add(vector: &mut [f64], factor: f64, other: &[f64]) {
    vector.iter_mut().zip(other).for_each(|(v, o)| *v += factor * o);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rosenbrock;

    impl Objective for Rosenbrock {
        fn evaluate(&mut self, p: &[f64], gradient: &mut [f64]) -> Result<f64, FitError> {
            let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
            gradient.copy_from_slice(&[-2.0 * a - 400.0 * p[0] * b, 200.0 * b]);
            Ok(a * a + 100.0 * b * b)
        }
    }

    /// `½ Σ d_i (x_i - 1)²`
    struct Bowl(Vec<f64>);

    impl Objective for Bowl {
        fn evaluate(&mut self, p: &[f64], gradient: &mut [f64]) -> Result<f64, FitError> {
            let terms = gradient.iter_mut().zip(&self.0).zip(p);
            Ok(terms
                .map(|((g, d), x)| {
                    *g = d * (x - 1.0);
                    0.5 * d * (x - 1.0).powi(2)
                })
                .sum())
        }
    }

    /// The exact inverse Hessian of a bowl.
    struct Exact(Vec<f64>);

    impl InverseHessian for Exact {
        fn apply(&self, vector: &mut [f64]) -> Result<(), FitError> {
            vector.iter_mut().zip(&self.0).for_each(|(v, d)| *v /= d);
            Ok(())
        }
    }

    const LIMITS: Limits = Limits { gradient_norm: 1e-8, max_iterations: 200 };

    #[test]
    fn it_finds_the_bottom_of_a_bent_valley() {
        let found =
            minimise(&mut Rosenbrock, vec![-1.2, 1.0], None, LIMITS, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(found.stop, Stop::Converged);
        assert!(found.parameters.iter().all(|p| (p - 1.0).abs() < 1e-7), "{found:?}");
        assert!(found.iterations < 60, "{}", found.iterations);
    }

    #[test]
    fn the_exact_hessian_needs_one_step() {
        let scales: Vec<f64> = (0..30).map(|i| 10f64.powi(i % 7 - 3)).collect();
        let exact = Exact(scales.clone());
        let go = |hessian: Option<&dyn InverseHessian>| {
            minimise(&mut Bowl(scales.clone()), vec![0.0; 30], hessian, LIMITS, &mut |_| ControlFlow::Continue(()))
                .unwrap()
        };
        assert_eq!(go(Some(&exact)).iterations, 1);
        let plain = go(None);
        assert_eq!(plain.stop, Stop::Converged);
        assert!(plain.iterations > 5);
    }

    #[test]
    fn it_stops_when_told_and_at_its_limit() {
        let mut seen = 0;
        let cancelled = minimise(&mut Rosenbrock, vec![-1.2, 1.0], None, LIMITS, &mut |now| {
            seen = now.iterations;
            if now.iterations == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(cancelled, Err(FitError::Cancelled)));
        assert_eq!(seen, 3);
        let limits = Limits { max_iterations: 4, ..LIMITS };
        let limited =
            minimise(&mut Rosenbrock, vec![-1.2, 1.0], None, limits, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((limited.stop, limited.iterations), (Stop::MaxIterations, 4));
    }
}
