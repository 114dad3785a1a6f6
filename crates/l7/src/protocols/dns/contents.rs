//! What a record shows of a message, read as far as the bytes go.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::parser::{Fault, Header, Question, Reader, Record};
use super::{data, name, types};
use crate::contract::Message;

/// Most questions kept.
const MAX_QUESTIONS: usize = 16;

/// Most aliases followed, as resolvers do.
const MAX_ALIASES: usize = 16;

/// What is kept of a message.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) header: Header,
    pub(super) questions: Vec<Question>,
    pub(super) answers: Answers,
    pub(super) edns: Option<Edns>,
}

/// The answers of a message.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Type and name of the first one.
    pub(super) first: Option<(u16, String)>,
    pub(super) text: String,
    aliases: Vec<(String, String)>,
    addresses: Vec<(String, IpAddr)>,
    pub(super) zone: Zone,
}

/// What the SOA records of a message tell of a zone transfer.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// Answers announced.
    pub(super) announced: u16,
    /// Answers read.
    pub(super) records: u32,
    /// Serial numbers, in order.
    pub(super) serials: Vec<u32>,
    /// The first answer is such a record.
    pub(super) starts: bool,
    /// So is the second one.
    pub(super) second: bool,
    /// So is the last one read.
    pub(super) ends: bool,
}

/// What EDNS adds (RFC 6891, RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) size: u16,
    pub(super) wants_signatures: bool,
    code: u8,
    /// Code and text of an extended error.
    pub(super) error: Option<(u16, String)>,
}

impl Contents {
    /// Reads a message as far as it can be read. An error if too little of it can to show that it is one.
    pub(super) fn read(message: &[u8], max: usize) -> Result<Self, Fault> {
        let mut reader = Reader::new(message, 0);
        let header = reader.header()?;
        if !header.is_plausible() {
            return Err(Fault::Bad);
        }
        let mut contents = Self { header, questions: Vec::new(), answers: Answers::default(), edns: None };
        contents.answers.zone.announced = header.answers;
        let read = contents.sections(&mut reader, message, max);
        let shown = !contents.questions.is_empty() || contents.answers.first.is_some() || header.is_of_query();
        match read {
            Err(fault) if !shown => Err(fault),
            _ => Ok(contents),
        }
    }

    fn sections(&mut self, reader: &mut Reader<'_>, message: &[u8], max: usize) -> Result<(), Fault> {
        for _ in 0..self.header.questions {
            let question = reader.question()?;
            if self.questions.len() < MAX_QUESTIONS {
                self.questions.push(question);
            }
        }
        self.records(reader, message, max)
    }

    fn records(&mut self, reader: &mut Reader<'_>, message: &[u8], max: usize) -> Result<(), Fault> {
        for _ in 0..self.header.answers {
            let record = reader.record()?;
            let asked = self.questions.first().map(|question| question.kind);
            self.answers.add(message, record, asked, max)?;
        }
        for _ in 0..self.header.authorities {
            reader.record()?;
        }
        for _ in 0..self.header.additionals {
            let record = reader.record()?;
            if record.kind == types::OPT {
                self.edns = Some(Edns::read(record, max));
            }
        }
        Ok(())
    }

    /// The response code, with what EDNS adds to it.
    pub(super) fn code(&self) -> u16 {
        let high = self.edns.as_ref().map_or(0, |edns| u16::from(edns.code));
        high << 4 | self.header.code()
    }

    /// Names with their addresses: the name asked for, if there is a question.
    pub(super) fn names(&mut self) -> Vec<(String, IpAddr)> {
        let addresses = std::mem::take(&mut self.answers.addresses);
        let Some(question) = self.questions.first() else {
            return addresses;
        };
        let asked = question.name.to_ascii_lowercase();
        let mut chain = vec![asked.clone()];
        while let Some((_, next)) = self.answers.aliases.iter().find(|(name, _)| chain.last() == Some(name)) {
            if chain.len() > MAX_ALIASES || chain.contains(next) {
                break;
            }
            chain.push(next.clone());
        }
        let of_chain = addresses.into_iter().filter(|(name, _)| chain.contains(name));
        of_chain.map(|(_, address)| (asked.clone(), address)).collect()
    }
}

impl Answers {
    fn add(&mut self, message: &[u8], record: Record<'_>, asked: Option<u16>, max: usize) -> Result<(), Fault> {
        if self.first.is_none() {
            self.first = Some((record.kind, name::read(message, record.name_at)?.0));
        }
        self.zone.add(message, record);
        if self.text.len() <= max {
            self.show(message, record, asked, max);
        }
        if record.is_internet() {
            self.learn(message, record)?;
        }
        Ok(())
    }

    /// Records of another type than asked for tell their type.
    fn show(&mut self, message: &[u8], record: Record<'_>, asked: Option<u16>, max: usize) {
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        if asked != Some(record.kind) {
            let _ = write!(self.text, "{} ", types::kind_name(record.kind));
        }
        data::show(message, record, max, &mut self.text);
    }

    fn learn(&mut self, message: &[u8], record: Record<'_>) -> Result<(), Fault> {
        let owner = || Ok(name::read(message, record.name_at)?.0.to_ascii_lowercase());
        if let Some(address) = data::address(record) {
            if self.addresses.len() < Message::MAX_NAMES {
                self.addresses.push((owner()?, address));
            }
        } else if record.kind == types::CNAME && self.aliases.len() < MAX_ALIASES {
            let target = name::read(message, record.data_at)?.0.to_ascii_lowercase();
            self.aliases.push((owner()?, target));
        }
        Ok(())
    }
}

impl Zone {
    fn add(&mut self, message: &[u8], record: Record<'_>) {
        let serial = if record.kind == types::SOA { data::serial(message, record) } else { None };
        self.starts |= self.records == 0 && serial.is_some();
        self.second |= self.records == 1 && serial.is_some();
        self.ends = serial.is_some();
        self.records = self.records.saturating_add(1);
        self.serials.extend(serial);
    }
}

impl Edns {
    fn read(record: Record<'_>, max: usize) -> Self {
        let mut edns = Self {
            size: record.class,
            wants_signatures: record.ttl & 0x8000 != 0,
            code: (record.ttl >> 24) as u8,
            error: None,
        };
        let mut options = Reader::new(record.data, 0);
        while let Ok((code, option)) = option(&mut options) {
            if let (15, Some((error, text))) = (code, option.split_first_chunk()) {
                edns.error = Some((u16::from_be_bytes(*error), crate::text::text(text, max)));
            }
        }
        edns
    }
}

fn option<'a>(options: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Fault> {
    let (code, length) = (options.short()?, options.short()?);
    Ok((code, options.take(usize::from(length))?))
}
