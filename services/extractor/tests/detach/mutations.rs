//! Whatever a file holds, it is refused or rewritten, never a crash: files with changed bytes, and graphs with changed
//! parts.

use std::{collections::HashSet, sync::LazyLock};

use bytes::Bytes;
use graft_extractor::backbone::{
    detach::{Cut, Token, detach},
    onnx::{ModelProto, NodeProto},
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use prost::Message;

use crate::graphs::{Graph, convnext, plain, quantized, vit};

static GRAPHS: LazyLock<Vec<Graph>> = LazyLock::new(|| {
    vec![
        plain::network(1),
        vit::vit(true),
        vit::vit(false),
        convnext::convnext(),
        quantized::qdq(),
        quantized::operators(),
        quantized::dynamic(),
    ]
});
static FILES: LazyLock<Vec<Bytes>> = LazyLock::new(|| GRAPHS.iter().map(Graph::file).collect());

/// A change of a file's bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    prop_oneof![
        4 => (at, any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at.prop_map(Damage::Cut),
        1 => (at, 1_usize..64).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (at, 1_usize..64).prop_map(|(at, len)| Damage::Repeat(at, len)),
    ]
}

fn damaged(file: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for damage in damages {
        let len = bytes.len().max(1);
        let range = |at: usize, size: usize, len: usize| at % len..(at % len + size).min(len);
        match damage {
            Damage::Set(at, byte) if !bytes.is_empty() => bytes[at % len] = *byte,
            Damage::Cut(at) => bytes.truncate(at % len),
            Damage::Remove(at, size) if !bytes.is_empty() => drop(bytes.drain(range(*at, *size, len))),
            Damage::Repeat(at, size) if !bytes.is_empty() => {
                let part = bytes[range(*at, *size, len)].to_vec();
                bytes.extend(part);
            }
            _ => {}
        }
    }
    bytes
}

/// A change of a graph's structure; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Change {
    Operator(usize, usize),
    Input { node: usize, input: usize, tensor: usize },
    Output { node: usize, tensor: usize },
    Remove(usize),
    Twice(usize),
    Swap(usize, usize),
    Attribute { node: usize, attribute: usize, value: i64 },
    Size { tensor: usize, dim: usize, size: i64 },
    Drop(usize),
    InputSize(usize, i64),
    GraphOutput(usize),
    Rank(usize, usize),
}

const OPERATORS: [&str; 22] = [
    "Reshape",
    "Concat",
    "Slice",
    "Gather",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Split",
    "Expand",
    "Flatten",
    "MatMul",
    "Gemm",
    "Conv",
    "AveragePool",
    "ReduceMean",
    "Shape",
    "ConstantOfShape",
    "Pad",
    "Softmax",
    "QLinearMatMul",
    "MatMulInteger",
    "Mul",
];

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-5_i64..40, Just(i64::MAX), Just(i64::MIN), Just(1 << 40), any::<i64>()]
}

fn change() -> impl Strategy<Value = Change> {
    let n = any::<usize>;
    prop_oneof![
        (n(), n()).prop_map(|(node, op)| Change::Operator(node, op)),
        (n(), n(), n()).prop_map(|(node, input, tensor)| Change::Input { node, input, tensor }),
        (n(), n()).prop_map(|(node, tensor)| Change::Output { node, tensor }),
        n().prop_map(Change::Remove),
        n().prop_map(Change::Twice),
        (n(), n()).prop_map(|(a, b)| Change::Swap(a, b)),
        (n(), n(), number()).prop_map(|(node, attribute, value)| Change::Attribute { node, attribute, value }),
        (n(), n(), number()).prop_map(|(tensor, dim, size)| Change::Size { tensor, dim, size }),
        n().prop_map(Change::Drop),
        (n(), number()).prop_map(|(dim, size)| Change::InputSize(dim, size)),
        n().prop_map(Change::GraphOutput),
        (n(), 0_usize..40).prop_map(|(tensor, rank)| Change::Rank(tensor, rank)),
    ]
}

fn tensors(graph: &Graph) -> Vec<String> {
    let made = graph.proto.node.iter().flat_map(|node| node.output.clone());
    made.chain(graph.proto.initializer.iter().map(|tensor| tensor.name().to_owned())).chain(["images".into()]).collect()
}

fn apply(graph: &mut Graph, change: &Change) {
    let names = tensors(graph);
    let name = |at: &usize| names[at % names.len()].clone();
    let nodes = graph.proto.node.len().max(1);
    let proto = &mut graph.proto;
    let with_node = |nodes_of: &mut Vec<NodeProto>, at: usize, then: &dyn Fn(&mut NodeProto)| {
        if let Some(node) = nodes_of.get_mut(at % nodes) {
            then(node);
        }
    };
    match change {
        Change::Operator(node, op) => {
            with_node(&mut proto.node, *node, &|node| node.op_type = Some(OPERATORS[op % OPERATORS.len()].into()));
        }
        Change::Input { node, input, tensor } => with_node(&mut proto.node, *node, &|node| {
            let inputs = node.input.len().max(1);
            if let Some(input) = node.input.get_mut(input % inputs) {
                *input = name(tensor);
            }
        }),
        Change::Output { node, tensor } => with_node(&mut proto.node, *node, &|node| node.output = vec![name(tensor)]),
        Change::Remove(node) if !proto.node.is_empty() => drop(proto.node.remove(node % nodes)),
        Change::Twice(node) if !proto.node.is_empty() => {
            let mut copy = proto.node[node % nodes].clone();
            copy.output = vec![format!("copy{}", proto.node.len())];
            proto.node.push(copy);
        }
        Change::Swap(a, b) if !proto.node.is_empty() => proto.node.swap(a % nodes, b % nodes),
        Change::Attribute { node, attribute, value } => with_node(&mut proto.node, *node, &|node| {
            let attributes = node.attribute.len().max(1);
            if let Some(attribute) = node.attribute.get_mut(attribute % attributes) {
                attribute.i = attribute.i.map(|_| *value);
                if let Some(last) = attribute.ints.last_mut() {
                    *last = *value;
                }
            }
        }),
        Change::Size { tensor, dim, size } => {
            let weights = proto.initializer.len().max(1);
            if let Some(tensor) = proto.initializer.get_mut(tensor % weights) {
                // A shape's own values, or the shape of weights.
                match &mut tensor.raw_data {
                    Some(raw) if tensor.data_type == Some(7) && !raw.is_empty() => {
                        let mut bytes = raw.to_vec();
                        let at = dim % (bytes.len() / 8) * 8;
                        bytes[at..at + 8].copy_from_slice(&size.to_le_bytes());
                        *raw = bytes.into();
                    }
                    _ => {
                        let dims = tensor.dims.len().max(1);
                        if let Some(dim) = tensor.dims.get_mut(dim % dims) {
                            *dim = *size;
                        }
                    }
                }
            }
        }
        Change::Drop(tensor) if !proto.initializer.is_empty() => {
            drop(proto.initializer.remove(tensor % proto.initializer.len()));
        }
        Change::InputSize(dim, size) => {
            let shape = [1, 3, 32, 32].iter().enumerate().map(|(at, n)| if at == dim % 4 { *size } else { *n });
            proto.input = Graph::new(&shape.collect::<Vec<i64>>()).proto.input;
        }
        Change::GraphOutput(tensor) => proto.output[0].name = Some(name(tensor)),
        Change::Rank(tensor, rank) if !proto.initializer.is_empty() => {
            let weights = proto.initializer.len();
            let tensor = &mut proto.initializer[tensor % weights];
            tensor.dims.splice(0..0, vec![1; *rank]);
        }
        _ => {}
    }
}

/// What every rewritten graph is: one input, one output, each tensor made before it is used.
fn check_written(model: &Bytes) {
    let graph = ModelProto::decode(model.clone()).expect("what was written can be read").graph.expect("a graph");
    assert_eq!((graph.input.len(), graph.output.len()), (1, 1));
    let mut there: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    there.insert(graph.input[0].name());
    for node in &graph.node {
        for input in node.input.iter().map(String::as_str) {
            assert!(input.is_empty() || there.contains(input), "`{input}` is not made before it is used");
        }
        there.extend(node.output.iter().map(String::as_str));
    }
    assert!(there.contains(graph.output[0].name()));
}

fn try_all_cuts(file: &Bytes, tensor: String) {
    for cut in [
        Cut::default(),
        Cut { features: vec![tensor.clone()], token: Some(Token::Mean) },
        Cut { features: vec![tensor, "images".into()], token: None },
    ] {
        if let Ok(detached) = detach(file.clone(), &cut, None) {
            assert!((1..=65_536).contains(&detached.dimension));
            check_written(&detached.model);
        }
    }
}

/// A few seconds of cases, or as many as PROPTEST_CASES says if that is more. What failed once is kept and tried first.
fn config() -> ProptestConfig {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/detach/mutations.regressions");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(corpus)) as Box<_>);
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(4_000), failure_persistence, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changed_bytes_never_crash(file in 0..7_usize, damages in prop::collection::vec(damage(), 1..6)) {
        try_all_cuts(&damaged(&FILES[file], &damages).into(), "map".into());
    }

    #[test]
    fn changed_graphs_never_crash(
        graph in 0..7_usize,
        changes in prop::collection::vec(change(), 1..8),
        tensor in any::<usize>(),
    ) {
        let mut graph = GRAPHS[graph].clone();
        for change in &changes {
            apply(&mut graph, change);
        }
        let names = tensors(&graph);
        try_all_cuts(&graph.file(), names[tensor % names.len()].clone());
    }
}
