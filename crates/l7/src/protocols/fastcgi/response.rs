//! A response under way.

use hadal_model::{L7Protocol, ResponseStatus};

use super::head::{Head, Reading};
use super::parser::Ended;
use crate::contract::{Half, Message, Options, Origin, Pairing};
use crate::http;
use crate::text::{text, trim, truncate};

/// How a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By its last record.
    Record(Ended),
    /// Its last record is known to be there, and was not seen.
    Unseen,
    /// Its end was not seen.
    Cut,
    /// The connection was closed within it.
    Closed,
}

/// A response under way.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) first: Origin,
    pub(super) last: Origin,
    pub(super) length: u64,
    head: Reading,
    /// The first line of what was written to the error stream.
    errors: Vec<u8>,
    line_ended: bool,
    /// The client has given up, so it need not have a head.
    aborted: bool,
}

impl Response {
    pub(super) fn new(first: Origin, aborted: bool) -> Self {
        Self { first, last: first, length: 0, head: Reading::default(), errors: Vec::new(), line_ended: false, aborted }
    }

    /// Whether it has a head or errors.
    pub(super) fn tells(&mut self, options: &Options) -> bool {
        self.head.finish(options.max_text);
        !self.errors.is_empty() || matches!(&self.head, Reading::Done(Head { code: Some(_), .. }))
    }

    pub(super) fn stdout(&mut self, bytes: &[u8], options: &Options) {
        self.head.feed(bytes, options.max_head, options.max_text);
    }

    /// Output was not captured.
    pub(super) fn stdout_gap(&mut self, options: &Options) {
        self.head.finish(options.max_text);
    }

    pub(super) fn stderr(&mut self, bytes: &[u8], options: &Options) {
        let bytes = if self.errors.is_empty() { bytes.trim_ascii_start() } else { bytes };
        if self.line_ended || bytes.is_empty() {
            return;
        }
        let end = memchr::memchr(b'\n', bytes);
        self.line_ended = end.is_some();
        let room = options.max_text.saturating_sub(self.errors.len());
        let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        self.errors.extend_from_slice(line.get(..room).unwrap_or(line));
    }

    /// Errors were not captured.
    pub(super) fn stderr_gap(&mut self) {
        self.line_ended = true;
    }

    pub(super) fn message(self, id: u16, serial: u64, end: End, options: &Options) -> Message {
        let mut message = Message::new(L7Protocol::FastCgi, Half::Response, self.first);
        (message.last, message.length) = (self.last, self.length);
        message.truncated = matches!(end, End::Cut | End::Closed);
        message.pairing = Pairing::Id(serial);
        message.version = "1";
        message.request_id = Some(u64::from(id));
        let silent = self.head.is_empty() && !self.aborted;
        let head = self.head.into_head(options.max_text);
        message.response_code = head.code.map(i32::from);
        message.status = status(&head, silent, end);
        message.response_exception = text(trim(&self.errors), options.max_text);
        if message.response_exception.is_empty() {
            message.response_exception = exception(head.reason, message.status, silent, end);
            truncate(&mut message.response_exception, options.max_text);
        }
        message.x_request_id = head.x_request_id;
        if !head.content_type.is_empty() {
            message.attributes.push(("content_type", head.content_type));
        }
        if let End::Record(Ended { app: 1.., .. }) = end {
            message.attributes.push(("app_status", app_status(end)));
        }
        message
    }
}

fn app_status(end: End) -> String {
    if let End::Record(ended) = end { ended.app.cast_signed().to_string() } else { String::new() }
}

/// A response without a head is one that a web server refuses.
fn status(head: &Head, silent: bool, end: End) -> ResponseStatus {
    match (head.code, end) {
        (_, End::Record(Ended { protocol: 1.., .. })) => ResponseStatus::ServerError,
        (Some(code), _) => http::status(code),
        (None, End::Record(_)) if silent => ResponseStatus::ServerError,
        (None, _) => ResponseStatus::Unknown,
    }
}

fn exception(reason: String, status: ResponseStatus, silent: bool, end: End) -> String {
    let told = match end {
        End::Record(Ended { protocol: 1, .. }) => "the application takes one request at a time",
        End::Record(Ended { protocol: 2, .. }) => "the application is overloaded",
        End::Record(Ended { protocol: 3, .. }) => "the application does not know the role",
        End::Record(Ended { protocol: 4.., .. }) => "the application refused the request",
        End::Record(_) if silent => "no response head",
        End::Closed => "connection closed within the response",
        _ if status == ResponseStatus::Ok => "",
        _ => return reason,
    };
    told.to_owned()
}
