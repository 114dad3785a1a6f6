//! Messages made of parsed heads.

use hadal_model::{L7Protocol, ResponseStatus};

use super::parser::{Fields, RequestLine, StatusLine};
use crate::contract::{Half, Message, Options, Origin};
use crate::endpoint;
use crate::text::{borrowed, text, truncate};

/// The message of a request head; its framing is for the session to fill in.
pub(super) fn request(options: &Options, line: RequestLine<'_>, fields: &Fields<'_>, first: Origin) -> Message {
    let max = options.max_text;
    let mut message = common(options, Half::Request, line.version, fields, first);
    let target = Target::split(line);
    let domain = if target.authority.is_empty() { fields.host } else { target.authority };
    message.request_type = text(line.method, max);
    message.request_domain = text(domain, max);
    message.request_resource = resource(options, line.target, &target);
    message.endpoint = endpoint::cluster(&borrowed(target.path, max));
    message.attributes = attributes(
        &[
            ("user_agent", fields.user_agent),
            ("content_type", fields.content_type),
            ("upgrade", fields.upgrade),
            ("x_forwarded_for", fields.x_forwarded_for),
        ],
        max,
    );
    message
}

/// The message of a response head.
pub(super) fn response(options: &Options, line: StatusLine<'_>, fields: &Fields<'_>, first: Origin) -> Message {
    let max = options.max_text;
    let mut message = common(options, Half::Response, line.version, fields, first);
    message.response_code = Some(i32::from(line.code));
    message.status = status(line.code);
    if message.status != ResponseStatus::Ok {
        message.response_exception = text(line.reason, max);
    }
    message.attributes = attributes(&[("content_type", fields.content_type), ("upgrade", fields.upgrade)], max);
    message
}

fn common(options: &Options, half: Half, version: &'static str, fields: &Fields<'_>, first: Origin) -> Message {
    let mut message = Message::new(L7Protocol::Http1, half, first);
    message.version = version;
    message.x_request_id = text(fields.x_request_id, options.max_text);
    if let Some(context) = fields.carriers.context(options.max_text) {
        message.trace_id = context.trace_id;
        message.span_id = context.span_id;
    }
    message
}

/// The parts of a request target.
struct Target<'a> {
    /// `http`, of a target with credentials (`http://user:password@host/`).
    hidden_after: Option<&'a [u8]>,
    authority: &'a [u8],
    path: &'a [u8],
}

impl<'a> Target<'a> {
    /// Origin form (`/a`), absolute form (`http://host/a`), authority form (`host:443`) and asterisk form.
    fn split(line: RequestLine<'a>) -> Self {
        if line.method == b"CONNECT" {
            return Self { hidden_after: None, authority: line.target, path: line.target };
        }
        let colon = memchr::memmem::find(line.target, b"://").filter(|_| !line.target.starts_with(b"/"));
        let Some((scheme, rest)) = colon.and_then(|at| Some((line.target.get(..at)?, line.target.get(at + 3..)?)))
        else {
            return Self { hidden_after: None, authority: b"", path: line.target };
        };
        let (authority, path) = rest.split_at(memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len()));
        let at = memchr::memrchr(b'@', authority);
        Self {
            hidden_after: at.map(|_| scheme),
            authority: at.and_then(|at| authority.get(at + 1..)).unwrap_or(authority),
            path: if path.is_empty() { b"/" } else { path },
        }
    }
}

/// The target as it is recorded: never with credentials, and without the values of its query if so configured.
fn resource(options: &Options, target: &[u8], parts: &Target<'_>) -> String {
    let max = options.max_text;
    let mut resource = match parts.hidden_after {
        None => text(target, max),
        Some(scheme) => {
            format!("{}://{}{}", text(scheme, max), text(parts.authority, max), text(parts.path, max))
        }
    };
    if options.obfuscate
        && let Some((path, query)) = resource.split_once('?')
    {
        resource = hide_values(path, query);
    }
    truncate(&mut resource, max);
    resource
}

/// `id=7&x=1` becomes `id=?&x=?`.
fn hide_values(path: &str, query: &str) -> String {
    let mut hidden = String::with_capacity(path.len() + 1 + query.len());
    hidden.push_str(path);
    for (index, field) in query.split('&').enumerate() {
        hidden.push(if index == 0 { '?' } else { '&' });
        match field.split_once('=') {
            Some((name, _)) => {
                hidden.push_str(name);
                hidden.push_str("=?");
            }
            // One value and no name (`?1590632942`).
            None if !field.is_empty() => hidden.push('?'),
            None => {}
        }
    }
    hidden
}

fn status(code: u16) -> ResponseStatus {
    match code {
        400..=499 => ResponseStatus::ClientError,
        500..=999 => ResponseStatus::ServerError,
        _ => ResponseStatus::Ok,
    }
}

fn attributes(fields: &[(&'static str, &[u8])], max_text: usize) -> Vec<(&'static str, String)> {
    let present = || fields.iter().filter(|(_, value)| !value.is_empty());
    let mut attributes = Vec::with_capacity(present().count());
    attributes.extend(present().map(|&(name, value)| (name, unfold(text(value, max_text)))));
    attributes
}

/// A value that was continued on further lines, on one line.
fn unfold(value: String) -> String {
    if !value.contains('\n') {
        return value;
    }
    value.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}
