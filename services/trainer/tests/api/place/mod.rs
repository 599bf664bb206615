//! Where tests keep their state: each test runs in a directory, and on PostgreSQL and a bucket.

use std::path::PathBuf;

use graft_backing::Cluster;
use graft_trainer::store::{Location, Store, location::Bucket};
use tempfile::TempDir;

/// The prefix of the state in the bucket.
const PREFIX: &str = "some/prefix";

/// A place that is empty at first.
pub(crate) struct Place {
    /// The data directory.
    pub folder: TempDir,
    /// What is used instead of it.
    pub cluster: Option<Cluster>,
}

#[allow(dead_code, reason = "not every test file needs it")]
impl Place {
    /// A directory.
    pub async fn directory() -> Place {
        Place { folder: TempDir::new().unwrap(), cluster: None }
    }

    /// PostgreSQL and a bucket.
    pub async fn cluster() -> Place {
        Place { folder: TempDir::new().unwrap(), cluster: Some(Cluster::start().await.unwrap()) }
    }

    /// For who opens it.
    pub fn location(&self) -> Location {
        let mut location = Location::from(self.folder.path());
        if let Some(Cluster { database, bucket }) = &self.cluster {
            location.database = Some(database.parse().unwrap());
            let url = format!("{}/{PREFIX}", bucket.uri()).parse().unwrap();
            location.bucket = Some(Bucket { url, environment: bucket.environment() });
        }
        location
    }

    /// The state, as a process that starts finds it.
    pub async fn open(&self) -> Store {
        Store::open_at(&self.location()).await.unwrap()
    }

    /// Where a file of the state is on this machine.
    pub fn path(&self, file: &str) -> PathBuf {
        match &self.cluster {
            Some(cluster) => cluster.bucket.files().join(PREFIX).join(file),
            None => self.folder.path().join(file),
        }
    }
}

/// Run tests, functions of a place, in a directory and on a cluster.
macro_rules! in_both {
    ($($name:ident),* $(,)?) => {
        mod directory {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::Place::directory().await).await;
                }
            )*
        }

        mod cluster {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::Place::cluster().await).await;
                }
            )*
        }
    };
}

pub(crate) use in_both;
