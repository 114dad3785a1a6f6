//! Syntax of HTTP/1: start lines, header fields and the framing of bodies.

use memchr::{memchr, memchr_iter, memrchr};

use hadal_model::Direction;

use crate::contract::{Half, Probe};
use crate::text::{decimal, trim};
use crate::trace_context::Carriers;

/// Methods that start a message without further evidence: RFC 9110, WebDAV (RFC 4918, 3253, 5323) and caches.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "PURGE",
    "MERGE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
];

/// Longest method, registered or not.
const MAX_METHOD: usize = 24;

/// Longest chunk-size line, extensions included.
const MAX_SIZE_LINE: usize = 4096;

/// Longest trailer line.
const MAX_TRAILER_LINE: usize = 8192;

/// Bytes of a status line by which it is known: `HTTP/1.1 200` and what follows.
const STATUS_START: usize = 13;

/// The first line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: &'static str,
}

/// The first line of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine<'a> {
    pub(super) code: u16,
    pub(super) reason: &'a [u8],
    pub(super) version: &'static str,
}

/// Whether a message of this direction starts here.
pub(super) fn start(direction: Direction, bytes: &[u8]) -> Probe {
    match direction {
        Direction::ToServer => request_start(bytes),
        Direction::ToClient => response_start(bytes),
    }
}

/// A known method, a target of a known form and, if the line is complete, the version.
pub(super) fn request_start(bytes: &[u8]) -> Probe {
    let Some(method) = METHODS.iter().find(|method| agrees(bytes, method.as_bytes(), b' ')) else {
        return Probe::No;
    };
    let Some(rest) = bytes.get(method.len() + 1..).filter(|rest| rest.len() >= 2) else {
        return Probe::Need(method.len() + 3);
    };
    let line = memchr(b'\n', rest).and_then(|end| rest.get(..end));
    if !target_start(method, rest) || line.is_some_and(|line| version_at_end(line).is_none()) {
        return Probe::No;
    }
    Probe::Yes(Half::Request)
}

/// Whether `bytes`, as far as they go, are `word` followed by `after`.
fn agrees(bytes: &[u8], word: &[u8], after: u8) -> bool {
    match bytes.get(word.len()) {
        Some(&next) => next == after && bytes.starts_with(word),
        None => !bytes.is_empty() && word.starts_with(bytes),
    }
}

fn target_start(method: &str, rest: &[u8]) -> bool {
    let scheme =
        |scheme: &[u8]| rest.len() >= 4 && rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    match rest.first() {
        Some(b'/') => true,
        Some(b'*') => rest.get(1) == Some(&b' '),
        _ if method == "CONNECT" => rest.first().is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'['),
        _ => scheme(b"http") || (rest.len() < 4 && b"http".starts_with(rest)),
    }
}

/// `HTTP/1.x` and a status code.
pub(super) fn response_start(bytes: &[u8]) -> Probe {
    const PREFIX: &[u8] = b"HTTP/1.";
    let seen = bytes.len().min(PREFIX.len());
    if bytes.get(..seen) != PREFIX.get(..seen) {
        return Probe::No;
    }
    match bytes.get(PREFIX.len()..STATUS_START) {
        None => Probe::Need(STATUS_START),
        Some([b'0' | b'1', b' ', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ' | b'\r' | b'\n']) => {
            Probe::Yes(Half::Response)
        }
        Some(_) => Probe::No,
    }
}

/// Offset of the first place in `bytes` where a message of this direction may start.
pub(super) fn find_start(direction: Direction, bytes: &[u8]) -> Option<usize> {
    let may_start = |&at: &usize| bytes.get(at..).is_some_and(|rest| start(direction, rest) != Probe::No);
    if may_start(&0) {
        return Some(0);
    }
    match direction {
        // A message follows a body, which may end anywhere; the message's first bytes may be all that is there.
        Direction::ToClient => {
            let mut found =
                memchr::memmem::find_iter(bytes, b"HTTP/1.").chain(bytes.len().saturating_sub(6)..bytes.len());
            found.find(may_start)
        }
        // Many a text ends like a method starts, so only whole request lines are found.
        Direction::ToServer => memchr_iter(b'/', bytes).find_map(|slash| request_before(bytes, slash)),
    }
}

/// The start of a request whose target starts at `slash` (or whose `http://` does).
fn request_before(bytes: &[u8], slash: usize) -> Option<usize> {
    let head = bytes.get(..slash)?.strip_suffix(b" ")?;
    let method = METHODS.iter().find(|method| head.ends_with(method.as_bytes()))?;
    let at = head.len() - method.len();
    let rest = bytes.get(at..)?;
    // In the middle of a body only a complete and strict request line is evidence enough.
    let line = split_line(rest).and_then(|(line, _)| request_line(line))?;
    (!line.target.contains(&b' ') && request_start(rest) == Probe::Yes(Half::Request)).then_some(at)
}

/// Length of the head that starts here, its empty line included. `from` bytes are known not to complete it.
pub(super) fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(3).min(bytes.len());
    memchr_iter(b'\n', bytes.get(from..)?).map(|at| from + at).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

/// The first line without its end, and what follows it. `None` if the line is not complete.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes)?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..)?))
}

/// Parses `METHOD SP target SP HTTP/1.x`; any method is fine.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let (rest, version) = version_at_end(line)?;
    let space = memchr(b' ', rest)?;
    let (method, target) = (rest.get(..space)?, trim(rest.get(space + 1..)?));
    let valid = (1..=MAX_METHOD).contains(&method.len()) && method.iter().all(|&byte| is_method_byte(byte));
    (valid && !target.is_empty()).then_some(RequestLine { method, target, version })
}

/// Parses as much of a request line as was captured: its target may lack its end.
pub(super) fn cut_request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    if let Some(complete) = request_line(line) {
        return Some(complete);
    }
    let space = memchr(b' ', line)?;
    let (method, rest) = (line.get(..space)?, trim(line.get(space + 1..)?));
    let target = rest.get(..memchr(b' ', rest).unwrap_or(rest.len()))?;
    (request_start(line) != Probe::No && !target.is_empty()).then_some(RequestLine { method, target, version: "" })
}

fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

/// The version a request line ends with, and what is before it.
fn version_at_end(line: &[u8]) -> Option<(&[u8], &'static str)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_end();
    let space = memrchr(b' ', line)?;
    Some((line.get(..space)?, version(line.get(space + 1..)?)?))
}

fn version(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        b"HTTP/1.1" => Some("1.1"),
        b"HTTP/1.0" => Some("1.0"),
        _ => None,
    }
}

/// Parses `HTTP/1.x SP code [SP reason]`.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine<'_>> {
    let version = version(line.get(..8)?)?;
    let code = decimal(line.get(9..12)?).and_then(|code| u16::try_from(code).ok())?;
    let valid = line.get(8) == Some(&b' ') && (100..1000).contains(&code);
    valid.then(|| StatusLine { code, reason: trim(line.get(12..).unwrap_or_default()), version })
}

/// The header fields a session looks at; empty if absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: &'a [u8],
    pub(super) upgrade: &'a [u8],
    pub(super) user_agent: &'a [u8],
    pub(super) content_type: &'a [u8],
    pub(super) x_forwarded_for: &'a [u8],
    pub(super) x_request_id: &'a [u8],
    pub(super) carriers: Carriers<'a>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    /// A transfer coding other than chunked comes last: the length cannot be known.
    pub(super) other_coding: bool,
    pub(super) expects_continue: bool,
}

impl<'a> Fields<'a> {
    /// Reads the header lines of a head, start line excluded. A last line without an end is ignored.
    pub(super) fn read(mut bytes: &'a [u8]) -> Self {
        let mut fields = Self::default();
        while let Some((line, rest)) = split_field(bytes) {
            if line.is_empty() {
                break;
            }
            if let Some(colon) = memchr(b':', line) {
                let (name, value) = line.split_at(colon);
                fields.take(name.trim_ascii_end(), trim(value.get(1..).unwrap_or_default()));
            }
            bytes = rest;
        }
        fields
    }

    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is(b"host") => self.host = value,
            6 if is(b"expect") => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            7 if is(b"upgrade") => self.upgrade = value,
            10 if is(b"user-agent") => self.user_agent = value,
            12 if is(b"content-type") => self.content_type = value,
            12 if is(b"x-request-id") => self.x_request_id = value,
            14 if is(b"content-length") => self.take_length(value),
            15 if is(b"x-forwarded-for") => self.x_forwarded_for = value,
            17 if is(b"transfer-encoding") => self.take_coding(value),
            2..=13 => {
                self.carriers.take(name, value);
            }
            _ => {}
        }
    }

    /// The first valid length counts; repeated ones (`5, 5`) are the same or an attack, and a receiver refuses those.
    fn take_length(&mut self, value: &[u8]) {
        let first = value.split(|&byte| byte == b',').next().map(trim).and_then(decimal);
        self.content_length = self.content_length.or(first);
    }

    fn take_coding(&mut self, value: &[u8]) {
        let last = value.rsplit(|&byte| byte == b',').next().map(trim).unwrap_or_default();
        self.chunked = last.eq_ignore_ascii_case(b"chunked");
        self.other_coding = !self.chunked && !last.eq_ignore_ascii_case(b"identity");
    }
}

/// A header field with its continuation lines (obs-fold), without the last line end; and what follows.
fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = memchr(b'\n', bytes)?;
    if !matches!(bytes, [b'\n' | b'\r', ..]) {
        while let Some(b' ' | b'\t') = bytes.get(end + 1) {
            end += 1 + memchr(b'\n', bytes.get(end + 1..)?)?;
        }
    }
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..)?))
}

/// Where in a body a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// At the line with a chunk's size.
    ChunkSize,
    /// In a chunk: so many bytes are left, its line end excluded.
    ChunkData(u64),
    /// At the line end after a chunk.
    ChunkEnd,
    /// At a line of the trailer section.
    Trailers,
    /// Lasts until the connection closes.
    UntilClose,
}

/// How far a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// All bytes are used up.
    More,
    /// The rest is too short; so many bytes are needed, counted from the rest's start.
    Need(usize),
    /// The body is complete.
    Done,
    /// This is no body of that framing.
    Broken,
}

impl Body {
    /// Skips bytes of the body: how many, and how far it came.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Advance) {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.step(rest) {
                Ok(used) => at += used,
                Err(advance) => return (at + self.used_by_end(rest, advance), advance),
            }
        }
    }

    /// The empty line that completes a chunked body belongs to it.
    fn used_by_end(&self, rest: &[u8], advance: Advance) -> usize {
        match (self, advance) {
            (Self::Trailers, Advance::Done) => memchr(b'\n', rest).map_or(0, |end| end + 1),
            _ => 0,
        }
    }

    fn step(&mut self, rest: &[u8]) -> Result<usize, Advance> {
        match self {
            Self::Length(0) => Err(Advance::Done),
            _ if rest.is_empty() => Err(Advance::More),
            Self::Length(left) => Ok(take(left, rest.len())),
            Self::UntilClose => Ok(rest.len()),
            Self::ChunkData(0) => {
                *self = Self::ChunkEnd;
                Ok(0)
            }
            Self::ChunkData(left) => Ok(take(left, rest.len())),
            Self::ChunkEnd => self.chunk_end(rest),
            Self::ChunkSize => self.chunk_size(rest),
            Self::Trailers => trailer(rest),
        }
    }

    fn chunk_end(&mut self, rest: &[u8]) -> Result<usize, Advance> {
        let used = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [b'\r'] => return Err(Advance::Need(2)),
            _ => return Err(Advance::Broken),
        };
        *self = Self::ChunkSize;
        Ok(used)
    }

    fn chunk_size(&mut self, rest: &[u8]) -> Result<usize, Advance> {
        let (line, after) = line_within(rest, MAX_SIZE_LINE)?;
        let size = line.split(|&byte| byte == b';').next().map(trim).and_then(hexadecimal).ok_or(Advance::Broken)?;
        *self = if size == 0 { Self::Trailers } else { Self::ChunkData(size) };
        Ok(rest.len() - after.len())
    }

    /// Skips `length` bytes that were not captured: how many of them belong to the body, and how far it came.
    pub(super) fn skip(&mut self, length: u64) -> (u64, Advance) {
        match self {
            Self::Length(left) if length >= *left => (std::mem::take(left), Advance::Done),
            Self::ChunkData(left) if length > *left => (0, Advance::Broken),
            Self::Length(left) | Self::ChunkData(left) => {
                *left -= length;
                (length, Advance::More)
            }
            Self::UntilClose => (length, Advance::More),
            Self::ChunkSize | Self::ChunkEnd | Self::Trailers => (0, Advance::Broken),
        }
    }
}

fn take(left: &mut u64, available: usize) -> usize {
    let used = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= used as u64;
    used
}

fn trailer(rest: &[u8]) -> Result<usize, Advance> {
    let (line, after) = line_within(rest, MAX_TRAILER_LINE)?;
    if line.is_empty() { Err(Advance::Done) } else { Ok(rest.len() - after.len()) }
}

fn line_within(rest: &[u8], max: usize) -> Result<(&[u8], &[u8]), Advance> {
    match split_line(rest) {
        Some((line, after)) if line.len() <= max => Ok((line, after)),
        None if rest.len() <= max => Err(Advance::Need(rest.len() + 1)),
        _ => Err(Advance::Broken),
    }
}

fn hexadecimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 15 {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, &digit| Some(value << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        let yes = [Probe::Yes(Half::Request), Probe::Yes(Half::Response)];
        let requests: [(&[u8], Probe); 14] = [
            (b"GET / HTTP/1.1\r\n", yes[0]),
            (b"GET /very/lo", yes[0]),
            (b"OPTIONS * HTTP/1.1\r\n", yes[0]),
            (b"GET http://a/ HTTP/1.1\r\n", yes[0]),
            (b"CONNECT a:443 HTTP/1.1\r\n", yes[0]),
            (b"GE", Probe::Need(6)),
            (b"GET ", Probe::Need(6)),
            (b"GET ht", yes[0]),
            (b"OPTIONS rtsp://a/ RTSP/1.0\r\n", Probe::No),
            (b"OPTIONS sip:a SIP/2.0\r\n", Probe::No),
            (b"PRI * HTTP/2.0\r\n", Probe::No),
            (b"GET / HTTP/2\r\n", Probe::No),
            (b"get foo\r\n", Probe::No),
            (b"GETX / HTTP/1.1\r\n", Probe::No),
        ];
        for (bytes, want) in requests {
            assert_eq!(request_start(bytes), want, "{}", bytes.escape_ascii());
        }
        let responses: [(&[u8], Probe); 5] = [
            (b"HTTP/1.1 200 OK\r\n", yes[1]),
            (b"HTTP/1.0 404\r\n", yes[1]),
            (b"HTTP/1", Probe::Need(13)),
            (b"HTTP/2 200 OK\r\n", Probe::No),
            (b"HTTP/1.1 2000", Probe::No),
        ];
        for (bytes, want) in responses {
            assert_eq!(response_start(bytes), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn starts_are_found_behind_garbage() {
        assert_eq!(find_start(Direction::ToServer, b"x/y GET /zPOST /a HTTP/1.1\r\n"), Some(10));
        assert_eq!(find_start(Direction::ToServer, b"x / y"), None);
        assert_eq!(find_start(Direction::ToClient, b"HTTP/1.x HTTP/1.1 200 OK"), Some(9));
    }

    #[test]
    fn heads_end_with_an_empty_line() {
        assert_eq!(head_length(b"a\r\n\r\nb", 0), Some(5));
        assert_eq!(head_length(b"a\n\nb", 0), Some(3));
        assert_eq!(head_length(b"a\n\r\nb", 2), Some(4));
        assert_eq!(head_length(b"a\r\n\r", 0), None);
    }

    #[test]
    fn fields() {
        let fields = Fields::read(
            b"HOST : a\r\nX-Junk\r\nContent-Length: 5, 5\r\nTransfer-Encoding: gzip,\r\n chunked\r\nuser-agent:x\n\ty\n\nHost: b",
        );
        assert_eq!((fields.host, fields.user_agent), (&b"a"[..], &b"x\n\ty"[..]));
        assert_eq!((fields.content_length, fields.chunked, fields.other_coding), (Some(5), true, false));
    }

    #[test]
    fn bodies() {
        let mut body = Body::ChunkSize;
        let wire = b"3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\nGET";
        assert_eq!(body.advance(wire), (wire.len() - 3, Advance::Done));
        assert_eq!(Body::ChunkSize.advance(b"3"), (0, Advance::Need(2)));
        assert_eq!(Body::ChunkSize.advance(b"xyz\r\n"), (0, Advance::Broken));
        assert_eq!(Body::ChunkSize.advance(b"ffffffffffffffff\r\n"), (0, Advance::Broken));
        assert_eq!(Body::Length(3).advance(b"abcd"), (3, Advance::Done));
        assert_eq!(Body::Length(3).skip(2), (2, Advance::More));
        assert_eq!(Body::Length(3).skip(4), (3, Advance::Done));
        assert_eq!(Body::ChunkData(3).skip(4), (0, Advance::Broken));
    }
}
