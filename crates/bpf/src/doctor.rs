//! What this kernel and these rights allow, in words.

use std::path::Path;

/// State of a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapabilityState {
    /// Works fully.
    Ok,
    /// Works with less than it could.
    Degraded,
    /// Does not work.
    Missing,
}

impl CapabilityState {
    /// `ok`, `degraded` or `missing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

/// One thing the agent can do here, or why it cannot.
#[derive(Clone, Debug)]
pub struct Capability {
    /// What it is.
    pub name: &'static str,
    /// Whether it works.
    pub state: CapabilityState,
    /// Why it is in that state.
    pub why: String,
    /// What the user can do; empty if all is well.
    pub what_to_do: String,
}

/// Judges the outcome of loading the programs.
pub fn capabilities(loaded: Result<(), &crate::Error>) -> Vec<Capability> {
    vec![btf(), socket_capture(loaded)]
}

fn btf() -> Capability {
    let there = Path::new("/sys/kernel/btf/vmlinux").exists();
    Capability {
        name: "kernel type information",
        state: if there { CapabilityState::Ok } else { CapabilityState::Missing },
        why: if there { "/sys/kernel/btf/vmlinux is there" } else { "/sys/kernel/btf/vmlinux is missing" }.to_owned(),
        what_to_do: if there { "" } else { "use a kernel built with CONFIG_DEBUG_INFO_BTF" }.to_owned(),
    }
}

fn socket_capture(loaded: Result<(), &crate::Error>) -> Capability {
    let name = "socket capture";
    match loaded {
        Ok(()) => Capability {
            name,
            state: CapabilityState::Ok,
            why: "level A: the sock_send_length and sock_recv_length tracepoints are attached".to_owned(),
            what_to_do: String::new(),
        },
        Err(error) => Capability {
            name,
            state: CapabilityState::Missing,
            why: error.to_string(),
            what_to_do: "run as root on a kernel from 6.3 on; older kernels come with a later release".to_owned(),
        },
    }
}
