//! Whether one of two heads is better, or was lucky: McNemar's test on the examples that only one of them answered rightly.

use std::f64::consts::LN_2;

/// The probability that chance alone divides those examples at least as unevenly as into `first` and `second`, were both heads as
/// good: the two-sided binomial test, exact for any count. 1 of nothing.
pub fn p_value(first: u64, second: u64) -> f64 {
    let (fewer, all) = (first.min(second), first.saturating_add(second) as f64);
    // The largest term of the tail as a logarithm, for 0.5ⁿ is no number any more where there are a few thousand examples; the
    // others are smaller by a factor that is known.
    let chosen: f64 = (1..=fewer).map(|k| ((all - k as f64 + 1.0) / k as f64).ln()).sum();
    let (mut tail, mut term) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (all - k as f64 + 1.0);
        tail += term;
        if term < f64::EPSILON * tail {
            break;
        }
    }
    (2.0 * tail * (chosen - all * LN_2).exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: [(u64, u64, f64); 8] = [
        (0, 0, 1.0),
        (0, 1, 1.0),
        (5, 5, 1.0),
        (1, 9, 0.021_484_375),
        (10, 30, 0.002_221_433_773_229_364),
        (0, 20, 1.907_348_632_812_5e-6),
        (480, 560, 0.014_259_079_095_386),
        (9000, 9500, 2.435_706_855_698_7e-4),
    ];

    /// The figures are SciPy's: binomtest(first, first + second).pvalue.
    #[test]
    fn the_figures_are_those_of_scipy() {
        for (first, second, expected) in PEER {
            let found = p_value(first, second);
            assert!((found / expected - 1.0).abs() < 1e-9, "{first} to {second}: {found}, {expected} expected");
            assert_eq!(found, p_value(second, first));
        }
    }
}
