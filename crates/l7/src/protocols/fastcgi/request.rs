//! A request under way.

use hadal_model::L7Protocol;

use super::params::Params;
use super::parser::{Kind, Role};
use crate::contract::{Half, Message, Options, Origin, Pairing};
use crate::endpoint;
use crate::http::Target;
use crate::text::{borrowed, decimal};

/// A request under way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) role: Role,
    pub(super) params: Params,
    /// All parameters were seen.
    pub(super) has_params: bool,
    /// Bytes of input.
    pub(super) input: u64,
    pub(super) first: Origin,
    pub(super) last: Origin,
    pub(super) length: u64,
}

impl Request {
    pub(super) fn new(role: Role, first: Origin) -> Self {
        Self { role, params: Params::default(), has_params: false, input: 0, first, last: first, length: 0 }
    }

    /// Whether its parameters and as much input as they announce were seen.
    pub(super) fn has_input(&self) -> bool {
        self.has_params && self.input >= decimal(self.params.get("CONTENT_LENGTH")).unwrap_or_default()
    }

    /// Whether an empty record of this kind is the last one: of the stream that the role ends with.
    pub(super) fn ends_with(&self, kind: Kind) -> bool {
        kind == match self.role {
            Role::Responder => Kind::Stdin,
            Role::Authorizer => Kind::Params,
            Role::Filter => Kind::Data,
        }
    }

    pub(super) fn message(mut self, id: u16, serial: u64, truncated: bool, options: &Options) -> Message {
        self.params.cut();
        let params = &self.params;
        let text = |name| params.text(name, options);
        let mut message = Message::new(L7Protocol::FastCgi, Half::Request, self.first);
        (message.last, message.length, message.truncated) = (self.last, self.length, truncated);
        message.pairing = Pairing::Id(serial);
        message.version = "1";
        message.request_id = Some(u64::from(id));
        message.request_type = text("REQUEST_METHOD");
        let uri = uri(params);
        let target = Target::split(params.get("REQUEST_METHOD"), &uri);
        message.request_resource = target.resource(options);
        message.endpoint = endpoint::cluster(&borrowed(target.path, options.max_text));
        message.request_domain = domain(params, options);
        message.x_request_id = text("HTTP_X_REQUEST_ID");
        if let Some(context) = params.context(options) {
            (message.trace_id, message.span_id) = (context.trace_id, context.span_id);
        }
        let attributes = [
            ("user_agent", "HTTP_USER_AGENT"),
            ("content_type", "CONTENT_TYPE"),
            ("x_forwarded_for", "HTTP_X_FORWARDED_FOR"),
            ("script_filename", "SCRIPT_FILENAME"),
        ];
        let present = attributes.into_iter().map(|(name, parameter)| (name, text(parameter)));
        message.attributes = present.filter(|(_, value)| !value.is_empty()).collect();
        message
    }
}

/// What was asked for, or else what is to be run.
fn uri(params: &Params) -> Vec<u8> {
    let (uri, query) = (params.get("REQUEST_URI"), params.get("QUERY_STRING"));
    let mut uri = if uri.is_empty() { params.get("SCRIPT_NAME") } else { return uri.to_vec() }.to_vec();
    if !query.is_empty() {
        uri.push(b'?');
        uri.extend_from_slice(query);
    }
    uri
}

/// `_` is how nginx calls a server without a name.
fn domain(params: &Params, options: &Options) -> String {
    let host = params.text("HTTP_HOST", options);
    let name = if host.is_empty() { params.text("SERVER_NAME", options) } else { host };
    if name == "_" { String::new() } else { name }
}
