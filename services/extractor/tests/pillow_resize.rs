//! Every interpolation against Pillow, over random sizes, up and down: the same pixels, to the last level.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use graft_extractor::resize::{Interpolation, Key, Resizer};

mod pillow;
use pillow::{Cases, number, text};

#[test]
fn every_interpolation_gives_the_pixels_of_pillow() {
    let cases = Cases::of("resize.py");
    // For each filter: images, pixels that differ, and by how much at the most.
    let mut found: BTreeMap<&str, (usize, usize, u8)> = BTreeMap::new();
    for case in &cases.cases {
        let interpolation = Interpolation::of_name(text(case, "interpolation")).expect("a filter");
        let key = |source: u32, resized: u32| Key {
            source,
            resized: resized.into(),
            offset: 0,
            crop: resized,
            interpolation,
        };
        let columns = key(number(case, "width"), number(case, "to_width"));
        let rows = key(number(case, "height"), number(case, "to_height"));
        let (before, after) = (cases.bytes(case, "before"), cases.bytes(case, "after"));
        for mut resizer in [Resizer::new(), Resizer::portable()] {
            let pixels = resizer.resize(&before, number(case, "channels") as usize, columns, rows);
            assert_eq!(pixels.len(), after.len());
            let (count, differ, most) = found.entry(interpolation.name()).or_default();
            *count += 1;
            for difference in pixels.iter().zip(&after).map(|(a, b)| a.abs_diff(*b)) {
                *differ += usize::from(difference > 0);
                *most = difference.max(*most);
            }
        }
    }
    println!("filter: (images, pixels that differ, by at most) {found:?}");
    assert_eq!(found.len(), Interpolation::ALL.len());
    for (name, (images, differ, most)) in found {
        assert!(images >= 20 && differ == 0, "{name}: {differ} pixels differ, by up to {most}");
    }
}
