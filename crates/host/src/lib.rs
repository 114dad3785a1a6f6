//! What the host says of itself and its processes: procfs and cgroups.
#![forbid(unsafe_code)]

mod cgroup;
mod elf;
mod event_loop;
mod go;
mod memory;
mod process;
mod python;
mod tokio;
mod usage;

pub use cgroup::{Scope, scope_of};
pub use event_loop::{EventLoop, Found, event_loop};
pub use go::{GoOffsets, go_functions, go_offsets};
pub use process::{is_named, pids, process_facts, resolve, threads};
pub use python::{python, python_locks};
pub use tokio::{Tokio, tokio};
pub use usage::Usage;

fn trimmed(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Name of the host.
pub fn hostname() -> String {
    trimmed("/proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned())
}

/// Release of the kernel, such as `6.18.44`.
pub fn kernel_release() -> String {
    trimmed("/proc/sys/kernel/osrelease").unwrap_or_default()
}
