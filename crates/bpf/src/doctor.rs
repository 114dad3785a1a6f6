//! What this kernel and these rights allow, in words.

use std::path::Path;

use crate::level::{Feature, Level};
use crate::object::Config;

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

/// The level in use.
pub(crate) fn level_capability(level: Level, forced: Option<Level>, refused: &[String]) -> Capability {
    let chosen = if forced.is_some() { "forced" } else { "the best that works here" };
    let mut why = format!("level {level}, {chosen}: {}; not seen: {}", level.hooks(), level.blind_spots().join("; "));
    if !refused.is_empty() {
        why.push_str(&format!(" ({})", refused.join("; ")));
    }
    let best = level == Level::A;
    Capability {
        name: "socket capture",
        state: if best { CapabilityState::Ok } else { CapabilityState::Degraded },
        why,
        what_to_do: match (best, forced) {
            (true, _) => String::new(),
            (false, Some(_)) => "leave --capture-level out".to_owned(),
            (false, None) => "use kernel 6.3 or newer".to_owned(),
        },
    }
}

/// What else works. `absent` names the features that do not, and why.
pub(crate) fn feature_capabilities(level: Level, config: Config, absent: &[(Feature, String)]) -> Vec<Capability> {
    let offered = |feature: &Feature| match feature {
        Feature::OrderedSends => level == Level::A && config.ordered_sends,
        Feature::Uring | Feature::Datagrams => level != Level::C,
        Feature::GoHandOver => config.go_hand_over,
        Feature::TokioHandOver => config.tokio_hand_over,
        Feature::ThreadHandOver => level != Level::C && config.thread_hand_over,
    };
    let capability = |feature: Feature| {
        let reason = absent.iter().find(|(missing, _)| *missing == feature).map(|(_, reason)| reason.as_str());
        let (state, why) = match reason {
            None => (CapabilityState::Ok, "attached".to_owned()),
            Some(reason) => (CapabilityState::Degraded, format!("{reason}: {}", feature.without())),
        };
        let what_to_do = match (reason, feature) {
            (None, _) => "",
            (_, Feature::Datagrams) => {
                "mount the second hierarchy of control groups (mount -t cgroup2 …) and allow CAP_NET_ADMIN"
            }
            (_, Feature::OrderedSends) => "use kernel 6.16 or newer",
            (_, Feature::Uring) => "use kernel 5.19 or newer",
            (_, Feature::ThreadHandOver) => "use kernel 5.15 or newer",
            (_, Feature::GoHandOver | Feature::TokioHandOver) => "use a kernel built with CONFIG_UPROBE_EVENTS",
        };
        Capability { name: feature.name(), state, why, what_to_do: what_to_do.to_owned() }
    };
    Feature::ALL.into_iter().filter(offered).map(capability).collect()
}
