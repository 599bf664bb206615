//! The descriptors of services with their comments.

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};

use crate::{Failure, comments::Comments, names};

/// What services can be asked, and what their comments say of it.
#[derive(Clone, Debug)]
pub struct Contract {
    pool: DescriptorPool,
    comments: Comments,
}

impl Contract {
    /// The contract in an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// It is none, or refers to what is not in it.
    pub fn decode(set: &[u8]) -> Result<Contract, Failure> {
        let pool = DescriptorPool::decode(set).map_err(|error| Failure::Input(format!("the contract: {error}")))?;
        Ok(Contract::new(pool))
    }

    /// The contract of the services in a pool.
    pub fn new(pool: DescriptorPool) -> Contract {
        let comments = Comments::of(&pool);
        Contract { pool, comments }
    }

    /// All descriptors.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// All comments.
    pub fn comments(&self) -> &Comments {
        &self.comments
    }

    /// The service whose commands are the group of this name.
    pub fn service_of(&self, group: &str) -> Option<ServiceDescriptor> {
        self.pool.services().find(|service| names::group(service.name()) == group)
    }

    /// The RPC of a service whose command has this name.
    pub fn method_of(&self, service: &ServiceDescriptor, command: &str) -> Option<MethodDescriptor> {
        service.methods().find(|method| names::kebab(method.name()) == command)
    }

    /// Every RPC.
    pub fn methods(&self) -> Vec<MethodDescriptor> {
        self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
    }

    /// What is said of a service.
    pub fn about_service(&self, service: &ServiceDescriptor) -> &str {
        self.comments.at(&service.parent_file(), service.path())
    }

    /// What is said of an RPC.
    pub fn about_method(&self, method: &MethodDescriptor) -> &str {
        self.comments.at(&method.parent_file(), method.path())
    }
}
