//! Which of a graph's outputs is that of the classifier, and whether it classifies at all.

use super::{
    DetachError,
    dim::{Dim, Shown},
    find::{Classifier, Facts, Feature, classifier_of},
    index::label,
    tensors::declared_shape,
};

/// Operators of networks that find objects.
const DETECTS: &[&str] = &[
    "NonMaxSuppression",
    "RoiAlign",
    "MaxRoiPool",
    "EfficientNMS_TRT",
    "BatchedNMS_TRT",
    "BatchedNMSDynamic_TRT",
    "DecodeBox",
];
/// Parts of the names of outputs that hold a feature.
const FEATURE_NAMES: &[&str] = &["embed", "feature"];

/// Find the classifier, and say why it is that one.
pub(super) fn choose<'a>(facts: Facts<'_, 'a>) -> Result<(Classifier<'a>, String), DetachError> {
    let outputs: Vec<&str> = facts.index.graph.output.iter().map(|output| output.name()).collect();
    let first = *outputs.first().ok_or(DetachError::Empty)?;
    refuse_detection(facts)?;
    let mut refusal = None;
    let mut found: Vec<(&str, Classifier<'a>)> = Vec::new();
    for output in &outputs {
        match is_logits(facts, output).and_then(|()| classifier_of(facts, output)) {
            Ok(classifier) => found.push((output, classifier)),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    let main = found.iter().any(|(output, _)| !is_auxiliary(output));
    found.retain(|(output, _)| !main || !is_auxiliary(output));
    let depths = facts.index.depths();
    let depth = |classifier: &Classifier<'_>| {
        let tensor = classifier.node.output.first();
        tensor.and_then(|tensor| facts.index.maker_place(tensor)).map_or(0, |place| depths[place])
    };
    // Of equals the first, hence from the end.
    match found.into_iter().rev().max_by_key(|(_, classifier)| depth(classifier)) {
        Some((output, classifier)) => {
            let nodes = depth(&classifier);
            let reason = reason(&classifier, output, &outputs, nodes);
            Ok((classifier, reason))
        }
        None => {
            Err(refusal
                .unwrap_or_else(|| DetachError::NotClassification(format!("the output `{first}` leads nowhere"))))
        }
    }
}

fn reason(classifier: &Classifier<'_>, output: &str, outputs: &[&str], nodes: usize) -> String {
    let behind = match &classifier.skipped[..] {
        [] => String::new(),
        ops => format!(" behind {}", ops.join(", ")),
    };
    let pooled = match classifier.feature {
        Feature::Map(_) => ", whose input is averaged over all places",
        _ => "",
    };
    let chosen = match outputs {
        [_] => String::new(),
        several => format!(
            "; of the outputs {} it has the deepest main classifier, {nodes} nodes from the input",
            several.join(", ")
        ),
    };
    format!(
        "the last {} with constant weights before the output `{output}`{behind}{pooled}{chosen}",
        classifier.node.op_type()
    )
}

fn is_auxiliary(output: &str) -> bool {
    output.to_ascii_lowercase().contains("aux")
}

fn refuse_detection(facts: Facts<'_, '_>) -> Result<(), DetachError> {
    if let Some(node) = facts.index.graph.node.iter().find(|node| DETECTS.contains(&node.op_type())) {
        let found = format!("the {} `{}` belongs to one that finds objects", node.op_type(), label(node));
        return Err(DetachError::NotClassification(found));
    }
    for output in &facts.index.graph.output {
        let shape = shape_of(facts, output.name());
        if let Some([_, boxes, Dim::Fixed(4)]) = shape.as_deref()
            && *boxes != Dim::Fixed(1)
        {
            let found = format!("the output `{}` of {} holds boxes", output.name(), Shown(shape.as_deref()));
            return Err(DetachError::NotClassification(found));
        }
    }
    Ok(())
}

/// Whether `output` may be logits: for each image a list of numbers, not called a feature.
fn is_logits(facts: Facts<'_, '_>, output: &str) -> Result<(), DetachError> {
    let name = output.to_ascii_lowercase();
    if FEATURE_NAMES.iter().any(|part| name.contains(part)) {
        return Err(DetachError::NotClassification(format!("the output is called `{output}`, as a feature is")));
    }
    let shape = shape_of(facts, output);
    let lists = shape.as_deref().unwrap_or_default().iter().skip(1).filter(|dim| !dim.may_be_one()).count();
    if lists > 1 {
        let found =
            format!("the output `{output}` has the shape {}, not one list of logits an image", Shown(shape.as_deref()));
        return Err(DetachError::NotClassification(found));
    }
    Ok(())
}

fn shape_of(facts: Facts<'_, '_>, output: &str) -> Option<Vec<Dim>> {
    let declared = facts.index.graph.output.iter().find(|info| info.name() == output).and_then(declared_shape);
    facts.shapes.get(output).map(<[Dim]>::to_vec).or(declared)
}
