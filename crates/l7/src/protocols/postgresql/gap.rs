//! What becomes of requests and answers of which bytes are missing.
//!
//! Bodies tell their lengths, so most gaps lie within one. A gap that goes on may hold messages; then the next message
//! is looked for, and what was under way goes on or is given out as far as it was seen.

use hadal_model::Direction;

use super::expect::{Expect, Step};
use super::parser::{HEADER, header};
use super::reply::Reply;
use super::session::{PostgreSql, abandon};
use crate::contract::{AfterGap, Gap, Message, Origin};

impl PostgreSql {
    pub(super) fn gap_in_request(&mut self, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        if !gap.before.bytes.is_empty() {
            let header = header(Direction::ToServer, gap.before.bytes);
            if let (Ok(header), false) = (header, self.requests.blind) {
                let body = gap.before.bytes.get(HEADER..).unwrap_or_default();
                self.requests.start(header.tag, gap.before.first, header.body.saturating_sub(body.len() as u64));
                self.begin_request_message(header.tag, body, gap.before.first, out);
            }
            self.extend_request(gap.before.bytes.len(), gap.before.last);
        }
        let within = self.requests.skip.min(gap.length);
        let beyond = gap.length - within;
        if within > 0 {
            self.requests.skip -= within;
            self.extend_request(clamp(within), earlier(gap.last, beyond));
            if self.requests.skip == 0 {
                self.end_request_message(out);
            }
        }
        if beyond == 0 {
            return AfterGap::Resumed;
        }
        if self.requests.blind {
            self.extend_request(clamp(beyond), gap.last);
            return AfterGap::Resumed;
        }
        let Some(request) = &mut self.request else {
            self.forget(Direction::ToServer, out);
            return AfterGap::Lost;
        };
        request.extend(beyond, gap.last);
        self.requests.blind = true;
        if !request.is_copying() {
            request.cut = true;
            let awaited = request.awaited;
            if let Some(last) = self.open.back_mut().filter(|last| awaited && !last.sync) {
                last.steps.push_back(Step::Unseen);
            }
        }
        AfterGap::Resumed
    }

    /// The next message of the client was found.
    pub(super) fn regain_requests(&mut self, out: &mut Vec<Message>) {
        self.requests.blind = false;
        if self.request.as_ref().is_some_and(|request| request.cut) {
            self.send(out);
            // Its `Sync` was missed if the server has answered; otherwise the batch goes on.
            self.in_batch = !self.open.is_empty() && self.reply.is_none() && !self.replies.blind;
        }
    }

    pub(super) fn gap_in_reply(&mut self, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        let mut unknown = 0;
        if !gap.before.bytes.is_empty() {
            let header = header(Direction::ToClient, gap.before.bytes);
            if let (Ok(header), false) = (header, self.replies.blind) {
                let body = gap.before.bytes.get(HEADER..).unwrap_or_default();
                self.replies.start(header.tag, gap.before.first, header.body.saturating_sub(body.len() as u64));
                self.begin_reply_message(header.tag, body, HEADER as u64 + header.body, out);
                self.extend_reply(gap.before.bytes.len(), gap.before.last);
            } else {
                unknown = gap.before.bytes.len() as u64;
            }
        }
        let within = self.replies.skip.min(gap.length);
        let beyond = gap.length - within;
        if within > 0 {
            self.replies.skip -= within;
            self.extend_reply(clamp(within), earlier(gap.last, beyond));
            if self.replies.skip == 0 {
                self.end_reply_message(earlier(gap.last, beyond), out);
            }
        }
        if beyond == 0 {
            return AfterGap::Resumed;
        }
        self.messages_missing(unknown + beyond, gap.last, out)
    }

    /// So many bytes of messages of the server were not captured.
    fn messages_missing(&mut self, length: u64, last: Origin, out: &mut Vec<Message>) -> AfterGap {
        if self.open.is_empty() && self.reply.is_none() {
            self.forget(Direction::ToClient, out);
            return AfterGap::Lost;
        }
        let first = earlier(last, length - 1);
        self.reply.get_or_insert_with(|| Reply::new(first)).extend(length, last);
        if std::mem::replace(&mut self.replies.blind, true) || self.open.is_empty() || self.orphan {
            return AfterGap::Resumed;
        }
        if !self.overlaps {
            self.close_older(last, out);
        }
        let batches = self.open.iter().filter(|expect| expect.sync).count();
        if batches > 1 {
            // How many of them were answered cannot be known.
            self.give_first(out);
            self.abandon_all(last, out);
            self.unsure = true;
        } else if self.open.len() > 1 {
            self.keep_last(last, out);
        } else {
            self.open.iter_mut().for_each(Expect::unseen);
        }
        AfterGap::Resumed
    }

    /// A client that waits for answers has got those of all batches but the last one sent before this.
    fn close_older(&mut self, now: Origin, out: &mut Vec<Message>) {
        let pairs = self.open.iter().zip(self.open.iter().skip(1));
        let ended = pairs.map(|(older, newer)| older.sync && newer.sent_us <= now.time_us);
        let Some((at, _)) = ended.enumerate().filter(|(_, ended)| *ended).max() else {
            return;
        };
        let left = self.open.len() - at - 1;
        self.give_first(out);
        while self.open.len() > left {
            if let Some(id) = self.pop(out).and_then(|expect| expect.id) {
                abandon(id, now, out);
            }
        }
    }

    /// The answer of the oldest request began before the gap: it is given out as far as it was seen.
    fn give_first(&mut self, out: &mut Vec<Message>) {
        if self.reply.as_ref().is_some_and(|reply| reply.seen) {
            self.complete(true, out);
        }
        self.reply = None;
    }

    /// Of a batch of which answers are missing, only the last one's can be known: `ReadyForQuery` belongs to it.
    fn keep_last(&mut self, now: Origin, out: &mut Vec<Message>) {
        self.give_first(out);
        while self.open.len() > 1 {
            if let Some(id) = self.pop(out).and_then(|expect| expect.id) {
                abandon(id, now, out);
            }
        }
        for last in &mut self.open {
            last.unseen();
            last.cut = true;
        }
    }

    /// From here on nothing is known of this direction.
    pub(super) fn forget(&mut self, direction: Direction, out: &mut Vec<Message>) {
        match direction {
            Direction::ToServer => {
                self.send(out);
                self.requests.skip = 0;
                self.requests.blind = false;
                self.in_batch = false;
            }
            Direction::ToClient => {
                self.cut_reply(true, out);
                self.replies.blind = false;
            }
        }
    }
}

/// A length in memory's measure; only added to others.
fn clamp(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The origin of so many bytes before.
fn earlier(origin: Origin, bytes: u64) -> Origin {
    // Sequence numbers wrap, as on the wire.
    Origin { seq: origin.seq.wrapping_sub(bytes as u32), ..origin }
}
