//! The services of a descriptor set and what their comments begin with, without decoding the rest: a program's own help needs no
//! more, and is asked for often.

use prost::Message;

use crate::{comments, names};

/// A service, as far as the help above it needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its full name, such as `graft.v1.HeadService`.
    pub service: String,
    /// The group of its commands, such as `head`.
    pub group: String,
    /// The first sentence of its comment.
    pub about: String,
}

/// The parts of `google.protobuf.FileDescriptorSet` that are read here; the decoder skips the others.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
    #[prost(message, optional, tag = "9")]
    source_code_info: Option<SourceCodeInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct SourceCodeInfo {
    #[prost(message, repeated, tag = "1")]
    location: Vec<Location>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(int32, repeated, tag = "1")]
    path: Vec<i32>,
    #[prost(string, tag = "3")]
    leading_comments: String,
}

/// The number of `service` in a `FileDescriptorProto`, with which the paths of services begin.
const SERVICE: i32 = 6;

/// The services of an encoded descriptor set, in its order.
///
/// # Errors
/// It is none.
pub fn of(set: &[u8]) -> Result<Vec<Summary>, prost::DecodeError> {
    Ok(Set::decode(set)?.file.iter().flat_map(in_file).collect())
}

fn in_file(file: &File) -> impl Iterator<Item = Summary> + '_ {
    (0..).zip(&file.service).map(|(place, service)| {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comment = locations.into_iter().find(|location| location.path == [SERVICE, place]);
        let comment = comments::tidy(comment.map_or("", |location| &location.leading_comments));
        let name =
            if file.package.is_empty() { service.name.clone() } else { format!("{}.{}", file.package, service.name) };
        Summary {
            service: name,
            group: names::group(&service.name),
            about: comments::first_sentence(&comment).to_owned(),
        }
    })
}
