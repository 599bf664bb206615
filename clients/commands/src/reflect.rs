//! The contract of a running server, asked of its reflection: also what is newer than this program.

use std::collections::{BTreeSet, HashMap, VecDeque};

use prost::Message;
use prost_reflect::DescriptorPool;
use tokio_stream::StreamExt;
use tonic::{Request, Status, metadata::MetadataMap, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{Connection, Contract, Failure};

/// The most files that a contract may have: what a server says has no end otherwise.
const FILES: usize = 1000;
/// The largest answer that is taken, in bytes.
const LARGEST: usize = 64 << 20;

/// An encoded `FileDescriptorSet`, its files as the server gave them: with options and comments that are not known here.
#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// The parts of a `FileDescriptorProto` that are needed to find the others.
#[derive(Clone, PartialEq, Message)]
struct RawFile {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}

/// The contract of all services that the server names.
///
/// # Errors
/// It cannot be reached, has no reflection, or says what makes no sense.
pub async fn contract(connection: &Connection, headers: &MetadataMap) -> Result<Contract, Failure> {
    let mut server = Server::new(connection, headers);
    let services = server.services().await?;
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    let mut wanted: VecDeque<MessageRequest> = services.into_iter().map(MessageRequest::FileContainingSymbol).collect();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    while let Some(question) = wanted.pop_front() {
        for file in server.files(question).await? {
            let RawFile { name, dependency } = RawFile::decode(file.as_slice()).map_err(nonsense)?;
            files.insert(name, file);
            for other in dependency {
                if !files.contains_key(&other) && asked.insert(other.clone()) {
                    wanted.push_back(MessageRequest::FileByFilename(other));
                }
            }
        }
        if files.len() > FILES {
            return Err(Failure::Input(format!("the server's contract has more than {FILES} files")));
        }
    }
    let set = RawSet { file: files.into_values().collect() };
    let pool = DescriptorPool::decode(set.encode_to_vec().as_slice()).map_err(nonsense)?;
    Ok(Contract::new(pool))
}

struct Server<'a> {
    client: ServerReflectionClient<Channel>,
    connection: &'a Connection,
    metadata: MetadataMap,
}

impl Server<'_> {
    fn new<'a>(connection: &'a Connection, headers: &MetadataMap) -> Server<'a> {
        let client = ServerReflectionClient::new(connection.channel.clone()).max_decoding_message_size(LARGEST);
        let mut metadata = connection.metadata.clone().into_headers();
        metadata.extend(headers.clone().into_headers());
        Server { client, connection, metadata: MetadataMap::from_headers(metadata) }
    }

    async fn services(&mut self) -> Result<Vec<String>, Failure> {
        match self.ask(MessageRequest::ListServices(String::new())).await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            _ => Err(Failure::Input("the server does not say which services it has".to_owned())),
        }
    }

    async fn files(&mut self, question: MessageRequest) -> Result<Vec<Vec<u8>>, Failure> {
        match self.ask(question).await? {
            MessageResponse::FileDescriptorResponse(found) => Ok(found.file_descriptor_proto),
            _ => Err(Failure::Input("the server does not describe what it names".to_owned())),
        }
    }

    async fn ask(&mut self, question: MessageRequest) -> Result<MessageResponse, Failure> {
        let failed = |status: Status| Failure::of_call(&self.connection.url, status);
        let question = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut request = Request::new(tokio_stream::once(question));
        *request.metadata_mut() = self.metadata.clone();
        let answers = self.client.server_reflection_info(request).await.map_err(failed)?;
        let answer: Option<Result<ServerReflectionResponse, Status>> = answers.into_inner().next().await;
        match answer.transpose().map_err(failed)?.and_then(|answer| answer.message_response) {
            Some(MessageResponse::ErrorResponse(error)) => {
                Err(failed(Status::new(tonic::Code::from_i32(error.error_code), error.error_message)))
            }
            Some(answer) => Ok(answer),
            None => Err(Failure::Input("the server's reflection does not answer".to_owned())),
        }
    }
}

fn nonsense(error: impl std::fmt::Display) -> Failure {
    Failure::Input(format!("the server's contract makes no sense: {error}"))
}
