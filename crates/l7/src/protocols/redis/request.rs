//! A command that is being read.

use hadal_model::ResponseStatus;

use super::command::{Command, Word};
use super::parser::{Header, inline_words};
use super::session::{Value, message};
use super::walk::Collect;
use crate::contract::{Half, Message, Options, Origin};
use crate::text::{text, truncate};

/// What is kept of a command: at most `max_text` bytes and three words.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) first: Origin,
    pub(super) last: Origin,
    /// Bytes on the wire.
    pub(super) length: u64,
    /// Words of the command, its name included.
    words: u64,
    /// The word under way, from 0.
    position: u64,
    word: Word,
    /// The word under way is shown.
    shown: bool,
    has_block: bool,
    /// The whole command, blanks between words.
    line: Vec<u8>,
    max_text: usize,
    obfuscate: bool,
}

impl Request {
    pub(super) fn new(first: Origin, options: &Options) -> Self {
        Self {
            command: Command::default(),
            first,
            last: first,
            length: 0,
            words: 0,
            position: 0,
            word: Word::default(),
            shown: true,
            has_block: false,
            line: Vec::new(),
            max_text: options.max_text,
            obfuscate: options.obfuscate,
        }
    }

    /// Takes the words of an inline command.
    pub(super) fn inline(&mut self, line: &[u8]) {
        self.words = inline_words(line).count() as u64;
        for word in inline_words(line) {
            self.begin_word();
            self.extend_word(word);
            self.end_word();
        }
    }

    /// `*0`, or an empty line: the server does not answer it.
    pub(super) fn is_empty(&self) -> bool {
        self.position == 0 && self.line.is_empty()
    }

    /// Whether this looks like a command at all.
    pub(super) fn is_plausible(&self) -> bool {
        self.position > 0 && self.command.name.is_plausible()
    }

    /// Arguments of the command, its name excluded.
    pub(super) fn arguments(&self) -> u64 {
        self.words.saturating_sub(1)
    }

    pub(super) fn message(self, last: Origin, options: &Options, version: &'static str) -> Message {
        let mut message = message(Half::Request, self.first, ResponseStatus::Unknown);
        let name = match self.command.name.as_str() {
            "" => text(self.line.split(|&byte| byte == b' ').next().unwrap_or_default(), options.max_text.min(32)),
            name => name.to_owned(),
        };
        message.last = last;
        message.length = self.length;
        message.version = version;
        message.blocking = self.command.is_blocking(self.has_block);
        message.request_resource = match String::from_utf8(self.line) {
            Ok(line) => line,
            Err(error) => text(error.as_bytes(), options.max_text),
        };
        truncate(&mut message.request_resource, options.max_text);
        message.endpoint.clone_from(&name);
        message.request_type = name;
        message
    }

    fn begin_word(&mut self) {
        self.word = Word::default();
        self.shown = self.command.shows(self.position, self.arguments(), self.obfuscate);
        if self.position > 0 {
            self.show(b" ");
        }
        if !self.shown {
            self.show(b"?");
        }
    }

    fn extend_word(&mut self, bytes: &[u8]) {
        self.word.extend(bytes);
        if self.shown {
            self.show(bytes);
        }
    }

    fn end_word(&mut self) {
        match self.position {
            0 => {
                self.command.name = self.word;
                self.command.named();
            }
            1 => self.command.first = self.word,
            2 => self.command.second = self.word,
            _ => {}
        }
        self.has_block |= (1..8).contains(&self.position) && self.word.as_str() == "BLOCK";
        self.position += 1;
    }

    fn show(&mut self, bytes: &[u8]) {
        // A few bytes more than are kept, so that a character at the limit is cut and not replaced.
        let room = (self.max_text + 4).saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

impl Value for Request {
    fn extend(&mut self, length: u64, last: Origin) {
        self.length = self.length.saturating_add(length);
        self.last = last;
    }

    fn is_recognised(&self) -> bool {
        self.is_plausible()
    }
}

impl Collect for Request {
    fn header(&mut self, depth: usize, header: Header<'_>) {
        match (depth, header) {
            (0, Header::Aggregate(_, words)) => {
                self.words = words;
                // The name and a key: most commands need no second allocation.
                self.line.reserve(64.min(self.max_text));
            }
            (1, Header::Bulk(..)) => self.begin_word(),
            (1, Header::Scalar(_, line)) => {
                self.begin_word();
                self.extend_word(line);
                self.end_word();
            }
            _ => {}
        }
    }

    fn payload(&mut self, depth: usize, bytes: &[u8]) {
        if depth == 1 {
            self.extend_word(bytes);
        }
    }

    fn end_payload(&mut self, depth: usize) {
        if depth == 1 {
            self.end_word();
        }
    }
}
