//! Whether bytes start messages. A header alone is weak evidence, so bodies are looked into and what follows counts too.

use hadal_model::Direction;

use super::parser::{HEADER, Header, NoMessage, Opening, cstr, cut_cstr, fields, header, opening, u16_at, u32_at};
use crate::contract::{Half, Probe};
use crate::registry::Sample;

/// Most messages of a chain that are looked at.
const MAX_CHAIN: usize = 8;

/// Bytes from which on the start of a long message is judged.
const ENOUGH: usize = 64;

/// Of a body that is cut at least so many bytes are needed to tell anything.
const CUT: usize = 16;

/// Bytes in which names and formats of parameters mostly stand.
const NAMES: usize = 256;

/// Most columns of a row or a table (`MaxTupleAttributeNumber`).
const MAX_COLUMNS: u16 = 1664;

/// Evidence that a connection speaks this protocol, and that a message starts within bytes whose start is unknown.
const SURE: u32 = 2;
const SURE_WITHIN: u32 = 3;

/// First words by which an incomplete statement is known.
const WORDS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "WITH",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET",
    "SHOW",
    "CREATE",
    "ALTER",
    "DROP",
    "COPY",
    "CALL",
    "DO",
    "EXPLAIN",
    "TRUNCATE",
    "MERGE",
    "DECLARE",
    "FETCH",
    "VALUES",
    "DISCARD",
    "START",
    "SAVEPOINT",
    "RELEASE",
    "LOCK",
    "DEALLOCATE",
    "PREPARE",
    "EXECUTE",
    "LISTEN",
    "NOTIFY",
    "VACUUM",
    "ANALYZE",
];

/// Whether these bytes start a message.
pub fn probe(sample: Sample<'_>) -> Probe {
    match sample.direction {
        Some(Direction::ToServer) => probe_requests(sample.bytes),
        Some(Direction::ToClient) => probe_replies(sample.bytes),
        None => match (probe_requests(sample.bytes), probe_replies(sample.bytes)) {
            (Probe::Need(one), Probe::Need(other)) => Probe::Need(one.min(other)),
            (Probe::No, verdict) | (verdict @ Probe::Yes(_), _) => verdict,
            (verdict, Probe::No) => verdict,
            (_, verdict) => verdict,
        },
    }
}

fn probe_requests(bytes: &[u8]) -> Probe {
    if bytes.first() == Some(&0) {
        return match opening(bytes, ENOUGH) {
            Ok((Opening::Startup(0..=9999, _) | Opening::Encryption(_) | Opening::Cancel(_), _)) => {
                Probe::Yes(Half::Request)
            }
            Err(NoMessage::Need(bytes)) => Probe::Need(bytes),
            Ok(_) | Err(NoMessage::Bad) => Probe::No,
        };
    }
    verdict(Direction::ToServer, bytes, Half::Request)
}

fn probe_replies(bytes: &[u8]) -> Probe {
    verdict(Direction::ToClient, bytes, Half::Response)
}

fn verdict(direction: Direction, bytes: &[u8], half: Half) -> Probe {
    match chain(direction, bytes) {
        Chain::Need(need) => Probe::Need(need),
        Chain::Evidence(SURE.., _) => Probe::Yes(half),
        Chain::Evidence(..) => Probe::No,
    }
}

/// What speaks for messages.
enum Chain {
    /// So many bytes are needed to tell.
    Need(usize),
    /// How much, 0 if the bytes are none; and whether they end where a message does.
    Evidence(u32, bool),
}

/// Walks along the messages that start here.
fn chain(direction: Direction, bytes: &[u8]) -> Chain {
    let (mut at, mut evidence) = (0, 0);
    for _ in 0..MAX_CHAIN {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            break;
        };
        let header = match header(direction, rest) {
            Ok(header) => header,
            Err(NoMessage::Need(need)) if at == 0 => return Chain::Need(need),
            Err(NoMessage::Need(_)) => break,
            Err(NoMessage::Bad) => return Chain::Evidence(0, false),
        };
        let length = usize::try_from(header.body).unwrap_or(usize::MAX).saturating_add(HEADER);
        let body = rest.get(HEADER..length.min(rest.len())).unwrap_or_default();
        let whole = rest.len() >= length;
        if !whole && at == 0 && rest.len() < ENOUGH.min(length) && (length <= ENOUGH || tells(direction, header.tag)) {
            return Chain::Need(ENOUGH.min(length));
        }
        let seen = match direction {
            Direction::ToServer => request(header, body, whole),
            Direction::ToClient => reply(header, body, whole),
        };
        let Some(seen) = seen else {
            return Chain::Evidence(0, false);
        };
        evidence += seen;
        at = at.saturating_add(length);
    }
    Chain::Evidence(evidence, at == bytes.len())
}

/// Where messages start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Behind so many bytes.
    At(usize),
    /// It takes so many bytes to tell.
    Need(usize),
    Nowhere,
}

/// The first place where messages of this direction start.
pub(super) fn find(direction: Direction, bytes: &[u8]) -> Found {
    // Bytes mostly begin where a socket call does, and those where a message does.
    let opens = direction == Direction::ToServer && bytes.first() == Some(&0);
    match opens.then(|| opening(bytes, ENOUGH)) {
        Some(Ok(_)) => return Found::At(0),
        Some(Err(NoMessage::Need(need))) => return Found::Need(need),
        Some(Err(NoMessage::Bad)) | None => {}
    }
    let need = match chain(direction, bytes) {
        Chain::Need(need) => Found::Need(need),
        Chain::Evidence(1.., _) => return Found::At(0),
        Chain::Evidence(..) => Found::Nowhere,
    };
    // Bytes that may need more to be told may also be the end of a message, with another one behind.
    let mut places = memchr::memchr_iter(0, bytes).filter_map(|zero| zero.checked_sub(1)).filter(|&at| at > 0);
    places.find(|&at| starts_within(direction, bytes.get(at..).unwrap_or_default())).map_or(need, Found::At)
}

/// Whether the client's message that starts here is beyond doubt.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    matches!(chain(Direction::ToServer, bytes), Chain::Evidence(SURE.., _))
}

/// Whether messages start here, behind bytes that belong to another one.
fn starts_within(direction: Direction, rest: &[u8]) -> bool {
    matches!(chain(direction, rest), Chain::Evidence(evidence, ends) if evidence + u32::from(ends) >= SURE_WITHIN)
}

/// Whether the start of a message of this kind tells something.
fn tells(direction: Direction, tag: u8) -> bool {
    match direction {
        Direction::ToServer => matches!(tag, b'Q' | b'P' | b'B'),
        Direction::ToClient => matches!(tag, b'E' | b'N' | b'T' | b'D'),
    }
}

/// What a client's message is worth as evidence; `None` if its body cannot be that of its tag.
fn request(header: Header, body: &[u8], whole: bool) -> Option<u32> {
    if !whole && (body.len() < CUT || !tells(Direction::ToServer, header.tag)) {
        return Some(0);
    }
    match header.tag {
        b'Q' => statement(body, whole),
        b'P' | b'B' if !whole && cstr(body).is_none_or(|(_, rest)| rest.len() < CUT) => Some(0),
        b'P' => {
            let (name, rest) = cstr(body)?;
            let (sql, behind) = cstr(rest).map_or((rest, None), |(sql, behind)| (sql, Some(behind)));
            let types = |behind: &[u8]| u16_at(behind, 0).map(|count| 2 + 4 * usize::from(count));
            (is_text(name) && (!whole || types(behind?)? == behind?.len())).then_some(())?;
            match behind {
                Some(_) => is_text(sql).then_some(2),
                None => statement(sql, false),
            }
        }
        b'B' => bind(body, whole).or_else(|| (!whole && body.len() < NAMES).then_some(0)),
        b'E' => {
            let (portal, rest) = cstr(body)?;
            (is_text(portal) && rest.len() == 4).then_some(1)
        }
        b'D' | b'C' => {
            let (&kind, name) = body.split_first()?;
            let closed = whole && cstr(name).is_some_and(|(name, rest)| rest.is_empty() && is_text(name));
            (matches!(kind, b'S' | b'P') && closed).then_some(1)
        }
        b'H' | b'S' | b'c' | b'X' => Some(1),
        b'f' => (!whole || body.last() == Some(&0)).then_some(0),
        b'F' => u16_at(body, 4).filter(|&formats| formats <= 100).map(|_| 0),
        _ => Some(0),
    }
}

/// The text of a simple query, with its zero byte if it is whole.
fn statement(body: &[u8], whole: bool) -> Option<u32> {
    let text = if whole { body.strip_suffix(b"\0")? } else { body };
    is_text(text).then_some(())?;
    if whole {
        return Some(2);
    }
    let start = text.trim_ascii_start();
    let word = start.get(..start.iter().position(|byte| !byte.is_ascii_alphabetic())?)?;
    let known = WORDS.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    Some(if known || start.starts_with(b"/*") || start.starts_with(b"--") || start.starts_with(b"(") { 2 } else { 0 })
}

/// Names, formats of parameters, parameters, formats of columns.
fn bind(body: &[u8], whole: bool) -> Option<u32> {
    let (portal, rest) = cstr(body)?;
    let (statement, rest) = cstr(rest)?;
    (is_text(portal) && is_text(statement)).then_some(())?;
    let (mut rest, formats) = formats(rest)?;
    let parameters = u16_at(rest, 0)?;
    (formats <= 1 || formats == parameters).then_some(())?;
    rest = rest.get(2..)?;
    for _ in 0..parameters {
        match value(rest, whole)? {
            Some(behind) => rest = behind,
            None => return Some(1),
        }
    }
    match self::formats(rest) {
        Some((behind, _)) => (!whole || behind.is_empty()).then_some(2),
        None => (!whole).then_some(1),
    }
}

/// A number of format codes and the codes.
fn formats(bytes: &[u8]) -> Option<(&[u8], u16)> {
    let count = u16_at(bytes, 0)?;
    let (codes, rest) = bytes.get(2..)?.split_at_checked(2 * usize::from(count))?;
    codes.chunks_exact(2).all(|code| matches!(code, [0, 0 | 1])).then_some((rest, count))
}

/// Skips a value with its length. `None` if it is none, `Some(None)` if it is not all there.
fn value(bytes: &[u8], whole: bool) -> Option<Option<&[u8]>> {
    let Some(length) = u32_at(bytes, 0) else {
        return (!whole).then_some(None);
    };
    // Null is a length of -1.
    let length =
        if length == u32::MAX { 0 } else { usize::try_from(length).ok().filter(|&length| length < 1 << 30)? };
    match bytes.get(4..).and_then(|bytes| bytes.get(length..)) {
        Some(rest) => Some(Some(rest)),
        None => (!whole).then_some(None),
    }
}

/// What a server's message is worth as evidence.
fn reply(header: Header, body: &[u8], whole: bool) -> Option<u32> {
    if !whole && (body.len() < CUT || !tells(Direction::ToClient, header.tag)) {
        return Some(0);
    }
    match header.tag {
        b'R' => match (u32_at(body, 0)?, header.body) {
            (0 | 2 | 6 | 7 | 9, 4) | (3, 4) | (5, 8) => Some(2),
            (8 | 11 | 12, 5..) => Some(1),
            (10, 6..) => is_text(cut_cstr(body.get(4..)?)).then_some(2),
            _ => None,
        },
        b'Z' => matches!(body, [b'I' | b'T' | b'E']).then_some(2),
        b'K' => Some(1),
        b'S' => {
            let (name, rest) = cstr(body)?;
            let (value, rest) = cstr(rest)?;
            (is_name(name) && is_text(value) && rest.is_empty()).then_some(2)
        }
        b'C' => {
            let (tag, rest) = cstr(body)?;
            (rest.is_empty() && is_tag(tag)).then_some(2)
        }
        b'E' | b'N' => {
            let (code, severity) = fields(body).next()?;
            let severe = !severity.is_empty() && !severity.iter().any(u8::is_ascii_control);
            (code == b'S' && severe && (!whole || body.ends_with(b"\0\0"))).then_some(2)
        }
        b'A' => {
            let (channel, rest) = cstr(body.get(4..)?)?;
            (is_text(channel) && (!whole || rest.last() == Some(&0))).then_some(1)
        }
        b'T' => columns(body, whole),
        b'D' => row(body, whole),
        b't' => (header.body == 2 + 4 * u64::from(u16_at(body, 0)?)).then_some(1),
        b'G' | b'H' | b'W' => {
            let count = u64::from(u16_at(body, 1)?);
            (matches!(body.first(), Some(0 | 1)) && header.body == 3 + 2 * count).then_some(2)
        }
        b'V' => (!whole || matches!(value(body, true), Some(Some([])))).then_some(0),
        b'1' | b'2' | b'3' | b'n' | b's' | b'c' | b'I' => Some(1),
        _ => Some(0),
    }
}

/// `RowDescription`: names, each with 18 bytes that end with a format code.
fn columns(body: &[u8], whole: bool) -> Option<u32> {
    let count = u16_at(body, 0).filter(|&count| count <= MAX_COLUMNS)?;
    let mut rest = body.get(2..)?;
    for at in 0..count {
        let column = cstr(rest).and_then(|(name, rest)| Some((name, rest.split_at_checked(18)?)));
        let Some((name, (column, behind))) = column else {
            return (!whole).then_some(if at > 0 { 2 } else { 0 });
        };
        (is_text(name) && matches!(column, [.., 0, 0 | 1])).then_some(())?;
        rest = behind;
    }
    rest.is_empty().then_some(2)
}

/// `DataRow`: values with their lengths.
fn row(body: &[u8], whole: bool) -> Option<u32> {
    let count = u16_at(body, 0).filter(|&count| count <= MAX_COLUMNS)?;
    let mut rest = body.get(2..)?;
    for _ in 0..count {
        match value(rest, whole)? {
            Some(behind) => rest = behind,
            None => return Some(1),
        }
    }
    (whole && rest.is_empty()).then_some(2)
}

/// Nothing but text, as names and statements are.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(|&byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

fn is_name(bytes: &[u8]) -> bool {
    let plausible = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.iter().all(plausible)
}

/// `SELECT 3`, `CREATE TABLE`.
fn is_tag(bytes: &[u8]) -> bool {
    let plausible = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'_');
    bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.iter().all(plausible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(direction: Option<Direction>, bytes: &[u8], want: Probe) {
        assert_eq!(probe(Sample::stream(bytes, direction)), want, "{direction:?}: {}", bytes.escape_ascii());
    }

    const REQUEST: Probe = Probe::Yes(Half::Request);
    const RESPONSE: Probe = Probe::Yes(Half::Response);

    #[test]
    fn requests() {
        let cases: [(&[u8], Probe); 13] = [
            (b"Q\0\0\0\x17delete  from test;\0", REQUEST),
            (b"Q\0\0\0\x05\0", REQUEST),
            (b"Q\0\0\0\x17delete", Probe::Need(24)),
            (b"Q", Probe::Need(5)),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", REQUEST),
            (b"\0\0\0\x1e\0\x03\0\0user\0me\0database\0sea\0\0", REQUEST),
            (b"P\0\0\0\x0d\0SELECT 1\0\0\0S\0\0\0\x04", Probe::No),
            (b"P\0\0\0\x10\0SELECT 1\0\0\0D\0\0\0\x06P\0S\0\0\0\x04", REQUEST),
            (b"B\0\0\0\x12\0s1\0\0\0\0\x01\0\0\0\x01x\0\0", Probe::No),
            (b"B\0\0\0\x13\0s1\0\0\0\0\x01\0\0\0\x01x\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", REQUEST),
            (b"S\0\0\0\x04", Probe::No),
            (b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", REQUEST),
            (b"B\0\0\0\x13\0s1\0\0\0\0\x01\0\0\0\x01x\0\0", REQUEST),
        ];
        for (bytes, want) in cases {
            check(Some(Direction::ToServer), bytes, want);
            check(None, bytes, want);
        }
        let long = [b"Q\0\0\x10\0select * from t where a in (", "7, ".repeat(100).as_bytes()].concat();
        check(None, &long, REQUEST);
    }

    #[test]
    fn replies() {
        let cases: [(&[u8], Probe); 9] = [
            (b"R\0\0\0\x08\0\0\0\0S\0\0\0\x16", RESPONSE),
            (b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I", RESPONSE),
            (b"C\0\0\0\x0dSELECT 1\0", RESPONSE),
            (b"1\0\0\0\x042\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x017", RESPONSE),
            (b"T\0\0\0\x1b\0\x01id\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0", RESPONSE),
            (b"E\0\0\0\x1aSERROR\0C42P01\0Mno no\0\0", RESPONSE),
            (b"Z\0\0\0\x05I", RESPONSE),
            (b"1\0\0\0\x04", Probe::No),
            (b"d\0\0\0\x06ab", Probe::No),
        ];
        for (bytes, want) in cases {
            check(Some(Direction::ToClient), bytes, want);
            check(None, bytes, want);
        }
    }

    #[test]
    fn other_protocols() {
        let cases: [&[u8]; 14] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"+OK\r\n",
            // MySQL: COM_QUERY, a greeting, a row.
            b"\x09\0\0\0\x03SELECT 1",
            b"Q\0\0\0\x03SELECT a, b, c FROM some_table WHERE x = 1 AND y = 2 AND z = 3 OR q = 4 LIMIT 10000",
            b"S\0\0\0\x0a5.7.44\0\x08\0\0\0abcdefgh\0\xff\xf7\x08\x02\0\x0f\x80\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0mysql_native_",
            b"D\0\0\x01\x0312\x0512345\x0512345\x0512345\x0512345\x0512345\x0512345\x0512345\x0512345\x0512345\x0512345",
            // Kafka: metadata, version 0.
            b"\0\0\0\x14\0\x03\0\0\0\0\0\x01\0\x02me\0\0\0\0\0\0",
            // TLS, SSH.
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            // Memcached, NATS.
            b"CONNECT {\"verbose\":false}\r\n",
            b"END\r\n",
        ];
        for bytes in cases {
            for direction in [None, Some(Direction::ToServer), Some(Direction::ToClient)] {
                check(direction, bytes, Probe::No);
            }
        }
    }

    #[test]
    fn places() {
        use Direction::{ToClient, ToServer};
        let cases: [(Direction, &[u8], Found); 10] = [
            (ToClient, b"x\0\0\0\x01yD\0\0\0\x0b\0\x01\0\0\0\x017D\0\0\0\x0b\0\x01\0\0\0\x018", Found::At(6)),
            (ToClient, b"rest of a rowZ\0\0\0\x05I", Found::At(13)),
            (ToClient, b"rest of a rowZ\0\0\0\x05I and more", Found::Nowhere),
            (ToServer, b"S\0\0\0\x04", Found::At(0)),
            (ToServer, b"S\0", Found::Need(5)),
            (ToServer, b"d\nQ\0\0\0\x0dSELECT 1\0", Found::At(2)),
            (ToServer, b"d\n12345", Found::Nowhere),
            (ToServer, b"\0\0", Found::Need(8)),
            (ToServer, b"abc\0Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04", Found::At(4)),
            (ToServer, b"Dear\0\0\0\x04", Found::Nowhere),
        ];
        for (direction, bytes, want) in cases {
            assert_eq!(find(direction, bytes), want, "{}", bytes.escape_ascii());
        }
    }
}
