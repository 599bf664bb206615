//! What was said of a head, its file and its backbone become a head that can be registered.

use graft_chassis::status;
use graft_proto::v1::{Backbone, Head, HeadLink, HeadOrigin, MultiLabelReport, Report, Warning, WarningKind};
use tonic::Status;

use super::{
    file::{HeadFile, Weights},
    said::Said,
};
use crate::{
    fit::head::{self, Link},
    store::{now, timestamp},
};

/// The threshold of a label that has none: more likely there than not.
const EVEN: f32 = 0.5;

/// The backbone to ask the extractor about.
pub fn backbone<'a>(said: &'a Said, file: &'a HeadFile) -> Result<&'a str, Status> {
    let told = [&said.backbone, said.space.as_str(), file.space(), file.backbone()];
    told.into_iter().find(|text| !text.is_empty()).ok_or_else(|| {
        status::invalid(
            "options.backbone",
            "missing, and the file does not say it: weights mean something for the embeddings of one backbone alone",
        )
    })
}

/// The head, which has no version yet, and its weights.
pub fn accept(said: Said, file: HeadFile, backbone: &Backbone) -> Result<(Head, head::Head), Status> {
    expect_space(&said, &file, backbone)?;
    let labels = if said.labels.is_empty() { file.labels()? } else { said.labels.clone() };
    if labels.is_empty() {
        return Err(status::invalid(
            "options.labels",
            "none, and the file names none; the labels in the order of the logits are accepted",
        ));
    }
    let origin = HeadOrigin { note: said.note.clone(), file_hash: file.hash.clone(), exported_as: file.exported_as() };
    let weights = weights(&said, file.weights, labels.len(), backbone)?;
    if labels.len() < 2 && weights.link() == Link::Softmax {
        return Err(status::invalid(
            "options.labels",
            "one label; of classes that exclude each other at least 2 are accepted, of HEAD_LINK_SIGMOID 1",
        ));
    }
    let head = Head {
        name: said.name,
        space: backbone.space.clone(),
        backbone: backbone.name.clone(),
        labels,
        dimension: backbone.dimension,
        report: Some(unmeasured(weights.link())),
        create_time: Some(timestamp(now())),
        graft_version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: Some(origin),
        ..Default::default()
    };
    Ok((head, weights))
}

fn expect_space(said: &Said, file: &HeadFile, backbone: &Backbone) -> Result<(), Status> {
    let (field, expected) =
        if said.space.is_empty() { ("data", file.space()) } else { ("options.space", said.space.as_str()) };
    if expected.is_empty() || expected == backbone.space {
        return Ok(());
    }
    Err(status::precondition(
        field,
        format!(
            "the head is of `{}`, but the extractor's `{}` embeds into `{}`; they must not be mixed",
            status::quoted(expected),
            backbone.name,
            backbone.space
        ),
    ))
}

/// The weights of a file, checked against the labels and the backbone.
fn weights(said: &Said, weights: Weights, labels: usize, backbone: &Backbone) -> Result<head::Head, Status> {
    let dimension = backbone.dimension as usize;
    let mut head = match weights {
        Weights::Own(head) => head,
        Weights::Plain(plain) => {
            let linear = plain.linear(labels, dimension, said.order)?;
            match said.link {
                HeadLink::Sigmoid => head::Head::Sigmoid { linear, thresholds: vec![EVEN; labels] },
                HeadLink::Unspecified | HeadLink::Softmax => head::Head::Linear(linear),
            }
        }
    };
    if head.dimension() != dimension {
        return Err(status::invalid(
            "data",
            format!("it takes {} numbers; embeddings of `{}` have {dimension}", head.dimension(), backbone.space),
        ));
    }
    if head.classes() != labels {
        return Err(status::invalid("options.labels", format!("{labels}; the file has {} logits", head.classes())));
    }
    let link = if head.link() == Link::Sigmoid { HeadLink::Sigmoid } else { HeadLink::Softmax };
    if said.link != HeadLink::Unspecified && said.link != link {
        let message = format!("{}, but the file is of {}", said.link.as_str_name(), link.as_str_name());
        return Err(status::invalid("options.link", message));
    }
    set_thresholds(&mut head, &said.thresholds)?;
    if !head.is_finite() {
        return Err(status::invalid("data", "a number is not finite, or too large for F32"));
    }
    Ok(head)
}

fn set_thresholds(head: &mut head::Head, told: &[f32]) -> Result<(), Status> {
    if told.is_empty() {
        return Ok(());
    }
    match head {
        head::Head::Sigmoid { thresholds, .. } if thresholds.len() == told.len() => thresholds.copy_from_slice(told),
        head::Head::Sigmoid { thresholds, .. } => {
            let (found, labels) = (told.len(), thresholds.len());
            return Err(status::invalid(
                "options.thresholds",
                format!("{found}; one for each of {labels} labels is accepted"),
            ));
        }
        _ => {
            let message = "given for a head whose classes exclude each other; HEAD_LINK_SIGMOID has thresholds";
            return Err(status::invalid("options.thresholds", message));
        }
    }
    Ok(())
}

/// The evidence of a head that nothing was measured of.
fn unmeasured(link: Link) -> Report {
    let message = "It was imported, and nothing was measured: nothing is known here of how good it is.";
    let warning = Warning { kind: WarningKind::NoTest as i32, label: String::new(), message: message.to_owned() };
    let multi_label = (link == Link::Sigmoid).then(MultiLabelReport::default);
    Report { warnings: vec![warning], multi_label, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::{Dtype, tensor::TensorView};
    use tonic::Code;

    use super::*;
    use crate::{exchange::outgoing, fit::head::bytes};

    fn net() -> Backbone {
        Backbone { name: "net".into(), space: "net@0".into(), dimension: 3, ..Default::default() }
    }

    fn said() -> Said {
        let labels = ["cat", "dog"].map(str::to_owned).to_vec();
        Said { name: "pets".into(), backbone: "net".into(), labels, ..Default::default() }
    }

    fn plain(weight: &[f32], notes: HashMap<String, String>) -> HeadFile {
        let data = bytes(weight);
        let tensor = TensorView::new(Dtype::F32, vec![2, weight.len() / 2], &data).unwrap();
        HeadFile::read(&safetensors::serialize([("weight", tensor)], Some(notes)).unwrap()).unwrap()
    }

    fn refused(said: Said, file: HeadFile, code: Code, words: &[&str]) {
        let status = accept(said, file, &net()).unwrap_err();
        assert!(status.code() == code && words.iter().all(|word| status.message().contains(word)), "{status}");
    }

    const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn plain_weights_become_either_kind_and_say_that_nothing_was_measured() {
        let (head, weights) = accept(said(), plain(&WEIGHT, HashMap::new()), &net()).unwrap();
        assert_eq!((head.space.as_str(), head.dimension, head.training_run.as_str()), ("net@0", 3, ""));
        assert_eq!(head.report.unwrap().warnings[0].kind(), WarningKind::NoTest);
        assert_eq!(weights.link(), Link::Softmax);
        let sigmoid = Said { link: HeadLink::Sigmoid, labels: vec!["a".into(), "b".into()], ..said() };
        let (head, weights) = accept(sigmoid.clone(), plain(&WEIGHT, HashMap::new()), &net()).unwrap();
        assert_eq!(weights.thresholds(), Some(&[0.5, 0.5][..]));
        assert!(head.report.unwrap().multi_label.is_some());
        let told = Said { thresholds: vec![0.25, 0.75], ..sigmoid.clone() };
        let (_, weights) = accept(told, plain(&WEIGHT, HashMap::new()), &net()).unwrap();
        assert_eq!(weights.thresholds(), Some(&[0.25, 0.75][..]));
        let one = Said { thresholds: vec![0.25], ..sigmoid };
        refused(one, plain(&WEIGHT, HashMap::new()), Code::InvalidArgument, &["options.thresholds", "2 labels"]);
    }

    #[test]
    fn a_file_of_ours_needs_no_words_and_keeps_every_number() {
        let linear = head::LinearHead { weights: WEIGHT.to_vec(), bias: vec![0.1, -0.2], dimension: 3, classes: 2 };
        let weights = head::Head::Sigmoid { linear, thresholds: vec![0.3, 0.6] };
        let head = Head {
            name: "pets".into(),
            version: 7,
            space: "net@0".into(),
            backbone: "net".into(),
            labels: vec!["dog \"x\"".into(), "cat".into()],
            graft_version: "0.1.0".into(),
            ..Default::default()
        };
        let file = outgoing::file(&head, &weights).unwrap();
        let said = Said { name: "copy".into(), ..Default::default() };
        let read = HeadFile::read(&file).unwrap();
        assert_eq!(backbone(&said, &read).unwrap(), "net@0");
        let (copy, same) = accept(said.clone(), read, &net()).unwrap();
        assert_eq!((copy.labels, same), (head.labels.clone(), weights.clone()));
        assert_eq!(copy.origin.unwrap().exported_as, "pets@7");
        let other = Said { link: HeadLink::Softmax, ..said.clone() };
        refused(other, HeadFile::read(&file).unwrap(), Code::InvalidArgument, &["options.link", "HEAD_LINK_SIGMOID"]);
        let elsewhere = Backbone { space: "net@1".into(), ..net() };
        let mixed = accept(said.clone(), HeadFile::read(&file).unwrap(), &elsewhere).unwrap_err();
        assert!(mixed.code() == Code::FailedPrecondition && mixed.message().contains("net@1"), "{mixed}");
        let sure = Said { space: "net@1".into(), ..said };
        assert!(
            accept(sure, HeadFile::read(&file).unwrap(), &elsewhere).is_ok(),
            "the importer says it is of this space"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let file = || plain(&WEIGHT, HashMap::new());
        let invalid = Code::InvalidArgument;
        refused(Said { labels: vec![], ..said() }, file(), invalid, &["options.labels", "none"]);
        refused(Said { labels: vec!["a".into()], ..said() }, file(), invalid, &["[2, 3]", "[1, 3]"]);
        refused(said(), plain(&[f32::NAN; 6], HashMap::new()), invalid, &["finite"]);
        refused(Said { space: "net@9".into(), ..said() }, file(), Code::FailedPrecondition, &["net@9", "net@0"]);
        let notes = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        let unlabelled = Said { labels: vec![], ..said() };
        refused(unlabelled.clone(), plain(&WEIGHT, notes("labels", "cat")), invalid, &["`labels`", "JSON"]);
        refused(unlabelled, plain(&WEIGHT, notes("labels", "[\"a\", \"a\"]")), invalid, &["twice"]);
        assert!(backbone(&Said { backbone: String::new(), ..said() }, &file()).is_err());
    }

    #[test]
    fn hostile_files_are_refused() {
        for bytes in [&b""[..], b"no", &[0xff; 64], &[0; 8], b"\x02\0\0\0\0\0\0\0{}"] {
            assert_eq!(HeadFile::read(bytes).unwrap_err().code(), Code::InvalidArgument, "{bytes:?}");
        }
        let ours = |tensors: &[(&str, &[usize])], kind: &str| {
            let data = vec![0; 1 << 10];
            let size = |shape: &[usize]| 4 * shape.iter().product::<usize>();
            let views = tensors.iter().map(|(name, shape)| {
                (*name, TensorView::new(Dtype::F32, shape.to_vec(), &data[..size(shape)]).unwrap())
            });
            let mut notes = HashMap::from([("graft_version".to_owned(), "9".to_owned())]);
            if !kind.is_empty() {
                notes.insert("kind".to_owned(), kind.to_owned());
            }
            HeadFile::read(&safetensors::serialize(views, Some(notes)).unwrap()).unwrap_err().message().to_owned()
        };
        let more = ours(&[("weight", &[3, 2]), ("bias", &[2]), ("extra", &[1])], "");
        assert!(more.contains("`extra`") && more.contains("`bias`, `weight`"), "{more}");
        assert!(ours(&[("weight", &[3, 2])], "oracle").contains("oracle"));
        assert!(
            ours(&[("means", &[2, 0]), ("sharpness", &[1]), ("mean", &[0]), ("scale", &[0])], "prototype")
                .contains("0")
        );
        assert!(ours(&[("weight", &[3, 2]), ("bias", &[3])], "").contains("bias"));
    }
}
