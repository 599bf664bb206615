//! Calls of any kind. On the wire a single message is a stream of one, so all four kinds are one.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Status, client::Grpc, metadata::MetadataMap};

use crate::{Connection, Failure, codec::DynamicCodec, failure::OVERDUE, options::Options, send::Outbound};

/// The largest message that is taken, in bytes: servers of others may send larger ones than Graft's.
const LARGEST: usize = 64 << 20;

/// Call an RPC, and give each answer to `take` when it arrives.
///
/// # Errors
/// The service refused or cannot be reached, what was to be sent cannot be made, or an answer cannot be taken.
pub async fn call(
    method: &MethodDescriptor,
    connection: Connection,
    options: &Options,
    outbound: Outbound,
    mut take: impl FnMut(DynamicMessage) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let url = connection.url.clone();
    let Outbound { messages, failure } = outbound;
    let talk = async {
        let mut count = 0_usize;
        let request = request(connection.metadata.clone(), options, ReceiverStream::new(messages));
        let mut grpc = Grpc::new(connection.channel).max_decoding_message_size(LARGEST);
        grpc.ready().await.map_err(|error| Failure::of_call(&url, Status::from_error(Box::new(error))))?;
        let codec = DynamicCodec::new(method.output());
        let answers = grpc.streaming(request, path(method)?, codec).await;
        let mut answers = answers.map_err(|status| Failure::of_call(&url, status))?.into_inner();
        while let Some(answer) = answers.next().await {
            take(answer.map_err(|status| Failure::of_call(&url, status))?)?;
            count += 1;
        }
        if count == 0 && !method.is_server_streaming() {
            return Err(Failure::of_call(&url, Status::internal("the service ended the call without an answer")));
        }
        Ok(())
    };
    // What could not be sent is told at once, and in place of what the service says of a stream that is cut short.
    let failed = async {
        match failure.await {
            Ok(failure) => failure,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        failure = failed => Err(failure),
        done = talk => done,
        () = overdue(options.timeout) => Err(Failure::of_call(&url, Status::deadline_exceeded(OVERDUE))),
    }
}

async fn overdue(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn request<T>(metadata: MetadataMap, options: &Options, messages: T) -> Request<T> {
    let mut request = Request::new(messages);
    let mut headers = metadata.into_headers();
    for (key, value) in &options.headers {
        headers.append(key.clone(), value.clone());
    }
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    if let Some(timeout) = options.timeout {
        // So that the service stops too.
        request.set_timeout(timeout);
    }
    request
}

fn path(method: &MethodDescriptor) -> Result<PathAndQuery, Failure> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    PathAndQuery::try_from(path).map_err(|error| Failure::Input(format!("{}: {error}", method.full_name())))
}
