//! The `[preprocessing]` table of a manifest.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    preprocessing::{BadOption, Channels, Layout, Preprocessing, Resize, Scale, Size},
    resize::Interpolation,
};

/// The table, or the name of a file that says the same: a Hugging Face `preprocessor_config.json` or a timm `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub enum Options {
    /// The table.
    Table(Table),
    /// A file in the manifest's folder.
    File(String),
}

/// The table. Unknown keys are refused, so that a misspelt one is noticed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The shorter side in pixels, or `{ height, width }` for exactly that.
    resize: Option<Extent>,
    /// Instead of `resize`: the part of the shorter side that the crop keeps.
    crop_pct: Option<f64>,
    /// The filter of the resize.
    interpolation: Interpolation,
    /// The side of a square centre crop in pixels, or `{ height, width }`. All of an exact resize unless told.
    crop: Option<Extent>,
    /// `unit`, `symmetric` or `raw`.
    #[serde(default)]
    scale: Scale,
    /// Mean of red, green and blue after `scale`; 0 unless told.
    #[serde(default)]
    mean: [f32; 3],
    /// Standard deviation of red, green and blue after `scale`; 1 unless told.
    #[serde(default = "ones")]
    std: [f32; 3],
    /// `rgb` or `bgr`.
    #[serde(default)]
    channels: Channels,
    /// `nchw` or `nhwc`.
    #[serde(default)]
    layout: Layout,
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

/// One number of pixels, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    One(u32),
    Two(Size),
}

impl Table {
    /// The preprocessing that it describes, checked.
    pub fn preprocessing(&self) -> Result<Preprocessing, BadOption> {
        let bad = |key, found: &str, accepted: &str| BadOption { key, found: found.into(), accepted: accepted.into() };
        let crop = match (self.crop, self.resize) {
            (Some(Extent::One(side)), _) => Size::square(side),
            (Some(Extent::Two(size)), _) | (None, Some(Extent::Two(size))) => size,
            (None, _) => {
                let accepted = "pixels, or { height, width }, are expected where the resize is not exact";
                return Err(bad("crop", "missing", accepted));
            }
        };
        let resize = match (self.resize, self.crop_pct) {
            (Some(Extent::One(side)), None) => Resize::Shorter(side),
            (Some(Extent::Two(size)), None) => Resize::Exact(size),
            (None, Some(part)) => Resize::Shorter(side_before_crop(crop, part)?),
            (None, None) => {
                return Err(bad("resize", "missing", "pixels, or { height, width }, or crop_pct are expected"));
            }
            (Some(_), Some(_)) => return Err(bad("crop_pct", "given beside `resize`", "one of the two is accepted")),
        };
        let Table { interpolation, scale, mean, std, channels, layout, .. } = *self;
        let preprocessing = Preprocessing { resize, interpolation, crop, scale, mean, std, channels, layout };
        preprocessing.check()?;
        Ok(preprocessing)
    }
}

/// The shorter side of which a centre crop keeps `part`: `floor(crop / part)`, as timm has it.
pub(super) fn side_before_crop(crop: Size, part: f64) -> Result<u32, BadOption> {
    let bad = |found: String, accepted: &str| Err(BadOption { key: "crop_pct", found, accepted: accepted.into() });
    if crop.height != crop.width {
        return bad(format!("with a crop of {crop}"), "a square crop is accepted beside it");
    }
    if !(part > 0.0 && part <= 1.0) {
        return bad(part.to_string(), "a number above 0, up to 1, is accepted");
    }
    Ok((f64::from(crop.height) / part).floor() as u32)
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Options;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of options, or the name of a file that has them")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Options, E> {
                Ok(Options::File(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Options, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Options::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Two {
            height: u32,
            width: u32,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Extent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of pixels, or { height, width }")
            }

            fn visit_i64<E: Error>(self, side: i64) -> Result<Extent, E> {
                u32::try_from(side).map(Extent::One).map_err(|_| E::custom(format!("{side} is no number of pixels")))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Extent, A::Error> {
                let Two { height, width } = Two::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Extent::Two(Size { height, width }))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Preprocessing, String> {
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        table.preprocessing().map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_come_in_several_forms() {
        let filter = "interpolation = \"lanczos\"\n";
        let size = Size { height: 20, width: 30 };
        let simple = read(&format!("{filter}resize = 256\ncrop = 224")).unwrap();
        assert_eq!((simple.resize, simple.crop), (Resize::Shorter(256), Size::square(224)));
        assert_eq!((simple.mean, simple.std, simple.scale), ([0.0; 3], [1.0; 3], Scale::Unit));
        let exact = read(&format!("{filter}resize = {{ height = 20, width = 30 }}")).unwrap();
        assert_eq!((exact.resize, exact.crop), (Resize::Exact(size), size));
        let cropped = read(&format!("{filter}resize = 30\ncrop = {{ height = 20, width = 30 }}")).unwrap();
        assert_eq!((cropped.resize, cropped.crop), (Resize::Shorter(30), size));
        // floor(224 / 0.9) of timm.
        let part = read(&format!("{filter}crop_pct = 0.9\ncrop = 224")).unwrap();
        assert_eq!((part.resize, part.crop), (Resize::Shorter(248), Size::square(224)));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let base = "interpolation = \"box\"\nresize = 256\ncrop = 224\n";
        for (text, words) in [
            ("interpolation = \"box\"\ncrop = 224", vec!["resize", "missing", "crop_pct"]),
            ("interpolation = \"box\"\nresize = 256", vec!["crop", "missing"]),
            ("interpolation = \"area\"\nresize = 256\ncrop = 224", vec!["area", "lanczos", "hamming"]),
            ("resize = 256\ncrop = 224", vec!["interpolation"]),
            (&format!("{base}crop_pct = 0.9"), vec!["crop_pct", "resize"]),
            ("interpolation = \"box\"\ncrop_pct = 1.5\ncrop = 224", vec!["crop_pct", "1.5"]),
            ("interpolation = \"box\"\ncrop_pct = 0.0001\ncrop = 224", vec!["resize", "2240000", "4096"]),
            ("interpolation = \"box\"\ncrop_pct = nan\ncrop = 224", vec!["crop_pct", "NaN"]),
            ("interpolation = \"box\"\nresize = -1\ncrop = 224", vec!["-1"]),
            ("interpolation = \"box\"\nresize = \"256\"\ncrop = 224", vec!["256", "height"]),
            ("interpolation = \"box\"\nresize = { height = 3, widht = 4 }", vec!["widht", "width"]),
            ("interpolation = \"box\"\nresize = { height = 3, width = 4 }\ncrop = 4", vec!["crop", "1 to 3"]),
            (&format!("{base}scale = \"percent\""), vec!["percent", "symmetric", "raw"]),
            (&format!("{base}channels = \"rbg\""), vec!["rbg", "bgr"]),
            (&format!("{base}layout = \"chw\""), vec!["chw", "nhwc"]),
            (&format!("{base}mean = [0.0, nan, 0.0]"), vec!["mean", "NaN"]),
            (&format!("{base}std = [1.0, 0.0, 1.0]"), vec!["std", "0.0"]),
            (&format!("{base}antialias = false"), vec!["antialias"]),
        ] {
            let error = read(text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{text}\n{error}");
        }
    }
}
