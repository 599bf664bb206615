//! What files a repository has, and which version of each.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use graft_pull::place::Place;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as ObjectPath};

/// Files that a repository may have, in all.
const MAX_FILES: usize = 10_000;

/// A repository's place.
#[derive(Clone, Debug)]
pub struct Repository {
    place: Place,
}

/// A repository cannot be listed, or a file of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The store said no, or nothing.
    #[error("{place}: {source}")]
    Store {
        /// The repository or the file.
        place: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// There are too many files.
    #[error("{0}: more than {MAX_FILES} files; is this a repository of backbones?")]
    TooMany(String),
    /// A file is too large.
    #[error("{place}: {bytes} bytes; at most {limit} are accepted{hint}")]
    TooLarge {
        /// The file.
        place: String,
        /// Its size.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
        /// What decides that; begins with a blank or is empty.
        hint: &'static str,
    },
}

/// One folder of a repository, as it was listed. Equal folders have equal content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Its files, sorted by name.
    pub files: Vec<File>,
}

/// One file, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in the folder.
    pub name: String,
    /// Its place in the store.
    pub path: ObjectPath,
    /// Bytes.
    pub size: u64,
    /// The store's tag of the content and the time of the last change: another one means another content.
    version: (Option<String>, i64),
}

impl Repository {
    /// The repository at a place.
    pub fn new(place: Place) -> Repository {
        Repository { place }
    }

    /// The store that holds the files.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.place.store
    }

    /// The folder `name`, if the repository is a directory on this machine.
    pub fn directory(&self, name: &str) -> Option<PathBuf> {
        self.place.directory.as_ref().map(|directory| directory.join(name))
    }

    /// How a person would name it.
    pub fn uri(&self) -> &str {
        &self.place.uri
    }

    /// How a person would name a file of it.
    pub fn name_of(&self, folder: &str, file: &str) -> String {
        format!("{}/{folder}/{file}", self.place.uri.trim_end_matches('/'))
    }

    /// Every folder, by name. One request a thousand files, or one walk through a directory.
    pub async fn list(&self) -> Result<BTreeMap<String, Folder>, RepositoryError> {
        let failed = |source| RepositoryError::Store { place: self.place.uri.clone(), source };
        let mut objects = self.place.store.list(Some(&self.place.path));
        let (mut folders, mut seen) = (BTreeMap::<String, Folder>::new(), 0);
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            seen += 1;
            if seen > MAX_FILES {
                return Err(RepositoryError::TooMany(self.place.uri.clone()));
            }
            if let Some((folder, file)) = self.file(object) {
                let new = || Folder { name: folder.clone(), files: Vec::new() };
                folders.entry(folder.clone()).or_insert_with(new).files.push(file);
            }
        }
        for folder in folders.values_mut() {
            folder.files.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(folders)
    }

    /// The folder and the file, if the object is a file right below a folder and neither is hidden.
    fn file(&self, object: ObjectMeta) -> Option<(String, File)> {
        let mut parts = object.location.prefix_match(&self.place.path)?;
        let (folder, name) = (parts.next()?, parts.next()?);
        let (folder, name) = (folder.as_ref().to_owned(), name.as_ref().to_owned());
        if parts.next().is_some() || folder.starts_with('.') || name.starts_with('.') {
            return None;
        }
        drop(parts);
        let version = (object.e_tag, object.last_modified.timestamp_micros());
        Some((folder, File { name, path: object.location, size: object.size, version }))
    }

    /// Read a file of at most `limit` bytes; `hint` says what decides the limit.
    pub async fn read(&self, file: &File, limit: u64, hint: &'static str) -> Result<Bytes, RepositoryError> {
        let place = file.path.to_string();
        if file.size > limit {
            return Err(RepositoryError::TooLarge { place, bytes: file.size, limit, hint });
        }
        let failed = |source| RepositoryError::Store { place: place.clone(), source };
        let answer = self.place.store.get(&file.path).await.map_err(failed)?;
        let bytes = answer.meta.size;
        if bytes > limit {
            return Err(RepositoryError::TooLarge { place: place.clone(), bytes, limit, hint });
        }
        answer.bytes().await.map_err(failed)
    }
}
