//! `config.json` of the `timm` library: what its `create_transform` does for evaluation.

use serde::Deserialize;
use serde_json::Value;

use super::{ConfigError, bad};
use crate::{
    backbone::options::side_before_crop,
    preprocessing::{Channels, Layout, Preprocessing, Resize, Scale, Size},
    resize::Interpolation,
};

/// Mean and standard deviation of ImageNet, timm's default.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// See [`IMAGENET_MEAN`].
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// The part of the image that a crop keeps unless told (`DEFAULT_CROP_PCT`).
const CROP_PCT: f64 = 0.875;

/// The `pretrained_cfg` of the file, or the whole file where there is none. Other keys say nothing about pixels.
#[derive(Deserialize)]
struct Config {
    /// Channels, rows, columns.
    input_size: [u32; 3],
    interpolation: Option<String>,
    crop_pct: Option<f64>,
    crop_mode: Option<String>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

/// Whether the text is such a file.
pub fn is_one(text: &str) -> bool {
    serde_json::from_str::<Value>(text)
        .is_ok_and(|value| value.get("pretrained_cfg").is_some() || value.get("input_size").is_some())
}

/// Read the file.
pub fn read(text: &str) -> Result<Preprocessing, ConfigError> {
    let mut value: Value = serde_json::from_str(text)?;
    let inner = value.get_mut("pretrained_cfg").map(Value::take);
    let config = Config::deserialize(inner.unwrap_or(value))?;
    let [channels, height, width] = config.input_size;
    if channels != 3 {
        return Err(bad("input_size", format!("{:?}", config.input_size), "3 channels are accepted, which come first"));
    }
    let crop = Size { height, width };
    let part = config.crop_pct.unwrap_or(CROP_PCT);
    let resize = match config.crop_mode.as_deref().unwrap_or("center") {
        "center" => Resize::Shorter(side_before_crop(crop, part)?),
        "squash" if part > 0.0 && part <= 1.0 => {
            let before = |side: u32| (f64::from(side) / part).floor() as u32;
            Resize::Exact(Size { height: before(height), width: before(width) })
        }
        "squash" => return Err(bad("crop_pct", part, "a number above 0, up to 1, is accepted")),
        other => return Err(bad("crop_mode", other, "`center` and `squash` are accepted")),
    };
    let name = config.interpolation.as_deref().unwrap_or("bicubic");
    let interpolation = Interpolation::of_name(name).ok_or_else(|| {
        let names = Interpolation::ALL.map(Interpolation::name).join(", ");
        bad("interpolation", name, &format!("these are accepted: {names}"))
    })?;
    let preprocessing = Preprocessing {
        resize,
        interpolation,
        crop,
        scale: Scale::Unit,
        mean: config.mean.unwrap_or(IMAGENET_MEAN),
        std: config.std.unwrap_or(IMAGENET_STD),
        channels: Channels::Rgb,
        layout: Layout::Nchw,
    };
    preprocessing.check()?;
    Ok(preprocessing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESNET: &str = r#"{ "architecture": "resnet50", "num_classes": 1000, "num_features": 2048,
        "pretrained_cfg": { "tag": "a1_in1k", "input_size": [3, 224, 224], "fixed_input_size": false,
            "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center",
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "test_crop_pct": 1.0, "classifier": "fc" } }"#;

    fn changed(from: &str, to: &str) -> Result<Preprocessing, String> {
        let text = RESNET.replacen(from, to, 1);
        assert_ne!(text, RESNET);
        read(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_crop_percentage_is_resolved() {
        let resnet = read(RESNET).unwrap();
        // floor(224 / 0.95)
        assert_eq!((resnet.resize, resnet.crop), (Resize::Shorter(235), Size::square(224)));
        assert_eq!((resnet.interpolation, resnet.mean), (Interpolation::Bicubic, IMAGENET_MEAN));
        let squashed = changed("\"center\"", "\"squash\"").unwrap();
        assert_eq!(squashed.resize, Resize::Exact(Size::square(235)));
        let plain = changed("\"crop_pct\": 0.95, \"crop_mode\": \"center\",", "").unwrap();
        assert_eq!(plain.resize, Resize::Shorter(256));
        assert_eq!(read(r#"{ "input_size": [3, 64, 64], "crop_pct": 1.0 }"#).unwrap().resize, Resize::Shorter(64));
        assert!(is_one(RESNET) && !is_one(r#"{ "size": 224 }"#) && !is_one("no JSON"));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (from, to, words) in [
            ("[3, 224, 224]", "[1, 224, 224]", ["input_size", "3 channels"]),
            ("[3, 224, 224]", "[3, 224, 192]", ["crop_pct", "square"]),
            ("\"bicubic\"", "\"random\"", ["interpolation", "random"]),
            ("\"center\"", "\"border\"", ["crop_mode", "border"]),
            ("0.95", "0.0", ["crop_pct", "0"]),
            ("0.229", "0.0", ["std", "0.0"]),
            ("\"input_size\"", "\"size\"", ["input_size", "missing"]),
            ("[3, 224, 224]", "[3, 224, 224", ["line", "column"]),
        ] {
            let error = changed(from, to).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{to}: {error}");
        }
    }
}
