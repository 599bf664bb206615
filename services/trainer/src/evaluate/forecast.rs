//! What more data would give: error falls with the rows as a power law (Hestness et al. 2017, "Deep Learning Scaling is
//! Predictable, Empirically"), a straight line on logarithmic scales.

/// How well a head does that was fitted on a part of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Rows fitted on.
    pub rows: u64,
    /// The part of the test split that was classified rightly.
    pub accuracy: f64,
}

/// The accuracy to expect of `rows` rows, from the least-squares line through `points`; `None` with fewer than three of
/// them. `tested` rows were measured on: an error of 0 is taken as half a row, for it has no logarithm.
pub fn accuracy_at(points: &[Point], tested: u64, rows: u64) -> Option<f64> {
    if points.len() < 3 || tested == 0 {
        return None;
    }
    let least = 0.5 / tested as f64;
    let line: Vec<(f64, f64)> =
        points.iter().map(|point| ((point.rows as f64).ln(), (1.0 - point.accuracy).max(least).ln())).collect();
    let count = line.len() as f64;
    let (x, y) = (line.iter().map(|p| p.0).sum::<f64>() / count, line.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = line.iter().map(|p| (p.0 - x) * (p.0 - x)).sum();
    let together: f64 = line.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    if spread == 0.0 {
        return None;
    }
    // More data does not make it worse; where the points say so, that is chance.
    let slope = (together / spread).min(0.0);
    Some((1.0 - (y + slope * ((rows as f64).ln() - x)).exp()).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_continued() {
        let point = |rows: u64| Point { rows, accuracy: 1.0 - 2.0 * (rows as f64).powf(-0.4) };
        let found = accuracy_at(&[point(100), point(200), point(400), point(800)], 1000, 1600).unwrap();
        assert!((found - point(1600).accuracy).abs() < 1e-12, "{found}");
    }

    #[test]
    fn chance_is_no_decline_and_two_points_are_no_line() {
        let points = [(100, 0.9), (200, 0.88), (400, 0.89)].map(|(rows, accuracy)| Point { rows, accuracy });
        let found = accuracy_at(&points, 1000, 800).unwrap();
        assert!((0.88..0.9).contains(&found), "{found}");
        assert_eq!(accuracy_at(&points[..2], 1000, 800), None);
        let perfect = points.map(|point| Point { accuracy: 1.0, ..point });
        assert!(accuracy_at(&perfect, 100, 800).unwrap() >= 0.995);
    }
}
