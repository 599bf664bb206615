//! Files below one directory of this machine. No path and no symbolic link leads out of it: the system itself resolves
//! names within the directory that was opened, where it can (`openat2`, through `cap-std`).

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use cap_std::{ambient_authority, fs::Dir};
use tokio::{sync::Semaphore, task::spawn_blocking};
use url::Url;

use super::error::FetchError;

/// Files that are read at once, each by a thread. A disk that does not answer holds no more.
const READS: usize = 16;

/// A directory whose files may be read.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    directory: Arc<Dir>,
    reads: Arc<Semaphore>,
}

impl Directory {
    /// Open the directory at `path`. If it is replaced by another one, that other one is not seen.
    pub fn open(path: PathBuf) -> io::Result<Directory> {
        let directory = Arc::new(Dir::open_ambient_dir(&path, ambient_authority())?);
        Ok(Directory { path, directory, reads: Arc::new(Semaphore::new(READS)) })
    }

    /// Read the file at `url`, of at most `limit` bytes.
    pub async fn read(&self, url: &Url, limit: u64) -> Result<Bytes, FetchError> {
        let path = url.to_file_path().map_err(|()| FetchError::Malformed("it names no file".into()))?;
        let below = path.strip_prefix(&self.path).map_err(|_| FetchError::NotAllowed)?.to_owned();
        let stopped = |_| FetchError::Unavailable("the extractor stops".into());
        let permit = self.reads.clone().acquire_owned().await.map_err(stopped)?;
        let directory = self.directory.clone();
        let reading = spawn_blocking(move || {
            let _permit = permit;
            read(&directory, &below, limit)
        });
        reading.await.map_err(|_| FetchError::Unavailable("the read was broken off".into()))?
    }
}

fn read(directory: &Dir, path: &Path, limit: u64) -> Result<Bytes, FetchError> {
    // To open a pipe may take for ever, so it is looked at first.
    if !directory.metadata(path).map_err(failed)?.is_file() {
        return Err(FetchError::NotFound);
    }
    let file = directory.open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FetchError::NotFound);
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(FetchError::TooLarge(limit)) } else { Ok(bytes.into()) }
}

fn failed(error: io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FetchError::NotFound,
        // Also what a link that leads out of the directory is answered with.
        io::ErrorKind::PermissionDenied => FetchError::Denied("the file may not be read".into()),
        _ => FetchError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    async fn fetch(directory: &Directory, path: &Path, limit: u64) -> Result<Bytes, FetchError> {
        directory.read(&Url::from_file_path(path).unwrap(), limit).await
    }

    #[tokio::test]
    async fn files_within_are_read_and_links_lead_nowhere_else() {
        let folder = tempfile::TempDir::new().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(inside.join("deep/a b.jpg"), "inside").unwrap();
        fs::write(outside.join("secret"), "outside").unwrap();
        symlink("deep/a b.jpg", inside.join("link")).unwrap();
        symlink("../out/secret", inside.join("file-out")).unwrap();
        symlink(outside.join("secret"), inside.join("absolute-out")).unwrap();
        symlink("../out", inside.join("folder-out")).unwrap();

        let directory = Directory::open(inside.clone()).unwrap();
        for name in ["deep/a b.jpg", "link"] {
            assert_eq!(fetch(&directory, &inside.join(name), 6).await.unwrap(), "inside");
        }
        for name in ["file-out", "absolute-out", "folder-out/secret"] {
            let refused = fetch(&directory, &inside.join(name), 99).await.unwrap_err();
            assert!(matches!(refused, FetchError::Denied(_)), "{name}: {refused:?}");
        }
        for name in ["", "deep", "none", "link/none"] {
            let refused = fetch(&directory, &inside.join(name), 99).await.unwrap_err();
            assert!(matches!(refused, FetchError::NotFound), "{name}: {refused:?}");
        }
        assert!(matches!(fetch(&directory, &outside.join("secret"), 99).await, Err(FetchError::NotAllowed)));
        assert!(matches!(fetch(&directory, &inside.join("link"), 5).await, Err(FetchError::TooLarge(5))));
    }

    #[tokio::test]
    async fn a_pipe_is_no_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let directory = Directory::open(folder.path().to_owned()).unwrap();
        assert!(matches!(fetch(&directory, &pipe, 99).await, Err(FetchError::NotFound)));
    }
}
