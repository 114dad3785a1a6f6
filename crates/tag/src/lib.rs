//! Entities: what one side of a record is. Facts about processes and addresses become a stable key and tags. Pure.
#![forbid(unsafe_code)]

mod address;
mod entity;
mod key;
mod naming;

pub use address::{AddressLimits, Addresses};
pub use entity::{Entities, Entity, OTHER, ProcessFacts, process_entity};
pub use naming::program_name;
