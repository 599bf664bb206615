//! Writes the graph that is left: from the images to `[batch, dimension]` of float32, any number of images at once.

use std::collections::HashSet;

use super::{
    cut::{Form, Tap, Token},
    index::feeds,
    input::with_open_batch,
    shapes::Edit,
    tensors::integers,
};
use crate::backbone::onnx::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// What is to be written.
pub(super) struct Plan {
    /// The tensor that takes the images, and whether it takes them as float16.
    pub(super) input: String,
    pub(super) half_input: bool,
    /// Whether any numbers in the graph are not float32.
    pub(super) other_floats: bool,
    pub(super) taps: Vec<Tap>,
    pub(super) edits: Vec<Edit>,
    /// Every node, after all those that feed it.
    pub(super) order: Vec<usize>,
}

/// A graph that is being written.
struct Writer {
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    taken: HashSet<String>,
}

/// Write the graph that `plan` describes into `graph`.
pub(super) fn rewrite(graph: &mut GraphProto, plan: Plan) {
    let mut writer = Writer::new(graph);
    let inputs = std::mem::take(&mut graph.input);
    graph.input = inputs
        .iter()
        .filter(|info| info.name() == plan.input)
        .map(|info| {
            let name = if plan.half_input { writer.half(&plan.input) } else { plan.input.clone() };
            with_open_batch(info, &name)
        })
        .collect();
    writer.copy(std::mem::take(&mut graph.node), &plan);
    let dimension = plan.taps.iter().map(|tap| tap.dimension).sum();
    let feature = writer.feature(&plan);
    graph.output = vec![feature_output(&feature, dimension)];
    graph.node = writer.nodes;
    graph.initializer.append(&mut writer.weights);
    // Shapes were stated for the whole graph and its fixed batch; the runtime works them out.
    graph.value_info.clear();
    graph.quantization_annotation.clear();
}

impl Writer {
    fn new(graph: &GraphProto) -> Writer {
        let made = graph.node.iter().flat_map(|node| node.output.iter().cloned().chain([node.name().to_owned()]));
        let given = graph.initializer.iter().map(|tensor| tensor.name().to_owned());
        let inputs = graph.input.iter().map(|input| input.name().to_owned());
        Writer { nodes: Vec::new(), weights: Vec::new(), taken: made.chain(given).chain(inputs).collect() }
    }

    /// A name that nothing has yet.
    fn name(&mut self, base: &str) -> String {
        let mut name = format!("graft/{base}");
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("graft/{base}_{number}");
        }
        name
    }

    /// Add a node with one output.
    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = self.name(&op.to_ascii_lowercase());
        self.nodes.push(NodeProto {
            name: Some(name.clone()),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.clone()],
            attribute: attributes,
            ..Default::default()
        });
        name
    }

    fn integers(&mut self, values: &[i64], scalar: bool) -> String {
        let name = self.name("integers");
        self.weights.push(integers(name.clone(), values, scalar));
        name
    }

    /// Images come as float32, and are cast for a graph that takes float16.
    fn half(&mut self, input: &str) -> String {
        let images = self.name("images");
        self.node("Cast", &[&images], vec![int_attribute("to", DataType::Float16 as i64)]);
        if let Some(cast) = self.nodes.last_mut() {
            cast.output = vec![input.to_owned()];
        }
        images
    }

    /// Copy the nodes in their order, edited.
    fn copy(&mut self, nodes: Vec<NodeProto>, plan: &Plan) {
        let mut nodes: Vec<Option<NodeProto>> = nodes.into_iter().map(Some).collect();
        let mut edits: Vec<&Edit> = plan.edits.iter().collect();
        // By place, so that each is found at the end when its node comes.
        edits.sort_by_key(|edit| edit.node());
        for place in &plan.order {
            let Some(mut node) = nodes.get_mut(*place).and_then(Option::take) else { continue };
            let from = edits.partition_point(|edit| edit.node() < *place);
            for edit in edits[from..].iter().take_while(|edit| edit.node() == *place) {
                self.edit(&mut node, edit);
            }
            self.nodes.push(node);
        }
    }

    fn edit(&mut self, node: &mut NodeProto, edit: &Edit) {
        match edit {
            Edit::Reshape { shape, .. } => {
                let operand = self.integers(shape, false);
                if let Some(input) = node.input.get_mut(1) {
                    *input = operand;
                }
            }
            Edit::Repeat { input, rank, like, .. } => {
                let Some(once) = node.input.get(*input).cloned() else { return };
                let (first, ones) =
                    (self.integers(&[0], false), self.integers(&vec![1; rank.saturating_sub(1)], false));
                let shape = self.node("Shape", &[like], vec![]);
                let images = self.node("Gather", &[&shape, &first], vec![int_attribute("axis", 0)]);
                let target = self.node("Concat", &[&images, &ones], vec![int_attribute("axis", 0)]);
                node.input[*input] = self.node("Expand", &[&once, &target], vec![]);
            }
        }
    }

    /// What is taken of the graph, as one tensor.
    fn feature(&mut self, plan: &Plan) -> String {
        let mut parts: Vec<String> = plan.taps.iter().map(|tap| self.part(tap)).collect();
        if plan.other_floats {
            let to = || vec![int_attribute("to", DataType::Float as i64)];
            parts = parts.iter().map(|part| self.node("Cast", &[part], to())).collect();
        }
        match &parts[..] {
            [part] => part.clone(),
            parts => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.node("Concat", &parts, vec![int_attribute("axis", 1)])
            }
        }
    }

    fn part(&mut self, tap: &Tap) -> String {
        let flat = || vec![int_attribute("axis", 1)];
        let tensor = tap.tensor.as_str();
        match &tap.form {
            Form::AsIs => tensor.to_owned(),
            Form::Flatten => self.node("Flatten", &[tensor], flat()),
            Form::Pool => {
                let pooled = self.node("GlobalAveragePool", &[tensor], vec![]);
                self.node("Flatten", &[&pooled], flat())
            }
            Form::Tokens(Token::Class) => {
                let first = self.integers(&[0], true);
                self.node("Gather", &[tensor, &first], flat())
            }
            Form::Tokens(Token::Mean) => {
                // A reduction would be written in two ways, for older and newer operator sets.
                let order = AttributeProto { ints: vec![0, 2, 1], ..attribute("perm", AttributeType::Ints) };
                let planes = self.node("Transpose", &[tensor], vec![order]);
                let pooled = self.node("GlobalAveragePool", &[&planes], vec![]);
                self.node("Flatten", &[&pooled], flat())
            }
            Form::Dequantize { scale, zero } => {
                let real = self.node("DequantizeLinear", &[tensor, scale, zero], vec![]);
                self.node("Flatten", &[&real], flat())
            }
        }
    }
}

impl Edit {
    fn node(&self) -> usize {
        match self {
            Edit::Reshape { node, .. } | Edit::Repeat { node, .. } => *node,
        }
    }
}

fn attribute(name: &str, r#type: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(r#type as i32), ..Default::default() }
}

fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn feature_output(name: &str, dimension: usize) -> ValueInfoProto {
    let dim = |value| Dimension { value: Some(value), ..Default::default() };
    let shape = TensorShapeProto {
        dim: vec![dim(dimension::Value::DimParam("batch".into())), dim(dimension::Value::DimValue(dimension as i64))],
    };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float as i32), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}

/// Leave out every node and weight that the output does not need. Each node stands after those that feed it.
pub(super) fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    let mut kept: Vec<NodeProto> = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|tensor| needed.contains(tensor)) {
            needed.extend(feeds(&node).into_iter().map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|weight| needed.contains(weight.name()));
    graph.sparse_initializer.retain(|w| w.values.as_ref().is_some_and(|values| needed.contains(values.name())));
}
