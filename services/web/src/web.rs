//! What a request that is not gRPC asks for, and who answers it.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::Full;
use tonic::{Code, body::Body};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::{
    call,
    contract::{self, Contract},
    cors::{Origin, Pages},
    form::Form,
    grpc_web,
    linger::lingering,
    query,
    refusal::Refusal,
    transcode::Transcoder,
};

/// What knows the services' methods, and who may call them from a page.
#[derive(Debug)]
pub(crate) struct Web {
    contract: Contract,
    transcoder: Transcoder,
    pages: Pages,
}

/// What a request asks for.
enum Wanted<'a> {
    /// What there is.
    List,
    /// A call in grpc-web, of this content type.
    GrpcWeb(HeaderValue),
    /// A call in JSON, with messages in this form.
    Json(&'a contract::Method, Form),
    /// A call in JSON, with the message in the URL.
    Query(&'a contract::Method),
}

impl Web {
    /// The methods of `contract`, for pages of `origins` too.
    pub(crate) fn new(contract: Contract, transcoder: Transcoder, origins: &[Origin]) -> Web {
        Web { contract, transcoder, pages: Pages::of(origins) }
    }

    /// Answer a request by `inner`.
    pub(crate) async fn answer<S, R>(
        self: Arc<Web>,
        inner: S,
        request: Request<Body>,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError> + Send + 'static,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let request = lingering(request);
        if let Err(refusal) = self.pages.check(request.headers()) {
            return Ok(self.refuse(&refusal));
        }
        let Some(cors) = self.pages.layer() else { return self.route(inner, request).await };
        let web = self.clone();
        let routed = service_fn(move |request| {
            let (web, inner) = (web.clone(), inner.clone());
            async move { web.route(inner, request).await }
        });
        cors.layer(routed).oneshot(request).await
    }

    async fn route<S, R>(&self, inner: S, request: Request<Body>) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError> + Send + 'static,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let (method, form, body) = match self.wanted(&parts) {
            Ok(Wanted::GrpcWeb(kind)) => return grpc_web::call(inner, kind, Request::from_parts(parts, body)).await,
            Ok(Wanted::List) => return Ok(self.list()),
            Ok(Wanted::Json(method, form)) => (method, form, body),
            Ok(Wanted::Query(method)) => match query::message(parts.uri.query().unwrap_or_default()) {
                Ok(message) => (method, Form::Document, Body::new(Full::from(message))),
                Err(refusal) => return Ok(self.refuse(&refusal)),
            },
            Err(refusal) => return Ok(self.refuse(&refusal)),
        };
        let answered = call::call(inner, &self.transcoder, method, form, parts, body).await;
        Ok(answered.unwrap_or_else(|refusal| self.refuse(&refusal)))
    }

    fn wanted(&self, parts: &Parts) -> Result<Wanted<'_>, Refusal> {
        let path = parts.uri.path();
        if path == "/" {
            return if parts.method == Method::GET { Ok(Wanted::List) } else { Err(other_method(parts, "GET")) };
        }
        let method = self.contract.find(path).ok_or_else(|| {
            let message = "there is no such method; /PACKAGE.SERVICE/METHOD is accepted, and GET / lists them";
            Refusal::new(StatusCode::NOT_FOUND, Code::Unimplemented, message)
        })?;
        match parts.method {
            Method::GET if method.by_get() => return Ok(Wanted::Query(method)),
            Method::POST => {}
            _ => return Err(other_method(parts, if method.by_get() { "GET, POST" } else { "POST" })),
        }
        if let Some(kind) = grpc_web::content_type(&parts.headers) {
            return Ok(Wanted::GrpcWeb(kind));
        }
        let form =
            Form::of(&parts.headers).filter(|form| form.suits(method)).ok_or_else(|| other_type(parts, method))?;
        plain(parts)?;
        Ok(Wanted::Json(method, form))
    }

    fn list(&self) -> Response<Body> {
        let mut response = Response::new(Body::new(Full::from(self.contract.list().to_string())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Form::Document.content_type()));
        response
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        refusal.response(&self.transcoder.details)
    }
}

/// The body must not be compressed, and the protocol must be the one that is known.
fn plain(parts: &Parts) -> Result<(), Refusal> {
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "content-encoding: bodies are taken as they are, and not compressed";
        let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented, message);
        return Err(refusal.header(ACCEPT_ENCODING, "identity"));
    }
    if parts.headers.get("connect-protocol-version").is_some_and(|version| version != "1") {
        return Err(Refusal::invalid("connect-protocol-version: 1 is accepted"));
    }
    Ok(())
}

fn other_method(parts: &Parts, accepted: &str) -> Refusal {
    let message = format!("{} is not answered here; {accepted} is accepted", parts.method);
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message).header(ALLOW, accepted)
}

fn other_type(parts: &Parts, method: &contract::Method) -> Refusal {
    let accepted = Form::accepted(method);
    let given = parts
        .headers
        .get(CONTENT_TYPE)
        .map_or("none".into(), |kind| kind.to_str().unwrap_or("?").escape_debug().to_string());
    let given: String = given.chars().take(80).collect();
    let version = if parts.version == Version::HTTP_2 { "2" } else { "1.1" };
    let message = format!("content-type: {given} over HTTP/{version}; accepted are {accepted}");
    let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message);
    refusal.header(HeaderName::from_static("accept-post"), &accepted)
}
