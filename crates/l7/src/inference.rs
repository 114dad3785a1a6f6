//! Which protocol a connection speaks, told from its first bytes.
//!
//! Each direction has a few attempts: the bytes of one socket call each, since a call mostly starts where a message
//! starts, also on a connection that is older than the agent. When the attempts are used up the connection is
//! unknown for good and costs nothing any more. Of datagrams each one is an attempt: it starts a message or it is none.

use hadal_model::Direction;

use crate::contract::{Half, Probe, Transport};
use crate::registry::{PROTOCOLS, Protocol, Sample};

/// Attempts per direction.
pub const MAX_ATTEMPTS: u8 = 4;

/// A probe that cannot tell from this many bytes is answered for with no.
pub const MAX_PROBE: usize = 512;

/// Attempts offered in both directions, used up ones included, after which one silent direction is not waited for.
const MAX_OFFERS: u8 = 64;

/// What inference says about a chunk.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Offer the same bytes again when there are at least this many.
    Need(usize),
    /// These bytes tell nothing; offer the next call's.
    Next,
    /// This is the protocol, and the bytes start a message of this half.
    Known(&'static Protocol, Half),
    /// No protocol known here. Final.
    Unknown,
}

/// The state of one connection's inference: a few bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inference {
    attempts: [u8; 2],
    offers: u8,
}

impl Inference {
    /// Looks at the bytes of one side of the connection (the caller numbers the two sides `false` and `true`); their
    /// direction is known once the roles are. Datagrams are never needed again.
    pub fn offer(&mut self, side: bool, sample: Sample<'_>) -> Verdict {
        let used = self.attempts.get(usize::from(side)).copied().unwrap_or(MAX_ATTEMPTS);
        if used < MAX_ATTEMPTS {
            match probe_all(sample) {
                Verdict::Next => {}
                Verdict::Need(_) if sample.transport == Transport::Datagram => {}
                decided => return decided,
            }
        }
        self.give_up(side)
    }

    /// Ends the attempt of a side without a result (bytes are missing after those offered).
    pub fn give_up(&mut self, side: bool) -> Verdict {
        if let Some(used) = self.attempts.get_mut(usize::from(side)) {
            *used = used.saturating_add(1).min(MAX_ATTEMPTS);
        }
        self.offers = self.offers.saturating_add(1);
        let exhausted = self.attempts.iter().filter(|&&used| used >= MAX_ATTEMPTS).count();
        if exhausted == 2 || (exhausted == 1 && self.offers >= MAX_OFFERS) {
            return Verdict::Unknown;
        }
        Verdict::Next
    }
}

fn probe_all(sample: Sample<'_>) -> Verdict {
    let mut need: Option<usize> = None;
    for protocol in PROTOCOLS.iter().filter(|protocol| protocol.transports.contains(&sample.transport)) {
        match (protocol.probe)(sample) {
            Probe::Yes(half) if fits(half, sample.direction) => return Verdict::Known(protocol, half),
            Probe::Need(bytes) => need = Some(need.map_or(bytes, |least| least.min(bytes))),
            Probe::Yes(_) | Probe::No => {}
        }
    }
    match need {
        Some(bytes) if sample.bytes.len() < MAX_PROBE => Verdict::Need(bytes.max(sample.bytes.len() + 1)),
        _ => Verdict::Next,
    }
}

fn fits(half: Half, direction: Option<Direction>) -> bool {
    match direction {
        None => true,
        Some(Direction::ToServer) => half == Half::Request,
        Some(Direction::ToClient) => half == Half::Response,
    }
}
