//! Whether bytes are a message. All of it is looked at, as far as it is there: few protocols have such short marks.

use super::parser::{Fault, Header, MULTICAST_BIT, Question, Reader, Record, opcode};
use super::{data, name, types};
use crate::contract::{Half, Probe, Transport};
use crate::inference::MAX_PROBE;
use crate::registry::Sample;

/// Length of the length before each message of a stream.
pub(super) const PREFIX: usize = 2;

/// Shortest message with a question.
const MIN_LENGTH: usize = Header::LENGTH + 5;

/// Most questions that a probe believes in.
const MAX_QUESTIONS: u16 = 64;

/// Most records of each kind in a query: the zone's state for a transfer; EDNS, a signature.
const MAX_EXTRAS: u16 = 4;

/// So often a message is looked for behind a place that was lost.
const MAX_TRIES: usize = 64;

/// Whether these bytes start a message.
pub fn probe(sample: Sample<'_>) -> Probe {
    match sample.transport {
        Transport::Datagram => look(sample.bytes).verdict(sample.missing > 0),
        Transport::Stream => stream(sample.bytes),
    }
}

fn stream(bytes: &[u8]) -> Probe {
    let Some((prefix, message)) = bytes.split_first_chunk() else {
        return Probe::Need(PREFIX + Header::LENGTH);
    };
    let length = usize::from(u16::from_be_bytes(*prefix));
    if length < MIN_LENGTH {
        return Probe::No;
    }
    if let Some(message) = message.get(..length) {
        return look(message).verdict(false);
    }
    let look = look(message);
    match look.read {
        _ if bytes.len() >= MAX_PROBE => look.verdict(true),
        Err(Fault::Short) if message.len() < Header::LENGTH => Probe::Need(PREFIX + Header::LENGTH),
        Err(Fault::Short) => Probe::Need((PREFIX + length).min(MAX_PROBE)),
        _ => Probe::No,
    }
}

fn look(message: &[u8]) -> Look {
    let mut look = Look { half: Half::Request, seen: 0, read: Ok(()) };
    look.read = look.walk(message);
    look
}

/// How far bytes are a message.
struct Look {
    half: Half,
    /// Questions and records seen.
    seen: u32,
    /// Whether the bytes end where the message does.
    read: Result<(), Fault>,
}

impl Look {
    fn verdict(&self, cut: bool) -> Probe {
        let wanted = if cut { Err(Fault::Short) } else { Ok(()) };
        if self.seen > 0 && self.read == wanted { Probe::Yes(self.half) } else { Probe::No }
    }

    fn walk(&mut self, message: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(message, 0);
        let header = reader.header()?;
        valid(fits(header))?;
        if header.is_response() {
            self.half = Half::Response;
        }
        for _ in 0..header.questions {
            let question = reader.question()?;
            valid(is_question(header, &question))?;
            self.seen += 1;
        }
        let records = [header.answers, header.authorities, header.additionals];
        for _ in 0..records.map(u32::from).iter().sum() {
            let record = reader.record()?;
            name::read(message, record.name_at)?;
            valid(is_record(header, record))?;
            self.seen += 1;
        }
        valid(reader.rest().is_empty())
    }
}

fn valid(condition: bool) -> Result<(), Fault> {
    if condition { Ok(()) } else { Err(Fault::Bad) }
}

/// Whether a header is one that programs send.
fn fits(header: Header) -> bool {
    let Header { questions, answers, authorities, additionals, .. } = header;
    if !header.is_plausible() {
        return false;
    }
    match (header.opcode(), header.is_response()) {
        // Of mDNS, questions come with the answers known, and answers without a question.
        (opcode::QUERY, false) if header.is_multicast() => (1..=MAX_QUESTIONS).contains(&questions),
        (opcode::QUERY, false) => {
            (questions, answers) == (1, 0)
                && authorities.max(additionals) <= MAX_EXTRAS
                && !header.is_authoritative()
                && !header.offers_recursion()
        }
        // The messages of a zone transfer behind the first one have no question.
        (opcode::QUERY, true) => questions == 1 || (questions == 0 && answers > 0 && header.is_authoritative()),
        (opcode::NOTIFY, _) => questions == 1 && answers <= 1,
        (opcode::UPDATE | opcode::STATUS | opcode::IQUERY, _) => questions == 1,
        _ => false,
    }
}

fn is_question(header: Header, question: &Question) -> bool {
    let class = if header.is_multicast() { question.class & !MULTICAST_BIT } else { question.class };
    question.kind != 0 && types::is_class(class) && !is_netbios(question)
}

/// The name service of NetBIOS (RFC 1002) has the same form: types 32 and 33, and names of 32 letters from A to P.
fn is_netbios(question: &Question) -> bool {
    let label = question.name.split('.').next().unwrap_or_default();
    matches!(question.kind, types::NIMLOC | types::SRV)
        && label.len() == 32
        && label.bytes().all(|byte| (b'A'..=b'P').contains(&byte))
}

fn is_record(header: Header, record: Record<'_>) -> bool {
    if record.kind == types::OPT {
        return header.additionals > 0;
    }
    let class = if header.is_multicast() { record.class & !MULTICAST_BIT } else { record.class };
    let address = matches!(record.kind, types::A | types::AAAA) && record.is_internet();
    // An update may name a type without data.
    let sound = !address || record.data.is_empty() || data::address(record).is_some();
    record.kind != 0 && types::is_class(class) && sound
}

/// Offset of the first message in the bytes of a stream, where the place in it was lost.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let rest = |at| bytes.get(at..).unwrap_or_default();
    let header = |at| Reader::new(bytes, at + PREFIX).header();
    // A call mostly starts where a message does, so only there one may be incomplete.
    let may_start = |&at: &usize| header(at).map_or(at == 0, fits);
    (0..bytes.len()).filter(may_start).take(MAX_TRIES).find(|&at| match stream(rest(at)) {
        Probe::Yes(_) => true,
        Probe::Need(_) => at == 0,
        Probe::No => false,
    })
}
