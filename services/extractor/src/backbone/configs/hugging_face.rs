//! `preprocessor_config.json` of the `transformers` library.
//!
//! The centre crop is rounded as torchvision and the library's fast processors round it; the old slow ones cut off.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{ConfigError, bad};
use crate::{
    preprocessing::{Channels, Layout, Preprocessing, Resize, Scale, Size},
    resize::Interpolation,
};

/// Below this shorter side, in pixels, ConvNeXt's processor resizes to `size / crop_pct` and crops; from here on it resizes
/// to `size` exactly.
const CROP_PCT_BELOW: u32 = 384;
/// ConvNeXt's `crop_pct` unless told.
const CONVNEXT_CROP_PCT: f64 = 224.0 / 256.0;
/// How far a `rescale_factor` may be off 1/255 or 1/127.5, in proportion: files write it with 7 to 17 digits.
const RESCALE_TOLERANCE: f64 = 1e-5;

/// Processors for which `size: n` means the shorter side.
const SHORTER: [&str; 7] = ["CLIP", "ConvNext", "MobileNetV1", "MobileNetV2", "MobileViT", "Bit", "ChineseCLIP"];
/// Processors for which `size: n` means n x n.
const SQUARE: [&str; 4] = ["ViT", "DeiT", "Beit", "EfficientNet"];

/// The keys that have a say about pixels.
#[derive(Deserialize)]
struct Config {
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    resample: Option<u8>,
    crop_pct: Option<f64>,
    do_center_crop: Option<bool>,
    crop_size: Option<Value>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    rescale_offset: Option<bool>,
    do_normalize: Option<bool>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    include_top: Option<bool>,
    do_flip_channel_order: Option<bool>,
    /// `do_…` of these is refused if it is true: it names a step that is not known here.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A size in one of the forms that there are.
#[derive(Clone, Copy)]
enum Extent {
    One(u32),
    Shorter(u32),
    Two(Size),
}

/// Read the file.
pub fn read(text: &str) -> Result<Preprocessing, ConfigError> {
    let config: Config = serde_json::from_str(text)?;
    config.refuse_unknown_steps()?;
    let (resize, crop) = config.sizes()?;
    let (mean, std) = config.normalisation()?;
    let preprocessing = Preprocessing {
        resize,
        interpolation: config.interpolation()?,
        crop,
        scale: config.scale()?,
        mean,
        std,
        channels: if config.do_flip_channel_order == Some(true) { Channels::Bgr } else { Channels::Rgb },
        layout: Layout::Nchw,
    };
    preprocessing.check()?;
    Ok(preprocessing)
}

impl Config {
    /// The processor's name, without `ImageProcessor`, `FeatureExtractor` and the like.
    fn processor(&self) -> &str {
        let name = self.image_processor_type.as_deref().or(self.feature_extractor_type.as_deref()).unwrap_or_default();
        let end = ["ImageProcessor", "FeatureExtractor"].iter().find_map(|end| name.find(end)).unwrap_or(name.len());
        &name[..end]
    }

    fn refuse_unknown_steps(&self) -> Result<(), ConfigError> {
        // It asks for RGB, which is what there is anyway.
        let harmless = ["do_convert_rgb", "do_reduce_labels"];
        let step = |(key, value): &(&String, &Value)| key.starts_with("do_") && **value == Value::Bool(true);
        match self.others.iter().filter(step).find(|(key, _)| !harmless.contains(&key.as_str())) {
            Some((key, _)) => {
                Err(bad("do_…", format!("`{key}` is true"), "resize, crop, rescale and normalise are accepted"))
            }
            None => Ok(()),
        }
    }

    fn sizes(&self) -> Result<(Resize, Size), ConfigError> {
        if self.do_resize == Some(false) {
            return Err(bad("do_resize", false, "images of any size must become one size: true is accepted"));
        }
        let size = self.size.as_ref().ok_or_else(|| bad("size", "missing", "pixels are expected"))?;
        let resize = self.resize(extent("size", size)?)?;
        let crop = self.centre_crop()?;
        match (resize, crop, self.crop_pct()) {
            (Resize::Shorter(side), _, Some(part)) => by_crop_pct(side, part, crop),
            (_, Some(crop), _) => Ok((resize, crop)),
            (Resize::Exact(size), None, _) => Ok((resize, size)),
            (Resize::Shorter(_), None, None) => {
                let accepted = "a crop is expected where the shorter side alone is resized";
                Err(bad("do_center_crop", "false or missing", accepted))
            }
        }
    }

    fn centre_crop(&self) -> Result<Option<Size>, ConfigError> {
        if !self.do_center_crop.unwrap_or(self.crop_size.is_some()) {
            return Ok(None);
        }
        let size = self.crop_size.as_ref().ok_or_else(|| bad("crop_size", "missing", "pixels are expected"))?;
        Ok(Some(match extent("crop_size", size)? {
            Extent::One(side) | Extent::Shorter(side) => Size::square(side),
            Extent::Two(size) => size,
        }))
    }

    fn crop_pct(&self) -> Option<f64> {
        self.crop_pct.or((self.processor() == "ConvNext").then_some(CONVNEXT_CROP_PCT))
    }

    fn resize(&self, size: Extent) -> Result<Resize, ConfigError> {
        match size {
            Extent::Shorter(side) => Ok(Resize::Shorter(side)),
            Extent::Two(size) => Ok(Resize::Exact(size)),
            Extent::One(side) if SHORTER.contains(&self.processor()) => Ok(Resize::Shorter(side)),
            Extent::One(side) if SQUARE.contains(&self.processor()) => Ok(Resize::Exact(Size::square(side))),
            Extent::One(side) => {
                let accepted = "what a plain number means depends on the processor, and this one is not known: \
                                { \"shortest_edge\": n } or { \"height\": h, \"width\": w } is accepted";
                Err(bad("size", format!("{side} of `{}`", self.processor()), accepted))
            }
        }
    }

    /// `resample` has Pillow's numbers.
    fn interpolation(&self) -> Result<Interpolation, ConfigError> {
        let accepted = "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) and 5 (hamming) are accepted";
        match self.resample {
            Some(0) => Ok(Interpolation::Nearest),
            Some(1) => Ok(Interpolation::Lanczos),
            Some(2) => Ok(Interpolation::Bilinear),
            Some(3) => Ok(Interpolation::Bicubic),
            Some(4) => Ok(Interpolation::Box),
            Some(5) => Ok(Interpolation::Hamming),
            Some(other) => Err(bad("resample", other, accepted)),
            None => Err(bad("resample", "missing", accepted)),
        }
    }

    fn scale(&self) -> Result<Scale, ConfigError> {
        if self.do_rescale == Some(false) {
            return Ok(Scale::Raw);
        }
        let (factor, offset) = (self.rescale_factor.unwrap_or(1.0 / 255.0), self.rescale_offset.unwrap_or(false));
        let is = |expected: f64| (factor / expected - 1.0).abs() < RESCALE_TOLERANCE;
        match offset {
            false if is(1.0 / 255.0) => Ok(Scale::Unit),
            true if is(1.0 / 127.5) => Ok(Scale::Symmetric),
            _ => {
                let accepted = "1/255, and 1/127.5 with `rescale_offset`, are accepted";
                Err(bad("rescale_factor", format!("{factor}, rescale_offset {offset}"), accepted))
            }
        }
    }

    fn normalisation(&self) -> Result<([f32; 3], [f32; 3]), ConfigError> {
        if self.do_normalize == Some(false) {
            return Ok(([0.0; 3], [1.0; 3]));
        }
        let given =
            |key, values: Option<[f32; 3]>| values.ok_or_else(|| bad(key, "missing", "three numbers are expected"));
        let (mean, std) = (given("image_mean", self.image_mean)?, given("image_std", self.image_std)?);
        // EfficientNet's processor divides by the standard deviation once more for networks with their classifier.
        let again = self.include_top == Some(true);
        Ok((mean, if again { std.map(|std| std * std) } else { std }))
    }
}

/// The size that `value` is: `n`, `[h, w]`, `{ "height": h, "width": w }` or `{ "shortest_edge": n }`.
fn extent(key: &'static str, value: &Value) -> Result<Extent, ConfigError> {
    let pixels = |value: Option<&Value>| value?.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
    let form =
        |names: [&str; 2]| value.as_object().is_some_and(|map| map.keys().all(|key| names.contains(&key.as_str())));
    let two = |height, width| Some(Extent::Two(Size { height: pixels(height)?, width: pixels(width)? }));
    let found = match value {
        Value::Number(_) => pixels(Some(value)).map(Extent::One),
        Value::Array(sides) if sides.len() == 2 => two(sides.first(), sides.last()),
        Value::Object(map) if form(["height", "width"]) => two(map.get("height"), map.get("width")),
        Value::Object(map) if form(["shortest_edge"; 2]) => pixels(map.get("shortest_edge")).map(Extent::Shorter),
        _ => None,
    };
    let accepted = "n, { \"shortest_edge\": n } and { \"height\": h, \"width\": w } are accepted, in pixels";
    found.ok_or_else(|| bad(key, value, accepted))
}

/// What ConvNeXt's processor makes of `crop_pct`.
fn by_crop_pct(side: u32, part: f64, crop: Option<Size>) -> Result<(Resize, Size), ConfigError> {
    let crop = crop.unwrap_or(Size::square(side));
    if side >= CROP_PCT_BELOW {
        return Ok((Resize::Exact(Size::square(side)), crop));
    }
    if !(part > 0.0 && part <= 1.0) {
        return Err(bad("crop_pct", part, "a number above 0, up to 1, is accepted"));
    }
    Ok((Resize::Shorter((f64::from(side) / part) as u32), crop))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIP: &str = r#"{ "crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224 }"#;
    const CONVNEXT: &str = r#"{ "crop_pct": 0.875, "do_normalize": true, "do_resize": true,
        "feature_extractor_type": "ConvNextFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224 }"#;
    const VIT: &str = r#"{ "do_normalize": true, "do_rescale": true, "do_resize": true, "do_convert_rgb": null,
        "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessorFast", "image_std": [0.5, 0.5, 0.5],
        "resample": 2, "rescale_factor": 0.00392156862745098, "size": { "height": 224, "width": 200 } }"#;

    fn changed(text: &str, from: &str, to: &str) -> Result<Preprocessing, String> {
        let new = text.replacen(from, to, 1);
        assert_ne!(new, text);
        read(&new).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_mean_what_their_processor_means() {
        let sizes = |preprocessing: Preprocessing| (preprocessing.resize, preprocessing.crop);
        let square = Size::square(224);
        assert_eq!(sizes(read(CLIP).unwrap()), (Resize::Shorter(224), square));
        let size = Size { height: 224, width: 200 };
        assert_eq!(sizes(read(VIT).unwrap()), (Resize::Exact(size), size));
        let plain = changed(VIT, r#"{ "height": 224, "width": 200 }"#, "224").unwrap();
        assert_eq!(sizes(plain), (Resize::Exact(square), square));
        assert_eq!(sizes(read(CONVNEXT).unwrap()), (Resize::Shorter(256), square));
        let edge = changed(CONVNEXT, r#""size": 224"#, r#""size": { "shortest_edge": 384 }"#).unwrap();
        assert_eq!(sizes(edge), (Resize::Exact(Size::square(384)), Size::square(384)));
    }

    #[test]
    fn levels_are_scaled_as_told() {
        assert_eq!(read(VIT).unwrap().scale, Scale::Unit);
        assert_eq!(changed(VIT, r#""do_rescale": true"#, r#""do_rescale": false"#).unwrap().scale, Scale::Raw);
        let factor = r#""rescale_factor": 0.00392156862745098"#;
        let symmetric =
            changed(VIT, factor, r#""rescale_factor": 0.00784313725490196, "rescale_offset": true"#).unwrap();
        assert_eq!(symmetric.scale, Scale::Symmetric);
        let plain = changed(VIT, r#""do_normalize": true"#, r#""do_normalize": false"#).unwrap();
        assert_eq!((plain.mean, plain.std), ([0.0; 3], [1.0; 3]));
        let flipped = changed(VIT, r#""do_resize": true"#, r#""do_flip_channel_order": true"#).unwrap();
        assert_eq!(flipped.channels, Channels::Bgr);
        assert_eq!(changed(VIT, r#""resample": 2"#, r#""include_top": true, "resample": 5"#).unwrap().std, [0.25; 3]);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (text, from, to, words) in [
            (CLIP, "CLIPFeature", "OddFeature", ["size", "shortest_edge"]),
            (CLIP, r#""do_center_crop": true"#, r#""do_center_crop": false"#, ["do_center_crop", "crop"]),
            (CLIP, r#""crop_size": 224"#, r#""crop_size": 225"#, ["crop", "225"]),
            (CLIP, r#""do_resize": true"#, r#""do_resize": false"#, ["do_resize", "false"]),
            (CLIP, r#""do_resize": true"#, r#""do_pad": true"#, ["do_pad", "true"]),
            (CLIP, r#""resample": 3"#, r#""resample": 9"#, ["resample", "9"]),
            (CLIP, r#""resample": 3, "#, "", ["resample", "missing"]),
            (CLIP, r#""image_std""#, r#""image_dev""#, ["image_std", "missing"]),
            (CLIP, r#""size": 224"#, r#""size": { "longest_edge": 224 }"#, ["size", "longest_edge"]),
            (VIT, "0.00392156862745098", "0.5", ["rescale_factor", "0.5"]),
            (CONVNEXT, "0.875", "8.75", ["crop_pct", "8.75"]),
            (CONVNEXT, "0.485, ", "", ["length 3", "line"]),
        ] {
            let error = changed(text, from, to).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{to}: {error}");
        }
    }
}
