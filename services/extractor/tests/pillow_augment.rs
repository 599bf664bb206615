//! Views of images against Pillow: windows, mirroring and colours, the same pixels, to the last level.

#![allow(clippy::expect_used)]

use graft_extractor::{
    augment::{View, colour::Colour, window::Window},
    decode::Decoded,
    preprocess::{Preprocessing, Preprocessor},
    preprocessing::{Channels, Layout, Resize, Scale, Size},
    resize::Interpolation,
};

mod pillow;
use pillow::{Cases, number, text};
use serde_json::Value;

/// What leaves the levels as they are.
fn preprocessing(case: &Value) -> Preprocessing {
    let size = number(case, "size");
    Preprocessing {
        resize: Resize::Shorter(size),
        interpolation: Interpolation::of_name(text(case, "interpolation")).expect("a filter"),
        crop: Size::square(size),
        scale: Scale::Raw,
        mean: [0.0; 3],
        std: [1.0; 3],
        channels: Channels::Rgb,
        layout: Layout::Nhwc,
    }
}

fn view(case: &Value) -> View {
    let [left, top, width, height]: [u32; 4] = serde_json::from_value(case["window"].clone()).expect("a window");
    let factors: Option<[f64; 3]> = serde_json::from_value(case["factors"].clone()).expect("factors");
    let colour = factors.map(|factors| {
        let [brightness, contrast, saturation] = factors.map(|factor| factor as f32);
        Colour { brightness, contrast, saturation }
    });
    let mirrored = case["mirrored"].as_bool().expect("whether it is mirrored");
    View { window: Some(Window { left, top, width, height }), mirrored, colour }
}

#[test]
fn views_have_the_pixels_of_pillow() {
    let cases = Cases::of("augment.py");
    let mut coloured = 0;
    for case in &cases.cases {
        let channels = number(case, "channels");
        let data = cases.bytes(case, "before").into();
        let image = Decoded { height: number(case, "height"), width: number(case, "width"), channels, data };
        let mut preprocessor = Preprocessor::new(&preprocessing(case));
        let mut slot = vec![f32::NAN; preprocessor.output_len()];
        preprocessor.run_view(&image, &view(case), &mut slot);
        let after = cases.bytes(case, "after");
        let expected: Vec<f32> = match channels {
            1 => after.iter().flat_map(|level| [f32::from(*level); 3]).collect(),
            _ => after.iter().map(|level| f32::from(*level)).collect(),
        };
        assert!(slot == expected, "{case}");
        coloured += usize::from(!case["factors"].is_null());
    }
    assert!(cases.cases.len() >= 60 && coloured >= 40);
}

#[test]
fn a_view_that_changes_nothing_is_the_plain_image() {
    let cases = Cases::of("augment.py");
    for case in &cases.cases {
        let data = cases.bytes(case, "before").into();
        let (height, width, channels) = (number(case, "height"), number(case, "width"), number(case, "channels"));
        let image = Decoded { height, width, channels, data };
        let mut preprocessor = Preprocessor::new(&preprocessing(case));
        let mut plain = vec![f32::NAN; preprocessor.output_len()];
        let mut slot = plain.clone();
        preprocessor.run(&image, &mut plain);
        let colour = Some(Colour { brightness: 1.0, contrast: 1.0, saturation: 1.0 });
        preprocessor.run_view(&image, &View { window: None, mirrored: false, colour }, &mut slot);
        assert!(slot == plain, "{case}");
    }
}
