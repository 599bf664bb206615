//! What comes of a graft, on a backbone that only flattens. (What it computes is told by ONNX Runtime, in the tests from outside.)

use std::collections::HashMap;

use graft_onnx::{NodeProto, StringStringEntryProto, TensorProto};
use graft_proto::v1::{Detachment, Preprocessing};
use safetensors::{Dtype, tensor::TensorView};

use super::*;

const DIMENSION: usize = 12;

/// A backbone of images of 2 x 2 pixels, whose tensor before the last is called `inner`.
fn backbone(operators: i64, inner: &str) -> Bytes {
    let node = |operator: &str, input: &str, output: &str| NodeProto {
        op_type: Some(operator.to_owned()),
        input: vec![input.to_owned()],
        output: vec![output.to_owned()],
        ..Default::default()
    };
    let mut image = output("image", false, 3);
    if let Some(type_proto::Value::TensorType(tensor)) = image.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        let shape = tensor.shape.as_mut().unwrap();
        let side = |_| graft_onnx::tensor_shape_proto::Dimension { value: Some(DimValue(2)), ..Default::default() };
        shape.dim.extend((0..2).map(side));
    }
    let graph = GraphProto {
        node: vec![node("Relu", "image", inner), node("Flatten", inner, "feature")],
        input: vec![image],
        output: vec![output("feature", false, DIMENSION)],
        ..Default::default()
    };
    let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let set = OperatorSetIdProto { version: Some(operators), ..Default::default() };
    let model = ModelProto {
        ir_version: Some(7),
        opset_import: vec![set],
        metadata_props: vec![entry("labels", "1000 classes"), entry("author", "somebody")],
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec().into()
}

fn about(max_batch: u32) -> BackboneModel {
    let preprocessing = Preprocessing {
        resize_shorter_side: 2,
        interpolation: "bicubic".into(),
        crop_height: 2,
        crop_width: 2,
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        scale: "unit".into(),
        channels: "rgb".into(),
        layout: "nchw".into(),
        ..Default::default()
    };
    let described = Backbone {
        name: "net".into(),
        space: "net@0".into(),
        dimension: DIMENSION as u32,
        preprocessing: Some(preprocessing),
        detachment: Some(Detachment { max_batch, ..Default::default() }),
        ..Default::default()
    };
    BackboneModel { backbone: Some(described), ..Default::default() }
}

/// The file of a head of two labels with these tensors, all of their numbers 0.5.
fn file(kind: &str, tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let data: Vec<u8> = vec![0.5f32; 1024].iter().flat_map(|number| number.to_le_bytes()).collect();
    let views = tensors.iter().map(|(name, shape)| {
        let size = 4 * shape.iter().product::<usize>();
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), &data[..size]).unwrap())
    });
    let mut notes: HashMap<String, String> =
        [("name", "pets"), ("version", "3"), ("space", "net@0"), ("labels", "[\"cat\", \"dog\"]"), ("nearest", "5")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    if !kind.is_empty() {
        notes.insert("kind".to_owned(), kind.to_owned());
    }
    safetensors::serialize(views, Some(notes)).unwrap()
}

fn linear() -> HeadFile {
    HeadFile::read(&file("", &[("weight", &[DIMENSION, 2]), ("bias", &[2])])).unwrap()
}

fn every_kind() -> Vec<Vec<u8>> {
    let layer: [(&str, &[usize]); 2] = [("weight", &[DIMENSION, 2]), ("bias", &[2])];
    let centre: [(&str, &[usize]); 2] = [("mean", &[DIMENSION]), ("scale", &[DIMENSION])];
    vec![
        file("", &layer),
        file("sigmoid", &[&layer[..], &[("threshold", &[2][..])]].concat()),
        file("prototype", &[&centre[..], &[("means", &[2, DIMENSION][..]), ("sharpness", &[1])]].concat()),
        file("knn", &[&centre[..], &[("examples", &[9, DIMENSION][..]), ("owners", &[9]), ("factor", &[1])]].concat()),
        file("mlp", &[("weight", &[4, 2]), ("bias", &[2]), ("hidden.weight", &[DIMENSION, 4]), ("hidden.bias", &[4])]),
    ]
}

fn grafted(operators: i64, inner: &str, head: &HeadFile) -> ModelProto {
    let file = graft(&about(0), backbone(operators, inner), head).unwrap();
    ModelProto::decode(&file[..]).unwrap()
}

fn note<'a>(model: &'a ModelProto, key: &str) -> &'a str {
    let mut found = model.metadata_props.iter().filter(|entry| entry.key() == key);
    let (first, second) = (found.next().unwrap(), found.next());
    assert!(second.is_none(), "{key}");
    first.value()
}

#[test]
fn every_kind_gives_probabilities_and_each_tensor_is_made_once_before_it_is_used() {
    for bytes in every_kind() {
        let head = HeadFile::read(&bytes).unwrap();
        let model = grafted(14, "inner", &head);
        assert_eq!(note(&model, "kind"), head.kind.name());
        let graph = model.graph.unwrap();
        let outputs: Vec<&str> = graph.output.iter().map(ValueInfoProto::name).collect();
        assert_eq!(outputs, ["probabilities", "logits", "embedding"]);
        let constants = graph.initializer.iter().map(TensorProto::name);
        let mut made: Vec<&str> = constants.chain(graph.input.iter().map(ValueInfoProto::name)).collect();
        for node in &graph.node {
            assert!(node.input.iter().all(|input| made.contains(&input.as_str())), "{node:?}");
            for output in &node.output {
                assert!(!made.contains(&output.as_str()), "{output} is made twice");
                made.push(output);
            }
        }
        assert!(outputs.iter().all(|output| made.contains(output)));
    }
}

#[test]
fn the_file_says_what_it_is() {
    let model = grafted(14, "inner", &linear());
    assert_eq!((note(&model, "head"), note(&model, "space")), ("pets@3", "net@0"));
    assert_eq!((note(&model, "labels"), note(&model, "author")), ("[\"cat\",\"dog\"]", "somebody"));
    let preprocessing: serde_json::Value = serde_json::from_str(note(&model, "preprocessing")).unwrap();
    assert_eq!(preprocessing["mean"][0], 0.485, "as many digits as there are");
    let said = model.doc_string();
    for word in ["`image`: float32 [batch, 3, 2, 2]", "shorter side to 2", "0 to 1", "[0.485,0.456,0.406]", "bicubic"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn tensors_of_the_backbone_that_are_named_as_ours_keep_apart() {
    for inner in ["probabilities", "logits", "embedding", "graft/head/output/weight"] {
        let graph = grafted(14, inner, &linear()).graph.unwrap();
        assert_eq!(graph.node[0].output, [format!("backbone/{inner}")]);
        assert_eq!(graph.node[1].input, graph.node[0].output);
    }
}

#[test]
fn a_backbone_of_one_image_at_a_time_stays_so() {
    let file = graft(&about(1), backbone(14, "inner"), &linear()).unwrap();
    let graph = ModelProto::decode(&file[..]).unwrap().graph.unwrap();
    for info in graph.input.iter().chain(&graph.output) {
        let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
        else {
            panic!("{info:?}")
        };
        assert_eq!(tensor.shape.as_ref().unwrap().dim[0].value, Some(DimValue(1)), "{}", info.name());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let neighbours = HeadFile::read(&every_kind()[3]).unwrap();
    let old = |operators, head: &HeadFile| graft(&about(0), backbone(operators, "inner"), head);
    assert!(matches!(old(6, &linear()), Err(GraftError::Operators { found: 6, needed: 7 })));
    assert!(matches!(old(8, &neighbours), Err(GraftError::Operators { found: 8, needed: 9 })));
    let top_k = grafted(9, "inner", &neighbours).graph.unwrap().node.into_iter().find(|node| node.op_type() == "TopK");
    assert_eq!(top_k.unwrap().attribute.len(), 2, "its number is an attribute");
    let other = HeadFile { space: "net@1".into(), ..linear() };
    let said = graft(&about(0), backbone(14, "inner"), &other).unwrap_err().to_string();
    assert!(said.contains("`net@1`") && said.contains("`net@0`"), "{said}");
    let narrow = HeadFile { dimension: 3, ..linear() };
    assert!(matches!(graft(&about(0), backbone(14, "inner"), &narrow), Err(GraftError::Head(_))));
    assert!(matches!(graft(&about(0), Bytes::from_static(b"no"), &linear()), Err(GraftError::Backbone(_))));
    assert!(matches!(
        graft(&about(0), Bytes::new(), &linear()),
        Err(GraftError::Backbone(_) | GraftError::Operators { .. })
    ));
}

#[test]
fn files_that_are_no_heads_are_refused() {
    let layer: [(&str, &[usize]); 2] = [("weight", &[DIMENSION, 2]), ("bias", &[2])];
    for (bytes, word) in [
        (b"no".to_vec(), "head's file"),
        (file("oracle", &layer), "oracle"),
        (file("", &layer[..1]), "bias"),
        (file("", &[("weight", &[DIMENSION, 3]), ("bias", &[3])]), "3 columns"),
        (file("", &[("weight", &[DIMENSION]), ("bias", &[2])]), "two dimensions"),
        (file("sigmoid", &layer), "threshold"),
        (file("prototype", &[("means", &[3, DIMENSION])]), "3 class means"),
    ] {
        let said = HeadFile::read(&bytes).unwrap_err().to_string();
        assert!(said.contains(word), "{word}: {said}");
    }
    let notes = HashMap::from([("labels".to_owned(), "cat".to_owned())]);
    let none: [(&str, TensorView<'_>); 0] = [];
    let bare = safetensors::serialize(none, Some(notes)).unwrap();
    assert!(HeadFile::read(&bare).unwrap_err().to_string().contains("labels"));
}
