//! State of a PostgreSQL connection: the message under way in each direction, the request that grows, and how the open
//! ones will be answered.
//!
//! Each answer carries the id of its request, for the protocol tells more about what belongs together than order does:
//! messages answer each other one by one, and `Sync` is answered by `ReadyForQuery`. Where bytes are missing these two
//! lead back; until then answers stay alone, and requests are said to have none.

use std::collections::VecDeque;

use hadal_model::{Direction, ResponseStatus};

use super::expect::Expect;
use super::probe::{Found, find};
use super::reply::Reply;
use super::request::{Request, message};
use super::statements::Statements;
use crate::contract::{
    AfterGap, Chunk, Gap, Half, Message, Options, Origin, Pairing, Parser, PayloadNeed, Progress, Transport,
};
use crate::early::Early;

/// Bytes of a body in which its names stand.
pub(super) const NAMES: u64 = 512;

/// A parser for one connection.
pub fn parser(options: Options, _: Transport) -> Box<dyn Parser> {
    Box::new(PostgreSql::new(options))
}

/// The parser of one PostgreSQL connection: about 600 bytes, its statements, and what is shown of what is under way.
pub struct PostgreSql {
    pub(super) options: Options,
    pub(super) requests: Side,
    pub(super) replies: Side,
    /// The request that more messages may belong to.
    pub(super) request: Option<Request>,
    /// How the requests will be answered, oldest first.
    pub(super) open: VecDeque<Expect>,
    /// The answer under way.
    pub(super) reply: Option<Reply>,
    /// The answer under way belongs to none of the open requests.
    pub(super) orphan: bool,
    /// An unasked message under way.
    pub(super) unasked: Option<Message>,
    /// The SQLSTATE of an error after which the server skips all up to `Sync`.
    pub(super) failed: Option<String>,
    /// Messages were sent since the last `Sync`.
    pub(super) in_batch: bool,
    /// The client was seen sending a batch before the one before was answered.
    pub(super) overlaps: bool,
    /// Which answer belongs to which request is not known for now.
    pub(super) unsure: bool,
    pub(super) statements: Statements,
    pub(super) database: String,
    pub(super) version: &'static str,
    pub(super) early: Early,
    /// Ids that answers without a request have; the next requests may turn out to be theirs.
    pub(super) early_ids: u64,
    pub(super) next_id: u64,
    pub(super) newest_us: u64,
    pub(super) mode: Mode,
}

/// What the bytes of the connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Messages.
    Dialogue,
    /// Encrypted, or a stream of changes: nothing more is told.
    Opaque,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// The message under way, and where it starts.
    pub(super) tag: u8,
    pub(super) first: Origin,
    /// Bytes of it that have yet to pass.
    pub(super) skip: u64,
    /// Messages are missing, and the next one has not been found.
    pub(super) blind: bool,
}

impl Parser for PostgreSql {
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if self.mode == Mode::Opaque {
            return Progress::Consumed(chunk.bytes.len());
        }
        let progress = match direction {
            Direction::ToServer => self.parse_request(chunk, out),
            Direction::ToClient => self.parse_reply(chunk, out),
        };
        self.newest_us = self.newest_us.max(chunk.last.time_us);
        progress
    }

    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        if self.mode == Mode::Opaque {
            return AfterGap::Resumed;
        }
        let after = match direction {
            Direction::ToServer => self.gap_in_request(gap, out),
            Direction::ToClient => self.gap_in_reply(gap, out),
        };
        self.newest_us = self.newest_us.max(gap.last.time_us);
        after
    }

    fn resync(&mut self, direction: Direction, bytes: &[u8]) -> Option<usize> {
        match find(direction, bytes) {
            Found::At(at) => Some(at),
            // A few bytes that may be anything are no reason to believe in a length they tell.
            Found::Need(_) | Found::Nowhere => None,
        }
    }

    fn close(&mut self, direction: Direction, _origin: Origin, out: &mut Vec<Message>) {
        match direction {
            Direction::ToServer => self.send(out),
            Direction::ToClient => self.cut_reply(true, out),
        }
    }

    fn settle(&mut self, out: &mut Vec<Message>) {
        if self.requests.blind {
            self.send(out);
        }
        if self.replies.blind {
            self.cut_reply(true, out);
        }
    }

    fn partial(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.request.is_some(),
            Direction::ToClient => self.reply.is_some() || self.unasked.is_some(),
        }
    }

    fn payload(&self) -> PayloadNeed {
        match self.mode {
            Mode::Opaque => PayloadNeed::None,
            // Any call may hold a whole batch, or the error that ends one.
            Mode::Dialogue => PayloadNeed::All,
        }
    }
}

impl PostgreSql {
    /// A parser at the start of a connection, or somewhere in one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            requests: Side::default(),
            replies: Side::default(),
            request: None,
            open: VecDeque::new(),
            reply: None,
            orphan: false,
            unasked: None,
            failed: None,
            in_batch: false,
            overlaps: false,
            unsure: false,
            statements: Statements::default(),
            database: String::new(),
            version: "3",
            early: Early::default(),
            early_ids: 0,
            next_id: 0,
            newest_us: 0,
            mode: Mode::Dialogue,
        }
    }
}

impl Side {
    /// A message starts; so many bytes of it are not at hand.
    pub(super) fn start(&mut self, tag: u8, first: Origin, skip: u64) {
        (self.tag, self.first, self.skip) = (tag, first, skip);
    }

    /// How many of these bytes belong to the message under way.
    pub(super) fn pass(&mut self, available: usize) -> usize {
        let used = usize::try_from(self.skip).map_or(available, |skip| skip.min(available));
        self.skip -= used as u64;
        used
    }
}

/// The id's request has no answer that was seen.
pub(super) fn abandon(id: u64, at: Origin, out: &mut Vec<Message>) {
    let mut nothing = message(Half::Response, at, ResponseStatus::Unknown);
    nothing.pairing = Pairing::Id(id);
    nothing.truncated = true;
    out.push(nothing);
}
