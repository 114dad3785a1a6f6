//! From what was read of a message to its record.

use hadal_model::{L7Protocol, ResponseStatus};

use super::contents::{Contents, Edns};
use super::parser::{INTERNET, MULTICAST_BIT, Question, opcode};
use super::{name, types};
use crate::contract::{Half, Message, Origin};
use crate::text::truncate;

/// The record of a message: all but its end, its length and its pairing.
pub(super) fn message(mut contents: Contents, first: Origin, max: usize) -> Message {
    let half = if contents.header.is_response() { Half::Response } else { Half::Request };
    let mut message = Message::new(L7Protocol::Dns, half, first);
    message.request_id = Some(contents.header.id.into());
    asked(&mut message, &contents);
    if half == Half::Response {
        answered(&mut message, &mut contents, max);
    } else if let Some(Edns { size, wants_signatures, .. }) = contents.edns {
        message.attributes.push(("edns_udp_size", size.to_string()));
        if wants_signatures {
            message.attributes.push(("dnssec_ok", "true".to_owned()));
        }
    }
    cut(&mut message.request_resource, max);
    message
}

/// What was asked, which responses repeat. What is announced without a question (mDNS) is told by the first answer.
fn asked(message: &mut Message, contents: &Contents) {
    let (mut kinds, mut names): (Vec<_>, Vec<&str>) = (Vec::new(), Vec::new());
    for question in &contents.questions {
        let kind = types::kind_name(question.kind);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        if !names.contains(&&*question.name) {
            names.push(&question.name);
        }
    }
    if let (Some((kind, name)), true) = (&contents.answers.first, kinds.is_empty()) {
        kinds.push(types::kind_name(*kind));
        names.push(name);
    }
    message.request_type = match contents.header.opcode() {
        opcode::IQUERY => "IQUERY".to_owned(),
        opcode::STATUS => "STATUS".to_owned(),
        opcode::NOTIFY => "NOTIFY".to_owned(),
        opcode::UPDATE => "UPDATE".to_owned(),
        opcode::STATEFUL => "DSO".to_owned(),
        _ => kinds.join(", "),
    };
    message.endpoint = names.first().map(|first| name::endpoint(first)).unwrap_or_default();
    message.request_resource = names.join(", ");
    if let Some(class) = contents.questions.first().map(class).filter(|&class| class != INTERNET) {
        message.attributes.push(("class", types::class_name(class).into_owned()));
    }
}

fn class(question: &Question) -> u16 {
    question.class & !MULTICAST_BIT
}

fn answered(message: &mut Message, contents: &mut Contents, max: usize) {
    let code = contents.code();
    message.response_code = Some(code.into());
    message.status = match code {
        0 => ResponseStatus::Ok,
        1 | 3 => ResponseStatus::ClientError,
        _ => ResponseStatus::ServerError,
    };
    if code != 0 {
        message.response_exception = types::code_name(code).into_owned();
    }
    if contents.header.is_truncated() {
        message.attributes.push(("truncated", "true".to_owned()));
    }
    if let Some((error, text)) = contents.edns.take().and_then(|edns| edns.error) {
        let separator = if text.is_empty() { "" } else { ": " };
        let mut told = format!("{}{separator}{text}", types::error_name(error));
        truncate(&mut told, max);
        message.attributes.push(("extended_error", told));
    }
    if contents.header.opcode() == opcode::QUERY {
        message.names = contents.names();
        message.response_result = std::mem::take(&mut contents.answers.text);
        cut(&mut message.response_result, max);
    }
}

fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        truncate(text, max);
        text.push('…');
    }
}
