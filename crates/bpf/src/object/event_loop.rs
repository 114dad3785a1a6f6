//! What is known of threads that run an event loop, for the kernel programs.

use hadal_abi as abi;
use libbpf_rs::{MapCore, MapFlags};

use super::{Bpf, Error, kernel};

/// Addresses in the stack of a thread that runs a loop of libuv.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopLayout {
    /// The array of events.
    pub events: u64,
    /// Where the return address of a callback lies.
    pub callback: u64,
    /// Where the return address of the function lies that calls back.
    pub poll: u64,
    /// That return address.
    pub poll_return: u64,
}

impl Bpf {
    /// From now on contexts of this process' main thread tell whether a call is made by the callback of the read before it.
    /// Where coroutines of another runtime run on the loop, they tell more.
    pub fn set_loop(&mut self, pid: u32, layout: LoopLayout) -> Result<(), Error> {
        let LoopLayout { events, callback, poll, poll_return } = layout;
        let value = abi::Loop {
            events,
            callback,
            poll,
            poll_return,
            event: 0,
            descriptor: 0,
            misses: 0,
            frames: [0; 17],
            now: [0; 17],
        };
        if self.runtimes.lookup(&pid.to_ne_bytes(), MapFlags::ANY).ok().flatten().is_some() {
            return Ok(());
        }
        let updated = self.loops.update(&pid.to_ne_bytes(), abi::bytes(&value), MapFlags::ANY);
        updated.map_err(kernel("remember an event loop"))?;
        self.set_runtime(pid, abi::RUNTIME_LOOP)
    }
}
