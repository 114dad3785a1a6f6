//! Captures of other programs' traffic, compared with what is known of them (`tests/pcaps`, Apache-2.0, see LICENSE).

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "captures/pcap.rs"]
mod pcap;

use std::collections::BTreeMap;
use std::sync::Arc;

use hadal_flow::{Connection, Options, Origin, Output, Role, Segment, Session, Settings, Transport};
use serde_json::Value;

/// All sessions of a capture. The sender of a connection's first packet observes it.
fn sessions(packets: &[pcap::Packet]) -> Vec<Session> {
    let settings = Settings { options: Options { obfuscate: false, ..Options::default() }, ..Settings::default() };
    let settings = Arc::new(settings);
    let (mut connections, mut out) = (BTreeMap::new(), Output::default());
    for packet in packets {
        let (source, destination) = (packet.source, packet.destination);
        let ends = (source.min(destination), source.max(destination));
        let (first, connection) =
            connections.entry((packet.transport == Transport::Stream, ends)).or_insert_with(|| {
                let role = packet.opens.then_some(Role::Client);
                (source, Connection::new(role, packet.transport, Arc::clone(&settings)))
            });
        let egress = *first == source;
        let origin = Origin { time_us: packet.time_us, seq: packet.seq, ..Origin::default() };
        let segment =
            Segment { seq: packet.seq, length: packet.length, captured: &packet.payload, first: origin, last: origin };
        connection.data(egress, segment, &mut out);
        if packet.closes {
            connection.close(egress, origin, &mut out);
        }
    }
    for (_, connection) in connections.values_mut() {
        connection.finish(Origin::default(), &mut out);
    }
    out.sessions
}

/// A session as the records of the expectations are written.
fn record(session: &Session) -> Value {
    let request = session.request.as_ref();
    let response = session.response.as_ref();
    let message = request.or(response).unwrap();
    serde_json::json!({
        "type": session.kind.as_str(),
        "protocol": message.protocol.as_str(),
        "request_type": message.request_type,
        "request_domain": message.request_domain,
        "request_resource": message.request_resource,
        "trace_id": message.trace_id,
        "span_id": message.span_id,
        "response_status": session.status.as_str(),
        "response_code": response.and_then(|response| response.response_code),
        "response_result": response.map(|response| &response.response_result),
        "request_id": message.request_id,
    })
}

fn check(name: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pcaps");
    let want = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    let want: Value = serde_json::from_str(&want).unwrap();
    let packets = pcap::read(&std::fs::read(format!("{folder}/{name}.pcap")).unwrap());
    let got: Vec<Value> = sessions(&packets).iter().map(record).collect();
    let want = want["records"].as_array().unwrap();
    assert_eq!(got.len(), want.len(), "{name}: {got:#?}");
    for (got, want) in got.iter().zip(want) {
        for (field, value) in want.as_object().unwrap() {
            assert!(is_as_wanted(&got[field], value), "{name}: {field} is {}, wanted {value}", got[field]);
        }
    }
}

/// Equal, or with all that a list `contains` in it.
fn is_as_wanted(got: &Value, want: &Value) -> bool {
    match want.get("contains") {
        None => got == want,
        Some(parts) => {
            parts.as_array().unwrap().iter().all(|part| got.as_str().unwrap().contains(part.as_str().unwrap()))
        }
    }
}

#[test]
fn dns() {
    check("a-and-ns");
    check("dns");
    check("udp_normal");
}

#[test]
fn fastcgi() {
    check("fastcgi");
}

#[test]
fn http1() {
    check("httpv1");
    check("sw8");
}

#[test]
fn redis() {
    check("redis-debug");
}

#[test]
fn postgresql() {
    check("simple_query");
    check("prepare_stat");
}
