//! Messages made of parsed heads.

use hadal_model::{L7Protocol, ResponseStatus};

use super::parser::{Fields, RequestLine, StatusLine};
use crate::contract::{Half, Message, Options, Origin};
use crate::endpoint;
use crate::http::{Target, status};
use crate::text::{borrowed, text};

/// The message of a request head; its framing is for the session to fill in.
pub(super) fn request(options: &Options, line: RequestLine<'_>, fields: &Fields<'_>, first: Origin) -> Message {
    let max = options.max_text;
    let mut message = common(options, Half::Request, line.version, fields, first);
    let target = Target::split(line.method, line.target);
    let domain = if target.authority.is_empty() { fields.host } else { target.authority };
    message.request_type = text(line.method, max);
    message.request_domain = text(domain, max);
    message.request_resource = target.resource(options);
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
