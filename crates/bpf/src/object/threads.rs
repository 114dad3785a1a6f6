//! Processes whose threads hand requests to each other, for the kernel programs.

use std::ops::Range;

use hadal_abi as abi;
use libbpf_rs::{MapCore, MapFlags};

use super::{Bpf, Error, is_loaded, kernel};

const PROGRAM: &str = "thread_wakes";

/// Calls that threads of a process have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadCalls {
    /// The process.
    pub pid: u32,
    /// All of them.
    pub calls: u32,
    /// Those for no request that was known to be worked on.
    pub strays: u32,
}

impl Bpf {
    /// From now on calls of this process are counted, by whether it is known for which request they are.
    pub fn count_threads(&mut self, pid: u32) -> Result<(), Error> {
        self.set_threads(pid, abi::THREADS_COUNTED, 0..0)
    }

    /// From now on requests are followed from one thread of this process to another. Who waits at an address within
    /// `locks` waits for a lock and not for work.
    pub fn follow_threads(&mut self, pid: u32, locks: Range<u64>) -> Result<(), Error> {
        self.set_threads(pid, abi::THREADS_FOLLOWED, locks)?;
        if self.wakes.is_some() {
            return Ok(());
        }
        let program = self.object.progs_mut().find(|program| program.name() == PROGRAM && is_loaded(program));
        let link = program.map(|program| program.attach()).transpose();
        self.wakes = link.map_err(kernel("follow requests from one thread to another"))?;
        Ok(())
    }

    fn set_threads(&mut self, pid: u32, reach: u32, locks: Range<u64>) -> Result<(), Error> {
        let value =
            abi::Threads { locks_start: locks.start, locks_end: locks.end, reach, calls: 0, strays: 0, reserved: 0 };
        let updated = self.threads.update(&pid.to_ne_bytes(), abi::bytes(&value), MapFlags::ANY);
        updated.map_err(kernel("remember a process with threads"))?;
        self.next_generation()
    }

    /// Calls of each process since [`Bpf::count_threads`]; none of those that are followed.
    pub fn thread_calls(&self) -> Vec<ThreadCalls> {
        let calls = self.threads.keys().filter_map(|key| {
            let value = self.threads.lookup(&key, MapFlags::ANY).ok().flatten()?;
            let abi::Threads { reach, calls, strays, .. } = abi::read(&value)?;
            let pid = u32::from_ne_bytes(key.try_into().ok()?);
            (reach == abi::THREADS_COUNTED).then_some(ThreadCalls { pid, calls, strays })
        });
        calls.collect()
    }
}
