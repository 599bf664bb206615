//! Whether a network keeps the images of a batch apart.

use super::{
    detach::BatchSize,
    session::{Session, SessionError},
};

/// How like two runs of one image must be, as a cosine. Kernels for one image and for two add in another order, and float16
/// has 11 bits: 0.9999 allows for both. An image that leaks into its neighbour is far below.
const ALIKE: f64 = 0.9999;

/// Run two images alone and together. What one alone cannot do is an error; what two together cannot do, or do otherwise,
/// means one at a time.
pub(super) fn probe(session: &mut Session) -> Result<BatchSize, SessionError> {
    let len = session.image_len();
    // One with strong contrast and one with little, so that what is scaled by the whole batch shows.
    let images = [noise(len, 2.0), noise(len + 1, 0.25)[1..].to_vec()];
    let mut alone = [Vec::new(), Vec::new()];
    for (image, feature) in images.iter().zip(&mut alone) {
        session.run(image, 1, feature)?;
    }
    let mut together = Vec::new();
    let outcome = session.run(&images.concat(), 2, &mut together);
    let same = |(a, b): (&Vec<f32>, &[f32])| likeness(a, b) >= ALIKE;
    let apart = outcome.is_ok() && alone.iter().zip(together.chunks(alone[0].len().max(1))).all(same);
    Ok(if apart { BatchSize::Any } else { BatchSize::One })
}

/// Numbers between -`scale` and `scale` that follow no pattern, the same ones each time (Knuth's MMIX generator).
pub(crate) fn noise(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        scale * (((state >> 40) as f32) / ((1_u64 << 23) as f32) - 1.0)
    };
    (0..len).map(|_| next()).collect()
}

/// The cosine of two features, lowered by the difference of their lengths. Features that are zero are alike.
fn likeness(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let (aa, bb) = (dot(a, a), dot(b, b));
    if aa == 0.0 && bb == 0.0 { 1.0 } else { dot(a, b) / aa.max(bb) }
}
