//! What becomes of messages where bytes are missing.

use hadal_model::Direction;

use super::exchange::Exchange;
use super::parser::{self, Ended, FIXED, HEADER, Header, Kind, Role};
use super::response::End;
use super::session::{FastCgi, Side, pass};
use crate::contract::{AfterGap, Chunk, Message, Origin, Parser, Probe, Progress};

impl FastCgi {
    /// A header is there and its content of fixed length is not.
    pub(super) fn cut_record(
        &mut self,
        direction: Direction,
        header: Header,
        before: Chunk<'_>,
        out: &mut Vec<Message>,
    ) {
        let last = before.origin_before(HEADER);
        self.start(direction, header, HEADER, before.first, out);
        if header.kind == Kind::Begin {
            self.begin(header.id, Role::Responder, (before.first, HEADER, last), out);
        } else {
            self.extend(header.id, direction, HEADER as u64, last);
        }
    }

    /// So many bytes are missing.
    pub(super) fn skip(
        &mut self,
        direction: Direction,
        missing: u64,
        last: Origin,
        out: &mut Vec<Message>,
    ) -> AfterGap {
        let side = self.side(direction);
        if side.blind {
            return self.go_blind(direction, missing, last, out);
        }
        let (kind, id) = (side.kind, side.id);
        let content = pass(&mut side.content, missing);
        let over = side.content == 0;
        let used = content + pass(&mut side.padding, missing - content);
        let options = self.options;
        self.all |= kind == Kind::Params && content > 0;
        if let Some(exchange) = self.exchange(id).filter(|_| content > 0) {
            match (kind, &mut exchange.request, &mut exchange.response) {
                (Kind::Params, Some(request), _) => request.params.gap(content),
                (Kind::Stdin, Some(request), _) => request.input += content,
                (Kind::Stdout, _, Some(response)) => response.stdout_gap(&options),
                (Kind::Stderr, _, Some(response)) => response.stderr_gap(),
                _ => {}
            }
        }
        // Sequence numbers wrap, as on the wire.
        let at = |used: u64| Origin { seq: last.seq.wrapping_sub((missing - used) as u32), ..last };
        if kind == Kind::End && over && content > 0 {
            self.extend(id, direction, content, at(content));
            self.end(id, End::Unseen, out);
        } else {
            self.extend(id, direction, used, at(used));
        }
        if used == missing { AfterGap::Resumed } else { self.go_blind(direction, missing - used, last, out) }
    }

    /// The next record is somewhere in bytes that were not captured, or behind them.
    pub(super) fn go_blind(
        &mut self,
        direction: Direction,
        missing: u64,
        last: Origin,
        out: &mut Vec<Message>,
    ) -> AfterGap {
        if !self.side(direction).blind && !self.partial(direction) {
            self.lost(direction, last, out);
            return AfterGap::Lost;
        }
        // Whole requests may be missing.
        self.regular &= direction == Direction::ToClient;
        self.swallow(direction, missing, last);
        AfterGap::Resumed
    }

    /// Bytes that belong to one of the messages under way.
    pub(super) fn swallow(&mut self, direction: Direction, length: u64, last: Origin) {
        let side = self.side(direction);
        side.blind = true;
        side.unseen = side.unseen.saturating_add(length);
        let id = side.id;
        let under_way = |exchange: &&mut Exchange| exchange.is_under_way(direction);
        let exchange = match self.exchange(id).filter(under_way) {
            Some(_) => self.exchange(id),
            None => self.open.iter_mut().rfind(under_way),
        };
        match exchange {
            Some(exchange) => exchange.extend(direction, length, last),
            // A response has gone on after it was thought to be over.
            None => self.all |= direction == Direction::ToClient,
        }
    }

    /// Bytes behind a gap.
    pub(super) fn blind(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let open = |id| self.open.iter().any(|exchange| exchange.id == id && exchange.is_under_way(direction));
        let start = match direction {
            Direction::ToServer => parser::begin(chunk.bytes),
            Direction::ToClient => parser::output(chunk.bytes),
        };
        let continues = chunk.bytes.len() >= HEADER && parser::is_plausible(direction, chunk.bytes, open);
        match start {
            _ if continues => {}
            Probe::Yes(_) => {}
            Probe::Need(more) if more > chunk.bytes.len() && more <= 2 * FIXED => return Progress::Need(more),
            Probe::Need(_) | Probe::No => {
                self.swallow(direction, chunk.bytes.len() as u64, chunk.last);
                self.blind_end(direction, chunk.bytes, out);
                return Progress::Consumed(chunk.bytes.len());
            }
        }
        if !continues {
            self.cut(direction, End::Cut, out);
        }
        *self.side(direction) = Side::default();
        self.record(direction, chunk, out)
    }

    /// A last record at the end of a call's bytes.
    pub(super) fn blind_end(&mut self, direction: Direction, bytes: &[u8], out: &mut Vec<Message>) {
        let end = match direction {
            Direction::ToServer => parser::stdin_end_at_end(bytes).map(|id| (id, Ended { app: 0, protocol: 0 })),
            Direction::ToClient => parser::end_at_end(bytes),
        };
        let Some((id, ended)) = end else {
            return;
        };
        let options = self.options;
        match (direction, self.exchange(id)) {
            (Direction::ToServer, Some(exchange)) => exchange.send(false, &options, out),
            (Direction::ToClient, Some(exchange)) if exchange.response.is_some() => {
                self.end(id, End::Record(ended), out);
            }
            _ => return,
        }
        *self.side(direction) = Side::default();
    }

    /// A request shows that the response whose end was not seen is over: that of the same number, and all others of a client
    /// that waits for each of them.
    pub(super) fn end_blind(&mut self, id: u16, at: Origin, out: &mut Vec<Message>) {
        if !self.responses.blind {
            return;
        }
        let end = self.unseen_end();
        for exchange in std::mem::take(&mut self.open) {
            let over = exchange.id == id || !self.all;
            if over && exchange.response.is_some() {
                exchange.give_up(end, at, &self.options, out);
            } else {
                self.open.push(exchange);
            }
        }
        if !self.partial(Direction::ToClient) {
            self.responses = Side::default();
        }
    }

    /// How a response ends whose last bytes were not captured: they may have been those of its last record, with that of an
    /// empty output before it.
    pub(super) fn unseen_end(&self) -> End {
        let fits = matches!(self.responses.kind, Kind::Stdout | Kind::Stderr) && self.open.len() == 1;
        if fits && matches!(self.responses.unseen, 16 | 24) { End::Unseen } else { End::Cut }
    }

    /// Gives out the request of this number, whose end was not seen.
    pub(super) fn send_blind(&mut self, id: u16, out: &mut Vec<Message>) {
        let complete = self.requests.id == id
            && matches!(self.requests.kind, Kind::Stdin | Kind::Params)
            && self.requests.unseen == HEADER as u64;
        let options = self.options;
        if let Some(exchange) = self.exchange(id) {
            exchange.send(!complete, &options, out);
        }
    }
}
