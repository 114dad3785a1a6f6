//! What speaks for a link, and how surely.

/// Why a span is the child of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// The same call, seen one point earlier on its path: the same connection and sequence number.
    SameCall,
    /// The id of the parent's span, sent with the request or reported by the program.
    SpanId,
    /// The same trace id was received and sent on by one process.
    TraceId,
    /// The same X-Request-ID was received and sent on.
    XRequestId,
    /// The task that sent the call, or one that waited for it, answered the parent's request.
    SameTask,
    /// The task that sent the call had last read the parent's request.
    TaskContext,
    /// The task that sent the call had last read the answer of an earlier call of the same parent.
    AnswerContext,
    /// The task that read the answer went on to answer the parent's request.
    ResponseContext,
    /// The thread that read the answer woke one that waited for it and works on the parent's request.
    JoinedContext,
    /// Of all that the process did at that time, this fits best what is usual in it.
    Pattern,
}

impl Evidence {
    /// All kinds, the surest first.
    pub const ALL: &'static [Self] = &[
        Self::SameCall,
        Self::SpanId,
        Self::TraceId,
        Self::XRequestId,
        Self::SameTask,
        Self::TaskContext,
        Self::AnswerContext,
        Self::ResponseContext,
        Self::JoinedContext,
        Self::Pattern,
    ];

    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameCall => "same_call",
            Self::SpanId => "span_id",
            Self::TraceId => "trace_id",
            Self::XRequestId => "x_request_id",
            Self::SameTask => "same_task",
            Self::TaskContext => "task_context",
            Self::AnswerContext => "answer_context",
            Self::ResponseContext => "response_context",
            Self::JoinedContext => "joined_context",
            Self::Pattern => "pattern",
        }
    }
}

/// Some kinds of evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceSet(u16);

impl EvidenceSet {
    /// The kinds of these names.
    ///
    /// # Errors
    /// A name that no kind has.
    pub fn named(names: &[String]) -> Result<Self, &str> {
        let find = |name: &&String| Evidence::ALL.iter().find(|kind| kind.as_str() == name.as_str());
        match names.iter().find(|name| find(name).is_none()) {
            Some(unknown) => Err(unknown),
            None => Ok(Self(names.iter().filter_map(|name| find(&name)).fold(0, |all, kind| all | 1 << *kind as u16))),
        }
    }

    /// Whether it is one of them.
    pub fn has(self, kind: Evidence) -> bool {
        self.0 & 1 << kind as u16 != 0
    }
}

/// A candidate or chosen parent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// `id` of the parent's span.
    pub parent: u64,
    /// The surest of the kinds that speak for it.
    pub evidence: Evidence,
    /// From 0 to 1, all kinds together.
    pub confidence: f64,
}

/// Below this a span is rather left alone.
const ENOUGH: f64 = 0.5;
/// Two parents whose confidence differs by less are both doubtful.
const MARGIN: f64 = 0.1;

/// One proposal: the parent's rank, why, how surely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) parent: usize,
    pub(crate) evidence: Evidence,
    pub(crate) confidence: f64,
}

/// The proposals for one span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    all: Vec<Proposal>,
    /// What does not count.
    without: EvidenceSet,
}

impl Proposals {
    pub(crate) fn without(without: EvidenceSet) -> Self {
        Self { all: Vec::new(), without }
    }

    pub(crate) fn add(&mut self, parent: usize, evidence: Evidence, confidence: f64) {
        if !self.without.has(evidence) {
            self.all.push(Proposal { parent, evidence, confidence });
        }
    }

    /// Several spans that one kind of evidence cannot tell apart share its confidence.
    pub(crate) fn add_equals(&mut self, equals: &[(usize, f64)], evidence: Evidence) {
        let share = equals.len().max(1) as f64;
        for (parent, confidence) in equals {
            self.add(*parent, evidence, confidence / share);
        }
    }

    /// The parent that is clearly the surest, if there is one.
    pub(crate) fn choose(mut self) -> Option<Proposal> {
        self.all.sort_by_key(|proposal| (proposal.parent, proposal.evidence));
        self.all.dedup_by_key(|proposal| (proposal.parent, proposal.evidence));
        let mut joined: Vec<Proposal> =
            self.all.chunk_by(|one, other| one.parent == other.parent).filter_map(together).collect();
        joined.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        let best = joined.first().copied()?;
        let rival = joined.get(1).map_or(0.0, |second| second.confidence);
        let is_certain = best.confidence >= 1.0 && rival < 1.0;
        (is_certain || (best.confidence >= ENOUGH && best.confidence - rival >= MARGIN)).then_some(best)
    }
}

/// Independent kinds that agree: the chance that not all of them are wrong.
fn together(proposals: &[Proposal]) -> Option<Proposal> {
    let surest = proposals
        .iter()
        .copied()
        .max_by(|one, other| one.confidence.total_cmp(&other.confidence).then(other.evidence.cmp(&one.evidence)))?;
    let doubt: f64 = proposals.iter().map(|proposal| 1.0 - proposal.confidence).product();
    Some(Proposal { confidence: 1.0 - doubt, ..surest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(proposals: &[(usize, Evidence, f64)]) -> Option<(usize, Evidence, u32)> {
        let mut all = Proposals::default();
        proposals.iter().for_each(|(parent, evidence, confidence)| all.add(*parent, *evidence, *confidence));
        all.choose().map(|best| (best.parent, best.evidence, (best.confidence * 100.0).round() as u32))
    }

    #[test]
    fn the_surest_parent_is_chosen_unless_another_is_about_as_sure() {
        use Evidence::{ResponseContext, SpanId, TaskContext, XRequestId};
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[(1, TaskContext, 0.4)]), None);
        assert_eq!(chosen(&[(1, TaskContext, 0.6)]), Some((1, TaskContext, 60)));
        assert_eq!(chosen(&[(1, TaskContext, 0.6), (1, ResponseContext, 0.6)]), Some((1, TaskContext, 84)));
        assert_eq!(chosen(&[(1, TaskContext, 0.6), (2, ResponseContext, 0.6)]), None);
        assert_eq!(chosen(&[(1, TaskContext, 0.6), (2, XRequestId, 0.9)]), Some((2, XRequestId, 90)));
        assert_eq!(chosen(&[(1, XRequestId, 0.95), (2, SpanId, 1.0)]), Some((2, SpanId, 100)));
    }

    #[test]
    fn what_is_switched_off_does_not_count() {
        let off = EvidenceSet::named(&["pattern".to_owned(), "span_id".to_owned()]).unwrap();
        let mut all = Proposals::without(off);
        all.add(1, Evidence::SpanId, 1.0);
        all.add(2, Evidence::TaskContext, 0.6);
        assert_eq!(all.choose().map(|best| best.parent), Some(2));
        assert!(off.has(Evidence::Pattern) && !off.has(Evidence::SameCall));
        assert_eq!(EvidenceSet::named(&["magic".to_owned()]), Err("magic"));
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = Evidence::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Evidence::ALL.len());
    }
}
