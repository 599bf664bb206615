//! Errors, as HTTP and the Connect protocol have them.

use std::sync::{Arc, OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, prost_types::Any};
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};

use crate::{form::Form, metadata};

/// Why a call is not answered, and how that is said over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    http: StatusCode,
    headers: HeaderMap,
    /// The same for gRPC.
    pub(crate) status: Status,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        Refusal { http: http_code(status.code()), headers: HeaderMap::new(), status }
    }
}

impl Refusal {
    /// With an HTTP code of its own.
    pub(crate) fn new(http: StatusCode, code: Code, message: impl Into<String>) -> Refusal {
        Refusal { http, headers: HeaderMap::new(), status: Status::new(code, message) }
    }

    /// Something in the request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
        Status::invalid_argument(message).into()
    }

    /// And this header says more. A value that is no header's is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Refusal {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// `{"code": …, "message": …, "details": […]}`.
    pub(crate) fn json(&self, details: &DescriptorPool) -> Value {
        let mut error = json!({ "code": code_name(self.status.code()), "message": self.status.message() });
        // What is no `google.rpc.Status` has no details that could be told.
        let rich = tonic_types::pb::Status::decode(self.status.details()).unwrap_or_default();
        if !rich.details.is_empty() {
            error["details"] = rich.details.iter().map(|any| detail(any, details)).collect();
        }
        error
    }

    /// As a response.
    pub(crate) fn response(&self, details: &DescriptorPool) -> Response<Body> {
        let body = http_body_util::Full::from(self.json(details).to_string());
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.http;
        let headers = response.headers_mut();
        headers.extend(metadata::to_headers(self.status.metadata().clone(), ""));
        headers.extend(self.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Form::Document.content_type()));
        response
    }
}

/// A detail of an error: its type, its bytes, and for people what is in it.
fn detail(any: &Any, details: &DescriptorPool) -> Value {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let mut shown = json!({ "type": name, "value": BASE64_STANDARD_NO_PAD.encode(&any.value) });
    let message = details.get_message_by_name(name);
    if let Some(message) = message.and_then(|kind| DynamicMessage::decode(kind, &any.value[..]).ok())
        && let Ok(debug) = serde_json::to_value(&message)
    {
        shown["debug"] = debug;
    }
    shown
}

/// What is wrong with the messages of a call, for its answer: what the service makes of it is another thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<OnceLock<Refusal>>);

impl Refused {
    /// Say it. What is said first counts.
    pub(crate) fn say(&self, refusal: Refusal) -> Status {
        self.0.get_or_init(|| refusal).status.clone()
    }

    /// What was said, if anything.
    pub(crate) fn said(&self) -> Option<Refusal> {
        self.0.get().cloned()
    }

    /// What was said, or else what the service said.
    pub(crate) fn or(&self, status: Status) -> Refusal {
        self.said().unwrap_or_else(|| status.into())
    }
}

/// The code as the Connect protocol writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// HTTP's code for it, by the Connect protocol.
fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // "Client Closed Request", which the http crate has no name for.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
