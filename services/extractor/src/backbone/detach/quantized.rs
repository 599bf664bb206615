//! Classifiers of integers. In the QDQ form they are Gemm, MatMul or Conv between QuantizeLinear and DequantizeLinear and
//! need nothing special; here are the operators that take integers themselves.

use super::{
    find::{Facts, Feature, Step},
    index::{Index, int},
};
use crate::backbone::onnx::NodeProto;

/// A product of integers as a classifier.
pub(super) fn product<'a>(facts: Facts<'_, 'a>, node: &'a NodeProto) -> Step<'a> {
    let dynamic = node.op_type() == "MatMulInteger";
    let weights = if dynamic { 1 } else { 3 };
    let inputs = (node.input.first(), node.input.get(weights));
    let (Some(feature), Some(weights)) = inputs else { return Step::Stop("has no weights") };
    let constant = facts.index.is_constant(weights) && !facts.index.is_constant(feature);
    let Some([a, b]) = facts.shapes.get(weights).filter(|_| constant) else {
        return Step::Stop("has no constant weights");
    };
    let shape = if node.op_type() == "QGemm" && int(node, "transB", 0) != 0 { [*b, *a] } else { [*a, *b] };
    match (unquantized(facts.index, feature), &node.input[..]) {
        (Some(real), _) => Step::Found(Feature::Flat(real), shape),
        (None, [tensor, scale, zero, ..]) if !dynamic => Step::Found(Feature::Quantized([tensor, scale, zero]), shape),
        _ => Step::Stop("takes integers whose scale is not known"),
    }
}

/// The real numbers that were quantized to `tensor`.
fn unquantized<'a>(index: &Index<'a>, tensor: &str) -> Option<&'a str> {
    let maker =
        index.maker(tensor).filter(|maker| matches!(maker.op_type(), "QuantizeLinear" | "DynamicQuantizeLinear"))?;
    maker.input.first().map(String::as_str)
}

/// Of two factors the product of integers, cast to real numbers; the other is its scale.
pub(super) fn scaled_product<'a>(index: &Index<'a>, factors: [&'a str; 2]) -> Option<&'a str> {
    let is_product = |tensor: &&str| {
        let cast = index.maker(tensor).filter(|maker| maker.op_type() == "Cast");
        let maker = cast.and_then(|cast| index.maker(cast.input.first()?));
        maker.is_some_and(|maker| maker.op_type() == "MatMulInteger")
    };
    factors.into_iter().find(is_product)
}

/// A bias of integers: `QLinearAdd` of one constant.
pub(super) fn shift<'a>(index: &Index<'a>, node: &'a NodeProto) -> Step<'a> {
    let (Some(a), Some(b)) = (node.input.first(), node.input.get(3)) else {
        return Step::Stop("has other than two inputs");
    };
    match (index.is_constant(a), index.is_constant(b)) {
        (false, true) => Step::On(a),
        (true, false) => Step::On(b),
        _ => Step::Stop("joins two branches"),
    }
}
