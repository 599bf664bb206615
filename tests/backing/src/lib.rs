//! What tests keep state in: a real PostgreSQL, started on a free port and gone with the tests, and a bucket of a real S3
//! server in the process of the test.
//!
//! # Layout
//! - [`postgres`]: the server, and databases of it. [`bucket`]: the bucket.
//! - [`Cluster`]: both, empty.

pub mod bucket;
pub mod postgres;

pub use self::{bucket::Bucket, postgres::Postgres};

/// An empty database and an empty bucket.
#[derive(Debug)]
pub struct Cluster {
    /// The URL of the database.
    pub database: String,
    /// The bucket.
    pub bucket: Bucket,
}

impl Cluster {
    /// A database of the server that the tests of this process share, and a bucket of its own.
    pub async fn start() -> anyhow::Result<Cluster> {
        let database = postgres::shared().await?.database().await?;
        Ok(Cluster { database, bucket: Bucket::serve().await? })
    }
}
