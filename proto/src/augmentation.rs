//! What an [`Augmentation`] may say, and what it means where it says nothing: the same for the extractor, which makes the
//! views, and the trainer, which keeps them by what made them.

use crate::v1::{Augmentation, AugmentationKind};

/// Views beside the plain image, at the most.
pub const MOST_VIEWS: u32 = 16;
/// The part of an image's area that a crop keeps, unless told.
const CROP_SCALE: (f64, f64) = (0.5, 1.0);
/// How far brightness, contrast and saturation may go, unless told.
const STRENGTH: f64 = 0.2;
/// What is done unless told.
const USUAL_KINDS: [AugmentationKind; 2] = [AugmentationKind::Flip, AugmentationKind::Crop];

/// A field of an augmentation that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// The field's name, such as `views`.
    pub field: &'static str,
    /// What was found, and what is accepted.
    pub message: String,
}

/// The augmentation with its defaults filled in, its kinds in their order and each once, and nothing said of kinds that it
/// does not have: two that make the same views are equal. `None` where there are no views.
///
/// # Errors
/// The first field that is out of range.
pub fn resolve(asked: &Augmentation) -> Result<Option<Augmentation>, BadField> {
    if asked.views > MOST_VIEWS {
        return refuse("views", format!("{}; 0 to {MOST_VIEWS} are accepted", asked.views));
    }
    let kinds = kinds(&asked.kinds)?;
    let (least, most) = scale(asked)?;
    let [brightness, contrast, saturation] = strengths(asked)?;
    if asked.views == 0 {
        return Ok(None);
    }
    let crop = kinds.contains(&AugmentationKind::Crop);
    let colour = kinds.contains(&AugmentationKind::Colour);
    Ok(Some(Augmentation {
        views: asked.views,
        kinds: kinds.into_iter().map(|kind| kind as i32).collect(),
        crop_scale_min: crop.then_some(least),
        crop_scale_max: crop.then_some(most),
        brightness: colour.then_some(brightness),
        contrast: colour.then_some(contrast),
        saturation: colour.then_some(saturation),
        seed: asked.seed,
    }))
}

/// What makes a view of a resolved augmentation, in one line of text: two views with the same number, image and recipe are
/// the same. How many views there are has no part in it.
pub fn recipe(resolved: &Augmentation) -> String {
    let number = |value: Option<f64>| value.unwrap_or(0.0);
    let mut recipe = String::from("1");
    for kind in resolved.kinds() {
        recipe += &match kind {
            AugmentationKind::Unspecified => continue,
            AugmentationKind::Flip => " flip".to_owned(),
            AugmentationKind::Crop => {
                format!(" crop {} {}", number(resolved.crop_scale_min), number(resolved.crop_scale_max))
            }
            AugmentationKind::Colour => {
                let [brightness, contrast, saturation] =
                    [resolved.brightness, resolved.contrast, resolved.saturation].map(number);
                format!(" colour {brightness} {contrast} {saturation}")
            }
        };
    }
    format!("{recipe} seed {}", resolved.seed)
}

fn kinds(asked: &[i32]) -> Result<Vec<AugmentationKind>, BadField> {
    let known = |kind: &i32| match AugmentationKind::try_from(*kind) {
        Ok(AugmentationKind::Unspecified) | Err(_) => refuse(
            "kinds",
            format!(
                "{kind} is unknown; AUGMENTATION_KIND_FLIP, AUGMENTATION_KIND_CROP and AUGMENTATION_KIND_COLOUR are accepted"
            ),
        ),
        Ok(kind) => Ok(kind),
    };
    let mut kinds = asked.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    if kinds.is_empty() {
        kinds.extend(USUAL_KINDS);
    }
    kinds.sort_by_key(|kind| *kind as i32);
    kinds.dedup();
    Ok(kinds)
}

fn scale(asked: &Augmentation) -> Result<(f64, f64), BadField> {
    let most = asked.crop_scale_max.unwrap_or(CROP_SCALE.1);
    if !(most > 0.0 && most <= 1.0) {
        return refuse("crop_scale_max", format!("{most}; above 0 and at most 1 is accepted"));
    }
    let least = asked.crop_scale_min.unwrap_or(CROP_SCALE.0.min(most));
    if !(least > 0.0 && least <= most) {
        return refuse("crop_scale_min", format!("{least}; above 0 and at most {most} is accepted"));
    }
    Ok((least, most))
}

fn strengths(asked: &Augmentation) -> Result<[f64; 3], BadField> {
    let mut strengths = [STRENGTH; 3];
    let told = [("brightness", asked.brightness), ("contrast", asked.contrast), ("saturation", asked.saturation)];
    for (strength, (field, told)) in strengths.iter_mut().zip(told) {
        let wanted = told.unwrap_or(STRENGTH);
        if !(0.0..=1.0).contains(&wanted) {
            return refuse(field, format!("{wanted}; 0 to 1 is accepted"));
        }
        // Zero has no sign.
        *strength = wanted.abs();
    }
    Ok(strengths)
}

fn refuse<T>(field: &'static str, message: String) -> Result<T, BadField> {
    Err(BadField { field, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(asked: Augmentation) -> &'static str {
        resolve(&asked).expect_err("it is refused").field
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let plain = || Augmentation { views: 4, ..Default::default() };
        assert_eq!(refused(Augmentation { views: 17, ..plain() }), "views");
        for kind in [0, 4, -1] {
            assert_eq!(refused(Augmentation { kinds: vec![1, kind], ..plain() }), "kinds");
        }
        for (least, most, field) in [
            (0.0, 1.0, "crop_scale_min"),
            (0.6, 0.5, "crop_scale_min"),
            (f64::NAN, 1.0, "crop_scale_min"),
            (0.5, 1.1, "crop_scale_max"),
            (0.5, 0.0, "crop_scale_max"),
        ] {
            let scale = Augmentation { crop_scale_min: Some(least), crop_scale_max: Some(most), ..plain() };
            assert_eq!(refused(scale), field, "{least} {most}");
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(refused(Augmentation { brightness: Some(bad), ..plain() }), "brightness");
            assert_eq!(refused(Augmentation { contrast: Some(bad), ..plain() }), "contrast");
            assert_eq!(refused(Augmentation { saturation: Some(bad), ..plain() }), "saturation");
        }
        assert_eq!(refused(Augmentation { kinds: vec![9], ..Default::default() }), "kinds", "also without views");
    }

    #[test]
    fn what_makes_the_same_views_is_equal() {
        let resolved = |asked: &Augmentation| resolve(asked).expect("it is accepted").expect("there are views");
        let plain = resolved(&Augmentation { views: 4, ..Default::default() });
        assert_eq!((plain.kinds.as_slice(), plain.crop_scale_min, plain.brightness), (&[1, 2][..], Some(0.5), None));
        let told = Augmentation { views: 4, kinds: vec![2, 1, 2], crop_scale_min: Some(0.5), ..Default::default() };
        assert_eq!(resolved(&told), plain);
        assert_eq!(resolved(&plain), plain);
        assert_eq!(resolve(&Augmentation::default()), Ok(None));
        let more = resolved(&Augmentation { views: 8, ..Default::default() });
        assert_eq!(
            (recipe(&plain), recipe(&more)),
            ("1 flip crop 0.5 1 seed 0".into(), "1 flip crop 0.5 1 seed 0".into())
        );
        let colour =
            resolved(&Augmentation { views: 1, kinds: vec![3], contrast: Some(0.0), seed: 7, ..Default::default() });
        assert_eq!(recipe(&colour), "1 colour 0.2 0 0.2 seed 7");
        assert_eq!(
            resolved(&Augmentation { views: 1, crop_scale_max: Some(0.25), ..Default::default() }).crop_scale_min,
            Some(0.25)
        );
    }
}
