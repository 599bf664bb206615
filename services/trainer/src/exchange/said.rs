//! What the importer says of a head, checked as far as it can be without the file.

use std::collections::HashSet;

use graft_chassis::status;
use graft_proto::v1::{HeadLink, ImportHeadOptions, WeightOrder};
use tonic::Status;

use crate::names::{MOST_LABELS, Name, check_label};

/// The longest note, in bytes.
const NOTE_BYTES: usize = 1024;
/// The longest space, in bytes: a backbone's name and a hash.
const SPACE_BYTES: usize = 256;

/// What was said. What is empty is left to the file.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The head's name.
    pub name: String,
    /// The backbone, or NAME@HASH.
    pub backbone: String,
    /// NAME@HASH.
    pub space: String,
    /// In the order of the logits.
    pub labels: Vec<String>,
    /// What makes logits probabilities.
    pub link: HeadLink,
    /// From which probability on each label is given.
    pub thresholds: Vec<f32>,
    /// How plain weights are ordered.
    pub order: WeightOrder,
    /// Where it comes from.
    pub note: String,
}

impl Said {
    /// Check the options of an import.
    pub fn check(options: ImportHeadOptions) -> Result<Said, Status> {
        let name = Name::parse("options.name", &options.name)?.to_string();
        let (link, order) = (options.link(), options.weight_order());
        known("options.link", options.link, link as i32)?;
        known("options.weight_order", options.weight_order, order as i32)?;
        let ImportHeadOptions { backbone, space, labels, thresholds, note, .. } = options;
        if !backbone.is_empty() {
            Name::parse("options.backbone", backbone.split('@').next().unwrap_or_default())?;
        }
        for (field, text, most) in [
            ("options.backbone", &backbone, SPACE_BYTES),
            ("options.space", &space, SPACE_BYTES),
            ("options.note", &note, NOTE_BYTES),
        ] {
            if text.len() > most {
                return Err(status::invalid(field, format!("{} bytes; at most {most} are accepted", text.len())));
            }
        }
        check_labels("options.labels", &labels)?;
        if link == HeadLink::Softmax && !thresholds.is_empty() {
            return Err(status::invalid("options.thresholds", "given for HEAD_LINK_SOFTMAX, whose labels have none"));
        }
        if let Some(bad) = thresholds.iter().find(|threshold| !(**threshold > 0.0 && **threshold < 1.0)) {
            return Err(status::invalid(
                "options.thresholds",
                format!("{bad}; probabilities above 0 and below 1 are accepted"),
            ));
        }
        Ok(Said { name, backbone, space, labels, link, thresholds, order, note })
    }
}

/// Check labels in the order of logits: each fine, none twice, and not too many.
pub(super) fn check_labels(field: &str, labels: &[String]) -> Result<(), Status> {
    if labels.len() > MOST_LABELS {
        return Err(status::invalid(field, format!("{} labels; at most {MOST_LABELS} are accepted", labels.len())));
    }
    labels.iter().try_for_each(|label| check_label(field, label))?;
    let mut seen = HashSet::new();
    match labels.iter().find(|label| !seen.insert(label.as_str())) {
        Some(twice) => Err(status::invalid(
            field,
            format!("`{}` is there twice; each label is accepted once", status::quoted(twice)),
        )),
        None => Ok(()),
    }
}

/// A number that stands for no value of its enumeration is read as its default.
fn known(field: &str, sent: i32, read: i32) -> Result<(), Status> {
    if sent == read { Ok(()) } else { Err(status::invalid(field, format!("{sent} is unknown"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ImportHeadOptions), words: &[&str]) {
        let mut options = ImportHeadOptions { name: "h".into(), ..Default::default() };
        change(&mut options);
        let message = Said::check(options).unwrap_err().message().to_owned();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused(|options| options.name = "A b".into(), &["options.name", "A b"]);
        refused(|options| options.link = 9, &["options.link", "9"]);
        refused(|options| options.weight_order = -1, &["options.weight_order", "-1"]);
        refused(|options| options.backbone = "a/b@c".into(), &["options.backbone", "a/b"]);
        refused(|options| options.space = "x".repeat(300), &["options.space", "300", "256"]);
        refused(|options| options.note = "x".repeat(1025), &["options.note", "1025", "1024"]);
        refused(
            |options| options.labels = vec!["a".into(), "b".into(), "a".into()],
            &["options.labels", "`a`", "twice"],
        );
        refused(|options| options.labels = vec![String::new()], &["options.labels", "0 bytes"]);
        refused(|options| options.labels = (0..1001).map(|n| n.to_string()).collect(), &["options.labels", "1001"]);
        for bad in [0.0, 1.0, f32::NAN, -0.5] {
            refused(|options| options.thresholds = vec![bad], &["options.thresholds", "above 0"]);
        }
        let softmax = |options: &mut ImportHeadOptions| {
            (options.link, options.thresholds) = (HeadLink::Softmax as i32, vec![0.5]);
        };
        refused(softmax, &["options.thresholds", "SOFTMAX"]);
    }
}
