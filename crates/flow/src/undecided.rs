//! A connection whose protocol is not known yet: inference and the few segments that it could not tell from.

use hadal_l7::contract::{Half, Transport};
use hadal_l7::inference::{Inference, Verdict};
use hadal_l7::registry::{Protocol, Sample};
use hadal_model::Direction;

use crate::stream::{Segment, Stored};

/// What came of a segment.
pub(crate) enum Decision {
    /// More is needed.
    Wait,
    /// The protocol, and the half that this side has sent.
    Known(&'static Protocol, Half),
    /// No protocol known here.
    Unknown,
}

/// What was seen of a connection so far: 16 bytes, and up to a few hundred bytes of payload.
#[derive(Default)]
pub(crate) struct Undecided {
    inference: Inference,
    /// Bytes of a side have passed that the parser will not see.
    missed: [bool; 2],
    kept: Option<Box<[Kept; 2]>>,
}

/// The segments of one side that may be the start of a message.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) segments: Vec<Stored>,
    bytes: usize,
    need: usize,
}

impl Undecided {
    /// Looks at the next segment of a side. If it decides, it is not kept.
    pub(crate) fn offer(&mut self, side: bool, direction: Option<Direction>, segment: Segment<'_>) -> Decision {
        let verdict = match self.kept(side).filter(|kept| !kept.segments.is_empty()) {
            None => self.inference.offer(side, Sample::stream(segment.captured, direction)),
            Some(kept) if kept.bytes + segment.captured.len() < kept.need => Verdict::Need(kept.need),
            Some(kept) => {
                let parts = kept.segments.iter().map(|kept| kept.segment().captured);
                let bytes: Vec<u8> = parts.chain([segment.captured]).flatten().copied().collect();
                self.inference.offer(side, Sample::stream(&bytes, direction))
            }
        };
        match verdict {
            Verdict::Known(protocol, half) => return Decision::Known(protocol, half),
            Verdict::Unknown => return Decision::Unknown,
            Verdict::Next => self.forget(side),
            Verdict::Need(need) => self.keep(side, segment, need),
        }
        Decision::Wait
    }

    /// Looks at a datagram; it is not kept, for the next one starts afresh.
    pub(crate) fn datagram(&mut self, side: bool, direction: Option<Direction>, segment: Segment<'_>) -> Decision {
        let missing = segment.missing();
        let sample = Sample { bytes: segment.captured, direction, transport: Transport::Datagram, missing };
        match self.inference.offer(side, sample) {
            Verdict::Known(protocol, half) => Decision::Known(protocol, half),
            Verdict::Unknown => Decision::Unknown,
            Verdict::Next | Verdict::Need(_) => Decision::Wait,
        }
    }

    /// Bytes of a side are missing.
    pub(crate) fn gap(&mut self, side: bool) -> Decision {
        let kept = self.kept(side).is_some_and(|kept| !kept.segments.is_empty());
        self.forget(side);
        match kept.then(|| self.inference.give_up(side)) {
            Some(Verdict::Unknown) => Decision::Unknown,
            _ => Decision::Wait,
        }
    }

    /// Whether bytes of this side have passed before those kept.
    pub(crate) fn has_missed(&self, side: bool) -> bool {
        self.missed.get(usize::from(side)).copied().unwrap_or_default()
    }

    /// Takes what was kept of a side.
    pub(crate) fn take(&mut self, side: bool) -> Vec<Stored> {
        let kept = self.kept.as_deref_mut().and_then(|kept| kept.get_mut(usize::from(side)));
        kept.map(|kept| std::mem::take(&mut kept.segments)).unwrap_or_default()
    }

    /// Memory of what was kept.
    pub(crate) fn held_bytes(&self) -> usize {
        self.kept.iter().flat_map(|kept| kept.iter()).map(|kept| kept.bytes).sum()
    }

    /// Drops what was kept; whether that was anything.
    pub(crate) fn shed(&mut self) -> bool {
        let had = [false, true].map(|side| self.kept(side).is_some_and(|kept| !kept.segments.is_empty()));
        for side in [false, true].into_iter().zip(had).filter_map(|(side, had)| had.then_some(side)) {
            self.forget(side);
        }
        had.contains(&true)
    }

    fn kept(&self, side: bool) -> Option<&Kept> {
        self.kept.as_deref().and_then(|kept| kept.get(usize::from(side)))
    }

    fn keep(&mut self, side: bool, segment: Segment<'_>, need: usize) {
        let [received, sent] = &mut **self.kept.get_or_insert_default();
        let kept = if side { sent } else { received };
        kept.bytes += segment.captured.len();
        kept.need = need;
        kept.segments.push(Stored::new(segment));
    }

    fn forget(&mut self, side: bool) {
        if let Some(missed) = self.missed.get_mut(usize::from(side)) {
            *missed = true;
        }
        if let Some(kept) = self.kept.as_deref_mut().and_then(|kept| kept.get_mut(usize::from(side))) {
            *kept = Kept::default();
        }
    }
}
