//! How commands are answered.

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// By one value.
    Plain,
    /// By so many acknowledgements of a kind; the first one may have come.
    Acknowledgements { kind: Kind, left: u64, answered: bool },
    /// `HELLO`, with the version asked for.
    Hello { resp3: bool },
    /// `MONITOR`.
    Monitor,
    /// `SYNC`, `PSYNC`.
    Replication,
}

/// The commands that are acknowledged once per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Subscribe,
    PatternSubscribe,
    ShardSubscribe,
    Unsubscribe,
    PatternUnsubscribe,
    ShardUnsubscribe,
}

impl Kind {
    /// The kind with this name, in upper case.
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "SUBSCRIBE" => Self::Subscribe,
            "PSUBSCRIBE" => Self::PatternSubscribe,
            "SSUBSCRIBE" => Self::ShardSubscribe,
            "UNSUBSCRIBE" => Self::Unsubscribe,
            "PUNSUBSCRIBE" => Self::PatternUnsubscribe,
            "SUNSUBSCRIBE" => Self::ShardUnsubscribe,
            _ => return None,
        })
    }
}
