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
pub fn capabilities(loaded: Result<&[Capability], &crate::Error>) -> Vec<Capability> {
    let mut all = vec![btf()];
    match loaded {
        Ok(found) => all.extend_from_slice(found),
        Err(error) => all.push(Capability {
            name: "socket capture",
            state: CapabilityState::Missing,
            why: format!("level D: {error}"),
            what_to_do: "run as root on a kernel from 5.8 on, built with CONFIG_DEBUG_INFO_BTF".to_owned(),
        }),
    }
    all
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
