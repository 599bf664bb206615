//! Every kind of head through a file, and what its logits become.

use super::cosine::Space;
use super::*;

fn linear() -> LinearHead {
    LinearHead { weights: vec![1.0, -2.0, 0.5, 3.0, 0.0, 1.0], bias: vec![0.1, 0.2], dimension: 3, classes: 2 }
}

fn space() -> Space {
    Space { mean: vec![0.5, 0.0, -1.0], scale: vec![1.0, 2.0, 0.5] }
}

fn every_kind() -> Vec<Head> {
    let examples = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.6, 0.8];
    vec![
        Head::Linear(linear()),
        Head::Sigmoid { linear: linear(), thresholds: vec![0.5, 0.25] },
        Head::Prototype(PrototypeHead { space: space(), means: vec![1.0, 0.0, 0.0, 0.0, 0.6, 0.8], sharpness: 4.0 }),
        Head::Neighbours(NeighboursHead {
            space: space(),
            examples,
            owners: vec![0, 1, 1],
            classes: 2,
            nearest: 2,
            factor: 0.75,
        }),
        Head::Perceptron(PerceptronHead {
            hidden: LinearHead { weights: vec![0.5; 12], bias: vec![0.1; 4], dimension: 3, classes: 4 },
            output: LinearHead {
                weights: vec![0.5, -0.5, 1.0, 0.0, 0.0, 1.0, 2.0, 2.0],
                bias: vec![0.0, 0.5],
                dimension: 4,
                classes: 2,
            },
        }),
    ]
}

#[test]
fn every_kind_is_the_same_after_a_file() {
    for head in every_kind() {
        let metadata = || (0..20).map(|i| (format!("key {i}"), format!("{i}\"\n"))).collect();
        let file = head.to_safetensors(metadata()).unwrap();
        assert_eq!(file, head.to_safetensors(metadata()).unwrap(), "the same bytes each time");
        assert_eq!(Head::from_safetensors(&file).unwrap(), head);
        assert!(Head::from_safetensors(&file[..file.len() - 4]).is_err());
        assert_eq!((head.dimension(), head.classes()), (3, 2));
        assert!(head.is_finite() && head.size() > 0);
        let read = safetensors::SafeTensors::deserialize(&file).unwrap();
        let mut names = read.names();
        names.sort_unstable();
        assert_eq!(names, head.tensors());
    }
}

#[test]
fn every_kind_has_logits_that_a_temperature_divides() {
    let rows = vec![1.0, 1.0, 1.0, -0.5, 2.0, 0.0];
    for mut head in every_kind() {
        let before = head.logits(rows.clone(), 2).unwrap();
        assert_eq!(before.len(), 4);
        assert!(head.logits(rows[..3].to_vec(), 2).is_err(), "{head:?}");
        head.scale(2.0);
        let after = head.logits(rows.clone(), 2).unwrap();
        before.iter().zip(after).for_each(|(before, after)| assert!((before / 2.0 - after).abs() < 1e-5, "{head:?}"));
    }
}

#[test]
fn thresholds_move_with_their_probabilities() {
    let mut head = Head::Sigmoid { linear: linear(), thresholds: vec![0.8, 0.5] };
    head.scale(2.0);
    let Head::Sigmoid { thresholds, .. } = head else { panic!() };
    assert!((thresholds[0] - 2.0 / 3.0).abs() < 1e-6 && thresholds[1] == 0.5, "{thresholds:?}");
}

#[test]
fn what_is_no_head_is_refused() {
    let cut = LinearHead { bias: vec![0.1], ..linear() };
    assert!(Head::Linear(cut).to_safetensors(HashMap::new()).is_err());
    let unknown = HashMap::from([("kind".to_owned(), "oracle".to_owned())]);
    let file = Head::Linear(linear()).to_safetensors(unknown).unwrap();
    assert!(matches!(Head::from_safetensors(&file), Err(HeadError::Kind(kind)) if kind == "oracle"));
    assert!(matches!(Head::from_safetensors(b"no"), Err(HeadError::Format(_))));
    let other =
        NeighboursHead { space: space(), examples: vec![0.0; 3], owners: vec![7], classes: 2, nearest: 1, factor: 1.0 };
    let file = Head::Neighbours(other).to_safetensors(HashMap::new()).unwrap();
    assert!(Head::from_safetensors(&file).is_err(), "an example of a class that there is not");
    let none = LinearHead { weights: vec![], bias: vec![], dimension: 3, classes: 0 };
    let file = Head::Linear(none).to_safetensors(HashMap::new()).unwrap();
    assert!(Head::from_safetensors(&file).unwrap_err().to_string().contains("none of them 0"));
}

#[test]
fn probabilities_add_up_and_ties_keep_their_order() {
    let mut row = [1000.0, 1000.0, -1000.0, 999.0];
    softmax(&mut row);
    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(top_k(&row, 3), [0, 1, 3]);
    assert_eq!(top_k(&row, 99).len(), 4);
}
