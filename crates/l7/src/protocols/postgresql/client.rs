//! What the client sends: messages become requests, and what will answer them is noted.

use std::collections::VecDeque;
use std::sync::Arc;

use hadal_model::{Direction, ResponseStatus};

use super::expect::{Expect, Step};
use super::parser::{self, HEADER, NoMessage, Opening, cstr, cut_cstr, u32_at};
use super::probe::{Found, find, is_request};
use super::request::{Kind, Request, message};
use super::session::{Mode, NAMES, PostgreSql, abandon};
use super::statements::{Statement, Statements};
use crate::contract::{Chunk, Half, Message, Origin, Pairing, Progress};
use crate::sql_text::{self, Dialect};
use crate::text::text;

/// Most requests whose answers are awaited; beyond, none of them can be told apart.
const MAX_OPEN: usize = 4096;

/// Most parts of one request that are told apart.
const MAX_STEPS: usize = 64;

/// After so long a silence all requests are answered.
const QUIET_US: u64 = 1_000_000;

/// Longest names of databases and users kept.
const MAX_NAME: usize = 256;

impl PostgreSql {
    pub(super) fn parse_request(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
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

    pub(super) fn parse_opening(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
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

    pub(super) fn begin_opening(&mut self, opening: Opening<'_>, first: Origin, last: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn begin_startup(&mut self, minor: u16, parameters: &[u8], first: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn parse_tagged(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
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
    pub(super) fn kept_of_request(&self, tag: u8, body: u64) -> usize {
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
    pub(super) fn begin_alone(&mut self, kind: Kind, step: Step, first: Origin, out: &mut Vec<Message>) {
        self.send(out);
        self.in_batch = false;
        self.start(kind, first, out);
        self.step(step);
        self.sync();
        self.in_batch = false;
    }

    pub(super) fn parse_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (name, sql) = cstr(body).unwrap_or((body, b""));
        self.extended(b'P', Some(name), first, out);
        self.step(Step::Parse);
        let statement = self.statement(cut_cstr(sql));
        self.statements.prepare(name, Arc::clone(&statement));
        self.concerns(name, Some(statement));
        self.request.iter_mut().for_each(|request| request.parse(name));
    }

    pub(super) fn bind_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
        let (portal, rest) = cstr(body).unwrap_or((body, b""));
        let name = cut_cstr(rest);
        self.extended(b'B', Some(name), first, out);
        self.step(Step::Bind);
        let statement = self.statements.get(name);
        self.statements.bind(portal, statement.clone());
        self.concerns(name, statement);
        self.request.iter_mut().for_each(Request::bind);
    }

    pub(super) fn describe_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn close_message(&mut self, body: &[u8], first: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn sync_message(&mut self, first: Origin, out: &mut Vec<Message>) {
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
    pub(super) fn sync_behind(&mut self) {
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
    pub(super) fn statement(&mut self, sql: &[u8]) -> Arc<Statement> {
        let sql = sql_text::read(sql, Dialect::PostgreSql, &self.options);
        if let Some(request) = &mut self.request {
            request.trace = sql.trace;
        }
        Arc::new(Statement { sql: sql.text, summary: sql.summary, copies_in: sql.copies_in })
    }

    pub(super) fn concerns(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if let Some(request) = &mut self.request {
            request.concerns(name, statement);
        }
    }

    pub(super) fn uses(&mut self, portal: &[u8]) {
        let statement = self.statements.portal(portal);
        if let Some(request) = &mut self.request {
            request.uses(portal, statement);
        }
    }

    /// A message of the extended protocol, in the request it belongs to or in one of its own.
    pub(super) fn extended(&mut self, tag: u8, name: Option<&[u8]>, first: Origin, out: &mut Vec<Message>) {
        if !self.request.as_ref().is_some_and(|request| request.continues(tag, name)) {
            self.send(out);
            self.start(Kind::Extended, first, out);
        }
        self.in_batch = true;
    }

    /// A request starts.
    pub(super) fn start(&mut self, kind: Kind, first: Origin, out: &mut Vec<Message>) {
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
    pub(super) fn start_batch(&mut self, first: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn step(&mut self, step: Step) {
        let awaited = self.request.as_ref().is_some_and(|request| request.awaited);
        if let Some(last) = self.open.back_mut().filter(|_| awaited) {
            if last.steps.len() < MAX_STEPS {
                last.steps.push_back(step);
            } else {
                last.unseen();
            }
        }
    }

    pub(super) fn sync(&mut self) {
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
    pub(super) fn negotiates(&self) -> bool {
        self.request.as_ref().is_some_and(|request| matches!(request.kind, Kind::Encryption(_)))
    }

    /// Encryption was refused: that is no record, for the login follows.
    pub(super) fn drop_negotiation(&mut self) {
        if self.negotiates() && self.request.take().is_some_and(|request| request.awaited) {
            self.open.pop_back();
        }
    }

    pub(super) fn turn_opaque(&mut self) {
        let mut opaque = Self::new(self.options);
        opaque.mode = Mode::Opaque;
        *self = opaque;
    }
}

/// Statement or portal, and its name.
fn kind_and_name(body: &[u8]) -> (u8, &[u8]) {
    let (&kind, name) = body.split_first().unwrap_or((&b'S', b""));
    (kind, cut_cstr(name))
}
