//! Syntax of FastCGI records, and whether bytes start one.

use hadal_model::Direction;

use crate::contract::{Half, Probe};
use crate::registry::Sample;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 8;

/// Bytes of the records `BEGIN_REQUEST` and `END_REQUEST`, padding excluded.
pub(super) const FIXED: usize = 16;

/// Bytes of output by which the head of a response is known.
const FIELD_NAME: usize = 32;

/// Types of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Begin,
    Abort,
    End,
    Params,
    Stdin,
    Stdout,
    Stderr,
    Data,
    /// About the connection and no request: `GET_VALUES`, `GET_VALUES_RESULT`, `UNKNOWN_TYPE`.
    #[default]
    Management,
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) id: u16,
    pub(super) content: u16,
    pub(super) padding: u8,
    reserved: u8,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// It is not complete.
    Short,
    /// It is none.
    Bad,
}

/// The header of a record of this direction.
pub(super) fn header(direction: Direction, bytes: &[u8]) -> Result<Header, NoHeader> {
    let kind = match (bytes.first(), bytes.get(1)) {
        (Some(1), None) | (None, _) => return Err(NoHeader::Short),
        (Some(1), Some(&kind)) => kind_of(direction, kind).ok_or(NoHeader::Bad)?,
        _ => return Err(NoHeader::Bad),
    };
    let &[_, _, id_high, id_low, high, low, padding, reserved, ..] = bytes else {
        return Err(NoHeader::Short);
    };
    let (id, content) = (u16::from_be_bytes([id_high, id_low]), u16::from_be_bytes([high, low]));
    let valid = match kind {
        Kind::Begin | Kind::End => id != 0 && content == 8,
        Kind::Management => true,
        _ => id != 0,
    };
    if valid { Ok(Header { kind, id, content, padding, reserved }) } else { Err(NoHeader::Bad) }
}

fn kind_of(direction: Direction, byte: u8) -> Option<Kind> {
    Some(match (direction, byte) {
        (Direction::ToServer, 1) => Kind::Begin,
        (Direction::ToServer, 2) => Kind::Abort,
        (Direction::ToServer, 4) => Kind::Params,
        (Direction::ToServer, 5) => Kind::Stdin,
        (Direction::ToServer, 8) => Kind::Data,
        (Direction::ToServer, 9) | (Direction::ToClient, 10 | 11) => Kind::Management,
        (Direction::ToClient, 3) => Kind::End,
        (Direction::ToClient, 6) => Kind::Stdout,
        (Direction::ToClient, 7) => Kind::Stderr,
        _ => return None,
    })
}

/// What the application is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Responder,
    Authorizer,
    Filter,
}

/// The role in the content of a `BEGIN_REQUEST`.
pub(super) fn role(content: &[u8]) -> Role {
    match content.get(1) {
        Some(2) => Role::Authorizer,
        Some(3) => Role::Filter,
        _ => Role::Responder,
    }
}

/// The content of an `END_REQUEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Exit code of a CGI program.
    pub(super) app: u32,
    /// 0 if the request was served.
    pub(super) protocol: u8,
}

/// Reads the content of an `END_REQUEST`.
pub(super) fn ended(content: &[u8]) -> Option<Ended> {
    let &[a, b, c, d, protocol, ..] = content else {
        return None;
    };
    Some(Ended { app: u32::from_be_bytes([a, b, c, d]), protocol })
}

/// Whether these bytes start a FastCGI message: a request by its first record, a response by its first output.
pub fn probe(sample: Sample<'_>) -> Probe {
    match sample.direction {
        Some(Direction::ToServer) => begin(sample.bytes),
        Some(Direction::ToClient) => output(sample.bytes),
        None => match begin(sample.bytes) {
            Probe::No => output(sample.bytes),
            verdict => verdict,
        },
    }
}

/// `BEGIN_REQUEST` in full: all its bytes but the id and the padding are known.
pub(super) fn begin(bytes: &[u8]) -> Probe {
    let agrees = bytes.iter().take(FIXED).enumerate().all(|(at, &byte)| match at {
        0 | 1 => byte == 1,
        2 | 3 | 6 => true,
        5 => byte == 8,
        9 => matches!(byte, 1..=3),
        10 => byte <= 1,
        _ => byte == 0,
    });
    match bytes.get(..FIXED) {
        _ if !agrees || bytes.get(2..4) == Some(&[0, 0]) => Probe::No,
        Some(_) => Probe::Yes(Half::Request),
        None => Probe::Need(FIXED),
    }
}

/// Output that begins with a header field.
pub(super) fn output(bytes: &[u8]) -> Probe {
    let header = match header(Direction::ToClient, bytes) {
        Ok(header) if header.kind == Kind::Stdout && header.reserved == 0 && header.content > 2 => header,
        Err(NoHeader::Short) if bytes.get(1).is_none_or(|&kind| kind == 6) => return Probe::Need(HEADER + 3),
        _ => return Probe::No,
    };
    let content = bytes.get(HEADER..).unwrap_or_default();
    let content = content.get(..usize::from(header.content)).unwrap_or(content);
    let name = content.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    match content.get(name) {
        Some(b':') if name > 1 => Probe::Yes(Half::Response),
        None if name < FIELD_NAME && content.len() < usize::from(header.content) => Probe::Need(bytes.len() + 1),
        _ => Probe::No,
    }
}

/// Whether a record of this direction, about a request that `is_open`, seems to start here. Needs a whole header.
pub(super) fn is_plausible(direction: Direction, bytes: &[u8], is_open: impl Fn(u16) -> bool) -> bool {
    let Ok(header) = header(direction, bytes) else {
        return false;
    };
    let known = header.reserved == 0 && header.kind != Kind::Management && is_open(header.id);
    known
        && match header.kind {
            Kind::Begin => begin(bytes) != Probe::No,
            Kind::End => bytes.get(HEADER..FIXED).is_none_or(is_end),
            _ => true,
        }
}

/// The content of `END_REQUEST` as everybody writes it.
fn is_end(content: &[u8]) -> bool {
    matches!(content, [0, 0, _, _, 0..=3, 0, 0, 0])
}

/// The `END_REQUEST` that these bytes end with.
pub(super) fn end_at_end(bytes: &[u8]) -> Option<(u16, Ended)> {
    let record = bytes.get(bytes.len().checked_sub(FIXED)?..)?;
    let header = header(Direction::ToClient, record).ok()?;
    let content = record.get(HEADER..)?;
    let sure = header.kind == Kind::End && header.padding == 0 && header.reserved == 0 && is_end(content);
    ended(content).filter(|_| sure).map(|ended| (header.id, ended))
}

/// The request whose input these bytes end.
pub(super) fn stdin_end_at_end(bytes: &[u8]) -> Option<u16> {
    let record = bytes.get(bytes.len().checked_sub(HEADER)?..)?;
    let header = header(Direction::ToServer, record).ok()?;
    let empty = header.content == 0 && header.padding == 0 && header.reserved == 0;
    (header.kind == Kind::Stdin && empty).then_some(header.id)
}

/// Offset of the first place where a record may start.
pub(super) fn find(direction: Direction, bytes: &[u8], is_open: impl Fn(u16) -> bool + Copy) -> Option<usize> {
    let from = |at: usize| bytes.get(at..).unwrap_or_default();
    let short = match direction {
        Direction::ToServer => matches!(begin(bytes), Probe::Need(_)),
        Direction::ToClient => header(direction, bytes) == Err(NoHeader::Short),
    };
    if short && !bytes.is_empty() {
        // All that is there may be the start of a record.
        return Some(0);
    }
    memchr::memchr_iter(1, bytes).find(|&at| match direction {
        // Input may be anything, so only the first record of a request is found.
        Direction::ToServer => begin(from(at)) == Probe::Yes(Half::Request),
        Direction::ToClient => is_plausible(direction, from(at), is_open) && is_followed(from(at)),
    })
}

/// Whether another record follows this one, as far as that can be seen.
fn is_followed(bytes: &[u8]) -> bool {
    let Ok(first) = header(Direction::ToClient, bytes) else {
        return false;
    };
    let end = HEADER + usize::from(first.content) + usize::from(first.padding);
    bytes.get(end..).is_none_or(|next| header(Direction::ToClient, next) != Err(NoHeader::Bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_records() {
        let begin_with = |at: usize, byte: u8| {
            let mut record = *b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00";
            record[at] = byte;
            begin(&record)
        };
        assert_eq!(begin_with(3, 7), Probe::Yes(Half::Request));
        assert_eq!(begin_with(9, 3), Probe::Yes(Half::Request));
        for (at, byte) in [(0, 2), (1, 4), (3, 0), (5, 9), (7, 1), (9, 0), (9, 4), (10, 2), (15, 1)] {
            assert_eq!(begin_with(at, byte), Probe::No, "{at}: {byte}");
        }
        assert_eq!(begin(b"\x01\x01\x00\x01\x00\x08"), Probe::Need(16));
        assert_eq!(output(b"\x01\x06\x00\x01\x00\x20\x00\x00Content-Type: a"), Probe::Yes(Half::Response));
        assert_eq!(output(b"\x01\x06\x00\x01\x00\x20\x00\x00Conte"), Probe::Need(14));
        assert_eq!(output(b"\x01\x06\x00\x01\x00\x20\x00\x00<html>"), Probe::No);
        assert_eq!(output(b"\x01\x06\x00\x00\x00\x20\x00\x00A: b"), Probe::No);
    }

    #[test]
    fn ends() {
        let end = b"\x01\x03\x00\x02\x00\x08\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00";
        assert_eq!(end_at_end(&[b"xyz", &end[..]].concat()), Some((2, Ended { app: 1, protocol: 2 })));
        assert_eq!(end_at_end(&end[1..]), None);
        assert_eq!(stdin_end_at_end(b"abc\x01\x05\x00\x09\x00\x00\x00\x00"), Some(9));
        assert_eq!(stdin_end_at_end(b"\x01\x05\x00\x09\x00\x01\x00\x00"), None);
    }
}
