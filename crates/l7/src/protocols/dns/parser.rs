//! The syntax of messages (RFC 1035 section 4): header, questions, records.

use super::name;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They end before it does.
    Short,
    /// They break its rules.
    Bad,
}

/// Operations of a message (RFC 1035, 1996, 2136, 8490).
pub(super) mod opcode {
    pub(in super::super) const QUERY: u8 = 0;
    pub(in super::super) const IQUERY: u8 = 1;
    pub(in super::super) const STATUS: u8 = 2;
    pub(in super::super) const NOTIFY: u8 = 4;
    pub(in super::super) const UPDATE: u8 = 5;
    pub(in super::super) const STATEFUL: u8 = 6;
}

/// The first twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u16,
    flags: u16,
    pub(super) questions: u16,
    pub(super) answers: u16,
    pub(super) authorities: u16,
    pub(super) additionals: u16,
}

impl Header {
    pub(super) const LENGTH: usize = 12;

    fn is_set(self, bit: u16) -> bool {
        self.flags & bit != 0
    }

    pub(super) fn is_response(self) -> bool {
        self.is_set(0x8000)
    }

    pub(super) fn opcode(self) -> u8 {
        (self.flags >> 11 & 0x0f) as u8
    }

    pub(super) fn is_authoritative(self) -> bool {
        self.is_set(0x0400)
    }

    pub(super) fn is_truncated(self) -> bool {
        self.is_set(0x0200)
    }

    pub(super) fn wants_recursion(self) -> bool {
        self.is_set(0x0100)
    }

    pub(super) fn offers_recursion(self) -> bool {
        self.is_set(0x0080)
    }

    /// The low four bits of the response code; EDNS has more.
    pub(super) fn code(self) -> u16 {
        self.flags & 0x0f
    }

    /// Whether this may be a header: an operation that exists, the reserved bit clear, no error in a request.
    pub(super) fn is_plausible(self) -> bool {
        let known = matches!(
            self.opcode(),
            opcode::QUERY | opcode::IQUERY | opcode::STATUS | opcode::NOTIFY | opcode::UPDATE | opcode::STATEFUL
        );
        known && !self.is_set(0x0040) && (self.is_response() || self.code() == 0)
    }

    /// Whether it is that of a usual query, which shows by its counts alone.
    pub(super) fn is_of_query(self) -> bool {
        let counts = (self.questions, self.answers, self.authorities);
        !self.is_response() && counts == (1, 0, 0) && self.additionals <= 2
    }

    /// Whether it has the marks of mDNS (RFC 6762 section 18): no id, no recursion.
    pub(super) fn is_multicast(self) -> bool {
        self.id == 0 && self.opcode() == opcode::QUERY && !self.wants_recursion() && !self.offers_recursion()
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
}

/// A resource record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Where its name is.
    pub(super) name_at: usize,
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: &'a [u8],
    /// Where its data is.
    pub(super) data_at: usize,
}

/// The class of the Internet.
pub(super) const INTERNET: u16 = 1;

/// The top bit of a class: "answer by unicast" in questions and "forget older ones" in records of mDNS.
pub(super) const MULTICAST_BIT: u16 = 0x8000;

impl Record<'_> {
    pub(super) fn is_internet(self) -> bool {
        self.class & !MULTICAST_BIT == INTERNET
    }
}

/// Reads a message from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.message.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let bytes = self.rest().get(..length).ok_or(Fault::Short)?;
        self.at += length;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(super) fn short(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.rest().first_chunk().copied().ok_or(Fault::Short)?;
        self.at += N;
        Ok(bytes)
    }

    pub(super) fn name(&mut self) -> Result<String, Fault> {
        let (name, end) = name::read(self.message, self.at)?;
        self.at = end;
        Ok(name)
    }

    pub(super) fn header(&mut self) -> Result<Header, Fault> {
        let [id, flags, questions, answers, authorities, additionals] =
            [self.short()?, self.short()?, self.short()?, self.short()?, self.short()?, self.short()?];
        Ok(Header { id, flags, questions, answers, authorities, additionals })
    }

    pub(super) fn question(&mut self) -> Result<Question, Fault> {
        Ok(Question { name: self.name()?, kind: self.short()?, class: self.short()? })
    }

    pub(super) fn record(&mut self) -> Result<Record<'a>, Fault> {
        let name_at = self.at;
        self.at = name::skip(self.message, self.at)?;
        let (kind, class, ttl, length) = (self.short()?, self.short()?, self.long()?, self.short()?);
        let data_at = self.at;
        Ok(Record { name_at, kind, class, ttl, data: self.take(usize::from(length))?, data_at })
    }
}
