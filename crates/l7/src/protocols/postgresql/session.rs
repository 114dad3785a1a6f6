//! State of a PostgreSQL connection: the message under way in each direction, the request that grows, and how the open
//! ones will be answered.
//!
//! Each answer carries the id of its request, for the protocol tells more about what belongs together than order does:
//! messages answer each other one by one, and `Sync` is answered by `ReadyForQuery`. Where bytes are missing these two
//! lead back; until then answers stay alone, and requests are said to have none.

use std::collections::VecDeque;
use std::sync::Arc;

use hadal_model::{Direction, ResponseStatus};

use super::expect::{Expect, Fit, Step};
use super::parser::{self, HEADER, NoMessage, Opening, cstr, cut_cstr, u32_at};
use super::probe::{Found, find, is_request};
use super::reply::{Reply, unasked};
use super::request::{Kind, Request, message};
use super::statements::{Statement, Statements};
use crate::contract::{AfterGap, Chunk, Gap, Half, Message, Options, Origin, Pairing, Parser, PayloadNeed, Progress};
use crate::early::Early;
use crate::sql_text::{self, Dialect};
use crate::text::text;

/// Most requests whose answers are awaited; beyond, none of them can be told apart.
const MAX_OPEN: usize = 4096;

/// Most parts of one request that are told apart.
const MAX_STEPS: usize = 64;

/// After so long a silence all requests are answered.
const QUIET_US: u64 = 1_000_000;

/// Bytes of a body in which its names stand.
const NAMES: u64 = 512;

/// Longest names of databases and users kept.
const MAX_NAME: usize = 256;

/// A parser for one connection.
pub fn parser(options: Options) -> Box<dyn Parser> {
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
    unasked: Option<Message>,
    /// The SQLSTATE of an error after which the server skips all up to `Sync`.
    failed: Option<String>,
    /// Messages were sent since the last `Sync`.
    pub(super) in_batch: bool,
    /// The client was seen sending a batch before the one before was answered.
    pub(super) overlaps: bool,
    /// Which answer belongs to which request is not known for now.
    pub(super) unsure: bool,
    statements: Statements,
    database: String,
    version: &'static str,
    early: Early,
    /// Ids that answers without a request have; the next requests may turn out to be theirs.
    early_ids: u64,
    next_id: u64,
    newest_us: u64,
    mode: Mode,
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
    tag: u8,
    first: Origin,
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

    // What the client sends.

    fn parse_request(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        // Only rows that the server does not want any more belong to no request; a length that was misread would hide what
        // follows.
        if self.requests.skip > 0 && self.request.is_none() && is_request(chunk.bytes) {
            self.requests.skip = 0;
        }
        if self.requests.skip > 0 {
            let used = self.requests.pass(chunk.bytes.len());
            self.extend_request(used, chunk.origin_before(used));
            if self.requests.skip == 0 {
                self.end_request_message(out);
            }
            return Progress::Consumed(used);
        }
        if self.requests.blind {
            match find(Direction::ToServer, chunk.bytes) {
                Found::At(0) => self.regain_requests(out),
                Found::Need(need) => return Progress::Need(need.max(chunk.bytes.len() + 1)),
                found => {
                    let used = if let Found::At(at) = found { at } else { chunk.bytes.len() };
                    self.extend_request(used, chunk.origin_before(used));
                    return Progress::Consumed(used);
                }
            }
        }
        match chunk.bytes {
            [0, ..] => self.parse_opening(chunk, out),
            // The client has begun to encrypt: the server's answer to its question was not seen.
            [0x16, 0x03, ..] if self.negotiates() => {
                self.send(out);
                self.turn_opaque();
                Progress::Consumed(chunk.bytes.len())
            }
            _ => self.parse_tagged(chunk, out),
        }
    }

    fn parse_opening(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let (opening, length) = match parser::opening(chunk.bytes, self.options.max_head) {
            Ok(opening) => opening,
            Err(NoMessage::Need(need)) => return Progress::Need(need.max(chunk.bytes.len() + 1)),
            Err(NoMessage::Bad) => return self.lost(Direction::ToServer, out),
        };
        let used = usize::try_from(length).unwrap_or(usize::MAX).min(chunk.bytes.len());
        self.requests.start(0, chunk.first, length - used as u64);
        self.begin_opening(opening, chunk.first, chunk.origin_before(used), out);
        self.extend_request(used, chunk.origin_before(used));
        if self.requests.skip == 0 {
            self.end_request_message(out);
        }
        Progress::Consumed(used)
    }

    fn begin_opening(&mut self, opening: Opening<'_>, first: Origin, last: Origin, out: &mut Vec<Message>) {
        self.drop_negotiation();
        self.send(out);
        self.in_batch = false;
        match opening {
            Opening::Encryption(name) => {
                self.start(Kind::Encryption(name), first, out);
                self.step(Step::Encryption);
            }
            Opening::Cancel(pid) => {
                let mut cancel = message(Half::Request, first, ResponseStatus::Unknown);
                cancel.pairing = Pairing::OneWay;
                cancel.last = last;
                cancel.length = u64::from(last.seq.wrapping_sub(first.seq)) + 1;
                "CancelRequest".clone_into(&mut cancel.request_type);
                "CancelRequest".clone_into(&mut cancel.endpoint);
                cancel.attributes.push(("backend_pid", pid.to_string()));
                cancel.version = self.version;
                out.push(cancel);
            }
            Opening::Startup(minor, parameters) => self.begin_startup(minor, parameters, first, out),
        }
        self.in_batch = false;
    }

    fn begin_startup(&mut self, minor: u16, parameters: &[u8], first: Origin, out: &mut Vec<Message>) {
        let value = |wanted: &[u8]| parser::parameters(parameters).find(|(name, _)| *name == wanted);
        let value = |wanted: &[u8]| value(wanted).map(|(_, value)| text(value, MAX_NAME.min(self.options.max_text)));
        let user = value(b"user").unwrap_or_default();
        // The name of the database is that of the user if it is not given.
        self.database = value(b"database").unwrap_or_else(|| user.clone());
        self.version = if minor == 2 { "3.2" } else { "3.0" };
        self.statements = Statements::default();
        self.start(Kind::Startup, first, out);
        self.step(Step::Startup);
        self.sync();
        if let Some(request) = &mut self.request {
            request.resource = user;
        }
    }

    fn parse_tagged(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let header = match parser::header(Direction::ToServer, chunk.bytes) {
            Ok(header) => header,
            Err(NoMessage::Need(need)) => return Progress::Need(need.max(chunk.bytes.len() + 1)),
            Err(NoMessage::Bad) => return self.lost(Direction::ToServer, out),
        };
        let kept = self.kept_of_request(header.tag, header.body);
        let Some(body) = chunk.bytes.get(HEADER..HEADER + kept) else {
            return Progress::Need(HEADER + kept);
        };
        self.requests.start(header.tag, chunk.first, header.body - kept as u64);
        self.begin_request_message(header.tag, body, chunk.first, out);
        self.extend_request(HEADER + kept, chunk.origin_before(HEADER + kept));
        if self.requests.skip == 0 {
            self.end_request_message(out);
        }
        Progress::Consumed(HEADER + kept)
    }

    /// How much of a body is looked at.
    fn kept_of_request(&self, tag: u8, body: u64) -> usize {
        let kept = match tag {
            b'Q' | b'P' => self.options.max_head as u64,
            b'B' | b'D' | b'C' | b'E' => NAMES,
            b'F' => 4,
            _ => 0,
        };
        // Both numbers fit, as a head does.
        kept.min(body) as usize
    }

    /// A message starts; its body may be cut.
    pub(super) fn begin_request_message(&mut self, tag: u8, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        match tag {
            b'Q' => {
                self.begin_alone(Kind::Query, Step::Query, first, out);
                let statement = self.statement(cut_cstr(body));
                self.concerns(b"", Some(statement));
            }
            b'F' => {
                self.begin_alone(Kind::Function, Step::Function, first, out);
                if let (Some(request), Some(function)) = (&mut self.request, u32_at(body, 0)) {
                    request.resource = format!("function {function}");
                }
            }
            b'P' => self.parse_message(body, first, out),
            b'B' => self.bind_message(body, first, out),
            b'E' => {
                self.extended(tag, None, first, out);
                self.step(Step::Execute);
                self.uses(cut_cstr(body));
                self.request.iter_mut().for_each(Request::execute);
            }
            b'D' => self.describe_message(body, first, out),
            b'C' => self.close_message(body, first, out),
            b'S' => self.sync_message(first, out),
            b'H' => self.in_batch = true,
            b'c' | b'f' => self.request.iter_mut().for_each(|request| request.copied = true),
            b'X' => self.send(out),
            _ => {}
        }
    }

    /// A request that is one message and ends with `ReadyForQuery`.
    fn begin_alone(&mut self, kind: Kind, step: Step, first: Origin, out: &mut Vec<Message>) {
        self.send(out);
        self.in_batch = false;
        self.start(kind, first, out);
        self.step(step);
        self.sync();
        self.in_batch = false;
    }

    fn parse_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (name, sql) = cstr(body).unwrap_or((body, b""));
        self.extended(b'P', Some(name), first, out);
        self.step(Step::Parse);
        let statement = self.statement(cut_cstr(sql));
        self.statements.prepare(name, Arc::clone(&statement));
        self.concerns(name, Some(statement));
        self.request.iter_mut().for_each(|request| request.parse(name));
    }

    fn bind_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (portal, rest) = cstr(body).unwrap_or((body, b""));
        let name = cut_cstr(rest);
        self.extended(b'B', Some(name), first, out);
        self.step(Step::Bind);
        let statement = self.statements.get(name);
        self.statements.bind(portal, statement.clone());
        self.concerns(name, statement);
        self.request.iter_mut().for_each(Request::bind);
    }

    fn describe_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (kind, name) = kind_and_name(body);
        self.extended(b'D', (kind == b'S').then_some(name), first, out);
        if kind == b'S' {
            self.step(Step::DescribeStatement);
            let statement = self.statements.get(name);
            self.concerns(name, statement);
        } else {
            self.step(Step::DescribePortal);
            self.uses(name);
        }
        self.request.iter_mut().for_each(Request::describe);
    }

    fn close_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (kind, name) = kind_and_name(body);
        let alone = !self.request.as_ref().is_some_and(|request| request.continues(b'C', None));
        self.extended(b'C', None, first, out);
        self.step(Step::Close);
        if kind == b'S' {
            let statement = self.statements.get(name);
            self.statements.close(name);
            // What is closed before other messages is not what they concern.
            if let Some(request) = self.request.as_mut().filter(|_| alone) {
                request.closes(name, statement);
            }
        } else {
            self.statements.close_portal(name);
        }
    }

    fn sync_message(&mut self, first: Origin, out: &mut Vec<Message>) {
        if self.request.as_ref().is_some_and(|request| request.continues(b'S', None)) {
            self.sync();
        } else if self.in_batch {
            self.send(out);
            self.sync_behind();
        } else {
            self.send(out);
            self.start(Kind::Sync, first, out);
            self.sync();
        }
        // While it takes rows the server ignores this message.
        self.in_batch = self.request.as_ref().is_some_and(Request::is_copying);
    }

    /// A `Sync` whose batch was given out already.
    fn sync_behind(&mut self) {
        match self.open.back_mut().filter(|last| !last.sync && last.id.is_some()) {
            Some(last) => last.sync = true,
            None if self.unsure => {}
            None => self.open.push_back(Expect {
                id: None,
                sent_us: self.newest_us,
                steps: VecDeque::new(),
                sync: true,
                cut: false,
            }),
        }
    }

    /// The message under way is complete.
    pub(super) fn end_request_message(&mut self, out: &mut Vec<Message>) {
        let Some(request) = &self.request else {
            return;
        };
        let over = match (request.kind, self.requests.tag) {
            // It is not worth a record if it is refused.
            (Kind::Encryption(_), _) => false,
            (Kind::Extended, b'S' | b'H') => !request.is_copying(),
            (Kind::Extended, _) => false,
            _ => !request.is_copying(),
        };
        if over {
            self.send(out);
        }
    }

    pub(super) fn extend_request(&mut self, length: usize, last: Origin) {
        if let Some(request) = &mut self.request {
            request.extend(length as u64, last);
        }
    }

    /// The statement in these bytes, as it is shown; its trace context goes to the request.
    fn statement(&mut self, sql: &[u8]) -> Arc<Statement> {
        let sql = sql_text::read(sql, Dialect::PostgreSql, &self.options);
        if let Some(request) = &mut self.request {
            request.trace = sql.trace;
        }
        Arc::new(Statement { sql: sql.text, summary: sql.summary, copies_in: sql.copies_in })
    }

    fn concerns(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if let Some(request) = &mut self.request {
            request.concerns(name, statement);
        }
    }

    fn uses(&mut self, portal: &[u8]) {
        let statement = self.statements.portal(portal);
        if let Some(request) = &mut self.request {
            request.uses(portal, statement);
        }
    }

    /// A message of the extended protocol, in the request it belongs to or in one of its own.
    fn extended(&mut self, tag: u8, name: Option<&[u8]>, first: Origin, out: &mut Vec<Message>) {
        if !self.request.as_ref().is_some_and(|request| request.continues(tag, name)) {
            self.send(out);
            self.start(Kind::Extended, first, out);
        }
        self.in_batch = true;
    }

    /// A request starts.
    fn start(&mut self, kind: Kind, first: Origin, out: &mut Vec<Message>) {
        if !self.in_batch {
            self.start_batch(first, out);
        }
        if self.open.len() >= MAX_OPEN {
            self.abandon_all(first, out);
            self.unsure = true;
        }
        let answered = self.open.is_empty() && self.early.take(first);
        if answered {
            self.early_ids = self.early_ids.saturating_sub(1);
        } else {
            self.next_id = self.next_id.wrapping_add(std::mem::take(&mut self.early_ids));
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let mut request = Request::new(kind, id, first);
        request.lost = self.unsure && !answered;
        request.awaited = !self.unsure && !answered;
        if request.awaited {
            let steps = VecDeque::new();
            self.open.push_back(Expect { id: Some(id), sent_us: first.time_us, steps, sync: false, cut: false });
        }
        self.request = Some(request);
    }

    /// The first request behind a `Sync`: a client that waits has seen all answers.
    fn start_batch(&mut self, first: Origin, out: &mut Vec<Message>) {
        let quiet = first.time_us.saturating_sub(self.newest_us) > QUIET_US;
        if !self.overlaps || quiet {
            if std::mem::take(&mut self.replies.blind) {
                self.cut_reply(false, out);
                self.abandon_all(first, out);
            }
            if self.open.is_empty() && self.replies.skip == 0 {
                self.end_orphan(out);
                self.unsure = false;
            }
        }
    }

    fn step(&mut self, step: Step) {
        let awaited = self.request.as_ref().is_some_and(|request| request.awaited);
        if let Some(last) = self.open.back_mut().filter(|_| awaited) {
            if last.steps.len() < MAX_STEPS {
                last.steps.push_back(step);
            } else {
                last.unseen();
            }
        }
    }

    fn sync(&mut self) {
        let awaited = self.request.as_ref().is_some_and(|request| request.awaited);
        if let Some(last) = self.open.back_mut().filter(|_| awaited) {
            last.sync = true;
        }
    }

    /// Gives out the request under way.
    pub(super) fn send(&mut self, out: &mut Vec<Message>) {
        let Some(request) = self.request.take() else {
            return;
        };
        let (id, lost, last) = (request.id, request.lost, request.last);
        let mut message = request.message(self.options.max_text);
        message.request_domain.clone_from(&self.database);
        message.version = self.version;
        out.push(message);
        if lost {
            abandon(id, last, out);
        }
    }

    /// The client asks whether it may encrypt, and the answer was not seen.
    fn negotiates(&self) -> bool {
        self.request.as_ref().is_some_and(|request| matches!(request.kind, Kind::Encryption(_)))
    }

    /// Encryption was refused: that is no record, for the login follows.
    fn drop_negotiation(&mut self) {
        if self.negotiates() && self.request.take().is_some_and(|request| request.awaited) {
            self.open.pop_back();
        }
    }

    fn turn_opaque(&mut self) {
        let mut opaque = Self::new(self.options);
        opaque.mode = Mode::Opaque;
        *self = opaque;
    }

    // What the server sends.

    fn parse_reply(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if self.replies.skip > 0 {
            let used = self.replies.pass(chunk.bytes.len());
            self.extend_reply(used, chunk.origin_before(used));
            if self.replies.skip == 0 {
                self.end_reply_message(chunk.origin_before(used), out);
            }
            return Progress::Consumed(used);
        }
        if self.replies.blind {
            match find(Direction::ToClient, chunk.bytes) {
                Found::At(0) => self.replies.blind = false,
                Found::Need(need) => return Progress::Need(need.max(chunk.bytes.len() + 1)),
                found => {
                    let used = if let Found::At(at) = found { at } else { chunk.bytes.len() };
                    self.extend_reply(used, chunk.origin_before(used));
                    return Progress::Consumed(used);
                }
            }
        }
        if self.awaits_encryption()
            && let Some(answer @ (b'S' | b'N' | b'G')) = chunk.bytes.first()
        {
            self.answer_encryption(*answer, chunk.origin_before(1), out);
            return Progress::Consumed(1);
        }
        let header = match parser::header(Direction::ToClient, chunk.bytes) {
            Ok(header) => header,
            Err(NoMessage::Need(need)) => return Progress::Need(need.max(chunk.bytes.len() + 1)),
            Err(NoMessage::Bad) => return self.lost(Direction::ToClient, out),
        };
        let kept = self.kept_of_reply(header.tag, header.body);
        let Some(body) = chunk.bytes.get(HEADER..HEADER + kept) else {
            return Progress::Need(HEADER + kept);
        };
        self.replies.start(header.tag, chunk.first, header.body - kept as u64);
        self.begin_reply_message(header.tag, body, HEADER as u64 + header.body, out);
        let last = chunk.origin_before(HEADER + kept);
        self.extend_reply(HEADER + kept, last);
        if self.replies.skip == 0 {
            self.end_reply_message(last, out);
        }
        Progress::Consumed(HEADER + kept)
    }

    /// How much of a body is looked at.
    fn kept_of_reply(&self, tag: u8, body: u64) -> usize {
        let kept = match tag {
            b'E' | b'N' => self.options.max_head as u64,
            b'C' | b'S' | b'A' | b'K' | b'Z' | b'v' => NAMES,
            _ => 0,
        };
        kept.min(body) as usize
    }

    fn awaits_encryption(&self) -> bool {
        self.open.front().is_some_and(|first| first.steps.front() == Some(&Step::Encryption)) && self.reply.is_none()
    }

    fn answer_encryption(&mut self, answer: u8, at: Origin, out: &mut Vec<Message>) {
        if answer == b'N' && self.negotiates() {
            return self.drop_negotiation();
        }
        self.send(out);
        let Some(Expect { id: Some(id), .. }) = self.open.pop_front() else {
            return;
        };
        let mut reply = message(Half::Response, at, ResponseStatus::Ok);
        reply.pairing = Pairing::Id(id);
        reply.length = 1;
        reply.version = self.version;
        reply.response_result = char::from(answer).to_string();
        out.push(reply);
        if answer != b'N' {
            self.turn_opaque();
        }
    }

    /// A message starts; its body may be cut. `length` is that of the whole message.
    pub(super) fn begin_reply_message(&mut self, tag: u8, body: &[u8], length: u64, out: &mut Vec<Message>) {
        let first = self.replies.first;
        let between = self.reply.is_none() && self.open.is_empty();
        if tag == b'A' || (tag == b'N' && between) || (tag == b'E' && between && is_last_word(body)) {
            let mut message = unasked(tag, body, first, &self.options);
            message.request_domain.clone_from(&self.database);
            message.version = self.version;
            message.length = length;
            self.unasked = Some(message);
            return;
        }
        if tag == b'S' && between {
            return;
        }
        if (self.open.is_empty() || self.orphan) && self.reply.as_ref().is_some_and(|reply| reply.is_over(tag)) {
            self.end_orphan(out);
        }
        match tag {
            // The server ignores what was sent before it asked for rows.
            b'G' => self.open.iter_mut().take(1).for_each(Expect::await_rows),
            b'v' => self.version = "3.0",
            b'Z' if body == b"I" => self.statements.end_transaction(),
            _ => {}
        }
        self.reply.get_or_insert_with(|| Reply::new(first)).note(tag, body, &self.options);
    }

    /// The message under way is complete.
    pub(super) fn end_reply_message(&mut self, last: Origin, out: &mut Vec<Message>) {
        if let Some(mut message) = self.unasked.take() {
            message.last = last;
            out.push(message);
            return;
        }
        let tag = self.replies.tag;
        if matches!(tag, b'A' | b'N' | b'S') {
            return;
        }
        if self.orphan || self.open.is_empty() {
            self.unpaired_reply(tag, out);
        } else {
            match tag {
                b'E' => self.error(out),
                b'Z' => self.ready(last, out),
                _ if self.failed.is_some() => {}
                _ => self.awaited_reply(tag, last, out),
            }
        }
    }

    pub(super) fn extend_reply(&mut self, length: usize, last: Origin) {
        if let Some(reply) = &mut self.reply {
            reply.extend(length as u64, last);
        }
    }

    /// A message of an answer to none of the open requests.
    fn unpaired_reply(&mut self, tag: u8, out: &mut Vec<Message>) {
        let fatal = self.reply.as_ref().and_then(|reply| reply.error.as_ref()).is_some_and(|error| error.is_fatal());
        if tag == b'Z' || fatal {
            self.end_orphan(out);
            self.failed = None;
        }
    }

    /// Gives out an answer to none of the open requests. Its request may yet come, unless that is known to be missing.
    pub(super) fn end_orphan(&mut self, out: &mut Vec<Message>) {
        let orphan = std::mem::take(&mut self.orphan) || self.unsure;
        let Some(reply) = self.reply.take().filter(|reply| reply.seen) else {
            return;
        };
        let pairing = if orphan {
            Pairing::OneWay
        } else {
            self.early.response(reply.first);
            let id = self.next_id.wrapping_add(self.early_ids);
            self.early_ids += 1;
            Pairing::Id(id)
        };
        self.give(reply, pairing, false, out);
    }

    fn give(&mut self, reply: Reply, pairing: Pairing, cut: bool, out: &mut Vec<Message>) {
        let mut message = reply.message(pairing, &self.options);
        message.version = self.version;
        message.truncated = cut;
        if pairing == Pairing::OneWay {
            message.request_domain.clone_from(&self.database);
        }
        out.push(message);
    }

    fn awaited_reply(&mut self, tag: u8, last: Origin, out: &mut Vec<Message>) {
        let Some(first) = self.open.front_mut() else {
            return;
        };
        match (first.fit(tag), tag) {
            (Fit::Part, b'W') => {
                self.complete(false, out);
                self.send(out);
                self.abandon_all(last, out);
                self.turn_opaque();
            }
            (Fit::Part, _) => {}
            (Fit::Done, _) if first.is_done() => self.complete(false, out),
            (Fit::Done, _) => {}
            (Fit::Wrong, _) => self.misaligned(last, out),
        }
    }

    fn error(&mut self, out: &mut Vec<Message>) {
        let (Some(first), Some(error)) =
            (self.open.front_mut(), self.reply.as_ref().and_then(|reply| reply.error.as_ref()))
        else {
            return;
        };
        if error.is_fatal() || first.steps.front().is_some_and(|step| matches!(step, Step::Startup | Step::Encryption))
        {
            return self.complete(false, out);
        }
        if self.failed.is_some() || first.is_ready() {
            return;
        }
        self.failed = Some(error.sqlstate.clone());
        if first.sync {
            first.steps.clear();
        } else {
            self.complete(false, out);
        }
    }

    /// `ReadyForQuery` ends the batch.
    fn ready(&mut self, last: Origin, out: &mut Vec<Message>) {
        let failed = self.failed.take();
        let Some(first) = self.open.front() else {
            return;
        };
        if failed.is_none() && !first.is_ready() {
            self.misaligned(last, out);
            return self.end_orphan(out);
        }
        let batch = self.open.iter().position(|expect| expect.sync).map_or(self.open.len(), |at| at + 1);
        let has_own = self.reply.as_ref().is_some_and(|reply| reply.error.is_some());
        let mut left = batch;
        if has_own && first.cut {
            // Whose error this is was not seen.
            if let Some(reply) = self.reply.take() {
                self.give(reply, Pairing::OneWay, true, out);
            }
        } else if failed.is_none() || has_own {
            self.complete(false, out);
            left -= 1;
        }
        let first = self.replies.first;
        for _ in 0..left {
            let id = self.pop(out).and_then(|expect| expect.id);
            match (&failed, id) {
                (Some(sqlstate), Some(id)) => out.push(self.not_run(id, sqlstate, first, last)),
                (None, Some(id)) => abandon(id, last, out),
                (_, None) => {}
            }
        }
        self.reply = None;
        self.in_batch &= !self.open.is_empty();
        self.overlaps |= self.open.front().is_some_and(|next| next.sent_us < last.time_us);
    }

    /// The answer to what the server has skipped after an error.
    fn not_run(&self, id: u64, sqlstate: &str, first: Origin, last: Origin) -> Message {
        let mut reply = message(Half::Response, first, ResponseStatus::Unknown);
        reply.pairing = Pairing::Id(id);
        reply.last = last;
        reply.length = u64::from(last.seq.wrapping_sub(first.seq)) + 1;
        reply.version = self.version;
        reply.response_exception = format!("not run: a request before it in the pipeline failed ({sqlstate})");
        crate::text::truncate(&mut reply.response_exception, self.options.max_text);
        reply
    }

    /// Gives out the answer under way: it is that of the oldest request.
    pub(super) fn complete(&mut self, cut: bool, out: &mut Vec<Message>) {
        let Some(expect) = self.pop(out) else {
            return;
        };
        let Some(reply) = self.reply.take() else {
            return;
        };
        self.early.regular();
        match expect.id {
            Some(id) => self.give(reply, Pairing::Id(id), cut || expect.cut, out),
            // A `Sync` fails if the transaction does when it ends.
            None if reply.error.is_some() => self.give(reply, Pairing::OneWay, cut, out),
            None => {}
        }
    }

    /// Takes the oldest request; it is given out if it still grows.
    pub(super) fn pop(&mut self, out: &mut Vec<Message>) -> Option<Expect> {
        if self.open.len() == 1 && self.request.as_ref().is_some_and(|request| request.awaited) {
            self.send(out);
        }
        let first = self.open.pop_front();
        if self.open.is_empty() && self.open.capacity() > 64 {
            self.open = VecDeque::new();
        }
        first
    }

    /// An answer came that is to none of what it should answer: messages were missed.
    fn misaligned(&mut self, last: Origin, out: &mut Vec<Message>) {
        self.abandon_all(last, out);
        self.unsure = self.overlaps;
        self.orphan = true;
    }

    /// No open request will be answered.
    pub(super) fn abandon_all(&mut self, last: Origin, out: &mut Vec<Message>) {
        while let Some(expect) = self.pop(out) {
            if let Some(id) = expect.id {
                abandon(id, last, out);
            }
        }
        self.failed = None;
    }

    /// Gives out the answer whose end was not seen; `cut` if more of it may come.
    pub(super) fn cut_reply(&mut self, cut: bool, out: &mut Vec<Message>) {
        self.unasked = None;
        self.replies.skip = 0;
        if self.open.is_empty() || self.orphan {
            return self.end_orphan(out);
        }
        match self.reply.as_ref().map(|reply| (reply.seen, reply.last)) {
            Some((true, last)) => {
                self.complete(cut, out);
                self.abandon_all(last, out);
            }
            Some((false, last)) => {
                self.reply = None;
                self.abandon_all(last, out);
            }
            None => {}
        }
    }

    fn lost(&mut self, direction: Direction, out: &mut Vec<Message>) -> Progress {
        self.forget(direction, out);
        Progress::Lost
    }
}

impl Side {
    /// A message starts; so many bytes of it are not at hand.
    pub(super) fn start(&mut self, tag: u8, first: Origin, skip: u64) {
        (self.tag, self.first, self.skip) = (tag, first, skip);
    }

    /// How many of these bytes belong to the message under way.
    fn pass(&mut self, available: usize) -> usize {
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

/// Statement or portal, and its name.
fn kind_and_name(body: &[u8]) -> (u8, &[u8]) {
    let (&kind, name) = body.split_first().unwrap_or((&b'S', b""));
    (kind, cut_cstr(name))
}

/// Whether an error ends the connection.
fn is_last_word(body: &[u8]) -> bool {
    super::error::Report::read(body, 0, false).is_fatal()
}
