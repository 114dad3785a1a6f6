//! Keeps what Hadal costs the host inside a budget: what is least missed is left out first. Pure.
//!
//! The cost is the agent's own CPU time and an estimate of what the kernel programs add to the calls they see. Over the
//! budget for a few seconds, the next stage of [`Stage`] begins; well under it for longer, the last one ends. Metrics are
//! given up only beyond a second, hard limit.

use hadal_bpf::{Counters, Shedding};

/// What is left out; each stage includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing.
    #[default]
    Full,
    /// Payload beyond its first bytes: long URLs, headers and statements are cut.
    Payload,
    /// Sockets that only bytes are counted of (no known protocol, encrypted), and Unix sockets.
    Sockets,
    /// The request log.
    Logs,
    /// Sockets that appear from now on: their calls are not in the metrics either.
    Metrics,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Full, Self::Payload, Self::Sockets, Self::Logs, Self::Metrics];

    /// What is left out, in words; empty if nothing is.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "",
            Self::Payload => "payload",
            Self::Sockets => "payload, unimportant sockets",
            Self::Logs => "payload, unimportant sockets, request log",
            Self::Metrics => "payload, unimportant sockets, request log, new connections",
        }
    }

    /// What the kernel programs leave out.
    pub fn shedding(self, payload_bytes: u32) -> Shedding {
        Shedding {
            payload_bytes: (self >= Self::Payload).then_some(payload_bytes),
            unimportant: self >= Self::Sockets,
            new_sockets: self >= Self::Metrics,
        }
    }

    fn next(self) -> Self {
        Self::ALL.get(self as usize + 1).copied().unwrap_or(self)
    }

    fn previous(self) -> Self {
        (self as usize).checked_sub(1).and_then(|at| Self::ALL.get(at)).copied().unwrap_or(self)
    }
}

/// Limits, as shares of all CPUs of the host.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What Hadal may use.
    pub share: f64,
    /// Beyond this, metrics are given up as well.
    pub hard_share: f64,
    /// CPUs of the host.
    pub cpus: f64,
}

impl Budget {
    /// The share beyond which a stage begins.
    fn of(&self, stage: Stage) -> f64 {
        if stage == Stage::Metrics { self.hard_share } else { self.share }
    }
}

/// Seconds over the budget before the next stage, and under it before the last one ends.
const PATIENCE: u32 = 3;
const RECOVERY: u32 = 10;
/// Share of the budget that counts as well under it.
const COMFORT: f64 = 0.7;

/// Decides the stage, once per second.
#[derive(Debug)]
pub struct Governor {
    budget: Budget,
    stage: Stage,
    over: u32,
    under: u32,
}

impl Governor {
    /// Nothing is left out at first.
    pub fn new(budget: Budget) -> Self {
        Self { budget, stage: Stage::Full, over: 0, under: 0 }
    }

    /// The stage after a second in which `cores` CPUs were used, agent and kernel programs together.
    pub fn observe(&mut self, cores: f64) -> Stage {
        let used = cores / self.budget.cpus.max(1.0);
        let (limit, back) = (self.budget.of(self.stage.next()), self.budget.of(self.stage));
        self.over = if used > limit { self.over + 1 } else { 0 };
        self.under = if used < back * COMFORT { self.under + 1 } else { 0 };
        if self.over >= PATIENCE {
            (self.stage, self.over) = (self.stage.next(), 0);
        } else if self.under >= RECOVERY {
            (self.stage, self.under) = (self.stage.previous(), 0);
        }
        self.stage
    }
}

/// Nanoseconds that the kernel programs add to a call: of one that is only counted or ignored, that makes an event, and
/// that makes one with payload. Measured, see docs/performance.md; bare metal does better.
const COUNTED_NS: f64 = 200.0;
const EVENT_NS: f64 = 350.0;
const PAYLOAD_NS: f64 = 550.0;

/// CPUs that the kernel programs used between two readings of their counters.
pub(crate) fn kernel_cores(before: &Counters, now: &Counters, seconds: f64) -> f64 {
    let since = |count: fn(&Counters) -> u64| count(now).saturating_sub(count(before)) as f64;
    let calls = since(|counters| counters.calls);
    let payloads = since(|counters| counters.payloads);
    let quiet = since(|counters| counters.ignored + counters.counted + counters.socket_shed + counters.shed);
    let events = (calls - payloads - quiet).max(0.0);
    (payloads * PAYLOAD_NS + events * EVENT_NS + quiet * COUNTED_NS) / 1e9 / seconds.max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(governor: &mut Governor, seconds: u32, cores: f64) -> Stage {
        (0..seconds).fold(Stage::Full, |_, _| governor.observe(cores))
    }

    #[test]
    fn stages_come_in_order_and_metrics_go_last() {
        let mut governor = Governor::new(Budget { share: 0.05, hard_share: 0.2, cpus: 4.0 });
        assert_eq!(after(&mut governor, 60, 0.19), Stage::Full);
        assert_eq!(after(&mut governor, 2, 0.3), Stage::Full);
        assert_eq!(after(&mut governor, 1, 0.3), Stage::Payload);
        assert_eq!(after(&mut governor, 3, 0.3), Stage::Sockets);
        assert_eq!(after(&mut governor, 3, 0.3), Stage::Logs);
        assert_eq!(after(&mut governor, 60, 0.3), Stage::Logs);
        assert_eq!(after(&mut governor, 3, 0.9), Stage::Metrics);
        assert_eq!(after(&mut governor, 10, 0.5), Stage::Logs);
        assert_eq!(after(&mut governor, 30, 0.1), Stage::Full);
    }

    #[test]
    fn a_moment_is_no_reason() {
        let mut governor = Governor::new(Budget { share: 0.05, hard_share: 0.2, cpus: 1.0 });
        for _ in 0..50 {
            after(&mut governor, 2, 0.5);
            assert_eq!(governor.observe(0.01), Stage::Full);
        }
    }

    #[test]
    fn cost_of_the_kernel_programs() {
        let now = Counters { calls: 300_000, payloads: 100_000, counted: 100_000, ..Counters::default() };
        let cores = kernel_cores(&Counters::default(), &now, 2.0);
        assert!((cores - 0.055).abs() < 1e-9, "{cores}");
    }
}
