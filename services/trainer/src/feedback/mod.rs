//! Feedback: what was right where a head was wrong, and whose labels would teach a head most.
//!
//! # Layout
//! - [`correct`](mod@correct) puts what is right into the dataset of the head.
//! - [`suggest`](mod@suggest) chooses what to label: `uncertain` keeps the examples that a head is least sure of, and `spread`
//!   chooses among them so that no two are nearly the same.

pub mod correct;
mod spread;
pub mod suggest;
mod uncertain;
