//! Every kind of image file against Pillow's `ImageOps.exif_transpose(image).convert("RGB")`.

#![allow(clippy::expect_used)]

use graft_extractor::decode::{Limits, Source, decode};

mod pillow;
use pillow::{Cases, number, text};

/// How far pixels may be from Pillow's, in levels: on average, and at the most.
fn tolerance(name: &str) -> (f64, u8) {
    match name {
        // Where the standard leaves the rounding of the transform and the filter of the colours to the decoder.
        _ if name.starts_with("jpeg") || name == "tiff-jpeg" => (1.5, 40),
        _ if name.starts_with("webp-lossy") => (0.5, 8),
        // Five bits become eight by rounding here, by cutting off there.
        "bmp-16" => (1.0, 1),
        _ => (0.0, 0),
    }
}

#[test]
fn every_kind_of_file_gives_the_pixels_of_pillow() {
    let cases = Cases::of("decode.py");
    let mut wrong = Vec::new();
    for case in &cases.cases {
        let name = text(case, "name");
        let source = Source::Encoded(cases.bytes(case, "name").into());
        let image = match decode(&source, &Limits::default()) {
            Ok(image) => image,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert_eq!((image.width, image.height), (number(case, "width"), number(case, "height")), "{name}");
        let repeat = if image.channels == 1 { 3 } else { 1 };
        let pixels = image.data.iter().flat_map(|level| std::iter::repeat_n(*level, repeat));
        let expected = cases.bytes(case, "rgb");
        let differences: Vec<u8> = pixels.zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
        assert_eq!(differences.len(), expected.len(), "{name}");
        let mean = differences.iter().map(|difference| f64::from(*difference)).sum::<f64>() / expected.len() as f64;
        let most = differences.iter().max().copied().unwrap_or(0);
        println!("{name}: mean {mean:.3}, most {most}");
        let (mean_limit, most_limit) = tolerance(name);
        if mean > mean_limit || most > most_limit {
            wrong.push(format!("{name}: mean {mean:.3}, most {most}"));
        }
    }
    assert!(cases.cases.len() >= 60, "every kind is there");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
