//! How a body holds messages, which its content type says.

use http::{HeaderMap, header::CONTENT_TYPE};

use crate::contract::Method;

/// How messages stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One message, the whole body.
    Document,
    /// A message a line.
    Lines,
    /// Each with its flags and its length before it, as the Connect protocol has it.
    Envelopes,
}

const ALL: [Form; 3] = [Form::Document, Form::Lines, Form::Envelopes];

impl Form {
    /// What a request of this content type holds.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Form> {
        let kind = essence(headers)?;
        ALL.into_iter().find(|form| kind.eq_ignore_ascii_case(form.content_type()))
    }

    /// The content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Form::Document => "application/json",
            Form::Lines => "application/x-ndjson",
            Form::Envelopes => "application/connect+json",
        }
    }

    /// Whether the messages of `method` may come so.
    pub(crate) fn suits(self, method: &Method) -> bool {
        match self {
            Form::Document => !method.takes_stream,
            Form::Lines | Form::Envelopes => method.takes_stream || method.gives_stream,
        }
    }

    /// In what form the answers come to requests of this form.
    pub(crate) fn of_answers(self, method: &Method) -> Form {
        match self {
            Form::Envelopes => Form::Envelopes,
            _ if method.gives_stream => Form::Lines,
            _ => Form::Document,
        }
    }

    /// All content types by which `method` may be called.
    pub(crate) fn accepted(method: &Method) -> String {
        let json = ALL.into_iter().filter(|form| form.suits(method)).map(Form::content_type);
        json.chain(["application/grpc-web", "application/grpc-web-text", "application/grpc (over HTTP/2)"])
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The content type without its parameters.
pub(crate) fn essence(headers: &HeaderMap) -> Option<&str> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(kind.split(';').next().unwrap_or(kind).trim())
}
