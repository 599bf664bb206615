//! The methods that a service has, by the path of their requests.
//!
//! What else is called is counted as `unknown`: whoever makes up paths must not make up metrics.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use prost::Message;
use prost_types::FileDescriptorSet;

/// What a method that is not known is called.
const UNKNOWN: &str = "unknown";

/// Names of methods, as metrics have them: `graft.v1.ExtractorService/Extract`.
#[derive(Clone, Debug)]
pub struct Methods {
    known: Arc<HashMap<String, Arc<str>>>,
    unknown: Arc<str>,
}

impl Methods {
    /// The methods of those services in the encoded descriptor sets whose full names are among `services`.
    ///
    /// # Errors
    /// A set that is none: a fault of the build.
    pub fn of(sets: &[&[u8]], services: &[&str]) -> Result<Methods, prost::DecodeError> {
        let services: HashSet<&str> = services.iter().copied().collect();
        let mut known = HashMap::new();
        for set in sets {
            for file in FileDescriptorSet::decode(*set)?.file {
                for service in &file.service {
                    let name = format!("{}.{}", file.package(), service.name());
                    if services.contains(name.as_str()) {
                        let methods = service.method.iter().map(|method| format!("{name}/{}", method.name()));
                        known.extend(methods.map(|method| (format!("/{method}"), Arc::from(method))));
                    }
                }
            }
        }
        Ok(Methods { known: Arc::new(known), unknown: Arc::from(UNKNOWN) })
    }

    /// The name of the method that a request to `path` is for.
    pub fn name(&self, path: &str) -> Arc<str> {
        self.known.get(path).unwrap_or(&self.unknown).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_served_has_a_name() {
        let methods = Methods::of(&[graft_proto::FILE_DESCRIPTOR_SET], &["graft.v1.ExtractorService"]).unwrap();
        assert_eq!(&*methods.name("/graft.v1.ExtractorService/Extract"), "graft.v1.ExtractorService/Extract");
        for path in ["/graft.v1.HeadService/GetHead", "/graft.v1.ExtractorService/Invent", "/x/1", "", "/"] {
            assert_eq!(&*methods.name(path), UNKNOWN, "{path}");
        }
        assert!(Methods::of(&[b"nonsense"], &[]).is_err());
    }
}
