//! What changed since the last time is read again, the rest is not.

use std::collections::BTreeMap;

use super::{
    folder::{self, Terms},
    listing::{Folder, Repository, RepositoryError},
};
use crate::backbone::catalogue::Found;

/// A repository, and what was found in it so far.
#[derive(Debug)]
pub struct Scanner {
    repository: Repository,
    terms: Terms,
    /// By the folders' names.
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    folder: Folder,
    found: Vec<Found>,
}

impl Seen {
    fn is_current(&self, folder: &Folder) -> bool {
        let again = self.found.iter().any(|found| found.fault.as_ref().is_some_and(|fault| fault.passing));
        self.folder == *folder && !again
    }
}

impl Scanner {
    /// A scanner that has seen nothing yet.
    pub fn new(repository: Repository, terms: Terms) -> Scanner {
        Scanner { repository, terms, seen: BTreeMap::new() }
    }

    /// What is scanned, for messages.
    pub fn uri(&self) -> &str {
        self.repository.uri()
    }

    /// List the repository and read the folders that are new or changed. Says whether anything was.
    pub async fn scan(&mut self) -> Result<bool, RepositoryError> {
        let folders = self.repository.list().await?;
        let before = self.seen.len();
        self.seen.retain(|name, _| folders.contains_key(name));
        let mut changed = self.seen.len() != before;
        for (name, folder) in folders {
            if self.seen.get(&name).is_some_and(|seen| seen.is_current(&folder)) {
                continue;
            }
            let mut found = folder::read(&self.repository, &folder, self.terms).await;
            let earlier = self.seen.remove(&name).map(|seen| seen.found).unwrap_or_default();
            for found in &mut found {
                keep_earlier(found, &earlier);
                report(found);
            }
            self.seen.insert(name, Seen { folder, found });
            changed = true;
        }
        Ok(changed)
    }

    /// All that was found, in the order of the folders' names.
    pub fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.seen.values().flat_map(|seen| seen.found.iter().cloned())
    }
}

/// Where a backbone was and a broken one is now, the earlier goes on serving: a half-written file takes nothing down.
fn keep_earlier(found: &mut Found, earlier: &[Found]) {
    if found.listed.is_some() {
        return;
    }
    if let Some(before) = earlier.iter().find(|before| before.place == found.place && before.listed.is_some()) {
        found.listed.clone_from(&before.listed);
        found.name.clone_from(&before.name);
    }
}

fn report(found: &Found) {
    let space = found.listed.as_ref().map(|listed| listed.description.space.as_str()).unwrap_or_default();
    match &found.fault {
        Some(fault) => {
            tracing::warn!(backbone = found.name, serving = space, error = fault.message, "backbone is broken")
        }
        None => tracing::info!(backbone = found.name, space, "backbone found"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use bytes::Bytes;
    use graft_pull::place::{Place, open_folder};
    use object_store::{ObjectStoreExt, memory::InMemory};

    use super::*;
    use crate::backbone::{
        catalogue::{Absent, Catalogue},
        provider::{Provider, Providers},
    };

    const MODEL: &[u8] = include_bytes!("../../../backbones/efficientnet-lite0/model.onnx");
    const MANIFEST: &str = include_str!("../../../backbones/efficientnet-lite0/efficientnet-lite0.toml");

    fn add(repository: &Path, folder: &str, manifest: &str, model: &[u8]) {
        let folder = repository.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.onnx"), model).unwrap();
        fs::write(folder.join("net.toml"), manifest).unwrap();
    }

    fn named(name: &str) -> String {
        MANIFEST.replacen("efficientnet-lite0", name, 1)
    }

    fn scanner(folder: &Path, max_model_bytes: u64) -> Scanner {
        let place = open_folder(&folder.display().to_string(), &Vec::new()).unwrap();
        let terms = Terms {
            provider: Provider::Cpu,
            providers: Providers::default(),
            max_model_bytes,
            limit_from: " (the budget)",
        };
        Scanner::new(Repository::new(place), terms)
    }

    async fn catalogue(scanner: &mut Scanner) -> Catalogue {
        scanner.scan().await.unwrap();
        Catalogue::new(scanner.found(), "one")
    }

    fn broken(catalogue: &Catalogue, name: &str) -> String {
        match catalogue.get(name).unwrap_err() {
            Absent::Broken { error, .. } => error,
            other => panic!("{name}: {other}"),
        }
    }

    #[tokio::test]
    async fn a_change_is_seen_and_what_did_not_change_is_not_read_again() {
        let folder = tempfile::TempDir::new().unwrap();
        add(folder.path(), "one", &named("one"), MODEL);
        let mut scanner = scanner(folder.path(), 1 << 30);
        assert!(scanner.scan().await.unwrap());
        assert!(!scanner.scan().await.unwrap(), "nothing changed");
        let first = catalogue(&mut scanner).await.get("one").unwrap().clone();

        add(folder.path(), "two", &named("two"), MODEL);
        let both = catalogue(&mut scanner).await;
        assert!(std::sync::Arc::ptr_eq(both.get("one").unwrap(), &first), "read once");
        add(folder.path(), "one", &named("one").replace("bicubic", "nearest"), MODEL);
        let changed = catalogue(&mut scanner).await;
        assert_ne!(changed.get("one").unwrap().description.space, first.description.space);
        assert!(!changed.has(&first.description.space, first.run()));
        fs::remove_dir_all(folder.path().join("two")).unwrap();
        assert!(matches!(catalogue(&mut scanner).await.get("two"), Err(Absent::Unknown { .. })));
    }

    #[tokio::test]
    async fn how_it_is_run_is_no_part_of_the_space_but_for_its_precision() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut scanner = scanner(folder.path(), 1 << 30);
        scanner.terms.providers = Providers { cuda: true, tensorrt: true };
        let mut spaces = Vec::new();
        for (run, provider, precision) in [
            ("", "cpu", "fp32"),
            ("[run]\nlanes = 1\nbatch = 4\n", "cpu", "fp32"),
            ("[run]\nprovider = 'cuda'\n", "cuda", "fp32"),
            ("[run]\nprovider = 'tensorrt'\n", "tensorrt", "tf32"),
            ("[run]\nprovider = 'tensorrt'\n[run.tensorrt]\nfp16 = true\n", "tensorrt", "fp16"),
        ] {
            add(folder.path(), "one", &(named("one") + run), MODEL);
            let catalogue = catalogue(&mut scanner).await;
            let listed = catalogue.get("one").unwrap();
            let description = &listed.description;
            assert_eq!((description.provider.as_str(), description.precision.as_str()), (provider, precision));
            assert_eq!(listed.load(Provider::Cpu).await.unwrap().description, *description, "as it is loaded");
            assert!(catalogue.has(&description.space, listed.run()));
            spaces.push(description.space.clone());
        }
        assert!(spaces[0] == spaces[1] && spaces[0] == spaces[2], "{spaces:?}");
        assert!(spaces[2] != spaces[3] && spaces[3] != spaces[4] && spaces[4] != spaces[0], "{spaces:?}");
    }

    #[tokio::test]
    async fn each_broken_folder_says_what_is_wrong_and_the_others_serve() {
        let folder = tempfile::TempDir::new().unwrap();
        add(folder.path(), "one", &named("one"), MODEL);
        add(folder.path(), "text", &named("text"), b"label,pixel1\n");
        add(folder.path(), "half", &named("half"), &MODEL[..MODEL.len() / 2]);
        add(folder.path(), "key", &named("key").replace("crop =", "crops ="), MODEL);
        add(folder.path(), "taken", &named("one"), MODEL);
        add(folder.path(), "file", &named("file").replace("model.onnx", "other.onnx"), MODEL);
        add(folder.path(), "gpu", &(named("gpu") + "[run]\nprovider = 'cuda'\n"), MODEL);
        add(folder.path(), "bare", "", MODEL);
        fs::remove_file(folder.path().join("bare/net.toml")).unwrap();
        add(folder.path(), ".hidden", &named("hidden"), MODEL);
        fs::create_dir(folder.path().join("empty")).unwrap();
        let catalogue = catalogue(&mut scanner(folder.path(), 1 << 30)).await;
        for (name, words) in [
            ("text", ["text/model.onnx", "not an ONNX file"]),
            ("half", ["half/model.onnx", "truncated"]),
            ("key", ["key/net.toml", "crops"]),
            ("file", ["file/net.toml", "other.onnx"]),
            ("gpu", ["run.provider: `cuda`", "has: cpu"]),
            ("bare", ["bare/model.onnx", "no manifest"]),
        ] {
            let error = broken(&catalogue, name);
            assert!(words.iter().all(|word| error.contains(word)), "{name}: {error}");
        }
        let all = catalogue.descriptions();
        let taken = all.iter().find(|backbone| backbone.name == "one" && !backbone.error.is_empty()).unwrap();
        assert!(taken.error.contains("taken/net.toml"), "{}", taken.error);
        assert!(catalogue.get("one").is_ok() && catalogue.get("hidden").is_err());
        assert_eq!(all.len(), 8, "one, and seven faults");
    }

    #[tokio::test]
    async fn a_prefix_of_a_store_is_a_repository_too() {
        let store = std::sync::Arc::new(InMemory::new());
        for (path, content) in [
            ("models/net/model.onnx", Bytes::from_static(MODEL)),
            ("models/net/net.toml", named("net").into()),
            ("models/net/notes/deeper.toml", named("deeper").into()),
            ("models/loose.toml", named("loose").into()),
            ("other/net.toml", named("other").into()),
        ] {
            store.put(&path.into(), content.into()).await.unwrap();
        }
        let place =
            Place { store: store.clone(), path: "models".into(), uri: "s3://bucket/models".into(), directory: None };
        let terms = Terms {
            provider: Provider::Cpu,
            providers: Providers::default(),
            max_model_bytes: 1 << 30,
            limit_from: "",
        };
        let mut scanner = Scanner::new(Repository::new(place), terms);
        let names: Vec<String> =
            catalogue(&mut scanner).await.descriptions().into_iter().map(|backbone| backbone.name).collect();
        assert_eq!(names, ["net"]);
        store.put(&"models/net/net.toml".into(), "name =".into()).await.unwrap();
        let broken = catalogue(&mut scanner).await;
        let error = &broken.descriptions()[0].error;
        assert!(error.contains("s3://bucket/models/net/net.toml"), "{error}");
        let loaded = broken.get("net").unwrap().load(Provider::Cpu).await.unwrap();
        assert_eq!(loaded.description.dimension, 1280, "the model is read again when it is needed");
        store.put(&"models/net/model.onnx".into(), "another".into()).await.unwrap();
        let gone = broken.get("net").unwrap().load(Provider::Cpu).await.unwrap_err().to_string();
        assert!(gone.contains("models/net/model.onnx"), "{gone}");
    }

    #[tokio::test]
    async fn a_model_above_the_budget_is_not_even_read() {
        let folder = tempfile::TempDir::new().unwrap();
        add(folder.path(), "one", &named("one"), MODEL);
        let error = broken(&catalogue(&mut scanner(folder.path(), 1000)).await, "one");
        assert!(error.contains("at most 1000") && error.contains("the budget"), "{error}");
    }

    #[tokio::test]
    async fn what_breaks_later_goes_on_with_its_last_good_version() {
        let folder = tempfile::TempDir::new().unwrap();
        add(folder.path(), "one", &named("one"), MODEL);
        let mut scanner = scanner(folder.path(), 1 << 30);
        let space = catalogue(&mut scanner).await.get("one").unwrap().description.space.clone();
        add(folder.path(), "one", "name =", MODEL);
        let half = catalogue(&mut scanner).await;
        assert_eq!(half.get("one").unwrap().description.space, space);
        assert!(half.descriptions()[0].error.contains("net.toml"));
        add(folder.path(), "one", &named("one"), MODEL);
        assert_eq!(catalogue(&mut scanner).await.descriptions()[0].error, "");
    }
}
