//! A vision transformer and a ConvNeXt.

use graft_extractor::backbone::detach::{BatchSize, Cut, DetachError, Token, detach};

use crate::{
    graphs::{convnext, vit},
    running::{cosine, embed_two},
};

#[test]
fn a_vision_transformer_gives_its_class_token() {
    let mut features = Vec::new();
    for fixed in [false, true] {
        let detached = detach(vit::vit(fixed).file(), &Cut::default(), None).unwrap();
        assert_eq!((detached.feature_tensor.as_str(), detached.dimension), ("class", 24));
        assert_eq!(detached.batch.size, BatchSize::Any, "{}", detached.batch.reason);
        features.push(embed_two(&detached, 32));
    }
    // The two are the same network, once written for any number of images and once for one.
    for (open, fixed) in features[0].iter().zip(&features[1]) {
        assert!(cosine(open, fixed) > 0.999_999);
    }
    assert!(cosine(&features[0][0], &features[0][1]) < 0.999, "other images have other features");
}

#[test]
fn what_was_changed_for_the_batch_is_said() {
    let detached = detach(vit::vit(true).file(), &Cut::default(), None).unwrap();
    assert!(detached.batch.reason.contains("the file fixes 1"), "{}", detached.batch.reason);
    assert!(
        detached.batch.reason.contains("5 Reshape constants changed, 1 Concat inputs repeated"),
        "{}",
        detached.batch.reason
    );
}

#[test]
fn tokens_are_taken_as_the_manifest_says() {
    let file = vit::vit(true).file();
    let cut = |features: &[&str], token| Cut { features: features.iter().map(|name| (*name).into()).collect(), token };
    let class = detach(file.clone(), &cut(&["norm"], Some(Token::Class)), None).unwrap();
    let mean = detach(file.clone(), &cut(&["norm"], Some(Token::Mean)), None).unwrap();
    assert_eq!((class.feature_tensor.as_str(), mean.feature_tensor.as_str()), ("norm[class]", "norm[mean]"));
    let found = detach(file.clone(), &Cut::default(), None).unwrap();
    assert_eq!(embed_two(&class, 32), embed_two(&found, 32), "the class token is what the head takes");
    assert_ne!(embed_two(&class, 32), embed_two(&mean, 32));

    let both = detach(file.clone(), &cut(&["norm", "patches"], Some(Token::Class)), None).unwrap();
    assert_eq!((both.feature_tensor.as_str(), both.dimension), ("norm[class] + patches", 48));
    let (both, class) = (embed_two(&both, 32), embed_two(&class, 32));
    assert!(cosine(&both[0][..24], &class[0]) > 0.999_999);

    let refused = detach(file, &cut(&["norm"], None), None).unwrap_err();
    let DetachError::NoFeature { tensor, shape, .. } = &refused else { panic!("{refused}") };
    assert_eq!((tensor.as_str(), shape.as_str()), ("norm", "[batch, 17, 24]"));
    assert!(refused.to_string().contains("token = \"class\""), "{refused}");
}

#[test]
fn a_convnext_gives_its_normalised_pooled_feature() {
    let detached = detach(convnext::convnext().file(), &Cut::default(), None).unwrap();
    assert_eq!((detached.feature_tensor.as_str(), detached.dimension), ("norm", 32));
    assert_eq!(detached.batch.size, BatchSize::Any, "{}", detached.batch.reason);
    let [a, b] = embed_two(&detached, 32);
    assert!(cosine(&a, &b) < 0.999);
}
