//! Did you mean: the existing name that is nearest to one that does not exist.

use std::time::Duration;

use graft_client::{Error, Graft};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::names::{Kind, existing};

/// How long the names may take to be listed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The name that was perhaps meant, where a service said that there is no such head, dataset or backbone.
pub async fn to(error: &Error, graft: &Graft) -> Option<String> {
    let Error::Refused(status) = error else { return None };
    let (kind, wanted) = missing(status)?;
    let names = tokio::time::timeout(PATIENCE, existing(kind, graft)).await.ok()?.ok()?;
    // NAME@VERSION or NAME@ALIAS: the name may be right, and then nothing better is known.
    let name = wanted.split_once('@').map_or(&*wanted, |(name, _)| name);
    nearest(name, &names).map(str::to_owned)
}

/// What the status says is not there.
fn missing(status: &Status) -> Option<(Kind, String)> {
    let info = (status.code() == Code::NotFound).then(|| status.get_details_resource_info())??;
    Some((Kind::of(&info.resource_type)?, info.resource_name))
}

/// The nearest of `names`, if it is near: no more than a third of its letters, or two, are different, missing or swapped.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let distance = |other: &String| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let (distance, nearest) =
        names.iter().map(|other| (distance(other), other)).min_by_key(|(distance, _)| *distance)?;
    let most = (name.chars().count() / 3).max(2);
    (distance <= most && name != nearest).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_forgiven_and_another_word_is_not() {
        let names = ["fashion", "flowers", "pets"].map(str::to_owned);
        assert_eq!(nearest("fashoin", &names), Some("fashion"));
        assert_eq!(nearest("Flower", &names), Some("flowers"));
        assert_eq!(nearest("pet", &names), Some("pets"));
        assert_eq!(nearest("aeroplanes", &names), None);
        assert_eq!(nearest("pets", &names), None, "it is there: something else was missing");
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn the_status_tells_what_was_missing() {
        let details = ErrorDetails::with_resource_info("dataset", "mine", "", "");
        let status = Status::with_error_details(Code::NotFound, "dataset `mine` does not exist", details);
        assert_eq!(missing(&status), Some((Kind::Dataset, "mine".into())));
        assert_eq!(missing(&Status::not_found("no such thing")), None);
        assert_eq!(missing(&Status::internal("broken")), None);
    }
}
