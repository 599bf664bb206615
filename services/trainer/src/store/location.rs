//! Where the state is: which database, and where the files are.

use std::{fmt, path::PathBuf, str::FromStr};

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Where the state of a trainer is.
#[derive(Clone, Debug)]
pub struct Location {
    /// The data directory. SQLite's file is in it, and so are the artifacts where no bucket is named.
    pub folder: PathBuf,
    /// The PostgreSQL database; SQLite in the data directory where none is named.
    pub database: Option<DatabaseUrl>,
    /// The bucket of the artifacts; the data directory where none is named.
    pub bucket: Option<Bucket>,
}

impl From<&std::path::Path> for Location {
    fn from(folder: &std::path::Path) -> Self {
        Location { folder: folder.to_owned(), database: None, bucket: None }
    }
}

/// A prefix of a bucket, and what a client needs to use it.
#[derive(Clone)]
pub struct Bucket {
    /// Such as `s3://bucket/prefix`.
    pub url: BucketUrl,
    /// Credentials and settings, named as the bucket's own tools name them: `AWS_…`, `GOOGLE_…`, `AZURE_…`.
    pub environment: Vec<(String, String)>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_tuple("Bucket").field(&self.url).finish()
    }
}

/// A PostgreSQL database, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

impl DatabaseUrl {
    /// What a connection needs.
    pub fn options(&self) -> PgConnectOptions {
        self.0.clone()
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let accepted = "postgres://USER:PASSWORD@HOST:PORT/DATABASE is accepted; without it, the database is SQLite's in \
                        the data directory";
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(accepted.to_owned());
        }
        // What is wrong with it is told without it: it holds a password.
        text.parse().map(DatabaseUrl).map_err(|error: sqlx::Error| format!("{error}; {accepted}"))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.get_host(), self.0.get_port());
        write!(f, "postgres://{host}:{port}/{}", self.0.get_database().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A prefix of a bucket, `s3://BUCKET/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl(Url);

impl BucketUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for BucketUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let accepted = "s3://BUCKET/PREFIX is accepted, and so are gs:// and az://; without it, artifacts are in the data \
                        directory";
        let url: Url = text.parse().map_err(|error| format!("{error}; {accepted}"))?;
        let plain = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
        let bucket = matches!(url.scheme(), "s3" | "gs" | "az") && url.host_str().is_some_and(|host| !host.is_empty());
        if bucket && plain { Ok(BucketUrl(url)) } else { Err(accepted.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        let url: DatabaseUrl = "postgres://graft:secret@db.example:5433/graft".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), ["postgres://db.example:5433/graft"; 2].join(" "));
        for bad in ["", "mysql://a/b", "sqlite:graft.db", "postgres://graft:secret@db.example:port/graft"] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert!(error.contains("is accepted") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_bucket_is_a_url_of_an_object_store() {
        for good in ["s3://bucket", "s3://bucket/a/prefix", "gs://bucket/x", "az://container/x"] {
            assert!(good.parse::<BucketUrl>().is_ok(), "{good}");
        }
        for bad in
            ["", "bucket", "/folder", "file:///folder", "https://host/x", "s3://", "s3://key@bucket", "s3://b?x=y"]
        {
            assert!(bad.parse::<BucketUrl>().unwrap_err().contains("is accepted"), "{bad}");
        }
    }
}
