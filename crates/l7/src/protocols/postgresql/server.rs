//! What the server sends: messages become answers, each to the request that awaits it.

use std::collections::VecDeque;

use hadal_model::{Direction, ResponseStatus};

use super::expect::{Expect, Fit, Step};
use super::parser::{self, HEADER, NoMessage};
use super::probe::{Found, find};
use super::reply::{Reply, unasked};
use super::request::message;
use super::session::{NAMES, PostgreSql, abandon};
use crate::contract::{Chunk, Half, Message, Origin, Pairing, Progress};

impl PostgreSql {
    pub(super) fn parse_reply(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
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
    pub(super) fn kept_of_reply(&self, tag: u8, body: u64) -> usize {
        let kept = match tag {
            b'E' | b'N' => self.options.max_head as u64,
            b'C' | b'S' | b'A' | b'K' | b'Z' | b'v' => NAMES,
            _ => 0,
        };
        kept.min(body) as usize
    }

    pub(super) fn awaits_encryption(&self) -> bool {
        self.open.front().is_some_and(|first| first.steps.front() == Some(&Step::Encryption)) && self.reply.is_none()
    }

    pub(super) fn answer_encryption(&mut self, answer: u8, at: Origin, out: &mut Vec<Message>) {
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
    pub(super) fn unpaired_reply(&mut self, tag: u8, out: &mut Vec<Message>) {
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

    pub(super) fn give(&mut self, reply: Reply, pairing: Pairing, cut: bool, out: &mut Vec<Message>) {
        let mut message = reply.message(pairing, &self.options);
        message.version = self.version;
        message.truncated = cut;
        if pairing == Pairing::OneWay {
            message.request_domain.clone_from(&self.database);
        }
        out.push(message);
    }

    pub(super) fn awaited_reply(&mut self, tag: u8, last: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn error(&mut self, out: &mut Vec<Message>) {
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
    pub(super) fn ready(&mut self, last: Origin, out: &mut Vec<Message>) {
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
    pub(super) fn not_run(&self, id: u64, sqlstate: &str, first: Origin, last: Origin) -> Message {
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
    pub(super) fn misaligned(&mut self, last: Origin, out: &mut Vec<Message>) {
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

    pub(super) fn lost(&mut self, direction: Direction, out: &mut Vec<Message>) -> Progress {
        self.forget(direction, out);
        Progress::Lost
    }
}

/// Whether an error ends the connection.
fn is_last_word(body: &[u8]) -> bool {
    super::error::Report::read(body, 0, false).is_fatal()
}
