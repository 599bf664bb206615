//! Why two versions cannot be compared.

use graft_chassis::status;
use tonic::Status;

use crate::error::StoreError;

/// Why two versions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// They classify embeddings that must not be mixed.
    #[error("{first} classifies `{first_space}` and {second} `{second_space}`: no embedding is of both spaces")]
    Spaces {
        /// The first version.
        first: String,
        /// Its space.
        first_space: String,
        /// The second version.
        second: String,
        /// Its space.
        second_space: String,
    },
    /// The snapshot is not there.
    #[error("snapshot `{id}` of dataset {datasets} is not there; `graft dataset snapshots` lists those there are")]
    NoSnapshot {
        /// Its id.
        id: String,
        /// The datasets where it was looked for.
        datasets: String,
    },
    /// The snapshot is of another space than the heads.
    #[error("snapshot `{id}` is of `{space}`, and the heads classify `{heads}`")]
    SnapshotSpace {
        /// Its id.
        id: String,
        /// Its space.
        space: String,
        /// That of the heads.
        heads: String,
    },
    /// There is nothing to measure on.
    #[error("snapshot `{id}` has no test split, or no label")]
    NoTest {
        /// Its id.
        id: String,
    },
    /// A head answers with sets of labels and the examples have one each, or the other way round.
    #[error("{head} answers with {answers}, and the examples of snapshot `{id}` have {labels}")]
    Labels {
        /// The version.
        head: String,
        /// What it answers with.
        answers: &'static str,
        /// The snapshot.
        id: String,
        /// What its examples have.
        labels: &'static str,
    },
    /// It takes more memory than there is for it.
    #[error("{examples} test examples take {mib} MiB of embeddings and answers; {most} are allowed (--training-mib)")]
    TooLarge {
        /// Examples of the test split.
        examples: usize,
        /// What they take.
        mib: usize,
        /// What they may take.
        most: usize,
    },
    /// Others wait.
    #[error("{0} comparisons wait already; try again in a while")]
    Busy(usize),
    /// A version went while it was looked at.
    #[error("{head} was deleted just now")]
    Deleted {
        /// The version.
        head: String,
    },
    /// The state.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error("the comparison broke down: {0}")]
    Broken(String),
}

impl CompareError {
    /// Whether the two are such that no trainer could compare them.
    pub fn is_impossible(&self) -> bool {
        use CompareError::{Labels, NoSnapshot, NoTest, SnapshotSpace, Spaces};
        matches!(self, Spaces { .. } | NoSnapshot { .. } | SnapshotSpace { .. } | NoTest { .. } | Labels { .. })
    }
}

impl From<CompareError> for Status {
    fn from(error: CompareError) -> Self {
        let message = error.to_string();
        match error {
            CompareError::Spaces { .. } => status::precondition("second", message),
            CompareError::NoSnapshot { id, .. } if id.is_empty() => {
                let message = "missing: no version has a snapshot of its own, as heads that were fitted elsewhere have none; name one";
                status::precondition("snapshot", message)
            }
            CompareError::NoSnapshot { id, datasets } => {
                let hint = format!("{datasets} has none of this id; `graft dataset snapshots` lists those there are");
                status::not_found("snapshot", &id, &hint)
            }
            CompareError::Deleted { .. } => status::changed("head", message),
            CompareError::TooLarge { .. } => status::precondition("snapshot", message),
            CompareError::Busy(_) => status::exhausted("comparisons", message),
            CompareError::Store(error) => error.into(),
            CompareError::Broken(_) => status::internal(message),
            CompareError::SnapshotSpace { .. } | CompareError::NoTest { .. } | CompareError::Labels { .. } => {
                status::precondition("snapshot", message)
            }
        }
    }
}
