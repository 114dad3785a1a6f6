//! Explanations of what a process did: which request each call was made for.
//!
//! Calls are moved between requests, one at a time or all that follow, as often as the outcome is likely (Gibbs and
//! Metropolis sampling). How often a call is found with a request is how sure that is.

use super::model::{Model, READ, RESPOND, Stage, Step, Trust};
use super::queue::{Queues, Turn};

/// Rounds over all calls: the first ones find an explanation and learn what is usual, the others say how sure it is.
const SETTLING: usize = 24;
const COUNTED: usize = 16;
/// After so many rounds without a move a call is tried in one of so many rounds.
const CALM: u32 = 4;
const SELDOM: usize = 4;
/// At first unlikely moves are made as well.
const HOT: f64 = 4.0;
/// Requests that are tried for a call.
const CANDIDATES: usize = 8;
/// Logarithm of the likelihood that a call belongs to no request.
const ALONE: f64 = -16.0;
/// The same of a request that is answered while a call is open.
const UNFINISHED: f64 = -5.0;

/// A place among the calls or the requests.
pub(super) type Place = usize;

/// What a task had read last when it sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Request(Place),
    Answer(Place),
}

/// What contexts say of a message, and of what kind they are.
pub(super) type Told = [Option<(Read, Trust)>; 2];

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) kind: Step,
    pub(super) start_us: i64,
    pub(super) end_us: i64,
    /// Places of start and end among all that the process did.
    pub(super) turns: [u32; 2],
    /// What a context says the task had read, and what one says that waited for the answer.
    pub(super) reads: Told,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) start_us: i64,
    pub(super) end_us: i64,
    pub(super) turns: [u32; 2],
    /// Before the response was sent.
    pub(super) reads: Told,
}

/// What a process did; calls by start.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    pub(super) calls: Vec<Call>,
    pub(super) requests: Vec<Request>,
    pub(super) kinds: usize,
}

/// Who sent something in the context of what was read.
#[derive(Clone, Copy)]
enum Sender {
    Call(Place),
    Response(Place),
}

/// Pseudo-random numbers (xorshift64*), the same each time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub(super) struct Sampler<'a> {
    work: &'a Work,
    model: Model,
    /// Requests that are open when a call is made, by call.
    open: Vec<Vec<Place>>,
    /// What was sent after a call's answer was read, by call.
    senders: Vec<Vec<Sender>>,
    owner: Vec<Option<Place>>,
    /// Calls of each request, by start.
    lists: Vec<Vec<Place>>,
    queues: Queues,
    dice: Dice,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(work: &'a Work, by_context: bool) -> Self {
        let mut sampler = Self {
            work,
            model: Model::new(work.kinds),
            open: open_requests(work),
            senders: vec![Vec::new(); work.calls.len()],
            owner: vec![None; work.calls.len()],
            lists: vec![Vec::new(); work.requests.len()],
            queues: Queues::default(),
            dice: Dice::new(),
        };
        for (place, call) in work.calls.iter().enumerate() {
            for (read, _) in call.reads.into_iter().flatten() {
                if let Read::Answer(read) = read {
                    sampler.senders[read].push(Sender::Call(place));
                }
            }
        }
        for (place, request) in work.requests.iter().enumerate() {
            for (read, _) in request.reads.into_iter().flatten() {
                if let Read::Answer(read) = read {
                    sampler.senders[read].push(Sender::Response(place));
                }
            }
        }
        sampler.start(by_context);
        sampler
    }

    /// At first the request that has waited longest makes the call, if it has not made as many of the kind as most do; or that
    /// of its context.
    fn start(&mut self, by_context: bool) {
        let most: Vec<usize> = (0..self.work.kinds)
            .map(|kind| self.work.calls.iter().filter(|call| usize::from(call.kind) == kind).count())
            .map(|count| ((count as f64 / self.work.requests.len().max(1) as f64).round() as usize).max(1))
            .collect();
        for place in 0..self.work.calls.len() {
            let call = self.work.calls[place];
            let has_room = |request: &&Place| {
                let of_kind = self.lists[**request].iter().filter(|other| self.work.calls[**other].kind == call.kind);
                of_kind.count() < most[usize::from(call.kind)]
            };
            let ready = |request: &&Place| {
                let calls = || self.lists[**request].iter().map(|other| &self.work.calls[*other]);
                let last_sent = calls().map(|other| other.start_us).max().unwrap_or(i64::MIN);
                let last_read = calls().map(|other| other.end_us).filter(|end_us| *end_us <= call.start_us).max();
                let waits = calls().any(|other| other.end_us > call.start_us);
                !waits || last_read.is_none_or(|last_read| last_read < last_sent)
            };
            let since = |request: &&Place| {
                let calls = self.lists[**request].iter().map(|other| &self.work.calls[*other]);
                let reads = calls.filter(|other| other.end_us <= call.start_us).map(|other| other.turns[1]);
                reads.max().unwrap_or(self.work.requests[**request].turns[0])
            };
            let longest = self.open[place].iter().filter(has_room).filter(ready).min_by_key(since).copied();
            let told = self.told(&call.reads).filter(|owner| self.open[place].contains(owner));
            self.owner[place] = if by_context { told.or(longest) } else { longest.or(told) };
            if let Some(owner) = self.owner[place] {
                self.lists[owner].push(place);
            }
        }
        for request in 0..self.lists.len() {
            self.enqueue(request);
        }
        self.learn();
    }

    fn turns(&self, request: Place) -> Vec<Turn> {
        let calls = &self.lists[request];
        let mut turns = Vec::with_capacity(calls.len() + 1);
        self.walk(request, calls, |stage, step, _, [since, at]| {
            if step != READ {
                turns.push(Turn { stage: stage.code(), since, at, request });
            }
        });
        turns
    }

    fn enqueue(&mut self, request: Place) {
        let turns = self.turns(request);
        self.queues.add(turns);
    }

    fn dequeue(&mut self, request: Place) {
        let turns = self.turns(request);
        self.queues.remove(&turns);
    }

    /// The request that the surest context says.
    fn told(&self, reads: &Told) -> Option<Place> {
        reads.iter().rev().flatten().find_map(|(read, _)| self.owner_of(*read))
    }

    fn step_of(&self, read: Read) -> Step {
        match read {
            Read::Request(_) => READ,
            Read::Answer(call) => self.work.calls[call].kind,
        }
    }

    fn owner_of(&self, read: Read) -> Option<Place> {
        match read {
            Read::Request(request) => Some(request),
            Read::Answer(call) => self.owner[call],
        }
    }

    /// For each call the request it was found with most often, and in which share of the rounds.
    pub(super) fn run(mut self, sober: f64) -> Vec<Option<(Place, f64)>> {
        let mut found: Vec<Vec<(Place, u32)>> = vec![Vec::new(); self.work.calls.len()];
        let mut calm = vec![0u32; self.work.calls.len()];
        for round in 0..SETTLING + COUNTED {
            let left = SETTLING.saturating_sub(round * 2) as f64 / SETTLING as f64;
            let heat = sober + (HOT - sober) * left;
            for (call, calm) in calm.iter_mut().enumerate() {
                // What did not move for a while is tried less often.
                if *calm < CALM || round >= SETTLING || (round + call).is_multiple_of(SELDOM) {
                    let before = self.owner[call];
                    self.move_one(call, heat);
                    self.swap_rest(call, heat);
                    *calm = if self.owner[call] == before { *calm + 1 } else { 0 };
                }
            }
            if round < SETTLING {
                self.learn();
                continue;
            }
            for (owner, found) in self.owner.iter().zip(&mut found) {
                let Some(owner) = owner else { continue };
                match found.iter_mut().find(|(request, _)| request == owner) {
                    Some((_, count)) => *count += 1,
                    None => found.push((*owner, 1)),
                }
            }
        }
        let best = |found: &Vec<(Place, u32)>| {
            let (request, count) = found.iter().copied().max_by_key(|(_, count)| *count)?;
            Some((request, f64::from(count) / COUNTED as f64))
        };
        found.iter().map(best).collect()
    }

    /// Likelihood of one request with these calls.
    fn likelihood(&self, request: Place, calls: &[Place]) -> f64 {
        let mut sum = 0.0;
        self.walk(request, calls, |stage, step, delay_us, [since, at]| {
            sum += self.model.step(stage, step, delay_us);
            if step != READ {
                sum += self.model.order(self.queues.order(&Turn { stage: stage.code(), since, at, request }));
            }
        });
        let end_us = self.work.requests[request].end_us;
        sum + UNFINISHED * calls.iter().filter(|call| self.work.calls[**call].end_us > end_us).count() as f64
    }

    /// The steps of a request in order, with the stage before each, the time since the last, and the turns of the last read
    /// and of the step.
    fn walk(&self, request: Place, calls: &[Place], mut step: impl FnMut(Stage, Step, i64, [u32; 2])) {
        let own = self.work.requests[request];
        let mut ends: Vec<(i64, u32)> =
            calls.iter().map(|call| &self.work.calls[*call]).map(|call| (call.end_us, call.turns[1])).collect();
        ends.sort_unstable();
        let mut ends = ends.into_iter().filter(|(end_us, _)| *end_us <= own.end_us).peekable();
        let (mut stage, mut last_us, mut since) = (Stage::START, own.start_us, own.turns[0]);
        for call in calls.iter().map(|call| &self.work.calls[*call]) {
            while let Some((end_us, turn)) = ends.next_if(|(end_us, _)| *end_us <= call.start_us) {
                step(stage, READ, 0, [since, turn]);
                stage.read();
                (last_us, since) = (end_us, turn);
            }
            step(stage, call.kind, call.start_us - last_us, [since, call.turns[0]]);
            stage.call(call.kind);
            last_us = call.start_us;
        }
        for (end_us, turn) in ends {
            step(stage, READ, 0, [since, turn]);
            stage.read();
            (last_us, since) = (end_us, turn);
        }
        step(stage, RESPOND, own.end_us - last_us, [since, own.turns[1]]);
    }

    fn learn(&mut self) {
        let mut model = Model::new(self.work.kinds);
        for (request, calls) in self.lists.iter().enumerate() {
            self.walk(request, calls, |stage, step, delay_us, [since, at]| {
                model.learn(stage, step, delay_us);
                if step != READ {
                    model.learn_order(self.queues.order(&Turn { stage: stage.code(), since, at, request }));
                }
            });
        }
        let mut contexts = |reads: &Told, step: Step, owner: Option<Place>| {
            for (read, trust) in reads.iter().flatten().filter(|_| owner.is_some()) {
                model.learn_context((*trust, self.step_of(*read), step), self.owner_of(*read) == owner);
            }
        };
        let owners = self.work.calls.iter().zip(&self.owner);
        owners.for_each(|(call, owner)| contexts(&call.reads, call.kind, *owner));
        let requests = self.work.requests.iter().enumerate();
        requests.for_each(|(place, request)| contexts(&request.reads, RESPOND, Some(place)));
        model.finish();
        self.model = model;
    }

    /// Likelihood of the contexts that moving these calls changes.
    fn contexts(&self, calls: &[Place]) -> f64 {
        let of_call = |call: Place| {
            let Call { reads, kind, .. } = &self.work.calls[call];
            self.context(reads, *kind, self.owner[call], self.open[call].len())
        };
        let of_sender = |sender: &Sender| match *sender {
            Sender::Call(call) if calls.contains(&call) => 0.0,
            Sender::Call(call) => of_call(call),
            Sender::Response(request) => self.context(&self.work.requests[request].reads, RESPOND, Some(request), 2),
        };
        calls.iter().map(|call| of_call(*call) + self.senders[*call].iter().map(of_sender).sum::<f64>()).sum()
    }

    fn context(&self, reads: &Told, step: Step, owner: Option<Place>, others: usize) -> f64 {
        let of = |(read, trust): &(Read, Trust)| {
            self.model.context((*trust, self.step_of(*read), step), self.owner_of(*read) == owner, others)
        };
        reads.iter().flatten().filter(|_| owner.is_some()).map(of).sum()
    }

    /// Requests that are worth a try: whose task had read last, and those where something happened last.
    fn candidates(&self, call: Place) -> Vec<Option<Place>> {
        let own = self.work.calls[call];
        let last = |request: &Place| {
            let calls =
                self.lists[*request].iter().filter(|other| **other != call).map(|other| &self.work.calls[*other]);
            let times =
                calls.flat_map(|other| [other.start_us, other.end_us]).filter(|time_us| *time_us <= own.start_us);
            times.max().unwrap_or(self.work.requests[*request].start_us)
        };
        let mut open: Vec<_> = self.open[call].iter().map(|request| (last(request), *request)).collect();
        open.sort_unstable_by(|one, other| other.cmp(one));
        open.truncate(CANDIDATES);
        let mut all: Vec<Option<Place>> = open.into_iter().map(|(_, request)| Some(request)).collect();
        let told = |told: Option<(Read, Trust)>| told.and_then(|(read, _)| self.owner_of(read));
        let [read, joined] = own.reads.map(|read| told(read).filter(|owner| self.open[call].contains(owner)));
        for extra in [self.owner[call], read, joined, None] {
            if !all.contains(&extra) {
                all.push(extra);
            }
        }
        all
    }

    /// Gives a call to one of the candidates, each as often as it is likely.
    fn move_one(&mut self, call: Place, heat: f64) {
        let candidates = self.candidates(call);
        if candidates.len() < 2 {
            return;
        }
        if let Some(before) = self.owner[call] {
            self.dequeue(before);
            self.lists[before].retain(|other| *other != call);
            self.enqueue(before);
        }
        let mut scores = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            self.owner[call] = *candidate;
            let own = match candidate {
                None => ALONE,
                Some(request) => {
                    let without = &self.lists[*request];
                    self.likelihood(*request, &with(without.clone(), call)) - self.likelihood(*request, without)
                }
            };
            scores.push(own + self.contexts(&[call]));
        }
        let chosen = candidates[self.choose(&scores, heat)];
        self.owner[call] = chosen;
        if let Some(next) = chosen {
            self.dequeue(next);
            self.lists[next] = with(std::mem::take(&mut self.lists[next]), call);
            self.enqueue(next);
        }
    }

    fn choose(&mut self, scores: &[f64], heat: f64) -> usize {
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| ((score - most) / heat).exp()).collect();
        let mut left = self.dice.share() * weights.iter().sum::<f64>();
        for (at, weight) in weights.iter().enumerate() {
            left -= weight;
            if left <= 0.0 {
                return at;
            }
        }
        weights.len() - 1
    }

    /// Exchanges this call and all that follow it with those of another request from there on.
    fn swap_rest(&mut self, call: Place, heat: f64) {
        let candidates = self.candidates(call);
        let other = candidates[(self.dice.next() % candidates.len() as u64) as usize];
        let (Some(own), Some(other)) = (self.owner[call], other) else { return };
        if own == other {
            return;
        }
        let split = |list: &[Place]| list.partition_point(|one| *one < call);
        let (mine, theirs) = (self.lists[own].clone(), self.lists[other].clone());
        let (at, their_at) = (split(&mine), split(&theirs));
        let next = [[&mine[..at], &theirs[their_at..]].concat(), [&theirs[..their_at], &mine[at..]].concat()];
        let fits = |list: &[Place], request: Place| list.iter().all(|one| self.open[*one].contains(&request));
        if !fits(&next[0], own) || !fits(&next[1], other) {
            return;
        }
        let moved = [&mine[at..], &theirs[their_at..]].concat();
        self.dequeue(own);
        self.dequeue(other);
        let before = self.likelihood(own, &mine) + self.likelihood(other, &theirs) + self.contexts(&moved);
        mine[at..].iter().for_each(|one| self.owner[*one] = Some(other));
        theirs[their_at..].iter().for_each(|one| self.owner[*one] = Some(own));
        let after = self.likelihood(own, &next[0]) + self.likelihood(other, &next[1]) + self.contexts(&moved);
        if self.dice.share() < ((after - before) / heat).exp() {
            let [first, second] = next;
            self.lists[own] = first;
            self.lists[other] = second;
        } else {
            mine[at..].iter().for_each(|one| self.owner[*one] = Some(own));
            theirs[their_at..].iter().for_each(|one| self.owner[*one] = Some(other));
        }
        self.enqueue(own);
        self.enqueue(other);
    }
}

/// Calls in order of their start, with one more.
fn with(mut calls: Vec<Place>, call: Place) -> Vec<Place> {
    calls.insert(calls.partition_point(|other| *other < call), call);
    calls
}

/// By call, the requests that were read before it and answered after it.
fn open_requests(work: &Work) -> Vec<Vec<Place>> {
    let mut order: Vec<Place> = (0..work.requests.len()).collect();
    order.sort_by_key(|request| work.requests[*request].start_us);
    let mut next = order.into_iter().peekable();
    let mut open: Vec<Place> = Vec::new();
    let mut all = Vec::with_capacity(work.calls.len());
    for call in &work.calls {
        while let Some(request) = next.next_if(|request| work.requests[*request].start_us <= call.start_us) {
            open.push(request);
        }
        open.retain(|request| work.requests[*request].end_us >= call.start_us);
        all.push(open.clone());
    }
    all
}
