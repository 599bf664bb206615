//! Tests of the state as a whole.

mod aliases;
mod garbage;
mod leases;
mod opening;
mod outage;
mod registry;
mod schema;
