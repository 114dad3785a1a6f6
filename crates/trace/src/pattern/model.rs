//! What is usual in a process: which step follows which, how soon, and in which order.

use std::cell::RefCell;
use std::collections::HashMap;

/// The seed does not matter: the same input gives the same outcome.
pub(super) type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Kind of a step: a call by the number of its kind, or one of these.
pub(super) type Step = u16;
/// The answer of a call is read.
pub(super) const READ: Step = u16::MAX;
/// The request is answered.
pub(super) const RESPOND: Step = u16::MAX - 1;

/// How much the less exact table counts against the more exact one.
const BACKOFF: f64 = 2.0;
/// Buckets of delays, each twice as wide as the one before, from 1 µs on.
const BUCKETS: usize = 26;
/// Likelihoods that are remembered.
const KNOWN: usize = 4096;
/// What is known of delays before any was seen: seen so often each.
const DELAY_PRIOR: f64 = 0.2;
/// How often a context was right and wrong before any was seen, by kind.
const CONTEXT_PRIORS: [[f64; 2]; 4] = [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0], [40.0, 1.0]];
/// How often requests at the same stage kept their order and did not, before any was seen.
const ORDER_PRIOR: [f64; 2] = [20.0, 2.0];

/// Kinds of contexts, which are right more or less often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// What the task itself has read.
    Own,
    /// What the thread got from another one.
    Handed,
    /// Any of these that is not sure.
    Shared,
    /// What the thread works on that waited for the answer.
    Joined,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// Calls so far, in order.
    path: u64,
    /// The last of them, or 0 of none.
    last: Step,
    /// Calls that have no answer yet.
    waiting: u8,
    /// The last thing that happened to it was a read.
    pub(super) has_read: bool,
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
}

impl Stage {
    /// The request was read.
    pub(super) const START: Self = Self { path: 0, last: 0, waiting: 0, has_read: true };

    /// A call was made for it.
    pub(super) fn call(&mut self, kind: Step) {
        self.path = mix(self.path, u64::from(kind) + 1);
        self.last = kind + 1;
        self.waiting = self.waiting.saturating_add(1);
        self.has_read = false;
    }

    /// An answer was read.
    pub(super) fn read(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.has_read = true;
    }

    /// One number for all of it.
    pub(super) fn code(self) -> u64 {
        mix(self.path, u64::from(self.last) << 16 | u64::from(self.waiting) << 1 | u64::from(self.has_read))
    }

    /// The same with less and less detail.
    fn codes(self) -> [u64; 3] {
        let coarse = Self { path: 1, waiting: self.waiting.min(1), ..self };
        [self.code(), coarse.code(), Self { path: 2, last: 0, ..coarse }.code()]
    }
}

/// Learned from what was decided before; knows nothing at first.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// How often a step followed a stage, and how often anything did.
    steps: Map<(u64, Step), f64>,
    all: Map<u64, f64>,
    /// By whether the last thing was a read: how often each delay was seen.
    delays: [[f64; BUCKETS]; 2],
    /// By kind of context, of what opened it and of what it was used for.
    contexts: Map<(Trust, Step, Step), [f64; 2]>,
    order: [f64; 2],
    kinds: usize,
    /// Logarithms of what was asked for lately, each with its key.
    known: RefCell<Box<[(u64, f64)]>>,
    /// Logarithms of likelihoods of the above.
    delay_logs: [[f64; BUCKETS]; 2],
    order_logs: [f64; 2],
}

fn bucket(delay_us: i64) -> usize {
    let delay = delay_us.max(0).unsigned_abs() + 1;
    (delay.ilog2() as usize).min(BUCKETS - 1)
}

fn logs(counts: [f64; 2]) -> [f64; 2] {
    counts.map(|count| (count / (counts[0] + counts[1])).ln())
}

impl Model {
    pub(super) fn new(kinds: usize) -> Self {
        let mut model = Self {
            steps: Map::default(),
            all: Map::default(),
            delays: [[DELAY_PRIOR; BUCKETS]; 2],
            contexts: Map::default(),
            order: ORDER_PRIOR,
            kinds,
            known: RefCell::new(vec![(0, 0.0); KNOWN].into()),
            delay_logs: [[0.0; BUCKETS]; 2],
            order_logs: [0.0; 2],
        };
        model.finish();
        model
    }

    /// A step was made so long after the one before.
    pub(super) fn learn(&mut self, stage: Stage, step: Step, delay_us: i64) {
        for code in stage.codes() {
            *self.steps.entry((code, step)).or_default() += 1.0;
            *self.all.entry(code).or_default() += 1.0;
        }
        if step != READ {
            self.delays[usize::from(stage.has_read)][bucket(delay_us)] += 1.0;
        }
    }

    /// Whether what was read last by the task belonged to the same request.
    pub(super) fn learn_context(&mut self, of: (Trust, Step, Step), is_right: bool) {
        let counts = self.contexts.entry(of).or_insert(CONTEXT_PRIORS[of.0 as usize]);
        counts[usize::from(!is_right)] += 1.0;
    }

    /// So many others that waited with it went on in the order they came, so many did not.
    pub(super) fn learn_order(&mut self, [kept, broken]: [u32; 2]) {
        self.order[0] += f64::from(kept);
        self.order[1] += f64::from(broken);
    }

    /// All was learned.
    pub(super) fn finish(&mut self) {
        for (delays, logs) in self.delays.iter().zip(&mut self.delay_logs) {
            let sum: f64 = delays.iter().sum();
            for (bucket, (count, log)) in delays.iter().zip(logs).enumerate() {
                *log = (count / sum / (1u64 << bucket) as f64).ln();
            }
        }
        self.contexts.values_mut().for_each(|counts| *counts = logs(*counts));
        self.order_logs = logs(self.order);
        self.known.borrow_mut().fill((0, 0.0));
    }

    /// Logarithm of the likelihood that a request at this stage makes this step now.
    pub(super) fn step(&self, stage: Stage, step: Step, delay_us: i64) -> f64 {
        let key = mix(stage.code(), u64::from(step)) | 1;
        let mut known = self.known.borrow_mut();
        let place = &mut known[(key >> 32) as usize % KNOWN];
        if place.0 != key {
            *place = (key, self.chance(stage, step));
        }
        let chance = place.1;
        match step {
            READ => chance,
            _ => chance + self.delay_logs[usize::from(stage.has_read)][bucket(delay_us)],
        }
    }

    fn chance(&self, stage: Stage, step: Step) -> f64 {
        let blend = |otherwise: f64, code: &u64| {
            let seen = self.steps.get(&(*code, step)).copied().unwrap_or_default();
            (seen + BACKOFF * otherwise) / (self.all.get(code).copied().unwrap_or_default() + BACKOFF)
        };
        let uniform = 1.0 / (self.kinds as f64 + 2.0);
        stage.codes().iter().rev().fold(uniform, blend).ln()
    }

    /// Logarithm of the likelihood of such an order.
    pub(super) fn order(&self, [kept, broken]: [u32; 2]) -> f64 {
        f64::from(kept) * self.order_logs[0] + f64::from(broken) * self.order_logs[1]
    }

    /// Logarithm of the likelihood of a context that leads to this request, or to another one of so many.
    pub(super) fn context(&self, of: (Trust, Step, Step), is_right: bool, others: usize) -> f64 {
        let [right, wrong] = self.contexts.get(&of).copied().unwrap_or(logs(CONTEXT_PRIORS[of.0 as usize]));
        if is_right { right } else { wrong - (others.max(1) as f64).ln() }
    }
}
