//! Which URIs are below which prefixes. What is compared is what a request would be sent to: the parsed URI, with its
//! scheme, host and port, and the path in whole segments.

use url::{Host, Url};

use super::error::{FetchError, PrefixError};

/// The longest URI, in bytes.
const URI_BYTES: usize = 4096;
/// What a file name may contain in no spelling: separators hidden from those who split a path, and its end.
const HIDDEN: [&str; 3] = ["%2f", "%5c", "%00"];

/// A place below which everything may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix as a URI.
    pub url: Url,
    segments: Vec<String>,
}

impl Prefix {
    /// Read a prefix. A `/` at its end means nothing.
    pub fn parse(given: &str) -> Result<Prefix, PrefixError> {
        let refused = |reason: String| PrefixError { given: given.to_owned(), reason };
        let url = read(given).map_err(|error| refused(error.to_string()))?;
        let nowhere = match url.scheme() {
            "file" => url.host().is_some() || url.path() == "/",
            "http" | "https" => false,
            "s3" | "gs" | "az" => url.host_str().is_none_or(str::is_empty) || url.port().is_some(),
            scheme => return Err(refused(format!("the scheme {scheme}:// is unknown"))),
        };
        if nowhere {
            return Err(refused("it names no directory, bucket or container".into()));
        }
        if url.query().is_some() {
            return Err(refused("a prefix has no query".into()));
        }
        let mut segments: Vec<String> = segments(&url).map(str::to_owned).collect();
        if segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        if segments.iter().any(String::is_empty) {
            return Err(refused("an empty segment, `//`".into()));
        }
        Ok(Prefix { url, segments })
    }

    /// Whether `url` is this place, or below it.
    pub fn holds(&self, url: &Url) -> bool {
        let place = |url: &Url| -> (String, Option<Host<String>>, Option<u16>) {
            (url.scheme().to_owned(), url.host().map(|host| host.to_owned()), url.port_or_known_default())
        };
        let mut asked = segments(url);
        place(&self.url) == place(url) && self.segments.iter().all(|segment| asked.next() == Some(segment))
    }
}

fn segments(url: &Url) -> impl Iterator<Item = &str> {
    url.path_segments().into_iter().flatten()
}

/// Parse a URI, and refuse what different readers might read differently.
pub fn read(uri: &str) -> Result<Url, FetchError> {
    let refused = |reason: String| Err(FetchError::Malformed(reason));
    if uri.len() > URI_BYTES {
        return refused(format!("{} bytes; at most {URI_BYTES} are accepted", uri.len()));
    }
    // A parser of URLs drops tabs and line ends, and takes a backslash for a slash.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return refused("spaces, backslashes, control characters and letters beyond ASCII must be %-encoded".into());
    }
    let Some((_, rest)) = uri.split_once("://") else {
        return refused("no URI: SCHEME://… is expected".into());
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    if HIDDEN.iter().any(|hidden| path.contains(hidden)) {
        return refused("an encoded separator (%2F, %5C or %00)".into());
    }
    // Some servers cut a segment at its `;` before they look for dots.
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if path.replace("%2e", ".").split('/').any(dots) {
        return refused("a segment of dots (`.` or `..`)".into());
    }
    let url = Url::parse(uri).map_err(|error| FetchError::Malformed(format!("no URI: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return refused("user and password are not accepted".into());
    }
    if url.fragment().is_some() {
        return refused("a fragment (#…) is not accepted".into());
    }
    if url.query().is_some() && !matches!(url.scheme(), "http" | "https") {
        return refused("a query (?…) is accepted for http and https alone".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(prefix: &str, uri: &str) -> bool {
        let prefix = Prefix::parse(prefix).unwrap();
        read(uri).is_ok_and(|url| prefix.holds(&url))
    }

    #[test]
    fn what_is_below_a_prefix_is_held_however_its_host_is_spelled() {
        for (prefix, uri) in [
            ("https://host", "https://host/a.jpg"),
            ("https://host/", "https://host:443/a.jpg"),
            ("https://host:443/images/", "https://HOST/images/a/b.jpg?width=5&sig=%2F"),
            ("HTTPS://Host/images", "https://host/images/a.jpg"),
            ("https://host/a.jpg", "https://host/a.jpg"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/a%20b.jpg"),
            ("http://127.0.0.1/", "http://127.0.0.1:80/a..b.jpg"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x/..a"),
            ("file:///srv/images", "file:///srv/images/a.jpg"),
            ("file:///srv/images/", "file://localhost/srv/images/a.jpg"),
            ("s3://bucket", "s3://bucket/a.jpg"),
            ("s3://bucket/images/", "s3://bucket/images/deep/a.jpg"),
        ] {
            assert!(holds(prefix, uri), "{prefix} {uri}");
        }
    }

    #[test]
    fn nothing_else_is_held_by_any_trick() {
        for (prefix, uri) in [
            ("https://host", "https://host.evil/a.jpg"),
            ("https://host", "https://hostevil/a.jpg"),
            ("https://host", "https://host./a.jpg"),
            ("https://host", "https://host@evil/a.jpg"),
            ("https://host", "https://host:pass@evil/a.jpg"),
            ("https://host", "https://evil/https://host/a.jpg"),
            ("https://host", "https://evil?https://host/a.jpg"),
            ("https://host", "https://evil#https://host/a.jpg"),
            ("https://host", "https://evil\\@host/a.jpg"),
            ("https://host", "https://evil\t.host/a.jpg"),
            ("https://host", "https:host/a.jpg"),
            ("https://host", "http://host/a.jpg"),
            ("https://host", "http://host:443/a.jpg"),
            ("https://host", "https://host:444/a.jpg"),
            ("https://host", "ftp://host/a.jpg"),
            ("https://host", "//host/a.jpg"),
            ("https://host/images", "https://host/images-private/a.jpg"),
            ("https://host/images/", "https://host/imagesprivate"),
            ("https://host/images", "https://host/IMAGES/a.jpg"),
            ("https://host/images", "https://host/"),
            ("https://host/images", "https://host/x/images/a.jpg"),
            ("https://host/images", "https://host//images/a.jpg"),
            ("https://host/images", "https://host/images/../secret"),
            ("https://host/images", "https://host/images/./a.jpg"),
            ("https://host/images", "https://host/images/%2e%2e/secret"),
            ("https://host/images", "https://host/images/.%2E/secret"),
            ("https://host/images", "https://host/images/..;x=1/secret"),
            ("https://host/images", "https://host/images/%2e%2e;/secret"),
            ("https://host/images", "https://host/images/..%2fsecret"),
            ("https://host/images", "https://host/images/..%5csecret"),
            ("https://host/images", "https://host/images/..\\secret"),
            ("https://host/images", "https://host/images%00/a.jpg"),
            ("https://host/images", "https://host/other?/images/"),
            ("http://127.0.0.1:80", "http://127.0.0.1:8080/a"),
            ("http://127.0.0.1", "http://127.1.0.1/a"),
            ("http://localhost", "http://127.0.0.1/a"),
            ("file:///srv/images", "file:///srv/images/../secret"),
            ("file:///srv/images", "file:///srv/images/%2e%2e/secret"),
            ("file:///srv/images", "file://evil/srv/images/a.jpg"),
            ("file:///srv/images", "file:///srv/images?x"),
            ("file:///srv/images", "/srv/images/a.jpg"),
            ("s3://bucket/images", "s3://bucket/images-private/a.jpg"),
            ("s3://bucket", "s3://other/a.jpg"),
            ("s3://bucket", "s3://Bucket/a.jpg"),
            ("s3://bucket", "s3://bucket@other/a.jpg"),
            ("s3://bucket", "s3://bucket:9000/a.jpg"),
            ("s3://bucket", "gs://bucket/a.jpg"),
        ] {
            assert!(!holds(prefix, uri), "{prefix} {uri}");
        }
        assert!(read(&format!("https://host/{}", "a".repeat(URI_BYTES))).is_err());
    }

    #[test]
    fn a_prefix_that_says_too_little_is_refused_and_says_why() {
        for (given, word) in [
            ("", "no URI"),
            ("host/images", "no URI"),
            ("ftp://host", "ftp"),
            ("file:///", "no directory"),
            ("file://host/srv", "no directory"),
            ("s3:///a", "bucket"),
            ("https://me@host", "user"),
            ("https://host/?q", "query"),
            ("https://host/a//b", "empty"),
            ("https://host/a/../b", "dots"),
        ] {
            let error = Prefix::parse(given).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("is accepted"), "{given}: {error}");
        }
    }
}
