//! The one place where the trainer's errors become gRPC statuses.

use graft_chassis::status;
use tonic::{Code, Status};

use crate::fit::FitError;

/// What went wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQL.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// Migrations.
    #[error("database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Files.
    #[error("storage: {0}")]
    Object(#[from] object_store::Error),
    /// A file is not what was written.
    #[error("{file}: {reason}; restore it from a backup, or delete and import again what it held")]
    Damaged {
        /// The file, within the data directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => {
                tracing::error!(%error, "damaged file");
                Status::new(Code::DataLoss, error.to_string())
            }
            other => status::internal(other.to_string()),
        }
    }
}

/// Why a run failed, as its `error` says it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The fit.
    #[error("{0}")]
    Fit(#[from] FitError),
    /// The dataset has changed and cannot be fitted on any more.
    #[error("{0}")]
    Dataset(String),
    /// The fit broke down.
    #[error("the fit broke down: {0}")]
    Broken(String),
}
