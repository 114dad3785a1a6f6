//! The contract between streams and parsers.
//!
//! A parser sees the bytes of one connection, per direction, in order. It answers each call with its progress; the
//! caller keeps what was not consumed and offers it again with what follows. Parsers do no I/O and read no clock.
//!
//! Datagrams have borders of their own. A parser of [`Transport::Datagram`] is offered each of them whole; what it does
//! not consume is dropped and never joined with the next one, whatever it answers. One whose end was not captured is not
//! offered but comes as a gap with what was captured before it. [`Parser::resync`] is not asked.

use std::net::IpAddr;

use hadal_model::{Direction, L7Protocol, ResponseStatus};

/// What carries the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A stream without borders between messages (TCP, Unix stream sockets).
    Stream,
    /// Datagrams, each of which starts a message (UDP, Unix datagram sockets).
    Datagram,
}

/// Where and when a byte was seen. The caller's knowledge, copied into messages unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// UTC, microseconds since the epoch.
    pub time_us: u64,
    /// The byte's sequence number on its stream (TCP sequence for TCP).
    pub seq: u32,
    /// Context id of the socket call, 0 if none.
    pub context: u64,
    /// Process id of the observing side, 0 if unknown.
    pub pid: u32,
    /// Thread id of the observing side, 0 if unknown.
    pub tid: u32,
}

/// Bytes offered to a parser: the unconsumed rest of one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The bytes; the first one directly follows what the parser consumed last.
    pub bytes: &'a [u8],
    /// Origin of the first byte.
    pub first: Origin,
    /// Origin of the last byte.
    pub last: Origin,
}

impl Chunk<'_> {
    /// Origin of the byte before offset `end`, for a message that ends there.
    ///
    /// A chunk is what was left of earlier segments, which held no message end, and one segment more; so a message of
    /// this chunk ends in the last segment.
    pub fn origin_before(&self, end: usize) -> Origin {
        let after = self.bytes.len().saturating_sub(end);
        // Sequence numbers wrap, as on the wire.
        Origin { seq: self.last.seq.wrapping_sub(after as u32), ..self.last }
    }
}

/// What a parser did with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// `n` bytes are done with; the rest is offered again. `Consumed(0)` on a non-empty chunk is a contract violation
    /// (say `Need` instead).
    Consumed(usize),
    /// Nothing can be done before the chunk has at least this many bytes (more than it has now).
    Need(usize),
    /// The parser does not understand the stream any more. The caller drops the first byte, at least, and asks
    /// [`Parser::resync`] where to go on.
    Lost,
}

/// What a parser makes of bytes that exist on the wire but were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterGap {
    /// The gap lay inside a part the parser would have skipped; it goes on.
    Resumed,
    /// The parser lost its place and looks for the next message start.
    Lost,
}

/// How messages of a connection find their other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Responses come in the order of the requests.
    Order,
    /// By an id that both halves carry.
    Id(u64),
    /// There is no other half (pub/sub deliveries, one-way calls).
    OneWay,
}

/// Which half of a call a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// A request.
    Request,
    /// A response.
    Response,
}

/// How much of the payload a connection still has to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadNeed {
    /// No bytes, not even lengths.
    None,
    /// The bytes of the first call after the direction changed, lengths and sequence of all others.
    Flips,
    /// The bytes of every call.
    All,
}

/// One protocol message. Request fields are empty in a response and the other way round, except in
/// [`Pairing::OneWay`] responses, whose request fields tell what was delivered (channel, topic), and where a response
/// repeats its request (DNS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its protocol.
    pub protocol: L7Protocol,
    /// Request or response.
    pub half: Half,
    /// How its other half is found.
    pub pairing: Pairing,
    /// First byte of the message.
    pub first: Origin,
    /// Last byte of the message seen.
    pub last: Origin,
    /// Bytes of the message on the wire, body included. A truncated response of none, with an id, says that the response
    /// will not be seen: the request is given out alone.
    pub length: u64,
    /// Protocol version (`1.1`), empty if unknown.
    pub version: &'static str,
    /// Method or command (`GET`, `SET`).
    pub request_type: String,
    /// Host, virtual host, client id.
    pub request_domain: String,
    /// Request target, statement, command with arguments (obfuscated as configured).
    pub request_resource: String,
    /// Clustered endpoint (`/cart/{}`), the low-cardinality name of the call.
    pub endpoint: String,
    /// The protocol's own request id, if it has one.
    pub request_id: Option<u64>,
    /// Outcome; `Unknown` in a request.
    pub status: ResponseStatus,
    /// The protocol's own code (HTTP status).
    pub response_code: Option<i32>,
    /// Error text or reason.
    pub response_exception: String,
    /// Short result text, empty for most.
    pub response_result: String,
    /// `X-Request-ID` of this half.
    pub x_request_id: String,
    /// Trace id carried by the message.
    pub trace_id: String,
    /// Span id carried by the message (the caller's span).
    pub span_id: String,
    /// Further fields worth keeping, by name.
    pub attributes: Vec<(&'static str, String)>,
    /// Names and their addresses, of a response that tells them (DNS: the name asked for, lower case without a dot at its
    /// end, aliases followed); at most [`Message::MAX_NAMES`].
    pub names: Vec<(String, IpAddr)>,
    /// A request that is answered when something happens and not when it is done (blocking pop): it has no time limit.
    pub blocking: bool,
    /// The end was not seen (bytes missing): `length` and `last` are estimates, and further messages of this direction
    /// may have gone unseen with it.
    pub truncated: bool,
}

impl Message {
    /// Most pairs of name and address kept.
    pub const MAX_NAMES: usize = 32;

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        let texts = [
            &self.request_type,
            &self.request_domain,
            &self.request_resource,
            &self.endpoint,
            &self.response_exception,
            &self.response_result,
            &self.x_request_id,
            &self.trace_id,
            &self.span_id,
        ];
        let attributes = self.attributes.capacity() * size_of::<(&str, String)>();
        let names = self.names.capacity() * size_of::<(String, IpAddr)>();
        size_of::<Self>()
            + texts.map(String::capacity).iter().sum::<usize>()
            + (attributes + self.attributes.iter().map(|(_, text)| text.capacity()).sum::<usize>())
            + (names + self.names.iter().map(|(name, _)| name.capacity()).sum::<usize>())
    }

    /// A message with nothing in it but where it starts.
    pub fn new(protocol: L7Protocol, half: Half, first: Origin) -> Self {
        Self {
            protocol,
            half,
            pairing: Pairing::Order,
            first,
            last: first,
            length: 0,
            version: "",
            request_type: String::new(),
            request_domain: String::new(),
            request_resource: String::new(),
            endpoint: String::new(),
            request_id: None,
            status: ResponseStatus::Unknown,
            response_code: None,
            response_exception: String::new(),
            response_result: String::new(),
            x_request_id: String::new(),
            trace_id: String::new(),
            span_id: String::new(),
            attributes: Vec::new(),
            names: Vec::new(),
            blocking: false,
            truncated: false,
        }
    }
}

/// How sure a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol; the bytes start a message of it in this direction's half.
    Yes(Half),
    /// It cannot be told from so few bytes; at least this many are needed.
    Need(usize),
    /// It is something else.
    No,
}

/// What may be hidden or dropped while parsing; from configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Replace Redis arguments other than keys, literals of SQL, and values of HTTP query strings, by `?`.
    pub obfuscate: bool,
    /// Longest `request_resource`, `response_exception`, attribute and id kept, in bytes.
    pub max_text: usize,
    /// Longest message head (HTTP header block, RESP line) a parser waits for, in bytes.
    pub max_head: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { obfuscate: true, max_text: 1024, max_head: 16 * 1024 }
    }
}

/// The parser of one connection.
pub trait Parser: Send {
    /// Consumes bytes of one direction and appends finished messages to `out`.
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress;

    /// Bytes of this direction were not captured. They follow `gap.before`, which the parser has not consumed and is
    /// not offered again.
    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap;

    /// After [`Progress::Lost`] or [`AfterGap::Lost`]: how many bytes to drop until a message may start; `None` if none
    /// does in these bytes.
    fn resync(&mut self, direction: Direction, bytes: &[u8]) -> Option<usize>;

    /// This direction has ended (FIN, close): appends what the end completes, such as a body that lasts until close.
    fn close(&mut self, direction: Direction, origin: Origin, out: &mut Vec<Message>);

    /// Nothing was seen in both directions for a while: appends the messages whose end the parser could not see.
    fn settle(&mut self, out: &mut Vec<Message>);

    /// Whether a message of this direction has begun that is not appended yet.
    fn partial(&self, direction: Direction) -> bool;

    /// How much payload the parser needs from now on.
    fn payload(&self) -> PayloadNeed;
}

/// Missing bytes of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    /// The bytes before them which the parser has not consumed; may be empty.
    pub before: Chunk<'a>,
    /// How many are missing, at least 1.
    pub length: u64,
    /// Origin of the last one missing.
    pub last: Origin,
}
