//! Name-value pairs, in whatever pieces they come, and those that are kept.

use crate::contract::Options;
use crate::text::text;
use crate::trace_context::{Carriers, TraceContext};

/// Longest pair that is waited for; of a longer one the start is used.
const MAX_PAIR: usize = 4096;

/// Longest value that is kept.
const MAX_VALUE: usize = 2048;

/// Parameters that are looked at.
const KEPT: &[&str] = &[
    "REQUEST_METHOD",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "HTTP_HOST",
    "SERVER_NAME",
    "SCRIPT_FILENAME",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTP_USER_AGENT",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_REQUEST_ID",
];

/// Parameters that may carry a trace context, and the header fields they are made of.
const CARRIERS: &[(&str, &str)] = &[
    ("HTTP_TRACEPARENT", "traceparent"),
    ("HTTP_SW8", "sw8"),
    ("HTTP_B3", "b3"),
    ("HTTP_X_B3_TRACEID", "x-b3-traceid"),
    ("HTTP_X_B3_SPANID", "x-b3-spanid"),
    ("HTTP_UBER_TRACE_ID", "uber-trace-id"),
];

/// Parameters whose start is worth something.
const USEFUL_IN_PART: &[&str] = &["REQUEST_URI", "SCRIPT_NAME", "SCRIPT_FILENAME", "HTTP_USER_AGENT"];

/// The parameters of one request: a few hundred bytes.
#[derive(Debug, Default)]
pub(super) struct Params {
    /// The start of a pair that is not complete.
    buffer: Vec<u8>,
    /// Bytes of a pair that do not matter.
    skip: u64,
    /// Where pairs start is not known any more.
    broken: bool,
    kept: Vec<(&'static str, Vec<u8>)>,
}

impl Params {
    /// The value of a parameter, empty if it was not seen.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        self.kept.iter().find(|(kept, _)| *kept == name).map_or(&[], |(_, value)| value)
    }

    /// The trace context of the request.
    pub(super) fn context(&self, options: &Options) -> Option<TraceContext> {
        let mut carriers = Carriers::default();
        for (name, value) in &self.kept {
            if let Some((_, field)) = CARRIERS.iter().find(|(carrier, _)| carrier == name) {
                carriers.take(field.as_bytes(), value);
            }
        }
        carriers.context(options.max_text)
    }

    /// The value of a parameter as text.
    pub(super) fn text(&self, name: &str, options: &Options) -> String {
        text(self.get(name), options.max_text)
    }

    /// Takes the next bytes of the stream of pairs.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.skip -= skipped as u64;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if self.broken || bytes.is_empty() {
            return;
        }
        if self.buffer.is_empty() {
            let used = self.read(bytes);
            self.buffer.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.extend_from_slice(bytes);
            let used = self.read(&buffer);
            buffer.drain(..used);
            self.buffer = buffer;
        }
    }

    /// So many bytes of the stream of pairs were not captured.
    pub(super) fn gap(&mut self, length: u64) {
        if self.broken {
            return;
        }
        let ahead = match Lengths::read(&self.buffer) {
            _ if self.skip > 0 => self.skip,
            Some(lengths) => lengths.total().saturating_sub(self.buffer.len() as u64),
            None => 0,
        };
        self.cut();
        self.broken = length > ahead;
        self.skip = ahead.saturating_sub(length);
    }

    /// No more will come: the pair under way is used as far as it is there.
    pub(super) fn cut(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if let Some(lengths) = Lengths::read(&buffer) {
            self.take_start(lengths, &buffer);
        }
    }

    /// Reads all pairs that are complete: how many bytes are done with.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(lengths) = Lengths::read(rest)
        {
            let total = lengths.total();
            match usize::try_from(total).ok().and_then(|total| rest.get(..total)) {
                Some(pair) => {
                    let (name, value) = lengths.split(pair);
                    self.take(name, value);
                    at += pair.len();
                }
                None if rest.len() >= MAX_PAIR => {
                    self.take_start(lengths, rest);
                    self.skip = total - rest.len() as u64;
                    return bytes.len();
                }
                None => break,
            }
        }
        at
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        let Some(name) = kept(name) else {
            return;
        };
        let value = value.get(..MAX_VALUE).unwrap_or(value);
        // Of a parameter that comes twice applications use the last one.
        match self.kept.iter_mut().find(|(kept, _)| *kept == name) {
            Some((_, kept)) => *kept = value.to_vec(),
            None => self.kept.push((name, value.to_vec())),
        }
    }

    /// A pair whose value lacks its end.
    fn take_start(&mut self, lengths: Lengths, bytes: &[u8]) {
        let (name, value) = lengths.split(bytes);
        let useful = USEFUL_IN_PART.iter().any(|useful| useful.as_bytes() == name);
        if useful && !value.is_empty() && self.kept.iter().all(|(kept, _)| kept.as_bytes() != name) {
            self.take(name, value);
        }
    }
}

/// The name as a constant, if the parameter is looked at.
fn kept(name: &[u8]) -> Option<&'static str> {
    let names = KEPT.iter().copied().chain(CARRIERS.iter().map(|(name, _)| *name));
    names.into_iter().find(|kept| kept.as_bytes() == name)
}

/// The lengths that a pair begins with.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    own: usize,
    name: u32,
    value: u32,
}

impl Lengths {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (name, rest) = length(bytes)?;
        let (value, rest) = length(rest)?;
        Some(Self { own: bytes.len() - rest.len(), name, value })
    }

    fn total(self) -> u64 {
        self.own as u64 + u64::from(self.name) + u64::from(self.value)
    }

    /// Name and value of a pair, as far as they are there.
    fn split(self, pair: &[u8]) -> (&[u8], &[u8]) {
        let pair = pair.get(self.own..).unwrap_or_default();
        pair.split_at(usize::try_from(self.name).map_or(pair.len(), |name| name.min(pair.len())))
    }
}

/// One byte, or four with the highest bit set; and what follows.
fn length(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match *bytes {
        [short @ 0..=0x7f, ref rest @ ..] => Some((u32::from(short), rest)),
        [a, b, c, d, ref rest @ ..] => Some((u32::from_be_bytes([a & 0x7f, b, c, d]), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Vec<u8> {
        let mut bytes = vec![name.len() as u8];
        bytes.extend((value.len() as u32 | 0x8000_0000).to_be_bytes());
        [&bytes, name.as_bytes(), value.as_bytes()].concat()
    }

    #[test]
    fn pieces_and_gaps() {
        let (cookie, uri) = (pair("HTTP_COOKIE", &"c".repeat(5000)), pair("REQUEST_URI", "/a/b"));
        let bytes = [cookie.as_slice(), &uri, &pair("HTTP_HOST", "h")].concat();
        for size in [1, 7, 4096, bytes.len()] {
            let mut params = Params::default();
            bytes.chunks(size).for_each(|piece| params.feed(piece));
            assert_eq!((params.get("REQUEST_URI"), params.get("HTTP_HOST")), (&b"/a/b"[..], &b"h"[..]), "{size}");
            assert!(params.buffer.len() < MAX_PAIR);
        }
        let with_gap = |from: usize, to: usize| {
            let mut params = Params::default();
            params.feed(&bytes[..from]);
            params.gap((to - from) as u64);
            params.feed(&bytes[to..]);
            params.get("REQUEST_URI").to_vec()
        };
        assert_eq!(with_gap(100, 4000), b"/a/b");
        assert_eq!(with_gap(100, cookie.len()), b"/a/b");
        assert_eq!(with_gap(100, cookie.len() + 1), b"");
        let within = cookie.len() + uri.len() - 2;
        assert_eq!(with_gap(within, within + 1), b"/a");
        assert_eq!(with_gap(2, 100), b"");
    }
}
