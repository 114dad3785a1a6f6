//! The kernel programs: load, attach, read. What events mean is decided elsewhere.

mod doctor;
mod object;

pub use doctor::{Capability, CapabilityState, capabilities};
pub use object::{Bpf, Config, Counters, Error, Policy};
