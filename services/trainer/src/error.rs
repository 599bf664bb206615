//! The one place where the trainer's errors become gRPC statuses.

use std::{error::Error, io};

use graft_chassis::status;
use sqlx::{migrate::MigrateError, sqlite::SqliteError};
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
    /// The bucket's settings.
    #[error("storage: {0}")]
    Bucket(#[from] graft_pull::PullError),
    /// A file is not what was written.
    #[error("{file}: {reason}; restore it from a backup, or delete and import again what it held")]
    Damaged {
        /// The file, within the data directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// SQLite's code of a full disk. <https://www.sqlite.org/rescode.html#full>
const SQLITE_FULL: &str = "13";

/// PostgreSQL's codes of what passes: connections lost or refused, deadlocks, a server that stops, starts or is a copy that
/// does not lead, and resources that others use just now.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const PASSING_CODES: [&str; 9] = ["08", "40001", "40P01", "53", "55P03", "57P01", "57P02", "57P03", "25006"];

impl StoreError {
    /// Whether the same may succeed a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            full if full.is_full() => true,
            StoreError::Sql(error) => sql_passes(error),
            StoreError::Migrate(MigrateError::Execute(error)) => sql_passes(error),
            // What a bucket that fails, is busy or cannot be reached comes to.
            StoreError::Object(object_store::Error::Generic { .. }) => true,
            _ => false,
        }
    }

    /// Whether there is no room left on the disk.
    pub fn is_full(&self) -> bool {
        if let StoreError::Sql(sqlx::Error::Database(error)) = self {
            return error.try_downcast_ref::<SqliteError>().is_some()
                && error.code().is_some_and(|code| code == SQLITE_FULL);
        }
        let mut error: Option<&dyn Error> = Some(self);
        while let Some(here) = error {
            if here.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
                return true;
            }
            error = here.source();
        }
        false
    }
}

fn sql_passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            let known = PASSING_CODES.iter().any(|passing| code.starts_with(passing));
            known && error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some()
        }
        _ => false,
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            full if full.is_full() => {
                tracing::error!(error = %full, "the disk is full");
                let message = format!(
                    "the trainer's disk is full ({full}); nothing of this was kept half, so free some room and try it again"
                );
                status::exhausted("storage", &message)
            }
            passing if passing.is_passing() => {
                tracing::warn!(error = %passing, "the state cannot be reached");
                status::unavailable(format!("{passing}; nothing of this was kept half, so try it again in a while"))
            }
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
    /// It may be what kills the trainers.
    #[error(
        "given up: {0} times, the trainer that fitted it ended or could not reach its state; see whether its memory is enough \
         (training-mib), then train again"
    )]
    GivenUp(u32),
    /// The fit broke down.
    #[error("the fit broke down: {0}")]
    Broken(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one() {
        let file =
            |kind: io::ErrorKind| object_store::Error::Generic { store: "file", source: io::Error::from(kind).into() };
        let full = StoreError::from(file(io::ErrorKind::StorageFull));
        assert!(full.is_full() && full.is_passing());
        let status = Status::from(full);
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("disk is full"), "{}", status.message());
        let other = StoreError::from(file(io::ErrorKind::TimedOut));
        assert!(!other.is_full());
        assert_eq!(Status::from(other).code(), Code::Unavailable);
    }
}
