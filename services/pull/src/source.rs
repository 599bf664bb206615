//! What may be pulled: a path of this machine, an object, a file of the Hugging Face hub.

use std::{fmt, path::PathBuf, str::FromStr};

use url::{Host, Url};

use crate::error::PullError;

/// The schemes that [`place::open`](crate::place::open) knows, but for plain http.
const SCHEMES: &[&str] = &["https", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss"];

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine.
    File(PathBuf),
    /// An object of a store, or a file of a web server.
    Object(Url),
    /// A file of a repository of the Hugging Face hub.
    Hub(HubFile),
}

/// A file of a repository of the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// `OWNER/REPO`.
    pub repository: String,
    /// The file's path in the repository; the repository's only model file if none is given.
    pub file: Option<String>,
    /// A branch, a tag or a commit; `main` unless told.
    pub revision: String,
}

impl FromStr for Source {
    type Err = PullError;

    fn from_str(given: &str) -> Result<Source, PullError> {
        let refused = |reason: String| PullError::Source { given: given.to_owned(), reason };
        if given.is_empty() {
            return Err(refused("empty".into()));
        }
        if let Some(rest) = given.strip_prefix("hf://") {
            return hub_file(rest).map(Source::Hub).map_err(refused);
        }
        if !given.contains("://") {
            return Ok(Source::File(given.into()));
        }
        let url = Url::parse(given).map_err(|error| refused(error.to_string()))?;
        check(&url).map_err(refused)?;
        match url.scheme() {
            "file" => {
                url.to_file_path().map(Source::File).map_err(|()| refused("names no file of this machine".into()))
            }
            _ => Ok(Source::Object(url)),
        }
    }
}

impl Source {
    /// The file of this plain name in the same folder.
    pub fn beside(&self, name: &str) -> Source {
        match self {
            Source::File(path) => Source::File(path.with_file_name(name)),
            Source::Object(url) => {
                let mut url = url.clone();
                // Every URL that is a source has a path.
                if let Ok(mut parts) = url.path_segments_mut() {
                    parts.pop().push(name);
                }
                Source::Object(url)
            }
            Source::Hub(HubFile { repository, file, revision }) => {
                let folder = file.as_deref().and_then(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
                let file = folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
                Source::Hub(HubFile { repository: repository.clone(), file: Some(file), revision: revision.clone() })
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Object(url) => url.fmt(f),
            Source::Hub(HubFile { repository, file: Some(file), revision }) => {
                write!(f, "hf://{repository}/{file}@{revision}")
            }
            Source::Hub(HubFile { repository, file: None, revision }) => write!(f, "hf://{repository}@{revision}"),
        }
    }
}

fn check(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "file" => {}
        // What comes unencrypted can be changed on the way; on one machine there is no way.
        "http" if is_this_machine(url) => {}
        "http" => return Err("http:// is accepted for this machine alone; https:// is safe".into()),
        scheme if SCHEMES.contains(&scheme) => {}
        scheme => return Err(format!("the scheme {scheme}:// is unknown")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or a fragment is not supported".into());
    }
    // Azure writes CONTAINER@ACCOUNT there.
    if url.password().is_some() || (!url.username().is_empty() && !url.scheme().starts_with("abfs")) {
        return Err("credentials belong into the environment, not into a URI".into());
    }
    Ok(())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `OWNER/REPO[/FILE][@REVISION]`.
fn hub_file(rest: &str) -> Result<HubFile, String> {
    let (path, revision) = rest.rsplit_once('@').unwrap_or((rest, "main"));
    if revision.is_empty() || revision.contains(['?', '#', '\\']) {
        return Err(format!("`{revision}` is no revision"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let fine = |part: &&str| !part.is_empty() && !matches!(*part, "." | "..") && !part.contains(['?', '#', '\\', '%']);
    if parts.len() < 2 || !parts.iter().all(fine) {
        return Err("OWNER/REPO, or a file below it, is expected".into());
    }
    let file = (parts.len() > 2).then(|| parts[2..].join("/"));
    Ok(HubFile { repository: parts[..2].join("/"), file, revision: revision.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(given: &str) -> String {
        given.parse::<Source>().unwrap_err().to_string()
    }

    #[test]
    fn each_kind_of_source_is_told_by_its_beginning() {
        assert_eq!("a/model.onnx".parse::<Source>().unwrap(), Source::File("a/model.onnx".into()));
        assert_eq!("file:///a/b%20c.onnx".parse::<Source>().unwrap(), Source::File("/a/b c.onnx".into()));
        for url in ["s3://bucket/a/m.onnx", "gs://b/m.onnx", "az://c/m.onnx", "https://x.org/m.onnx"] {
            assert!(matches!(url.parse::<Source>().unwrap(), Source::Object(_)), "{url}");
            assert_eq!(url.parse::<Source>().unwrap().to_string(), url);
        }
        for url in ["http://localhost:8080/m.onnx", "http://127.0.0.1/m.onnx", "http://[::1]/m.onnx"] {
            assert!(matches!(url.parse::<Source>().unwrap(), Source::Object(_)), "{url}");
        }
    }

    #[test]
    fn a_file_of_the_hub_has_a_repository_a_path_and_a_revision() {
        let parse = |given: &str| match given.parse::<Source>().unwrap() {
            Source::Hub(file) => (file.repository, file.file.unwrap_or_default(), file.revision),
            other => panic!("{other:?}"),
        };
        let texts = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parse("hf://timm/resnet"), texts("timm/resnet", "", "main"));
        assert_eq!(parse("hf://timm/resnet@v1"), texts("timm/resnet", "", "v1"));
        assert_eq!(parse("hf://o/r/onnx/model.onnx@refs/pr/3"), texts("o/r", "onnx/model.onnx", "refs/pr/3"));
    }

    #[test]
    fn what_is_beside_a_file_is_in_its_folder() {
        let beside = |given: &str| given.parse::<Source>().unwrap().beside("w 1.data").to_string();
        assert_eq!(beside("m.onnx"), "w 1.data");
        assert_eq!(beside("/a/m.onnx"), "/a/w 1.data");
        assert_eq!(beside("s3://bucket/a/m.onnx"), "s3://bucket/a/w%201.data");
        assert_eq!(beside("https://x.org/m.onnx"), "https://x.org/w%201.data");
        assert_eq!(beside("hf://o/r/onnx/m.onnx@v1"), "hf://o/r/onnx/w 1.data@v1");
        assert_eq!(beside("hf://o/r/m.onnx"), "hf://o/r/w 1.data@main");
    }

    #[test]
    fn what_cannot_be_pulled_says_why() {
        assert!(refused("ftp://x.org/m.onnx").contains("ftp"));
        assert!(refused("http://x.org/m.onnx").contains("https://"));
        assert!(refused("https://x.org/m.onnx?sig=abc").contains("query"));
        assert!(refused("https://me:secret@x.org/m.onnx").contains("environment"));
        assert!(refused("hf://only-one").contains("OWNER/REPO"));
        assert!(refused("hf://o/r/../../etc/passwd").contains("OWNER/REPO"));
        assert!(refused("").contains("empty"));
    }
}
