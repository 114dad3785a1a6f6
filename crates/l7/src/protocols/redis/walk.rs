//! Walks along RESP values without keeping them: a collector is shown what passes.

use super::parser::{Header, Nested, Nesting, NoHeader, header};

/// Is shown the parts of a message.
pub(super) trait Collect {
    /// A header at this depth (0 for the message itself).
    fn header(&mut self, depth: usize, header: Header<'_>);
    /// Bytes of a bulk string whose header was at this depth.
    fn payload(&mut self, depth: usize, bytes: &[u8]);
    /// A bulk string is complete.
    fn end_payload(&mut self, depth: usize);
}

/// How a walk went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// So many bytes are used up, and the message is complete.
    Complete(usize),
    /// So many bytes are used up; more belong to the message. 0 if a line is not complete.
    Inside(usize),
    /// This is no RESP.
    Bad,
}

/// Where in a message a walk is.
#[derive(Debug, Default)]
pub(super) struct Walk {
    nesting: Nesting,
    payload: Option<Payload>,
}

/// A bulk string under way.
#[derive(Clone, Copy, Debug)]
struct Payload {
    left: u64,
    /// Bytes left of the line end behind it.
    line_end: u8,
    /// A part of a streamed string.
    part: bool,
}

impl Walk {
    pub(super) fn clear(&mut self) {
        self.nesting.clear();
        self.payload = None;
    }

    /// Walks on; stops at the end of the message.
    pub(super) fn walk(&mut self, bytes: &[u8], max_line: usize, collect: &mut impl Collect) -> Walked {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Walked::Inside(at);
            }
            let step = match self.payload {
                Some(payload) => self.payload(payload, rest, collect),
                None => self.header(rest, max_line, collect),
            };
            match step {
                Ok((used, Nested::Complete)) => return Walked::Complete(at + used),
                Ok((used, Nested::Inside)) => at += used,
                Ok((_, Nested::Bad)) | Err(NoHeader::Bad) => return Walked::Bad,
                Err(NoHeader::Need(_)) => return Walked::Inside(at),
            }
        }
    }

    /// Skips bytes that were not captured. `None` if they contain more than a payload.
    pub(super) fn skip(&mut self, length: u64, collect: &mut impl Collect) -> Option<Nested> {
        let payload = self.payload.as_mut()?;
        if length <= payload.left {
            payload.left -= length;
            return Some(Nested::Inside);
        }
        let line_end = u8::try_from(length - payload.left).ok().filter(|&used| used <= payload.line_end)?;
        payload.left = 0;
        payload.line_end -= line_end;
        let ended = *payload;
        Some(if ended.line_end == 0 { self.end(ended, collect) } else { Nested::Inside })
    }

    fn header(
        &mut self,
        rest: &[u8],
        max_line: usize,
        collect: &mut impl Collect,
    ) -> Result<(usize, Nested), NoHeader> {
        let (header, used) = header(rest, max_line)?;
        collect.header(self.nesting.depth(), header);
        let nested = self.nesting.header(header);
        match header {
            Header::Bulk(_, left) => self.payload = Some(Payload { left, line_end: 2, part: false }),
            Header::Part(left @ 1..) => self.payload = Some(Payload { left, line_end: 2, part: true }),
            _ => {}
        }
        Ok((used, nested))
    }

    fn payload(
        &mut self,
        mut payload: Payload,
        rest: &[u8],
        collect: &mut impl Collect,
    ) -> Result<(usize, Nested), NoHeader> {
        let available = usize::try_from(payload.left).map_or(rest.len(), |left| left.min(rest.len()));
        let (bytes, mut behind) = rest.split_at(available);
        payload.left -= available as u64;
        if available > 0 {
            collect.payload(self.nesting.depth(), bytes);
        }
        while let (Some((&byte, after)), 1..) = (behind.split_first(), payload.line_end) {
            if byte != if payload.line_end == 2 { b'\r' } else { b'\n' } {
                return Err(NoHeader::Bad);
            }
            payload.line_end -= 1;
            behind = after;
        }
        let used = rest.len() - behind.len();
        self.payload = Some(payload);
        if payload.left == 0 && payload.line_end == 0 {
            return Ok((used, self.end(payload, collect)));
        }
        Ok((used, Nested::Inside))
    }

    fn end(&mut self, payload: Payload, collect: &mut impl Collect) -> Nested {
        self.payload = None;
        if payload.part {
            return Nested::Inside;
        }
        collect.end_payload(self.nesting.depth());
        self.nesting.value()
    }
}
