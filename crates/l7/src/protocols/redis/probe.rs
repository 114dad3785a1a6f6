//! Whether bytes start a command or an answer.

use hadal_model::Direction;

use super::command::{self, Word};
use super::error;
use super::parser::{self, Header, NoHeader};
use crate::contract::{Half, Probe};
use crate::registry::Sample;

/// Longest header of a command that a probe looks at: `*1000\r\n$20\r\n` and the name.
const PROBE_LENGTH: usize = 64;

/// Most arguments of a command that a probe believes in.
const PROBE_ARGUMENTS: u64 = 1 << 20;

/// Whether these bytes start a command or an answer.
pub fn probe(sample: Sample<'_>) -> Probe {
    match sample.direction {
        Some(Direction::ToServer) => probe_command(sample.bytes, true),
        Some(Direction::ToClient) => probe_answer(sample.bytes),
        None => match probe_command(sample.bytes, false) {
            Probe::No => probe_answer(sample.bytes),
            verdict => verdict,
        },
    }
}

/// An array of bulk strings, the first of them the name of a command. Answers look the same, so unless the bytes are
/// known to go to the server the name has to be that of a command of Redis.
pub(super) fn probe_command(bytes: &[u8], to_server: bool) -> Probe {
    if bytes.first() != Some(&b'*') {
        return Probe::No;
    }
    let parsed = parser::header(bytes, PROBE_LENGTH).and_then(|(count, used)| {
        let rest = bytes.get(used..).unwrap_or_default();
        let (name, length) = parser::header(rest, PROBE_LENGTH).map_err(|missing| more(missing, used))?;
        Ok((count, name, used + length))
    });
    let (length, at) = match parsed {
        Ok((Header::Aggregate(b'*', 1..=PROBE_ARGUMENTS), Header::Bulk(b'$', length @ 1..=27), at)) => (length, at),
        Ok(_) | Err(NoHeader::Bad) => return Probe::No,
        Err(NoHeader::Need(bytes)) => return Probe::Need(bytes),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(name) = bytes.get(at..at.saturating_add(length)) else {
        return Probe::Need(at.saturating_add(length));
    };
    let mut word = Word::default();
    word.extend(name);
    let known = command::is_known(word.as_str()) || (to_server && word.is_plausible());
    if known { Probe::Yes(Half::Request) } else { Probe::No }
}

fn more(missing: NoHeader, before: usize) -> NoHeader {
    match missing {
        NoHeader::Need(bytes) => NoHeader::Need(before + bytes),
        NoHeader::Bad => NoHeader::Bad,
    }
}

/// An answer that hardly any other protocol would send. `+OK` is also what POP3 says, so the other direction decides.
fn probe_answer(bytes: &[u8]) -> Probe {
    let (header, used) = match parser::header(bytes, PROBE_LENGTH) {
        Ok(parsed) => parsed,
        Err(NoHeader::Need(bytes)) => return Probe::Need(bytes),
        Err(NoHeader::Bad) => return Probe::No,
    };
    let rest = bytes.get(used..).unwrap_or_default();
    let believed = match header {
        Header::Scalar(b'+', b"OK") => return Probe::Need(bytes.len() + 1),
        Header::Scalar(b'+', text) => matches!(text, b"PONG" | b"QUEUED"),
        Header::Scalar(..) | Header::Null => rest.is_empty(),
        Header::Error(text) => error::is_specific(text),
        Header::Bulk(_, length) => match usize::try_from(length).ok().and_then(|length| rest.get(length..)) {
            Some([] | [b'\r']) => return Probe::Need(bytes.len() + 1),
            Some(after) => after.starts_with(b"\r\n"),
            None => true,
        },
        Header::Aggregate(_, 0) => rest.is_empty(),
        Header::Aggregate(b'*', _) => {
            !matches!(parser::header(rest, PROBE_LENGTH), Err(NoHeader::Bad) | Ok((Header::Bulk(..), _)))
        }
        Header::Aggregate(..) => parser::header(rest, PROBE_LENGTH).is_ok(),
        _ => false,
    };
    if believed { Probe::Yes(Half::Response) } else { Probe::No }
}

/// Offset of the first command in these bytes.
pub(super) fn find_command(bytes: &[u8]) -> Option<usize> {
    let starts = memchr::memchr_iter(b'*', bytes);
    let at_border = |&at: &usize| at == 0 || bytes.get(..at).is_some_and(|before| before.ends_with(b"\r\n"));
    starts.filter(at_border).find(|&at| bytes.get(at..).is_some_and(|rest| probe_command(rest, false) != Probe::No))
}
