//! Tests of the state as a whole.

mod aliases;
mod leases;
mod opening;
mod outage;
mod registry;
mod schema;
