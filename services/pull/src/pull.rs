//! From a source to a file on this machine, and from there to its place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use object_store::ObjectStoreExt;
use tokio::task::spawn_blocking;
use url::Url;

use crate::{
    MAX_MODEL_BYTES, Progress,
    checksum::Copied,
    download::download,
    error::PullError,
    external,
    fetched::{Fetched, Owner},
    hub::Hub,
    onnx,
    place::{self, Environment},
    source::{HubFile, Source},
};

/// Files beside a model that say how its images are prepared: those of Hugging Face's transformers and of timm.
pub const COMPANIONS: [&str; 2] = ["preprocessor_config.json", "config.json"];
/// The largest of them, in bytes; real ones have a few kilobytes.
const COMPANION_BYTES: u64 = 1 << 20;

/// Gets files from where they are published.
#[derive(Clone, Debug)]
pub struct Puller {
    /// Where downloads are kept until they are whole.
    pub cache: PathBuf,
    /// The hub.
    pub hub: Hub,
    /// The process's variables: credentials and endpoints of object stores.
    pub environment: Environment,
    /// The largest model, in bytes.
    pub limit: u64,
}

/// A model that is on this machine now.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Where it came from, as exactly as can be said.
    pub origin: String,
    /// The files beside it that there were, of [`COMPANIONS`]: name and content.
    pub beside: Vec<(String, Vec<u8>)>,
    model: Fetched,
    /// The files that it keeps weights in, by the names that it has for them.
    data: Vec<(String, Fetched)>,
}

/// A file, and what came with it.
struct Found {
    file: Fetched,
    /// Where it is, so exactly that what is beside it belongs to it.
    exact: Source,
    beside: Vec<(String, Vec<u8>)>,
}

impl Puller {
    /// A puller as the process's environment asks for it: `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `XDG_CACHE_HOME`, `HOME`,
    /// and what the object stores' clients know.
    pub fn new(environment: Environment) -> Puller {
        let get = |name: &str| {
            environment.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone())
        };
        let caches = get("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| get("HOME").map(|home| Path::new(&home).join(".cache")))
            .unwrap_or_else(std::env::temp_dir);
        let hub = Hub {
            endpoint: get("HF_ENDPOINT"),
            home: get("HF_HOME").map_or_else(|| caches.join("huggingface"), PathBuf::from),
            token: get("HF_TOKEN"),
        };
        Puller { cache: caches.join("graft"), hub, environment, limit: MAX_MODEL_BYTES }
    }

    /// Bring the model at `source` to this machine, with the files that it keeps weights in and what is beside it. All
    /// together may have [`limit`](Puller::limit) bytes.
    pub async fn pull(&self, source: &Source, progress: Progress<'_>) -> Result<Pulled, PullError> {
        let Found { file: model, exact, beside } = self.fetch(source, &COMPANIONS, self.limit, progress).await?;
        let (path, origin) = (model.path.clone(), model.origin.clone());
        let listed = spawn_blocking(move || external::files(&path, &origin)).await;
        let listed =
            listed.map_err(|error| PullError::Failed { uri: model.origin.clone(), reason: error.to_string() })?;
        let names = listed.inspect_err(|_| {
            // A whole file that is only refused stays in the hub's cache, which others use, too.
            if onnx::check(&model.path, &model.origin).is_err() { model.discard() } else { model.release() }
        })?;
        let (mut data, mut bytes) = (Vec::new(), model.bytes()?);
        for name in names {
            let room = self.limit.saturating_sub(bytes);
            let mut both = |done, total| progress(bytes + done, bytes + total);
            let found = self.fetch(&exact.beside(&name), &[], room, &mut both).await;
            let found = found.map_err(|error| self.of_data(error, &model.origin, &name, bytes))?;
            bytes += found.file.bytes()?;
            data.push((name, found.file));
        }
        Ok(Pulled { origin: model.origin.clone(), beside, model, data })
    }

    /// What an error means that came up with a file of the model's weights, after so many bytes of others.
    fn of_data(&self, error: PullError, model: &str, name: &str, before: u64) -> PullError {
        match error {
            PullError::NotFound { uri, .. } => PullError::NoData { model: model.to_owned(), uri },
            PullError::File { path, source } if source.kind() == io::ErrorKind::NotFound => {
                PullError::NoData { model: model.to_owned(), uri: path.display().to_string() }
            }
            PullError::TooLarge { bytes, .. } => PullError::TooLarge {
                uri: format!("{model} with its weights in `{name}`"),
                bytes: before.saturating_add(bytes),
                limit: self.limit,
            },
            other => other,
        }
    }

    async fn fetch(
        &self,
        source: &Source,
        wanted: &[&str],
        limit: u64,
        progress: Progress<'_>,
    ) -> Result<Found, PullError> {
        match source {
            Source::File(path) => local(path, wanted, limit),
            Source::Object(url) => self.object(url, wanted, limit, progress).await,
            Source::Hub(file) => self.hub(file, wanted, limit, progress).await,
        }
    }

    async fn object(&self, url: &Url, wanted: &[&str], limit: u64, progress: Progress<'_>) -> Result<Found, PullError> {
        let place = place::open(url, &self.environment)?;
        let path = download(&place, &self.cache, limit, progress).await?;
        let mut beside = Vec::new();
        for name in wanted {
            let Ok(url) = url.join(name) else { continue };
            // Most servers have none; one that answers oddly about it is no reason to fail.
            let Ok(place) = place::open(&url, &self.environment) else { continue };
            let Ok(found) = place.store.head(&place.path).await else { continue };
            if found.size <= COMPANION_BYTES {
                let answer = place.store.get(&place.path).await.map_err(|e| PullError::from_store(&place.uri, e))?;
                let bytes = answer.bytes().await.map_err(|e| PullError::from_store(&place.uri, e))?;
                beside.push(((*name).to_owned(), bytes.to_vec()));
            }
        }
        let file = Fetched { path, origin: url.to_string(), promised: None, owner: Owner::Download };
        Ok(Found { file, exact: Source::Object(url.clone()), beside })
    }

    async fn hub(
        &self,
        file: &HubFile,
        wanted: &[&str],
        limit: u64,
        progress: Progress<'_>,
    ) -> Result<Found, PullError> {
        let found = self.hub.fetch(file, wanted, limit, progress).await?;
        // A branch may move meanwhile; the commit does not.
        let exact = HubFile { repository: file.repository.clone(), file: Some(found.file), revision: found.commit };
        let beside = found.beside.iter().map(|(name, path)| small(name, path)).collect::<Result<_, _>>()?;
        let exact = Source::Hub(exact);
        let file =
            Fetched { path: found.path, origin: exact.to_string(), promised: found.sha256, owner: Owner::HubCache };
        Ok(Found { file, exact, beside })
    }
}

fn local(path: &Path, wanted: &[&str], limit: u64) -> Result<Found, PullError> {
    let found = fs::metadata(path).map_err(PullError::file(path))?;
    let uri = path.display().to_string();
    if !found.is_file() {
        return Err(PullError::NotFound { uri, hint: " (a folder is none)" });
    }
    if found.len() > limit {
        return Err(PullError::TooLarge { uri, bytes: found.len(), limit });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = wanted.iter().map(|name| (*name, folder.join(name))).filter(|(_, path)| path.is_file());
    let beside = beside.map(|(name, path)| small(name, &path)).collect::<Result<_, _>>()?;
    let origin = path.canonicalize().map_err(PullError::file(path))?.display().to_string();
    let file = Fetched { path: path.to_owned(), origin, promised: None, owner: Owner::User };
    Ok(Found { file, exact: Source::File(path.to_owned()), beside })
}

fn small(name: &str, path: &Path) -> Result<(String, Vec<u8>), PullError> {
    let bytes = fs::metadata(path).map_err(PullError::file(path))?.len();
    if bytes > COMPANION_BYTES {
        return Err(PullError::TooLarge { uri: path.display().to_string(), bytes, limit: COMPANION_BYTES });
    }
    Ok((name.to_owned(), fs::read(path).map_err(PullError::file(path))?))
}

impl Pulled {
    /// Copy it to `target` and the files that it keeps weights in beside that, under the names that it has for them. It
    /// must be an ONNX file and have the checksum `expected`, if one is given; each file must have the one that its source
    /// gives. Nothing is left if not. Reads and writes all of them.
    pub fn install(&self, target: &Path, expected: Option<&str>) -> Result<Copied, PullError> {
        let copied = self.model.install(target, expected, |path| onnx::check(path, &self.origin));
        let mut installed = Vec::new();
        let outcome = copied.and_then(|copied| {
            installed.push(target.to_owned());
            for (name, file) in &self.data {
                let place = target.with_file_name(name);
                file.install(&place, None, |_| Ok(()))?;
                installed.push(place);
            }
            Ok(copied)
        });
        if outcome.is_err() {
            for path in &installed {
                let _ = fs::remove_file(path);
            }
            self.data.iter().for_each(|(_, file)| file.release());
        }
        outcome
    }
}
