//! An answer that is being read.

use hadal_model::ResponseStatus;

use super::command::Word;
use super::error;
use super::parser::Header;
use super::session::{Value, message};
use super::walk::Collect;
use crate::contract::{Half, Message, Options, Origin, Pairing};
use crate::text::{text, truncate};

/// Longest channel of a delivery kept, in bytes.
const MAX_CHANNEL: usize = 256;

/// What is kept of an answer: its kind, an error or a short result, and what identifies a delivery.
pub(super) struct Reply {
    pub(super) first: Origin,
    pub(super) last: Origin,
    /// Bytes on the wire.
    pub(super) length: u64,
    max_text: usize,
    /// Type of the answer itself.
    kind: u8,
    /// Values in it, if it is an aggregate.
    values: u64,
    /// The value of it under way, from 0.
    position: u64,
    /// Its first value, if a text.
    word: Word,
    /// Its second value, if a text: the channel of a delivery.
    channel: Vec<u8>,
    resp3: bool,
    result: String,
    error: Option<Vec<u8>>,
    /// The payload under way is an error.
    in_error: bool,
}

impl Reply {
    pub(super) fn new(first: Origin, options: &Options) -> Self {
        Self {
            first,
            last: first,
            length: 0,
            max_text: options.max_text,
            kind: 0,
            values: 0,
            position: 0,
            word: Word::default(),
            channel: Vec::new(),
            resp3: false,
            result: String::new(),
            error: None,
            in_error: false,
        }
    }

    /// Whether only version 3 has such an answer.
    pub(super) fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// A push message of version 3.
    pub(super) fn is_push(&self) -> bool {
        self.kind == b'>'
    }

    /// The answer itself is an error (and not a value within it).
    pub(super) fn is_error(&self) -> bool {
        matches!(self.kind, b'-' | b'!')
    }

    /// The first value of an aggregate, in upper case.
    pub(super) fn first_word(&self) -> &str {
        self.word.as_str()
    }

    /// `subscribe`, channel, number of subscriptions.
    pub(super) fn is_acknowledgement(&self) -> bool {
        matches!(self.kind, b'*' | b'>') && self.values == 3
    }

    /// A published message as version 2 delivers it.
    pub(super) fn is_delivery(&self) -> bool {
        let shape = (self.first_word(), self.values);
        self.kind == b'*' && matches!(shape, ("MESSAGE" | "SMESSAGE", 3) | ("PMESSAGE", 4))
    }

    pub(super) fn message(mut self, last: Origin, pairing: Pairing, version: &'static str) -> Message {
        let mut message = message(Half::Response, self.first, ResponseStatus::Ok);
        message.last = last;
        message.length = self.length;
        message.version = version;
        message.pairing = pairing;
        if let Some(error) = self.error.take() {
            let error = text(&error, self.max_text);
            message.status = error::status(&error);
            match message.status {
                ResponseStatus::Ok => self.result = error,
                _ => message.response_exception = error,
            }
        }
        message.response_result = self.result;
        if pairing == Pairing::OneWay {
            let name = if self.word.as_str().is_empty() { "MONITOR" } else { self.word.as_str() };
            message.request_type = name.to_owned();
            message.endpoint = name.to_owned();
            message.request_resource = match self.channel.as_slice() {
                [] => name.to_owned(),
                channel => format!("{name} {}", text(channel, MAX_CHANNEL)),
            };
            truncate(&mut message.request_resource, self.max_text);
            message.response_result.clear();
        }
        message
    }

    fn top(&mut self, header: Header<'_>) {
        match header {
            Header::Scalar(kind, line) => {
                self.kind = kind;
                self.result = text(line, self.max_text.min(64));
            }
            Header::Error(line) => {
                self.kind = b'-';
                self.take_error(line);
            }
            Header::Null => {
                self.kind = b'_';
                "nil".clone_into(&mut self.result);
            }
            Header::Bulk(kind, _) => {
                self.kind = kind;
                self.in_error = kind == b'!' && self.error.is_none();
            }
            Header::Aggregate(kind, values) => {
                self.kind = kind;
                self.values = values;
                self.position = 0;
            }
            Header::StreamedBulk => self.kind = b'$',
            Header::StreamedAggregate(kind) => self.kind = kind,
            Header::Attribute(_) | Header::Part(_) | Header::End => {}
        }
    }

    /// The first error counts, also one within the answer to `EXEC`.
    fn take_error(&mut self, line: &[u8]) {
        if self.error.is_none() {
            self.error = Some(line.get(..self.max_text).unwrap_or(line).to_vec());
        }
    }

    /// Whether the values of a flat aggregate may tell what is delivered.
    fn may_be_push(&self) -> bool {
        matches!(self.kind, b'*' | b'>') && self.position < 2
    }

    fn take_text(&mut self, bytes: &[u8]) {
        match self.position {
            0 => self.word.extend(bytes),
            _ if self.word.is_plausible() => {
                let room = MAX_CHANNEL.saturating_sub(self.channel.len());
                self.channel.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
            _ => {}
        }
    }
}

impl Value for Reply {
    fn extend(&mut self, length: u64, last: Origin) {
        self.length = self.length.saturating_add(length);
        self.last = last;
    }

    fn is_recognised(&self) -> bool {
        self.kind != 0
    }
}

impl Collect for Reply {
    fn header(&mut self, depth: usize, header: Header<'_>) {
        self.resp3 |= match header {
            Header::Scalar(kind, _) => matches!(kind, b',' | b'#' | b'('),
            Header::Bulk(kind, _) => kind != b'$',
            Header::Aggregate(kind, _) => kind != b'*',
            Header::Null | Header::Error(_) => false,
            _ => true,
        };
        if depth == 0 {
            self.top(header);
            return;
        }
        match header {
            Header::Error(line) if self.kind != 0 => self.take_error(line),
            Header::Bulk(b'!', _) => self.in_error = self.error.is_none(),
            Header::Scalar(b'+', line) if depth == 1 && self.may_be_push() => self.take_text(line),
            _ => {}
        }
        if depth == 1 && !matches!(header, Header::Bulk(..)) {
            self.position += 1;
        }
    }

    fn payload(&mut self, depth: usize, bytes: &[u8]) {
        if self.in_error {
            let max = self.max_text;
            let error = self.error.get_or_insert_default();
            let room = max.saturating_sub(error.len());
            error.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        } else if depth == 1 && self.may_be_push() {
            self.take_text(bytes);
        }
    }

    fn end_payload(&mut self, depth: usize) {
        self.in_error = false;
        if depth == 1 {
            self.position += 1;
        }
    }
}
