//! Capture levels: which kernel hooks see socket calls.

use std::fmt;
use std::str::FromStr;

use libbpf_rs::btf::{Btf, types};

/// What a kernel offers, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Tracepoints at the end of socket calls; kernel 6.3 and newer.
    A,
    /// Return of the protocols' send and receive functions; kernel 5.15 and newer.
    B,
    /// Exit of system calls; kernel 5.8 and newer.
    C,
    /// No socket calls at all.
    D,
}

impl Level {
    /// The letter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }

    /// The hooks in words.
    pub const fn hooks(self) -> &'static str {
        match self {
            Self::A => "the sock_send_length and sock_recv_length tracepoints",
            Self::B => "fexit on the inet, inet6 and Unix send and receive functions",
            Self::C => "the exit of system calls",
            Self::D => "no hook",
        }
    }

    /// What this level does not see, in words.
    pub const fn blind_spots(self) -> &'static [&'static str] {
        match self {
            Self::A => &["payload of splice, sendfile and multishot io_uring receives (lengths are seen)"],
            Self::B => &[
                "payload of splice, sendfile and multishot io_uring receives (lengths are seen)",
                "order of calls that several threads make on one socket at the same time (counted)",
            ],
            Self::C => &[
                "io_uring and kernel threads: their bytes are only told from sequence numbers",
                "payload of splice and sendfile",
                "messages of one sendmmsg or recvmmsg beyond the 64th, iovecs beyond the 32nd (counted)",
                "when Unix and UDP sockets close",
                "order of calls that several threads make on one socket at the same time (nearly all counted)",
            ],
            Self::D => &["all socket calls"],
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            "C" | "c" => Ok(Self::C),
            "D" | "d" => Ok(Self::D),
            _ => Err(format!("there is no capture level {text}: A, B, C or D")),
        }
    }
}

/// A group of programs that can be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Exact order of concurrent sends.
    OrderedSends,
    /// Payload of io_uring.
    Uring,
    /// Senders of datagrams, and the end of UDP sockets.
    Datagrams,
    /// What a goroutine of a Go program hands to another.
    GoHandOver,
    /// What a task of tokio hands to another.
    TokioHandOver,
    /// What a thread hands to another.
    ThreadHandOver,
}

impl Feature {
    pub(crate) const ALL: [Self; 6] =
        [Self::OrderedSends, Self::Uring, Self::Datagrams, Self::GoHandOver, Self::TokioHandOver, Self::ThreadHandOver];

    /// What it is called in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OrderedSends => "order of concurrent sends",
            Self::Uring => "payload of io_uring",
            Self::Datagrams => "senders of datagrams",
            Self::GoHandOver => "hand-over between goroutines",
            Self::TokioHandOver => "hand-over between tasks of tokio",
            Self::ThreadHandOver => "hand-over between threads",
        }
    }

    /// What is missing without it.
    pub(crate) const fn without(self) -> &'static str {
        match self {
            Self::OrderedSends => {
                "calls that several threads make on one socket at the same time are counted as overlaps"
            }
            Self::Uring => "io_uring requests are seen as lengths",
            Self::Datagrams => {
                "who sends to an unconnected UDP socket is not known, and UDP sockets are forgotten late"
            }
            Self::GoHandOver => "calls over pooled connections of Go's net/http stand alone in traces",
            Self::TokioHandOver => "calls over connections with tasks of their own stand alone in traces",
            Self::ThreadHandOver => "calls by other threads than the one that read the request stand alone in traces",
        }
    }

    /// The group of a program, by its name; `None` if the level cannot do without it.
    pub(crate) fn of(program: &str) -> Option<Self> {
        match program {
            "tcp_sendmsg_locked" => Some(Self::OrderedSends),
            "io_uring_complete" => Some(Self::Uring),
            "note_sender4" | "note_sender6" | "udp_released" => Some(Self::Datagrams),
            "go_round_trip" | "go_write" | "go_send" | "go_recv" | "go_chansend" | "go_chanrecv" => {
                Some(Self::GoHandOver)
            }
            "tokio_wake" | "tokio_spawn" => Some(Self::TokioHandOver),
            "thread_wakes" => Some(Self::ThreadHandOver),
            _ => None,
        }
    }
}

/// What the kernel's type information says is there.
pub(crate) struct Kernel(Option<Btf<'static>>);

impl Kernel {
    pub(crate) fn running() -> Self {
        Self(Btf::from_vmlinux().ok())
    }

    /// Whether a program can attach, as far as the name of its section tells.
    pub(crate) fn has_target(&self, section: &str) -> bool {
        let Some(btf) = &self.0 else { return false };
        let section = section.trim_start_matches('?');
        match section.split_once('/') {
            Some(("tp_btf", name)) => btf.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}")).is_some(),
            Some(("fexit", name)) => btf.type_by_name::<types::Func<'_>>(name).is_some(),
            _ => true,
        }
    }
}
