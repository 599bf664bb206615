//! A request's headers are the call's metadata, and the answer's metadata are headers.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::metadata::MetadataMap;

/// What a request says about its own transport, and not to the service.
const OF_TRANSPORT: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
];
/// The same, where the `http` crate has no names.
const OF_PROTOCOL: [&str; 9] = [
    "connect-accept-encoding",
    "connect-content-encoding",
    "connect-protocol-version",
    "connect-timeout-ms",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "keep-alive",
    "proxy-connection",
];
/// What gRPC answers with that HTTP says otherwise.
const OF_GRPC: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// The metadata of a call with these headers, which may take as long as `timeout` says.
pub(crate) fn of_headers(mut headers: HeaderMap, timeout: Option<HeaderValue>) -> MetadataMap {
    for name in &OF_TRANSPORT {
        headers.remove(name);
    }
    for name in OF_PROTOCOL {
        headers.remove(name);
    }
    if let Some(timeout) = timeout {
        headers.insert("grpc-timeout", timeout);
    }
    MetadataMap::from_headers(headers)
}

/// The headers of an answer with this metadata, each name with `prefix` before it.
pub(crate) fn to_headers(metadata: MetadataMap, prefix: &str) -> HeaderMap {
    let mut headers = metadata.into_headers();
    for name in &OF_TRANSPORT {
        headers.remove(name);
    }
    for name in OF_PROTOCOL.into_iter().chain(OF_GRPC) {
        headers.remove(name);
    }
    if prefix.is_empty() {
        return headers;
    }
    let named = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(format!("{prefix}{name}")).ok()?;
        Some((name, value.clone()))
    });
    named.collect()
}
