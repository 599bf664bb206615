//! The filters of a resize, as Pillow defines them.

use std::f64::consts::PI;

use serde::Deserialize;

/// The filter of a resize.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// All pixels that are covered, alike.
    Box,
    /// A triangle.
    Bilinear,
    /// Hamming's windowed sinc of one lobe.
    Hamming,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Lanczos' windowed sinc of three lobes.
    Lanczos,
}

impl Interpolation {
    /// Every filter.
    pub const ALL: [Interpolation; 6] = [
        Interpolation::Nearest,
        Interpolation::Box,
        Interpolation::Bilinear,
        Interpolation::Hamming,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
    ];

    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Box => "box",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Hamming => "hamming",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos => "lanczos",
        }
    }

    /// The filter of this name.
    pub fn of_name(name: &str) -> Option<Interpolation> {
        Interpolation::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// How far the filter reaches, in pixels of the smaller image.
    pub(super) fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => 0.5,
            Interpolation::Bilinear | Interpolation::Hamming => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    /// The weight of a pixel `x` pixels to the right of the centre.
    pub(super) fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            // Of two that are equally far, the right one.
            Interpolation::Box if x > -0.5 && x <= 0.5 => 1.0,
            Interpolation::Bilinear if distance < 1.0 => 1.0 - distance,
            Interpolation::Hamming if distance < 1.0 => {
                sinc(distance) * (f64::from(0.54_f32) + f64::from(0.46_f32) * (distance * PI).cos())
            }
            Interpolation::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Interpolation::Bicubic if distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5,
            Interpolation::Lanczos if distance < 3.0 => sinc(distance) * sinc(distance / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
