//! From the Hugging Face hub into its own cache, through `hf-hub`: an interrupted download goes on, a finished one is there.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError, ApiRepo, Metadata},
};
use tokio::task::spawn_blocking;

use crate::{Progress, checksum::is_sha256, error::PullError, source::HubFile};

/// How often the progress is told.
const TICK: Duration = Duration::from_millis(100);
/// Where models are preferred, by the habit of those who export them.
const USUAL: [&str; 2] = ["onnx/model.onnx", "model.onnx"];

/// Where the hub and its cache are, and who asks.
#[derive(Clone, Debug)]
pub struct Hub {
    /// `HF_ENDPOINT`; the public hub unless told.
    pub endpoint: Option<String>,
    /// `HF_HOME`: the folder of the cache and of the token that was saved by a login.
    pub home: PathBuf,
    /// `HF_TOKEN`; the saved one unless told.
    pub token: Option<String>,
}

/// A file that came from the hub.
#[derive(Clone, Debug)]
pub struct FromHub {
    /// Where it is in the cache.
    pub path: PathBuf,
    /// The file's path in the repository.
    pub file: String,
    /// The commit that it belongs to.
    pub commit: String,
    /// Its sha256, where the hub knows it: it does for large files.
    pub sha256: Option<String>,
    /// Small files beside it or at the repository's root, of those asked for.
    pub beside: Vec<(String, PathBuf)>,
}

impl Hub {
    /// Get a file of at most `limit` bytes, and those of the files named `beside` that there are.
    pub async fn fetch(
        &self,
        wanted: &HubFile,
        beside: &[&str],
        limit: u64,
        progress: Progress<'_>,
    ) -> Result<FromHub, PullError> {
        let meter = Meter::default();
        let (hub, wanted, told) = (self.clone(), wanted.clone(), meter.clone());
        let beside: Vec<String> = beside.iter().map(|name| (*name).to_owned()).collect();
        let uri = format!("hf://{}", wanted.repository);
        let mut work = spawn_blocking(move || hub.fetch_now(&wanted, &beside, limit, told));
        let mut tick = tokio::time::interval(TICK);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = tick.tick() => meter.tell(progress),
            }
        };
        meter.tell(progress);
        outcome.map_err(|error| PullError::Failed { uri, reason: format!("hf-hub failed: {error}") })?
    }

    fn fetch_now(&self, wanted: &HubFile, beside: &[String], limit: u64, meter: Meter) -> Result<FromHub, PullError> {
        let repository = self.repository(wanted)?;
        let uri = format!("hf://{}@{}", wanted.repository, wanted.revision);
        let info = repository.info().map_err(|error| explain(&uri, error))?;
        let names: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        let file = match &wanted.file {
            Some(file) => file.clone(),
            None => only_model(&uri, &names)?,
        };
        let uri = format!("hf://{}/{file}@{}", wanted.repository, wanted.revision);
        let url = repository.url(&file);
        let found = self.api()?.metadata(&url).map_err(|error| explain(&uri, error))?;
        if found.size() as u64 > limit {
            return Err(PullError::TooLarge { uri, bytes: found.size() as u64, limit });
        }
        let path = match self.cached(wanted, &file, &found) {
            Some(path) => path,
            None => {
                let path = repository.download_with_progress(&file, meter).map_err(|error| explain(&uri, error))?;
                whole(&path, found.size() as u64, &uri)?;
                path
            }
        };
        let beside = companions(&names, &file, beside)
            .map(|(name, file)| repository.get(&file).map(|path| (name, path)).map_err(|error| explain(&uri, error)))
            .collect::<Result<_, _>>()?;
        let sha256 = Some(found.etag().to_owned()).filter(|tag| is_sha256(tag));
        Ok(FromHub { path, file, commit: found.commit_hash().to_owned(), sha256, beside })
    }

    /// The file in the hub's cache, if it was downloaded before, by us or by another program.
    fn cached(&self, wanted: &HubFile, file: &str, found: &Metadata) -> Option<PathBuf> {
        let commit = found.commit_hash();
        let folder = Repo::model(wanted.repository.clone()).folder_name();
        let path = self.home.join("hub").join(folder).join("snapshots").join(commit).join(file);
        let known = commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (known && fs::metadata(&path).is_ok_and(|there| there.len() == found.size() as u64)).then_some(path)
    }

    fn repository(&self, wanted: &HubFile) -> Result<ApiRepo, PullError> {
        let repo = Repo::with_revision(wanted.repository.clone(), RepoType::Model, wanted.revision.clone());
        Ok(self.api()?.repo(repo))
    }

    fn api(&self) -> Result<hf_hub::api::sync::Api, PullError> {
        let cache = Cache::new(self.home.join("hub"));
        let token = self.token.clone().or_else(|| cache.token());
        let mut builder = ApiBuilder::from_cache(cache).with_token(token).with_progress(false);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        builder.build().map_err(|error| explain("hf://", error))
    }
}

/// A server that ignores the range of a request sends all of it again; hf-hub does not notice. Such a file is of no use.
fn whole(path: &Path, bytes: u64, uri: &str) -> Result<(), PullError> {
    let found = fs::metadata(path).map_err(PullError::file(path))?.len();
    if found == bytes {
        return Ok(());
    }
    // The path is a link into the cache, which goes, too.
    fs::canonicalize(path).and_then(fs::remove_file).map_err(PullError::file(path))?;
    fs::remove_file(path).map_err(PullError::file(path))?;
    Err(PullError::Failed { uri: uri.to_owned(), reason: format!("{found} bytes came, {bytes} were announced") })
}

/// The repository's only model file, or the one where it usually is.
fn only_model(uri: &str, names: &[String]) -> Result<String, PullError> {
    let models: Vec<&String> = names.iter().filter(|name| name.ends_with(".onnx")).collect();
    let usual = USUAL.iter().find_map(|usual| models.iter().find(|name| name.as_str() == *usual));
    match (usual, &models[..]) {
        (Some(name), _) => Ok((*name).clone()),
        (None, [name]) => Ok((*name).clone()),
        (None, _) => Err(PullError::Choose { uri: uri.to_owned(), found: models.into_iter().cloned().collect() }),
    }
}

/// Of each file asked for: its name, and where it is, in the model's folder or at the root.
fn companions<'a>(
    names: &'a [String],
    model: &'a str,
    wanted: &'a [String],
) -> impl Iterator<Item = (String, String)> + 'a {
    let folder = Path::new(model).parent().unwrap_or(Path::new(""));
    wanted.iter().filter_map(move |name| {
        let places = [folder.join(name).to_string_lossy().into_owned(), name.clone()];
        places.into_iter().find(|place| names.contains(place)).map(|place| (name.clone(), place))
    })
}

/// What hf-hub's error means.
fn explain(uri: &str, error: ApiError) -> PullError {
    let uri = uri.to_owned();
    let request = match &error {
        ApiError::RequestError(request) => request,
        ApiError::IoError(source) => {
            return PullError::Failed {
                uri,
                reason: format!("{source}; the same command continues where it broke off"),
            };
        }
        other => return PullError::Failed { uri, reason: other.to_string() },
    };
    match &**request {
        ureq::Error::StatusCode(404) => PullError::NotFound { uri, hint: ", or no such repository or revision" },
        // The hub says so of repositories that do not exist, too.
        ureq::Error::StatusCode(401 | 403) => {
            PullError::Denied { uri, reason: "there is no such repository, or it asks for a token (HF_TOKEN)".into() }
        }
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Timeout(_) => {
            PullError::Unreachable { uri, reason: request.to_string() }
        }
        ureq::Error::Io(source) => PullError::Unreachable { uri, reason: source.to_string() },
        other => PullError::Failed { uri, reason: other.to_string() },
    }
}

/// Bytes that are there and bytes in all, told across threads.
#[derive(Clone, Debug, Default)]
struct Meter {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Meter {
    fn tell(&self, progress: &mut (dyn FnMut(u64, u64) + Send)) {
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 {
            progress(self.done.load(Ordering::Relaxed), total);
        }
    }
}

impl hf_hub::api::Progress for Meter {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total.store(size as u64, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    fn update(&mut self, size: usize) {
        self.done.fetch_add(size as u64, Ordering::Relaxed);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_model_is_the_only_one_or_the_usual_one() {
        assert_eq!(only_model("r", &names(&["README.md", "net.onnx"])).unwrap(), "net.onnx");
        let many = names(&["onnx/model.onnx", "onnx/model_fp16.onnx"]);
        assert_eq!(only_model("r", &many).unwrap(), "onnx/model.onnx");
        let unclear = only_model("r", &names(&["a.onnx", "b.onnx"])).unwrap_err().to_string();
        assert!(unclear.contains("a.onnx, b.onnx") && unclear.contains("OWNER/REPO/FILE"), "{unclear}");
        assert!(only_model("r", &names(&["README.md"])).unwrap_err().to_string().contains("no .onnx file"));
    }

    #[test]
    fn what_is_beside_the_model_comes_before_what_is_at_the_root() {
        let all = names(&["config.json", "onnx/config.json", "preprocessor_config.json"]);
        let wanted = names(&["preprocessor_config.json", "config.json", "other.json"]);
        let found: Vec<(String, String)> = companions(&all, "onnx/model.onnx", &wanted).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected =
            [pair("preprocessor_config.json", "preprocessor_config.json"), pair("config.json", "onnx/config.json")];
        assert_eq!(found, expected);
    }
}
