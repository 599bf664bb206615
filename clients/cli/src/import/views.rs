//! What is said of views: `--views`, `--augment`, `--augment-seed`.

use clap::{Args, ValueEnum};
use graft_client::proto::{Augmentation, AugmentationKind};

/// Further views of each image.
#[derive(Args)]
pub struct Views {
    /// Fit on so many further views of each image too, 1 to 16, flipped and cropped by chance. It helps where there are few
    /// images of a class; each view takes as long to embed as another image. Fixed once the dataset holds examples.
    #[arg(long, value_name = "N")]
    views: Option<u32>,
    /// What may be done to an image for a view; flip and crop unless told.
    #[arg(long, value_enum, value_delimiter = ',', requires = "views")]
    augment: Vec<Change>,
    /// Where the chance in views begins; 0 unless told.
    #[arg(long, value_name = "N", requires = "views")]
    augment_seed: Option<u64>,
}

/// What may be done to an image.
#[derive(Clone, Copy, ValueEnum)]
enum Change {
    /// Mirrored.
    Flip,
    /// A random part of it.
    Crop,
    /// Brightness, contrast and saturation.
    #[value(alias = "color")]
    Colour,
}

impl Views {
    /// As the trainer takes it; `None` where nothing is said.
    pub fn augmentation(&self) -> Option<Augmentation> {
        let kind = |change: &Change| match change {
            Change::Flip => AugmentationKind::Flip as i32,
            Change::Crop => AugmentationKind::Crop as i32,
            Change::Colour => AugmentationKind::Colour as i32,
        };
        let (kinds, seed) = (self.augment.iter().map(kind).collect(), self.augment_seed.unwrap_or_default());
        self.views.map(|views| Augmentation { views, kinds, seed, ..Default::default() })
    }
}

/// Views as a person is told of them, such as `4 views of each: flip, crop 0.5 to 1, seed 0`.
pub fn text(augmentation: &Augmentation) -> String {
    let number = |value: Option<f64>| value.unwrap_or_default();
    let kind = |kind| match kind {
        AugmentationKind::Unspecified => String::new(),
        AugmentationKind::Flip => "flip, ".into(),
        AugmentationKind::Crop => {
            format!("crop {} to {}, ", number(augmentation.crop_scale_min), number(augmentation.crop_scale_max))
        }
        AugmentationKind::Colour => {
            let strengths = [augmentation.brightness, augmentation.contrast, augmentation.saturation].map(number);
            format!("colour {} {} {}, ", strengths[0], strengths[1], strengths[2])
        }
    };
    let kinds: String = augmentation.kinds().map(kind).collect();
    format!("{} views of each: {kinds}seed {}", augmentation.views, augmentation.seed)
}

/// Views for programs; null where there are none.
pub fn json(augmentation: Option<&Augmentation>) -> serde_json::Value {
    let Some(views) = augmentation else { return serde_json::Value::Null };
    let kinds: Vec<String> =
        views.kinds().map(|kind| kind.as_str_name().trim_start_matches("AUGMENTATION_KIND_").to_lowercase()).collect();
    serde_json::json!({
        "views": views.views, "kinds": kinds, "seed": views.seed, "crop_scale_min": views.crop_scale_min,
        "crop_scale_max": views.crop_scale_max, "brightness": views.brightness, "contrast": views.contrast,
        "saturation": views.saturation,
    })
}
