//! From an object store into a cache on this machine, going on where the last try ended.
//!
//! What has come is kept beside a note of what it is a part of (the object's entity tag and size). A later try asks for
//! the rest by a range request, under the condition that the object is still the same; a changed one is begun anew.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use futures::StreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::{
    Progress,
    error::{PullError, innermost},
    place::Place,
};

/// Get the object at `place`, of at most `limit` bytes, into a file of `cache`, and give its path.
pub async fn download(place: &Place, cache: &Path, limit: u64, progress: Progress<'_>) -> Result<PathBuf, PullError> {
    let failed = |error| PullError::from_store(&place.uri, error);
    let object = place.store.head(&place.path).await.map_err(failed)?;
    if object.size > limit {
        return Err(PullError::TooLarge { uri: place.uri.clone(), bytes: object.size, limit });
    }
    let mut part = Part::open(cache, &place.uri, &object)?;
    progress(part.done, object.size);
    if part.done < object.size {
        part.fetch(place, &object, progress).await?;
    }
    Ok(part.path)
}

/// What has come of an object.
struct Part {
    path: PathBuf,
    /// Locked as long as it is written, so that two processes do not write one file.
    file: tokio::fs::File,
    /// Bytes that are there.
    done: u64,
}

impl Part {
    fn open(cache: &Path, uri: &str, object: &ObjectMeta) -> Result<Part, PullError> {
        fs::create_dir_all(cache).map_err(PullError::file(cache))?;
        let path = cache.join(format!("{}.part", &blake3::hash(uri.as_bytes()).to_hex()[..32]));
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(PullError::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PullError::Busy(uri.to_owned())),
            Err(TryLockError::Error(source)) => return Err(PullError::File { path, source }),
        }
        let note_path = path.with_extension("of");
        let note = note(object);
        let kept = file.metadata().map_err(PullError::file(&path))?.len();
        let same = note.is_some() && note == fs::read_to_string(&note_path).ok() && kept <= object.size;
        let done = if same { kept } else { 0 };
        file.set_len(done).map_err(PullError::file(&path))?;
        fs::write(&note_path, note.unwrap_or_default()).map_err(PullError::file(&note_path))?;
        Ok(Part { path, file: tokio::fs::File::from_std(file), done })
    }

    async fn fetch(&mut self, place: &Place, object: &ObjectMeta, progress: Progress<'_>) -> Result<(), PullError> {
        let resumed = self.done > 0;
        let outcome = self.stream(place, object, progress).await;
        // A server that knows no ranges sends all of it, or nothing; then it is begun anew.
        let outcome = match outcome {
            Err(PullError::Failed { .. }) if resumed => {
                self.file.set_len(0).await.map_err(PullError::file(&self.path))?;
                self.done = 0;
                self.stream(place, object, progress).await
            }
            other => other,
        };
        self.file.sync_all().await.map_err(PullError::file(&self.path))?;
        outcome
    }

    async fn stream(&mut self, place: &Place, object: &ObjectMeta, progress: Progress<'_>) -> Result<(), PullError> {
        let options = GetOptions {
            range: (self.done > 0).then_some(GetRange::Offset(self.done)),
            if_match: object.e_tag.clone().filter(|_| self.done > 0),
            ..GetOptions::default()
        };
        let answer = place.store.get_opts(&place.path, options).await;
        let mut chunks = answer.map_err(|error| PullError::from_store(&place.uri, error))?.into_stream();
        let broke_off =
            |done, reason| PullError::Interrupted { uri: place.uri.clone(), done, total: object.size, reason };
        self.file.seek(std::io::SeekFrom::Start(self.done)).await.map_err(PullError::file(&self.path))?;
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.file.flush().await.map_err(PullError::file(&self.path))?;
                    return Err(broke_off(self.done, innermost(&error)));
                }
            };
            if self.done + chunk.len() as u64 > object.size {
                return Err(broke_off(self.done, "more came than was announced".into()));
            }
            self.file.write_all(&chunk).await.map_err(PullError::file(&self.path))?;
            self.done += chunk.len() as u64;
            progress(self.done, object.size);
        }
        self.file.flush().await.map_err(PullError::file(&self.path))?;
        if self.done == object.size { Ok(()) } else { Err(broke_off(self.done, "no more came".into())) }
    }
}

/// What tells one version of an object from another; nothing if the store does not say. A weak tag does not promise the
/// same bytes.
fn note(object: &ObjectMeta) -> Option<String> {
    let tag = object.e_tag.as_ref().filter(|tag| !tag.starts_with("W/"))?;
    Some(format!("{tag} {}\n", object.size))
}
