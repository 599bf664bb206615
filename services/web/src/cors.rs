//! The pages that may call: those of the origins that were named.
//!
//! A browser says with a request which origin the page is of, and reads no answer that does not name it. Beyond that, a request
//! of another origin is refused before anything is done: else any page could let its own name lead to this machine and
//! have the services for its own.

use std::{str::FromStr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::ORIGIN};
use tonic::Code;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use url::Url;

use crate::refusal::Refusal;

/// How long a browser need not ask again whether it may call.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// What a page may read of an answer beside its body.
const EXPOSED: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// The origin of pages, as browsers write it, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Any page.
    Any,
    /// Pages of this origin, such as `https://example.org` or `http://localhost:3000`.
    Of(HeaderValue),
}

/// A text that is no origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is no origin: https://HOST, http://HOST, either with :PORT, or * is accepted, and nothing behind it")]
pub struct NoOrigin(String);

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Origin, NoOrigin> {
        if text == "*" {
            return Ok(Origin::Any);
        }
        let no_origin = || NoOrigin(text.to_owned());
        let url = Url::parse(text).map_err(|_| no_origin())?;
        // What browsers send is compared byte by byte, so it must be written as they write it.
        let fine = matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
        if !fine {
            return Err(no_origin());
        }
        HeaderValue::from_str(text).map(Origin::Of).map_err(|_| no_origin())
    }
}

/// The pages that may call.
#[derive(Debug)]
pub(crate) struct Pages {
    any: bool,
    origins: Vec<HeaderValue>,
    layer: Option<CorsLayer>,
}

impl Pages {
    /// Those of these origins.
    pub(crate) fn of(origins: &[Origin]) -> Pages {
        let any = origins.contains(&Origin::Any);
        let origins: Vec<HeaderValue> = origins
            .iter()
            .filter_map(|origin| if let Origin::Of(origin) = origin { Some(origin.clone()) } else { None })
            .collect();
        let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.clone()) };
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            // Metadata of any name; a star would leave out `authorization`.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED)
            .max_age(MAX_AGE);
        let off = !any && origins.is_empty();
        Pages { any, origins, layer: if off { None } else { Some(layer) } }
    }

    /// What lets browsers call, if any page may.
    pub(crate) fn layer(&self) -> Option<&CorsLayer> {
        self.layer.as_ref()
    }

    /// Refuse a request that comes from a page that may not call.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        if self.any || self.origins.contains(origin) {
            return Ok(());
        }
        let shown: String = origin.as_bytes().iter().take(80).copied().map(char::from).collect();
        let message = format!("pages of {} may not call; --cors-origin names those that may", shown.escape_debug());
        Err(Refusal::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert_eq!("*".parse::<Origin>().unwrap(), Origin::Any);
        for text in ["https://example.org", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"] {
            assert_eq!(text.parse::<Origin>().unwrap(), Origin::Of(HeaderValue::from_str(text).unwrap()));
        }
        for text in [
            "",
            "example.org",
            "https://example.org/",
            "https://Example.org",
            "http://a:80",
            "ftp://a",
            "null",
            "https://a b",
        ] {
            let error = text.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("is accepted"), "{error}");
        }
    }
}
