//! Tests of the state as a whole.

mod leases;
mod opening;
mod outage;
mod registry;
mod schema;
