//! A request that is being read.

use std::sync::Arc;

use hadal_model::{L7Protocol, ResponseStatus};

use super::statements::Statement;
use crate::contract::{Half, Message, Origin, Pairing};
use crate::text::{text, truncate};
use crate::trace_context::TraceContext;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    /// Messages of the extended protocol.
    Extended,
    /// Nothing but `Sync`.
    Sync,
    Function,
    Startup,
    /// `SSLRequest` or `GSSENCRequest`.
    Encryption(&'static str),
}

/// Which messages of the extended protocol were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    parse: bool,
    bind: bool,
    describe: bool,
    execute: bool,
}

/// What is kept of a request: its statement and where it lies.
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) first: Origin,
    pub(super) last: Origin,
    /// Bytes on the wire.
    pub(super) length: u64,
    /// Its answer is awaited: it is the last one of those.
    pub(super) awaited: bool,
    /// Its answer will not be told apart from others.
    pub(super) lost: bool,
    /// Messages behind those seen are missing.
    pub(super) cut: bool,
    /// `CopyDone` or `CopyFail` was seen.
    pub(super) copied: bool,
    pub(super) resource: String,
    pub(super) trace: Option<TraceContext>,
    statement: Option<Arc<Statement>>,
    /// Name of the prepared statement.
    name: Vec<u8>,
    portal: Vec<u8>,
    /// The statement's name in `Parse`.
    parsed: Vec<u8>,
    parts: Parts,
    /// The first statement closed.
    closed: Option<(Vec<u8>, Option<Arc<Statement>>)>,
}

impl Request {
    pub(super) fn new(kind: Kind, id: u64, first: Origin) -> Self {
        Self {
            kind,
            id,
            first,
            last: first,
            length: 0,
            awaited: false,
            lost: false,
            cut: false,
            copied: false,
            resource: String::new(),
            trace: None,
            statement: None,
            name: Vec::new(),
            portal: Vec::new(),
            parsed: Vec::new(),
            parts: Parts::default(),
            closed: None,
        }
    }

    /// Whether a message of the extended protocol belongs to it; `name` is that of a statement.
    pub(super) fn continues(&self, tag: u8, name: Option<&[u8]>) -> bool {
        let Parts { parse, bind, describe, execute } = self.parts;
        let same = !parse || name.is_none_or(|name| name == self.parsed);
        self.kind == Kind::Extended
            && match tag {
                b'P' => !(parse || bind || describe || execute),
                b'B' => !execute && !bind && same,
                b'D' => !execute && same,
                b'E' => !execute,
                _ => true,
            }
    }

    pub(super) fn parse(&mut self, name: &[u8]) {
        self.parts.parse = true;
        self.parsed = name.to_vec();
    }

    pub(super) fn bind(&mut self) {
        self.parts.bind = true;
    }

    pub(super) fn describe(&mut self) {
        self.parts.describe = true;
    }

    pub(super) fn execute(&mut self) {
        self.parts.execute = true;
    }

    /// Takes note of the statement; what is known already stays.
    pub(super) fn concerns(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if self.name.is_empty() {
            self.name = name.to_vec();
        }
        if self.statement.is_none() {
            self.statement = statement;
        }
    }

    /// Takes note of the portal and of what it executes.
    pub(super) fn uses(&mut self, portal: &[u8], statement: Option<Arc<Statement>>) {
        self.portal = portal.to_vec();
        self.concerns(b"", statement);
    }

    /// A statement is closed; that is what the request is about if nothing else follows.
    pub(super) fn closes(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        self.closed.get_or_insert_with(|| (name.to_vec(), statement));
    }

    /// Rows of the client belong to it, and more of them come.
    pub(super) fn is_copying(&self) -> bool {
        let copies_in = self.statement.as_ref().is_some_and(|statement| statement.copies_in);
        copies_in && !self.copied && (self.kind == Kind::Query || self.parts.execute)
    }

    pub(super) fn extend(&mut self, length: u64, last: Origin) {
        self.length = self.length.saturating_add(length);
        self.last = last;
    }

    /// The first message up to `Sync`, but that a `Close` before others and the `Bind` of an `Execute` do not count.
    fn name(&self) -> &'static str {
        match (self.kind, self.parts) {
            (Kind::Query, _) => "Query",
            (Kind::Sync, _) => "Sync",
            (Kind::Function, _) => "FunctionCall",
            (Kind::Startup, _) => "Startup",
            (Kind::Encryption(name), _) => name,
            (_, Parts { parse: true, .. }) => "Parse",
            (_, Parts { execute: true, .. }) => "Execute",
            // What follows a `Bind` is its `Execute`.
            (_, Parts { bind: true, .. }) if self.cut => "Execute",
            (_, Parts { bind: true, .. }) => "Bind",
            (_, Parts { describe: true, .. }) => "Describe",
            _ => "Close",
        }
    }

    pub(super) fn message(mut self, max_text: usize) -> Message {
        if let Some((name, statement)) = self.closed.take().filter(|_| self.name() == "Close") {
            self.concerns(&name, statement);
        }
        let mut message = message(Half::Request, self.first, ResponseStatus::Unknown);
        let name = self.name();
        message.pairing = Pairing::Id(self.id);
        message.last = self.last;
        message.length = self.length;
        message.truncated = self.cut;
        name.clone_into(&mut message.request_type);
        name.clone_into(&mut message.endpoint);
        message.request_resource = self.resource;
        if let Some(statement) = &self.statement {
            message.request_resource.clone_from(&statement.sql);
            if !statement.summary.is_empty() {
                message.endpoint.clone_from(&statement.summary);
            }
        } else if let Some(known) = [&self.name, &self.portal].into_iter().find(|name| !name.is_empty()) {
            // A statement that was prepared before anyone looked.
            message.request_resource = format!("{} {}", name.to_ascii_uppercase(), text(known, max_text));
            truncate(&mut message.request_resource, max_text);
        }
        if !self.name.is_empty() {
            message.attributes.push(("statement", text(&self.name, max_text)));
        }
        if let Some(trace) = self.trace {
            message.trace_id = trace.trace_id;
            message.span_id = trace.span_id;
        }
        message
    }
}

/// A message of this protocol with nothing in it yet.
pub(super) fn message(half: Half, first: Origin, status: ResponseStatus) -> Message {
    Message { status, ..Message::new(L7Protocol::PostgreSql, half, first) }
}
