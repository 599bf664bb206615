//! Every answer tells which version of Graft gave it, in the header `graft-version`, so that a client can tell whether it fits.

use http::{HeaderName, HeaderValue, Response};

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("graft-version");
/// The version of this workspace, such as `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The answer, with the version in its headers.
pub fn tell<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().insert(HEADER, HeaderValue::from_static(VERSION));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_version_and_is_otherwise_as_it_was() {
        let answer = tell(Response::new("body"));
        assert_eq!(answer.headers().get("graft-version").unwrap(), VERSION);
        assert_eq!(*answer.body(), "body");
    }
}
