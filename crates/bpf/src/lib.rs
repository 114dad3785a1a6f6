//! The kernel programs: load, attach, read. What events mean is decided elsewhere.

mod doctor;
mod level;
mod object;

pub use doctor::{Capability, CapabilityState, capabilities};
pub use level::Level;
pub use object::{
    Bpf, Config, Counters, Error, GoLayout, GoPlaces, GoReach, LoopLayout, Policy, Reader, Shedding, ThreadCalls,
    TokioCalls, TokioLayout, TokioPlaces,
};

/// The kernel's monotonic clock in nanoseconds, which events are stamped with.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Gives memory that was freed back to the system; the C library keeps it otherwise. Takes a few milliseconds at most.
pub fn release_memory() {
    // SAFETY: takes a number, and locks what it needs.
    unsafe { libc::malloc_trim(0) };
}
