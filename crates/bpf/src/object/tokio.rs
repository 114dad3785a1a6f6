//! What is known of programs with tokio, for the kernel programs.

use std::os::unix::fs::MetadataExt;

use hadal_abi as abi;
use libbpf_rs::{MapCore, MapFlags, UprobeOpts};

use super::go::MAX_PROBED;
use super::{Bpf, Error, is_loaded, kernel};

/// Where a program keeps what tokio runs; see `hadal_tokio_layout` in `event.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokioLayout {
    /// Where the number of the running task is, from the thread pointer on.
    pub task: u64,
    /// Address of the number that the next task gets.
    pub last_task: u64,
    /// Address of what the wakers of tasks have in common.
    pub waker: u64,
}

/// Where work gets from one task to another in a program's file: offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokioPlaces {
    /// A channel wakes its receiver.
    pub wakes: Vec<u64>,
    /// A task is made.
    pub spawns: Vec<u64>,
}

/// Calls that tasks of a process have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokioCalls {
    /// The process.
    pub pid: u32,
    /// All of them.
    pub calls: u32,
    /// Those for no request that was known to be worked on.
    pub strays: u32,
    /// The numbers of tasks are not where they were thought to be: nothing is read any more.
    pub has_failed: bool,
}

impl Bpf {
    /// From now on the contexts of this process are those of its tasks.
    pub fn set_tokio(&mut self, pid: u32, layout: TokioLayout) -> Result<(), Error> {
        let TokioLayout { task, last_task, waker } = layout;
        let value = abi::TokioLayout { task, last_task, waker, calls: 0, strays: 0, checks: 0, failures: 0 };
        let updated = self.tokio.update(&pid.to_ne_bytes(), abi::bytes(&value), MapFlags::ANY);
        updated.map_err(kernel("remember a process with tokio"))?;
        self.set_runtime(pid, abi::RUNTIME_TOKIO)
    }

    /// Puts probes on the file of a running program, for all processes that execute it.
    pub fn follow_tokio(&mut self, pid: u32, places: &TokioPlaces) -> Result<(), Error> {
        let path = format!("/proc/{pid}/exe");
        let Ok(file) = std::fs::metadata(&path) else { return Ok(()) };
        let key = (file.dev(), file.ino());
        if self.probes.contains_key(&key) || self.probes.len() >= MAX_PROBED {
            return Ok(());
        }
        let mut probes = Vec::new();
        for (name, places) in [("tokio_wake", &places.wakes), ("tokio_spawn", &places.spawns)] {
            let program = self.object.progs_mut().find(|program| program.name() == name && is_loaded(program));
            let Some(program) = program else { continue };
            for place in places.iter().filter_map(|place| usize::try_from(*place).ok()) {
                let link = program.attach_uprobe_with_opts(-1, &path, place, UprobeOpts::default());
                probes.push((name, link.map_err(kernel(format!("put a probe on {path}")))?));
            }
        }
        self.probes.insert(key, probes);
        Ok(())
    }

    /// Takes the probes on a program's file away.
    pub fn leave_tokio(&mut self, pid: u32) {
        if let Ok(file) = std::fs::metadata(format!("/proc/{pid}/exe")) {
            self.probes.remove(&(file.dev(), file.ino()));
        }
        let _ = self.runtimes.delete(&pid.to_ne_bytes());
    }

    /// Calls of each process since [`Bpf::set_tokio`].
    pub fn tokio_calls(&self) -> Vec<TokioCalls> {
        let calls = self.tokio.keys().filter_map(|key| {
            let value = self.tokio.lookup(&key, MapFlags::ANY).ok().flatten()?;
            let abi::TokioLayout { calls, strays, failures, .. } = abi::read(&value)?;
            Some(TokioCalls { pid: u32::from_ne_bytes(key.try_into().ok()?), calls, strays, has_failed: failures > 0 })
        });
        calls.collect()
    }
}
