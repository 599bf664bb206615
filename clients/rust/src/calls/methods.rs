//! Which calls have a deadline unless they bring one, and which are made again when a service was unavailable for a moment.
//!
//! **Made again** are calls that only read, and the few that change something but come to the same when they are made
//! twice: `CancelTrainingRun` (a run that has ended stays as it is), `CreateSnapshot` (the same content is the same
//! snapshot) and `Correct` (the same correction twice is one). `Classify` counts as reading: what it counts, it counts when
//! it has answered.
//!
//! **Not made again** is everything else. An answer may have been lost after the work was done: made again, a deletion
//! would be told that there is nothing, a creation that the name is taken, and a training run, a promotion or a roll back
//! would be done twice. Where not even a connection was made, nothing can have been done, and any unary call is made again.
//!
//! Streams have no deadline, for nobody knows how long they are, and are not made again here: [`crate::import()`],
//! [`crate::extract()`], [`crate::classify_many()`], [`crate::watch()`] and [`crate::embeddings()`] know what of a lost stream
//! is left to do.

use std::time::Duration;

/// How long a call may take unless told.
pub const USUAL: Duration = Duration::from_secs(60);
/// The same for calls that read, measure or remove a whole dataset.
pub const LONG: Duration = Duration::from_secs(600);

/// A unary call of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// How long it may take unless told.
    pub deadline: Duration,
    /// Whether it may be made again although the service may have done it.
    pub safe: bool,
}

const ONCE: Method = Method { deadline: USUAL, safe: false };
const AGAIN: Method = Method { deadline: USUAL, safe: true };
const LONG_ONCE: Method = Method { deadline: LONG, safe: false };
const LONG_AGAIN: Method = Method { deadline: LONG, safe: true };

const PACKAGE: &str = "/graft.v1.";

/// Every unary call; a test compares it with the contract.
const UNARY: [(&str, Method); 33] = [
    ("ClassifierService/Classify", AGAIN),
    ("DatasetService/CreateDataset", ONCE),
    ("DatasetService/CreateSnapshot", LONG_AGAIN),
    ("DatasetService/DeleteDataset", LONG_ONCE),
    ("DatasetService/GetDataset", AGAIN),
    ("DatasetService/GetDatasetStats", LONG_AGAIN),
    ("DatasetService/GetSnapshot", AGAIN),
    ("DatasetService/ListDatasets", AGAIN),
    ("DatasetService/ListExamples", AGAIN),
    ("DatasetService/ListSnapshots", AGAIN),
    ("DatasetService/RelabelExamples", ONCE),
    ("DatasetService/RemoveExamples", ONCE),
    ("ExtractorService/GetBackbone", AGAIN),
    ("ExtractorService/ListBackbones", AGAIN),
    ("FeedbackService/Correct", AGAIN),
    ("FeedbackService/ListCorrections", AGAIN),
    ("FeedbackService/SuggestExamples", LONG_AGAIN),
    ("HeadService/CompareHeads", LONG_AGAIN),
    ("HeadService/DeleteAlias", ONCE),
    ("HeadService/DeleteHead", ONCE),
    ("HeadService/GetHead", AGAIN),
    ("HeadService/GetHeadTraffic", AGAIN),
    ("HeadService/ListAliases", AGAIN),
    ("HeadService/ListHeads", AGAIN),
    ("HeadService/ListPromotions", AGAIN),
    ("HeadService/PromoteHead", LONG_ONCE),
    ("HeadService/RollBackHead", ONCE),
    ("HeadService/SplitTraffic", ONCE),
    ("MaintenanceService/CollectGarbage", LONG_ONCE),
    ("TrainingService/CancelTrainingRun", AGAIN),
    ("TrainingService/CreateTrainingRun", LONG_ONCE),
    ("TrainingService/GetTrainingRun", AGAIN),
    ("TrainingService/ListTrainingRuns", AGAIN),
];

impl Method {
    /// The unary call at this path, if it is one of the contract.
    pub fn of(path: &str) -> Option<Method> {
        let name = path.strip_prefix(PACKAGE)?;
        let place = UNARY.binary_search_by_key(&name, |(name, _)| *name).ok()?;
        UNARY.get(place).map(|(_, method)| *method)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_unary_call_of_the_contract_is_listed_and_no_other() {
        let set = FileDescriptorSet::decode(graft_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut contract = BTreeSet::new();
        for file in set.file.iter().filter(|file| file.package() == "graft.v1") {
            for service in &file.service {
                let unary = service.method.iter().filter(|m| !m.client_streaming() && !m.server_streaming());
                contract.extend(unary.map(|method| format!("{}/{}", service.name(), method.name())));
            }
        }
        let listed: Vec<&str> = UNARY.iter().map(|(name, _)| *name).collect();
        assert!(listed.iter().eq(contract.iter()), "listed, in order: {listed:?}; of the contract: {contract:?}");
    }

    #[test]
    fn reads_are_safe_and_changes_are_not() {
        assert_eq!(Method::of("/graft.v1.HeadService/GetHead"), Some(AGAIN));
        for (name, method) in UNARY {
            let call = name.split_once('/').unwrap().1;
            let reads = ["Get", "List", "Compare", "Suggest", "Classify"].iter().any(|verb| call.starts_with(verb));
            let same_twice = ["CancelTrainingRun", "CreateSnapshot", "Correct"].contains(&call);
            assert_eq!(method.safe, reads || same_twice, "{name}");
        }
        for path in ["/graft.v1.ExtractorService/Extract", "/grpc.health.v1.Health/Check", ""] {
            assert_eq!(Method::of(path), None);
        }
    }
}
