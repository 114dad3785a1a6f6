//! An answer that is being read.

use hadal_model::ResponseStatus;

use super::error::{Report, status};
use super::parser::{cstr, cut_cstr, rows, u32_at};
use super::request::message;
use crate::contract::{Half, Message, Options, Origin, Pairing};
use crate::text::{text, truncate};

/// Longest result kept: the command tags of several statements.
const MAX_RESULT: usize = 256;

/// Longest text of a parameter or channel kept.
const MAX_NAME: usize = 256;

/// What is kept of an answer: results, an error, and where it lies.
pub(super) struct Reply {
    pub(super) first: Origin,
    pub(super) last: Origin,
    /// Bytes on the wire.
    pub(super) length: u64,
    /// Some of its messages were seen that tell something.
    pub(super) seen: bool,
    pub(super) error: Option<Report>,
    /// It answers a message of the extended protocol (`BindComplete` was seen).
    extended: bool,
    /// A command is complete.
    complete: bool,
    result: String,
    /// Rows returned, and whether there is such a number.
    returned: Option<u64>,
    notice: String,
    server_version: String,
    backend_pid: Option<u32>,
}

impl Reply {
    pub(super) fn new(first: Origin) -> Self {
        Self {
            first,
            last: first,
            length: 0,
            seen: false,
            error: None,
            extended: false,
            complete: false,
            result: String::new(),
            returned: None,
            notice: String::new(),
            server_version: String::new(),
            backend_pid: None,
        }
    }

    pub(super) fn extend(&mut self, length: u64, last: Origin) {
        self.length = self.length.saturating_add(length);
        self.last = last;
    }

    /// Whether a message is the first one of the next answer, if nothing is known about requests.
    pub(super) fn is_over(&self, tag: u8) -> bool {
        self.extended && self.complete && !matches!(tag, b'Z' | b'3' | b'N' | b'S' | b'A')
    }

    /// Takes note of a message; its body may be cut.
    pub(super) fn note(&mut self, tag: u8, body: &[u8], options: &Options) {
        self.seen |= !matches!(tag, b'Z' | b'S' | b'N');
        match tag {
            b'C' => self.command(&text(cut_cstr(body), 128)),
            b's' | b'I' => self.complete = true,
            b'2' => self.extended = true,
            b'E' => {
                let report = Report::read(body, options.max_text, options.obfuscate);
                self.complete = true;
                // The first one counts: another may follow when a connection ends.
                self.error.get_or_insert(report);
            }
            b'N' if self.notice.is_empty() => {
                let report = Report::read(body, options.max_text, options.obfuscate);
                self.notice = format!("{} {}", report.severity, report.line(options.max_text));
                truncate(&mut self.notice, options.max_text);
            }
            b'S' => {
                if let Some((b"server_version", value)) = cstr(body) {
                    self.server_version = text(cut_cstr(value), MAX_NAME.min(options.max_text));
                }
            }
            b'K' => self.backend_pid = u32_at(body, 0),
            _ => {}
        }
    }

    fn command(&mut self, tag: &str) {
        self.complete = true;
        if self.result.len() + tag.len() + 2 <= MAX_RESULT {
            if !self.result.is_empty() {
                self.result.push_str("; ");
            }
            self.result.push_str(tag);
        }
        if tag.starts_with("SELECT ") || tag.starts_with("FETCH ") {
            let rows = rows(tag).unwrap_or_default();
            self.returned = Some(self.returned.unwrap_or_default().saturating_add(rows));
        }
    }

    pub(super) fn message(self, pairing: Pairing, options: &Options) -> Message {
        let mut message = message(Half::Response, self.first, ResponseStatus::Ok);
        message.pairing = pairing;
        message.last = self.last;
        message.length = self.length;
        message.response_result = self.result;
        truncate(&mut message.response_result, options.max_text);
        if let Some(error) = &self.error {
            fail(&mut message, error, options);
        }
        if let Some(rows) = self.returned {
            message.attributes.push(("db.response.returned_rows", rows.to_string()));
        }
        if let Some(pid) = self.backend_pid {
            message.attributes.push(("backend_pid", pid.to_string()));
        }
        let texts = [("server_version", self.server_version), ("notice", self.notice)];
        message.attributes.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()));
        message
    }
}

/// Puts an error into a message.
///
/// An SQLSTATE has five characters, of which some may be letters (`42P01`): it always begins the exception and stands
/// in the attribute that OpenTelemetry has for it, and it is the numeric code too where it is a number (`23505`).
pub(super) fn fail(message: &mut Message, error: &Report, options: &Options) {
    message.status = match status(&error.sqlstate) {
        ResponseStatus::Ok => ResponseStatus::ClientError,
        status => status,
    };
    message.response_code = error.sqlstate.parse().ok().filter(|_| error.sqlstate.len() == 5);
    message.response_exception = error.line(options.max_text);
    if !error.sqlstate.is_empty() {
        message.attributes.push(("db.response.status_code", error.sqlstate.clone()));
    }
    if !matches!(error.severity.as_str(), "" | "ERROR") {
        message.attributes.push(("severity", error.severity.clone()));
    }
}

/// A message that nobody has asked for: a notification, or a notice or error between answers.
pub(super) fn unasked(tag: u8, body: &[u8], first: Origin, options: &Options) -> Message {
    let mut message = message(Half::Response, first, ResponseStatus::Ok);
    message.pairing = Pairing::OneWay;
    let name = match tag {
        b'A' => {
            let channel = cut_cstr(body.get(4..).unwrap_or_default());
            message.request_resource = text(channel, MAX_NAME.min(options.max_text));
            "NotificationResponse"
        }
        b'N' => {
            let report = Report::read(body, options.max_text, options.obfuscate);
            message.response_result = format!("{} {}", report.severity, report.line(options.max_text));
            truncate(&mut message.response_result, options.max_text);
            "NoticeResponse"
        }
        _ => {
            fail(&mut message, &Report::read(body, options.max_text, options.obfuscate), options);
            "ErrorResponse"
        }
    };
    name.clone_into(&mut message.request_type);
    name.clone_into(&mut message.endpoint);
    message
}
