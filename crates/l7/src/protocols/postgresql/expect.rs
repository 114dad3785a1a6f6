//! How requests will be answered.

use std::collections::VecDeque;

/// A part of a request that the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Parse,
    Bind,
    Close,
    DescribeStatement,
    DescribePortal,
    Execute,
    Query,
    Function,
    Startup,
    Encryption,
    /// Parts that were not seen: anything may come.
    Unseen,
}

/// How a message fits what is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It belongs to the answer.
    Part,
    /// It is the last one of the awaited step.
    Done,
    /// It cannot come here: the answer is to another request.
    Wrong,
}

impl Step {
    /// How a message fits, other than errors and `ReadyForQuery`.
    fn fit(self, tag: u8) -> Fit {
        match (self, tag) {
            (Self::Parse, b'1') | (Self::Bind, b'2') | (Self::Close, b'3') => Fit::Done,
            (Self::DescribeStatement, b't') => Fit::Part,
            (Self::DescribeStatement | Self::DescribePortal, b'T' | b'n') => Fit::Done,
            (Self::Execute, b'C' | b'I' | b's') => Fit::Done,
            (Self::Execute, b'D' | b'd' | b'c' | b'G' | b'H' | b'W') => Fit::Part,
            (Self::Query, b'T' | b'D' | b'C' | b'I' | b'd' | b'c' | b'G' | b'H' | b'W') => Fit::Part,
            (Self::Function, b'V') => Fit::Part,
            (Self::Startup, b'R' | b'K' | b'v') => Fit::Part,
            (Self::Unseen, _) => Fit::Part,
            _ => Fit::Wrong,
        }
    }

    /// Whether `ReadyForQuery` ends it.
    fn ends_with_ready(self) -> bool {
        matches!(self, Self::Query | Self::Function | Self::Startup | Self::Unseen)
    }
}

/// A request whose answer is awaited.
#[derive(Debug)]
pub(super) struct Expect {
    /// The id that its halves carry; a `Sync` whose batch is answered already has none.
    pub(super) id: Option<u64>,
    /// When it was sent.
    pub(super) sent_us: u64,
    pub(super) steps: VecDeque<Step>,
    /// `ReadyForQuery` follows: it is the last one of its batch.
    pub(super) sync: bool,
    /// The start of its answer was not seen.
    pub(super) cut: bool,
}

impl Expect {
    pub(super) fn fit(&mut self, tag: u8) -> Fit {
        let fit = self.steps.front().map_or(Fit::Wrong, |step| step.fit(tag));
        if fit == Fit::Done {
            self.steps.pop_front();
        }
        fit
    }

    /// Whether `ReadyForQuery` may come now.
    pub(super) fn is_ready(&self) -> bool {
        self.steps.front().is_none_or(|step| step.ends_with_ready())
    }

    /// Whether all was answered, and no `ReadyForQuery` follows.
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty() && !self.sync
    }

    /// The server has asked for rows. It ignores a `Sync` that was sent before them.
    pub(super) fn await_rows(&mut self) {
        self.sync &= self.steps.front() != Some(&Step::Execute);
    }

    /// From here on anything may come.
    pub(super) fn unseen(&mut self) {
        if !self.steps.front().is_some_and(|step| step.ends_with_ready()) {
            self.steps.clear();
            self.steps.push_back(Step::Unseen);
        }
    }
}
