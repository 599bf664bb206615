//! The methods that are served, by the path of their requests, and what messages they take and give.

use std::collections::{BTreeMap, HashSet};

use prost_reflect::{
    DescriptorError, DescriptorPool, MessageDescriptor, MethodDescriptor, prost_types::method_options::IdempotencyLevel,
};
use serde_json::{Value, json};

/// What is served.
#[derive(Debug)]
pub(crate) struct Contract(BTreeMap<String, Method>);

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// The message that it takes, or of which it takes a stream.
    pub(crate) input: MessageDescriptor,
    /// The message that it answers with.
    pub(crate) output: MessageDescriptor,
    /// Whether it takes any number of messages.
    pub(crate) takes_stream: bool,
    /// Whether it answers with any number of messages.
    pub(crate) gives_stream: bool,
    /// Whether the contract says that it changes nothing.
    pub(crate) without_side_effects: bool,
}

impl Contract {
    /// The methods of those services in the encoded descriptor sets whose full names are among `services`.
    pub(crate) fn of(sets: &[&[u8]], services: &[&str]) -> Result<Contract, DescriptorError> {
        let mut pool = DescriptorPool::new();
        for set in sets {
            pool.decode_file_descriptor_set(*set)?;
        }
        let served: HashSet<&str> = services.iter().copied().collect();
        let mut methods = BTreeMap::new();
        for service in pool.services().filter(|service| served.contains(service.full_name())) {
            for method in service.methods() {
                methods.insert(format!("/{}/{}", service.full_name(), method.name()), Method::of(&method));
            }
        }
        Ok(Contract(methods))
    }

    /// The method of this path.
    pub(crate) fn find(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }

    /// All methods, for whoever looks around.
    pub(crate) fn list(&self) -> Value {
        let one =
            |message: &MessageDescriptor, stream: bool| json!({ "message": message.full_name(), "stream": stream });
        let methods = self.0.iter().map(|(path, method)| {
            let (takes, gives) = (one(&method.input, method.takes_stream), one(&method.output, method.gives_stream));
            json!({ "path": path, "takes": takes, "gives": gives })
        });
        json!({ "methods": methods.collect::<Vec<_>>() })
    }
}

impl Method {
    fn of(method: &MethodDescriptor) -> Method {
        let options = method.method_descriptor_proto().options.as_ref();
        let level = options.map(|options| options.idempotency_level());
        Method {
            input: method.input(),
            output: method.output(),
            takes_stream: method.is_client_streaming(),
            gives_stream: method.is_server_streaming(),
            without_side_effects: level == Some(IdempotencyLevel::NoSideEffects),
        }
    }

    /// Whether it can be asked by GET: one message in, one out, and nothing is changed.
    pub(crate) fn by_get(&self) -> bool {
        self.without_side_effects && !self.takes_stream && !self.gives_stream
    }
}
