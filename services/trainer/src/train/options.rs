//! The choices of a person as a fit takes them.

use graft_proto::v1::{HeadKind as Wanted, TrainingOptions};

use crate::{
    fit::{ClassWeights, FitError, FitOptions, HeadKind},
    store::datasets::DatasetRow,
};

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct OptionError {
    /// The field of the request.
    pub field: &'static str,
    /// What is wrong with it, and what is accepted.
    pub message: String,
}

/// The choices of a fit: what was told, and good defaults for the rest. What each class counts is left to [`weigh`], because it
/// depends on the dataset's labels.
///
/// # Errors
/// The first option that is out of range.
pub fn parse(wanted: Option<&TrainingOptions>) -> Result<FitOptions, OptionError> {
    let mut options = FitOptions::default();
    let Some(wanted) = wanted else { return Ok(options) };
    options.l2.clone_from(&wanted.l2);
    if wanted.max_iterations > 0 {
        options.max_iterations = wanted.max_iterations;
    }
    options.head = kind(wanted.head_kind)?;
    options.label_smoothing = wanted.label_smoothing;
    options.seed = wanted.seed;
    if wanted.balance_classes {
        options.class_weights = ClassWeights::Balanced;
    }
    if wanted.balance_classes && !wanted.class_weights.is_empty() {
        let message = "given beside balance_classes; only one of the two is accepted".to_owned();
        return Err(OptionError { field: "options.class_weights", message });
    }
    options.check().map_err(refuse)?;
    Ok(options)
}

/// Makes the choices fit the dataset: examples with sets of labels are fitted by a sigmoid head alone. Gives the reason, where the
/// kind was not told.
///
/// # Errors
/// A choice that has no meaning for sets of labels.
pub fn suit(
    options: &mut FitOptions,
    wanted: Option<&TrainingOptions>,
    dataset: &DatasetRow,
) -> Result<Option<String>, OptionError> {
    if !dataset.multi_label {
        return Ok(None);
    }
    let name = &dataset.name;
    let default = TrainingOptions::default();
    let wanted = wanted.unwrap_or(&default);
    let told = match wanted.head_kind() {
        Wanted::Unspecified | Wanted::Auto => false,
        Wanted::Sigmoid => true,
        kind => {
            let message = format!(
                "{} gives each image one label, and `{name}` is multi-label; HEAD_KIND_SIGMOID is accepted, and \
                 HEAD_KIND_AUTO and none, which choose it",
                kind.as_str_name()
            );
            return Err(OptionError { field: "options.head_kind", message });
        }
    };
    let refused = [
        ("options.balance_classes", wanted.balance_classes, "false"),
        ("options.class_weights", !wanted.class_weights.is_empty(), "none"),
    ];
    if let Some((field, _, accepted)) = refused.into_iter().find(|(_, given, _)| *given) {
        let message = format!(
            "`{name}` is multi-label: each label is fitted on its own, and its threshold is chosen for its own F1, so that no \
             other takes its weight; {accepted} is accepted"
        );
        return Err(OptionError { field, message });
    }
    options.head = HeadKind::Sigmoid;
    let reason = format!("`{name}` is multi-label, so each label needs a probability of its own");
    Ok((!told).then_some(reason))
}

/// Adds what each class counts: the weights that were told by label, and 1 for the labels that were not.
///
/// # Errors
/// A label that the dataset does not have, or a weight out of range.
pub fn weigh(options: &mut FitOptions, wanted: Option<&TrainingOptions>, labels: &[String]) -> Result<(), OptionError> {
    let Some(given) = wanted.map(|wanted| &wanted.class_weights).filter(|given| !given.is_empty()) else {
        return Ok(());
    };
    let field = "options.class_weights";
    let mut unknown: Vec<&String> = given.keys().filter(|label| !labels.contains(label)).collect();
    unknown.sort();
    if let Some(label) = unknown.first() {
        let message = format!("the dataset has no label `{label}`; labels of its examples are accepted");
        return Err(OptionError { field, message });
    }
    let weights: Vec<f64> = labels.iter().map(|label| given.get(label).copied().unwrap_or(1.0)).collect();
    for (label, weight) in labels.iter().zip(&weights) {
        if !(*weight > 0.0 && *weight <= f64::from(crate::fit::data::MAX_WEIGHT)) {
            let most = crate::fit::data::MAX_WEIGHT;
            let message = format!("`{label}` has {weight}; more than 0 and at most {most} is accepted");
            return Err(OptionError { field, message });
        }
    }
    options.class_weights = ClassWeights::Given(weights);
    Ok(())
}

fn kind(wanted: i32) -> Result<HeadKind, OptionError> {
    let known = Wanted::try_from(wanted).map_err(|_| OptionError {
        field: "options.head_kind",
        message: format!("{wanted} is unknown; a value of HeadKind is accepted"),
    })?;
    Ok(match known {
        Wanted::Unspecified | Wanted::Softmax => HeadKind::Softmax,
        Wanted::Auto => HeadKind::Auto,
        Wanted::Sigmoid => HeadKind::Sigmoid,
        Wanted::Ridge => HeadKind::Ridge,
        Wanted::Lda => HeadKind::Lda,
        Wanted::Prototype => HeadKind::Prototype,
        Wanted::Knn => HeadKind::Neighbours,
        Wanted::Mlp => HeadKind::Perceptron,
    })
}

/// The kind as the wire names it.
pub fn name(kind: HeadKind) -> Wanted {
    match kind {
        HeadKind::Auto => Wanted::Auto,
        HeadKind::Softmax => Wanted::Softmax,
        HeadKind::Sigmoid => Wanted::Sigmoid,
        HeadKind::Ridge => Wanted::Ridge,
        HeadKind::Lda => Wanted::Lda,
        HeadKind::Prototype => Wanted::Prototype,
        HeadKind::Neighbours => Wanted::Knn,
        HeadKind::Perceptron => Wanted::Mlp,
    }
}

fn refuse(error: FitError) -> OptionError {
    let field = match error {
        FitError::IterationsOutOfRange { .. } => "options.max_iterations",
        FitError::SmoothingOutOfRange { .. } => "options.label_smoothing",
        _ => "options.l2",
    };
    OptionError { field, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: TrainingOptions) -> &'static str {
        parse(Some(&options)).unwrap_err().field
    }

    #[test]
    fn an_option_out_of_range_is_named() {
        for l2 in [vec![0.1, 0.0], vec![-1.0], vec![1e7], vec![f64::NAN], vec![0.1; 65]] {
            assert_eq!(refused(TrainingOptions { l2, ..Default::default() }), "options.l2");
        }
        let defaults = TrainingOptions::default;
        assert_eq!(refused(TrainingOptions { max_iterations: 10_001, ..defaults() }), "options.max_iterations");
        assert_eq!(refused(TrainingOptions { head_kind: 99, ..defaults() }), "options.head_kind");
        assert_eq!(refused(TrainingOptions { label_smoothing: 0.6, ..defaults() }), "options.label_smoothing");
        let class_weights = [("cat".to_owned(), 2.0)].into();
        let both = TrainingOptions { balance_classes: true, class_weights, ..defaults() };
        assert_eq!(refused(both), "options.class_weights");
        assert_eq!(parse(None).unwrap(), FitOptions::default());
        assert_eq!(parse(Some(&defaults())).unwrap(), FitOptions::default());
    }

    #[test]
    fn kinds_have_the_same_name_both_ways() {
        for wanted in 1..=8 {
            assert_eq!(name(kind(wanted).unwrap()) as i32, wanted);
        }
    }

    #[test]
    fn sets_of_labels_take_a_sigmoid_head_and_no_class_weights() {
        let dataset = |multi_label| DatasetRow {
            augmentation: None,
            id: 1,
            name: "tags".into(),
            backbone: "net".into(),
            space: "net@0".into(),
            dimension: 3,
            create_time: 0,
            multi_label,
        };
        let suit_one = |wanted: &TrainingOptions, multi_label| {
            let mut options = parse(Some(wanted)).unwrap();
            suit(&mut options, Some(wanted), &dataset(multi_label)).map(|reason| (options.head, reason))
        };
        let kind = |kind: Wanted| TrainingOptions { head_kind: kind as i32, ..Default::default() };
        for wanted in [Wanted::Unspecified, Wanted::Auto] {
            let (head, reason) = suit_one(&kind(wanted), true).unwrap();
            assert!(head == HeadKind::Sigmoid && reason.unwrap().contains("`tags` is multi-label"));
        }
        assert_eq!(suit_one(&kind(Wanted::Sigmoid), true), Ok((HeadKind::Sigmoid, None)));
        assert_eq!(suit_one(&kind(Wanted::Lda), false), Ok((HeadKind::Lda, None)));
        let refused = suit_one(&kind(Wanted::Lda), true).unwrap_err();
        assert!(refused.field == "options.head_kind" && refused.message.contains("HEAD_KIND_SIGMOID"));
        let balanced = TrainingOptions { balance_classes: true, ..Default::default() };
        assert_eq!(suit_one(&balanced, true).unwrap_err().field, "options.balance_classes");
        let weighted = TrainingOptions { class_weights: [("cat".to_owned(), 2.0)].into(), ..Default::default() };
        assert_eq!(suit_one(&weighted, true).unwrap_err().field, "options.class_weights");
    }

    #[test]
    fn class_weights_go_by_label() {
        let labels = ["cat".to_owned(), "dog".to_owned()];
        let weigh_one = |label: &str, weight: f64| {
            let class_weights = [(label.to_owned(), weight)].into();
            let wanted = TrainingOptions { class_weights, ..Default::default() };
            let mut options = parse(Some(&wanted)).unwrap();
            weigh(&mut options, Some(&wanted), &labels).map(|()| options.class_weights)
        };
        assert_eq!(weigh_one("dog", 3.0), Ok(ClassWeights::Given(vec![1.0, 3.0])));
        assert!(weigh_one("cow", 1.0).unwrap_err().message.contains("`cow`"));
        assert!(weigh_one("dog", 0.0).unwrap_err().message.contains("`dog`"));
        assert!(weigh_one("dog", f64::NAN).is_err());
    }
}
