//! The trainer's configuration: each flag is `GRAFT_TRAINER_…` in the environment and an entry of the file.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, value_parser};
use graft_chassis::config::CommonArgs;
use url::Url;

use crate::{
    embed::endpoints::Endpoint,
    store::location::{Bucket, BucketUrl, DatabaseUrl, Location},
};

/// Keep labelled examples, fit classifier heads on their embeddings and serve the heads over gRPC.
#[derive(Parser, Clone, Debug)]
#[command(name = "graft-trainer", version)]
pub struct Config {
    /// The address to serve gRPC on.
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The address to serve /metrics, /livez and /readyz on.
    #[arg(long, default_value = "127.0.0.1:7410", value_name = "ADDRESS")]
    pub metrics_listen: SocketAddr,

    /// Where the extractor is. May be given several times, or several with commas between them; of a name with many addresses,
    /// there is one at each. Work is spread over all that can be reached.
    #[arg(long, default_value = "http://127.0.0.1:7401", value_delimiter = ',', value_name = "URL")]
    pub extractor: Vec<Endpoint>,

    /// Where datasets, embeddings and heads are kept, unless the next two say otherwise. One trainer at a time.
    #[arg(long, default_value = "graft-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The PostgreSQL database of any number of trainers, postgres://USER:PASSWORD@HOST:PORT/DATABASE. Without it, the database is
    /// SQLite's in the data directory.
    #[arg(long, value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,

    /// The bucket of embeddings and heads, s3://BUCKET/PREFIX. Credentials are in the usual AWS_… variables. Without it, they are
    /// files of the data directory.
    #[arg(long, value_name = "URL")]
    pub artifacts: Option<BucketUrl>,

    /// Where the bucket's S3-compatible server is, unless it is Amazon's.
    #[arg(long, value_name = "URL", requires = "artifacts", value_parser = server)]
    pub artifacts_endpoint: Option<String>,

    /// Mebibytes of heads kept ready to serve; the least recently used make room.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=1_048_576), value_name = "MIB")]
    pub head_cache_mib: u32,

    /// Mebibytes of embeddings that a training run may hold in memory, and a comparison of two heads beside it; one that needs more
    /// is refused.
    #[arg(long, default_value_t = 8192, value_parser = value_parser!(u32).range(1..=16_777_216), value_name = "MIB")]
    pub training_mib: u32,

    /// Imports that may be under way at once.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..=65536), value_name = "STREAMS")]
    pub max_imports: u32,

    /// Single classifications that may be under way at once, and corrections.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=65536), value_name = "CALLS")]
    pub max_classify_calls: u32,

    /// Streams of classifications that may be open at once.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=65536), value_name = "STREAMS")]
    pub max_classify_streams: u32,

    /// Minutes between two collections of what nothing refers to any more; 0 for none but those that are asked for.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(0..=525_600), value_name = "MINUTES")]
    pub gc_minutes: u32,

    /// What all services have.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl Config {
    /// Where the state is; `environment` holds the bucket's credentials.
    pub fn location(&self, mut environment: Vec<(String, String)>) -> Location {
        if let Some(endpoint) = &self.artifacts_endpoint {
            environment.retain(|(key, _)| !key.starts_with("AWS_ENDPOINT"));
            environment.push(("AWS_ENDPOINT".to_owned(), endpoint.clone()));
            environment.push(("AWS_ALLOW_HTTP".to_owned(), endpoint.starts_with("http://").to_string()));
        }
        Location {
            folder: self.data_dir.clone(),
            database: self.database_url.clone(),
            bucket: self.artifacts.clone().map(|url| Bucket { url, environment }),
        }
    }
}

fn server(text: &str) -> Result<String, String> {
    let fine = text.parse().is_ok_and(|url: Url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if fine { Ok(text.to_owned()) } else { Err("a URL such as https://minio.example:9000 is accepted".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_extractor_or_several() {
        let extractors = |flags: &[&str]| {
            let config = Config::try_parse_from([&["graft-trainer"], flags].concat())?;
            Ok::<_, clap::Error>(config.extractor.iter().map(Endpoint::to_string).collect::<Vec<_>>())
        };
        assert_eq!(extractors(&[]).unwrap(), ["http://127.0.0.1:7401"]);
        let two = ["http://a:7401", "http://[::1]:7401"];
        assert_eq!(extractors(&["--extractor", &two.join(",")]).unwrap(), two);
        assert_eq!(extractors(&["--extractor", two[0], "--extractor", two[1]]).unwrap(), two);
        for bad in ["", "a:7401", "https://a:7401", "http://a:7401,", "http://a:7401,nonsense"] {
            let error = extractors(&["--extractor", bad]).unwrap_err().to_string();
            assert!(error.contains("--extractor") && error.contains("http://127.0.0.1:7401"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_state_is_where_the_flags_say() {
        let parse = |flags: &[&str]| Config::try_parse_from([&["graft-trainer"], flags].concat());
        let location = parse(&["--data-dir", "here"]).unwrap().location(Vec::new());
        assert!(location.folder.ends_with("here") && location.database.is_none() && location.bucket.is_none());

        let database = "postgres://graft:secret@db/graft";
        let flags =
            ["--database-url", database, "--artifacts", "s3://b/p", "--artifacts-endpoint", "http://minio:9000"];
        let config = parse(&flags).unwrap();
        assert!(!format!("{config:?}").contains("secret"));
        let given = [("AWS_ENDPOINT_URL", "https://elsewhere"), ("AWS_REGION", "here")];
        let location = config.location(given.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
        assert!(location.database.is_some());
        let environment = location.bucket.unwrap().environment;
        let pairs: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let endpoint = [("AWS_ENDPOINT", "http://minio:9000"), ("AWS_ALLOW_HTTP", "true")];
        assert_eq!(pairs, [&given[1..], &endpoint].concat());

        for bad in
            [&["--artifacts-endpoint", "http://minio:9000"][..], &["--artifacts", "/tmp"], &["--database-url", "x"]]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
