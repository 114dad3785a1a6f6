//! Syntax: the frames of messages and the few bodies that are looked into.

use memchr::memchr;

use hadal_model::Direction;

/// Tag and length of a message.
pub(super) const HEADER: usize = 5;

/// Longest packet without a tag that a server accepts (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_OPENING: u32 = 10_000;

/// Longest body of messages that hold values (`PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: u64 = 0x3fff_fffe;

/// Longest body of other messages that a client of PostgreSQL's own accepts.
const MEDIUM: u64 = 30_000;

/// Longest body of requests that hold a name (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL: u64 = 10_000;

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// At least so many bytes are needed.
    Need(usize),
    /// This is no message of this protocol and direction.
    Bad,
}

/// The start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tag: u8,
    /// Bytes of the body.
    pub(super) body: u64,
}

/// The header at the start of `bytes`, if its length is one that messages of this tag may have.
pub(super) fn header(direction: Direction, bytes: &[u8]) -> Result<Header, NoMessage> {
    let &tag = bytes.first().ok_or(NoMessage::Need(HEADER))?;
    let (least, most) = match direction {
        Direction::ToServer => frontend_lengths(tag),
        Direction::ToClient => backend_lengths(tag),
    }
    .ok_or(NoMessage::Bad)?;
    // No length has more than 30 bits.
    if bytes.get(1).is_some_and(|&byte| byte > 0x3f) {
        return Err(NoMessage::Bad);
    }
    let length = u32_at(bytes, 1).ok_or(NoMessage::Need(HEADER))?;
    let body = u64::from(length).checked_sub(4).ok_or(NoMessage::Bad)?;
    if (least..=most).contains(&body) { Ok(Header { tag, body }) } else { Err(NoMessage::Bad) }
}

/// Shortest and longest body of a client's message.
fn frontend_lengths(tag: u8) -> Option<(u64, u64)> {
    Some(match tag {
        b'Q' => (1, LARGE),
        b'P' => (4, LARGE),
        b'B' => (8, LARGE),
        b'F' => (10, LARGE),
        b'D' | b'C' => (2, SMALL),
        b'E' => (5, SMALL),
        b'H' | b'S' | b'X' | b'c' => (0, 0),
        b'd' => (0, LARGE),
        b'f' => (1, SMALL),
        b'p' => (0, 65_535),
        _ => return None,
    })
}

/// Shortest and longest body of a server's message.
fn backend_lengths(tag: u8) -> Option<(u64, u64)> {
    Some(match tag {
        b'R' => (4, MEDIUM),
        b'S' => (2, MEDIUM),
        b'K' => (8, 4 + 256),
        b'Z' => (1, 1),
        b'T' | b't' | b'D' => (2, LARGE),
        b'd' => (0, LARGE),
        b'C' => (1, 256),
        b'1' | b'2' | b'3' | b'n' | b's' | b'c' | b'I' => (0, 0),
        b'E' | b'N' => (1, LARGE),
        b'A' => (6, LARGE),
        b'V' => (4, LARGE),
        b'G' | b'H' | b'W' => (3, MEDIUM),
        b'v' => (8, MEDIUM),
        _ => return None,
    })
}

/// A packet without a tag: the first ones of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening<'a> {
    /// The client wants to encrypt; its name.
    Encryption(&'static str),
    /// Another connection's query shall be cancelled: the process id of its server.
    Cancel(u32),
    /// Minor version and parameters of a login.
    Startup(u16, &'a [u8]),
}

/// The packet without a tag at the start of `bytes`, and its length. Of a startup packet that is longer than
/// `max_head` only the beginning is needed.
pub(super) fn opening(bytes: &[u8], max_head: usize) -> Result<(Opening<'_>, u64), NoMessage> {
    if bytes.first().is_some_and(|&byte| byte != 0) || bytes.get(1).is_some_and(|&byte| byte != 0) {
        return Err(NoMessage::Bad);
    }
    let length = u32_at(bytes, 0).ok_or(NoMessage::Need(8))?;
    let code = u32_at(bytes, 4);
    if !(8..=MAX_OPENING).contains(&length) {
        return Err(NoMessage::Bad);
    }
    let code = code.ok_or(NoMessage::Need(8))?;
    let needed = (length as usize).min(max_head.max(16));
    let body = bytes.get(8..needed).ok_or(NoMessage::Need(needed))?;
    let opening = match (code, length) {
        (SSL, 8) => Opening::Encryption("SSLRequest"),
        (GSS, 8) => Opening::Encryption("GSSENCRequest"),
        // Keys have 4 bytes, since version 3.2 up to 256.
        (CANCEL, 16..=268) => Opening::Cancel(u32_at(body, 0).unwrap_or_default()),
        (code, 9..) if code >> 16 == 3 && is_parameters(body, needed == length as usize) => {
            // The mask keeps 16 bits, so the cast loses nothing.
            Opening::Startup((code & 0xffff) as u16, body)
        }
        _ => return Err(NoMessage::Bad),
    };
    Ok((opening, u64::from(length)))
}

/// Whether these are names and values: `user\0sea\0…\0`.
fn is_parameters(body: &[u8], whole: bool) -> bool {
    let name = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let first = cstr(body).map_or(body, |(first, _)| first);
    let named = !first.is_empty() && first.iter().all(name);
    // A packet without any parameter is a zero byte; servers refuse it, but it is a login.
    (named || body == [0]) && (!whole || body.last() == Some(&0))
}

/// Names and values of a startup packet.
pub(super) fn parameters(mut body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (name, rest) = cstr(body).filter(|(name, _)| !name.is_empty())?;
        let (value, rest) = cstr(rest)?;
        body = rest;
        Some((name, value))
    })
}

/// A text up to its zero byte, and what follows.
pub(super) fn cstr(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// A text up to its zero byte, or what is there of it.
pub(super) fn cut_cstr(bytes: &[u8]) -> &[u8] {
    cstr(bytes).map_or(bytes, |(text, _)| text)
}

/// Codes and texts of an `ErrorResponse` or `NoticeResponse`.
pub(super) fn fields(mut body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&code, rest) = body.split_first().filter(|(code, _)| **code != 0)?;
        let text = cut_cstr(rest);
        body = rest.get(text.len() + 1..).unwrap_or_default();
        Some((code, text))
    })
}

/// The number at the end of a command tag (`INSERT 0 1`).
pub(super) fn rows(tag: &str) -> Option<u64> {
    crate::text::decimal(tag.rsplit(' ').next()?.as_bytes())
}

/// A number of four bytes, as the wire has it.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// A number of two bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        use Direction::{ToClient, ToServer};
        let cases: [(Direction, &[u8], Result<Header, NoMessage>); 11] = [
            (ToServer, b"", Err(NoMessage::Need(5))),
            (ToServer, b"Q\0\0", Err(NoMessage::Need(5))),
            (ToServer, b"Q\0\0\0\x05\0", Ok(Header { tag: b'Q', body: 1 })),
            (ToServer, b"Q\0\0\0\x04", Err(NoMessage::Bad)),
            (ToServer, b"Q\0\0\0\x03", Err(NoMessage::Bad)),
            (ToServer, b"QUIT\r\n", Err(NoMessage::Bad)),
            (ToServer, b"S\0\0\0\x04", Ok(Header { tag: b'S', body: 0 })),
            (ToClient, b"S\0\0\0\x04", Err(NoMessage::Bad)),
            (ToClient, b"D\x7f\xff\xff\xff", Err(NoMessage::Bad)),
            (ToClient, b"D\x3f\xff\xff\xff", Ok(Header { tag: b'D', body: 0x3fff_fffb })),
            (ToClient, b"Q\0\0\0\x05", Err(NoMessage::Bad)),
        ];
        for (direction, bytes, want) in cases {
            assert_eq!(header(direction, bytes), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn openings() {
        type Want = Result<(Opening<'static>, u64), NoMessage>;
        let cases: [(&[u8], Want); 9] = [
            (b"\0\0\0", Err(NoMessage::Need(8))),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Ok((Opening::Encryption("SSLRequest"), 8))),
            (b"\0\0\0\x08\x04\xd2\x16\x30", Ok((Opening::Encryption("GSSENCRequest"), 8))),
            (b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd", Ok((Opening::Cancel(7), 16))),
            (b"\0\0\0\x09\0\x03\0\x02\0", Ok((Opening::Startup(2, b"\0"), 9))),
            (b"\0\0\0\x0e\0\x03\0\0user\0", Err(NoMessage::Need(14))),
            // Metadata requests of Kafka.
            (b"\0\0\0\x10\0\x03\0\0\0\0\0\x01\0\x00\0\0", Err(NoMessage::Bad)),
            (b"\0\0\0\x08\0\x03\0\0", Err(NoMessage::Bad)),
            (b"\0\x01\0\x08\0\x03\0\0", Err(NoMessage::Bad)),
        ];
        for (bytes, want) in cases {
            assert_eq!(opening(bytes, 1024), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn texts() {
        let given: Vec<_> = parameters(b"user\0me\0database\0\0\0junk").collect();
        assert_eq!(given, [(&b"user"[..], &b"me"[..]), (b"database", b"")]);
        let given: Vec<_> = fields(b"SERROR\0C42P01\0Mrelation").collect();
        assert_eq!(given, [(b'S', &b"ERROR"[..]), (b'C', b"42P01"), (b'M', b"relation")]);
        assert_eq!(rows("INSERT 0 12"), Some(12));
        assert_eq!(rows("CREATE TABLE"), None);
    }
}
