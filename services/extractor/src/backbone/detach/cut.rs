//! Where a manifest says that a network is to be cut, instead of at its classifier.

use serde::Deserialize;

use super::{
    DetachError, MAX_DIMENSION,
    dim::{Dim, Shown},
    find::{Classifier, Facts, Feature},
};

/// The most tensors that a feature is put together from.
pub const MAX_FEATURES: usize = 16;

/// The `[detach]` part of a manifest. Empty, the classifier is found and taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cut {
    /// Tensors to take as the feature, one behind the other: at most 16. Of `[batch, channels, height, width]` the mean
    /// over all places is taken.
    pub features: Vec<String>,
    /// What is taken of `[batch, tokens, features]`.
    pub token: Option<Token>,
}

/// What is taken of a vision transformer's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Token {
    /// The first, which is the class token.
    Class,
    /// The mean of all.
    Mean,
}

impl Token {
    fn name(self) -> &'static str {
        match self {
            Token::Class => "class",
            Token::Mean => "mean",
        }
    }
}

/// A tensor that is taken, and how it becomes `[batch, dimension]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) tensor: String,
    pub(super) form: Form,
    pub(super) dimension: usize,
}

/// How a tensor becomes `[batch, dimension]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is so.
    AsIs,
    /// Its further dimensions are one.
    Flatten,
    /// By the mean over its places.
    Pool,
    /// By its class token, or the mean of its tokens.
    Tokens(Token),
    /// By its scale and zero point.
    Dequantize { scale: String, zero: String },
}

impl Tap {
    /// What a classifier took.
    pub(super) fn before(facts: Facts<'_, '_>, classifier: &Classifier<'_>) -> Tap {
        let rank = |tensor: &str| facts.shapes.get(tensor).map(<[Dim]>::len);
        let one_place = |tensor: &str| {
            let places = facts.shapes.get(tensor).and_then(|shape| shape.get(2..));
            places.is_some_and(|places| places.iter().all(|dim| *dim == Dim::Fixed(1)))
        };
        let (tensor, form) = match classifier.feature {
            // A Gemm takes nothing but a matrix.
            Feature::Flat(tensor) if classifier.node.op_type() == "Gemm" || rank(tensor) == Some(2) => {
                (tensor, Form::AsIs)
            }
            Feature::Flat(tensor) => (tensor, Form::Flatten),
            Feature::Map(tensor) if one_place(tensor) => (tensor, Form::Flatten),
            Feature::Map(tensor) => (tensor, Form::Pool),
            Feature::Quantized([tensor, scale, zero]) => {
                (tensor, Form::Dequantize { scale: scale.to_owned(), zero: zero.to_owned() })
            }
        };
        Tap { tensor: tensor.to_owned(), form, dimension: classifier.dimension }
    }

    /// A tensor that a manifest names.
    fn named(facts: Facts<'_, '_>, tensor: &str, token: Option<Token>) -> Result<Tap, DetachError> {
        if facts.index.maker(tensor).is_none() {
            return Err(DetachError::NoTensor(tensor.to_owned(), near(facts, tensor)));
        }
        let shape = facts.shapes.get(tensor);
        let refused = |accepted: &'static str| DetachError::NoFeature {
            tensor: tensor.to_owned(),
            shape: Shown(shape).to_string(),
            accepted,
        };
        let (form, dimension) = match (shape, token) {
            (Some([_, dimension]), _) => (Form::AsIs, dimension),
            (Some([_, _, dimension]), Some(token)) => (Form::Tokens(token), dimension),
            (Some([_, channels, _, _]), _) => (Form::Pool, channels),
            (Some([_, _, _]), None) => {
                return Err(refused("of tokens, say which: `token = \"class\"` or `token = \"mean\"`"));
            }
            _ => {
                return Err(refused(
                    "[batch, features], [batch, channels, height, width] or [batch, tokens, features] is accepted",
                ));
            }
        };
        let dimension = dimension.fixed().and_then(|size| usize::try_from(size).ok());
        let dimension = dimension.filter(|size| (1..=MAX_DIMENSION).contains(size));
        let dimension =
            dimension.ok_or_else(|| refused("1 to 65536 features, a number that the graph fixes, are accepted"))?;
        Ok(Tap { tensor: tensor.to_owned(), form, dimension })
    }

    /// Its name in descriptions and embedding spaces: another token is another feature.
    fn description(&self) -> String {
        match &self.form {
            Form::Tokens(token) => format!("{}[{}]", self.tensor, token.name()),
            _ => self.tensor.clone(),
        }
    }
}

impl Cut {
    /// Every tensor that is to be taken.
    pub(super) fn taps(&self, facts: Facts<'_, '_>) -> Result<Vec<Tap>, DetachError> {
        let taps: Vec<Tap> =
            self.features.iter().map(|tensor| Tap::named(facts, tensor, self.token)).collect::<Result<_, _>>()?;
        let dimension: usize = taps.iter().map(|tap| tap.dimension).sum();
        if dimension > MAX_DIMENSION {
            return Err(DetachError::NoFeature {
                tensor: self.features.join(" + "),
                shape: format!("[batch, {dimension}]"),
                accepted: "1 to 65536 features together are accepted",
            });
        }
        Ok(taps)
    }
}

/// What is taken, as one text.
pub(super) fn description(taps: &[Tap]) -> String {
    taps.iter().map(Tap::description).collect::<Vec<_>>().join(" + ")
}

/// Tensors whose names resemble the one that is not there.
fn near(facts: Facts<'_, '_>, tensor: &str) -> String {
    let wanted = tensor.to_ascii_lowercase();
    let resembles = |name: &&String| {
        let name = name.to_ascii_lowercase();
        !name.is_empty() && (name.contains(&wanted) || wanted.contains(&name))
    };
    let names = facts.index.graph.node.iter().flat_map(|node| &node.output).filter(resembles);
    let names: Vec<&str> = names.map(String::as_str).take(3).collect();
    if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
}
