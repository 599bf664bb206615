//! Immutable files: in a directory of this machine, or in a bucket.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutPayload, local::LocalFileSystem, path::Path as ObjectPath,
};

use super::{
    location::Bucket,
    retry::{PATIENCE, patiently},
};
use crate::error::StoreError;

/// An object of a bucket that is older than this and that no row counts is what an interrupted write left. No write takes
/// so long: each of its steps gives up long before.
pub const ORPHANED: Duration = Duration::from_secs(24 * 3600);
/// A write that takes longer than this has failed.
const SLOWEST: Duration = Duration::from_secs(600);
/// The object whose content is the id of the database that the bucket belongs to.
const OWNER: &str = "graft-database";
/// The object that is written to learn the time of the bucket's clock.
const CLOCK: &str = "graft-clock";

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// What the name of each file begins with.
    prefix: ObjectPath,
    /// The directory, if it is one.
    folder: Option<PathBuf>,
}

impl Files {
    /// In a directory, which must be there.
    pub fn in_folder(folder: &Path) -> Result<Files, StoreError> {
        // A row may count a file only once the file is as durable as the row will be.
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Files { store: Arc::new(store), prefix: ObjectPath::default(), folder: Some(folder.to_owned()) })
    }

    /// In a bucket.
    pub fn in_bucket(bucket: &Bucket) -> Result<Files, StoreError> {
        let place = graft_pull::place::open(bucket.url.url(), &bucket.environment)?;
        Ok(Files { store: place.store, prefix: place.path, folder: None })
    }

    fn path(&self, file: &str) -> ObjectPath {
        self.prefix.parts().chain(ObjectPath::from(file).parts()).collect()
    }

    /// Write a file. A bucket that fails is tried again for a while.
    pub async fn put(&self, file: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let (path, bytes) = (self.path(file), Bytes::from(bytes));
        let patience = if self.folder.is_some() { Duration::ZERO } else { PATIENCE };
        patiently!(patience, self.try_put(file, &path, bytes.clone()))
    }

    async fn try_put(&self, file: &str, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        let written = self.store.put(path, PutPayload::from_bytes(bytes));
        tokio::time::timeout(SLOWEST, written).await.map_err(|_| too_slow(file))??;
        Ok(())
    }

    /// Read a file and check that it is what was written.
    pub async fn get(&self, file: &str, checksum: &[u8]) -> Result<Bytes, StoreError> {
        let damaged = |reason: &str| StoreError::Damaged { file: file.to_owned(), reason: reason.to_owned() };
        let bytes = match self.store.get(&self.path(file)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Err(damaged("the file is missing")),
            Err(error) => return Err(error.into()),
        };
        if blake3::hash(&bytes).as_bytes() != checksum {
            return Err(damaged("its checksum is not that of what was written"));
        }
        Ok(bytes)
    }

    /// Bytes of a file; `None` if it is missing.
    pub async fn size(&self, file: &str) -> Result<Option<u64>, StoreError> {
        match self.store.head(&self.path(file)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of `kind` that an interrupted write may have left, unless a row counts them: all of a directory, which
    /// nobody else writes; of a bucket those that are older than `age`.
    pub async fn candidates(&self, kind: &str, age: Duration) -> Result<Vec<String>, StoreError> {
        let found: Vec<_> = self.store.list(Some(&self.path(kind))).try_collect().await?;
        let now = match self.folder {
            Some(_) => None,
            None => Some(self.clock().await?),
        };
        let old = |modified: SystemTime| now.is_none_or(|now| modified + age <= now);
        let old = found.into_iter().filter(|file| old(file.last_modified.into()));
        Ok(old.filter_map(|file| Some(format!("{kind}/{}", file.location.filename()?))).collect())
    }

    /// Remove those of `candidates` that are not `counted`.
    pub async fn remove(&self, candidates: Vec<String>, counted: &HashSet<String>) -> Result<(), StoreError> {
        for file in candidates.into_iter().filter(|file| !counted.contains(file)) {
            tracing::info!(file, "removing what an interrupted write left");
            match self.store.delete(&self.path(&file)).await {
                // Another replica was faster.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Remove what a crash left of files of a directory that were being written. The object store stages them as `NAME#N`,
    /// and does not list those.
    pub fn remove_unfinished(&self, kind: &str) {
        // The folder is made with its first file.
        let Some(Ok(entries)) = self.folder.as_ref().map(|folder| fs::read_dir(folder.join(kind))) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let staged = path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'#'));
            if staged && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an unfinished file cannot be removed");
            }
        }
    }

    /// The id of the database that the bucket belongs to: `id`, unless it had one already.
    pub async fn claim(&self, id: &str) -> Result<String, StoreError> {
        let path = self.path(OWNER);
        let payload = PutPayload::from(id.as_bytes().to_vec());
        match self.store.put_opts(&path, payload, PutMode::Create.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let owner = self.store.get(&path).await?.bytes().await?;
        Ok(String::from_utf8_lossy(&owner).into_owned())
    }

    /// The time of the bucket's clock, by which its objects are dated: this machine's may be wrong.
    async fn clock(&self) -> Result<SystemTime, StoreError> {
        let path = self.path(CLOCK);
        self.store.put(&path, PutPayload::from_static(b"when")).await?;
        Ok(self.store.head(&path).await?.last_modified.into())
    }
}

fn too_slow(file: &str) -> object_store::Error {
    let source = format!("{file} was not written within {} seconds", SLOWEST.as_secs()).into();
    object_store::Error::Generic { store: "bucket", source }
}
